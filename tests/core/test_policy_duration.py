from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.policy.duration import LONGEST, parse_duration, show_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("15m", 900),
        ("12h", 43_200),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1d12h", 129_600),
        ("1w1d1h1m1s", 694_861),
        ("PT12H", 43_200),
        ("PT90S", 90),
        ("P7D", 604_800),
        ("P2W", 1_209_600),
        ("P1DT12H", 129_600),
        ("PT0S", 0),
        ("36500d", 36_500 * 86_400),
    ],
)
def test_what_a_duration_means(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("90", "a number without a unit"),
        ("1.5", "a number without a unit"),
        ("-1h", "a negative duration"),
        ("1M", "a number of months or years, which have no fixed length"),
        ("1y", "a number of months or years, which have no fixed length"),
        ("P1M", "a number of months or years, which have no fixed length"),
        ("P1Y", "a number of months or years, which have no fixed length"),
        ("36501d", "longer than 100 years"),
        ("999999999999w", "longer than 100 years"),
        *[
            (text, "not a duration")
            for text in (
                "",
                "soon",
                "P",
                "PT",
                "P1DT",
                "1H",
                "1h 30m",
                "1m1h",
                "1h1h",
                "1e3s",
                "1.5h",
                "1:30",
                "12:30",
                "٣d",
                "1ms",
                " 1h",
                "1h\n",
                "true",
                "9999999999999s",
            )
        ],
    ],
)
def test_what_is_refused_as_a_duration(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        parse_duration(text)


@given(st.integers(0, int(LONGEST.total_seconds())))
def test_a_duration_is_read_as_it_is_shown(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(show_duration(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        (timedelta(), "0s"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(hours=25, minutes=2), "25h2m"),
        (timedelta(hours=48), "2d"),
        (timedelta(days=90), "90d"),
    ],
)
def test_hours_up_to_two_days_then_days(duration: timedelta, shown: str) -> None:
    assert show_duration(duration) == shown
