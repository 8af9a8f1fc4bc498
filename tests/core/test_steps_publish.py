"""The publish: at the base that the intent recorded, never elsewhere, and confirmed by reading it back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rotator.errors import Ambiguous, Conflict, Denied, PortError, Rejected, Throttled, Unavailable
from rotator.model.reason import HoldReason, RotateReason
from rotator.model.told import Step
from rotator.plan.actions import Finish, Hold
from rotator.policy.policy import Lifetime, Policy
from rotator.reconcile import Turn, turn
from tests.support import builders as a
from tests.support.builders import DAY, POLICY
from tests.support.fakes import World, settled

OLD = a.key("key-1", age=70 * DAY)
DUE = a.record(serves=replace(a.current(OLD, age=70 * DAY), version=3))
AMBIGUOUS = Ambiguous("publish", "secret/voice", "cut off")
ANSWERS = [AMBIGUOUS, Unavailable("publish", "secret/voice"), Throttled("publish", "secret/voice")]


async def rotate(world: World, policy: Policy = POLICY) -> Turn:
    return await turn(world.assignment(policy), world.ports())


def published_once(world: World) -> bool:
    current = world.record.current
    return (
        world.served == "key-made-1"
        and len(world.versions) == 4
        and current is not None
        and (current.key.key_id, current.version) == ("key-made-1", 4)
    )


@pytest.mark.parametrize("answer", [None, AMBIGUOUS], ids=["answered", "unanswered"])
async def test_a_standby_is_asked_for_the_version_that_the_publish_has_if_it_happened(
    answer: PortError | None,
) -> None:
    world = settled(DUE)
    world.fails("publish", answer, done=True)

    await rotate(world)

    assert published_once(world)
    assert world.floors[-1] == ("secret/voice", 4)


@pytest.mark.promise("P1", "P4")
async def test_a_secret_that_a_person_puts_beside_our_ids_is_not_taken_for_our_publish() -> None:
    world = settled(DUE)
    theirs = world.add_key(a.key("key-9"))
    world.fails("read_entry", None)

    def writes() -> None:
        ours = world.versions[-1].values
        assert ours is not None
        world.versions.append(replace(world.versions[-1], values=ours | {"api_key": theirs.reveal()}))

    world.before("read_entry", writes)

    with pytest.raises(Conflict):
        await rotate(world)

    assert world.served == "key-9"
    assert world.record.current == DUE.current


@pytest.mark.promise("P2", "P6")
async def test_an_unanswered_publish_that_happened_is_not_sent_again() -> None:
    world = settled(DUE)
    world.fails("publish", AMBIGUOUS, done=True)

    await rotate(world)

    assert world.calls.count("publish") == 1
    assert published_once(world)
    assert world.steps[-3:] == [Step.PUBLISHED, Step.RECORDED, Step.OVERLAP]


@pytest.mark.promise("P6")
@pytest.mark.parametrize("error", ANSWERS, ids=lambda error: type(error).__name__)
async def test_a_publish_that_did_not_happen_is_sent_again_at_the_same_base(error: PortError) -> None:
    world = settled(DUE)
    world.fails("publish", error, error)

    await rotate(world)

    assert world.calls.count("publish") == 3
    assert published_once(world)


@pytest.mark.promise("P6")
async def test_a_publish_that_lands_late_wins_over_the_one_sent_again_and_is_recognised() -> None:
    world = settled(DUE)
    world.fails("publish", AMBIGUOUS)
    world.before("publish", world.land_publish)

    await rotate(world)

    assert world.calls.count("publish") == 2
    assert published_once(world)


async def test_a_lagging_read_back_is_not_taken_for_a_publish_that_did_not_happen() -> None:
    world = settled(DUE)
    world.before("publish", lambda: setattr(world, "stale_reads", 1))

    await rotate(world)

    assert published_once(world)


@pytest.mark.promise("P2", "P8")
@pytest.mark.parametrize("error", ANSWERS, ids=lambda error: type(error).__name__)
async def test_a_publish_whose_end_can_not_be_found_out_keeps_everything_for_the_next_look(
    error: PortError,
) -> None:
    world = settled(DUE)
    world.fails("publish", error, error, error)

    with pytest.raises(type(error)):
        await rotate(world)

    record = world.record
    assert world.served == "key-1"
    assert "key-made-1" in world.keys
    assert record.attempts[-1].base == 3
    assert record.failure is not None
    assert (record.failure.tried, record.failure.what) == (RotateReason.DUE_BY_EXPIRY, str(error))
    assert record.claim is None


@pytest.mark.promise("P2", "P4", "P6")
async def test_a_publish_does_not_overwrite_what_somebody_wrote_after_the_intent() -> None:
    world = settled(DUE)
    world.before("publish", lambda: world.put_entry("key-others", None))

    with pytest.raises(Conflict):
        await rotate(world)

    assert world.calls.count("publish") == 1
    assert world.served == "key-others"
    assert "key-made-1" in world.keys
    assert world.record.current == DUE.current
    assert world.record.failure is not None


@pytest.mark.promise("P6")
async def test_a_publish_goes_to_the_base_of_the_decision_not_to_a_later_version() -> None:
    world = settled(DUE)
    world.before("create_key", lambda: world.put_entry("key-1", a.ISSUED))

    with pytest.raises(Conflict):
        await rotate(world)

    assert world.served == "key-1"
    assert len(world.versions) == 4


@pytest.mark.promise("P2", "P8")
@pytest.mark.parametrize(
    "error",
    [Rejected("publish", "secret/voice"), Denied("publish", "secret/voice")],
    ids=lambda e: type(e).__name__,
)
async def test_a_publish_that_vault_refuses_for_good_holds_and_leaves_the_candidate_to_the_next_publish(
    error: PortError,
) -> None:
    world = settled(DUE)
    world.fails("publish", error)

    done = await rotate(world)

    assert done.held == Hold(HoldReason.WRITE_REFUSED, str(error))
    record = world.record
    assert record.hold is not None
    assert record.hold.reason is HoldReason.WRITE_REFUSED
    assert record.claim is None
    assert record.current == DUE.current
    assert len(record.attempts) == 2
    assert "key-made-1" in world.keys
    assert world.calls.count("publish") == 1


# What Vault will delete by itself


@pytest.mark.promise("P1", "P8")
@pytest.mark.parametrize(
    ("policy", "deletion_at"),
    [
        pytest.param(POLICY, a.NOW + 30 * DAY, id="before the key expires"),
        pytest.param(
            replace(POLICY, lifetime=Lifetime.NEVER), a.NOW + 3000 * DAY, id="though the key never expires"
        ),
    ],
)
async def test_a_version_that_vault_will_delete_too_early_is_recorded_and_held(
    policy: Policy, deletion_at: datetime
) -> None:
    world = settled(DUE)
    world.deletion_at = deletion_at

    done = await rotate(world, policy)

    assert done.held is not None
    assert done.held.reason is HoldReason.ENTRY_EXPIRES
    assert published_once(world)
    assert world.record.hold is not None
    assert world.record.claim is None
    assert (await rotate(world, policy)).decision == done.held


async def test_a_version_that_vault_deletes_once_its_key_has_expired_is_no_harm() -> None:
    world = settled(DUE)
    world.deletion_at = a.NOW + 90 * DAY

    done = await rotate(world)

    assert done.held is None
    assert world.record.hold is None


# A publish that could not be recorded


def takes_over(world: World) -> Callable[[], object]:
    return lambda: world.put_record(replace(world.record, claim=None))


@pytest.mark.parametrize("looks", [[], [Unavailable("read record", "voice")]], ids=["seen", "not seen"])
async def test_when_the_answer_to_its_record_was_lost_the_evidence_is_told_if_it_is_seen_to_be_written(
    looks: list[PortError],
) -> None:
    world = settled(DUE)
    world.fails("write_record", None)
    world.fails("write_record", Ambiguous("write record", "voice"), done=True)
    world.fails("read_record", None, *looks)

    with contextlib.suppress(Ambiguous):
        await rotate(world)
    await rotate(world)

    assert world.steps.count(Step.RECORDED) == (0 if looks else 1)
    assert published_once(world)
    assert len(world.record.history) == 2


@pytest.mark.promise("P2")
@pytest.mark.parametrize(
    ("error", "done"),
    [
        (Unavailable("write record", "voice"), True),
        (Unavailable("write record", "voice"), False),
        (Ambiguous("write record", "voice"), False),
    ],
    ids=["written", "not written", "not answered"],
)
async def test_a_publish_that_could_not_be_recorded_is_finished_at_the_next_look(
    error: PortError, *, done: bool
) -> None:
    world = settled(DUE)
    world.fails("write_record", None)
    world.fails("write_record", error, done=done)

    with pytest.raises(type(error)):
        await rotate(world)
    assert world.served == "key-made-1"
    finished = await rotate(world)

    if not done:
        assert finished.decision == Finish(f"{1:016x}", "key-made-1")
        assert world.steps[-1] is Step.FINISHED
    assert published_once(world)
    assert [one.key_id for one in world.record.previous] == ["key-1"]
    assert world.record.previous[0].superseded_at == a.NOW
    assert world.record.claim is None


@pytest.mark.promise("P2", "P6")
async def test_a_publish_whose_record_somebody_else_wrote_is_finished_by_anybody() -> None:
    world = settled(DUE)
    world.fails("write_record", None)
    world.before("write_record", takes_over(world))

    with pytest.raises(Conflict):
        await rotate(world)
    world.clock.advance(timedelta(minutes=30))
    other = await turn(world.assignment(), world.ports("replica-b"))

    assert other.decision == Finish(f"{1:016x}", "key-made-1")
    assert published_once(world)
    (previous,) = world.record.previous
    assert previous.superseded_at == a.NOW
    assert world.record.history[-1].holder == "replica-b"


@pytest.mark.promise("P2")
async def test_a_read_back_that_fails_is_made_up_for_at_the_next_look() -> None:
    world = settled(DUE)
    world.fails("read_entry", None, Unavailable("read entry", "secret/voice"))

    with pytest.raises(Unavailable):
        await rotate(world)
    assert world.record.failure is not None

    assert isinstance((await rotate(world)).decision, Finish)
    assert published_once(world)


async def test_a_lineage_that_is_held_after_a_publish_says_so_without_a_secret() -> None:
    world = settled(DUE)
    world.deletion_at = a.NOW + DAY

    done = await rotate(world)

    assert done.stands == Hold(HoldReason.ENTRY_EXPIRES, f"version 4 is deleted at {a.NOW + DAY}")
