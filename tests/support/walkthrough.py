"""Pages that are played: their commands are run in order, and what they show must be what comes out.

Two kinds of blocks of a page count. A file is written where the comment above it says:

    <!-- file: config.yaml -->
    ```yaml
    ...
    ```

A console block holds commands, each with its output:

    ```console
    $ rotator plan
    ...
    ```

`python -m tests.support.walkthrough` plays every page and writes what came out into it. The test that plays them
compares instead. What differs from run to run (instants, lengths of time, ids of what was made on the way, ports) is
compared by its form, and words by being there, not by where a line breaks.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rotator.clock import SystemClock
from rotator.model.secret import Secret
from rotator.simulator.world import hex_secret
from tests.support import canary
from tests.support.playground import playground

ROOT: Final = Path(__file__).parents[2]

PAGES: Final = (ROOT / "docs" / "tutorial" / "first-hour.md", ROOT / "docs" / "how-to" / "runbook.md")
"""Played one after another in one playground."""

LASTS_AT_MOST: Final = 300
WIDTH: Final = "118"

_BLOCK = re.compile(
    r"(?:^<!-- file: (?P<file>\S+) -->\n```\w*\n(?P<text>.*?)^```$)|(?:^```console\n(?P<console>.*?)^```$)",
    re.MULTILINE | re.DOTALL,
)
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)

_MASKS: Final = (
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22,}"), "ID"),
    (re.compile(r"\b[0-9a-f]{8}\.\.\."), "ID"),
    (re.compile(r"\brotator-[0-9a-f]{8}\b"), "HOLDER"),
    (re.compile(r"\b(?:[0-9a-f]{12,16}|[0-9a-f]{64})\b"), "ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)"), "INSTANT"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "DAY"),
    (re.compile(r"\b\d\d:\d\d(?::\d\d)?Z"), "CLOCK"),
    (re.compile(r"\b(?:\d+[dhms]){1,2}\b"), "SPAN"),
    (re.compile(r"\S*/playground\b"), "FOLDER"),
    (re.compile(r"\b\w+@[\w.-]+"), "SOMEBODY"),
)


@dataclass(frozen=True, slots=True)
class Write:
    """A file to be written."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """A command, what the page says it shows, and where in the page that is."""

    command: str
    shown: str
    start: int
    end: int


def steps(page: str) -> Iterator[Write | Run]:
    """Yield what a page says is to be done, in its order."""
    for block in _BLOCK.finditer(page):
        if block["file"] is not None:
            yield Write(block["file"], block["text"])
            continue
        begins = block.start("console")
        for command in _COMMAND.finditer(block["console"]):
            yield Run(command[1], command[2], begins + command.start(2), begins + command.end(2))


def masked(text: str) -> list[str]:
    """Return the words of an output, what differs from run to run by its form, in an order that no line break changes."""
    for pattern, name in _MASKS:
        text = pattern.sub(name, text)
    return sorted(text.split())


@dataclass(frozen=True, slots=True)
class Played:
    """A step of a page that was run, and what came out."""

    page: Path
    run: Run
    came_out: str


async def play(folder: Path, pages: tuple[Path, ...]) -> AsyncIterator[Played]:
    """Do what the pages say, in a shell that has read the playground's `env`; yield each command when it has ended.

    Every output is scanned for the canary. Each command has a shell of its own, in the playground's folder.
    """
    for page in pages:
        for step in steps(page.read_text()):
            if isinstance(step, Write):
                (folder / step.name).parent.mkdir(parents=True, exist_ok=True)
                (folder / step.name).write_text(step.text.replace("/PLAYGROUND", str(folder)))
                continue
            yield Played(page, step, await _output(folder, step.command))


async def _output(folder: Path, command: str) -> str:
    """Run one command as a person does in a terminal of a fixed width, and return what it shows."""
    process = await asyncio.create_subprocess_exec(
        *("/bin/bash", "-c", f". {folder}/env\n{command}"),
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "COLUMNS": WIDTH,
            "TERM": "dumb",
            "LANG": "C.UTF-8",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), LASTS_AT_MOST)
    shown = out.decode()
    canary.note(shown, f"the output of {command}")
    return shown.replace(str(folder), "/home/you/playground")


def rewritten(page: str, played: list[Played]) -> str:
    """Return a page with what came out in place of what it showed."""
    for one in reversed(played):
        page = page[: one.run.start] + one.came_out + page[one.run.end :]
    return page


async def _write() -> None:
    numbers = itertools.count()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "playground"
        async with playground(
            folder,
            SystemClock(),
            Secret(hex_secret()),
            secret_factory=lambda: canary.secret_text(str(next(numbers))),
        ):
            played = []
            async for one in play(folder, PAGES):
                sys.stderr.write(f"$ {one.run.command}\n{one.came_out}")
                played.append(one)
    for page in PAGES:
        of_page = [one for one in played if one.page == page]
        page.write_text(rewritten(page.read_text(), of_page))


if __name__ == "__main__":
    asyncio.run(_write())
