"""One lineage from end to end: observe, decide, act, until there is nothing to do or something stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.errors import (
    Ambiguous,
    Conflict,
    Denied,
    InvariantViolation,
    PortError,
    Rejected,
    Throttled,
    Unavailable,
)
from rotator.inventory.observe import NOT_AN_ID
from rotator.model.entry import ROTATION_ID_FIELD
from rotator.model.reason import HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.told import Step
from rotator.plan.actions import Adopt, Hold, Inherit, Revoke, Rotate, Wait
from rotator.policy.policy import Adopt as AdoptMode
from rotator.policy.policy import Policy
from rotator.reconcile import TURNS, Reconciled, reconcile
from tests.support import builders as a
from tests.support.builders import DAY, HOUR, LATER, MINUTE, POLICY
from tests.support.canary import scan, secret_text
from tests.support.fakes import Version, World, before_first, settled

AT_ONCE = replace(POLICY, adopt=AdoptMode.NOW)
OLD = a.key("key-1", age=70 * DAY)
DUE = a.record(serves=replace(a.current(OLD, age=70 * DAY), version=3))
KEY = a.key()


async def run(
    world: World, policy: Policy = AT_ONCE, may_rotate: Callable[[], bool] = lambda: True
) -> Reconciled:
    return await reconcile(world.assignment(policy, KEY.key_id), world.ports(), may_rotate=may_rotate)


def kinds(done: Reconciled) -> list[type]:
    return [type(one) for one in done.done]


@pytest.mark.promise("P1", "P3")
async def test_a_key_is_taken_in_and_rotated_in_one_go_and_then_awaits_its_release() -> None:
    world = World()
    world.add_key(KEY)

    done = await run(world)

    assert kinds(done) == [Adopt, Rotate]
    assert done.error is None
    assert done.last is not None
    assert isinstance(done.last.stands, Wait)
    assert done.last.stands.reason is WaitReason.AWAITING_RELEASE
    assert world.served == "key-made-1"
    assert KEY.key_id in world.keys


@pytest.mark.promise("P1", "P2", "P3")
async def test_a_whole_life_leaves_no_key_behind_and_vault_serves_a_working_one_all_along() -> None:
    world = World()
    world.add_key(KEY)
    policy = replace(AT_ONCE, lifetime=10 * DAY, original=2 * DAY)
    await run(world, policy)
    for _ in range(40 * 24):
        world.clock.advance(HOUR)
        done = await run(world, policy)
        assert done.error is None
        assert world.served in world.keys
        served = world.keys[world.served]
        assert not served.expired(world.clock.now())
        assert len(world.keys) <= 4

    rotations = [told for told in world.told if told.step is Step.PUBLISHED]
    revoked = [told.reason for told in world.told if told.step is Step.REVOKED]
    assert 5 <= len(rotations) <= 7
    assert revoked[0] == RevokeReason.ORIGINAL_RELEASED
    assert set(revoked[1:]) == {RevokeReason.OVERLAP_ENDED}
    assert KEY.key_id not in world.keys


@pytest.mark.promise("P2")
async def test_a_key_whose_creation_was_not_answered_is_found_and_leaves_after_the_next_rotation() -> None:
    world = settled(DUE)
    world.fails("create_key", Ambiguous("create key", "project-1"), done=True)

    failed = await run(world, POLICY)
    assert isinstance(failed.error, Ambiguous)
    world.clock.advance(HOUR)
    done = await run(world, POLICY)

    assert kinds(done) == [Rotate, Inherit]
    assert world.served == "key-made-2"
    assert {one.key_id for one in world.record.previous} == {"key-1", "key-made-1"}
    world.clock.advance(DAY)
    done = await run(world, POLICY)
    assert kinds(done) == [Revoke, Revoke]
    assert "key-made-1" not in world.keys


@pytest.mark.promise("P2", "P8")
async def test_creations_that_are_never_answered_end_in_a_hold_with_three_keys_alive() -> None:
    world = settled(DUE)
    world.fails("create_key", *[Ambiguous("create key", "project-1")] * 10, done=True)

    for _ in range(9):
        await run(world, POLICY)
        world.clock.advance(2 * HOUR)
    done = await run(world, POLICY)

    assert len(world.requests) == 3
    assert done.last is not None
    assert done.last.stands == Hold(HoldReason.TOO_MANY_UNSERVED, "key-made-1, key-made-2, key-made-3")
    assert world.steps[-1] is Step.HELD


@pytest.mark.promise("P1")
async def test_a_served_key_that_a_person_deleted_is_replaced_at_once() -> None:
    world = settled()
    del world.keys[a.CURRENT.key_id]

    done = await run(world, POLICY)

    (rotated,) = done.done
    assert isinstance(rotated, Rotate)
    assert rotated.reason is RotateReason.SERVED_KEY_REFUSED
    assert world.served == "key-made-1"
    assert world.record.previous[0].key_id == a.CURRENT.key_id


# Conflicts, errors, holds


async def test_a_conflict_looks_again_and_goes_on() -> None:
    world = settled(DUE)
    world.before("write_record", lambda: world.put_record(world.record))

    done = await run(world, POLICY)

    assert done.error is None
    assert kinds(done) == [Rotate]
    assert world.calls.count("read_record") == 2
    assert Step.FAILED not in world.steps


async def test_conflicts_without_end_are_left_to_the_next_sweep_with_the_conflict_as_error() -> None:
    world = settled(DUE)
    for _ in range(TURNS):
        world.before("write_record", lambda: world.put_record(world.record))

    done = await run(world, POLICY)

    assert isinstance(done.error, Conflict)
    assert world.calls.count("read_record") == TURNS
    assert "create_key" not in world.calls


@pytest.mark.promise("P8")
@pytest.mark.parametrize("call", ["read_record", "list_keys", "read_entry"])
@pytest.mark.parametrize(
    "error",
    [Unavailable("look", "it"), Throttled("look", "it"), Denied("look", "it")],
    ids=lambda error: type(error).__name__,
)
async def test_a_look_that_fails_is_told_and_stops_nothing_else(call: str, error: PortError) -> None:
    world = settled(DUE)
    world.fails(call, error)

    done = await run(world)

    assert done.error is error
    assert done.last is None
    assert done.done == ()
    assert [(told.step, told.lineage, told.detail) for told in world.told] == [
        (Step.FAILED, "secret/voice", str(error))
    ]
    assert "write_record" not in world.calls


@pytest.mark.promise("P8")
async def test_an_action_that_fails_is_told_with_what_was_done_before() -> None:
    world = World()
    world.add_key(KEY)
    world.fails("create_key", Unavailable("create key", "project-1"))

    done = await run(world)

    assert kinds(done) == [Adopt]
    assert isinstance(done.error, Unavailable)
    assert world.steps == [Step.ADOPTED, Step.INTENT, Step.FAILED]


@pytest.mark.promise("P8")
async def test_a_record_that_can_not_be_read_holds_the_lineage_and_is_told() -> None:
    world = settled()
    world.fails("read_record", Rejected("read record", "voice"))

    done = await run(world)

    assert done.last is not None
    assert done.last.stands == Hold(HoldReason.RECORD_UNREADABLE)
    assert [(told.step, told.reason) for told in world.told] == [(Step.HELD, "record_unreadable")]
    assert "write_record" not in world.calls


@pytest.mark.promise("P8")
async def test_a_hold_that_an_action_ended_in_is_told_and_ends_the_turns() -> None:
    world = before_first()
    world.grant = lambda key: replace(key, tags=frozenset())

    done = await run(world)

    assert done.last is not None
    assert done.last.acted
    assert done.done == ()
    assert (world.told[-1].step, world.told[-1].reason, world.told[-1].detail) == (
        Step.HELD,
        "parity",
        "lacks tags prod",
    )
    assert world.calls.count("create_key") == 1


@pytest.mark.promise("P8")
async def test_rotating_and_deleting_that_both_fail_are_each_spaced_ever_wider() -> None:
    world = settled(replace(DUE, previous=(a.previous(superseded=2 * DAY),)))
    world.fails("create_key", *[Unavailable("create key", "project-1")] * 100)
    world.fails("revoke_key key-old", *[Rejected("revoke key", "key-old")] * 100)

    for _ in range(60):
        await run(world, POLICY)
        world.clock.advance(MINUTE)

    assert 5 <= world.calls.count("create_key") <= 9
    assert 5 <= world.calls.count("revoke_key key-old") <= 9


async def test_a_deletion_that_succeeds_does_not_hasten_a_rotation_that_fails() -> None:
    world = settled(replace(DUE, previous=(a.previous(superseded=2 * DAY),)))
    world.fails("create_key", Unavailable("create key", "project-1"))
    world.fails("revoke_key key-old", Unavailable("revoke key", "key-old"))
    for _ in range(2):
        await run(world, POLICY)
    rotating = world.record.rotate_failure
    assert rotating is not None
    world.put_record(
        replace(world.record, rotate_failure=replace(rotating, next_try_at=a.NOW + HOUR), revoke_failure=None)
    )

    done = await run(world, POLICY)

    assert kinds(done) == [Revoke]
    assert world.record.rotate_failure is not None


# What the caller may ask for


async def test_a_rotation_that_the_sweep_does_not_allow_is_left_alone() -> None:
    world = settled(DUE)

    done = await run(world, POLICY, may_rotate=lambda: False)

    assert done.last is not None
    assert isinstance(done.last.decision, Rotate)
    assert not done.last.acted
    assert done.done == ()
    assert "write_record" not in world.calls


async def test_a_sweep_is_asked_for_rotations_only_and_once_for_each() -> None:
    world = settled(replace(DUE, previous=(a.previous(superseded=2 * DAY),)))
    asked = []

    def may_rotate() -> bool:
        asked.append(len(world.calls))
        return True

    done = await run(world, POLICY, may_rotate)

    assert kinds(done) == [Revoke, Rotate]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(lambda: settled(DUE), id="due"),
        pytest.param(lambda: settled(a.record(previous=[a.previous()])), id="overlap ended"),
        pytest.param(World, id="new"),
    ],
)
async def test_nothing_is_begun_once_the_process_was_asked_to_stop(world: Callable[[], World]) -> None:
    stopped = world()
    stopped.add_key(KEY)
    stopped.stopping = True

    done = await run(stopped)

    assert done.done == ()
    assert done.last is not None
    assert not done.last.acted
    assert {"write_record", "create_key", "publish"}.isdisjoint(stopped.calls)
    assert stopped.told == []


# What a look says


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param([Unavailable("prove", "k")], "unknown", id="no answer"),
        pytest.param([Throttled("prove", "k")], "unknown", id="too many calls"),
    ],
)
@pytest.mark.promise("P1")
async def test_a_secret_that_could_not_be_tried_is_neither_accepted_nor_refused(
    answers: list[PortError], expected: str
) -> None:
    world = settled()
    world.fails("prove", *answers)

    done = await run(world, POLICY)

    assert done.last is not None
    assert done.last.snapshot.served.verdict == expected


@pytest.mark.promise("P1")
async def test_a_refusal_counts_only_when_it_is_repeated_after_a_pause() -> None:
    world = settled()
    world.works_after = world.provider_now() - a.CURRENT.created_at + timedelta(seconds=1)

    done = await run(world, POLICY)

    assert world.calls.count("prove") == 2
    assert done.last is not None
    assert done.last.snapshot.served == a.accepted()
    assert done.done == ()


async def test_the_clocks_are_compared_when_each_of_them_answered() -> None:
    world = settled()
    world.vault_skew, world.provider_skew = 7 * MINUTE, -3 * MINUTE

    done = await run(world, POLICY)

    assert done.last is not None
    assert (done.last.snapshot.vault_skew, done.last.snapshot.provider_skew) == (7 * MINUTE, -3 * MINUTE)


async def test_a_look_keeps_the_keys_that_concern_the_lineage_and_no_others() -> None:
    record = a.record(previous=[a.previous(superseded=HOUR)], attempts=[a.attempt(LATER, base=3, age=HOUR)])
    world = settled(record)
    world.add_key(a.made(record.attempts[-1], "key-orphan"))
    world.add_key(replace(a.key("key-elsewhere"), comment=f"x [rotator:1:{a.JOURNAL}:{'e' * 12}:{LATER}]"))

    done = await run(world, POLICY)

    assert done.last is not None
    assert {key.key_id for key in done.last.snapshot.keys} == {"key-current", "key-old", "key-orphan"}
    assert done.last.snapshot.absence_proven


@pytest.mark.promise("P2")
async def test_a_look_keeps_the_keys_that_can_not_be_read_apart_and_none_of_them_is_gone() -> None:
    record = a.record(previous=[a.previous(superseded=HOUR)], attempts=[a.attempt(LATER, base=3, age=HOUR)])
    world = settled(record)
    world.add_key(a.made(record.attempts[-1], "key-orphan"))
    world.put_entry("key-orphan", LATER)
    world.unreadable = set(world.keys)

    done = await run(world, POLICY)

    assert done.last is not None
    seen = done.last.snapshot
    assert (seen.keys, seen.entry.key_id) == ((), "key-orphan")
    assert {key.key_id for key in seen.unreadable} == {"key-current", "key-old", "key-orphan"}
    assert all(seen.lists(key_id) for key_id in ("key-current", "key-old", "key-orphan"))
    assert isinstance(done.last.stands, Wait)
    assert done.last.stands.reason is WaitReason.KEY_UNREADABLE


async def test_an_attempt_is_remembered_as_long_as_its_key_is_listed_readable_or_not() -> None:
    old = replace(a.attempt(LATER, base=3, age=HOUR), keep_until=a.NOW)
    world = settled(a.record(attempts=[old], originals=[a.original(released=True)]))
    world.add_key(a.made(old, "key-orphan"))
    world.unreadable = {"key-orphan"}

    done = await run(world, POLICY)

    assert "key-original" not in world.keys
    assert done.last is not None
    assert LATER in {attempt.rotation_id for attempt in world.record.attempts}


# A bug in one lineage


@pytest.mark.promise("P7", "P8")
async def test_a_bug_is_told_by_its_class_and_place_and_stops_nothing_else() -> None:
    world = settled(DUE)

    def stumble() -> None:
        raise ValueError(secret_text("in an odd place"))

    world.before("create_key", stumble)

    done = await run(world, POLICY)

    assert isinstance(done.error, InvariantViolation)
    assert str(done.error).startswith("ValueError at ")
    assert world.told[-1].step is Step.FAILED
    again = await run(world, POLICY)
    assert again.last is not None
    assert again.last.stands == Hold(HoldReason.UNSAFE, "ValueError")
    assert world.calls.count("create_key") == 1


# A refusal of the served secret


@pytest.mark.promise("P1")
async def test_a_refusal_counts_only_while_our_own_key_is_accepted() -> None:
    """The provider's authentication fails for everybody: nothing is minted because of it."""
    world = settled(a.record())
    world.keys.pop(a.CURRENT.key_id)
    world.fails("list_keys", None, Denied("list keys", "project-1"))

    done = await run(world, POLICY)

    assert done.last is not None
    assert isinstance(done.last.stands, Wait)
    assert done.last.stands.reason is WaitReason.SERVED_UNPROVEN
    assert "create_key" not in world.calls


