"""Connections to Vault that send nothing of a call, and read no more of its answer, once its time is over.

requests bounds how long a connection may take to stand and how long each read may take; not how long a name is looked up,
nor how many reads there are, nor that the process sleeps. So a call that was given up could still be sent, and an answer that
comes byte by byte, in its head as well as in its body, would keep a thread for ever.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from rotator.clock import SystemClock


class Deadline:
    """By when one call is over. Made by whoever waits for it, and used by the thread that sends it."""

    def __init__(self, after: timedelta) -> None:
        """Begin to count."""
        self._at = SystemClock().monotonic() + after.total_seconds()
        self._passed = False
        self._connection: _Http | None = None

    @contextmanager
    def bounds(self) -> Iterator[None]:
        """Let it count for what this thread sends meanwhile. Raise TimeoutError in the end when it has passed.

        Whatever was read then may have been cut off.
        """
        _here.deadline = self
        try:
            yield
        finally:
            with _exchanging:
                if self._connection is not None and self._connection.used_by is self:
                    self._connection.used_by = None
                self._connection = None
        if self._passed:
            raise TimeoutError

    def take(self, connection: _Http) -> None:
        """Let a connection be used for this call. Raise TimeoutError when it is too late to send on it."""
        with _exchanging:
            self._connection, connection.used_by = connection, self
            passed = self._passed
        if passed or SystemClock().monotonic() > self._at:
            raise TimeoutError

    def end(self) -> None:
        """Let the call be over: no more is sent, and what is being read ends."""
        with _exchanging:
            self._passed = True
            # It is back in its pool as soon as an answer was read, and may be another call's.
            ours = self._connection is not None and self._connection.used_by is self
            used = self._connection.sock if self._connection is not None and ours else None
            if used is not None:
                with suppress(OSError):  # it is closed already
                    # Not as a TLS connection ends: the other thread is in the middle of using it.
                    socket.socket.shutdown(used, socket.SHUT_RDWR)


_exchanging = threading.Lock()
"""Held while it is looked at, or changed, whose a connection is."""


class _Here(threading.local):
    deadline: Deadline


_here = _Here()


class _Http(HTTPConnection):
    used_by: Deadline | None = None

    def send(self, data: Any) -> None:  # noqa: ANN401 (http.client takes much)
        if self.sock is None:
            self.connect()
        _here.deadline.take(self)
        super().send(data)


class _Https(_Http, HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Https


class TimedAdapter(requests.adapters.HTTPAdapter):
    """Sends within a `Deadline` that counts for its thread, and not without one."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (as requests has it)
        """Use connections that look at the deadline."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def close(self) -> None:
        """Close all connections. requests leaves that to whoever holds their pools last, such as the traceback of a failed call."""
        for key in self.poolmanager.pools.keys():  # noqa: SIM118 (it can't be iterated over)
            self.poolmanager.pools[key].close()
        super().close()
