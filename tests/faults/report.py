"""What the parts of the proof report, each line of it one kind of case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Say = Callable[[str], None]
"""Is told, in one line of plain words, how far a long run has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How many cases of one kind ran, and in which of them a promise was broken: a sentence for each."""

    what: str
    cases: int
    broken: tuple[str, ...] = ()
