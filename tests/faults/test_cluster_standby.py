"""Standbys that answer reads by themselves, always a little late: what a server does unless it is told otherwise."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from rotator.model.told import Step
from tests.faults.cluster import Watched, whole_life
from tests.faults.stage import CLUSTER_TESTS_SECONDS, scene
from tests.support.balancer import balancer
from tests.support.vault_cluster import ACTIVE, STANDBY, Cluster

pytestmark = pytest.mark.timeout(CLUSTER_TESTS_SECONDS)


@pytest.mark.promise("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8")
@pytest.mark.parametrize("in_turn", [False, True], ids=["one standby", "all nodes in turn"])
async def test_a_whole_life_through_late_reads_holds_nothing_and_breaks_nothing(
    nodes: Cluster, *, in_turn: bool
) -> None:
    with ExitStack() as stack:
        address = nodes.standby().address
        if in_turn:
            address = stack.enter_context(balancer(nodes, ACTIVE, STANDBY)).address
        async with scene(nodes, address, client_of=Watched) as stage:
            client = stage.site.vault
            await whole_life(stage)
            assert isinstance(client, Watched)
            assert client.stale >= (1 if in_turn else 6)
            assert await stage.witness.broken(at_rest=True) == ()
            assert [told for told in stage.site.told if told.step in {Step.HELD, Step.FAILED}] == []
