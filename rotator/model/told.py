"""What is told at each step: to the log, and to whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.model.record import Rotated


class Step(StrEnum):
    """What has just happened to a lineage."""

    ORDERED = "ordered"
    """A person's order is in the journal."""
    WAITING = "waiting"
    """An order waits until another process has ended its work."""
    ADOPTED = "adopted"
    INTENT = "intent"
    """The intent is in the journal; nothing was created yet."""
    OVERRIDDEN = "overridden"
    """That rotation is begun although a window is closed, or in a freeze: its expiry can't wait."""
    CREATED = "created"
    PROVEN = "proven"
    """The new key has the same rights, and the provider accepts its secret."""
    PUBLISHED = "published"
    """The new secret was read back from the destination."""
    RECORDED = "recorded"
    """The publish is recorded, with its evidence."""
    COPIED = "copied"
    """The secret in use was read back from another place that is served."""
    OVERLAP = "overlap"
    """The publish is recorded: both keys work until the overlap ends."""
    FINISHED = "finished"
    """A publish that an earlier holder could not record was recorded."""
    INHERITED = "inherited"
    """An orphan was counted among the previous keys."""
    CANDIDATE_REVOKED = "candidate_revoked"
    """A new key that was never published was deleted again."""
    REVOKED = "revoked"
    """An old key was deleted and is gone from the provider's list."""
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One step of one lineage. Nothing here is ever secret."""

    step: Step
    lineage: str
    reason: str = ""
    key_id: str | None = None
    rotation_id: str | None = None
    version: int | None = None
    until: datetime | None = None
    detail: str = ""
    evidence: Rotated | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMade:
    """One call to Vault or a provider, once it has ended. `to` is "vault" or the provider's name in the policy file.

    `result` is the status that was answered, else what became of the call, in a word.
    """

    to: str
    operation: str
    result: str
    took: timedelta


Heard = Callable[[CallMade], None]
"""Is told of each call. Raises nothing, and takes no time."""


def unheard(_made: CallMade) -> None:
    """Tell nobody."""
