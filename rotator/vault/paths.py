"""Which paths may reach Vault, and where the journal's entries are. Pure.

An HTTP client resolves `..` and collapses `//` before it asks, so `a/../b` would silently become `b`, and
`a//b` an alias of `a/b`; Vault refuses control characters and tells names in composed and decomposed Unicode
apart. None of that can happen to a path made of these characters only.
"""

from __future__ import annotations

import re

_SEGMENT = re.compile(r"[A-Za-z0-9._@:+-]+")


def checked(path: str) -> str:
    """Return `path` as it is. Raise ValueError, without the path in its text, when it isn't allowed."""
    for segment in path.split("/"):
        if not _SEGMENT.fullmatch(segment) or segment in {".", ".."}:
            message = "a path is made of segments of A-Z a-z 0-9 . _ @ : + -, none empty, none '.' or '..'"
            raise ValueError(message)
    return path


def control_path(prefix: str) -> str:
    """Return where the control record of the journal under `prefix` is."""
    return f"{prefix}/control"


def records_path(prefix: str) -> str:
    """Return the folder that holds all records of the journal under `prefix`."""
    return f"{prefix}/lineages"


def record_path(prefix: str, name: str) -> str:
    """Return where the record of that name (`Lineage.record_name`) is."""
    return f"{records_path(prefix)}/{name}"
