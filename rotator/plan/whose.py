"""Whose a key is: which lineage it belongs to, and what it is there. For people who ask about one key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rotator.model.key import Key, Listing, Mark
from rotator.model.record import Record
from rotator.plan.facts import made_by


class Role(StrEnum):
    """What a key is to us. These names are an interface: `identify` and `discover` show them."""

    MANAGEMENT = "management"
    """Rotator itself works with it."""
    CURRENT = "current"
    """Its lineage serves it."""
    PREVIOUS = "previous"
    """Its lineage served it before, and it awaits its end."""
    ORIGINAL = "original"
    """It is from before adoption, and its secret was never in Vault."""
    ORPHAN = "orphan"
    """An attempt of its lineage made it, and nobody serves it."""
    STRAY = "stray"
    """It carries our mark, and no record leads to it."""
    CLAIMED_ELSEWHERE = "claimed_elsewhere"
    """It carries the mark of another journal."""
    FOREIGN = "foreign"
    """Nothing says that it is ours."""


@dataclass(frozen=True, slots=True)
class Whose:
    """What a key is, the lineage that it is in (None: in none), and since when (None: not known)."""

    role: Role
    lineage: str | None
    since: datetime | None


def whose(key_id: str, listing: Listing | None, records: Iterable[Record], journal_id: str) -> Whose:
    """Return whose a key is. `listing` is of its provider, None when that could not be listed.

    `records` are those of all lineages; of several that name the key, the one that serves it counts.
    """
    key = listing.get(key_id) if listing else None
    named = sorted(
        (found for record in records if (found := _in_record(key_id, record)) is not None),
        key=lambda found: list(Role).index(found.role),
    )
    if listing is not None and listing.management_key_id == key_id:
        lineage = named[0].lineage if named else None
        return Whose(Role.MANAGEMENT, lineage, key.created_at if key else None)
    if named:
        return named[0]
    if key is None or listing is None or key.mark is None:
        return Whose(Role.FOREIGN, None, key.created_at if key else None)
    if key.mark.journal_id != journal_id:
        return Whose(Role.CLAIMED_ELSEWHERE, None, key.created_at)
    return _marked(key, key.mark, listing, records)


def _in_record(key_id: str, record: Record) -> Whose | None:
    """Return what a record names a key as, None when it does not."""
    name = record.lineage.name
    if record.current is not None and record.current.key.key_id == key_id:
        return Whose(Role.CURRENT, name, record.current.published_at)
    for previous in record.previous:
        if previous.key_id == key_id:
            return Whose(Role.PREVIOUS, name, previous.superseded_at)
    for original in record.originals:
        if original.key.key_id == key_id:
            return Whose(Role.ORIGINAL, name, original.key.created_at)
    return None


def _marked(key: Key, mark: Mark, listing: Listing, records: Iterable[Record]) -> Whose:
    """Return the lineage whose attempt made a key that carries our mark; else it is a stray."""
    for record in records:
        attempt = record.attempt(mark.rotation_id) if record.lineage.lineage_id == mark.lineage_id else None
        if attempt is not None and made_by(key, attempt, listing.management_member_id):
            return Whose(Role.ORPHAN, record.lineage.name, key.created_at)
    return Whose(Role.STRAY, None, key.created_at)
