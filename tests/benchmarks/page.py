"""The page that the command writes: a section for each part, with the machine on which it was measured last."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.figures import Part

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "performance.md"

HEAD = """\
# How fast it is, and what the limit is

<!-- Written by `make bench`, which measures. Nothing there passes or fails on a time. -->

Times differ between machines; the ratios, whose two sides ran one after the other in the same run, much less. Each part says
on what it was measured.
"""

MEASURED = """\
Measured with Python {python} on {cores} cores ({machine}), every figure the median of {runs} runs unless it says otherwise.
"""

_BEGINS = re.compile(r"^<!-- part: ([a-z]+) -->\n", re.MULTILINE)


def write(parts: Mapping[str, Part], *, names: Sequence[str], runs: int) -> None:
    """Write the sections of these parts. `names` are all parts, in order: the others stay as they are."""
    before = PAGE.read_text() if PAGE.exists() else ""
    measured = MEASURED.format(
        python=platform.python_version(), cores=os.cpu_count(), machine=_machine(), runs=runs
    )
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(before, {name: _section(part, measured) for name, part in parts.items()}, names))


def page(before: str, sections: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the page with these sections, and those of other parts as they were before."""
    _, *found = _BEGINS.split(before)
    kept = dict(zip(found[::2], (text.strip() for text in found[1::2]), strict=True))
    texts = {**kept, **sections}
    shown = (f"<!-- part: {name} -->\n{texts[name].strip()}\n" for name in names if name in texts)
    return "\n".join([HEAD, *shown])


def _section(part: Part, measured: str) -> str:
    return "\n".join(_lines(part, measured))


def _lines(part: Part, measured: str) -> Iterator[str]:
    yield f"## {part.title}\n\n{part.how}\n{measured}\n| | median | goal | lowest to highest |\n|---|---|---|---|"
    for figure in part.figures:
        yield f"| {figure.what} | {figure.shown} | {figure.goal} | {figure.spread} |"
    yield f"\n{part.says}" if part.says else ""


def _machine() -> str:
    """Return the name of the processor, as Linux shows it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
