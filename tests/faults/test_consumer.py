"""The one thing that all of this is for: a consumer whose key is rotated notices nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotator.model.told import Step
from tests.faults.consumer import CAREFUL, CARELESS, DELETIONS, LASTS_AT_MOST, play
from tests.support.vault_lab import Root


@pytest.mark.timeout(LASTS_AT_MOST.total_seconds() + 120)
@pytest.mark.promise("P1", "P3")
async def test_no_call_of_a_consumer_fails_and_without_an_overlap_some_do(root: Root, tmp_path: Path) -> None:
    played = await play(root, tmp_path)
    careful, careless = played.used[CAREFUL], played.used[CARELESS]
    assert careful.refused == 0
    assert careful.calls > 200
    assert played.count(CAREFUL, Step.REVOKED) >= DELETIONS
    assert len(careful.secrets) > DELETIONS
    # Else the counting would prove nothing.
    assert careless.refused > 0
