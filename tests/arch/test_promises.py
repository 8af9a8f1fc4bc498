"""The table of promises says what is there, and does not let a promise go unguarded."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support import promises


@dataclass(frozen=True, slots=True)
class Bug:
    """A seeded bug as the exploration declares them, without its change."""

    name: str
    promise: str
    file: str = "rotator/plan/rules.py"
    what: str = "the overlap is not waited for"


ALL = [promise.name for promise in promises.PROMISES]
GUARDS = {promises.Guard(name, "tests/core/test_a.py", "test_x") for name in ALL}
BUGS = tuple(Bug(f"bug-{name}", name) for name in ALL)
CASES = [f"test_seed[bug-{name}]" for name in ALL]


def test_nothing_is_missing_when_each_promise_has_a_test_and_a_bug_that_is_run() -> None:
    assert list(promises.problems(GUARDS, CASES, BUGS)) == []


def test_a_promise_without_a_test_is_told() -> None:
    guards = {guard for guard in GUARDS if guard.promise != "P8"}

    assert list(promises.problems(guards, CASES, BUGS)) == ["P8 has no test"]


def test_a_promise_without_a_seeded_bug_is_told() -> None:
    assert list(promises.problems(GUARDS, CASES, BUGS[1:])) == ["P1 has no seeded bug"]


def test_a_seeded_bug_that_no_test_runs_is_told() -> None:
    told = list(promises.problems(GUARDS, CASES[1:], BUGS))

    assert told == ["the seeded bug bug-P1 is run by no test"]


def test_the_page_groups_tests_by_file_and_does_not_depend_on_their_order() -> None:
    guards = [
        promises.Guard("P3", "tests/core/test_b.py", "test_z"),
        promises.Guard("P3", "tests/core/test_a.py", "test_y"),
        promises.Guard("P3", "tests/core/test_a.py", "test_x"),
    ]

    page = promises.page(guards, BUGS)
    assert page == promises.page(reversed(guards), tuple(reversed(BUGS)))
    assert (
        "3 tests:\n\n- `tests/core/test_a.py`: `test_x`, `test_y`\n- `tests/core/test_b.py`: `test_z`\n\n"
        "1 seeded bug:\n\n- `bug-P3` in `rotator/plan/rules.py`: the overlap is not waited for\n"
    ) in page
