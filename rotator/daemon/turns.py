"""How many lineages are worked on at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from rotator.model.key import Key, KeyRequest, Listing
from rotator.model.secret import Secret
from rotator.ports import LastUse, ManagementKey, Minted, Proof, Provider


def share(concurrency: int, providers: Iterable[str]) -> int:
    """Return how many of so many turns one provider may have: half of them, where there are several.

    So one that answers slowly, or not at all, never has all turns, and holds the others up by half at most.
    """
    return concurrency if len(set(providers)) == 1 else max(1, concurrency // 2)


class Turn:
    """One turn, overall and under one provider."""

    def __init__(self, under: asyncio.Semaphore, overall: asyncio.Semaphore) -> None:
        """Begin without it."""
        self._under = under
        self._overall = overall
        self._had = False

    async def take(self) -> None:
        """Wait for it, if it is not ours already. Who has waited longest is next."""
        if self._had:
            return
        # In this order: waiting for its provider, a lineage keeps no turn from the others.
        await self._under.acquire()
        try:
            await self._overall.acquire()
        except BaseException:
            self._under.release()
            raise
        self._had = True

    def give_up(self) -> None:
        """Let the next one have it, if it is ours."""
        if self._had:
            self._had = False
            self._overall.release()
            self._under.release()


class Turns:
    """A bounded number of turns, overall and under one provider."""

    def __init__(self, concurrency: int, providers: Iterable[str]) -> None:
        """Prepare `concurrency` turns for lineages under `providers`."""
        names = set(providers)
        self._all = asyncio.Semaphore(concurrency)
        self._under = {name: asyncio.Semaphore(share(concurrency, names)) for name in names}

    @asynccontextmanager
    async def under(self, provider: str) -> AsyncIterator[Turn]:
        """Wait for a turn under a provider, and have it until the block is left, or it is given up."""
        turn = Turn(self._under[provider], self._all)
        await turn.take()
        try:
            yield turn
        finally:
            turn.give_up()


class InTurn:
    """A provider as one lineage sees it that has a turn, and gives it to the next once it has deleted a key.

    What follows then are lists that all share, and a note in the record. With the next call of its own it waits for
    another turn.
    """

    def __init__(self, provider: Provider, turn: Turn) -> None:
        """Call `provider` during `turn`."""
        self._provider = provider
        self._turn = turn

    async def list_keys(self) -> Listing:
        """Return every key. Needs no turn: who asks at the same time shares one list."""
        return await self._provider.list_keys()

    async def get_key(self, key_id: str) -> Key:
        """Return one key as it is now."""
        await self._turn.take()
        return await self._provider.get_key(key_id)

    async def create_key(self, request: KeyRequest) -> Minted:
        """Create a key."""
        await self._turn.take()
        return await self._provider.create_key(request)

    async def revoke_key(self, key_id: str) -> None:
        """Delete a key for good, and give the turn up."""
        await self._turn.take()
        try:
            await self._provider.revoke_key(key_id)
        finally:
            self._turn.give_up()

    async def prove(self, secret: Secret) -> Proof:
        """Say whether a secret is accepted."""
        await self._turn.take()
        return await self._provider.prove(secret)

    async def last_used(self, key_id: str) -> LastUse:
        """Return when a key was last used."""
        await self._turn.take()
        return await self._provider.last_used(key_id)

    async def management_key(self) -> ManagementKey:
        """Return what the provider tells of our own key."""
        await self._turn.take()
        return await self._provider.management_key()
