"""Writing a lost record again: only where there is none, only as it was shown, and through every crash."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.errors import Ambiguous, Conflict, PortError, Unavailable
from rotator.inventory.observe import observe
from rotator.model.order import OrderKind
from rotator.model.record import Record
from rotator.model.told import Step
from rotator.plan.rebuild import Rebuilt, rebuild
from rotator.ports import Control
from rotator.reconcile import reconcile
from rotator.rotation.orders import TRIES, Ordered
from rotator.rotation.rebuild import begin, write
from tests.support import builders as a
from tests.support.builders import CURRENT, DAY, HOUR, POLICY
from tests.support.fakes import Died, World, settled

BY = Ordered(kind=OrderKind.REBUILD, who="ann@desk", why="the disk died")
OLD = replace(
    CURRENT,
    key_id="key-old",
    comment=CURRENT.comment.replace(a.ISSUED, "3" * 16),
    created_at=CURRENT.created_at - 30 * DAY,
)
NOBODY: frozenset[str] = frozenset()
CONTROL = Control(journal_id=a.JOURNAL, instance="test")


def lost() -> World:
    """Return a world with a key in use and one before it, whose record is gone."""
    world = settled()
    world.records.clear()
    world.add_key(CURRENT)
    world.put_entry(CURRENT.key_id, a.ISSUED)
    world.add_key(OLD)
    return world


async def seen(world: World) -> Rebuilt:
    """Return what a person is shown."""
    snapshot = await observe(world.assignment(), world.ports())
    rebuilt = rebuild(POLICY, snapshot, BY.at(snapshot), NOBODY)
    assert isinstance(rebuilt, Rebuilt)
    return rebuilt


async def run(world: World, shown: Rebuilt) -> Record:
    return await write(shown, BY, world.assignment(), NOBODY, world.ports())


def is_rebuilt(world: World) -> None:
    """See that the one record is as it should be, and that nothing else was touched."""
    assert len(world.records) == 1
    assert world.record.current is not None
    assert world.record.current.key.key_id == world.served == CURRENT.key_id
    assert [one.key_id for one in world.record.previous] == [OLD.key_id]
    assert {CURRENT.key_id, OLD.key_id} <= world.keys.keys()


async def test_it_is_written_with_the_order_and_told() -> None:
    world = lost()
    shown = await seen(world)
    world.clock.advance(HOUR)

    record = await run(world, shown)

    is_rebuilt(world)
    assert world.record == record
    assert record.orders == (BY.given(world.clock.now()),)
    assert record.previous[0].superseded_at == world.clock.now()
    assert world.steps == [Step.ORDERED]
    assert world.told[0].reason == "rebuild"


@pytest.mark.promise("P2")
@pytest.mark.parametrize("done", [True, False])
async def test_an_answer_that_was_lost_is_looked_after(*, done: bool) -> None:
    world = lost()
    shown = await seen(world)
    world.fails("write_record", Ambiguous("write record", "voice"), done=done)

    await run(world, shown)

    is_rebuilt(world)


@pytest.mark.promise("P6")
async def test_what_another_process_wrote_while_there_was_no_answer_is_not_taken_for_ours() -> None:
    world = lost()
    shown = await seen(world)
    theirs = a.record(previous=[a.previous("key-theirs")])
    world.fails("write_record", Ambiguous("write record", "voice"))
    world.before("write_record", lambda: world.put_record(theirs))

    with pytest.raises(Conflict):
        await run(world, shown)

    assert world.record == theirs


async def test_without_any_answer_it_gives_up() -> None:
    world = lost()
    shown = await seen(world)
    world.fails("write_record", *[Ambiguous("write record", "voice")] * TRIES)

    with pytest.raises(Ambiguous):
        await run(world, shown)


@pytest.mark.promise("P6")
async def test_no_record_is_ever_written_over() -> None:
    world = lost()
    shown = await seen(world)
    theirs = a.record(previous=[a.previous("key-theirs")])
    world.before("write_record", lambda: world.put_record(theirs))

    with pytest.raises(Conflict):
        await run(world, shown)
    with pytest.raises(Conflict, match="there is a record now"):
        await run(world, shown)

    assert world.record == theirs


def _published(world: World) -> None:
    world.put_entry(OLD.key_id, "3" * 16)


def _deleted(world: World) -> None:
    del world.keys[OLD.key_id]


def _written_again(world: World) -> None:
    world.put_entry(CURRENT.key_id, a.ISSUED)


def _refused(world: World) -> None:
    del world.keys[CURRENT.key_id]


@pytest.mark.parametrize("happens", [_published, _deleted, _written_again, _refused])
async def test_what_is_not_as_it_was_shown_is_not_written(happens: object) -> None:
    world = lost()
    shown = await seen(world)
    assert callable(happens)
    happens(world)

    with pytest.raises(Conflict, match="not as it was shown"):
        await run(world, shown)

    assert world.records == []


@pytest.mark.promise("P1", "P3")
@pytest.mark.parametrize("done", [True, False])
async def test_a_crash_at_any_call_leaves_something_to_go_on_from(*, done: bool) -> None:
    calls = 0
    while True:
        world = lost()
        shown = await seen(world)
        world.dies_at, world.dies_done = len(world.calls) + calls, done
        try:
            await run(world, shown)
        except Died:
            calls += 1
        else:
            break
        if not world.records:
            await run(world, await seen(world))
        is_rebuilt(world)
        await reconcile(world.assignment(), world.ports("another"))
        assert OLD.key_id in world.keys
        world.clock.advance(DAY)
        await reconcile(world.assignment(), world.ports("another"))
        assert OLD.key_id not in world.keys
        assert world.served == CURRENT.key_id
    assert calls > 4


async def test_a_journal_gets_its_id_again() -> None:
    world = lost()
    world.control = None

    await begin(world.ports().journal, CONTROL)

    assert await world.ports().journal.control() == replace(CONTROL, version=1)
    with pytest.raises(Conflict):
        await begin(world.ports().journal, CONTROL)


async def test_a_journal_that_another_process_began_meanwhile_is_not_taken_for_ours() -> None:
    world = lost()
    world.control = None

    def theirs() -> None:
        world.control = Control(journal_id="f" * 12, instance="test", version=1)
        raise Ambiguous("write control record", "test")

    world.before("write_control", theirs)
    with pytest.raises(Ambiguous):
        await begin(world.ports().journal, CONTROL)


@pytest.mark.parametrize(
    ("error", "done", "raised"),
    [
        (Ambiguous("write control record", "test"), True, None),
        (Ambiguous("write control record", "test"), False, Ambiguous),
        (Unavailable("write control record", "test"), False, Unavailable),
    ],
)
async def test_whether_it_got_its_id_is_looked_after(
    error: PortError, *, done: bool, raised: type[PortError] | None
) -> None:
    world = lost()
    world.control = None
    world.fails("write_control", error, done=done)

    if raised is None:
        await begin(world.ports().journal, CONTROL)
        return
    with pytest.raises(raised):
        await begin(world.ports().journal, CONTROL)
