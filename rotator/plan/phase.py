"""Where a lineage is in its life: one word for status and metrics, from what was seen and decided."""

from __future__ import annotations

from enum import StrEnum

from rotator.model.reason import WaitReason
from rotator.model.record import Failure, Record
from rotator.model.snapshot import Snapshot
from rotator.plan import facts
from rotator.plan.actions import Decision, Hold, Wait
from rotator.policy.policy import Policy


class Phase(StrEnum):
    """Where a lineage is in its life. These names are an interface: `status` and metrics show them."""

    UNKNOWN = "unknown"
    """It could not be looked at."""
    WATCHED = "watched"
    """The policy only looks."""
    UNADOPTED = "unadopted"
    """A policy takes the key, and nothing was done about it yet."""
    ADOPTED = "adopted"
    """The key was taken in; its secret is not in Vault, and no rotation has been made yet."""
    CURRENT = "current"
    """One key is in use."""
    OVERLAP = "overlap"
    """The key before the one in use still works."""
    AWAITING_RELEASE = "awaiting_release"
    """A key from before adoption lives on until it is released."""
    FAILING = "failing"
    """The last try failed; it is repeated."""
    PAUSED = "paused"
    """A person paused it."""
    FORGOTTEN = "forgotten"
    """A person told us to leave it alone."""
    HELD = "held"
    """Nothing automatic is safe: a person must act."""


def standing_failure(policy: Policy, record: Record | None) -> Failure | None:
    """Return the last failure of a lineage, unless the policy entry has changed since."""
    failure = record.failure if record else None
    return failure if failure and failure.policy_fingerprint == policy.fingerprint else None


def phase_of(policy: Policy, snapshot: Snapshot | None, decision: Decision | None, *, failed: bool) -> Phase:
    """Return where a lineage is in its life; trouble comes before all else. `failed`: what was just tried did."""
    if decision is None or snapshot is None:
        return Phase.UNKNOWN
    if isinstance(decision, Hold):
        return Phase.HELD
    waits_for = decision.reason if isinstance(decision, Wait) else None
    if waits_for is WaitReason.FORGOTTEN:
        return Phase.FORGOTTEN
    if waits_for is WaitReason.PAUSED:
        return Phase.PAUSED
    record = snapshot.record
    if failed or waits_for is WaitReason.BACKING_OFF or standing_failure(policy, record):
        return Phase.FAILING
    watched = facts.watched(policy, record)
    if record is None:
        return Phase.WATCHED if watched else Phase.UNADOPTED
    if record.previous:
        return Phase.OVERLAP
    if record.current is not None and record.originals:
        return Phase.AWAITING_RELEASE
    if watched:
        return Phase.WATCHED
    return Phase.ADOPTED if record.current is None else Phase.CURRENT
