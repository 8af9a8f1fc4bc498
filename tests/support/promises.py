"""The table of promises: which tests and which seeded bugs guard each of them.

`python -m tests.support.promises` writes `docs/reference/promises.md`; with `--check` it writes nothing and
fails when the page is stale. Both fail when a promise has no test or no seeded bug, and when a seeded bug is
run by no test. Which test guards what is read from the marker `promise`, by collecting all tests.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Protocol

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reference" / "promises.md"


@dataclass(frozen=True, slots=True)
class Promise:
    """What operators may rely on, in one sentence each."""

    name: str
    title: str
    text: str


PROMISES: Final = (
    Promise(
        "P1",
        "A working secret",
        "No act of the daemon, and nothing it may do and leaves undone, makes the secret that Vault serves stop "
        "working at the provider.",
    ),
    Promise(
        "P2",
        "Nothing lost",
        "A secret that a provider has shown once is in Vault, or its key is found again and revoked, or it is shown "
        "as a stray: no key of ours lives on unknown once a reconcile has finished after a fault.",
    ),
    Promise(
        "P3",
        "Nothing early",
        "A key is revoked only when, looked at afresh just before, Vault serves the working secret of another key "
        "of the same lineage, the overlap since the confirmed publish has run out, every gate says yes, and an "
        "original has been released. An emergency that a person ordered waives the last three, for the keys from "
        "before its own.",
    ),
    Promise(
        "P4",
        "Nothing foreign",
        "A key is revoked only if this lineage's record names it, the management key in use never, and a secret in "
        "Vault that was not written by the daemon is not overwritten unless it is proven to be this lineage's key. A "
        "lineage that a person paused or told the daemon to forget is not acted on.",
    ),
    Promise(
        "P5",
        "Same rights",
        "A replacement has the scopes and tags of the key it replaces; one that has not is revoked, and the lineage "
        "is held for a person.",
    ),
    Promise(
        "P6",
        "One at a time",
        "From one version of a destination at most one publish succeeds, however many replicas try.",
    ),
    Promise(
        "P7",
        "No secret leaks",
        "A secret value appears nowhere but in its destination in Vault: in no log, record, metric, page, "
        "notification, exception, traceback, process title, child's environment or file.",
    ),
    Promise(
        "P8",
        "No silence",
        "Whatever keeps a lineage from being rotated in time is visible before it is too late.",
    ),
)

HEAD: Final = """\
# What guards each promise

<!-- Written by `python -m tests.support.promises`; `make check` fails when it is stale. -->

The promises hold through a crash at any instant, a lost answer, or a second replica. Each has tests that carry
its name, and seeded bugs: small changes to the program that break it, each of which a test applies and must see
caught. A test that can't catch its bug guards nothing.
"""


class Seed(Protocol):
    """One seeded bug, as those declare it who look for it."""

    @property
    def name(self) -> str:
        """What tests call it."""

    @property
    def promise(self) -> str:
        """The promise that it breaks."""

    @property
    def file(self) -> str:
        """The file of the program that it changes."""

    @property
    def what(self) -> str:
        """What is wrong with the changed program."""


@dataclass(frozen=True, slots=True, order=True)
class Guard:
    """A test function and one promise that it guards."""

    promise: str
    file: str
    test: str


class _Collector:
    """A pytest plugin that keeps what was collected."""

    def __init__(self) -> None:
        self.guards: set[Guard] = set()
        self.cases: list[str] = []
        self.problems: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Read the marker of every test."""
        for item in session.items:
            file, _, inside = item.nodeid.partition("::")
            self.cases.append(inside)
            for marker in item.iter_markers("promise"):
                unknown = set(marker.args) - {promise.name for promise in PROMISES}
                if unknown or not marker.args or marker.kwargs:
                    self.problems.append(f"{item.nodeid}: the marker names no promise: {marker.args}")
                self.guards |= {Guard(name, file, inside.partition("[")[0]) for name in marker.args}


def collect() -> _Collector:
    """Collect all tests. Exit with pytest's own words when that fails."""
    collector, output = _Collector(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        arguments = [
            "--collect-only",
            "-qq",
            "-p",
            "no:cacheprovider",
            f"--rootdir={ROOT}",
            str(ROOT / "tests"),
        ]
        status = pytest.main(arguments, plugins=[collector])
    if status != pytest.ExitCode.OK:
        sys.exit(f"{output.getvalue()}\nthe tests could not be collected")
    return collector


def seeds() -> tuple[Seed, ...]:
    """Return the seeded bugs that the exploration and the matrix of faults declare."""
    declared: tuple[Seed, ...] = ()
    for module in ("tests.core.exploration.seeds", "tests.faults.seeds"):
        declared += importlib.import_module(module).SEEDS
    return declared


def problems(guards: Iterable[Guard], cases: Sequence[str], seeded: Sequence[Seed]) -> Iterator[str]:
    """Yield what is missing, a sentence each. `cases` are the tests as pytest names them, parameters included."""
    guarded = {guard.promise for guard in guards}
    for promise in PROMISES:
        if promise.name not in guarded:
            yield f"{promise.name} has no test"
        if not any(seed.promise == promise.name for seed in seeded):
            yield f"{promise.name} has no seeded bug"
    for seed in seeded:
        if not any(seed.name in case.partition("[")[2] for case in cases):
            yield f"the seeded bug {seed.name} is run by no test"


def page(guards: Iterable[Guard], seeded: Sequence[Seed]) -> str:
    """Return the page."""
    parts = [HEAD]
    ordered = sorted(guards)
    for promise in PROMISES:
        mine = [guard for guard in ordered if guard.promise == promise.name]
        parts.append(
            f"\n## {promise.name} {promise.title}\n\n{promise.text}\n\n{_count(len(mine), 'test')}:\n\n"
        )
        for file, tests in groupby(mine, key=lambda guard: guard.file):
            parts.append(f"- `{file}`: {', '.join(f'`{guard.test}`' for guard in tests)}\n")
        bugs = sorted((seed for seed in seeded if seed.promise == promise.name), key=lambda seed: seed.name)
        parts.append(f"\n{_count(len(bugs), 'seeded bug')}:\n\n")
        parts += [f"- `{seed.name}` in `{seed.file}`: {seed.what}\n" for seed in bugs]
    return "".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.promises")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the page is stale")
    check = parser.parse_args().check
    collector, seeded = collect(), seeds()
    wanted = page(collector.guards, seeded)
    found = [*collector.problems, *problems(collector.guards, collector.cases, seeded)]
    if check and (not PAGE.exists() or PAGE.read_text() != wanted):
        found.append(f"{PAGE.relative_to(ROOT)} is stale: run `python -m tests.support.promises`")
    if not check:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(wanted)
    for problem in found:
        sys.stderr.write(f"promises: {problem}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
