"""The leader of a real cluster is lost amid rotations and amid deletions, whichever way the cluster is reached."""

from __future__ import annotations

import re

import pytest

from rotator.model.told import Step
from rotator.simulator.faults import Operation
from tests.faults.cluster import SLUGS, killed, lives_through, sealed, stepped_down
from tests.faults.stage import CLUSTER_TESTS_SECONDS, OVERLAP_AND_MORE, Scene, scene
from tests.support.balancer import balancer
from tests.support.vault_cluster import ACTIVE, Cluster

pytestmark = pytest.mark.timeout(CLUSTER_TESTS_SECONDS)

WHAT_IS_WRONG = re.compile(
    r": (.*not reached|\w+: no whole answer came|no answer in time|5\d\d: .*(sealed|no node is active)|307: this node is a standby)"
)


@pytest.mark.promise("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8")
async def test_everything_is_rotated_and_retired_behind_a_balancer_while_leaders_die_and_are_sealed(
    nodes: Cluster,
) -> None:
    with balancer(nodes, ACTIVE) as front:
        async with scene(nodes, front.address) as stage:
            await lives_through(stage, killed, sealed)
            await check(stage)


@pytest.mark.promise("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8")
async def test_if_the_only_node_that_we_are_given_dies_it_is_waited_for_and_it_may_step_down(
    nodes: Cluster,
) -> None:
    ours = nodes.active()
    async with scene(nodes, ours.address) as stage:
        for slug in SLUGS:
            await stage.adopt(slug)
        await stage.while_created(2, lambda: nodes.kill(ours))
        nodes.active()
        assert await stage.sweep() == {}
        assert "not reached" in stage.failures[-1]
        assert not stage.rotated()
        nodes.start(ours)
        nodes.unseal(ours)
        await stage.sweep_until(stage.rotated)
        stage.witness.pass_time(OVERLAP_AND_MORE)
        await stage.while_deleted(2, lambda: stepped_down(nodes))
        await stage.sweep_until(stage.settled)
        await check(stage)


async def check(stage: Scene) -> None:
    assert await stage.witness.broken(at_rest=True) == ()
    assert [len(stage.witness.versions(slug)) for slug in SLUGS] == [2] * len(SLUGS)
    # Each rotation that failed costs one key at most, which goes as well; and each failure is told.
    created = stage.site.simulator.count(Operation.CREATE)
    failed = sum(told.step is Step.FAILED for told in stage.site.told)
    assert len(SLUGS) <= created <= len(SLUGS) + failed
    assert [text for text in stage.failures if not WHAT_IS_WRONG.search(text)] == []
