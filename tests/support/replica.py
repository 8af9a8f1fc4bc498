"""One process of the service in an estate, without its file and its beat: its rounds, made as often as it is let."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotator.daemon.rounds import Rounds
from rotator.daemon.service import LOOK_EVERY
from rotator.errors import PortError
from rotator.inventory.assignment import Assignment
from rotator.model.order import OrderKind
from rotator.model.record import Record
from rotator.model.standing import Standing
from rotator.model.told import CallMade, Step, Told
from rotator.rotation.orders import Ordered, give
from tests.support.estate import Estate
from tests.support.estate_ports import EstateLink, Line, WallClock, connect, policy_file

Calls = Counter[tuple[str, str]]


@dataclass(slots=True)
class Counted:
    """A `daemon.meter.Meter` that keeps what it is told."""

    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    sweeps: Counter[str] = field(default_factory=Counter)
    rotations: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    revocations: Counter[tuple[str, str]] = field(default_factory=Counter)
    late: list[timedelta] = field(default_factory=list)
    took: dict[str, timedelta] = field(default_factory=dict)
    """How long the last rotation of each outcome took."""

    def called(self, made: CallMade) -> None:
        self.calls[made.to, made.operation, made.result] += 1

    def swept(self, took: timedelta, result: str) -> None:
        del took
        self.sweeps[result] += 1

    def rotated(
        self, provider: str, reason: str, outcome: str, *, took: timedelta, late: timedelta | None
    ) -> None:
        self.rotations[provider, reason, outcome] += 1
        self.took[outcome] = took
        if late is not None:
            self.late.append(late)

    def revoked(self, provider: str, reason: str) -> None:
        self.revocations[provider, reason] += 1


class Replica:
    """One process. `errors` are what its rounds ended in, by their texts."""

    def __init__(self, estate: Estate, text: str, *, name: str = "replica-a") -> None:
        self.estate = estate
        self.text = text
        self.clock = WallClock()
        self.line = Line(estate, self.clock, name)
        self.meter = Counted()
        self.told: list[tuple[datetime, Told]] = []
        self.errors: list[str] = []
        self.stopping = False
        self.rounds = Rounds(self.clock, stopping=lambda: self.stopping, tell=self._tell, meter=self.meter)
        self.link: EstateLink | None = None
        self._connections = AsyncExitStack()

    async def round(self) -> None:
        """Make one round, as a tick lets the service."""
        try:
            if self.link is None:
                self.link = await self._connections.enter_async_context(
                    connect(policy_file(self.text), self.line)
                )
            await self.rounds.round(self.link)
        except PortError as error:
            self.errors.append(str(error))

    async def run(self, duration: timedelta) -> None:
        """Make rounds for so long, tick by tick."""
        until = self.clock.monotonic() + duration.total_seconds()
        while self.clock.monotonic() < until:
            await self.round()
            await self.clock.sleep(LOOK_EVERY)

    async def leap(self, duration: timedelta) -> None:
        """Make rounds for so long, and sleep through the ticks at which there is nothing to do."""
        until = self.clock.monotonic() + duration.total_seconds()
        while left := timedelta(seconds=max(0.0, until - self.clock.monotonic())):
            await self.round()
            await self.clock.sleep(min(self._idle(), left))

    async def leap_until(self, what: Callable[[], object], *, within: timedelta) -> timedelta:
        """Make rounds until something is so, and return how long that took."""
        began = self.clock.monotonic()
        while not what():
            passed = timedelta(seconds=self.clock.monotonic() - began)
            assert passed < within, f"not so after {within}: {self.errors[-3:]}, {self.told[-3:]}"
            await self.round()
            if not what():
                await self.clock.sleep(self._idle())
        return timedelta(seconds=self.clock.monotonic() - began)

    def _idle(self) -> timedelta:
        """Return until when there is nothing to do: at least until the next tick."""
        next_at = self.rounds.next_at
        return LOOK_EVERY if next_at is None else max(LOOK_EVERY, next_at - self.clock.now())

    def take(self, text: str) -> None:
        """Take another policy file, as the service does when that names the same projects."""
        self.text = text
        if self.link is not None:
            self.link = self.link.with_file(policy_file(text))
        self.rounds.want_sweep()

    def standing(self, name: str) -> Standing:
        """Return where a lineage stood when it was looked at last."""
        return next(one for one in self.rounds.book.standings if one.lineage == name)

    def times(self, step: Step, name: str = "") -> list[datetime]:
        """Return when that step was told, of one lineage or of all of them, on the true clock."""
        return [at for at, told in self.told if told.step is step and name in ("", told.lineage)]

    def _tell(self, told: Told) -> None:
        self.told.append((self.estate.now(), told))


async def order(estate: Estate, text: str, name: str, kind: OrderKind = OrderKind.ROTATE) -> None:
    """Let a person order a rotation, by a process of their own."""
    file = policy_file(text)
    async with connect(file, Line(estate, WallClock(), "ann")) as link:
        lineage = estate.begun[name].lineage
        assignment = Assignment(lineage=lineage, policy=file.policies[0], matched_key_id=None)
        ordered = Ordered(kind=kind, who="ann@desk", why="a leak")
        given = await give(
            ordered, assignment, link.ports(lineage, stopping=lambda: False, tell=lambda _: None)
        )
    assert isinstance(given, Record), given
