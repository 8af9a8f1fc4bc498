"""One rotation: intent, create, prove, publish, record. One action, because the secret is in memory only."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from rotator.errors import (
    Ambiguous,
    Denied,
    PortError,
    Rejected,
    Unavailable,
)
from rotator.model.reason import HoldReason, RotateReason
from rotator.model.record import Attempt, Record
from rotator.model.snapshot import Snapshot
from rotator.model.told import Step, Told
from rotator.plan.actions import Hold, Rotate
from rotator.policy.policy import Policy
from rotator.ports import Minted, Ports, RecordRead
from rotator.rotation import bookkeeping, mint
from rotator.rotation.claim import ClaimedRecord
from rotator.rotation.mint import Candidate, Unfit
from rotator.rotation.publish import Confirmed, publish, vanishes


async def refusal(action: Rotate, policy: Policy, snapshot: Snapshot, ports: Ports) -> Hold | None:
    """Return why nothing may be minted now, although a rotation is due: Vault would refuse its publish.

    Asked before each rotation. A refusal is written down as a failure, so that it is shown and not asked at
    every look, and ends by itself once Vault allows the write. Raise Unavailable or Throttled.
    """
    claimed = ClaimedRecord(ports, snapshot)
    place = claimed.record.destination
    try:
        await ports.destinations.check_writable(snapshot.lineage.at(place), place.fields)
    except PortError as error:
        await claimed.fail(action.reason, error, policy)
        if isinstance(error, Rejected | Denied):
            return Hold(HoldReason.WRITE_REFUSED, str(error))
        raise
    return None


async def rotate(
    action: Rotate, policy: Policy, snapshot: Snapshot, claimed: ClaimedRecord, ports: Ports
) -> Hold | None:
    """Replace one key. Return the hold it ended in, None when it was done. Raise as `perform`."""
    attempt = mint.attempt_for(action, policy, snapshot, ports)
    await claimed.write(bookkeeping.intended(claimed.record, attempt))
    told = Told(
        step=Step.INTENT,
        lineage=snapshot.lineage.name,
        reason=action.reason.value,
        rotation_id=attempt.rotation_id,
    )
    ports.tell(told)
    if action.overrides is not None:
        ports.tell(replace(told, step=Step.OVERRIDDEN, reason=action.overrides.value))
    minted = await _create(attempt, action, policy, claimed, ports)
    try:
        found = await mint.prove(minted, attempt, policy, claimed, ports)
        if isinstance(found, Unfit):
            return await _unfit(found, minted, attempt, policy, claimed, ports)
        await claimed.keep()
        confirmed = await _publish(found, action, claimed.record, ports)
    except PortError as error:
        await claimed.fail(action.reason, error, policy)
        raise
    if isinstance(confirmed, Hold):
        await claimed.hold(confirmed, policy)
        return confirmed
    hold = await record_publish(found, confirmed, policy, claimed, ports)
    if action.reason is not RotateReason.EMERGENCY:
        ports.tell(
            Told(
                step=Step.OVERLAP,
                lineage=snapshot.lineage.name,
                key_id=action.replaces.key_id,
                until=confirmed.at + attempt.overlap,
            )
        )
    return hold


async def _create(
    attempt: Attempt, action: Rotate, policy: Policy, claimed: ClaimedRecord, ports: Ports
) -> Minted:
    try:
        return await mint.create(attempt, claimed.record, ports)
    except Ambiguous as error:
        await claimed.fail(action.reason, error, policy)
        raise
    except PortError as error:
        # A clear refusal: nothing was created, and nothing of this attempt can appear later.
        claimed.record = bookkeeping.withdrawn(claimed.record, attempt.rotation_id)
        await claimed.fail(action.reason, error, policy)
        raise


async def _publish(candidate: Candidate, action: Rotate, record: Record, ports: Ports) -> Confirmed | Hold:
    """Publish, or return a hold where Vault refuses for good what it said it would allow."""
    publication, base = candidate.publication(action.replaces.key_id), candidate.attempt.base
    try:
        return await publish(publication, record.lineage, record.destination, ports, base=base)
    except (Rejected, Denied) as refused:
        # Another key would fare no better. (With a dead token not even this hold can be written.)
        return Hold(HoldReason.WRITE_REFUSED, str(refused))


async def _unfit(
    unfit: Unfit, minted: Minted, attempt: Attempt, policy: Policy, claimed: ClaimedRecord, ports: Ports
) -> Hold:
    """Delete the candidate, and hold the lineage if another one would be unfit too; else raise Unavailable.

    A key that was not seen to be ours is left alone. If it is, its mark tells so later, as of one whose minter died.
    """
    await claimed.keep()
    if unfit.ours and not await mint.revoke_candidate(minted, attempt, claimed.record, ports):
        claimed.record = bookkeeping.left_alive(claimed.record, attempt.rotation_id, minted.key_id)
    if unfit.hold is None:
        raise Unavailable("prove key", minted.key_id, unfit.what)
    hold = Hold(unfit.hold, unfit.what)
    await claimed.hold(hold, policy, offered=unfit.offered)
    return hold


async def record_publish(
    candidate: Candidate, confirmed: Confirmed, policy: Policy, claimed: ClaimedRecord, ports: Ports
) -> Hold | None:
    """Write a confirmed publish down, give the claim back, and tell of it with its evidence.

    Return a hold when Vault will delete the secret before its time. Raise as `ports.Journal.write`.
    """
    attempt, key = candidate.attempt, candidate.key
    ports.tell(
        Told(
            step=Step.PUBLISHED,
            lineage=claimed.record.lineage.name,
            key_id=key.key_id,
            rotation_id=attempt.rotation_id,
            version=confirmed.version,
        )
    )
    record = bookkeeping.published(
        claimed.record,
        attempt,
        key,
        policy,
        version=confirmed.version,
        at=confirmed.at,
        proven_at=candidate.proven_at,
        holder=ports.holder,
    )
    hold = vanishes(confirmed, key.expires_at)
    if hold is not None:
        record = bookkeeping.held(record, policy, hold.reason, hold.detail, ports.clock.now())
    await write_down(record, claimed, ports)
    return hold


async def write_down(record: Record, claimed: ClaimedRecord, ports: Ports) -> None:
    """Write the record of a rotation that is done, give the claim back, and tell of it with its evidence.

    An unanswered write is looked for, so that its evidence is told. Raise as `ports.Journal.write`.
    """
    try:
        await claimed.give_back(record)
    except Ambiguous:
        read = await _found(record, ports)
        if read is None or read.record is None:
            raise
        claimed.record, claimed.version = read.record, read.version
    ports.tell(evidence_of(record))


async def _found(record: Record, ports: Ports) -> RecordRead | None:
    """Return what the journal holds, if it is seen to hold what this record says of its last rotation."""
    with suppress(PortError):
        read = await ports.journal.read(record.lineage.record_name)
        if read.record is not None and record.history[-1] in read.record.history:
            return read
    return None


def evidence_of(record: Record) -> Told:
    """Return what is told of the rotation that was recorded last: one line that says all of it."""
    last = record.history[-1]
    return Told(
        step=Step.RECORDED,
        lineage=record.lineage.name,
        reason=last.reason.value,
        key_id=last.key_id,
        rotation_id=last.rotation_id,
        version=last.version,
        evidence=last,
    )
