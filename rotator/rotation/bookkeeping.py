"""How a record changes at each step: pure functions from one record to the next."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import dropwhile

from rotator.errors import InvariantViolation
from rotator.model.entry import Place
from rotator.model.key import Key
from rotator.model.order import Order, OrderKind
from rotator.model.reason import CopyReason, HoldReason, RevokeReason, RotateReason
from rotator.model.record import (
    HISTORY_KEPT,
    Attempt,
    Copied,
    Current,
    Failure,
    KnownKey,
    Original,
    Previous,
    Record,
    RecordedHold,
    Retired,
    Rights,
    Rotated,
)
from rotator.model.snapshot import Snapshot
from rotator.plan.facts import emergency, head
from rotator.policy.policy import OriginalTerms, Policy
from rotator.policy.schedule import MADE_WITHIN, latest_safe_start, next_try

SPENT_KEPT = 50
"""How many attempts are remembered of which nothing is expected any more."""


def adopted(snapshot: Snapshot, policy: Policy, key: Key, *, original: bool) -> Record:
    """Return the record of a lineage that has just taken `key` in, or has found its secret in the destination."""
    known = KnownKey.seen(key)
    record = snapshot.record or Record(
        lineage=snapshot.lineage,
        first_key_id=key.key_id,
        adopted_at=snapshot.on_provider_clock(snapshot.seen_at),
        fields=policy.destination.fields,
        current=None,
    )
    if original:
        return replace(record, originals=(*record.originals, Original(key=known)))
    if snapshot.entry.written_at is None:
        raise InvariantViolation("a destination that serves a key has a version")
    current = Current(
        key=known,
        rotation_id=None,
        version=snapshot.entry.version,
        published_at=snapshot.entry.written_at,
    )
    others = tuple(o for o in record.originals if o.key.key_id != key.key_id)
    return replace(record, current=current, originals=others)


def intended(record: Record, attempt: Attempt) -> Record:
    """Return the record with a new attempt."""
    return replace(record, attempts=(*record.attempts, attempt))


def left_alive(record: Record, rotation_id: str, key_id: str) -> Record:
    """Return the record with the note that the unfit key of an attempt could not be deleted."""
    noted = (replace(a, key_id=key_id) if a.rotation_id == rotation_id else a for a in record.attempts)
    return replace(record, attempts=tuple(noted))


def withdrawn(record: Record, rotation_id: str) -> Record:
    """Return the record without an attempt of which it is certain that nothing was created."""
    return replace(record, attempts=tuple(a for a in record.attempts if a.rotation_id != rotation_id))


def published(
    record: Record,
    attempt: Attempt,
    key: Key,
    policy: Policy,
    *,
    version: int,
    at: datetime,
    proven_at: datetime,
    holder: str,
) -> Record:
    """Return the record after a confirmed publish: `key` is current, and what it replaces awaits its end.

    `version` and `at` are the destination's, on Vault's clock; `proven_at` is when the provider accepted its secret, on
    ours. The terms of what is replaced are copied, so that they outlive the policy entry. In an emergency every earlier
    key loses its terms.
    """
    replaced = record.current
    previous = record.previous
    if replaced is not None:
        previous = (
            *previous,
            Previous(
                key_id=replaced.key.key_id,
                superseded_at=at,
                overlap=attempt.overlap,
                expires_at=replaced.key.expires_at,
                member_id=replaced.key.member_id,
            ),
        )
    others = (o for o in record.originals if o.key.key_id != key.key_id)
    originals = tuple(_superseded(original, at, attempt, policy) for original in others)
    if attempt.reason is RotateReason.EMERGENCY:
        previous = tuple(replace(one, at_once=True) for one in previous)
        originals = tuple(replace(one, at_once=True) for one in originals)
    before = head(record)
    finished = Rotated(
        rotation_id=attempt.rotation_id,
        key_id=key.key_id,
        replaced_key_id=before.key_id if before and before.key_id != key.key_id else None,
        reason=attempt.reason,
        intent_at=attempt.intent_at,
        created_at=key.created_at,
        proven_at=proven_at,
        published_at=at,
        version=version,
        holder=holder,
        policy_fingerprint=policy.fingerprint,
    )
    has = Rights(scopes=key.scopes, tags=key.tags)
    return replace(
        record,
        current=Current(
            key=KnownKey.seen(key, asked_scopes=attempt.asked_scopes),
            rotation_id=attempt.rotation_id,
            version=version,
            published_at=at,
        ),
        previous=previous,
        originals=originals,
        rotate_failure=None,
        hold=None,
        also_at=_written(record.also_at, record.destination, base=attempt.base, version=version),
        accepted=None if record.accepted == has else record.accepted,
        standing=_still_standing(record.standing, attempt.reason),
        history=(*record.history, finished)[-HISTORY_KEPT:],
    )


def copied(record: Record, place: Place, *, version: int, at: datetime, base: int | None) -> Record:
    """Return the record after the current key's secret was confirmed at another place, at `version` and `at` (Vault's clock).

    `base` is the version that we wrote over, None when there was nothing to write. What that place served until now,
    and what it skipped, is superseded only now; where it is not known what it served, every key is for which an
    overlap counts.
    """
    current = record.current
    if current is None:
        raise InvariantViolation("a secret was copied while nothing is served")
    before = next(one for one in record.also_at if one.place == place)
    left = record.previous
    if before.key_id is not None and base == before.version:
        left = tuple(dropwhile(lambda one: one.key_id != before.key_id, record.previous))
    superseded = tuple(
        replace(one, superseded_at=max(one.superseded_at, at)) if one in left else one
        for one in record.previous
    )
    # The destination's own fields stand unchanged in the version that we wrote, or were seen to be current in it.
    seen = base is None or (current.version == base and version == base + 1)
    if seen and record.destination.shares_entry(place):
        current = replace(current, version=version)
    others = record.also_at if base is None else _written(record.also_at, place, base=base, version=version)
    done = Copied(place=place, key_id=current.key.key_id, version=version)
    return replace(
        record,
        current=current,
        previous=superseded,
        also_at=tuple(done if one.place == place else one for one in others),
        copy_failure=None,
    )


def inherited(record: Record, key: Key, attempt: Attempt) -> Record:
    """Return the record with an orphan among the previous keys; its overlap runs from the last publish.

    It has none where that publish was an emergency's and the orphan is of an earlier attempt.
    """
    if record.current is None:
        raise InvariantViolation("an orphan is inherited from a publish")
    last = record.history[-1].reason if record.history else None
    orphan = Previous(
        key_id=key.key_id,
        superseded_at=record.current.published_at,
        overlap=attempt.overlap,
        expires_at=key.expires_at,
        member_id=key.member_id,
        at_once=last is RotateReason.EMERGENCY and record.closed(attempt),
    )
    return replace(record, previous=(*record.previous, orphan))


def gone(record: Record, retired: Retired) -> Record:
    """Return the record without a key that is gone from the provider, and with the evidence of its end."""
    return replace(
        record,
        previous=tuple(p for p in record.previous if p.key_id != retired.key_id),
        originals=tuple(o for o in record.originals if o.key.key_id != retired.key_id),
        revoke_failure=None,
        retired=(*record.retired, retired)[-HISTORY_KEPT:],
    )


def failed(
    record: Record,
    policy: Policy,
    tried: RotateReason | CopyReason | RevokeReason,
    what: str,
    now: datetime,
    *,
    not_before: datetime,
) -> Record:
    """Return the record after one more failure, with when to try next, at `not_before` or later.

    Failures to rotate count together while they have one reason; failures to copy and to delete always do. In an
    emergency the time between tries does not grow.
    """
    rotating = isinstance(tried, RotateReason)
    last = _last_failure(record, tried)
    if last is None or last.policy_fingerprint != policy.fingerprint or (rotating and last.tried != tried):
        count = 1
    else:
        count = last.count + 1
    in_use = head(record)
    next_at = next_try(
        policy,
        record.lineage.lineage_id,
        failures=1 if _hurried(record, tried) else count,
        now=now,
        safe_until=latest_safe_start(policy, in_use.expires_at if in_use else None),
    )
    failure = Failure(
        count=count,
        tried=tried,
        what=what,
        failed_at=now,
        next_try_at=max(next_at, not_before),
        policy_fingerprint=policy.fingerprint,
    )
    match tried:
        case RotateReason():
            return replace(record, rotate_failure=failure)
        case CopyReason():
            return replace(record, copy_failure=failure)
        case RevokeReason():
            return replace(record, revoke_failure=failure)


def held(
    record: Record,
    policy: Policy,
    reason: HoldReason,
    detail: str,
    now: datetime,
    *,
    offered: Rights | None = None,
) -> Record:
    """Return the record with a hold that lasts until the policy entry changes, or an order ends it."""
    hold = RecordedHold(
        reason=reason,
        detail=detail,
        since=now,
        policy_fingerprint=policy.fingerprint,
        offered=offered,
    )
    return replace(record, hold=hold)


def pruned(record: Record, provider_now: datetime, still_seen: frozenset[str]) -> Record:
    """Return the record without attempts whose lifetime has passed, except those with a key still listed.

    Of attempts that are spent (a later publish closed them, or their key would have shown itself long ago), only
    the newest are kept: a key of an older one that shows itself after all is a stray.
    """
    kept = [a for a in record.attempts if a.keep_until > provider_now or a.rotation_id in still_seen]
    spent = [
        a
        for a in kept
        if a.rotation_id not in still_seen and (record.closed(a) or provider_now > a.intent_at + MADE_WITHIN)
    ]
    dropped = {a.rotation_id for a in spent[:-SPENT_KEPT]}
    return replace(record, attempts=tuple(a for a in kept if a.rotation_id not in dropped))


def _still_standing(standing: Order | None, published: RotateReason) -> Order | None:
    """Return the order to rotate that a publish for this reason leaves: an emergency needs a key of its own."""
    if published is RotateReason.EMERGENCY:
        return None
    ordinary = standing is not None and standing.kind is OrderKind.ROTATE
    return None if ordinary and published is RotateReason.ORDERED else standing


def _written(also_at: tuple[Copied, ...], place: Place, *, base: int, version: int) -> tuple[Copied, ...]:
    """Return the places as a write of ours leaves them: what stands in other fields of that entry is as it was."""
    kept = version == base + 1
    return tuple(
        replace(one, version=version)
        if kept and one.version == base and one.place.shares_entry(place)
        else one
        for one in also_at
    )


def _hurried(record: Record, tried: RotateReason | CopyReason | RevokeReason) -> bool:
    """Return whether something is tried to bring an emergency to its end."""
    if isinstance(tried, CopyReason):
        return emergency(record)
    return tried in (RotateReason.EMERGENCY, RevokeReason.EMERGENCY)


def _last_failure(record: Record, tried: RotateReason | CopyReason | RevokeReason) -> Failure | None:
    match tried:
        case RotateReason():
            return record.rotate_failure
        case CopyReason():
            return record.copy_failure
        case RevokeReason():
            return record.revoke_failure


def _superseded(original: Original, at: datetime, attempt: Attempt, policy: Policy) -> Original:
    if original.superseded_at is not None:
        return original
    release_after = None if isinstance(policy.original, OriginalTerms) else policy.original
    return replace(original, superseded_at=at, overlap=attempt.overlap, release_after=release_after)
