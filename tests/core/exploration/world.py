"""The world of the exploration: a small model of a provider and of Vault, as one immutable value.

It knows nothing of the program under test but the calls that reach it. Beside what a real provider and a real
Vault remember, it keeps notes (`maker`, `killer`, `publishes`, `intents`, ...) for the promises to be judged by.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

TICK = timedelta(minutes=25)
START = datetime(2026, 1, 1, tzinfo=UTC)

US, ORIGINAL, PERSON = "us", "original", "person"
OUR_MEMBER, THEIR_MEMBER = "ops", "ann"
RIGHTS = "#prod usage:write"
"""What the adopted key may do, and so what every replacement must: scopes, and tags after a `#`."""
KEPT = 2
"""How many versions a world remembers: the newest, and one that a lagging standby may still show."""

LIFE = 27
"""How many ticks a key lives in a world where keys expire. It outlives what is searched, not what `rest` waits."""

ADOPTED = 1
"""The number of the key that the lineage begins with."""
NOBODY, NOTHING = -1, -2
"""In place of a number: a secret that is no key's, and no secret at all."""

HERE, THERE = 0, 1
"""The two places in Vault: where the lineage begins, and where a person may move it."""
PLACES = (HERE, THERE)


class Key(NamedTuple):
    """One key at the provider. `n` is its id and its secret; `killer` says who deleted it, if anybody."""

    n: int
    maker: str
    comment: str
    rights: str
    made: int
    member: str
    killer: str = ""

    @property
    def alive(self) -> bool:
        return not self.killer


class Version(NamedTuple):
    """One version of an entry: the key whose secret it holds, and the two ids that its fields name.

    `n_there` is the key in the fields of the other place, where that is in the same entry.
    """

    number: int
    n: int
    rotation_id: str | None
    named: int
    written: int
    writer: str
    n_there: int = NOTHING


class Filed(NamedTuple):
    """One version of the journal record; `text` is a handle of the table of texts."""

    version: int
    text: int
    written: int


class Late(NamedTuple):
    """A call whose answer was lost and which has not been executed yet. It may be, at any later moment."""

    call: str
    arguments: tuple[object, ...]


class Publish(NamedTuple):
    """A note of one publish that took effect, or of a copy of one: that has the rotation id of an earlier note."""

    version: int
    n: int
    rotation_id: str | None
    tick: int
    place: int = HERE


class Intent(NamedTuple):
    """A note of one rotation id that stood in the journal, with its base, in which place, and its instant when it first did.

    `emergency`: it is the program's answer to an emergency.
    """

    rotation_id: str
    base: int
    tick: int
    emergency: bool = False
    place: int = HERE


