"""Copying: claim, look afresh, write at the version that was seen, read back, record. Anything else stops it."""

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
from rotator.model.entry import ROTATION_ID_FIELD, Place
from rotator.model.reason import CopyReason, HoldReason, RevokeReason, WaitReason
from rotator.model.record import Copied, Record
from rotator.model.told import Step
from rotator.plan.actions import Copy, Hold, Revoke, Wait
from rotator.policy.policy import DestinationTemplate
from rotator.reconcile import Reconciled, Turn, reconcile, turn
from rotator.rotation import bookkeeping
from rotator.rotation.perform import perform
from rotator.rotation.publish import SENDS
from tests.support import builders as a
from tests.support.builders import CURRENT, DAY, HOUR, ISSUED, OTHER_FIELDS, PLACE, POLICY, THERE
from tests.support.fakes import Version, World, settled

pytestmark = pytest.mark.promise("P1", "P3")

COPY = f"publish {THERE.name}"
READ = f"read_entry {THERE.name}"
OLDER = "4" * 16
"""The rotation id of the publish before the current one."""


def moved_now(record: Record | None = None) -> World:
    """Return a world in which the order to move was just written, and nothing was copied."""
    return settled(a.moved(record, copied=None))


def behind(*, superseded: timedelta = 2 * DAY) -> World:
    """Return a world in which the new place still serves the key before the current one."""
    record = a.record(previous=[a.previous(superseded=superseded)])
    world = settled(a.moved(record, copied="key-old"))
    world.put_entry("key-old", OLDER, at=THERE.name)
    return world


async def copy(world: World) -> Turn:
    return await turn(world.assignment(), world.ports())


def copied_in(world: World) -> Copied:
    (copied,) = world.record.also_at
    return copied


async def test_the_secret_in_use_is_copied_read_back_recorded_and_told() -> None:
    world = moved_now()

    done = await copy(world)

    assert done.decision == Copy(THERE)
    assert world.served_at(THERE.name) == world.served == CURRENT.key_id
    assert copied_in(world) == Copied(place=THERE, key_id=CURRENT.key_id, version=1)
    assert world.record.claim is None
    (told,) = world.told
    assert (told.step, told.lineage, told.key_id, told.version) == (
        Step.COPIED,
        "kv/moved",
        CURRENT.key_id,
        1,
    )
    assert told.detail == "kv/moved"


async def test_the_claim_comes_first_then_everything_is_looked_at_afresh_then_it_is_written() -> None:
    world = moved_now()

    await copy(world)

    look = ["list_keys", "read_entry", "prove", READ]
    assert world.calls == [
        "control",
        "read_record",
        *look,
        "write_record",
        *look,
        "read_entry",
        COPY,
        READ,
        "write_record",
    ]


async def test_a_copy_is_what_the_publish_was_and_keeps_the_other_fields_of_its_entry() -> None:
    world = moved_now(replace(a.record(), history=(replace(a.rotated(), replaced_key_id="key-old"),)))
    values = {"team": "asr", "previous_api_key_id": "stale"}
    world.versions_at(THERE.name).append(Version(values, world.vault_now()))

    await copy(world)

    written = world.versions_at(THERE.name)[-1].values
    assert written is not None
    assert written[ROTATION_ID_FIELD] == ISSUED
    assert (written["team"], written["api_key_id"]) == ("asr", CURRENT.key_id)
    assert written["previous_api_key_id"] == "key-old"
    assert CURRENT.expires_at is not None
    assert written["expires_at"] == CURRENT.expires_at.isoformat()


async def test_a_standby_is_asked_for_no_older_version_than_was_copied() -> None:
    world = behind()

    await copy(world)

    assert world.floors[:2] == [("secret/voice", 3), (THERE.name, 1)]
    assert {floor for name, floor in world.floors if name == "secret/voice"} == {3}


async def test_a_key_that_vault_held_before_adoption_is_copied_without_a_rotation_id() -> None:
    adopted = replace(a.record(), current=replace(a.current(), rotation_id=None), history=())
    world = moved_now(adopted)

    done = await reconcile(world.assignment(), world.ports())

    assert done.done == (Copy(THERE),)
    written = world.versions_at(THERE.name)[-1].values
    assert written is not None
    assert ROTATION_ID_FIELD not in written
    assert "previous_api_key_id" not in written


