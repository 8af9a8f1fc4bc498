"""Strike a process at one call of one scenario, go on as an operator would, and judge what came of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from rotator.clock import SystemClock
from tests.faults.kills.aftermath import judge
from tests.faults.kills.fronts import Call, Side
from tests.faults.kills.recovery import recover
from tests.faults.kills.scenarios import Scenario
from tests.faults.kills.site import Ground, Site, site
from tests.faults.pool import TRIES
from tests.support.nursery import Command, Process

_CLOCK = SystemClock()

IN_A_ROW = 8
"""How many cases are struck in one installation at most."""

COMES_AT_ONCE = 3
"""After one kill of so many the operator comes at once, and finds a claim; after the others once that is over."""

_CLAIM_IS_OVER = timedelta(seconds=14.5)

ENDS_WITHIN_SECONDS = 15.0
"""How long a process may take to end that was asked to."""

ASKED_TO_STOP = "asked to stop"
_LOOKS = 1000
_TAKEN = timedelta(milliseconds=20)
"""How long a signal may take to arrive."""


class Kind(StrEnum):
    """With what a process is struck."""

    KILL = "SIGKILL"
    TERM = "SIGTERM"
    INT = "SIGINT"
    STOP = "SIGSTOP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One strike: the `nth` call of the scenario's command, counted from 0."""

    scenario: Scenario
    kind: Kind
    nth: int
    side: Side
    started: bool = False

    def __str__(self) -> str:
        """Name it, so that it can be run again."""
        return f"{self.scenario.name}, {self.kind.value} {self.side.value} call {self.nth}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The calls of a scenario that nothing struck."""

    scenario: Scenario
    calls: tuple[Call, ...]
    broken: tuple[str, ...]

    @property
    def writes(self) -> tuple[bool, ...]:
        """Whether each call may change something."""
        return tuple(call.writes for call in self.calls)


async def record(scenario: Scenario, ground: Ground) -> Recorded:
    """Run a scenario without a strike; return the calls that its command made."""
    async with site(ground) as made:
        await scenario.prepare(made)
        begin = len(made.crossing.calls)
        ran = await made.run(*scenario.command(made), given=scenario.given(made))
        calls = tuple(made.crossing.calls[begin:])
        broken = [] if ran.status == 0 else [f"it ended with {ran.status}"]
        broken += await recover(scenario, made)
        return Recorded(scenario, calls, tuple(f"{scenario.name}, unharmed: {one}" for one in broken))


def kills(recorded: Recorded) -> Iterator[Case]:
    """Yield a kill before each call, after each that may change something, and after the last.

    After a call that only reads, the world is as it was before it, and as it is before the next one.
    """
    last = len(recorded.writes) - 1
    for nth, writes in enumerate(recorded.writes):
        yield Case(scenario=recorded.scenario, kind=Kind.KILL, nth=nth, side=Side.BEFORE)
        if writes or nth == last:
            yield Case(scenario=recorded.scenario, kind=Kind.KILL, nth=nth, side=Side.AFTER)


def signals(recorded: Recorded, kind: Kind) -> Iterator[Case]:
    """Yield a signal at each call. To the process, a call that was done is no other than one that was not, yet."""
    for nth in range(len(recorded.writes)):
        side = Side.AFTER if nth % 2 else Side.BEFORE
        yield Case(scenario=recorded.scenario, kind=kind, nth=nth, side=side)


def sleeps(recorded: Recorded) -> Iterator[Case]:
    """Yield a sleep at each call from the first on that changes something, and before each other such call is sent.

    What may change something then arrives late, is answered late, or is sent late, by what was learnt before the sleep.
    """
    first = recorded.writes.index(True)
    sends = (*recorded.writes[1:], False)
    for nth, (writes, sends_next) in enumerate(zip(recorded.writes, sends, strict=True)):
        if nth >= first:
            yield Case(scenario=recorded.scenario, kind=Kind.STOP, nth=nth, side=Side.BEFORE)
        if writes:
            yield Case(scenario=recorded.scenario, kind=Kind.STOP, nth=nth, side=Side.AFTER)
        if sends_next:
            yield Case(scenario=recorded.scenario, kind=Kind.STOP, nth=nth, side=Side.BETWEEN)


def groups(recorded: Recorded, cases: Iterable[Case]) -> Iterator[tuple[Case, ...]]:
    """Yield the cases in groups to be struck one after the other: those before anything was changed a few at a time."""
    first = next((nth for nth, writes in enumerate(recorded.writes) if writes), 0)
    early = [case for case in cases if case.nth < first and case.kind is not Kind.STOP]
    for begin in range(0, len(early), IN_A_ROW):
        yield tuple(early[begin : begin + IN_A_ROW])
    yield from ((case,) for case in cases if case not in early)


class Missed(Exception):
    """A process ended before it was struck."""


async def strike(cases: Sequence[Case], ground: Ground) -> tuple[str, ...]:
    """Run cases of one scenario, one after the other; return what was broken.

    An installation serves for the next case as long as nothing was changed in it: it is as good as new. A process that ended
    before it came to be struck is tried again: on a busy machine an earlier call may have timed out.
    """
    left, found, tries = list(cases), list[str](), Counter[str]()
    while left:
        async with site(ground) as made:
            await left[0].scenario.prepare(made)
            prepared = made.crossing.changes
            while left and made.crossing.changes == prepared:
                case = left.pop(0)
                try:
                    found += await _struck(case, made, prepared)
                except Missed as missed:
                    tries[str(case)] += 1
                    if tries[str(case)] == TRIES:
                        found.append(f"{case}: {missed}")
                    else:
                        left.insert(0, case)
                    break
    return tuple(found)


