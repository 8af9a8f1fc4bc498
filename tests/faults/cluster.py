"""Lives of lineages on a cluster of three real nodes: its leader is lost amid them, or its standbys answer late."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path

from rotator.simulator.faults import Operation
from rotator.vault.answers import Stored
from rotator.vault.client import VaultClient
from rotator.vault.translate import Call
from tests.faults.report import Line, Say, could_not
from tests.faults.stage import DUE, OVERLAP_AND_MORE, Scene, scene
from tests.support.balancer import balancer
from tests.support.vault_cluster import ACTIVE, Cluster, cluster

SLUGS = tuple(f"voice-{letter}" for letter in "abcd")


Back = Callable[[], None]
"""How a leader that was lost comes back."""

Loss = Callable[[Cluster], Back]
"""A way in which a leader is lost."""


def killed(nodes: Cluster) -> Back:
    leader = nodes.active()
    nodes.kill(leader)

    def back() -> None:
        nodes.start(leader)
        nodes.unseal(leader)

    return back


def sealed(nodes: Cluster) -> Back:
    leader = nodes.seal()
    return lambda: nodes.unseal(leader)


def stepped_down(nodes: Cluster) -> Back:
    nodes.step_down()
    return lambda: None


async def lives_through(stage: Scene, first: Loss, then: Loss) -> None:
    """Rotate a fleet while the leader is lost the one way, and retire its old keys while it is lost the other."""
    nodes = stage.cluster
    for slug in SLUGS:
        await stage.adopt(slug)
    back: list[Back] = []
    await stage.while_created(2, lambda: back.append(first(nodes)))
    await stage.sweep_until(stage.rotated)
    back.pop()()
    nodes.until_whole()
    stage.witness.pass_time(OVERLAP_AND_MORE)
    await stage.while_deleted(2, lambda: back.append(then(nodes)))
    await stage.sweep_until(stage.settled)
    back.pop()()


class Watched(VaultClient):
    """The client, and how often a node showed it less than it had written or seen before."""

    stale = 0

    async def _read(self, call: Call, mount: str, path: str) -> Stored:
        known = self._newest.of(mount, path)
        found = await super()._read(call, mount, path)
        self.stale += found.version < known
        return found


async def whole_life(stage: Scene) -> None:
    """First rotation, overlap, deletion, a later rotation, an emergency: of one imported key and of one original."""
    await stage.adopt("voice-a")
    await stage.original("voice-b")
    await stage.sweep()
    assert stage.rotated()
    first = stage.served("voice-a")
    await stage.sweep()
    assert stage.witness.deleted() == []
    stage.witness.pass_time(OVERLAP_AND_MORE)
    await stage.sweep()
    assert stage.witness.deleted() == [stage.witness.slugs["voice-a"]]
    stage.witness.pass_time(DUE)
    await stage.sweep()
    second = stage.served("voice-a")
    assert second != first
    await stage.emergency("voice-a", "voice-b")
    await stage.sweep()
    assert stage.served("voice-a") not in {first, second}
    assert stage.settled()


def prove(say: Say) -> list[Line]:
    """Report what became of lineages whose cluster lost its leader, and of some that only late standbys answered."""
    with tempfile.TemporaryDirectory() as folder:
        say("a cluster of three nodes is started")
        with cluster(Path(folder), nodes=3, standby_reads=True) as nodes:
            return asyncio.run(_prove(nodes, say))


async def _prove(nodes: Cluster, say: Say) -> list[Line]:
    lines = []
    for what, behind_balancer, first, then in (
        ("killed, then sealed (a balancer in front)", True, killed, sealed),
        ("sealed, then stepped down (a balancer in front)", True, sealed, stepped_down),
        ("stepped down, then killed (a standby in front)", False, stepped_down, killed),
    ):
        say(f"the leader is {what}")
        with ExitStack() as stack:
            address = nodes.standby().address
            if behind_balancer:
                address = stack.enter_context(balancer(nodes, ACTIVE)).address
            async with scene(nodes, address) as stage:
                broken = await _broken(lives_through(stage, first, then), stage)
                cases = stage.site.simulator.count(Operation.CREATE) + len(stage.witness.deleted())
        title = f"rotations and deletions while the leader of three nodes is {what}"
        lines.append(Line(what=title, cases=cases, broken=broken))
        nodes.until_whole()
    say("a standby answers, always a little late")
    async with scene(nodes, nodes.standby().address, client_of=Watched) as stage:
        broken = await _broken(whole_life(stage), stage)
        assert isinstance(stage.site.vault, Watched)
        title = "late answers of a standby, in whole lives of lineages"
        lines.append(Line(what=title, cases=stage.site.vault.stale, broken=broken))
    return lines


async def _broken(story: Coroutine[None, None, None], stage: Scene) -> tuple[str, ...]:
    """Play a story, and return what was broken in it; that it did not come to its end counts as well."""
    try:
        await story
        return await stage.witness.broken(at_rest=True)
    except Exception as stuck:  # noqa: BLE001 (whatever it is, it is a finding)
        return (*await stage.witness.broken(at_rest=False), f"it came to no end: {could_not(stuck)}")
