"""A look that is spared: what is presumed instead is what the look would have shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.inventory.observe import observe
from rotator.model.order import OrderKind
from rotator.model.snapshot import Snapshot
from rotator.plan.actions import Action, Adopt, Finish, Inherit, Revoke, Rotate
from rotator.plan.presume import presumed
from rotator.policy.policy import Policy
from rotator.reconcile import turn
from tests.support import builders as a
from tests.support.builders import DAY, LATER, MINUTE, POLICY, SECOND
from tests.support.fakes import World, before_first, settled

BY_AGE = replace(POLICY, max_age=DAY)
JUST_NOW = a.current(age=timedelta(0))
"""The current key, published when these worlds begin, as their destination shows it."""


def matched() -> World:
    world = World()
    world.add_key(a.key("key-1"))
    return world


def imported_before() -> World:
    world = matched()
    world.put_entry("key-1", None, versions=2)
    return world


def due() -> World:
    """Return a world with a due key, a released original, and one of another member that can't be read."""
    world = settled(a.record(serves=a.current(a.key("key-1", age=89 * DAY)), originals=[a.original()]))
    world.unreadable = {"key-original"}
    return world


def ended() -> World:
    return settled(a.record(serves=JUST_NOW, previous=[a.previous(), a.previous("key-older")]))


def ended_unreadable() -> World:
    world = ended()
    world.unreadable = {"key-old", "key-older"}
    return world


def overtaken() -> World:
    attempt = a.attempt(LATER, base=2, age=DAY)
    world = settled(a.record(serves=JUST_NOW, attempts=[attempt]))
    world.add_key(a.made(attempt, "key-orphan"))
    return world


def unrecorded() -> World:
    """Return a world in which a rotation was published, and its process died before it wrote that down."""
    attempt = a.attempt(LATER, base=3, age=MINUTE)
    world = settled(a.record(serves=JUST_NOW, attempts=[attempt]))
    world.add_key(a.made(attempt, "key-published"))
    world.put_entry("key-published", LATER)
    return world


def emergency() -> World:
    return settled(replace(a.record(), standing=a.order(OrderKind.EMERGENCY)))


def as_known(seen: Snapshot) -> Snapshot:
    """Return a look with its keys in order, and without their marks, which a record does not keep."""
    keys = [replace(key, comment=key.operator_comment) for key in seen.keys]
    return replace(seen, keys=tuple(sorted(keys, key=lambda key: key.key_id)))


@pytest.mark.promise("P3", "P8")
@pytest.mark.parametrize(
    ("world", "policy", "action"),
    [
        (matched, POLICY, Adopt),
        (imported_before, POLICY, Adopt),
        (before_first, BY_AGE, Rotate),
        (due, POLICY, Rotate),
        (emergency, POLICY, Rotate),
        (overtaken, POLICY, Inherit),
        (unrecorded, POLICY, Finish),
        (ended, POLICY, Revoke),
        (ended_unreadable, POLICY, Revoke),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_is_presumed_after_an_action_is_what_a_look_would_show(
    world: Callable[[], World], policy: Policy, action: type[Action]
) -> None:
    there = world()
    there.vault_skew, there.provider_skew = 20 * SECOND, -10 * SECOND
    assignment = there.assignment(policy, "key-1")
    done = await turn(assignment, there.ports())
    assert isinstance(done.decision, action)
    assert done.written is not None
    assert done.written.record is not None
    there.clock.advance(3 * SECOND)

    guess = presumed(done.snapshot, done.written.record, done.written.version, there.clock.now())

    assert guess is not None
    looked = await observe(there.assignment(policy), there.ports())
    written_at = there.vault_now()
    assert as_known(replace(guess, record_written_at=written_at)) == as_known(
        replace(looked, record_written_at=written_at)
    )
    assert guess.record_written_at == there.vault_now(), "not before it was written: a claim lasts from then"


def test_nothing_is_presumed_where_other_places_are_served_too() -> None:
    seen = a.snapshot(a.moved())
    assert seen.record is not None

    assert presumed(seen, seen.record, 8, a.NOW) is None
