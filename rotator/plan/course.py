"""The course of one lineage from here on: when its next rotation is due, and which keys are deleted when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.model.reason import Closed, HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.record import KnownKey, Original
from rotator.model.snapshot import Snapshot
from rotator.plan import facts
from rotator.plan.actions import Adopt, Decision, Hold, Rotate, Wait
from rotator.plan.invariants import overlap_ends, release_ends
from rotator.policy import windows
from rotator.policy.policy import Adopt as AdoptMode
from rotator.policy.policy import OriginalTerms, Policy
from rotator.policy.schedule import due, latest_safe_start, lifetime_of_next

BY_TIME = frozenset({RotateReason.DUE_BY_EXPIRY, RotateReason.DUE_BY_AGE, RotateReason.ADOPT_NOW})
"""Why a rotation waits for windows, freezes and a start that is left in the hour."""

_NO_TIME_ENDS = frozenset(
    {WaitReason.PAUSED, WaitReason.FORGOTTEN, WaitReason.NOT_FOUND, WaitReason.KEY_UNREADABLE}
)
_LEAST = timedelta(minutes=1)
"""So long after a rotation the next begins at the earliest: what is due as soon as it is made would go on for ever."""


class What(StrEnum):
    """What is done. These names are an interface: documents show them."""

    ROTATE = "rotate"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One lineage as it was looked at, with what was decided about it."""

    lineage: str
    provider: str
    policy: Policy
    snapshot: Snapshot
    decision: Decision

    @property
    def key(self) -> KnownKey | None:
        """The key in use, or the one that is about to be taken in."""
        record, matched = self.snapshot.record, self.snapshot.matched
        if record is not None:
            return facts.head(record)
        return KnownKey.seen(matched) if matched is not None else None

    @property
    def stays(self) -> HoldReason | WaitReason | None:
        """What keeps it from being rotated, whatever time passes."""
        record = self.snapshot.record
        match self.decision:
            case Hold(reason):
                return reason
            case Wait(reason) if reason in _NO_TIME_ENDS:
                return reason
        ordered = record is not None and facts.ordered(record) is not None
        return WaitReason.WATCHED if facts.watched(self.policy, record) and not ordered else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A rotation that would begin, or the deletion of an old key.

    `wished_at` is when it could begin, were there not so many in that hour; `missed`: what was open then has closed before
    there was room. `overrides` is what closes that time and does not count, for its expiry is too near.
    """

    at: datetime
    what: What
    lineage: str
    provider: str
    policy: str
    reason: RotateReason | RevokeReason
    wished_at: datetime
    missed: bool = False
    overrides: Closed | None = None


@dataclass(slots=True)
class Course:
    """One lineage under way: the key in use, when it is due next, and why.

    `served`: Vault serves that key, so that it lives on for an overlap. `originals` are those that nothing has superseded.
    `wished_at`: when that rotation could have begun, if too many others did; `missed`: what was open then has closed.
    """

    subject: Subject
    key: KnownKey
    due_at: datetime
    reason: RotateReason
    served: bool
    originals: tuple[Original, ...]
    wished_at: datetime | None = None
    missed: bool = False
    rotations: int = 0

    @property
    def safe_until(self) -> datetime | None:
        """The latest safe start of the key in use."""
        return latest_safe_start(self.subject.policy, self.key.expires_at)

    def rotated(self, at: datetime) -> Iterator[Event]:
        """Go on after a rotation, and yield the deletions that follow from it."""
        policy, lineage_id = self.subject.policy, self.subject.snapshot.lineage.lineage_id
        emergency = self.reason is RotateReason.EMERGENCY
        if self.served:
            ends_at = at if emergency else windows.opens_at(policy, at + policy.overlap)
            yield deletion(
                self.subject, ends_at, RevokeReason.EMERGENCY if emergency else RevokeReason.OVERLAP_ENDED
            )
        release_after = None if isinstance(policy.original, OriginalTerms) else policy.original
        for original in self.originals:
            yield from _end_of(
                self.subject,
                replace(
                    original,
                    superseded_at=at,
                    overlap=policy.overlap,
                    release_after=release_after,
                    at_once=emergency,
                ),
                at,
            )
        lifetime = lifetime_of_next(policy, self.key)
        self.rotations += 1
        self.key = replace(
            self.key,
            key_id=f"{lineage_id} {self.rotations}",
            created_at=at,
            expires_at=None if lifetime is None else at + lifetime,
        )
        first = due(policy, lineage_id, self.key)
        self.due_at = windows.FAR if first is None else max(first.at, at + max(policy.min_gap, _LEAST))
        self.reason = self.reason if first is None else first.reason
        self.served, self.originals, self.wished_at, self.missed = True, (), None, False


def sets_out(subject: Subject, now: datetime) -> Course | None:
    """Return the course of a lineage that nothing stays, None when its key in use is never due."""
    key, record, decision = subject.key, subject.snapshot.record, subject.decision
    wish = None if key is None else _wish(subject, key, now)
    if key is None or wish is None:
        return None
    if record is not None:
        served, originals = record.current is not None, record.originals
    else:
        served = isinstance(decision, Adopt) and not decision.original
        originals = () if served else (Original(key=key),)
    return Course(
        subject=subject,
        key=key,
        due_at=wish[0],
        reason=wish[1],
        served=served,
        originals=tuple(original for original in originals if original.superseded_at is None),
    )


def _wish(subject: Subject, key: KnownKey, now: datetime) -> tuple[datetime, RotateReason] | None:
    """Return when the next rotation is due, and why."""
    policy, record, decision = subject.policy, subject.snapshot.record, subject.decision
    if isinstance(decision, Rotate):
        return now, decision.reason
    fails = isinstance(decision, Wait) and decision.reason is WaitReason.BACKING_OFF
    earliest = decision.until if fails and isinstance(decision, Wait) and decision.until else now
    ordered = facts.ordered(record) if record else None
    if ordered is not None:
        return earliest, ordered
    if policy.adopt is AdoptMode.NOW and not (record and facts.replaced_before(record)):
        return earliest, RotateReason.ADOPT_NOW
    taken_in_at = record.adopted_at if record else now
    first = due(policy, subject.snapshot.lineage.lineage_id, key, taken_in_at=taken_in_at)
    if first is None:
        return None
    if record and record.current and record.current.rotation_id is not None:
        earliest = max(earliest, record.current.published_at + policy.min_gap)
    return max(first.at, earliest), first.reason


def deletions(subject: Subject, now: datetime) -> Iterator[Event]:
    """Yield the deletions of the keys that await their end already."""
    record = subject.snapshot.record
    if record is None or record.current is None:
        return
    for previous in record.previous:
        ends_at = overlap_ends(previous)
        if previous.at_once or ends_at is None:
            yield deletion(subject, now, RevokeReason.EMERGENCY)
        else:
            yield deletion(
                subject, windows.opens_at(subject.policy, max(ends_at, now)), RevokeReason.OVERLAP_ENDED
            )
    for original in record.originals:
        yield from _end_of(subject, original, now)


def _end_of(subject: Subject, original: Original, now: datetime) -> Iterator[Event]:
    """Yield the deletion of an original that was superseded, if time brings it."""
    if original.at_once:
        yield deletion(subject, now, RevokeReason.EMERGENCY)
        return
    overlap, expires_at = overlap_ends(original), original.key.expires_at
    released_at = now if original.released_at is not None else release_ends(original)
    ends = [at for at in (released_at, expires_at) if at is not None]
    if overlap is None or not ends:
        return
    at = windows.opens_at(subject.policy, max(min(ends), overlap, now))
    expired = expires_at is not None and expires_at <= at
    yield deletion(subject, at, RevokeReason.EXPIRED if expired else RevokeReason.ORIGINAL_RELEASED)


def deletion(subject: Subject, at: datetime, reason: RevokeReason) -> Event:
    """Return the deletion of a key of a lineage."""
    return Event(
        at=at,
        what=What.RETIRE,
        lineage=subject.lineage,
        provider=subject.provider,
        policy=subject.policy.name,
        reason=reason,
        wished_at=at,
    )
