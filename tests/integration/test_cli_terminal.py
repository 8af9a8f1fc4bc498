"""Manners at a terminal: colours and progress there and nowhere else, widths, completion, quick help."""

from __future__ import annotations

import re

import pytest

from rotator.cli.app import rotator
from tests.integration.conftest import Desk

ANSI = re.compile("\x1b\\[[0-9;]*m")
RED, YELLOW, GREEN, END = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[0m"


def clash(desk: Desk) -> None:
    """Make one lineage that is held and one that is not."""
    desk.key("clash")
    desk.key("Clash")
    desk.due_key("due")


async def test_on_a_terminal_what_is_urgent_has_a_colour(desk: Desk) -> None:
    clash(desk)
    status, plan, check = [
        await desk.watched("stdout", command, COLUMNS="160") for command in ("status", "plan", "check")
    ]

    assert f"{RED}held{END}" in status.out
    assert f"{RED}held:{END} two keys give this one path" in plan.out
    assert f"{RED}problem{END}  lineages: held" in check.out
    assert f"{YELLOW}warning{END}  " in check.out
    assert f"{GREEN}ok{END}       Vault" in check.out
    await desk.run("once", "*/due")
    assert f"{YELLOW}awaiting_release{END}" in (await desk.watched("stdout", "status", COLUMNS="160")).out


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}])
async def test_nobody_gets_a_colour_who_does_not_want_one(desk: Desk, environment: dict[str, str]) -> None:
    clash(desk)

    assert "\x1b" not in (await desk.watched("stdout", "status", **environment)).out


async def test_a_colour_changes_no_width(desk: Desk) -> None:
    clash(desk)
    for columns in ("60", "130"):
        painted = await desk.watched("stdout", "status", COLUMNS=columns)
        bare = await desk.watched("stdout", "status", COLUMNS=columns, NO_COLOR="1")

        def times(text: str) -> str:
            return re.sub(r"\d+", "0", text)

        assert "\x1b" in painted.out
        assert times(ANSI.sub("", painted.out)) == times(bare.out)


async def test_what_is_no_terminal_gets_neither_colours_nor_progress(desk: Desk) -> None:
    for number in range(12):
        desk.key(f"key {number}")
    for command in ("status", "plan", "check", "discover"):
        ran = await desk.run(command, TERM="xterm")
        assert "\x1b" not in ran.out
        assert ran.err == ""


@pytest.mark.parametrize("command", ["status", "plan", "check", "discover", "once", "adopt *"])
async def test_long_work_tells_how_far_it_is_on_one_line_that_goes_away(desk: Desk, command: str) -> None:
    for number in range(12):
        desk.key(f"key {number}")
    ran = await desk.watched("stderr", "--log-level", "error", *command.split())

    assert ran.status == 0, ran.err
    drawn = ran.err.split("\r\x1b[K")
    assert drawn[0] == ""
    assert "reading keys of asr 13/13" not in drawn
    assert {"reading keys of asr 1/13", "reading keys of asr 12/13"} <= set(drawn)
    assert drawn[-1] == ""
    assert "\n" not in ran.err
    assert ("looking at lineages 3/12" in drawn) == (command in {"status", "plan", "check"})
    assert ("looking at entries 3/12" in drawn) == (command == "check")


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(("--output", "json", "status"), {}), (("status",), {"TERM": "dumb"}), (("check", "--offline"), {})],
)
async def test_progress_is_for_people_who_watch(
    desk: Desk, arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    for number in range(12):
        desk.key(f"key {number}")

    assert (await desk.watched("stderr", *arguments, **environment)).err == ""


async def test_short_work_needs_no_progress(desk: Desk) -> None:
    desk.key("voice")

    assert (await desk.watched("stderr", "status")).err == ""


@pytest.mark.parametrize("columns", [40, 60, 100, 200])
async def test_many_lineages_fit_every_width_the_most_urgent_first(desk: Desk, columns: int) -> None:
    clash(desk)
    for number in range(30):
        desk.key(f"a {number}")
    ran = await desk.run("status", COLUMNS=str(columns))
    table = ran.out.split("\n\n", 1)[1].partition("\n\nHeld")[0]
    unbroken = table if columns > 60 else re.sub(r"\n +", "", table)
    names = re.findall(rf"secret/{desk.entries}/(?:clash|due|a-[0-9]+)", unbroken)

    assert max(map(len, ran.out.splitlines())) <= columns
    assert len(names) == 32
    assert names[0].endswith("/clash")
    assert names[1].endswith("/due")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_completion_is_a_script_for_the_shell(desk: Desk, shell: str) -> None:
    ran = await desk.run("completion", shell)

    assert (ran.status, ran.err) == (0, "")
    assert "_ROTATOR_COMPLETE" in ran.out
    assert f"{shell}_complete" in ran.out
    assert "rotator" in ran.out


async def test_what_the_script_calls_completes_commands_and_options(desk: Desk) -> None:
    desk.environment["_ROTATOR_COMPLETE"] = "bash_complete"
    names = await desk.run(COMP_WORDS="rotator dis", COMP_CWORD="1")
    options = await desk.run(COMP_WORDS="rotator check --off", COMP_CWORD="2")

    assert names.out.split() == ["plain,discover"]
    assert options.out.split() == ["plain,--offline"]


async def test_no_other_shell_is_known(desk: Desk) -> None:
    assert (await desk.run("completion", "csh")).status == 2


@pytest.mark.parametrize("command", [None, *sorted(rotator.commands)])
async def test_help_loads_nothing_that_is_slow(desk: Desk, command: str | None) -> None:
    arguments = ["--help"] if command is None else [command, "--help"]
    check = (
        f"import sys\nsys.argv = {['rotator', *arguments]!r}\nfrom rotator.cli import run\n"
        "try: run()\nexcept SystemExit as ended: assert not ended.code\n"
        "slow = {'hvac', 'httpx', 'pydantic', 'requests', 'structlog', 'yaml', 'asyncio'} & set(sys.modules)\n"
        "sys.exit(str(sorted(slow)))\n"
    )
    desk.folder.joinpath("check.py").write_text(check)
    process = await desk.start_python(str(desk.folder / "check.py"))

    assert (await desk.end(process)).err.strip() == "[]"
