"""The service manager's end of the line: a real datagram socket, as systemd's."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

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
        while True:
            try:
                self._told.append(self._line.recv(65536).decode())
            except BlockingIOError:
                return self._told


@contextmanager
def manager(path: str = "") -> Iterator[Manager]:
    """Listen at a path, or at an abstract address of our own."""
    address = path or f"@rotator-test-{os.getpid()}-{next(_numbers)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        line.settimeout(0)
        yield Manager(line, address)
