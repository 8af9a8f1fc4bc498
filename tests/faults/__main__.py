"""Try to break every promise, in every way that there is, and write down what came of it: `python -m tests.faults`.

Ends with status 1 when anything broke, and lists the names to run again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from rotator.clock import SystemClock
from tests.core.exploration import seeded as explored_seeded
from tests.core.exploration import seeds as explored
from tests.core.exploration.bounds import QUICK, Bounds
from tests.core.exploration.search import Search
from tests.core.exploration.sweep import sweep
from tests.faults import seeds
from tests.faults.case import Case
from tests.faults.matrix import as_listed, enumerated, listed, recorded
from tests.faults.pool import PROCESSES, run
from tests.faults.proof import MATRIX, PAGE, page, table
from tests.faults.report import Line, Say
from tests.faults.wires import CALL_TIMEOUT

Part = Callable[[Say], list[Line]]


def main() -> int:
    """Run every part, print what it found, and write the page."""
    began = perf_counter()
    if not as_listed(asyncio.run(recorded())):
        _say(
            "the program makes other calls than calls.txt says: run `python -m tests.faults.matrix --record`"
        )
        return 1
    found = run(enumerated(listed()), listed(), _say)
    parts = {MATRIX: of_matrix(found), **{name: part(_say) for name, part in PARTS.items()}}
    seconds = perf_counter() - began
    text = page(
        parts,
        found,
        when=SystemClock().now(),
        seconds=seconds,
        timeout=CALL_TIMEOUT.total_seconds(),
    )
    PAGE.write_text(text)
    rows = [(line.what, f"{line.cases:,}", str(len(line.broken))) for some in parts.values() for line in some]
    sys.stdout.write(table(("what was tried", "cases", "broke a promise"), rows) + "\n")
    broken = [name for some in parts.values() for line in some for name in line.broken]
    sys.stdout.writelines(f"broken: {name}\n" for name in broken)
    sys.stdout.write(f"{seconds:.0f} s; written to {PAGE}\n")
    return 1 if broken else 0


def of_matrix(found: dict[Case, tuple[str, ...]]) -> list[Line]:
    """Count the cases of the matrix by situation."""
    phases = dict.fromkeys(case.phase for case in found)
    return [
        Line(
            what=f"{phase}: a call made to fail",
            cases=sum(case.phase == phase for case in found),
            broken=tuple(
                f"{case}: {what[0]}" for case, what in found.items() if case.phase == phase and what
            ),
        )
        for phase in phases
    ]


def of_exploration(say: Say) -> list[Line]:
    """Search every state within the bounds that each run of the tests has, and judge what is told."""
    say(f"exploring states: {len(QUICK)} searches")
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        told = pool.submit(_told)
        searched = list(pool.map(_searched, QUICK))
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
    say(f"planting {len(explored.SEEDS)} and {len(seeds.SEEDS)} bugs")
    with ThreadPoolExecutor(PROCESSES) as pool:
        by_search = list(pool.map(_unseen_by_search, explored.SEEDS))
        by_matrix = list(pool.map(_unseen_by_matrix, seeds.SEEDS))
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
    ]


def _unseen_by_search(seed: explored.Seed) -> str:
    with TemporaryDirectory(prefix="rotator-seed-") as folder:
        explored_seeded.plant(seed, Path(folder))
        found = explored_seeded.run(seed, Path(folder), seconds=seeds.PATIENCE_SECONDS)
    return f"the bug {seed.name} was not found" if found.returncode else ""


def _unseen_by_matrix(seed: seeds.Seed) -> str:
    return "" if seeds.caught(seed) else f"the bug {seed.name} was not found"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


PARTS: dict[str, Part] = {
    "states explored": of_exploration,
    "seeded bugs": of_seeds,
}
"""What is tried besides the matrix."""

if __name__ == "__main__":
    sys.exit(main())
