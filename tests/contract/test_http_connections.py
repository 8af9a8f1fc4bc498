"""How many connections `http.HttpClient` keeps open, and what it does while one takes long to stand. Played in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

import httpcore
import httpx
import pytest

from rotator.errors import Ambiguous, PortError, Unavailable
from rotator.http import Call, HttpClient
from rotator.model.secret import Secret
from tests.support.canary import CANARY
from tests.support.virtual_loop import LoopClock, VirtualLoop, virtually

CALL = Call(
    method="GET", path="/x", operation="read", target="a thing", authorization=Secret(f"Token {CANARY}")
)
SECOND = timedelta(seconds=1)


@dataclass
class Line(httpx.AsyncBaseTransport):
    """Answers after a fifth of a second. It stands for every connection: `closed` is how many of them were closed."""

    closed: int = 0
    breaks: bool = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await LoopClock().sleep(SECOND / 5)
        return httpx.Response(200, stream=httpx.ByteStream(b"{}"), request=request)

    async def aclose(self) -> None:
        await LoopClock().sleep(SECOND / 100)
        self.closed += 1
        if self.breaks:
            raise OSError


async def many(http: HttpClient, calls: int) -> None:
    await asyncio.gather(*(http.call(CALL) for _ in range(calls)))


def client(line: Line) -> HttpClient:
    return HttpClient("http://localhost:1", call_timeout=10 * SECOND, concurrency=8, transport=line)


@virtually
async def test_what_a_burst_opened_is_closed_when_nothing_has_needed_it_for_a_while() -> None:
    line = Line()
    http = client(line)
    await many(http, 8)
    for _ in range(6):
        await many(http, 1)
    assert line.closed == 0, "not yet: they may be needed again"
    await many(http, 2)
    assert line.closed == 7, "each of them once, whoever comes first"
    await http.aclose()
    assert line.closed == 9


@virtually
async def test_no_call_is_sent_where_the_server_may_just_be_closing_the_connection() -> None:
    line = Line()
    http = client(line)
    await many(http, 1)
    await LoopClock().sleep(1.1 * SECOND)
    await many(http, 1)
    assert line.closed == 1
    await http.aclose()


@virtually
async def test_a_connection_that_can_not_be_closed_stops_no_call() -> None:
    line = Line(breaks=True)
    http = client(line)
    await many(http, 3)
    await LoopClock().sleep(10 * SECOND)
    await many(http, 1)
    assert line.closed == 3
    await http.aclose()
    assert line.closed == 4


class Slow(httpcore.AsyncNetworkBackend):
    """Lets every connection take `takes` to stand. Each answers one call; `sent` is what was written to all of them, `last_at` when.

    However little time it has: when a process sleeps meanwhile, its connection stands the moment it wakes. `open` are those
    that nobody has closed.
    """

    def __init__(self) -> None:
        self.takes = timedelta(0)
        self.sent: list[bytes] = []
        self.last_at = 0.0
        self.open: set[Stream] = set()

    async def connect_tcp(self, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        await LoopClock().sleep(self.takes)
        stream = Stream(self)
        self.open.add(stream)
        return stream


class Stream(httpcore.AsyncMockStream):
    def __init__(self, network: Slow) -> None:
        super().__init__([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"])
        self._network = network

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109
        if buffer:
            self._network.sent.append(buffer)
            self._network.last_at = LoopClock().monotonic()
        await LoopClock().sleep(timedelta(0))

    async def aclose(self) -> None:
        await super().aclose()
        self._network.open.discard(self)


class Pool(httpx.AsyncHTTPTransport):
    """The transport that is used in truth, over connections of that kind."""

    def __init__(self, backend: Slow) -> None:
        self._pool = httpcore.AsyncConnectionPool(network_backend=backend)


@pytest.mark.promise("P3")
@virtually
async def test_a_call_whose_connection_takes_too_long_to_stand_is_never_sent() -> None:
    network = Slow()
    http = HttpClient("http://localhost:1", call_timeout=60 * SECOND, concurrency=1, transport=Pool(network))
    delete = replace(CALL, method="DELETE", starts_within=5 * SECOND)
    network.takes = 6 * SECOND
    with pytest.raises(Unavailable, match="too late"):
        await http.call(delete)
    assert network.sent == []
    assert (await http.call(CALL)).status == 200, "what may come late is sent"
    network.sent.clear()
    network.takes = 4 * SECOND
    assert (await http.call(delete)).status == 200
    assert network.sent[0].startswith(b"DELETE /x ")
    await http.aclose()


@pytest.mark.parametrize(("method", "kind"), [("GET", Unavailable), ("POST", Ambiguous)])
@virtually
async def test_a_connection_that_stands_when_its_call_was_given_up_carries_nothing_and_is_closed(
    method: str, kind: type[PortError]
) -> None:
    network = Slow()
    http = HttpClient("http://localhost:1", call_timeout=3 * SECOND, concurrency=1, transport=Pool(network))
    network.takes = 4 * SECOND
    with pytest.raises(kind, match="no answer in time"):
        await http.call(replace(CALL, method=method))
    await http.aclose()
    assert (network.sent, network.open) == ([], set())


@pytest.mark.promise("P3")
@virtually
async def test_a_process_that_sleeps_at_any_moment_of_a_call_sends_nothing_of_it_when_it_wakes() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    outcomes: list[str] = []
    for steps in range(1, 40):
        network = Slow()
        http = HttpClient(
            "http://localhost:1", call_timeout=3 * SECOND, concurrency=1, transport=Pool(network)
        )
        began = loop.time()
        calling = asyncio.create_task(http.call(replace(CALL, method="POST", body={"comment": "x"})))
        for _ in range(steps):
            await LoopClock().sleep(timedelta(0))
        loop.freeze(4 * SECOND)
        (ended,) = await asyncio.gather(calling, return_exceptions=True)
        await http.aclose()
        assert network.open == set(), steps
        assert network.last_at <= began + 3, steps
        outcomes.append(type(ended).__name__)
    assert (outcomes[0], outcomes[-1]) == ("Ambiguous", "Answer")
