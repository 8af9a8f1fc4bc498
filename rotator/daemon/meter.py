"""What the service counts as it goes: `web` makes metrics of it, tests look at it."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from rotator.model.told import CallMade


class Meter(Protocol):
    """Is told of what happens, once each time. Raises nothing."""

    def called(self, made: CallMade) -> None:
        """Count a call to Vault or a provider."""
        ...

    def swept(self, took: timedelta, result: str) -> None:
        """Count a sweep: whole, partial, or failed."""
        ...

    def rotated(
        self, provider: str, reason: str, outcome: str, *, took: timedelta, late: timedelta | None
    ) -> None:
        """Count a rotation that was started, by its `outcome`: published, held or failed.

        `late` is how long after it was due by time it began, None when something else was the reason.
        """
        ...

    def revoked(self, provider: str, reason: str) -> None:
        """Count an old key that was deleted."""
        ...
