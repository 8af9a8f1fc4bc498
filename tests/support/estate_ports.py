"""The ports of an estate, as one process has them, and the connection that its policy file gives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from rotator.clock import Clock
from rotator.daemon.link import CredentialsSeen
from rotator.errors import NotFound, PortError, Rejected
from rotator.model.entry import FieldNames, Publication
from rotator.model.key import Key, KeyRequest, Listing
from rotator.model.lineage import Lineage
from rotator.model.record import Record
from rotator.model.secret import Secret
from rotator.model.told import CallMade, Heard, Told, unheard
from rotator.policy.load import load
from rotator.policy.settings import PolicyFile
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
from rotator.shared import Shared
from rotator.vault import fields as entry_fields
from tests.support import builders as a
from tests.support.estate import VAULT, Estate, Project
from tests.support.fakes import Died
from tests.support.virtual_loop import LoopClock

T = TypeVar("T")


class WallClock(LoopClock):
    """The clock of one machine in a virtual loop: a person, or NTP, sets it `ahead` of the true one."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass(slots=True)
class Line:
    """How one process calls. A process that is `dead` is no more, as soon as a call of its would come back."""

    estate: Estate
    clock: Clock
    holder: str
    heard: Heard = unheard
    dead: bool = False

    async def call(
        self, place: str, operation: str, target: str, act: Callable[[], T], *, writes: bool = False
    ) -> T:
        estate, began = self.estate, self.clock.monotonic()
        self._lives()
        estate.calls[place, operation] += 1
        if (
            estate.latency or operation != "read record"
        ):  # most reads by far, and each of one record: no turn for nothing
            await self._travel(estate.latency / 2 if writes else estate.latency)
        result = "200"
        try:
            answer = estate.carry_out(place, operation, target, act, writes=writes)
        except PortError as error:
            result = type(error).__name__.lower()
            raise
        finally:
            took = timedelta(seconds=self.clock.monotonic() - began)
            self.heard(CallMade(to=place, operation=operation, result=result, took=took))
        if writes:
            await self._travel(estate.latency / 2)
        self._lives()
        return answer

    async def _travel(self, latency: timedelta) -> None:
        if latency:
            await self.clock.sleep(latency)
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn

    def _lives(self) -> None:
        if self.dead:
            raise Died


class EstateProvider:
    """One project, with the management key that it had when this was connected."""

    def __init__(self, line: Line, project: Project) -> None:
        self._line, self._project = line, project
        self._management = project.management
        self._read: set[str] = set()
        self._seen_changes = -1
        self._listing = Shared(self._list)

    async def list_keys(self) -> Listing:
        return await self._listing()

    async def get_key(self, key_id: str) -> Key:
        def act() -> Key:
            if key_id not in self._project.listed:
                raise NotFound("read key", key_id, "404")
            self._read.add(key_id)
            return self._project.listed[key_id]

        return await self._call("read key", key_id, act)

    async def create_key(self, request: KeyRequest) -> Minted:
        def act() -> Minted:
            created_at = self._line.estate.clock_of(self._project.name)
            seconds = None if request.lifetime is None else int(request.lifetime.total_seconds())
            asked = Key(
                key_id="",
                comment=request.comment,
                scopes=request.scopes,
                tags=request.tags,
                created_at=created_at,
                expires_at=None if seconds is None else created_at + timedelta(seconds=seconds),
                member_id=a.MEMBER,
            )
            return Minted(*self._line.estate.create(self._project, asked, self._line.holder))

        return await self._call("create key", self._project.project_id, act, writes=True)

    async def revoke_key(self, key_id: str) -> None:
        if key_id == self._management:
            raise Rejected("revoke key", key_id, "it is the management key in use")
        await self._call(
            "revoke key", key_id, lambda: self._line.estate.revoke(self._project, key_id), writes=True
        )

    async def prove(self, secret: Secret) -> Proof:
        def act() -> Proof:
            key_id = self._line.estate.whose(self._project, secret)
            return Proof(accepted=key_id is not None, key_id=key_id)

        return await self._line.call(self._project.name, "prove secret", self._project.project_id, act)

    async def last_used(self, key_id: str) -> LastUse:
        raise NotImplementedError(key_id)

    async def management_key(self) -> ManagementKey:
        raise NotImplementedError

    async def _list(self) -> Listing:
        at, shown = await self._call("list keys", self._project.project_id, self._shown)
        return Listing(
            keys=shown,
            at=at,
            seen_at=self._line.clock.now(),
            management_key_id=self._management,
            management_member_id=a.MEMBER,
        )

    def _shown(self) -> tuple[datetime, tuple[Key, ...]]:
        """Return what a list shows. A key that was not seen before is read by itself."""
        project, estate = self._project, self._line.estate
        shown = project.shown()
        if self._seen_changes != project.changes:
            ids = {key.key_id for key in shown}
            estate.calls[project.name, "read key"] += len(ids - self._read)
            self._read, self._seen_changes = ids, project.changes
        return estate.date_of(project.name), shown

    async def _call(self, operation: str, target: str, act: Callable[[], T], *, writes: bool = False) -> T:
        def allowed() -> T:
            self._line.estate.check_management(operation, self._project, self._management)
            return act()

        return await self._line.call(self._project.name, operation, target, allowed, writes=writes)


