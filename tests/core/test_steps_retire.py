"""Retiring a key: claim, look afresh, delete, see it gone, record. Anything unexpected in between stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.errors import Ambiguous, Conflict, Denied, PortError, Rejected, Throttled, Unavailable
from rotator.model.key import Key
from rotator.model.reason import RevokeReason
from rotator.model.record import Record
from rotator.model.told import Step
from rotator.plan.actions import Revoke, Wait
from rotator.reconcile import Turn, reconcile, turn
from tests.support import builders as a
from tests.support.builders import DAY, HOUR, MINUTE, POLICY
from tests.support.fakes import OTHERS, World, settled

pytestmark = pytest.mark.promise("P3")

SECOND = timedelta(seconds=1)
REVOKE = "revoke_key key-old"


def ended() -> World:
    """Return a world in which the overlap of `key-old` has ended."""
    return settled(a.record(previous=[a.previous(superseded=2 * DAY)]))


async def retire(world: World) -> Turn:
    return await turn(world.assignment(), world.ports())


@pytest.mark.promise("P1")
async def test_a_key_is_deleted_seen_gone_and_taken_off_the_record() -> None:
    world = ended()

    done = await retire(world)

    assert done.decision == Revoke("key-old", RevokeReason.OVERLAP_ENDED)
    assert "key-old" not in world.keys
    assert a.CURRENT.key_id in world.keys
    assert world.record.previous == ()
    assert world.record.claim is None
    assert [(told.step, told.key_id) for told in world.told] == [(Step.REVOKED, "key-old")]


async def test_the_claim_comes_first_then_everything_is_looked_at_afresh_then_the_key_is_deleted() -> None:
    world = ended()

    await retire(world)

    look = ["list_keys", "read_entry", "prove"]
    assert world.calls == [
        "control",
        "read_record",
        *look,
        "write_record",
        *look,
        REVOKE,
        "list_keys",
        "list_keys",
        "write_record",
    ]


@pytest.mark.promise("P6")
async def test_nothing_is_deleted_when_somebody_else_wrote_the_record() -> None:
    world = ended()
    world.before("write_record", lambda: world.put_record(world.record))

    with pytest.raises(Conflict):
        await retire(world)

    assert REVOKE not in world.calls


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("write record", "voice"),
        Ambiguous("write record", "voice"),
        Denied("write record", "voice"),
    ],
)
async def test_nothing_is_deleted_without_a_claim(error: PortError) -> None:
    world = ended()
    world.fails("write_record", error)

    with pytest.raises(type(error)):
        await retire(world)

    assert REVOKE not in world.calls


def rolled_back(world: World) -> None:
    """Somebody puts the old secret back, under our rotation id."""
    world.put_entry("key-old", a.ISSUED)


def deleted(world: World) -> None:
    world.versions[-1] = replace(world.versions[-1], values=None)


def current_deleted(world: World) -> None:
    del world.keys[a.CURRENT.key_id]


def clock_stepped(world: World) -> None:
    world.vault_skew = 31 * SECOND


@pytest.mark.promise("P1")
@pytest.mark.parametrize(
    "happens", [rolled_back, deleted, current_deleted, clock_stepped], ids=lambda happens: happens.__name__
)
async def test_what_happens_between_decision_and_deletion_stops_it_and_gives_the_claim_back(
    happens: Callable[[World], None],
) -> None:
    world = ended()
    world.before("write_record", lambda: happens(world))

    with pytest.raises(Conflict, match="not any more"):
        await retire(world)

    assert REVOKE not in world.calls
    assert "key-old" in world.keys
    assert [one.key_id for one in world.record.previous] == ["key-old"]
    assert world.record.claim is None
    assert world.record.failure is None


@pytest.mark.promise("P1")
@pytest.mark.parametrize("call", ["read_entry", "prove"])
async def test_a_look_that_took_more_than_five_seconds_deletes_nothing(call: str) -> None:
    world = ended()
    world.fails(call, None)
    world.before(call, lambda: world.clock.advance(6 * SECOND))

    with pytest.raises(Unavailable, match="too slow"):
        await retire(world)

    assert REVOKE not in world.calls
    assert world.record.revoke_failure is not None
    assert world.record.claim is None


async def test_a_look_that_took_five_seconds_is_fresh_enough() -> None:
    world = ended()
    world.fails("prove", None)
    world.before("prove", lambda: world.clock.advance(5 * SECOND))

    await retire(world)

    assert "key-old" not in world.keys


@pytest.mark.promise("P1")
@pytest.mark.parametrize("call", ["list_keys", "read_entry"])
async def test_a_fresh_look_that_fails_deletes_nothing_and_is_tried_again_later(call: str) -> None:
    world = ended()
    world.fails(call, None, Unavailable(call, "it"))

    with pytest.raises(Unavailable):
        await retire(world)

    assert REVOKE not in world.calls
    assert world.record.failure is not None
    assert world.record.claim is None


# Gone?


async def test_a_key_that_was_deleted_already_counts_as_gone_when_whole_lists_lack_it() -> None:
    world = ended()
    del world.keys["key-old"]

    await retire(world)

    assert REVOKE in world.calls
    assert world.calls.count("list_keys") == 4
    assert world.record.previous == ()


@pytest.mark.promise("P2")
async def test_a_404_from_a_demoted_management_key_is_not_believed() -> None:
    world = ended()
    world.hidden = {"key-old", OTHERS}
    world.before(REVOKE, lambda: world.hidden.add(a.CURRENT.key_id))

    with pytest.raises(Unavailable, match="shows only a part"):
        await retire(world)

    assert "key-old" in world.keys
    assert [one.key_id for one in world.record.previous] == ["key-old"]
    assert world.record.failure is not None


@pytest.mark.parametrize("member_id", [a.MEMBER, "somebody", None])
async def test_a_deletion_that_was_answered_is_believed_with_a_list_that_shows_the_served_key(
    member_id: str | None,
) -> None:
    """Where all keys are of one account, no list ever shows another's."""
    world = settled(a.record(previous=[replace(a.previous(), member_id=member_id)]))
    world.hidden = {OTHERS}

    await retire(world)

    assert world.record.previous == ()