async def test_after_each_rotation_the_copy_follows_and_only_then_the_old_key_goes() -> None:
    old = a.key("key-1", age=70 * DAY)
    world = settled(a.moved(a.record(serves=a.current(old, age=70 * DAY)), copied="key-1"))
    world.put_entry("key-1", ISSUED, at=THERE.name)

    await reconcile(world.assignment(), world.ports())
    assert world.served_at(THERE.name) == world.served == "key-made-1"
    assert "key-1" in world.keys
    checked = [call for call in world.calls if call.startswith("check_writable")]
    assert checked == ["check_writable"], (
        "only where publishes land: a place that follows keeps no key from being due"
    )

    world.clock.advance(DAY)
    last = await reconcile(world.assignment(), world.ports())
    assert last.done == (Revoke("key-1", RevokeReason.OVERLAP_ENDED),)


# From when the overlap counts


async def test_the_overlap_runs_from_the_copy() -> None:
    world = behind()
    copied_at = world.vault_now()

    await copy(world)

    (old,) = world.record.previous
    assert old.superseded_at == copied_at
    assert not isinstance((await copy(world)).decision, Revoke)
    world.clock.advance(DAY)
    assert isinstance((await copy(world)).decision, Revoke)


async def test_the_overlap_of_a_key_that_left_the_place_before_is_not_begun_again() -> None:
    record = a.record(previous=[a.previous("key-older", superseded=HOUR), a.previous(superseded=HOUR / 2)])
    world = settled(a.moved(record, copied="key-old"))
    world.put_entry("key-old", OLDER, at=THERE.name)

    await copy(world)

    older, old = world.record.previous
    assert older == record.previous[0]
    assert old.superseded_at == world.vault_now()


async def test_where_it_is_not_known_what_a_place_served_every_overlap_begins_again() -> None:
    """A copy may have been made that nobody recorded, or a person may have rolled the entry back."""
    record = a.record(previous=[a.previous("key-older", superseded=HOUR), a.previous(superseded=HOUR / 2)])
    unrecorded = settled(a.moved(record, copied=None))
    unrecorded.put_entry("key-older", OLDER, at=THERE.name)
    rolled_back = settled(a.moved(record, copied=CURRENT.key_id))
    rolled_back.put_entry("key-old", OLDER, at=THERE.name, versions=2)

    for world in (unrecorded, rolled_back):
        done = await copy(world)
        assert done.decision == Copy(THERE)
        assert {one.superseded_at for one in world.record.previous} == {world.vault_now()}


async def test_what_an_emergency_replaced_goes_as_soon_as_it_is_copied() -> None:
    world = behind()
    (old,) = world.record.previous
    world.put_record(replace(world.record, previous=(replace(old, at_once=True),)))

    done = await reconcile(world.assignment(), world.ports())

    assert done.done == (Copy(THERE), Revoke("key-old", RevokeReason.EMERGENCY))


# What a copy says of the versions of other places


SHARED = replace(THERE, fields=OTHER_FIELDS.fields)
"""Other fields of the entry to which the lineage was moved first."""


@pytest.mark.parametrize(
    ("place", "base", "version", "published"),
    [
        (OTHER_FIELDS, 3, 4, 4),
        (OTHER_FIELDS, None, 4, 4),
        (OTHER_FIELDS, 3, 5, 3),
        (OTHER_FIELDS, 4, 5, 3),
        (THERE, 3, 4, 3),
        (THERE, None, 4, 3),
    ],
    ids=[
        "the next version of the entry that holds the publish",
        "seen there, with nothing to write",
        "a person wrote it after us",
        "a person wrote it before us",
        "another entry",
        "another entry, with nothing to write",
    ],
)
def test_a_publish_is_known_at_a_later_version_only_where_we_alone_wrote_its_entry(
    place: Place, base: int | None, version: int, published: int
) -> None:
    record = a.moved(to=place, copied=None)

    after = bookkeeping.copied(record, place, version=version, at=a.NOW, base=base)

    assert after.current == replace(a.current(), version=published)
    assert after.also_at == (Copied(place=place, key_id=CURRENT.key_id, version=version),)


@pytest.mark.parametrize(("version", "known"), [(2, 2), (3, 1)])
def test_other_fields_of_the_entry_that_is_copied_into_stand_at_the_version_that_we_wrote(
    version: int, known: int
) -> None:
    elsewhere = Copied(place=replace(THERE, path="third"), key_id="key-old", version=1)
    first = Copied(place=THERE, key_id=CURRENT.key_id, version=1)
    record = replace(a.moved(), also_at=(elsewhere, first, Copied(place=SHARED)))

    after = bookkeeping.copied(record, SHARED, version=version, at=a.NOW, base=1)

    done = Copied(place=SHARED, key_id=CURRENT.key_id, version=version)
    assert after.also_at == (elsewhere, replace(first, version=known), done)


# What happens in between


