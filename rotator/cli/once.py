"""`rotator once`: one sweep, by the same code as the service."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from rotator import log
from rotator.bootstrap import Connected
from rotator.cli import documents, exits, show
from rotator.cli.lines import Line, Report
from rotator.cli.look import connected, report_of, tell_unmatched
from rotator.cli.options import Options
from rotator.cli.progress import Progress
from rotator.cli.text import complain
from rotator.daemon.sweep import named, sweep
from rotator.inventory.fleet import Found
from rotator.model.record import Rotated
from rotator.model.told import Step, Told
from rotator.policy.settings import PolicyFile
from rotator.reconcile import Reconciled

_LEVELS = {Step.HELD: logging.WARNING, Step.OVERRIDDEN: logging.WARNING, Step.FAILED: logging.ERROR}

_ASKING = (signal.SIGTERM, signal.SIGINT)

T = TypeVar("T")


def _complain(what: str) -> None:
    complain(f"rotator: {what}")


def _nothing() -> None:
    """Do nothing."""


class Stop:
    """Whether the process was asked to stop. The first signal asks, the second ends the process."""

    def __init__(self, say: Callable[[str], None] = _complain) -> None:
        """Nobody has asked yet. `say` tells what is done about it."""
        self.asked = False
        self._say = say

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work that may `listen` to its end. After it, the signals do what they did before."""
        before = {number: signal.getsignal(number) for number in _ASKING}
        try:
            return asyncio.run(work)
        finally:
            # asyncio leaves SIGINT to a handler that raises KeyboardInterrupt, in whatever comes next.
            for number, handler in before.items():
                signal.signal(number, handler)

    def listen(self, then: Callable[[], None] = _nothing) -> None:
        """Take the signals of the running event loop. `then` is called when somebody asks."""
        loop = asyncio.get_running_loop()
        for number in _ASKING:
            loop.add_signal_handler(number, self._ask, then)

    def _ask(self, then: Callable[[], None]) -> None:
        if self.asked:
            self._say("ended at once; the next run finds what was under way")
            # Not by an exception: closing connections would wait for the calls that are under way.
            os._exit(exits.INTERRUPTED)
        self.asked = True
        self._say("asked to stop: finishing what is under way; once more ends at once")
        then()


def once(options: Options, globs: tuple[str, ...], limit: int | None) -> int:
    """Reconcile everything that a glob names, and show what was done."""
    options.start_logging()
    stop = Stop()
    file = options.load()
    with options.progress() as progress:
        report = stop.run(_once(file, globs, limit, stop, progress))
    unfinished = stop.asked and any(line.left or line.decision is None for line in report.lines)
    tell_unmatched(globs, [line.lineage for line in report.lines])
    options.emit(documents.of_report(report), show.once(report, stopped=stop.asked))
    status = report.status_for(globs)
    return (
        status
        if status == exits.USAGE
        else exits.gravest({status, exits.TRY_AGAIN if unfinished else exits.FINE})
    )


async def _once(
    file: PolicyFile, globs: tuple[str, ...], limit: int | None, stop: Stop, progress: Progress
) -> Report:
    stop.listen()
    async with connected(file, found_journal=True, progress=progress) as connection:
        return await swept(connection, globs, stop, limit=limit, progress=progress)


async def swept(
    connection: Connected,
    globs: tuple[str, ...],
    stop: Stop,
    *,
    limit: int | None,
    progress: Progress | None = None,
) -> Report:
    """Reconcile every lineage that a glob names (all, without globs), and return what became of each."""
    fleet = await connection.survey()
    if progress is not None:
        progress.end()  # from here on the log tells what happens, on the same terminal
    ended = await sweep(
        fleet,
        partial(connection.ports, stopping=lambda: stop.asked, tell=tell),
        globs=globs,
        concurrency=connection.file.runtime.concurrency,
        starts_per_hour=connection.file.limits.starts_per_hour,
        limit=limit,
    )
    found = {one.assignment.lineage.lineage_id: one for one in named(fleet, globs)}
    return report_of(fleet, [_line(one, found[one.lineage_id], connection) for one in ended], connection)


def _line(one: Reconciled, found: Found, connection: Connected) -> Line:
    return Line(
        lineage=one.lineage,
        provider=found.provider,
        policy=found.assignment.policy,
        now=connection.clock.now(),
        snapshot=one.last.snapshot if one.last else None,
        decision=one.last.stands if one.last else None,
        error=one.error,
        done=one.done,
        left_because=one.left,
    )


def tell(told: Told) -> None:
    """Log one step, under its own name, with what is known of it. Raise nothing: it is told amid a rotation."""
    with contextlib.suppress(Exception):
        _log(told)


def _log(told: Told) -> None:
    known = {
        name: value
        for name, value in (
            ("reason", told.reason),
            ("key_id", told.key_id),
            ("rotation_id", told.rotation_id),
            ("version", told.version),
            ("until", told.until),
            ("detail", told.detail),
            *(_evidence(told.evidence) if told.evidence else ()),
        )
        if value
    }
    log.get("rotator").log(
        _LEVELS.get(told.step, logging.INFO), told.step.value, lineage=told.lineage, **known
    )


def _evidence(rotated: Rotated) -> tuple[tuple[str, object], ...]:
    """Return what the line of a recorded rotation says besides: all that an auditor asks for, in one line."""
    return (
        ("replaced_key_id", rotated.replaced_key_id),
        ("intent_at", rotated.intent_at),
        ("created_at", rotated.created_at),
        ("proven_at", rotated.proven_at),
        ("published_at", rotated.published_at),
        ("holder", rotated.holder),
        ("policy", rotated.policy_fingerprint),
    )
