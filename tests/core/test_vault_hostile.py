"""Whatever Vault, a proxy, or somebody who may write there, puts before us: a finding, or a clear error, and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.errors import PortError, Rejected
from rotator.model.entry import EntryState, FieldNames
from rotator.model.instant import LONGEST_SPAN
from rotator.model.order import Pause, decode_pauses, encode_pauses
from rotator.model.record import decode, encode
from rotator.model.secret import Secret
from rotator.policy.duration import LONGEST
from rotator.ports import Control, RecordRead
from rotator.vault import answers, fields, translate
from rotator.vault.answers import Answer, Stored
from rotator.vault.client import VaultClient
from rotator.vault.journal import VaultJournal
from rotator.vault.translate import Call
from tests.core.test_record import FULL
from tests.support.canary import CANARY

texts = st.text(max_size=8) | st.sampled_from(
    [
        "",
        CANARY,
        "\ud800",
        "9" * 40,
        "2026-01-05T12:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59+00:00",
        "0001-01-01T00:00:00+23:59",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([10**400, -1, 0]) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def bodies(shape: Mapping[str, Any]) -> st.SearchStrategy[dict[str, object]]:
    """Return documents of a shape, and such in which anything may be something else, or missing."""
    whole = {name: bodies(of) if isinstance(of, dict) else of for name, of in shape.items()}
    ragged = {name: values | of for name, of in whole.items()}
    return st.fixed_dictionaries(whole) | st.fixed_dictionaries({}, optional=ragged)


numbers = st.integers(-1, 3) | st.sampled_from([2**53, 10**12, 10**400])
METADATA = {
    "version": numbers,
    "created_time": texts,
    "deletion_time": texts,
    "destroyed": st.booleans(),
    "custom_metadata": st.none(),
}
SHAPE = {
    "errors": st.lists(texts, max_size=2),
    "data": {
        "data": st.dictionaries(texts, texts, max_size=2),
        "metadata": METADATA,
        "ttl": numbers,
        **METADATA,
    },
    "auth": {"client_token": texts, "lease_duration": numbers, "renewable": st.booleans()},
}
moments = st.sampled_from(
    [
        None,
        "",
        "Mon, 23 Nov 2026 01:11:35 GMT",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 31 Dec 9999 23:59:59 +9999",
        "Mon, 23 Nov 99999 01:11:35 GMT",
    ]
) | st.text(max_size=20)
all_answers = st.builds(
    Answer,
    status=st.sampled_from([200, 204, 301, 307, 400, 403, 404, 429, 473, 500, 503]) | st.integers(100, 999),
    at=moments.map(answers.date_header),
    retry_after=moments.map(answers.retry_after_header),
    body=st.none() | bodies(SHAPE),
)


@settings(max_examples=400)
@given(all_answers)
def test_an_answer_is_understood_or_it_is_not(answer: Answer) -> None:
    """What is understood can be reckoned with: no instant is near the ends of the calendar."""
    found, result = answers.stored(answer), answers.written(answer)
    if found is not None:
        assert found.at + LONGEST_SPAN > found.at - LONGEST_SPAN
        assert found.created_at is None or found.created_at + LONGEST_SPAN > found.created_at - LONGEST_SPAN
        assert found.version <= 2**53
        fields.entry_of(found, FieldNames())
        fields.secret_of(found, FieldNames())
        fields.too_large(found.data, FieldNames())
    if result is not None:
        assert result.deletion_at is None or result.deletion_at + LONGEST_SPAN > result.deletion_at
    for grant in (answers.granted(answer), answers.looked_up(answer, Secret("x"))):
        if grant is not None:
            assert grant.token.reveal().isascii()
            assert timedelta(0) <= grant.lasts < LONGEST_SPAN


@settings(max_examples=200)
@given(all_answers, st.booleans())
def test_every_refusal_is_an_error_of_ours_that_repeats_nothing(answer: Answer, writes: bool) -> None:  # noqa: FBT001
    error = translate.refusal(Call(operation="read", target="secret/a", writes=writes), answer)
    assert isinstance(error, PortError)
    assert str(error).isascii()
    assert CANARY not in str(error)


@given(moments)
def test_a_header_is_read_or_it_is_not(header: str | None) -> None:
    at = answers.date_header(header)
    assert at is None or at + LONGEST_SPAN > at - LONGEST_SPAN
    answers.retry_after_header(header)


@given(st.text() | st.from_regex(r"https?://[a-z\[\]:@%0-9]{1,12}/v1/a", fullmatch=True))
def test_a_redirect_leads_to_the_same_path_or_nowhere(location: str) -> None:
    origin = answers.moved_to("https://vault:8200/v1/a", location)
    assert origin is None or re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#@]+", origin)


# The journal


@dataclass(frozen=True, slots=True)
class Holding:
    """A Vault in which each entry holds the same."""

    data: Mapping[str, object]

    async def read(self, _operation: str, _mount: str, _path: str) -> Stored:
        at = datetime(2026, 1, 5, 12, tzinfo=UTC)
        return Stored(state=EntryState.PRESENT, version=3, created_at=at, at=at, data=self.data)


def read(data: Mapping[str, object]) -> tuple[RecordRead | Rejected, Control | Rejected | None]:
    """Return what a journal makes of an entry, taken for the record of `FULL` and for the control record."""
    journal = VaultJournal(cast("VaultClient", Holding(data)), mount="secret", prefix="journal")

    async def both() -> tuple[RecordRead | Rejected, Control | Rejected | None]:
        record, control = await asyncio.gather(
            journal.read(FULL.lineage.record_name), journal.control(), return_exceptions=True
        )
        for outcome in (record, control):
            if isinstance(outcome, BaseException) and not isinstance(outcome, Rejected):
                raise outcome
        return cast("tuple[RecordRead | Rejected, Control | Rejected | None]", (record, control))

    return asyncio.run(both())


GOOD = {"format": "1", "lineage": FULL.lineage.name, "record": encode(FULL)}
GOOD_CONTROL = {"format": "1", "instance": "here", "journal_id": "c0ffee123456", "pauses": "[]"}


def test_the_good_ones_are_read() -> None:
    record, _ = read(GOOD)
    _, control = read(GOOD_CONTROL)
    assert isinstance(record, RecordRead)
    assert record.record == FULL
    assert isinstance(control, Control)


documents = st.dictionaries(texts, values, max_size=4) | st.builds(
    lambda good, changes: {**good, **changes},
    st.sampled_from([GOOD, GOOD_CONTROL]),
    st.dictionaries(
        st.sampled_from([*GOOD, *GOOD_CONTROL, "more"]),
        values | values.map(json.dumps),
        min_size=1,
        max_size=2,
    ),
)


@settings(max_examples=200)
@given(documents)
def test_whatever_is_in_the_journal_is_read_or_rejected(data: dict[str, object]) -> None:
    for outcome in read(data):
        if isinstance(outcome, Rejected):
            assert CANARY not in str(outcome)
        elif isinstance(outcome, RecordRead):
            assert outcome.record is not None
            assert outcome.record.lineage == FULL.lineage


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "2"}, "it has another format than the record in it"),
        ({"more": "x"}, "it has other fields than the texts format, lineage, record"),
        (
            {"record": encode(FULL).replace('"format":1', '"format":2')},
            "a newer rotator wrote it, in format 2; only a rotator that knows format 2 may act by it",
        ),
        ({"lineage": "secret/another"}, "it is the record of another lineage"),
        ({"record": encode(FULL).replace('"path":"voice"', '"path":"../voice"')}, "another lineage"),
        ({"record": "[" * 5_000_000}, "not a journal record"),
    ],
)
def test_a_record_of_a_newer_version_and_a_forged_one_are_told(changes: dict[str, str], says: str) -> None:
    outcome, _ = read(GOOD | changes)
    assert isinstance(outcome, Rejected)
    assert re.search(says, str(outcome))


# Instants and spans, wherever a record has them

Place = tuple[str | int, ...]


def leaves(inner: Any, place: Place = ()) -> Iterator[tuple[Place, object]]:  # noqa: ANN401 (whatever JSON can hold)
    if isinstance(inner, dict):
        for name, value in inner.items():
            yield from leaves(value, (*place, name))
    elif isinstance(inner, list):
        for number, value in enumerate(inner):
            yield from leaves(value, (*place, number))
    else:
        yield place, inner


def places(pattern: str) -> list[Place]:
    """Return where the full record has a text of that form."""
    return [
        place
        for place, value in leaves(json.loads(encode(FULL)))
        if isinstance(value, str) and re.fullmatch(pattern, value)
    ]


INSTANTS, SPANS = places(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T.*"), places(r"-?P[0-9T].*")


def with_text(place: Place, text: str) -> str:
    document = json.loads(encode(FULL))
    inner: Any = document
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = text
    return json.dumps(document)


def test_the_full_record_has_instants_and_spans() -> None:
    assert len(INSTANTS) > 15
    assert len(SPANS) > 3


def named(place: Place) -> str:
    return ".".join(map(str, place))


@pytest.mark.parametrize("place", INSTANTS, ids=named)
@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"],
)
def test_an_instant_near_the_ends_of_the_calendar_is_refused(place: Place, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"(at: {named(place)}")):
        decode(with_text(place, text))


@pytest.mark.parametrize("place", SPANS, ids=named)
@pytest.mark.parametrize("text", ["-PT1S", "P999999999D", "P36501D"])
def test_a_span_that_is_negative_or_longer_than_all_history_is_refused(place: Place, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"(at: {named(place)}")):
        decode(with_text(place, text))


def test_whatever_a_policy_asks_for_can_be_remembered() -> None:
    assert LONGEST_SPAN == LONGEST
    decode(with_text(SPANS[0], "P36500D"))


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-05T12:00:00"])
def test_a_pause_with_such_an_instant_is_refused(text: str) -> None:
    at = datetime(2026, 1, 5, 12, tzinfo=UTC)
    good = encode_pauses((Pause(glob="*", who="ann", why="a freeze", at=at),))
    assert decode_pauses(good)
    with pytest.raises(ValueError, match="can't be read by this version"):
        decode_pauses(good.replace("2026-01-05T12:00:00Z", text))
