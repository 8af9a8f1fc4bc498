"""What `http.HttpClient` promises to those who call it, against servers that behave badly."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from rotator.clock import SystemClock
from rotator.errors import Ambiguous, PortError, Unavailable
from rotator.http import Answer, Call, HttpClient
from rotator.model.secret import Secret
from rotator.simulator.server import serve
from tests.contract.provider_canned import Canned, CannedServer
from tests.support.canary import CANARY

SHORT = timedelta(milliseconds=200)
LONG = timedelta(seconds=10)


def call(method: str = "GET", path: str = "/x") -> Call:
    return Call(
        method=method,
        path=path,
        operation="do something",
        target="a thing",
        authorization=Secret(f"Token {CANARY}"),
        body=None if method == "GET" else {"secret": CANARY},
    )


class Gate:
    """Answers nothing until it is opened. `inside` is how many calls are waiting, `most` its highest figure."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.entered = asyncio.Event()
        self.inside = self.most = self.total = 0

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        self.inside, self.total = self.inside + 1, self.total + 1
        self.most = max(self.most, self.inside)
        self.entered.set()
        await self.opened.wait()
        self.inside -= 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})


@asynccontextmanager
async def client(
    app: ASGIApp, *, within: timedelta = LONG, concurrency: int = 2
) -> AsyncIterator[HttpClient]:
    async with serve(app) as base_url:
        made = HttpClient(base_url, call_timeout=within, concurrency=concurrency)
        try:
            yield made
        finally:
            if isinstance(app, Gate):
                app.opened.set()
            await made.aclose()


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.deepgram.com",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "ftp://127.0.0.1",
        "api.deepgram.com",
        "//api.deepgram.com",
        "https://",
        "https://user:pass@api.deepgram.com",
        "https://api.deepgram.com?x=y",
        "https://api.deepgram.com#x",
        "https://api.deepgram.com:port",
        "https://[::1",
        "",
    ],
)
async def test_trap_22_a_base_url_is_https_or_this_machine(base_url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        HttpClient(base_url, call_timeout=LONG, concurrency=1)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.deepgram.com",
        "http://127.0.0.1:8080/",
        "http://localhost:1",
        "http://[::1]:1",
        "http://127.9.9.9",
    ],
)
async def test_these_base_urls_are_fine(base_url: str) -> None:
    await HttpClient(base_url, call_timeout=LONG, concurrency=1).aclose()


async def test_an_answer_says_what_came_and_when() -> None:
    answer = Canned.json({"a": 1}, status=404, Date="Mon, 05 Jan 2026 12:00:00 GMT", Retry_After="3")
    async with client(CannedServer(answer)) as http:
        found = await http.call(call())
    assert found == Answer(
        status=404,
        content=b'{"a": 1}',
        at=datetime(2026, 1, 5, 12, tzinfo=UTC),
        retry_after=timedelta(seconds=3),
    )
    assert found.body == {"a": 1}


@pytest.mark.promise("P7")
async def test_the_body_of_an_answer_is_not_in_its_repr() -> None:
    async with client(CannedServer(Canned.json({"key": CANARY}))) as http:
        answer = await http.call(call())
    assert CANARY not in repr(answer)


@pytest.mark.promise("P7")
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nothing_of_a_call_is_logged_or_in_its_error(
    caplog: pytest.LogCaptureFixture, method: str
) -> None:
    caplog.set_level(logging.DEBUG)
    async with client(Gate(), within=SHORT) as http:
        with pytest.raises(PortError) as caught:
            await http.call(call(method, f"/{CANARY}"))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert not [record for record in caplog.records if record.name.startswith("http")]


@pytest.mark.parametrize(
    ("method", "kind"), [("GET", Unavailable), ("POST", Ambiguous), ("DELETE", Ambiguous)]
)
async def test_no_answer_in_time_leaves_a_write_open(method: str, kind: type[PortError]) -> None:
    async with client(Gate(), within=SHORT) as http:
        with pytest.raises(kind, match="do something a thing: no answer in time"):
            await http.call(call(method))


