"""What follows from an order that can't be taken back: every key it concerns, and when that was last used."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.bootstrap import Connected
from rotator.cli.text import short, table
from rotator.cli.times import absolute, both, relative, rfc3339
from rotator.errors import Denied, PortError
from rotator.inventory.fleet import Found
from rotator.inventory.observe import observe
from rotator.model.order import OrderKind
from rotator.model.record import KnownKey, Original, Previous, Record
from rotator.model.snapshot import Snapshot
from rotator.plan import facts
from rotator.plan.invariants import claimed_elsewhere, overlap_ends
from rotator.ports import LastUse

RECENT = timedelta(days=1)
"""Whoever used a key within this time uses it still, for all that anybody can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concerned:
    """One key that an order concerns.

    `role` is what it is to its lineage: original, current, previous, orphan, or matched (not taken in yet).
    `superseded_at` is when its successor was published, None before that. `last_use` is None where it was not asked
    for, `unknown` says why it could not be learnt. `follows` is what the order does to it.
    """

    lineage: str
    key_id: str
    role: str
    expires_at: datetime | None
    superseded_at: datetime | None
    follows: str
    last_use: LastUse | None = None
    unknown: str = ""

    def in_use(self, now: datetime) -> bool:
        """Return whether somebody used it after its successor was published, or a short while ago."""
        used_at = self.last_use.used_at if self.last_use else None
        if used_at is None:
            return False
        since = now - RECENT if self.superseded_at is None else min(self.superseded_at, now - RECENT)
        return used_at > since


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Every key that an order concerns, and the lineages that could not be looked at, with what stopped it.

    `deletes`: the order lets keys be deleted.
    """

    now: datetime
    deletes: bool
    keys: tuple[Concerned, ...]
    unseen: tuple[tuple[str, PortError], ...]

    def __str__(self) -> str:
        """Return it as a table, what must not be missed first."""
        titles = ("LINEAGE", "KEY", "IT IS", "EXPIRES", "LAST USED", "WHAT FOLLOWS")
        rows = [_row(key, self.now) for key in self.keys]
        used = [key for key in self.keys if key.in_use(self.now)]
        logs = [key.last_use.log_ends_at for key in self.keys if key.last_use]
        fails = " Whoever uses such a key fails once it is gone." if self.deletes else ""
        parts = [
            table(titles, rows) if rows else "No key is concerned.",
            *(f"{lineage} could not be looked at: {error}" for lineage, error in self.unseen),
            f"STILL IN USE: {len(used)} of {len(rows)}.{fails}" if used else "",
            f"A provider's log is late: what was used after {absolute(min(logs))} may not show yet."
            if logs
            else "",
        ]
        return "\n\n".join(part for part in parts if part)

    @property
    def document(self) -> list[dict[str, object]]:
        """The keys as documents show them."""
        return [_document(key) for key in self.keys]


async def preview(kind: OrderKind, chosen: Iterable[Found], connection: Connected) -> Preview:
    """Return every key that the order concerns, each with its last use as far as the provider tells."""
    turns = asyncio.Semaphore(connection.file.runtime.concurrency)
    seen = await asyncio.gather(*(_concerned_by(kind, found, connection, turns) for found in chosen))
    return Preview(
        now=connection.clock.now(),
        deletes=kind is not OrderKind.FORGET,
        keys=tuple(key for one in seen if not isinstance(one, PortError) for key in one),
        unseen=tuple(
            (found.assignment.lineage.name, one)
            for found, one in zip(chosen, seen, strict=True)
            if isinstance(one, PortError)
        ),
    )


async def _concerned_by(
    kind: OrderKind, found: Found, connection: Connected, turns: asyncio.Semaphore
) -> Sequence[Concerned] | PortError:
    ports = connection.ports(found.assignment.lineage, stopping=lambda: False, tell=lambda _: None)

    async def with_use(key: Concerned) -> Concerned:
        async with turns:
            try:
                return replace(key, last_use=await ports.provider.last_used(key.key_id))
            except Denied:
                return replace(key, unknown="our management key may not read the request log")
            except PortError as error:
                return replace(key, unknown=str(error))

    try:
        async with turns:
            snapshot = await observe(found.assignment, ports, record=found.record)
    except PortError as error:
        return error
    return await asyncio.gather(*(with_use(key) for key in _concerned(kind, snapshot, ports.clock.now())))


def _concerned(kind: OrderKind, snapshot: Snapshot, now: datetime) -> Iterator[Concerned]:
    """Yield the keys of one lineage that the order concerns; their last use is not known yet."""
    record, lineage = snapshot.record, snapshot.lineage.name
    if record is None:
        if snapshot.matched is not None and kind is OrderKind.EMERGENCY:
            key = KnownKey.seen(snapshot.matched)
            yield _one(lineage, key, "matched", None, _FOLLOWS[kind])
        return
    for original in record.originals:
        follows = _follows(kind, original, record, snapshot, now)
        yield _one(lineage, original.key, "original", original.superseded_at, follows)
    if kind is OrderKind.RELEASE:
        return
    if record.current is not None:
        yield _one(lineage, record.current.key, "current", None, _FOLLOWS[kind])
    for previous in record.previous:
        yield _one(lineage, previous, "previous", previous.superseded_at, _FOLLOWS[kind])
    for orphan in facts.unserved(snapshot, now):
        yield _one(lineage, KnownKey.seen(orphan), "orphan", None, _FOLLOWS[kind])


def _one(
    lineage: str, key: KnownKey | Previous, role: str, superseded_at: datetime | None, follows: str
) -> Concerned:
    return Concerned(
        lineage=lineage,
        key_id=key.key_id,
        role=role,
        expires_at=key.expires_at,
        superseded_at=superseded_at,
        follows=follows,
    )


def _follows(kind: OrderKind, original: Original, record: Record, snapshot: Snapshot, now: datetime) -> str:
    ends = overlap_ends(original)
    follows = _FOLLOWS[kind]
    if kind is OrderKind.RELEASE and record.current is None:
        follows = "stays: it is still the one in use"
    elif kind is OrderKind.RELEASE and original.released_at is not None:
        follows = "was released already"
    elif kind is OrderKind.RELEASE and ends is not None and ends > snapshot.on_vault_clock(now):
        follows = f"is deleted when its overlap is over, {both(ends, now)}"
    if claimed_elsewhere(original, snapshot) and kind is not OrderKind.FORGET:
        follows += "; another installation rotates a key of the same comment, and may need it"
    return follows


_FOLLOWS = {
    OrderKind.RELEASE: "is deleted by the next sweep",
    OrderKind.EMERGENCY: "is deleted as soon as its successor is published",
    OrderKind.FORGET: "lives on, and nothing deletes it",
}

_ROLES = {
    "original": "from before rotator",
    "current": "in use",
    "previous": "previous",
    "orphan": "never served",
    "matched": "not taken in yet",
}


def _row(key: Concerned, now: datetime) -> tuple[str, ...]:
    expires = "never" if key.expires_at is None else relative(key.expires_at, now)
    return (key.lineage, short(key.key_id), _ROLES[key.role], expires, _used(key, now), key.follows)


def _used(key: Concerned, now: datetime) -> str:
    if key.last_use is None:
        return f"unknown: {key.unknown}"
    if key.last_use.used_at is None:
        return f"not since {absolute(key.last_use.log_begins_at)}, when the log begins"
    said = relative(key.last_use.used_at, now)
    return f"{said}: STILL IN USE" if key.in_use(now) else said


def _document(key: Concerned) -> dict[str, object]:
    use = key.last_use
    return {
        "lineage": key.lineage,
        "key_id": key.key_id,
        "role": key.role,
        "expires_at": rfc3339(key.expires_at) if key.expires_at else None,
        "last_used_at": rfc3339(use.used_at) if use and use.used_at else None,
        "log_begins_at": rfc3339(use.log_begins_at) if use else None,
        "log_ends_at": rfc3339(use.log_ends_at) if use else None,
        "unknown": key.unknown or None,
    }
