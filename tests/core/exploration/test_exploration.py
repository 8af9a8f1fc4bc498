"""No reachable state breaks a promise. With `-s` each search prints how many states it reached."""

from __future__ import annotations

import pytest

from tests.core.exploration.bounds import QUICK, Bounds
from tests.core.exploration.search import Search
from tests.core.exploration.sweep import sweep


@pytest.mark.promise("P1", "P2", "P3", "P4", "P5", "P6", "P8")
@pytest.mark.parametrize("bounds", QUICK, ids=str)
def test_no_reachable_state_breaks_a_promise(bounds: Bounds) -> None:
    found = Search(bounds).run()
    print(f"{bounds}: {found}")  # noqa: T201 (shown with -s)
    assert found.broken is None, str(found)
    assert found.states > 500, "the search has lost its way"


@pytest.mark.promise("P7", "P8")
def test_whatever_goes_wrong_in_a_reconcile_or_an_import_is_told_and_shows_no_secret() -> None:
    runs, broken = sweep()
    print(f"{runs} runs")  # noqa: T201 (shown with -s)
    assert broken is None
    assert runs > 400, "the sweep has lost its way"
