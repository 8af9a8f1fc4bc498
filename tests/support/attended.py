"""One process of the service in an estate, with its file and its beat, and a service manager that listens."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

from rotator.daemon.notify import Systemd
from rotator.daemon.service import LOOK_EVERY, Outside, Service
from rotator.daemon.ticks import ticking
from rotator.errors import RotatorError
from rotator.model.board import Board
from rotator.model.told import Heard, Step, Told
from rotator.policy.settings import PolicyFile
from tests.support.estate import Estate
from tests.support.estate_ports import EstateLink, Line, WallClock, connect, policy_file
from tests.support.replica import Counted


@dataclass(frozen=True, slots=True)
class Text:
    """A `daemon.service.Draft`."""

    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def load(self) -> PolicyFile:
        return policy_file(self.text)


class Manager:
    """What the service manager hears: `said` are the assignments, in their order, but those that come all the time."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(self.address)
        self._line.setblocking(False)  # noqa: FBT003 (its one argument)
        self._heard: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def heard(self) -> list[str]:
        """Return all assignments that were told so far."""
        while True:
            try:
                self._heard += self._line.recv(1 << 20).decode().split("\n")
            except BlockingIOError:
                return self._heard

    def states(self) -> list[str]:
        """Return what was told of the state of the service."""
        states = ("READY=1", "RELOADING=1", "STOPPING=1")
        return [one for one in self.heard() if one in states]

    def status(self) -> str:
        """Return the last line of status."""
        return [one for one in self.heard() if one.startswith("STATUS=")][-1].removeprefix("STATUS=")


class Attended:
    """The service. `text` is its policy file as it is on disk; `fails_to_read` and `fails_to_connect` while they are set."""

    def __init__(self, estate: Estate, text: str, manager: Manager | None = None) -> None:
        self.estate, self.text = estate, text
        self.clock = WallClock()
        self.meter = Counted()
        self.told: list[Told] = []
        self.fails_to_read: RotatorError | None = None
        self.fails_to_connect: RotatorError | None = None
        self.connected = 0
        variables = {"NOTIFY_SOCKET": manager.address} if manager else {}
        outside = Outside(
            clock=self.clock,
            ticking=ticking,
            read=self._read,
            connect=self._connect,
            systemd=Systemd(variables.get, self.clock),
            meter=self.meter,
            tell=self.told.append,
        )
        self.service = Service(outside, Text(text), policy_file(text))

    async def tick(self) -> None:
        """Let the service do what there is to do now, and more of it at once."""
        self.service.beat()
        while await self.service.step():
            pass

    async def run(self, duration: timedelta) -> None:
        """Let the service run for so long, tick by tick."""
        until = self.clock.monotonic() + duration.total_seconds()
        while self.clock.monotonic() < until:
            await self.tick()
            await self.clock.sleep(LOOK_EVERY)

    @property
    def board(self) -> Board:
        return self.service.board()

    def lineages(self, step: Step) -> set[str]:
        """Return of which lineages that step was told."""
        return {told.lineage for told in self.told if told.step is step}

    def _read(self) -> Text:
        if self.fails_to_read is not None:
            raise self.fails_to_read
        return Text(self.text)

    def _connect(self, file: PolicyFile, heard: Heard) -> AbstractAsyncContextManager[EstateLink]:
        @asynccontextmanager
        async def connecting() -> AsyncIterator[EstateLink]:
            self.connected += 1
            if self.fails_to_connect is not None:
                raise self.fails_to_connect
            line = Line(self.estate, self.clock, "replica-a", heard)
            async with connect(file, line) as link:
                yield link

        return connecting()
