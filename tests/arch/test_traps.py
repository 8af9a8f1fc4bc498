"""The table of Deepgram's traps says what is there, and lets no trap go without a source and a test."""

from __future__ import annotations

from tests.support import traps
from tests.support.trap_list import TRAPS, Trap

FILE = "tests/core/test_a.py"
ONE = Trap("What.", "Answer.", ("a source",), ((FILE, "test_trap_1_x"),))


def test_the_table_is_true_and_the_page_shows_it() -> None:
    assert list(traps.problems(TRAPS, traps.written_tests())) == []
    assert traps.PAGE.read_text() == traps.page(TRAPS)


def test_what_is_missing_is_told() -> None:
    tests = {FILE: frozenset({"test_trap_1_x", "test_y"})}
    assert list(traps.problems((ONE,), tests)) == []
    assert list(traps.problems((Trap("W.", "A.", (), ()),), {})) == [
        "trap 1 has no source",
        "trap 1 has no test",
    ]
    gone = list(traps.problems((ONE,), {FILE: frozenset({"test_y"})}))
    assert gone == [f"trap 1: there is no test_trap_1_x in {FILE}"]
    unnamed = {FILE: frozenset({"test_trap_1_x", "test_trap_1_and_2_z"})}
    assert list(traps.problems((ONE,), unnamed)) == [
        f"{FILE}: test_trap_1_and_2_z is not named for trap 1",
        f"{FILE}: test_trap_1_and_2_z is not named for trap 2",
    ]
