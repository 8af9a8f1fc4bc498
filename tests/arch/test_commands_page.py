"""The reference of the command line is what the commands say of themselves today."""

from __future__ import annotations

from rotator.cli.app import rotator
from tests.support import commands


def test_every_command_is_in_the_page_with_its_options() -> None:
    page = commands.page()

    for name, command in rotator.commands.items():
        section = page.partition(f"\n## rotator {name}\n")[2].partition("\n## ")[0]
        assert f"Usage: rotator {name}" in section
        for parameter in command.params:
            assert all(option in section for option in parameter.opts if option.startswith("--"))


def test_the_page_is_not_stale() -> None:
    assert commands.PAGE.read_text() == commands.page(), "run `python -m tests.support.commands`"
