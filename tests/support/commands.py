"""The reference of the command line: the help of every command, as click shows it.

`python -m tests.support.commands` writes `docs/reference/commands.md`; with `--check` it writes nothing and fails
when the page is stale.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from rotator.cli.app import rotator

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reference" / "commands.md"
WIDTH: Final = 100

HEAD: Final = """\
# Commands

<!-- Written by `python -m tests.support.commands`; `make check` fails when it is stale. -->

What each command says of itself with `--help`. Results go to standard output, logs and errors to standard error.
"""


def page() -> str:
    """Return the page."""
    return HEAD + "".join(_sections(rotator, "rotator", None))


def _sections(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    """Yield a section about a command, and one about each command below it."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, parent, info_name=name, **settings)
    yield f"\n## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            yield from _sections(command.commands[below], below, context)


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.commands")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the page is stale")
    if not parser.parse_args().check:
        PAGE.write_text(page())
        return 0
    if not PAGE.exists() or PAGE.read_text() != page():
        sys.stderr.write(
            f"commands: {PAGE.relative_to(ROOT)} is stale: run `python -m tests.support.commands`\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
