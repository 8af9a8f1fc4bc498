"""Which rotations one sweep may start, and when: the most urgent first, through the limits and the breakers.

Every lineage of the sweep is looked at first. One whose rotation is due then makes a wish, and is answered:
go, or why it is left for later. Under one provider wishes are answered only when all its lineages were looked
at, in order of urgency, and a wish is granted only while a start would still be left for each more urgent
lineage of the sweep that may make or has made one. So a limit is spent on the most urgent keys, wherever they
are, and a slow provider holds up others only where the limit might not do for both.

Nothing here waits, or starts anything: `sweep` does.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from operator import attrgetter

from rotator.daemon.breaker import Answer, Breaker, Outcome, Shown, State
from rotator.errors import Conflict, PortError
from rotator.model.key import Listing
from rotator.model.reason import LeftReason, RotateReason
from rotator.model.record import Attempt, Record, Rotated
from rotator.plan.actions import Rotate
from rotator.policy.policy import Policy
from rotator.policy.schedule import latest_safe_start
from rotator.reconcile import Left, Reconciled

HOUR = timedelta(hours=1)

NEEDED = frozenset({"list keys", "read key", "create key", "prove secret", "prove key"})
"""What a rotation asks of a provider. Other errors are Vault's, or those of deleting."""


class Haste(IntEnum):
    """What a rotation need not wait for: each includes what stands above it."""

    NONE = 0
    """It waits for everything."""
    ORDERED = 1
    """A person ordered it: no hour is too full for it, though it is counted."""
    LATE = 2
    """Consumers fail, or will before their overlap is over: it may be the probe of an open breaker."""
    EMERGENCY = 3
    """It asks no breaker."""


def haste(rotate: Rotate, policy: Policy, at: datetime, *, refused: bool) -> Haste:
    """Return what a rotation need not wait for. `at` is now on the provider's clock.

    `refused`: the provider refuses the served secret, for whatever reason it is to be replaced.
    """
    if rotate.reason is RotateReason.EMERGENCY:
        return Haste.EMERGENCY
    safe_until = latest_safe_start(policy, rotate.replaces.expires_at)
    too_late = safe_until is not None and at >= safe_until
    if too_late or refused:
        return Haste.LATE
    return Haste.ORDERED if rotate.reason is RotateReason.ORDERED else Haste.NONE


def starts_begun(
    records: Iterable[Record], listings: Mapping[str, Listing], now: datetime
) -> dict[str, datetime]:
    """Return when rotations were started within the last hour, by whichever process, as far as records tell, by their ids.

    On our clock: records tell it on the provider's, which `listings` show by its name. An attempt of which it is certain that it made no
    key is in no record.
    """
    since = now - HOUR
    begun: dict[str, datetime] = {}
    for record in records:
        listing = listings.get(record.lineage.provider)
        skew = timedelta(0) if listing is None else listing.skew
        all_of_them: list[Attempt | Rotated] = [*record.attempts, *record.history]
        for one in all_of_them:
            at = one.intent_at - skew
            if one.reason is not RotateReason.IMPORTED and at > since:
                begun[one.rotation_id] = at
    return begun


def outcome_of(ended: Reconciled) -> Outcome:
    """Return what a rotation that was to be started showed of its provider."""
    if any(isinstance(action, Rotate) for action in ended.done):
        return Shown.WORKS
    error = ended.error
    if isinstance(error, PortError) and not isinstance(error, Conflict) and error.operation in NEEDED:
        return error
    return Shown.NOTHING


@dataclass(slots=True)
class Slots:
    """How many rotations may still be started. `limit` is for one sweep, None without one.

    `an_hour` is what the hour before has left, below zero when too many were started in it.
    """

    limit: int | None
    an_hour: int
    taken: int = 0
    promised: int = 0
    """Granted, and neither started nor given back yet."""

    def used_up(self, haste: Haste) -> LeftReason | None:
        """Return which limit is reached."""
        return next((reason for bound, reason in self._bounds(haste) if self.taken >= bound), None)

    def would_do(self, haste: Haste, *, others: int) -> bool:
        """Return whether a start is left besides those promised and one for each of `others`."""
        return all(self.taken + self.promised + others < bound for bound, _ in self._bounds(haste))

    def _bounds(self, haste: Haste) -> Iterator[tuple[int, LeftReason]]:
        if self.limit is not None:
            yield self.limit, LeftReason.LIMIT
        if haste is Haste.NONE:
            yield self.an_hour, LeftReason.STARTS_PER_HOUR


