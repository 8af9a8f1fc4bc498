"""The simulated Deepgram in a process of its own, so that what is measured shares no interpreter with it.

`python -m tests.benchmarks.provider NAME=KEYS... --latency MS` prints one JSON line with its address and its keys, then answers
each line on standard input with one JSON line: how many calls of each kind came since, and how much CPU time they took; to
the line `replaced`, which keys of the group `soon` have a successor, and when that was made. It ends with its input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from pydantic_core import to_jsonable_python

from rotator.clock import SystemClock
from rotator.simulator.deepgram import DeepgramSimulator
from rotator.simulator.world import World
from tests.benchmarks.lateness import replaced

AGE = timedelta(days=80)
LIFETIME = timedelta(days=90)
"""So that keys are due under the default `rotate_before: 33%`, and not yet under a day."""


SOON = "soon"
"""Keys of a group of this name expire when the command line says."""

REPLACED = "replaced"


async def serve(groups: Mapping[str, int], latency: timedelta, projects: int, soon: timedelta) -> None:
    """Serve until standard input ends."""
    world = World(SystemClock())
    simulator = DeepgramSimulator(world, latency=latency)
    owners = {
        project: world.add_member(project) for project in (world.add_project() for _ in range(projects))
    }
    managed = {
        project: world.add_key(project, member_id=owner, comment="management", scopes=("owner",))
        for project, owner in owners.items()
    }
    made_at = world.clock.now() - AGE
    made: dict[str, list[tuple[str, str, str]]] = {group: [] for group in groups}
    for group, number in ((group, number) for group, many in groups.items() for number in range(many)):
        project_id = list(owners)[number % projects]
        minted = world.add_key(
            project_id,
            member_id=owners[project_id],
            comment=f"{group} {number:05}",
            tags=("prod",),
            created_at=made_at,
            expires_at=world.clock.now() + soon if group == SOON else made_at + LIFETIME,
        )
        made[group].append((f"{group}-{number:05}", minted.key_id, minted.secret.reveal()))
    begun = [world.key(key_id) for _, key_id, _ in made.get(SOON, ())]
    soon_keys = [key for key in begun if key is not None]
    async with simulator.serve() as base_url:
        _say(
            base_url=base_url,
            projects=[[project, key.secret.reveal()] for project, key in managed.items()],
            keys=made,
        )
        cpu = _cpu()
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line.strip() == REPLACED:
                alive = [key for project in owners for key in world.keys(project)]
                _say(replaced=to_jsonable_python(replaced(soon_keys, alive)))
                continue
            calls = Counter(logged.operation.value for logged in simulator.log)
            simulator.log.clear()
            cpu, before = _cpu(), cpu
            _say(calls=calls, cpu=cpu - before, keys=sum(len(world.keys(project)) for project in owners))


def _cpu() -> float:
    times = os.times()
    return times.user + times.system


def _say(**said: object) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="+", metavar="NAME=KEYS", help="keys named so, and how many of them")
    parser.add_argument("--latency", type=float, required=True, help="milliseconds per call")
    parser.add_argument("--projects", type=int, default=1, help="how many the keys are in, in turns")
    parser.add_argument(
        "--soon", type=float, default=0, help=f"in how many seconds those of the group {SOON} expire"
    )
    asked = parser.parse_args()
    named = (group.split("=") for group in asked.groups)
    asyncio.run(
        serve(
            {name: int(many) for name, many in named},
            timedelta(milliseconds=asked.latency),
            asked.projects,
            timedelta(seconds=asked.soon),
        )
    )
