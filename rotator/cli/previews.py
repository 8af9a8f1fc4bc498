"""What follows from an order that can't be taken back, shown before it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from rotator.bootstrap import Connected
from rotator.cli.text import table
from rotator.cli.times import both
from rotator.errors import PortError
from rotator.inventory.fleet import Found
from rotator.inventory.observe import observe
from rotator.model.order import OrderKind
from rotator.model.snapshot import Snapshot
from rotator.plan import facts
from rotator.plan.invariants import overlap_ends


@dataclass(frozen=True, slots=True, kw_only=True)
class _Concerned:
    """One key that an order concerns: what it is to its lineage, until when it lives, and what becomes of it."""

    key_id: str
    role: str
    expires_at: datetime | None
    follows: str


async def preview(kind: OrderKind, chosen: Iterable[Found], connection: Connected) -> str:
    """Return a table of every key that the order concerns, with its last use."""
    rows = await asyncio.gather(*(_rows(kind, found, connection) for found in chosen))
    titles = ("LINEAGE", "KEY", "IT IS", "LAST USED", "WHAT FOLLOWS")
    found = [row for some in rows for row in some]
    return table(titles, found) if found else "no key is concerned"


async def _rows(kind: OrderKind, found: Found, connection: Connected) -> list[tuple[str, ...]]:
    lineage = found.assignment.lineage
    ports = connection.ports(lineage, stopping=lambda: False, tell=lambda _: None)
    try:
        snapshot = await observe(found.assignment, ports, record=found.record)
    except PortError as error:
        return [(lineage.name, "-", "-", "-", f"it could not be looked at: {error}")]
    concerned = list(_concerned(kind, snapshot, connection.clock.now()))
    return [(lineage.name, one.key_id, one.role, "unknown", one.follows) for one in concerned]


def _concerned(kind: OrderKind, snapshot: Snapshot, now: datetime) -> Iterator[_Concerned]:
    """Yield the keys of one lineage that the order concerns."""
    record = snapshot.record
    if record is None:
        return
    for original in record.originals:
        follows = _FOLLOWS[kind]
        ends = overlap_ends(original)
        if kind is OrderKind.RELEASE and original.released_at is not None:
            follows = "was released already"
        elif kind is OrderKind.RELEASE and ends is not None and ends > snapshot.on_vault_clock(now):
            follows = f"is deleted when its overlap is over, {both(ends, now)}"
        key = original.key
        yield _Concerned(
            key_id=key.key_id, role="from before rotator", expires_at=key.expires_at, follows=follows
        )
    if kind is OrderKind.RELEASE:
        return
    if record.current is not None:
        key = record.current.key
        yield _Concerned(key_id=key.key_id, role="in use", expires_at=key.expires_at, follows=_FOLLOWS[kind])
    for previous in record.previous:
        yield _Concerned(
            key_id=previous.key_id, role="previous", expires_at=previous.expires_at, follows=_FOLLOWS[kind]
        )
    for orphan in facts.unserved(snapshot, now):
        yield _Concerned(
            key_id=orphan.key_id, role="never served", expires_at=orphan.expires_at, follows=_FOLLOWS[kind]
        )


_FOLLOWS = {
    OrderKind.RELEASE: "is deleted now",
    OrderKind.EMERGENCY: "is deleted as soon as its successor is published",
    OrderKind.FORGET: "lives on, and nothing deletes it",
}
