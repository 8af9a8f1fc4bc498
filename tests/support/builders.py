"""Values of the core with sensible defaults: one lineage, settled, ten days after its last rotation.

A test says what differs: by a keyword here, or by `dataclasses.replace` on what it got.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.model.entry import Entry, EntryState, FieldNames, Place, Served, Verdict
from rotator.model.key import Key, Mark, Unreadable
from rotator.model.lineage import Lineage
from rotator.model.order import Order, OrderKind, Pause
from rotator.model.reason import CopyReason, HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.record import (
    Attempt,
    Claim,
    Copied,
    Current,
    Failure,
    KnownKey,
    Original,
    Previous,
    Record,
    RecordedHold,
    Retired,
    Rotated,
)
from rotator.model.snapshot import CopySeen, Snapshot
from rotator.plan.actions import Decision, Wait
from rotator.policy.policy import Adopt, Policy
from rotator.policy.schedule import due
from tests.support.virtual_clock import START

NOW = START
SECOND, MINUTE, HOUR, DAY = (
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
)
TICK = timedelta(microseconds=1)
"""The smallest step of time: one side of a boundary or the other."""

JOURNAL = "0123456789ab"
OBSERVER = "replica-a"
MANAGEMENT = "key-management"
MEMBER = "member-rotator"
SCOPES, TAGS = frozenset({"usage:write", "listen"}), frozenset({"prod"})
LINEAGE = Lineage(provider="asr", project_id="project-1", namespace="", mount="secret", path="voice")

PLACE = Place(mount="secret", path="voice", fields=FieldNames())
"""Where the lineage begins."""
THERE = Place(mount="kv", path="moved", fields=FieldNames())
"""Where it is moved to."""
OTHER_FIELDS = replace(PLACE, fields=FieldNames(secret="KEY"))
"""The same entry, with another field for the secret."""

ISSUED = "1111111111111111"
"""The rotation id of the publish that made the current key."""
LATER = "2222222222222222"
"""The rotation id of a later attempt."""

POLICY = Policy(name="all", providers=("asr",), adopt=Adopt.WHEN_DUE, fingerprint="as-it-is")
"""Due at a third of the lifetime before expiry, one day of overlap."""


def key(
    key_id: str = "key-1",
    *,
    comment: str = "voice",
    age: timedelta = 10 * DAY,
    lifetime: timedelta | None = 90 * DAY,
) -> Key:
    """Return a key that was created `age` ago."""
    created_at = NOW - age
    return Key(
        key_id=key_id,
        comment=comment,
        scopes=SCOPES,
        tags=TAGS,
        created_at=created_at,
        expires_at=None if lifetime is None else created_at + lifetime,
        member_id=MEMBER,
    )


def unreadable(of: Key) -> Unreadable:
    """Return a key as it is listed when its details can't be read."""
    return Unreadable(key_id=of.key_id, comment=of.comment, why="500")


def unread(of: Snapshot, *key_ids: str) -> Snapshot:
    """Return the same look where the details of these keys could not be read."""
    return replace(
        of,
        keys=tuple(key for key in of.keys if key.key_id not in key_ids),
        unreadable=tuple(unreadable(key) for key in of.keys if key.key_id in key_ids),
        matched=None if of.matched is None or of.matched.key_id in key_ids else of.matched,
    )


def attempt(rotation_id: str = ISSUED, *, base: int = 2, age: timedelta = 10 * DAY) -> Attempt:
    """Return an attempt whose intent was written `age` ago."""
    return Attempt(
        rotation_id=rotation_id,
        base=base,
        intent_at=NOW - age,
        comment="voice",
        asked_scopes=SCOPES,
        expected_scopes=SCOPES,
        tags=TAGS,
        expected_tags=TAGS,
        lifetime=90 * DAY,
        overlap=DAY,
        reason=RotateReason.DUE_BY_EXPIRY,
        keep_until=NOW - age + 90 * DAY + HOUR,
    )


def made(by: Attempt, key_id: str, *, after: timedelta = timedelta(seconds=1)) -> Key:
    """Return the key that an attempt made, as the provider lists it, `after` the intent."""
    created_at = by.intent_at + after
    return Key(
        key_id=key_id,
        comment=Mark(JOURNAL, LINEAGE.lineage_id, by.rotation_id).put_on(by.comment),
        scopes=by.asked_scopes,
        tags=by.tags,
        created_at=created_at,
        expires_at=None if by.lifetime is None else created_at + by.lifetime,
        member_id=MEMBER,
    )


CURRENT = made(attempt(), "key-current")
"""The key that the settled lineage serves, 80 days before its expiry."""


def current(of: Key = CURRENT, *, version: int = 3, age: timedelta = 10 * DAY) -> Current:
    """Return the current key, published `age` ago by the attempt `ISSUED`."""
    return Current(key=KnownKey.seen(of), rotation_id=ISSUED, version=version, published_at=NOW - age)


