"""Run the judges on a copy of the program with one seeded bug: `python -m tests.core.exploration.seeded NAME`.

Prints what was found and the way to it, and exits with 0 when the promise that the seed names was broken.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from tests.core.exploration.search import Search
from tests.core.exploration.seeds import SEEDS, Edit, Seed
from tests.core.exploration.sweep import sweep

ROOT = Path(__file__).parents[3]


class Planted(Protocol):
    """What is planted of a seeded bug, whoever looks for it."""

    @property
    def name(self) -> str:
        """What tests call it."""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What it changes."""


def plant(seed: Planted, folder: Path) -> None:
    """Copy the program into `folder` and make the edits of `seed`. Raise ValueError when one has become stale."""
    shutil.copytree(ROOT / "rotator", folder / "rotator", ignore=shutil.ignore_patterns("__pycache__"))
    for edit in seed.edits:
        path = folder / edit.file
        text = path.read_text()
        if text.count(edit.old) != 1:
            raise ValueError(f"{seed.name}: {edit.file} has {text.count(edit.old)} times: {edit.old!r}")
        path.write_text(text.replace(edit.old, edit.new))


def run(seed: Seed, folder: Path, *, seconds: float = 100) -> subprocess.CompletedProcess[str]:
    """Run the judges on the program in `folder`, in a process of their own, for `seconds` at most."""
    return subprocess.run(
        [sys.executable, "-m", "tests.core.exploration.seeded", seed.name],
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def main() -> int:
    """Look for the seed that is named, in whatever copy of the program is imported here."""
    seed = next(seed for seed in SEEDS if seed.name == sys.argv[1])
    if seed.bounds is None:
        runs, broken = sweep()
        print(f"{runs} runs, {broken}")  # noqa: T201 (a command)
    else:
        found = Search(seed.bounds).run()
        broken = found.broken
        print(found)  # noqa: T201 (a command)
    return 0 if broken is not None and broken.promise == seed.promise else 1


if __name__ == "__main__":
    sys.exit(main())
