"""The beat of the service: coarse ticks by APScheduler, the one place that knows it.

No key has a job: what is due is looked for at each tick, and a job for each of many thousand lineages would stall the loop.
A job here only says that its time has come, and ends at once; so none is ever missed
because an earlier one still runs, and the scheduler may cancel them when it is shut down.

APScheduler 3.11 waits by a monotonic clock for an instant of the wall clock. After that was set back, nothing would fire until
it has come so far again (its issues 351, 752, 794): so a beat of the event loop's own looks for steps, and has every job
planned anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from rotator import log
from rotator.clock import Clock

STEP = timedelta(seconds=2)
"""A wall clock that moves by so much more or less than the monotonic one was set."""

_LOOK_EVERY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Tick:
    """Something to be said every so often: `say` takes no time."""

    every: timedelta
    say: Callable[[], None]


@asynccontextmanager
async def ticking(ticks: Mapping[str, Tick], clock: Clock) -> AsyncIterator[None]:
    """Say each tick every so often, until the block is left."""
    scheduler = AsyncIOScheduler(
        timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    )
    for name, tick in ticks.items():
        scheduler.add_job(_said(tick), _Every(tick.every), id=name)
    scheduler.start()
    watching = asyncio.create_task(_watch(scheduler, ticks, clock))
    try:
        yield
    finally:
        watching.cancel()
        # Its jobs take no time, so there is none to be waited for.
        scheduler.shutdown(wait=False)
        await asyncio.gather(watching, return_exceptions=True)


class _Every(BaseTrigger):  # type: ignore[misc] # untyped
    """So long after now. APScheduler's own interval counts what was missed, one by one: millions after a clock was set."""

    def __init__(self, every: timedelta) -> None:
        self._every = every

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Return when to fire next."""
        del previous
        return now + self._every


def _said(tick: Tick) -> Callable[[], object]:
    """Return a job for the event loop: one that is no coroutine would run in another thread."""

    async def job() -> None:
        tick.say()

    return job


async def _watch(scheduler: AsyncIOScheduler, ticks: Mapping[str, Tick], clock: Clock) -> None:
    """Plan all jobs anew whenever the wall clock was set."""
    wall, steady = clock.now(), clock.monotonic()
    while True:
        await clock.sleep(_LOOK_EVERY)
        now, since = clock.now(), clock.monotonic()
        step = (now - wall) - timedelta(seconds=since - steady)
        wall, steady = now, since
        if abs(step) >= STEP:
            log.get("rotator").warning("clock_was_set", by=step)
            for name, tick in ticks.items():
                scheduler.reschedule_job(name, trigger=_Every(tick.every))
                tick.say()
