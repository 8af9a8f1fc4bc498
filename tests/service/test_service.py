"""The whole service in virtual time: it starts, takes policy files, loses what it is connected to, and ends."""

from __future__ import annotations

from datetime import timedelta

from rotator.model.told import Step
from tests.support.builders import HOUR, MINUTE, SECOND
from tests.support.estate import Estate
from tests.support.estate_ports import policy_text
from tests.support.scene import Scene, scene
from tests.support.virtual_loop import virtually

GATEWAY = "secret/asr/gateway"


def estate_with(*names: str, due_in: timedelta | None = None) -> Estate:
    estate = Estate()
    for name in names:
        estate.add_key(name, due_in=due_in)
    return estate


async def ready(one: Scene) -> None:
    await one.until(lambda: "READY=1" in one.manager.told, within=HOUR)


@virtually
async def test_it_is_ready_once_it_has_looked_at_all_and_rotates_what_falls_due() -> None:
    estate = estate_with("gateway", due_in=HOUR)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            assert one.board.ready
            await one.until(lambda: one.times(Step.RECORDED), within=2 * HOUR)
        assert "STOPPING=1" in one.manager.told
    assert estate.connections == 0
    assert estate.installation().broken(at_rest=False) == ()


@virtually
async def test_a_policy_file_that_is_gone_for_a_while_is_told_and_taken_again_when_it_is_back() -> None:
    estate = estate_with("gateway")
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            text, one.file = one.file, None
            await one.until(lambda: one.board.file.rejected, within=MINUTE)
            assert "it is gone" in one.board.file.rejected
            one.file = text
            await one.until(lambda: not one.board.file.rejected, within=MINUTE)
            assert one.board.file.rejections == 1


@virtually
async def test_a_policy_file_that_is_gone_while_it_is_exchanged_is_not_told() -> None:
    estate = estate_with("gateway")
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            text = one.file
            for _ in range(20):
                one.file = None
                await one.clock.sleep(2 * SECOND)
                one.file = text
                await one.clock.sleep(7 * SECOND)
            assert one.board.file.rejections == 0
