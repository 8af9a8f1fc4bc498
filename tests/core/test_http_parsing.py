"""What is read of an answer before anybody asks what it means: whatever the bytes are, nothing raises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator import http

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
HEADER = st.text(st.characters(max_codepoint=255), max_size=40)
DATE_LIKE = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Mon", "", "Xxx"]),
    st.integers(-1, 99),
    st.sampled_from(["Jan", "Dec", "13", ""]),
    st.integers(-1, 100_000),
    st.integers(-1, 99),
    st.integers(-1, 99),
    st.integers(-1, 99),
    st.sampled_from(["GMT", "+0000", "-9999", "+99999999999", ""]),
)


def body_of(content: bytes) -> object:
    return http.Answer(status=200, content=content, at=None, retry_after=None).body


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_a_body_is_json_or_nothing(content: bytes) -> None:
    body_of(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"key": ',
        b"\xff\xfe",
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
        b"1" * 1_000_000,
        b"-" * 1_000,
        b'"\\ud800',
        b"\x1f\x8b\x08\x00",
        b"<html></html>",
    ],
    ids=lambda content: repr(content[:8]),
)
def test_what_is_no_json_or_too_much_of_it_is_nothing(content: bytes) -> None:
    assert body_of(content) is None


@given(HEADER | DATE_LIKE)
def test_a_date_is_one_that_a_clock_can_show_or_none(header: str) -> None:
    moment = http._moment(header)
    assert moment is None or (moment.tzinfo is UTC and 2000 <= moment.year < 3000)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Fri, 31 Dec 1999 23:59:59 GMT",
        "Wed, 01 Jan 3000 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ],
)
def test_a_date_that_no_clock_shows_is_none(header: str | None) -> None:
    assert http._moment(header) is None


@given(HEADER | DATE_LIKE, HEADER | DATE_LIKE, st.none() | st.just(AT))
def test_a_wait_is_never_negative_nor_longer_than_a_day(
    wait: str, milliseconds: str, at: datetime | None
) -> None:
    headers = httpx.Headers(
        [(b"retry-after", wait.encode("latin-1")), (b"retry-after-ms", milliseconds.encode("latin-1"))]
    )
    asked = http._retry_after(headers, at)
    assert asked is None or timedelta(0) <= asked <= http.LONGEST_RETRY_AFTER
