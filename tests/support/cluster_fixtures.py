"""One cluster of three real nodes for a whole test run: its start takes ten seconds. Tests leave it whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.vault_cluster import Cluster, cluster


@pytest.fixture(scope="session")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run the cluster in the main thread, which outlives it. Standbys answer reads: that is the server's default."""
    with cluster(tmp_path_factory.mktemp("cluster"), nodes=3, standby_reads=True) as running:
        yield running


@pytest.fixture
def nodes(three_nodes: Cluster) -> Iterator[Cluster]:
    """Return the cluster, and see that the next test finds it whole."""
    three_nodes.until_whole()
    yield three_nodes
    for node in three_nodes.nodes:
        if three_nodes.health(node) == 0:
            three_nodes.kill(node)
            three_nodes.start(node)
        if not three_nodes.healths(node, 200, 429):
            three_nodes.unseal(node)
