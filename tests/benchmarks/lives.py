"""How many calls one key's life costs: counted, not timed, and so the same in every run."""

from __future__ import annotations

from collections.abc import Callable

from rotator.clock import SystemClock
from rotator.model.secret import Secret
from rotator.simulator.vault_server import vault_server
from tests.benchmarks.figures import Figure, Part
from tests.support.calls import Cost, life
from tests.support.canary import CANARY

LINEAGES = 10


async def measure(say: Callable[[str], None]) -> Part:
    """Live one life, and return the figures."""
    async with vault_server(SystemClock(), Secret(f"{CANARY}-root")) as server:
        lived = await life(server, server.root_token, "bench", lineages=LINEAGES)
    figures = []
    for what, cost, goal in (
        ("taking it in, with the first sweep of a process", lived.take_in, ""),
        ("a rotation, with its sweep", lived.rotate, ""),
        ("the deletion of the old key, with its sweep", lived.retire, ""),
        (f"a sweep of {LINEAGES} lineages with nothing to do", lived.idle, "{} and nothing per lineage"),
    ):
        provider, vault = cost.total
        figures += [
            Figure(
                what=f"provider, {what}",
                values=[provider],
                unit="calls",
                digits=0,
                goal=goal.format("one list"),
            ),
            Figure(
                what=f"Vault, {what}",
                values=[vault],
                unit="calls",
                digits=0,
                goal=goal.format("what is paused, the names of the records,"),
            ),
        ]
        say(f"{what}: {provider} calls to the provider, {vault} to Vault")
    stages = [
        ("Taking in", lived.take_in),
        ("Rotation", lived.rotate),
        ("Deletion", lived.retire),
        ("Nothing to do", lived.idle),
    ]
    return Part(
        title="Calls",
        how=HOW,
        figures=figures,
        says="\n".join([*(_listed(name, cost) for name, cost in stages), "", SAYS]),
    )


HOW = """\
One key in a process that knows the project already; each call is noted by a proxy or by the simulator. They are the same
in every run, and `tests/integration/test_calls.py` holds them exactly, with one more to Vault for a rotation: it looks up how
long a token lives that is not root's. Where many lineages are at work, they share the lists of a project and the reads of
what is paused.
"""

SAYS = """\
With nothing to do, each lineage still costs one read of its record, one of its entry and one try of its secret. So a sweep
sees at once what a person wrote over or deleted. A process that remembers between its sweeps what it saw could spare them;
each `rotator once` is a new process, and remembers nothing.
"""


def _listed(name: str, cost: Cost) -> str:
    calls = {**cost.provider, **cost.vault}
    return f"- {name}: " + ", ".join(f"{what} {many}" for what, many in sorted(calls.items())) + "."
