"""The report on mutants: a survivor without an explanation is told, and so is an explanation without a survivor."""

from __future__ import annotations

import importlib
import inspect

import pytest

from tests.mutation.survivors import (
    EXPLAINED,
    Change,
    Explanation,
    Fate,
    Mutant,
    change_of,
    explanations,
    figures,
    gaps,
    page,
)

EARLIER = Change("rotator.plan.facts.head", "if one is None:", "if one is not None:")
OTHER = Change("rotator.plan.rules.copy", "return None", "")
KNOWN = (Explanation("It means the same.", (EARLIER,)),)
DIFF = "--- a\n+++ b\n@@ -1,3 +1,3 @@\n def head():\n-    if one is None:\n+    if one is not None:\n         pass\n"


def test_a_mutant_is_named_by_the_lines_that_it_changes() -> None:
    assert change_of("rotator.plan.facts.head", DIFF) == EARLIER


@pytest.mark.parametrize(
    ("change", "fate", "whole", "told"),
    [
        (EARLIER, Fate.SURVIVED, True, []),
        (EARLIER, Fate.KILLED, True, [f"explained, and survives no more: {EARLIER}"]),
        (EARLIER, Fate.KILLED, False, [f"explained, and survives no more: {EARLIER}"]),
        (OTHER, Fate.KILLED, True, [f"explained, and survives no more: {EARLIER}"]),
        (OTHER, Fate.KILLED, False, []),
        (OTHER, Fate.TYPED, False, []),
        (OTHER, Fate.STUCK, False, []),
        (OTHER, Fate.SURVIVED, False, [f"survives unexplained: {OTHER}"]),
    ],
)
def test_what_is_told_of_a_mutant(change: Change, fate: Fate, told: list[str], *, whole: bool) -> None:
    survived = change if fate is Fate.SURVIVED else None

    assert gaps([Mutant(change.function, fate, survived)], KNOWN, whole=whole) == told


def test_what_is_told_is_what_the_file_of_explanations_takes() -> None:
    awkward = Change("rotator.plan.facts.head", 'raise ValueError("it\'s \\ wrong")', "")
    text = f'[[explained]]\nwhy = "so"\nmutants = [\n{EARLIER}\n{awkward}\n]\n'

    assert explanations(text) == (Explanation("so", (EARLIER, awkward)),)
    with pytest.raises(ValueError, match="explained twice"):
        explanations(text + text)


def test_the_page_counts_what_ran_and_names_each_survivor_with_its_reason() -> None:
    mutants = [
        Mutant(EARLIER.function, Fate.SURVIVED, EARLIER),
        Mutant(OTHER.function, Fate.KILLED),
        Mutant(OTHER.function, Fate.TYPED),
    ]

    assert figures(mutants) == "3 mutants: 1 killed by a test, 1 refused by the type check, 1 survived"
    written = page(mutants, KNOWN)
    assert figures(mutants) in written
    assert "| `rotator.plan.facts` | 1 | 0 | 0 | 1 |" in written
    assert "| `rotator.plan.rules` | 2 | 1 | 1 | 0 |" in written
    assert "It means the same." in written
    assert "`if one is None:` becomes `if one is not None:`" in written


def test_each_explanation_is_of_a_function_that_there_is() -> None:
    for explanation in explanations(EXPLAINED.read_text()):
        for change in explanation.changes:
            module, names = change.function.split(".")[:3], change.function.split(".")[3:]
            found: object = importlib.import_module(".".join(module))
            for name in names:
                found = getattr(found, name)
            assert inspect.isfunction(found) or isinstance(found, property), change.function
