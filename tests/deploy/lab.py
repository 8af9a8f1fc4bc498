"""The folder in which a run builds what its tests start: a Debian with systemd, wheels, and an image of the program.

All of it is built when a test first needs it, and fetched from outside of the tests' own network.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from tests.support.tools import uv

ROOT: Final = Path(__file__).parents[2]

PACKAGES: Final = ("systemd", "systemd-sysv", "dbus", "libnss-systemd", "python3", "python3-venv", "curl")
"""What is on a fresh Debian where somebody is about to install rotator."""

SOURCES: Final = Path("/etc/apt/sources.list.d/debian.sources")
"""Where this machine gets packages from; without it, from where Debian says."""

REQUIREMENTS: Final = tuple(
    ROOT / "deploy" / f"{name}.txt" for name in ("requirements", "build-requirements")
)

CHECKOV: Final = Path(__file__).parent / "checkov.txt"

PIP_CONFIGURATION: Final = (Path("/etc/pip.conf"), Path("/root/.config/pip/pip.conf"), Path("/etc/ssl/certs"))
"""How this machine reaches a package index."""


def run(*command: str | Path) -> None:
    """Run a command that has to succeed."""
    subprocess.run(tuple(map(str, command)), check=True)


def outside(*command: str | Path) -> None:
    """Run a command in the network of the process that started this one, from where a package index is reached."""
    run("nsenter", f"--net=/proc/{os.getppid()}/ns/net", "--", *command)


@dataclass(frozen=True)
class Lab:
    """The folder, and what is in it."""

    folder: Path

    @cached_property
    def tree(self) -> Path:
        """A Debian that systemd boots, of the release that this machine has."""
        tree = self.folder / "tree"
        if not tree.exists():
            left_out = (f"path-exclude=/usr/share/{what}/*" for what in ("doc", "man", "locale"))
            outside(
                *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
                *(f"--dpkgopt={option}" for option in ("force-unsafe-io", *left_out)),
                *(platform.freedesktop_os_release()["VERSION_CODENAME"], self.folder / "tree.partly"),
                *((SOURCES,) if SOURCES.exists() else ()),
            )
            (self.folder / "tree.partly" / "etc" / "machine-id").write_text("")
            (self.folder / "tree.partly").rename(tree)
        return tree

    @cached_property
    def wheels(self) -> Path:
        """What `deploy/install.sh` fetches, for that Debian's Python, checked by hash."""
        wheels = self.folder / f"wheels-{_digest(*REQUIREMENTS)}"
        if not wheels.exists():
            (self.folder / "wheels.partly").mkdir(exist_ok=True)
            outside(
                *("systemd-nspawn", "--quiet", f"--directory={self.tree}", "--volatile=overlay"),
                *("--register=no", "--keep-unit", "--as-pid2", "--pipe", f"--bind-ro={ROOT}:/src"),
                *(f"--bind-ro={path}" for path in PIP_CONFIGURATION if path.exists()),
                *(f"--bind={self.folder / 'wheels.partly'}:/wheels", "sh", "-ec", FETCH),
            )
            (self.folder / "wheels.partly").rename(wheels)
        return wheels

    @cached_property
    def base(self) -> Path:
        """That Debian as the archive that an image is made of: it stands in for the base image of the Containerfile."""
        archive = self.folder / "base.tar"
        if not archive.exists():
            run("tar", f"--directory={self.tree}", "--create", f"--file={archive}.partly", ".")
            Path(f"{archive}.partly").rename(archive)
        return archive

    @cached_property
    def checkov(self) -> Path:
        """A judge of manifests and container files, in an environment of its own: it wants older packages than we do."""
        place = self.folder / f"checkov-{_digest(CHECKOV)}"
        if not place.exists():
            partly = self.folder / "checkov.partly"
            run(uv(), "venv", "--quiet", "--clear", "--relocatable", partly)
            outside(
                *(uv(), "pip", "install", "--quiet", "--python", partly / "bin" / "python"),
                *("--require-hashes", "--requirement", CHECKOV),
            )
            partly.rename(place)
        return place / "bin" / "checkov"

    @property
    def storage(self) -> Path:
        """Where images are kept."""
        return self.folder / "storage"

    def remove(self) -> None:
        """Remove all that was built."""
        # podman leaves its storage mounted onto itself.
        if (overlay := self.storage / "overlay").is_mount():
            run("umount", overlay)
        shutil.rmtree(self.folder)

    @cached_property
    def pip_configuration(self) -> Path:
        """What makes pip take these wheels and ask nobody."""
        path = self.folder / "pip.conf"
        path.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        return path


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


FETCH: Final = """\
python3 -m venv /tmp/pip
for file in requirements build-requirements; do
  /tmp/pip/bin/pip -qq --disable-pip-version-check download --require-hashes --only-binary=:all: \\
    --dest /wheels --requirement /src/deploy/$file.txt
done
"""
