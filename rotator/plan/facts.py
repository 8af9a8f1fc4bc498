"""What a snapshot means: which keys are current, previous, orphaned or stray, and what the destination serves.

Whose key is it? A mark alone proves nothing: a proxy can repeat a create, a person can copy a comment. A key
that the record does not name is ours (an orphan) only if its mark carries this journal's id, this lineage
and a rotation id that this record issued, and if it was created between one minute before and one hour
after that intent by the provider's clock, belongs to our management key's member, and has the scopes asked
for. Any other key with our mark is a stray: shown and told, never touched.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from rotator.model.entry import EntryState, Verdict
from rotator.model.key import Key, Unreadable
from rotator.model.order import OrderKind
from rotator.model.reason import RotateReason
from rotator.model.record import Attempt, KnownKey, Record
from rotator.model.snapshot import Snapshot
from rotator.policy.policy import NO_POLICY, Adopt, Policy
from rotator.policy.schedule import MADE_WITHIN

CREATED_BEFORE_INTENT = timedelta(minutes=1)

CLAIM_MARGIN = timedelta(seconds=5)
"""How much longer than its length a claim is respected, for what clocks and answers may be late."""

LOST_AGAIN_WITHIN = timedelta(days=1)
"""A key that a provider loses so soon after it was made in place of a lost one is not replaced where most keys vanish."""

SKEW_ALLOWED = timedelta(seconds=30)
"""While our, Vault's and the provider's clocks differ by more, nothing is revoked."""


def marked_for_us(snapshot: Snapshot) -> tuple[Key, ...]:
    """Return the keys whose mark names this journal and this lineage."""
    return tuple(
        key
        for key in snapshot.keys
        if (mark := key.mark) is not None
        and mark.journal_id == snapshot.journal_id
        and mark.lineage_id == snapshot.lineage.lineage_id
    )


def marks_seen(snapshot: Snapshot) -> frozenset[str]:
    """Return the rotation ids in the marks of all keys that were seen, readable or not."""
    return frozenset(mark.rotation_id for key in snapshot.listed if (mark := key.mark) is not None)


def orphans(snapshot: Snapshot) -> tuple[tuple[Key, Attempt], ...]:
    """Return our keys that the record does not name, each with the attempt that made it, expired ones too."""
    if snapshot.record is None:
        return ()
    known = snapshot.record.known_key_ids()
    found = []
    for key in marked_for_us(snapshot):
        attempt = snapshot.record.attempt(key.mark.rotation_id) if key.mark else None
        if (
            attempt is not None
            and key.key_id not in known
            and made_by(key, attempt, snapshot.management_member_id)
        ):
            found.append((key, attempt))
    return tuple(found)


def strays(snapshot: Snapshot) -> tuple[Key, ...]:
    """Return the keys that carry our mark and are not proven to be ours."""
    if snapshot.record is None:
        return ()
    ours = {key.key_id for key, _ in orphans(snapshot)} | snapshot.record.known_key_ids()
    return tuple(key for key in marked_for_us(snapshot) if key.key_id not in ours)


def made_by(key: Key, attempt: Attempt, management_member_id: str | None) -> bool:
    """Return whether `key`, which carries the mark of `attempt`, is the work of that attempt."""
    if attempt.key_id == key.key_id:
        return True
    earliest = attempt.intent_at - CREATED_BEFORE_INTENT
    latest = attempt.intent_at + MADE_WITHIN
    return (
        earliest <= key.created_at <= latest
        and key.member_id is not None
        and key.member_id == management_member_id
        and key.scopes in (attempt.asked_scopes, attempt.expected_scopes)
    )


def unserved(snapshot: Snapshot, now: datetime) -> tuple[Key, ...]:
    """Return the orphans that still work."""
    provider_now = snapshot.on_provider_clock(now)
    return tuple(key for key, _ in orphans(snapshot) if not key.expired(provider_now))


def perhaps_unserved(snapshot: Snapshot) -> tuple[Unreadable, ...]:
    """Return the keys that can't be read and would be orphans by their marks."""
    record = snapshot.record
    if record is None:
        return ()
    known = record.known_key_ids()
    return tuple(
        key
        for key in snapshot.unreadable
        if (mark := key.mark) is not None
        and (mark.journal_id, mark.lineage_id) == (snapshot.journal_id, snapshot.lineage.lineage_id)
        and record.attempt(mark.rotation_id) is not None
        and key.key_id not in known
    )


def head(record: Record) -> KnownKey | None:
    """Return the key whose age counts and whose scopes are copied: the current one, else the newest original."""
    if record.current is not None:
        return record.current.key
    return record.originals[-1].key if record.originals else None