async def _struck(case: Case, made: Site, prepared: int) -> list[str]:
    try:
        if case.kind is Kind.KILL:
            found = await killed(case, made)
        elif case.kind is Kind.STOP:
            found = await _slept(case, made)
        else:
            found = await _asked(case, made)
        if made.crossing.changes == prepared:
            found += await judge(made, at_rest=False)
        else:
            if case.kind is Kind.KILL and case.nth % COMES_AT_ONCE:
                await _CLOCK.sleep(_CLAIM_IS_OVER)
            found += await recover(case.scenario, made)
    except AssertionError as error:
        found = [str(error)]
    return [f"{case}: {one}" for one in found]


async def killed(case: Case, made: Site) -> list[str]:
    """Run the command of a case in an installation and kill it there. Raise Missed when it ended before."""
    process: Process | None = None

    async def act() -> bool:
        assert process is not None
        if case.started:
            made.expose(process)
        process.send(signal.SIGKILL)
        await asyncio.shield(process.ended)
        return False

    async with made.ground.turns:
        made.crossing.strike(case.nth, case.side, act)
        process, command = await _begun(case, made)
        ran = await made.end(process, command)
    made.crossing.clear()
    if ran.status != -signal.SIGKILL:
        raise Missed(f"it ended with {ran.status} and was not killed")
    return []


async def _begun(case: Case, made: Site) -> tuple[Process, Command]:
    arguments = case.scenario.command(made)
    given = case.scenario.given(made)
    return await made.begin("--output", "json", *arguments, given=given, started=case.started)


async def _asked(case: Case, made: Site) -> list[str]:
    """Ask a process to stop. It has to end soon, by itself or as the signal does, and to say so where it was at work."""
    process: Process | None = None
    asked_at = 0.0
    number = signal.Signals[case.kind.value]

    async def act() -> bool:
        nonlocal asked_at
        assert process is not None
        asked_at = _CLOCK.monotonic()
        os.kill(process.pid, number)  # not through its parent: it has to come before the answer
        await _CLOCK.sleep(_TAKEN)
        return True

    async with made.ground.turns:
        begin = len(made.crossing.calls)
        made.crossing.strike(case.nth, case.side, act)
        process, command = await _begun(case, made)
        ran = await made.end(process, command)
        took = _CLOCK.monotonic() - asked_at
    made.crossing.clear()
    if not asked_at:
        return ["it was not asked to stop"]
    found = [f"it took {took:.1f} s to end"] if took > ENDS_WITHIN_SECONDS else []
    at_once = ran.status in (-signal.SIGTERM, 130)
    if at_once and any(call.writes for call in made.crossing.calls[begin:]):
        found.append(f"it ended with {ran.status} in the midst of its work")
    if not at_once and (ran.status not in (0, 3, 75) or ASKED_TO_STOP not in ran.err):
        found.append(f"it ended with {ran.status} and said {ran.err[-300:]!r}")
    return found


async def _answer_taken(port: int) -> None:
    """Wait until a process has read the answer that was sent to it: it then has a moment to make its next call."""
    for _ in range(_LOOKS):
        if not _unread(port):
            break
        await _CLOCK.sleep(timedelta(0))


def _unread(port: int) -> bool:
    """Return whether something that was sent to a port of this machine was not read yet (`man 5 proc`, `/proc/net/tcp`)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, _, queues, *_ = line.split()
        if local.endswith(f":{port:04X}"):
            return not queues.endswith(":00000000")
    return False


async def _slept(case: Case, made: Site) -> list[str]:
    """Stop a process and let another one do all there is to do, or a part of it; then let the first one go on.

    It sleeps until its claim is surely over, however soon the other one is ready.

    A call that it was stopped before arrives when it goes on; the answer to one that it was stopped after awaits it. Between
    two calls a process is quick: where the next one was sent before the signal came, that one was late instead.
    """
    process: Process | None = None
    stopped, awake = asyncio.Event(), asyncio.Event()
    over_at = 0.0

    async def act() -> bool:
        nonlocal over_at
        assert process is not None
        if case.side is Side.BETWEEN:
            await _answer_taken(made.crossing.calls[-1].port)
        # Not through its parent: on that way it may make its next call.
        os.kill(process.pid, signal.SIGSTOP)
        await _CLOCK.sleep(_TAKEN)
        over_at = _CLOCK.monotonic() + _CLAIM_IS_OVER.total_seconds()
        stopped.set()
        if case.side is Side.BEFORE:
            await awake.wait()
        return True

    async with made.ground.turns:
        made.crossing.strike(case.nth, case.side, act)
        process, command = await _begun(case, made)
        ended = asyncio.ensure_future(process.ended)
        waiting = asyncio.ensure_future(stopped.wait())
        await asyncio.wait((ended, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
    made.crossing.clear()
    if not stopped.is_set():
        return ["it was not stopped"]
    found = await recover(case.scenario, made, to_rest=case.nth % 2 == 0)
    await _CLOCK.sleep(timedelta(seconds=max(over_at - _CLOCK.monotonic(), 0)))
    async with made.ground.turns:
        process.send(signal.SIGCONT)
        awake.set()
        ran = await made.end(process, command)
    if ran.status not in (0, 1, 3, 75):
        found.append(f"woken, it ended with {ran.status}")
    return found
