"""Where a lineage stands after it was looked at, and when to look again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from rotator.daemon.starts import HOUR
from rotator.inventory.fleet import Found
from rotator.model.reason import WaitReason
from rotator.model.record import Record
from rotator.model.standing import Standing
from rotator.plan import facts
from rotator.plan.actions import Adopt, Copy, Decision, Finish, Hold, Inherit, Wait
from rotator.plan.phase import Phase, phase_of
from rotator.plan.rules import LOOK_AGAIN, next_start
from rotator.policy.schedule import due, latest_safe_start, next_try, start
from rotator.reconcile import Reconciled


def standing_of(found: Found, ended: Reconciled, now: datetime, before: Standing | None) -> Standing:
    """Return where a lineage stands after it was worked on; `before` is what was noted of it last."""
    policy = found.assignment.policy
    failures = 0 if ended.error is None else before.failures + 1 if before else 1
    if ended.last is None:
        return replace(_unseen(found, ended, before), failures=failures)
    snapshot, decision = ended.last.snapshot, ended.last.stands
    record = snapshot.record
    key = facts.head(record) if record else snapshot.matched
    expires_at = key.expires_at if key else None
    return Standing(
        lineage=ended.lineage,
        provider=found.provider,
        policy=policy.name,
        fingerprint=policy.fingerprint,
        phase=phase_of(policy, snapshot, decision, failed=ended.error is not None),
        reason=ended.left.reason if ended.left else _reason(decision),
        key_id=key.key_id if key else None,
        version=snapshot.entry.version,
        expires_at=expires_at,
        due_at=next_start(policy, snapshot) if record else None,
        safe_until=latest_safe_start(policy, expires_at),
        previous_since=_previous_since(record),
        originals_since=_originals_since(record),
        unserved=len(facts.unserved(snapshot, now)),
        strays=tuple(stray.key_id for stray in facts.strays(snapshot)),
        claimed=isinstance(decision, Wait) and decision.reason is WaitReason.CLAIMED,
        error=str(ended.error or ""),
        failures=failures,
    )


def _unseen(found: Found, ended: Reconciled, before: Standing | None) -> Standing:
    """Return what is still known of a lineage that could not be looked at: what its record says, and what was seen before."""
    policy, record = found.assignment.policy, found.known_record
    known = before or Standing(
        lineage=ended.lineage,
        provider=found.provider,
        policy=policy.name,
        fingerprint=policy.fingerprint,
        phase=Phase.UNKNOWN,
    )
    key = facts.head(record) if record else None
    if record is not None and record.forgotten:
        known = replace(known, due_at=None, safe_until=None)
    elif key is not None:
        same = known.key_id == key.key_id
        known = replace(
            known,
            key_id=key.key_id,
            expires_at=key.expires_at,
            due_at=known.due_at if same else due_by_record(found),
            safe_until=latest_safe_start(policy, key.expires_at),
            previous_since=_previous_since(record),
            originals_since=_originals_since(record),
        )
    return replace(
        known,
        policy=policy.name,
        phase=Phase.UNKNOWN,
        reason=ended.left.reason if ended.left else "",
        claimed=False,
        error=str(ended.error or ""),
    )


def due_by_record(found: Found) -> datetime | None:
    """Return when the key in use of a lineage is due by its policy, as far as its record says, on the provider's clock."""
    record, policy = found.known_record, found.assignment.policy
    key = facts.head(record) if record else None
    if record is None or key is None or record.forgotten or facts.watched(policy, record):
        return None
    first = due(policy, found.assignment.lineage.lineage_id, key, taken_in_at=record.adopted_at)
    return start(policy, first.at, latest_safe_start(policy, key.expires_at)).at if first else None


def _previous_since(record: Record | None) -> tuple[datetime, ...]:
    return tuple(one.superseded_at for one in record.previous) if record else ()


def _originals_since(record: Record | None) -> tuple[datetime, ...]:
    return (record.adopted_at,) * len(record.originals) if record and record.current else ()


def _reason(decision: Decision) -> str:
    """Return the reason of a decision; actions that have none are named by what they do."""
    match decision:
        case Adopt() | Finish() | Copy() | Inherit():
            return type(decision).__name__.lower()
        case _:
            return decision.reason


def wakes_at(found: Found, ended: Reconciled, standing: Standing, now: datetime) -> datetime | None:
    """Return when a lineage is to be looked at again although nothing was seen to change, None for never.

    What is held has no such instant: it waits for a person, who is waited for by looking at each sweep. Nor has what is
    paused, since sweeps see a pause end; but one that came after the last of them may go before the next. After a failure
    the next look comes when a rotation would be tried again after as many; in an emergency within a minute.
    """
    if ended.error is not None or ended.last is None:
        record = found.known_record
        return next_try(
            found.assignment.policy,
            found.assignment.lineage.lineage_id,
            failures=standing.failures,
            now=now,
            safe_until=now if facts.emergency(record) else standing.safe_until,
        )
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
