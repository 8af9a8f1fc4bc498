"""Small ports in memory: one provider, one Vault, one lineage. What goes wrong is said call by call.

Records are kept as their text, and scanned for secrets, as is everything that is told.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from rotator.daemon.link import CredentialsSeen
from rotator.errors import Conflict, NotFound, PortError, TooNew
from rotator.inventory.assignment import Assignment
from rotator.model.entry import ROTATION_ID_FIELD, Entry, EntryState, FieldNames, Publication
from rotator.model.format import NewerFormat
from rotator.model.key import Key, KeyRequest, Listing
from rotator.model.lineage import Lineage
from rotator.model.order import Pause
from rotator.model.record import Record, decode, encode
from rotator.model.secret import Secret
from rotator.model.told import Step, Told
from rotator.policy.policy import Policy
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
from tests.support import builders as a
from tests.support import canary
from tests.support.virtual_clock import VirtualClock

CLAIM_TTL = timedelta(minutes=3)
LOG_KEPT, LOG_LATE = timedelta(days=90), timedelta(minutes=30)
OTHERS = "key-others"
"""A key of another member: a list that shows it is whole."""

T = TypeVar("T")


async def nothing() -> None:
    """There is nothing to look after."""


async def nothing_changes() -> CredentialsSeen:
    return CredentialsSeen(changed=False)


class Died(BaseException):
    """The process that made the call is no more."""


@dataclass(slots=True)
class Fault:
    """How one call goes. `first` happens before it. `done`: it takes effect, and only then fails."""

    error: PortError | None = None
    done: bool = False
    first: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the destination. `values` None: deleted."""

    values: dict[str, str] | None = field(repr=False)
    written_at: datetime


