"""A whole installation for one test: real Vault, simulated Deepgram over real HTTP, and time that a test moves.

The Vault server's own clock can't be moved. So what it says of time is shifted on its way to us: each version
keeps the shift of the moment at which it was written, each read gets the shift of now.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from rotator.bootstrap import Connected
from rotator.clock import SystemClock
from rotator.daemon.sweep import sweep
from rotator.http import HttpClient
from rotator.model.entry import FieldNames, Publication
from rotator.model.key import Listing
from rotator.model.lineage import Lineage
from rotator.model.record import Record, encode
from rotator.model.secret import Secret
from rotator.model.told import Step, Told
from rotator.policy.load import load
from rotator.ports import Control, EntryRead, Minted, Published, RecordRead
from rotator.providers.deepgram import Deepgram
from rotator.reconcile import Reconciled
from rotator.simulator.deepgram import DeepgramSimulator
from rotator.simulator.vault_server import VaultServer
from rotator.simulator.world import Quirks, World
from rotator.vault.client import VaultClient
from rotator.vault.destinations import VaultDestinations
from rotator.vault.journal import VaultJournal
from tests.support import canary
from tests.support.fakes import nothing, nothing_changes

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
JOURNAL_ID = "c0ffee123456"


class TravelClock:
    """Real time plus a shift; sleeping only moves the shift."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self.shift = timedelta(0)

    def now(self) -> datetime:
        return self._real.now() + self.shift

    def monotonic(self) -> float:
        return self._real.monotonic() + self.shift.total_seconds()

    async def sleep(self, duration: timedelta) -> None:
        self.shift += duration


class PatientClock(TravelClock):
    """Real time plus a shift; sleeping takes its time, for what is waited for is a server that takes its own."""

    async def sleep(self, duration: timedelta) -> None:
        await self._real.sleep(duration)


class ShiftedJournal:
    """The real journal, as it would be if Vault's clock were the test's."""

    def __init__(self, inner: VaultJournal, clock: TravelClock) -> None:
        self._inner, self._clock = inner, clock
        self._shifts: dict[tuple[str, int], timedelta] = {}
        self.written: list[str] = []

    async def control(self) -> Control | None:
        return await self._inner.control()

    async def write_control(self, control: Control) -> None:
        await self._inner.write_control(control)

    async def names(self) -> tuple[str, ...]:
        return await self._inner.names()

    async def read(self, name: str) -> RecordRead:
        read = await self._inner.read(name)
        shift = self._shifts.get((name, read.version), timedelta(0))
        written_at = None if read.written_at is None else read.written_at + shift
        return RecordRead(read.record, read.version, written_at, read.at + self._clock.shift)

    async def write(self, record: Record, *, base: int) -> int:
        self.written.append(encode(record))
        shift = self._clock.shift
        version = await self._inner.write(record, base=base)
        self._shifts[record.lineage.record_name, version] = shift
        return version


class ShiftedDestinations:
    """The real destinations, as they would be if Vault's clock were the test's."""

    def __init__(self, inner: VaultDestinations, clock: TravelClock) -> None:
        self._inner, self._clock = inner, clock
        self._shifts: dict[tuple[str, int], timedelta] = {}
        self.sent: set[str] = set()

    async def read(self, lineage: Lineage, fields: FieldNames, *, at_least: int = 0) -> EntryRead:
        read = await self._inner.read(lineage, fields, at_least=at_least)
        entry = read.entry
        if entry.written_at is not None:
            shift = self._shifts.setdefault((lineage.name, entry.version), self._clock.shift)
            entry = replace(entry, written_at=entry.written_at + shift)
        return EntryRead(entry, read.secret, read.at + self._clock.shift)

    async def check_writable(self, lineage: Lineage, fields: FieldNames) -> None:
        await self._inner.check_writable(lineage, fields)

    async def publish(
        self, lineage: Lineage, fields: FieldNames, publication: Publication, *, base: int
    ) -> Published:
        shift = self._clock.shift
        self.sent |= {publication.rotation_id} if publication.rotation_id else set()
        published = await self._inner.publish(lineage, fields, publication, base=base)
        self._shifts[lineage.name, published.version] = shift
        return published


