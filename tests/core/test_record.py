"""The journal record as text: what is written is read back, and nothing else is taken for a record."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.model.entry import FieldNames
from rotator.model.entry import Place as ServedPlace
from rotator.model.lineage import Lineage
from rotator.model.order import Order, OrderKind
from rotator.model.reason import CopyReason, HoldReason, RevokeReason, RotateReason
from rotator.model.record import (
    HISTORY_KEPT,
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
    Rights,
    Rotated,
    decode,
    encode,
)
from tests.support import builders as a
from tests.support import canary
from tests.support.builders import DAY, HOUR, NOW, SCOPES

texts = st.text(max_size=20)
names = st.frozensets(texts, max_size=3)
instants = st.datetimes(datetime(1970, 1, 1), datetime(9000, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 (in `timezones`)
spans = st.timedeltas(timedelta(0), 36_500 * DAY)
versions = st.integers(0, 2**53)

known_keys = st.builds(
    KnownKey,
    key_id=texts,
    comment=texts,
    asked_scopes=names,
    scopes=names,
    tags=names,
    created_at=instants,
    expires_at=st.none() | instants,
    member_id=st.none() | texts,
)
rights = st.builds(Rights, scopes=names, tags=names)
orders = st.builds(Order, kind=st.sampled_from(OrderKind), who=texts, why=texts, at=instants, place=texts)
field_names = st.builds(FieldNames, secret=texts, key_id=st.none() | texts)
places = st.builds(ServedPlace, mount=texts, path=texts, fields=field_names)
failures = st.builds(
    Failure,
    count=versions,
    tried=st.sampled_from([*RotateReason, *CopyReason, *RevokeReason]),
    what=texts,
    failed_at=instants,
    next_try_at=instants,
    policy_fingerprint=texts,
)
records = st.builds(
    Record,
    lineage=st.builds(
        Lineage,
        provider=texts,
        project_id=texts,
        namespace=texts,
        mount=texts,
        path=texts,
        began_at=st.none() | st.tuples(texts, texts),
    ),
    first_key_id=texts,
    adopted_at=instants,
    fields=field_names,
    current=st.none()
    | st.builds(
        Current, key=known_keys, rotation_id=st.none() | texts, version=versions, published_at=instants
    ),
    previous=st.lists(
        st.builds(
            Previous,
            key_id=texts,
            superseded_at=instants,
            overlap=spans,
            expires_at=st.none() | instants,
        ),
        max_size=2,
    ).map(tuple),
    originals=st.lists(
        st.builds(
            Original,
            key=known_keys,
            superseded_at=st.none() | instants,
            overlap=st.none() | spans,
            release_after=st.none() | spans,
            released_at=st.none() | instants,
        ),
        max_size=1,
    ).map(tuple),
    attempts=st.lists(
        st.builds(
            Attempt,
            rotation_id=texts,
            base=versions,
            intent_at=instants,
            comment=texts,
            asked_scopes=names,
            expected_scopes=names,
            tags=names,
            expected_tags=names,
            lifetime=st.none() | spans,
            overlap=spans,
            reason=st.sampled_from(RotateReason),
            keep_until=instants,
            void=st.booleans(),
        ),
        max_size=1,
    ).map(tuple),
    rotate_failure=st.none() | failures,
    copy_failure=st.none() | failures,
    revoke_failure=st.none() | failures,
    hold=st.none()
    | st.builds(
        RecordedHold,
        reason=st.sampled_from(HoldReason),
        detail=texts,
        since=instants,
        policy_fingerprint=texts,
        offered=st.none() | rights,
    ),
    claim=st.none() | st.builds(Claim, texts, spans),
    history=st.lists(
        st.builds(
            Rotated,
            rotation_id=texts,
            key_id=texts,
            replaced_key_id=st.none() | texts,
            reason=st.sampled_from(RotateReason),
            intent_at=instants,
            created_at=instants,
            proven_at=instants,
            published_at=instants,
            version=versions,
            holder=texts,
            policy_fingerprint=texts,
        ),
        max_size=1,
    ).map(tuple),
    by_order=st.booleans(),
    forgotten=st.booleans(),
    accepted=st.none() | rights,
    standing=st.none() | orders,
    retired=st.lists(
        st.builds(
            Retired,
            key_id=texts,
            reason=st.sampled_from(RevokeReason),
            revoked_at=instants,
            served_key_id=texts,
            served_version=versions,
            holder=texts,
        ),
        max_size=1,
    ).map(tuple),
    orders=st.lists(orders, max_size=1).map(tuple),
    publishes_at=st.none() | places,
    also_at=st.lists(
        st.builds(Copied, place=places, key_id=st.none() | texts, version=versions), max_size=2
    ).map(tuple),
)

FULL = replace(
    a.record(previous=[a.previous()], originals=[a.original(released=True)], attempts=[a.attempt(a.LATER)]),
    revoke_failure=a.failure(RevokeReason.OVERLAP_ENDED),
    rotate_failure=a.failure(RotateReason.DUE_BY_EXPIRY),
    hold=a.hold(HoldReason.PARITY),
    claim=Claim(a.OBSERVER, 10 * a.MINUTE),
    by_order=True,
    forgotten=True,
    accepted=Rights(scopes=SCOPES, tags=a.TAGS),
    standing=a.order(),
    copy_failure=a.failure(CopyReason.MOVED),
    publishes_at=a.PLACE,
    also_at=(Copied(place=a.THERE, key_id="key-current", version=1),),
    retired=(a.retired(),),
    orders=(a.order(),),
)
"""A record with something in every part."""


@settings(max_examples=200)
@given(records)
def test_what_is_written_is_read_back(record: Record) -> None:
    assert decode(encode(record)) == record


def test_the_full_record_leaves_no_part_empty() -> None:
    assert all(getattr(FULL, part.name) for part in fields(Record) if part.name != "unknown")
    assert decode(encode(FULL)) == FULL


def test_the_same_record_is_the_same_text_in_whatever_order_its_names_were_seen() -> None:
    one = replace(a.attempt(), tags=frozenset(["a", "b", "c", "d"]))
    other = replace(a.attempt(), tags=frozenset(["d", "c", "b", "a"]))

    assert encode(replace(FULL, attempts=(one,))) == encode(replace(FULL, attempts=(other,)))


def test_instants_of_other_zones_are_the_same_instants() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))

    found = decode(encode(replace(FULL, hold=replace(a.hold(HoldReason.PARITY), since=elsewhere)))).hold

    assert found is not None
    assert found.since == NOW
    assert found.since.tzinfo is UTC, "with a zone of its own each takes more memory"


# Strictness

Place = tuple[str | int, ...]


def changed(place: Place, value: object) -> str:
    """Return the full record's text with another value in one place."""
    document = json.loads(encode(FULL))
    inner: Any = document
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return json.dumps(document)


