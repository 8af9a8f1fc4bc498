"""`make bench`: figures, as ratios and medians, written to docs/explanation/performance.md.

Takes about fifty minutes on two cores, most of it for the large fleet and for the service over one, which waits until keys
fall due: that alone takes `--due-in` seconds, 18 minutes, and the time to replace them.
`make bench ARGS=service` measures one part, and writes its section of the page only. `make bench ARGS="rotations --keys 100
--runs 1 --print"` prints the figures and leaves the page as it is.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping

import click

from rotator.clock import SystemClock
from tests.benchmarks import fleet, lives, page, rotations, service, starting
from tests.benchmarks.figures import Part


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("part", nargs="?", choices=["rotations", "lives", "fleet", "service", "starting"])
    parser.add_argument("--keys", type=int, default=1000, help="due keys in each run")
    parser.add_argument("--lineages", type=int, default=20_000, help="in the large fleet")
    parser.add_argument("--due", type=int, default=2000, help="of those, how many fall due within a minute")
    parser.add_argument("--due-in", type=int, default=1080, help="in how many seconds, under the service")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--print", action="store_true", dest="prints", help="leave the page as it is")
    asked = parser.parse_args()
    parts: Mapping[str, Callable[[], Awaitable[Part]]] = {
        "rotations": lambda: rotations.measure(asked.keys, asked.runs, _say),
        "lives": lambda: lives.measure(_say),
        "fleet": lambda: fleet.measure(asked.lineages, asked.runs, _say),
        "service": lambda: service.measure(asked.lineages, asked.due, asked.due_in, _say),
        "starting": lambda: starting.measure(_say),
    }
    measured = {
        name: asyncio.run(_one(name, part)) for name, part in parts.items() if asked.part in (None, name)
    }
    for part in measured.values():
        click.echo(f"\n{part.title}")
        for figure in part.figures:
            click.echo(
                f"  {figure.what}: {figure.shown}" + (f"  (goal: {figure.goal})" if figure.goal else "")
            )
    if not asked.prints:
        page.write(measured, names=list(parts), runs=asked.runs)
        click.echo(f"\nwritten: {page.PAGE}")


async def _one(name: str, part: Callable[[], Awaitable[Part]]) -> Part:
    clock = SystemClock()
    began = clock.monotonic()
    click.echo(f"==> {name}")
    made = await part()
    click.echo(f"    took {clock.monotonic() - began:.0f} s")
    return made


def _say(text: str) -> None:
    click.echo(f"    {text}")


if __name__ == "__main__":
    main()
