"""How long it takes until a command has done nothing much."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from tests.benchmarks.figures import Figure, Part
from tests.benchmarks.fleet import ROTATOR
from tests.benchmarks.scene import run, scene

RUNS = 11


async def measure(say: Callable[[str], None]) -> Part:
    """Start each a few times."""
    async with scene({"ours": 1}, milliseconds=0) as where:
        policy = where.policy(rotate_before="1d")
        saved = where.folder / "saved"
        await asyncio.to_thread(run, ROTATOR, "--config", policy, "plan", "--save", saved)
        commands = {
            "`python -c pass`": (sys.executable, "-c", "pass"),
            "`python -c 'import httpx, hvac'`": (sys.executable, "-c", "import httpx, hvac"),
            "`rotator --help`": (ROTATOR, "--help"),
            "`rotator plan --snapshot`, of one lineage": (ROTATOR, "plan", "--snapshot", saved),
            "`rotator plan`, of one lineage": (ROTATOR, "--config", policy, "plan"),
        }
        values: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(RUNS + 1):
            for name, command in commands.items():
                took = (await asyncio.to_thread(run, *command)).seconds
                if number:  # the first compiles modules
                    values[name].append(took * 1000)
    figures = [Figure(what=name, values=took, unit="ms", digits=0) for name, took in values.items()]
    bare, imports, *ours = figures
    for one in ours:
        say(f"{one.what}: {one.shown}; {one.median / bare.median:.1f} times {bare.what}")
    return Part(title="Start", how=HOW, figures=figures, says=_says(bare, imports, *ours))


HOW = f"""\
Wall time of the whole command, median of {RUNS} starts, with compiled modules.
"""


def _says(bare: Figure, imports: Figure, *ours: Figure) -> str:
    ratios = (
        f"- {one.what}: {one.median / bare.median:.1f} times {bare.what}, {one.median / imports.median:.1f} times "
        f"{imports.what}"
        for one in ours
    )
    return (
        "\n".join(ratios)
        + "\n\nThe help loads neither httpx nor hvac, nor anything else that it does not need.\n"
    )