def without(name: str) -> str:
    return json.dumps({other: value for other, value in json.loads(encode(FULL)).items() if other != name})


SECRET = canary.secret_text("record")

REFUSED: dict[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "a secret": lambda: SECRET,
    "a text": lambda: json.dumps(SECRET),
    "null": lambda: "null",
    "a list": lambda: json.dumps([SECRET]),
    "cut off": lambda: changed(("hold", "detail"), SECRET)[:-1],
    "something behind it": lambda: encode(FULL) + SECRET,
    "endless nesting": lambda: "[" * 100_000,
    "a lone surrogate": lambda: f'"\ud800{SECRET}"',
    "an escaped lone surrogate": lambda: changed(("hold", "detail"), f"\ud800{SECRET}"),
    "an unknown field": lambda: changed(("more",), SECRET),
    "an unknown field whose name is a secret": lambda: changed((SECRET,), 1),
    "an unknown field further in": lambda: changed(("current", "more"), SECRET),
    "an unknown field further in whose name is a secret": lambda: changed(("current", "key", SECRET), 1),
    "a format that is a text": lambda: changed(("format",), "1"),
    "no lineage": lambda: without("lineage"),
    "no word on the current key": lambda: without("current"),
    "a lineage that is a secret": lambda: changed(("lineage",), SECRET),
    "an unknown reason": lambda: changed(("hold", "reason"), SECRET),
    "a reason to wait as what was tried": lambda: changed(("revoke_failure", "tried"), "not_due"),
    "a number for a text": lambda: changed(("hold", "detail"), 7),
    "a list for a text": lambda: changed(("hold", "detail"), [SECRET]),
    "a text for a list": lambda: changed(("previous",), SECRET),
    "a text for names": lambda: changed(("current", "key", "scopes"), SECRET),
    "a text for a version": lambda: changed(("current", "version"), "3"),
    "a yes for a version": lambda: changed(("current", "version"), True),  # noqa: FBT003 (a JSON value)
    "half a version": lambda: changed(("current", "version"), 3.5),
    "null for a version": lambda: changed(("current", "version"), None),
    "a text for an instant": lambda: changed(("current", "published_at"), SECRET),
    "a number for an instant": lambda: changed(("current", "published_at"), 1_767_614_400),
    "an instant without a zone": lambda: changed(("current", "published_at"), "2026-01-05T12:00:00"),
    "a day for an instant": lambda: changed(("current", "published_at"), "2026-01-05"),
    "a number for a length of time": lambda: changed(("previous", 0, "overlap"), 86_400),
    "a length of time beyond all measure": lambda: changed(("previous", 0, "overlap"), "P9999999999D"),
}


