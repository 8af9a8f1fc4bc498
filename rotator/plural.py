"""Numbers with their nouns."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where that fits."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