@pytest.mark.promise("P7")
async def test_with_exchanged_fields_the_secret_is_no_part_of_what_was_seen() -> None:
    """Where a field is named for the id and holds the secret, the snapshot shows neither."""
    world = settled()
    secret = world.secret_of[a.CURRENT.key_id].reveal()
    values = {"api_key": a.CURRENT.key_id, "api_key_id": secret, ROTATION_ID_FIELD: secret}
    world.versions.append(Version(values, world.vault_now()))
    done = await run(world, POLICY)

    assert done.last is not None
    scan(repr(done), "what was seen")
    assert done.last.snapshot.entry.key_id == NOT_AN_ID
    assert done.last.snapshot.entry.rotation_id == NOT_AN_ID
    assert done.last.decision == Hold(HoldReason.ENTRY_CHANGED, "version 4")


async def test_ids_of_keys_and_rotations_are_seen_as_they_stand() -> None:
    world = settled()
    done = await run(world, POLICY)

    assert done.last is not None
    entry = done.last.snapshot.entry
    assert (entry.key_id, entry.rotation_id) == (a.CURRENT.key_id, a.ISSUED)


@pytest.mark.promise("P8")
async def test_a_hold_is_believed_only_when_the_record_stood_still_during_the_look() -> None:
    """Another process may have published between our read of the record and our read of the entry."""
    world = settled(a.record())

    def another_publishes() -> None:
        world.put_entry(a.CURRENT.key_id, "f" * 16)
        world.put_record(world.record)

    world.before("read_entry", another_publishes)
    done = await run(world, POLICY)

    look = ["control", "read_record", "list_keys", "read_entry", "prove", "read_record"]
    assert world.calls == [*look, *look]
    assert done.last is not None
    assert isinstance(done.last.stands, Hold)
    assert done.last.stands.reason is HoldReason.ENTRY_CHANGED


