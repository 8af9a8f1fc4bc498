"""Carry out orders to rotate in this process: by a sweep of the lineages concerned, and by more where it must wait."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from rotator.bootstrap import Connected
from rotator.cli import exits
from rotator.cli.lines import Line, Report, strays_of
from rotator.cli.look import line_of
from rotator.cli.once import Stop, swept
from rotator.cli.text import complain
from rotator.cli.times import relative
from rotator.clock import Clock
from rotator.errors import PortError
from rotator.model.order import OrderKind
from rotator.model.reason import WaitReason
from rotator.plan import facts
from rotator.plan.actions import Wait
from rotator.plan.phase import Phase
from rotator.plural import count

PATIENCE = timedelta(minutes=5)
"""How long what fails in an emergency is tried again before it is left to the next sweep."""

_AT_LEAST = timedelta(seconds=5)
"""How long to wait at least between two sweeps."""

_LOOK_AGAIN_AFTER = timedelta(milliseconds=500)

_ENDS_BY_ITSELF = frozenset(
    {
        WaitReason.CLAIMED,
        WaitReason.SERVED_UNPROVEN,
        WaitReason.COPY_BEHIND,
        WaitReason.KEY_UNREADABLE,
    }
)
"""What an order that is not carried out waits for, without anybody doing anything."""


async def carry_out(kind: OrderKind, lineages: tuple[str, ...], connection: Connected, stop: Stop) -> Report:
    """Sweep the lineages that an order was given to, and return what became of each.

    What an emergency could not do at once is tried again for a while, and what another process has in hand is waited
    for. Raise what `once.swept` raises the first time.
    """
    report = await swept(connection, lineages, stop, limit=None)
    lines = {line.lineage: line for line in report.lines}
    clock = connection.clock
    gives_up_at = clock.now() + PATIENCE
    while True:
        if kind is OrderKind.EMERGENCY:
            lines |= await _seen_afresh(
                [line for line in lines.values() if line.error is not None], connection
            )
        left = [line for line in lines.values() if _to_be_done(kind, line)]
        next_try_at = min((_next_try_at(line, clock.now()) for line in left), default=gives_up_at)
        if next_try_at >= gives_up_at or not await _waited(next_try_at, len(left), clock, stop):
            break
        try:
            report = await swept(connection, tuple(line.lineage for line in left), stop, limit=None)
        except PortError as error:
            complain(f"rotator: {error}")
            continue
        for line in report.lines:
            lines[line.lineage] = replace(line, done=(*lines[line.lineage].done, *line.done))
    shown = tuple(sorted(lines.values(), key=lambda line: line.urgency))
    # What does not concern these lineages is left out.
    return replace(report, lines=shown, excluded={}, idle=(), strays=strays_of(shown), uncovered=())


async def _seen_afresh(failed: list[Line], connection: Connected) -> dict[str, Line]:
    """Return lines that ended in an error with what is there now: the last whole look was before that."""
    afresh: dict[str, Line] = {}
    if not failed:
        return afresh
    with suppress(PortError):
        fleet = await connection.survey()
        there = {one.assignment.lineage.name: one for one in fleet.found}
        for line in failed:
            if line.lineage in there:
                seen = await line_of(there[line.lineage], fleet, connection)
                if seen.snapshot is not None:
                    afresh[line.lineage] = replace(line, snapshot=seen.snapshot, decision=seen.decision)
    return afresh


def status_of_standing(line: Line) -> int:
    """Return the exit status of an order that was given and is not carried out, or not to its end."""
    record = line.record
    if record is None or (record.standing is None and not facts.emergency(record)):
        return exits.FINE
    waits = line.decision.reason if isinstance(line.decision, Wait) else None
    return exits.TRY_AGAIN if waits is None or waits in _ENDS_BY_ITSELF else exits.PERSON_NEEDED


def _to_be_done(kind: OrderKind, line: Line) -> bool:
    """Return whether an order stands that another process has in hand, or that failed in an emergency."""
    record = line.record
    if line.claimed:
        return record is not None and (record.standing is not None or facts.emergency(record))
    failed = line.error is not None or line.phase is Phase.FAILING
    return kind is OrderKind.EMERGENCY and failed and (record is None or facts.emergency(record))


def _next_try_at(line: Line, now: datetime) -> datetime:
    until = line.decision.until if isinstance(line.decision, Wait) and not line.claimed else None
    return max(until or now, now + _AT_LEAST)


async def _waited(until: datetime, waiting: int, clock: Clock, stop: Stop) -> bool:
    """Wait until the next try of what is left to be done. Return False when asked to stop before."""
    complain(
        f"rotator: the order to {count(waiting, 'lineage')} is not carried out yet; the next look is {relative(until, clock.now())} (an "
        "interrupt leaves it to the next sweep)"
    )
    while not stop.asked and clock.now() < until:
        await clock.sleep(_LOOK_AGAIN_AFTER)
    return not stop.asked
