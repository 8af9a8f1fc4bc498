"""The promises, judged from outside: by what Vault kept of every version and the provider of every key, and no rule of ours.

What happened is read after the fact. Vault keeps each version with the instant at which it was written, the provider
each key with those at which it came and went, on one clock. So whether a served secret ever stopped working, and what
was served when a key was deleted, can be told for every instant, however short.

There is one judge for every part of the proof: each only collects what happened (`collected`). Plain inputs, and nothing
of `plan`: of a journal's records only what they say of attempts is read, as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.support import canary

EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of an entry: what is read there from `at` on. `by_hand`: a person wrote it, or restored it."""

    number: int
    at: datetime
    data: Mapping[str, Any] = field(repr=False)
    by_hand: bool = False

    @property
    def secret(self) -> object:
        """The secret that a consumer finds."""
        return self.data.get("api_key")

    @property
    def key_id(self) -> object:
        """The key that it says this is."""
        return self.data.get("api_key_id")

    @property
    def previous_key_id(self) -> object:
        """The key that it says it replaces."""
        return self.data.get("previous_api_key_id")

    @property
    def rotation_id(self) -> str:
        """The rotation that it says it is of, "" when it says none."""
        return str(self.data.get("rotation_id") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenKey:
    """One key of the provider, alive or not. `rotation_id` is the one in its mark, None without a mark of ours."""

    key_id: str
    secret: str = field(repr=False)
    comment: str = ""
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


@dataclass(frozen=True, slots=True)
class Look:
    """What a person saw when the program had done what it would: whether all was done, and what was told to be wrong."""

    done: bool
    told: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """All that happened to one lineage, as of `now`.

    `places` are the versions of each entry that it is or was served in, the destination's first, in the order in which
    they were served. `keys` are those that were made for it, and the one that it began with, `original`; all of them
    are to have `rights`. `attempts` are by rotation id, `sent` the ids whose publish ever left a process, `emergencies`
    the instants at which somebody ordered one. `released_at` is when somebody first let the original go, None when
    nobody did. `given_up` are places that are not served any more. `remembered` is the newest record, as text; `strays`
    are keys that are shown to a person since no record knows them.
    """

    name: str
    places: Mapping[str, tuple[Version, ...]]
    keys: tuple[SeenKey, ...]
    original: str
    rights: tuple[frozenset[str], frozenset[str]]
    attempts: Mapping[str, Attempted]
    sent: frozenset[str]
    emergencies: tuple[datetime, ...]
    overlap: timedelta
    released_at: datetime | None
    given_up: Mapping[str, datetime]
    remembered: str
    strays: frozenset[str]
    now: datetime

    def broken(self, *, at_rest: bool) -> tuple[str, ...]:
        """Return what was broken, a sentence each. At rest, nothing may be left to do besides."""
        found = [*self._served(), *self._deleted(), *self._published(), *self._made()]
        if at_rest:
            found += self.left()
        return tuple(f"{each} ({self.name})" for each in found)

    def left(self) -> Iterator[str]:
        """Yield what is left to do."""
        served = {versions[-1].secret for name, versions in self.places.items() if self._is_served(name)}
        if len(served) > 1:
            yield "P8: its places serve different secrets"
        for key in self.keys:
            kept = self._is_original(key, self.now) or key.key_id in self.strays
            if key.deleted_at is None and key.secret not in served and not kept:
                yield f"P2: key {key.key_id} lives on and is not served"

    def _is_served(self, place: str) -> bool:
        return bool(self.places[place]) and place not in self.given_up

    def _key_of(self, version: Version) -> SeenKey | None:
        return next((key for key in self.keys if key.secret == version.secret), None)

    def _is_original(self, key: SeenKey, at: datetime) -> bool:
        """Return whether it is the key that all began with, and nobody could read it in Vault until then."""
        seen = any(v.secret == key.secret and v.at <= at for vs in self.places.values() for v in vs)
        return key.key_id == self.original and not seen

    def _served(self) -> Iterator[str]:
        for name, versions in self.places.items():
            ends = [*(version.at for version in versions[1:]), self.given_up.get(name, self.now)]
            for version, until in zip(versions, ends, strict=False):
                yield from self._read(version, until, f"version {version.number} of {name}")

    def _read(self, version: Version, until: datetime, what: str) -> Iterator[str]:
        """Judge what a consumer finds in one version. A person may write whatever they like; we may not make it worse."""
        key = self._key_of(version)
        if key is None:
            if not version.by_hand:
                yield f"P4: {what} holds a secret of none of its keys"
            return
        if version.by_hand and not key.works(version.at, version.at):
            return
        if not key.works(version.at, until):
            yield f"P1: what {what} served stopped working while it was served"
        if key.rights != self.rights:
            yield f"P5: {what} serves a key with other rights"
        if not version.by_hand and version.key_id != key.key_id:
            yield f"P2: {what} names another key than the one whose secret it serves"

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
        serving = self._key_of(there[-1])
        if serving is None or not serving.works(there[-1].at, at):
            yield f"P3: key {key.key_id} was deleted while {name} served no other working key"
            return
        held = [index for index, version in enumerate(there) if version.secret == key.secret]
        first = next(iter(self.places)) == name
        if not held and not first:
            return  # nobody ever read it there
        after = there[held[-1] + 1 :] if held else self._over_base(key, there)
        if not after:
            yield from self._candidate(key)
            return
        if any(self._is_emergency(version) for version in after):
            return
        if at - after[0].at < self.overlap:
            yield f"P3: key {key.key_id} was deleted {at - after[0].at} after {name} served another one"
        expired = key.expires_at is not None and key.expires_at <= at
        released = self.released_at is not None and self.released_at <= at
        if self._is_original(key, at) and not expired and not released:
            yield f"P3: the original {key.key_id} was deleted, and nobody had released it"

    def _over_base(self, key: SeenKey, versions: list[Version]) -> list[Version]:
        """Return the versions since which a key that was never served can't be published any more.

        Its overlap runs from the first one since it was made. Where that was too late for its base already, it leaves
        with the keys that were replaced by what was served then.
        """
        attempt = self.attempts.get(key.rotation_id or "")
        over = [version for version in versions if version.number > (attempt.base if attempt else 0)]
        return [version for version in over if version.at >= key.created_at] or over[-1:]

    def _candidate(self, key: SeenKey) -> Iterator[str]:
        """Judge a key that was deleted before anything was published over its base: only by its own minter."""
        if key.rotation_id is None or key.rotation_id in self.sent:
            yield f"P3: key {key.key_id} was deleted although its publish could still come"

    def _is_emergency(self, version: Version) -> bool:
        """Return whether it was published by an emergency, and somebody had ordered one."""
        attempt = self.attempts.get(version.rotation_id)
        ordered = any(order <= version.at for order in self.emergencies)
        return ordered and attempt is not None and attempt.reason == EMERGENCY

    def _published(self) -> Iterator[str]:
        destination = next(iter(self.places))
        for name, versions in self.places.items():
            ours = [version for version in versions if not version.by_hand]
            if len({version.rotation_id for version in ours}) != len(ours):
                yield f"P6: one rotation was published twice at {name}"
            for before, version in zip([None, *versions], versions, strict=False):
                if version.by_hand:
                    continue
                what = f"version {version.number} of {name}"
                source = None if name == destination else self._source(version, destination)
                if source is not None:
                    yield from self._copied(version, source, what)
                elif name != destination and self.given_up.get(destination, self.now) > version.at:
                    yield f"P6: {what} is no copy of what {destination} served then"
                else:
                    yield from self._replaced(before, version, what)

    def _source(self, copy: Version, destination: str) -> Version | None:
        """Return the version that was served at the destination when another place got a copy of it."""
        served = [version for version in self.places[destination] if version.at <= copy.at]
        same = bool(served) and served[-1].rotation_id == copy.rotation_id
        return served[-1] if same else None

    def _copied(self, copy: Version, source: Version, what: str) -> Iterator[str]:
        if (copy.secret, copy.key_id, copy.previous_key_id) != (
            source.secret,
            source.key_id,
            source.previous_key_id,
        ):
            yield f"P6: {what} says other things than what it is a copy of"

    def _replaced(self, before: Version | None, version: Version, what: str) -> Iterator[str]:
        """Judge one publish, by the version before it."""
        attempt = self.attempts.get(version.rotation_id)
        if attempt is None:
            yield f"P2: {what} is of a rotation that no record names"
        elif attempt.base != version.number - 1:
            yield f"P6: {what} was to be published over version {attempt.base}"
        replaced = self._key_of(before) if before is not None else None
        if replaced is not None and version.previous_key_id != replaced.key_id:
            yield f"P6: {what} was made to replace another key than the one that was served"

    def _made(self) -> Iterator[str]:
        for key in self.keys:
            if key.rotation_id is None:
                continue
            if key.rotation_id not in self.attempts:
                yield f"P2: key {key.key_id} was made, and no record names its rotation"
            known = key.key_id in self.remembered or key.rotation_id in self.remembered
            if key.deleted_at is None and not known and key.key_id not in self.strays:
                yield f"P2: key {key.key_id} lives on, and is not known any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """All that happened in one installation.

    `keys` are all that the provider ever had, `untouchable` are those that are none of our business, as they were when
    it began. `texts` may hold no secret, by where they were found. `looks` are in their order; `bugs` are ways in which
    the program ended that are no error of its own.
    """

    lives: tuple[Life, ...]
    keys: tuple[SeenKey, ...]
    untouchable: tuple[SeenKey, ...]
    texts: Mapping[str, tuple[str, ...]]
    looks: tuple[Look, ...] = ()
    bugs: tuple[str, ...] = ()

    def broken(self, *, at_rest: bool) -> tuple[str, ...]:
        """Return what was broken, a sentence each. At rest, nothing may be left to do besides, and the last look shows that."""
        lives = (each for life in self.lives for each in life.broken(at_rest=at_rest))
        found = (*lives, *self._touched(), *self._of_nobody(), *self._silent(at_rest=at_rest), *self._shown())
        return tuple(dict.fromkeys(found))

    def _touched(self) -> Iterator[str]:
        now = {key.key_id: key for key in self.keys}
        for key in self.untouchable:
            if now.get(key.key_id) != key:
                yield f"P4: key {key.key_id} ({key.comment}) is none of its business, and was touched"

    def _of_nobody(self) -> Iterator[str]:
        named = {key.key_id for life in self.lives for key in life.keys}
        named |= {key.key_id for key in self.untouchable}
        for key in self.keys:
            if key.key_id not in named:
                yield f"P2: key {key.key_id} was made, and is of no lineage"

    def _silent(self, *, at_rest: bool) -> Iterator[str]:
        if any(not look.done and not look.told for look in self.looks):
            yield "P8: what was to be done was not, and nothing was told"
        if at_rest and self.looks and not self.looks[-1].done:
            yield f"P8: it is stuck: {'; '.join(self.looks[-1].told) or 'nothing is told'}"
        yield from (f"P8: it ended in {bug}, which is no error of ours" for bug in self.bugs)

    def _shown(self) -> Iterator[str]:
        yield from leaks({**self.texts, "comments of keys": tuple(key.comment for key in self.keys)})


def leaks(texts: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield where a secret shows that is to be seen in the destination only."""
    for where, some in texts.items():
        leak = canary.leak_in("\n".join(some), where)
        if leak is not None:
            yield f"P7: {leak}"