@pytest.mark.promise("P8")
async def test_a_publish_whose_record_was_written_without_an_answer_is_shown_as_it_was_recorded() -> None:
    world = settled()
    del world.keys[a.CURRENT.key_id]
    world.fails("write_record", None, Ambiguous("write record", "voice"), done=True)

    done = await run(world, POLICY)

    assert [type(did) for did in done.done] == [Rotate]
    assert done.error is None
    assert done.last is not None
    assert done.last.snapshot.record == world.record
    assert done.last.snapshot.record_version == len(world.records)


@pytest.mark.promise("P8")
async def test_while_many_keys_are_absent_a_hold_for_another_reason_is_believed_no_sooner() -> None:
    """A lineage whose secret is refused is not stopped by that, and so meets what other processes publish."""
    world = settled(a.record())
    del world.keys[a.CURRENT.key_id]

    def another_publishes() -> None:
        world.put_entry(a.CURRENT.key_id, "f" * 16)
        world.put_record(world.record)

    world.before("read_entry", another_publishes)
    assignment = replace(world.assignment(POLICY), fleet_hold=HoldReason.MANY_ABSENT)
    done = await reconcile(assignment, world.ports())

    look = ["control", "read_record", "list_keys", "read_entry", "prove", "prove", "list_keys", "read_record"]
    assert world.calls == [*look, *look]
    assert done.last is not None
    assert isinstance(done.last.stands, Hold)
    assert done.last.stands.reason is HoldReason.ENTRY_CHANGED
