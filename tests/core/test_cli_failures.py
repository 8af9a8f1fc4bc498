"""Every error that ends a command is told in three parts: what, why, what to do."""

from __future__ import annotations

import errno
import re

import pytest

from rotator.cli import exits, failures
from rotator.cli.text import Unwritten
from rotator.errors import (
    Ambiguous,
    Conflict,
    Denied,
    InvariantViolation,
    NotFound,
    PolicyError,
    Problem,
    Rejected,
    RotatorError,
    Throttled,
    TooNew,
    Unavailable,
)


class Strange(RotatorError):
    """An error that nobody thought of here."""


@pytest.mark.parametrize(
    ("error", "what", "why", "status"),
    [
        (failures.Failure("it broke", why="so", cure="mend it", status=2), "it broke", "so", 2),
        (Unavailable("list keys", "p-1", "500"), "could not list keys p-1", "500", exits.TRY_AGAIN),
        (Throttled("list keys", "p-1"), "could not list keys p-1", "Throttled", exits.TRY_AGAIN),
        (Denied("read record", "x", "403"), "could not read record x", "403", exits.FAILED),
        (Ambiguous("create key", "p-1", "500"), "could not create key p-1", "500", exits.FAILED),
        (Conflict("write record", "x"), "could not write record x", "Conflict", exits.FAILED),
        (NotFound("read key", "k"), "could not read key k", "NotFound", exits.FAILED),
        (Rejected("read key", "k", "odd"), "could not read key k", "odd", exits.FAILED),
        (InvariantViolation("nope"), "an unsafe step was refused", "nope", exits.FAILED),
        (
            Unwritten(OSError(errno.ENOSPC, "No space left on device")),
            "the report could not be written",
            "No space left on device",
            exits.FAILED,
        ),
        (Strange("odd"), "odd", "Strange", exits.FAILED),
    ],
)
def test_what_why_and_what_to_do(
    capsys: pytest.CaptureFixture[str], error: RotatorError, what: str, why: str, status: int
) -> None:
    assert failures.tell(error) == status
    found = re.fullmatch(r"rotator: (.+)\n  why: (.+)\n  do:  (.+)\n", capsys.readouterr().err)

    assert found
    assert found.groups()[:2] == (what, why)


def test_the_cure_of_what_a_newer_rotator_wrote_says_nothing_of_the_rest() -> None:
    """In a sweep it is one record's trouble, and other lineages were rotated."""
    assert failures.cure_of(TooNew("read record", "x")).endswith("; until then it is left alone")


def test_a_bug_is_told_in_three_parts_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert failures.tell_bug(KeyError("x")) == exits.FAILED
    assert re.fullmatch(
        r"rotator: a bug ended the command\n  why: KeyError\n  do:  report it.+\n", capsys.readouterr().err
    )


def test_problems_of_the_file_have_their_place_instead(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem(
        file="config.yaml",
        line=3,
        column=5,
        path="policies[0].overlap",
        what="not a duration",
        hint="write 24h",
    )

    assert failures.tell(PolicyError((problem,))) == exits.BAD_POLICY
    assert capsys.readouterr().err == ("config.yaml:3:5: policies[0].overlap: not a duration (write 24h)\n")
