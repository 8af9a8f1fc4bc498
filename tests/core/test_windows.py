"""Windows and freezes: which times they leave open, above all on the days on which clocks are changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.model.reason import WaitReason
from rotator.policy import windows
from rotator.policy.policy import Freeze, Policy, Window
from rotator.policy.windows import FAR, Stretch
from tests.support.builders import DAY, HOUR, MINUTE, POLICY, TICK

BERLIN, HAVANA, BEIRUT, LORD_HOWE = map(
    ZoneInfo, ("Europe/Berlin", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe")
)
UNIVERSAL = ZoneInfo("UTC")
ZONES = (UNIVERSAL, BERLIN, HAVANA, BEIRUT, LORD_HOWE, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata"))


def window(cron: str, length: timedelta = 4 * HOUR, zone: ZoneInfo = BERLIN) -> Window:
    return Window(cron=cron, length=length, zone=zone)


def z(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def at_once(*some: Window) -> Policy:
    return replace(POLICY, windows=some)


def frozen(*some: tuple[str, str], of: Policy = POLICY) -> Policy:
    return replace(of, freezes=tuple(Freeze(starts_at=z(start), ends_at=z(end)) for start, end in some))


# The openings, on the days on which clocks are changed


@pytest.mark.parametrize(
    ("cron", "zone", "since", "openings"),
    [
        # Berlin leaves out 02:00 to 03:00 on 29 March (01:00Z), and has it twice on 25 October (00:00Z and 01:00Z).
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        ("0 2 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:00"]),
        ("0 3 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T01:00"]),
        ("0 2,3 * * *", BERLIN, "2026-03-29T00:00", ["2026-03-29T01:00", "2026-03-30T00:00"]),
        ("30 2 * * 0", BERLIN, "2026-03-28T12:00", ["2026-03-29T01:00", "2026-04-05T00:30"]),
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("0 2 * * *", BERLIN, "2026-10-24T12:00", ["2026-10-25T00:00", "2026-10-26T01:00"]),
        ("0 3 * * *", BERLIN, "2026-10-24T12:00", ["2026-10-25T02:00", "2026-10-26T02:00"]),
        # Asked within the hour that comes twice.
        ("30 2 * * *", BERLIN, "2026-10-25T00:20", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("30 2 * * *", BERLIN, "2026-10-25T01:10", ["2026-10-26T01:30", "2026-10-27T01:30"]),
        ("30 2 * * *", BERLIN, "2026-10-25T01:30", ["2026-10-26T01:30", "2026-10-27T01:30"]),
        # With `*` or a step, the hour that is left out has none, and the one that comes twice has two.
        ("0 */2 * * *", BERLIN, "2026-03-28T23:00", ["2026-03-28T23:00", "2026-03-29T02:00"]),
        ("0 */2 * * *", BERLIN, "2026-10-25T00:00", ["2026-10-25T00:00", "2026-10-25T01:00"]),
        ("0 * * * *", BERLIN, "2026-10-25T00:00", ["2026-10-25T00:00", "2026-10-25T01:00"]),
        # Clocks are changed at midnight, to 01:00 or back to 23:00 or 00:00, or by half an hour.
        ("0 0 * * *", BEIRUT, "2026-03-28T12:00", ["2026-03-28T22:00", "2026-03-29T21:00"]),
        ("0 0 * * *", HAVANA, "2026-10-31T12:00", ["2026-11-01T04:00", "2026-11-02T05:00"]),
        ("30 23 * * *", BEIRUT, "2026-10-24T12:00", ["2026-10-24T20:30", "2026-10-25T21:30"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-03T00:00", ["2026-10-03T15:30", "2026-10-04T15:15"]),
    ],
)
def test_a_window_opens_once_a_day_also_when_clocks_are_changed(
    cron: str, zone: ZoneInfo, since: str, openings: list[str]
) -> None:
    found = islice(windows.openings(window(cron, zone=zone), z(since)), len(openings))

    assert list(found) == [z(opening) for opening in openings]


def local_times(hours: int, minutes: int, zone: ZoneInfo, day: date) -> datetime:
    """Return when a clock on the wall first shows a time of a day, or, where it never does, what it shows instead."""
    wanted = datetime.combine(day, time(hours, minutes))
    instant = datetime.combine(day - DAY, time(12), tzinfo=zone).astimezone(UTC)
    while instant.astimezone(zone).replace(tzinfo=None) < wanted:
        instant += MINUTE
    return instant


@given(
    st.sampled_from(ZONES),
    st.integers(0, 23),
    st.integers(0, 59),
    st.sampled_from(
        [date(2026, 3, 29), date(2026, 10, 25), date(2026, 3, 8), date(2026, 11, 1), date(2026, 4, 5)]
    ),
    st.integers(-2, 2),
)
def test_a_time_of_the_day_opens_when_a_clock_on_the_wall_first_shows_it_or_more(
    zone: ZoneInfo, hours: int, minutes: int, changed: date, days: int
) -> None:
    day = changed + days * DAY
    expected = local_times(hours, minutes, zone, day)
    each = window(f"{minutes} {hours} * * *", zone=zone)

    assert next(windows.openings(each, expected)) == expected
    assert next(windows.openings(each, expected + TICK)) == local_times(hours, minutes, zone, day + DAY)


# What is open


@pytest.mark.parametrize(
    ("of", "at", "closed"),
    [
        (POLICY, "2026-01-01T00:00", None),
        (at_once(window("0 2 * * 1-5")), "2026-01-05T00:59:59", WaitReason.OUTSIDE_WINDOW),
        (at_once(window("0 2 * * 1-5")), "2026-01-05T01:00", None),
        (at_once(window("0 2 * * 1-5")), "2026-01-05T04:59:59.999999", None),
        (at_once(window("0 2 * * 1-5")), "2026-01-05T05:00", WaitReason.OUTSIDE_WINDOW),
        (at_once(window("0 2 * * 1-5")), "2026-01-04T02:00", WaitReason.OUTSIDE_WINDOW),
        # Across midnight, and over the change of clocks: four hours that have passed, not what the clock shows.
        (at_once(window("0 22 * * 5", 8 * HOUR)), "2026-01-10T04:59", None),
        (at_once(window("0 22 * * 5", 8 * HOUR)), "2026-01-10T05:00", WaitReason.OUTSIDE_WINDOW),
        (at_once(window("0 1 * * *")), "2026-03-29T03:59", None),
        (at_once(window("0 1 * * *")), "2026-03-29T04:00", WaitReason.OUTSIDE_WINDOW),
        (at_once(window("0 1 * * *")), "2026-10-25T02:59", None),
        (at_once(window("0 1 * * *")), "2026-10-25T03:00", WaitReason.OUTSIDE_WINDOW),
        # Any of several windows is enough; each opening of one counts, though an earlier one lasts.
        (at_once(window("0 2 * * *"), window("0 12 * * *", HOUR)), "2026-01-05T11:30", None),
        (at_once(window("0 2 * * 1", 3 * DAY), window("0 2 * * 1")), "2026-01-07T23:00", None),
        (at_once(window("0 2 * * *", 7 * DAY)), "2026-01-05T00:00", None),
        # A freeze closes what a window opens, until just before it ends.
        (frozen(("2026-01-05", "2026-01-07")), "2026-01-04T23:59:59", None),
        (frozen(("2026-01-05", "2026-01-07")), "2026-01-05T00:00", WaitReason.FROZEN),
        (frozen(("2026-01-05", "2026-01-07")), "2026-01-06T23:59:59", WaitReason.FROZEN),
        (frozen(("2026-01-05", "2026-01-07")), "2026-01-07T00:00", None),
        (
            frozen(("2026-01-05", "2026-01-07"), of=at_once(window("0 2 * * *"))),
            "2026-01-05T02:00",
            WaitReason.FROZEN,
        ),
        (
            frozen(("2026-01-05", "2026-01-07"), of=at_once(window("0 2 * * *"))),
            "2026-01-07T00:00",
            WaitReason.OUTSIDE_WINDOW,
        ),
        # Some write the end of the calendar for "never".
        (at_once(window("0 2 * * 1-5")), "9999-12-31T23:59", None),
    ],
)
def test_what_closes_an_instant(of: Policy, at: str, closed: WaitReason | None) -> None:
    assert windows.closed_by(of, z(at)) is closed


@pytest.mark.parametrize(
    ("of", "at", "opens_at"),
    [
        (POLICY, "2026-01-05T12:00", "2026-01-05T12:00"),
        (at_once(window("0 2 * * 1-5")), "2026-01-05T02:30", "2026-01-05T02:30"),
        (at_once(window("0 2 * * 1-5")), "2026-01-09T12:00", "2026-01-12T01:00"),
        (at_once(window("0 2 * * 1"), window("0 2 * * 3")), "2026-01-05T12:00", "2026-01-07T01:00"),
        (frozen(("2026-01-05", "2026-01-07")), "2026-01-05T12:00", "2026-01-07T00:00"),
        # Freezes that meet or overlap are one; a window that opens in a freeze opens with its end.
        (
            frozen(("2026-01-05", "2026-01-07"), ("2026-01-07", "2026-01-08"), ("2026-01-06", "2026-01-09")),
            "2026-01-05T12:00",
            "2026-01-09T00:00",
        ),
        (
            frozen(("2026-01-05", "2026-01-07T02:00"), of=at_once(window("0 2 * * *"))),
            "2026-01-05T12:00",
            "2026-01-07T02:00",
        ),
        (
            frozen(("2026-01-05", "2026-01-07T06:00"), of=at_once(window("0 2 * * *"))),
            "2026-01-05T12:00",
            "2026-01-08T01:00",
        ),
        (at_once(window("0 2 * * 1-5")), "2026-03-29T01:30", "2026-03-30T00:00"),
        (at_once(window("30 2 * * *", 30 * MINUTE)), "2026-10-25T01:40", "2026-10-26T01:30"),
        (at_once(window("0 2 29 2 *")), "2026-03-01T00:00", "2028-02-29T01:00"),
    ],
)
def test_when_it_is_open_next(of: Policy, at: str, opens_at: str) -> None:
    assert windows.opens_at(of, z(at)) == z(opens_at)


def test_what_never_opens_is_open_when_nobody_waits_any_more() -> None:
    never = Window(cron="0 2 31 * 1#5", length=HOUR, zone=UNIVERSAL)
    rare = replace(never, cron="0 2 */31 2 1L")

    assert windows.opens_at(at_once(rare), z("2026-01-05T12:00")) == FAR
    assert not windows.opens_each_year(rare)


# Any windows and freezes

crons = st.builds(
    "{} {} * * {}".format,
    st.integers(0, 59),
    st.sampled_from(["*", "*/6", "0", "2", "3", "22", "1,13"]),
    st.sampled_from(["*", "1-5", "0", "6", "2,4"]),
)
some_windows = st.lists(
    st.builds(
        Window,
        cron=crons,
        length=st.sampled_from([10 * MINUTE, HOUR, 4 * HOUR, 26 * HOUR, 7 * DAY]),
        zone=st.sampled_from(ZONES),
    ),
    max_size=3,
).map(tuple)
near = st.sampled_from([z("2026-03-29"), z("2026-10-25"), z("2026-11-01"), z("2026-01-05")])
instants = st.builds(lambda day, minutes: day + minutes * MINUTE, near, st.integers(-3 * 1440, 3 * 1440))
some_freezes = st.lists(
    st.builds(
        lambda at, length: Freeze(starts_at=at, ends_at=at + length),
        instants,
        st.sampled_from([MINUTE, 3 * HOUR, DAY, 5 * DAY]),
    ),
    max_size=3,
).map(tuple)
policies = st.builds(
    lambda opened, closed: replace(POLICY, windows=opened, freezes=closed), some_windows, some_freezes
)


def open_at(policy: Policy, at: datetime) -> bool:
    """State it anew: no freeze has begun and not ended, and some opening has not been over for its length."""
    if any(freeze.starts_at <= at < freeze.ends_at for freeze in policy.freezes):
        return False
    return not policy.windows or any(
        opening <= at < opening + each.length
        for each in policy.windows
        for opening in _until(windows.openings(each, at - 8 * DAY), at)
    )


def _until(some: Iterator[datetime], last: datetime) -> Iterator[datetime]:
    for one in some:
        if one > last:
            return
        yield one


@given(policies, instants)
def test_an_instant_is_open_if_and_only_if_some_opening_is_not_over_and_no_freeze_is_on(
    policy: Policy, at: datetime
) -> None:
    assert (windows.closed_by(policy, at) is None) == open_at(policy, at)


@given(policies, instants, st.integers(1, 4 * 1440))
def test_the_open_stretches_hold_what_is_open_and_nothing_else(
    policy: Policy, since: datetime, minutes: int
) -> None:
    until = since + minutes * MINUTE
    found = list(windows.stretches(policy, since, until))

    assert all(since <= one.start < one.end <= until for one in found)
    assert all(one.end < later.start for one, later in pairwise(found))
    edges = [since, until - MINUTE, *(one.start for one in found), *(one.end for one in found)]
    edges += [edge for freeze in policy.freezes for edge in (freeze.starts_at, freeze.ends_at)]
    for at in sorted({edge + step for edge in edges for step in (-TICK, timedelta(), MINUTE)}):
        if since <= at < until:
            inside = any(one.start <= at < one.end for one in found)
            assert inside == (windows.closed_by(policy, at) is None), at


def test_windows_that_follow_each_other_are_one_stretch() -> None:
    daily = at_once(window("0 0 * * *", DAY, UNIVERSAL))
    since, until = z("2026-01-05T06:00"), z("2026-01-09T06:00")

    assert list(windows.stretches(daily, since, until)) == [Stretch(since, until)]


def test_freezes_count_in_any_order() -> None:
    some = frozen(
        ("2026-01-07", "2026-01-08"), ("2026-01-05", "2026-01-06"), ("2026-01-07", "2026-01-07T12:00")
    )
    days = [z(f"2026-01-0{day}") for day in range(4, 10)]

    found = list(windows.stretches(some, days[0], days[5]))

    assert found == [Stretch(days[0], days[1]), Stretch(days[2], days[3]), Stretch(days[4], days[5])]


@given(policies, instants)
def test_what_opens_next_is_open_and_nothing_is_before(policy: Policy, at: datetime) -> None:
    opens_at = windows.opens_at(policy, at)

    assert at <= opens_at
    assert windows.closed_by(policy, opens_at) is None
    assert list(windows.stretches(policy, at, min(opens_at, at + 30 * DAY))) == []


@given(policies, instants, st.sampled_from([HOUR, DAY, 6 * DAY, 40 * DAY]))
def test_what_is_begun_ahead_is_in_the_last_open_stretch_a_day_before_its_end_at_most(
    policy: Policy, at: datetime, back: timedelta
) -> None:
    found = windows.ahead_of(policy, at, since=at - back)

    last = next(iter(reversed(list(windows.stretches(policy, at - back, at)))), Stretch(at, at - back))
    begins = max(last.start, last.end - DAY)
    assert found == (begins if begins > at - back and last.start < last.end else None)
    assert found is None or windows.closed_by(policy, found) is None


def test_there_is_nothing_ahead_of_what_is_not_later() -> None:
    assert windows.ahead_of(POLICY, z("2026-01-05"), since=z("2026-01-05")) is None
    assert windows.ahead_of(POLICY, z("2026-01-05"), since=z("2026-01-06")) is None


# Which crons


@pytest.mark.parametrize(
    "cron",
    ["0 2 * * 1-5", "59 23 * * SUN", "5 */6 * * *", "0 22 L * *", "0 2 * JAN-MAR mon#1", " 0  2 * * 5L "],
)
def test_crons_that_can_be_used(cron: str) -> None:
    windows.check_cron(cron)
    assert windows.opens_each_year(window(cron))


@pytest.mark.parametrize(
    ("cron", "wrong"),
    [
        ("", "0 fields where five are expected"),
        ("@daily", "1 fields where five are expected"),
        ("0 0 2 * * 1", "6 fields where five are expected"),
        ("* 2 * * *", "a minute that is not one number from 0 to 59"),
        ("0,30 2 * * *", "a minute that is not one number from 0 to 59"),
        ("60 2 * * *", "a minute that is not one number from 0 to 59"),
        ("0 24 * * *", "an hour that cron does not know, or that never comes"),
        ("0 2 32 * *", "a day of the month that cron does not know, or that never comes"),
        ("0 2 30 2 *", "a day of the month that cron does not know, or that never comes"),
        ("0 2 * 13 *", "a month that cron does not know, or that never comes"),
        ("0 2 * * 8", "a day of the week that cron does not know, or that never comes"),
        ("0 2 * * fri-mon", "a day of the week that cron does not know, or that never comes"),
        ("0 2 ? * *", "a day of the month that cron does not know, or that never comes"),
    ],
)
def test_crons_that_can_not_be_used(cron: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        windows.check_cron(cron)


@pytest.mark.parametrize(
    ("cron", "opens"),
    [("0 2 1 1 *", True), ("0 2 31 12 *", True), ("0 2 29 2 *", False), ("0 2 * 2 1#5", False)],
)
def test_whether_a_year_passes_without_a_window(cron: str, *, opens: bool) -> None:
    assert windows.opens_each_year(window(cron)) == opens


# How long a new key waits for the next window


@pytest.mark.parametrize(
    ("some", "due_within", "wait"),
    [
        ([window("0 2 * * *", zone=UNIVERSAL)], 10 * DAY, DAY),
        ([window("0 2 * * *")], 10 * DAY, 25 * HOUR),
        ([window("0 2 * * 0", zone=UNIVERSAL)], 10 * DAY, 7 * DAY),
        ([window("0 2 * * 1-5", zone=UNIVERSAL)], 10 * DAY, 3 * DAY),
        ([window("0 2 * * 1", zone=UNIVERSAL), window("0 2 * * 3", zone=UNIVERSAL)], 10 * DAY, 5 * DAY),
        # Of a long window, only the last day can't be followed by a rotation that is ahead in the same one.
        ([window("0 0 * * 1", 5 * DAY, UNIVERSAL)], 10 * DAY, 3 * DAY),
        # What is due while the window is still open does not wait.
        ([window("0 0 * * 0", 10 * HOUR, UNIVERSAL)], 2 * HOUR, 6 * DAY + 16 * HOUR),
        # There is always one open.
        ([window("0 2 * * *", 26 * HOUR)], 10 * DAY, timedelta()),
    ],
)
def test_how_long_a_new_key_may_wait_for_the_next_window(
    some: list[Window], due_within: timedelta, wait: timedelta
) -> None:
    assert windows.longest_wait(windows.reckoned(tuple(some)), due_within) == wait
