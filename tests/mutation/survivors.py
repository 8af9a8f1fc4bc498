"""Which mutants survive, which of those are explained, and the page that says so."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

EXPLAINED: Final = Path(__file__).with_name("explained.toml")


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed by a test"
    TYPED = "refused by the type check"
    STUCK = "stopped, for it took too long"
    SURVIVED = "survived"


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """What a mutant changes, named so that it stays the same while other lines of its function change.

    `function` is dotted from `rotator` on; `was` and `now` are the changed lines, each run of blanks as one.
    """

    function: str
    was: str
    now: str

    def __str__(self) -> str:
        """Return it as one entry of the file of explained survivors."""
        words = ", ".join(
            f"{name} = {_quoted(text)}"
            for name, text in (("in", self.function), ("was", self.was), ("now", self.now))
        )
        return f"{{{words}}},"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small wrong change of a function and what became of it. What it changes is told of a survivor only."""

    function: str
    fate: Fate
    change: Change | None = None

    @property
    def module(self) -> str:
        """The module that it is in."""
        return ".".join(self.function.split(".")[:3])


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why some survivors are no gap of the tests."""

    why: str
    changes: tuple[Change, ...]


def change_of(function: str, diff: str) -> Change:
    """Return what a unified diff of one function changes."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    was = [line[1:] for line in lines if line.startswith("-")]
    now = [line[1:] for line in lines if line.startswith("+")]
    return Change(function, _one_line(was), _one_line(now))


def explanations(text: str) -> tuple[Explanation, ...]:
    """Return what the file of explained survivors says. Raise ValueError where it says one thing twice."""
    found = tuple(
        Explanation(one["why"], tuple(Change(m["in"], m["was"], m["now"]) for m in one["mutants"]))
        for one in tomllib.loads(text).get("explained", ())
    )
    counted = Counter(change for one in found for change in one.changes)
    twice = [str(change) for change, count in counted.items() if count > 1]
    if twice:
        raise ValueError("explained twice: " + "\n".join(twice))
    return found


def gaps(mutants: Sequence[Mutant], explained: Iterable[Explanation], *, whole: bool) -> list[str]:
    """Return one line for each survivor that nothing explains, and for each explanation of none.

    After a run of some mutants only (not `whole`), an explanation counts as idle only if those of its function ran.
    """
    known = {change for one in explained for change in one.changes}
    survivors = {one.change for one in mutants if one.change is not None}
    ran = {one.function for one in mutants}
    idle = {change for change in known - survivors if whole or change.function in ran}
    return [f"survives unexplained: {change}" for change in sorted(survivors - known)] + [
        f"explained, and survives no more: {change}" for change in sorted(idle)
    ]


def figures(mutants: Sequence[Mutant]) -> str:
    """Return what became of all of them in one sentence."""
    fates = Counter(one.fate for one in mutants)
    parts = ", ".join(f"{fates[fate]} {fate}" for fate in Fate if fates[fate] or fate is Fate.SURVIVED)
    return f"{len(mutants)} mutants: {parts}"


def page(mutants: Sequence[Mutant], explained: Iterable[Explanation]) -> str:
    """Return the page that shows what a whole run found."""
    lines = [
        "# Mutants",
        "",
        "<!-- Written by `make mutants` after a whole run. -->",
        "",
        "A mutant is the program with one small wrong change: a comparison turned round, an argument dropped, a condition",
        "negated. Where no test fails for it, either a test is missing or the change means nothing. `make mutants` makes every",
        "such change in `rotator/plan` and `rotator/rotation` and runs the tests of `tests/core` that reach it. It writes this",
        "page, and fails when a survivor is explained nowhere or an explained one survives no more. The explanations are in",
        "`tests/mutation/explained.toml`; what is left out, and why, is said in `pyproject.toml` under `tool.mutmut`. Only what",
        "stands in functions is changed: constants, tables and the order of the rules are not.",
        "",
        f"{figures(mutants)}. Each survivor is explained below.",
        "",
        "| module | mutants | killed by tests | refused by types | explained survivors |",
        "|---|---|---|---|---|",
    ]
    modules = sorted({one.module for one in mutants})
    for module in modules:
        fates = Counter(one.fate for one in mutants if one.module == module)
        killed = fates[Fate.KILLED] + fates[Fate.STUCK]
        numbers = (sum(fates.values()), killed, fates[Fate.TYPED], fates[Fate.SURVIVED])
        lines.append(f"| `{module}` | {' | '.join(map(str, numbers))} |")
    survivors = Counter(one.change for one in mutants)
    lines += ["", "## Why the survivors are no gap"]
    for explanation in explained:
        lines += ["", explanation.why.strip(), ""]
        lines += [
            f"- `{change.function}`: `{change.was}` becomes `{change.now or '(nothing)'}`"
            + (f" ({survivors[change]} times)" if survivors[change] > 1 else "")
            for change in explanation.changes
        ]
    return "\n".join(lines) + "\n"


def _one_line(lines: Iterable[str]) -> str:
    return " ".join(" ".join(lines).split())


def _quoted(text: str) -> str:
    """Return a text as TOML takes it on one line."""
    if "'" not in text:
        return f"'{text}'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
