"""Find lost records, see what can be made of each, and write them: what `rotator check --rebuild-journal` does."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rotator.bootstrap import Connected
from rotator.cli import exits, failures
from rotator.cli.look import none_named, tell_unmatched
from rotator.cli.losses import Loss, Losses
from rotator.cli.once import tell
from rotator.daemon.sweep import named as matching
from rotator.errors import RotatorError
from rotator.inventory.fleet import Fleet, Found, strays
from rotator.inventory.observe import observe
from rotator.inventory.records import Trouble
from rotator.model.reason import HoldReason, WaitReason
from rotator.model.snapshot import Snapshot
from rotator.plan import facts
from rotator.plan.actions import Hold, Wait
from rotator.plan.decide import decide
from rotator.plan.rebuild import Rebuilt, journals, journals_of_records, rebuild
from rotator.ports import Control
from rotator.rotation import rebuild as rebuilding
from rotator.rotation.orders import Ordered

_NAMED = 6
"""So many journals are named: who can make keys can make up as many as they like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person asks for: which lineages, which keys they vouch for, and the journal's id, "" to find it out."""

    globs: tuple[str, ...] = ()
    named: frozenset[str] = frozenset()
    journal_id: str = ""


async def look(
    connection: Connected, wish: Wish, ordered: Ordered, troubles: tuple[Trouble, ...] = ()
) -> tuple[Connected, Losses]:
    """Return what can be rebuilt, and the connection with the journal's id. Touches nothing. `troubles` are those before.

    Raise Failure when that id can't be told or when no lineage is named as was asked, else what `Connected.survey`
    raises.
    """
    # Without the journal's id, marks of any journal lead to lineages: this one may have been begun anew.
    fleet = await replace(connection, journal_id="").survey()
    fleet = replace(fleet, troubles=(*troubles, *fleet.troubles))
    if wish.globs and not matching(fleet, wish.globs):
        raise none_named(wish.globs, fleet)
    seen = await _seen(fleet, connection)
    connection, begins = _with_id(connection, fleet, seen, wish)
    return connection, _losses(fleet, seen, connection, ordered, wish, begins=begins)


async def write(losses: Losses, wish: Wish, ordered: Ordered, connection: Connected) -> Losses:
    """Write what can be rebuilt, one record after the other, and return what became of each.

    Raise what `rotation.rebuild.begin` raises; no record is written before the journal has its id again.
    """
    if losses.begins:
        control = Control(journal_id=connection.journal_id, instance=connection.file.instance)
        await rebuilding.begin(connection.journal, control)
    return replace(
        losses, lost=tuple([await _written(loss, ordered, wish, connection) for loss in losses.lost])
    )


Seen = tuple[Found, Snapshot | RotatorError]


async def _seen(fleet: Fleet, connection: Connected) -> Sequence[Seen]:
    """Look at every lineage that has no record."""
    turns = asyncio.Semaphore(connection.file.runtime.concurrency)

    async def one(found: Found) -> Seen:
        ports = connection.ports(found.assignment.lineage, stopping=lambda: False, tell=tell)
        async with turns:
            try:
                listing = fleet.listings[found.provider]
                return found, replace(await observe(found.assignment, ports, listing=listing), paused="")
            except RotatorError as error:
                return found, error

    return await asyncio.gather(*(one(found) for found in fleet.found if found.record is None))


def _with_id(connection: Connected, fleet: Fleet, seen: Sequence[Seen], wish: Wish) -> tuple[Connected, bool]:
    """Return the connection with the journal's id, and whether the journal has to be begun with it.

    Raise Failure when a person has to say which id it is, or says another than the journal has, or had.
    """
    there = connection.journal_id
    if there:
        if wish.journal_id not in ("", there):
            raise failures.Failure(
                f"the journal has the id {there} already",
                why="its control record is there",
                cure="leave --journal-id out; if this journal was begun anew by mistake, stop every rotator and delete the metadata "
                "of `control` first",
                status=exits.USAGE,
            )
        return connection, False
    snapshots = [one for _, one in seen if isinstance(one, Snapshot)]
    keys = [key for listing in fleet.listings.values() for key in listing.keys]
    votes = journals(snapshots) + journals_of_records(fleet.records, keys)
    listed = [key for listing in fleet.listings.values() for key in (*listing.keys, *listing.unreadable)]
    marks = Counter(key.mark.journal_id for key in listed if key.mark is not None)
    carried = votes or marks
    if carried and wish.journal_id not in ("", *carried):
        raise failures.Failure(
            f"no key {'in use ' if votes else ''}carries a mark of journal {wish.journal_id}",
            why=f"they carry marks of {_counted(carried)}",
            cure="leave --journal-id out, or see that there is no slip in it",
            status=exits.USAGE,
        )
    journal_id = wish.journal_id or (next(iter(votes)) if len(votes) == 1 else "")
    traces = fleet.records or any(
        one.entry.rotation_id is not None or facts.marks_seen(one) for one in snapshots
    )
    if not journal_id and traces:
        raise _unclear(votes, marks)
    return replace(connection, journal_id=journal_id), bool(journal_id)