@pytest.mark.promise("P7")
@pytest.mark.parametrize("name", REFUSED)
def test_a_text_that_is_no_record_is_refused_without_showing_it(name: str) -> None:
    with pytest.raises(ValueError, match=r"^not a journal record that this version can read \(at: .+\)$"):
        decode(REFUSED[name]())


@pytest.mark.parametrize(
    "place",
    [
        ("current", "published_at"),
        ("current", "key", "created_at"),
        ("current", "key", "expires_at"),
        ("previous", 0, "superseded_at"),
        ("previous", 0, "expires_at"),
        ("originals", 0, "superseded_at"),
        ("originals", 0, "released_at"),
        ("attempts", 0, "intent_at"),
        ("attempts", 0, "keep_until"),
        ("rotate_failure", "failed_at"),
        ("rotate_failure", "next_try_at"),
        ("revoke_failure", "next_try_at"),
        ("hold", "since"),
        ("adopted_at",),
        ("history", 0, "published_at"),
        ("history", 0, "proven_at"),
        ("retired", 0, "revoked_at"),
        ("orders", 0, "at"),
        ("standing", "at"),
    ],
    ids=lambda place: ".".join(map(str, place)),
)
def test_every_instant_needs_a_zone_because_others_can_not_be_compared(place: Place) -> None:
    decode(changed(place, "2026-01-05T12:00:00Z"))

    with pytest.raises(ValueError, match="not a journal record"):
        decode(changed(place, "2026-01-05T12:00:00"))


@settings(max_examples=200)
@given(
    st.text() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps)
)
def test_any_other_text_is_refused_and_nothing_worse(text: str) -> None:
    with pytest.raises(ValueError, match="not a journal record that this version can read"):
        decode(text)


@settings(max_examples=200)
@given(
    st.sampled_from(
        [
            ("format",),
            ("current",),
            ("current", "version"),
            ("current", "published_at"),
            ("previous",),
            ("previous", 0, "overlap"),
            ("revoke_failure", "tried"),
            ("attempts", 0),
            ("claim", "ttl"),
        ]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=5,
    ),
)
def test_a_hostile_value_gives_a_record_or_a_refusal_and_nothing_else(place: Place, value: object) -> None:
    try:
        record = decode(changed(place, value))
    except ValueError as error:
        assert str(error).startswith("not a journal record that this version can read")  # noqa: PT017 (either is right)
    else:
        assert decode(encode(record)) == record


# Size


def large_record() -> Record:
    """Return a record with as much in it as the planner lets come together, with long names."""
    scopes = frozenset(f"project:members:scope-{n}" for n in range(10))
    key = KnownKey.seen(replace(a.key(), comment="c" * 200, scopes=scopes, tags=scopes, key_id="k" * 36))
    attempt = replace(
        a.attempt(), comment="c" * 200, asked_scopes=scopes, expected_scopes=scopes, tags=scopes
    )
    return replace(
        FULL,
        current=replace(a.current(), key=key),
        previous=tuple(a.previous(f"{n:036x}") for n in range(10)),
        originals=(Original(key=key),),
        attempts=tuple(replace(attempt, rotation_id=f"{n:016x}") for n in range(50)),
        orders=(replace(a.order(), who="w" * 60, why="y" * 500),) * HISTORY_KEPT,
        retired=(a.retired(),) * HISTORY_KEPT,
        history=(a.rotated(),) * HISTORY_KEPT,
    )


