"""What is measured of ours: sweeps by one process, until nothing is left to do, as the service makes them.

`python -m tests.benchmarks.ours CONFIG [--idle N]` prints one JSON object: for each sweep how long it took, how much CPU time it
used, and what it did. It goes on until no old key is left, and makes N further sweeps then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path

from rotator import log
from rotator.bootstrap import Connected, connect
from rotator.cli.once import tell
from rotator.clock import SystemClock
from rotator.daemon.sweep import sweep
from rotator.plan.actions import Wait
from rotator.policy.load import load
from rotator.policy.settings import PolicyFile

PAUSE = timedelta(seconds=1)
"""Between sweeps: without an overlap, an old key leaves when Vault's clock shows a later second."""

MOST = 10


async def run(file: PolicyFile, idle: int) -> list[dict[str, object]]:
    """Make all sweeps."""
    done: list[dict[str, object]] = []
    started = SystemClock().monotonic() - _age()
    async with connect(file, found_journal=True) as connection:
        while len(done) < MOST:
            done.append(await _one(connection, started))
            if done[-1]["left"] == 0:
                idle -= 1
            if idle < 0:
                break
            await connection.clock.sleep(PAUSE)
    return done


async def _one(connection: Connected, started: float) -> dict[str, object]:
    began, used = connection.clock.monotonic(), os.times()
    fleet = await connection.survey()
    surveyed = connection.clock.monotonic()
    ended = await sweep(
        fleet,
        partial(connection.ports, stopping=lambda: False, tell=tell),
        concurrency=connection.file.runtime.concurrency,
        starts_per_hour=connection.file.limits.starts_per_hour,
    )
    now = os.times()
    acts = Counter(type(action).__name__ for one in ended for action in one.done)
    left = [one for one in ended if one.last is None or not isinstance(one.last.stands, Wait)]
    left += [
        one for one in ended if one.last and one.last.snapshot.record and one.last.snapshot.record.previous
    ]
    return {
        "began": round(began - started, 3),
        "survey": round(surveyed - began, 3),
        "seconds": round(connection.clock.monotonic() - began, 3),
        "cpu": round(now.user + now.system - used.user - used.system, 3),
        "acts": acts,
        "left": len(left),
        "errors": Counter(str(one.error) for one in ended if one.error),
    }


def _age() -> float:
    """Return how long this process has been running, in seconds."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--idle", type=int, default=0)
    asked = parser.parse_args()
    log.configure("info", "json")
    file = load(asked.config.read_bytes(), name=asked.config.name)
    sys.stdout.write(json.dumps({"sweeps": asyncio.run(run(file, asked.idle))}) + "\n")


if __name__ == "__main__":
    main()
