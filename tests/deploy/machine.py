"""A machine that systemd has booted: in a container, in the network of the tests, from a tree that stays as it is."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from rotator.clock import SystemClock
from tests.deploy.lab import ROOT, Lab
from tests.support import canary

PATIENCE_SECONDS: Final = 60.0
LASTS_AT_MOST: Final = 200
"""Seconds of one command: a stop may take three minutes."""

LOOK_AGAIN: Final = timedelta(milliseconds=100)

ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "COLUMNS": "118",
}
"""That of root after logging in, and the width of a page."""

CHECKOUT: Final = "/root/rotator"
"""The folder of the sources on the machine."""


FILTERS_ADDRESSES: Final = (
    "--capability=CAP_BPF,CAP_NET_ADMIN,CAP_SYS_ADMIN,CAP_PERFMON",
    "--system-call-filter=bpf",
)
"""What systemd in the container needs to enforce `IPAddressDeny=`, with the newer kind of control groups."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it showed."""

    status: int
    shown: str


async def ran(*command: str | Path, given: str = "", environment: Mapping[str, str] | None = None) -> Ran:
    """Run a command without holding up the servers that run in this process."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    shown, _ = await asyncio.wait_for(process.communicate(given.encode()), LASTS_AT_MOST)
    text = shown.decode(errors="replace")
    canary.note(text, f"the output of {command}")
    return Ran(process.returncode or 0, text)


async def until(true: Callable[[], Awaitable[bool]], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait in real time, for this is a real machine. Raise AssertionError when patience ends."""
    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    while not await true():
        assert clock.monotonic() < deadline, f"in vain: {what}"
        await clock.sleep(LOOK_AGAIN)


@dataclass(frozen=True, slots=True)
class Machine:
    """The hands of root on it. `pid` is that of its first process, seen from here."""

    pid: int

    async def run(self, *command: str, given: str = "") -> Ran:
        """Run a command in it."""
        namespaces = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup")
        inside = ("nsenter", f"--target={self.pid}", *namespaces, "--")
        return await ran(*inside, *command, given=given, environment=ENVIRONMENT)

    async def shell(self, text: str, given: str = "") -> Ran:
        """Run a line of a page, as root in the checkout."""
        return await self.run("sh", "-c", f"cd {CHECKOUT}\n{text}", given=given)

    async def done(self, *command: str, given: str = "") -> str:
        """Run a command that has to succeed, and return what it shows."""
        result = await self.run(*command, given=given)
        assert result.status == 0, result
        return result.shown.strip()

    async def write(self, path: str, text: str) -> None:
        """Write a file, and the folders on the way to it."""
        await self.done("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat >"$1"', "sh", path, given=text)

    async def shows(self, unit: str, property_name: str) -> str:
        """Return what systemd knows of a unit."""
        return await self.done("systemctl", "show", unit, f"--property={property_name}", "--value")

    async def log(self, unit: str) -> str:
        """Return all that a unit has logged."""
        await self.done("journalctl", "--sync")
        return await self.done("journalctl", f"--unit={unit}", "--output=cat", "--no-pager")


@asynccontextmanager
async def booted(lab: Lab) -> AsyncIterator[Machine]:
    """Boot a machine, and power it off when the block is left."""
    name = f"rotator-{secrets.token_hex(4)}"
    process = await asyncio.create_subprocess_exec(
        *("systemd-nspawn", "--quiet", f"--directory={lab.tree}", "--boot", "--volatile=overlay"),
        *(f"--machine={name}", "--register=no", "--keep-unit", "--link-journal=no"),
        *(f"--bind-ro={ROOT}:{CHECKOUT}", f"--bind-ro={lab.wheels}:/wheels"),
        *(f"--bind-ro={lab.pip_configuration}:/etc/pip.conf", "--console=pipe"),
        *FILTERS_ADDRESSES,
        env={**ENVIRONMENT, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        machine = await _up(process.pid)
        yield machine
        await machine.run("systemctl", "poweroff")
        await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
    finally:
        if process.returncode is None:
            # The first process of the machine would outlive the one that started it.
            for one in (*await _children(process.pid), process.pid):
                os.kill(one, signal.SIGKILL)
            await process.wait()
        # systemd-nspawn leaves it where /run is no file system of its own.
        shutil.rmtree(f"/run/systemd/nspawn/propagate/{name}", ignore_errors=True)


async def _up(container: int) -> Machine:
    """Return the machine once systemd has started all that there is."""
    found: list[Machine] = []

    async def runs() -> bool:
        for child in await _children(container):
            machine = Machine(child)
            state = await machine.run("systemctl", "is-system-running", "--wait")
            if state.shown.strip() in {"running", "degraded"}:
                found.append(machine)
        return bool(found)

    await until(runs, "systemd starts all units")
    return found[0]


async def _children(process: int) -> list[int]:
    return [int(child) for child in (await ran("pgrep", "--parent", str(process))).shown.split()]
