"""Each seeded bug is found, by the promise that it breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.exploration.seeded import plant, run
from tests.core.exploration.seeds import SEEDS, Seed


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=pytest.mark.promise(seed.promise), id=seed.name) for seed in SEEDS]
)
def test_a_seeded_bug_is_found(seed: Seed, tmp_path: Path) -> None:
    plant(seed, tmp_path)
    found = run(seed, tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
    print(found.stdout)  # noqa: T201 (shown with -s)
