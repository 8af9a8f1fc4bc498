"""One answer for many: who asks while a question is under way shares the next one, which begins after they asked.

So many lineages that need the same fresh answer at once cost few questions, and none gets an answer that is older than
its own question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """A question that takes a while, asked one at a time."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        """Ask by calling `ask`."""
        self._ask = ask
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Return an answer to a question that begins from now on. Raise what `ask` raises.

        A question goes on when those who asked are cancelled: others may share it.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._in_turn())
            # Seen, so that asyncio does not report a failure whose askers have all gone.
            self._next.add_done_callback(lambda made: made.cancelled() or made.exception())
        return await asyncio.shield(self._next)

    async def _in_turn(self) -> T:
        async with self._turn:
            self._next = None
            return await self._ask()
