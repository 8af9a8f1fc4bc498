"""The rules, in their order. The order is the specification.

Theory of operation. Each rule looks at the whole snapshot and either decides or passes on. The first that
decides wins. Four groups, from the most to the least urgent question:

1. May we act at all? Another process works on it, or what is remembered can't be trusted: then nothing is
   touched.
2. What does the destination serve? If a publish of ours was never recorded, that is finished first, because
   every other question depends on which key is current. If a person wrote there, nothing automatic is safe.
   If what it serves is refused by the provider, consumers are failing now, and a rotation comes before all else.
   What it serves is then copied to the other places of a lineage that was moved; one that nothing may be written
   to keeps old keys alive, but not the destination from being rotated.
3. Which keys await their end? An orphan is never revoked on sight: its publish may still be under way. Once
   a publish above its base is confirmed, that publish can't succeed any more, and it joins the previous keys.
   Previous keys and originals are revoked when nothing stands in the way.
4. Is the key in use due? Only then is something new made, and not while too much is left lying about. What a person
   ordered is due at once, and is made before any old key is deleted, so that a deletion that fails can't hold it up.

Windows and freezes bound what may begin by itself: a rotation that is due by time or by `adopt: now`, until its expiry
beats them, and a deletion. They bound nothing that was begun, no order, and no replacement of a refused secret.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from rotator.errors import InvariantViolation
from rotator.model.entry import EntryState, Verdict
from rotator.model.reason import HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.record import Attempt, Failure, Original, Previous, Record
from rotator.model.snapshot import Snapshot
from rotator.plan import copies, facts
from rotator.plan.actions import Adopt, Copy, Decision, Finish, Hold, Inherit, Revoke, Rotate, Wait
from rotator.plan.invariants import Obstacle, may_revoke, not_yet, overlap_ends, release_ends
from rotator.policy import windows
from rotator.policy.duration import LONGEST
from rotator.policy.policy import Adopt as AdoptMode
from rotator.policy.policy import Policy
from rotator.policy.schedule import MADE_WITHIN, Due, Start, due, latest_safe_start, start

Rule = Callable[[Policy, Snapshot, datetime], Decision | None]

UNSERVED_ALLOWED = 2
"""With more keys of ours alive that nobody serves, nothing is minted until somebody looks."""

ATTEMPTS_ALLOWED = 49
"""With more attempts open, whose publish can still succeed, nothing is minted until somebody looks."""

HOLDS_OF_MINTING = frozenset({HoldReason.PARITY, HoldReason.WRITE_REFUSED})
"""Recorded holds that stop what is new, and nothing else: old keys still leave when their time has come."""

LOOK_AGAIN = timedelta(minutes=1)
"""When to look again at something that may be different soon."""

RETIRE_LATER = timedelta(minutes=15)
"""When to look again at what keeps old keys alive past their time: it can last, for many at once, and there is no hurry."""


# 1. May we act at all?


def fleet_hold(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Hold what looking at all lineages together showed to be unsafe.

    A list that lacks most keys may be a part of the whole. But a key whose own secret the provider refuses is gone,
    and its consumers are not left to wait for a person: an older backup of Vault, restored, serves many such keys.
    """
    del policy
    if snapshot.fleet_hold is HoldReason.MANY_ABSENT and facts.served_key_gone(snapshot, now):
        return None
    return None if snapshot.fleet_hold is None else Hold(snapshot.fleet_hold, snapshot.fleet_hold_detail)


