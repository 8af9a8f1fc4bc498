"""Every call of every situation, with every fault: `python -m tests.faults.matrix [NAME...]` runs all, or those named.

Nobody writes the sequences of calls down. `--record` runs each situation with nothing going wrong and keeps its calls in
`calls.txt`; a run in which they are others says so.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from rotator.errors import RotatorError
from tests.faults.calls import Call
from tests.faults.case import Case, Runner, call_named
from tests.faults.faults import faults_of
from tests.faults.phases import PHASES, Phase, Unsettled
from tests.faults.pool import TRIES, prepared, run, serving
from tests.faults.seat import seat

LISTING = Path(__file__).parent / "calls.txt"


def listed() -> Mapping[str, tuple[Call, ...]]:
    """Return the calls of each situation, as they were recorded last."""
    calls: dict[str, list[Call]] = {phase.name: [] for phase in PHASES}
    for line in LISTING.read_text().splitlines():
        phase, call = line.split(" / ")
        calls[phase].append(call_named(call))
    return {phase: tuple(found) for phase, found in calls.items()}


def enumerated(calls: Mapping[str, tuple[Call, ...]]) -> tuple[Case, ...]:
    """Return every case that there is."""
    return tuple(
        Case(phase, call, fault)
        for phase, found in calls.items()
        for call in found
        for fault in faults_of(writes=call.writes)
    )


def sample(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Return one case of each kind of call with each fault, the situations taking turns."""
    found: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        found.setdefault((case.call.row, case.fault), []).append(case)
    return tuple(some[turn % len(some)] for turn, some in enumerate(found.values()))


async def recorded() -> Mapping[str, tuple[Call, ...]]:
    """Return the calls of each situation, as they are now."""
    async with serving() as root, seat(root) as place:
        runner = Runner(place, await prepared(place))
        return {phase.name: await _recorded(runner, phase) for phase in PHASES}


async def _recorded(runner: Runner, phase: Phase) -> tuple[Call, ...]:
    """Return the calls of a situation. On a busy machine that takes more than one try."""
    for _ in range(TRIES):
        with suppress(RotatorError, Unsettled):
            return await runner.record(phase)
    return await runner.record(phase)


def as_listed(calls: Mapping[str, tuple[Call, ...]]) -> bool:
    """Return whether these are the calls that were recorded. Keys are read at once, so their order may differ."""
    return {phase: frozenset(found) for phase, found in calls.items()} == {
        phase: frozenset(found) for phase, found in listed().items()
    }


def write_listing(calls: Mapping[str, tuple[Call, ...]]) -> None:
    LISTING.write_text("".join(f"{phase} / {call}\n" for phase, found in calls.items() for call in found))


def main() -> int:
    """Run what is named; return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.matrix", description=__doc__)
    parser.add_argument("names", nargs="*", help="SITUATION / CALL / FAULT, or a part of it")
    parser.add_argument("--record", action="store_true", help="write calls.txt anew, and run nothing")
    arguments = parser.parse_args()
    if arguments.record:
        write_listing(asyncio.run(recorded()))
        return 0
    chosen = chosen_by(arguments.names, enumerated(listed()))
    broken = {case: found for case, found in run(chosen, listed(), _say).items() if found}
    for case, found in broken.items():
        sys.stdout.write(f"{case}\n")
        sys.stdout.writelines(f"    {each}\n" for each in found)
    sys.stdout.write(f"{len(chosen)} cases, {len(broken)} went wrong\n")
    return 1 if broken or not chosen else 0


def chosen_by(names: list[str], cases: tuple[Case, ...]) -> tuple[Case, ...]:
    """Return the cases with those names; where one is no whole name, those with it in theirs."""
    whole = {str(case) for case in cases}
    return tuple(
        case
        for case in cases
        if not names or any(str(case) == name or (name not in whole and name in str(case)) for name in names)
    )


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