class World(NamedTuple):
    """Everything outside the processes.

    `issued` is how many rotation ids each process has used. `demoted` says that our management key sees
    no keys but those of its own member. `released` says that the adopted key needs no release (any more).
    `touched` is how often a person changed what is served, by place. `given_up` are the keys that their own
    maker deleted, or tried to, without ever having sent their publish: nobody can come to serve them. `emergencies` is
    how many a person has ordered, `forgotten` the version of the record in which the lineage was forgotten (0: it is
    not), `paused` whether it is. `entry` is what Vault has at the first place, `entry_there` at the other one, unless the
    places are `shared`: other fields of one entry. `frozen`: the policy has a freeze, and keys expire. The counts say what may still go wrong, be done by a person, die, be
    ordered, and be ordered about places.
    """

    tick: int
    management: int
    keys: tuple[Key, ...]
    entry: tuple[Version, ...]
    record: tuple[Filed, ...]
    late: tuple[Late, ...]
    issued: tuple[int, ...]
    demoted: bool
    released: bool
    touched: tuple[int, int]
    given_up: tuple[int, ...]
    publishes: tuple[Publish, ...]
    intents: tuple[Intent, ...]
    faults: int
    acts: int
    deaths: int
    orders: int = 0
    emergencies: int = 0
    forgotten: int = 0
    paused: bool = False
    moves: int = 0
    entry_there: tuple[Version, ...] = ()
    shared: bool = False
    frozen: bool = False

    def key(self, n: int) -> Key | None:
        return next((key for key in self.keys if key.n == n), None)

    def shows(self, key: Key) -> bool:
        """Return whether our management key gets to see a key."""
        return key.alive and not (self.demoted and key.member != OUR_MEMBER)

    def versions(self, place: int) -> tuple[Version, ...]:
        """Return the versions of the entry at a place, as seen by the fields there."""
        if place == THERE and self.shared:
            return tuple(version._replace(n=version.n_there) for version in self.entry)
        return self.entry_there if place == THERE else self.entry

    def append(self, place: int, version: Version) -> World:
        """Return the world with one more version of the entry at a place; other fields in it are kept."""
        if not self.shared:
            versions = (*self.versions(place), version)[-KEPT:]
            return self._replace(entry_there=versions) if place == THERE else self._replace(entry=versions)
        n, n_there = (self.entry[-1].n, self.entry[-1].n_there) if self.entry else (NOTHING, NOTHING)
        if place == THERE:
            merged = version._replace(n=n, n_there=version.n)
        else:
            merged = version._replace(n_there=n_there)
        return self._replace(entry=(*self.entry, merged)[-KEPT:])

    def newest(self, place: int) -> Version | None:
        """Return what is served at a place now, None when nothing is."""
        versions = self.versions(place)
        return versions[-1] if versions and versions[-1].n != NOTHING else None

    def number(self, place: int) -> int:
        """Return which version the entry at a place has, 0 when there never was one."""
        versions = self.versions(place)
        return versions[-1].number if versions else 0

    @property
    def served(self) -> Version | None:
        return self.newest(HERE)

    def touch(self, place: int) -> World:
        touched = tuple(count + (which == place) for which, count in enumerate(self.touched))
        return self._replace(touched=(touched[HERE], touched[THERE]))

    def intent(self, rotation_id: str) -> Intent | None:
        return next((intent for intent in self.intents if intent.rotation_id == rotation_id), None)

    def put_key(self, key: Key) -> World:
        return self._replace(keys=tuple(sorted((*(k for k in self.keys if k.n != key.n), key))))

    def next_key(self) -> int:
        return max(key.n for key in self.keys) + 1


def at(tick: int) -> datetime:
    """Return the instant of a tick."""
    return _INSTANTS[tick] if 0 <= tick < len(_INSTANTS) else START + tick * TICK


def tick_of(instant: datetime) -> int:
    """Return the tick of an instant."""
    return (instant - START) // TICK


_INSTANTS = tuple(START + tick * TICK for tick in range(100))


def first_world(kind: str, *, faults: int, acts: int, deaths: int, orders: int = 0, moves: int = 0) -> World:
    """Return the world before anything: a management key, a key to adopt, and in Vault what `kind` says.

    empty: nothing. imported: the secret of the key to adopt; fields: likewise, and a move leads to other fields of that
    entry. frozen: likewise, keys expire, and the policy has a freeze. occupied: a secret that is nobody's. own: nothing,
    and the key to adopt is the management key itself.
    """
    adopted = Key(ADOPTED, ORIGINAL, "voice", RIGHTS, -2, THEIR_MEMBER)
    own = Key(0, PERSON, "rotator", "owner", -99, OUR_MEMBER)
    entry: tuple[Version, ...] = ()
    if kind in ("imported", "fields", "frozen", "occupied"):
        secret_of = NOBODY if kind == "occupied" else ADOPTED
        entry = (Version(1, secret_of, None, NOBODY, -1, PERSON),)
    return World(
        tick=0,
        management=ADOPTED if kind == "own" else own.n,
        keys=(own, adopted),
        entry=entry,
        record=(),
        late=(),
        issued=(0, 0, 0),
        demoted=False,
        released=kind in ("imported", "fields", "frozen"),
        touched=(0, 0),
        given_up=(),
        publishes=(),
        intents=(),
        faults=faults,
        acts=acts,
        deaths=deaths,
        orders=orders,
        moves=moves,
        shared=kind == "fields",
        frozen=kind == "frozen",
    )
