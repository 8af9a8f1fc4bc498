"""A whole estate in memory: projects with their keys, a Vault with its entries and a journal. For the service, in virtual time.

Its ports (`estate_ports`) answer as the adapters do, which the contract tests hold, and a list costs next to nothing: so a
year of many keys can be played. `rotator.simulator.world` serves HTTP, keeps what was deleted in its lists' way, and is
asked with a secret; none of that is needed here.

What happens is noted as it happens, on one true clock, for the judge of the faults (`tests.faults.outside`): every version of
every entry, every key, what each record ever said of its attempts.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from rotator.errors import Ambiguous, Conflict, Denied, NotFound, PortError, Unavailable
from rotator.model.entry import EntryState
from rotator.model.key import Key, mark_of
from rotator.model.lineage import Lineage
from rotator.model.order import Pause
from rotator.model.record import KnownKey, Record, decode, encode
from rotator.model.secret import Secret
from rotator.plan.facts import CLAIM_MARGIN
from rotator.policy.schedule import due
from rotator.ports import Control
from rotator.vault.answers import Stored
from tests.faults import outside
from tests.support import builders as a
from tests.support import canary
from tests.support.fakes import Fault
from tests.support.virtual_clock import START

T = TypeVar("T")

OTHERS = "somebody"
"""The member who made a key that shows each list to be whole."""

VAULT = "vault"

LANDS_WITHIN = timedelta(seconds=30)
"""How late a write may still land whose answer was lost."""


@dataclass(slots=True)
class Made:
    """One key, alive or not. What the provider says of its times is on its own clock; `made_at` is true."""

    key: Key
    provider: str
    secret: Secret = field(repr=False)
    made_at: datetime
    deleted_at: datetime | None = None

    @property
    def expires_at(self) -> datetime | None:
        lifetime = self.key.lifetime
        return None if lifetime is None else self.made_at + lifetime


@dataclass(slots=True)
class Project:
    """One project at one provider. `listed` are the keys that it shows, `hidden` those among them that a list leaves out.

    `changes` counts how often that became another list: one that is the same need not be made again.
    """

    name: str
    project_id: str
    listed: dict[str, Key] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    management: str = ""
    grant: Callable[[Key], Key] = lambda key: key
    changes: int = 0
    _shown: tuple[Key, ...] | None = None

    def changed(self) -> None:
        self.changes += 1
        self._shown = None

    def shown(self) -> tuple[Key, ...]:
        if self._shown is None:
            self._shown = tuple(key for key in self.listed.values() if key.key_id not in self.hidden)
        return self._shown


@dataclass(slots=True)
class Text:
    """The newest version of a record, as it is stored. It is read back out of its text, once."""

    text: str
    version: int
    written_at: datetime
    _read: Record | None = None

    def record(self) -> Record:
        if self._read is None:
            self._read = decode(self.text)
        return self._read


@dataclass(frozen=True, slots=True)
class Begun:
    """A lineage that the estate began with, or got later: its first key."""

    lineage: Lineage
    key_id: str


@dataclass(frozen=True, slots=True)
class Started:
    """A key that was asked for: when, where, and by which process."""

    at: datetime
    provider: str
    holder: str


class Estate:
    """Everything outside. `down` are the places that answer nobody, `refused` operations at places that do, `ahead` what their
    clocks are ahead of the true one.

    A share of `loses` of all writes is not answered: they happened, or did not, or do later. A share of `stumbles` of all
    calls is refused. `calls` counts by place and operation.
    """

    def __init__(self, *providers: str, seed: int = 0) -> None:
        self.chance = random.Random(seed)  # noqa: S311 (the same faults each time; nothing secret)
        self.projects = {name: Project(name, f"project-{name}") for name in providers or ("asr",)}
        self.calls: Counter[tuple[str, str]] = Counter()
        self.down: set[str] = set()
        self.refused: set[tuple[str, str]] = set()
        self.ahead: dict[str, timedelta] = {}
        self.latency = timedelta(milliseconds=20)
        self.loses = self.stumbles = 0.0
        self.credentials = 0
        self.unread_credentials: dict[str, str] = {}
        """Changes when the management keys become others."""
        self.control: Control | None = Control(journal_id=a.JOURNAL, instance="test", version=1)
        self.records: dict[str, Text] = {}
        self.made: dict[str, Made] = {}
        self.begun: dict[str, Begun] = {}
        self.starts: list[Started] = []
        self.most_under_way: Counter[tuple[str, str]] = Counter()
        """How many lineages one process worked on at once, at most: by its name and provider, "" for all of them."""
        self.connections = 0
        self._entries: dict[str, list[outside.Version]] = {}
        self._written_at: dict[tuple[str, int], datetime] = {}
        self._by_secret: dict[str, str] = {}
        self._attempts: dict[str, outside.Attempted] = {}
        self._sent: set[str] = set()
        self._claims: dict[str, tuple[str, str, datetime]] = {}
        self._untouchable: list[outside.SeenKey] = []
        self._faults: dict[str, deque[Fault]] = {}
        for project in self.projects.values():
            project.management = self.new_management(project)
            self._foreign(project, a.key(f"{project.name}-others", comment="console"), OTHERS)

    # Time

    def now(self) -> datetime:
        """Return the true time."""
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    def clock_of(self, place: str) -> datetime:
        return self.now() + self.ahead.get(place, timedelta(0))

    def date_of(self, place: str) -> datetime:
        """Return what the `Date` of an answer says: whole seconds."""
        return self.clock_of(place).replace(microsecond=0)

    # What there is

    def add_key(
        self,
        comment: str,
        *,
        provider: str = "asr",
        age: timedelta = a.DAY,
        due_in: timedelta | None = None,
        lifetime: timedelta | None = 90 * a.DAY,
        served: bool = False,
    ) -> str:
        """Add an operator's key, for the lineage `secret/PROVIDER/COMMENT`; `served`: somebody put its secret there.

        `due_in`, instead of `age`, makes it of an age at which it is due so soon by the policy's defaults.
        """
        project = self.projects[provider]
        lineage = Lineage(
            provider=provider,
            project_id=project.project_id,
            namespace="",
            mount="secret",
            path=f"{provider}/{comment}",
        )
        key_id, now = self._new_id(provider), self.clock_of(provider)

        def key_made(created_at: datetime) -> Key:
            return Key(
                key_id=key_id,
                comment=comment,
                scopes=a.SCOPES,
                tags=a.TAGS,
                created_at=created_at,
                expires_at=None if lifetime is None else created_at + lifetime,
                member_id=a.MEMBER,
            )

        if due_in is not None:
            first = due(a.POLICY, lineage.lineage_id, KnownKey.seen(key_made(now)))
            if first is None:
                raise AssertionError("such a key is never due")
            age = first.at - now - due_in
        key = key_made(now - age)
        self._keep(project, key, self.now() - age)
        self.begun[lineage.name] = Begun(lineage, key.key_id)
        if served:
            secret = self.made[key.key_id].secret.reveal()
            self.write_entry(lineage.name, {"api_key": secret, "api_key_id": key.key_id})
        return key.key_id

    def new_management(self, project: Project) -> str:
        """Add a management key, and return its id."""
        key_id = self._new_id(f"{project.name}-management")
        return self._foreign(project, a.key(key_id, comment="rotator itself", lifetime=None), a.MEMBER)

    def exchange_management(self, provider: str) -> None:
        """Let a person give the program another management key. The one before works no more."""
        project = self.projects[provider]
        before, project.management = project.management, self.new_management(project)
        self._remove(project, before)
        self._untouchable = [_seen(self.made[one.key_id]) for one in self._untouchable]
        self.credentials += 1

    def person_deletes(self, key_id: str) -> None:
        """Let a person delete a key at the provider."""
        self._remove(self.projects[self.made[key_id].provider], key_id)
        self._untouchable = [one for one in self._untouchable if one.key_id != key_id]

    def person_adds(self, comment: str, *, provider: str = "asr") -> str:
        """Let a person make a key with that comment, which may be that of one of ours."""
        key = a.key(self._new_id(provider), comment=comment, age=a.NOW - self.clock_of(provider))
        return self._foreign(self.projects[provider], key, OTHERS)

    def pause(self, *pauses: Pause) -> None:
        """Let these pauses stand, and no others."""
        if self.control is None:
            raise AssertionError("there is no journal")
        self.write_control(replace(self.control, pauses=pauses))

    def hide(self, *key_ids: str) -> None:
        """Let lists leave these keys out, and no others."""
        for project in self.projects.values():
            project.hidden = set(key_ids)
            project.changed()

    def _foreign(self, project: Project, key: Key, member: str) -> str:
        self._keep(project, replace(key, member_id=member), self.now())
        self._untouchable.append(_seen(self.made[key.key_id]))
        return key.key_id

    def _new_id(self, stem: str) -> str:
        return f"{stem}-{len(self.made):05}"

    def _keep(self, project: Project, key: Key, made_at: datetime) -> Secret:
        secret = Secret(canary.secret_text(key.key_id))
        self.made[key.key_id] = Made(key, project.name, secret, made_at)
        self._by_secret[secret.reveal()] = key.key_id
        project.listed[key.key_id] = key
        project.changed()
        return secret

    def _remove(self, project: Project, key_id: str) -> None:
        del project.listed[key_id]
        project.changed()
        self.made[key_id].deleted_at = self.now()

    # What the ports do

    def create(self, project: Project, key: Key, holder: str) -> tuple[str, Secret]:
        """Make a key; `key` is what was asked for. Return its id and secret."""
        self.starts.append(Started(self.now(), project.name, holder))
        granted = project.grant(replace(key, key_id=self._new_id(project.name)))
        return granted.key_id, self._keep(project, granted, self.now())

    def revoke(self, project: Project, key_id: str) -> None:
        if key_id not in project.listed or key_id in project.hidden:
            raise NotFound("revoke key", key_id, "404")
        self._remove(project, key_id)

    def whose(self, project: Project, secret: Secret) -> str | None:
        """Return the key whose secret it is, None when it is good for nothing now."""
        key = project.listed.get(self._by_secret.get(secret.reveal(), ""))
        return None if key is None or key.expired(self.clock_of(project.name)) else key.key_id

    def check_management(self, operation: str, project: Project, key_id: str) -> None:
        if key_id not in project.listed:
            raise Denied(operation, project.project_id, "401")

    def entry(self, name: str) -> Stored:
        """Return an entry as Vault would answer."""
        versions, at = self._entries.get(name), self.date_of(VAULT)
        if not versions:
            return Stored(state=EntryState.ABSENT, version=0, created_at=None, at=at, data={})
        newest = versions[-1]
        created_at = self._written_at[name, newest.number]
        return Stored(
            state=EntryState.PRESENT, version=newest.number, created_at=created_at, at=at, data=newest.data
        )

    def write_entry(self, name: str, data: dict[str, object], *, base: int | None = None) -> int:
        """Write an entry, at `base` only if that is given, and return its version."""
        versions = self._entries.setdefault(name, [])
        if base is not None and len(versions) != base:
            raise Conflict("publish into entry", name, "412")
        number = len(versions) + 1
        versions.append(outside.Version(number=number, at=self.now(), data=dict(data), by_hand=base is None))
        self._written_at[name, number] = self.clock_of(VAULT)
        return number

    def sends(self, rotation_id: str | None) -> None:
        """Note that a publish leaves a process."""
        self._sent.add(rotation_id or "")

    def write_record(self, record: Record, *, base: int) -> int:
        name = record.lineage.record_name
        there = self.records.get(name)
        if base != (there.version if there else 0):
            raise Conflict("write record", name, "412")
        text = encode(record)
        canary.scan(text, "the journal")
        self.records[name] = Text(text, base + 1, self.clock_of(VAULT))
        for one in record.attempts:
            self._attempts.setdefault(one.rotation_id, outside.Attempted(one.base, one.reason.value))
        self._note_claim(record)
        return base + 1

    def write_control(self, control: Control) -> None:
        if control.version != (self.control.version if self.control else 0):
            raise Conflict("write control record", control.instance, "412")
        self.control = replace(control, version=control.version + 1)

    def _note_claim(self, record: Record) -> None:
        lineage, claim = record.lineage, record.claim
        if claim is None:
            self._claims.pop(lineage.lineage_id, None)
            return
        now = self.now()
        self._claims[lineage.lineage_id] = (
            claim.holder,
            lineage.provider,
            now + claim.ttl + CLAIM_MARGIN,
        )
        theirs = [
            provider
            for holder, provider, until in self._claims.values()
            if holder == claim.holder and until > now
        ]
        for name, count in (("", len(theirs)), (lineage.provider, theirs.count(lineage.provider))):
            at_once = (claim.holder, name)
            self.most_under_way[at_once] = max(self.most_under_way[at_once], count)

    # What goes wrong

    def fails(self, operation: str, *errors: PortError | None, done: bool = False) -> None:
        """Let the next calls of that operation fail, one by one; None lets one pass. `done`: only after it took effect."""
        for error in errors:
            self._faults.setdefault(operation, deque()).append(Fault(error, done=done))

    def before(self, operation: str, happens: Callable[[], object]) -> None:
        """Let something happen just before the next call of that operation."""
        self._faults.setdefault(operation, deque()).append(Fault(first=happens))

    def carry_out(self, place: str, operation: str, target: str, act: Callable[[], T], *, writes: bool) -> T:
        """Do what a call asks for, as far as it goes well today."""
        if place in self.down or (place, operation) in self.refused:
            raise Unavailable(operation, target, "503")
        waiting = self._faults.get(operation)
        fault = waiting.popleft() if waiting else self._chanced(operation, target, act, writes=writes)
        if fault.first is not None:
            fault.first()
        if fault.error is None:
            return act()
        if fault.done:
            act()
        raise fault.error

    def _chanced(self, operation: str, target: str, act: Callable[[], T], *, writes: bool) -> Fault:
        if self.stumbles and self.chance.random() < self.stumbles:
            return Fault(Unavailable(operation, target, "500"))
        if not writes or not self.loses or self.chance.random() >= self.loses:
            return Fault()
        lost = Ambiguous(operation, target, "ReadTimeout")
        how = self.chance.randrange(3)
        if how == 0:
            delay = self.chance.random() * LANDS_WITHIN.total_seconds()
            asyncio.get_running_loop().call_later(delay, _late, act)
        return Fault(lost, done=how == 1)

    # What is seen from outside

    @property
    def most_in_an_hour(self) -> int:
        """How many rotations were started within an hour, at most. Starts are told in whole seconds."""
        hour = timedelta(minutes=59, seconds=58)
        instants = [start.at for start in self.starts]
        return max(sum(at <= other < at + hour for other in instants) for at in instants)

    def served(self, name: str) -> str | None:
        """Return the id of the key whose secret an entry holds."""
        versions = self._entries.get(name)
        return self._by_secret.get(str(versions[-1].secret)) if versions else None

    def works(self, key_id: str) -> bool:
        """Return whether a consumer can work with a key now."""
        one = self.made[key_id]
        return one.deleted_at is None and not one.key.expired(self.clock_of(one.provider))

    def alive(self, name: str) -> list[str]:
        """Return the keys of a lineage that work, its first one among them."""
        begun = self.begun[name]
        return [key_id for key_id in self._keys_of(begun) if self.works(key_id)]

    def installation(
        self, *, overlap: timedelta = a.DAY, keeps: timedelta | None = None
    ) -> outside.Installation:
        """Return all that happened, to be judged. `keeps` is for how long originals are kept, None for ever."""
        of_lineage: dict[str, list[str]] = {
            begun.lineage.lineage_id: [begun.key_id] for begun in self.begun.values()
        }
        for one in self.made.values():
            mark = mark_of(one.key.comment)
            if mark is not None and mark.journal_id == a.JOURNAL:
                of_lineage.setdefault(mark.lineage_id, []).append(one.key.key_id)
        return outside.Installation(
            lives=tuple(
                self._life(begun, of_lineage[begun.lineage.lineage_id], overlap, keeps)
                for begun in self.begun.values()
            ),
            keys=tuple(map(_seen, self.made.values())),
            untouchable=tuple(self._untouchable),
            texts={"the journal": tuple(one.text for one in self.records.values())},
        )

    def _keys_of(self, begun: Begun) -> Iterable[str]:
        yield begun.key_id
        for one in self.made.values():
            mark = mark_of(one.key.comment)
            if mark is not None and mark.lineage_id == begun.lineage.lineage_id:
                yield one.key.key_id

    def _life(
        self, begun: Begun, key_ids: list[str], overlap: timedelta, keeps: timedelta | None
    ) -> outside.Life:
        lineage = begun.lineage
        versions = tuple(self._entries.get(lineage.name, ()))
        ours = next((one.at for one in versions if not one.by_hand), None)
        record = self.records.get(lineage.record_name)
        return outside.Life(
            name=lineage.name,
            places={lineage.name: versions},
            keys=tuple(_seen(self.made[key_id]) for key_id in key_ids),
            original=begun.key_id,
            rights=(a.SCOPES, a.TAGS),
            attempts=self._attempts,
            sent=frozenset(self._sent),
            emergencies=(),
            overlap=overlap,
            released_at=None if ours is None or keeps is None else ours + keeps,
            given_up={},
            remembered=record.text if record else "",
            strays=frozenset(),
            now=self.now(),
        )


def _late(act: Callable[[], object]) -> None:
    with suppress(PortError):
        act()


def _seen(one: Made) -> outside.SeenKey:
    mark = mark_of(one.key.comment)
    return outside.SeenKey(
        key_id=one.key.key_id,
        secret=one.secret.reveal(),
        comment=one.key.comment,
        rotation_id=mark.rotation_id if mark else None,
        rights=(one.key.scopes, one.key.tags),
        created_at=one.made_at,
        expires_at=one.expires_at,
        deleted_at=one.deleted_at,
    )
