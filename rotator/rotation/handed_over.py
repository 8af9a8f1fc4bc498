"""Import: publish the secret of the key in use, which a person handed over, so that consumers can read Vault now.

Nothing is created. The steps are those of a rotation all the same: an intent with its base in the record, then the
publish at that base only, then the record. So a crash in between is finished by the next look, and a second process
that rotates meanwhile wins or loses as always.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from rotator.errors import Ambiguous, Conflict, PortError, Rejected, Unavailable
from rotator.inventory.assignment import Assignment
from rotator.model.entry import Served, Verdict
from rotator.model.key import Key
from rotator.model.order import Order
from rotator.model.reason import RotateReason
from rotator.model.record import Attempt, KnownKey, Record
from rotator.model.secret import Secret
from rotator.model.snapshot import Snapshot
from rotator.plan import facts
from rotator.plan.actions import Adopt, Decision, Finish, Hold
from rotator.plan.decide import decide
from rotator.policy.schedule import remembered_until
from rotator.ports import Ports
from rotator.rotation import bookkeeping
from rotator.rotation.claim import ClaimedRecord
from rotator.rotation.mint import Candidate
from rotator.rotation.orders import (
    ASK_AGAIN_AFTER,
    TRIES,
    Declined,
    Ordered,
    free,
    noted,
    taken_in,
    told_of,
)
from rotator.rotation.perform import perform
from rotator.rotation.publish import publish
from rotator.rotation.rotate import record_publish


async def hand_over(
    secret: Secret, ordered: Ordered, assignment: Assignment, ports: Ports
) -> Record | Declined | Hold:
    """Prove that `secret` is that of the lineage's key, publish it, and record that.

    Return the record, or why there is nothing to publish. It waits until no other process works on the lineage, and
    looks again when no clear answer came. Raise Rejected when the secret is not that of the key in use, else what the
    ports raise.
    """
    order: Order | None = None
    error: Ambiguous | Conflict | None = None
    for _ in range(TRIES):
        snapshot = await free(assignment, ports)
        order = order or ordered.at(snapshot)
        try:
            return await _hand_over(secret, order, assignment, snapshot, ports)
        except (Ambiguous, Conflict) as unclear:
            error = unclear
            await ports.clock.sleep(ASK_AGAIN_AFTER)
    raise error or Conflict("import into", assignment.lineage.name)


async def _hand_over(
    secret: Secret, order: Order, assignment: Assignment, snapshot: Snapshot, ports: Ports
) -> Record | Declined | Hold:
    started = _started(assignment, snapshot)
    if not isinstance(started, Record):
        return started
    known = facts.head(started)
    key = snapshot.key(known.key_id) if known else None
    if known is None or key is None:
        return Declined.NO_KEY
    proven_at = await _proven(secret, key, started, ports)
    if proven_at is None:
        return Declined.REPLACED
    if snapshot.entry.has_secret:
        return await _already_there(key, started, assignment, snapshot, ports)
    place = started.destination
    await ports.destinations.check_writable(started.lineage.at(place), place.fields)
    attempt = _attempt(known, assignment, snapshot, ports)
    claimed = ClaimedRecord(ports, snapshot)
    await claimed.write(bookkeeping.intended(noted(started, order), attempt))
    ports.tell(told_of(order, assignment))
    candidate = Candidate(attempt=attempt, key=key, secret=secret, proven_at=proven_at)
    try:
        confirmed = await publish(
            candidate.publication(None), started.lineage, place, ports, base=attempt.base
        )
    except PortError:
        # The attempt stays: what was sent may yet be written, and is finished then.
        with suppress(PortError):
            await claimed.give_back(claimed.record)
        raise
    hold = await record_publish(candidate, confirmed, assignment.policy, claimed, ports)
    return hold or claimed.record


def _started(assignment: Assignment, snapshot: Snapshot) -> Record | Declined | Hold:
    """Return the record to begin from, or what stands in the way."""
    record = snapshot.record
    if record is not None and record.forgotten:
        return Declined.FORGOTTEN
    if snapshot.paused:
        return Declined.PAUSED
    if record is None:
        return taken_in(assignment, snapshot)
    decision = _decision(assignment, snapshot)
    return decision if isinstance(decision, Hold) else record


async def _proven(secret: Secret, key: Key, record: Record, ports: Ports) -> datetime | None:
    """Return when the provider said that `secret` is the secret of `key`, None if it is that of one that `key` replaced.

    Raise Rejected when it is anything else.
    """
    proof = await ports.provider.prove(secret)
    if proof.accepted and proof.key_id == key.key_id:
        return ports.clock.now()
    if not proof.accepted:
        why = "the provider does not accept what was handed over"
    elif proof.key_id is None:
        why = "the provider does not say whose secret was handed over"
    elif record.current is not None and proof.key_id in record.known_key_ids():
        return None
    else:
        why = f"what was handed over is the secret of key {proof.key_id}"
    raise Rejected("import secret of key", key.key_id, why)


async def _already_there(
    key: Key, record: Record, assignment: Assignment, snapshot: Snapshot, ports: Ports
) -> Record | Declined | Hold:
    """Take note of a secret that the destination holds already; it is never written over."""
    decision = _decision(assignment, snapshot)
    if isinstance(decision, Hold):
        return decision
    if isinstance(decision, Adopt | Finish):
        await perform(decision, assignment, snapshot, ports)
    if snapshot.served == Served(Verdict.ACCEPTED, key.key_id):
        # A publish that was to be finished is one of an import, and most likely ours that was not answered.
        return record if isinstance(decision, Finish) else Declined.DONE
    if isinstance(decision, Finish):
        return Declined.REPLACED
    raise Unavailable("import into", snapshot.lineage.name, "whose secret is there could not be learnt")


def _decision(assignment: Assignment, snapshot: Snapshot) -> Decision:
    return decide(assignment.policy, snapshot, snapshot.seen_at)


def _attempt(known: KnownKey, assignment: Assignment, snapshot: Snapshot, ports: Ports) -> Attempt:
    intent_at = snapshot.on_provider_clock(ports.clock.now())
    return Attempt(
        rotation_id=ports.rotation_ids.new(),
        base=snapshot.entry.version,
        intent_at=intent_at,
        comment=known.comment,
        asked_scopes=known.asked_scopes,
        expected_scopes=known.scopes,
        tags=known.tags,
        expected_tags=known.tags,
        lifetime=None,
        overlap=assignment.policy.overlap,
        reason=RotateReason.IMPORTED,
        keep_until=remembered_until(intent_at, None),
        key_id=known.key_id,
    )
