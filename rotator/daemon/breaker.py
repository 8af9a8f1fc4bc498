"""One provider's breaker: may another rotation be started under it? Pure; `now` is seconds that never run backwards.

    closed      any number may be started
    half-open   one may, as the probe; the others wait for its outcome
    open        none may, except one that is late, as the probe

    closed -> open          three failures of one kind in a row, or one refusal of our own credential
    closed -> half-open     a sweep begins with many rotations due, and nothing says that even one will work
    open -> half-open       a sweep begins when the wait is over
    any -> closed           the probe was published
    half-open -> open       the probe failed; the wait doubles

One that is late and fails while the breaker is open changes nothing: it may fail for a reason of its own, again and again, and
the others would wait for as long as it does.

Only starts ask it: what was begun is brought to its end, and old keys are deleted, whatever state it is in.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from rotator.errors import Denied, PortError

FAILURES = 3
"""So many failures of one kind in a row open it."""

MANY = FAILURES
"""From so many rotations due at once on, one goes first: begun together, they could fail as often as opens it."""

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
"""How long it stays open: it doubles with each probe that fails."""


class State(StrEnum):
    """What a breaker lets through. These names are an interface: metrics and status show them."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Answer(StrEnum):
    """What a lineage is told that asks to start a rotation."""

    GO = "go"
    WAIT = "wait"
    """Not before an outcome that is awaited is known."""
    LEAVE = "leave"
    """Not in this sweep."""


class Shown(StrEnum):
    """What a rotation showed of its provider, when it did not fail there."""

    WORKS = "works"
    """It was published."""
    NOTHING = "nothing"
    """It was held, another process was faster, or Vault failed."""


Outcome = Shown | PortError
"""A `PortError` is the provider's."""


class Breaker:
    """The breaker of one provider. Lives as long as the process."""

    def __init__(self) -> None:
        """Begin closed."""
        self.state = State.CLOSED
        self.why = ""
        """What opened it last; an error's text, so never a secret."""
        self._probing = False
        self._probes_while_open = False
        self._in_a_row = 0
        self._last: tuple[type[PortError], str] | None = None
        self._wait = FIRST_WAIT
        self._opened_at = 0.0

    def begin(self, due: int, now: float) -> None:
        """Begin a sweep with so many rotations due."""
        waited = self.state is State.OPEN and now - self._opened_at >= self._wait.total_seconds()
        if waited or (self.state is State.CLOSED and due >= MANY):
            self.state = State.HALF_OPEN

    def may_start(self, *, late: bool) -> Answer:
        """Return whether a rotation may be started now. One that is `late` can't wait until the breaker closes."""
        match self.state:
            case State.CLOSED:
                return Answer.GO
            case State.OPEN if not late:
                return Answer.LEAVE
            case State.HALF_OPEN | State.OPEN:
                return Answer.WAIT if self._probing else Answer.GO

    def opens_in(self, now: float) -> timedelta:
        """Return how long nothing but what is late can be started, by what is known now."""
        if self.state is not State.OPEN:
            return timedelta(0)
        return max(timedelta(0), self._wait - timedelta(seconds=now - self._opened_at))

    def start(self) -> bool:
        """Note the start of a rotation, and return whether it is the probe."""
        if self.state is State.CLOSED or self._probing:
            return False
        self._probing, self._probes_while_open = True, self.state is State.OPEN
        return True

    def ended(self, outcome: Outcome, now: float, *, probe: bool) -> None:
        """Note how a rotation ended."""
        if probe:
            self._probing = False
            if outcome is Shown.WORKS:
                self._close()
            elif isinstance(outcome, PortError) and not self._probes_while_open:
                self._wait = min(self._wait * 2, LONGEST_WAIT) if self.why else FIRST_WAIT
                self._open(outcome, now)
        elif self.state is State.CLOSED:
            self._count(outcome, now)

    def _count(self, outcome: Outcome, now: float) -> None:
        # In other states it says how things were: it began before the breaker opened.
        match outcome:
            case Shown.WORKS:
                self._in_a_row = 0
            case Shown.NOTHING:
                pass
            case PortError():
                kind = (type(outcome), outcome.operation)
                self._in_a_row = self._in_a_row + 1 if kind == self._last else 1
                self._last = kind
                if self._in_a_row >= FAILURES or isinstance(outcome, Denied):
                    self._open(outcome, now)

    def _open(self, error: PortError, now: float) -> None:
        self.state, self.why, self._opened_at = State.OPEN, str(error), now

    def _close(self) -> None:
        self.state, self.why, self._in_a_row, self._wait = State.CLOSED, "", 0, FIRST_WAIT
