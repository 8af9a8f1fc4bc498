"""Pauses as text: what was written comes back, and nothing else is taken for it."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.model.order import Pause, decode_pauses, encode_pauses, pause_of
from tests.support.canary import CANARY

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
instants = st.datetimes(datetime(1970, 1, 1), datetime(8999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (naive bounds)
pauses = st.lists(st.builds(Pause, glob=texts, who=texts, why=texts, at=instants), max_size=4).map(tuple)
GOOD = {"glob": "*", "who": "ann@desk", "why": "", "at": "2026-01-01T00:00:00Z"}


@given(pauses)
def test_pauses_come_back_as_they_were(some: tuple[Pause, ...]) -> None:
    assert decode_pauses(encode_pauses(some)) == some


@given(
    st.text()
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps)
    | st.dictionaries(st.sampled_from([*GOOD, "more"]), st.text() | st.none()).map(lambda d: json.dumps([d]))
)
def test_no_text_crashes_the_reader(text: str) -> None:
    with suppress(ValueError):
        some = decode_pauses(text)
        assert decode_pauses(encode_pauses(some)) == some


@pytest.mark.promise("P7")
@pytest.mark.parametrize("name", [*GOOD, CANARY])
def test_what_can_not_be_read_is_not_shown(name: str) -> None:
    text = json.dumps([GOOD | {name: {CANARY: CANARY}}])

    with pytest.raises(ValueError, match="its pauses can't be read") as caught:
        decode_pauses(text)

    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in str(error)
        error = error.__cause__ or error.__context__


@given(texts, pauses)
def test_any_pause_can_be_asked_about_any_lineage(lineage: str, some: tuple[Pause, ...]) -> None:
    said = pause_of(frozenset({lineage}), some)
    assert not said or any(said.startswith(one.glob) for one in some)
