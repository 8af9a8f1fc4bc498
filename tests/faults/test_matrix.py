"""Every kind of call with every fault, once: a sample of what `make prove` runs whole."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults import matrix, pool, proof, seeds
from tests.faults.__main__ import parts_of
from tests.faults.calls import Call
from tests.faults.case import NOT_REACHED, Case, Runner
from tests.support.vault_lab import Root

SHARDS = 8


@pytest.mark.promise("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("shard", range(SHARDS))
async def test_no_call_that_fails_breaks_a_promise(root: Root, shard: int) -> None:
    calls = matrix.listed()
    cases = matrix.sample(matrix.enumerated(calls))[shard::SHARDS]
    found = [one async for one in pool.run_here(root, cases, calls)]
    assert len(found) == len(cases)
    assert {str(case): broken for case, broken in found if broken} == {}


def test_the_sample_has_each_kind_of_call_with_each_fault_in_every_situation() -> None:
    cases = matrix.enumerated(matrix.listed())
    sample = matrix.sample(cases)
    assert {(case.call.row, case.fault) for case in sample} == {(case.call.row, case.fault) for case in cases}
    assert {case.phase for case in sample} == {case.phase for case in cases}


def test_the_calls_are_those_that_the_program_makes() -> None:
    assert matrix.as_listed(asyncio.run(matrix.recorded())), "run `python -m tests.faults.matrix --record`"


def test_the_page_counts_the_cases_that_there_are() -> None:
    cases = len(matrix.enumerated(matrix.listed()))
    assert proof.COUNTED.format(cases) in proof.PAGE.read_text(), "run `make prove`"


def test_the_page_has_a_section_on_each_part() -> None:
    lines = proof.PAGE.read_text().splitlines()
    missing = [name for name in parts_of({}, seed=0) if proof.heading(name) not in lines]
    assert missing == [], "run `make prove`"


class Scripted(Runner):
    """Runs nothing, and finds what it is told to find, once for each run."""

    def __init__(self, *finds: tuple[str, ...]) -> None:
        self.finds = list(finds)
        self.ran: list[tuple[Case, tuple[Call, ...]]] = []

    async def run(self, case: Case, calls: tuple[Call, ...]) -> tuple[str, ...]:
        self.ran.append((case, calls))
        return self.finds.pop(0)


@pytest.mark.parametrize(
    ("finds", "found", "runs"),
    [
        ([(NOT_REACHED,), ()], (), 2),
        ([(NOT_REACHED,), ("P1",)], ("P1",), 2),
        ([(NOT_REACHED, "P1"), ()], (NOT_REACHED, "P1"), 1),
        ([(NOT_REACHED,)] * 4, (NOT_REACHED,), 3),
    ],
)
async def test_a_case_is_run_again_only_if_nothing_but_its_call_was_missed(
    finds: list[tuple[str, ...]], found: tuple[str, ...], runs: int
) -> None:
    case, runner = matrix.enumerated(matrix.listed())[0], Scripted(*finds)
    assert await pool.tried(runner, case, {case.phase: ()}) == found
    assert runner.ran == [(case, ())] * runs


@pytest.mark.timeout(seeds.PATIENCE_SECONDS + 60)
@pytest.mark.parametrize(
    "seed",
    [pytest.param(seed, marks=pytest.mark.promise(seed.promise), id=seed.name) for seed in seeds.SEEDS],
)
def test_a_seeded_bug_is_found(seed: seeds.Seed) -> None:
    assert seeds.caught(seed) != ""
