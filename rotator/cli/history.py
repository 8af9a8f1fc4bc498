"""`rotator history`: what the record of a lineage remembers."""

from __future__ import annotations

import asyncio
from datetime import datetime

from rotator.cli import documents, exits, words
from rotator.cli.look import connected, find_one
from rotator.cli.options import Options
from rotator.cli.text import table
from rotator.cli.times import exact, rfc3339
from rotator.model.order import Order
from rotator.model.reason import RotateReason
from rotator.model.record import Record, Retired, Rotated

Event = Rotated | Retired | Order


def history(options: Options, lineage: str) -> int:
    """Show all that the record remembers, the newest last."""
    options.start_logging()
    record = asyncio.run(_read(options, lineage))
    events = _events(record)
    options.emit(
        {
            "lineage": lineage,
            "rotations": [_rotated(one) for one in record.history] if record else [],
            "deletions": [_retired(one) for one in record.retired] if record else [],
            "orders": [documents.of_order(one) for one in record.orders] if record else [],
        },
        table(("WHEN", "WHAT", "EVIDENCE"), [_row(one) for one in events])
        if events
        else f"{lineage}: nothing was done about it yet",
    )
    return exits.FINE


async def _read(options: Options, lineage: str) -> Record | None:
    async with connected(options.load(), found_journal=False) as connection:
        found = await find_one(connection, lineage)
        return found.known_record


def _events(record: Record | None) -> list[Event]:
    if record is None:
        return []
    events: list[Event] = [*record.history, *record.retired, *record.orders]
    return sorted(events, key=_at)


def _at(event: Event) -> datetime:
    match event:
        case Rotated():
            return event.published_at
        case Retired():
            return event.revoked_at
        case Order():
            return event.at


def _row(event: Event) -> tuple[str, str, str]:
    when = exact(_at(event))
    match event:
        case Rotated():
            replaced = f"replaces key {event.replaced_key_id}; " if event.replaced_key_id else ""
            evidence = (
                f"key {event.key_id}, version {event.version}; {replaced}intent {exact(event.intent_at)}, created "
                f"{exact(event.created_at)}, proven {exact(event.proven_at)}; rotation {event.rotation_id}, "
                f"by {event.holder}, policy {event.policy_fingerprint}"
            )
            verb = "imported" if event.reason is RotateReason.IMPORTED else "rotated"
            return when, f"{verb}: {words.ROTATE[event.reason]}", evidence
        case Retired():
            evidence = (
                f"key {event.key_id}, while Vault served key {event.served_key_id} (version "
                f"{event.served_version}), by {event.holder}"
            )
            return when, f"deleted: {words.REVOKE[event.reason]}", evidence
        case Order():
            return (
                when,
                f"ordered: {event.kind.value}" + (f" {event.place}" if event.place else ""),
                f"by {event.who}" + (f": {event.why}" if event.why else ""),
            )


def _rotated(one: Rotated) -> dict[str, object]:
    return {
        "rotation_id": one.rotation_id,
        "key_id": one.key_id,
        "replaced_key_id": one.replaced_key_id,
        "reason": one.reason.value,
        "intent_at": rfc3339(one.intent_at),
        "created_at": rfc3339(one.created_at),
        "proven_at": rfc3339(one.proven_at),
        "published_at": rfc3339(one.published_at),
        "version": one.version,
        "holder": one.holder,
        "policy_fingerprint": one.policy_fingerprint,
    }


def _retired(one: Retired) -> dict[str, object]:
    return {
        "key_id": one.key_id,
        "reason": one.reason.value,
        "revoked_at": rfc3339(one.revoked_at),
        "served_key_id": one.served_key_id,
        "served_version": one.served_version,
        "holder": one.holder,
    }
