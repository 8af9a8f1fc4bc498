"""The promises, judged from outside: by what Vault kept of every version and the provider of every key, and no rule of ours.

What happened is read after the fact. Vault keeps each version with the instant at which it was written, the provider
each key with those at which it came and went, and both are exact and on one clock here. So whether a served secret ever
stopped working, and what was served when a key was deleted, can be told for every instant, however short.

Plain inputs, and nothing of `plan`: of a journal's records only what they say of attempts is read, as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of an entry, with what a consumer reads there."""

    number: int
    at: datetime
    secret: str = field(repr=False)
    rotation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenKey:
    """One key of the provider, alive or not. `rotation_id` is the one in its mark, None without a mark of ours."""

    key_id: str
    secret: str = field(repr=False)
    rotation_id: str | None
    rights: tuple[frozenset[str], frozenset[str]]
    created_at: datetime
    expires_at: datetime | None
    deleted_at: datetime | None

    def works(self, since: datetime, until: datetime) -> bool:
        """Return whether a consumer could work with it all that time."""
        ends = [at for at in (self.expires_at, self.deleted_at) if at is not None]
        return self.created_at <= since and all(at > until for at in ends)


@dataclass(frozen=True, slots=True)
class Attempted:
    """What the journal says of one rotation id: the version it was to be published over, and why."""

    base: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """All that happened to one lineage, as of `now`.

    `places` are the versions of each entry that it is or was served in, the destination's first. `keys` are those that
    were made for it, and the one that it began with, `original`; all of them are to have `rights`. `attempts` are by
    rotation id, `sent` the ids whose publish ever left a process. `released_at` is when somebody first let the original
    go, None when nobody did. `given_up` are places that are not served any more.
    """

    name: str
    places: Mapping[str, tuple[Version, ...]]
    keys: tuple[SeenKey, ...]
    original: str
    rights: tuple[frozenset[str], frozenset[str]]
    attempts: Mapping[str, Attempted]
    sent: frozenset[str]
    overlap: timedelta
    released_at: datetime | None
    given_up: Mapping[str, datetime]
    now: datetime

    def broken(self, *, at_rest: bool) -> tuple[str, ...]:
        """Return what was broken, a sentence each. At rest, nothing may be left to do besides."""
        found = [*self._served(), *self._deleted(), *self._published(), *self._made()]
        if at_rest:
            found += self._left()
        return tuple(f"{each} ({self.name})" for each in found)

    def key_of(self, secret: str) -> SeenKey | None:
        """Return the key of this lineage that has that secret."""
        return next((key for key in self.keys if key.secret == secret), None)

    @property
    def newest(self) -> tuple[Version, ...]:
        """What is served now, at each place that is."""
        return tuple(vs[-1] for name, vs in self.places.items() if vs and name not in self.given_up)

    def _served(self) -> Iterator[str]:
        for name, versions in self.places.items():
            ends = [*(version.at for version in versions[1:]), self.given_up.get(name, self.now)]
            for version, until in zip(versions, ends, strict=False):
                key = self.key_of(version.secret)
                if key is None:
                    yield f"P4: version {version.number} of {name} holds a secret of none of its keys"
                elif not key.works(version.at, until):
                    yield f"P1: what version {version.number} of {name} served stopped working while it was served"
                elif key.rights != self.rights:
                    yield f"P5: version {version.number} of {name} serves a key with other rights"

    def _deleted(self) -> Iterator[str]:
        for key in self.keys:
            if key.deleted_at is None:
                continue
            for name, versions in self.places.items():
                if self.given_up.get(name, key.deleted_at) >= key.deleted_at:
                    yield from self._early(key, key.deleted_at, name, versions)
            if not any(v.at <= key.deleted_at for vs in self.places.values() for v in vs):
                yield from self._candidate(key)

    def _early(self, key: SeenKey, at: datetime, name: str, versions: tuple[Version, ...]) -> Iterator[str]:
        there = [version for version in versions if version.at <= at]
        if not there:
            return
        serving = self.key_of(there[-1].secret)
        if serving is None or serving.key_id == key.key_id or not serving.works(there[-1].at, at):
            yield f"P3: key {key.key_id} was deleted while {name} served no other working key"
            return
        attempt = self.attempts.get(key.rotation_id or "")
        base = attempt.base if attempt else 0
        first = next(iter(self.places)) == name
        last = max((v.number for v in there if v.secret == key.secret), default=base if first else 0)
        after = [version for version in there if version.number > last]
        if not after:
            yield from self._candidate(key)
            return
        if any(self._reason(version) == EMERGENCY for version in after):
            return
        if at - after[0].at < self.overlap:
            yield f"P3: key {key.key_id} was deleted {at - after[0].at} after {name} served another one"
        if key.key_id == self.original and not (self.released_at and self.released_at <= at):
            yield f"P3: the original {key.key_id} was deleted, and nobody had released it"

    def _candidate(self, key: SeenKey) -> Iterator[str]:
        """Judge a key that was deleted before anything was published over its base: only by its own minter."""
        if key.rotation_id is None or key.rotation_id in self.sent:
            yield f"P3: key {key.key_id} was deleted although its publish could still come"

    def _published(self) -> Iterator[str]:
        for index, (name, versions) in enumerate(self.places.items()):
            ours = [version for version in versions if version.rotation_id is not None]
            if len({version.rotation_id for version in ours}) != len(ours):
                yield f"P6: one rotation was published twice at {name}"
            if len(self.places) > 1 or index:
                continue
            for version in ours:
                attempt = self.attempts.get(version.rotation_id or "")
                if attempt is None:
                    yield f"P2: version {version.number} of {name} is of a rotation that no record names"
                elif attempt.base != version.number - 1:
                    yield f"P6: version {version.number} of {name} was to be published over version {attempt.base}"

    def _made(self) -> Iterator[str]:
        for key in self.keys:
            if key.rotation_id is not None and key.rotation_id not in self.attempts:
                yield f"P2: key {key.key_id} was made, and no record names its rotation"

    def _left(self) -> Iterator[str]:
        served = {version.secret for version in self.newest}
        if len(served) > 1:
            yield "P8: its places serve different secrets"
        for key in self.keys:
            if key.deleted_at is None and key.secret not in served and key.key_id != self.original:
                yield f"P2: key {key.key_id} lives on and is not served"

    def _reason(self, version: Version) -> str:
        attempt = self.attempts.get(version.rotation_id or "")
        return attempt.reason if attempt else ""
