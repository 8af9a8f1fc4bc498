"""Run cases in a process per core, several at a time in each: many of them wait for a timeout most of their time."""

from __future__ import annotations

import asyncio
import contextlib
import io
import multiprocessing
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import Synchronized
from time import perf_counter

from rotator import log
from rotator.clock import SystemClock
from rotator.errors import RotatorError
from rotator.model.secret import Secret
from rotator.simulator.vault_server import vault_server
from tests.faults.calls import Call
from tests.faults.case import NOT_REACHED, Case, Runner
from tests.faults.outside import leaks
from tests.faults.phases import Unsettled, prepare
from tests.faults.report import Say, could_not
from tests.faults.seat import Kept, Seat, seat
from tests.support.canary import CANARY
from tests.support.vault_lab import Root

PROCESSES = max(2, os.cpu_count() or 2)
"""One for each core."""

SEATS = 4
"""How many cases run at a time in one process."""

TRIES = 3
"""How often something is tried that goes wrong on a busy machine only."""

SAY_AFTER = 10.0
"""Seconds between two words about how far it has come."""

Calls = Mapping[str, tuple[Call, ...]]
Found = tuple[Case, tuple[str, ...]]


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Root]:
    """Run a Vault server until the block is left."""
    async with vault_server(SystemClock(), _root("").token) as server:
        yield _root(server.address)


def _root(address: str) -> Root:
    return Root(address, Secret(f"{CANARY}-root"))


def run(cases: Sequence[Case], calls: Calls, say: Say) -> dict[Case, tuple[str, ...]]:
    """Run cases and return what each broke. `calls` are those of their situations."""
    return asyncio.run(_run(cases, calls, say))


async def _run(cases: Sequence[Case], calls: Calls, say: Say) -> dict[Case, tuple[str, ...]]:
    context = multiprocessing.get_context("spawn")
    taken = context.Value("i", 0)
    found: dict[Case, tuple[str, ...]] = {}
    began = said = perf_counter()
    async with serving() as root:
        pipes = []
        processes = []
        for _ in range(min(PROCESSES, len(cases))):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_work, args=(root.address, cases, calls, taken, theirs), daemon=True
            )
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        while pipes:
            for pipe in await asyncio.to_thread(wait, pipes):
                assert isinstance(pipe, Connection)
                try:
                    case, broken = pipe.recv()
                except EOFError:
                    pipes.remove(pipe)
                    continue
                found[case] = broken
                if broken:
                    say(f"{case}: {'; '.join(broken)}")
            if perf_counter() - said > SAY_AFTER:
                said = perf_counter()
                bad = sum(map(bool, found.values()))
                say(f"{len(found)} of {len(cases)} cases, {bad} went wrong ({said - began:.0f} s)")
        for process in processes:
            process.join()
    missing = {case: ("the process that ran it ended",) for case in cases if case not in found}
    return {**found, **missing}


def _work(
    address: str, cases: Sequence[Case], calls: Calls, taken: Synchronized[int], pipe: Connection
) -> None:
    """Take cases, one after another, until there are no more."""
    log.configure("debug", "json")
    heard = io.StringIO()
    with contextlib.redirect_stderr(heard), contextlib.redirect_stdout(heard):
        asyncio.run(_seats(_root(address), cases, calls, taken, pipe, heard))


async def _seats(
    root: Root,
    cases: Sequence[Case],
    calls: Calls,
    taken: Synchronized[int],
    pipe: Connection,
    heard: io.StringIO,
) -> None:
    async for case, broken in run_here(root, _taken(cases, taken), calls):
        shown = tuple(leaks({"the log": (heard.getvalue(),)}))
        heard.seek(0)
        heard.truncate()
        pipe.send((case, (*broken, *shown)))


async def run_here(root: Root, cases: Iterable[Case], calls: Calls) -> AsyncIterator[Found]:
    """Run cases in this process, several at a time, and yield what each broke."""
    waiting = iter(cases)  # shared: each seat takes the next
    found: asyncio.Queue[Found | None] = asyncio.Queue()
    async with contextlib.AsyncExitStack() as stack:
        seats = [await stack.enter_async_context(seat(root)) for _ in range(SEATS)]
        kept = await prepared(seats[0])

        async def take(place: Seat) -> None:
            runner = Runner(place, kept)
            for case in waiting:
                found.put_nowait((case, await tried(runner, case, calls)))

        async def take_all() -> None:
            try:
                await asyncio.gather(*map(take, seats))
            finally:
                found.put_nowait(None)

        working = asyncio.create_task(take_all())
        while (one := await found.get()) is not None:
            yield one
        await working


async def prepared(place: Seat) -> dict[str, Kept]:
    """Bring the worlds about in which situations begin. On a busy machine that takes more than one try."""
    for _ in range(TRIES):
        with contextlib.suppress(RotatorError, Unsettled):
            return await prepare(place)
    return await prepare(place)


async def tried(runner: Runner, case: Case, calls: Calls) -> tuple[str, ...]:
    """Run one case, again if all that is found is that it never came to its call.

    On a busy machine another call may have timed out before.
    """
    broken: tuple[str, ...] = ()
    for _ in range(TRIES):
        try:
            broken = await runner.run(case, calls[case.phase])
        except (RotatorError, Unsettled) as error:
            broken = (f"it could not be run: {error}",)
            continue
        except Exception as error:  # noqa: BLE001 (one case that can't be run stops no other)
            return (could_not(error),)
        if broken != (NOT_REACHED,):
            break
    return broken


def _taken(cases: Sequence[Case], taken: Synchronized[int]) -> Iterable[Case]:
    while True:
        with taken.get_lock():
            number = taken.value
            taken.value = number + 1
        if number >= len(cases):
            return
        yield cases[number]
