"""The service manager's end of the line: a real datagram socket, as systemd's."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_numbers = itertools.count()


class Manager:
    """What it was told, in order. `variable` is the environment that it starts the service in."""

    def __init__(self, line: socket.socket, address: str) -> None:
        self._line = line
        self._told: list[str] = []
        self.environment = {"NOTIFY_SOCKET": address}

    def variable(self, name: str) -> str | None:
        return self.environment.get(name)

    @property
    def told(self) -> list[str]:
        self._hear()
        return self._told

    def states(self) -> list[str]:
        """Return what was told of the state of the service."""
        lines = (line for told in self.told for line in told.splitlines())
        return [line for line in lines if line in {"READY=1", "RELOADING=1", "STOPPING=1"}]

    def status(self) -> str:
        """Return the last line of status."""
        told = [one for one in self.told if one.startswith("STATUS=")]
        return told[-1].removeprefix("STATUS=")

    @contextmanager
    def hearing(self) -> Iterator[None]:
        """Hear all in time: only so many datagrams wait for whoever does not."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._line, self._hear)
        try:
            yield
        finally:
            loop.remove_reader(self._line)

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._told.append(self._line.recv(65536).decode())


@contextmanager
def manager(path: str = "") -> Iterator[Manager]:
    """Listen at a path, or at an abstract address of our own."""
    address = path or f"@rotator-test-{os.getpid()}-{next(_numbers)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        line.settimeout(0)
        yield Manager(line, address)
