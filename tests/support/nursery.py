"""Start processes of the command line: forked off one that has loaded the program (`zygote`), or from the command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.support.zygote import LONGEST

ROOT = Path(__file__).parents[2]

_LOADED_WITHIN_SECONDS = 30


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


@dataclass(frozen=True, slots=True)
class _Forked:
    number: int
    pid: int
    ended: asyncio.Future[int]
    orders: socket.socket

    def send(self, number: signal.Signals) -> None:
        self.orders.send(json.dumps({"signal": self.number, "number": int(number)}).encode())


@dataclass(frozen=True, slots=True)
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
    """Starts processes of one copy of the program, for any event loop."""

    def __init__(self, program: Path, orders: socket.socket) -> None:
        """Listen to what the parent of the forked processes, at the other end of `orders`, has to tell."""
        self._program = program
        self._orders = orders
        self._born: list[Future[int]] = []
        self._ended: list[Future[int]] = []
        self._ready: Future[None] = Future()
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        self._hearing.start()

    async def fork(self, command: Command) -> Process:
        """Start a command as a child of the process that has loaded the program."""
        number = len(self._born)
        born: Future[int] = Future()
        ended: Future[int] = Future()
        for future, kept in ((born, self._born), (ended, self._ended)):
            future.set_running_or_notify_cancel()  # nobody who waits for it and gives up takes it back
            kept.append(future)
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
        return _Forked(number, await asyncio.wrap_future(born), asyncio.wrap_future(ended), self._orders)

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
        return _Started(process, asyncio.create_task(process.wait()))

    def wait(self) -> None:
        """Wait until the program is loaded."""
        self._ready.result(_LOADED_WITHIN_SECONDS)

    def end(self) -> None:
        """Let the parent of the forked processes end, and with it all of them."""
        self._orders.shutdown(socket.SHUT_WR)
        self._hearing.join()

    def _hear(self) -> None:
        while text := self._orders.recv(LONGEST):
            report = json.loads(text)
            if "ready" in report:
                self._ready.set_result(None)
            elif "pid" in report:
                self._born[report["id"]].set_result(report["pid"])
            else:
                self._ended[report["id"]].set_result(report["status"])


@contextmanager
def nursery(program: Path = ROOT) -> Iterator[Nursery]:
    """Load the copy of the program that is in the folder `program`. No process outlives the block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = subprocess.Popen(
            (sys.executable, "-W", "error", "-m", "tests.support.zygote", str(theirs.fileno())),
            env={"PYTHONPATH": os.pathsep.join((str(program), str(ROOT))), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=program,
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        made = Nursery(program, ours)
        try:
            made.wait()
            yield made
        finally:
            made.end()
            process.wait()