@dataclass(slots=True)
class _Wish:
    """One lineage that is due, by its place in the order of urgency."""

    rank: int
    provider: str
    haste: Haste
    answer: Callable[[Left | None], None]
    probe: bool = False
    promised: bool = True


class Starts:
    """The starts of one sweep. A lineage is its rank: its place in the order of urgency, the most urgent is 0."""

    def __init__(
        self,
        providers: Sequence[str],
        *,
        slots: Slots,
        breakers: MutableMapping[str, Breaker],
        at_once: int,
        clock: Callable[[], float],
    ) -> None:
        """Await a word of each lineage. `providers` are theirs, in order; `at_once` bounds rotations per provider."""
        self._providers = tuple(providers)
        self._slots = slots
        self._breakers = {name: breakers.setdefault(name, Breaker()) for name in providers}
        self._at_once = at_once
        self._clock = clock
        self._unseen = Counter(providers)
        self._undecided = list(range(len(providers)))
        self._waiting: dict[str, list[_Wish]] = {name: [] for name in providers}
        self._running: dict[int, _Wish] = {}

    def seen(self, rank: int) -> None:
        """Note that a lineage was looked at and wants no rotation started."""
        self._undecided.remove(rank)
        self._looked_at(self._providers[rank])

    def wishes(self, rank: int, haste: Haste, answer: Callable[[Left | None], None]) -> None:
        """Note that a lineage was looked at and is due. `answer` is called, once, when it may start or is left."""
        wish = _Wish(rank, self._providers[rank], haste, answer)
        insort(self._waiting[wish.provider], wish, key=attrgetter("rank"))
        self._looked_at(wish.provider)

    def refuses(self, rank: int) -> Left | None:
        """Return what has come in between for a lineage that may start; None: its rotation is started now."""
        wish = self._running[rank]
        breaker = self._breakers[wish.provider]
        if not wish.probe and wish.haste is not Haste.EMERGENCY and breaker.state is not State.CLOSED:
            return Left(LeftReason.BREAKER_OPEN, breaker.why)
        self._give_back(wish)
        used_up = self._slots.used_up(wish.haste)
        if used_up is not None:
            return Left(used_up)
        self._slots.taken += 1
        return None

    def ended(self, rank: int, outcome: Outcome) -> None:
        """Note that a lineage that might start has ended, whether it did or not."""
        wish = self._running.pop(rank)
        self._give_back(wish)
        self._breakers[wish.provider].ended(outcome, self._clock(), probe=wish.probe)
        self._go_on()

    def _looked_at(self, provider: str) -> None:
        self._unseen[provider] -= 1
        if not self._unseen[provider]:
            self._breakers[provider].begin(len(self._waiting[provider]), self._clock())
        self._go_on()

    def _give_back(self, wish: _Wish) -> None:
        self._slots.promised -= wish.promised
        wish.promised = False

    def _go_on(self) -> None:
        """Answer every wish that can be answered now. Each answer may let another go on, under any provider."""
        while any(self._answered(provider) for provider in self._waiting):
            pass

    def _answered(self, provider: str) -> bool:
        """Answer the most urgent wish under a provider, and return whether that could be done."""
        waiting, breaker = self._waiting[provider], self._breakers[provider]
        if not waiting or self._unseen[provider]:
            return False
        wish = waiting[0]
        left = self._left(wish)
        if left is None and not self._may_go(wish):
            return False
        del waiting[0]
        self._undecided.remove(wish.rank)
        if left is None:
            wish.probe = breaker.start()
            self._slots.promised += 1
            self._running[wish.rank] = wish
        wish.answer(left)
        return True

    def _left(self, wish: _Wish) -> Left | None:
        """Return why a wish will not be granted in this sweep."""
        if self._asked(wish) is Answer.LEAVE:
            return Left(LeftReason.BREAKER_OPEN, self._breakers[wish.provider].why)
        used_up = self._slots.used_up(wish.haste)
        return None if used_up is None else Left(used_up)

    def _may_go(self, wish: _Wish) -> bool:
        running = sum(other.provider == wish.provider for other in self._running.values())
        more_urgent = bisect_left(self._undecided, wish.rank)
        return (
            running < self._at_once
            and self._asked(wish) is Answer.GO
            and self._slots.would_do(wish.haste, others=more_urgent)
        )

    def _asked(self, wish: _Wish) -> Answer:
        if wish.haste is Haste.EMERGENCY:
            return Answer.GO
        return self._breakers[wish.provider].may_start(late=wish.haste is Haste.LATE)
