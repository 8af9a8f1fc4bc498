"""Carry out one action. The only place where an action becomes effects, and where a failure is written down."""

from __future__ import annotations

from typing import assert_never

from rotator.errors import (
    Ambiguous,
    Conflict,
    Denied,
    InvariantViolation,
    NotFound,
    PortError,
    Rejected,
    Throttled,
    Unavailable,
)
from rotator.inventory.assignment import Assignment
from rotator.model.reason import HoldReason, RevokeReason, RotateReason
from rotator.model.snapshot import Snapshot
from rotator.model.told import Step, Told
from rotator.plan import facts
from rotator.plan.actions import Action, Adopt, Finish, Hold, Inherit, Revoke, Rotate
from rotator.ports import Ports
from rotator.rotation import bookkeeping, mint
from rotator.rotation.claim import ClaimedRecord
from rotator.rotation.publish import Confirmed, publish
from rotator.rotation.retire import retire


async def perform(action: Action, assignment: Assignment, snapshot: Snapshot, ports: Ports) -> Hold | None:
    """Carry out `action`, decided from `snapshot`. Return the hold it ended in, None when it was done.

    Raise Conflict when somebody else wrote first: nothing is wrong, look again. Raise any other PortError
    after it was written down with the next try, where Vault could be reached for that.
    """
    match action:
        case Adopt():
            await _adopt(action, assignment, snapshot, ports)
        case Rotate():
            return await _rotate(action, assignment, snapshot, ports)
        case Finish():
            await _finish(action, assignment, snapshot, ports)
        case Inherit():
            await _inherit(action, snapshot, ports)
        case Revoke():
            await _revoke(action, assignment, snapshot, ports)
        case _:
            assert_never(action)
    return None


async def _adopt(action: Adopt, assignment: Assignment, snapshot: Snapshot, ports: Ports) -> None:
    key = snapshot.key(action.key_id)
    if key is None:
        raise Conflict("adopt key", action.key_id, "not listed any more")
    record = bookkeeping.adopted(snapshot, assignment.policy, key, original=action.original)
    claimed = ClaimedRecord(ports, snapshot, record)
    await claimed.give_back(record)
    ports.tell(Told(step=Step.ADOPTED, lineage=record.lineage.name, key_id=key.key_id))


async def _inherit(action: Inherit, snapshot: Snapshot, ports: Ports) -> None:
    claimed = _claimed(ports, snapshot)
    found = next(((k, a) for k, a in facts.orphans(snapshot) if k.key_id == action.key_id), None)
    if found is None:
        raise Conflict("inherit key", action.key_id, "not an orphan any more")
    key, attempt = found
    await claimed.give_back(bookkeeping.inherited(claimed.record, key, attempt.overlap))
    ports.tell(Told(step=Step.INHERITED, lineage=snapshot.lineage.name, key_id=key.key_id))


async def _finish(action: Finish, assignment: Assignment, snapshot: Snapshot, ports: Ports) -> None:
    claimed = _claimed(ports, snapshot)
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
        holder=ports.holder,
    )
    await claimed.give_back(record)
    ports.tell(Told(step=Step.FINISHED, lineage=snapshot.lineage.name, key_id=key.key_id))


async def _revoke(action: Revoke, assignment: Assignment, snapshot: Snapshot, ports: Ports) -> None:
    claimed = _claimed(ports, snapshot)
    try:
        await retire(action, assignment, snapshot, claimed, ports)
    except Conflict:
        raise
    except PortError as error:
        await _write_down(claimed, assignment, action.reason, str(error), ports)
        raise


