"""How many lineages are worked on at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager


def share(concurrency: int, providers: Iterable[str]) -> int:
    """Return how many of so many turns one provider may have: half of them, where there are several.

    So one that answers slowly, or not at all, never has all turns, and holds the others up by half at most.
    """
    return concurrency if len(set(providers)) == 1 else max(1, concurrency // 2)


class Turns:
    """A bounded number of turns, overall and under one provider. Who has waited longest is next."""

    def __init__(self, concurrency: int, providers: Iterable[str]) -> None:
        """Prepare `concurrency` turns for lineages under `providers`."""
        names = set(providers)
        self._all = asyncio.Semaphore(concurrency)
        self._under = {name: asyncio.Semaphore(share(concurrency, names)) for name in names}

    @asynccontextmanager
    async def under(self, provider: str) -> AsyncIterator[None]:
        """Wait for a turn under a provider, and have it until the block is left."""
        # In this order: waiting for its provider, a lineage keeps no turn from the others.
        async with self._under[provider], self._all:
            yield
