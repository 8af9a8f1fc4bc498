"""A year of an estate in which all happens that does happen in a year, in virtual time.

A few hundred keys of four kinds, and more of them as time goes by. Vault and the providers go away, answers are lost, the
process is killed and started anew, or joined by a second one; its policy file changes, its clock or a provider's is wrong for
a while, the management keys are exchanged. Summer time comes and goes in two places.

It is the year of the rounds (`Rounds`, made by a `Replica`), not of all of the service around them. That it starts, reloads,
drains and ends is played in `test_service` and `test_reload`, its beat (APScheduler) in `test_clocks`; real processes get
SIGHUP in `tests/integration/test_service.py`, and the signals that end them in `tests/faults/kills`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rotator.errors import Unavailable
from tests.support.builders import DAY, HOUR, MINUTE
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import WallClock, policy_text
from tests.support.fakes import Died
from tests.support.replica import Replica
from tests.support.virtual_clock import START

STARTS_PER_HOUR = 30
CONCURRENCY = 4

QUIET = 5 * DAY
"""For so long nothing goes wrong at the end: what was under way is done then."""

FAR_AHEAD = 42 * DAY
"""What the clock of our machines is ahead once, in a night in which more is due than may begin: whole weeks, for it is by
this clock that windows are open."""

FAR_AHEAD_SINCE = datetime(2026, 8, 8, 23, 25, tzinfo=UTC)
SET_BACK_AT = datetime(2026, 8, 9, 0, 25, tzinfo=UTC)
"""By then all starts of an hour were made, and none of them is to be had again."""

MAX_AGE = 200 * DAY
"""Of `ageless`."""

FREEZE = (datetime(2026, 3, 25, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
"""Of `office`: from when until when."""

POLICIES = """
- {name: night, select: {comment: 'night-*'}, provider: '*', adopt: when_due, original: 7d, rotate_before: SHARE,
   window: [{cron: '30 1 * * 0,3', for: 2h, timezone: Europe/Berlin}]}
- {name: office, select: {comment: 'office-*'}, provider: '*', adopt: when_due, original: 7d, rotate_before: SHARE,
   window: [{cron: '0 9 * * 2,4', for: 8h, timezone: America/New_York}],
   freeze: [{from: 2026-03-25, to: 2026-03-31, why: the end of the quarter}]}
- {name: plain, select: {comment: 'plain-*'}, provider: '*', adopt: when_due, original: 7d, rotate_before: SHARE}
- {name: ageless, select: {comment: 'ageless-*'}, provider: '*', adopt: when_due, original: 7d, max_age: 200d,
   window: [{cron: '30 1 * * 0,3', for: 2h, timezone: Europe/Berlin}]}
