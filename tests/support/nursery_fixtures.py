"""A process that has loaded the program, and forks off a child for each command: one for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.nursery import Nursery, nursery


@pytest.fixture(scope="session")
def children() -> Iterator[Nursery]:
    """Start it when a test needs it first."""
    with nursery() as made:
        yield made
