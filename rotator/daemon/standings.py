"""Where a lineage stands after it was looked at, and when to look again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rotator.daemon.starts import HOUR
from rotator.inventory.fleet import Found
from rotator.model.reason import WaitReason
from rotator.model.standing import Standing
from rotator.plan import facts
from rotator.plan.actions import Adopt, Copy, Decision, Finish, Hold, Inherit, Wait
from rotator.plan.phase import phase_of
from rotator.plan.rules import LOOK_AGAIN, next_start
from rotator.policy.schedule import latest_safe_start
from rotator.reconcile import Reconciled


def standing_of(found: Found, ended: Reconciled, now: datetime) -> Standing:
    """Return where a lineage stands after it was worked on."""
    last, policy = ended.last, found.assignment.policy
    snapshot = last.snapshot if last else None
    decision = last.stands if last else None
    record = snapshot.record if snapshot else None
    key = facts.head(record) if record else snapshot.matched if snapshot else None
    expires_at = key.expires_at if key else None
    waits_for = decision.reason if isinstance(decision, Wait) else None
    return Standing(
        lineage=ended.lineage,
        provider=found.provider,
        policy=policy.name,
        fingerprint=policy.fingerprint,
        phase=phase_of(policy, snapshot, decision, failed=ended.error is not None),
        reason=ended.left.reason if ended.left else _reason(decision),
        key_id=key.key_id if key else None,
        version=snapshot.entry.version if snapshot else 0,
        expires_at=expires_at,
        due_at=next_start(policy, snapshot) if snapshot and record else None,
        safe_until=latest_safe_start(policy, expires_at),
        previous_since=tuple(one.superseded_at for one in record.previous) if record else (),
        originals_since=(record.adopted_at,) * len(record.originals) if record and record.current else (),
        unserved=len(facts.unserved(snapshot, now)) if snapshot else 0,
        claimed=waits_for is WaitReason.CLAIMED,
        error=str(ended.error or ""),
    )


def _reason(decision: Decision | None) -> str:
    """Return the reason of a decision; actions that have none are named by what they do."""
    match decision:
        case None:
            return ""
        case Adopt() | Finish() | Copy() | Inherit():
            return type(decision).__name__.lower()
        case _:
            return decision.reason


def wakes_at(found: Found, ended: Reconciled, now: datetime) -> datetime | None:
    """Return when a lineage is to be looked at again although nothing was seen to change, None for never.

    What is held has no such instant: it waits for a person, who is waited for by looking at each sweep. Nor has what is
    paused, since sweeps see a pause end; but one that came after the last of them may go before the next.
    """
    if ended.error is not None or ended.last is None:
        return now + LOOK_AGAIN
    match ended.last.stands:
        case Wait(reason=WaitReason.PAUSED) if not found.assignment.paused:
            return now + LOOK_AGAIN
        case Wait(until=until):
            return until
        case Hold():
            return None
        case _:
            return now + LOOK_AGAIN


def next_starts(begun: Iterable[datetime], per_hour: int, now: datetime, count: int) -> list[datetime]:
    """Return when each of `count` rotations, one after another, may be started while no more than `per_hour` are in any hour.

    `begun` is when those of the last hour were.
    """
    taken = sorted(at for at in begun if at > now - HOUR)
    starts: list[datetime] = []
    for _ in range(count):
        at = now if len(taken) < per_hour else max(now, taken[-per_hour] + HOUR)
        taken.append(at)
        starts.append(at)
    return starts
