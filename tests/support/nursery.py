"""Start processes of the command line: forked off one that has loaded the program (`zygote`), or from the command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.faults.kills.zygote import LONGEST

ROOT = Path(__file__).parents[3]


class Process(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def ended(self) -> asyncio.Future[int]:
        """Its status once it has ended, negative for a signal."""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start. `streams` are files for standard input, output and error."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    streams: tuple[Path, Path, Path]


@dataclass(slots=True)
class _Forked:
    number: int
    orders: socket.socket
    ended: asyncio.Future[int]
    pid: int = 0

    def send(self, number: signal.Signals) -> None:
        self.orders.send(json.dumps({"signal": self.number, "number": int(number)}).encode())


@dataclass(slots=True)
class _Started:
    process: asyncio.subprocess.Process
    ended: asyncio.Future[int]

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            self.process.send_signal(number)


class Nursery:
    """Starts processes of one copy of the program."""

    def __init__(self, program: Path, orders: socket.socket) -> None:
        self._program = program
        self._orders = orders
        self._children: dict[int, _Forked] = {}
        self._born: dict[int, asyncio.Event] = {}
        self._waiting: set[asyncio.Task[None]] = set()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def fork(self, command: Command) -> Process:
        """Start a command as a child of the process that has loaded the program."""
        number = len(self._children)
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        child = self._children[number] = _Forked(number, self._orders, ended)
        born = self._born[number] = asyncio.Event()
        given, out, err = map(str, command.streams)
        order = {
            "start": number,
            "argv": list(command.arguments),
            "env": dict(command.environment),
            "in": given,
            "out": out,
            "err": err,
        }
        self._orders.send(json.dumps(order).encode())
        await born.wait()
        return child

    async def start(self, command: Command) -> Process:
        """Start a command as a shell does."""
        given, out, err = command.streams
        with given.open("rb") as stdin, out.open("wb") as stdout, err.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-m", "rotator", *command.arguments),
                env={**command.environment, "PYTHONPATH": str(self._program)},
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
            )
        started = _Started(process, asyncio.get_running_loop().create_future())
        task = asyncio.create_task(_end(started))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return started

    def heard(self) -> None:
        """Take in what the parent of the forked processes has to tell."""
        text = self._orders.recv(LONGEST)
        report = json.loads(text) if text else {}
        if "ready" in report:
            self.ready.set_result(None)
        elif "pid" in report:
            self._children[report["id"]].pid = report["pid"]
            self._born[report["id"]].set()
        elif "status" in report and not (ended := self._children[report["id"]].ended).done():
            ended.set_result(report["status"])


async def _end(started: _Started) -> None:
    started.ended.set_result(await started.process.wait())


@asynccontextmanager
async def nursery(program: Path = ROOT) -> AsyncIterator[Nursery]:
    """Load the copy of the program that is in the folder `program`. No process outlives the block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "tests.faults.kills.zygote", str(theirs.fileno())),
            env={"PYTHONPATH": os.pathsep.join((str(program), str(ROOT))), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=program,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        made = Nursery(program, ours)
        loop = asyncio.get_running_loop()
        loop.add_reader(ours, made.heard)
        try:
            await asyncio.wait_for(made.ready, timeout=30)
            yield made
        finally:
            loop.remove_reader(ours)
            ours.close()
            await process.wait()