async def test_a_copy_that_nothing_asks_for_is_a_bug_and_holds_the_lineage() -> None:
    world = settled()
    assignment, ports = world.assignment(), world.ports()
    seen = (await turn(assignment, ports)).snapshot

    with pytest.raises(InvariantViolation):
        await perform(Copy(THERE), assignment, seen, ports)

    assert world.record.hold is not None
    assert world.record.hold.reason is HoldReason.UNSAFE
    assert world.served_at(THERE.name) is None


@pytest.mark.promise("P6")
async def test_nothing_is_copied_when_somebody_else_wrote_the_record() -> None:
    world = moved_now()
    world.before("write_record", lambda: world.put_record(world.record))

    with pytest.raises(Conflict):
        await copy(world)

    assert COPY not in world.calls


def rotated_elsewhere(world: World) -> None:
    """Another process publishes a newer key at the destination."""
    world.add_key(a.key("key-new"))
    world.put_entry("key-new", a.LATER)


def persons_secret(world: World) -> None:
    world.add_key(a.key("key-9"))
    world.put_entry("key-9", None, at=THERE.name)


def deleted(world: World) -> None:
    world.versions_at(THERE.name).append(Version(None, world.vault_now()))


@pytest.mark.promise("P4")
@pytest.mark.parametrize(
    "happens", [rotated_elsewhere, persons_secret, deleted], ids=lambda happens: happens.__name__
)
async def test_what_happens_between_decision_and_copy_stops_it_and_gives_the_claim_back(
    happens: Callable[[World], None],
) -> None:
    world = moved_now()
    world.before("write_record", lambda: happens(world))

    with pytest.raises(Conflict):
        await copy(world)

    assert COPY not in world.calls
    assert world.record.claim is None
    assert world.record.copy_failure is None


async def test_a_publish_between_the_proof_and_the_copy_is_not_copied_unproven() -> None:
    world = moved_now()
    world.fails("read_entry", None, None)
    world.before("read_entry", lambda: rotated_elsewhere(world))

    with pytest.raises(Conflict, match="somebody else wrote"):
        await copy(world)

    assert COPY not in world.calls


@pytest.mark.promise("P4", "P6")
async def test_a_copy_is_written_at_the_version_that_was_looked_at_and_at_no_other() -> None:
    world = moved_now()
    world.before(COPY, lambda: persons_secret(world))

    with pytest.raises(Conflict):
        await copy(world)

    assert world.served_at(THERE.name) == "key-9"
    assert copied_in(world).key_id is None
    done = await copy(world)
    assert done.stands == Hold(HoldReason.DESTINATION_OCCUPIED, "kv/moved, version 1")


@pytest.mark.parametrize("done", [True, False])
async def test_an_unanswered_copy_is_read_back_and_sent_again_only_if_it_did_not_happen(
    *, done: bool
) -> None:
    world = moved_now()
    world.fails(COPY, Ambiguous("publish", "it"), done=done)

    await copy(world)

    assert world.calls.count(COPY) == (1 if done else 2)
    assert copied_in(world) == Copied(place=THERE, key_id=CURRENT.key_id, version=1)


@pytest.mark.promise("P2")
async def test_a_copy_that_could_not_be_recorded_is_recorded_at_the_next_look() -> None:
    world = moved_now()
    world.fails("write_record", None, Unavailable("write record", "it"))
    with pytest.raises(Unavailable):
        await copy(world)
    assert copied_in(world).key_id is None

    await copy(world)

    assert world.calls.count(COPY) == 1
    assert copied_in(world) == Copied(place=THERE, key_id=CURRENT.key_id, version=1)
    assert world.record.current == a.current()


