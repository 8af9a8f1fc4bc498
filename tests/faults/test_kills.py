"""Processes of the command line are killed, asked to stop and put to sleep at their calls, and at random.

A fixed sample: `make prove` strikes at each call.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.kills.aftermath import judge
from tests.faults.kills.fronts import Side, first
from tests.faults.kills.scenarios import DUE, EMERGENCY, FIRST, LATER, SCENARIOS, pin
from tests.faults.kills.seeds import SEEDS
from tests.faults.kills.site import Ground, ground, site
from tests.faults.kills.storm import LINEAGES, come_to_rest, storm
from tests.faults.kills.strikes import (
    Case,
    Kind,
    Recorded,
    killed,
    kills,
    record,
    signals,
    sleeps,
    strike,
)
from tests.support.canary import CANARY
from tests.support.nursery import Command, Nursery
from tests.support.vault_lab import Root

AT_ONCE = 3

pytestmark = pytest.mark.timeout(400)
"""Real processes wait for claims in real time, and take their time on a machine that has more to do."""


@pytest.fixture
async def shared(root: Root, children: Nursery, tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(root, children, tmp_path, at_once=AT_ONCE) as made:
        yield made


@pytest.mark.promise("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8")
async def test_a_process_is_killed_at_a_call_and_no_promise_breaks(shared: Ground) -> None:
    recorded = await asyncio.gather(*(record(scenario, shared) for scenario in SCENARIOS))

    cases = [case for one in recorded for case in _some_kills(one)]

    assert {(case.scenario.name, case.kind) for case in cases} == {(s.name, Kind.KILL) for s in SCENARIOS}
    assert [broken for one in recorded for broken in one.broken] == []
    assert await _broken(cases, shared) == []


@pytest.mark.promise("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8")
async def test_a_process_is_asked_to_stop_or_sleeps_at_a_call_and_no_promise_breaks(shared: Ground) -> None:
    recorded = await asyncio.gather(*(record(scenario, shared) for scenario in (FIRST, LATER, EMERGENCY)))

    cases = [case for one in recorded for case in _some_signals(one)]
    cases += [case for one in recorded[1:] for case in _some_sleeps(one)]

    assert {case.kind for case in cases} == {Kind.TERM, Kind.INT, Kind.STOP}
    assert await _broken(cases, shared) == []


async def _broken(cases: Sequence[Case], shared: Ground) -> list[str]:
    found = await asyncio.gather(*(strike((case,), shared) for case in cases))
    return [broken for each in found for broken in each]


def _some_kills(recorded: Recorded) -> Iterator[Case]:
    """Yield a kill around a call that writes.

    In the simplest scenario, one with a key that nobody has heard of, one with a publish that nobody has, and one at a
    call that reads, of a process that was started.
    """
    if recorded.scenario is LATER:
        for path in ("/keys", "/data/rotated/"):
            nth = first(recorded.calls, "POST", path)
            yield Case(scenario=LATER, kind=Kind.KILL, nth=nth, side=Side.AFTER)
        at_reads = [case for case in kills(recorded) if not recorded.writes[case.nth]]
        yield replace(_spread(at_reads, 1)[0], started=True)
    else:
        yield from _spread([case for case in kills(recorded) if recorded.writes[case.nth]], 1)


def _some_signals(recorded: Recorded) -> Iterator[Case]:
    yield from _spread(list(signals(recorded, Kind.TERM)), 2)
    yield from _spread(list(signals(recorded, Kind.INT)), 1)


def _some_sleeps(recorded: Recorded) -> Iterator[Case]:
    yield from _spread([case for case in sleeps(recorded) if recorded.writes[case.nth]], 2)


def _spread(cases: Sequence[Case], count: int) -> list[Case]:
    """Return so many of them, evenly spread, in the middle of each part."""
    return [cases[(2 * nth + 1) * len(cases) // (2 * count)] for nth in range(min(count, len(cases)))]


@pytest.mark.promise("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8")
async def test_a_fleet_is_struck_at_random_and_no_promise_breaks(shared: Ground) -> None:
    blown = await storm(shared, seed=1, seconds=6)

    assert blown.broken == ()
    assert blown.strikes.total() > 0
    assert blown.rotations >= LINEAGES


@pytest.mark.promise("P2")
async def test_what_a_killed_rotation_made_is_shown_when_it_is_due_no_more_and_goes_after_an_order(
    shared: Ground,
) -> None:
    recorded = await record(FIRST, shared)
    after_create = first(recorded.calls, "POST", "/keys")
    async with site(shared) as made:
        await FIRST.prepare(made)
        await killed(Case(scenario=FIRST, kind=Kind.KILL, nth=after_create, side=Side.AFTER), made)
        pin(made, age=DUE, adopt="when_due", rotate_before="1h")
        last = await come_to_rest(made)
        found = await judge(made, looks=[last])

    assert found == ()


async def test_the_strikes_show_seeded_bugs(root: Root, tmp_path: Path) -> None:
    unseen = await asyncio.gather(*(seed.unseen(root, tmp_path / str(nth)) for nth, seed in enumerate(SEEDS)))

    assert [each for each in unseen if each] == []


async def test_a_command_that_ends_in_a_traceback_has_broken_a_promise(shared: Ground) -> None:
    async with site(shared) as made:
        command = Command(
            arguments=("once",), environment={}, streams=_streams(made.folder, "Traceback (most")
        )
        await made.end(Ended(), command)
        found = await judge(made, at_rest=False)

    assert found == ("P8: it ended in a traceback of `once` (Traceback (most), which is no error of ours",)


async def test_a_secret_that_a_command_prints_has_broken_a_promise(shared: Ground) -> None:
    async with site(shared) as made:
        command = Command(arguments=("once",), environment={}, streams=_streams(made.folder, CANARY))
        await made.end(Ended(), command)
        found = await judge(made, at_rest=False)

    assert [each.partition(":")[0] for each in found] == ["P7"]


class Ended:
    """A process that has ended well."""

    pid = 0

    def __init__(self) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.ended.set_result(0)

    def send(self, number: signal.Signals) -> None:
        raise AssertionError(number)


def _streams(folder: Path, err: str) -> tuple[Path, Path, Path]:
    given, out, error = (folder / name for name in ("given", "out", "err"))
    out.touch()
    error.write_text(err)
    return given, out, error
