"""An older snapshot of Vault is restored: what is remembered and what is served go back in time, the provider does not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rotator.model.reason import HoldReason, RotateReason
from rotator.model.told import Step
from rotator.plan.actions import Hold
from tests.faults.stage import CLUSTER_TESTS_SECONDS, DUE, OVERLAP_AND_MORE, Scene, scene
from tests.support.lab import TravelClock
from tests.support.vault_cluster import Cluster

pytestmark = [
    pytest.mark.promise("P1", "P2", "P3", "P4", "P8"),
    pytest.mark.timeout(CLUSTER_TESTS_SECONDS),
]


@pytest.fixture
def nodes(three_nodes: Cluster) -> Cluster:
    """Return the cluster, whatever its standbys do: after a restore they take their time, and are not needed here."""
    return three_nodes


@pytest.fixture
async def stage(nodes: Cluster) -> AsyncIterator[Scene]:
    """Reads at the active node are not late, so nothing has to be waited for in real time."""
    async with scene(nodes, nodes.active().address, clock=TravelClock()) as made:
        yield made
        assert await made.witness.broken(at_rest=False) == ()


async def rotated(stage: Scene, *slugs: str) -> list[str]:
    """Let the key in use come due and be replaced, then its overlap pass; return the ids of the new keys."""
    before = [stage.served(slug) for slug in slugs]
    stage.witness.pass_time(DUE)
    await stage.sweep()
    after = [stage.served(slug) for slug in slugs]
    assert not set(before) & set(after)
    return [str(key_id) for key_id in after]


async def retired(stage: Scene) -> None:
    stage.witness.pass_time(OVERLAP_AND_MORE)
    await stage.sweep()
    assert stage.settled()


async def held(stage: Scene, slug: str = "voice-a") -> HoldReason:
    """Sweep, and return why the lineage is held."""
    result = (await stage.sweep())[slug]
    assert result.last is not None
    assert isinstance(result.last.stands, Hold), result
    return result.last.stands.reason


async def test_back_by_one_rotation_the_key_before_is_in_use_again_and_the_lost_one_is_shown(
    stage: Scene, nodes: Cluster
) -> None:
    await stage.adopt("voice-a")
    await stage.sweep()
    await retired(stage)
    first = stage.served("voice-a")
    snapshot = nodes.snapshot()
    (lost,) = await rotated(stage, "voice-a")
    stage.witness.restore(snapshot)
    assert stage.served("voice-a") == first
    # It was due before the restore, so it is due now.
    await stage.sweep()
    now = stage.served("voice-a")
    assert now not in {first, lost}
    stage.witness.pass_time(OVERLAP_AND_MORE)
    await stage.sweep()
    assert first in stage.witness.deleted()
    # Some consumer may still have the secret that the restore took away.
    assert stage.site.alive(lost)
    assert await stage.witness.strays() == {lost}


async def test_back_past_the_deletion_of_most_keys_all_are_replaced_at_once(
    stage: Scene, nodes: Cluster
) -> None:
    slugs = [f"voice-{letter}" for letter in "abc"]
    for slug in slugs:
        await stage.adopt(slug)
    await stage.sweep()
    first = [str(stage.served(slug)) for slug in slugs]
    snapshot = nodes.snapshot()
    await retired(stage)
    await rotated(stage, *slugs)
    await retired(stage)
    last = await rotated(stage, *slugs)
    await retired(stage)
    deleted = stage.witness.deleted()
    stage.witness.restore(snapshot, force=True)
    assert [stage.served(slug) for slug in slugs] == first
    assert set(first) <= set(deleted)
    await stage.sweep()
    assert [await stage.site.works(slug) for slug in slugs] == [True] * 3
    reasons = [told.reason for told in stage.site.told if told.step is Step.INTENT]
    assert reasons[-3:] == [RotateReason.SERVED_KEY_REFUSED] * 3
    assert stage.witness.deleted() == deleted
    stage.witness.pass_time(OVERLAP_AND_MORE)
    await stage.sweep()
    assert stage.witness.deleted() == deleted
    assert await stage.witness.strays() == set(last)
    assert [(await stage.site.record(slug)).previous for slug in slugs] == [()] * 3


async def test_back_amid_a_rotation_the_key_that_was_made_then_leaves_with_the_previous_ones(
    stage: Scene, nodes: Cluster
) -> None:
    await stage.adopt("voice-a")
    snapshots: list[bytes] = []
    await stage.while_created(1, lambda: snapshots.append(nodes.snapshot()))
    made = stage.served("voice-a")
    await retired(stage)
    stage.witness.restore(snapshots[0])
    await stage.sweep_until(lambda: stage.served("voice-a") not in {made, stage.witness.slugs["voice-a"]})
    assert stage.site.alive(str(made))
    stage.witness.pass_time(OVERLAP_AND_MORE)
    await stage.sweep()
    assert stage.settled()


async def test_back_before_adoption_it_is_held_for_its_lost_record(stage: Scene, nodes: Cluster) -> None:
    """Of the one the key that it began with lives on, of the other it is deleted: only its marked keys lead to it."""
    await stage.adopt("voice-a")
    await stage.adopt("voice-b")
    snapshot = nodes.snapshot()
    await stage.sweep()
    await stage.emergency("voice-b")
    await stage.sweep()
    assert not stage.site.alive(stage.witness.slugs["voice-b"])
    alive = {key.key_id for key in stage.witness.alive()}
    assert stage.witness.slugs["voice-a"] in alive
    stage.witness.restore(snapshot)
    for _ in range(2):
        assert await held(stage, "voice-a") is HoldReason.LOST_RECORD
        assert await held(stage, "voice-b") is HoldReason.LOST_RECORD
        stage.witness.pass_time(OVERLAP_AND_MORE)
    assert {key.key_id for key in stage.witness.alive()} == alive


async def test_only_the_journal_goes_back(stage: Scene, nodes: Cluster) -> None:
    await stage.adopt("voice-a")
    await stage.sweep()
    path = f"rotator-journal/{stage.site.place}/lineages/{stage.site.lineage('voice-a').record_name}"
    older = nodes.root.data(path)
    await retired(stage)
    await rotated(stage, "voice-a")
    await retired(stage)
    newer = nodes.root.data(path)
    alive = {key.key_id for key in stage.witness.alive()}
    nodes.root.do("POST", f"secret/data/{path}", {"data": older})
    assert await held(stage) is HoldReason.RECORD_BEHIND
    stage.witness.pass_time(OVERLAP_AND_MORE)
    assert await held(stage) is HoldReason.RECORD_BEHIND
    assert {key.key_id for key in stage.witness.alive()} == alive
    # The cure: the newest record back.
    nodes.root.do("POST", f"secret/data/{path}", {"data": newer})
    await rotated(stage, "voice-a")


@pytest.mark.parametrize("still_works", [True, False])
async def test_only_the_entry_goes_back(stage: Scene, nodes: Cluster, *, still_works: bool) -> None:
    await stage.adopt("voice-a")
    await stage.sweep()
    await retired(stage)
    path = stage.site.lineage("voice-a").path
    older = nodes.root.data(path)
    await rotated(stage, "voice-a")
    if not still_works:
        await retired(stage)
    newer = nodes.root.data(path)
    alive = {key.key_id for key in stage.witness.alive()}
    stage.put("voice-a", **{name: str(value) for name, value in older.items()})
    for _ in range(2):
        assert await held(stage) is HoldReason.ENTRY_CHANGED
        stage.witness.pass_time(OVERLAP_AND_MORE)
    assert {key.key_id for key in stage.witness.alive()} == alive
    # The cure: what rotator published back.
    stage.put("voice-a", **{name: str(value) for name, value in newer.items()})
    await rotated(stage, "voice-a")
