"""The small steps: adopt, inherit, finish. Each is one write of the record, decided from the version it replaces."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.errors import Conflict
from rotator.model.record import Attempt, KnownKey, Original, Previous
from rotator.model.told import Step
from rotator.plan.actions import Action, Adopt, Finish, Inherit
from rotator.policy.policy import DestinationTemplate
from rotator.reconcile import Turn, turn
from rotator.rotation import bookkeeping
from rotator.rotation.perform import perform
from tests.support import builders as a
from tests.support.builders import DAY, HOUR, LATER, POLICY
from tests.support.fakes import World, before_first, settled

KEY = a.key()


def matched() -> World:
    world = World()
    world.add_key(KEY)
    return world


async def look(world: World, matched_key_id: str | None = KEY.key_id) -> Turn:
    return await turn(world.assignment(matched_key_id=matched_key_id), world.ports())


@pytest.mark.promise("P1", "P3")
async def test_a_key_whose_secret_nobody_reads_from_vault_is_adopted_as_an_original() -> None:
    world = matched()

    done = await look(world)

    assert done.decision == Adopt("key-1", original=True)
    record = world.record
    assert record.originals == (Original(key=KnownKey.seen(KEY)),)
    assert record.current is None
    assert (record.lineage, record.fields) == (a.LINEAGE, DestinationTemplate().fields)
    assert record.claim is None
    assert [(told.step, told.key_id) for told in world.told] == [(Step.ADOPTED, "key-1")]


async def test_a_key_whose_secret_stands_in_vault_is_adopted_as_current() -> None:
    world = matched()
    world.put_entry("key-1", None, versions=2)
    world.clock.advance(HOUR)

    done = await look(world)

    assert done.decision == Adopt("key-1", original=False)
    current = world.record.current
    assert current is not None
    assert (current.key, current.rotation_id, current.version) == (KnownKey.seen(KEY), None, 2)
    assert current.published_at == world.clock.now() - HOUR
    assert world.record.originals == ()


@pytest.mark.promise("P3")
async def test_an_original_whose_secret_comes_to_stand_in_vault_becomes_current() -> None:
    world = before_first()
    world.put_entry("key-original", None)

    await look(world, None)

    record = world.record
    assert record.current is not None
    assert record.current.key.key_id == "key-original"
    assert record.originals == ()


@pytest.mark.promise("P2")
async def test_an_overtaken_orphan_joins_the_previous_keys_with_its_own_overlap() -> None:
    overtaken = replace(a.attempt(LATER, base=2, age=DAY), overlap=3 * DAY)
    world = settled(a.record(attempts=[overtaken]))
    orphan = a.made(overtaken, "key-orphan")
    world.add_key(orphan)

    done = await look(world, None)

    assert done.decision == Inherit("key-orphan")
    assert world.record.previous == (
        Previous(
            key_id="key-orphan",
            superseded_at=a.current().published_at,
            overlap=3 * DAY,
            expires_at=orphan.expires_at,
            member_id=orphan.member_id,
        ),
    )
    assert world.steps == [Step.INHERITED]
    assert world.record.claim is None


@pytest.mark.promise("P2")
async def test_an_orphan_of_a_lineage_that_vault_served_before_we_rotated_it_joins_them_too() -> None:
    overtaken = a.attempt(LATER, base=2, age=DAY)
    served = replace(a.current(), rotation_id=None)
    world = settled(replace(a.record(serves=served), attempts=(overtaken,), history=()))
    world.add_key(a.made(overtaken, "key-orphan"))

    await look(world, None)

    assert [(one.key_id, one.at_once) for one in world.record.previous] == [("key-orphan", False)]


@pytest.mark.promise("P2", "P6")
@pytest.mark.parametrize("by", ["adopt", "inherit"])
async def test_a_step_that_was_decided_from_an_older_record_writes_nothing(by: str) -> None:
    overtaken = a.attempt(LATER, base=2, age=DAY)
    world = matched() if by == "adopt" else settled(a.record(attempts=[overtaken]))
    if by == "inherit":
        world.add_key(a.made(overtaken, "key-orphan"))
    world.before("write_record", lambda: world.put_record(a.record()))

    with pytest.raises(Conflict):
        await look(world)

    assert world.record == a.record()
    assert world.told == []


@pytest.mark.parametrize("action", [Adopt("key-9", original=True), Inherit("key-9"), Finish(LATER, "key-9")])
async def test_an_action_on_something_that_is_not_there_any_more_looks_again(action: Action) -> None:
    world = settled()
    seen = (await look(world, None)).snapshot

    with pytest.raises(Conflict, match="any more"):
        await perform(action, world.assignment(), seen, world.ports())

    assert "write_record" not in world.calls


async def test_attempts_are_forgotten_once_their_time_has_passed_and_no_key_of_theirs_is_listed() -> None:
    past = [replace(a.attempt(f"{n:016x}"), keep_until=a.NOW - DAY) for n in range(8, 10)]
    overtaken = a.attempt(LATER, base=2, age=DAY)
    world = settled(a.record(attempts=[*past, overtaken]))
    world.add_key(a.made(overtaken, "key-orphan"))
    world.add_key(replace(a.made(past[0], "key-late"), member_id="somebody"))

    await look(world, None)

    kept = {one.rotation_id for one in world.record.attempts}
    assert kept == {a.ISSUED, past[0].rotation_id, LATER}


@pytest.mark.parametrize(("left", "kept"), [(timedelta(0), False), (a.TICK, True)])
def test_an_attempt_is_forgotten_at_the_very_end_of_its_time(left: timedelta, *, kept: bool) -> None:
    attempt = replace(a.attempt(LATER), keep_until=a.NOW + left)

    after = bookkeeping.pruned(replace(a.record(), attempts=(attempt,)), a.NOW, frozenset())

    assert after.attempts == ((attempt,) if kept else ())


@pytest.mark.promise("P2", "P4")
@pytest.mark.parametrize(
    ("oldest", "seen", "kept"),
    [
        (a.attempt(LATER, base=2, age=a.MINUTE), (), False),
        (a.attempt(LATER, base=3, age=HOUR + a.TICK), (), False),
        (a.attempt(LATER, base=3, age=HOUR), (), True),
        (a.attempt(LATER, base=2, age=a.MINUTE), (LATER,), True),
    ],
    ids=[
        "closed by a later publish",
        "its key would have shown itself",
        "its key may yet be made",
        "its key is listed",
    ],
)
def test_of_attempts_of_which_nothing_is_expected_only_the_newest_fifty_are_remembered(
    oldest: Attempt, seen: tuple[str, ...], *, kept: bool
) -> None:
    spent = [a.attempt(f"{n:016x}", base=2, age=HOUR) for n in range(bookkeeping.SPENT_KEPT)]
    record = replace(a.record(), attempts=(oldest, *spent))

    after = bookkeeping.pruned(record, a.NOW, frozenset(seen))

    assert after.attempts == ((oldest, *spent) if kept else tuple(spent))


async def test_a_first_publish_sets_the_terms_of_all_originals() -> None:
    world = before_first()
    world.put_record(
        replace(world.record, originals=(*world.record.originals, a.original(KEY, superseded=None)))
    )
    world.add_key(KEY)

    await turn(world.assignment(replace(POLICY, max_age=DAY, original=5 * DAY)), world.ports())

    assert {one.release_after for one in world.record.originals} == {5 * DAY}