def ordered(record: Record) -> RotateReason | None:
    """Return why a person wants a new key now, None when nobody does."""
    if record.standing is None:
        return None
    return RotateReason.EMERGENCY if record.standing.kind is OrderKind.EMERGENCY else RotateReason.ORDERED


def emergency(record: Record | None) -> bool:
    """Return whether a person ordered an emergency that is not over: no new key yet, or an old one is left."""
    if record is None:
        return False
    left = any(p.at_once for p in record.previous) or any(o.at_once for o in record.originals)
    return left or ordered(record) is RotateReason.EMERGENCY


def replaced_before(record: Record) -> bool:
    """Return whether we ever replaced a key of this lineage. An import replaces none."""
    return any(rotated.reason is not RotateReason.IMPORTED for rotated in record.history)


def uncovered(policy: Policy, record: Record | None) -> bool:
    """Return whether no policy covers a lineage any more, so that nothing replaces its key, and nobody said to leave it alone."""
    return policy.name == NO_POLICY and record is not None and not record.forgotten


def watched(policy: Policy, record: Record | None) -> bool:
    """Return whether the policy only watches, and no person ordered otherwise while there was a policy."""
    taken_in = record is not None and record.by_order and policy.name != NO_POLICY
    return policy.adopt is Adopt.WATCH and not taken_in


def serves_current(snapshot: Snapshot) -> bool:
    """Return whether the destination serves the current key, as we published it, and the provider accepts it.

    Fields that a person added beside ours make a later version; that changes nothing where the provider says
    whose secret it is. Where it does not, only the very version that we published counts, and its key must be
    listed as alive.
    """
    record, entry, served = snapshot.record, snapshot.entry, snapshot.served
    if record is None or record.current is None or entry.state is not EntryState.PRESENT:
        return False
    current = record.current
    if entry.rotation_id != current.rotation_id or entry.version < current.version:
        return False
    if served.verdict is not Verdict.ACCEPTED:
        return False
    if served.key_id is not None:
        return served.key_id == current.key.key_id
    listed = snapshot.key(current.key.key_id)
    alive = listed is not None and not listed.expired(snapshot.on_provider_clock(snapshot.seen_at))
    return alive and entry.version == current.version and entry.key_id in (None, current.key.key_id)


def served_key_gone(snapshot: Snapshot, now: datetime) -> bool:
    """Return whether the provider refuses the secret of a lineage that has a record, if it did not just lose the key before.

    A provider that refuses what it made in place of a refused key loses keys by itself: each further one would be lost
    too, and add to what awaits deletion. A loss of long ago says nothing of that.
    """
    record = snapshot.record
    if record is None or snapshot.served.verdict is not Verdict.REFUSED:
        return False
    last = record.history[-1] if record.history else None
    if last is None or last.reason is not RotateReason.SERVED_KEY_REFUSED:
        return True
    return last.published_at + LOST_AGAIN_WITHIN <= snapshot.on_vault_clock(now)


def record_behind(snapshot: Snapshot) -> bool:
    """Return whether a rotation of this lineage is served that its record never heard of.

    Its key says so, by a mark with the rotation id that the entry shows. A record that came back from an older backup
    is like that.
    """
    record, rotation_id = snapshot.record, snapshot.entry.rotation_id
    if record is None or rotation_id is None:
        return False
    ids = {attempt.rotation_id for attempt in record.attempts}
    ids |= {rotated.rotation_id for rotated in record.history}
    ids |= {record.current.rotation_id} if record.current and record.current.rotation_id else set()
    if rotation_id in ids:
        return False
    ours = (snapshot.journal_id, snapshot.lineage.lineage_id, rotation_id)
    marks = (key.mark for key in snapshot.listed)
    return any((mark.journal_id, mark.lineage_id, mark.rotation_id) == ours for mark in marks if mark)


def claimed_until(snapshot: Snapshot) -> datetime | None:
    """Return when the claim of another holder runs out, on Vault's clock, None when there is none."""
    return claim_ends(snapshot.record, snapshot.record_written_at, snapshot.observer)


def claim_ends(record: Record | None, written_at: datetime | None, observer: str) -> datetime | None:
    """Return when the claim in a record that was written then runs out, None when nobody but `observer` has one."""
    if record is None or record.claim is None or record.claim.holder == observer or written_at is None:
        return None
    return written_at + record.claim.ttl + CLAIM_MARGIN


def clocks_agree(snapshot: Snapshot) -> bool:
    """Return whether the three clocks differ by little enough to revoke by them."""
    ahead = (timedelta(0), snapshot.vault_skew, snapshot.provider_skew)
    return max(ahead) - min(ahead) <= SKEW_ALLOWED
