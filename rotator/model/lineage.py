"""The name of a series of keys: where they come from and where their secret goes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from rotator.model.entry import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A series of keys minted for one destination.

    `provider` is the operator's name for it in the policy file, `project_id` the vendor's. `namespace` is
    Vault's ("" without one), `mount` and `path` say where the KV v2 entry is. `began_at` are the mount and the path
    that it began with, None where those are the same: its record and its marks, which can't be edited, are named by
    them for ever.
    """

    provider: str
    project_id: str
    namespace: str
    mount: str
    path: str
    began_at: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """What people and commands call it: `MOUNT/PATH`."""
        return f"{self.mount}/{self.path}"

    @property
    def lineage_id(self) -> str:
        """A hash of (project, namespace, mount, path) as it began, used in marks and in names of records."""
        parts = (self.project_id, self.namespace, *self._first)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    @property
    def record_name(self) -> str:
        """The name of its journal record: readable, and made unique by the hash."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", "/".join(self._first))[:80] + "-" + self.lineage_id

    @property
    def _first(self) -> tuple[str, str]:
        return self.began_at or (self.mount, self.path)

    def at(self, place: Place) -> Lineage:
        """Return the same lineage at another place in Vault."""
        elsewhere = (place.mount, place.path) != self._first
        return replace(self, mount=place.mount, path=place.path, began_at=self._first if elsewhere else None)
