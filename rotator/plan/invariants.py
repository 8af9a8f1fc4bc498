"""The safety predicates. The planner asks them, and the revoking step asks them again just before it acts.

Each answers with the first obstacle, None when there is none. They look at nothing but the snapshot.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from rotator.model.record import Original, Previous
from rotator.model.snapshot import Snapshot
from rotator.plan import copies
from rotator.plan.facts import clocks_agree, serves_current

PROOF_LASTS = timedelta(seconds=5)
"""A revocation is dropped when the destination was read longer ago than this."""


class Obstacle(StrEnum):
    """Why a key may not be revoked now."""

    NOT_OURS = "not_ours"
    """The record names it neither as previous nor as an original."""
    MANAGEMENT_KEY = "management_key"
    """It is the management key in use, or we don't know which one that is."""
    CURRENT_ELSEWHERE = "current_elsewhere"
    """Another lineage serves it, or may: a record can't be read."""
    CURRENT = "current"
    """It is the key that this lineage serves."""
    SERVED_UNPROVEN = "served_unproven"
    """What Vault serves now is not shown to be the current key, accepted by the provider."""
    COPY_BEHIND = "copy_behind"
    """Another place that is served is not shown to serve the current key."""
    PROOF_TOO_OLD = "proof_too_old"
    """The destination was read too long ago."""
    CLOCKS_DIFFER = "clocks_differ"
    """The three clocks differ by too much to trust an overlap."""
    OVERLAP = "overlap"
    """The overlap has not run out."""
    CLAIMED_ELSEWHERE = "claimed_elsewhere"
    """It is an original, and a key of the same comment carries another journal's mark: two installations rotate it."""
    NOT_RELEASED = "not_released"
    """It is an original that nobody released."""


def may_revoke(snapshot: Snapshot, key_id: str, now: datetime) -> Obstacle | None:
    """Return why the key may not be revoked at `now`, None when promises P3 and P4 allow it."""
    if terms_of(snapshot, key_id) is None:
        return Obstacle.NOT_OURS
    return _not_this_one(snapshot, key_id) or _not_proven(snapshot, now) or not_yet(snapshot, key_id, now)


def _not_this_one(snapshot: Snapshot, key_id: str) -> Obstacle | None:
    """Return why this key is needed or is not for us to touch."""
    current = snapshot.record.current if snapshot.record else None
    if current is None:
        return Obstacle.NOT_OURS
    if snapshot.management_key_id in (None, key_id):
        return Obstacle.MANAGEMENT_KEY
    if snapshot.currents_elsewhere is None or key_id in snapshot.currents_elsewhere:
        return Obstacle.CURRENT_ELSEWHERE
    return Obstacle.CURRENT if key_id == current.key.key_id else None


def _not_proven(snapshot: Snapshot, now: datetime) -> Obstacle | None:
    """Return why it is not shown that consumers have a working secret of another key, now."""
    if not serves_current(snapshot):
        return Obstacle.SERVED_UNPROVEN
    if copies.behind(snapshot):
        return Obstacle.COPY_BEHIND
    if now - snapshot.seen_at > PROOF_LASTS:
        return Obstacle.PROOF_TOO_OLD
    return None if clocks_agree(snapshot) else Obstacle.CLOCKS_DIFFER


def not_yet(snapshot: Snapshot, key_id: str, now: datetime) -> Obstacle | None:
    """Return which of its own terms a key has not met."""
    terms = terms_of(snapshot, key_id)
    if terms is None:
        return Obstacle.NOT_OURS
    if terms.at_once:
        return None
    ends = overlap_ends(terms)
    if ends is None or snapshot.on_vault_clock(now) < ends:
        return Obstacle.OVERLAP
    if isinstance(terms, Previous):
        return None
    if claimed_elsewhere(terms, snapshot):
        return Obstacle.CLAIMED_ELSEWHERE
    return None if released(terms, snapshot, now) else Obstacle.NOT_RELEASED


def terms_of(snapshot: Snapshot, key_id: str) -> Previous | Original | None:
    """Return what the record says of a key that awaits revocation."""
    if snapshot.record is None:
        return None
    for previous in snapshot.record.previous:
        if previous.key_id == key_id:
            return previous
    return next((o for o in snapshot.record.originals if o.key.key_id == key_id), None)


def overlap_ends(terms: Previous | Original) -> datetime | None:
    """Return when the overlap is over, on Vault's clock; None while nothing superseded the key."""
    if terms.superseded_at is None or terms.overlap is None:
        return None
    return terms.superseded_at + terms.overlap


def released(original: Original, snapshot: Snapshot, now: datetime) -> bool:
    """Return whether an original may go: released by an order, by the policy's duration, or expired."""
    if original.released_at is not None:
        return True
    ends = release_ends(original)
    if ends is not None and snapshot.on_vault_clock(now) >= ends:
        return True
    expires_at = original.key.expires_at
    return expires_at is not None and expires_at <= snapshot.on_provider_clock(now)


def claimed_elsewhere(original: Original, snapshot: Snapshot) -> bool:
    """Return whether another installation has made a key after the same pattern: its consumers may need this one."""
    return any(
        (mark := key.mark) is not None
        and mark.journal_id != snapshot.journal_id
        and key.operator_comment == original.key.comment
        for key in snapshot.listed
    )


def release_ends(original: Original) -> datetime | None:
    """Return when the policy's duration releases an original, on Vault's clock; None when it never does."""
    if original.superseded_at is None or original.release_after is None:
        return None
    return original.superseded_at + original.release_after