async def _rotate(action: Rotate, assignment: Assignment, snapshot: Snapshot, ports: Ports) -> Hold | None:
    """Intent, create, prove, publish, record: one action, because the secret is in memory only."""
    lineage, policy = snapshot.lineage, assignment.policy
    try:
        await ports.destinations.check_writable(lineage, policy.destination.fields)
    except (Rejected, Denied) as error:
        return Hold(HoldReason.WRITE_REFUSED, str(error))
    claimed = _claimed(ports, snapshot)
    attempt = mint.attempt_for(action, policy, snapshot, ports)
    await claimed.write(bookkeeping.intended(claimed.record, attempt))
    ports.tell(
        Told(
            step=Step.INTENT,
            lineage=lineage.name,
            reason=action.reason.value,
            rotation_id=attempt.rotation_id,
        )
    )
    try:
        minted = await mint.create(attempt, claimed.record, ports)
    except (Unavailable, Throttled, Denied, Rejected, Conflict, NotFound) as error:
        # A clear refusal: nothing was created, and nothing of this attempt can appear later.
        claimed.record = bookkeeping.withdrawn(claimed.record, attempt.rotation_id)
        await _write_down(claimed, assignment, action.reason, str(error), ports)
        raise
    except Ambiguous as error:
        await _write_down(claimed, assignment, action.reason, str(error), ports)
        raise
    found = await mint.prove(minted, attempt, policy, claimed, ports)
    if isinstance(found, mint.Unfit):
        await claimed.keep()
        if not await mint.revoke_candidate(minted, attempt, claimed.record, ports):
            claimed.record = bookkeeping.left_alive(claimed.record, attempt.rotation_id, minted.key_id)
        return await _unfit(found, action, assignment, claimed, ports)
    try:
        await claimed.keep()
        replaced_id = action.replaces.key_id
        confirmed = await publish(found, lineage, policy.destination.fields, replaced_id, ports)
    except PortError as error:
        await _write_down(claimed, assignment, action.reason, str(error), ports)
        raise
    return await _record(found, confirmed, assignment, claimed, ports)


async def _record(
    candidate: mint.Candidate,
    confirmed: Confirmed,
    assignment: Assignment,
    claimed: ClaimedRecord,
    ports: Ports,
) -> Hold | None:
    """Write the confirmed publish down and give the claim back."""
    attempt, key = candidate.attempt, candidate.key
    told = Told(
        step=Step.PUBLISHED,
        lineage=claimed.record.lineage.name,
        key_id=key.key_id,
        rotation_id=attempt.rotation_id,
        version=confirmed.version,
    )
    ports.tell(told)
    record = bookkeeping.published(
        claimed.record,
        attempt,
        key,
        assignment.policy,
        version=confirmed.version,
        at=confirmed.at,
        holder=ports.holder,
    )
    hold = _vanishes(confirmed, candidate)
    if hold is not None:
        record = bookkeeping.held(record, assignment.policy, hold.reason, hold.detail, ports.clock.now())
    await claimed.give_back(record)
    ports.tell(
        Told(
            step=Step.OVERLAP,
            lineage=record.lineage.name,
            key_id=record.previous[-1].key_id if record.previous else None,
            until=confirmed.at + attempt.overlap,
        )
    )
    return hold


def _vanishes(confirmed: Confirmed, candidate: mint.Candidate) -> Hold | None:
    """Return a hold when Vault will delete the published version before its key expires."""
    deletion_at, expires_at = confirmed.deletion_at, candidate.key.expires_at
    if deletion_at is None or (expires_at is not None and deletion_at >= expires_at):
        return None
    return Hold(HoldReason.ENTRY_EXPIRES, f"version {confirmed.version} is deleted at {deletion_at}")


async def _unfit(
    unfit: mint.Unfit, action: Rotate, assignment: Assignment, claimed: ClaimedRecord, ports: Ports
) -> Hold:
    """Write down that the candidate was unfit: a hold, or a failure to be tried again."""
    if unfit.hold is None:
        await _write_down(claimed, assignment, action.reason, unfit.what, ports)
        raise Unavailable("prove key", claimed.record.lineage.name, unfit.what)
    now = ports.clock.now()
    await claimed.give_back(bookkeeping.held(claimed.record, assignment.policy, unfit.hold, unfit.what, now))
    return Hold(unfit.hold, unfit.what)


async def _write_down(
    claimed: ClaimedRecord,
    assignment: Assignment,
    tried: RotateReason | RevokeReason,
    what: str,
    ports: Ports,
) -> None:
    """Write the failure and the next try, and give the claim back, if Vault can be reached for it.

    If not, the claim runs out by itself, and the next look finds what there is to find.
    """
    record = bookkeeping.failed(claimed.record, assignment.policy, tried, what, ports.clock.now())
    try:
        await claimed.give_back(record)
    except PortError:
        return


def _claimed(ports: Ports, snapshot: Snapshot) -> ClaimedRecord:
    if snapshot.record is None:
        raise InvariantViolation("an action on a lineage without a record")
    return ClaimedRecord(ports, snapshot, snapshot.record)