""".strip()
"""`SHARE` of its lifetime before a key expires it is replaced."""


@dataclass(frozen=True, slots=True)
class Opening:
    """When a policy is open: from a time of the day on, where it is meant, for so long, on these days of the week."""

    timezone: ZoneInfo
    opens: time
    duration: timedelta
    weekdays: tuple[int, ...]

    def is_open(self, at: datetime) -> bool:
        """Return whether it is open. The hours that pass count, not those that clocks show."""
        local = at.astimezone(self.timezone)
        opened = datetime.combine(local.date(), self.opens, self.timezone)
        return (
            local.isoweekday() in self.weekdays
            and 0 <= at.timestamp() - opened.timestamp() < self.duration.total_seconds()
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """Keys of one policy: how many of twenty there are, for how long they live, and when something may be begun with them."""

    name: str
    of_twenty: int
    lifetime: timedelta | None
    opening: Opening | None = None


NIGHTS = Opening(ZoneInfo("Europe/Berlin"), time(1, 30), 2 * HOUR, (7, 3))

KINDS = (
    Kind("night", 10, 180 * DAY, NIGHTS),
    Kind("office", 5, 120 * DAY, Opening(ZoneInfo("America/New_York"), time(9), 8 * HOUR, (2, 4))),
    Kind("plain", 1, 60 * DAY),
    Kind("ageless", 4, None, NIGHTS),
)

WRITES = ("create key", "publish into entry", "write record", "revoke key")

Act = Callable[[], object]


@dataclass(slots=True)
class Process:
    """One process of the service, and the task that it lives in."""

    replica: Replica
    life: asyncio.Task[None]


@dataclass(slots=True)
class Year:
    """What happens follows from the seed. What was done about it is in `estate`, and in what each of `processes` told."""

    keys: int
    days: int
    seed: int
    estate: Estate = field(init=False)
    processes: list[Process] = field(default_factory=list)
    """All that there were."""
    happened: Counter[str] = field(default_factory=Counter)
    wrong_clock: list[tuple[datetime, datetime]] = field(default_factory=list)
    """From when until when the clock of our machines was wrong."""
    _running: dict[str, Process] = field(default_factory=dict)
    _share: str = "33%"
    _ahead: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        self.estate = Estate("asr", "tts", seed=self.seed)

    async def play(self) -> None:
        """Let the year pass."""
        estate = self.estate
        kinds = itertools.cycle([kind for kind in KINDS for _ in range(kind.of_twenty)])
        for _ in range(self.keys):
            self._add_key(next(kinds), new=False)
        acts = sorted(self._acts(kinds), key=lambda one: one[0])
        estate.latency = timedelta(0)
        estate.loses, estate.stumbles = 0.002, 0.0002
        self._start("a")
        clock = WallClock()
        for at, act in acts:
            await clock.sleep(START + at - estate.now())
            act()
        estate.loses = estate.stumbles = 0.0
        await clock.sleep(START + self.days * DAY - estate.now())
        for name in list(self._running):
            self._kill(name)
        await asyncio.gather(*(one.life for one in self.processes), return_exceptions=True)

    def _acts(self, kinds: Iterator[Kind]) -> Iterator[tuple[timedelta, Act]]:
        """Yield what happens, and when."""
        for place, every in ((VAULT, 40 * DAY), ("asr", 40 * DAY), ("tts", 40 * DAY)):
            for at in self._now_and_then(every):
                yield from self._outage(place, at)
        for at in self._now_and_then(150 * DAY):
            yield from self._clock_is_wrong(
                at, ahead=self._some(4 * HOUR) - 2 * HOUR, until=at + self._some(12 * HOUR)
            )
        yield from self._clock_is_wrong(FAR_AHEAD_SINCE - START, ahead=FAR_AHEAD, until=SET_BACK_AT - START)
        for at in self._now_and_then(150 * DAY):
            yield from self._provider_is_wrong("asr", at)
        for act, every in (
            (self._restart, 60 * DAY),
            (self._reload, 90 * DAY),
            (self._exchange_management, 120 * DAY),
            (lambda: self._add_key(next(kinds), new=True), 6 * DAY),
        ):
            yield from ((at, act) for at in self._now_and_then(every))
        yield self.days * DAY / 3, lambda: self._start("b")
        yield self.days * DAY / 3 + 3 * DAY, lambda: self._kill("b")

    def _now_and_then(self, every: timedelta) -> Iterator[timedelta]:
        at = self._some(2 * every)
        while at < self.days * DAY - QUIET:
            yield at
            at += self._some(2 * every)

    def _some(self, most: timedelta) -> timedelta:
        return most * self.estate.chance.random()

    def _outage(self, place: str, at: timedelta) -> Iterator[tuple[timedelta, Act]]:
        self.happened[f"{place} is away"] += 1
        yield at, lambda: self.estate.down.add(place)
        yield at + self._some(3 * HOUR), lambda: self.estate.down.discard(place)

    def _clock_is_wrong(
        self, at: timedelta, *, ahead: timedelta, until: timedelta
    ) -> Iterator[tuple[timedelta, Act]]:
        self.happened["our clock is wrong"] += 1
        self.wrong_clock.append((START + at, START + until))
        yield at, lambda: self._set_clocks(ahead)
        yield until, lambda: self._set_clocks(timedelta(0))

    def _provider_is_wrong(self, place: str, at: timedelta) -> Iterator[tuple[timedelta, Act]]:
        self.happened["a provider's clock is wrong"] += 1
        yield at, lambda: self.estate.ahead.update({place: 10 * MINUTE})
        yield at + DAY, lambda: self.estate.ahead.pop(place)

    def _set_clocks(self, ahead: timedelta) -> None:
        self._ahead = ahead
        for one in self._running.values():
            one.replica.clock.ahead = ahead

    def _add_key(self, kind: Kind, *, new: bool) -> None:
        number = len(self.estate.begun)
        limit = kind.lifetime or MAX_AGE
        self.estate.add_key(
            f"{kind.name}-{number}",
            provider=("asr", "tts")[number % 2],
            age=timedelta(0) if new else self._some(limit * 0.6),
            lifetime=kind.lifetime,
            served=bool(number % 3),
        )

    def _exchange_management(self) -> None:
        self.happened["the management keys are exchanged"] += 1
        for provider in self.estate.projects:
            self.estate.exchange_management(provider)

    def _reload(self) -> None:
        self.happened["the policy file changes"] += 1
        self._share = "40%" if self._share == "33%" else "33%"
        for one in self._running.values():
            one.replica.take(self._text())

    def _text(self) -> str:
        return policy_text(
            self.estate,
            POLICIES.replace("SHARE", self._share),
            runtime=f"sweep_every: 6h, concurrency: {CONCURRENCY}",
            starts_per_hour=STARTS_PER_HOUR,
        )

    def _start(self, name: str) -> None:
        replica = Replica(self.estate, self._text(), name=f"{name}-{len(self.processes)}")
        replica.line.heard = replica.meter.called
        replica.clock.ahead = self._ahead
        self._running[name] = Process(replica, asyncio.create_task(_live(replica)))
        self.processes.append(self._running[name])

    def _kill(self, name: str) -> None:
        one = self._running.pop(name)
        one.replica.line.dead = True
        one.life.cancel()

    def _restart(self) -> None:
        """Kill a process at its next write of some kind, which happens all the same, and start another one after a while."""

        def kill() -> None:
            if "a" not in self._running:
                return
            self.happened["a process is killed"] += 1
            self._kill("a")
            loop.call_later(self._some(HOUR).total_seconds(), lambda: self._start("a"))

        loop = asyncio.get_running_loop()
        self.estate.before(self.estate.chance.choice(WRITES), kill)


async def _live(replica: Replica) -> None:
    """Live until it is killed; look about as the service does, now and then."""
    with suppress(Died):
        while True:
            with suppress(Unavailable):
                if replica.link is not None and (await replica.link.look_after()).changed:
                    replica.link = None
            await replica.leap(6 * HOUR)
