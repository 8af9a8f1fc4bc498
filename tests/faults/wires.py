"""The two lines that a program under test speaks on, to Vault and to the provider, and what goes wrong on them.

Real HTTP over loopback, and nothing of the program is touched. On the line to Vault the time is moved as well: each
version keeps the shift of the moment at which it was written, each answer gets the shift of now.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.client import HTTPConnection
from typing import Any

from rotator.simulator.calls import Ask, perform
from rotator.simulator.faults import Operation
from tests.faults.calls import CONTROL, ENTRY, RECORDS, Call, Namer
from tests.faults.faults import Act, Fault, Side, act_of, answer_of
from tests.faults.world import WatchedWorld
from tests.support.vault_lab import Between, Reply, Seen, between, exchange

CALL_TIMEOUT = timedelta(milliseconds=1500)
"""How long the programs under test wait for an answer."""

DEAD = "http://127.0.0.1:9"
"""An address where nobody listens."""


@dataclass(slots=True)
class Armed:
    """A fault that awaits its call. `after` is the call to that side just before it, None when it is the first one."""

    call: Call
    fault: Fault
    after: Call | None
    fired: bool = False


_OPERATIONS = {
    ("GET", False): Operation.LIST,
    ("GET", True): Operation.GET,
    ("POST", False): Operation.CREATE,
    ("DELETE", True): Operation.DELETE,
}
"""What is asked of a project's keys, by method and whether one of them is named."""

_refusing: dict[int, Callable[[], None]] = {}
"""Who refuses connections, by port, and what to do when one is tried."""


def _connects(event: str, args: tuple[Any, ...]) -> None:
    """Let who refuses connections know, as an audit hook, that one is about to be tried."""
    if event == "socket.connect" and _refusing and isinstance(args[1], tuple):
        tried = _refusing.get(args[1][1])
        if tried is not None:
            tried()


