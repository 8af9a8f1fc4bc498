"""The places that a moved lineage is served at besides its destination: which lag behind, and what may be written there.

Publishes land at one place only, the destination, whose versions fence them. The others follow: the secret that the
destination is shown to serve is copied to them, exactly at the version that was looked at.
"""

from __future__ import annotations

from rotator.model.entry import EntryState, Verdict
from rotator.model.reason import HoldReason, WaitReason
from rotator.model.record import Copied
from rotator.model.snapshot import CopySeen, Snapshot
from rotator.plan.facts import serves_current


def serves(snapshot: Snapshot, seen: CopySeen) -> bool:
    """Return whether a place serves the current key as a publish would have left it, and the provider accepts it."""
    current, entry = snapshot.record.current if snapshot.record else None, seen.entry
    if current is None or entry is None or entry.state is not EntryState.PRESENT:
        return False
    if entry.rotation_id != current.rotation_id or seen.served.verdict is not Verdict.ACCEPTED:
        return False
    if seen.served.key_id is not None:
        return seen.served.key_id == current.key.key_id
    return seen.same and serves_current(snapshot)


def behind(snapshot: Snapshot) -> tuple[tuple[Copied, CopySeen], ...]:
    """Return the places that do not serve the current key, or of which that was not recorded yet."""
    record = snapshot.record
    current = record.current if record else None
    if record is None or current is None:
        return ()
    return tuple(
        (copied, seen)
        for copied in record.also_at
        if not serves(snapshot, seen := seen_at(snapshot, copied)) or copied.key_id != current.key.key_id
    )


def seen_at(snapshot: Snapshot, copied: Copied) -> CopySeen:
    """Return what was seen of a place. One that was not looked at is as one that could not be read."""
    seen = (one for one in snapshot.copies if one.place == copied.place)
    return next(seen, CopySeen(place=copied.place))


def obstacle(snapshot: Snapshot, copied: Copied, seen: CopySeen) -> HoldReason | WaitReason | None:
    """Return why nothing may be written at a place: a person must look, or it has to be learnt whose secret is there.

    None: it is free, holds what we wrote ourselves, or a secret that is shown to be this lineage's; or it could not be
    read, so that trying tells why.
    """
    entry = seen.entry
    if entry is None:
        return None
    if entry.state is EntryState.DELETED:
        return HoldReason.ENTRY_DELETED
    if entry.version < copied.version:
        return HoldReason.ENTRY_BEHIND
    ours = entry.version == copied.version
    free = copied.key_id is None and not entry.has_secret
    if ours or free or _of_this_lineage(snapshot, seen):
        return None
    if seen.served.verdict is Verdict.UNKNOWN:
        return WaitReason.SERVED_UNPROVEN
    return HoldReason.DESTINATION_OCCUPIED if copied.key_id is None else HoldReason.ENTRY_CHANGED


def _of_this_lineage(snapshot: Snapshot, seen: CopySeen) -> bool:
    """Return whether the secret at a place is shown to be that of a key which the record names."""
    if snapshot.record is None or seen.served.verdict is not Verdict.ACCEPTED:
        return False
    if seen.served.key_id is None:
        return seen.same and serves_current(snapshot)
    return seen.served.key_id in snapshot.record.known_key_ids()
