"""Which times the windows and freezes of a policy leave open. Pure; `at` is always given, and instants are aware UTC.

A window is open at t if and only if some opening of it o has o <= t < o + length. The openings are cron's, as Debian's
cron means them, in the zone of the window. Two of them need care on the days on which clocks are changed:

- One that falls into the hour that is left out opens when that hour would have ended, so that no day is missed. (It is
  left out, too, where the hours are given as `*` or `*/N`: others are near then.)
- One that falls into the hour that comes twice opens the first time only. (Both times with `*` or `*/N`.)
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from itertools import pairwise

from cronsim import CronSim, CronSimError

from rotator.model.reason import Closed, WaitReason
from rotator.policy.policy import Freeze, Policy, Window

LONGEST = timedelta(days=7)
"""No window is open for longer."""

AHEAD = timedelta(days=1)
"""What can't wait for the next opening is begun as long before the last one ends, at most."""

FAR = datetime(9000, 1, 1, tzinfo=UTC)
"""From here on everything is open: some write the end of the calendar for "never", and crons go no further."""

_LEAST = timedelta(microseconds=1)
_MINUTE = re.compile(r"[0-5]?[0-9]")
_FIELDS = {
    "hour": "an hour",
    "day-of-month": "a day of the month",
    "month": "a month",
    "day-of-week": "a day of the week",
}

_YEAR = timedelta(days=366)
_RECKONED_FROM, _RECKONED_UNTIL = datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
"""Two years that stand for all: one has a day more."""