def of_member(member_id: str | None) -> tuple[Record, Record]:
    """Return two lineages of which a key of this account awaits its end: a previous one, and an original."""
    released = a.original(replace(a.key("key-old"), member_id=member_id), released=True)
    previous = replace(a.previous(), member_id=member_id)
    return a.record(previous=[previous]), a.record(originals=[released])


@pytest.mark.promise("P2")
@pytest.mark.parametrize("kind", [0, 1], ids=["previous", "original"])
@pytest.mark.parametrize(
    ("member_id", "believed"),
    [(a.MEMBER, True), ("somebody", False), (None, False)],
    ids=["our account's", "another account's", "nobody knows whose"],
)
async def test_a_404_is_believed_of_a_key_that_a_demoted_management_key_would_see(
    member_id: str | None, kind: int, *, believed: bool
) -> None:
    """The list shows keys of our own account only, the served one among them."""
    world = settled(of_member(member_id)[kind])
    world.keys.pop("key-old")
    world.hidden = {OTHERS}

    done = await reconcile(world.assignment(), world.ports())

    assert REVOKE in world.calls
    assert (done.error is None) is believed
    assert ("key-old" in world.record.known_key_ids()) is not believed


@pytest.mark.promise("P2")
@pytest.mark.parametrize("passes", [2, 3], ids=["first look", "second look"])
async def test_a_deleted_key_that_is_still_listed_stays_on_the_record(passes: int) -> None:
    world = ended()
    old: Key = world.keys["key-old"]
    world.fails("list_keys", *[None] * passes)
    world.before("list_keys", lambda: world.add_key(old))

    with pytest.raises(Unavailable, match="still lists it"):
        await retire(world)

    assert [one.key_id for one in world.record.previous] == ["key-old"]
    assert world.record.failure is not None
    assert Step.REVOKED not in world.steps


@pytest.mark.promise("P2")
@pytest.mark.parametrize("passes", [2, 3], ids=["first look", "second look"])
async def test_a_deleted_key_that_is_still_listed_and_can_not_be_read_is_not_gone(passes: int) -> None:
    world = ended()
    old: Key = world.keys["key-old"]
    world.unreadable = {"key-old"}
    world.fails("list_keys", *[None] * passes)
    world.before("list_keys", lambda: world.add_key(old))

    with pytest.raises(Unavailable, match="still lists it"):
        await retire(world)

    assert [one.key_id for one in world.record.previous] == ["key-old"]
    assert Step.REVOKED not in world.steps


