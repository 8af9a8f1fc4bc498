"""What a lost record is made of again: tables of what is seen, and what becomes of each key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from rotator.model.entry import FieldNames, Served, Verdict
from rotator.model.key import Key, Mark
from rotator.model.order import OrderKind
from rotator.model.reason import HoldReason, RotateReason
from rotator.model.record import Attempt, Previous, Record, Rotated
from rotator.model.snapshot import Snapshot
from rotator.plan.actions import Hold, Wait
from rotator.plan.decide import decide
from rotator.plan.invariants import Obstacle, may_revoke
from rotator.plan.rebuild import (
    Missing,
    NotRebuilt,
    NotTaken,
    Rebuilt,
    journals,
    journals_of_records,
    rebuild,
)
from rotator.policy.policy import Adopt, DestinationTemplate
from tests.support import builders as a
from tests.support.builders import CURRENT, DAY, HOUR, NOW, POLICY, SECOND, TICK

OTHER_JOURNAL = "f" * 12
ORDER = a.order(OrderKind.REBUILD, age=timedelta(0))
NOBODY: frozenset[str] = frozenset()


def marked(key_id: str, rotation_id: str, *, older: timedelta = 30 * DAY, journal_id: str = a.JOURNAL) -> Key:
    """Return a key like the one in use, made by another attempt so long before it."""
    mark = Mark(journal_id, a.LINEAGE.lineage_id, rotation_id)
    return replace(
        CURRENT, key_id=key_id, comment=mark.put_on("voice"), created_at=CURRENT.created_at - older
    )


OLD = marked("key-old", "3" * 16)
NEW = marked("key-new", "4" * 16, older=-DAY)
ORIGINAL = a.key("key-original", age=100 * DAY, lifetime=None)
LOST = replace(a.unrecorded(None, also=[CURRENT]), entry=a.entry(), served=a.accepted())
"""The lineage is settled, and its record is gone."""
NOTHING_YET = a.unrecorded(ORIGINAL, also=[NEW])
"""The first rotation was under way."""


def also(*keys: Key, of: Snapshot = LOST) -> Snapshot:
    return replace(of, keys=(*of.keys, *keys))


def matched(key: Key, of: Snapshot = LOST) -> Snapshot:
    return replace(also(key, of=of), matched=key)


def made(snapshot: Snapshot, *named: str) -> Rebuilt:
    rebuilt = rebuild(POLICY, snapshot, ORDER, frozenset(named))
    assert isinstance(rebuilt, Rebuilt)
    return rebuilt


def kept(record: Record) -> dict[str, str]:
    """Return what becomes of each key, and of each attempt by its id."""
    served = {} if record.current is None else {record.current.key.key_id: "current"}
    return (
        served
        | {one.key_id: "previous" for one in record.previous}
        | {one.key.key_id: "original" for one in record.originals}
        | {one.rotation_id: "attempt" for one in record.attempts}
    )


# What is made


@dataclass(frozen=True, slots=True)
class Made:
    name: str
    snapshot: Snapshot
    kept: dict[str, str]
    left: tuple[tuple[str, NotTaken], ...] = ()
    named: tuple[str, ...] = ()


SERVED = {CURRENT.key_id: "current"}
UNSAID = replace(LOST, served=a.accepted(None))
MADE = (
    Made("nothing but the key in use", LOST, SERVED),
    Made("an older key", also(OLD), SERVED | {OLD.key_id: "previous"}),
    Made("one that expired", also(replace(OLD, expires_at=NOW - DAY)), SERVED | {OLD.key_id: "previous"}),
    Made(
        "one older by just a second",
        also(marked("key-old", "3" * 16, older=SECOND)),
        SERVED | {OLD.key_id: "previous"},
    ),
    Made(
        "one older by less",
        also(marked("key-old", "3" * 16, older=SECOND - TICK)),
        SERVED | {"3" * 16: "attempt"},
    ),
    Made("a newer one", also(NEW), SERVED | {"4" * 16: "attempt"}),
    Made("both", also(NEW, OLD), SERVED | {OLD.key_id: "previous", "4" * 16: "attempt"}),
    Made("the provider does not say whose secret it is", UNSAID, SERVED),
    Made(
        "nor does the entry",
        replace(UNSAID, entry=a.entry(key_id=None)),
        SERVED,
    ),
    Made(
        "of two with one id the entry names one",
        also(replace(CURRENT, key_id="key-twin"), of=UNSAID),
        SERVED,
        (("key-twin", NotTaken.COPIED_MARK),),
    ),
    Made(
        "a key from before, named",
        matched(ORIGINAL),
        SERVED | {ORIGINAL.key_id: "original"},
        named=(ORIGINAL.key_id,),
    ),
    Made(
        "the key in use has another id than the entry, and is named",
        replace(LOST, entry=a.entry("9" * 16)),
        SERVED,
        named=(CURRENT.key_id,),
    ),
    Made(
        "the key in use is from before, and is named",
        replace(matched(ORIGINAL), served=a.accepted(ORIGINAL.key_id)),
        {ORIGINAL.key_id: "current", a.ISSUED: "attempt"},
        named=(ORIGINAL.key_id,),
    ),
    Made(
        "nothing is served yet",
        NOTHING_YET,
        {ORIGINAL.key_id: "original", "4" * 16: "attempt"},
        named=(ORIGINAL.key_id,),
    ),
    *(
        Made(f"a key with {doubt}", also(key), SERVED, ((key.key_id, doubt),))
        for key, doubt in (
            (marked("x", "5" * 16, journal_id=OTHER_JOURNAL), NotTaken.OTHER_JOURNAL),
            (marked("x", a.ISSUED), NotTaken.COPIED_MARK),
            (replace(OLD, key_id="x", member_id="somebody"), NotTaken.OTHER_OWNER),
            (replace(OLD, key_id="x", member_id=None), NotTaken.OTHER_OWNER),
            (replace(OLD, key_id="x", scopes=a.SCOPES | {"more"}), NotTaken.OTHER_RIGHTS),
            (replace(OLD, key_id="x", tags=frozenset()), NotTaken.OTHER_RIGHTS),
            (replace(OLD, key_id="x", comment=OLD.comment.replace("voice", "Voice")), NotTaken.OTHER_COMMENT),
        )
    ),
    Made(
        "our own member is not known",
        replace(also(OLD), management_member_id=None),
        SERVED,
        ((OLD.key_id, NotTaken.OTHER_OWNER),),
    ),
    Made(
        "nobody's owner is known",
        replace(also(replace(OLD, member_id=None)), management_member_id=None),
        SERVED,
        ((OLD.key_id, NotTaken.OTHER_OWNER),),
    ),
    Made(
        "two with one mark",
        also(OLD, replace(OLD, key_id="key-twin")),
        SERVED,
        ((OLD.key_id, NotTaken.COPIED_MARK), ("key-twin", NotTaken.COPIED_MARK)),
    ),
    Made(
        "two with one mark, one of them named",
        also(OLD, replace(OLD, key_id="key-twin")),
        SERVED | {OLD.key_id: "previous"},
        (("key-twin", NotTaken.COPIED_MARK),),
        (OLD.key_id,),
    ),
    Made(
        "no word of a person makes sure that a newer key is not published yet",
        also(replace(NEW, member_id="somebody")),
        SERVED,
        ((NEW.key_id, NotTaken.OTHER_OWNER),),
        (NEW.key_id,),
    ),
)


@pytest.mark.promise("P4")
@pytest.mark.parametrize("case", MADE, ids=lambda case: case.name)
def test_each_key_gets_its_place(case: Made) -> None:
    rebuilt = made(case.snapshot, *case.named)

    assert kept(rebuilt.record) == case.kept
    assert rebuilt.left == case.left


# What can't be made

NOT_MADE = (
    ("a key can't be read", a.unread(also(OLD), OLD.key_id), Missing.KEY_UNREADABLE, None),
    ("the entry was deleted", replace(LOST, entry=a.deleted_entry()), Missing.ENTRY_DELETED, None),
    ("not learnt", replace(LOST, served=Served(Verdict.UNKNOWN)), Missing.SERVED_UNPROVEN, None),
    ("refused", replace(LOST, served=Served(Verdict.REFUSED)), Missing.SERVED_REFUSED, None),
    ("somebody's", replace(LOST, served=a.accepted("key-x")), Missing.SERVED_FOREIGN, "key-x"),
    ("nobody says whose", replace(UNSAID, entry=a.entry("9" * 16)), Missing.SERVED_FOREIGN, None),
    (
        "two with one id, and the entry names none",
        replace(also(replace(CURRENT, key_id="key-twin"), of=UNSAID), entry=a.entry(key_id=None)),
        Missing.SERVED_FOREIGN,
        None,
    ),
    (
        "the entry names a key that carries another id",
        replace(also(OLD, of=UNSAID), entry=a.entry(key_id=OLD.key_id)),
        Missing.SERVED_FOREIGN,
        None,
    ),
    (
        "no secret under these names",
        replace(LOST, entry=replace(a.entry(), has_secret=False), served=Served(Verdict.NOTHING)),
        Missing.OTHER_FIELDS,
        None,
    ),
    (
        "nor one while a key from before is there and named",
        replace(
            matched(ORIGINAL), entry=replace(a.entry(), has_secret=False), served=Served(Verdict.NOTHING)
        ),
        Missing.OTHER_FIELDS,
        None,
    ),
    ("another journal's", replace(LOST, journal_id=OTHER_JOURNAL), Missing.OTHER_JOURNAL, CURRENT.key_id),
    ("another id", replace(LOST, entry=a.entry("9" * 16)), Missing.NOT_NAMED, CURRENT.key_id),
    ("no id", replace(LOST, entry=a.entry(None)), Missing.NOT_NAMED, CURRENT.key_id),
    ("a key from before", matched(ORIGINAL), Missing.NOT_NAMED, ORIGINAL.key_id),
    (
        "a key from before in use",
        replace(matched(ORIGINAL), served=a.accepted(ORIGINAL.key_id)),
        Missing.NOT_NAMED,
        ORIGINAL.key_id,
    ),
    ("nothing is served", NOTHING_YET, Missing.NOT_NAMED, ORIGINAL.key_id),
    ("nothing is served or left", a.unrecorded(None, also=[NEW]), Missing.NOTHING_SERVED, None),
)


@pytest.mark.promise("P1", "P4")
@pytest.mark.parametrize(
    ("name", "snapshot", "reason", "key_id"), NOT_MADE, ids=[case[0] for case in NOT_MADE]
)
def test_what_proves_too_little_makes_no_record(
    name: str, snapshot: Snapshot, reason: Missing, key_id: str | None
) -> None:
    del name
    assert rebuild(POLICY, snapshot, ORDER, NOBODY) == NotRebuilt(reason=reason, key_id=key_id)


def test_the_tables_reach_every_reason() -> None:
    assert {reason for _, _, reason, _ in NOT_MADE} == set(Missing)
    assert {doubt for case in MADE for _, doubt in case.left} == set(NotTaken)


# What the record says


@pytest.mark.promise("P3")
def test_an_overlap_runs_from_the_rebuild_whatever_was_before() -> None:
    ahead = replace(also(OLD), vault_skew=20 * SECOND)
    rebuilt = made(ahead).record
    seen = replace(a.snapshot(rebuilt, also=[OLD]), seen_at=NOW + DAY - SECOND)

    assert may_revoke(seen, OLD.key_id, seen.seen_at) is Obstacle.OVERLAP
    later = replace(seen, seen_at=NOW + DAY)
    assert may_revoke(later, OLD.key_id, later.seen_at) is None


def test_a_key_that_was_served_before_has_the_terms_of_the_policy_and_what_the_provider_shows_of_it() -> None:
    older = marked("key-older", "5" * 16, older=40 * DAY)

    assert made(also(OLD, older)).record.previous == tuple(
        Previous(
            key_id=key.key_id,
            superseded_at=NOW,
            overlap=POLICY.overlap,
            expires_at=key.expires_at,
            member_id=key.member_id,
        )
        for key in (older, OLD)
    )


def test_what_is_in_use_is_as_vault_and_the_provider_show_it() -> None:
    record = made(LOST).record

    assert record.current == a.current()
    assert (record.lineage, record.fields, record.by_order) == (a.LINEAGE, FieldNames(), False)
    assert record.orders == (ORDER,)
    assert record.history == (
        Rotated(
            rotation_id=a.ISSUED,
            key_id=CURRENT.key_id,
            replaced_key_id=None,
            reason=RotateReason.REBUILT,
            intent_at=CURRENT.created_at,
            created_at=CURRENT.created_at,
            proven_at=NOW,
            published_at=a.current().published_at,
            version=3,
            holder=a.OBSERVER,
            policy_fingerprint=POLICY.fingerprint,
        ),
    )
    settled = replace(a.snapshot(record), matched=None)
    assert decide(POLICY, settled, NOW) == a.NOT_DUE
    assert isinstance(decide(replace(POLICY, adopt=Adopt.NOW), settled, NOW), Wait)


@pytest.mark.parametrize("rotation_id", [None, "9" * 16])
def test_the_evidence_is_of_the_rotation_that_made_the_key_whatever_the_entry_says(
    rotation_id: str | None,
) -> None:
    """A person who put the secret back by hand may have left the id out, and named the key."""
    record = made(replace(LOST, entry=a.entry(rotation_id)), CURRENT.key_id).record

    assert [one.rotation_id for one in record.history] == [a.ISSUED]
    assert record.current is not None
    assert record.current.rotation_id == rotation_id


def test_an_attempt_is_given_back_at_the_version_that_is_served() -> None:
    assert NEW.lifetime is not None
    assert made(also(NEW)).record.attempts == (
        Attempt(
            rotation_id="4" * 16,
            base=3,
            intent_at=NEW.created_at,
            comment="voice",
            asked_scopes=NEW.scopes,
            expected_scopes=NEW.scopes,
            tags=NEW.tags,
            expected_tags=NEW.tags,
            lifetime=NEW.lifetime,
            overlap=POLICY.overlap,
            reason=RotateReason.REBUILT,
            keep_until=NEW.created_at + NEW.lifetime + HOUR,
        ),
    )


def test_a_key_from_before_has_the_terms_of_the_policy() -> None:
    known = frozenset({ORIGINAL.key_id})
    month = rebuild(replace(POLICY, original=30 * DAY), matched(ORIGINAL), ORDER, known)
    assert isinstance(month, Rebuilt)

    assert month.record.originals == (a.original(ORIGINAL, superseded=timedelta(0), release_after=30 * DAY),)
    assert made(NOTHING_YET, ORIGINAL.key_id).record.originals == (a.original(ORIGINAL, superseded=None),)


def test_the_first_key_is_the_one_that_policies_know_the_lineage_by() -> None:
    pinned = replace(POLICY, select=None, keys=(("voice", "key-9"), ("other", "key-8")))

    def first(policy: object, snapshot: Snapshot, *named: str) -> str:
        rebuilt = rebuild(policy, snapshot, ORDER, frozenset(named))  # type: ignore[arg-type]
        assert isinstance(rebuilt, Rebuilt)
        return rebuilt.record.first_key_id

    assert first(pinned, LOST) == "key-9"
    assert first(POLICY, LOST) == CURRENT.key_id
    assert first(POLICY, matched(ORIGINAL), ORIGINAL.key_id) == ORIGINAL.key_id


def test_it_is_served_with_the_fields_of_the_policy() -> None:
    fields = FieldNames(secret="KEY", key_id=None)
    rebuilt = rebuild(replace(POLICY, destination=DestinationTemplate(fields=fields)), LOST, ORDER, NOBODY)

    assert isinstance(rebuilt, Rebuilt)
    assert rebuilt.record.fields == fields


def test_without_a_record_it_is_held_as_lost_until_then() -> None:
    assert decide(POLICY, LOST, NOW) == Hold(HoldReason.LOST_RECORD)


# Which journal it was


@pytest.mark.promise("P4")
def test_only_what_is_in_use_says_which_journal_it_was() -> None:
    forged = replace(CURRENT, key_id="x", comment=CURRENT.comment.replace(a.JOURNAL, OTHER_JOURNAL))
    unmarked = replace(matched(ORIGINAL), served=a.accepted(ORIGINAL.key_id))
    refused = replace(LOST, served=Served(Verdict.REFUSED))

    seen = (also(forged, OLD), LOST, refused, NOTHING_YET, unmarked, replace(LOST, entry=a.entry("9" * 16)))

    assert journals(seen) == {a.JOURNAL: 2}


def test_keys_that_records_name_say_it_too() -> None:
    forged = replace(CURRENT, key_id="x", comment=CURRENT.comment.replace(a.JOURNAL, OTHER_JOURNAL))
    theirs = marked("key-theirs", "3" * 16, journal_id=OTHER_JOURNAL)
    other = replace(a.record(), current=replace(a.current(theirs), rotation_id=a.LATER))
    gone = replace(a.record(), current=a.current(a.key("key-gone")))

    found = journals_of_records(
        (a.record(), a.fresh_record(), other, gone), (forged, CURRENT, theirs, ORIGINAL)
    )

    assert found == {a.JOURNAL: 1}


def test_an_instant_is_kept_for_when_it_was_published() -> None:
    assert made(replace(LOST, entry=a.entry(age=HOUR))).record.current == replace(
        a.current(), published_at=NOW - HOUR
    )
