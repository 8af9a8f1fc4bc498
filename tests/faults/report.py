"""What the parts of the proof report, each line of it one kind of case."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

Say = Callable[[str], None]
"""Is told, in one line of plain words, how far a long run has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How many cases of one kind ran, and in which of them something went wrong: a sentence for each.

    `apart`: these cases are no more of the same, or are in another line already, so that no sum counts them.
    """

    what: str
    cases: int
    broken: tuple[str, ...] = ()
    apart: bool = False


Part = Callable[[Say], list[Line]]
"""Tries one kind of thing, and reports what came of it."""


def tried(name: str, part: Part, say: Say) -> list[Line]:
    """Return the lines of a part. That it could not be run, or tried nothing, is a finding as well, and ends nothing else."""
    try:
        lines = part(say)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is a finding)
        lines = [Line(what=name, cases=0, broken=(could_not(error),))]
    return list(_none_empty(lines or [Line(what=name, cases=0)]))


def could_not(error: Exception) -> str:
    """Return the sentence that says why something was not tried to its end, and where that came up."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"it could not be run: {type(error).__name__}: {error} ({where.name}:{where.lineno})"


def _none_empty(lines: list[Line]) -> Iterator[Line]:
    for line in lines:
        empty = not line.cases and not line.broken
        yield replace(line, broken=("nothing was tried",)) if empty else line
