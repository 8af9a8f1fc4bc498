"""How old a key can get before it is deleted, by policy: what its options promise together, which is more than `max_age`.

The promise is about keys that rotator makes. One rotation that fails and is tried again is counted, and no failure after
that: what goes on failing is told, and such a key lives on, to its expiry if it has one. How long one waits for a start
(`starts_per_hour`) hangs on all other lineages: it is counted as the calendar has it, and known only as far as that goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.model.record import KnownKey
from rotator.policy import windows
from rotator.policy.policy import Adopt, Lifetime, Policy
from rotator.policy.schedule import rotate_lead
from rotator.policy.windows import Stretch

YEAR = timedelta(days=366)
"""Windows and freezes are counted for so long at least."""

NOTHING = timedelta()

Parts = tuple[tuple[str, timedelta], ...]
"""The times that something adds up from, each with what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldestKey:
    """The age that no key of a policy passes, with the times that it adds up from. `most` None: nothing bounds it."""

    policy: str
    lineages: int
    most: timedelta | None
    parts: Parts = ()


def oldest_key(
    policy: Policy, keys: Iterable[KnownKey], now: datetime, until: datetime, *, waits: timedelta
) -> OldestKey:
    """Return how old a key of this policy can get. `keys` are those in use: how long they live is inherited.

    `waits` is the longest time that one of its rotations waits for a start.
    """
    in_use = tuple(keys)
    life = _longest_life(policy, in_use)
    bounds: list[Parts] = [] if life is None else [(("lifetime", life),)]
    if policy.adopt is not Adopt.WATCH:
        found = _open_times(policy, now, max(until, now + YEAR))
        if policy.max_age is not None:
            # Where it can, it is rotated ahead rather than getting older.
            closed = windows.longest_wait(found, policy.max_age) - policy.max_age
            bounds.append(_way("max_age", policy.max_age, closed, waits, policy, found))
        if life is not None:
            due_within = max(one - rotate_lead(policy, one) for one in _lives(in_use, life))
            closed = windows.longest_closed(found)
            bounds.append(_way("lifetime - rotate_before", due_within, closed, waits, policy, found))
    sums = [(sum((length for _, length in parts), NOTHING), parts) for parts in bounds]
    most, parts = min(sums, default=(None, ()))
    return OldestKey(policy=policy.name, lineages=len(in_use), most=most, parts=parts)


def _open_times(policy: Policy, now: datetime, until: datetime) -> tuple[Stretch, ...]:
    """Return what is open from now on, with what was open last before: keys were made in that."""
    begun = [one for one in windows.stretches(policy, now - YEAR, now + windows.LONGEST) if one.start <= now]
    last = begun[-1] if begun else Stretch(now, now)
    return (last, *windows.stretches(policy, max(now, last.end), until))


def _longest_life(policy: Policy, in_use: tuple[KnownKey, ...]) -> timedelta | None:
    """Return how long a key of a policy lives at most by itself, None where some do not expire."""
    if policy.adopt is not Adopt.WATCH and isinstance(policy.lifetime, timedelta):
        return policy.lifetime
    if policy.adopt is not Adopt.WATCH and policy.lifetime is Lifetime.NEVER:
        return None
    lives = [key.expires_at - key.created_at for key in in_use if key.expires_at is not None]
    return max(lives) if lives and len(lives) == len(in_use) else None


def _lives(in_use: tuple[KnownKey, ...], longest: timedelta) -> list[timedelta]:
    """Return how long keys live, up to `longest`: one that lives shorter may be due later, if the lead is too long for it."""
    lives = [key.expires_at - key.created_at for key in in_use if key.expires_at is not None]
    return [longest, *(min(life, longest) for life in lives)]


def _way(
    name: str,
    due_within: timedelta,
    closed: timedelta,
    waits: timedelta,
    policy: Policy,
    found: tuple[Stretch, ...],
) -> Parts:
    """Return the longest way of a key from its creation to its deletion, by the time of each part."""
    parts = (
        (name, due_within),
        ("closed", closed),
        ("starts_per_hour", waits),
        ("prove.deadline", policy.prove_deadline),
        ("retry.max", policy.retry_max),
        ("overlap", policy.overlap),
        ("closed for the deletion", windows.longest_closed(found)),
    )
    return tuple((what, length) for what, length in parts if length > NOTHING)
