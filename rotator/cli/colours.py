"""Colours for what is urgent, and for nothing else. Only terminals get them (`text.coloured`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import click

from rotator.plan.findings import Grade
from rotator.plan.phase import Phase

_GRAVE: Final = "red"
_SOON: Final = "yellow"
_CALM: Final = "green"

_WORDS: Final[Mapping[str, str]] = {
    Phase.UNKNOWN: _GRAVE,
    Phase.HELD: _GRAVE,
    Phase.FAILING: _GRAVE,
    Phase.PAUSED: _SOON,
    Phase.OVERLAP: _SOON,
    Phase.AWAITING_RELEASE: _SOON,
    Phase.CURRENT: _CALM,
    Grade.PROBLEM: _GRAVE,
    Grade.WARNING: _SOON,
    Grade.OK: _CALM,
}

_BEGINNINGS: Final = re.compile(r"(?P<grave>held:|unknown\b|failed\b)|(?P<soon>rotate now\b|delete key\b)")
"""How a decision begins that somebody should look at."""


def word(text: str) -> str:
    """Return a phase or a grade in its colour."""
    colour = _WORDS.get(text)
    return text if colour is None else click.style(text, fg=colour)


def beginning(text: str) -> str:
    """Return a line with its first words in colour, if they are urgent ones."""
    found = _BEGINNINGS.match(text)
    if found is None:
        return text
    colour = _GRAVE if found["grave"] else _SOON
    return click.style(found[0], fg=colour) + text[found.end() :]
