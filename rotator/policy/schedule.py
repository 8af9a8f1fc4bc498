"""When: the arithmetic of due times, back-off and latest safe starts. Pure; `now` is always given.

Nothing here draws a random number: spreading is a hash of what it spreads, so that a restart, a second
replica or another look gives the same instant.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.model.reason import Closed, RotateReason, WaitReason
from rotator.model.record import KnownKey
from rotator.policy import windows
from rotator.policy.duration import LONGEST
from rotator.policy.policy import Lifetime, Policy, Share

SPREAD = 10
"""Due times are spread over a tenth of what they are computed from, always to the early side."""

_DEFAULT = Policy(name="", providers=())

FIRST_PASS = timedelta(days=7)
"""Over so many days, and a tenth of `max_age` at most, keys are spread that were over age when they were taken in."""

MADE_WITHIN = timedelta(hours=1)
"""A key that appears longer after its intent is not taken for ours."""

HURRIED = timedelta(minutes=1)
"""How long a lineage waits between tries at least when its time runs out."""

KEPT_WITHOUT_EXPIRY = timedelta(days=90)
"""How long an attempt for a key that never expires is remembered."""


@dataclass(frozen=True, slots=True)
class Due:
    """When a key is to be replaced, and why then."""

    at: datetime
    reason: RotateReason


@dataclass(frozen=True, slots=True)
class Start:
    """When a rotation that is due by time may start.

    `waits_for` is what it waits for until then, None when it need not wait; `overrides` what would close that instant,
    and does not because later would be too late.
    """

    at: datetime
    waits_for: WaitReason | None = None
    overrides: Closed | None = None


def rotate_lead(policy: Policy, lifetime: timedelta) -> timedelta:
    """Return how long before its expiry a key with that whole lifetime is due, before spreading.

    With a lead that is too long, each key would be due as soon as it is made, and be replaced once per `min_gap` for ever.
    The default counts instead, or the time that a rotation takes, if that is longer. Where not even that fits, the key
    expires too soon for anything but `min_gap`.
    """
    asked = asked_lead(policy, lifetime)
    if fits(asked, lifetime):
        return asked
    instead = max(asked_lead(_DEFAULT, lifetime), time_of_a_rotation(policy))
    return instead if fits(instead, lifetime) else asked


def asked_lead(policy: Policy, lifetime: timedelta) -> timedelta:
    """Return what `rotate_before` says for a key with that whole lifetime, whether it fits or not."""
    if isinstance(policy.rotate_before, Share):
        return lifetime * (policy.rotate_before.percent / 100)
    return policy.rotate_before


def fits(lead: timedelta, lifetime: timedelta) -> bool:
    """Return whether a key with that whole lifetime is due only after it is made, however it is spread."""
    return lead + lead / SPREAD < lifetime


def time_of_a_rotation(policy: Policy) -> timedelta:
    """Return the longest time from the start of a rotation to the end of its overlap."""
    return policy.overlap + policy.prove_deadline + policy.retry_max


def due(policy: Policy, lineage_id: str, key: KnownKey, *, taken_in_at: datetime | None = None) -> Due | None:
    """Return when `key` is due: the earlier of expiry and age, None when it has neither.

    `taken_in_at` (the provider's clock) is when its lineage was taken in, or its record made again: a key that was over age
    by then already is spread over the days that follow, as a first look at an old fleet would find all of it due at once.
    Where windows and freezes leave nothing open from then until it would be too late, it is due ahead of that, in the last
    time that is open before.
    """
    safe_until = latest_safe_start(policy, key.expires_at)
    too_late = [] if safe_until is None else [safe_until]
    instants = []
    if key.expires_at is not None:
        lead = rotate_lead(policy, key.expires_at - key.created_at)
        early = _spread(lead, lineage_id, key.key_id)
        at = _in_the_open(policy, key, key.expires_at - lead - early, too_late)
        instants.append(Due(at, RotateReason.DUE_BY_EXPIRY))
    if policy.max_age is not None:
        early = _spread(policy.max_age, lineage_id, key.key_id)
        too_old_at = key.created_at + policy.max_age
        at = too_old_at - early
        if taken_in_at is not None and at < taken_in_at:
            span = min(policy.max_age / SPREAD, FIRST_PASS)
            at = taken_in_at + span * _hashed(lineage_id, key.key_id)
        else:
            too_late = [*too_late, too_old_at]
        instants.append(Due(_in_the_open(policy, key, at, too_late), RotateReason.DUE_BY_AGE))
    return min(instants, key=lambda one: one.at, default=None)


def start(policy: Policy, at: datetime, safe_until: datetime | None) -> Start:
    """Return when a rotation that is due by time at `at` may start: then, or when it is next open.

    From `safe_until` (the latest safe start) on nothing closes it, for an expiry does not wait for a window.
    """
    closed = windows.closed_by(policy, at)
    if closed is None:
        return Start(at)
    if safe_until is not None and safe_until <= at:
        return Start(at, overrides=closed)
    opens_at = windows.opens_at(policy, at)
    if safe_until is None or opens_at <= safe_until:
        return Start(opens_at, waits_for=closed)
    return Start(safe_until, WaitReason.OPENS_TOO_LATE, windows.closed_by(policy, safe_until))


def latest_safe_start(policy: Policy, expires_at: datetime | None) -> datetime | None:
    """Return the last instant at which a rotation can start and still give the whole overlap, None without expiry."""
    if expires_at is None:
        return None
    return expires_at - time_of_a_rotation(policy)


def lifetime_of_next(policy: Policy, key: KnownKey) -> timedelta | None:
    """Return the lifetime to ask for when `key` is replaced: afresh, never what is left of it.

    An inherited one is a century at most: 9999-12-31 is what some write for "never".
    """
    match policy.lifetime:
        case Lifetime.INHERIT:
            return None if key.expires_at is None else min(key.expires_at - key.created_at, LONGEST)
        case Lifetime.NEVER:
            return None
        case timedelta() as wanted:
            return wanted


def remembered_until(intent_at: datetime, lifetime: timedelta | None) -> datetime:
    """Return until when an attempt is kept in the record: its key may be made an hour after the intent."""
    return intent_at + (KEPT_WITHOUT_EXPIRY if lifetime is None else lifetime) + MADE_WITHIN


def next_try(
    policy: Policy, lineage_id: str, *, failures: int, now: datetime, safe_until: datetime | None
) -> datetime:
    """Return when to try again after `failures` (at least 1) failures in a row.

    Doubles from `retry.initial` to `retry.max`, takes at most a tenth of the time left to `safe_until`
    (the latest safe start), though never less than the shorter of `retry.initial` and a minute, and is spread
    by a hash over the second half.
    """
    most = policy.retry_max / policy.retry_initial
    delay = min(policy.retry_initial * min(2.0 ** min(failures - 1, 30), most), policy.retry_max)
    if safe_until is not None:
        delay = max(min(delay, (safe_until - now) / 10), min(policy.retry_initial, HURRIED))
    return now + delay - _hashed(lineage_id, str(failures)) * delay / 2


def _in_the_open(policy: Policy, key: KnownKey, at: datetime, too_late: list[datetime]) -> datetime:
    """Return `at`; or, where all is closed from then until the first of `too_late`, an earlier instant that is open.

    Not one in the very time in which the key was made: it would be replaced as soon as it is there.
    """
    limit = min(too_late, default=None)
    if limit is None or windows.closed_by(policy, at) is None or windows.opens_at(policy, at) < limit:
        return at
    return windows.ahead_of(policy, min(at, limit), since=key.created_at) or at


def _spread(span: timedelta, *parts: str) -> timedelta:
    return span / SPREAD * _hashed(*parts)


def _hashed(*parts: str) -> float:
    """Return a number in [0, 1) that depends on `parts` only."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
