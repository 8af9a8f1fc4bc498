"""Reading Deepgram's answers: whatever comes, it is understood or refused, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from inspect import isfunction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.model.key import Key, Mark
from rotator.model.record import KnownKey, Original
from rotator.plan.actions import Rotate, Wait
from rotator.plan.decide import decide
from rotator.policy.duration import LONGEST
from rotator.policy.match import Exclusion, takes
from rotator.policy.policy import Adopt, Select, Share
from rotator.policy.schedule import latest_safe_start, lifetime_of_next, remembered_until
from rotator.providers import deepgram_answers as answers
from rotator.providers.deepgram_answers import Listed
from tests.support import builders as a
from tests.support import canary
from tests.support.canary import CANARY

MARK = Mark("0" * 12, "1" * 12, "2" * 16)

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
NAMES = st.sampled_from(
    [
        *(*WHOLE, "api_key", "api_keys", "item", "member", "member_id", "email"),
        *("key", "category", "requests"),
    ]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def flat(**changes: object) -> dict[str, Any]:
    return {"member": {"member_id": "m"}, "api_key": {**WHOLE, **changes}}


PARSERS: dict[str, Callable[[object], object]] = {
    "listed": answers.listed,
    "key": lambda body: answers.key(body, ASKED),
    "minted": answers.minted,
    "own_id": answers.own_id,
    "own_scopes": answers.own_scopes,
    "owner_email": answers.owner_email,
    "scopes": answers.scopes,
    "newest_request": lambda body: answers.newest_request(body, "k-1"),
    "shows_requests": answers.shows_requests,
    "error_code": answers.error_code,
}


def test_each_parser_of_a_body_is_in_the_table() -> None:
    public = {
        name
        for name, value in vars(answers).items()
        if isfunction(value) and value.__module__ == answers.__name__ and not name.startswith("_")
    }
    assert public - PARSERS.keys() == {"is_id", "moment"}


@given(JSON)
def test_any_json_is_read_or_refused_with_a_value_error(body: object) -> None:
    for parse in PARSERS.values():
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
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(8999, 12, 31)),  # noqa: DTZ001 (zone added below)
    st.integers(0, 9),
    st.integers(-14 * 60, 14 * 60),
)
def test_timestamps_are_read_with_any_fraction_and_any_zone(
    local: datetime, digits: int, minutes: int
) -> None:
    fraction = f"{local.microsecond:06d}789"[:digits]
    text = written(local.replace(microsecond=0), minutes, fraction)
    cut = int(fraction.ljust(6, "0")[:6])
    read = answers.moment(text)
    assert read == local.replace(microsecond=cut, tzinfo=UTC) - timedelta(minutes=minutes)
    assert read.tzinfo is UTC


DATES = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(
    [
        datetime(year, month, day, tzinfo=UTC)
        for year, month, day in ((1, 1, 1), (1999, 12, 31), (9000, 1, 1), (9999, 12, 31))
    ]
)


def written(local: datetime, minutes: int, fraction: str = "") -> str:
    """Return a timestamp in a zone so many minutes ahead of UTC."""
    sign, offset = ("-" if minutes < 0 else "+"), abs(minutes)
    text = f"{local.year:04d}-{local.strftime('%m-%dT%H:%M:%S')}" + (f".{fraction}" if fraction else "")
    return f"{text}{sign}{offset // 60:02d}:{offset % 60:02d}"


@given(
    DATES,
    DATES,
    st.integers(-24 * 60 + 1, 24 * 60 - 1),
    st.sampled_from([timedelta(0), timedelta(seconds=1), LONGEST]),
    st.sampled_from([1, 33, 99]),
    st.integers(2000, 2999),
)
def test_whatever_dates_a_key_has_everything_can_be_computed_from_it(
    created: datetime, expires: datetime, zone: int, span: timedelta, share: int, year: int
) -> None:
    body = flat(created=written(created, zone), expiration_date=written(expires, -zone))
    try:
        key = answers.key(body, ASKED)
    except ValueError:
        return
    assert key.lifetime is not None
    assert key.lifetime > timedelta(0)
    known, provider_now = KnownKey.seen(key), datetime(year, 12, 31, tzinfo=UTC)
    original = a.fresh_record(Original(key=known))
    for lead in (span, Share(share)):
        policy = replace(a.POLICY, rotate_before=lead, max_age=span, min_gap=span, adopt=Adopt.WHEN_DUE)
        seen = replace(a.snapshot(original), keys=(key,), provider_skew=provider_now - a.NOW)
        decided = decide(policy, seen, a.NOW)
        assert isinstance(decided, Wait | Rotate)
        lifetime = lifetime_of_next(policy, known)
        assert lifetime is not None
        assert lifetime > timedelta(0)
        assert remembered_until(provider_now, lifetime) > provider_now
        assert latest_safe_start(policy, key.expires_at) is not None
        take = takes(
            replace(policy, select=Select()),
            key,
            now=provider_now,
            journal_id=a.JOURNAL,
            recorded=frozenset(),
            management_key_id=None,
        )
        assert take in (None, Exclusion.EXPIRED, Exclusion.TEMPORARY)


@pytest.mark.parametrize(
    "text", ["9000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-14:00"]
)
def test_the_end_of_the_calendar_is_far_enough(text: str) -> None:
    assert abs(answers.moment(text) - datetime(9000, 1, 1, tzinfo=UTC)) < timedelta(days=1)


@pytest.mark.promise("P5")
@pytest.mark.parametrize(
    "expires", ["0001-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2025-12-31T00:00:00Z"]
)
def test_an_expiry_before_the_key_was_made_is_refused(expires: str) -> None:
    with pytest.raises(ValueError, match="before"):
        answers.key(flat(expiration_date=expires), ASKED)


@pytest.mark.parametrize(
    "odd",
    [
        {"comment": "x" * 10_001},
        {"scopes": ["x" * 10_001]},
        {"scopes": [f"scope:{n}" for n in range(2000)]},
        {"tags": [f"tag-{n}" for n in range(2000)]},
    ],
)
def test_what_is_too_long_to_be_kept_is_refused(odd: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="text"):
        answers.key(flat(**odd), ASKED)
    with pytest.raises(ValueError, match="usable"):
        answers.minted({"api_key_id": "k-1", "key": CANARY * 2000})


@pytest.mark.promise("P2")
@pytest.mark.parametrize(
    ("comment", "kept"),
    [
        ("an app", "an app"),
        (None, ""),
        (7, ""),
        (["an app"], ""),
        ("half \ud800", "half \N{REPLACEMENT CHARACTER}"),
        (f"{'x' * 1_000_000} {MARK}", f"{'x' * (9_999 - len(str(MARK)))} {MARK}"),
    ],
    ids=["a text", "none", "a number", "a list", "half a character", "a million characters and a mark"],
)
def test_of_a_listed_comment_is_kept_what_can_be(comment: object, kept: str) -> None:
    (listed,) = answers.listed({"api_keys": [{"api_key": {"api_key_id": "k-1", "comment": comment}}]})
    assert listed.comment == kept


def test_a_list_of_a_hundred_thousand_keys_is_read() -> None:
    items = [{"api_key": {"api_key_id": f"k-{n % 99_999}"}} for n in range(100_000)]
    assert len(answers.listed({"api_keys": items})) == 99_999


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
        "2026-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1999-12-31T23:59:59Z",
        "10000-01-01T00:00:00Z",
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
    planted = {
        **dict.fromkeys(("api_key_id", "comment", "created", "scopes", "email"), CANARY),
        "key": f" {CANARY} ",
    }
    for parse in PARSERS.values():
        for whole in (
            planted,
            {**planted, "item": body, "api_key": body, "requests": [planted], "api_keys": [CANARY]},
        ):
            try:
                parse(whole)
            except ValueError as error:
                canary.scan(canary.text_of(error), "a refusal")