class World:
    """Everything outside, and the notes of a test: which calls were made, and what was told."""

    def __init__(self) -> None:
        self.lineage = a.LINEAGE
        self.clock = VirtualClock()
        self.calls: list[str] = []
        self.told: list[Told] = []
        self.faults: dict[str, deque[Fault]] = {}
        self.keys: dict[str, Key] = {}
        self.secret_of: dict[str, Secret] = {}
        self.hidden: set[str] = set()
        self.unreadable: set[str] = set()
        self.used: dict[str, datetime] = {}
        self.versions: list[Version] = []
        self.elsewhere: dict[str, list[Version]] = {}
        self.floors: list[tuple[str, int]] = []
        self.records: list[tuple[str, datetime]] = []
        self.control: Control | None = Control(journal_id=a.JOURNAL, instance="test", version=1)
        self.stopping = False
        self.dies_at: int | None = None
        self.dies_done = False
        self.says_id = True
        self.works_after = timedelta(0)
        self.grant: Callable[[Key], Key] = lambda key: key
        self.stale_reads = 0
        self.lagging_reads = 0
        self.deletion_at: datetime | None = None
        self.vault_skew = self.provider_skew = timedelta(0)
        self.requests: list[KeyRequest] = []
        self.sent_publish: Callable[[], Published] | None = None
        self._numbers = itertools.count(1)
        self.add_key(a.key(a.MANAGEMENT, comment="rotator itself", lifetime=None))
        self.add_key(replace(a.key(OTHERS), member_id="somebody"))

    def ports(self, holder: str = a.OBSERVER) -> Ports:
        return Ports(
            provider=FakeProvider(self),
            destinations=FakeDestinations(self),
            journal=FakeJournal(self),
            clock=self.clock,
            rotation_ids=FakeRotationIds(self),
            holder=holder,
            journal_id=a.JOURNAL,
            claim_ttl=CLAIM_TTL,
            stopping=lambda: self.stopping,
            tell=self._tell,
        )

    def assignment(self, policy: Policy = a.POLICY, matched_key_id: str | None = None) -> Assignment:
        return Assignment(lineage=a.LINEAGE, policy=policy, matched_key_id=matched_key_id)

    def fails(self, call: str, *errors: PortError | None, done: bool = False) -> None:
        """Let the next calls of that name fail, one by one; None lets one pass."""
        for error in errors:
            self.faults.setdefault(call, deque()).append(Fault(error, done=done))

    def before(self, call: str, happens: Callable[[], object]) -> None:
        """Let something happen just before the next call of that name."""
        self.faults.setdefault(call, deque()).append(Fault(first=happens))

    def add_key(self, key: Key) -> Secret:
        self.keys[key.key_id] = key
        self.secret_of[key.key_id] = Secret(canary.secret_text(key.key_id))
        return self.secret_of[key.key_id]

    def put_record(self, record: Record) -> None:
        text = encode(record)
        canary.scan(text, "the journal")
        self.records.append((text, self.vault_now()))

    def about(self, call: str, lineage: Lineage) -> str:
        """Return the name of a call: one about another place than that where the lineage began says which."""
        return call if lineage.name == self.lineage.name else f"{call} {lineage.name}"

    def versions_at(self, name: str) -> list[Version]:
        """Return the versions of an entry, that of the lineage or another one."""
        return self.versions if name == self.lineage.name else self.elsewhere.setdefault(name, [])

    def put_entry(
        self, key_id: str, rotation_id: str | None, *, versions: int = 1, at: str | None = None
    ) -> None:
        """Let a place serve the secret of a key, after so many writes."""
        values = {"api_key": self.secret_of[key_id].reveal(), "api_key_id": key_id}
        if rotation_id is not None:
            values[ROTATION_ID_FIELD] = rotation_id
        self.versions_at(at or self.lineage.name).extend([Version(values, self.vault_now())] * versions)

    def pause(self, *pauses: Pause) -> None:
        """Let a person pause."""
        if self.control is None:
            raise AssertionError("there is no journal")
        self.control = replace(self.control, pauses=pauses, version=self.control.version + 1)

    def land_publish(self) -> None:
        """Carry out, late, the first publish that was sent."""
        if self.sent_publish is None:
            raise AssertionError("no publish was sent")
        self.sent_publish()

    def vault_now(self) -> datetime:
        return self.clock.now() + self.vault_skew

    def provider_now(self) -> datetime:
        return self.clock.now() + self.provider_skew

    @property
    def record(self) -> Record:
        """The record as it is stored."""
        return decode(self.records[-1][0])

    @property
    def served(self) -> str | None:
        """The id of the key whose secret the destination holds."""
        return self.served_at(self.lineage.name)

    def served_at(self, name: str, *, field: str = "api_key") -> str | None:
        """Return the id of the key whose secret an entry holds."""
        versions = self.versions_at(name)
        values = versions[-1].values if versions else None
        secret = Secret(values[field]) if values and field in values else None
        return next((k for k, of in self.secret_of.items() if secret and of.matches(secret)), None)

    @property
    def steps(self) -> list[Step]:
        return [told.step for told in self.told]

    def next_number(self) -> int:
        return next(self._numbers)

    async def call(self, name: str, act: Callable[[], T]) -> T:
        """Carry out one call, as the faults of its name say."""
        if len(self.calls) == self.dies_at:
            self.dies_at = None
            if self.dies_done:
                act()
            raise Died
        self.calls.append(name)
        waiting = self.faults.get(name)
        fault = waiting.popleft() if waiting else Fault()
        if fault.first is not None:
            happens = fault.first()
            if isinstance(happens, Awaitable):
                await happens
        if fault.error is None:
            return act()
        if fault.done:
            act()
        raise fault.error

    def _tell(self, told: Told) -> None:
        canary.scan(repr(told), "what is told")
        self.told.append(told)


class FakeRotationIds:
    def __init__(self, world: World) -> None:
        self._world = world

    def new(self) -> str:
        return f"{self._world.next_number():016x}"


