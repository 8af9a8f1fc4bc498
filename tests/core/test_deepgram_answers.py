"""Reading Deepgram's answers: whatever comes, it is understood or refused, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.model.key import Key
from rotator.providers import deepgram_answers as answers
from rotator.providers.deepgram_answers import Listed
from tests.support.canary import CANARY

ASKED = Listed("k-1", "m-list")
WHOLE: dict[str, Any] = {
    "api_key_id": "k-1",
    "comment": "an app",
    "scopes": ["usage:write"],
    "tags": ["a"],
    "created": "2026-01-01T00:00:00.5Z",
    "expiration_date": "2026-02-01T00:00:00Z",
}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = st.sampled_from([*WHOLE, "api_key", "api_keys", "item", "member", "member_id", "key", "category"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def flat(**changes: object) -> dict[str, Any]:
    return {"member": {"member_id": "m"}, "api_key": {**WHOLE, **changes}}


@given(JSON)
def test_any_json_is_read_or_refused_with_a_value_error(body: object) -> None:
    for parse in (answers.listed, answers.minted, answers.own_id, lambda b: answers.key(b, ASKED)):
        try:
            parse(body)
        except ValueError:
            continue
    code = answers.error_code(body)
    assert code is None or code in answers.CODES


@given(name=st.sampled_from(list(WHOLE)), value=JSON)
def test_one_odd_field_is_read_or_refused(name: str, value: object) -> None:
    try:
        read = answers.key(flat(**{name: value}), ASKED)
    except ValueError:
        return
    assert read.key_id == "k-1"
    assert all(isinstance(text, str) for text in (read.comment, *read.scopes, *read.tags))
    assert read.created_at.tzinfo is UTC


@pytest.mark.promise("P5")
@pytest.mark.parametrize("missing", ["api_key_id", "scopes", "created"])
def test_a_key_that_lacks_what_is_always_there_is_refused(missing: str) -> None:
    body = flat()
    del body["api_key"][missing]
    with pytest.raises(ValueError, match=r".+"):
        answers.key(body, ASKED)


@pytest.mark.parametrize("nothing", [None, "absent", []])
def test_trap_2_absent_null_and_empty_tags_are_alike(nothing: object) -> None:
    body = flat(tags=nothing)
    if nothing == "absent":
        del body["api_key"]["tags"]
    assert answers.key(body, ASKED).tags == frozenset()


@pytest.mark.promise("P5")
@pytest.mark.parametrize("odd", ["", 0, False, "never", "2026-02-01", "2026-02-01T00:00:00", [], {}])
def test_trap_2_an_odd_expiry_never_reads_as_no_expiry(odd: object) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        answers.key(flat(expiration_date=odd), ASKED)


def test_the_member_comes_from_the_list_where_the_key_does_not_say_it() -> None:
    body = {"api_key": WHOLE}
    assert answers.key(body, ASKED) == Key(
        key_id="k-1",
        comment="an app",
        scopes=frozenset({"usage:write"}),
        tags=frozenset({"a"}),
        created_at=datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC),
        expires_at=datetime(2026, 2, 1, tzinfo=UTC),
        member_id="m-list",
    )


def test_a_missing_comment_is_an_empty_one() -> None:
    assert answers.key(flat(comment=None), ASKED).comment == ""


def test_half_a_character_is_refused_where_it_could_not_be_stored() -> None:
    with pytest.raises(ValueError, match="text"):
        answers.key(flat(comment="\ud800"), ASKED)


def test_a_key_listed_twice_is_one_key() -> None:
    item = {"member": {"member_id": "m"}, "api_key": {"api_key_id": "k-1"}}
    assert answers.listed({"api_keys": [item, item]}) == (Listed("k-1", "m"),)


@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001 (zone added below)
    st.integers(0, 9),
    st.integers(-14 * 60, 14 * 60),
)
def test_timestamps_are_read_with_any_fraction_and_any_zone(
    local: datetime, digits: int, minutes: int
) -> None:
    fraction = f"{local.microsecond:06d}789"[:digits]
    sign, offset = ("-" if minutes < 0 else "+"), abs(minutes)
    text = local.strftime("%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "")
    read = answers.moment(f"{local.year:04d}-{text}{sign}{offset // 60:02d}:{offset % 60:02d}")
    cut = int(fraction.ljust(6, "0")[:6])
    assert read == local.replace(microsecond=cut, tzinfo=UTC) - timedelta(minutes=minutes)
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.0000000000Z",
        "2026-01-01T00:00:00+99:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "٢٠٢٦-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
        1767225600,
        None,
    ],
)
def test_trap_3_anything_else_is_no_timestamp(odd: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        answers.moment(odd)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"category": "INVALID_JSON", "message": "x", "details": "y"}, "INVALID_JSON"),
        ({"err_code": "INVALID_AUTH", "err_msg": "x"}, "INVALID_AUTH"),
        ({"error_code": "PROJECT_NOT_FOUND"}, "PROJECT_NOT_FOUND"),
        ({"err_code": "TOO MANY REQUESTS"}, "TOO_MANY_REQUESTS"),
        ({"category": 7, "err_code": "NOT_FOUND"}, "NOT_FOUND"),
        ({"err_code": CANARY}, None),
        ("INVALID_AUTH", None),
        (None, None),
    ],
)
def test_only_codes_of_a_closed_list_are_shown(body: object, code: str | None) -> None:
    assert answers.error_code(body) == code


@pytest.mark.promise("P7")
@given(JSON)
def test_no_refusal_holds_the_body(body: object) -> None:
    for parse in (answers.listed, answers.minted, answers.own_id, lambda b: answers.key(b, ASKED)):
        try:
            parse(
                {
                    "api_key_id": CANARY,
                    "key": f" {CANARY} ",
                    "item": body,
                    "api_keys": [CANARY],
                    "api_key": body,
                }
            )
        except ValueError as error:
            assert CANARY not in str(error)  # noqa: PT017 (some of these are understood)
