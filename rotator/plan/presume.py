"""What the next look would show, if nobody else does anything: so that a look can be spared that would find nothing to do.

Nothing is ever done by a presumed snapshot. It only says that no action is left, after which the next sweep looks again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rotator.model.entry import Entry, EntryState, Served, Verdict
from rotator.model.record import Current, Record
from rotator.model.snapshot import Snapshot


def presumed(before: Snapshot, record: Record, version: int, now: datetime) -> Snapshot | None:
    """Return what a look at `now` would show after an action that was decided from `before` and left `record` at `version`.

    The destination serves what the record says, and the provider accepts it. None where other places are served too: they
    are not in the record whole.
    """
    if record.also_at:
        return None
    gone = before.record.known_key_ids() - record.known_key_ids() if before.record else frozenset[str]()
    keys = tuple(key for key in before.keys if key.key_id not in gone)
    entry, served = before.entry, before.served
    if record.current is not None:
        key_id = record.current.key.key_id
        entry, served = _entry(record.current), Served(Verdict.ACCEPTED, key_id)
        keys = keys if before.lists(key_id) else (*keys, record.current.key.as_key())
    return replace(
        before,
        seen_at=now,
        record=record,
        record_version=version,
        record_written_at=before.on_vault_clock(now),
        entry=entry,
        served=served,
        keys=keys,
        unreadable=tuple(key for key in before.unreadable if key.key_id not in gone),
        matched=None,
    )


def _entry(current: Current) -> Entry:
    return Entry(
        state=EntryState.PRESENT,
        version=current.version,
        written_at=current.published_at,
        rotation_id=current.rotation_id,
        key_id=current.key.key_id,
        has_secret=True,
    )
