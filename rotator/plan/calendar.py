"""What would be done until a day to come: the arithmetic of due times, windows and limits, run forward.

Nothing goes wrong in it, and nobody gives an order: a rotation and a deletion take no time, what is held, paused or watched
stays so, and clocks agree. When a key is due is spread by its id, and nobody knows the ids of keys to come: made-up ones
stand for them. So what comes after the first rotation of a lineage may be off by a tenth of what it is counted from.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush

from rotator.model.reason import HoldReason, WaitReason
from rotator.plan.course import BY_TIME, Course, Event, Subject, What, deletions, sets_out
from rotator.policy import windows
from rotator.policy.schedule import latest_safe_start, start

MOST_EVENTS = 100_000
"""A calendar ends where it would hold more."""

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrotated:
    """A lineage that no time rotates, and why. `safe_until` is the latest safe start of its key in use."""

    lineage: str
    why: HoldReason | WaitReason
    expires_at: datetime | None
    safe_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """A time in which more rotations could begin than may, from `at` until `last_at`: how many wait, under each provider.

    `missed`: so many of them begin only after what was open for them has closed.
    """

    at: datetime
    last_at: datetime
    waiting: Mapping[str, int]
    missed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """All that would be done from `now` to `until`, in order. `cut`: it ends before what was asked for, as it is full.

    `longest_waits` are the longest times that a rotation waits for a start, by policy, where any does.
    """

    now: datetime
    until: datetime
    cut: bool
    events: tuple[Event, ...]
    crowds: tuple[Crowd, ...]
    longest_waits: Mapping[str, timedelta]
    unrotated: tuple[Unrotated, ...]


def forecast(
    subjects: Iterable[Subject], *, now: datetime, until: datetime, starts_per_hour: int
) -> Calendar:
    """Return what would be done about these lineages until then, all others aside."""
    courses: list[Course] = []
    events: list[Event] = []
    unrotated: list[Unrotated] = []
    for subject in subjects:
        stays = subject.stays
        if stays in (None, WaitReason.WATCHED):
            events += deletions(subject, now)
        course = sets_out(subject, now) if stays is None else None
        if course is not None:
            courses.append(course)
        else:
            unrotated.append(_unrotated(subject, stays or WaitReason.NOT_DUE))
    run = _Run(courses, starts_per_hour)
    found, full_at = run.to(until)
    ends_at = full_at or until
    events += found
    return Calendar(
        now=now,
        until=ends_at,
        cut=full_at is not None,
        events=tuple(sorted((e for e in events if e.at <= ends_at), key=lambda one: (one.at, one.lineage))),
        crowds=tuple(_crowds(events)),
        longest_waits=run.longest_waits,
        unrotated=tuple(sorted(unrotated, key=lambda one: (one.safe_until or windows.FAR, one.lineage))),
    )


class _Run:
    """The rotations of all lineages together, each at its time, no more in an hour than may begin."""

    def __init__(self, courses: Iterable[Course], starts_per_hour: int) -> None:
        self.longest_waits: dict[str, timedelta] = {}
        """Among them those of what begins only after the end."""
        self._limit = starts_per_hour
        self._begun: list[datetime] = []
        self._next = [self._entry(number, course) for number, course in enumerate(courses)]
        heapify(self._next)

    def to(self, until: datetime) -> tuple[list[Event], datetime | None]:
        """Return what is done until then, and where it had to end before that."""
        events: list[Event] = []
        while self._next and self._next[0][0] <= until:
            at, _, number, course = heappop(self._next)
            if len(events) >= MOST_EVENTS:
                return events, at
            event = self._begin(at, course)
            if event is not None:
                events += [event, *course.rotated(event.at)]
            heappush(self._next, self._entry(number, course))
        return events, None

    def _entry(self, number: int, course: Course) -> tuple[datetime, datetime, int, Course]:
        """Return it with what it is ordered by: when it is due, then the expiry of its key."""
        return course.due_at, course.key.expires_at or windows.FAR, number, course

    def _begin(self, at: datetime, course: Course) -> Event | None:
        """Begin what is due, or put it off until it may begin: windows and freezes allow it, and the hour has room."""
        subject, safe_until, overrides = course.subject, course.safe_until, None
        if course.reason in BY_TIME:
            begins = start(subject.policy, at, safe_until)
            if begins.waits_for is None:
                course.wished_at = course.wished_at or at
                free_at = self._free(at)
                late_at = free_at if safe_until is None else max(at, min(free_at, safe_until))
                begins = start(subject.policy, late_at, safe_until)
                if begins.at > course.wished_at:
                    longest = self.longest_waits.get(subject.policy.name, timedelta(0))
                    self.longest_waits[subject.policy.name] = max(longest, begins.at - course.wished_at)
            if begins.waits_for is not None:
                course.due_at, course.missed = begins.at, course.wished_at is not None
                return None
            at, overrides = begins.at, begins.overrides
        insort(self._begun, at)
        return Event(
            at=at,
            what=What.ROTATE,
            lineage=subject.lineage,
            provider=subject.provider,
            policy=subject.policy.name,
            reason=course.reason,
            wished_at=course.wished_at or at,
            missed=course.missed,
            overrides=overrides,
        )

    def _free(self, at: datetime) -> datetime:
        """Return the first instant from `at` on at which fewer than the limit have begun in the hour before."""
        if len(self._begun) < self._limit:
            return at
        return max(at, self._begun[-self._limit] + HOUR)


def _crowds(events: Iterable[Event]) -> Iterator[Crowd]:
    """Yield each time in which some wait: it ends when the last of them begins."""
    waited = sorted((one for one in events if one.at > one.wished_at), key=lambda one: one.wished_at)
    crowd: list[Event] = []
    last_at = windows.FAR
    for event in waited:
        if crowd and event.wished_at > last_at:
            yield _crowd(crowd)
            crowd = []
        last_at = max(last_at, event.at) if crowd else event.at
        crowd.append(event)
    if crowd:
        yield _crowd(crowd)


def _crowd(some: list[Event]) -> Crowd:
    return Crowd(
        at=some[0].wished_at,
        last_at=max(one.at for one in some),
        waiting=Counter(one.provider for one in some),
        missed=sum(one.missed for one in some),
    )


def _unrotated(subject: Subject, why: HoldReason | WaitReason) -> Unrotated:
    expires_at = subject.key.expires_at if subject.key else None
    return Unrotated(
        lineage=subject.lineage,
        why=why,
        expires_at=expires_at,
        safe_until=latest_safe_start(subject.policy, expires_at),
    )
