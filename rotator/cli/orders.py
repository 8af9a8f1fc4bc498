"""`rotator adopt`, `release`, `accept`, `forget` and `rotate`: what a person tells lineages."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rotator import credentials
from rotator.bootstrap import Connected
from rotator.cli import documents, exits, failures, previews, show, words
from rotator.cli.confirm import confirmed
from rotator.cli.lines import Report
from rotator.cli.look import connected, tell_unmatched
from rotator.cli.once import Stop, swept, tell
from rotator.cli.options import Options
from rotator.cli.text import complain, table
from rotator.daemon.sweep import named
from rotator.errors import RotatorError
from rotator.inventory.fleet import Found
from rotator.model.order import OrderKind
from rotator.model.record import Record
from rotator.plan.actions import Hold
from rotator.reconcile import violation_of
from rotator.rotation.orders import Declined, Ordered, give

_ASKED_ABOUT = frozenset({OrderKind.RELEASE, OrderKind.FORGET, OrderKind.EMERGENCY})
"""Orders that can't be taken back. They are shown, with what follows from them, before they are given."""

_CARRIED_OUT = frozenset({OrderKind.ROTATE, OrderKind.EMERGENCY})
"""Orders that this process carries out at once, and waits for."""

Answer = Record | Declined | Hold | RotatorError


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an order to one lineage."""

    lineage: str
    answer: Answer

    @property
    def status(self) -> int:
        """The exit status that it alone would give."""
        match self.answer:
            case Record() | Declined.DONE:
                return exits.FINE
            case Hold():
                return exits.PERSON_NEEDED
            case RotatorError():
                return failures.status_of(self.answer)
            case _:
                return exits.FAILED


def order(options: Options, globs: tuple[str, ...], kind: OrderKind, why: str, *, yes: bool) -> int:
    """Give one order to every lineage that a glob names, carry it out if that is meant, and show what became of it."""
    options.start_logging()
    ordered = Ordered(kind=kind, who=credentials.person(), why=why)
    stop = Stop()
    outcomes, report = asyncio.run(_order(options, globs, ordered, stop, yes=yes))
    if not outcomes:
        return exits.USAGE
    shown = (
        [_table(kind, outcomes)]
        if report is None
        else [_refusals(kind, outcomes), show.once(report, stopped=stop.asked)]
    )
    options.emit(_document(ordered, outcomes, report), "\n\n".join(part for part in shown if part))
    statuses = {one.status for one in outcomes}
    return exits.gravest(statuses | ({report.status} if report else set()))


async def _order(
    options: Options, globs: tuple[str, ...], ordered: Ordered, stop: Stop, *, yes: bool
) -> tuple[list[Outcome], Report | None]:
    """Return what became of the order, nothing when no lineage is named. Raise Failure when it is called off."""
    async with connected(options.load(), found_journal=True) as connection:
        fleet = await connection.survey()
        chosen = named(fleet, globs)
        tell_unmatched(globs, [one.assignment.lineage.name for one in chosen])
        if not chosen:
            return [], None
        if ordered.kind in _ASKED_ABOUT and not yes:
            complain(await previews.preview(ordered.kind, chosen, connection))
            confirmed(words.QUESTION[ordered.kind])
        stop.listen()
        turns = asyncio.Semaphore(connection.file.runtime.concurrency)
        outcomes = await asyncio.gather(*(_give(ordered, one, connection, turns) for one in chosen))
        given = tuple(one.lineage for one in outcomes if isinstance(one.answer, Record))
        if ordered.kind not in _CARRIED_OUT or not given:
            return outcomes, None
        return outcomes, await swept(connection, given, stop, limit=None)


async def _give(ordered: Ordered, found: Found, connection: Connected, turns: asyncio.Semaphore) -> Outcome:
    lineage = found.assignment.lineage
    answer: Answer
    async with turns:
        try:
            ports = connection.ports(lineage, stopping=lambda: False, tell=tell)
            answer = await give(ordered, found.assignment, ports)
        except RotatorError as error:
            answer = error
        except Exception as bug:  # noqa: BLE001 (a bug in one lineage must not stop the others)
            answer = violation_of(bug)
    return Outcome(lineage=lineage.name, answer=answer)


def said(kind: OrderKind, answer: Answer) -> str:
    """Return what became of an order, and what to do when it was not taken."""
    match answer:
        case Record():
            return words.GIVEN[kind]
        case Hold():
            return f"held: {words.HOLD[answer.reason]}. To do: {words.CURE[answer.reason]}"
        case RotatorError():
            return f"failed: {answer}. To do: {failures.cure_of(answer)}"
        case _:
            return words.DECLINED[answer]


def _table(kind: OrderKind, outcomes: list[Outcome]) -> str:
    return table(("LINEAGE", kind.value.upper()), [(one.lineage, said(kind, one.answer)) for one in outcomes])


def _refusals(kind: OrderKind, outcomes: list[Outcome]) -> str:
    refused = [one for one in outcomes if not isinstance(one.answer, Record)]
    return _table(kind, refused) if refused else ""


def document_of(answer: Answer) -> dict[str, object]:
    """Return what became of an order to one lineage, as documents show it."""
    document: dict[str, object] = {"given": False, "declined": None, "hold": None, "error": None}
    match answer:
        case Record():
            document["given"] = True
        case Hold():
            document["hold"] = {"reason": answer.reason.value, "detail": answer.detail or None}
        case RotatorError():
            document["error"] = documents.of_error(answer)
        case _:
            document["declined"] = answer.value
    return document


def _document(ordered: Ordered, outcomes: list[Outcome], report: Report | None) -> dict[str, object]:
    return {
        "order": ordered.kind.value,
        "who": ordered.who,
        "why": ordered.why,
        "outcomes": [{"lineage": one.lineage, **document_of(one.answer)} for one in outcomes],
        "report": documents.of_report(report) if report else None,
    }