def test_fifty_attempts_fit_well_into_an_entry_of_vault() -> None:
    least_limit_of_a_storage = 512 * 1024

    assert len(encode(large_record())) < least_limit_of_a_storage / 4


# What the record says


def test_it_knows_the_keys_and_attempts_that_it_names() -> None:
    assert FULL.known_key_ids() == {"key-current", "key-old", "key-original"}
    assert replace(FULL, current=None).known_key_ids() == {"key-old", "key-original"}
    assert FULL.attempt(a.LATER) == a.attempt(a.LATER)
    assert FULL.attempt("9" * 16) is None
    assert FULL.attempt(None) is None


def test_a_key_is_remembered_without_our_mark_and_asked_for_again_as_it_was_asked() -> None:
    known = KnownKey.seen(a.CURRENT, asked_scopes=frozenset({"member"}))

    assert known.comment == "voice"
    assert known.asked_scopes == {"member"}
    assert known.scopes == SCOPES
    assert KnownKey.seen(a.CURRENT).asked_scopes == SCOPES


def test_the_mark_of_an_attempt_leads_back_to_it() -> None:
    mark = FULL.mark(a.JOURNAL, a.ISSUED)

    assert (mark.journal_id, mark.lineage_id, mark.rotation_id) == (
        a.JOURNAL,
        a.LINEAGE.lineage_id,
        a.ISSUED,
    )


def test_an_hour_and_a_day_are_written_so_that_people_can_read_them() -> None:
    text = json.loads(encode(replace(FULL, claim=Claim("x", HOUR))))

    assert text["claim"]["ttl"] == "PT1H"
    assert text["previous"][0]["overlap"] == "P1D"
    assert datetime.fromisoformat(text["hold"]["since"]) == NOW - HOUR


def test_a_lineage_is_served_where_it_began_until_it_is_moved() -> None:
    of = a.record()

    assert of.place == of.destination == a.PLACE
    assert of.places == (a.PLACE,)


def test_after_a_move_publishes_land_at_the_place_before_and_the_present_one_follows() -> None:
    of = a.moved()

    assert (of.place, of.destination) == (a.THERE, a.PLACE)
    assert of.places == (a.PLACE, a.THERE)


def test_a_place_is_called_by_its_field_only_where_another_one_is_in_the_same_entry() -> None:
    assert a.moved().label(a.THERE) == "kv/moved"
    assert a.moved().label(a.PLACE) == "secret/voice"
    fields = a.moved(to=a.OTHER_FIELDS)
    assert (fields.label(a.PLACE), fields.label(a.OTHER_FIELDS)) == (
        "secret/voice#api_key",
        "secret/voice#KEY",
    )


@pytest.mark.promise("P2")
def test_an_attempt_of_a_place_that_was_given_up_is_closed_whatever_its_base() -> None:
    late = a.attempt(a.LATER, base=99)

    assert not a.record().closed(late)
    assert a.record().closed(replace(late, void=True))


# Where a lineage began


@pytest.mark.promise("P2")
def test_a_moved_lineage_is_found_by_the_marks_and_the_record_that_it_began_with() -> None:
    moved = a.LINEAGE.at(a.THERE)

    assert moved.name == "kv/moved"
    assert (moved.lineage_id, moved.record_name) == (a.LINEAGE.lineage_id, a.LINEAGE.record_name)
    again = moved.at(replace(a.THERE, path="again"))
    assert (again.name, again.lineage_id) == ("kv/again", a.LINEAGE.lineage_id)
    assert moved.at(a.PLACE) == a.LINEAGE


def test_two_lineages_that_were_at_one_place_one_after_the_other_are_not_one() -> None:
    successor = replace(a.LINEAGE, mount="kv", path="moved")

    assert successor.name == a.LINEAGE.at(a.THERE).name
    assert successor.lineage_id != a.LINEAGE.at(a.THERE).lineage_id