class Upstream:
    """A real server, with connections that stay open: a case makes a hundred calls."""

    def __init__(self, address: str) -> None:
        self._host = address.rpartition("/")[2]
        self._idle: list[HTTPConnection] = []

    def ask(self, request: Seen) -> Reply:
        """Send a request on, and return the answer."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = HTTPConnection(self._host, timeout=60)
        try:
            reply = exchange(connection, request)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return reply

    def close(self) -> None:
        """Close what is idle. Nothing may be under way."""
        while self._idle:
            self._idle.pop().close()


class Wires:
    """Both lines of one installation. What is done late waits in `settle`."""

    def __init__(self, world: WatchedWorld, vault: Upstream, namespace: str) -> None:
        self.world, self.clock = world, world.clock
        self._vault, self._namespace = vault, namespace
        self._lock = threading.RLock()
        self._between: dict[Side, Between] = {}
        self._later: dict[Side, list[Callable[[], object]]] = {side: [] for side in Side}
        self._much_later: list[Callable[[], object]] = []
        self.shifts: dict[tuple[str, int], timedelta] = {}
        self.calls: list[Call] = []
        self.armed: Armed | None = None
        self.namer = Namer(lambda _: "", None)
        self.sent: list[str] = []
        self.offered: set[str] = set()

    def open(self, stack: ExitStack) -> None:
        """Listen until the stack is left, before Vault and as the provider."""
        for side in Side:
            self._between[side] = stack.enter_context(between(lambda r, _f, s=side: self._rule(s, r)))  # type: ignore[misc] # the default binds the side
        _hear_connections()

    def address(self, side: Side) -> str:
        return self._between[side].address

    def begin(self, namer: Namer, armed: Armed | None = None) -> None:
        """Begin a run: its calls are recorded, and the fault that is armed happens."""
        self.namer, self.armed, self.calls = namer, armed, []
        if armed is not None and armed.fault is Fault.REFUSED and armed.after is None:
            self._refuse(armed)

    def end(self) -> None:
        """End the faulty run: nothing goes wrong any more, except what is done minutes late."""
        for one in self._between.values():
            _refusing.pop(one.port, None)
            if one.refuses:
                one.admit()
        self.armed = None
        for waiting in self._later.values():
            self._do(waiting)

    def settle(self) -> None:
        """Let happen what is done minutes late."""
        self._do(self._much_later)

    def _do(self, waiting: list[Callable[[], object]]) -> None:
        due, waiting[:] = waiting[:], []
        for act in due:
            act()

    def _rule(self, side: Side, request: Seen) -> Reply | None:
        with self._lock:
            call = self.namer.name(side, request)
            self.calls.append(call)
            if call.kind == "destination write":
                self.offered.add(json.loads(request.body)["data"]["rotation_id"])
            elif side is Side.VAULT and call.kind != "login":
                self.sent.append(f"{request.path} {request.body.decode()}")
            due, self._later[side] = self._later[side], []
            armed = self.armed
            hit = (
                armed is not None
                and not armed.fired
                and armed.call == call
                and armed.fault is not Fault.REFUSED
            )
            if hit and armed is not None:
                armed.fired = True
        reply = (
            self._faulty(armed.fault, side, request)
            if hit and armed is not None
            else self._act(side, request, armed)
        )
        for act in due:
            act()
        if armed is not None and armed.fault is Fault.REFUSED and armed.after == call and not armed.fired:
            self._refuse(armed)
        return reply

    def _faulty(self, fault: Fault, side: Side, request: Seen) -> Reply | None:
        if fault is Fault.TIMEOUT:
            threading.Event().wait(CALL_TIMEOUT.total_seconds() * 1.2)
        real = Reply(200)
        match act_of(fault):
            case Act.NOW:
                real = self._act(side, request)
            case Act.LATER:
                self._later[side].append(lambda: self._act(side, request))
            case Act.MUCH_LATER:
                self._much_later.append(lambda: self._act(side, request))
            case Act.NOTHING:
                pass
        reply = answer_of(fault, side, real, f"{DEAD}{request.path}")
        if reply is None or "Date" not in reply.headers:
            return reply
        now = format_datetime(self.clock.now(), usegmt=True)
        return replace(reply, headers={**reply.headers, "Date": now})

    def _act(self, side: Side, request: Seen, armed: Armed | None = None) -> Reply:
        """Pass a request on, and return the answer as if the other side's clock were the test's."""
        if side is Side.PROVIDER:
            return self._deepgram(request)
        path = request.path.removeprefix("/v1/").partition("?")[0]
        if armed is not None and armed.fired and armed.fault is Fault.MOVED and path == "sys/leader":
            return Reply.of(200, {"ha_enabled": True, "is_self": False, "leader_address": DEAD})
        headers = {**request.headers, "X-Vault-Namespace": self._namespace}
        shift = self.clock.shift
        reply = self._vault.ask(replace(request, headers=headers))
        return self._moved(path, request, reply, shift)

    def _deepgram(self, request: Seen) -> Reply:
        """Let the simulated world answer, without a second server behind this one."""
        _, _, kind, *rest = request.path.strip("/").partition("?")[0].split("/") + [""] * 2
        with self._lock:
            self.world.settle()
            now = self.world.clock.now()
            ask = Ask(
                operation=Operation.PROVE if kind == "token" else _OPERATIONS[request.method, bool(rest[1])],
                secret=request.headers["Authorization"].removeprefix("Token "),
                project_id=kind,
                named=rest[1],
                query={},
                body=request.body,
            )
            answer = perform(self.world, ask, now)
        headers = {"Content-Type": "application/json", "Date": format_datetime(now, usegmt=True)}
        body = answer.content if isinstance(answer.content, str) else json.dumps(answer.content)
        return Reply(answer.status, body.encode(), headers)

    def _moved(self, path: str, request: Seen, reply: Reply, shift: timedelta) -> Reply:
        kv = path in {CONTROL, ENTRY} or path.startswith(RECORDS)
        headers, body = dict(reply.headers), reply.body
        if "Date" in headers:
            headers["Date"] = format_datetime(parsedate_to_datetime(headers["Date"]) + shift, usegmt=True)
        if kv and reply.status == 200:
            document = json.loads(body)
            metadata = document["data"].get("metadata", document["data"])
            if request.method == "POST":
                self.shifts[path, metadata["version"]] = shift
                if path.startswith(RECORDS):
                    self.namer.wrote(request)
            created_at = datetime.fromisoformat(metadata["created_time"])
            metadata["created_time"] = (created_at + self.shifts[path, metadata["version"]]).isoformat()
            body = json.dumps(document).encode()
        return replace(reply, headers=headers, body=body)

    def _refuse(self, armed: Armed) -> None:
        """Refuse the next connection, and take the one after it."""
        one = self._between[armed.call.side]

        def tried() -> None:
            if armed.fired:
                _refusing.pop(one.port, None)
                one.admit()
            armed.fired = True

        one.refuse()
        _refusing[one.port] = tried


def _hear_connections() -> None:
    if _connects not in _hearing:
        _hearing.append(_connects)
        sys.addaudithook(_connects)


_hearing: list[Callable[..., None]] = []
