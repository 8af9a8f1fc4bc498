"""A large fleet with nothing to do: memory, and how long it takes to look at all of it."""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.figures import Figure, Part
from tests.benchmarks.scene import CONCURRENCY, Ran, Scene, run, scene

ROTATOR = Path(sys.executable).with_name("rotator")


async def measure(lineages: int, runs: int, say: Callable[[str], None]) -> Part:
    """Take the fleet in once, then look at it by a new process in each run."""
    async with scene({"ours": lineages}, milliseconds=0) as where:
        taken = await _sweeps(where, idle=0)
        say(f"{lineages:,} lineages taken in: {taken.seconds:.0f} s")
        made = []
        for _ in range(runs):
            made.append(await _sweeps(where, idle=1))
            first, idle = made[-1].said["sweeps"]
            say(
                f"first decision after {first['survey']:.0f} s, first sweep {first['seconds']:.0f} s, the next "
                f"{idle['seconds']:.0f} s, {made[-1].megabytes:.0f} MB"
            )
        policy = where.policy(rotate_before="1d")
        plan = await asyncio.to_thread(
            run, ROTATOR, "--config", policy, "--output", "json", "plan", log=where.folder / "log"
        )
        say(f"`rotator plan`: {plan.seconds:.0f} s, {plan.megabytes:.0f} MB")
    first = [one.said["sweeps"][0] for one in made]
    idle = [one.said["sweeps"][1] for one in made]
    return Part(
        title=f"{lineages:,} lineages with nothing to do",
        how=HOW.format(concurrency=CONCURRENCY),
        figures=[
            Figure(
                what="peak memory of the process (RSS)",
                values=[one.megabytes for one in made],
                unit="MB",
                digits=0,
            ),
            Figure(
                what="from the start of the process to its first decision",
                values=[one["began"] + one["survey"] for one in first],
                unit="s",
            ),
            Figure(what="a process's first sweep", values=[one["seconds"] for one in first], unit="s"),
            Figure(what="its next sweep", values=[one["seconds"] for one in idle], unit="s"),
            Figure(
                what="CPU time of that, one lineage",
                values=[one["cpu"] / lineages * 1000 for one in idle],
                unit="ms",
            ),
            Figure(what="`rotator plan`, once", values=[plan.seconds], unit="s"),
            Figure(what="its peak memory", values=[plan.megabytes], unit="MB", digits=0),
        ],
        says=SAYS.format(call=statistics.median(one["cpu"] for one in idle) / lineages * 1000 / CALLS),
    )


HOW = """\
All keys of one project, each served in Vault, taken in before, and not due. The provider answers without a delay, so that
what is measured is ours; `concurrency: {concurrency}`. The process starts anew in each run.
"""

SAYS = """\
The limit is the same: three calls for each lineage, {call:.2f} ms of CPU time each. A new process reads each
key by itself besides, as a list shows neither tags nor expiry (Deepgram's OpenAPI description), and decides nothing before
it has seen all of a project; the next sweep does not read them again.
"""


CALLS = 3
"""A lineage's record, its entry, and its secret tried: `tests/integration/test_calls.py`."""


async def _sweeps(where: Scene, *, idle: int) -> Ran:
    policy = where.policy(rotate_before="1d")
    done = await asyncio.to_thread(
        run,
        sys.executable,
        "-m",
        "tests.benchmarks.ours",
        policy,
        "--idle",
        str(idle),
        log=where.folder / "log",
    )
    errors = [sweep["errors"] for sweep in done.said["sweeps"] if sweep["errors"]]
    if errors:
        raise SystemExit(f"not all could be looked at ({errors}): no figure")
    return done
