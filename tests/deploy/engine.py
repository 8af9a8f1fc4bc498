"""A container engine with a network of its own and the lab's storage, and the hands of somebody who gives commands to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.deploy.internet import PORTS, Internet
from tests.deploy.lab import ROOT, Lab, run
from tests.deploy.machine import ENVIRONMENT, Ran, ran

BASE: Final = "localhost/python"
IMAGE: Final = "localhost/rotator:0.1.0"

NETWORK: Final = "rotator"
SUBNET, GATEWAY = "10.89.77.0/24", "10.89.77.1"
"""Behind the gateway are the servers of the tests."""

CONFIGURATION: Final = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
log_driver = "k8s-file"
[network]
network_backend = "netavark"
"""
"""What runs where control groups are mixed, journald is not there, and limits can't be raised."""

PODMAN: Final = """\
#!/bin/sh
# What a page leaves to the machine: where images come from, and how the servers of the tests are found and trusted.
verb=$1
shift
case $verb in
build) set -- --network=none --build-arg=BASE={base} --volume={wheels}:/wheels:ro --volume={pip}:/etc/pip.conf:ro "$@" ;;
run) set -- --network={network} {hosts} --volume={authority}:{trusted}:ro "$@" ;;
esac
exec {podman} --root={storage} --runroot={storage}.run "$verb" "$@"
"""

CHECKOUT: Final = ("rotator", "deploy", "pyproject.toml", "README.md", "LICENSE", ".dockerignore")


@dataclass(frozen=True, slots=True)
class Engine:
    """The hands. `folder` holds a copy of the sources, in which commands are given."""

    folder: Path

    async def shell(self, text: str, given: str = "") -> Ran:
        """Run a command of a page."""
        environment = {
            **ENVIRONMENT,
            "PATH": f"{self.folder / 'bin'}:{ENVIRONMENT['PATH']}",
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
        }
        line = f"cd {self.folder / 'checkout'}\n{text}"
        return await ran("sh", "-c", line, given=given, environment=environment)

    async def write(self, path: str, text: str) -> None:
        """Write a file of a page."""
        place = self.folder / "checkout" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    async def done(self, text: str, given: str = "") -> str:
        """Run a command that has to succeed, and return what it shows."""
        result = await self.shell(text, given)
        assert result.status == 0, result
        return result.shown.strip()

    async def inspected(self, kind: str, name: str) -> dict[str, Any]:
        """Return what the engine knows of a container or an image."""
        (found,) = json.loads(await self.done(f"podman {kind} inspect {name}"))
        return dict(found)


@asynccontextmanager
async def engine(lab: Lab, there: Internet, folder: Path) -> AsyncIterator[Engine]:
    """Set an engine up. Whatever it runs ends with the block."""
    hands = Engine(folder)
    _fill(lab, there, folder)
    try:
        await hands.done(f"podman image exists {BASE} || podman import --quiet {lab.base} {BASE}")
        await hands.done(
            f"podman network create --disable-dns --subnet={SUBNET} --gateway={GATEWAY} {NETWORK}"
        )
        yield hands
    finally:
        await hands.shell("podman pod rm --all --force; podman rm --all --force; podman secret rm --all")
        await hands.shell(f"podman network rm --force {NETWORK}; podman volume rm --all --force")
        shutil.rmtree(folder)


def _fill(lab: Lab, there: Internet, folder: Path) -> None:
    for part in ("bin", "checkout"):
        (folder / part).mkdir()
    (folder / "containers.conf").write_text(CONFIGURATION)
    (folder / "authority.pem").write_text(there.authority)
    (folder / "bin" / "podman").write_text(
        PODMAN.format(
            base=BASE,
            wheels=lab.wheels,
            pip=lab.pip_configuration,
            network=NETWORK,
            hosts=" ".join(f"--add-host={name}:{GATEWAY}" for name in PORTS),
            authority=folder / "authority.pem",
            trusted=trusted(lab),
            podman=shutil.which("podman"),
            storage=lab.storage,
        )
    )
    (folder / "bin" / "podman").chmod(0o755)
    run("cp", "--recursive", *(ROOT / name for name in CHECKOUT), folder / "checkout")


def trusted(lab: Lab) -> str:
    """Return where the program in an image has the authorities that it trusts."""
    (python,) = lab.tree.glob("usr/lib/python3.?*")
    return f"/opt/rotator/lib/{python.name}/site-packages/certifi/cacert.pem"
