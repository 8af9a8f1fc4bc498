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
        self._socket: socket.socket | None = None

    @contextmanager
    def bounds(self) -> Iterator[None]:
        """Let it count for what this thread sends meanwhile."""
        _here.deadline = self
        try:
            yield
        finally:
            self._socket = None

    def check(self, about_to_send_on: socket.socket) -> None:
        """Raise TimeoutError when it is too late to send. In this order: `end` may come in between."""
        self._socket = about_to_send_on
        if self._passed or SystemClock().monotonic() > self._at:
            raise TimeoutError

    def end(self) -> None:
        """Let the call be over: no more is sent, and what is being read ends."""
        self._passed = True
        if self._socket is not None:
            with suppress(OSError):  # it is closed already
                # Not as a TLS connection ends: the other thread is in the middle of using it.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Here(threading.local):
    deadline: Deadline


_here = _Here()


class _Http(HTTPConnection):
    def send(self, data: Any) -> None:  # noqa: ANN401 (http.client takes much)
        if self.sock is None:
            self.connect()
        _here.deadline.check(self.sock)
        super().send(data)


class _Https(HTTPSConnection):
    def send(self, data: Any) -> None:  # noqa: ANN401 (http.client takes much)
        if self.sock is None:
            self.connect()
        _here.deadline.check(self.sock)
        super().send(data)


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
