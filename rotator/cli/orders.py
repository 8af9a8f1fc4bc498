"""`rotator adopt`, `release`, `accept`, `forget` and `rotate`: what a person tells lineages."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rotator import credentials
from rotator.bootstrap import Connected
from rotator.cli import asides, documents, exits, failures, previews, show, words
from rotator.cli.carrying_out import carry_out, status_of_standing
from rotator.cli.confirm import confirmed
from rotator.cli.lines import Report
from rotator.cli.look import connected, find, tell_unmatched
from rotator.cli.once import Stop, tell
from rotator.cli.options import Options
from rotator.cli.previews import Preview
from rotator.cli.progress import Progress
from rotator.cli.text import complain, table
from rotator.errors import Rejected, RotatorError
from rotator.inventory.fleet import Found
from rotator.inventory.records import Trouble
from rotator.model.order import OrderKind
from rotator.model.record import Record
from rotator.plan.actions import Hold
from rotator.reconcile import violation_of
from rotator.rotation.orders import Declined, Ordered, give

_ASKED_ABOUT = frozenset({OrderKind.RELEASE, OrderKind.FORGET, OrderKind.EMERGENCY})
"""Orders that can't be taken back. They are shown, with what follows from them, before they are given."""

_CARRIED_OUT = frozenset({OrderKind.ROTATE, OrderKind.EMERGENCY})
"""Orders that this process carries out at once, and waits for."""

_AS_WISHED = frozenset({Declined.DONE, Declined.NO_ORIGINAL, Declined.REPLACED})
"""Nothing was changed, for what was wished for is so already."""

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
            case Record():
                return exits.FINE
            case Hold() | Declined.PAUSED:
                return exits.PERSON_NEEDED
            case RotatorError():
                return failures.status_of(self.answer)
            case _:
                return exits.FINE if self.answer in _AS_WISHED else exits.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of an order. `report` is of the sweep that carried it out; `unmatched` are globs that name nothing."""

    ordered: Ordered
    outcomes: tuple[Outcome, ...]
    troubles: tuple[Trouble, ...] = ()
    unmatched: tuple[str, ...] = ()
    preview: Preview | None = None
    report: Report | None = None

    @property
    def status(self) -> int:
        """The exit status that all of it gives."""
        statuses = {one.status for one in self.outcomes}
        statuses |= {failures.status_of(trouble.error) for trouble in self.troubles}
        if self.report is not None:
            statuses |= {self.report.status, *(status_of_standing(line) for line in self.report.lines)}
        return exits.gravest(statuses | {exits.FAILED} if self.unmatched else statuses)

    @property
    def document(self) -> dict[str, object]:
        """It as a document."""
        return {
            "order": self.ordered.kind.value,
            "who": self.ordered.who,
            "why": self.ordered.why,
            "outcomes": [_document(one) for one in self.outcomes],
            "unmatched": list(self.unmatched),
            "troubles": documents.of_troubles(self.troubles),
            "keys": self.preview.document if self.preview else None,
            "report": documents.of_report(self.report) if self.report else None,
        }

    def shown(self, *, stopped: bool) -> str:
        """Return it for people."""
        kind = self.ordered.kind
        if self.report is None:
            parts = [_table(kind, self.outcomes), asides.troubles(self.troubles)]
        else:
            refused = [one for one in self.outcomes if not isinstance(one.answer, Record)]
            parts = [_table(kind, refused), show.once(self.report, stopped=stopped)]
        return "\n\n".join(part for part in parts if part)


def order(options: Options, globs: tuple[str, ...], kind: OrderKind, why: str, *, yes: bool) -> int:
    """Give one order to every lineage that a glob names, carry it out if that is meant, and show what became of it."""
    options.start_logging()
    stop = Stop()
    ordered = Ordered(kind=kind, who=credentials.person(), why=why)
    # An emergency does not wait for what a program may like to know.
    looked_at = kind in _ASKED_ABOUT and (not yes or (options.as_json and kind is not OrderKind.EMERGENCY))
    with options.progress() as progress:
        result = stop.run(_order(options, globs, ordered, stop, progress, looked_at=looked_at, asks=not yes))
    options.emit(result.document, result.shown(stopped=stop.asked))
    return result.status


async def _order(
    options: Options,
    globs: tuple[str, ...],
    ordered: Ordered,
    stop: Stop,
    progress: Progress,
    *,
    looked_at: bool,
    asks: bool,
) -> Result:
    """Return what became of the order. Raise Failure when no lineage is named, or when it is called off."""
    async with connected(options.load(), found_journal=True, progress=progress) as connection:
        found = await find(connection, globs)
        progress.end()  # from here on the log, and a question, stand on the same terminal
        unmatched = tell_unmatched(globs, [one.assignment.lineage.name for one in found.chosen])
        preview = None
        if looked_at:
            preview = await previews.preview(ordered.kind, found.chosen, connection)
        if preview is not None and asks:
            complain(str(preview))
            await asyncio.to_thread(confirmed, words.QUESTION[ordered.kind])
        stop.listen()
        turns = asyncio.Semaphore(connection.file.runtime.concurrency)
        outcomes = await asyncio.gather(
            *(_give(ordered, one, connection, stop, turns) for one in found.chosen)
        )
        given = tuple(one.lineage for one in outcomes if isinstance(one.answer, Record))
        report = None
        if ordered.kind in _CARRIED_OUT and given:
            report = await carry_out(ordered.kind, given, connection, stop)
        return Result(
            ordered=ordered,
            outcomes=tuple(outcomes),
            troubles=found.troubles if report is None else (),
            unmatched=unmatched,
            preview=preview,
            report=report,
        )


async def _give(
    ordered: Ordered, found: Found, connection: Connected, stop: Stop, turns: asyncio.Semaphore
) -> Outcome:
    lineage = found.assignment.lineage
    answer: Answer
    async with turns:
        try:
            ports = connection.ports(lineage, stopping=lambda: stop.asked, tell=tell)
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
            detail = f" ({answer.detail})" if answer.detail else ""
            return f"held: {words.HOLD[answer.reason]}{detail}. To do: {words.CURE[answer.reason]}"
        case Rejected() if kind is OrderKind.IMPORT and answer.operation == "import secret of key":
            return f"refused: {answer}. To do: give the secret of that very key"
        case RotatorError():
            return f"failed: {answer}. To do: {failures.cure_of(answer)}"
        case _:
            return words.DECLINED[answer]


def _table(kind: OrderKind, outcomes: tuple[Outcome, ...] | list[Outcome]) -> str:
    rows = [(one.lineage, said(kind, one.answer)) for one in outcomes]
    return table(("LINEAGE", kind.value.upper().replace("_", " ")), rows) if rows else ""


def _document(outcome: Outcome) -> dict[str, object]:
    document: dict[str, object] = {
        "lineage": outcome.lineage,
        "given": False,
        "declined": None,
        "hold": None,
        "error": None,
    }
    match outcome.answer:
        case Record():
            document["given"] = True
        case Hold() as hold:
            document["hold"] = {"reason": hold.reason.value, "detail": hold.detail or None}
        case RotatorError() as error:
            document["error"] = documents.of_error(error)
        case declined:
            document["declined"] = declined.value
    return document
