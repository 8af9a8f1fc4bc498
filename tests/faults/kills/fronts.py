"""What stands between a process and its servers: sees each call, and can strike before it is done, before or after its answer.

One listener for Vault and one for the provider. Calls to Vault are passed on to the real server; those to the provider
are given to the simulated one, in this event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp


class Side(StrEnum):
    """When a call is struck."""

    BEFORE = "before"
    """It has arrived, and nothing was done."""
    AFTER = "after"
    """It was done, and not answered."""
    BETWEEN = "between"
    """It was answered just now."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came. `port` is where its answer goes on the other side."""

    server: str
    port: int
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def writes(self) -> bool:
        """Whether it may change something. To ask for what a token may do is a POST that changes nothing."""
        return self.method != "GET" and "capabilities-self" not in self.path


def first(calls: Sequence[Call], method: str, path: str) -> int:
    """Return which call is the first one of that method to a path with that in it."""
    return next(nth for nth, call in enumerate(calls) if call.method == method and path in call.path)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


Strike = Callable[[], Awaitable[bool]]
"""Does something to a process; returns whether the call goes on after that."""

Upstream = Callable[[Call], Awaitable[Reply]]


class Crossing:
    """The calls of one installation, in the order in which they came, and the strikes that await them.

    `changes` counts those that were done and may have changed something.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.changes = 0
        self._strikes: dict[tuple[int, Side], Strike] = {}

    def strike(self, nth: int, side: Side, act: Strike) -> None:
        """Strike at the `nth` call from now on, counted from 0."""
        self._strikes[len(self.calls) + nth, side] = act

    def clear(self) -> None:
        """Strike no more."""
        self._strikes.clear()

    async def cross(self, call: Call, upstream: Upstream, answer: Callable[[Reply], Awaitable[None]]) -> bool:
        """Note a call, pass it on, and give the answer. Return False when it is to be left without one."""
        nth = len(self.calls)
        self.calls.append(call)
        if not await self._struck(nth, Side.BEFORE):
            return False
        self.changes += call.writes
        reply = await upstream(call)
        if not await self._struck(nth, Side.AFTER):
            return False
        await answer(reply)
        return await self._struck(nth, Side.BETWEEN)

    async def _struck(self, nth: int, side: Side) -> bool:
        act = self._strikes.pop((nth, side), None)
        return act is None or await act()


@asynccontextmanager
async def fronts(vault: str, provider: ASGIApp, crossing: Crossing) -> AsyncIterator[tuple[str, str]]:
    """Listen; return the addresses to give to the program for Vault and for the provider."""
    async with AsyncExitStack() as stack:
        upstreams = {"vault": _vault(vault), "provider": _app(provider)}
        addresses = [
            await stack.enter_async_context(_listening(name, upstream, crossing))
            for name, upstream in upstreams.items()
        ]
        yield addresses[0], addresses[1]


@asynccontextmanager
async def _listening(server: str, upstream: Upstream, crossing: Crossing) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def answer(reply: Reply) -> None:
            _write(writer, reply)
            await writer.drain()

        port = writer.get_extra_info("peername")[1]
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            # Whoever is killed leaves in the middle of anything.
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while (call := await _read(server, port, reader)) and await crossing.cross(
                    call, upstream, answer
                ):
                    pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(list(tasks))


async def _read(server: str, port: int, reader: asyncio.StreamReader) -> Call | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(server, port, method, path, headers, body)


def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in reply.headers if name.lower() not in _OF_ONE_HOP]
    lines += [f"Content-Length: {len(reply.body)}", "", ""]
    writer.write("\r\n".join(lines).encode("latin-1") + reply.body)


_OF_ONE_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding"})


def _vault(address: str) -> Upstream:
    host, _, port = address.rpartition("/")[2].partition(":")

    async def ask(call: Call) -> Reply:
        reader, writer = await asyncio.open_connection(host, int(port))
        # In HTTP/1.0 an answer ends with its connection.
        lines = [f"{call.method} {call.path} HTTP/1.0", f"Host: {host}", f"Content-Length: {len(call.body)}"]
        lines += [f"{name}: {value}" for name, value in call.headers.items() if name not in _OF_ONE_HOP]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + call.body)
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        writer.close()
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in rest))
        return Reply(int(first.split(" ")[1]), headers, body)

    return ask


def _app(app: ASGIApp) -> Upstream:
    async def ask(call: Call) -> Reply:
        url = urlsplit(call.path)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": call.method,
            "scheme": "http",
            "path": unquote(url.path),
            "raw_path": url.path.encode(),
            "query_string": url.query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in call.headers.items()],
        }
        sent: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": call.body, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        await app(scope, receive, send)  # type: ignore[arg-type] # starlette wants its own mapping type
        headers = tuple((name.decode(), value.decode()) for name, value in sent[0]["headers"])
        return Reply(sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:]))

    return ask
