"""What is decided on keys that await their end, and on a key in use that may be due."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from rotator.model.entry import Served, Verdict
from rotator.model.key import Mark
from rotator.model.order import OrderKind
from rotator.model.reason import Closed, HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.record import KnownKey, Record
from rotator.model.snapshot import Snapshot
from rotator.plan.actions import Hold, Inherit, Revoke, Rotate, Wait
from rotator.plan.decide import decide
from rotator.plan.facts import SKEW_ALLOWED
from rotator.policy.policy import Adopt as AdoptMode
from rotator.policy.policy import Freeze, Policy, Window
from rotator.policy.schedule import due
from tests.support import builders as a
from tests.support.builders import (
    CURRENT,
    DAY,
    HOUR,
    LATER,
    LINEAGE,
    MINUTE,
    NOT_DUE,
    NOW,
    POLICY,
    SETTLED,
    TICK,
    Case,
)

WATCH = replace(POLICY, adopt=AdoptMode.WATCH)
AT_ONCE = replace(POLICY, adopt=AdoptMode.NOW)
NO_LONGER_THE_SAME = replace(POLICY, fingerprint="edited")
LOOK_AGAIN = NOW + MINUTE
RETIRE_LATER = NOW + 15 * MINUTE

OVERTAKEN = a.attempt(LATER, base=2, age=HOUR)

INHERIT = [
    Case(
        "an orphan's publish can't succeed any more",
        Inherit("key-orphan"),
        a.snapshot(a.record(attempts=[OVERTAKEN]), also=[a.made(OVERTAKEN, "key-orphan")]),
    ),
    Case("an orphan's publish may still be under way", NOT_DUE, a.lying_about(1)),
    Case(
        "nothing was published yet, so an orphan stays one",
        Rotate(RotateReason.ADOPT_NOW, a.original().key),
        a.snapshot(a.fresh_record(attempts=[a.FIRST]), also=[a.made(a.FIRST, "key-orphan")]),
        AT_ONCE,
    ),
    Case(
        "an attempt created two keys, and one of them is served",
        Inherit("key-twin"),
        a.snapshot(a.record(), also=[a.made(a.attempt(), "key-twin")]),
    ),
]

EXPIRED = a.key("key-original", age=100 * DAY, lifetime=99 * DAY)
EXPIRES_NOW = a.key("key-original", age=100 * DAY, lifetime=100 * DAY)


def awaiting(*previous: timedelta) -> Record:
    return a.record(previous=[a.previous(f"key-old-{n}", superseded=s) for n, s in enumerate(previous)])


REVOKE = [
    Case(
        "the overlap has ended",
        Revoke("key-old-0", RevokeReason.OVERLAP_ENDED),
        a.snapshot(awaiting(2 * DAY)),
    ),
    Case(
        "the overlap of one of two keys has ended",
        Revoke("key-old-1", RevokeReason.OVERLAP_ENDED),
        a.snapshot(awaiting(HOUR, 2 * DAY)),
    ),
    Case(
        "the overlap has ended under watch",
        Revoke("key-old-0", RevokeReason.OVERLAP_ENDED),
        a.snapshot(awaiting(2 * DAY)),
        WATCH,
    ),
    Case(
        "the overlap has ended while nothing may be minted",
        Revoke("key-old-0", RevokeReason.OVERLAP_ENDED),
        a.with_record(a.snapshot(awaiting(2 * DAY)), hold=a.hold(HoldReason.PARITY)),
    ),
    Case(
        "the overlap has ended, and the clocks differ",
        Wait(WaitReason.CLOCKS_DIFFER, RETIRE_LATER),
        replace(a.snapshot(awaiting(2 * DAY)), vault_skew=timedelta(seconds=31)),
    ),
    Case(
        "the overlap has not ended, and the clocks differ",
        Wait(WaitReason.OVERLAP, NOW + 23 * HOUR - timedelta(seconds=31)),
        replace(a.snapshot(awaiting(HOUR)), vault_skew=timedelta(seconds=31)),
    ),
    Case(
        "one overlap has ended and one has not, and the clocks differ",
        Wait(WaitReason.CLOCKS_DIFFER, RETIRE_LATER),
        replace(a.snapshot(awaiting(HOUR, 2 * DAY)), vault_skew=timedelta(seconds=31)),
    ),
    Case(
        "the overlap has ended, and the look took too long",
        Wait(WaitReason.LOOK_TOO_SLOW, RETIRE_LATER),
        replace(a.snapshot(awaiting(2 * DAY)), seen_at=NOW - timedelta(seconds=6)),
    ),
    Case(
        "deleting it failed a moment ago",
        Wait(WaitReason.OVERLAP, LOOK_AGAIN),
        a.with_record(a.snapshot(awaiting(2 * DAY)), revoke_failure=a.failure(RevokeReason.OVERLAP_ENDED)),
    ),
    Case(
        "deleting it failed a while ago",
        Revoke("key-old-0", RevokeReason.OVERLAP_ENDED),
        a.with_record(
            a.snapshot(awaiting(2 * DAY)),
            revoke_failure=a.failure(RevokeReason.OVERLAP_ENDED, tries_in=timedelta(0)),
        ),
    ),
    Case(
        "a rotation that failed a moment ago does not keep an old key alive",
        Revoke("key-old-0", RevokeReason.OVERLAP_ENDED),
        a.with_record(a.snapshot(awaiting(2 * DAY)), rotate_failure=a.failure(RotateReason.DUE_BY_AGE)),
    ),
    Case(
        "deleting it failed a moment ago, and then a rotation failed",
        Wait(WaitReason.OVERLAP, LOOK_AGAIN),
        a.with_record(
            a.snapshot(awaiting(2 * DAY)),
            rotate_failure=a.failure(RotateReason.DUE_BY_AGE),
            revoke_failure=a.failure(RevokeReason.OVERLAP_ENDED),
        ),
    ),
    Case(
        "an original was released by an order",
        Revoke("key-original", RevokeReason.ORIGINAL_RELEASED),
        a.snapshot(a.record(originals=[a.original(released=True)])),
    ),
    Case(
        "an original was released by the policy's duration",
        Revoke("key-original", RevokeReason.ORIGINAL_RELEASED),
        a.snapshot(a.record(originals=[a.original(release_after=7 * DAY)])),
    ),
    Case(
        "an original has expired",
        Revoke("key-original", RevokeReason.EXPIRED),
        a.snapshot(a.record(originals=[a.original(EXPIRED)])),
    ),
    Case(
        "an original that has been released expires at this very instant",
        Revoke("key-original", RevokeReason.EXPIRED),
        a.snapshot(a.record(originals=[a.original(EXPIRES_NOW, released=True)])),
    ),
    Case(
        "an original that has been released expires in a moment",
        Revoke("key-original", RevokeReason.ORIGINAL_RELEASED),
        replace(
            a.snapshot(a.record(originals=[a.original(EXPIRES_NOW, released=True)])), provider_skew=-TICK
        ),
    ),
]

OLD = a.key(a.CURRENT.key_id, age=70 * DAY)
DUE = a.snapshot(a.record(serves=a.current(OLD, age=70 * DAY)))
DUE_NOW = Rotate(RotateReason.DUE_BY_EXPIRY, KnownKey.seen(OLD))
UNLISTED = replace(DUE, keys=())

NOTHING_TO_COPY = [
    Case(
        "the original vanished before anything was published",
        Hold(HoldReason.ORIGINAL_GONE),
        replace(a.BEFORE_FIRST, keys=()),
    ),
    Case(
        "the original is missing from a list that can't be believed",
        Rotate(RotateReason.ADOPT_NOW, a.original().key),
        replace(a.BEFORE_FIRST, keys=(), absence_proven=False),
        AT_ONCE,
    ),
    Case(
        "the only original is listed and can't be read",
        Rotate(RotateReason.ADOPT_NOW, a.original().key),
        a.unread(a.BEFORE_FIRST, "key-original"),
        AT_ONCE,
    ),
    Case("the key in use works and is not listed", Hold(HoldReason.CURRENT_UNLISTED), UNLISTED),
    Case(
        "deleting it failed a while ago, and the key in use is due and not listed, so that nothing replaces it",
        Revoke("key-old", RevokeReason.OVERLAP_ENDED),
        a.with_record(
            replace(UNLISTED, keys=(a.key("key-old"),)),
            previous=(a.previous(),),
            revoke_failure=a.failure(RevokeReason.OVERLAP_ENDED, tries_in=timedelta(0)),
        ),
    ),
    Case("the key in use works, is listed and can't be read", DUE_NOW, a.unread(DUE, a.CURRENT.key_id)),
    Case(
        "the key in use is not listed, and whether it works is unknown",
        DUE_NOW,
        replace(UNLISTED, served=Served(Verdict.UNKNOWN)),
    ),
]

BY_AGE = replace(POLICY, max_age=5 * DAY)

ROTATE = [
    Case("the expiry comes near", DUE_NOW, DUE),
    Case(
        "it is due, and Vault's clock is behind that by which it was published, so that nobody knows the gap",
        DUE_NOW,
        a.snapshot(a.record(serves=a.current(OLD, age=-SKEW_ALLOWED - TICK))),
    ),
    Case(
        "it is due, and Vault's clock was ahead of ours all the while",
        Wait(WaitReason.NOT_DUE, NOW + HOUR),
        replace(a.snapshot(a.record(serves=a.current(OLD, age=-DAY))), vault_skew=DAY),
    ),
    Case(
        "the key has reached its age",
        Rotate(RotateReason.DUE_BY_AGE, KnownKey.seen(a.CURRENT)),
        SETTLED,
        BY_AGE,
    ),
    Case(
        "an original that was just adopted is rotated at once",
        Rotate(RotateReason.ADOPT_NOW, a.original().key),
        a.BEFORE_FIRST,
        AT_ONCE,
    ),
    Case("`adopt: now` means the first rotation only", NOT_DUE, SETTLED, AT_ONCE),
    Case("the expiry comes near under watch", Wait(WaitReason.WATCHED, None), DUE, WATCH),
    Case(
        "an expired original is rotated at once",
        Rotate(RotateReason.DUE_BY_EXPIRY, KnownKey.seen(EXPIRED)),
        a.snapshot(a.fresh_record(a.original(EXPIRED, superseded=None))),
    ),
    Case(
        "the newest of two originals counts",
        Rotate(RotateReason.ADOPT_NOW, KnownKey.seen(EXPIRED)),
        a.snapshot(
            a.fresh_record(
                a.original(a.key("key-first"), superseded=None), a.original(EXPIRED, superseded=None)
            )
        ),
        AT_ONCE,
    ),
    Case(
        "it is due, and the last try failed a moment ago",
        Wait(WaitReason.BACKING_OFF, NOW + MINUTE),
        a.with_record(DUE, rotate_failure=a.failure(RotateReason.DUE_BY_EXPIRY)),
    ),
    Case(
        "it is due, and the back-off ends now",
        DUE_NOW,
        a.with_record(DUE, rotate_failure=a.failure(RotateReason.DUE_BY_EXPIRY, tries_in=timedelta(0))),
    ),
    Case(
        "it is due, and the policy entry has changed since the last try",
        DUE_NOW,
        a.with_record(DUE, rotate_failure=a.failure(RotateReason.DUE_BY_EXPIRY)),
        NO_LONGER_THE_SAME,
    ),
    Case(
        "it is due, and the last try failed by a clock that agrees with ours",
        Wait(WaitReason.BACKING_OFF, NOW + MINUTE),
        a.with_record(
            DUE, rotate_failure=replace(a.failure(RotateReason.DUE_BY_EXPIRY), failed_at=NOW + MINUTE / 2)
        ),
    ),
    Case(
        "it is due, and the last try failed by a clock that was ahead",
        DUE_NOW,
        a.with_record(
            DUE,
            rotate_failure=replace(a.failure(RotateReason.DUE_BY_EXPIRY), failed_at=NOW + MINUTE / 2 + TICK),
        ),
    ),
    Case(
        "it is due, and a deletion failed a moment ago",
        DUE_NOW,
        a.with_record(DUE, revoke_failure=a.failure(RevokeReason.OVERLAP_ENDED)),
    ),
    Case(
        "it is due, the last try failed a moment ago, and then a deletion failed",
        Wait(WaitReason.BACKING_OFF, NOW + MINUTE),
        a.with_record(
            DUE,
            revoke_failure=a.failure(RevokeReason.OVERLAP_ENDED),
            rotate_failure=a.failure(RotateReason.DUE_BY_EXPIRY),
        ),
    ),
    Case(
        "it is due by arithmetic half an hour after the last publish",
        Wait(WaitReason.NOT_DUE, NOW + HOUR / 2),
        a.with_record(DUE, current=a.current(OLD, age=HOUR / 2)),
    ),
    Case(
        "a key that was adopted as current knows no gap",
        DUE_NOW,
        replace(
            a.with_record(DUE, current=replace(a.current(OLD, age=HOUR / 2), rotation_id=None)),
            entry=a.entry(None),
        ),
    ),
]

CURRENT_KEY = a.current().key
EMERGENCY = a.order(OrderKind.EMERGENCY)
LEAKED = a.snapshot(
    a.record(
        previous=[a.previous(superseded=HOUR, at_once=True)],
        originals=[a.original(superseded=2 * HOUR, at_once=True)],
    )
)
"""An emergency whose replacement was published an hour ago: two earlier keys are left."""
PAUSED = replace(LEAKED, paused="*, by ann@desk: a change")

ORDERED = [
    Case(
        "a person ordered a rotation",
        Rotate(RotateReason.ORDERED, CURRENT_KEY),
        a.with_record(SETTLED, standing=a.order()),
    ),
    Case(
        "a person ordered a rotation under watch",
        Rotate(RotateReason.ORDERED, CURRENT_KEY),
        a.with_record(SETTLED, standing=a.order()),
        WATCH,
    ),
    Case(
        "a person ordered a rotation, a minute after the last one",
        Rotate(RotateReason.ORDERED, CURRENT_KEY),
        a.with_record(SETTLED, current=a.current(age=MINUTE), standing=a.order()),
    ),
    Case(
        "a person ordered a rotation, and it failed a moment ago",
        Wait(WaitReason.BACKING_OFF, NOW + MINUTE),
        a.with_record(SETTLED, standing=a.order(), rotate_failure=a.failure(RotateReason.ORDERED)),
    ),
    Case(
        "a person ordered a rotation, and an old key may go",
        Rotate(RotateReason.ORDERED, CURRENT_KEY),
        a.with_record(SETTLED, standing=a.order(), previous=(a.previous(),)),
    ),
    Case(
        "a person ordered a rotation that failed a moment ago, and an old key may go",
        Revoke("key-old", RevokeReason.OVERLAP_ENDED),
        a.with_record(
            SETTLED,
            standing=a.order(),
            previous=(a.previous(),),
            rotate_failure=a.failure(RotateReason.ORDERED),
        ),
    ),
    Case(
        "a person ordered a rotation, and it is held",
        Hold(HoldReason.PARITY, a.hold(HoldReason.PARITY).detail),
        a.with_record(SETTLED, standing=a.order(), hold=a.hold(HoldReason.PARITY)),
    ),
    Case(
        "an emergency",
        Rotate(RotateReason.EMERGENCY, CURRENT_KEY),
        a.with_record(SETTLED, standing=a.order(OrderKind.EMERGENCY)),
    ),
    Case(
        "an emergency, and the served secret is refused",
        Rotate(RotateReason.EMERGENCY, CURRENT_KEY),
        replace(
            a.with_record(SETTLED, standing=a.order(OrderKind.EMERGENCY)), served=Served(Verdict.REFUSED)
        ),
    ),
    Case(
        "an emergency that is not published leaves the overlap of earlier keys",
        Rotate(RotateReason.EMERGENCY, CURRENT_KEY),
        a.with_record(SETTLED, previous=(a.previous(superseded=HOUR),), standing=EMERGENCY),
    ),
    Case(
        "an emergency that is not published leaves the release of originals",
        Rotate(RotateReason.EMERGENCY, CURRENT_KEY),
        a.with_record(SETTLED, originals=(a.original(),), standing=EMERGENCY),
    ),
    Case(
        "a person ordered a rotation of a refused secret under watch",
        Rotate(RotateReason.ORDERED, CURRENT_KEY),
        replace(a.with_record(SETTLED, standing=a.order()), served=Served(Verdict.REFUSED)),
        WATCH,
    ),
    Case(
        "a new key comes before the old ones that an emergency left",
        Rotate(RotateReason.EMERGENCY, CURRENT_KEY),
        a.with_record(LEAKED, standing=EMERGENCY),
    ),
    Case("after an emergency there is no overlap", Revoke("key-old", RevokeReason.EMERGENCY), LEAKED),
    Case(
        "after an emergency an original needs no release",
        Revoke("key-original", RevokeReason.EMERGENCY),
        a.with_record(LEAKED, previous=()),
    ),
    Case(
        "an emergency ends no key that was replaced after it",
        Wait(WaitReason.OVERLAP, NOW + 23 * HOUR + MINUTE),
        a.with_record(LEAKED, previous=(a.previous(superseded=HOUR - MINUTE),), originals=()),
    ),
    Case(
        "after an emergency a deletion that failed is told and tried again",
        Wait(WaitReason.BACKING_OFF, NOW + MINUTE),
        a.with_record(LEAKED, revoke_failure=a.failure(RevokeReason.EMERGENCY)),
    ),
    Case("a pause does not keep what an emergency left", Revoke("key-old", RevokeReason.EMERGENCY), PAUSED),
    Case(
        "a pause keeps all but what an emergency left",
        Revoke("key-original", RevokeReason.EMERGENCY),
        a.with_record(PAUSED, previous=(a.previous(superseded=10 * DAY),)),
    ),
    Case(
        "a pause stops what is due while an emergency is not over",
        Wait(WaitReason.RETIRING_STOPPED, LOOK_AGAIN),
        replace(
            a.with_record(PAUSED, current=DUE.record.current, previous=()),  # type: ignore[union-attr]
            keys=a.known(DUE.record),  # type: ignore[arg-type]
            currents_elsewhere=frozenset({"key-original"}),
        ),
    ),
    Case(
        "a pause stops the replacement of a refused secret while an emergency is not over",
        Wait(WaitReason.PAUSED, None),
        replace(PAUSED, served=Served(Verdict.REFUSED)),
    ),
    Case(
        "after an emergency the served secret must be proven all the same",
        Wait(WaitReason.SERVED_UNPROVEN, LOOK_AGAIN),
        replace(LEAKED, served=Served(Verdict.UNKNOWN)),
    ),
    Case(
        "the policy only watches, and a person took it in",
        DUE_NOW,
        a.with_record(DUE, by_order=True),
        WATCH,
    ),
]

OPEN = [replace(a.attempt(f"{n:016x}", base=3, age=HOUR), keep_until=NOW + TICK) for n in range(50)]


def with_open(count: int, of: Snapshot) -> Snapshot:
    assert of.record is not None
    return a.with_record(of, attempts=(a.attempt(), *OPEN[:count]))


BY_NOBODY = a.attempt("f" * 16)
NOT_MADE = (
    a.made(BY_NOBODY, "key-unissued"),
    replace(a.CURRENT, key_id="key-unmarked", comment="voice"),
    replace(
        a.CURRENT, key_id="key-theirs", comment=Mark("f" * 12, a.LINEAGE.lineage_id, a.ISSUED).put_on("voice")
    ),
    replace(a.CURRENT, key_id="key-elsewhere", comment=Mark(a.JOURNAL, "f" * 12, a.ISSUED).put_on("voice")),
    a.CURRENT,
)
"""Keys that are listed and not readable, of which none can be the work of this lineage that nobody serves."""

TOO_MANY = [
    Case("three keys lie about", Hold(HoldReason.TOO_MANY_UNSERVED, a.ORPHANS), a.lying_about(3)),
    Case("two keys lie about", NOT_DUE, a.lying_about(2)),
    Case(
        "of three keys that lie about, two can't be read",
        Hold(HoldReason.TOO_MANY_UNSERVED, "key-orphan-1, key-orphan-0, key-orphan-2"),
        a.unread(a.lying_about(3), "key-orphan-0", "key-orphan-2"),
    ),
    Case(
        "beside two keys that lie about, some can't be read that none of our attempts made",
        NOT_DUE,
        replace(a.lying_about(2), unreadable=tuple(a.unreadable(key) for key in NOT_MADE)),
    ),
    Case("three expired keys lie about", NOT_DUE, a.lying_about(3, lifetime=HOUR)),
    Case(
        "fifty attempts are open", Hold(HoldReason.TOO_MANY_ATTEMPTS, "50 attempts"), with_open(50, SETTLED)
    ),
    Case("forty-nine attempts are open", NOT_DUE, with_open(49, SETTLED)),
    Case(
        "fifty attempts are known, one is over",
        NOT_DUE,
        a.with_record(SETTLED, attempts=(replace(OPEN[0], keep_until=NOW), *OPEN[1:])),
    ),
    Case(
        "fifty attempts are known, a later publish closed one",
        NOT_DUE,
        a.with_record(SETTLED, attempts=(replace(OPEN[0], base=2), *OPEN[1:])),
    ),
    Case(
        "fifty attempts are known, the key of one would have shown itself by now",
        NOT_DUE,
        a.with_record(SETTLED, attempts=(replace(OPEN[0], intent_at=NOW - HOUR - TICK), *OPEN[1:])),
    ),
    Case(
        "it is due, and fifty attempts are open",
        Hold(HoldReason.TOO_MANY_ATTEMPTS, "50 attempts"),
        with_open(50, DUE),
    ),
    Case(
        "it is due, and three keys lie about",
        Hold(HoldReason.TOO_MANY_UNSERVED, a.ORPHANS),
        a.with_record(a.lying_about(3), current=a.current(OLD, age=70 * DAY)),
    ),
]

SOON = replace(POLICY, rotate_before=80 * DAY - HOUR)
"""Due in less than an hour: its spread moves it even nearer, the gap of an hour has passed."""

BY_AGE = replace(POLICY, max_age=90 * DAY)
OVER_AGE = a.key("key-original", age=400 * DAY, lifetime=None)
SPREAD = due(BY_AGE, LINEAGE.lineage_id, KnownKey.seen(OVER_AGE), taken_in_at=NOW)
assert SPREAD is not None
assert NOW < SPREAD.at < NOW + 30 * DAY

BERLIN = ZoneInfo("Europe/Berlin")


def opening(cron: str, of: Policy = POLICY) -> Policy:
    """Return a policy with a window of four hours. Now it is 12:00 UTC on a Monday, 13:00 in Berlin."""
    return replace(of, windows=(Window(cron=cron, length=4 * HOUR, zone=BERLIN),))


def frozen(until: timedelta, of: Policy = POLICY) -> Policy:
    return replace(of, freezes=(Freeze(starts_at=NOW - DAY, ends_at=NOW + until),))


TUESDAY_2 = NOW + 13 * HOUR
"""02:00 in Berlin, the next day."""
NIGHTLY, ONCE_IN_MAY = opening("0 2 * * 1-5"), opening("0 2 1 5 *")
EXPIRES_IN = {
    left: a.key(CURRENT.key_id, age=90 * DAY - left) for left in (60 * HOUR, 26 * HOUR, 25 * HOUR, -HOUR)
}
SAFE_UNTIL = NOW + 26 * HOUR - (DAY + HOUR + 2 * MINUTE)


def expiring(left: timedelta) -> Snapshot:
    """Return a lineage whose key expires so soon. Its latest safe start is 25h2m before."""
    return a.snapshot(a.record(serves=a.current(EXPIRES_IN[left], age=70 * DAY)))


def rotate_late(left: timedelta, overrides: Closed) -> Rotate:
    return Rotate(RotateReason.DUE_BY_EXPIRY, KnownKey.seen(EXPIRES_IN[left]), overrides)


CLOSED = [
    Case("it is due within a window", DUE_NOW, DUE, opening("0 10 * * 1")),
    Case("it is due outside of a window", Wait(WaitReason.OUTSIDE_WINDOW, TUESDAY_2), DUE, NIGHTLY),
    Case("it is due in a freeze", Wait(WaitReason.FROZEN, NOW + 5 * DAY), DUE, frozen(5 * DAY)),
    Case(
        "it is due in a freeze that ends outside of a window",
        Wait(WaitReason.FROZEN, TUESDAY_2),
        DUE,
        frozen(6 * HOUR, NIGHTLY),
    ),
    Case(
        "no window opens before it is too late",
        Wait(WaitReason.OPENS_TOO_LATE, SAFE_UNTIL),
        expiring(26 * HOUR),
        ONCE_IN_MAY,
    ),
    Case(
        "no window opens before it is too late, by the provider's clock",
        Wait(WaitReason.OPENS_TOO_LATE, SAFE_UNTIL - MINUTE),
        replace(expiring(26 * HOUR), provider_skew=MINUTE),
        ONCE_IN_MAY,
    ),
    Case(
        "it is too late to wait for a window",
        rotate_late(25 * HOUR, WaitReason.OUTSIDE_WINDOW),
        expiring(25 * HOUR),
        NIGHTLY,
    ),
    Case(
        "it is too late to wait for the end of a freeze",
        rotate_late(25 * HOUR, WaitReason.FROZEN),
        expiring(25 * HOUR),
        frozen(DAY),
    ),
    Case(
        "it has expired outside of a window",
        rotate_late(-HOUR, WaitReason.OUTSIDE_WINDOW),
        expiring(-HOUR),
        NIGHTLY,
    ),
    Case(
        "an original that was just adopted is not rotated at once outside of a window",
        Wait(WaitReason.OUTSIDE_WINDOW, TUESDAY_2),
        a.BEFORE_FIRST,
        opening("0 2 * * 1-5", AT_ONCE),
    ),
    Case(
        "a key whose age is reached waits for a window, however late",
        Wait(WaitReason.OUTSIDE_WINDOW, NOW + 115 * DAY + 12 * HOUR),
        a.snapshot(a.record(serves=a.current(a.key(CURRENT.key_id, lifetime=None)))),
        opening("0 2 1 5 *", replace(POLICY, max_age=5 * DAY)),
    ),
    Case(
        "what is due later is shown to start when a window opens",
        Wait(WaitReason.NOT_DUE, NOW + 56 * DAY + 13 * HOUR),
        SETTLED,
        opening("0 2 3 * *"),
    ),
    Case(
        "a person ordered a rotation outside of a window, in a freeze",
        Rotate(RotateReason.ORDERED, CURRENT_KEY),
        a.with_record(SETTLED, standing=a.order()),
        frozen(DAY, NIGHTLY),
    ),
    Case(
        "a person ordered a rotation that is due outside of a window",
        Rotate(RotateReason.ORDERED, KnownKey.seen(OLD)),
        a.with_record(DUE, standing=a.order()),
        NIGHTLY,
    ),
    Case(
        "an emergency outside of a window, in a freeze",
        Rotate(RotateReason.EMERGENCY, CURRENT_KEY),
        a.with_record(SETTLED, standing=EMERGENCY),
        frozen(DAY, NIGHTLY),
    ),
    Case(
        "the served secret is refused outside of a window, in a freeze",
        Rotate(RotateReason.SERVED_KEY_REFUSED, CURRENT_KEY),
        replace(SETTLED, served=Served(Verdict.REFUSED)),
        frozen(DAY, NIGHTLY),
    ),
    Case(
        "it is due outside of a window, and the last try failed a moment ago",
        Wait(WaitReason.BACKING_OFF, NOW + MINUTE),
        a.with_record(DUE, rotate_failure=a.failure(RotateReason.DUE_BY_EXPIRY)),
        NIGHTLY,
    ),
    Case(
        "it is due outside of a window, and may mint nothing",
        Hold(HoldReason.PARITY, "why"),
        a.with_record(DUE, hold=a.hold(HoldReason.PARITY)),
        NIGHTLY,
    ),
    Case(
        "it is due outside of a window, and whether the served secret works is unknown",
        Wait(WaitReason.SERVED_UNPROVEN, LOOK_AGAIN),
        replace(DUE, served=Served(Verdict.UNKNOWN)),
        NIGHTLY,
    ),
    Case(
        "the overlap has ended outside of a window",
        Wait(WaitReason.OUTSIDE_WINDOW, TUESDAY_2),
        a.snapshot(awaiting(2 * DAY)),
        NIGHTLY,
    ),
    Case(
        "the overlap has ended in a freeze, under watch",
        Wait(WaitReason.FROZEN, NOW + DAY),
        a.snapshot(awaiting(2 * DAY)),
        frozen(DAY, WATCH),
    ),
    Case(
        "the overlap has ended within a window",
        Revoke("key-old-0", RevokeReason.OVERLAP_ENDED),
        a.snapshot(awaiting(2 * DAY)),
        opening("0 10 * * 1"),
    ),
    Case(
        "the overlap ends outside of a window",
        Wait(WaitReason.OVERLAP, NOW + 37 * HOUR),
        a.snapshot(awaiting(HOUR)),
        opening("0 2 * * 3"),
    ),
    Case(
        "an original was released outside of a window",
        Wait(WaitReason.OUTSIDE_WINDOW, TUESDAY_2),
        a.snapshot(a.record(originals=[a.original(released=True)])),
        NIGHTLY,
    ),
    Case(
        "the duration that releases an original ends outside of a window",
        Wait(WaitReason.AWAITING_RELEASE, NOW + 20 * DAY + 13 * HOUR),
        a.snapshot(a.record(originals=[a.original(release_after=30 * DAY)])),
        NIGHTLY,
    ),
    Case(
        "an old key may go and a new one is due, both outside of a window that opens too late",
        Wait(WaitReason.OPENS_TOO_LATE, SAFE_UNTIL),
        a.with_record(expiring(26 * HOUR), previous=(a.previous(superseded=2 * DAY),)),
        ONCE_IN_MAY,
    ),
    Case(
        "an old key may go outside of a window, and before it opens a new one can't wait",
        Wait(WaitReason.OUTSIDE_WINDOW, SAFE_UNTIL + 34 * HOUR),
        a.with_record(expiring(60 * HOUR), previous=(a.previous(superseded=2 * DAY),)),
        opening("0 2 1 5 *", replace(POLICY, rotate_before=36 * HOUR)),
    ),
    Case(
        "after an emergency no window keeps an earlier key",
        Revoke("key-old", RevokeReason.EMERGENCY),
        LEAKED,
        frozen(DAY, NIGHTLY),
    ),
    Case(
        "an orphan's publish can't succeed any more, outside of a window",
        Inherit("key-orphan"),
        INHERIT[0].snapshot,
        frozen(DAY, NIGHTLY),
    ),
    Case(
        "no lineage without a key waits for a window",
        Wait(WaitReason.NOT_DUE, None),
        replace(a.snapshot(replace(a.fresh_record(), originals=())), absence_proven=False),
        opening("0 2 * * 1-5", AT_ONCE),
    ),
]

WAIT = [
    Case(
        "whether the served secret works is unknown",
        Wait(WaitReason.SERVED_UNPROVEN, LOOK_AGAIN),
        replace(SETTLED, served=Served(Verdict.UNKNOWN)),
    ),
    Case("a previous key still works", Wait(WaitReason.OVERLAP, NOW + 23 * HOUR), a.snapshot(awaiting(HOUR))),
    Case(
        "the overlap ends on Vault's clock and is shown on ours",
        Wait(WaitReason.OVERLAP, NOW + 23 * HOUR - timedelta(seconds=20)),
        replace(a.snapshot(awaiting(HOUR)), vault_skew=timedelta(seconds=20)),
    ),
    Case(
        "the overlap that ends first counts",
        Wait(WaitReason.OVERLAP, NOW + 21 * HOUR),
        a.snapshot(awaiting(HOUR, 3 * HOUR)),
    ),
    Case(
        "a key can't be deleted although its overlap has ended",
        Wait(WaitReason.RETIRING_STOPPED, RETIRE_LATER),
        replace(a.snapshot(awaiting(2 * DAY)), currents_elsewhere=frozenset({"key-old-0"})),
    ),
    Case(
        "an original awaits an order",
        Wait(WaitReason.AWAITING_RELEASE, NOT_DUE.until),
        a.snapshot(a.record(originals=[a.original()])),
    ),
    Case(
        "an original awaits the policy's duration",
        Wait(WaitReason.AWAITING_RELEASE, NOW + 20 * DAY),
        a.snapshot(a.record(originals=[a.original(release_after=30 * DAY)])),
    ),
    Case(
        "an original awaits its own expiry",
        Wait(WaitReason.AWAITING_RELEASE, NOW + 5 * DAY),
        a.snapshot(a.record(originals=[a.original(a.key("key-original", age=95 * DAY, lifetime=100 * DAY))])),
    ),
    Case(
        "a released original awaits the end of its overlap, an earlier key its own after that",
        Wait(WaitReason.OVERLAP, NOW + 12 * HOUR),
        a.snapshot(
            a.record(
                previous=[a.previous(superseded=HOUR)],
                originals=[a.original(superseded=12 * HOUR, released=True)],
            )
        ),
    ),
    Case(
        "an original that could not be deleted awaits the next try",
        Wait(WaitReason.AWAITING_RELEASE, NOW + 20 * MINUTE),
        a.with_record(
            a.snapshot(a.record(originals=[a.original(released=True)])),
            revoke_failure=a.failure(RevokeReason.ORIGINAL_RELEASED, tries_in=20 * MINUTE),
        ),
    ),
    Case(
        "an original without an end awaits an order, and the key in use is never due",
        Wait(WaitReason.AWAITING_RELEASE, None),
        a.snapshot(a.record(originals=[a.original()])),
        WATCH,
    ),
    Case("watched", Wait(WaitReason.WATCHED, None), SETTLED, WATCH),
    Case(
        "it is due, and the gap since the last publish ends on Vault's clock",
        Wait(WaitReason.NOT_DUE, NOW + 30 * MINUTE - timedelta(seconds=20)),
        replace(
            a.snapshot(a.record(serves=a.current(OLD, age=30 * MINUTE))), vault_skew=timedelta(seconds=20)
        ),
    ),
    Case(
        "it is due, and Vault's clock is behind that by which it was published, by as much as is allowed",
        Wait(WaitReason.NOT_DUE, NOW + HOUR + SKEW_ALLOWED),
        a.snapshot(a.record(serves=a.current(OLD, age=-SKEW_ALLOWED))),
    ),
    Case("watched, and taken in by a person", NOT_DUE, a.with_record(SETTLED, by_order=True), WATCH),
    Case(
        "a key that was over age when it was taken in is due some days later",
        Wait(WaitReason.NOT_DUE, SPREAD.at),
        a.snapshot(replace(a.fresh_record(a.original(OVER_AGE, superseded=None)), adopted_at=NOW)),
        BY_AGE,
    ),
    Case("not due", NOT_DUE, SETTLED),
    Case(
        "a key with neither expiry nor age is never due",
        Wait(WaitReason.NOT_DUE, None),
        a.snapshot(a.record(serves=a.current(a.key(a.CURRENT.key_id, lifetime=None)))),
    ),
    Case(
        "the provider's clock is ahead, so that it is due earlier on ours",
        Wait(WaitReason.NOT_DUE, a.next_due(POLICY, CURRENT) - timedelta(seconds=20)),
        replace(SETTLED, provider_skew=timedelta(seconds=20)),
    ),
]

TABLE = [*INHERIT, *REVOKE, *NOTHING_TO_COPY, *ROTATE, *CLOSED, *ORDERED, *TOO_MANY, *WAIT]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in TABLE])
def test_the_decision_is(case: Case) -> None:
    assert decide(case.policy, case.snapshot, NOW) == case.expected


def test_the_time_of_the_decision_is_the_one_given_not_the_one_of_the_look() -> None:
    later = a.next_due(POLICY, CURRENT)

    assert decide(POLICY, SETTLED, later - TICK) == NOT_DUE
    assert isinstance(decide(POLICY, SETTLED, later), Rotate)
