"""Import: publish the secret of the key in use, which a person handed over, so that consumers can read Vault now.

Nothing is created. The steps are those of a rotation all the same: an intent with its base in the record, then the
publish at that base only, then the record. So a crash in between is finished by the next look, and a second process
that rotates meanwhile wins or loses as always.
"""

from __future__ import annotations

from dataclasses import replace

from rotator.errors import Ambiguous, Conflict, PortError, Rejected
from rotator.inventory.assignment import Assignment
from rotator.model.key import Key
from rotator.model.order import Order, OrderKind
from rotator.model.reason import HoldReason, RotateReason
from rotator.model.record import Attempt, KnownKey, Record
from rotator.model.secret import Secret
from rotator.model.snapshot import Snapshot
from rotator.plan import facts
from rotator.plan.actions import Adopt, Finish, Hold
from rotator.plan.decide import decide
from rotator.policy.schedule import remembered_until
from rotator.ports import Ports
from rotator.rotation import bookkeeping
from rotator.rotation.claim import ClaimedRecord
from rotator.rotation.mint import Candidate
from rotator.rotation.orders import Declined, Ordered, free, noted, taken_in
from rotator.rotation.perform import perform
from rotator.rotation.publish import publish
from rotator.rotation.rotate import evidence_of


async def hand_over(
    secret: Secret, ordered: Ordered, assignment: Assignment, ports: Ports
) -> Record | Declined | Hold:
    """Prove that `secret` is that of the lineage's key, publish it, and record that.

    Return the record, or why there is nothing to publish: the destination holds this secret already (DONE), the key
    was replaced already (so its successor is published), the lineage is held or forgotten. Raise Rejected when the
    secret is not that of the key in use, else what the ports raise; after Ambiguous, the next look finishes it.
    """
    snapshot = await free(assignment, ports)
    started = _started(assignment, snapshot)
    if not isinstance(started, Record):
        return started
    known = facts.head(started)
    key = snapshot.key(known.key_id) if known else None
    if known is None or key is None:
        return Declined.NO_KEY
    await _check(secret, key, ports)
    if snapshot.entry.has_secret:
        return await _already_there(assignment, snapshot, ports)
    if started.current is not None:
        return Hold(HoldReason.ENTRY_CHANGED, f"version {snapshot.entry.version}")
    order = Order(
        kind=OrderKind.IMPORT,
        who=ordered.who,
        why=ordered.why,
        at=snapshot.on_vault_clock(snapshot.seen_at),
    )
    return await _publish(secret, known, key, noted(started, order), snapshot, assignment, ports)


def _started(assignment: Assignment, snapshot: Snapshot) -> Record | Declined | Hold:
    """Return the record to begin from, or what stands in the way."""
    record = snapshot.record
    if record is None:
        return taken_in(assignment, snapshot)
    if record.forgotten:
        return Declined.FORGOTTEN
    decision = decide(assignment.policy, replace(snapshot, paused=""), snapshot.seen_at)
    if isinstance(decision, Hold):
        return decision
    return record


async def _check(secret: Secret, key: Key, ports: Ports) -> None:
    """Raise Rejected unless the provider says that `secret` is the secret of `key`."""
    proof = await ports.provider.prove(secret)
    if not proof.accepted:
        raise Rejected(
            "import secret of key", key.key_id, "the provider does not accept what was handed over"
        )
    if proof.key_id is None:
        raise Rejected("import secret of key", key.key_id, "the provider does not say whose secret it is")
    if proof.key_id != key.key_id:
        raise Rejected(
            "import secret of key", key.key_id, f"what was handed over is the secret of key {proof.key_id}"
        )


async def _already_there(
    assignment: Assignment, snapshot: Snapshot, ports: Ports
) -> Record | Declined | Hold:
    """Take note of a secret that the destination holds: it is this very key's, or else nothing is touched."""
    decision = decide(assignment.policy, replace(snapshot, paused=""), snapshot.seen_at)
    if isinstance(decision, Adopt | Finish):
        await perform(decision, assignment, snapshot, ports)
    return decision if isinstance(decision, Hold) else Declined.DONE


async def _publish(
    secret: Secret,
    known: KnownKey,
    key: Key,
    record: Record,
    snapshot: Snapshot,
    assignment: Assignment,
    ports: Ports,
) -> Record:
    fields, policy = record.fields, assignment.policy
    await ports.destinations.check_writable(snapshot.lineage, fields)
    attempt = _attempt(known, snapshot, assignment, ports)
    claimed = ClaimedRecord(ports, snapshot)
    await claimed.write(bookkeeping.intended(record, attempt))
    candidate = Candidate(attempt=attempt, key=key, secret=secret, proven_at=ports.clock.now())
    try:
        confirmed = await publish(candidate, snapshot.lineage, fields, None, ports)
    except (Ambiguous, Conflict):
        raise
    except PortError:
        await claimed.give_back(bookkeeping.withdrawn(claimed.record, attempt.rotation_id))
        raise
    published = bookkeeping.published(
        claimed.record,
        attempt,
        key,
        policy,
        version=confirmed.version,
        at=confirmed.at,
        proven_at=candidate.proven_at,
        holder=ports.holder,
    )
    await claimed.give_back(published)
    ports.tell(evidence_of(published))
    return published


def _attempt(known: KnownKey, snapshot: Snapshot, assignment: Assignment, ports: Ports) -> Attempt:
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
