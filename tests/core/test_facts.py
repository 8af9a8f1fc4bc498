"""What a snapshot means: whose a marked key is, and whether the destination serves the current key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.model.entry import Served, Verdict
from rotator.model.key import Key, Mark
from rotator.model.record import Claim, Record
from rotator.model.snapshot import Snapshot
from rotator.plan import facts
from tests.support import builders as a
from tests.support.builders import CURRENT, HOUR, JOURNAL, LATER, LINEAGE, MINUTE, NOW, SCOPES, SETTLED, TICK

ATTEMPT = a.attempt(LATER, base=3, age=2 * HOUR)
OURS = a.made(ATTEMPT, "key-found")

Change = Callable[[Key], Key]


def looking_at(key: Key) -> Snapshot:
    return a.snapshot(a.record(attempts=[ATTEMPT]), also=[key])


def mark(journal_id: str = JOURNAL, lineage_id: str = LINEAGE.lineage_id, rotation_id: str = LATER) -> Change:
    return lambda key: replace(key, comment=Mark(journal_id, lineage_id, rotation_id).put_on("voice"))


def created(after_intent: timedelta) -> Change:
    return lambda key: replace(key, created_at=ATTEMPT.intent_at + after_intent)


def with_changes(**changes: object) -> Change:
    return lambda key: replace(key, **changes)  # type: ignore[arg-type]


# Orphans and strays: promise P4

COUNTS: dict[str, Change] = {
    "as it was asked for": mark(),
    "created a minute before the intent": created(-MINUTE),
    "created an hour after the intent": created(HOUR),
    "with other tags": with_changes(tags=frozenset({"other"})),
    "with another expiry": with_changes(expires_at=None),
    "with another comment before the mark": lambda key: replace(key, comment=f"x {key.comment}"),
}

STRAY: dict[str, Change] = {
    "with a rotation id that the record did not issue": mark(rotation_id="9" * 16),
    "created more than a minute before the intent": created(-MINUTE - TICK),
    "created more than an hour after the intent": created(HOUR + TICK),
    "owned by another member": with_changes(member_id="somebody"),
    "owned by nobody knows whom": with_changes(member_id=None),
    "with fewer scopes": with_changes(scopes=frozenset({"listen"})),
    "with more scopes": with_changes(scopes=SCOPES | {"admin"}),
}

FOREIGN: dict[str, Change] = {
    "with another journal's mark": mark(journal_id="f" * 12),
    "with another lineage's mark": mark(lineage_id="e" * 12),
    "without a mark": with_changes(comment="voice"),
    "with text after the mark": lambda key: replace(key, comment=f"{key.comment} x"),
}


@pytest.mark.promise("P2", "P4")
@pytest.mark.parametrize("name", COUNTS)
def test_a_marked_key_is_an_orphan(name: str) -> None:
    seen = looking_at(COUNTS[name](OURS))

    assert [(key.key_id, by) for key, by in facts.orphans(seen)] == [("key-found", ATTEMPT)]
    assert facts.strays(seen) == ()


@pytest.mark.promise("P4")
@pytest.mark.parametrize("name", STRAY)
def test_a_marked_key_is_a_stray(name: str) -> None:
    key = STRAY[name](OURS)

    assert facts.orphans(looking_at(key)) == ()
    assert facts.strays(looking_at(key)) == (key,)


@pytest.mark.promise("P4")
@pytest.mark.parametrize("name", FOREIGN)
def test_a_key_is_neither_orphan_nor_stray_of_this_lineage(name: str) -> None:
    seen = looking_at(FOREIGN[name](OURS))

    assert facts.orphans(seen) == ()
    assert facts.strays(seen) == ()


def test_scopes_may_be_those_asked_for_or_those_that_the_provider_makes_of_them() -> None:
    expands = replace(ATTEMPT, asked_scopes=frozenset({"member"}), expected_scopes=SCOPES)
    record = a.record(attempts=[expands])

    for scopes in (frozenset({"member"}), SCOPES):
        assert len(facts.orphans(a.snapshot(record, also=[replace(OURS, scopes=scopes)]))) == 1
    for scopes in (SCOPES | {"member"}, frozenset[str]()):
        assert facts.orphans(a.snapshot(record, also=[replace(OURS, scopes=scopes)])) == ()


@pytest.mark.parametrize(
    "record",
    [
        a.record(serves=replace(a.current(), key=replace(a.current().key, key_id="key-found"))),
        a.record(previous=[a.previous("key-found")]),
        a.record(originals=[a.original(replace(OURS, comment="voice"))]),
    ],
    ids=["current", "previous", "original"],
)
def test_a_key_that_the_record_names_is_neither_orphan_nor_stray(record: Record) -> None:
    seen = replace(looking_at(OURS), record=replace(record, attempts=(ATTEMPT,)))

    assert facts.orphans(seen) == ()
    assert facts.strays(seen) == ()


def test_without_a_record_no_key_is_an_orphan_or_a_stray() -> None:
    seen = a.unrecorded(None, also=[OURS])

    assert facts.marked_for_us(seen) == (OURS,)
    assert facts.orphans(seen) == ()
    assert facts.strays(seen) == ()


def test_an_orphan_that_has_expired_on_the_providers_clock_is_one_that_does_not_work() -> None:
    expired = looking_at(replace(OURS, expires_at=NOW))
    alive = looking_at(replace(OURS, expires_at=NOW + TICK))

    assert [len(facts.orphans(seen)) for seen in (expired, alive)] == [1, 1]
    assert [len(facts.unserved(seen, NOW)) for seen in (expired, alive)] == [0, 1]
    assert facts.unserved(replace(alive, provider_skew=TICK), NOW) == ()


# Which key counts


def test_the_current_key_counts_before_any_original() -> None:
    first, last = a.original(a.key("key-first")), a.original(a.key("key-last"))
    record = a.record(originals=[first, last])

    assert facts.head(record) == a.current().key
    assert facts.head(replace(record, current=None)) == last.key
    assert facts.head(replace(record, current=None, originals=())) is None


# Does the destination serve the current key?


def entry(**changes: object) -> Snapshot:
    return replace(SETTLED, entry=replace(SETTLED.entry, **changes))  # type: ignore[arg-type]


def no_id(seen: Snapshot) -> Snapshot:
    """Change to a provider whose self-check does not say the key's id."""
    return replace(seen, served=a.accepted(None))


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(SETTLED, id="as published"),
        pytest.param(entry(version=9), id="at a later version"),
        pytest.param(entry(key_id=None), id="without a field for the id"),
        pytest.param(
            entry(key_id="key-9"), id="with another id in the field, which the self-check overrules"
        ),
        pytest.param(
            replace(SETTLED, keys=()), id="of a key that is not listed, which the self-check overrules"
        ),
        pytest.param(no_id(SETTLED), id="by the entry's id and the list"),
        pytest.param(no_id(entry(key_id=None)), id="by the list alone"),
    ],
)
def test_the_destination_serves_the_current_key(seen: Snapshot) -> None:
    assert facts.serves_current(seen)