class EstateDestinations:
    """The entries in Vault."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def read(self, lineage: Lineage, fields: FieldNames, *, at_least: int = 0) -> EntryRead:
        del at_least
        found = await self._line.call(
            VAULT, "read entry", lineage.name, lambda: self._line.estate.entry(lineage.name)
        )
        return EntryRead(
            entry_fields.entry_of(found, fields), entry_fields.secret_of(found, fields), found.at
        )

    async def check_writable(self, lineage: Lineage, fields: FieldNames) -> None:
        del fields
        await self._line.call(VAULT, "check entry", lineage.name, lambda: None)

    async def publish(
        self, lineage: Lineage, fields: FieldNames, publication: Publication, *, base: int
    ) -> Published:
        estate = self._line.estate

        def act() -> Published:
            data = entry_fields.merged(estate.entry(lineage.name).data, fields, publication)
            return Published(estate.write_entry(lineage.name, data, base=base), None)

        estate.sends(publication.rotation_id)
        return await self._line.call(VAULT, "publish into entry", lineage.name, act, writes=True)


class EstateJournal:
    """The journal in Vault."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._control = Shared(self._read_control)

    async def control(self) -> Control | None:
        return await self._control()

    async def write_control(self, control: Control) -> None:
        await self._line.call(
            VAULT,
            "write control record",
            control.instance,
            lambda: self._line.estate.write_control(control),
            writes=True,
        )

    async def names(self) -> tuple[str, ...]:
        return await self._line.call(
            VAULT, "list records", "lineages", lambda: tuple(self._line.estate.records)
        )

    async def read(self, name: str) -> RecordRead:
        estate = self._line.estate

        def act() -> RecordRead:
            at, there = estate.date_of(VAULT), estate.records.get(name)
            if there is None:
                return RecordRead(None, 0, None, at)
            return RecordRead(there.record(), there.version, there.written_at, at)

        return await self._line.call(VAULT, "read record", name, act)

    async def write(self, record: Record, *, base: int) -> int:
        return await self._line.call(
            VAULT,
            "write record",
            record.lineage.record_name,
            lambda: self._line.estate.write_record(record, base=base),
            writes=True,
        )

    async def _read_control(self) -> Control | None:
        estate = self._line.estate

        def act() -> Control | None:
            return estate.control and replace(estate.control, at=estate.date_of(VAULT))

        return await self._line.call(VAULT, "read control record", "control", act)


class EstateRotationIds:
    def __init__(self, estate: Estate) -> None:
        self._estate = estate

    def new(self) -> str:
        return f"{self._estate.chance.getrandbits(64):016x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EstateLink:
    """A `daemon.link.Link`."""

    file: PolicyFile
    line: Line
    journal: EstateJournal
    destinations: EstateDestinations
    providers: Mapping[str, EstateProvider]
    journal_id: str
    credentials: int
    namespace: str = ""

    @property
    def clock(self) -> Clock:
        return self.line.clock

    @property
    def holder(self) -> str:
        return self.line.holder

    async def look_after(self) -> CredentialsSeen:
        self.line.estate.carry_out("our token", "renew", "our token", lambda: None, writes=False)
        estate = self.line.estate
        return CredentialsSeen(estate.credentials != self.credentials, dict(estate.unread_credentials))

    def with_file(self, file: PolicyFile) -> EstateLink:
        return replace(self, file=file)

    def ports(self, lineage: Lineage, *, stopping: Callable[[], bool], tell: Callable[[Told], None]) -> Ports:
        name = next(p.name for p in self.file.providers if p.project_id == lineage.project_id)
        return Ports(
            provider=self.providers[name],
            destinations=self.destinations,
            journal=self.journal,
            clock=self.clock,
            rotation_ids=EstateRotationIds(self.line.estate),
            holder=self.holder,
            journal_id=self.journal_id,
            claim_ttl=self.file.runtime.claim_ttl,
            stopping=stopping,
            tell=tell,
        )


@asynccontextmanager
async def connect(file: PolicyFile, line: Line) -> AsyncIterator[EstateLink]:
    """Connect as `bootstrap.connect` does, to the projects that the file names."""
    estate, journal = line.estate, EstateJournal(line)
    by_id = {project.project_id: project for project in estate.projects.values()}
    control = await journal.control()
    if control is None:
        control = Control(journal_id=a.JOURNAL, instance=file.instance)
        await journal.write_control(control)
    if control.instance != file.instance:
        raise Rejected("open journal", file.instance, f"it belongs to instance {control.instance}")
    estate.connections += 1
    try:
        yield EstateLink(
            file=file,
            line=line,
            journal=journal,
            destinations=EstateDestinations(line),
            providers={one.name: EstateProvider(line, by_id[one.project_id]) for one in file.providers},
            journal_id=control.journal_id,
            credentials=estate.credentials,
        )
    finally:
        estate.connections -= 1


ALL = "{name: all, provider: '*', select: {comment: '*', except: {comment: console}}, adopt: when_due}"
"""A policy that takes all keys but those that no estate lets be taken."""


def policy_text(
    estate: Estate,
    policies: str = f"- {ALL}",
    *,
    instance: str = "test",
    runtime: str = "",
    starts_per_hour: int = 60,
) -> str:
    """Return a policy file for all projects of an estate. `runtime` are its options, such as `sweep_every: 1h`."""
    providers = "\n".join(
        f"  {name}: {{type: deepgram, project_id: {project.project_id}, credential: {{env: K}}}}"
        for name, project in estate.projects.items()
    )
    indented = policies.replace("\n", "\n  ")
    return f"""
version: 1
instance: {instance}
vault: {{address: "http://127.0.0.1:8200", auth: {{token: {{env: VAULT_TOKEN}}}}}}
runtime: {{{runtime}}}
limits: {{starts_per_hour: {starts_per_hour}}}
providers:
{providers}
defaults: {{destination: {{path: "{{provider}}/{{slug}}"}}}}
policies:
  {indented}
"""


def policy_file(text: str) -> PolicyFile:
    return load(text.encode(), name="policy.yaml")
