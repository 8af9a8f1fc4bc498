"""The promises, judged from outside: by what Vault kept of each version, and what became of each key.

No rule of the program is used here. Vault keeps every version with its instant, the provider every key with those at
which it came and went, all on one clock, so that what was served and what worked can be told of every instant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.simulator.world import SimulatedKey
from tests.faults.seat import Written
from tests.faults.world import SCOPES, TAGS

OVERLAP = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """All that happened in one case. `roles` names keys by id, `untouchable` are those that are none of ours.

    `offered` are the secrets that ever were sent to the destination, `emergency_at` is when one was ordered.
    """

    versions: tuple[Written, ...]
    keys: Mapping[str, SimulatedKey]
    roles: Mapping[str, str]
    untouchable: Mapping[str, SimulatedKey]
    offered: frozenset[str]
    emergency_at: datetime | None
    now: datetime

    def broken(self) -> Iterator[str]:
        """Yield every promise that was broken, a sentence each."""
        yield from self._served()
        yield from self._published()
        for key_id, key in self.keys.items():
            before = self.untouchable.get(key_id)
            if before is not None and before != key:
                yield f"P4: the {self.roles[key_id]} was touched"
            elif before is None and key.deleted_at is not None:
                yield from self._deleted(key, key.deleted_at)

    def left(self) -> Iterator[str]:
        """Yield the keys of ours that live on unserved, once everything is at rest."""
        served = self._key(self.versions[-1]) if self.versions else None
        for key_id, key in self.keys.items():
            ours = self.roles[key_id].startswith("key ")
            if ours and key.deleted_at is None and key is not served:
                yield f"P2: {self.roles[key_id]} lives on, and nobody serves it"

    def _key(self, version: Written) -> SimulatedKey | None:
        secret = version.data.get("api_key")
        return next((key for key in self.keys.values() if key.secret.reveal() == secret), None)

    def _served(self) -> Iterator[str]:
        ends = [*(version.at for version in self.versions[1:]), self.now]
        for number, (version, until) in enumerate(zip(self.versions, ends, strict=False), start=1):
            key = self._key(version)
            if key is None or key.key_id in self.untouchable:
                yield f"P4: version {number} serves a secret that is not of this lineage"
                continue
            ended = [at for at in (key.deleted_at, key.expires_at) if at is not None and at <= until]
            if key.created_at > version.at or ended:
                yield f"P1: what version {number} serves stopped working while it was served"
            if (sorted(key.scopes), sorted(key.tags)) != (sorted(SCOPES), sorted(TAGS)):
                yield f"P5: version {number} serves a key with other rights"
            if version.data.get("api_key_id") != key.key_id:
                yield f"P2: version {number} names another key than the one whose secret it serves"

    def _published(self) -> Iterator[str]:
        ids = [version.data.get("rotation_id") for version in self.versions]
        if len(set(ids)) != len(ids):
            yield "P6: one rotation was published twice"
        for number, (before, after) in enumerate(
            zip(self.versions, self.versions[1:], strict=False), start=2
        ):
            if after.data.get("previous_api_key_id") != before.data.get("api_key_id"):
                yield f"P6: version {number} was made to replace another key than the one that was served"

    def _deleted(self, key: SimulatedKey, at: datetime) -> Iterator[str]:
        role = self.roles[key.key_id]
        there = [version for version in self.versions if version.at <= at]
        serving = self._key(there[-1]) if there else None
        holds = [n for n, version in enumerate(self.versions) if self._key(version) is key]
        if not holds and key.secret.reveal() not in self.offered:
            return  # a candidate that its own minter found unfit: nobody can ever read its secret
        works = serving is not None and serving is not key and (serving.deleted_at or self.now) > at
        if not works:
            yield f"P3: {role} was deleted while no other working key was served"
            return
        if self.emergency_at is not None and there[-1].at >= self.emergency_at:
            return
        since = [v.at for n, v in enumerate(there) if n > max(holds, default=-1) and v.at >= key.created_at]
        if not since or at - since[0] < OVERLAP:
            yield f"P3: {role} was deleted before its overlap was over"
        if role == "original" and (key.expires_at is None or key.expires_at > at):
            yield "P3: the original was deleted, and nobody had released it"