@pytest.mark.promise("P1", "P3")
@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(replace(SETTLED, record=None), id="no record"),
        pytest.param(a.snapshot(a.fresh_record()), id="nothing published"),
        pytest.param(replace(SETTLED, entry=a.NO_ENTRY), id="no entry"),
        pytest.param(replace(SETTLED, entry=a.deleted_entry()), id="deleted entry"),
        pytest.param(entry(rotation_id=LATER), id="another rotation id"),
        pytest.param(entry(rotation_id=None), id="no rotation id"),
        pytest.param(entry(version=2), id="an earlier version"),
        *(
            pytest.param(replace(SETTLED, served=Served(verdict, CURRENT.key_id)), id=f"{verdict}")
            for verdict in Verdict
            if verdict is not Verdict.ACCEPTED
        ),
        pytest.param(replace(SETTLED, served=a.accepted("key-9")), id="another key's secret"),
        pytest.param(no_id(entry(key_id="key-9")), id="no id said, another id in the entry"),
        pytest.param(replace(no_id(SETTLED), keys=()), id="no id said, the key not listed"),
    ],
)
def test_the_destination_is_not_shown_to_serve_the_current_key(seen: Snapshot) -> None:
    assert not facts.serves_current(seen)


# Claims


def test_a_claim_of_another_ends_its_length_and_a_margin_after_it_was_written() -> None:
    theirs = a.with_record(replace(SETTLED, record_written_at=NOW), claim=Claim("replica-b", 10 * MINUTE))

    assert facts.claimed_until(theirs) == NOW + 10 * MINUTE + facts.CLAIM_MARGIN
    assert facts.claimed_until(replace(theirs, observer="replica-b")) is None
    assert facts.claimed_until(replace(theirs, record_written_at=None)) is None
    assert facts.claimed_until(SETTLED) is None
    assert facts.claimed_until(replace(theirs, record=None)) is None


# A key that its own minter noted


@pytest.mark.promise("P2")
def test_an_unfit_key_that_could_not_be_deleted_is_ours_by_the_note_of_its_minter() -> None:
    attempt = a.attempt(a.LATER)
    unfit = replace(a.made(attempt, "key-unfit"), scopes=frozenset({"admin"}))
    noted = replace(attempt, key_id="key-unfit")

    assert facts.orphans(a.snapshot(a.record(attempts=[attempt]), also=[unfit])) == ()
    assert facts.orphans(a.snapshot(a.record(attempts=[noted]), also=[unfit])) == ((unfit, noted),)


@pytest.mark.promise("P4")
def test_nobody_s_key_is_ours_where_the_provider_does_not_say_who_made_it() -> None:
    attempt = a.attempt(a.LATER)
    made = replace(a.made(attempt, "key-x"), member_id=None)
    seen = replace(a.snapshot(a.record(attempts=[attempt]), also=[made]), management_member_id=None)

    assert facts.orphans(seen) == ()
