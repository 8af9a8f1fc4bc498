"""Strike the program at each call of each scenario, and at random, and report what came of it."""

from __future__ import annotations

import asyncio
import tempfile
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
from tests.faults.pool import PROCESSES
from tests.faults.report import Line, Say
from tests.support.canary import CANARY
from tests.support.nursery import Nursery, nursery
from tests.support.vault_lab import Root

AT_ONCE = 5 * PROCESSES // 2
"""Processes that run at once: the rest of the cases waits for claims and overlaps to run out, which costs nothing."""

SIDE_BY_SIDE = 150
"""Cases that are under way at once."""

EVERY_STARTED = 16
"""Of so many processes that are struck, one is started from the command line and not forked."""

AT_EACH_CALL = frozenset({LATER, EMERGENCY})
"""The scenarios in which processes are asked to stop, and put to sleep, at each call."""

_KILLS = "SIGKILL before and after each call"

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
    killed = sum(line.cases for line in lines if line.what.startswith(_KILLS)) + blown.strikes["SIGKILL"]
    return [
        Line(
            what="nothing: each scenario once, unharmed",
            cases=len(recorded),
            broken=tuple(broken for one in recorded for broken in one.broken),
            apart=True,
        ),
        *lines,
        Line(
            what=f"random strikes for {seconds:.0f} s, seed {seed} ({_counts(blown.strikes)}; {blown.rotations} "
            "publishes)",
            cases=blown.strikes.total(),
            broken=blown.broken,
        ),
        Line(what="of all these strikes, SIGKILL", cases=killed, apart=True),
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
        plan(f"{_KILLS}: {one.scenario.name}", one, kills(one))
    for one in recorded:
        plan("SIGINT at some calls", one, list(signals(one, Kind.INT))[::EVERY_INT])
        if one.scenario in AT_EACH_CALL:
            plan("SIGTERM at each call of a rotation and of an emergency", one, signals(one, Kind.TERM))
            plan("SIGSTOP past the claim at each call of those, another process meanwhile", one, sleeps(one))
    return planned


def _counts(strikes: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(strikes.items()))
