"""The world of the exploration: a small model of a provider and of Vault, as one immutable value.

It knows nothing of the program under test but the calls that reach it. Beside what a real provider and a real
Vault remember, it keeps notes (`maker`, `killer`, `publishes`, ...) for the promises to be judged by.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

TICK = timedelta(minutes=25)
START = datetime(2026, 1, 1, tzinfo=UTC)

US, ORIGINAL, PERSON = "us", "original", "person"
RIGHTS = "usage:write"
MANAGEMENT = 0
"""The number of the management key."""


class Key(NamedTuple):
    """One key at the provider. `n` is its id and its secret; `killer` says who deleted it, if anybody."""

    n: int
    maker: str
    comment: str
    scopes: str
    made: int
    member: str
    killer: str = ""

    @property
    def alive(self) -> bool:
        return not self.killer


class Version(NamedTuple):
    """One version of the destination. `n` 0: its secret is nobody's key."""

    number: int
    n: int
    rotation_id: str | None
    written: int
    writer: str


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
    """A note of one publish that took effect."""

    version: int
    n: int
    rotation_id: str
    tick: int


class World(NamedTuple):
    """Everything outside the two processes."""

    tick: int
    keys: tuple[Key, ...]
    entry: tuple[Version, ...]
    record: tuple[Filed, ...]
    late: tuple[Late, ...]
    issued: tuple[int, ...]
    released: bool
    publishes: tuple[Publish, ...]
    bases: tuple[tuple[str, int], ...]
    faults: int
    acts: int
    deaths: int

    def key(self, n: int) -> Key | None:
        return next((key for key in self.keys if key.n == n), None)

    @property
    def served(self) -> Version | None:
        return self.entry[-1] if self.entry else None

    def put_key(self, key: Key) -> World:
        return self._replace(keys=tuple(sorted((*(k for k in self.keys if k.n != key.n), key))))

    def next_key(self) -> int:
        return max(key.n for key in self.keys) + 1


def at(tick: int) -> datetime:
    """Return the instant of a tick."""
    return START + tick * TICK
