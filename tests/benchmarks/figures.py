"""Figures of several runs, and how the page shows them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing that was measured in several runs. `goal` is what it is held against, "" where it only informs."""

    what: str
    values: Sequence[float]
    unit: str
    goal: str = ""
    digits: int = 1

    @property
    def median(self) -> float:
        """The one in the middle."""
        return statistics.median(self.values)

    @property
    def shown(self) -> str:
        """The median, with its unit."""
        return f"{self.median:,.{self.digits}f} {self.unit}".strip()

    @property
    def spread(self) -> str:
        """The lowest and the highest, where they differ."""
        low, high = (f"{value:,.{self.digits}f}" for value in (min(self.values), max(self.values)))
        return low if low == high else f"{low} to {high}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the page: how it was measured, its figures, and what they say."""

    title: str
    how: str
    figures: Sequence[Figure]
    says: str = ""