_MONTHS_SOUGHT, _MONTH_OF_FAR = 120, 12 * 9000
_LOOKED_BACK = (timedelta(days=8), timedelta(days=64), timedelta(days=512))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time that is open, or one that is closed, from `start` until just before `end`."""

    start: datetime
    end: datetime


def check_cron(cron: str) -> None:
    """Raise ValueError, saying what is wrong, when `cron` is no time at which a window can open.

    A minute is asked for: what opens at many of one hour was most likely meant to say how long it stays open.
    """
    fields = cron.split()
    if len(fields) != 1 + len(_FIELDS):
        raise ValueError(f"{len(fields)} fields where five are expected")
    if not _MINUTE.fullmatch(fields[0]):
        raise ValueError("a minute that is not one number from 0 to 59")
    try:
        CronSim(cron, _RECKONED_FROM)
    except CronSimError as error:
        field = _FIELDS.get(str(error).removeprefix("Bad "), "a time")
        raise ValueError(f"{field} that cron does not know, or that never comes") from None


def opens_each_year(window: Window) -> bool:
    """Return whether a window opens within a year from each quarter of the two years that stand for all."""
    quarters = (
        _RECKONED_FROM.replace(year=year, month=month) for year in (2024, 2025) for month in (1, 4, 7, 10)
    )
    return all(next(openings(window, quarter), FAR) - quarter <= _YEAR for quarter in quarters)


def longest_wait(found: Iterable[Stretch], due_within: timedelta) -> timedelta:
    """Return how long after a key was made the next open stretch may begin, in which it can be replaced.

    `due_within` is how soon it is due. What is due while the stretch still lasts in which it was made does not wait, nor
    does what can begin again so late in that one that it is apart from its beginning: see `ahead_of`.
    """
    waits = (
        later.start - max(one.start, one.end - AHEAD, one.end - due_within) for one, later in pairwise(found)
    )
    return max(waits, default=timedelta(0))


def longest_closed(found: Iterable[Stretch]) -> timedelta:
    """Return the longest time between two stretches."""
    return max((later.start - one.end for one, later in pairwise(found)), default=timedelta(0))


def closed_around(policy: Policy, freeze: Freeze) -> Stretch:
    """Return the time in which nothing is open because of a freeze, with what is closed before it begins and after it ends."""
    start = freeze.starts_at
    for back in _LOOKED_BACK:
        for last in deque(stretches(policy, start - back, start), maxlen=1):
            return Stretch(last.end, opens_at(policy, freeze.ends_at))
    return Stretch(start, opens_at(policy, freeze.ends_at))


def closed_by(policy: Policy, at: datetime) -> Closed | None:
    """Return whether a freeze closes `at`, or else that no window is open; None when it is open."""
    if at >= FAR:
        return None
    if freezes_on(policy, at):
        return WaitReason.FROZEN
    if policy.windows and not any(_holds(window, at) for window in policy.windows):
        return WaitReason.OUTSIDE_WINDOW
    return None


def freezes_on(policy: Policy, at: datetime) -> tuple[Freeze, ...]:
    """Return the freezes that close `at`."""
    return tuple(freeze for freeze in policy.freezes if freeze.starts_at <= at < freeze.ends_at)


def opens_at(policy: Policy, at: datetime) -> datetime:
    """Return the first instant, not before `at`, that is open."""
    while (closed := closed_by(policy, at)) is not None:
        if closed is WaitReason.FROZEN:
            at = freezes_on(policy, at)[0].ends_at
        else:
            at = min(next(openings(window, at), FAR) for window in policy.windows)
    return at


def ahead_of(policy: Policy, at: datetime, *, since: datetime) -> datetime | None:
    """Return when the last open stretch before `at` begins, or a day before it ends if that is later.

    None when that is not later than `since`.
    """
    for back in _LOOKED_BACK:
        begin = max(since, at - back)
        for last in deque(stretches(policy, begin, at), maxlen=1):
            found = max(last.start, last.end - AHEAD)
            if found > begin:
                return found
    return None


def stretches(policy: Policy, since: datetime, until: datetime) -> Iterator[Stretch]:
    """Yield what is open of the time from `since` until just before `until`, in order, each apart from the next."""
    for stretch in _opened(policy.windows, since, until):
        start = stretch.start
        for freeze in sorted(policy.freezes, key=lambda one: one.starts_at):
            if start < freeze.starts_at < stretch.end:
                yield Stretch(start, freeze.starts_at)
            if freeze.starts_at < stretch.end:
                start = max(start, freeze.ends_at)
        if start < stretch.end:
            yield Stretch(start, stretch.end)


@lru_cache(maxsize=64)
def reckoned(windows: tuple[Window, ...]) -> tuple[Stretch, ...]:
    """Return what windows leave open of the years that stand for all."""
    return tuple(_opened(windows, _RECKONED_FROM, _RECKONED_UNTIL))


def openings(window: Window, since: datetime) -> Iterator[datetime]:
    """Yield the instants at which a window opens, not before `since`, in order; what is ten years off is never."""
    first = 12 * since.year + since.month - 1
    for number in range(first, min(first + _MONTHS_SOUGHT, _MONTH_OF_FAR)):
        month = _month(window, number)
        yield from month[bisect_left(month, since) if number == first else 0 :]


@lru_cache(maxsize=4096)
def _month(window: Window, number: int) -> tuple[datetime, ...]:
    """Return the openings of one month, in UTC. They are asked for again and again, and cost a millisecond."""
    begins = datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)
    found = []
    for opening in CronSim(window.cron, (begins - _LEAST).astimezone(window.zone)):
        instant = opening.astimezone(UTC)
        if (instant.year, instant.month) > (begins.year, begins.month):
            break
        # Asked in an hour that comes twice, cronsim begins with the first of both, which is over the second time.
        if instant >= begins:
            found.append(instant)
    return tuple(found)


def _holds(window: Window, at: datetime) -> bool:
    return next(openings(window, at - window.length + _LEAST), FAR) <= at


def _opened(windows: tuple[Window, ...], since: datetime, until: datetime) -> Iterator[Stretch]:
    """Yield what windows leave open, freezes left aside."""
    if not windows and since < until:
        yield Stretch(since, until)
    start = end = since
    for each in heapq.merge(*map(partial(_each, since=since), windows), key=lambda one: one.start):
        if each.start >= until:
            break
        if each.start > end:
            if start < end:
                yield Stretch(start, end)
            start = each.start
        end = max(end, each.end)
    if start < min(end, until):
        yield Stretch(start, min(end, until))


def _each(window: Window, since: datetime) -> Iterator[Stretch]:
    for opening in openings(window, since - window.length + _LEAST):
        yield Stretch(max(opening, since), opening + window.length)
