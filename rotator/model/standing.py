"""Where one lineage stood when the service looked at it last: all that metrics and the log of changes need of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One lineage. Kept for each of them while the service runs, so it is small; never holds a secret.

    `policy` is the name of its entry, and `fingerprint` another one when that is changed. `phase` and `reason` are the names of
    `plan.phase` and `model.reason`; `reason` is that of the decision, "" without one.
    `due_at` is when the key in use is replaced by its policy, which may have to be open for that, `safe_until` its latest safe
    start, `version` that of the entry.
    `previous_since` and `originals_since` say since when each key has awaited its end. `unserved` counts keys of ours that nobody
    serves, `strays` are the ids of those that carry its mark and are not proven to be ours. `claimed` says whether another
    process works on it. `error` is what stopped the last look or try, `failures` how many in a row were stopped so.
    """

    lineage: str
    provider: str
    policy: str
    fingerprint: str
    phase: str
    reason: str = ""
    key_id: str | None = None
    version: int = 0
    expires_at: datetime | None = None
    due_at: datetime | None = None
    safe_until: datetime | None = None
    previous_since: tuple[datetime, ...] = ()
    originals_since: tuple[datetime, ...] = ()
    unserved: int = 0
    strays: tuple[str, ...] = ()
    claimed: bool = False
    error: str = ""
    failures: int = 0