class FakeProvider:
    def __init__(self, world: World) -> None:
        self._world = world

    async def list_keys(self) -> Listing:
        return await self._world.call("list_keys", self._list)

    async def get_key(self, key_id: str) -> Key:
        return await self._world.call("get_key", lambda: self._get(key_id))

    async def create_key(self, request: KeyRequest) -> Minted:
        return await self._world.call("create_key", lambda: self._create(request))

    async def revoke_key(self, key_id: str) -> None:
        await self._world.call(f"revoke_key {key_id}", lambda: self._revoke(key_id))

    async def prove(self, secret: Secret) -> Proof:
        return await self._world.call("prove", lambda: self._prove(secret))

    async def last_used(self, key_id: str) -> LastUse:
        return await self._world.call("last_used", lambda: self._last_used(key_id))

    async def management_key(self) -> ManagementKey:
        return await self._world.call("management_key", self._management_key)

    def _list(self) -> Listing:
        world = self._world
        shown = [key for key in world.keys.values() if key.key_id not in world.hidden]
        return Listing(
            keys=tuple(key for key in shown if key.key_id not in world.unreadable),
            unreadable=tuple(a.unreadable(key) for key in shown if key.key_id in world.unreadable),
            at=world.provider_now(),
            seen_at=world.clock.now(),
            management_key_id=a.MANAGEMENT,
            management_member_id=a.MEMBER,
        )

    def _get(self, key_id: str) -> Key:
        if key_id not in self._world.keys:
            raise NotFound("get key", key_id)
        return self._world.keys[key_id]

    def _create(self, request: KeyRequest) -> Minted:
        world = self._world
        world.requests.append(request)
        created_at = world.provider_now()
        key = Key(
            key_id=f"key-made-{len(world.requests)}",
            comment=request.comment,
            scopes=request.scopes,
            tags=request.tags,
            created_at=created_at,
            expires_at=None if request.lifetime is None else created_at + request.lifetime,
            member_id=a.MEMBER,
        )
        granted = world.grant(key)
        return Minted(granted.key_id, world.add_key(granted))

    def _revoke(self, key_id: str) -> None:
        if key_id not in self._world.keys or key_id in self._world.hidden:
            raise NotFound("revoke key", key_id)
        del self._world.keys[key_id]

    def _prove(self, secret: Secret) -> Proof:
        world = self._world
        for key in world.keys.values():
            if world.secret_of[key.key_id].matches(secret):
                since = world.provider_now() - key.created_at
                works = since >= world.works_after and not key.expired(world.provider_now())
                return Proof(works, key.key_id if works and world.says_id else None)
        return Proof(accepted=False, key_id=None)

    def _last_used(self, key_id: str) -> LastUse:
        now = self._world.provider_now()
        return LastUse(
            used_at=self._world.used.get(key_id), log_begins_at=now - LOG_KEPT, log_ends_at=now - LOG_LATE
        )

    def _management_key(self) -> ManagementKey:
        key = self._world.keys[a.MANAGEMENT]
        return ManagementKey(
            key_id=key.key_id,
            scopes=key.scopes,
            key=key,
            owner_email="ops@example.com",
            owner_scopes=frozenset({"owner"}),
        )


