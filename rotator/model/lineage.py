"""The name of a series of keys: where they come from and where their secret goes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A series of keys minted for one destination.

    `provider` is the operator's name for it in the policy file, `project_id` the vendor's. `namespace` is
    Vault's ("" without one), `mount` and `path` say where the KV v2 entry is.
    """

    provider: str
    project_id: str
    namespace: str
    mount: str
    path: str

    @property
    def name(self) -> str:
        """What people and commands call it: `MOUNT/PATH`."""
        return f"{self.mount}/{self.path}"

    @property
    def lineage_id(self) -> str:
        """A hash of (project, namespace, mount, path), as used in marks and in names of records."""
        parts = (self.project_id, self.namespace, self.mount, self.path)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    @property
    def record_name(self) -> str:
        """The name of its journal record: readable, and made unique by the hash."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name)[:80] + "-" + self.lineage_id
