"""How many connections `http.HttpClient` keeps open. Played in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import httpx

from rotator.http import Call, HttpClient
from rotator.model.secret import Secret
from tests.support.canary import CANARY
from tests.support.virtual_loop import LoopClock, virtually

CALL = Call(
    method="GET", path="/x", operation="read", target="a thing", authorization=Secret(f"Token {CANARY}")
)
SECOND = timedelta(seconds=1)


@dataclass
class Line(httpx.AsyncBaseTransport):
    """Answers after a second. It stands for every connection: `closed` is how many of them were closed."""

    closed: int = 0
    breaks: bool = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await LoopClock().sleep(SECOND)
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
async def test_a_connection_that_can_not_be_closed_stops_no_call() -> None:
    line = Line(breaks=True)
    http = client(line)
    await many(http, 3)
    await LoopClock().sleep(10 * SECOND)
    await many(http, 1)
    assert line.closed == 3
    await http.aclose()
    assert line.closed == 4
