"""A judge of the promises who stands outside: what Vault serves, by root's hands, and what the simulated provider has.

Nothing that rotator says or remembers is believed. The one exception is P2, whose words are about what it shows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rotator.model.key import mark_of
from rotator.plan import facts
from rotator.simulator.world import SimulatedKey, World
from tests.support.canary import CANARY
from tests.support.lab import Lab
from tests.support.vault_cluster import Cluster

OVERLAP = timedelta(hours=24)
"""That of the lab's policy, which says nothing about it."""


class JudgedWorld(World):
    """A provider that looks at Vault whenever somebody calls to delete a key. `every` are all keys there ever were."""

    judge: Judge | None = None

    def keep(self, key: SimulatedKey) -> None:
        super().keep(key)
        if self.judge is not None:
            self.judge.every[key.secret.reveal()] = key

    def delete(self, key_id: str, at: datetime) -> None:
        if self.judge is not None:
            self.judge.look_at_deletion(key_id)
        super().delete(key_id, at)

    def person_deletes(self, key_id: str) -> None:
        self.settle()
        super().delete(key_id, self.clock.now())


@dataclass(slots=True)
class Version:
    """One version of an entry: when it was written, on the test's clock, and the key whose secret it holds."""

    number: int
    at: datetime
    key: SimulatedKey | None
    rotation_id: object


@dataclass(slots=True)
class Judge:
    """Judges one installation. `broken` says of each broken promise what was seen.

    `slugs` are its lineages, each with the key that a person made for it; `foreign` are keys that are none of them;
    `by_hand` are versions of entries that the test wrote.
    """

    cluster: Cluster
    site: Lab
    slugs: dict[str, str] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    emergency: bool = False
    every: dict[str, SimulatedKey] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    by_hand: set[tuple[str, int]] = field(default_factory=set)
    _shifts: list[tuple[datetime, timedelta]] = field(default_factory=list)
    _known: dict[tuple[str, int, str], dict[str, object]] = field(default_factory=dict)

    def own(self, slug: str, key_id: str) -> None:
        """Count a key that a person made as the first of a lineage."""
        self.slugs[slug] = key_id

    def pass_time(self, duration: timedelta) -> None:
        """Let time pass for everybody."""
        self._shifts.append((datetime.now(UTC), self.site.clock.shift))  # noqa: TID251 (Vault's own clock)
        self.site.clock.shift += duration

    def versions(self, slug: str) -> list[Version]:
        """Return the versions of an entry that hold data, the oldest first."""
        root, path = self.cluster.root, self.site.lineage(slug).path
        reply = root.ask("GET", f"secret/metadata/{path}")
        if reply.status != 200:
            return []
        listed: dict[str, Any] = json.loads(reply.body)["data"]["versions"]
        found = []
        for number in sorted(map(int, listed)):
            created = str(listed[str(number)]["created_time"])
            if (path, number, created) not in self._known:
                self._known[path, number, created] = root.data(path, number)
            data = self._known[path, number, created]
            written = datetime.fromisoformat(created)
            key = self.every.get(str(data.get("api_key")))
            found.append(Version(number, written + self._shift_at(written), key, data.get("rotation_id")))
        return found

    def served(self, slug: str) -> SimulatedKey | None:
        """Return the key whose secret Vault serves, by the newest version at the active node."""
        data = self.cluster.root.data(self.site.lineage(slug).path)
        return self.every.get(str(data.get("api_key")))

    def look_at_deletion(self, key_id: str) -> None:
        """Judge a deletion that is about to happen: P1, P3 and P4."""
        self.deleted.append(key_id)
        mine = [slug for slug in self.slugs if key_id in self._keys_of(slug)]
        if key_id in self.foreign or len(mine) != 1:
            self.broken.append(f"P4: key {key_id}, which is none of ours, was deleted")
            return
        for slug in self.slugs:
            served = self.served(slug)
            if served is not None and served.key_id == key_id:
                self.broken.append(f"P1: key {key_id} was deleted while {slug} served it")
        self._look_at_successor(key_id, mine[0], self.versions(mine[0]))

    def _look_at_successor(self, key_id: str, slug: str, versions: list[Version]) -> None:
        served = versions[-1].key if versions else None
        if served is None or not self.site.world.accepts(served.secret):
            self.broken.append(f"P3: {slug} served no working secret when key {key_id} was deleted")
        since = versions[-1].at if versions else self.site.clock.now()
        for version in reversed(versions):
            if version.key is not None and version.key.key_id == key_id:
                break
            since = version.at
        # An instant is as exact as our note of when time was moved.
        if not self.emergency and self.site.clock.now() - since < OVERLAP - timedelta(seconds=1):
            self.broken.append(f"P3: key {key_id} of {slug} was deleted before its overlap was over")

    async def at_the_end(self) -> list[str]:
        """Judge what there is now, and return all that was broken."""
        named: set[str] = set()
        issued: set[str] = set()
        for slug, first in self.slugs.items():
            self._look_at_entry(slug, first)
            record = await self.site.record(slug)
            named |= record.known_key_ids()
            issued |= {attempt.rotation_id for attempt in record.attempts}
        strays = await self.strays()
        for key in self.alive():
            mark = mark_of(key.comment)
            known = key.key_id in named or key.key_id in strays or (mark and mark.rotation_id in issued)
            if mark and not known:
                self.broken.append(f"P2: key {key.key_id} lives on unknown")
        self.broken += [f"P4: {key_id} is gone" for key_id in self.foreign if not self.site.alive(key_id)]
        if any(CANARY in text for text in self._journal()):
            self.broken.append("P7: a secret is in the journal")
        return self.broken

    async def strays(self) -> set[str]:
        """Return the keys that a look shows as stray."""
        found = set()
        for one in (await self.site.sweep()).values():
            if one.last is not None:
                found |= {key.key_id for key in facts.strays(one.last.snapshot)}
        fleet = await self.site.connected.survey()
        return found | {stray.key.key_id for stray in fleet.strays}

    def alive(self) -> Iterable[SimulatedKey]:
        """Return the keys that the provider has."""
        return self.site.world.keys(self.site.project_id)

    def _look_at_entry(self, slug: str, first: str) -> None:
        versions, original = self.versions(slug), self.site.world.key(first)
        served = versions[-1].key
        if served is None or not self.site.world.accepts(served.secret):
            self.broken.append(f"P1: the secret that {slug} serves does not work")
        ours = [version for version in versions if (slug, version.number) not in self.by_hand]
        ids = [version.rotation_id for version in ours if version.rotation_id is not None]
        if len(ids) != len(set(ids)):
            self.broken.append(f"P6: one rotation published {slug} twice")
        if served is not None and original is not None and _rights(served) != _rights(original):
            self.broken.append(f"P5: {slug} got other rights")

    def _keys_of(self, slug: str) -> set[str]:
        lineage_id = self.site.lineage(slug).lineage_id
        return {self.slugs[slug]} | {key.key_id for key in self.every.values() if lineage_id in key.comment}

    def _shift_at(self, written: datetime) -> timedelta:
        return next((shift for at, shift in self._shifts if written < at), self.site.clock.shift)

    def _journal(self) -> list[str]:
        root, folder = self.cluster.root, f"rotator-journal/{self.site.place}/lineages"
        reply = root.ask("GET", f"secret/metadata/{folder}?list=true")
        names = json.loads(reply.body).get("data", {}).get("keys", [])
        return [json.dumps(root.data(f"{folder}/{name}")) for name in names]


def _rights(key: SimulatedKey) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(key.scopes), frozenset(key.tags)
