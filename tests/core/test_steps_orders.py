"""What a person orders: what each order changes, what it declines, and how it is given beside processes at work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from rotator.errors import Ambiguous, Conflict, Denied, PortError, Unavailable
from rotator.model.order import Order, OrderKind
from rotator.model.reason import HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.record import HISTORY_KEPT, Claim, KnownKey, Record, RecordedHold, Rights
from rotator.model.told import Step
from rotator.plan import facts
from rotator.plan.actions import Hold, Rotate, Wait
from rotator.policy.policy import NO_POLICY, Policy
from rotator.policy.policy import Adopt as AdoptMode
from rotator.reconcile import Reconciled, reconcile
from rotator.rotation.orders import PATIENCE, TRIES, Declined, Ordered, give
from tests.support import builders as a
from tests.support.builders import DAY, HOUR, MINUTE, POLICY, SECOND
from tests.support.fakes import CLAIM_TTL, World, before_first, settled

WATCH = replace(POLICY, adopt=AdoptMode.WATCH)
UNCOVERED = replace(WATCH, name=NO_POLICY, fingerprint=NO_POLICY)
KEY = a.key()
OFFERED = Rights(scopes=frozenset({"usage:write"}), tags=frozenset({"prod", "eu"}))


def ordered(kind: OrderKind) -> Ordered:
    return Ordered(kind=kind, who="ann@desk", why="a leak")


async def tell(
    world: World, kind: OrderKind, policy: Policy = POLICY, *, matched: str | None = KEY.key_id
) -> Record | Declined | Hold:
    return await give(ordered(kind), world.assignment(policy, matched), world.ports())


def fresh(secret_of: str | None = None) -> World:
    """Return a world with one key that nobody has taken in; its entry may hold a secret."""
    world = World()
    world.add_key(KEY)
    if secret_of is not None:
        world.put_entry(secret_of, None)
    return world


def changed(**changes: object) -> World:
    """Return a settled world with something else in its record."""
    return settled(replace(a.record(), **changes))  # type: ignore[arg-type]


def parity(offered: Rights | None = OFFERED) -> RecordedHold:
    return replace(a.hold(HoldReason.PARITY), offered=offered)


def awaiting_release(**original: object) -> World:
    return settled(a.record(originals=[replace(a.original(), **original)]))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Given:
    """An order, and what it has to make of the record beside noting itself."""

    name: str
    kind: OrderKind
    world: Callable[[], World]
    expected: Callable[[Record], Record]
    policy: Policy = POLICY


THE_ORDER = a.order  # given when the world's clock shows NOW

CHANGES = [
    Given(
        "adopt takes in a new key that is watched",
        OrderKind.ADOPT,
        fresh,
        lambda record: replace(record, by_order=True, originals=(a.original(KEY, superseded=None),)),
        WATCH,
    ),
    Given(
        "adopt takes in a new key that would be taken in anyway, by the policy's terms",
        OrderKind.ADOPT,
        fresh,
        lambda record: replace(record, by_order=False, originals=(a.original(KEY, superseded=None),)),
    ),
    Given(
        "adopt takes a key whose secret Vault holds as the one in use",
        OrderKind.ADOPT,
        lambda: fresh("key-1"),
        lambda record: replace(record, by_order=True, originals=()),
        WATCH,
    ),
    Given(
        "adopt takes in a lineage whose policy has come to watch only",
        OrderKind.ADOPT,
        settled,
        lambda record: replace(record, by_order=True),
        WATCH,
    ),
    Given(
        "adopt takes in again what was forgotten, as it was, and tries at once what failed",
        OrderKind.ADOPT,
        lambda: changed(
            forgotten=True,
            by_order=True,
            rotate_failure=a.failure(RotateReason.ORDERED),
            revoke_failure=a.failure(RevokeReason.OVERLAP_ENDED),
        ),
        lambda record: replace(
            record, forgotten=False, by_order=False, rotate_failure=None, revoke_failure=None
        ),
    ),
    Given(
        "release lets every original go",
        OrderKind.RELEASE,
        lambda: settled(a.record(originals=[a.original(), a.original(KEY, released=True)])),
        lambda record: replace(
            record,
            originals=(
                replace(record.originals[0], released_at=a.NOW),
                replace(record.originals[1], released_at=a.NOW - HOUR),
            ),
        ),
    ),
    Given(
        "release tries at once what could not be deleted",
        OrderKind.RELEASE,
        lambda: settled(
            replace(
                a.record(originals=[a.original()]), revoke_failure=a.failure(RevokeReason.ORIGINAL_RELEASED)
            )
        ),
        lambda record: replace(
            record, originals=(replace(record.originals[0], released_at=a.NOW),), revoke_failure=None
        ),
    ),
    Given(
        "accept makes exactly the rights that were offered the wanted ones",
        OrderKind.ACCEPT,
        lambda: changed(hold=parity(), rotate_failure=a.failure(RotateReason.DUE_BY_EXPIRY)),
        lambda record: replace(record, accepted=OFFERED, hold=None, rotate_failure=None),
    ),
    Given(
        "accept counts for a hold of an older policy too",
        OrderKind.ACCEPT,
        lambda: changed(hold=replace(parity(), policy_fingerprint="before")),
        lambda record: replace(record, accepted=OFFERED, hold=None),
    ),
    Given(
        "forget leaves everything as it is",
        OrderKind.FORGET,
        lambda: settled(a.record(previous=[a.previous()], originals=[a.original()])),
        lambda record: replace(record, forgotten=True),
    ),
    Given(
        "forget ends an order that stands",
        OrderKind.FORGET,
        lambda: changed(standing=a.order(OrderKind.EMERGENCY)),
        lambda record: replace(record, forgotten=True, standing=None),
    ),
    Given(
        "rotate stands until it is carried out",
        OrderKind.ROTATE,
        settled,
        lambda record: replace(record, standing=THE_ORDER(age=0 * HOUR)),
    ),
    Given(
        "rotate takes in a new key that is only watched, for this once",
        OrderKind.ROTATE,
        fresh,
        lambda record: replace(
            record,
            by_order=False,
            standing=THE_ORDER(age=0 * HOUR),
            originals=(a.original(KEY, superseded=None),),
        ),
        WATCH,
    ),
    Given(
        "rotate counts where no policy does",
        OrderKind.ROTATE,
        settled,
        lambda record: replace(record, standing=THE_ORDER(age=0 * HOUR)),
        UNCOVERED,
    ),
    Given(
        "rotate ends the waiting after failures",
        OrderKind.ROTATE,
        lambda: changed(
            rotate_failure=a.failure(RotateReason.DUE_BY_EXPIRY),
            revoke_failure=a.failure(RevokeReason.OVERLAP_ENDED),
        ),
        lambda record: replace(
            record, standing=THE_ORDER(age=0 * HOUR), rotate_failure=None, revoke_failure=None
        ),
    ),
    *(
        Given(
            f"rotate tries once more what is held for {reason}",
            OrderKind.ROTATE,
            lambda reason=reason: changed(hold=a.hold(reason)),  # type: ignore[misc]
            lambda record: replace(record, standing=THE_ORDER(age=0 * HOUR), hold=None),
        )
        for reason in (HoldReason.PARITY, HoldReason.WRITE_REFUSED)
    ),
    *(
        Given(
            f"rotate ends no hold for {reason}",
            OrderKind.ROTATE,
            lambda reason=reason: changed(hold=a.hold(reason)),  # type: ignore[misc]
            lambda record: replace(record, standing=THE_ORDER(age=0 * HOUR)),
        )
        for reason in (HoldReason.UNSAFE, HoldReason.ENTRY_EXPIRES)
    ),
    Given(
        "an emergency stands in place of an ordinary order",
        OrderKind.EMERGENCY,
        lambda: changed(standing=a.order()),
        lambda record: replace(record, standing=THE_ORDER(OrderKind.EMERGENCY, age=0 * HOUR)),
    ),
    Given(
        "an ordinary order leaves an emergency standing",
        OrderKind.ROTATE,
        lambda: changed(standing=a.order(OrderKind.EMERGENCY)),
        lambda record: record,
    ),
    Given(
        "an ordinary order leaves an emergency's old keys without an overlap",
        OrderKind.ROTATE,
        lambda: settled(a.record(previous=[a.previous(superseded=HOUR, at_once=True)])),
        lambda record: replace(record, standing=THE_ORDER(age=0 * HOUR)),
    ),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CHANGES])
async def test_the_record_after_an_order(case: Given) -> None:
    world = case.world()
    before = world.record if world.records else None

    given = await tell(world, case.kind, case.policy)

    order = THE_ORDER(case.kind, age=0 * HOUR)
    assert given == world.record
    wanted = case.expected(before or world.record)
    assert world.record == replace(wanted, orders=(*(before.orders if before else ()), order))
    (told,) = world.told
    assert (told.step, told.reason, told.detail) == (Step.ORDERED, case.kind, "by ann@desk: a leak")


REFUSALS = [
    ("adopt, taken in already", OrderKind.ADOPT, settled, POLICY, Declined.DONE),
    (
        "adopt, taken in by an order already",
        OrderKind.ADOPT,
        lambda: changed(by_order=True),
        WATCH,
        Declined.DONE,
    ),
    ("adopt, no policy covers it", OrderKind.ADOPT, settled, UNCOVERED, Declined.NO_POLICY),
    (
        "adopt, forgotten and no policy covers it",
        OrderKind.ADOPT,
        lambda: changed(forgotten=True),
        UNCOVERED,
        Declined.NO_POLICY,
    ),
    ("adopt, the key is gone", OrderKind.ADOPT, World, POLICY, Declined.NO_KEY),
    ("rotate, the key is gone", OrderKind.ROTATE, World, POLICY, Declined.NO_KEY),
    (
        "rotate, nothing to replace is known",
        OrderKind.ROTATE,
        lambda: changed(current=None),
        POLICY,
        Declined.NO_KEY,
    ),
    *(
        (f"{kind}, forgotten", kind, lambda: changed(forgotten=True), POLICY, Declined.FORGOTTEN)
        for kind in (OrderKind.ROTATE, OrderKind.EMERGENCY, OrderKind.RELEASE, OrderKind.ACCEPT)
    ),
    *(
        (f"{kind}, not taken in", kind, fresh, POLICY, Declined.NO_RECORD)
        for kind in (OrderKind.RELEASE, OrderKind.ACCEPT, OrderKind.FORGET)
    ),
    ("release, no original", OrderKind.RELEASE, settled, POLICY, Declined.NO_ORIGINAL),
    ("release, still in use", OrderKind.RELEASE, before_first, POLICY, Declined.NOT_REPLACED),
    (
        "release, released already",
        OrderKind.RELEASE,
        lambda: awaiting_release(released_at=a.NOW - DAY),
        POLICY,
        Declined.DONE,
    ),
    ("accept, not held", OrderKind.ACCEPT, settled, POLICY, Declined.NOTHING_OFFERED),
    (
        "accept, held for something else",
        OrderKind.ACCEPT,
        lambda: changed(hold=a.hold(HoldReason.WRITE_REFUSED)),
        POLICY,
        Declined.NOTHING_OFFERED,
    ),
    (
        "accept, which rights is not known",
        OrderKind.ACCEPT,
        lambda: changed(hold=parity(None)),
        POLICY,
        Declined.NOTHING_OFFERED,
    ),
    ("accept, accepted already", OrderKind.ACCEPT, lambda: changed(accepted=OFFERED), POLICY, Declined.DONE),
    ("forget, forgotten already", OrderKind.FORGET, lambda: changed(forgotten=True), POLICY, Declined.DONE),
    *(
        (
            f"{kind}, the entry is somebody else's",
            kind,
            lambda: fresh(a.MANAGEMENT),
            POLICY,
            Hold(HoldReason.DESTINATION_OCCUPIED, "version 1"),
        )
        for kind in (OrderKind.ADOPT, OrderKind.ROTATE)
    ),
]


@pytest.mark.parametrize(
    ("kind", "world", "policy", "expected"), [pytest.param(*rest, id=name) for name, *rest in REFUSALS]
)
async def test_an_order_that_changes_nothing_says_why(
    kind: OrderKind, world: Callable[[], World], policy: Policy, expected: Declined | Hold
) -> None:
    there = world()

    assert await tell(there, kind, policy) == expected

    assert "write_record" not in there.calls
    assert there.told == []


NEEDS_MORE = (OrderKind.IMPORT, OrderKind.MOVE, OrderKind.GIVE_UP, OrderKind.REBUILD)


@pytest.mark.parametrize("kind", [kind for kind in OrderKind if kind not in NEEDS_MORE])
async def test_what_holds_the_whole_lineage_holds_orders_for_what_is_not_taken_in(kind: OrderKind) -> None:
    world = fresh()
    assignment = replace(
        world.assignment(matched_key_id="key-1"),
        fleet_hold=HoldReason.MATCHED_TWICE,
        fleet_hold_detail="policies a and b",
    )

    answer = await give(ordered(kind), assignment, world.ports())

    assert answer == Hold(HoldReason.MATCHED_TWICE, "policies a and b")
    assert world.records == []


async def test_a_key_that_can_not_be_looked_at_is_another_days_work_and_not_a_key_that_is_gone() -> None:
    world = fresh("key-1")
    world.fails("prove", Unavailable("prove", "secret"))

    with pytest.raises(Unavailable, match="can't be looked at"):
        await tell(world, OrderKind.ADOPT)


@pytest.mark.parametrize("kind", NEEDS_MORE)
async def test_an_import_needs_a_secret_and_a_move_a_place(kind: OrderKind) -> None:
    with pytest.raises(TypeError):
        await tell(settled(), kind)


async def test_only_so_many_orders_are_remembered_the_newest_of_them() -> None:
    earlier = tuple(a.order(age=n * HOUR) for n in range(HISTORY_KEPT, 0, -1))
    world = changed(orders=earlier)

    await tell(world, OrderKind.ROTATE)

    assert world.record.orders == (*earlier[1:], a.order(age=0 * HOUR))


def claimed(by: str = "replica-b") -> World:
    return changed(claim=Claim(by, CLAIM_TTL))


async def test_an_order_waits_until_another_process_has_ended_its_work() -> None:
    world = claimed()
    for _ in range(3):
        world.fails("read_record", None)
    world.before("read_record", lambda: world.put_record(replace(a.record(), previous=(a.previous(),))))

    await tell(world, OrderKind.ROTATE)

    assert world.record.previous == (a.previous(),)
    assert world.record.standing == a.order(age=-3 * a.SECOND)
    assert world.steps == [Step.WAITING, Step.ORDERED]


async def test_an_order_waits_no_longer_than_a_claim_that_nobody_renews() -> None:
    world = claimed()

    await tell(world, OrderKind.ROTATE)

    waited = world.clock.now() - a.NOW
    assert CLAIM_TTL < waited < CLAIM_TTL + MINUTE
    assert world.record.claim is None


async def test_a_claim_ends_for_an_order_at_the_instant_at_which_it_ends_for_all() -> None:
    world = claimed()
    world.clock.advance(CLAIM_TTL + facts.CLAIM_MARGIN)
    at = world.clock.now()

    await tell(world, OrderKind.ROTATE)

    assert world.clock.now() == at


async def test_an_order_does_not_wait_for_ever() -> None:
    world = claimed()
    for _ in range(2 * int(PATIENCE.total_seconds())):
        world.before("read_record", lambda: world.put_record(world.record))

    with pytest.raises(Unavailable, match="another process works on it"):
        await tell(world, OrderKind.ROTATE)

    assert world.record.standing is None
    assert world.clock.now() - a.NOW == PATIENCE


async def test_an_order_waits_no_more_once_asked_to_stop() -> None:
    world = claimed()
    world.stopping = True

    with pytest.raises(Unavailable, match="another process works on it"):
        await tell(world, OrderKind.ROTATE)

    assert world.clock.now() == a.NOW


async def test_an_emergency_takes_the_claim_over_at_once() -> None:
    world = claimed()

    await tell(world, OrderKind.EMERGENCY)

    assert world.clock.now() == a.NOW
    assert world.record.claim is None
    assert world.record.standing == a.order(OrderKind.EMERGENCY, age=0 * HOUR)


@pytest.mark.parametrize("written", [True, False])
async def test_an_order_whose_write_was_not_answered_is_given_once(*, written: bool) -> None:
    world = settled()
    world.fails("write_record", Ambiguous("write record", "voice"), done=written)

    given = await tell(world, OrderKind.ROTATE)

    assert given == world.record
    assert world.record.orders == (a.order(age=0 * HOUR),)
    assert world.calls.count("write_record") == (1 if written else 2)
    assert world.steps == [Step.ORDERED]


async def test_an_order_that_is_carried_out_before_its_answer_is_found_is_not_given_again() -> None:
    world = settled()

    def carried_out() -> None:
        world.put_record(replace(world.record, standing=None))

    world.fails("write_record", Ambiguous("write record", "voice"), done=True)
    world.fails("read_record", None)
    world.before("read_record", carried_out)

    given = await tell(world, OrderKind.ROTATE)

    assert isinstance(given, Record)
    assert world.record.standing is None
    assert world.record.orders == (a.order(age=0 * HOUR),)


async def test_an_order_is_decided_anew_when_somebody_else_wrote_first() -> None:
    world = settled()
    world.before("write_record", lambda: world.put_record(replace(a.record(), previous=(a.previous(),))))

    await tell(world, OrderKind.ROTATE)

    assert world.record.previous == (a.previous(),)
    assert world.record.standing is not None


@pytest.mark.parametrize("error", [Conflict("write record", "voice"), Ambiguous("write record", "voice")])
async def test_an_order_is_not_tried_again_in_the_same_instant_for_a_standby_may_lag_behind(
    error: PortError,
) -> None:
    world = settled()
    world.fails("write_record", error)

    await tell(world, OrderKind.ROTATE)

    assert world.clock.now() - a.NOW == SECOND


async def test_an_order_gives_up_when_others_always_write_first() -> None:
    world = settled()
    for _ in range(TRIES):
        world.before("write_record", lambda: world.put_record(world.record))

    with pytest.raises(Conflict):
        await tell(world, OrderKind.ROTATE)

    assert world.record.standing is None


async def test_an_order_that_is_never_answered_is_told_as_one_that_may_have_been_given() -> None:
    world = settled()
    world.fails("write_record", *[Ambiguous("write record", "voice")] * TRIES)

    with pytest.raises(Ambiguous):
        await tell(world, OrderKind.ROTATE)


@pytest.mark.parametrize("error", [Unavailable("write record", "voice"), Unavailable("read record", "voice")])
async def test_an_order_that_can_not_be_written_now_says_so(error: PortError) -> None:
    world = settled()
    world.fails(error.operation.replace(" ", "_"), error)

    with pytest.raises(Unavailable):
        await tell(world, OrderKind.ROTATE)

    assert world.told == []


async def test_an_order_is_waited_for_until_the_journal_shows_it_for_the_next_look_acts_by_it() -> None:
    world = settled()
    world.lagging_reads = 3

    await tell(world, OrderKind.ROTATE)

    assert world.calls.count("read_record") > 3
    assert a.NOW < world.clock.now() < a.NOW + MINUTE


@pytest.mark.parametrize("error", [None, Unavailable("read record", "voice")])
async def test_an_order_that_was_written_and_does_not_show_is_given_all_the_same(
    error: PortError | None,
) -> None:
    world = settled()
    world.lagging_reads = 1000
    world.fails("read_record", None, error)

    given = await tell(world, OrderKind.ROTATE)

    assert given == world.record


async def test_a_rotate_order_is_given_and_remembered_while_a_lineage_is_paused() -> None:
    world = settled()
    world.pause(a.paused())

    await tell(world, OrderKind.ROTATE)

    assert world.record.standing is not None


@pytest.mark.parametrize("entry", [None, "key-1"])
async def test_what_is_adopted_by_an_order_is_what_a_sweep_would_adopt(entry: str | None) -> None:
    world = fresh(entry)

    await tell(world, OrderKind.ADOPT)

    record = world.record
    assert (record.lineage, record.first_key_id, record.adopted_at) == (a.LINEAGE, "key-1", a.NOW)
    assert (record.current is None) == (entry is None)
    taken = record.current.key if record.current else record.originals[0].key
    assert taken == KnownKey.seen(KEY)


async def test_a_paused_key_is_taken_in_all_the_same_for_that_changes_nothing_but_the_record() -> None:
    world = fresh()
    world.pause(a.paused())

    assert isinstance(await tell(world, OrderKind.ADOPT), Record)


async def carry_on(world: World, policy: Policy = POLICY) -> Reconciled:
    return await reconcile(world.assignment(policy), world.ports())


@pytest.mark.promise("P5")
async def test_accepted_rights_are_compared_with_once_and_carried_by_the_key_from_then_on() -> None:
    world = settled()
    world.grant = lambda key: replace(key, scopes=OFFERED.scopes, tags=OFFERED.tags)
    await tell(world, OrderKind.ROTATE)
    held = await carry_on(world)
    assert held.last is not None
    assert held.last.held is not None
    assert held.last.held.reason is HoldReason.PARITY
    assert world.record.hold is not None
    assert world.record.hold.offered == OFFERED
    assert world.served == a.CURRENT.key_id

    await tell(world, OrderKind.ACCEPT)
    await carry_on(world)

    current = world.record.current
    assert current is not None
    assert (current.key.scopes, current.key.tags) == (OFFERED.scopes, OFFERED.tags)
    assert current.key.asked_scopes == a.SCOPES
    assert world.record.accepted is None
    world.clock.advance(SECOND)
    await tell(world, OrderKind.ROTATE)
    again = await carry_on(world)
    assert again.error is None
    assert world.record.current is not None
    assert world.record.current.key.key_id != current.key.key_id


@pytest.mark.promise("P5")
async def test_rights_that_differ_from_those_accepted_are_held_again() -> None:
    world = settled(replace(a.record(), accepted=OFFERED, standing=a.order()))

    held = await carry_on(world)

    assert held.last is not None
    assert held.last.held is not None
    assert held.last.held.reason is HoldReason.PARITY
    assert world.record.accepted == OFFERED
    assert world.served == a.CURRENT.key_id


@pytest.mark.promise("P4")
async def test_a_forgotten_lineage_is_not_acted_on_whatever_stands_there() -> None:
    orphaned = a.attempt(a.LATER, base=2, age=2 * HOUR)
    world = settled(
        replace(
            a.record(
                serves=a.current(a.key("key-current", age=89 * DAY)),
                previous=[a.previous()],
                originals=[a.original(released=True)],
                attempts=[orphaned],
            ),
            forgotten=True,
        )
    )
    world.add_key(a.made(orphaned, "key-orphan"))
    for version in (world.versions[-1], replace(world.versions[-1], values=None)):
        world.versions[-1] = version
        ended = await carry_on(world)
        assert ended.last is not None
        assert ended.last.decision == Wait(WaitReason.FORGOTTEN, None)

    assert not {"create_key", "write_record", "publish"} & set(world.calls)
    assert not [call for call in world.calls if call.startswith("revoke_key")]


async def test_an_order_to_adopt_does_not_outlive_the_policy_that_it_was_given_under() -> None:
    world = changed(by_order=True, current=a.current(a.key("key-current", age=89 * DAY)))
    rotated = await carry_on(world, WATCH)
    assert any(isinstance(action, Rotate) for action in rotated.done)

    world = changed(by_order=True, current=a.current(a.key("key-current", age=89 * DAY)))
    uncovered = await carry_on(world, UNCOVERED)
    assert uncovered.done == ()


@pytest.mark.promise("P3")
@pytest.mark.parametrize(("superseded", "goes"), [(HOUR, False), (2 * DAY, True)])
async def test_a_released_original_goes_when_its_overlap_is_over(
    superseded: timedelta, *, goes: bool
) -> None:
    world = settled(a.record(originals=[a.original(superseded=superseded)]))
    await tell(world, OrderKind.RELEASE)

    await carry_on(world)

    assert ("key-original" not in world.keys) == goes


def test_an_order_is_kept_by_vaults_clock() -> None:
    seen = replace(a.SETTLED, vault_skew=20 * a.SECOND)

    assert ordered(OrderKind.FORGET).at(seen) == Order(
        kind=OrderKind.FORGET, who="ann@desk", why="a leak", at=a.NOW + 20 * a.SECOND
    )


async def test_an_order_lets_running_services_read_all_records() -> None:
    world = settled()
    assert world.control is not None
    before = world.control

    await tell(world, OrderKind.ROTATE)

    assert world.control == replace(before, version=before.version + 1)
    assert world.calls[-2:] == ["control", "write_control"]


@pytest.mark.parametrize(
    "error", [Conflict("write control record", "x"), Denied("write control record", "x")]
)
async def test_an_order_stands_whatever_becomes_of_that(error: PortError) -> None:
    world = settled()
    world.fails("write_control", error)

    assert await tell(world, OrderKind.ROTATE) == world.record
