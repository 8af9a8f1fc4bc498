"""Retire: delete a key that nothing needs any more, after checking everything afresh."""

from __future__ import annotations

from contextlib import suppress

from rotator.errors import Conflict, InvariantViolation, NotFound, PortError, Unavailable
from rotator.inventory.assignment import Assignment
from rotator.inventory.observe import observe
from rotator.model.record import Original, Record, Retired
from rotator.model.snapshot import Snapshot
from rotator.model.told import Step, Told
from rotator.plan.actions import Revoke
from rotator.plan.invariants import Obstacle, may_revoke, terms_of
from rotator.ports import Ports
from rotator.rotation.bookkeeping import gone
from rotator.rotation.claim import ClaimedRecord

LOOKS = 2
"""How many lists must lack a key before it counts as gone."""


async def retire(action: Revoke, assignment: Assignment, claimed: ClaimedRecord, ports: Ports) -> None:
    """Revoke one key, see that it is gone, and record that.

    The claim is written first: if that succeeds, the record that this was decided from is the newest one,
    even if it came from a lagging standby. Then provider and destination are read afresh and the planner's
    own predicate is asked again (what other lineages serve is as the survey saw it). Raise as `perform`; Conflict when it now says no, so that another look tells
    why, Unavailable when the answers were too slow to rely on.
    """
    await claimed.write(claimed.record)
    try:
        seen = await _revoke_and_look(action.key_id, assignment, claimed, ports)
    except PortError as error:
        await claimed.fail(action.reason, error, assignment.policy)
        raise
    if isinstance(seen, Obstacle):
        await claimed.give_back(claimed.record)
        raise Conflict("revoke key", action.key_id, f"not any more: {seen}")
    await claimed.give_back(gone(claimed.record, _evidence(action, claimed.record, seen, ports)))
    ports.tell(
        Told(
            step=Step.REVOKED,
            lineage=assignment.lineage.name,
            key_id=action.key_id,
            reason=action.reason.value,
        )
    )


async def _revoke_and_look(
    key_id: str, assignment: Assignment, claimed: ClaimedRecord, ports: Ports
) -> Obstacle | Snapshot:
    """Revoke the key, see it gone, and return what was seen just before; or what stands in the way, with nothing done."""
    fresh = await observe(assignment, ports, record=claimed.as_read())
    obstacle = may_revoke(fresh, key_id, ports.clock.now())
    if obstacle is Obstacle.PROOF_TOO_OLD:
        raise Unavailable("revoke key", key_id, "the answers were too slow for a fresh proof")
    if obstacle is not None:
        return obstacle
    deleted = False
    with suppress(NotFound):  # deleted already, or not shown to us: the list decides
        await ports.provider.revoke_key(key_id)
        deleted = True
    await _see_it_gone(key_id, fresh, ports, deleted=deleted)
    return fresh


def _evidence(action: Revoke, record: Record, fresh: Snapshot, ports: Ports) -> Retired:
    if record.current is None:
        raise InvariantViolation("a key was revoked while nothing is served")
    return Retired(
        key_id=action.key_id,
        reason=action.reason,
        revoked_at=ports.clock.now(),
        served_key_id=record.current.key.key_id,
        served_version=fresh.entry.version,
        holder=ports.holder,
    )


async def _see_it_gone(key_id: str, fresh: Snapshot, ports: Ports, *, deleted: bool) -> None:
    """Return when several lists that can be believed lack the key. Raise Unavailable when one does not.

    A demoted management key still sees the keys of its own member, the served one among them. So after a 404,
    a list without another member's key counts only if it shows some key made by somebody else.
    """
    served = fresh.record.current.key.key_id if fresh.record and fresh.record.current else None
    if not deleted and _member_of(key_id, fresh) != fresh.management_member_id:
        served = None
    for _ in range(LOOKS):
        listing = await ports.provider.list_keys()
        if listing.shows(key_id) or not listing.proves_absence(served_key_id=served):
            raise Unavailable("revoke key", key_id, "the provider still lists it, or shows only a part")


def _member_of(key_id: str, fresh: Snapshot) -> str | None:
    terms = terms_of(fresh, key_id)
    return terms.key.member_id if isinstance(terms, Original) else terms.member_id if terms else None
