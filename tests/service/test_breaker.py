"""Every state that a breaker can reach, against what is promised of it in words."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from rotator.daemon.breaker import MANY, Answer, Breaker, Outcome, Shown, State
from rotator.errors import Ambiguous, Denied, PortError, Unavailable

MINUTE = 60.0
HOUR = 3600.0

DOWN: PortError = Unavailable("create key", "project-1", "503")
UNPROVEN: PortError = Unavailable("prove key", "project-1", "the provider does not accept the new secret")
LOST: PortError = Ambiguous("create key", "project-1", "ReadTimeout")
REFUSED: PortError = Denied("create key", "project-1", "403")

OUTCOMES: tuple[Outcome, ...] = (Shown.WORKS, Shown.NOTHING, DOWN, UNPROVEN, LOST, REFUSED)

RUNNING_AT_MOST = 2


class Course(IntEnum):
    COMMON = 0
    PROBE = 1
    LATE_PROBE = 2
    """It was started while the breaker was open."""


@dataclass(frozen=True)
class Reached:
    """One state, with what the words need to judge the next: kept here, not read from the breaker.

    `running` are the rotations under way: none is more than `COMMON` but the probe. `row` are the latest failures since the breaker closed
    or a rotation was published. `opened`: since it was closed last. Times are in seconds.
    """

    breaker: Breaker
    state: State = State.CLOSED
    now: float = 0.0
    opened_at: float = 0.0
    wait: float = MINUTE
    running: tuple[Course, ...] = ()
    row: tuple[PortError, ...] = ()
    opened: bool = False

    @property
    def name(self) -> object:
        """What makes two states the same: their past does not count, only what is left of it."""
        left = max(0.0, self.opened_at + self.wait - self.now) if self.state is State.OPEN else None
        hidden = {
            name: value for name, value in vars(self.breaker).items() if name not in {"_opened_at", "why"}
        }
        row = tuple((type(error), error.operation) for error in self.row)
        return (self.state, left, self.wait, self.running, row, self.opened, repr(sorted(hidden.items())))


def after_begin(at: Reached, due: int) -> Reached:
    breaker = copy.copy(at.breaker)
    breaker.begin(due, at.now)
    over = at.now >= at.opened_at + at.wait
    expected = at.state
    if (at.state is State.CLOSED and due >= MANY) or (at.state is State.OPEN and over):
        expected = State.HALF_OPEN
    assert breaker.state is expected, f"a sweep with {due} due begins: {at}"
    return replace(at, breaker=breaker, state=expected)


def after_ask(at: Reached, *, late: bool) -> Reached:
    breaker = copy.copy(at.breaker)
    answer = breaker.may_start(late=late)
    if at.state is State.CLOSED:
        expected = Answer.GO
    elif at.state is State.OPEN and not late:
        expected = Answer.LEAVE
    else:
        expected = Answer.WAIT if any(at.running) else Answer.GO
    assert answer is expected, f"{late=} asks: {at}"
    if answer is not Answer.GO or len(at.running) == RUNNING_AT_MOST:
        return at
    probe = breaker.start()
    assert probe == (at.state is not State.CLOSED), f"it starts: {at}"
    late_probe = at.state is State.OPEN
    course = Course.LATE_PROBE if late_probe else Course.PROBE if probe else Course.COMMON
    return replace(at, breaker=breaker, running=(*at.running, course))


def after_end(at: Reached, which: int, outcome: Outcome) -> Reached:
    breaker = copy.copy(at.breaker)
    course = at.running[which]
    probe = course is not Course.COMMON
    breaker.ended(outcome, at.now, probe=probe)
    left = replace(at, breaker=breaker, running=at.running[:which] + at.running[which + 1 :])
    opens = replace(left, state=State.OPEN, opened_at=at.now, opened=True)
    match outcome:
        case Shown.NOTHING:
            expected = left
        case Shown.WORKS if probe:
            expected = replace(left, state=State.CLOSED, row=(), wait=MINUTE, opened=False)
        case Shown.WORKS:
            expected = replace(left, row=())
        case _ if course is Course.LATE_PROBE:
            expected = left
        case _ if probe:
            expected = replace(opens, wait=min(2 * at.wait, HOUR) if at.opened else MINUTE)
        case _ if at.state is not State.CLOSED:
            expected = left
        case _:
            row = (*at.row, outcome)[-3:]
            alike = len(row) == 3 and len({(type(error), error.operation) for error in row}) == 1
            expected = replace(opens if alike or outcome is REFUSED else left, row=row)
    assert breaker.state is expected.state, f"{outcome} of {probe=} in: {at}"
    assert bool(breaker.why) == expected.opened
    return expected


def next_of(at: Reached) -> Iterator[Reached]:
    for due in (0, 1, MANY - 1, MANY):
        yield after_begin(at, due)
    for late in (False, True):
        yield after_ask(at, late=late)
    for which in range(len(at.running)):
        for outcome in OUTCOMES:
            yield after_end(at, which, outcome)
    if at.state is State.OPEN:
        yield replace(at, now=max(at.now, at.opened_at + at.wait - 0.001))
        yield replace(at, now=max(at.now, at.opened_at + at.wait))


def test_it_does_what_is_promised_in_every_state_that_it_can_reach() -> None:
    first = Reached(Breaker())
    met = {first.name}
    waiting = [first]
    while waiting:
        at = waiting.pop()
        assert sum(map(bool, at.running)) <= 1, f"two probes: {at}"
        left = max(0.0, at.opened_at + at.wait - at.now) if at.state is State.OPEN else 0.0
        assert abs(at.breaker.opens_in(at.now).total_seconds() - left) < 0.0001, f"{left} left: {at}"
        for one in next_of(at):
            if one.name not in met:
                met.add(one.name)
                waiting.append(one)
    assert len(met) > 1000, "the search has lost its way"