@pytest.mark.promise("P8")
@pytest.mark.parametrize(
    "error",
    [
        Unavailable("publish", "it"),
        Throttled("publish", "it"),
        Denied("publish", "it"),
        Rejected("publish", "it"),
        Ambiguous("publish", "it"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_copy_that_fails_is_written_down_told_and_tried_again(error: PortError) -> None:
    world = moved_now()
    sends = 1 if isinstance(error, Denied | Rejected) else SENDS
    world.fails(COPY, *[error] * sends)

    failed = await reconcile(world.assignment(), world.ports())

    assert type(failed.error) is type(error)
    assert world.steps == [Step.FAILED]
    failure = world.record.copy_failure
    assert failure is not None
    assert (failure.count, failure.tried) == (1, CopyReason.MOVED)
    waits = (await copy(world)).decision
    assert waits == Wait(WaitReason.COPY_BEHIND, failure.next_try_at)
    world.clock.advance(failure.next_try_at - world.clock.now())
    await copy(world)
    assert world.record.copy_failure is None
    assert copied_in(world).key_id == CURRENT.key_id


async def test_a_place_that_takes_nothing_lets_no_key_expire() -> None:
    """Each sweep of an hourly timer finds that the next try of the copy has come."""
    old = a.key("key-1", age=70 * DAY)
    world = settled(a.moved(a.record(serves=a.current(old, age=70 * DAY)), copied="key-older"))
    world.add_key(a.key("key-older"))
    world.put_entry("key-older", OLDER, at=THERE.name)
    world.fails(COPY, *[Denied("publish", THERE.name)] * 100)

    for _ in range(3):
        await reconcile(world.assignment(), world.ports())
        world.clock.advance(HOUR)

    assert world.served == "key-made-1"
    assert world.served_at(THERE.name) == "key-older"
    assert world.record.copy_failure is not None


@pytest.mark.promise("P8")
async def test_a_place_that_can_not_be_read_is_told_by_what_is_wrong() -> None:
    world = moved_now()
    world.fails(READ, *[Denied("read entry", THERE.name, "403")] * 3)

    failed = await reconcile(world.assignment(), world.ports())

    assert str(failed.error) == "read entry kv/moved: 403"
    assert world.record.copy_failure is not None


async def test_a_place_that_could_not_be_read_for_a_moment_is_looked_at_again_at_once() -> None:
    world = moved_now()
    world.fails(READ, Unavailable("read entry", THERE.name))

    await reconcile(world.assignment(), world.ports())

    assert copied_in(world).key_id == CURRENT.key_id


@pytest.mark.promise("P8")
async def test_a_copy_that_vault_would_delete_by_itself_holds_the_lineage() -> None:
    world = moved_now()
    world.deletion_at = world.vault_now() + DAY

    done = await copy(world)

    assert isinstance(done.held, Hold)
    assert done.held.reason is HoldReason.ENTRY_EXPIRES
    assert world.record.hold is not None


@pytest.mark.promise("P8")
async def test_a_copy_that_outlives_its_key_holds_nothing() -> None:
    world = moved_now()
    world.deletion_at = CURRENT.expires_at

    assert (await copy(world)).held is None


# Other fields of the same entry


BY_OTHER_FIELDS = replace(POLICY, destination=DestinationTemplate(fields=OTHER_FIELDS.fields))


def other_fields(record: Record | None = None) -> World:
    """Return a world in which the order to serve other fields too was just written."""
    return settled(a.moved(record, to=OTHER_FIELDS, copied=None))


async def reconciled(world: World) -> Reconciled:
    return await reconcile(world.assignment(BY_OTHER_FIELDS), world.ports())


async def test_other_fields_of_the_entry_are_written_beside_the_old_ones() -> None:
    world = other_fields()

    done = await reconciled(world)

    assert done.done == (Copy(OTHER_FIELDS),)
    assert world.served_at(PLACE.name, field="KEY") == world.served == CURRENT.key_id
    current = world.record.current
    assert current is not None
    assert (current.version, copied_in(world).version) == (4, 4)
    assert (await reconciled(world)).done == ()


async def test_both_sets_of_fields_follow_each_rotation_in_one_entry() -> None:
    world = other_fields(a.record(serves=a.current(a.key("key-1", age=70 * DAY), age=70 * DAY)))

    for served in ("key-made-1", "key-made-2"):
        await reconciled(world)
        assert world.served_at(PLACE.name, field="KEY") == world.served == served
        current = world.record.current
        assert current is not None
        assert current.version == copied_in(world).version == len(world.versions)
        world.clock.advance(70 * DAY)


async def test_a_key_that_a_person_deletes_is_replaced_in_both_sets_of_fields() -> None:
    """Nobody says any more whose secret is in the new fields: that we wrote it is known from the version."""
    world = other_fields()
    await reconciled(world)
    del world.keys[CURRENT.key_id]

    await reconciled(world)

    assert world.served_at(PLACE.name, field="KEY") == world.served == "key-made-1"


async def test_an_unrecorded_copy_is_not_recorded_while_somebody_writes_into_its_entry() -> None:
    """The destination's secret was proven at one version, and the copy seen at another."""
    world = other_fields()
    world.fails("write_record", None, Unavailable("write record", "it"))
    await reconciled(world)
    world.fails("read_entry", None, None, None)
    world.before("read_entry", lambda: world.versions.append(world.versions[-1]))

    with pytest.raises(Conflict, match="somebody else wrote"):
        await turn(world.assignment(BY_OTHER_FIELDS), world.ports())


async def test_an_unrecorded_copy_into_the_same_entry_is_taken_for_no_strangers() -> None:
    world = other_fields()
    world.fails("write_record", None, Unavailable("write record", "it"))
    assert (await reconciled(world)).error is not None

    await reconciled(world)

    current = world.record.current
    assert current is not None
    assert current.version == copied_in(world).version == 4
