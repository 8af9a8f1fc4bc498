"""What is decided when we may not act at all, or when nothing is remembered yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.model.entry import FieldNames, Served, Verdict
from rotator.model.key import Mark
from rotator.model.order import OrderKind
from rotator.model.reason import HoldReason, RotateReason, WaitReason
from rotator.model.record import Claim
from rotator.model.snapshot import Snapshot
from rotator.plan.actions import Adopt, Hold, Rotate, Wait
from rotator.plan.decide import decide
from rotator.policy.policy import Adopt as AdoptMode
from tests.support import builders as a
from tests.support.builders import (
    DAY,
    ISSUED,
    LATER,
    MINUTE,
    NOT_DUE,
    NOW,
    POLICY,
    SECOND,
    SETTLED,
    TICK,
    Case,
)

WATCH = replace(POLICY, adopt=AdoptMode.WATCH)
AT_ONCE = replace(POLICY, adopt=AdoptMode.NOW)
NO_LONGER_THE_SAME = replace(POLICY, fingerprint="edited")
LOOK_AGAIN = NOW + MINUTE

FLEET = [
    Case(
        f"looking at all lineages showed {reason}",
        Hold(reason, "key-1 and key-2"),
        replace(SETTLED, fleet_hold=reason, fleet_hold_detail="key-1 and key-2"),
    )
    for reason in (
        HoldReason.RECORD_UNREADABLE,
        HoldReason.RECORD_NEWER,
        HoldReason.DESTINATION_CLASH,
        HoldReason.MATCHED_TWICE,
        HoldReason.MANY_ABSENT,
        HoldReason.DESTINATION_MOVED,
    )
]

TTL = 10 * MINUTE
MARGIN = timedelta(seconds=5)


def claimed(holder: str, *, written: timedelta, vault_skew: timedelta = timedelta(0)) -> Snapshot:
    seen = a.with_record(SETTLED, claim=Claim(holder, TTL))
    return replace(seen, record_written_at=NOW - written, vault_skew=vault_skew)


CLAIMED = [
    Case(
        "another process works on it, and Vault's clock is behind that by which it claimed it",
        Wait(WaitReason.CLAIMED, NOW + TTL + MARGIN),
        claimed("replica-b", written=MINUTE, vault_skew=timedelta(days=-400)),
    ),
    Case(
        "another process has just claimed it",
        Wait(WaitReason.CLAIMED, NOW + 9 * MINUTE + MARGIN),
        claimed("replica-b", written=MINUTE),
    ),
    Case(
        "a claim runs out on Vault's clock and is shown on ours",
        Wait(WaitReason.CLAIMED, NOW + 9 * MINUTE + MARGIN - timedelta(seconds=20)),
        claimed("replica-b", written=MINUTE, vault_skew=timedelta(seconds=20)),
    ),
    Case(
        "a claim is respected up to its margin",
        Wait(WaitReason.CLAIMED, NOW + TICK),
        claimed("replica-b", written=TTL + MARGIN - TICK),
    ),
    Case("a claim has run out with its margin", NOT_DUE, claimed("replica-b", written=TTL + MARGIN)),
    Case("our own claim does not stop us", NOT_DUE, claimed(a.OBSERVER, written=MINUTE)),
]

OVERTAKEN = a.attempt(a.LATER, base=2, age=MINUTE)
DUE = a.snapshot(a.record(serves=a.current(a.key("key-current", age=89 * a.DAY), age=70 * a.DAY)))
EMERGENCY = a.with_record(SETTLED, standing=a.order(OrderKind.EMERGENCY))
STOPPED_BY_A_PERSON = [
    Case(
        "a person paused it", Wait(WaitReason.PAUSED, None), replace(DUE, paused="*, by ann@desk: a change")
    ),
    Case(
        "a person paused it, and ordered it to be rotated",
        Wait(WaitReason.PAUSED, None),
        replace(a.with_record(SETTLED, standing=a.order()), paused="*, by ann@desk: a change"),
    ),
    Case(
        "a person paused it before it was taken in",
        Wait(WaitReason.PAUSED, None),
        replace(a.unrecorded(a.key("key-1")), paused="*, by ann@desk: a change"),
    ),
    Case(
        "a person paused it, and an orphan's publish can't succeed any more",
        Wait(WaitReason.PAUSED, None),
        replace(
            a.snapshot(a.record(attempts=[OVERTAKEN]), also=[a.made(OVERTAKEN, "key-orphan")]),
            paused="*, by ann@desk: a change",
        ),
    ),
    Case(
        "a person paused it, and another one wrote into its entry",
        Wait(WaitReason.PAUSED, None),
        replace(SETTLED, entry=a.entry(None, version=9), paused="*, by ann@desk: a change"),
    ),
    Case(
        "a person paused it, and there is an emergency",
        Rotate(RotateReason.EMERGENCY, a.current().key),
        replace(EMERGENCY, paused="*, by ann@desk: a change"),
    ),
    Case(
        "a person paused it while a hold stands",
        Hold(HoldReason.MANY_ABSENT, "4 of 5"),
        replace(
            EMERGENCY,
            paused="*, by ann@desk: a change",
            fleet_hold=HoldReason.MANY_ABSENT,
            fleet_hold_detail="4 of 5",
        ),
    ),
    Case(
        "most keys vanished in one look, and the provider refuses this one",
        Rotate(RotateReason.SERVED_KEY_REFUSED, a.current().key),
        replace(SETTLED, fleet_hold=HoldReason.MANY_ABSENT, served=Served(Verdict.REFUSED)),
    ),
    Case(
        "most keys vanished in one look, and the provider refuses this one, which was never rotated",
        Rotate(RotateReason.SERVED_KEY_REFUSED, a.current().key),
        replace(
            a.with_record(SETTLED, history=()),
            fleet_hold=HoldReason.MANY_ABSENT,
            served=Served(Verdict.REFUSED),
        ),
    ),
    Case(
        "most keys vanished in one look, and the provider refuses what it made in place of a refused one",
        Hold(HoldReason.MANY_ABSENT),
        replace(
            a.with_record(
                SETTLED, history=(a.rotated(reason=RotateReason.SERVED_KEY_REFUSED, age=DAY - SECOND),)
            ),
            fleet_hold=HoldReason.MANY_ABSENT,
            served=Served(Verdict.REFUSED),
        ),
    ),
    Case(
        "most keys vanished in one look, and the provider refuses this one, and the one before a day ago",
        Rotate(RotateReason.SERVED_KEY_REFUSED, a.current().key),
        replace(
            a.with_record(SETTLED, history=(a.rotated(reason=RotateReason.SERVED_KEY_REFUSED, age=DAY),)),
            fleet_hold=HoldReason.MANY_ABSENT,
            served=Served(Verdict.REFUSED),
        ),
    ),
    Case(
        "most keys vanished in one look, and the provider refuses a secret that nobody took in",
        Hold(HoldReason.MANY_ABSENT),
        replace(
            a.unrecorded(a.key("key-1")),
            entry=a.entry(None, key_id=None),
            fleet_hold=HoldReason.MANY_ABSENT,
            served=Served(Verdict.REFUSED),
        ),
    ),
    Case(
        "two policies match it, and the provider refuses it",
        Hold(HoldReason.MATCHED_TWICE),
        replace(SETTLED, fleet_hold=HoldReason.MATCHED_TWICE, served=Served(Verdict.REFUSED)),
    ),
    Case(
        "a person told us to forget it",
        Wait(WaitReason.FORGOTTEN, None),
        a.with_record(replace(DUE, fleet_hold=HoldReason.MANY_ABSENT), forgotten=True),
    ),
]

MATCHED = a.key("key-1")
NEW = a.unrecorded(MATCHED)
MARKED = a.made(a.attempt(), "key-marked")
ELSEWHERE = replace(
    MARKED, comment=Mark("f" * 12, a.LINEAGE.lineage_id, ISSUED).put_on("voice"), key_id="key-theirs"
)


def occupied(served: Served) -> Snapshot:
    return replace(NEW, entry=a.entry(None, key_id=None), served=served)


WITHOUT_RECORD = [
    Case("a marked key and no record", Hold(HoldReason.LOST_RECORD), a.unrecorded(MATCHED, also=[MARKED])),
    Case(
        "an entry with a rotation id and no record",
        Hold(HoldReason.LOST_RECORD),
        replace(NEW, entry=a.entry(LATER)),
    ),
    Case(
        "a key with another journal's mark says nothing about our record",
        Wait(WaitReason.NOT_FOUND, None),
        a.unrecorded(None, also=[ELSEWHERE]),
    ),
    Case("nothing matches", Wait(WaitReason.NOT_FOUND, None), a.unrecorded(None)),
    Case("a new key under watch", Wait(WaitReason.WATCHED, None), NEW, WATCH),
    Case(
        "a new key whose entry was deleted",
        Hold(HoldReason.ENTRY_DELETED, "version 3"),
        replace(NEW, entry=a.deleted_entry()),
    ),
    Case("a new key that can't be read", Wait(WaitReason.KEY_UNREADABLE, LOOK_AGAIN), a.unread(NEW, "key-1")),
    Case(
        "a new key, and a marked one that can't be read",
        Wait(WaitReason.KEY_UNREADABLE, LOOK_AGAIN),
        a.unread(a.unrecorded(MATCHED, also=[MARKED]), "key-marked"),
    ),
    Case("a new key and no entry", Adopt("key-1", original=True), NEW),
    Case(
        "a new key and an entry without the secret field",
        Adopt("key-1", original=True),
        replace(NEW, entry=replace(a.entry(None, key_id=None), has_secret=False)),
    ),
    Case(
        "a new key, and whether the entry's secret works is unknown",
        Wait(WaitReason.SERVED_UNPROVEN, LOOK_AGAIN),
        occupied(Served(Verdict.UNKNOWN)),
    ),
    Case("the entry holds the key's secret", Adopt("key-1", original=False), occupied(a.accepted("key-1"))),
    Case(
        "the entry holds another key's secret",
        Hold(HoldReason.DESTINATION_OCCUPIED, "version 3"),
        occupied(a.accepted("key-9")),
    ),
    Case(
        "the entry holds a working secret of nobody knows which key",
        Hold(HoldReason.DESTINATION_OCCUPIED, "version 3"),
        occupied(a.accepted(None)),
    ),
    Case(
        "the entry holds a refused secret",
        Hold(HoldReason.DESTINATION_OCCUPIED, "version 3"),
        occupied(Served(Verdict.REFUSED)),
    ),
    Case(
        "the entry's secret field holds no secret",
        Hold(HoldReason.DESTINATION_OCCUPIED, "version 3"),
        occupied(Served(Verdict.NOTHING)),
    ),
]

RECORDED_HOLD = [
    Case(
        "a hold was found while acting",
        Hold(HoldReason.PARITY, "why"),
        a.with_record(SETTLED, hold=a.hold(HoldReason.PARITY)),
    ),
    Case(
        "the policy entry has changed since the hold",
        NOT_DUE,
        a.with_record(SETTLED, hold=a.hold(HoldReason.PARITY, fingerprint="before")),
    ),
    Case(
        "the policy names other fields",
        Hold(HoldReason.FIELDS_CHANGED),
        a.with_record(SETTLED, fields=FieldNames(secret="token")),
    ),
]

TABLE = [*FLEET, *STOPPED_BY_A_PERSON, *CLAIMED, *WITHOUT_RECORD, *RECORDED_HOLD]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in TABLE])
def test_the_decision_is(case: Case) -> None:
    assert decide(case.policy, case.snapshot, NOW) == case.expected


@pytest.mark.promise("P4")
@pytest.mark.parametrize(
    "served", [a.accepted("key-9"), a.accepted(None), Served(Verdict.REFUSED), Served(Verdict.NOTHING)]
)
def test_a_destination_that_somebody_else_fills_is_never_rotated_into(served: Served) -> None:
    seen = replace(NEW, entry=a.entry(None, key_id=None), served=served)

    assert isinstance(decide(AT_ONCE, seen, NOW), Hold)
