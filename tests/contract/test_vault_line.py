"""What `vault.line.Line` promises of time: what was given up is not sent, and no answer holds a turn for longer than its time."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import hvac.adapters
import pytest

from rotator.clock import SystemClock
from rotator.errors import Ambiguous, Unavailable
from rotator.model.secret import Secret
from rotator.vault.line import Line
from rotator.vault.timed import Deadline, _Http
from rotator.vault.translate import Call
from rotator.vault.wire import THREADS
from tests.support.canary import CANARY
from tests.support.vault_processes import TlsServer, tls_server

SHORT = timedelta(seconds=1)
TOKEN = Secret(f"{CANARY}-token")
READ = Call(operation="read", target="a thing")
WRITE = replace(READ, operation="write", writes=True)

DRIPPING = {
    "the head": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    "answers before the answer": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b" "),
    "the length of a part": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a"),
    "what follows the body": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: ",
        b"a",
    ),
}
"""How an answer begins, and what comes again and again after it."""


@dataclass
class Server:
    """A server that answers at once, but for what is asked below /slow: that drips. `asked` are the requests that came."""

    drip: tuple[bytes, bytes] = DRIPPING["the head"]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._answer(reader, writer)
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = ""
        while "/slow" not in head:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            self.asked.append(head.partition(" HTTP")[0])
            if "/slow" not in head:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        begins, goes_on = self.drip
        writer.write(begins)
        gone = asyncio.ensure_future(reader.read())
        while not gone.done():
            writer.write(goes_on)
            await asyncio.wait({gone}, timeout=0.05)


@asynccontextmanager
async def line_to(
    server: Server, *, tls: TlsServer | None = None, within: timedelta = SHORT
) -> AsyncIterator[Line]:
    """Open a line to a server, whose calls may take so long."""
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
    answering: set[asyncio.Task[None]] = set()

    def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(server(reader, writer))
        answering.add(task)
        task.add_done_callback(answering.discard)

    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    line = Line(
        address=f"http{'' if tls is None else 's'}://localhost:{port}",
        namespace="",
        ca_cert=None if tls is None else str(tls.authority),
        client_cert=None,
        call_timeout=within,
        clock=SystemClock(),
    )
    try:
        yield line
    finally:
        closing = asyncio.ensure_future(line.aclose())
        await asyncio.wait({closing}, timeout=5)
        assert closing.done(), "a call holds it up"
        listening.close()
        while answering:
            _, left = await asyncio.wait(answering, timeout=5)
            assert not left, "a connection is left open"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """Return a server whose certificate others can show."""
    with tls_server(tmp_path_factory.mktemp("tls")) as running:
        yield running


@pytest.fixture
def keeping() -> Iterator[None]:
    """Let what holds itself be kept: the traceback of a failed call does, and with it all that was used."""
    gc.disable()
    yield
    gc.enable()


def get(path: str) -> Callable[[hvac.adapters.RawAdapter], object]:
    return lambda adapter: adapter.get(path)


def post(path: str) -> Callable[[hvac.adapters.RawAdapter], object]:
    return lambda adapter: adapter.post(path, json={"is": "written"})


async def all_turns_are_free(line: Line) -> None:
    quick = [asyncio.ensure_future(line.ask(READ, get("/v1/quick"), TOKEN)) for _ in range(THREADS)]
    await asyncio.wait(quick, timeout=5)
    assert [one.done() and one.result().status for one in quick] == [200] * THREADS


@pytest.mark.parametrize("drip", DRIPPING.values(), ids=DRIPPING)
@pytest.mark.parametrize("protected", [False, True], ids=["plain", "TLS"])
async def test_answers_that_drip_give_their_turns_back(
    drip: tuple[bytes, bytes], tls: TlsServer, *, protected: bool
) -> None:
    async with line_to(Server(drip), tls=tls if protected else None) as line:
        asking = [line.ask(READ, get(f"/v1/slow/{number}"), TOKEN) for number in range(THREADS)]
        ended = await asyncio.gather(*asking, return_exceptions=True)
        assert {str(one) for one in ended} == {"read a thing: no answer in time"}
        await all_turns_are_free(line)


async def test_an_answer_that_drips_to_nobody_ends_in_time_as_well() -> None:
    server = Server()
    async with line_to(server) as line:
        asking = [asyncio.ensure_future(line.ask(READ, get("/v1/slow"), TOKEN)) for _ in range(THREADS)]
        while len(server.asked) < THREADS:
            await SystemClock().sleep(SHORT / 30)
        for one in asking:
            one.cancel()
        await all_turns_are_free(line)


@pytest.mark.promise("P6")
@pytest.mark.usefixtures("keeping")
async def test_a_write_that_is_late_in_its_thread_is_not_sent_and_leaves_no_connection_open() -> None:
    server, given_up = Server(), threading.Event()

    def late(adapter: hvac.adapters.RawAdapter) -> object:
        given_up.wait(10)
        return adapter.post("/v1/late", json={"is": "written"})

    async with line_to(server) as line:
        await line.ask(READ, get("/v1/first"), TOKEN)
        with pytest.raises(Ambiguous, match="in time"):
            await line.ask(WRITE, late, TOKEN)
        given_up.set()
        await all_turns_are_free(line)
        assert not [asked for asked in server.asked if asked.startswith("POST")]


@pytest.mark.promise("P6")
async def test_a_write_whose_host_is_looked_up_for_too_long_is_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, given_up = Server(), threading.Event()
    look_up = socket.getaddrinfo

    def slowly(*arguments: object, **named: object) -> object:
        given_up.wait(10)
        return look_up(*arguments, **named)  # type: ignore[arg-type] # as they came

    async with line_to(server) as line:
        monkeypatch.setattr(socket, "getaddrinfo", slowly)
        with pytest.raises(Ambiguous, match="in time"):
            await line.ask(WRITE, post("/v1/late"), TOKEN)
        given_up.set()
        await all_turns_are_free(line)
        assert not [asked for asked in server.asked if asked.startswith("POST")]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
async def test_a_write_whose_answer_makes_no_sense_may_have_been_done(answer: bytes) -> None:
    server = Server((answer, b""))
    async with line_to(server) as line:
        with pytest.raises(Ambiguous) as caught:
            await line.ask(WRITE, post("/v1/slow"), TOKEN)
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_the_end_of_one_call_cuts_the_connection_of_no_other() -> None:
    ours, theirs = socket.socketpair()
    first, second = Deadline(SHORT), Deadline(SHORT)
    connection = _Http("localhost")
    with ours, theirs:
        theirs.settimeout(0)
        connection.sock = ours
        first.take(connection)
        second.take(connection)
        first.end()
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        second.end()
        assert theirs.recv(1) == b""
        connection.sock = None


def test_what_was_read_until_the_time_was_over_counts_for_nothing() -> None:
    deadline = Deadline(SHORT)
    with pytest.raises(TimeoutError), deadline.bounds():
        deadline.end()


async def test_where_no_thread_can_be_started_a_call_is_lost_and_not_sent_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    server, goes_on = Server(), threading.Event()

    def waits(adapter: hvac.adapters.RawAdapter) -> object:
        goes_on.wait(10)
        return adapter.get("/v1/first")

    async with line_to(server, within=timedelta(seconds=10)) as line:
        first = asyncio.ensure_future(line.ask(READ, waits, TOKEN))
        await SystemClock().sleep(timedelta(0))
        monkeypatch.setattr(threading.Thread, "start", refused)
        for call, kind in ((WRITE, Ambiguous), (READ, Unavailable)) * THREADS:
            with pytest.raises(kind, match="no thread"):
                await line.ask(call, post("/v1/late"), TOKEN)
        goes_on.set()
        await first
        monkeypatch.undo()
        await all_turns_are_free(line)
        assert not [asked for asked in server.asked if asked.startswith("POST")]
