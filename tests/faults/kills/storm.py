"""A fleet whose keys fall due again and again, and whose processes are struck at random instants.

Every decision comes from the seed: what each process does, when after its start it is struck, with what, and for how
long it sleeps. So a seed repeats the same decisions in the same order. It can't repeat when the operating system lets
which process go on, nor how long servers take: a strike may fall on another call, and the last decisions may not be
reached. What a storm found is repeated surely only by a case at a call (`strikes`).
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from rotator.clock import SystemClock
from tests.faults.kills.aftermath import judge, versions
from tests.faults.kills.recovery import RESTLESS, SWEEPS, look, next_event
from tests.faults.kills.site import Ground, Site, site
from tests.faults.outside import Look
from tests.support.nursery import Command, Process

LINEAGES = 20
SLOTS = 3
"""How many processes are at work at a time, besides those that sleep."""

_CLOCK = SystemClock()
_PATIENCE = timedelta(seconds=15)
_RESTLESS = {"adopt": "when_due", "max_age": "8s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What is to become of one process. `number` None: nothing. `sleeps` counts for SIGSTOP."""

    arguments: tuple[str, ...]
    started: bool
    number: signal.Signals | None
    after: timedelta
    sleeps: timedelta


def decisions(seed: int, slot: int, lineages: tuple[str, ...]) -> Iterator[Decided]:
    """Yield what becomes of one process of a slot after the other, for ever."""
    random = Random(f"{seed} {slot}")  # noqa: S311 (it is to be repeatable)
    while True:
        drawn = random.random()
        lineage = random.choice(lineages)
        arguments: tuple[str, ...] = ("once",)
        if drawn < 0.15:
            arguments = ("rotate", lineage)
        elif drawn < 0.22:
            arguments = ("rotate", lineage, "--emergency", "--yes")
        started = random.random() < 0.1
        yield Decided(
            arguments=arguments,
            started=started,
            number=random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, None)),
            after=timedelta(seconds=random.uniform(0.05, 1.2) + (0.5 if started else 0)),
            sleeps=timedelta(seconds=random.choice((0.5, 4.0, 15.0)) * random.uniform(0.5, 1.2)),
        )


@dataclass(slots=True)
class Storm:
    """What happened in one. `strikes` are those that met a process at work."""

    strikes: Counter[str] = field(default_factory=Counter)
    rotations: int = 0
    broken: tuple[str, ...] = ()


async def storm(ground: Ground, *, seed: int, seconds: float) -> Storm:
    """Let it blow for so long, then let everything come to rest, and judge what happened."""
    async with site(ground) as made:
        for number in range(LINEAGES):
            slug = f"fleet-{number}"
            made.originals[slug] = made.key(slug, age=timedelta(hours=1), lifetime=None)
        _write(made, **_RESTLESS)
        result = Storm()
        ends_at = _CLOCK.monotonic() + seconds
        stuck: list[str] = []
        async with asyncio.TaskGroup() as group:
            for slot in range(SLOTS):
                group.create_task(_slot(slot, seed, ends_at, made, result, stuck))
        for _ in range(SWEEPS):
            if all([await versions(made, made.entry(slug)) for slug in made.originals]):
                break
            await made.run("once")
            await _CLOCK.sleep(timedelta(seconds=1))
        else:
            stuck.append("a lineage was never rotated")
        _write(made, adopt="when_due")
        last = await come_to_rest(made)
        seen = Look(last.done and not stuck, (*stuck, *last.told))
        found = await judge(made, looks=[seen])
        result.rotations = sum([len(await versions(made, made.entry(slug))) for slug in made.originals])
        result.broken = tuple(f"seed {seed}: {one}" for one in found)
        return result


def _write(made: Site, **options: str) -> None:
    keys = "".join(f"\n      {made.entry(slug)}: {key.key_id}" for slug, key in made.originals.items())
    made.write(which=f"keys:{keys}", **options)


async def _slot(slot: int, seed: int, ends_at: float, made: Site, result: Storm, stuck: list[str]) -> None:
    async with asyncio.TaskGroup() as sleepers:
        for decided in decisions(seed, slot, made.lineages):
            if _CLOCK.monotonic() >= ends_at:
                break
            process, command = await made.begin(*decided.arguments, started=decided.started)
            ended = asyncio.shield(process.ended)
            await asyncio.wait((ended,), timeout=decided.after.total_seconds())
            if decided.number is not None and not process.ended.done():
                result.strikes[decided.number.name] += 1
                if decided.started:
                    made.expose(process)
                process.send(decided.number)
                if decided.number is signal.SIGSTOP:
                    sleepers.create_task(_wake(decided, process, command, made, result, stuck))
                    continue
            await _ended(process, command, made, result, stuck)


async def _ended(process: Process, command: Command, made: Site, result: Storm, stuck: list[str]) -> None:
    """Wait for the end of a process; one that waits for what others have in hand is asked to stop in time."""
    await asyncio.wait((asyncio.shield(process.ended),), timeout=_PATIENCE.total_seconds())
    if not process.ended.done():
        result.strikes[signal.SIGTERM.name] += 1
        process.send(signal.SIGTERM)
    try:
        await made.end(process, command)
    except AssertionError as error:
        stuck.append(str(error))


async def _wake(
    decided: Decided, process: Process, command: Command, made: Site, result: Storm, stuck: list[str]
) -> None:
    await _CLOCK.sleep(decided.sleeps)
    process.send(signal.SIGCONT)
    await _ended(process, command, made, result, stuck)


async def come_to_rest(made: Site) -> Look:
    """Run sweeps until nothing is left to be done; return what is seen then.

    A rotation that was due and got killed may be due no more, by another policy. What it made is shown, and left alone until
    the next publish: an operator orders one.
    """
    for _ in range(SWEEPS):
        ran = await made.run("once")
        next_at = next_event(ran)
        if next_at is not None:
            await _CLOCK.sleep(
                min(max(next_at - _CLOCK.now(), timedelta(seconds=0.5)), timedelta(seconds=15))
            )
        elif unserved := {one["lineage"] for one in ran.document["unserved"]}:
            await made.run("rotate", *sorted(unserved))
        else:
            return look(ran, done=True)
    return RESTLESS
