"""The beat of the service: a wall clock that is set does not hold it up, nor does a large fleet."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from rotator.clock import SystemClock
from rotator.daemon.book import Book
from rotator.daemon.ticks import Tick, _Every, ticking
from tests.support.builders import DAY, NOW, SECOND
from tests.support.estate import Estate
from tests.support.estate_ports import Line, WallClock, connect, policy_file, policy_text


@pytest.mark.parametrize("ahead", [0 * DAY, DAY, 365 * DAY], ids=str)
def test_the_next_tick_comes_after_now_however_long_ago_the_last_one_was(ahead: timedelta) -> None:
    now = NOW + ahead
    assert _Every(2 * SECOND).get_next_fire_time(NOW, now) == now + 2 * SECOND


class SetClock(SystemClock):
    """A clock that somebody sets `ahead`. It sleeps a hundredth of what it is asked to."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead

    async def sleep(self, duration: timedelta) -> None:
        await super().sleep(duration / 100)


@pytest.mark.parametrize("ahead", [-DAY, DAY], ids=str)
async def test_ticks_that_wait_for_an_instant_far_ahead_go_on_after_the_clock_was_set(
    ahead: timedelta,
) -> None:
    """To the scheduler, a clock that was set back by a day is the same as a next tick that is a day away."""
    clock, said = SetClock(), []

    def say() -> None:
        said.append(clock.monotonic())

    ticks = {"look": Tick(DAY, say)}
    async with ticking(ticks, clock):
        ticks["look"] = Tick(SECOND / 50, say)
        await clock.sleep(20 * SECOND)
        assert said == []
        clock.ahead = ahead
        for _ in range(200):
            await clock.sleep(SECOND)
            if len(said) > 5:
                break
    assert len(said) > 5


async def test_the_loop_turns_while_a_large_fleet_is_put_together() -> None:
    estate, clock = Estate(), WallClock()
    estate.latency = 0 * SECOND
    for number in range(5000):
        estate.add_key(f"voice-{number}")
    async with connect(policy_file(policy_text(estate)), Line(estate, clock, "replica-a")) as link:
        control = await link.journal.control()
        assert control is not None
        book = Book()
        book.note_lists({"asr": await link.providers["asr"].list_keys()}, ())
        turns = 0
        loop = asyncio.get_running_loop()

        def turn() -> None:
            nonlocal turns
            turns += 1
            loop.call_soon(turn)

        loop.call_soon(turn)
        await book.assemble(link, control, clock.now())

    assert book.lineages == 5000
    assert turns > 3