def _unclear(votes: Counter[str], marks: Counter[str]) -> failures.Failure:
    """Return that a person has to say which id the journal had. `votes` are the journals that keys in use were made for."""
    if votes:
        why = f"keys in use carry the marks of several: {_counted(votes)}"
    else:
        why = f"no key in use proves it; marks name {_counted(marks)}" if marks else "no key carries a mark"
    cure = (
        "write --journal-id with the one of this instance: it is the first of the three ids in a mark; if none of them is its, "
        "no key was made for it: stop every rotator, delete the metadata of its records, and a journal is begun anew"
    )
    if not marks:
        cure = "write --journal-id with any 12 lower-case hexadecimal digits: no mark has to be found by it"
    return failures.Failure(
        "it is not clear which id the journal had", why=why, cure=cure, status=exits.PERSON_NEEDED
    )


def _counted(journals: Counter[str]) -> str:
    return ", ".join(f"{name} ({count} keys)" for name, count in journals.most_common(_NAMED))


def _losses(
    fleet: Fleet, seen: Sequence[Seen], connection: Connected, ordered: Ordered, wish: Wish, *, begins: bool
) -> Losses:
    """Return what can be made of each lost record that a glob names."""
    wanted = {one.assignment.lineage.name for one in matching(fleet, wish.globs)}
    lost = [
        loss
        for found, snapshot in seen
        if found.assignment.lineage.name in wanted
        and (loss := _loss(found, snapshot, fleet, connection.journal_id, ordered, wish)) is not None
    ]
    tell_unmatched(wish.globs, [one.assignment.lineage.name for one in fleet.found])
    return Losses(
        journal_id=connection.journal_id or None,
        begins=begins and bool(fleet.records or any(isinstance(one.answer, Rebuilt) for one in lost)),
        lost=tuple(lost),
        astray=() if wish.globs else strays(fleet.listings, fleet.found, fleet.unread, connection.journal_id),
        troubles=fleet.troubles,
    )


def _loss(
    found: Found, seen: Snapshot | RotatorError, fleet: Fleet, journal_id: str, ordered: Ordered, wish: Wish
) -> Loss | None:
    """Return what can be made of a lineage that has no record, or none that can be read; None when it never had one."""
    if isinstance(seen, RotatorError):
        return Loss(found=found, snapshot=None, answer=seen)
    snapshot = replace(seen, journal_id=journal_id)
    policy = found.assignment.policy
    decision = decide(policy, snapshot, snapshot.seen_at)
    ours = snapshot.entry.rotation_id is not None or facts.marked_for_us(snapshot)
    unread = isinstance(decision, Wait) and decision.reason is WaitReason.KEY_UNREADABLE
    if decision == Hold(HoldReason.LOST_RECORD) or (ours and unread):
        answer = rebuild(policy, snapshot, ordered.at(snapshot), wish.named)
        return Loss(found=found, snapshot=snapshot, answer=answer)
    if isinstance(decision, Hold) and (ours or snapshot.lineage.lineage_id in fleet.unread):
        return Loss(found=found, snapshot=snapshot, answer=decision)
    return None


def check_named(losses: Losses, wish: Wish) -> None:
    """Raise Failure when a person vouches for a key that no lost lineage leads to: most likely a slip."""
    led = {key.key_id for one in losses.lost if one.snapshot for key in one.snapshot.keys}
    strange = sorted(wish.named - led)
    if strange:
        raise failures.Failure(
            f"no lineage that is to be rebuilt leads to key {' or '.join(strange)}",
            why="it carries no mark of theirs, and no policy gives it a place of theirs",
            cure="leave --include-key out to see which keys can be named",
            status=exits.USAGE,
        )


async def _written(loss: Loss, ordered: Ordered, wish: Wish, connection: Connected) -> Loss:
    """Write the record of one lineage, if it can be rebuilt, and return what became of it."""
    if not isinstance(loss.answer, Rebuilt):
        return loss
    assignment = loss.found.assignment
    ports = connection.ports(assignment.lineage, stopping=lambda: False, tell=tell)
    try:
        record = await rebuilding.write(loss.answer, ordered, assignment, wish.named, ports)
    except RotatorError as error:
        return replace(loss, answer=error)
    return replace(loss, record=record)
