"""Pages whose commands are run as they stand, in a shell of root's; what they show must be what comes out.

The form of a page is that of `tests.support.walkthrough`. A command that reads what a person pastes is given it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from rotator.clock import SystemClock
from rotator.model.secret import Secret
from tests.deploy.machine import LOOK_AGAIN, Ran
from tests.support.walkthrough import ROOT, Run, Write, masked, steps

README: Final = ROOT / "deploy" / "README.md"
TIMER: Final = ROOT / "docs" / "how-to" / "run-from-a-timer.md"


LOOKS: Final = ("curl ", "journalctl ", "systemctl show ")
"""What a person gives again, for a moment, when it does not show yet what the page says."""

SHOWS_WITHIN: Final = 15.0


class Hands(Protocol):
    """Where a page is followed."""

    async def shell(self, text: str, given: str = "") -> Ran:
        """Run a command."""

    async def write(self, path: str, text: str) -> None:
        """Write a file."""


def section(page: Path, heading: str) -> str:
    """Return what stands below a heading, up to the next one of its level or above."""
    text = page.read_text()
    found = re.search(rf"^(#+) {re.escape(heading)}\n", text, re.MULTILINE)
    assert found is not None, f"{page} has no heading {heading!r}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


async def follow(hands: Hands, text: str, pasted: Mapping[str, Secret] = MappingProxyType({})) -> None:
    """Do what a page says.

    `pasted` is what a person gives to a command that reads it, by how the command ends. Raise AssertionError when a
    command fails or shows something else than the page.
    """
    exported = ""
    for step in steps(text):
        if isinstance(step, Write):
            await hands.write(step.name, step.text)
            continue
        pastes = (secret for end, secret in pasted.items() if step.command.endswith(end))
        given = next((f"{secret.reveal()}\n" for secret in pastes), "")
        if step.command.startswith("export "):
            exported += f"{step.command}\n"
        command = exported + step.command
        ran = await hands.shell(command, given)
        if step.command.startswith(LOOKS) and not _as_said(ran, step):
            ran = await _looked_again(hands, command, step)
        assert ran.status == 0, (step.command, ran)
        assert _as_said(ran, step), f"$ {step.command}\n{ran.shown}"


async def _looked_again(hands: Hands, command: str, step: Run) -> Ran:
    """Give a command again until it shows what it should, or patience ends."""
    clock = SystemClock()
    deadline = clock.monotonic() + SHOWS_WITHIN
    while True:
        await clock.sleep(LOOK_AGAIN)
        ran = await hands.shell(command)
        if _as_said(ran, step) or clock.monotonic() > deadline:
            return ran


def _as_said(ran: Ran, step: Run) -> bool:
    return masked(ran.shown) == masked(step.shown)
