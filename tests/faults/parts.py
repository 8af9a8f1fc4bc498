"""What is tried besides the matrix: states that are explored, and bugs that are planted."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.core.exploration import seeded as explored_seeded
from tests.core.exploration import seeds as explored
from tests.core.exploration.bounds import THOROUGH, Bounds
from tests.core.exploration.search import Search
from tests.core.exploration.sweep import sweep
from tests.faults import seeds
from tests.faults.kills import seeds as kills
from tests.faults.pool import PROCESSES, serving
from tests.faults.report import Line, Say


def of_exploration(say: Say) -> list[Line]:
    """Search every state within bounds wider than those of each run of the tests, and judge what is told."""
    say(f"exploring states: {len(THOROUGH)} searches")
    with ProcessPoolExecutor(
        PROCESSES, mp_context=get_context("spawn"), initializer=os.nice, initargs=(19,)
    ) as pool:
        told = pool.submit(_told)
        searched = list(pool.map(_searched, THOROUGH))
        runs, silent = told.result()
    return [
        Line(
            what="state of one lineage, two processes and a world that goes wrong",
            cases=sum(states for states, _ in searched),
            broken=tuple(broken for _, broken in searched if broken),
        ),
        Line(
            what="way in which a reconcile or an import can end",
            cases=runs,
            broken=tuple(filter(None, [silent])),
        ),
    ]


def _searched(bounds: Bounds) -> tuple[int, str]:
    found = Search(bounds).run()
    return found.states, f"exploration {bounds}: {found}" if found.broken else ""


def _told() -> tuple[int, str]:
    runs, broken = sweep()
    return runs, f"exploration: {broken.promise} {broken.how}" if broken else ""


def of_seeds(say: Say) -> list[Line]:
    """Plant each seeded bug in a copy of the program, and see that it is found."""
    say(f"planting {len(explored.SEEDS)}, {len(seeds.SEEDS)} and {len(kills.SEEDS)} bugs")
    with ThreadPoolExecutor(PROCESSES) as pool:
        struck = pool.submit(asyncio.run, _unseen_by_strikes())
        by_search = list(pool.map(_unseen_by_search, explored.SEEDS))
        by_matrix = list(pool.map(_unseen_by_matrix, seeds.SEEDS))
        by_strikes = struck.result()
    return [
        Line(
            what="bug planted in the decisions, found by the exploration",
            cases=len(by_search),
            broken=tuple(filter(None, by_search)),
        ),
        Line(
            what="bug planted where answers are read, found by the cases above",
            cases=len(by_matrix),
            broken=tuple(filter(None, by_matrix)),
        ),
        Line(
            what="bug planted where processes are struck, found by one strike",
            cases=len(by_strikes),
            broken=tuple(filter(None, by_strikes)),
        ),
    ]


def stale() -> tuple[str, ...]:
    """Return what is wrong with planted bugs whose place in the program has changed: better told at once than at the end."""
    found = []
    planted: tuple[explored_seeded.Planted, ...] = (*explored.SEEDS, *seeds.SEEDS, *kills.SEEDS)
    for seed in planted:
        with TemporaryDirectory(prefix="rotator-seed-") as folder:
            try:
                explored_seeded.plant(seed, Path(folder))
            except ValueError as error:
                found.append(str(error))
    return tuple(found)


def _unseen_by_search(seed: explored.Seed) -> str:
    with TemporaryDirectory(prefix="rotator-seed-") as folder:
        explored_seeded.plant(seed, Path(folder))
        found = explored_seeded.run(seed, Path(folder), seconds=seeds.PATIENCE_SECONDS)
    return f"the bug {seed.name} was not found" if found.returncode else ""


def _unseen_by_matrix(seed: seeds.Seed) -> str:
    return "" if seeds.caught(seed) else f"the bug {seed.name} was not found"


async def _unseen_by_strikes() -> list[str]:
    with TemporaryDirectory(prefix="rotator-seed-") as folder:
        async with serving() as root:
            copies = [Path(folder) / str(nth) for nth, _ in enumerate(kills.SEEDS)]
            strikes = (seed.unseen(root, copy) for seed, copy in zip(kills.SEEDS, copies, strict=True))
            return await asyncio.gather(*strikes)
