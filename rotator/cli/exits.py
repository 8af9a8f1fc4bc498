"""The statuses that commands end with. They are an interface: scripts and units are written against them."""

from __future__ import annotations

FINE = 0
FAILED = 1
"""Something failed."""
USAGE = 2
"""The command line is wrong."""
PERSON_NEEDED = 3
"""A lineage is held or under no policy any more, or a stray was found; and what could not be reached besides, perhaps."""
TRY_AGAIN = 75
"""Vault or a provider could not be reached, or the command was stopped before its end (EX_TEMPFAIL)."""
BAD_POLICY = 78
"""The policy file, or a credential that it names, can't be used (EX_CONFIG)."""
INTERRUPTED = 130
"""Ended at once by a signal."""

_GRAVEST_FIRST = (BAD_POLICY, FAILED, PERSON_NEEDED, TRY_AGAIN, FINE)
"""To try again does not help who needs a person, and may be all that a script ever does."""


def gravest(statuses: set[int]) -> int:
    """Return the one status that stands for several."""
    return next(status for status in _GRAVEST_FIRST if status in statuses | {FINE})
