"""The most urgent first, a bounded number at a time, and no lineage stops another."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from rotator.daemon.sweep import named, sweep
from rotator.errors import InvariantViolation, Unavailable
from rotator.inventory.assignment import Assignment
from rotator.inventory.fleet import Fleet, Found
from rotator.model.entry import FieldNames, Publication
from rotator.model.key import Key, KeyRequest, Listing
from rotator.model.lineage import Lineage
from rotator.model.reason import WaitReason
from rotator.model.record import KnownKey, Record
from rotator.model.secret import Secret
from rotator.model.told import Told
from rotator.plan.actions import Rotate, Wait
from rotator.policy.policy import Adopt
from rotator.ports import (
    Control,
    EntryRead,
    LastUse,
    ManagementKey,
    Minted,
    Ports,
    Proof,
    Published,
    RecordRead,
)
from rotator.reconcile import Reconciled
from tests.support.builders import (
    CURRENT,
    JOURNAL,
    LINEAGE,
    MANAGEMENT,
    MEMBER,
    MINUTE,
    NO_ENTRY,
    NOW,
    POLICY,
    entry,
    fresh_record,
    key,
    original,
    record,
)
from tests.support.canary import secret_text
from tests.support.virtual_clock import VirtualClock

DAY = timedelta(days=1)


@dataclass
class World:
    """Provider, destinations, journal and rotation ids in one. `reads` are the paths looked at, in order."""

    reads: list[str] = field(default_factory=list)
    keys: tuple[Key, ...] = ()
    entry: EntryRead = field(default_factory=lambda: EntryRead(NO_ENTRY, None, NOW))
    at_once: int = 0
    most_at_once: int = 0
    on_read: Callable[[str], None] = lambda _: None
    slow: str = ""

    async def read(self, lineage: Lineage, fields: FieldNames, *, at_least: int = 0) -> EntryRead:
        del fields, at_least
        self.reads.append(lineage.path)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(9 if lineage.path == self.slow else 1):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(turn.set_result, None)
            await turn
        self.at_once -= 1
        self.on_read(lineage.path)
        return self.entry

    async def check_writable(self, lineage: Lineage, fields: FieldNames) -> None:
        del lineage, fields

    async def publish(
        self, lineage: Lineage, fields: FieldNames, publication: Publication, *, base: int
    ) -> Published:
        raise NotImplementedError

    async def prove(self, secret: Secret) -> Proof:
        del secret
        return Proof(accepted=True, key_id=CURRENT.key_id)

    async def get_key(self, key_id: str) -> Key:
        raise NotImplementedError

    async def list_keys(self) -> Listing:
        return Listing(
            keys=self.keys, at=NOW, seen_at=NOW, management_key_id=MANAGEMENT, management_member_id=MEMBER
        )

    async def create_key(self, request: KeyRequest) -> Minted:
        raise NotImplementedError

    async def revoke_key(self, key_id: str) -> None:
        raise NotImplementedError

    async def last_used(self, key_id: str) -> LastUse:
        raise NotImplementedError

    async def management_key(self) -> ManagementKey:
        raise NotImplementedError


@dataclass
class Records:
    """A journal. `reads` are the names of the records that were read."""

    records: dict[str, RecordRead]
    reads: list[str] = field(default_factory=list)

    async def control(self) -> Control | None:
        return None

    async def write_control(self, control: Control) -> None:
        raise NotImplementedError

    async def names(self) -> tuple[str, ...]:
        raise NotImplementedError

    async def read(self, name: str) -> RecordRead:
        self.reads.append(name)
        return self.records.get(name, RecordRead(None, 0, None, NOW))

    async def write(self, record: Record, *, base: int) -> int:
        del base
        raise Unavailable("write record", record.lineage.name)


class NoIds:
    def new(self) -> str:
        return "0" * 16


def found(
    path: str, *, age: timedelta = DAY, lifetime: timedelta | None = 90 * DAY, new: bool = False
) -> Found:
    """Return a lineage whose key is an original, taken in already or (`new`) not yet: then only watched."""
    lineage = replace(LINEAGE, path=path)
    own = key(f"key-{path}", comment=path, age=age, lifetime=lifetime)
    record = replace(
        fresh_record(replace(original(superseded=None), key=KnownKey.seen(own))), lineage=lineage
    )
    return Found(
        assignment=Assignment(
            lineage=lineage,
            policy=replace(POLICY, adopt=Adopt.WATCH) if new else POLICY,
            matched_key_id=own.key_id if new else None,
        ),
        provider="asr",
        record=None if new else RecordRead(record, 1, NOW, NOW),
    )


def fleet_of(*lineages: Found, listed: tuple[Key, ...] = ()) -> Fleet:
    keys = [
        key(one.record.record.originals[0].key.key_id)
        for one in lineages
        if one.record is not None and one.record.record is not None
    ]
    listing = Listing(
        keys=(*keys, *listed), at=NOW, seen_at=NOW, management_key_id=MANAGEMENT, management_member_id=MEMBER
    )
    return Fleet(listings={"asr": listing}, found=lineages, excluded={}, idle=(), strays=(), troubles=())


def records_of(fleet: Fleet) -> Records:
    """Return a journal that still is what the survey read."""
    return Records({one.assignment.lineage.record_name: one.record for one in fleet.found if one.record})


async def swept(
    fleet: Fleet,
    world: World | None = None,
    journal: Records | None = None,
    *,
    globs: tuple[str, ...] = (),
    concurrency: int = 1,
    limit: int | None = None,
    holder: str = "replica-a",
    stopping: Callable[[], bool] = lambda: False,
    tell: Callable[[Told], None] = lambda _: None,
) -> dict[str, Reconciled]:
    world = world or World()
    world.keys = fleet.listings["asr"].keys
    ports = Ports(
        provider=world,
        destinations=world,
        journal=journal or records_of(fleet),
        clock=VirtualClock(),
        rotation_ids=NoIds(),
        holder=holder,
        journal_id=JOURNAL,
        claim_ttl=MINUTE,
        stopping=stopping,
        tell=tell,
    )
    ended = await sweep(
        fleet, lambda _: ports, globs=globs, concurrency=concurrency, starts_per_hour=60, limit=limit
    )
    return {one.lineage.removeprefix("secret/"): one for one in ended}


async def test_the_key_that_expires_first_comes_first_and_one_that_never_does_last() -> None:
    world = World()
    await swept(
        fleet_of(
            found("never", lifetime=None), found("late", lifetime=80 * DAY), found("soon", lifetime=30 * DAY)
        ),
        world,
    )

    assert world.reads == ["soon", "late", "never"]


async def test_a_key_that_has_no_record_yet_counts_by_what_is_listed() -> None:
    world = World()
    new = found("new", new=True)
    listed = key("key-new", lifetime=2 * DAY, age=DAY)
    await swept(fleet_of(found("late", lifetime=30 * DAY), new, listed=(listed,)), world, limit=0)

    assert world.reads[0] == "new"


async def test_replicas_begin_with_different_ones_among_equals() -> None:
    lineages = [found(f"voice-{n}") for n in range(8)]
    orders = []
    for holder in ("replica-a", "replica-b", "replica-a"):
        world = World()
        await swept(fleet_of(*lineages), world, holder=holder)
        orders.append(world.reads)

    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]
    assert orders[0] == orders[2]


@pytest.mark.parametrize("concurrency", [1, 3, 20])
async def test_only_so_many_are_worked_on_at_once(concurrency: int) -> None:
    world = World()
    await swept(fleet_of(*(found(f"voice-{n}") for n in range(8))), world, concurrency=concurrency)

    assert world.most_at_once == min(concurrency, 8)


async def test_a_lineage_that_is_not_due_stands_where_it_is() -> None:
    stands = (await swept(fleet_of(found("voice"))))["voice"]

    assert (stands.done, stands.error) == ((), None)
    assert stands.last is not None
    assert isinstance(stands.last.stands, Wait)
    assert stands.last.stands.reason is WaitReason.NOT_DUE


async def test_no_more_rotations_are_started_than_allowed() -> None:
    due = [found(f"voice-{n}", age=80 * DAY) for n in range(4)]

    for limit, started in ((None, 4), (0, 0), (1, 1), (3, 3), (9, 4)):
        ended = await swept(fleet_of(*due), limit=limit)
        tried = [one for one in ended.values() if one.error is not None]
        left = [one for one in ended.values() if one.error is None]
        assert len(tried) == started
        assert all(one.last is not None and isinstance(one.last.stands, Rotate) for one in left)


async def test_with_a_limit_the_most_urgent_keys_are_rotated() -> None:
    due = [found(f"voice-{n}", age=80 * DAY, lifetime=(90 - n) * DAY) for n in range(6)]

    ended = await swept(fleet_of(*due), World(slow="voice-5"), limit=2, concurrency=6)

    assert {path for path, one in ended.items() if one.error is not None} == {"voice-5", "voice-4"}


async def test_globs_name_lineages_by_their_whole_name() -> None:
    fleet = fleet_of(found("asr/a"), found("asr/b"), found("tts/a"))

    assert set(await swept(fleet, globs=("secret/asr/*",))) == {"asr/a", "asr/b"}
    assert set(await swept(fleet, globs=("*/a", "secret/asr/b"))) == {"asr/a", "asr/b", "tts/a"}
    assert set(await swept(fleet)) == {"asr/a", "asr/b", "tts/a"}
    assert named(fleet, ("asr/*",)) == ()
    assert named(fleet, ("SECRET/*",)) == ()


@pytest.mark.promise("P2")
async def test_nothing_is_looked_at_any_more_once_asked_to_stop() -> None:
    world = World()
    lineages = [found(f"voice-{n}", age=80 * DAY, lifetime=90 * DAY + n * DAY) for n in range(3)]
    ended = await swept(fleet_of(*lineages), world, stopping=lambda: bool(world.reads))

    assert set(world.reads) == {"voice-0"}
    assert ended["voice-0"].last is not None
    assert isinstance(ended["voice-0"].last.stands, Rotate)
    assert [(one.last, one.done, one.error) for path, one in ended.items() if path != "voice-0"] == [
        (None, (), None)
    ] * 2


async def test_a_bug_is_raised_once_all_others_have_ended() -> None:
    world, first = World(), itertools.count()

    def stopping() -> bool:
        return next(first) == 0 and 1 / 0 > 0

    with pytest.raises(ZeroDivisionError):
        await swept(
            fleet_of(found("soon", lifetime=30 * DAY), found("late", lifetime=80 * DAY)),
            world,
            stopping=stopping,
        )

    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert world.reads == ["late"]


@pytest.mark.promise("P2")
async def test_a_cancelled_sweep_brings_what_is_under_way_to_an_end_and_starts_nothing() -> None:
    world = World()
    lineages = [found(f"voice-{n}", age=80 * DAY, lifetime=90 * DAY + n * DAY) for n in range(3)]
    task = asyncio.create_task(swept(fleet_of(*lineages), world))
    while not world.reads:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(turn.set_result, None)
        await turn
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert set(world.reads) == {"voice-0"}
    assert world.at_once == 0


@pytest.mark.promise("P8")
async def test_a_bug_in_one_lineage_leaves_the_others_alone() -> None:
    def fail(path: str) -> None:
        if path == "voice-0":
            raise RuntimeError(path)

    world = World(on_read=fail)
    lineages = [found(f"voice-{n}", lifetime=30 * DAY + n * DAY) for n in range(4)]
    ended = await swept(fleet_of(*lineages), world)

    assert isinstance(ended["voice-0"].error, InvariantViolation)
    assert [one.error for path, one in ended.items() if path != "voice-0"] == [None] * 3
    assert list(dict.fromkeys(world.reads)) == ["voice-0", "voice-1", "voice-2", "voice-3"]
    assert world.at_once == 0


async def test_a_lineage_that_only_waits_costs_no_read_of_its_record() -> None:
    fleet = fleet_of(found("voice"))
    journal = records_of(fleet)
    await swept(fleet, World(), journal)

    assert journal.reads == []


@pytest.mark.promise("P8")
async def test_a_publish_of_another_process_since_the_survey_calls_no_person() -> None:
    """Its entry is read now, beside a record that was read before: it looks like a stranger's."""
    fleet = fleet_of(found("voice", age=80 * DAY), listed=(CURRENT,))
    (one,) = fleet.found
    served = EntryRead(entry(), Secret(secret_text()), NOW)
    now = replace(record(), lineage=one.assignment.lineage)
    journal = Records({one.assignment.lineage.record_name: RecordRead(now, 2, NOW, NOW)})
    told: list[Told] = []
    ended = await swept(fleet, World(entry=served), journal, tell=told.append)

    last = ended["voice"].last
    assert last is not None
    assert isinstance(last.stands, Wait)
    assert last.snapshot.record == now
    assert told == []


async def test_an_error_of_one_lineage_is_its_own() -> None:
    def fail(path: str) -> None:
        if path == "voice-0":
            raise Unavailable("read entry", path)

    lineages = [found(f"voice-{n}") for n in range(2)]
    ended = await swept(fleet_of(*lineages), World(on_read=fail))

    assert isinstance(ended["voice-0"].error, Unavailable)
    assert ended["voice-1"].error is None
