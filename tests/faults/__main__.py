"""Try to break every promise, in every way that there is, and write down what came of it: `python -m tests.faults`.

Ends with status 1 when anything went wrong, and says what. The seed of what happens at random is said first.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from time import perf_counter

from rotator.clock import SystemClock
from tests.faults import cluster, consumer
from tests.faults.case import Case
from tests.faults.kills.prove import prove
from tests.faults.matrix import as_listed, enumerated, listed, recorded
from tests.faults.parts import of_exploration, of_seeds, stale
from tests.faults.pool import run
from tests.faults.proof import MATRIX, PAGE, WRONG, calls_by_phase, faults_by_phase, page, row, table
from tests.faults.report import Line, Part, Say, tried
from tests.faults.wires import CALL_TIMEOUT

WAITS, EXPLORED = "a cluster of three nodes", "states explored"
"""From the one on, parts wait for servers most of the time: the other runs beside them, and gives way to them."""

STORM_SECONDS = 60
"""How long processes are struck at random."""


def main() -> int:
    """Run every part, print what it found, and write the page."""
    began, seed = perf_counter(), secrets.randbelow(10**9)
    _say(f"the seed of what happens at random is {seed}")
    if not as_listed(asyncio.run(recorded())):
        _say(
            "the program makes other calls than calls.txt says: run `python -m tests.faults.matrix --record`"
        )
        return 1
    if wrong := stale():
        _say("\n".join(wrong))
        return 1
    found = run(enumerated(listed()), listed(), _say)
    parts: dict[str, list[Line]] = {}
    with ThreadPoolExecutor(1) as beside:
        exploring: Future[list[Line]] | None = None
        for name, part in parts_of(found, seed).items():
            if name == WAITS:
                exploring = beside.submit(tried, EXPLORED, of_exploration, _say)
            parts[name] = exploring.result() if exploring and name == EXPLORED else tried(name, part, _say)
    seconds = perf_counter() - began
    text = page(
        parts,
        found,
        when=SystemClock().now(),
        seconds=seconds,
        timeout=CALL_TIMEOUT.total_seconds(),
    )
    PAGE.write_text(text)
    sys.stdout.write(f"{calls_by_phase(found)}\n\n{faults_by_phase(found)}\n\n")
    rows = [row(line) for some in parts.values() for line in some]
    sys.stdout.write(table(("what was tried", "cases", WRONG), rows) + "\n")
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


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def of_strikes(say: Say, seed: int) -> list[Line]:
    """Strike real processes at each call, and at random."""
    return prove(say, seed=seed, seconds=STORM_SECONDS)


def parts_of(found: dict[Case, tuple[str, ...]], seed: int) -> dict[str, Part]:
    """Return all that is tried, by name. `found` is what the matrix came to already."""
    return {
        MATRIX: lambda _say: of_matrix(found),
        "strikes survived": partial(of_strikes, seed=seed),
        WAITS: cluster.prove,
        "calls of a consumer": consumer.prove,
        EXPLORED: of_exploration,
        "seeded bugs": of_seeds,
    }


if __name__ == "__main__":
    sys.exit(main())
