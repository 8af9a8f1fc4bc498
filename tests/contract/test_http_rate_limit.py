"""After the other side limited our rate, `http.HttpClient` sends nothing before its time. Played in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest

from rotator.errors import PortError, Throttled
from rotator.http import LONGEST_RETRY_AFTER, Brake, Call, HttpClient
from rotator.model.secret import Secret
from tests.support.canary import CANARY
from tests.support.virtual_loop import LoopClock, virtually

SECOND = timedelta(seconds=1)
CALL_TIMEOUT = 10 * SECOND


def limited(status: int = 429, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, stream=httpx.ByteStream(b"{}"))


def limits(count: int) -> list[httpx.Response]:
    return [limited() for _ in range(count)]


def fine() -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(b"{}"))


@dataclass
class Line(httpx.AsyncBaseTransport):
    """Gives the `answers` one by one, then 200 to everything, each after `takes`. `came` is when calls came."""

    answers: deque[httpx.Response] = field(default_factory=deque)
    takes: timedelta = timedelta(0)
    came: list[float] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.came.append(asyncio.get_running_loop().time())
        answer = self.answers.popleft() if self.answers else fine()
        await LoopClock().sleep(self.takes)
        answer.request = request
        return answer


@asynccontextmanager
async def client(line: Line, *, concurrency: int = 4) -> AsyncIterator[HttpClient]:
    http = HttpClient(
        "http://localhost:1", call_timeout=CALL_TIMEOUT, concurrency=concurrency, transport=line
    )
    yield http
    await http.aclose()


def call(method: str = "GET", *, starts_within: timedelta | None = None) -> Call:
    return Call(
        method=method,
        path="/x",
        operation="do something",
        target="a thing",
        authorization=Secret(f"Token {CANARY}"),
        starts_within=starts_within,
    )


@virtually
async def test_the_time_that_was_named_is_waited_for() -> None:
    line = Line(deque([limited(Retry_After="7")]))
    async with client(line) as http:
        assert (await http.call(call())).status == 429
        answers = await asyncio.gather(*(http.call(call()) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert line.came == [0, *[7] * 20]


@virtually
async def test_without_a_time_the_pause_doubles_and_begins_anew_after_a_success() -> None:
    line = Line(deque([*limits(4), fine(), *limits(2)]))
    async with client(line) as http:
        for _ in range(8):
            await http.call(call())
    assert line.came == [0, 1, 3, 7, 15, 15, 16, 18]


@virtually
async def test_many_that_are_limited_at_once_are_one_mistake() -> None:
    line = Line(deque(limits(4)), takes=SECOND / 2)
    async with client(line) as http:
        answers = await asyncio.gather(*(http.call(call()) for _ in range(8)))
    assert [answer.status for answer in answers] == [429] * 4 + [200] * 4
    assert line.came == [*[0] * 4, *[1.5] * 4]


@pytest.mark.parametrize("after", ["11", "3600", "999999999"])
@virtually
async def test_a_long_wait_ends_calls_at_once_and_sends_nothing(after: str) -> None:
    line = Line(deque([limited(Retry_After=after)]))
    loop = asyncio.get_running_loop()
    async with client(line, concurrency=1) as http:
        await http.call(call())
        for method in ("GET", "POST", "DELETE"):
            with pytest.raises(Throttled, match="do something a thing: not sent") as caught:
                await http.call(call(method))
            assert caught.value.retry_after == min(timedelta(seconds=int(after)), LONGEST_RETRY_AFTER)
        assert loop.time() == 0
        assert len(line.came) == 1
        await LoopClock().sleep(LONGEST_RETRY_AFTER)
        assert (await http.call(call())).status == 200


@virtually
async def test_a_wait_that_is_prolonged_is_no_longer_than_a_call_may_take() -> None:
    line = Line(deque([limited(Retry_After="6"), limited(Retry_After="10")]), takes=2 * SECOND)
    loop = asyncio.get_running_loop()
    async with client(line) as http:
        first = asyncio.create_task(http.call(call()))
        await LoopClock().sleep(SECOND)
        second = asyncio.create_task(http.call(call()))
        await first
        waiting = asyncio.create_task(http.call(call()))
        await second
        with pytest.raises(Throttled):
            await waiting
        assert loop.time() == 8, "it waited on for a time that it can't see the end of"
    assert line.came == [0, 1]


@pytest.mark.promise("P3")
@virtually
async def test_a_delete_that_would_have_to_wait_too_long_is_not_sent() -> None:
    line = Line(deque([limited(Retry_After="7")]))
    loop = asyncio.get_running_loop()
    async with client(line) as http:
        await http.call(call())
        with pytest.raises(Throttled):
            await http.call(call("DELETE", starts_within=5 * SECOND))
        assert (loop.time(), len(line.came)) == (0, 1)
        await LoopClock().sleep(3 * SECOND)
        assert (await http.call(call("DELETE", starts_within=5 * SECOND))).status == 200
        assert loop.time() == 7


@pytest.mark.promise("P3")
@virtually
async def test_a_delete_that_waited_for_its_turn_has_less_time_left_for_the_limit() -> None:
    line = Line(deque([limited(Retry_After="4")]), takes=2 * SECOND)
    async with client(line, concurrency=1) as http:
        first = asyncio.create_task(http.call(call()))
        late = asyncio.create_task(http.call(call("DELETE", starts_within=5 * SECOND)))
        with pytest.raises(PortError) as caught:
            await late
        assert (await first).status == 429
    assert isinstance(caught.value, Throttled)
    assert line.came == [0]


@virtually
async def test_503_with_a_time_is_obeyed_and_without_one_is_any_error() -> None:
    line = Line(deque([limited(503), limited(503, Retry_After="3")]))
    async with client(line) as http:
        for _ in range(3):
            await http.call(call())
    assert line.came == [0, 0, 3]


@virtually
async def test_who_is_cancelled_while_it_waits_gives_its_turn_back() -> None:
    line = Line(deque([limited(Retry_After="5")]))
    async with client(line, concurrency=2) as http:
        await http.call(call())
        waiting = [asyncio.create_task(http.call(call())) for _ in range(40)]
        await LoopClock().sleep(SECOND)
        for one in waiting[:30]:
            one.cancel()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert sum(isinstance(one, asyncio.CancelledError) for one in ended) == 30
        assert len(line.came) == 11
        assert (await asyncio.gather(*(http.call(call()) for _ in range(4))))[3].status == 200


@virtually
async def test_a_call_that_was_given_up_still_tells_of_the_limit() -> None:
    line = Line(deque([limited(Retry_After="5")]), takes=SECOND)
    async with client(line) as http:
        gone = asyncio.create_task(http.call(call()))
        await LoopClock().sleep(SECOND / 2)
        gone.cancel()
        await LoopClock().sleep(SECOND)
        await http.call(call())
    assert line.came == [0, 6]


def test_the_pause_never_grows_beyond_a_minute() -> None:
    brake, now, pauses = Brake(), 0.0, []
    for _ in range(9):
        brake.answered(sent_at=now + 0.1, now=now + 0.2, limited=True, retry_after=None)
        pauses.append(round(brake.left(now + 0.2).total_seconds()))
        now += 0.2 + pauses[-1]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_what_was_sent_before_the_limit_was_known_neither_ends_nor_prolongs_it() -> None:
    brake = Brake()
    brake.answered(sent_at=1, now=2, limited=True, retry_after=None)
    brake.answered(sent_at=1.5, now=2.5, limited=True, retry_after=None)
    brake.answered(sent_at=1.5, now=2.5, limited=False, retry_after=None)
    assert brake.left(2.5) == SECOND / 2
    brake.answered(sent_at=3.5, now=4, limited=True, retry_after=None)
    assert brake.left(4) == 2 * SECOND, "a success from before made it forget"
    brake.answered(sent_at=3.5, now=4, limited=True, retry_after=9 * SECOND)
    assert brake.left(4) == 9 * SECOND, "a time that was named counts from whomever"
    brake.answered(sent_at=3.5, now=5, limited=True, retry_after=SECOND)
    assert brake.left(5) == 8 * SECOND


def test_no_time_at_all_is_no_time() -> None:
    brake = Brake()
    brake.answered(sent_at=1, now=2, limited=True, retry_after=timedelta(0))
    assert brake.left(2) == SECOND