def previous(key_id: str = "key-old", *, superseded: timedelta = 10 * DAY, at_once: bool = False) -> Previous:
    """Return a previous key that was superseded so long ago, with one day of overlap; `at_once`: in an emergency."""
    return Previous(
        key_id=key_id,
        superseded_at=NOW - superseded,
        overlap=DAY,
        expires_at=None,
        at_once=at_once,
    )


def original(
    of: Key | None = None,
    *,
    superseded: timedelta | None = 10 * DAY,
    released: bool = False,
    release_after: timedelta | None = None,
    at_once: bool = False,
) -> Original:
    """Return an original, superseded so long ago (None: nothing was published yet; `at_once`: in an emergency)."""
    return Original(
        key=KnownKey.seen(of or key("key-original", age=100 * DAY, lifetime=None)),
        superseded_at=None if superseded is None else NOW - superseded,
        overlap=None if superseded is None else DAY,
        release_after=release_after,
        released_at=NOW - HOUR if released else None,
        at_once=at_once,
    )


def failure(
    tried: RotateReason | CopyReason | RevokeReason,
    *,
    tries_in: timedelta = MINUTE,
    fingerprint: str = POLICY.fingerprint,
) -> Failure:
    """Return one failure, to be tried again after `tries_in`."""
    return Failure(
        count=1,
        tried=tried,
        what="it went wrong",
        failed_at=NOW - MINUTE,
        next_try_at=NOW + tries_in,
        policy_fingerprint=fingerprint,
    )


def hold(reason: HoldReason, *, fingerprint: str = POLICY.fingerprint) -> RecordedHold:
    """Return a hold that was found while acting."""
    return RecordedHold(reason=reason, detail="why", since=NOW - HOUR, policy_fingerprint=fingerprint)


def rotated(
    rotation_id: str = ISSUED,
    reason: RotateReason = RotateReason.DUE_BY_EXPIRY,
    *,
    age: timedelta = 10 * DAY,
) -> Rotated:
    """Return a line of history."""
    return Rotated(
        rotation_id=rotation_id,
        key_id=CURRENT.key_id,
        replaced_key_id=None,
        reason=reason,
        intent_at=NOW - age,
        created_at=NOW - age,
        proven_at=NOW - age,
        published_at=NOW - age,
        version=3,
        holder=OBSERVER,
        policy_fingerprint=POLICY.fingerprint,
    )


def retired(key_id: str = "key-old") -> Retired:
    """Return the evidence of a deletion."""
    return Retired(
        key_id=key_id,
        reason=RevokeReason.OVERLAP_ENDED,
        revoked_at=NOW - HOUR,
        served_key_id=CURRENT.key_id,
        served_version=3,
        holder=OBSERVER,
    )


def claim(holder: str = "replica-b", ttl: timedelta = 10 * MINUTE) -> Claim:
    """Return a claim, by default of another process."""
    return Claim(holder, ttl)


def paused(glob: str = "*", *, who: str = "ann@desk", why: str = "a change") -> Pause:
    """Return a pause that was given an hour ago."""
    return Pause(glob=glob, who=who, why=why, at=NOW - HOUR)


def order(kind: OrderKind = OrderKind.ROTATE, *, age: timedelta = HOUR) -> Order:
    """Return an order that was given `age` ago."""
    return Order(kind=kind, who="ann@desk", why="a leak", at=NOW - age)


def record(
    *,
    serves: Current | None = None,
    previous: Iterable[Previous] = (),
    originals: Iterable[Original] = (),
    attempts: Iterable[Attempt] = (),
) -> Record:
    """Return the record of a lineage that was rotated once; `attempts` come on top of that first one."""
    return Record(
        lineage=LINEAGE,
        first_key_id="key-1",
        adopted_at=NOW - 20 * DAY,
        fields=FieldNames(),
        current=serves or current(),
        previous=tuple(previous),
        originals=tuple(originals),
        attempts=(attempt(), *attempts),
        history=(rotated(),),
    )


def fresh_record(*originals: Original, attempts: Iterable[Attempt] = ()) -> Record:
    """Return the record of a lineage that was adopted and never rotated, by default of one original."""
    return Record(
        lineage=LINEAGE,
        first_key_id="key-1",
        adopted_at=NOW - 20 * DAY,
        fields=FieldNames(),
        current=None,
        originals=originals or (original(superseded=None),),
        attempts=tuple(attempts),
    )


def moved(
    of: Record | None = None, *, to: Place = THERE, copied: str | None = CURRENT.key_id, version: int = 1
) -> Record:
    """Return a record whose lineage was moved, the old place not given up; the secret of `copied` stands at the new one."""
    of = of or record()
    return replace(
        of,
        lineage=LINEAGE.at(to),
        fields=to.fields,
        publishes_at=PLACE,
        also_at=(Copied(place=to, key_id=copied, version=version if copied else 0),),
    )


NO_ENTRY = Entry(
    state=EntryState.ABSENT, version=0, written_at=None, rotation_id=None, key_id=None, has_secret=False
)


def entry(
    rotation_id: str | None = ISSUED,
    *,
    version: int = 3,
    key_id: str | None = CURRENT.key_id,
    age: timedelta = 10 * DAY,
) -> Entry:
    """Return a destination that holds a secret."""
    return Entry(
        state=EntryState.PRESENT,
        version=version,
        written_at=NOW - age,
        rotation_id=rotation_id,
        key_id=key_id,
        has_secret=True,
    )