async def test_an_answer_that_drips_ends_in_time_as_well() -> None:
    async def drip(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(_gone(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.wait({gone}, timeout=0.02)

    async with client(drip, within=SHORT) as http:
        with pytest.raises(Unavailable, match="in time"):
            await http.call(call())


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"), (b"", b"HTTP/1.1 102 Processing\r\n\r\n")],
)
async def test_an_answer_whose_head_does_not_end_gives_its_turn_back(begins: bytes, goes_on: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionError):
            writer.write(begins if asked.startswith(b"GET /slow ") else b"")
            while asked.startswith(b"GET /slow "):
                writer.write(goes_on)
                await writer.drain()
                await asyncio.wait({asyncio.ensure_future(reader.read(1))}, timeout=0.02)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    http = HttpClient(f"http://127.0.0.1:{port}", call_timeout=SHORT, concurrency=1)
    with pytest.raises(Unavailable, match="in time"):
        await http.call(call(path="/slow"))
    assert (await http.call(call())).status == 200
    await http.aclose()
    server.close()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def test_no_more_than_so_many_calls_run_at_once() -> None:
    gate = Gate()
    async with client(gate, concurrency=3) as http:
        calls = [asyncio.create_task(http.call(call())) for _ in range(10)]
        await gate.entered.wait()
        gate.opened.set()
        assert {answer.status for answer in await asyncio.gather(*calls)} == {200}
    assert gate.most <= 3
    assert gate.total == 10


@pytest.mark.promise("P3")
async def test_a_call_whose_turn_comes_too_late_is_never_sent() -> None:
    gate = Gate()
    async with client(gate, concurrency=1) as http:
        first = asyncio.create_task(http.call(call()))
        await gate.entered.wait()
        late = asyncio.create_task(http.call(replace(call("DELETE"), starts_within=timedelta(0))))
        patient = asyncio.create_task(http.call(replace(call("DELETE"), starts_within=LONG)))
        await asyncio.wait({late}, timeout=0.01)
        gate.opened.set()
        with pytest.raises(Unavailable, match="too late"):
            await late
        assert {(await first).status, (await patient).status} == {200}
    assert gate.total == 2


@pytest.mark.promise("P2")
async def test_cancelling_the_caller_does_not_take_the_request_back() -> None:
    gate = Gate()
    async with client(gate, concurrency=1) as http:
        caller = asyncio.create_task(http.call(call("POST")))
        await gate.entered.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert gate.inside == 1
        gate.opened.set()
        assert (await http.call(call())).status == 200
    assert gate.total == 2


async def test_callers_that_give_up_at_any_moment_under_load_leave_every_turn_usable() -> None:
    """A request that were cancelled while it connects would keep its place in the pool for ever."""
    gate = Gate()
    gate.opened.set()
    moments = random.Random(1)  # noqa: S311 (the same moments each time; nothing secret)

    async def impatient(http: HttpClient) -> None:
        for _ in range(40):
            caller = asyncio.create_task(http.call(call("POST")))
            await asyncio.wait({caller}, timeout=moments.uniform(0, 0.012))
            caller.cancel()
            await asyncio.gather(caller, return_exceptions=True)

    async with client(gate, concurrency=4) as http:
        await asyncio.gather(*(impatient(http) for _ in range(12)))
        gate.opened.clear()
        gate.most = 0
        last = [asyncio.create_task(http.call(call())) for _ in range(8)]
        while gate.most < 4 and not any(one.done() for one in last):
            await SystemClock().sleep(timedelta(milliseconds=5))
        gate.opened.set()
        assert {answer.status for answer in await asyncio.gather(*last)} == {200}
    assert gate.most == 4


async def test_a_failure_after_its_caller_has_gone_is_not_reported_by_asyncio(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = Gate()
    async with serve(gate) as base_url:
        http = HttpClient(base_url, call_timeout=SHORT, concurrency=1)
        caller = asyncio.create_task(http.call(call()))
        await gate.entered.wait()
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await http.aclose()  # waits until the request has timed out
        gate.opened.set()
    del caller  # its traceback holds the request
    gc.collect()
    assert caplog.records == []


async def test_a_redirect_is_not_followed() -> None:
    server = CannedServer(Canned(status=307, headers={"Location": "/elsewhere"}))
    async with client(server) as http:
        assert (await http.call(call())).status == 307
    assert server.seen == [("GET", "/x", b"")]


async def test_the_environment_says_nothing_about_where_a_call_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with client(CannedServer(Canned(body=b"{}"))) as http:
        assert (await http.call(call())).status == 200


class Broken(httpx.AsyncBaseTransport):
    """Fails each call with an error that nobody mapped."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise OSError(f"{request.headers!r}")


@pytest.mark.promise("P2", "P7")
async def test_an_error_that_nobody_mapped_does_not_pass_for_nothing_sent() -> None:
    http = HttpClient("http://localhost:1", call_timeout=SHORT, concurrency=4, transport=Broken())
    with pytest.raises(Ambiguous, match="OSError"):
        await http.call(call("POST"))
    await http.aclose()
