"""The beat of the service: a wall clock that is set does not hold it up, nor does a large fleet."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from rotator.daemon.book import Book
from rotator.daemon.ticks import _Every
from tests.support.builders import DAY, NOW, SECOND
from tests.support.estate import Estate
from tests.support.estate_ports import Line, WallClock, connect, policy_file, policy_text


@pytest.mark.parametrize("ahead", [0 * DAY, DAY, 365 * DAY], ids=str)
def test_the_next_tick_comes_after_now_however_long_ago_the_last_one_was(ahead: timedelta) -> None:
    now = NOW + ahead
    assert _Every(2 * SECOND).get_next_fire_time(NOW, now) == now + 2 * SECOND


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
        fleet = await book.assemble(link, control, clock.now())

    assert len(fleet.found) == 5000
    assert turns > 3
