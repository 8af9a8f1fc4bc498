"""When a token is to be renewed or replaced, and when no login may be tried. Pure; instants are monotonic seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from typing import Final

from rotator.model.secret import Secret
from rotator.vault.answers import Grant

REFUSALS_BORNE: Final = 2
"""Vault locks a role out at the fifth wrong login, of whoever makes it
(https://developer.hashicorp.com/vault/docs/concepts/user-lockout)."""

_SHORTEST_PUT_OFF: Final = 1.0


class Due(Enum):
    """What is to be done about our token before it is used."""

    NOTHING = auto()
    RENEW = auto()
    LOG_IN = auto()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lease:
    """A token and its time. It is looked after from `look_at` on, and over at `ends_at`; None: never."""

    token: Secret
    lasts: timedelta
    renewable: bool
    look_at: float | None
    ends_at: float | None

    @classmethod
    def begun(cls, grant: Grant, asked_at: float) -> Lease:
        """Return the lease of a grant that was asked for at `asked_at`: it is looked after from half its life on."""
        seconds = grant.lasts.total_seconds()
        return cls(
            token=grant.token,
            lasts=grant.lasts,
            renewable=grant.renewable,
            look_at=asked_at + seconds / 2 if seconds else None,
            ends_at=asked_at + seconds if seconds else None,
        )

    def due(self, now: float) -> Due:
        """Return what is to be done now. What is over can't be renewed."""
        if self.over(now):
            return Due.LOG_IN
        if self.look_at is None or now < self.look_at:
            return Due.NOTHING
        return Due.RENEW if self.renewable else Due.LOG_IN

    def over(self, now: float) -> bool:
        """Return whether the token has had its time."""
        return self.ends_at is not None and now >= self.ends_at

    def put_off(self, now: float) -> Lease:
        """Return the lease after looking after it failed: half of what is left is waited, at least a second."""
        left = 0.0 if self.ends_at is None else self.ends_at - now
        return replace(self, look_at=now + max(left / 2, _SHORTEST_PUT_OFF))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refusals:
    """Logins in a row that Vault refused, all with one credential."""

    credential: tuple[Secret, ...]
    count: int
    last_at: float

    def pause_left(self, credential: tuple[Secret, ...], now: float, pause: timedelta) -> timedelta:
        """Return how long no login with `credential` may be tried: zero for another one, or after the pause."""
        if self.count < REFUSALS_BORNE or not _same(credential, self.credential):
            return timedelta(0)
        return max(timedelta(0), pause - timedelta(seconds=now - self.last_at))


def one_more(before: Refusals | None, credential: tuple[Secret, ...], now: float) -> Refusals:
    """Return the refusals after one more. They are counted anew for another credential, and after a pause."""
    goes_on = before is not None and before.count < REFUSALS_BORNE and _same(credential, before.credential)
    count = before.count + 1 if before is not None and goes_on else 1
    return Refusals(credential=credential, count=count, last_at=now)


def _same(one: tuple[Secret, ...], other: tuple[Secret, ...]) -> bool:
    return len(one) == len(other) and all(map(Secret.matches, one, other))
