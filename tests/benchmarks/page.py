"""The page that the command writes."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.figures import Part

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "performance.md"

HEAD = """\
# How fast it is, and what the limit is

<!-- Written by `make bench`, which measures. Nothing there passes or fails on a time. -->

Measured with Python {python} on {cores} cores ({machine}), every figure the median of {runs} runs unless it says otherwise. Times
differ between machines; the ratios, whose two sides ran one after the other in the same run, much less.
"""


def write(parts: Sequence[Part], *, runs: int) -> None:
    """Write the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(_lines(parts, runs)))


def _lines(parts: Sequence[Part], runs: int) -> Iterator[str]:
    yield HEAD.format(python=platform.python_version(), cores=os.cpu_count(), machine=_machine(), runs=runs)
    for part in parts:
        yield f"## {part.title}\n\n{part.how}\n| | median | goal | lowest to highest |\n|---|---|---|---|"
        for figure in part.figures:
            yield f"| {figure.what} | {figure.shown} | {figure.goal} | {figure.spread} |"
        yield f"\n{part.says}" if part.says else ""


def _machine() -> str:
    """Return the name of the processor, as Linux shows it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
