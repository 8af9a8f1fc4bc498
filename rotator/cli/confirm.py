"""Ask a person before something that can't be taken back."""

from __future__ import annotations

import sys

import click

from rotator.cli import exits
from rotator.cli.failures import Failure


def confirmed(question: str) -> None:
    """Return when a person at a terminal says yes. Raise Failure when they say no, or when there is nobody to ask."""
    if not sys.stdin.isatty():
        raise Failure(
            "nothing was ordered",
            why="this order asks before it is given, and standard input is no terminal",
            cure="look at what is shown above, then write --yes",
            status=exits.USAGE,
        )
    try:
        said = click.confirm(question, err=True)
    except click.Abort:
        said = False
    if not said:
        raise Failure("nothing was ordered", why="the answer was no", cure="nothing; all is as it was")
