"""Strike the program at each call, and at random: `python -m tests.faults.kills [--seed N] [--seconds S]`.

Prints the seed first; the same seed repeats the same random decisions (`storm` says what it can't repeat). Exits with 1
when a promise broke.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rotator.clock import SystemClock
from rotator.model.secret import Secret
from rotator.simulator.vault_server import vault_server
from tests.faults.kills.scenarios import EMERGENCY, LATER, SCENARIOS
from tests.faults.kills.site import Ground, ground
from tests.faults.kills.storm import storm
from tests.faults.kills.strikes import Case, Kind, Recorded, groups, kills, record, signals, sleeps, strike
from tests.faults.report import Line, Say
from tests.support.canary import CANARY
from tests.support.nursery import Nursery, nursery
from tests.support.vault_lab import Root

AT_ONCE = 5
"""Processes that run at once: the rest of the cases waits for claims and overlaps to run out, which costs nothing."""

SIDE_BY_SIDE = 150
"""Cases that are under way at once."""

EVERY_STARTED = 16
"""Of so many processes that are struck, one is started from the command line and not forked."""

AT_EACH_CALL = frozenset({LATER, EMERGENCY})
"""The scenarios in which processes are asked to stop, and put to sleep, at each call."""

EVERY_INT = 16
"""At one call of so many, in each scenario, a process is interrupted: that is the same code as for SIGTERM."""


def prove(say: Say, *, seed: int, seconds: float) -> list[Line]:
    """Strike at each call of each scenario, and for so many seconds at random. Return a line for each kind."""
    with tempfile.TemporaryDirectory(prefix="rotator-kills-") as folder, nursery() as children:
        return asyncio.run(_prove(say, children, Path(folder), seed, seconds))


async def _prove(say: Say, children: Nursery, folder: Path, seed: int, seconds: float) -> list[Line]:
    token = Secret(f"{CANARY}-root")
    async with vault_server(SystemClock(), token) as server:
        root = Root(server.address, server.root_token)
        async with ground(root, children, folder, at_once=AT_ONCE) as shared:
            recorded = await asyncio.gather(*(record(scenario, shared) for scenario in SCENARIOS))
            say(f"{sum(len(one.writes) for one in recorded)} calls in {len(recorded)} scenarios, unharmed")
            blowing = asyncio.create_task(storm(shared, seed=seed, seconds=seconds))
            lines = await _struck(say, shared, recorded)
            blown = await blowing
    return [
        Line(
            what="the scenarios of the kills, unharmed",
            cases=len(recorded),
            broken=tuple(broken for one in recorded for broken in one.broken),
        ),
        *lines,
        Line(
            what=f"random strikes for {seconds:.0f} s, seed {seed} ({_counts(blown.strikes)}; {blown.rotations} "
            "publishes)",
            cases=blown.strikes.total(),
            broken=blown.broken,
        ),
    ]


async def _struck(say: Say, shared: Ground, recorded: Sequence[Recorded]) -> list[Line]:
    free = asyncio.Semaphore(SIDE_BY_SIDE)
    plan = _planned(recorded)
    total = sum(len(group) for each in plan.values() for group in each)
    ended = 0

    async def one(group: tuple[Case, ...]) -> tuple[str, ...]:
        nonlocal ended
        async with free:
            found = await strike(group, shared)
        if (ended + len(group)) // 100 > ended // 100:
            say(f"{ended + len(group)} of {total} strikes")
        ended += len(group)
        return found

    found = await asyncio.gather(*(asyncio.gather(*map(one, each)) for each in plan.values()))
    return [
        Line(
            what=what,
            cases=sum(len(group) for group in plan[what]),
            broken=tuple(broken for group in each for broken in group),
        )
        for what, each in zip(plan, found, strict=True)
    ]


def _planned(recorded: Sequence[Recorded]) -> dict[str, list[tuple[Case, ...]]]:
    """Return all cases in groups, by kind. Some of the processes that are struck are started from the command line."""
    planned: dict[str, list[tuple[Case, ...]]] = {}

    def plan(what: str, one: Recorded, cases: Iterable[Case]) -> None:
        some = [
            replace(case, started=nth % EVERY_STARTED == EVERY_STARTED - 1) for nth, case in enumerate(cases)
        ]
        planned.setdefault(what, []).extend(groups(one, some))

    for one in recorded:
        plan(f"SIGKILL before and after each call: {one.scenario.name}", one, kills(one))
    for one in recorded:
        plan("SIGINT at some calls", one, list(signals(one, Kind.INT))[::EVERY_INT])
        if one.scenario in AT_EACH_CALL:
            plan("SIGTERM at each call of a rotation and of an emergency", one, signals(one, Kind.TERM))
            plan("SIGSTOP past the claim at each call of those, another process meanwhile", one, sleeps(one))
    return planned


def _counts(strikes: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(strikes.items()))


def main() -> int:
    """Run all of it; print the lines, and each promise that broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="of the random decisions")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to strike at random")
    given = parser.parse_args()
    sys.stdout.write(f"seed {given.seed}\n")
    sys.stdout.flush()
    began = time.perf_counter()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.perf_counter() - began:4.0f} s  {text}\n")
        sys.stdout.flush()

    lines = prove(say, seed=given.seed, seconds=given.seconds)
    for line in lines:
        say(f"{line.cases:4} {line.what}: {len(line.broken)} broken")
        for broken in line.broken:
            say(f"     {broken}")
    return 1 if any(line.broken for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