async def test_a_previous_key_that_can_not_be_read_leaves_as_its_terms_in_the_record_say() -> None:
    world = ended()
    world.unreadable = {"key-old"}

    await retire(world)

    assert "key-old" not in world.keys
    assert world.record.previous == ()


# Failures


@pytest.mark.promise("P2", "P8")
@pytest.mark.parametrize(
    "error",
    [
        Unavailable("revoke key", "key-old"),
        Throttled("revoke key", "key-old"),
        Denied("revoke key", "key-old"),
        Rejected("revoke key", "key-old"),
        Ambiguous("revoke key", "key-old"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_deletion_that_fails_is_written_down_and_tried_again_for_ever_with_back_off(
    error: PortError,
) -> None:
    world = ended()
    delays = []
    for count in (1, 2, 3, 4):
        world.fails(REVOKE, error)
        with pytest.raises(type(error)):
            await retire(world)
        record = world.record
        assert record.failure is not None
        assert (record.failure.count, record.failure.tried) == (count, RevokeReason.OVERLAP_ENDED)
        assert record.claim is None
        assert isinstance((await retire(world)).decision, Wait)
        delays.append(record.failure.next_try_at - world.clock.now())
        world.clock.advance(delays[-1])

    assert delays[3] > 4 * MINUTE - SECOND
    await retire(world)
    record = world.record
    assert record.previous == ()
    assert record.failure is None


async def test_an_unanswered_deletion_that_happened_is_recorded_at_the_next_try() -> None:
    world = ended()
    world.fails(REVOKE, Ambiguous("revoke key", "key-old"), done=True)

    with pytest.raises(Ambiguous):
        await retire(world)
    world.clock.advance(MINUTE)
    await retire(world)

    assert world.calls.count(REVOKE) == 2
    assert world.record.previous == ()


async def test_a_deletion_that_could_not_be_recorded_is_recorded_at_the_next_look() -> None:
    world = ended()
    world.fails("write_record", None, Unavailable("write record", "voice"))

    with pytest.raises(Unavailable):
        await retire(world)
    assert [one.key_id for one in world.record.previous] == ["key-old"]
    await retire(world)

    assert world.record.previous == ()


async def test_another_policy_entry_tries_a_deletion_again_at_once() -> None:
    world = ended()
    world.fails(REVOKE, Unavailable("revoke key", "key-old"))
    with pytest.raises(Unavailable):
        await retire(world)

    await turn(world.assignment(replace(POLICY, fingerprint="edited")), world.ports())

    assert "key-old" not in world.keys


@pytest.mark.promise("P1")
async def test_a_key_that_can_not_be_deleted_lets_no_other_expire() -> None:
    """Each sweep of an hourly timer finds that the next try of the deletion has come."""
    old = a.key("key-1", age=70 * DAY)
    world = settled(a.record(serves=a.current(old, age=70 * DAY), previous=[a.previous(superseded=2 * DAY)]))
    world.fails(REVOKE, *[Rejected("revoke key", "it")] * 3)

    for _ in range(3):
        await reconcile(world.assignment(), world.ports())
        world.clock.advance(HOUR)

    assert world.served == "key-made-1"
    assert "key-old" in world.keys


async def test_keys_that_can_not_be_deleted_take_turns_and_are_spaced_together() -> None:
    world = settled(
        a.record(previous=[a.previous(superseded=2 * DAY)], originals=[a.original(released=True)])
    )
    for call in (REVOKE, "revoke_key key-original"):
        world.fails(call, *[Rejected("revoke key", "it")] * 2)
    for count in (1, 2, 3, 4):
        with pytest.raises(Rejected):
            await retire(world)
        failure = world.record.failure
        assert failure is not None
        assert failure.count == count
        world.clock.advance(failure.next_try_at - world.clock.now())

    assert [call for call in world.calls if call.startswith("revoke_key")] == [
        REVOKE,
        "revoke_key key-original",
        REVOKE,
        "revoke_key key-original",
    ]


async def test_a_released_original_leaves_by_the_same_steps() -> None:
    world = settled(a.record(originals=[a.original(released=True)]))

    done = await retire(world)

    assert done.decision == Revoke("key-original", RevokeReason.ORIGINAL_RELEASED)
    assert world.record.originals == ()
    assert "key-original" not in world.keys
    assert world.told[-1].reason == "original_released"