@dataclass(slots=True)
class Lab:
    """One installation under test."""

    clock: TravelClock
    world: World
    simulator: DeepgramSimulator
    project_id: str
    management: Minted
    ours: str
    ann: str
    vault: VaultClient
    connected: Connected
    journal: ShiftedJournal
    place: str
    told: list[Told] = field(default_factory=list)

    def key(
        self,
        comment: str,
        *,
        age: timedelta = timedelta(0),
        lifetime: timedelta | None = 90 * DAY,
        scopes: tuple[str, ...] = ("usage:write",),
        tags: tuple[str, ...] = ("prod",),
        member: str | None = None,
    ) -> Minted:
        """Make a key as a person would, `age` ago."""
        created_at = self.clock.now() - age
        return self.world.add_key(
            self.project_id,
            member_id=member or self.ann,
            comment=comment,
            scopes=scopes,
            tags=tags,
            created_at=created_at,
            expires_at=None if lifetime is None else created_at + lifetime,
        )

    async def sweep(self, *, connected: Connected | None = None) -> dict[str, Reconciled]:
        """Look at everything and reconcile it once; return where each lineage stands, by its slug."""
        connected = connected or self.connected
        results = await sweep(
            await connected.survey(),
            lambda lineage: connected.ports(lineage, stopping=lambda: False, tell=self.told.append),
            concurrency=4,
            starts_per_hour=connected.file.limits.starts_per_hour,
        )
        return {result.lineage.rpartition("/")[2]: result for result in results}

    def another(self, name: str) -> Connected:
        """Return a second process of the same installation."""
        return replace(self.connected, holder=name)

    def lineage(self, slug: str) -> Lineage:
        return Lineage(
            provider="asr",
            project_id=self.project_id,
            namespace="",
            mount="secret",
            path=f"rotated/{self.place}/{slug}",
        )

    async def served(self, slug: str) -> EntryRead:
        return await self.connected.destinations.read(self.lineage(slug), FieldNames())

    async def works(self, slug: str) -> bool:
        """Return whether what Vault serves is accepted by the provider now."""
        secret = (await self.served(slug)).secret
        return secret is not None and self.world.accepts(secret)

    async def put(self, slug: str, secret: Secret, *, base: int = 0, **more: str) -> None:
        """Write an entry by hand."""
        fields = {FieldNames().secret: secret.reveal(), **more}
        lineage = self.lineage(slug)
        await self.vault.write("put by hand", lineage.mount, lineage.path, fields, base=base)

    async def record(self, slug: str) -> Record:
        read = await self.journal.read(self.lineage(slug).record_name)
        assert read.record is not None
        return read.record

    async def listing(self) -> Listing:
        return await self.connected.providers["asr"].list_keys()

    def alive(self, key_id: str) -> bool:
        key = self.world.key(key_id)
        return key is not None and key.deleted_at is None

    def steps(self, slug: str) -> list[Step]:
        """Return what was told of one lineage, in order."""
        return [told.step for told in self.told if told.lineage == self.lineage(slug).name]


@asynccontextmanager
async def lab(
    server: VaultServer,
    token: Secret,
    place: str,
    *,
    quirks: Quirks | None = None,
    ca_cert: Path | None = None,
    clock: TravelClock | None = None,
    client_of: type[VaultClient] = VaultClient,
) -> AsyncIterator[Lab]:
    """Set up one installation; in the end, look for the canary in all that was written to the journal and told."""
    clock = clock or TravelClock()
    world = World(clock, quirks=quirks, secret_factory=_Secrets())
    simulator = DeepgramSimulator(world)
    project_id = world.add_project()
    ours, ann = world.add_member(project_id, email="ops@x.test"), world.add_member(project_id)
    management = world.add_key(project_id, member_id=ours, comment="rotator itself", scopes=("owner",))
    timeout = timedelta(seconds=10)
    async with simulator.serve() as base_url:
        vault = client_of(
            address=server.address,
            auth=token,
            namespace="",
            ca_cert=None if ca_cert is None else str(ca_cert),
            call_timeout=timeout,
            clock=clock,
        )
        http = HttpClient(base_url, call_timeout=timeout, concurrency=8)
        prefix = f"rotator-journal/{place}"
        journal = ShiftedJournal(VaultJournal(vault, mount="secret", prefix=prefix), clock)
        inner = VaultDestinations(vault, clock, journal_mount="secret", journal_prefix=prefix)
        text = POLICY.format(project_id=project_id, place=place, prefix=prefix, base_url=base_url)
        connected = Connected(
            file=load(text.encode(), name="lab.yaml"),
            clock=clock,
            journal=journal,
            destinations=ShiftedDestinations(inner, clock),
            providers={
                "asr": Deepgram(http, project_id=project_id, management=management.secret, clock=clock)
            },
            namespace="",
            holder="first",
            journal_id=JOURNAL_ID,
            renew=nothing,
            read_again=nothing_changes,
        )
        made = Lab(
            clock, world, simulator, project_id, management, ours, ann, vault, connected, journal, place
        )
        try:
            yield made
        finally:
            await http.aclose()
            await vault.aclose()
    canary.scan("\n".join(journal.written), "the journal")
    canary.scan("\n".join(map(repr, made.told)), "what was told")


class _Secrets:
    """Secrets with the canary in them, each another one."""

    def __init__(self) -> None:
        self._made = 0

    def __call__(self) -> str:
        self._made += 1
        return canary.secret_text(f"made {self._made}")


POLICY = """\
version: 1
vault:
  address: http://127.0.0.1:8200
  auth: {{token: {{env: UNUSED}}}}
  journal: {{mount: secret, prefix: {prefix}}}
providers:
  asr:
    type: deepgram
    project_id: {project_id}
    base_url: {base_url}
    credential: {{env: UNUSED}}
defaults:
  adopt: when_due
  max_age: 300d
  destination: {{path: "rotated/{place}/{{slug}}"}}
policies:
  - name: standard
    provider: asr
    select: {{comment: "voice *"}}
"""
