"""Rebuild: write a record that was lost again, where there is none. Never over one, whatever it is.

What is to be written is decided afresh from a look of this moment, and only if it is what a person was shown: of each key
what becomes of it. So a person may take their time, and another process that rebuilds or rotates meanwhile wins.
"""

from __future__ import annotations

from rotator.errors import Ambiguous, Conflict
from rotator.inventory.assignment import Assignment
from rotator.inventory.observe import observe
from rotator.model.record import Record
from rotator.plan.rebuild import Rebuilt, rebuild
from rotator.ports import Control, Journal, Ports
from rotator.rotation.orders import ASK_AGAIN_AFTER, TRIES, Ordered, shown, told_of


async def begin(journal: Journal, control: Control) -> None:
    """Write the control record of a journal that was lost. Conflict: there is one now. Else as `Journal.write_control`."""
    try:
        await journal.write_control(control)
    except Ambiguous:
        there = await journal.control()
        if there is None or there.journal_id != control.journal_id:
            raise


async def write(
    seen: Rebuilt, ordered: Ordered, assignment: Assignment, named: frozenset[str], ports: Ports
) -> Record:
    """Write the record that was shown as `seen`, and return it as it was written: overlaps run from now.

    Raise Conflict when there is a record now, or when what can be rebuilt is something else than before; else what the
    ports raise.
    """
    lineage = assignment.lineage
    snapshot = await observe(assignment, ports)
    if snapshot.record is not None or snapshot.fleet_hold is not None:
        raise Conflict("rebuild", lineage.name, "there is a record now")
    order = ordered.at(snapshot)
    now = rebuild(assignment.policy, snapshot, order, named)
    if not isinstance(now, Rebuilt) or _roles(now) != _roles(seen):
        raise Conflict("rebuild", lineage.name, "it is not as it was shown any more")
    version = await _write(now.record, ports)
    ports.tell(told_of(order, assignment))
    await shown(version, assignment, ports)
    return now.record


async def _write(record: Record, ports: Ports) -> int:
    """Write a record where there is none; without an answer, look whether it is there before it is sent again."""
    unclear: Ambiguous | None = None
    for _ in range(TRIES):
        try:
            return await ports.journal.write(record, base=0)
        except Ambiguous as error:
            unclear = error
        except Conflict:
            read = await ports.journal.read(record.lineage.record_name)
            if unclear is None or read.record != record:
                raise
            return read.version
        await ports.clock.sleep(ASK_AGAIN_AFTER)
    raise unclear or Conflict("rebuild", record.lineage.name)


def _roles(rebuilt: Rebuilt) -> tuple[object, ...]:
    """Return what becomes of each key: all of it that a person was shown."""
    record = rebuilt.record
    return (
        None if record.current is None else (record.current.key.key_id, record.current.version),
        {previous.key_id for previous in record.previous},
        {original.key.key_id for original in record.originals},
        {attempt.rotation_id for attempt in record.attempts},
        set(rebuilt.left),
    )
