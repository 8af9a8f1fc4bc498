"""The orders about places: to serve a lineage at another one, and to serve it no more at the one before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.errors import Ambiguous, Denied, Unavailable
from rotator.inventory.assignment import Assignment
from rotator.model.entry import FieldNames, Place
from rotator.model.order import OrderKind
from rotator.model.reason import CopyReason, HoldReason, WaitReason
from rotator.model.record import Claim, Copied, Record
from rotator.plan import facts
from rotator.plan.actions import Copy, Hold, Wait
from rotator.policy.policy import DestinationTemplate
from rotator.reconcile import reconcile
from rotator.rotation import moves
from rotator.rotation.handed_over import hand_over
from rotator.rotation.moves import crossed, give_up, given_up, move, moved
from rotator.rotation.orders import TRIES, Declined, Ordered, give
from tests.support import builders as a
from tests.support.builders import CURRENT, DAY, LINEAGE, MINUTE, OTHER_FIELDS, PLACE, POLICY, THERE
from tests.support.fakes import Version, World, before_first, settled


def to_move(to: str = THERE.name) -> Ordered:
    return Ordered(kind=OrderKind.MOVE, who="ann@desk", why="a new mount", place=to)


def to_give_up(place: str = PLACE.name) -> Ordered:
    return Ordered(kind=OrderKind.GIVE_UP, who="ann@desk", why="nobody reads it", place=place)


def assigned(to: Place | None = THERE, *, hold: HoldReason | None = None, detail: str = "") -> Assignment:
    """Return the lineage as a survey finds it once the policy file names another place for it."""
    held = hold or (HoldReason.DESTINATION_MOVED if to else None)
    return Assignment(
        lineage=LINEAGE,
        policy=POLICY,
        matched_key_id=None,
        fleet_hold=held,
        fleet_hold_detail=detail,
        moves_to=to,
    )


async def ordered(world: World, to: str = THERE.name) -> moves.Answer:
    return await move(to_move(to), assigned(), world.ports())


async def gives_up(world: World, place: str = PLACE.name) -> moves.Answer:
    return await give_up(to_give_up(place), assigned(None), world.ports())


def serving_both() -> World:
    """Return a world in which both places serve the current key."""
    world = settled(a.moved())
    world.put_entry(CURRENT.key_id, a.ISSUED, at=THERE.name)
    return world


# Moving


async def test_a_move_changes_the_record_and_nothing_else() -> None:
    world = settled()

    await ordered(world)

    record = world.record
    assert (record.place, record.destination) == (THERE, PLACE)
    assert record.also_at == (Copied(place=THERE),)
    assert record.lineage.record_name == LINEAGE.record_name
    (order,) = record.orders
    assert (order.kind, order.who, order.why, order.place) == (
        OrderKind.MOVE,
        "ann@desk",
        "a new mount",
        THERE.name,
    )
    assert not [call for call in world.calls if call.startswith("publish")]


@pytest.mark.promise("P2")
async def test_a_move_that_was_cut_short_is_finished_by_the_next_look() -> None:
    world = settled()
    await ordered(world)

    done = await reconcile(world.assignment(), world.ports("replica-b"))

    assert done.done == (Copy(THERE),)
    assert world.served_at(THERE.name) == CURRENT.key_id


@pytest.mark.promise("P6", "P1")
async def test_a_publish_that_a_sleeping_process_makes_after_a_move_is_finished_and_copied() -> None:
    """Its intent named the place before, and that is where publishes still land."""
    old = a.key("key-1", age=70 * DAY)
    world = settled(a.record(serves=replace(a.current(old, age=70 * DAY), version=3)))
    world.fails("publish", *[Ambiguous("publish", "it")] * 3)
    await reconcile(world.assignment(), world.ports())
    await ordered(world)
    world.land_publish()

    await reconcile(world.assignment(), world.ports("replica-b"))

    assert world.served == world.served_at(THERE.name) == "key-made-1"
    assert [one.key_id for one in world.record.previous] == ["key-1"]
    assert "key-made-1" in world.keys


@pytest.mark.parametrize("glob", [PLACE.name, THERE.name])
async def test_a_pause_of_either_place_stops_a_lineage_that_is_served_at_both(glob: str) -> None:
    """Who paused it by the one name need not know that somebody gave it another."""
    world = settled(replace(a.record(), standing=a.order()))
    world.pause(a.paused(glob))
    await ordered(world)
    moved_since = replace(world.assignment(), lineage=world.record.lineage)

    done = await reconcile(moved_since, world.ports())

    assert done.last is not None
    assert done.last.decision == Wait(WaitReason.PAUSED, None)
    assert done.last.snapshot.paused == f"{glob}, by ann@desk: a change"


async def test_a_lineage_whose_secret_nobody_can_read_yet_moves_at_once() -> None:
    world = before_first()

    await ordered(world)

    assert world.record.places == (THERE,)
    await reconcile(world.assignment(replace(POLICY, max_age=DAY)), world.ports())
    assert world.served_at(THERE.name) == "key-made-1"
    assert world.served is None


async def test_a_lineage_that_may_yet_be_published_stays_at_its_place_too() -> None:
    tried = settled(a.fresh_record(attempts=[a.FIRST]))
    imported = before_first()
    imported.put_entry("key-original", None)

    for world in (tried, imported):
        await ordered(world)
        assert world.record.places == (PLACE, THERE)


async def test_it_waits_until_no_other_process_works_on_the_lineage() -> None:
    world = settled(replace(a.record(), claim=Claim("replica-b", 3 * MINUTE)))

    await ordered(world)

    assert world.clock.now() >= a.NOW + 3 * MINUTE
    assert world.record.claim is None


async def test_a_claim_ends_for_a_move_at_the_instant_at_which_it_ends_for_all() -> None:
    world = settled(replace(a.record(), claim=Claim("replica-b", 3 * MINUTE)))
    world.clock.advance(3 * MINUTE + facts.CLAIM_MARGIN)
    at = world.clock.now()

    await ordered(world)

    assert world.clock.now() == at


async def test_an_order_that_is_never_answered_is_told_as_one_that_may_have_been_given() -> None:
    world = settled()
    world.fails("write_record", *[Ambiguous("write record", "it")] * TRIES)

    with pytest.raises(Ambiguous):
        await ordered(world)


@pytest.mark.parametrize("done", [True, False])
async def test_an_unanswered_order_is_looked_for_and_given_once(*, done: bool) -> None:
    world = settled()
    world.fails("write_record", Ambiguous("write record", "it"), done=done)

    assert isinstance(await ordered(world), Record)

    assert len(world.record.orders) == 1
    assert len(world.records) == 2


async def test_an_order_is_decided_anew_when_somebody_else_wrote() -> None:
    world = settled()
    world.before("write_record", lambda: world.put_record(replace(world.record, by_order=True)))

    await ordered(world)

    assert (world.record.by_order, world.record.place) == (True, THERE)


async def test_the_journal_is_seen_to_show_the_move_before_anybody_acts_on_it() -> None:
    world = settled()

    await ordered(world)

    assert world.calls[-4:] == ["write_record", "read_record", "control", "write_control"]


# Not moving


async def test_a_place_that_the_policy_file_does_not_name_is_refused() -> None:
    world = settled()

    assert await ordered(world, "kv/elsewhere") is Declined.NOT_NAMED
    assert len(world.records) == 1


async def test_a_file_that_still_names_the_present_place_is_to_be_edited_first() -> None:
    world = settled()

    assert await move(to_move(THERE.name), assigned(None), world.ports()) is Declined.NOT_NAMED
    assert await move(to_move(PLACE.name), assigned(None), world.ports()) is Declined.DONE


async def test_what_was_moved_already_is_done() -> None:
    world = serving_both()

    assert await move(to_move(THERE.name), assigned(None), world.ports()) is Declined.DONE
    assert len(world.records) == 1


@pytest.mark.parametrize("record", [None, replace(a.record(), forgotten=True)])
async def test_a_lineage_that_is_not_looked_after_is_not_moved(record: Record | None) -> None:
    world = World() if record is None else settled(record)

    moving = replace(assigned(), fleet_hold=None)
    answer = await move(to_move(), moving, world.ports())

    assert answer is (Declined.NO_RECORD if record is None else Declined.FORGOTTEN)
    if record is None:
        held = assigned(hold=HoldReason.MATCHED_TWICE, detail="policies a and b")
        assert await move(to_move(), held, world.ports()) == Hold(
            HoldReason.MATCHED_TWICE, "policies a and b"
        )


@pytest.mark.promise("P4")
async def test_a_place_with_a_secret_that_is_not_this_lineages_is_refused() -> None:
    world = settled()
    world.add_key(a.key("key-9"))
    world.put_entry("key-9", None, at=THERE.name)

    assert await ordered(world) == Hold(HoldReason.DESTINATION_OCCUPIED, "kv/moved, version 1")
    assert len(world.records) == 1


@pytest.mark.promise("P4")
async def test_an_occupied_place_is_refused_though_other_places_are_fine_and_the_key_is_due() -> None:
    old = a.key("key-1", age=70 * DAY)
    moved_before = a.moved(a.record(serves=a.current(old, age=70 * DAY)), copied="key-1")
    third = replace(THERE, path="third")
    world = settled(moved_before)
    world.put_entry("key-1", a.ISSUED, at=THERE.name)
    world.add_key(a.key("key-9"))
    world.put_entry("key-9", None, at=third.name)

    answer = await move(to_move(third.name), assigned(third), world.ports())

    assert answer == Hold(HoldReason.DESTINATION_OCCUPIED, "kv/third, version 1")


async def test_whose_secret_is_at_a_place_has_to_be_learnt_before_it_is_moved_to() -> None:
    world = settled()
    world.add_key(a.key("key-9"))
    world.put_entry("key-9", None, at=THERE.name)
    world.fails("prove", None, Unavailable("prove", "it"))

    with pytest.raises(Unavailable, match="could not be learnt"):
        await ordered(world)


@pytest.mark.promise("P4")
async def test_an_unused_lineage_moves_to_no_occupied_place_either() -> None:
    world = before_first()
    world.add_key(a.key("key-9"))
    world.put_entry("key-9", None, at=THERE.name)

    assert await ordered(world) == Hold(HoldReason.DESTINATION_OCCUPIED, "version 1")


async def test_a_place_that_was_deleted_is_not_free() -> None:
    world = settled()
    world.versions_at(THERE.name).append(Version(None, world.vault_now()))

    assert await ordered(world) == Hold(HoldReason.ENTRY_DELETED, "kv/moved, version 1")


async def test_a_place_that_holds_the_same_secret_already_is_fine() -> None:
    world = settled()
    world.put_entry(CURRENT.key_id, None, at=THERE.name)

    assert isinstance(await ordered(world), Record)


async def test_a_place_that_can_not_be_written_is_refused_with_the_reason() -> None:
    world = settled()
    world.fails(f"check_writable {THERE.name}", Denied("check entry", THERE.name, "the token lacks update"))

    with pytest.raises(Denied, match="lacks update"):
        await ordered(world)
    assert len(world.records) == 1


async def test_a_place_of_which_nothing_can_be_learnt_just_now_is_not_moved_to() -> None:
    world = settled()
    world.fails(f"read_entry {THERE.name}", Unavailable("read entry", "it"))

    with pytest.raises(Unavailable, match="could not be learnt"):
        await ordered(world)
    assert len(world.records) == 1


async def test_a_lineage_that_is_held_is_not_moved() -> None:
    world = settled()
    world.put_entry(CURRENT.key_id, "9" * 16)
    clash = assigned(hold=HoldReason.DESTINATION_CLASH, detail="keys a and b")

    assert await ordered(world) == Hold(HoldReason.ENTRY_CHANGED, "version 4")
    assert await move(to_move(THERE.name), clash, settled().ports()) == Hold(
        HoldReason.DESTINATION_CLASH, "keys a and b"
    )


async def test_a_pause_hides_no_hold_from_a_move() -> None:
    world = settled()
    world.put_entry(CURRENT.key_id, "9" * 16)
    paused = replace(assigned(), paused="*, by ann@desk: a change")

    assert await move(to_move(), paused, world.ports()) == Hold(HoldReason.ENTRY_CHANGED, "version 4")


async def test_a_lineage_that_may_mint_nothing_just_now_is_moved_all_the_same() -> None:
    used = settled(replace(a.record(), hold=a.hold(HoldReason.PARITY)))
    unused = before_first()
    unused.put_record(replace(unused.record, hold=a.hold(HoldReason.PARITY)))

    for world in (used, unused):
        assert isinstance(await ordered(world), Record)


# Giving up


@pytest.mark.promise("P1", "P2")
async def test_giving_the_place_before_up_makes_the_present_one_the_destination() -> None:
    world = settled(a.moved(a.record(attempts=[a.attempt(a.LATER, base=3)])))
    world.put_entry(CURRENT.key_id, a.ISSUED, at=THERE.name)

    await gives_up(world)

    record = world.record
    assert record.places == (record.place,) == (THERE,)
    assert record.current is not None
    assert record.current.version == 1
    assert all(attempt.void for attempt in record.attempts)
    assert [(order.kind, order.place) for order in record.orders] == [(OrderKind.GIVE_UP, PLACE.name)]
    assert world.served == CURRENT.key_id, "nothing is deleted in Vault"


@pytest.mark.promise("P1", "P2")
async def test_after_that_rotations_are_published_at_the_present_place_only() -> None:
    old = a.key("key-1", age=70 * DAY)
    world = settled(a.moved(a.record(serves=a.current(old, age=70 * DAY)), copied="key-1"))
    world.put_entry("key-1", a.ISSUED, at=THERE.name)
    await gives_up(world)

    await reconcile(world.assignment(), world.ports())

    assert world.served_at(THERE.name) == "key-made-1"
    assert world.served == "key-1"
    world.clock.advance(DAY)
    await reconcile(world.assignment(), world.ports())
    assert "key-1" not in world.keys


@pytest.mark.promise("P2")
async def test_a_key_that_a_sleeping_process_publishes_at_a_place_given_up_is_found_and_revoked() -> None:
    old = a.key("key-1", age=70 * DAY)
    record = a.record(serves=replace(a.current(old, age=70 * DAY), version=3))
    world = settled(a.moved(record, copied="key-1"))
    world.put_entry("key-1", a.ISSUED, at=THERE.name)
    world.fails("publish", *[Ambiguous("publish", "it")] * 3)
    await reconcile(world.assignment(), world.ports())
    await gives_up(world)
    world.land_publish()

    world.clock.advance(MINUTE)
    await reconcile(world.assignment(), world.ports())
    assert world.served_at(THERE.name) == "key-made-2"
    world.clock.advance(2 * DAY)
    await reconcile(world.assignment(), world.ports())
    assert {"key-made-1", "key-1"}.isdisjoint(world.keys)
    assert world.served_at(THERE.name) == "key-made-2"


async def test_a_place_is_given_up_even_when_it_can_not_be_read_any_more() -> None:
    world = serving_both()
    world.fails("read_entry", *[Denied("read entry", PLACE.name)] * 5)

    assert isinstance(await gives_up(world), Record)


async def test_nothing_is_given_up_before_the_present_place_is_shown_to_serve_the_key_in_use() -> None:
    not_copied = settled(a.moved(copied=None))
    not_recorded = settled(a.moved(copied=None))
    not_recorded.put_entry(CURRENT.key_id, a.ISSUED, at=THERE.name)
    emptied = serving_both()
    emptied.versions_at(THERE.name).append(Version({"team": "asr"}, emptied.vault_now()))
    dead = serving_both()
    del dead.keys[CURRENT.key_id]
    never_published = settled(a.moved(a.fresh_record(attempts=[a.FIRST]), copied=None))

    for world in (not_copied, not_recorded, emptied, dead, never_published):
        before = world.record
        assert await gives_up(world) is Declined.NOT_COPIED
        assert world.record == before


async def test_a_place_that_is_not_served_or_that_the_file_names_is_not_given_up() -> None:
    world = serving_both()

    assert await gives_up(world, "kv/elsewhere") is Declined.NOT_SERVED
    assert await gives_up(world, THERE.name) is Declined.NOT_SERVED
    assert await gives_up(settled()) is Declined.NOT_SERVED


async def test_a_place_that_only_follows_is_given_up_without_a_look() -> None:
    world = serving_both()
    third = replace(THERE, path="third")
    world.put_record(moved(world.record, third, unused=False))

    await gives_up(world, THERE.name)

    assert world.record.places == (PLACE, third)
    assert "prove" not in world.calls


# Other orders about a moved lineage


@pytest.mark.promise("P1", "P3")
async def test_an_emergency_deletes_the_old_key_only_when_every_place_has_the_new_one() -> None:
    world = serving_both()
    world.fails(f"publish {THERE.name}", Denied("publish", THERE.name))
    emergency = Ordered(kind=OrderKind.EMERGENCY, who="ann@desk", why="a leak")
    assert isinstance(await give(emergency, world.assignment(), world.ports()), Record)

    failed = await reconcile(world.assignment(), world.ports())
    assert isinstance(failed.error, Denied)
    assert (world.served, world.served_at(THERE.name)) == ("key-made-1", CURRENT.key_id)
    assert CURRENT.key_id in world.keys

    world.clock.advance(MINUTE)
    await reconcile(world.assignment(), world.ports())
    assert world.served_at(THERE.name) == "key-made-1"
    assert CURRENT.key_id not in world.keys


async def test_a_moved_lineage_that_is_forgotten_is_left_as_it_is_and_can_be_taken_in_again() -> None:
    world = settled(a.moved(copied=None))
    forget = Ordered(kind=OrderKind.FORGET, who="ann@desk", why="")
    await give(forget, world.assignment(), world.ports())

    assert (await reconcile(world.assignment(), world.ports())).done == ()
    assert await gives_up(world) is Declined.FORGOTTEN

    adopt = Ordered(kind=OrderKind.ADOPT, who="ann@desk", why="")
    await give(adopt, world.assignment(), world.ports())
    assert (await reconcile(world.assignment(), world.ports())).done == (Copy(THERE),)


@pytest.mark.promise("P6")
async def test_a_secret_that_is_handed_over_is_published_where_publishes_land() -> None:
    world = settled(a.moved(a.fresh_record(attempts=[a.FIRST]), copied=None))
    secret = world.secret_of["key-original"]
    imports = Ordered(kind=OrderKind.IMPORT, who="ann@desk", why="")

    await hand_over(secret, imports, world.assignment(), world.ports())

    assert (world.served, world.served_at(THERE.name)) == ("key-original", None)
    await reconcile(world.assignment(), world.ports())
    assert world.served_at(THERE.name) == "key-original"


# Back, and on


def test_moving_back_leaves_the_destination_where_it_is() -> None:
    back = moved(a.moved(), PLACE, unused=False)

    assert (back.place, back.destination) == (PLACE, PLACE)
    assert back.publishes_at is None
    assert back.also_at == a.moved().also_at
    assert given_up(back, THERE.name) == replace(a.record(), copy_failure=None)


def test_what_failed_at_one_set_of_places_is_tried_at_once_at_another() -> None:
    failed = replace(a.moved(), copy_failure=a.failure(CopyReason.MOVED))
    third = replace(THERE, path="third")
    on = moved(failed, third, unused=False)
    without_the_first = given_up(failed, PLACE.name)
    without_the_second = given_up(replace(on, copy_failure=failed.copy_failure), THERE.name)

    assert on.copy_failure is None
    for record in (without_the_first, without_the_second):
        assert isinstance(record, Record)
        assert record.copy_failure is None


def test_moving_on_serves_three_places_until_each_is_given_up() -> None:
    third = replace(THERE, path="third")
    on = moved(a.moved(), third, unused=False)

    assert (on.place, on.destination) == (third, PLACE)
    assert on.places == (PLACE, THERE, third)
    without_the_second = given_up(on, THERE.name)
    assert isinstance(without_the_second, Record)
    assert without_the_second.places == (PLACE, third)
    copied = replace(on, also_at=(*on.also_at[:1], replace(on.also_at[1], key_id=CURRENT.key_id, version=2)))
    without_the_first = given_up(copied, PLACE.name)
    assert isinstance(without_the_first, Record)
    assert (without_the_first.destination, without_the_first.places) == (third, (third, THERE))


# Fields


async def test_other_fields_are_served_beside_the_old_ones_until_those_are_given_up() -> None:
    world = settled()
    by_new_fields = replace(POLICY, destination=DestinationTemplate(fields=OTHER_FIELDS.fields))
    assignment = replace(assigned(None), policy=by_new_fields)

    assert isinstance(await move(to_move(PLACE.name), assignment, world.ports()), Record)
    assert set(world.record.places) == {PLACE, OTHER_FIELDS}
    await reconcile(assignment, world.ports())
    assert isinstance(await give_up(to_give_up(PLACE.name), assignment, world.ports()), Record)

    assert set(world.record.places) == {OTHER_FIELDS}
    done = await reconcile(assignment, world.ports())
    assert done.done == ()
    assert done.last is not None
    assert isinstance(done.last.decision, Wait)
    assert done.last.decision.reason is WaitReason.NOT_DUE


@pytest.mark.promise("P1")
async def test_fields_that_would_exchange_their_meaning_are_refused() -> None:
    world = settled()
    exchanged = FieldNames(secret="api_key_id", key_id="api_key")
    policy = replace(POLICY, destination=DestinationTemplate(fields=exchanged))

    answer = await move(to_move(PLACE.name), replace(assigned(None), policy=policy), world.ports())

    assert answer is Declined.FIELDS_CROSSED


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (FieldNames(), False),
        (FieldNames(secret="KEY"), False),
        (FieldNames(key_id=None, expires_at=None), False),
        (FieldNames(secret="expires_at", expires_at=None), True),
        (FieldNames(key_id="previous_api_key_id", previous_key_id="api_key_id"), True),
    ],
)
def test_two_sets_of_fields_are_crossed_where_one_name_means_two_things(
    other: FieldNames,
    expected: bool,  # noqa: FBT001 (a parameter of the table)
) -> None:
    assert crossed(FieldNames(), other) is expected
    assert crossed(other, FieldNames()) is expected
