"""What tests of deploy/ need of the machine they run on. Where it is missing they fail in CI, and are skipped elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from rotator.credentials import variable

PACKAGES: Final = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "systemd-analyze": "systemd",
    "podman": "podman",
    "runc": "runc",
    "catatonit": "catatonit",
    "iptables": "iptables",
    "curl": "curl",
    "pgrep": "procps",
}
"""The Debian package of each program."""

FURTHER: Final = ("netavark", "aardvark-dns")
"""What podman needs besides, and keeps where PATH does not lead to."""


def in_ci() -> bool:
    """Return whether nothing may be missing."""
    return variable("CI") == "true"


def missing(*programs: str) -> list[str]:
    """Return those of the programs, all without any, that are not there."""
    return [program for program in programs or PACKAGES if shutil.which(program) is None]


def install() -> None:
    """Install all packages."""
    packages = (*PACKAGES.values(), *FURTHER)
    for arguments in (("update", "-qq"), ("install", "-qq", "--no-install-recommends", *packages)):
        subprocess.run(
            ("apt-get", *arguments),  # noqa: S607 (that of the machine)
            env={"DEBIAN_FRONTEND": "noninteractive", "PATH": os.defpath + ":/usr/sbin:/sbin"},
            stdout=subprocess.DEVNULL,
            check=True,
        )


def tool(name: str) -> str:
    """Return the path of a program of the dependency group `deploy`. Go on with it only."""
    beside = Path(sys.executable).parent / name
    if not beside.exists():
        _without(f"{name}: not beside this Python (uv sync --group deploy)")
    return str(beside)


def root() -> None:
    """Go on as root only, and in a network of its own, where any port and any address may be taken."""
    if os.geteuid() != 0:
        _without("this needs root")
    own, before = (Path(f"/proc/{pid}/ns/net").stat().st_ino for pid in ("self", os.getppid()))
    if own == before:
        _without("this needs a network of its own: run it by `make test-deploy`")


def programs(*names: str) -> None:
    """Go on with these programs only."""
    if lacking := missing(*names):
        packages = sorted({PACKAGES.get(name, name) for name in lacking})
        _without(f"{', '.join(lacking)}: not on this machine (Debian: {' '.join(packages)})")


def _without(what: str) -> None:
    if in_ci():
        pytest.fail(what, pytrace=False)
    pytest.skip(what)