def forgotten(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Leave alone what a person told us to forget."""
    del policy, now
    record = snapshot.record
    return Wait(WaitReason.FORGOTTEN, None) if record is not None and record.forgotten else None


def paused(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Act on nothing that a person paused, save to bring an emergency to its end."""
    del policy, now
    stops = snapshot.paused and not facts.emergency(snapshot.record)
    return Wait(WaitReason.PAUSED, None) if stops else None


def claimed(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Leave a lineage to the process that works on it."""
    del policy
    until = facts.claimed_until(snapshot)
    claim = snapshot.record.claim if snapshot.record else None
    if claim is None or until is None or until <= snapshot.on_vault_clock(now):
        return None
    # However wrong Vault's clock is, it lasts no longer than one that is written now.
    longest = now + claim.ttl + facts.CLAIM_MARGIN
    return Wait(WaitReason.CLAIMED, min(until - snapshot.vault_skew, longest))


def without_record(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Take a new key in; hold when the record was lost, or when the destination is somebody else's.

    While a key that is marked for this lineage, or the one to be taken in, can't be read, nothing is known of that.
    """
    if snapshot.record is not None:
        return None
    if snapshot.unreadable:
        return Wait(WaitReason.KEY_UNREADABLE, now + LOOK_AGAIN)
    entry, matched = snapshot.entry, snapshot.matched
    if facts.marked_for_us(snapshot) or entry.rotation_id is not None:
        return Hold(HoldReason.LOST_RECORD)
    if matched is None:
        return Wait(WaitReason.NOT_FOUND, None)
    if facts.watched(policy, None):
        return Wait(WaitReason.WATCHED, None)
    if entry.state is EntryState.DELETED:
        return Hold(HoldReason.ENTRY_DELETED, f"version {entry.version}")
    if not entry.has_secret:
        return Adopt(matched.key_id, original=True)
    if snapshot.served.verdict is Verdict.UNKNOWN:
        return Wait(WaitReason.SERVED_UNPROVEN, now + LOOK_AGAIN)
    if snapshot.served.verdict is Verdict.ACCEPTED and snapshot.served.key_id == matched.key_id:
        return Adopt(matched.key_id, original=False)
    return Hold(HoldReason.DESTINATION_OCCUPIED, f"version {entry.version}")


def recorded_hold(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Keep a hold that was found while acting, until the policy entry is another one."""
    del now
    hold = _recorded_hold(policy, snapshot)
    return None if hold is None or hold.reason in HOLDS_OF_MINTING else hold


def fields_changed(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Hold when the policy names other fields: consumers still read the old ones."""
    del now
    same = _record(snapshot).fields == policy.destination.fields
    return None if same else Hold(HoldReason.FIELDS_CHANGED)


# 2. What does the destination serve?


def finish(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Record a publish of ours that nobody recorded, once its secret is shown to be that very key.

    A rotation id that was recorded before is no such publish: a person rolled the entry back.
    """
    del policy
    record, entry, served = _record(snapshot), snapshot.entry, snapshot.served
    attempt = _unfinished(record, entry.rotation_id)
    if entry.state is not EntryState.PRESENT or attempt is None:
        return None
    if entry.version <= attempt.base:
        return Hold(HoldReason.ENTRY_BEHIND, f"version {entry.version}, base {attempt.base}")
    match served.verdict:
        case Verdict.ACCEPTED:
            # Where the provider does not say whose secret it is, only the very version that we wrote tells.
            untouched = entry.version == attempt.base + 1
            key_id = entry.key_id if served.key_id is None and untouched else served.key_id
            made = {key.key_id for key, by in facts.orphans(snapshot) if by == attempt}
            if attempt.reason is RotateReason.IMPORTED:
                made = {str(attempt.key_id)}
            if _unreadable(snapshot, key_id):
                return Wait(WaitReason.KEY_UNREADABLE, now + LOOK_AGAIN)
            if key_id is not None and key_id in made:
                listed = snapshot.key(key_id) is not None
                return Finish(attempt.rotation_id, key_id) if listed else Hold(HoldReason.CURRENT_UNLISTED)
            return Hold(HoldReason.ENTRY_CHANGED, f"version {entry.version}")
        case Verdict.REFUSED:
            return None
        case Verdict.NOTHING:
            return Hold(HoldReason.ENTRY_CHANGED, f"version {entry.version}")
        case Verdict.UNKNOWN:
            return Wait(WaitReason.SERVED_UNPROVEN, now + LOOK_AGAIN)


def recognise(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Make an original current when its own secret has come to stand in the destination."""
    del policy
    record, served = _record(snapshot), snapshot.served
    if record.current is not None or served.verdict is not Verdict.ACCEPTED:
        return None
    if not any(original.key.key_id == served.key_id for original in record.originals):
        return None
    if _unreadable(snapshot, served.key_id):
        return Wait(WaitReason.KEY_UNREADABLE, now + LOOK_AGAIN)
    return None if snapshot.key(served.key_id) is None else Adopt(str(served.key_id), original=False)


def not_as_published(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Hold when the destination holds something else than what we published: a person wrote it, or we forgot it."""
    del policy, now
    record, entry = _record(snapshot), snapshot.entry
    unfinished, shown = _unfinished(record, entry.rotation_id) is not None, f"version {entry.version}"
    if facts.record_behind(snapshot):
        return Hold(HoldReason.RECORD_BEHIND, shown)
    if record.current is None:
        if entry.state is EntryState.DELETED:
            return Hold(HoldReason.ENTRY_DELETED, shown)
        return Hold(HoldReason.DESTINATION_OCCUPIED, shown) if entry.has_secret and not unfinished else None
    if entry.state is not EntryState.PRESENT:
        return Hold(HoldReason.ENTRY_DELETED, shown)
    if entry.version < record.current.version:
        return Hold(HoldReason.ENTRY_BEHIND, f"{shown}, published {record.current.version}")
    if entry.rotation_id != record.current.rotation_id and not unfinished:
        return Hold(HoldReason.ENTRY_CHANGED, shown)
    no_secret = snapshot.served.verdict is Verdict.NOTHING
    other_key = snapshot.served.key_id not in (None, record.current.key.key_id)
    if no_secret or (other_key and not unfinished):
        return Hold(HoldReason.ENTRY_CHANGED, shown)
    return None


def written_again(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Touch no entry that was written again after our publish, unless its secret is shown to be ours.

    A person who changes only the secret field leaves our ids in place, and what a person wrote is not overwritten.
    """
    del policy
    entry = snapshot.entry
    if entry.version == _version_of_ours(_record(snapshot), entry.rotation_id):
        return None
    match snapshot.served.verdict:
        case Verdict.REFUSED:
            return Hold(HoldReason.ENTRY_CHANGED, f"version {entry.version}")
        case Verdict.UNKNOWN:
            return Wait(WaitReason.SERVED_UNPROVEN, now + LOOK_AGAIN)
        case Verdict.ACCEPTED if snapshot.served.key_id is None:
            return Hold(HoldReason.ENTRY_CHANGED, f"version {entry.version}")
        case Verdict.ACCEPTED | Verdict.NOTHING:
            return None


def served_refused(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Replace at once a served key that the provider refuses, whatever window, gap or back-off.

    Only tries that were made for this very reason are spaced: one after another would never end otherwise.
    """
    record = _record(snapshot)
    replaced = facts.head(record)
    if snapshot.served.verdict is not Verdict.REFUSED or replaced is None:
        return None
    reason = facts.ordered(record) or RotateReason.SERVED_KEY_REFUSED
    if facts.watched(policy, record) and reason is RotateReason.SERVED_KEY_REFUSED:
        return Hold(HoldReason.SERVED_REFUSED)
    if _paused_for(reason, snapshot):
        return Wait(WaitReason.PAUSED, None)
    minting = _minting_hold(policy, snapshot, now)
    if minting is not None:
        return minting
    failure = _standing(policy, record.rotate_failure, now)
    if failure is not None and failure.tried is reason and failure.next_try_at > now:
        return Wait(WaitReason.BACKING_OFF, failure.next_try_at)
    last = record.history[-1] if record.history else None
    repeats = last is not None and last.reason is reason is RotateReason.SERVED_KEY_REFUSED
    gap_ends = _gap_ends(policy, snapshot)
    if repeats and gap_ends is not None and gap_ends > now:
        return Wait(WaitReason.BACKING_OFF, gap_ends)
    return Rotate(reason, replaced)


def copy(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Copy what the destination is shown to serve to another place that should serve it too, unless that just failed.

    Once it has failed, a key that is due comes first: a place that takes nothing must not let it expire.
    """
    record = _record(snapshot)
    if not facts.serves_current(snapshot) or _not_again(record.copy_failure, policy, snapshot, now):
        return None
    if snapshot.paused and facts.ordered(record) is RotateReason.EMERGENCY:
        # What an emergency is to publish is not there yet.
        return None
    for copied, seen in copies.behind(snapshot):
        if copies.obstacle(snapshot, copied, seen) is None:
            return Copy(copied.place)
    return None


# 3. Which keys await their end?


def inherit(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Count an orphan as previous once its own publish can't succeed any more, or was never sent."""
    del policy, now
    record = _record(snapshot)
    if record.current is None:
        return None
    for key, attempt in facts.orphans(snapshot):
        if record.closed(attempt) or attempt.key_id == key.key_id:
            return Inherit(key.key_id)
    return None


def rotate_when_ordered(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Replace the key in use when a person wants that, before any old key: a deletion that fails must not hold it up."""
    if facts.ordered(_record(snapshot)) is None:
        return None
    return _replacement(policy, snapshot, now)


def revoke(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Delete a previous key or original that nothing stands in the way of, when its policy is open for that.

    After a failure it is the next one's turn, so that one that can't be deleted never keeps the others alive; and a key
    that is due comes first, so that it lets none expire.
    """
    record = _record(snapshot)
    failure = _standing(policy, record.revoke_failure, now)
    if _not_again(failure, policy, snapshot, now):
        return None
    ends: list[tuple[str, Previous | Original]] = [(p.key_id, p) for p in record.previous]
    ends += [(o.key.key_id, o) for o in record.originals]
    found = [
        Revoke(key_id, _revoke_reason(terms, snapshot, now))
        for key_id, terms in ends
        if may_revoke(snapshot, key_id, now) is None
        and (terms.at_once or not (snapshot.paused or windows.closed_by(policy, now)))
    ]
    failures = 0 if failure is None else failure.count
    return found[failures % len(found)] if found else None


def _revoke_reason(terms: Previous | Original, snapshot: Snapshot, now: datetime) -> RevokeReason:
    if terms.at_once:
        return RevokeReason.EMERGENCY
    if isinstance(terms, Previous):
        return RevokeReason.OVERLAP_ENDED
    expires_at = terms.key.expires_at
    expired = expires_at is not None and expires_at <= snapshot.on_provider_clock(now)
    return RevokeReason.EXPIRED if expired else RevokeReason.ORIGINAL_RELEASED


# 4. Is the key in use due?


def nothing_to_copy(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Hold when the key to be replaced is not listed: its rights can't be compared with anything.

    One that is listed and can't be read is as the record says: a provider changes no key.
    """
    del policy, now
    record = _record(snapshot)
    if record.current is None:
        gone = snapshot.absence_proven and not any(snapshot.lists(o.key.key_id) for o in record.originals)
        return Hold(HoldReason.ORIGINAL_GONE) if gone else None
    listed = snapshot.lists(record.current.key.key_id)
    accepted = snapshot.served.verdict is Verdict.ACCEPTED
    return Hold(HoldReason.CURRENT_UNLISTED) if accepted and not listed else None


def rotate_when_due(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Replace the key in use when it is due, unless the last try failed a moment ago, or the policy closes this time."""
    record = _record(snapshot)
    key = facts.head(record)
    ordered = facts.ordered(record)
    if key is None or (facts.watched(policy, record) and ordered is None):
        return None
    reason = ordered or _due_reason(policy, snapshot, now)
    if reason is None or _paused_for(reason, snapshot):
        return None
    minting = _minting_hold(policy, snapshot, now)
    if minting is not None:
        return minting
    failure = _standing(policy, record.rotate_failure, now)
    if failure is not None and failure.next_try_at > now:
        return Wait(WaitReason.BACKING_OFF, failure.next_try_at)
    if reason is ordered:
        return Rotate(reason, key)
    begins = _start(policy, snapshot, now)
    return None if begins.waits_for else Rotate(reason, key, begins.overrides)


def minting_held(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Show a lineage that may not mint any more, before it is due."""
    return _minting_hold(policy, snapshot, now)


def copy_stopped(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Hold when a person wrote to a place that is served by copies, or deleted it."""
    del policy, now
    record = _record(snapshot)
    for copied, seen in copies.behind(snapshot):
        reason = copies.obstacle(snapshot, copied, seen)
        if seen.entry is not None and isinstance(reason, HoldReason):
            return Hold(reason, f"{record.label(copied.place)}, version {seen.entry.version}")
    return None


def impeded(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Wait for what keeps everything else from being done, whatever its time."""
    record = _record(snapshot)
    if snapshot.served.verdict is Verdict.UNKNOWN:
        return Wait(WaitReason.SERVED_UNPROVEN, now + LOOK_AGAIN)
    if copies.behind(snapshot):
        failure = _standing(policy, record.copy_failure, now)
        next_try = failure.next_try_at if failure is not None else now
        return _until(WaitReason.COPY_BEHIND, [next_try, next_start(policy, snapshot)], now)
    stopped = _stopped(snapshot, now)
    if stopped is not None:
        return Wait(stopped, now + (LOOK_AGAIN if facts.emergency(record) else RETIRE_LATER))
    failure = _standing(policy, record.revoke_failure, now)
    if failure is not None and facts.emergency(record):
        return Wait(WaitReason.BACKING_OFF, failure.next_try_at)
    return Wait(WaitReason.PAUSED, None) if snapshot.paused else None


def closed(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision | None:
    """Wait for a window to open, or a freeze to end, where a rotation or a deletion would be begun but for that."""
    if _due_reason(policy, snapshot, now) is not None:
        begins = _start(policy, snapshot, now)
        return None if begins.waits_for is None else Wait(begins.waits_for, begins.at)
    reason = windows.closed_by(policy, now)
    if reason is None or all(may_revoke(snapshot, key_id, now) for key_id in _old(_record(snapshot))):
        return None
    return _until(reason, [windows.opens_at(policy, now), next_start(policy, snapshot)], now)


def wait(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision:
    """Wait for the next instant at which something can change, and say for what. Always decides."""
    record, starts_at = _record(snapshot), next_start(policy, snapshot)
    if record.previous or (record.current is not None and record.originals):
        ends = [end for p in record.previous if (end := overlap_ends(p)) is not None]
        ends += [end for o in record.originals for end in _original_ends(o)]
        failure = _standing(policy, record.revoke_failure, now)
        if failure is not None:
            ends = [max(end, snapshot.on_vault_clock(failure.next_try_at)) for end in ends]
        reason = WaitReason.OVERLAP if record.previous else WaitReason.AWAITING_RELEASE
        return _until(reason, [*_opened(ends, policy, snapshot), starts_at], now)
    if facts.watched(policy, record):
        return Wait(WaitReason.WATCHED, None)
    return _until(WaitReason.NOT_DUE, [starts_at], now)


RULES: tuple[Rule, ...] = (
    forgotten,
    fleet_hold,
    paused,
    claimed,
    without_record,
    recorded_hold,
    fields_changed,
    finish,
    recognise,
    not_as_published,
    written_again,
    served_refused,
    inherit,
    rotate_when_ordered,
    copy,
    revoke,
    nothing_to_copy,
    rotate_when_due,
    minting_held,
    copy_stopped,
    impeded,
    closed,
    wait,
)


def _record(snapshot: Snapshot) -> Record:
    """Return the record; every rule after `without_record` has one."""
    if snapshot.record is None:
        raise InvariantViolation("a rule that needs a record was asked without one")
    return snapshot.record


def _standing(policy: Policy, failure: Failure | None, now: datetime) -> Failure | None:
    """Return the failure, unless the policy entry has changed since, or a clock that was ahead wrote down when to try again."""
    if failure is None or failure.failed_at > now + facts.SKEW_ALLOWED:
        return None
    return failure if failure.policy_fingerprint == policy.fingerprint else None


def _not_again(failure: Failure | None, policy: Policy, snapshot: Snapshot, now: datetime) -> bool:
    """Return whether what failed is not to be tried again yet: its time has not come, or a key is to be replaced first.

    Where sweeps are rarer than its tries, it would be what each of them begins with, and ends at.
    """
    standing = _standing(policy, failure, now)
    if standing is None:
        return False
    return standing.next_try_at > now or _replacement(policy, snapshot, now) is not None


def _replacement(policy: Policy, snapshot: Snapshot, now: datetime) -> Rotate | None:
    """Return how the key in use is replaced now, if it is."""
    decision = nothing_to_copy(policy, snapshot, now) or rotate_when_due(policy, snapshot, now)
    return decision if isinstance(decision, Rotate) else None


def _unreadable(snapshot: Snapshot, key_id: str | None) -> bool:
    """Return whether a key is listed and can't be read."""
    return any(key.key_id == key_id for key in snapshot.unreadable)


def _unfinished(record: Record, rotation_id: str | None) -> Attempt | None:
    """Return the attempt whose publish at the destination nobody recorded, if there can be one with that id."""
    attempt, current = record.attempt(rotation_id), record.current
    if attempt is None or attempt.void or (current is not None and current.rotation_id == rotation_id):
        return None
    recorded = any(rotated.rotation_id == rotation_id for rotated in record.history)
    return None if recorded else attempt


def _version_of_ours(record: Record, rotation_id: str | None) -> int | None:
    """Return at which version the secret of that rotation was written, if this record knows."""
    if record.current is not None and record.current.rotation_id == rotation_id:
        return record.current.version
    attempt = record.attempt(rotation_id)
    return None if attempt is None else attempt.base + 1


def _recorded_hold(policy: Policy, snapshot: Snapshot) -> Hold | None:
    """Return the hold that was written down, unless the policy entry has changed since."""
    hold = _record(snapshot).hold
    if hold is None or hold.policy_fingerprint != policy.fingerprint:
        return None
    return Hold(hold.reason, hold.detail)


def _paused_for(reason: RotateReason, snapshot: Snapshot) -> bool:
    """Return whether a pause stops what would be minted for this reason."""
    return bool(snapshot.paused) and reason is not RotateReason.EMERGENCY


def _minting_hold(policy: Policy, snapshot: Snapshot, now: datetime) -> Hold | None:
    """Return why nothing new may be minted, whatever is due."""
    recorded = _recorded_hold(policy, snapshot)
    if recorded is not None:
        return recorded
    unserved = (*facts.unserved(snapshot, now), *facts.perhaps_unserved(snapshot))
    if len(unserved) > UNSERVED_ALLOWED:
        return Hold(HoldReason.TOO_MANY_UNSERVED, ", ".join(key.key_id for key in unserved))
    record, provider_now = _record(snapshot), snapshot.on_provider_clock(now)
    listed = facts.marks_seen(snapshot)
    still_open = [a for a in record.attempts if _still_open(a, record, listed, provider_now)]
    if len(still_open) > ATTEMPTS_ALLOWED:
        return Hold(HoldReason.TOO_MANY_ATTEMPTS, f"{len(still_open)} attempts")
    return None


def _still_open(attempt: Attempt, record: Record, listed: frozenset[str], provider_now: datetime) -> bool:
    """Return whether a key of the attempt lives unserved, or may yet come to be."""
    if record.closed(attempt) or attempt.keep_until <= provider_now:
        return False
    return attempt.rotation_id in listed or provider_now <= attempt.intent_at + MADE_WITHIN


def _due_reason(policy: Policy, snapshot: Snapshot, now: datetime) -> RotateReason | None:
    record = _record(snapshot)
    if policy.adopt is AdoptMode.NOW and facts.head(record) and not facts.replaced_before(record):
        return RotateReason.ADOPT_NOW
    coming = _due(policy, snapshot)
    return None if coming is None or coming.at > now else coming.reason


def next_start(policy: Policy, snapshot: Snapshot) -> datetime | None:
    """Return when the key in use of a lineage with a record is replaced by time, on our clock.

    That is when it is due, or when its policy is open next after that. None: never, or by no rule of its policy.
    """
    coming = _due(policy, snapshot)
    return None if coming is None else _start(policy, snapshot, coming.at).at


def _start(policy: Policy, snapshot: Snapshot, at: datetime) -> Start:
    """Return when a rotation that is due by time at `at` may start, on our clock."""
    key = facts.head(_record(snapshot))
    safe_until = latest_safe_start(policy, key.expires_at) if key else None
    return start(policy, at, safe_until - snapshot.provider_skew if safe_until else None)


def _due(policy: Policy, snapshot: Snapshot) -> Due | None:
    """Return when the key in use is due on our clock, the minimum gap counted in, and why."""
    record = _record(snapshot)
    key = facts.head(record)
    if key is None or facts.watched(policy, record):
        return None
    first = due(policy, snapshot.lineage.lineage_id, key, taken_in_at=record.adopted_at)
    if first is None:
        return None
    at = first.at - snapshot.provider_skew
    gap_ends = _gap_ends(policy, snapshot)
    return Due(at if gap_ends is None else max(at, gap_ends), first.reason)


def _gap_ends(policy: Policy, snapshot: Snapshot) -> datetime | None:
    """Return when the minimum gap since the last rotation ends, on our clock; None where there was none, or nobody knows when.

    Nobody does when Vault's clock was ahead then, or is behind now: the gap would last for as long as that.
    """
    current = _record(snapshot).current
    if current is None or current.rotation_id is None:
        return None
    if current.published_at > snapshot.on_vault_clock(snapshot.seen_at) + facts.SKEW_ALLOWED:
        return None
    return current.published_at + policy.min_gap - snapshot.vault_skew


def _old(record: Record) -> tuple[str, ...]:
    """Return the ids of the keys that await their end."""
    return (*(p.key_id for p in record.previous), *(o.key.key_id for o in record.originals))


def _stopped(snapshot: Snapshot, now: datetime) -> WaitReason | None:
    """Return what keeps an old key alive although its own time has come: that must be told."""
    waits = {Obstacle.OVERLAP, Obstacle.NOT_RELEASED}
    obstacles = {
        may_revoke(snapshot, key_id, now)
        for key_id in _old(_record(snapshot))
        if not_yet(snapshot, key_id, now) not in waits
    }
    stops = obstacles - {None, Obstacle.NOT_OURS}
    if not stops:
        return None
    if Obstacle.CLOCKS_DIFFER in stops:
        return WaitReason.CLOCKS_DIFFER
    return WaitReason.LOOK_TOO_SLOW if Obstacle.PROOF_TOO_OLD in stops else WaitReason.RETIRING_STOPPED


def _original_ends(original: Original) -> list[datetime]:
    ends = [original.released_at, release_ends(original), original.key.expires_at]
    overlap = overlap_ends(original)
    return [max(end, overlap) for end in ends if end is not None and overlap is not None]


def _opened(instants: list[datetime], policy: Policy, snapshot: Snapshot) -> list[datetime]:
    """Return when, on our clock, the policy is open for what may be done from these instants of Vault's clock on.

    Some write the end of the calendar for "never": that is far enough.
    """
    never = snapshot.seen_at + LONGEST
    return [windows.opens_at(policy, min(instant, never) - snapshot.vault_skew) for instant in instants]


def _until(reason: WaitReason, instants: list[datetime | None], now: datetime) -> Wait:
    """Wait until the first instant; one that has passed already is looked at again in a while, never at once."""
    known = [max(instant, now + LOOK_AGAIN) if instant <= now else instant for instant in instants if instant]
    return Wait(reason, min(known, default=None))