class FakeDestinations:
    def __init__(self, world: World) -> None:
        self._world = world

    async def read(self, lineage: Lineage, fields: FieldNames, *, at_least: int = 0) -> EntryRead:
        self._world.floors.append((lineage.name, at_least))
        return await self._world.call(
            self._world.about("read_entry", lineage), lambda: self._read(lineage.name, fields)
        )

    async def check_writable(self, lineage: Lineage, fields: FieldNames) -> None:
        del fields
        await self._world.call(self._world.about("check_writable", lineage), lambda: None)

    async def publish(
        self, lineage: Lineage, fields: FieldNames, publication: Publication, *, base: int
    ) -> Published:
        def act() -> Published:
            return self._publish(lineage, fields, publication, base)

        result = self._world.call(self._world.about("publish", lineage), act)
        self._world.sent_publish = self._world.sent_publish or act
        return await result

    def _read(self, name: str, fields: FieldNames) -> EntryRead:
        world = self._world
        shown = world.versions_at(name)
        if world.stale_reads:
            world.stale_reads -= 1
            shown = shown[:-1]
        if not shown:
            return EntryRead(a.NO_ENTRY, None, world.vault_now())
        newest = shown[-1]
        values = newest.values or {}
        entry = Entry(
            state=EntryState.DELETED if newest.values is None else EntryState.PRESENT,
            version=len(shown),
            written_at=newest.written_at,
            rotation_id=values.get(ROTATION_ID_FIELD),
            key_id=values.get(str(fields.key_id)),
            has_secret=fields.secret in values,
        )
        value = values.get(fields.secret)
        return EntryRead(entry, Secret(value) if value else None, world.vault_now())

    def _publish(
        self, lineage: Lineage, fields: FieldNames, publication: Publication, base: int
    ) -> Published:
        world = self._world
        versions = world.versions_at(lineage.name)
        if len(versions) != base:
            raise Conflict("publish", lineage.name)
        before = versions[-1].values if versions else None
        expires_at = publication.expires_at
        ours = {
            fields.secret: publication.secret.reveal(),
            ROTATION_ID_FIELD: publication.rotation_id,
            str(fields.key_id): publication.key_id,
            str(fields.previous_key_id): publication.previous_key_id,
            str(fields.expires_at): expires_at.isoformat() if expires_at is not None else None,
        }
        kept = {name: value for name, value in (before or {}).items() if name not in ours}
        written = {name: value for name, value in ours.items() if value is not None}
        versions.append(Version(kept | written, world.vault_now()))
        return Published(len(versions), world.deletion_at)


class FakeJournal:
    def __init__(self, world: World) -> None:
        self._world = world

    async def control(self) -> Control | None:
        return await self._world.call("control", lambda: self._world.control)

    async def write_control(self, control: Control) -> None:
        await self._world.call("write_control", lambda: self._write_control(control))

    async def names(self) -> tuple[str, ...]:
        return await self._world.call("names", lambda: (a.LINEAGE.record_name,))

    async def read(self, name: str) -> RecordRead:
        del name
        return await self._world.call("read_record", self._read)

    async def write(self, record: Record, *, base: int) -> int:
        return await self._world.call("write_record", lambda: self._write(record, base))

    def _read(self) -> RecordRead:
        world = self._world
        shown = world.records
        if world.lagging_reads and len(shown) > 1:
            world.lagging_reads -= 1
            shown = shown[:-1]
        if not shown:
            return RecordRead(None, 0, None, world.vault_now())
        text, written_at = shown[-1]
        try:
            return RecordRead(decode(text), len(shown), written_at, world.vault_now())
        except NewerFormat as newer:
            raise TooNew("read record", a.LINEAGE.name, str(newer)) from None

    def _write_control(self, control: Control) -> None:
        there = self._world.control
        if control.version != (there.version if there else 0):
            raise Conflict("write control record", control.instance)
        self._world.control = replace(control, version=control.version + 1)

    def _write(self, record: Record, base: int) -> int:
        if len(self._world.records) != base:
            raise Conflict("write record", record.lineage.name)
        self._world.put_record(record)
        return len(self._world.records)


def before_first() -> World:
    """Return a world whose lineage was adopted and never rotated: one original, nothing in the destination."""
    world = World()
    record = a.fresh_record()
    world.add_key(a.known(record)[0])
    world.put_record(record)
    return world


def settled(record: Record | None = None) -> World:
    """Return a world that is as the record says: all its keys live, and the destination serves the current one."""
    record = record or a.record()
    world = World()
    for key in a.known(record):
        world.add_key(key)
    world.put_record(record)
    if record.current is not None:
        world.put_entry(
            record.current.key.key_id, record.current.rotation_id, versions=record.current.version
        )
    return world
