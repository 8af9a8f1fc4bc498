"""What systemd is told: ready, reloading, stopping, alive, and a line of status. Without systemd nobody is told.

The protocol is that of sd_notify(3): a datagram of assignments to the socket that NOTIFY_SOCKET names.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from rotator.clock import Clock

Variable = Callable[[str], str | None]
"""Returns the value of an environment variable."""

LONGEST_STATUS = 500
"""systemd takes no more than 4,096 bytes in a message, and nobody reads so much."""

_PATIENCE_SECONDS = 0.2


class Systemd:
    """The service manager, if there is one."""

    def __init__(self, variable: Variable, clock: Clock) -> None:
        """Read from the environment where to tell it, and how often it wants to hear that we are alive."""
        path = variable("NOTIFY_SOCKET") or ""
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._clock = clock
        self._status = ""
        wanted, process = variable("WATCHDOG_USEC") or "", variable("WATCHDOG_PID") or ""
        ours = process in ("", str(os.getpid()))
        self.watchdog = timedelta(microseconds=int(wanted)) if ours and wanted.isdecimal() else None
        """How long it waits for a sign of life, None when it does not."""

    def ready(self) -> None:
        """Tell that the service does what it is for, or that a reload has ended."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Tell that a reload has begun."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={int(self._clock.monotonic() * 1_000_000)}")

    def stopping(self) -> None:
        """Tell that the service is about to end."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Tell that work makes progress."""
        if self.watchdog is not None:
            self._tell("WATCHDOG=1")

    def more_time(self, needed: timedelta) -> None:
        """Ask not to be given up for so long, while starting or stopping."""
        self._tell(f"EXTEND_TIMEOUT_USEC={int(needed.total_seconds() * 1_000_000)}")

    def status(self, line: str) -> None:
        """Tell what `systemctl status` is to show, if that is news."""
        if line != self._status:
            self._status = line
            self._tell(f"STATUS={' '.join(line.split())[:LONGEST_STATUS]}")

    def _tell(self, assignments: str) -> None:
        if not self._address:
            return
        # A manager that does not listen must not stop a rotation.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.settimeout(_PATIENCE_SECONDS)
            line.connect(self._address)
            line.sendall(assignments.encode())
