"""The whole service in an estate: its policy file, its beat, its clock and its service manager are the test's."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import datetime, timedelta

import httpx

from rotator.cli.policy_files import PolicyTexts
from rotator.clock import Clock
from rotator.daemon.link import Link
from rotator.daemon.notify import Systemd
from rotator.daemon.service import Outside, Service
from rotator.daemon.ticks import Tick
from rotator.errors import PolicyError, Problem, RotatorError
from rotator.model.board import Board
from rotator.model.standing import Standing
from rotator.model.told import Heard, Step, Told
from rotator.policy.settings import PolicyFile
from rotator.web.app import application
from rotator.web.metrics import Metrics
from tests.support.builders import SECOND
from tests.support.estate import Estate
from tests.support.estate_ports import Line, WallClock, connect
from tests.support.manager import Manager, manager
from tests.support.replica import Counted

_names = itertools.count()


@asynccontextmanager
async def beating(ticks: Mapping[str, Tick], clock: Clock) -> AsyncIterator[None]:
    """Say each tick every so often, as `daemon.ticks.ticking` does by a clock that can't be moved."""

    async def beat(tick: Tick) -> None:
        while True:
            await clock.sleep(tick.every)
            tick.say()

    beats = [asyncio.create_task(beat(tick)) for tick in ticks.values()]
    try:
        yield
    finally:
        for one in beats:
            one.cancel()
        await asyncio.gather(*beats, return_exceptions=True)


class Scene:
    """One service. `file` is its policy file as it stands on disk, None while there is none."""

    def __init__(self, estate: Estate, text: str, systemd: Manager) -> None:
        self.estate = estate
        self.file: str | None = text
        self.manager = systemd
        self.clock = WallClock()
        self.meter = Counted()
        self.told: list[tuple[datetime, Told]] = []
        self.lines: list[Line] = []
        self.refused: RotatorError | None = None
        """Why nothing can be connected to, if so."""
        self.attempts = 0
        """How often it tried to connect."""
        outside = Outside(
            clock=self.clock,
            read=self._read,
            connect=self._connect,
            ticking=beating,
            systemd=Systemd(systemd.variable, self.clock),
            meter=self.meter,
            tell=lambda told: self.told.append((estate.now(), told)),
        )
        draft = self._read()
        self.service = Service(outside, draft, draft.load())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let it run until the block is left; it is asked to stop then, and ends without an error."""
        running = asyncio.create_task(self.service.run())
        try:
            yield
        finally:
            self.service.stop()
            await running

    async def until(self, what: Callable[[], object], *, within: timedelta) -> timedelta:
        """Wait until something is so, and return how long that took."""
        began = self.clock.monotonic()
        while not what():
            passed = timedelta(seconds=self.clock.monotonic() - began)
            assert passed < within, (
                f"not so after {within}: {self.board().troubles}, {self.manager.told[-3:]}"
            )
            await self.clock.sleep(SECOND)
        return timedelta(seconds=self.clock.monotonic() - began)

    def board(self) -> Board:
        return self.service.board()

    def standing(self, name: str) -> Standing:
        return next(one for one in self.board().standings if one.lineage == name)

    def lineages(self, step: Step) -> set[str]:
        """Return of which lineages that step was told."""
        return {told.lineage for _, told in self.told if told.step is step}

    def times(self, step: Step, name: str = "") -> list[datetime]:
        """Return when that step was told, of one lineage or of all of them, on the true clock."""
        return [at for at, told in self.told if told.step is step and name in ("", told.lineage)]

    async def asked(self, path: str) -> tuple[int, str]:
        """Return what its probes answer, by status and text."""
        metrics = Metrics()
        metrics.show(self.board)
        probes = httpx.ASGITransport(application(self.board, metrics))
        async with httpx.AsyncClient(transport=probes, base_url="http://service") as http:
            answer = await http.get(path)
        return answer.status_code, answer.text

    async def metric(self, name: str) -> float:
        """Return a figure that has no labels."""
        _, text = await self.asked("/metrics")
        (line,) = (one for one in text.splitlines() if one.startswith(f"{name} "))
        return float(line.rpartition(" ")[2])

    def _read(self) -> PolicyTexts:
        if self.file is None:
            raise PolicyError((Problem(file="policy.yaml", line=0, column=0, path="", what="it is gone"),))
        return PolicyTexts(name="policy.yaml", text=self.file.encode(), included=())

    def _connect(self, file: PolicyFile, heard: Heard) -> AbstractAsyncContextManager[Link]:
        self.attempts += 1
        if self.refused is not None:
            raise self.refused
        self.lines.append(Line(self.estate, self.clock, f"service-{next(_names)}", heard))
        return connect(file, self.lines[-1])


@contextmanager
def scene(estate: Estate, text: str, **environment: str) -> Iterator[Scene]:
    """Make a scene. `environment` is what else the service manager starts the service in."""
    with manager() as systemd, systemd.hearing():
        systemd.environment |= environment
        yield Scene(estate, text, systemd)
