"""What the tests of the service share: the lines of its log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs


class Said:
    def __init__(self, lines: list[Any]) -> None:
        self._lines = lines

    def __call__(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of that name, in their order."""
        return [line for line in self._lines if line["event"] == event]


@pytest.fixture
def said() -> Iterator[Said]:
    with capture_logs() as lines:
        yield Said(lines)
