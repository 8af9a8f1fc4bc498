"""An emergency: a new key, and then every earlier one goes at once, whoever dies in between and whatever stands there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.errors import Ambiguous, PortError, Unavailable
from rotator.model.entry import Served, Verdict
from rotator.model.key import Mark
from rotator.model.order import OrderKind
from rotator.model.reason import HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.record import Record, Rights
from rotator.model.told import Step
from rotator.plan import facts
from rotator.plan.actions import Hold, Wait
from rotator.plan.invariants import Obstacle, may_revoke
from rotator.policy.policy import Adopt as AdoptMode
from rotator.policy.policy import Policy
from rotator.reconcile import Reconciled, reconcile
from rotator.rotation.orders import Ordered, give
from tests.support import builders as a
from tests.support.builders import DAY, HOUR, LATER, MINUTE, POLICY, SECOND
from tests.support.fakes import CLAIM_TTL, Died, World, before_first, settled

ORPHANED = a.attempt(LATER, base=3, age=2 * HOUR)
EARLIER = {"key-original", "key-old", "key-current", "key-orphan"}
KEPT = {a.MANAGEMENT, "key-others"}


def leaked() -> World:
    """Return a world with a key of each kind that a lineage can have, none of which may go yet."""
    world = settled(
        a.record(
            previous=[a.previous(superseded=HOUR)],
            originals=[a.original(superseded=DAY)],
            attempts=[ORPHANED],
        )
    )
    world.add_key(a.made(ORPHANED, "key-orphan"))
    return world


async def order(world: World, kind: OrderKind = OrderKind.EMERGENCY, policy: Policy = POLICY) -> None:
    ordered = Ordered(kind=kind, who="ann@desk", why="a leak")
    await give(ordered, world.assignment(policy), world.ports())


async def carry_on(world: World, holder: str = a.OBSERVER, policy: Policy = POLICY) -> Reconciled:
    return await reconcile(world.assignment(policy), world.ports(holder))


def over(record: Record) -> bool:
    return not facts.emergency(record) and not record.previous and not record.originals


@pytest.mark.promise("P1", "P3")
async def test_every_earlier_key_goes_as_soon_as_the_new_one_is_published_and_the_order_ends_by_itself() -> (
    None
):
    world = leaked()
    await order(world)

    ended = await carry_on(world)

    assert set(world.keys) == KEPT | {"key-made-1"}
    assert world.served == "key-made-1"
    assert over(world.record)
    assert world.record.standing is None
    assert {one.reason for one in world.record.retired} == {RevokeReason.EMERGENCY}
    assert world.record.history[-1].reason is RotateReason.EMERGENCY
    assert world.clock.now() - a.NOW < MINUTE
    assert isinstance(ended.last and ended.last.decision, Wait)
    revoked = [told.key_id for told in world.told if told.step is Step.REVOKED]
    assert set(revoked) == EARLIER
    assert Step.OVERLAP not in world.steps
    assert world.steps.index(Step.RECORDED) < world.steps.index(Step.REVOKED)


@pytest.mark.promise("P1", "P3")
@pytest.mark.parametrize("done", [False, True])
async def test_an_emergency_is_carried_on_wherever_its_process_dies(*, done: bool) -> None:
    calls = 0
    for at in range(200):
        world = leaked()
        world.dies_at, world.dies_done = at, done
        died = False
        try:
            await order(world)
            await carry_on(world)
        except Died:
            died = True
        calls = at
        served_or_new = {world.served, *EARLIER, *KEPT} | {k for k in world.keys if k.startswith("key-made")}
        assert set(world.keys) <= served_or_new
        if not died:
            break
        if not world.record.orders:
            continue  # it died before the order was written: nobody was promised anything
        for hours in range(3):
            world.clock.advance(CLAIM_TTL + MINUTE)
            await carry_on(world, f"replica-{hours}")
        assert over(world.record), at
        ours = set(world.keys) - KEPT
        assert not ours & EARLIER, at
        assert world.served in ours, at
        # A key whose publish may have been sent by the dead process leaves like any other.
        assert ours <= {world.served, *(one.key_id for one in world.record.previous)}, at
    assert calls > 30


@pytest.mark.promise("P1", "P3")
@pytest.mark.parametrize(
    "world",
    [
        "a person writes the entry",
        "the new secret is refused",
        "the clocks differ",
        "another lineage serves it",
    ],
)
def test_an_emergency_deletes_nothing_that_any_other_check_forbids(world: str) -> None:
    seen = a.snapshot(a.record(previous=[a.previous(superseded=HOUR, at_once=True)]))
    assert may_revoke(seen, "key-old", seen.seen_at) is None
    match world:
        case "a person writes the entry":
            seen, obstacle = replace(seen, entry=a.entry(LATER, version=4)), Obstacle.SERVED_UNPROVEN
        case "the new secret is refused":
            seen, obstacle = replace(seen, served=Served(Verdict.REFUSED)), Obstacle.SERVED_UNPROVEN
        case "the clocks differ":
            seen, obstacle = replace(seen, vault_skew=31 * SECOND), Obstacle.CLOCKS_DIFFER
        case _:
            elsewhere = frozenset({"key-old"})
            seen, obstacle = replace(seen, currents_elsewhere=elsewhere), Obstacle.CURRENT_ELSEWHERE
    assert may_revoke(seen, "key-old", seen.seen_at) is obstacle


@pytest.mark.promise("P3")
async def test_nothing_goes_before_the_new_key_is_published() -> None:
    world = leaked()
    world.fails("publish", *[Unavailable("publish", "voice")] * 3)
    await order(world)

    await carry_on(world)

    assert set(world.keys) >= EARLIER
    assert not any(one.at_once for one in world.record.previous)
    assert world.record.standing is not None


@pytest.mark.promise("P3")
async def test_a_later_rotation_has_its_overlap_again() -> None:
    world = settled()
    await order(world)
    await carry_on(world)
    world.clock.advance(DAY)
    await order(world, OrderKind.ROTATE)

    ended = await carry_on(world)

    assert world.served == "key-made-2"
    assert [(one.key_id, one.at_once) for one in world.record.previous] == [("key-made-1", False)]
    assert ended.last is not None
    assert ended.last.decision == Wait(WaitReason.OVERLAP, world.clock.now() + DAY)


@pytest.mark.promise("P3")
async def test_a_later_rotation_has_its_overlap_while_an_earlier_key_can_not_be_deleted() -> None:
    world = settled()
    world.fails("revoke_key key-current", *[Unavailable("revoke key", "key-current")] * 2)
    await order(world)
    await carry_on(world)
    await order(world, OrderKind.ROTATE)
    await carry_on(world)

    terms = {one.key_id: one.at_once for one in world.record.previous}

    assert terms == {"key-current": True, "key-made-1": False}
    world.clock.advance(POLICY.retry_initial)
    await carry_on(world)
    assert [one.key_id for one in world.record.previous] == ["key-made-1"]


@pytest.mark.promise("P3")
async def test_vaults_clock_going_back_does_not_end_the_overlap_of_a_later_key() -> None:
    world = settled()
    world.fails("revoke_key key-current", *[Unavailable("revoke key", "key-current")] * 5)
    await order(world)
    await carry_on(world)
    world.vault_skew = -25 * SECOND
    await order(world, OrderKind.ROTATE)
    await carry_on(world)

    assert "key-made-1" in world.keys
    assert {one.key_id: one.at_once for one in world.record.previous}["key-made-1"] is False


@pytest.mark.promise("P2", "P3")
async def test_an_orphan_that_shows_itself_later_goes_at_once_too_and_one_of_a_later_attempt_does_not() -> (
    None
):
    world = leaked()
    orphan = world.keys.pop("key-orphan")
    await order(world)
    await carry_on(world)
    world.keys["key-orphan"] = orphan

    await carry_on(world)

    assert "key-orphan" not in world.keys
    later = replace(a.attempt("3" * 16, base=4, age=0 * DAY), key_id="key-unfit")
    world.put_record(replace(world.record, attempts=(*world.record.attempts, later)))
    world.add_key(a.made(later, "key-unfit"))
    await carry_on(world)
    assert [(one.key_id, one.at_once) for one in world.record.previous] == [("key-unfit", False)]


@pytest.mark.parametrize("adopt", [AdoptMode.WATCH, AdoptMode.WHEN_DUE])
async def test_a_lineage_that_is_watched_or_was_never_rotated_is_rid_of_its_key_too(adopt: AdoptMode) -> None:
    world = before_first()
    policy = replace(POLICY, adopt=adopt)
    await order(world, policy=policy)

    await carry_on(world, policy=policy)

    assert set(world.keys) == KEPT | {world.served}
    assert world.served == "key-made-1"


async def test_another_installations_key_of_the_same_comment_does_not_hold_it_up() -> None:
    world = before_first()
    theirs = Mark("f" * 12, a.LINEAGE.lineage_id, LATER).put_on("voice")
    world.add_key(replace(a.key("key-theirs"), comment=theirs))
    await order(world)

    await carry_on(world)

    assert "key-original" not in world.keys
    assert "key-theirs" in world.keys


@pytest.mark.promise("P6")
async def test_the_holder_whose_claim_was_taken_over_writes_no_more_and_its_candidate_leaves() -> None:
    world = leaked()
    held = world.ports("replica-b")
    world.put_record(replace(world.record, standing=a.order()))

    async def taken_over() -> None:
        await order(world)
        await carry_on(world)

    # The first holder has created its key, and is at its proof, when the emergency is ordered and carried out.
    world.fails("prove", None)
    world.before("prove", taken_over)
    ended = await reconcile(world.assignment(), held)

    assert world.served == "key-made-2"
    assert set(world.keys) == KEPT | {"key-made-2"}
    assert over(world.record)
    assert ended.error is None
    assert ended.done == ()
    assert len(world.versions) == 4


@pytest.mark.promise("P6")
async def test_a_key_that_an_ordinary_order_made_does_not_carry_an_emergency_out() -> None:
    world = settled()
    world.put_record(replace(world.record, standing=a.order()))
    # The answer of the first holder's publish is lost; it is committed after the emergency was ordered.
    world.fails("publish", *[Ambiguous("publish", "voice")] * 3)
    await carry_on(world, "replica-b")
    world.clock.advance(CLAIM_TTL + MINUTE)
    await order(world)
    world.land_publish()
    assert world.served == "key-made-1"

    await carry_on(world)

    assert world.served == "key-made-2"
    assert [one.reason for one in world.record.history[-2:]] == [
        RotateReason.ORDERED,
        RotateReason.EMERGENCY,
    ]
    assert set(world.keys) == KEPT | {"key-made-2"}


async def test_a_hold_holds_it_up_with_its_reason_and_it_goes_on_when_that_ends() -> None:
    world = settled()
    world.put_record(replace(world.record, hold=a.hold(HoldReason.UNSAFE)))
    await order(world)

    held = await carry_on(world)

    assert held.last is not None
    assert held.last.stands == Hold(HoldReason.UNSAFE, "why")
    assert world.record.standing is not None
    await carry_on(world, policy=replace(POLICY, fingerprint="changed"))
    assert set(world.keys) == KEPT | {"key-made-1"}


async def test_other_rights_hold_it_up_until_they_are_accepted() -> None:
    world = settled()
    offered = Rights(scopes=a.SCOPES | {"usage:read"}, tags=a.TAGS)
    world.grant = lambda key: replace(key, scopes=offered.scopes)
    await order(world)
    held = await carry_on(world)
    assert isinstance(held.last and held.last.held, Hold)
    assert "key-current" in world.keys

    await order(world, OrderKind.ACCEPT)
    await carry_on(world)

    assert world.served == "key-made-2"
    assert set(world.keys) == KEPT | {"key-made-2"}


async def test_neither_gap_nor_back_off_hold_it_up() -> None:
    world = settled(
        replace(a.record(), current=a.current(age=MINUTE), rotate_failure=a.failure(RotateReason.ORDERED))
    )
    await order(world)

    await carry_on(world)

    assert world.served == "key-made-1"


@pytest.mark.parametrize("call", ["create_key", "revoke_key key-current"])
async def test_its_failures_are_not_spaced_wider_and_wider(call: str) -> None:
    world = settled()
    error: PortError = Unavailable(call, "voice")
    world.fails(call, *[error] * 6)
    await order(world)

    for _ in range(6):
        await carry_on(world)
        failure = world.record.failure
        assert failure is not None
        assert failure.tried in (RotateReason.EMERGENCY, RevokeReason.EMERGENCY)
        assert failure.next_try_at - world.clock.now() <= POLICY.retry_initial
        world.clock.advance(POLICY.retry_initial)
    await carry_on(world)

    assert set(world.keys) == KEPT | {"key-made-1"}


async def test_one_key_that_can_not_be_deleted_does_not_keep_the_others_alive() -> None:
    world = leaked()
    world.fails("revoke_key key-old", *[Unavailable("revoke key", "key-old")] * 20)
    await order(world)

    for _ in range(5):
        await carry_on(world)
        world.clock.advance(POLICY.retry_initial)

    assert set(world.keys) & EARLIER == {"key-old"}


async def test_forgetting_ends_an_emergency_until_the_lineage_is_adopted_again() -> None:
    world = settled()
    world.fails("revoke_key key-current", Unavailable("revoke key", "key-current"))
    await order(world)
    await carry_on(world)
    await order(world, OrderKind.FORGET)
    world.clock.advance(DAY)

    await carry_on(world)
    assert "key-current" in world.keys

    await order(world, OrderKind.ADOPT)
    await carry_on(world)
    assert "key-current" not in world.keys


async def test_it_is_ordered_again_without_a_second_new_key_being_wanted_by_the_first() -> None:
    world = settled()
    await order(world)
    world.clock.advance(SECOND)
    await order(world)
    await carry_on(world)

    assert set(world.keys) == KEPT | {"key-made-1"}
    assert [one.kind for one in world.record.orders] == [OrderKind.EMERGENCY] * 2
