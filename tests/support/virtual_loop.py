"""An event loop in which waiting takes no time: its clock jumps to whatever is due next.

For code that opens no connection. When nothing is due and nobody waits for anything that can still happen, real
loops wait for ever; this one says so. What is given to another thread is done at once, in this one: else time would run on
meanwhile.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from rotator.clock import SystemClock
from tests.support.virtual_clock import START, VirtualClock

P = ParamSpec("P")
T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everything waits for something that will never happen")
        self.now += timeout
        return super().select(0)


class _AtOnce(ThreadPoolExecutor):
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 (whoever waits gets it)
            done.set_exception(error)
        return done


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        # What is due within this is due: after half a year a float has no digits left for the nanosecond that it is else.
        self._clock_resolution = 1e-6
        self.set_default_executor(_AtOnce())

    def time(self) -> float:
        return self._jumping.now

    def freeze(self, duration: timedelta) -> None:
        """Let so much time pass in which nothing is done: the process is stopped, or its machine is."""
        self._jumping.now += duration.total_seconds()


class LoopClock(VirtualClock):
    """The clock of a virtual loop: many can sleep on it at once."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, duration: timedelta) -> None:
        await SystemClock().sleep(duration)


def virtually(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Play a test in virtual time."""

    @functools.wraps(test)
    def played(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return played
