"""Move: serve a lineage at the place that the policy file names now, and at the one before until that is given up.

Nothing is copied here: the order is one change of the record, and what follows from it is for the next look of any
process (`plan.rules.copy`). Publishes go on landing at the place before, so that a process which sleeps amid a rotation
finds the fence where it left it; giving that place up is what makes the present one the destination.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace

from rotator.errors import Ambiguous, Conflict, Unavailable
from rotator.inventory.assignment import Assignment
from rotator.inventory.observe import observe
from rotator.model.entry import FieldNames, Place
from rotator.model.order import Order
from rotator.model.reason import HoldReason, WaitReason
from rotator.model.record import Copied, Record
from rotator.model.snapshot import Snapshot
from rotator.plan import copies, facts
from rotator.plan.actions import Hold
from rotator.plan.decide import decide
from rotator.plan.rules import HOLDS_OF_MINTING
from rotator.ports import Ports, RecordRead
from rotator.rotation.orders import (
    ASK_AGAIN_AFTER,
    TRIES,
    Declined,
    Ordered,
    noted,
    shown,
    told_of,
    until_free,
)

Answer = Record | Declined | Hold


async def move(ordered: Ordered, assignment: Assignment, ports: Ports) -> Answer:
    """Let a lineage be served at the ordered place from now on; return the record, or why it changes nothing.

    The policy file must name that place already. It has to be free, or to hold this lineage's secret, and writable.
    Raise what the ports raise; Unavailable when the lineage does not come free.
    """

    async def changed(read: RecordRead, record: Record) -> Answer:
        return await _moved(read, record, ordered.place, assignment, ports)

    return await _give(ordered, changed, assignment, ports)


async def give_up(ordered: Ordered, assignment: Assignment, ports: Ports) -> Answer:
    """Let a lineage be served no more at the ordered place; return the record, or why it changes nothing.

    Nothing is deleted, and that place is not even looked at: it may be gone. The present place must be shown to serve
    the secret in use. Raise as `move`.
    """

    async def changed(read: RecordRead, record: Record) -> Answer:
        after = given_up(record, ordered.place)
        if isinstance(after, Record) and after.destination != record.destination:
            seen = await observe(assignment, ports, record=replace(read, record=after))
            return after if facts.serves_current(seen) else Declined.NOT_COPIED
        return after

    return await _give(ordered, changed, assignment, ports)


def moved(record: Record, to: Place, *, unused: bool) -> Record:
    """Return the record of a lineage that is to be served at `to`. `unused`: nobody can read its secret anywhere yet."""
    present = replace(record, lineage=record.lineage.at(to), fields=to.fields, copy_failure=None)
    if to in record.places:
        return _settled(present, record.destination, record.also_at)
    if unused:
        return _settled(present, to, ())
    return _settled(present, record.destination, (*record.also_at, Copied(place=to)))


def given_up(record: Record, place: str) -> Record | Declined:
    """Return the record without every place of that name but the present one, or why it can't be."""
    ends = [one for one in record.places if one.name == place and one != record.place]
    if not ends:
        return Declined.NOT_SERVED
    left = tuple(copied for copied in record.also_at if copied.place not in ends)
    if record.destination not in ends:
        return _settled(replace(record, copy_failure=None), record.destination, left)
    present = next(copied for copied in left if copied.place == record.place)
    if record.current is None or present.key_id != record.current.key.key_id:
        return Declined.NOT_COPIED
    # Bases count in the versions of one place only, and a publish that comes late now lands where nobody is served.
    after = replace(
        _voided(record), current=replace(record.current, version=present.version), copy_failure=None
    )
    return _settled(after, record.place, tuple(copied for copied in left if copied != present))


def crossed(one: FieldNames, other: FieldNames) -> bool:
    """Return whether the same field would have two meanings, were both written into one entry."""
    meanings = {name: meaning for meaning, name in asdict(one).items() if name is not None}
    return any(
        meanings.get(name, meaning) != meaning for meaning, name in asdict(other).items() if name is not None
    )


