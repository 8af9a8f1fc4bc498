"""`rotator move`: serve a lineage at another place, and give the earlier one up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator import credentials
from rotator.bootstrap import Connected
from rotator.cli import words
from rotator.cli.carrying_out import carry_out
from rotator.cli.confirm import confirmed
from rotator.cli.look import connected, find_one
from rotator.cli.once import Stop, tell
from rotator.cli.options import Options
from rotator.cli.orders import Answer, Outcome, Result
from rotator.cli.text import complain, paragraph
from rotator.cli.times import absolute, rfc3339
from rotator.errors import RotatorError
from rotator.inventory.assignment import Assignment
from rotator.inventory.fleet import Found
from rotator.model.order import OrderKind
from rotator.model.record import Record
from rotator.policy.duration import show_duration
from rotator.policy.schedule import due
from rotator.ports import Ports
from rotator.rotation import moves
from rotator.rotation.orders import Declined, Ordered

Order = Callable[[Ordered, Assignment, Ports], Awaitable[moves.Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What stays at a place that is given up: the secret of which key, and until when that works at least."""

    key_id: str
    due_at: datetime | None
    expires_at: datetime | None
    overlap: timedelta

    @property
    def document(self) -> dict[str, object]:
        """It as a document."""
        return {
            "key_id": self.key_id,
            "due_at": rfc3339(self.due_at) if self.due_at else None,
            "expires_at": rfc3339(self.expires_at) if self.expires_at else None,
        }

    def said(self, place: str) -> str:
        """Say it, and what to do."""
        ends = []
        if self.due_at is not None:
            deleted = f"deleted {show_duration(self.overlap)} later"
            ends.append(f"due to be replaced at {absolute(self.due_at)}, {deleted}")
        if self.expires_at is not None:
            ends.append(f"expires at {absolute(self.expires_at)}")
        return paragraph(
            f"Nothing at {place} is deleted, and nothing is published there any more. It holds the secret of key "
            f"{self.key_id} ({'; '.join(ends) or 'never due by this policy'}): what still reads it there fails from the "
            "end of that key on. To do: see that nothing reads it, and delete it in Vault"
        )


def move(options: Options, old: str, new: str, why: str) -> int:
    """Let a lineage be served at `new` as well as at `old`, bring its secret there, and show what became of it."""
    options.start_logging()
    ordered = Ordered(kind=OrderKind.MOVE, who=credentials.person(), why=why, place=new)
    stop = Stop()
    result = stop.run(_move(options, old, ordered, stop))
    shown = [result.shown(stopped=stop.asked)]
    if _given(result):
        shown.insert(0, f"{old}: {words.GIVEN[ordered.kind]}")
    options.emit({**result.document, "place": new}, "\n\n".join(shown))
    return result.status


def give_up(options: Options, old: str, new: str, why: str, *, yes: bool) -> int:
    """Let a lineage be served at `old` no more, and show what stays there."""
    options.start_logging()
    ordered = Ordered(kind=OrderKind.GIVE_UP, who=credentials.person(), why=why, place=old)
    stop = Stop()
    result, left = stop.run(_give_up(options, new, ordered, stop, asks=not yes))
    stays = left if _given(result) else None
    document = {**result.document, "place": old, "left": stays.document if stays else None}
    shown = [result.shown(stopped=False), *([stays.said(old)] if stays else [])]
    options.emit(document, "\n\n".join(shown))
    return result.status


def _given(result: Result) -> bool:
    return any(isinstance(one.answer, Record) for one in result.outcomes)


async def _move(options: Options, old: str, ordered: Ordered, stop: Stop) -> Result:
    async with connected(options.load(), found_journal=True) as connection:
        found = await find_one(connection, old, or_served_at=ordered.place)
        stop.listen()
        outcome = await _ordered(moves.move, ordered, found, connection, stop)
        report = None
        if isinstance(outcome.answer, Record) or outcome.answer is Declined.DONE:
            report = await carry_out(ordered.kind, (ordered.place,), connection, stop)
        return Result(ordered=ordered, outcomes=(outcome,), report=report)


async def _give_up(
    options: Options, new: str, ordered: Ordered, stop: Stop, *, asks: bool
) -> tuple[Result, Left | None]:
    async with connected(options.load(), found_journal=True) as connection:
        found = await find_one(connection, new)
        left = _left(found)
        if asks:
            complain(left.said(ordered.place) if left else f"nothing was published at {ordered.place} yet")
            await asyncio.to_thread(confirmed, words.QUESTION[ordered.kind])
        stop.listen()
        outcome = await _ordered(moves.give_up, ordered, found, connection, stop)
        return Result(ordered=ordered, outcomes=(outcome,)), left


async def _ordered(
    order: Order, ordered: Ordered, found: Found, connection: Connected, stop: Stop
) -> Outcome:
    ports = connection.ports(found.assignment.lineage, stopping=lambda: stop.asked, tell=tell)
    answer: Answer
    try:
        answer = await order(ordered, found.assignment, ports)
    except RotatorError as error:
        answer = error
    return Outcome(lineage=found.assignment.lineage.name, answer=answer)


def _left(found: Found) -> Left | None:
    """Return what stays behind, None when nothing was ever published."""
    record, policy = found.known_record, found.assignment.policy
    if record is None or record.current is None:
        return None
    key = record.current.key
    first = due(policy, record.lineage.lineage_id, key)
    return Left(
        key_id=key.key_id,
        due_at=first.at if first else None,
        expires_at=key.expires_at,
        overlap=policy.overlap,
    )
