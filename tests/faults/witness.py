"""Collects for the judge (`outside`) what happens to an installation on a cluster, past the restores of its Vault.

A restore takes away what was served and remembered since; that is noted just before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotator.clock import SystemClock
from rotator.model.reason import HoldReason
from rotator.model.told import Step
from rotator.plan import facts
from rotator.plan.actions import Hold, Wait
from rotator.reconcile import Reconciled
from rotator.simulator.world import SimulatedKey
from tests.faults.collected import all_versions, attempts_in, keys_of, records, seen
from tests.faults.outside import Installation, Life, Look, SeenKey, Version
from tests.faults.phases import CALM
from tests.support.lab import Lab, ShiftedDestinations
from tests.support.vault_cluster import Cluster
from tests.support.vault_lab import Reply

OVERLAP = timedelta(hours=24) - timedelta(seconds=1)
"""That of the lab's policy, which says nothing about it. An instant is as exact as our note of when time was moved."""

_REAL = SystemClock()


@dataclass(slots=True)
class Witness:
    """What happened so far. `slugs` are the lineages, each with the key that a person made for it."""

    cluster: Cluster
    site: Lab
    slugs: dict[str, str] = field(default_factory=dict)
    untouchable: list[SeenKey] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    emergencies: list[tuple[str, datetime]] = field(default_factory=list)
    by_hand: set[tuple[str, int]] = field(default_factory=set)
    _shifts: list[tuple[datetime, timedelta]] = field(default_factory=list)
    _past: dict[str, list[Version]] = field(default_factory=dict)
    _records: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def pass_time(self, duration: timedelta) -> None:
        """Let time pass for everybody."""
        self._shifts.append((_REAL.now(), self.site.clock.shift))
        self.site.clock.shift += duration

    def versions(self, slug: str) -> tuple[Version, ...]:
        """Return the versions of an entry in the order in which they were served, by instants on the clock of the test."""
        past = self._past.get(slug, [])
        return (*past, *self._since(slug, past[-1].number if past else 0))

    def _since(self, slug: str, number: int) -> Iterator[Version]:
        for version in all_versions(self._ask, "secret", self.site.lineage(slug).path):
            if version.number > number:
                at = version.at + self._shift_at(version.at)
                yield replace(version, at=at, by_hand=(slug, version.number) in self.by_hand)

    def _shift_at(self, written: datetime) -> timedelta:
        return next((shift for at, shift in self._shifts if written < at), self.site.clock.shift)

    def restore(self, snapshot: bytes, *, force: bool = False) -> None:
        """Let Vault go back in time, and remember what it is made to forget."""
        past = {slug: list(self.versions(slug)) for slug in self.slugs}
        texts = self._records_ever()
        self.cluster.restore(snapshot, force=force)
        for slug, versions in past.items():
            newest = list(self._since(slug, 0))[-1]
            versions.append(replace(newest, at=self.site.clock.now(), by_hand=True))
        self._past, self._records = past, texts
        self.by_hand.clear()

    def served(self, slug: str) -> SimulatedKey | None:
        """Return the key whose secret Vault serves, by the newest version at the active node."""
        secret = self.cluster.root.data(self.site.lineage(slug).path).get("api_key")
        return next((key for key in self._keys() if key.secret.reveal() == secret), None)

    def alive(self) -> Iterable[SimulatedKey]:
        """Return the keys that the provider has."""
        return self.site.world.keys(self.site.project_id)

    def deleted(self) -> list[str]:
        """Return the ids of the keys that are gone from the provider, in their order."""
        gone = {key.key_id: key.deleted_at for key in self._keys() if key.deleted_at is not None}
        return sorted(gone, key=gone.__getitem__)

    def saw(self, results: Mapping[str, Reconciled]) -> None:
        """Note what a sweep ended in: whatever is held has to be told."""
        held = {result.lineage for result in results.values() if isinstance(_stands(result), Hold)}
        told = [told for told in self.site.told if told.step is Step.HELD and told.lineage in held]
        silent = held - {each.lineage for each in told}
        said = () if silent else tuple(f"{each.lineage}: {each.reason}" for each in told)
        self.looks.append(Look(not held, said))

    async def strays(self) -> frozenset[str]:
        """Return the keys that a look shows as stray, and those for whose lost record a lineage is held."""
        found = set()
        for one in (await self.site.sweep()).values():
            if one.last is None:
                continue
            found |= {key.key_id for key in facts.strays(one.last.snapshot)}
            stands = one.last.stands
            if isinstance(stands, Hold) and stands.reason is HoldReason.LOST_RECORD:
                found |= {key.key_id for key in facts.marked_for_us(one.last.snapshot)}
        fleet = await self.site.connected.survey()
        return frozenset(found | {stray.key.key_id for stray in fleet.strays})

    async def broken(self, *, at_rest: bool) -> tuple[str, ...]:
        """Return what was broken until now."""
        strays, texts = await self.strays(), self._records_ever()
        happened = Installation(
            lives=tuple(self._life(slug, strays, texts) for slug in self.slugs),
            keys=tuple(map(seen, self._keys())),
            untouchable=tuple(self.untouchable),
            texts={
                "the journal": tuple(text for some in texts.values() for text in some),
                "what was told": tuple(map(repr, self.site.told)),
            },
            looks=tuple(self.looks),
        )
        return happened.broken(at_rest=at_rest)

    def _life(self, slug: str, strays: frozenset[str], texts: Mapping[str, tuple[str, ...]]) -> Life:
        lineage, original = self.site.lineage(slug), self.slugs[slug]
        first, now = self.site.world._keys[original], self._records_now().get(lineage.lineage_id, ())
        destinations = self.site.connected.destinations
        assert isinstance(destinations, ShiftedDestinations)
        return Life(
            name=slug,
            places={lineage.path: self.versions(slug)},
            keys=keys_of(lineage.lineage_id, original, self._keys()),
            original=original,
            rights=seen(first).rights,
            attempts=attempts_in(texts.get(lineage.lineage_id, ())),
            sent=frozenset(destinations.sent),
            emergencies=tuple(at for ordered, at in self.emergencies if ordered == slug),
            overlap=OVERLAP,
            released_at=None,
            given_up={},
            remembered=now[-1] if now else "",
            strays=strays,
            now=self.site.clock.now(),
        )

    def _keys(self) -> tuple[SimulatedKey, ...]:
        self.site.world.settle()
        return tuple(self.site.world._keys.values())

    def _records_now(self) -> dict[str, tuple[str, ...]]:
        return records(self._ask, "secret", f"rotator-journal/{self.site.place}")

    def _records_ever(self) -> dict[str, tuple[str, ...]]:
        now = self._records_now()
        return {name: (*self._records.get(name, ()), *now.get(name, ())) for name in {**self._records, **now}}

    def _ask(self, path: str) -> Reply:
        return self.cluster.root.ask("GET", path)


def wrong_in(result: Reconciled) -> Iterator[str]:
    """Yield what the program says of a lineage that is not as it should be."""
    stands = _stands(result)
    if result.error is not None:
        yield f"{result.lineage}: {result.error}"
    if isinstance(stands, Hold) or (isinstance(stands, Wait) and stands.reason not in CALM):
        yield f"{result.lineage}: {stands.reason}"
    if result.left is not None:
        yield f"{result.lineage}: left: {result.left.reason}"


def _stands(result: Reconciled) -> object:
    return result.last.stands if result.last else None