async def _give(
    ordered: Ordered,
    changed: Callable[[RecordRead, Record], Awaitable[Answer]],
    assignment: Assignment,
    ports: Ports,
) -> Answer:
    """Write what an order changes, decided anew when somebody else wrote meanwhile, or no answer came."""
    order: Order | None = None
    error: Ambiguous | Conflict | None = None
    for _ in range(TRIES):
        read = await _unclaimed(assignment, ports)
        record = read.record
        if record is None:
            hold = assignment.fleet_hold
            return Declined.NO_RECORD if hold is None else Hold(hold, assignment.fleet_hold_detail)
        if record.forgotten:
            return Declined.FORGOTTEN
        order = order or ordered.given(read.at)
        if order in record.orders:
            ports.tell(told_of(order, assignment))
            return record
        after = await changed(read, record)
        if not isinstance(after, Record):
            return after
        try:
            version = await ports.journal.write(noted(after, order), base=read.version)
        except (Ambiguous, Conflict) as unclear:
            error = unclear
            await ports.clock.sleep(ASK_AGAIN_AFTER)
            continue
        ports.tell(told_of(order, assignment))
        await shown(version, assignment, ports)
        return noted(after, order)
    raise error or Conflict("order", assignment.lineage.name)


async def _unclaimed(assignment: Assignment, ports: Ports) -> RecordRead:
    """Return the record while no other process works on the lineage. Raise Unavailable as `orders.free`."""

    def claimed(read: RecordRead) -> bool:
        until = facts.claim_ends(read.record, read.written_at, ports.holder)
        return until is not None and until > read.at

    name = assignment.lineage.record_name
    return await until_free(lambda: ports.journal.read(name), claimed, assignment, ports)


async def _moved(read: RecordRead, record: Record, to: str, assignment: Assignment, ports: Ports) -> Answer:
    place = assignment.moves_to or replace(record.place, fields=assignment.policy.destination.fields)
    if place.name != to:
        return Declined.NOT_NAMED
    if place == record.place:
        return Declined.DONE
    if assignment.fleet_hold not in (None, HoldReason.DESTINATION_MOVED):
        return Hold(assignment.fleet_hold, assignment.fleet_hold_detail)
    if any(one.shares_entry(place) and crossed(one.fields, place.fields) for one in record.places):
        return Declined.FIELDS_CROSSED
    after = moved(record, place, unused=await _unused(read, record, assignment, ports))
    await ports.destinations.check_writable(after.lineage, place.fields)
    seen = await observe(assignment, ports, record=replace(read, record=after))
    return _hold(place, seen, assignment) or after


async def _unused(read: RecordRead, record: Record, assignment: Assignment, ports: Ports) -> bool:
    """Return whether nothing was published, or can still come to be, and no person put a secret there either."""
    if record.current is not None or record.attempts:
        return False
    seen = await observe(assignment, ports, record=read)
    return not seen.entry.has_secret


def _hold(place: Place, seen: Snapshot, assignment: Assignment) -> Hold | None:
    """Return why the lineage may not be served at `place`, or is held anyway. `seen` is how it looks from there."""
    record = seen.record
    for copied in record.also_at if record else ():
        if copied.place != place:
            continue
        there = copies.seen_at(seen, copied)
        reason = copies.obstacle(seen, copied, there)
        if there.entry is None or isinstance(reason, WaitReason):
            raise Unavailable("look at", place.name, "what is there could not be learnt")
        if reason is not None:
            return Hold(reason, f"{place.name}, version {there.entry.version}")
    decision = decide(assignment.policy, replace(seen, fleet_hold=None, paused=""), seen.seen_at)
    return decision if isinstance(decision, Hold) and decision.reason not in HOLDS_OF_MINTING else None


def _settled(record: Record, destination: Place, also_at: tuple[Copied, ...]) -> Record:
    """Return the record with these places, written in the one form that means them."""
    elsewhere = None if destination == record.place else destination
    return replace(record, publishes_at=elsewhere, also_at=also_at)


def _voided(record: Record) -> Record:
    """Return the record with attempts whose publish nobody waits for any more."""
    return replace(record, attempts=tuple(replace(attempt, void=True) for attempt in record.attempts))
