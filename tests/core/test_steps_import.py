"""Import: a secret that a person hands over is proven to be the lineage's, and published by the steps of a rotation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rotator.errors import Ambiguous, Conflict, Denied, Rejected, Unavailable
from rotator.model.order import OrderKind
from rotator.model.reason import HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.record import HISTORY_KEPT, KnownKey, Record, Rights
from rotator.model.secret import Secret
from rotator.model.told import Step
from rotator.plan import facts
from rotator.plan.actions import Hold, Revoke, Rotate, Wait
from rotator.policy.policy import Adopt as AdoptMode
from rotator.policy.policy import Policy
from rotator.policy.schedule import due
from rotator.reconcile import Reconciled, reconcile
from rotator.rotation.handed_over import hand_over
from rotator.rotation.orders import TRIES, Declined, Ordered
from tests.support import builders as a
from tests.support.builders import DAY, HOUR, MINUTE, POLICY, SECOND
from tests.support.canary import secret_text
from tests.support.fakes import CLAIM_TTL, Died, World, before_first, settled

KEY = a.key()
WATCH = replace(POLICY, adopt=AdoptMode.WATCH)
ORDERED = Ordered(kind=OrderKind.IMPORT, who="ann@desk", why="move to Vault")


def fresh() -> World:
    """Return a world with one key that nobody has taken in, and nothing in Vault."""
    world = World()
    world.add_key(KEY)
    return world


async def import_(
    world: World,
    key_id: str = KEY.key_id,
    policy: Policy = POLICY,
    *,
    secret: Secret | None = None,
    holder: str = a.OBSERVER,
) -> Record | Declined | Hold:
    handed_over = secret or world.secret_of[key_id]
    return await hand_over(handed_over, ORDERED, world.assignment(policy, KEY.key_id), world.ports(holder))


async def carry_on(world: World, policy: Policy = POLICY, holder: str = a.OBSERVER) -> Reconciled:
    return await reconcile(world.assignment(policy, KEY.key_id), world.ports(holder))


@pytest.mark.promise("P1", "P4")
@pytest.mark.parametrize("policy", [POLICY, WATCH], ids=["when_due", "watch"])
async def test_the_secret_of_a_new_key_is_proven_and_published_and_it_is_the_one_in_use_then(
    policy: Policy,
) -> None:
    world = fresh()

    record = await import_(world, policy=policy)

    assert record == world.record
    assert world.served == "key-1"
    current = world.record.current
    assert current is not None
    assert (current.key, current.version) == (KnownKey.seen(KEY), 1)
    assert (world.record.originals, world.record.previous, world.record.claim) == ((), (), None)
    assert (world.record.by_order, world.record.standing) == (False, None)
    assert world.calls.index("prove") < world.calls.index("write_record") < world.calls.index("publish")
    assert "create_key" not in world.calls


async def test_it_is_told_with_its_evidence_and_remembered_with_who_and_why() -> None:
    world = fresh()

    await import_(world)

    assert world.steps == [Step.ORDERED, Step.PUBLISHED, Step.RECORDED]
    (rotated,) = world.record.history
    assert (rotated.reason, rotated.key_id, rotated.replaced_key_id) == (
        RotateReason.IMPORTED,
        "key-1",
        None,
    )
    assert world.told[-1].evidence == rotated
    (order,) = world.record.orders
    assert (order.kind, order.who, order.why) == (OrderKind.IMPORT, "ann@desk", "move to Vault")


@pytest.mark.promise("P6")
async def test_the_intent_with_its_base_is_stored_before_anything_is_published() -> None:
    world = fresh()
    seen: list[Record] = []
    world.before("publish", lambda: seen.append(world.record))

    await import_(world)

    (attempt,) = seen[0].attempts
    assert (attempt.base, attempt.reason, attempt.key_id) == (0, RotateReason.IMPORTED, "key-1")
    assert seen[0].claim is not None


async def test_a_lineage_that_was_taken_in_before_keeps_what_it_remembers() -> None:
    world = before_first()
    before = world.record

    await import_(world, "key-original")

    assert world.served == "key-original"
    assert world.record.originals == ()
    assert world.record.adopted_at == before.adopted_at


@pytest.mark.promise("P3")
async def test_an_imported_key_is_no_original_it_has_its_overlap_and_goes_without_a_release() -> None:
    world = fresh()
    await import_(world)
    world.clock.advance(75 * DAY)
    rotated = await carry_on(world)
    assert any(isinstance(action, Rotate) for action in rotated.done)
    assert [(one.key_id, one.at_once) for one in world.record.previous] == [("key-1", False)]

    world.clock.advance(DAY)
    gone = await carry_on(world)

    assert gone.done == (Revoke("key-1", RevokeReason.OVERLAP_ENDED),)


async def test_an_import_counts_as_no_rotation_for_what_is_due_on_a_first_pass() -> None:
    """Else 300 keys that are over age would all be due on the day on which they are imported."""
    world, old = World(), a.key(age=400 * DAY, lifetime=None)
    world.add_key(old)
    policy = replace(POLICY, max_age=90 * DAY)
    await import_(world, policy=policy)

    ended = await carry_on(world, policy)

    first = due(policy, a.LINEAGE.lineage_id, KnownKey.seen(old), taken_in_at=a.NOW)
    assert ended.last is not None
    assert first is not None
    assert ended.last.decision == Wait(WaitReason.NOT_DUE, max(first.at, a.NOW + policy.min_gap))


async def test_what_is_to_be_rotated_as_soon_as_it_is_taken_in_is_so_after_an_import_too() -> None:
    world = fresh()
    policy = replace(POLICY, adopt=AdoptMode.NOW)
    await import_(world, policy=policy)
    world.clock.advance(POLICY.min_gap)

    ended = await carry_on(world, policy)

    assert [action.reason for action in ended.done if isinstance(action, Rotate)] == [RotateReason.ADOPT_NOW]


@pytest.mark.promise("P1", "P4", "P7")
@pytest.mark.parametrize(
    ("handed_over", "why"),
    [
        (secret_text("of nobody"), "the provider does not accept what was handed over"),
        (a.MANAGEMENT, "what was handed over is the secret of key key-management"),
        ("key-others", "what was handed over is the secret of key key-others"),
    ],
)
async def test_a_secret_that_is_not_the_keys_own_is_refused_and_changes_nothing(
    handed_over: str, why: str
) -> None:
    world = fresh()
    secret = world.secret_of.get(handed_over) or Secret(handed_over)

    with pytest.raises(Rejected, match=f": {why}$"):
        await import_(world, secret=secret)

    assert world.records == []
    assert world.versions == []
    assert world.told == []


@pytest.mark.promise("P4")
async def test_of_two_keys_from_before_only_the_one_in_use_is_published() -> None:
    world = before_first()
    world.put_record(
        replace(world.record, originals=(a.original(KEY, superseded=None), *world.record.originals))
    )
    world.add_key(KEY)

    with pytest.raises(Rejected, match="is the secret of key key-1"):
        await import_(world, "key-1")


@pytest.mark.promise("P4")
async def test_where_the_provider_does_not_say_whose_secret_it_is_nothing_is_published() -> None:
    world = fresh()
    world.says_id = False

    with pytest.raises(Rejected, match=r": the provider does not say whose secret was handed over$"):
        await import_(world)

    assert world.versions == []


async def test_a_secret_that_can_not_be_tried_now_is_not_refused() -> None:
    world = fresh()
    world.fails("prove", Unavailable("prove secret", "p"))

    with pytest.raises(Unavailable):
        await import_(world)

    assert world.versions == []


def replaced() -> World:
    """Return a world in which the key was replaced already."""
    return settled(a.record(originals=[a.original(KEY, superseded=HOUR)]))


def occupied() -> World:
    world = fresh()
    world.put_entry("key-others", None)
    return world


def deleted() -> World:
    world = fresh()
    world.put_entry("key-1", None)
    world.versions[-1] = replace(world.versions[-1], values=None)
    return world


def forgotten() -> World:
    world = before_first()
    world.put_record(replace(world.record, forgotten=True))
    return world


def paused() -> World:
    world = before_first()
    world.pause(a.paused())
    return world


def unlisted() -> World:
    world = before_first()
    world.hidden.add("key-original")
    return world


def emptied() -> World:
    """Return a world in which somebody took the secret out of the entry."""
    world = settled()
    values = {k: v for k, v in (world.versions[-1].values or {}).items() if k != "api_key"}
    world.versions.append(replace(world.versions[-1], values=values))
    return world


def matched_twice() -> World:
    world = before_first()
    world.put_record(replace(world.record, hold=a.hold(HoldReason.UNSAFE)))
    return world


@pytest.mark.promise("P4")
@pytest.mark.parametrize(
    ("made", "key_id", "expected"),
    [
        (replaced, KEY.key_id, Declined.REPLACED),
        (settled, a.CURRENT.key_id, Declined.DONE),
        (occupied, KEY.key_id, Hold(HoldReason.DESTINATION_OCCUPIED, "version 1")),
        (deleted, KEY.key_id, Hold(HoldReason.ENTRY_DELETED, "version 1")),
        (emptied, a.CURRENT.key_id, Hold(HoldReason.ENTRY_CHANGED, "version 4")),
        (forgotten, "key-original", Declined.FORGOTTEN),
        (paused, "key-original", Declined.PAUSED),
        (unlisted, "key-original", Hold(HoldReason.ORIGINAL_GONE)),
        (matched_twice, "key-original", Hold(HoldReason.UNSAFE, "why")),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value),
)
async def test_where_something_stands_in_the_way_nothing_is_published(
    made: Callable[[], World], key_id: str, expected: Declined | Hold
) -> None:
    world = made()
    records, versions = len(world.records), len(world.versions)

    assert await import_(world, key_id) == expected

    assert (len(world.records), len(world.versions)) == (records, versions)


async def test_without_a_key_there_is_nothing_to_import() -> None:
    world = World()

    assert await import_(world, secret=world.secret_of[a.MANAGEMENT]) is Declined.NO_KEY


@pytest.mark.promise("P4")
@pytest.mark.parametrize("policy", [POLICY, WATCH], ids=["when_due", "watch"])
async def test_a_secret_that_is_there_already_is_not_written_again(policy: Policy) -> None:
    world = fresh()
    world.put_entry("key-1", None)

    assert await import_(world, policy=policy) is Declined.DONE

    assert len(world.versions) == 1
    taken_in = bool(world.records) and world.record.current is not None
    assert taken_in == (policy is POLICY)


async def test_whose_secret_is_there_must_be_known() -> None:
    world = settled()
    world.fails("prove", Unavailable("prove secret", "p"))

    with pytest.raises(Unavailable, match="could not be learnt"):
        await import_(world, a.CURRENT.key_id)


async def test_a_write_that_vault_would_refuse_begins_nothing() -> None:
    world = fresh()
    world.fails("check_writable", Denied("check entry", "voice"))

    with pytest.raises(Denied):
        await import_(world)

    assert world.records == []


@pytest.mark.promise("P2", "P6")
@pytest.mark.parametrize("call", ["write_record", "publish"])
@pytest.mark.parametrize("written", [True, False])
async def test_an_answer_that_was_lost_is_looked_for_and_nothing_is_published_twice(
    call: str, *, written: bool
) -> None:
    world = fresh()
    world.fails(call, Ambiguous(call, "voice"), done=written)

    record = await import_(world)

    assert isinstance(record, Record)
    assert world.served == "key-1"
    assert len(world.versions) == 1
    assert world.record.current is not None
    assert world.record.claim is None
    assert len(world.record.orders) == 1
    assert [told.step for told in world.told].count(Step.RECORDED) == 1


@pytest.mark.promise("P2", "P6")
async def test_a_publish_that_is_committed_after_the_command_gave_up_is_finished_by_a_sweep() -> None:
    world = fresh()
    world.fails("publish", *[Ambiguous("publish", "voice")] * (3 * TRIES))
    with pytest.raises(Ambiguous):
        await import_(world)
    assert facts.head(world.record) == KnownKey.seen(KEY)
    assert [one.key.key_id for one in world.record.originals] == ["key-1"]
    assert world.record.claim is None
    world.land_publish()

    await carry_on(world, holder="replica-b")

    assert world.record.current is not None
    assert world.record.current.key.key_id == "key-1"
    assert world.record.history[-1].reason is RotateReason.IMPORTED


@pytest.mark.promise("P2")
async def test_a_publish_that_was_never_committed_leaves_a_lineage_like_any_other() -> None:
    world = before_first()
    world.fails("publish", Unavailable("publish", "voice"), Unavailable("publish", "voice"))
    world.fails("publish", Unavailable("publish", "voice"))
    with pytest.raises(Unavailable):
        await import_(world, "key-original")
    policy = replace(POLICY, max_age=DAY)

    ended = await carry_on(world, policy)

    assert any(isinstance(action, Rotate) for action in ended.done)
    assert [one.key.key_id for one in world.record.originals] == ["key-original"]


@pytest.mark.promise("P1", "P2", "P6")
@pytest.mark.parametrize("done", [False, True])
async def test_an_import_is_finished_or_forgotten_wherever_its_process_dies(*, done: bool) -> None:
    died_at = []
    for at in range(100):
        world = fresh()
        world.dies_at, world.dies_done = at, done
        try:
            await import_(world)
        except Died:
            died_at.append(at)
        else:
            break
        world.clock.advance(CLAIM_TTL + MINUTE)
        ended = await carry_on(world, holder="replica-b")
        assert not isinstance(ended.last and ended.last.decision, Hold), at
        if world.versions:
            assert world.served == "key-1", at
            assert world.record.current is not None, at
            assert world.record.history[-1].reason is RotateReason.IMPORTED, at
        else:
            assert await import_(world) == world.record
        assert len(world.versions) == 1, at
    assert len(died_at) > 8


@pytest.mark.promise("P6")
async def test_of_two_imports_at_once_one_publishes_and_the_other_finds_it_done() -> None:
    world = fresh()
    other: list[Record | Declined | Hold] = []

    async def another() -> None:
        other.append(await import_(world, holder="replica-b"))

    world.before("publish", another)
    first = await import_(world)

    assert {type(first), type(other[0])} <= {Record, Declined}
    assert Declined.DONE in (first, other[0])
    assert len(world.versions) == 1
    assert world.served == "key-1"
    assert world.record.current is not None


@pytest.mark.promise("P6")
@pytest.mark.parametrize("before", ["write_record", "publish"])
async def test_an_import_that_races_with_a_rotation_publishes_over_nothing(before: str) -> None:
    world = before_first()
    world.clock.advance(CLAIM_TTL)

    async def rotated() -> None:
        # Another process that has not seen our claim: its own look was earlier, or the claim has run out.
        world.clock.advance(CLAIM_TTL + MINUTE)
        await carry_on(world, replace(POLICY, max_age=DAY), holder="replica-b")

    world.before(before, rotated)

    answer = await import_(world, "key-original")

    assert answer is Declined.REPLACED
    assert world.served == "key-made-1"
    assert len(world.versions) == 1
    assert world.record.current is not None
    assert world.record.current.key.key_id == "key-made-1"
    assert "key-original" in world.keys


@pytest.mark.promise("P4")
async def test_what_a_person_writes_meanwhile_is_not_written_over() -> None:
    world = fresh()
    world.before("publish", lambda: world.put_entry("key-others", None))

    answer = await import_(world)

    assert answer == Hold(HoldReason.DESTINATION_OCCUPIED, "version 1")
    assert world.served == "key-others"
    assert world.record.claim is None


async def test_it_gives_up_when_others_always_write_first() -> None:
    world = before_first()
    for _ in range(TRIES):
        world.before("write_record", lambda: world.put_record(world.record))

    with pytest.raises(Conflict):
        await import_(world, "key-original")

    assert world.versions == []


async def test_it_waits_until_another_process_has_ended_its_work() -> None:
    world = before_first()
    claimed = replace(world.record, claim=a.claim("replica-b", CLAIM_TTL))
    world.put_record(claimed)

    await import_(world, "key-original")

    assert Step.WAITING in world.steps
    assert world.clock.now() - a.NOW > CLAIM_TTL


@pytest.mark.promise("P8")
async def test_a_version_that_vault_will_delete_too_early_is_recorded_and_held() -> None:
    world = fresh()
    world.deletion_at = a.NOW + DAY

    answer = await import_(world)

    assert isinstance(answer, Hold)
    assert answer.reason is HoldReason.ENTRY_EXPIRES
    assert world.record.hold is not None


async def test_what_was_accepted_for_the_next_key_is_not_spent_by_an_import() -> None:
    world = before_first()
    accepted = Rights(scopes=frozenset({"usage:write"}), tags=a.TAGS)
    world.put_record(replace(world.record, accepted=accepted))

    await import_(world, "key-original")

    assert world.record.accepted == accepted


async def test_orders_to_import_are_bounded_like_all_others() -> None:
    world = before_first()
    world.put_record(
        replace(world.record, orders=tuple(a.order(age=n * SECOND) for n in range(HISTORY_KEPT)))
    )

    await import_(world, "key-original")

    assert len(world.record.orders) == HISTORY_KEPT


@pytest.mark.promise("P2")
async def test_an_import_that_could_not_be_recorded_is_so_when_it_is_ordered_again() -> None:
    world = fresh()
    world.fails("write_record", None, Unavailable("write record", "voice"))
    with pytest.raises(Unavailable):
        await import_(world)
    world.clock.advance(CLAIM_TTL + MINUTE)

    answer = await import_(world)

    assert isinstance(answer, Record), "it was not done before"
    assert world.record.current is not None
    assert await import_(world) is Declined.DONE


@pytest.mark.promise("P2")
async def test_an_unfinished_publish_of_a_rotation_is_finished_and_the_old_key_is_not_imported() -> None:
    world = before_first()
    policy = replace(POLICY, max_age=DAY)
    world.fails("write_record", None, Ambiguous("write record", "voice"))
    await carry_on(world, policy, holder="replica-b")
    world.clock.advance(CLAIM_TTL + MINUTE)
    assert world.record.history == ()
    assert world.served == "key-made-1"

    answer = await import_(world, "key-original", policy)

    assert answer is Declined.REPLACED
    assert world.record.current is not None
    last = await carry_on(world, policy)
    assert last.last is not None
    assert isinstance(last.last.decision, Wait)
    assert last.last.decision.reason in (WaitReason.AWAITING_RELEASE, WaitReason.NOT_DUE)