def deleted_entry(version: int = 3) -> Entry:
    """Return a destination whose latest version was deleted."""
    return replace(NO_ENTRY, state=EntryState.DELETED, version=version, written_at=NOW - DAY)


def accepted(key_id: str | None = CURRENT.key_id) -> Served:
    """Return that the provider accepts the served secret, as that of this key."""
    return Served(Verdict.ACCEPTED, key_id)


def known(*records: Record) -> tuple[Key, ...]:
    """Return the keys that records name, as the provider lists them."""
    keys: list[Key] = []
    for each in records:
        named = [o.key for o in each.originals] + ([each.current.key] if each.current else [])
        keys += [
            Key(
                key_id=k.key_id,
                comment=k.comment,
                scopes=k.scopes,
                tags=k.tags,
                created_at=k.created_at,
                expires_at=k.expires_at,
                member_id=k.member_id,
            )
            for k in named
        ]
        keys += [key(p.key_id, age=90 * DAY, lifetime=None) for p in each.previous]
    return tuple(keys)


def copy_seen(
    copied: Copied,
    rotation_id: str | None = ISSUED,
    key_id: str | None = CURRENT.key_id,
    *,
    same: bool = True,
) -> CopySeen:
    """Return that a place serves the secret of a key, at the version where that was confirmed."""
    there = entry(rotation_id, version=copied.version, key_id=key_id)
    return CopySeen(place=copied.place, entry=there, served=accepted(key_id), same=same)


def not_copied(copied: Copied) -> CopySeen:
    """Return that there is nothing at a place yet."""
    return CopySeen(place=copied.place, entry=NO_ENTRY, served=Served(Verdict.NOTHING))


def snapshot(of: Record | None, *, also: Iterable[Key] = ()) -> Snapshot:
    """Return what is seen when all is as the record says, and beside its keys `also` those."""
    serves = of.current if of is not None else None
    copies = [
        not_copied(copied) if copied.key_id is None else copy_seen(copied, key_id=copied.key_id)
        for copied in (of.also_at if of is not None else ())
    ]
    return Snapshot(
        lineage=LINEAGE if of is None else of.lineage,
        journal_id=JOURNAL,
        observer=OBSERVER,
        seen_at=NOW,
        vault_skew=timedelta(0),
        provider_skew=timedelta(0),
        record=of,
        record_version=0 if of is None else 7,
        record_written_at=None if of is None else NOW - HOUR,
        entry=NO_ENTRY
        if serves is None
        else entry(serves.rotation_id, version=serves.version, key_id=serves.key.key_id),
        served=Served(Verdict.NOTHING) if serves is None else accepted(serves.key.key_id),
        keys=(*(known(of) if of is not None else ()), *also),
        absence_proven=True,
        management_key_id=MANAGEMENT,
        management_member_id=MEMBER,
        matched=None,
        currents_elsewhere=frozenset(),
        fleet_hold=None,
        copies=tuple(copies),
    )


def unrecorded(matched: Key | None, *, also: Iterable[Key] = ()) -> Snapshot:
    """Return what is seen of a lineage that has no record yet."""
    keys = (*((matched,) if matched is not None else ()), *also)
    return replace(snapshot(None), keys=keys, matched=matched)


def with_record(of: Snapshot, **changes: object) -> Snapshot:
    """Return the same look with another record: what is seen beside it stays."""
    if of.record is None:
        raise AssertionError("there is no record to change")
    return replace(of, record=replace(of.record, **changes))  # type: ignore[arg-type]


def lying_about(count: int, *, lifetime: timedelta | None = 90 * DAY) -> Snapshot:
    """Return a settled lineage with so many keys of ours that nobody serves and that may yet be published."""
    attempts = [replace(attempt(f"{n:016x}", base=3, age=2 * HOUR), lifetime=lifetime) for n in range(count)]
    orphans = [made(by, f"key-orphan-{n}") for n, by in enumerate(attempts)]
    return snapshot(record(attempts=attempts), also=orphans)


ORPHANS = "key-orphan-0, key-orphan-1, key-orphan-2"
"""How a hold names three of them."""

SETTLED = snapshot(record())
"""All is as it should be, and nothing is due."""


def next_due(policy: Policy, of: Key) -> datetime:
    """Return when a key is due."""
    first = due(policy, LINEAGE.lineage_id, KnownKey.seen(of))
    if first is None:
        raise AssertionError("this key is never due")
    return first.at


NOT_DUE = Wait(WaitReason.NOT_DUE, next_due(POLICY, CURRENT))
"""What is decided on a settled lineage."""


FIRST = attempt(LATER, base=0, age=HOUR)
"""An attempt of a lineage that was never rotated."""

BEFORE_FIRST = snapshot(fresh_record())
"""A lineage that was adopted and never rotated, with one original."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is decided at `NOW` on a snapshot."""

    name: str
    expected: Decision
    snapshot: Snapshot
    policy: Policy = POLICY
