"""Whatever others write, be it into comments, tags, entries or reasons, forges no line and steers no terminal."""

from __future__ import annotations

import json
import re

import pytest

from tests.integration.conftest import POLICIES, Desk, Ran
from tests.support.canary import secret_text

PIECES = (
    "\n2026-01-05T12:00:00Z [error] held: everything",
    '\r\n{"event": "published", "level": "info"}',
    "\x1b[31m\x1b[2J\x1b]0;title\x07\x1b[6n",
    "\x9b31m\x85\u2028\u2029\u200b",
    "\u202etxt.exe\u2066\u2069\ufeff",
    '", "level": "info"}, {"',
    "  held: NAME  PHASE\n\n" + "long " * 300,
    "\x00\x7f\b\b\b\t",
)
OURS = re.compile(r"\x1b\[(?:3[123]|0)m")
"""The colours that the program itself gives."""


@pytest.fixture
def hostile(desk: Desk) -> Desk:
    """Return a desk where everything that others may write is hostile."""
    desk.world.projects[desk.project_id] = PIECES[2]
    somebody = desk.world.add_member(desk.project_id, email=f"x{''.join(PIECES[:4])}@example.com")
    for number, piece in enumerate(PIECES):
        desk.world.add_key(
            desk.project_id,
            member_id=somebody if number % 2 else desk.owner_id,
            comment=f"voice {number} {piece}",
            scopes=("usage:write", piece),
            tags=(piece, f"tag{number}"),
        )
    taken = desk.due_key(f"taken {PIECES[3]}")
    desk.put("taken", **{"api_key": taken.secret.reveal(), "api_key_id": PIECES[0], PIECES[1]: PIECES[2]})
    desk.due_key("due")
    desk.write(POLICIES.replace("when_due", "watch"))
    desk.environment |= {"SUDO_USER": f"ann{PIECES[0]}{PIECES[2]}", "COLUMNS": "200"}
    return desk


def clean(ran: Ran) -> None:
    """See that all of what a command wrote stands in lines that can be shown, and that logs are whole."""
    for line in (*OURS.sub("", ran.out).split("\n"), *ran.err.split("\n")):
        assert line.rstrip("\r").isprintable(), ascii(line)
    logged = [line for line in ran.err.splitlines() if line.startswith("{")]
    assert all(set(json.loads(line)) >= {"event", "level", "logger"} for line in logged)


async def test_tables_stay_tables_and_a_terminal_gets_our_colours_only(hostile: Desk) -> None:
    loud = ("--log-format", "json", "--log-level", "debug")
    for command in ("plan", "discover"):
        clean(await hostile.watched("stdout", *loud, command))
    for command in ("status", "check"):
        document = await hostile.run("--output", "json", *loud, command)
        assert document.out.isascii()
        clean(document)
        assert json.loads(document.out)["format"]


async def test_what_is_done_and_why_is_one_line_per_event(hostile: Desk) -> None:
    loud = ("--log-format", "json", "--log-level", "debug")
    hostile.write(POLICIES)
    due = hostile.lineage("due")
    clean(await hostile.run(*loud, "once"))
    refused = await hostile.run(*loud, "pause", due, "--reason", "because\x1b[2J of\u2028 that\nand more")
    assert (refused.status, refused.out) == (2, "")
    clean(refused)
    paused = await hostile.run(*loud, "pause", due, "--reason", PIECES[5])
    assert paused.status == 0
    clean(paused)
    shown = await hostile.run("--log-level", "debug", "history", due)
    assert "rotated" in shown.out
    assert all(line.isprintable() for line in (shown.out + shown.err).splitlines())


async def test_a_stub_made_of_hostile_comments_is_one_policy_file(hostile: Desk) -> None:
    stub = await hostile.run("discover", "--stub")
    assert all(line.isprintable() for line in stub.out.split("\n"))


async def test_whose_a_secret_is_said_in_lines_that_can_be_shown(hostile: Desk) -> None:
    key = hostile.key("found " + "".join(PIECES), tags=PIECES)
    for given in (key.secret.reveal(), secret_text("nobody's")):
        ran = await hostile.fed(given.encode(), "--log-format", "json", "identify")
        clean(ran)
