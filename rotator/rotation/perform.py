"""Carry out one action: the only place where an action becomes effects."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import assert_never

from rotator.errors import Conflict, PortError
from rotator.inventory.assignment import Assignment
from rotator.model.reason import HoldReason
from rotator.model.snapshot import Snapshot
from rotator.model.told import Step, Told
from rotator.plan import facts
from rotator.plan.actions import Action, Adopt, Copy, Finish, Hold, Inherit, Revoke, Rotate
from rotator.ports import Ports, RecordRead
from rotator.rotation import bookkeeping
from rotator.rotation.claim import ClaimedRecord
from rotator.rotation.copy import copy
from rotator.rotation.retire import retire
from rotator.rotation.rotate import rotate, write_down


@dataclass(frozen=True, slots=True)
class Performed:
    """What became of an action: the hold it ended in, None when it was done, and the record as it was written last."""

    held: Hold | None
    written: RecordRead


async def perform(action: Action, assignment: Assignment, snapshot: Snapshot, ports: Ports) -> Performed:
    """Carry out `action`, decided from `snapshot`.

    Raise Conflict when somebody else wrote first: nothing is wrong, look again. Raise any other PortError
    after it was written down with the next try, where Vault could be reached for that. Any other exception
    is a bug: the lineage is held, so that it is not repeated.
    """
    claimed = ClaimedRecord(ports, snapshot)
    try:
        held = await _carry_out(action, assignment, snapshot, claimed, ports)
        return Performed(held, claimed.as_read())
    except PortError:
        raise
    except Exception as bug:
        if snapshot.record is not None:
            with suppress(PortError):
                await claimed.hold(Hold(HoldReason.UNSAFE, type(bug).__name__), assignment.policy)
        raise


async def _carry_out(
    action: Action, assignment: Assignment, snapshot: Snapshot, claimed: ClaimedRecord, ports: Ports
) -> Hold | None:
    match action:
        case Adopt():
            await _adopt(action, assignment, snapshot, claimed, ports)
        case Rotate():
            return await rotate(action, assignment.policy, snapshot, claimed, ports)
        case Finish():
            await _finish(action, assignment, snapshot, claimed, ports)
        case Copy():
            return await copy(action, assignment, claimed, ports)
        case Inherit():
            await _inherit(action, snapshot, claimed, ports)
        case Revoke():
            await retire(action, assignment, claimed, ports)
        case _:
            assert_never(action)
    return None


async def _adopt(
    action: Adopt, assignment: Assignment, snapshot: Snapshot, claimed: ClaimedRecord, ports: Ports
) -> None:
    key = snapshot.key(action.key_id)
    if key is None:
        raise Conflict("adopt key", action.key_id, "not listed any more")
    await claimed.give_back(bookkeeping.adopted(snapshot, assignment.policy, key, original=action.original))
    ports.tell(Told(step=Step.ADOPTED, lineage=snapshot.lineage.name, key_id=key.key_id))


async def _inherit(action: Inherit, snapshot: Snapshot, claimed: ClaimedRecord, ports: Ports) -> None:
    found = next(((k, a) for k, a in facts.orphans(snapshot) if k.key_id == action.key_id), None)
    if found is None:
        raise Conflict("inherit key", action.key_id, "not an orphan any more")
    key, attempt = found
    await claimed.give_back(bookkeeping.inherited(claimed.record, key, attempt))
    ports.tell(Told(step=Step.INHERITED, lineage=snapshot.lineage.name, key_id=key.key_id))


async def _finish(
    action: Finish, assignment: Assignment, snapshot: Snapshot, claimed: ClaimedRecord, ports: Ports
) -> None:
    attempt, key = claimed.record.attempt(action.rotation_id), snapshot.key(action.key_id)
    written_at = snapshot.entry.written_at
    if attempt is None or key is None or written_at is None:
        raise Conflict("finish rotation", action.rotation_id, "not there any more")
    record = bookkeeping.published(
        claimed.record,
        attempt,
        key,
        assignment.policy,
        version=snapshot.entry.version,
        at=written_at,
        proven_at=snapshot.seen_at,
        holder=ports.holder,
    )
    await write_down(record, claimed, ports)
    ports.tell(Told(step=Step.FINISHED, lineage=snapshot.lineage.name, key_id=key.key_id))
