"""Turns: so many at once, and one that is given up goes to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rotator.daemon.turns import InTurn, Turns
from rotator.errors import Unavailable
from rotator.model.secret import Secret
from rotator.ports import Provider
from tests.support.builders import key
from tests.support.canary import secret_text
from tests.support.fakes import World

KEY = key()


async def others_turn(turns: Turns) -> bool:
    """Return whether somebody else can have a turn now."""

    async def take() -> None:
        async with turns.under("asr"):
            pass

    waiting = asyncio.create_task(take())
    for _ in range(5):
        passed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(passed.set_result, None)
        await passed
    had = waiting.done()
    waiting.cancel()
    return had


async def test_who_has_deleted_a_key_needs_no_turn_to_see_it_gone() -> None:
    turns, world = Turns(1, ["asr"]), World()
    world.add_key(KEY)
    async with turns.under("asr") as turn:
        provider = InTurn(world.ports().provider, turn)
        assert not await others_turn(turns)
        await provider.revoke_key(KEY.key_id)
        assert await others_turn(turns)
        await provider.list_keys()
        assert await others_turn(turns)
    assert await others_turn(turns)


async def test_a_deletion_that_fails_gives_the_turn_up_as_well() -> None:
    turns, world = Turns(1, ["asr"]), World()
    world.fails(f"revoke_key {KEY.key_id}", Unavailable("revoke key", KEY.key_id))
    async with turns.under("asr") as turn:
        with pytest.raises(Unavailable):
            await InTurn(world.ports().provider, turn).revoke_key(KEY.key_id)
        assert await others_turn(turns)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda provider: provider.get_key(KEY.key_id), id="get"),
        pytest.param(lambda provider: provider.prove(Secret(secret_text())), id="prove"),
        pytest.param(lambda provider: provider.revoke_key(KEY.key_id), id="revoke"),
        pytest.param(lambda provider: provider.last_used(KEY.key_id), id="last used"),
        pytest.param(lambda provider: provider.management_key(), id="management key"),
    ],
)
async def test_the_next_call_of_its_own_waits_for_another_turn(
    call: Callable[[Provider], Awaitable[object]],
) -> None:
    turns, world = Turns(1, ["asr"]), World()
    world.add_key(KEY)
    async with turns.under("asr") as turn:
        turn.give_up()
        async with turns.under("asr"):
            waiting = asyncio.ensure_future(call(InTurn(world.ports().provider, turn)))
            assert not await others_turn(turns)
            assert not waiting.done()
            assert world.calls == []
        await asyncio.wait({waiting})
        assert len(world.calls) == 1
