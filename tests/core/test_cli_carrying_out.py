"""Orders carried out by a command: how long it goes on in an emergency, and which status is left at its end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.cli import carrying_out, exits
from rotator.cli.carrying_out import PATIENCE, carry_out, status_of_standing
from rotator.cli.lines import Line, Report
from rotator.cli.once import Stop
from rotator.errors import Unavailable
from rotator.model.order import OrderKind
from rotator.model.snapshot import Snapshot
from rotator.plan.decide import decide
from rotator.plan.phase import Phase
from tests.core.test_cli_previews import connected
from tests.support import builders as a
from tests.support.builders import HOUR, MINUTE, NOW, POLICY, SETTLED
from tests.support.fakes import World, settled

LEFT = a.snapshot(a.record(previous=[a.previous(superseded=HOUR, at_once=True)]))


def line(seen: Snapshot) -> Line:
    return Line(
        lineage=seen.lineage.name,
        provider="asr",
        policy=POLICY,
        now=NOW,
        snapshot=seen,
        decision=decide(POLICY, seen, NOW),
    )


STANDING = [
    ("it was carried out", SETTLED, exits.FINE),
    ("nothing is known of it", replace(SETTLED, record=None, matched=None), exits.FINE),
    (
        "it is paused",
        replace(a.with_record(SETTLED, standing=a.order()), paused="*, by ann@desk"),
        exits.PERSON_NEEDED,
    ),
    (
        "another process works on it",
        a.with_record(SETTLED, standing=a.order(), claim=a.claim(ttl=2 * HOUR)),
        exits.TRY_AGAIN,
    ),
    ("it was left for later", a.with_record(SETTLED, standing=a.order()), exits.TRY_AGAIN),
    (
        "an emergency's old key is kept by the clocks",
        replace(LEFT, vault_skew=MINUTE),
        exits.PERSON_NEEDED,
    ),
    ("an emergency's old key may go and is there", LEFT, exits.TRY_AGAIN),
]


@pytest.mark.promise("P8")
@pytest.mark.parametrize(("seen", "status"), [pytest.param(*rest, id=name) for name, *rest in STANDING])
def test_an_order_that_is_not_carried_out_is_not_fine(seen: Snapshot, status: int) -> None:
    assert status_of_standing(line(seen)) == status


def emergency() -> World:
    world = settled(replace(a.record(), standing=a.order(OrderKind.EMERGENCY)))
    world.add_key(replace(a.key("key-theirs"), member_id="somebody"))
    return world


async def carried_out(
    world: World, kind: OrderKind = OrderKind.EMERGENCY, stop: Stop | None = None
) -> Report:
    return await carry_out(kind, ("secret/voice",), connected(world), stop or Stop())


def revocations(world: World) -> int:
    return world.calls.count("revoke_key key-current")


async def test_an_emergency_goes_on_until_its_last_key_is_gone() -> None:
    world = emergency()
    world.fails("revoke_key key-current", *[Unavailable("revoke key", "key-current")] * 2)

    report = await carried_out(world)

    assert "key-current" not in world.keys
    (only,) = report.lines
    assert [type(action).__name__ for action in only.done] == ["Rotate", "Revoke"]
    assert (only.error, only.status) == (None, exits.FINE)
    assert world.clock.now() - NOW < 3 * POLICY.retry_initial


@pytest.mark.promise("P8")
async def test_an_emergency_is_left_to_the_next_sweep_after_a_while_with_its_old_keys_named() -> None:
    world = emergency()
    world.fails("revoke_key key-current", *[Unavailable("revoke key", "key-current")] * 100)

    report = await carried_out(world)

    (only,) = report.lines
    assert [one.key_id for one in only.alive if one.at_once] == ["key-current"]
    assert (only.phase, only.status) == (Phase.FAILING, exits.TRY_AGAIN)
    assert PATIENCE / 2 < world.clock.now() - NOW <= PATIENCE + MINUTE
    assert 4 <= revocations(world) <= 12


async def test_an_ordinary_order_is_tried_once() -> None:
    world = settled(replace(a.record(), standing=a.order()))
    world.fails("create_key", Unavailable("create key", "p"))

    report = await carried_out(world, OrderKind.ROTATE)

    assert world.calls.count("create_key") == 1
    assert report.lines[0].error is not None


@pytest.mark.parametrize("kind", [OrderKind.ROTATE, OrderKind.EMERGENCY])
async def test_what_another_process_has_in_hand_is_waited_for(kind: OrderKind) -> None:
    world = settled(replace(a.record(), standing=a.order(kind), claim=a.claim(ttl=MINUTE)))

    report = await carried_out(world, kind)

    assert world.served != a.CURRENT.key_id
    assert report.lines[0].status == exits.FINE
    assert MINUTE < world.clock.now() - NOW < 2 * MINUTE


async def test_what_another_process_has_in_hand_for_too_long_is_left_to_it() -> None:
    world = settled(replace(a.record(), standing=a.order(), claim=a.claim(ttl=HOUR)))

    report = await carried_out(world, OrderKind.ROTATE)

    assert (report.lines[0].claimed, status_of_standing(report.lines[0])) == (True, exits.TRY_AGAIN)
    assert world.clock.now() - NOW < PATIENCE + MINUTE


async def test_an_interrupt_leaves_it_to_the_next_sweep_with_its_old_keys_named() -> None:
    world, stop = emergency(), Stop()
    world.fails("revoke_key key-current", *[Unavailable("revoke key", "key-current")] * 100)

    def asked() -> None:
        stop.asked = True

    world.faults["revoke_key key-current"][0].first = asked
    report = await carried_out(world, stop=stop)

    assert revocations(world) == 1
    assert [one.key_id for one in report.lines[0].alive if one.at_once] == ["key-current"]


async def test_while_vault_is_away_it_is_tried_again_too() -> None:
    world = emergency()
    world.fails("revoke_key key-current", Unavailable("revoke key", "key-current"))
    names = Unavailable("list records", "x")
    world.fails("names", None, names, names)

    report = await carried_out(world)

    assert "key-current" not in world.keys
    assert report.lines[0].status == exits.FINE
    assert world.clock.now() - NOW < carrying_out.PATIENCE
