"""Many lineages at once, under one provider or several, each with a small world of its own, in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from rotator.daemon.breaker import Breaker
from rotator.daemon.sweep import sweep
from rotator.inventory.assignment import Assignment
from rotator.inventory.fleet import Fleet, Found
from rotator.model.key import Listing
from rotator.model.lineage import Lineage
from rotator.model.record import KnownKey, Record, encode
from rotator.policy.policy import Policy
from rotator.ports import Ports, RecordRead
from rotator.reconcile import Reconciled
from tests.support import builders as a
from tests.support.fakes import FakeProvider, World
from tests.support.virtual_loop import LoopClock

T = TypeVar("T")

_numbers = itertools.count(1)

AT_PROVIDER = ("list_keys", "get_key", "create_key", "revoke_key", "prove")


@dataclass(frozen=True, slots=True)
class Called:
    """One call: when it came back, in seconds, which lineage it was for, and what it was."""

    at: float
    path: str
    name: str


class Part(World):
    """The world of one lineage. Calls to its provider take `latency`; `called` notes all, together with the others'."""

    def __init__(self, provider: str, path: str, called: list[Called]) -> None:
        super().__init__()
        self.clock = LoopClock()
        self.latency = timedelta(0)
        self.lineage = replace(a.LINEAGE, provider=provider, path=path)
        self.policy = a.POLICY
        self.new = False
        self._called = called

    def next_number(self) -> int:
        return next(_numbers)

    async def call(self, name: str, act: Callable[[], T]) -> T:
        if name.startswith(AT_PROVIDER):
            await self.clock.sleep(self.latency)
        self._called.append(Called(self.clock.monotonic(), self.lineage.path, name))
        return await super().call(name, act)


@dataclass(slots=True)
class Crowd:
    """All lineages by their paths, and what was called, in order."""

    parts: dict[str, Part] = field(default_factory=dict)
    called: list[Called] = field(default_factory=list)
    breakers: MutableMapping[str, Breaker] = field(default_factory=dict)

    def add(
        self,
        path: str,
        *,
        provider: str = "asr",
        due: bool = True,
        expires: timedelta = 10 * a.DAY,
        new: bool = False,
        served: bool = False,
        record: Callable[[Record], Record] = lambda record: record,
        policy: Policy = a.POLICY,
    ) -> Part:
        """Add a lineage whose key expires so soon: an original, or (`served`) one that its destination serves.

        `new`: nobody took it in yet.
        """
        part = Part(provider, path, self.called)
        age = 90 * a.DAY - expires if due else a.DAY
        own = a.key(f"key-{path}", comment=path, age=age, lifetime=90 * a.DAY)
        part.add_key(own)
        part.new, part.policy = new, policy
        if not new:
            begun = a.fresh_record(replace(a.original(superseded=None), key=KnownKey.seen(own)))
            if served:
                part.put_entry(own.key_id, None)
                current = replace(a.current(own, version=1), rotation_id=None)
                begun = replace(begun, current=current, originals=())
            part.records.append((encode(record(replace(begun, lineage=part.lineage))), a.NOW))
        self.parts[path] = part
        return part

    def fleet(self) -> Fleet:
        """Return what a survey would see now."""
        found = [self._found(path, part) for path, part in self.parts.items()]
        names = dict.fromkeys(part.lineage.provider for part in self.parts.values())
        return Fleet(
            listings={name: self._listing(name) for name in names},
            found=tuple(found),
            excluded={},
            idle=(),
            strays=(),
            troubles=(),
            records=tuple(one.record.record for one in found if one.record and one.record.record),
        )

    def _found(self, path: str, part: Part) -> Found:
        record = None
        if part.records:
            record = RecordRead(part.record, len(part.records), part.records[-1][1], part.vault_now())
        matched = f"key-{path}" if record is None else None
        assignment = Assignment(lineage=part.lineage, policy=part.policy, matched_key_id=matched)
        return Found(assignment=assignment, provider=part.lineage.provider, record=record)

    def _listing(self, provider: str) -> Listing:
        listings = [
            FakeProvider(part)._list() for part in self.parts.values() if part.lineage.provider == provider
        ]
        keys = {key.key_id: key for listing in listings for key in listing.keys}
        return replace(listings[0], keys=tuple(keys.values()))

    def ports(self, lineage: Lineage) -> Ports:
        return self.parts[lineage.path].ports()

    async def sweep(
        self,
        *,
        concurrency: int = 8,
        starts_per_hour: int = 60,
        limit: int | None = None,
        stopping: Callable[[], bool] = lambda: False,
        surveyed_before: timedelta = timedelta(0),
    ) -> dict[str, Reconciled]:
        """Sweep once, so long after its survey, and return where each lineage stands by its path."""
        fleet = self.fleet()
        await LoopClock().sleep(surveyed_before)
        ended = await sweep(
            fleet,
            lambda lineage: replace(self.ports(lineage), stopping=stopping),
            concurrency=concurrency,
            starts_per_hour=starts_per_hour,
            limit=limit,
            breakers=self.breakers,
        )
        return {one.lineage.removeprefix("secret/"): one for one in ended}

    def created(self) -> list[str]:
        """Return the lineages for which a key was asked for, in that order."""
        return [call.path for call in self.called if call.name == "create_key"]
