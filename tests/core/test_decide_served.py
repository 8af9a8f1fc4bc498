"""What is decided from what the destination serves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.model.entry import Served, Verdict
from rotator.model.key import Mark
from rotator.model.reason import HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.record import KnownKey
from rotator.model.snapshot import Snapshot
from rotator.plan.actions import Adopt, Finish, Hold, Rotate, Wait
from rotator.plan.decide import decide
from rotator.policy.policy import Adopt as AdoptMode
from tests.support import builders as a
from tests.support.builders import (
    HOUR,
    LATER,
    MINUTE,
    NOT_DUE,
    NOW,
    POLICY,
    SETTLED,
    Case,
)

WATCH = replace(POLICY, adopt=AdoptMode.WATCH)
AT_ONCE = replace(POLICY, adopt=AdoptMode.NOW)
NO_LONGER_THE_SAME = replace(POLICY, fingerprint="edited")
LOOK_AGAIN = NOW + MINUTE

UNRECORDED = a.attempt(LATER, base=3, age=HOUR)
FOUND = a.made(UNRECORDED, "key-new")
OTHER_ATTEMPT = a.attempt("3" * 16, base=3, age=HOUR)
PUBLISHED = replace(
    a.snapshot(a.record(attempts=[UNRECORDED, OTHER_ATTEMPT]), also=[FOUND]),
    entry=a.entry(LATER, version=4, key_id="key-new", age=MINUTE),
    served=a.accepted("key-new"),
)
HANDED_OVER = replace(
    a.BEFORE_FIRST,
    record=a.fresh_record(
        attempts=[replace(a.FIRST, reason=RotateReason.IMPORTED, key_id="key-original")],
    ),
    entry=a.entry(LATER, version=1, key_id="key-original", age=MINUTE),
    served=a.accepted("key-original"),
)
"""The own secret of the key in use was published, and that was not recorded."""
REPLACE_CURRENT = Rotate(RotateReason.SERVED_KEY_REFUSED, KnownKey.seen(a.CURRENT))

FINISH = [
    Case("an import was not recorded", Finish(LATER, "key-original"), HANDED_OVER),
    Case(
        "an import was not recorded, and the self-check says no id",
        Finish(LATER, "key-original"),
        replace(HANDED_OVER, served=a.accepted(None)),
    ),
    Case(
        "an import was not recorded, and its key is not listed",
        Hold(HoldReason.CURRENT_UNLISTED),
        replace(HANDED_OVER, keys=()),
    ),
    Case(
        "an import was not recorded, and its key can't be read",
        Wait(WaitReason.KEY_UNREADABLE, LOOK_AGAIN),
        a.unread(HANDED_OVER, "key-original"),
    ),
    Case(
        "the rotation id of an import stands beside the secret of another key",
        Hold(HoldReason.ENTRY_CHANGED, "version 1"),
        replace(HANDED_OVER, served=a.accepted("key-9")),
    ),
    Case("a publish was not recorded", Finish(LATER, "key-new"), PUBLISHED),
    Case(
        "the first publish was not recorded",
        Finish(LATER, "key-new"),
        replace(
            PUBLISHED,
            record=a.fresh_record(attempts=[a.FIRST]),
            keys=(*SETTLED.keys, a.made(a.FIRST, "key-new")),
        ),
    ),
    Case(
        "the self-check says no id, the entry does",
        Finish(LATER, "key-new"),
        replace(PUBLISHED, served=a.accepted(None)),
    ),
    Case(
        "the key of a publish that was not recorded can't be read",
        Wait(WaitReason.KEY_UNREADABLE, LOOK_AGAIN),
        a.unread(PUBLISHED, "key-new"),
    ),
    Case(
        "the key of an unrecorded publish can't be read, and the self-check says no id",
        Wait(WaitReason.KEY_UNREADABLE, LOOK_AGAIN),
        a.unread(replace(PUBLISHED, served=a.accepted(None)), "key-new"),
    ),
    Case(
        "the key of an unrecorded publish can't be read, and it is refused",
        REPLACE_CURRENT,
        a.unread(replace(PUBLISHED, served=Served(Verdict.REFUSED)), "key-new"),
    ),
    Case(
        "the self-check says no id, and the entry was written again since",
        Hold(HoldReason.ENTRY_CHANGED, "version 5"),
        replace(PUBLISHED, served=a.accepted(None), entry=replace(PUBLISHED.entry, version=5)),
    ),
    Case(
        "neither the self-check nor the entry says an id",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        replace(PUBLISHED, served=a.accepted(None), entry=replace(PUBLISHED.entry, key_id=None)),
    ),
    Case(
        "our rotation id stands beside the secret of a key that is not ours",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        replace(PUBLISHED, served=a.accepted("key-9")),
    ),
    Case(
        "our rotation id stands beside the secret of another attempt's key",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        replace(
            PUBLISHED,
            served=a.accepted("key-3"),
            keys=(*PUBLISHED.keys, a.made(OTHER_ATTEMPT, "key-3")),
        ),
    ),
    Case(
        "the entry shows our rotation id at its base",
        Hold(HoldReason.ENTRY_BEHIND, "version 3, base 3"),
        replace(PUBLISHED, entry=replace(PUBLISHED.entry, version=3)),
    ),
    Case(
        "the provider refuses an unrecorded publish",
        REPLACE_CURRENT,
        replace(PUBLISHED, served=Served(Verdict.REFUSED)),
    ),
    Case(
        "whether an unrecorded publish works is unknown",
        Wait(WaitReason.SERVED_UNPROVEN, LOOK_AGAIN),
        replace(PUBLISHED, served=Served(Verdict.UNKNOWN)),
    ),
    Case(
        "an unrecorded publish has lost its secret",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        replace(PUBLISHED, served=Served(Verdict.NOTHING), entry=replace(PUBLISHED.entry, has_secret=False)),
    ),
    Case(
        "a person rolled the entry back to a publish of ours that was recorded",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        replace(
            a.with_record(PUBLISHED, history=(a.rotated(LATER), a.rotated())),
            served=a.accepted("key-old"),
        ),
    ),
]

LATEST = a.made(a.attempt("7" * 16, base=4), "key-7")
FROM_A_BACKUP = replace(
    a.snapshot(a.record(), also=[LATEST]),
    entry=a.entry("7" * 16, version=5, key_id="key-7", age=MINUTE),
    served=a.accepted("key-7"),
)
"""The record is older than what is served: its key carries the mark of a rotation that this record never issued."""

BEHIND = [
    Case(
        "the record says no more how the key in use was made",
        a.NOT_DUE,
        replace(a.with_record(SETTLED, attempts=(), history=()), keys=(a.CURRENT,)),
    ),
    Case(
        "the record is from before the last rotation",
        Hold(HoldReason.RECORD_BEHIND, "version 5"),
        FROM_A_BACKUP,
    ),
    Case(
        "the record is from before the last rotation, and whether its key works is unknown",
        Hold(HoldReason.RECORD_BEHIND, "version 5"),
        replace(FROM_A_BACKUP, served=Served(Verdict.UNKNOWN)),
    ),
    Case(
        "the record is from before the last rotation, whose key can't be read",
        Hold(HoldReason.RECORD_BEHIND, "version 5"),
        a.unread(FROM_A_BACKUP, "key-7"),
    ),
    Case(
        "the record is from before the first rotation",
        Hold(HoldReason.RECORD_BEHIND, "version 5"),
        replace(FROM_A_BACKUP, record=a.fresh_record()),
    ),
    Case(
        "the entry shows a rotation id that no key carries",
        Hold(HoldReason.ENTRY_CHANGED, "version 5"),
        replace(FROM_A_BACKUP, keys=a.snapshot(a.record()).keys),
    ),
    Case(
        "the entry shows a rotation id that a key of another journal carries",
        Hold(HoldReason.ENTRY_CHANGED, "version 5"),
        replace(
            FROM_A_BACKUP,
            keys=(
                *a.snapshot(a.record()).keys,
                replace(LATEST, comment=Mark("f" * 12, a.LINEAGE.lineage_id, "7" * 16).put_on("voice")),
            ),
        ),
    ),
    Case(
        "a person rolled the entry back to a rotation of ours whose key lives on",
        Hold(HoldReason.ENTRY_CHANGED, "version 5"),
        a.with_record(FROM_A_BACKUP, history=(a.rotated("7" * 16), a.rotated())),
    ),
]

RECOGNISE = [
    Case(
        "a person put the original's secret into the entry",
        Adopt("key-original", original=False),
        replace(a.BEFORE_FIRST, entry=a.entry(None, key_id=None), served=a.accepted("key-original")),
    ),
    Case(
        "a person put the original's secret into the entry, and it can't be read",
        Wait(WaitReason.KEY_UNREADABLE, LOOK_AGAIN),
        a.unread(
            replace(a.BEFORE_FIRST, entry=a.entry(None, key_id=None), served=a.accepted("key-original")),
            "key-original",
        ),
    ),
    Case(
        "a person put another secret into the entry before our first publish",
        Hold(HoldReason.DESTINATION_OCCUPIED, "version 3"),
        replace(a.BEFORE_FIRST, entry=a.entry(None, key_id=None), served=a.accepted("key-9")),
    ),
    Case(
        "a person put a refused secret into the entry before our first publish",
        Hold(HoldReason.DESTINATION_OCCUPIED, "version 3"),
        replace(a.BEFORE_FIRST, entry=a.entry(None, key_id=None), served=Served(Verdict.REFUSED)),
    ),
    Case(
        "an original's own secret stands in the destination, and it is not listed",
        Hold(HoldReason.DESTINATION_OCCUPIED, "version 3"),
        replace(
            a.BEFORE_FIRST,
            entry=a.entry(None, key_id=None),
            served=a.accepted(a.original().key.key_id),
            keys=(),
        ),
    ),
    Case(
        "a person put an original's own secret in place of what we published",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        replace(
            a.snapshot(a.record(originals=[a.original()])),
            entry=a.entry(None, version=4, key_id=None),
            served=a.accepted(a.original().key.key_id),
        ),
    ),
]


def changed(**changes: object) -> Snapshot:
    return replace(SETTLED, entry=replace(SETTLED.entry, **changes))  # type: ignore[arg-type]


NOT_AS_PUBLISHED = [
    Case(
        "the entry was deleted before our first publish",
        Hold(HoldReason.ENTRY_DELETED, "version 3"),
        replace(a.BEFORE_FIRST, entry=a.deleted_entry()),
    ),
    Case(
        "our first publish was not recorded and is refused",
        Rotate(RotateReason.SERVED_KEY_REFUSED, a.original().key),
        replace(
            PUBLISHED,
            record=a.fresh_record(attempts=[replace(a.FIRST, base=PUBLISHED.entry.version - 1)]),
            served=Served(Verdict.REFUSED),
        ),
    ),
    Case(
        "our first publish was not recorded, was written over, and is refused",
        Hold(HoldReason.ENTRY_CHANGED, f"version {PUBLISHED.entry.version}"),
        replace(
            PUBLISHED,
            record=a.fresh_record(attempts=[replace(a.FIRST, base=PUBLISHED.entry.version - 2)]),
            served=Served(Verdict.REFUSED),
        ),
    ),
    Case(
        "the entry was written again after our publish, and its secret is refused",
        Hold(HoldReason.ENTRY_CHANGED, f"version {SETTLED.entry.version + 1}"),
        replace(changed(version=SETTLED.entry.version + 1), served=Served(Verdict.REFUSED)),
    ),
    Case(
        "an older backup of the entry serves the rotation before the last, which was recorded",
        Hold(HoldReason.ENTRY_BEHIND, "version 3, published 5"),
        replace(
            a.snapshot(
                replace(
                    a.record(
                        serves=replace(a.current(a.key("key-new"), version=5), rotation_id=LATER),
                        previous=[a.previous(a.CURRENT.key_id)],
                        attempts=[a.attempt(LATER, base=4, age=HOUR)],
                    ),
                    history=(a.rotated(), a.rotated(LATER)),
                )
            ),
            entry=a.entry(),
            served=a.accepted(),
        ),
    ),
    Case(
        "the published entry was deleted",
        Hold(HoldReason.ENTRY_DELETED, "version 3"),
        replace(SETTLED, entry=a.deleted_entry(), served=Served(Verdict.NOTHING)),
    ),
    Case(
        "the published entry is not there any more",
        Hold(HoldReason.ENTRY_DELETED, "version 0"),
        replace(SETTLED, entry=a.NO_ENTRY, served=Served(Verdict.NOTHING)),
    ),
    Case(
        "the entry is at a version before ours",
        Hold(HoldReason.ENTRY_BEHIND, "version 2, published 3"),
        changed(version=2),
    ),
    Case(
        "the entry shows a rotation id that we never issued",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        changed(version=4, rotation_id="9" * 16),
    ),
    Case(
        "the entry shows no rotation id any more",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        changed(version=4, rotation_id=None),
    ),
    Case(
        "the secret field was removed",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        replace(changed(version=4, has_secret=False), served=Served(Verdict.NOTHING)),
    ),
    Case(
        "the secret field holds something that no secret can be",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        replace(changed(version=4), served=Served(Verdict.NOTHING)),
    ),
    Case(
        "the entry holds another key's working secret under our rotation id",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        replace(changed(version=4), served=a.accepted("key-9")),
    ),
    Case("a person added fields beside ours", NOT_DUE, changed(version=4)),
    Case(
        "the entry was written again after ours, and nobody says whose secret it is",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        replace(SETTLED, served=a.accepted(None), entry=replace(SETTLED.entry, version=4)),
    ),
    Case(
        "the entry was written again after ours, and its secret is refused",
        Hold(HoldReason.ENTRY_CHANGED, "version 4"),
        replace(changed(version=4), served=Served(Verdict.REFUSED)),
    ),
    Case(
        "the entry was written again after ours, and whether its secret works is unknown",
        Wait(WaitReason.SERVED_UNPROVEN, LOOK_AGAIN),
        replace(changed(version=4), served=Served(Verdict.UNKNOWN)),
    ),
]

REFUSED = replace(SETTLED, served=Served(Verdict.REFUSED))


SERVED_REFUSED = [
    Case("the served key is refused", REPLACE_CURRENT, REFUSED),
    Case("the served key is refused under watch", Hold(HoldReason.SERVED_REFUSED), REFUSED, WATCH),
    Case(
        "the served key is refused under watch, and a person took it in",
        REPLACE_CURRENT,
        a.with_record(REFUSED, by_order=True),
        WATCH,
    ),
    Case(
        "the served key is refused, and the time to try again has just come",
        REPLACE_CURRENT,
        a.with_record(
            REFUSED, rotate_failure=a.failure(RotateReason.SERVED_KEY_REFUSED, tries_in=timedelta(0))
        ),
    ),
    Case(
        "the served key is refused, and three keys lie about",
        Hold(HoldReason.TOO_MANY_UNSERVED, a.ORPHANS),
        replace(a.lying_about(3), served=Served(Verdict.REFUSED)),
    ),
    Case(
        "the served key is refused, and the last try for that failed a moment ago",
        Wait(WaitReason.BACKING_OFF, NOW + MINUTE),
        a.with_record(REFUSED, rotate_failure=a.failure(RotateReason.SERVED_KEY_REFUSED)),
    ),
    Case(
        "the served key is refused, and a rotation when due failed a moment ago",
        REPLACE_CURRENT,
        a.with_record(REFUSED, rotate_failure=a.failure(RotateReason.DUE_BY_EXPIRY)),
    ),
    Case(
        "the served key is refused, and a deletion failed a moment ago",
        REPLACE_CURRENT,
        a.with_record(REFUSED, revoke_failure=a.failure(RevokeReason.OVERLAP_ENDED)),
    ),
    Case(
        "the served key is refused, and so was its predecessor just now",
        Wait(WaitReason.BACKING_OFF, NOW + 59 * MINUTE),
        a.with_record(
            REFUSED,
            current=a.current(age=MINUTE),
            history=(a.rotated(reason=RotateReason.SERVED_KEY_REFUSED),),
        ),
    ),
    Case(
        "the served key is refused, and so was its predecessor just now, on Vault's clock",
        Wait(WaitReason.BACKING_OFF, NOW + 59 * MINUTE - timedelta(seconds=20)),
        replace(
            a.with_record(
                REFUSED,
                current=a.current(age=MINUTE),
                history=(a.rotated(reason=RotateReason.SERVED_KEY_REFUSED),),
            ),
            vault_skew=timedelta(seconds=20),
        ),
    ),
    Case(
        "the served key is refused, and so was its predecessor a gap ago",
        REPLACE_CURRENT,
        a.with_record(
            REFUSED, current=a.current(age=HOUR), history=(a.rotated(reason=RotateReason.SERVED_KEY_REFUSED),)
        ),
    ),
    Case(
        "the served key is refused a minute after a rotation when due",
        REPLACE_CURRENT,
        a.with_record(REFUSED, current=a.current(age=MINUTE)),
    ),
]

TABLE = [*FINISH, *BEHIND, *RECOGNISE, *NOT_AS_PUBLISHED, *SERVED_REFUSED]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in TABLE])
def test_the_decision_is(case: Case) -> None:
    assert decide(case.policy, case.snapshot, NOW) == case.expected
