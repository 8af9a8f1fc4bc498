"""What is decided about the places that a moved lineage is served at besides its destination."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.model.entry import Served, Verdict
from rotator.model.order import OrderKind
from rotator.model.reason import CopyReason, HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.record import Copied, KnownKey
from rotator.model.snapshot import CopySeen, Snapshot
from rotator.plan.actions import Copy, Finish, Hold, Revoke, Rotate, Wait
from rotator.plan.decide import decide
from rotator.policy.policy import Adopt as AdoptMode
from tests.support import builders as a
from tests.support.builders import CURRENT, DAY, HOUR, LATER, MINUTE, NOT_DUE, NOW, POLICY, THERE, Case

WATCH = replace(POLICY, adopt=AdoptMode.WATCH)
LOOK_AGAIN = NOW + MINUTE

COPIED = a.snapshot(a.moved())
"""Both places serve the current key, and nothing is due."""

MOVED_NOW = a.snapshot(a.moved(copied=None))
"""Nothing was copied yet."""

OLD = a.previous(superseded=DAY)
BEHIND = replace(
    a.snapshot(a.moved(a.record(previous=[OLD]), copied="key-old")),
    copies=(a.copy_seen(Copied(place=THERE, version=1), "4" * 16, "key-old", same=False),),
)
"""The new place still serves the key before the current one, as it was copied; the overlap from the publish is over."""


def there(seen: Snapshot = BEHIND, *, served: Served | None = None, **changes: object) -> Snapshot:
    """Return the same look with something else at the new place."""
    (copy,) = seen.copies
    assert copy.entry is not None
    entry = replace(copy.entry, **changes)  # type: ignore[arg-type]
    return replace(seen, copies=(replace(copy, entry=entry, served=served or copy.served),))


def holding(seen: Snapshot, copy: CopySeen) -> Snapshot:
    """Return the same look with the new place as it is seen in `copy`."""
    return replace(seen, copies=(replace(copy, place=THERE),))


UNREAD = replace(BEHIND, copies=(CopySeen(place=THERE),))
FREE = MOVED_NOW
OCCUPIED = holding(MOVED_NOW, a.copy_seen(Copied(place=THERE, version=1), None, "key-9", same=False))
NAMELESS = replace(
    holding(
        FREE, CopySeen(place=THERE, entry=a.entry(None, key_id=None), served=a.accepted(None), same=False)
    ),
    served=a.accepted(None),
)
REFUSED = Served(Verdict.REFUSED)

COPY = [
    Case("nothing is at the new place yet", Copy(THERE), FREE),
    Case("the new place serves the key before", Copy(THERE), BEHIND),
    Case("the new place serves the key before under watch", Copy(THERE), BEHIND, WATCH),
    Case("both places serve the current key", NOT_DUE, COPIED),
    Case(
        "a person added a field at the new place",
        NOT_DUE,
        there(COPIED, version=2),
    ),
    Case(
        "a copy was not recorded",
        Copy(THERE),
        a.with_record(COPIED, also_at=(Copied(place=THERE),)),
    ),
    Case(
        "the new place holds the same secret without our rotation id",
        Copy(THERE),
        there(COPIED, version=2, rotation_id=None),
    ),
    Case(
        "a person put the old key's secret at the new place before",
        Copy(THERE),
        holding(FREE, a.copy_seen(Copied(place=THERE, version=5), None, CURRENT.key_id)),
    ),
    Case("the new place could not be read", Copy(THERE), UNREAD),
    Case("the new place was not looked at", Copy(THERE), replace(COPIED, copies=())),
    Case(
        "what we copied has died with its key, so that nobody says whose it is",
        Copy(THERE),
        there(served=REFUSED),
    ),
    Case(
        "the provider says no ids, and both places hold the same secret",
        NOT_DUE,
        replace(there(COPIED, served=a.accepted(None)), served=a.accepted(None)),
    ),
    Case(
        "a copy failed a moment ago",
        Wait(WaitReason.COPY_BEHIND, LOOK_AGAIN),
        a.with_record(BEHIND, copy_failure=a.failure(CopyReason.MOVED)),
    ),
    Case(
        "a copy failed a while ago",
        Copy(THERE),
        a.with_record(BEHIND, copy_failure=a.failure(CopyReason.MOVED, tries_in=-a.TICK)),
    ),
    Case(
        "a copy failed under another policy entry",
        Copy(THERE),
        a.with_record(BEHIND, copy_failure=a.failure(CopyReason.MOVED, fingerprint="before")),
    ),
]

SECOND_PLACE = replace(THERE, path="third")
SEVERAL = a.with_record(
    BEHIND, also_at=(Copied(place=SECOND_PLACE, key_id="key-old", version=1), Copied(place=THERE))
)

STOPPED = [
    Case(
        "the new place was deleted",
        Hold(HoldReason.ENTRY_DELETED, "kv/moved, version 3"),
        holding(BEHIND, CopySeen(place=THERE, entry=a.deleted_entry())),
    ),
    Case(
        "the new place is at a version before our copy",
        Hold(HoldReason.ENTRY_BEHIND, "kv/moved, version 1"),
        a.with_record(BEHIND, also_at=(Copied(place=THERE, key_id="key-old", version=2),)),
    ),
    Case(
        "the new place holds a secret that is none of ours, and had nothing of ours",
        Hold(HoldReason.DESTINATION_OCCUPIED, "kv/moved, version 1"),
        OCCUPIED,
    ),
    Case(
        "nobody says whose working secret is at the new place",
        Hold(HoldReason.DESTINATION_OCCUPIED, "kv/moved, version 3"),
        NAMELESS,
    ),
    Case(
        "nobody says whose working secret is at the new place, but it is that of the destination",
        Copy(THERE),
        replace(NAMELESS, copies=(replace(NAMELESS.copies[0], same=True),)),
    ),
    Case(
        "a person wrote another working secret at the new place",
        Hold(HoldReason.ENTRY_CHANGED, "kv/moved, version 2"),
        there(version=2, served=a.accepted("key-9")),
    ),
    Case(
        "a person wrote a secret at the new place that is refused",
        Hold(HoldReason.ENTRY_CHANGED, "kv/moved, version 2"),
        there(version=2, served=REFUSED),
    ),
    Case(
        "a person took the secret away from the new place",
        Hold(HoldReason.ENTRY_CHANGED, "kv/moved, version 2"),
        there(version=2, has_secret=False, served=Served(Verdict.NOTHING)),
    ),
    Case(
        "whose secret a person wrote at the new place is not known",
        Wait(WaitReason.COPY_BEHIND, LOOK_AGAIN),
        there(version=2, served=Served(Verdict.UNKNOWN)),
    ),
    Case(
        "a person rolled the new place back to an earlier key of ours",
        Copy(THERE),
        there(version=2),
    ),
    Case(
        "one place can't be written to, and another one can",
        Copy(THERE),
        replace(
            SEVERAL,
            copies=(
                CopySeen(place=SECOND_PLACE, entry=a.deleted_entry()),
                a.not_copied(Copied(place=THERE)),
            ),
        ),
    ),
]

PUBLISHED = a.attempt(LATER, base=3, age=MINUTE)
DUE = a.with_record(BEHIND, current=a.current(a.key(CURRENT.key_id, age=70 * DAY)))

ORDER = [
    Case(
        "a publish was not recorded and the new place is behind",
        Finish(LATER, "key-new"),
        replace(
            a.with_record(BEHIND, attempts=(PUBLISHED,)),
            keys=(*BEHIND.keys, a.made(PUBLISHED, "key-new")),
            entry=a.entry(LATER, version=4, key_id="key-new"),
            served=a.accepted("key-new"),
        ),
    ),
    Case(
        "an attempt of a place that was given up stands in the entry",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        replace(
            a.snapshot(a.record(attempts=[replace(PUBLISHED, void=True)])),
            keys=(*BEHIND.keys, a.made(PUBLISHED, "key-new")),
            entry=a.entry(LATER, version=4, key_id="key-new"),
            served=a.accepted("key-new"),
        ),
    ),
    Case(
        "the key in use is refused and the new place is behind",
        Rotate(RotateReason.SERVED_KEY_REFUSED, KnownKey.seen(CURRENT)),
        replace(BEHIND, served=REFUSED),
    ),
    Case("the key in use is due and the new place is behind", Copy(THERE), DUE),
    Case(
        "the key in use is due and copying failed before",
        Rotate(RotateReason.DUE_BY_EXPIRY, KnownKey.seen(a.key(CURRENT.key_id, age=70 * DAY))),
        a.with_record(DUE, copy_failure=a.failure(CopyReason.MOVED, tries_in=-HOUR)),
    ),
    Case(
        "the key in use is due, and copying and rotating failed before",
        Copy(THERE),
        a.with_record(
            DUE,
            copy_failure=a.failure(CopyReason.MOVED, tries_in=-HOUR),
            rotate_failure=a.failure(RotateReason.DUE_BY_EXPIRY),
        ),
    ),
    Case(
        "a person wants a new key and the new place is behind",
        Rotate(RotateReason.ORDERED, KnownKey.seen(CURRENT)),
        a.with_record(BEHIND, standing=a.order()),
    ),
    Case(
        "an emergency stands while the lineage is paused, and the new place is behind before it",
        Wait(WaitReason.BACKING_OFF, LOOK_AGAIN),
        replace(
            a.with_record(
                BEHIND,
                standing=a.order(OrderKind.EMERGENCY),
                rotate_failure=a.failure(RotateReason.EMERGENCY),
            ),
            paused="*, by ann@desk",
        ),
    ),
    Case(
        "an emergency replaced the key while the lineage is paused, and the new place is behind",
        Copy(THERE),
        replace(a.with_record(BEHIND, previous=(replace(OLD, at_once=True),)), paused="*, by ann@desk"),
    ),
    Case(
        "an emergency replaced the key while the lineage is paused, and a person wants yet another key after it",
        Copy(THERE),
        replace(
            a.with_record(BEHIND, previous=(replace(OLD, at_once=True),), standing=a.order()),
            paused="*, by ann@desk",
        ),
    ),
    Case(
        "the key in use is due and the new place may not be written to",
        Rotate(RotateReason.DUE_BY_EXPIRY, KnownKey.seen(a.key(CURRENT.key_id, age=70 * DAY))),
        there(DUE, version=2, served=a.accepted("key-9")),
    ),
    Case(
        "the overlap is over at both places",
        Revoke("key-old", RevokeReason.OVERLAP_ENDED),
        a.snapshot(a.moved(a.record(previous=[OLD]))),
    ),
]

TABLE = [*COPY, *STOPPED, *ORDER]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in TABLE])
def test_the_decision_is(case: Case) -> None:
    assert decide(case.policy, case.snapshot, NOW) == case.expected


@pytest.mark.promise("P1", "P3")
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name) for case in [*COPY, *STOPPED] if case.expected != NOT_DUE]
)
def test_nothing_is_deleted_while_a_place_is_behind(case: Case) -> None:
    record = case.snapshot.record
    assert record is not None
    seen = a.with_record(case.snapshot, previous=(a.previous("key-older"), *record.previous))
    for mode in (POLICY, WATCH):
        assert not isinstance(decide(mode, seen, NOW), Revoke)


def test_a_place_that_is_behind_keeps_no_key_from_being_due_in_time() -> None:
    seen = a.with_record(BEHIND, copy_failure=a.failure(CopyReason.MOVED, tries_in=400 * DAY))

    assert decide(POLICY, seen, NOW) == Wait(WaitReason.COPY_BEHIND, a.next_due(POLICY, CURRENT))
