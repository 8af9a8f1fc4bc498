"""What every ring of tests has in common: the guards, and property-based tests that give the same answer each time."""

from __future__ import annotations

import hypothesis

pytest_plugins = [
    "tests.support.guards",
    "tests.support.vault_fixtures",
    "tests.support.cluster_fixtures",
    "tests.support.nursery_fixtures",
]

hypothesis.settings.register_profile("rotator", deadline=None, derandomize=True)
hypothesis.settings.load_profile("rotator")
