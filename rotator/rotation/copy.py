"""Copy: bring the secret in use to another place that a moved lineage is served at, and read it back.

The destination stays where it is, so nothing here competes with a publish: a copy says what the destination was seen
to serve, exactly at the version of the place that was looked at. One that comes late finds another version there.
"""

from __future__ import annotations

from rotator.errors import Conflict, InvariantViolation, PortError
from rotator.inventory.assignment import Assignment
from rotator.inventory.observe import observe
from rotator.model.entry import Publication
from rotator.model.reason import CopyReason
from rotator.model.record import Copied, Current, Record
from rotator.model.secret import Secret
from rotator.model.snapshot import Snapshot
from rotator.model.told import Step, Told
from rotator.plan import copies
from rotator.plan.actions import Copy, Hold
from rotator.plan.facts import serves_current
from rotator.ports import Ports
from rotator.rotation import bookkeeping
from rotator.rotation.claim import ClaimedRecord
from rotator.rotation.publish import Confirmed, publish, vanishes


async def copy(action: Copy, assignment: Assignment, claimed: ClaimedRecord, ports: Ports) -> Hold | None:
    """Copy the secret in use to one place, and record that. Return the hold it ended in, None when it was done.

    The claim is written first: if that succeeds, the record that this was decided from is the newest one. Then all is
    read afresh and asked again. Raise as `perform`; Conflict when it is not as it was, so that another look tells why.
    """
    await claimed.write(claimed.record)
    record, current = claimed.record, claimed.record.current
    copied = next((one for one in record.also_at if one.place == action.place), None)
    if current is None or copied is None:
        raise InvariantViolation("a copy was to be made that nothing asks for")
    try:
        fresh = await observe(assignment, ports, record=claimed.as_read())
        confirmed, base = await _confirm(copied, current, record, fresh, ports)
    except Conflict:
        await claimed.give_back(record)
        raise
    except PortError as error:
        await claimed.fail(CopyReason.MOVED, error, assignment.policy)
        raise
    done = bookkeeping.copied(record, copied.place, version=confirmed.version, at=confirmed.at, base=base)
    hold = vanishes(confirmed, current.key.expires_at)
    if hold is not None:
        done = bookkeeping.held(done, assignment.policy, hold.reason, hold.detail, ports.clock.now())
    await claimed.give_back(done)
    ports.tell(
        Told(
            step=Step.COPIED,
            lineage=record.lineage.name,
            key_id=current.key.key_id,
            version=confirmed.version,
            detail=record.label(copied.place),
        )
    )
    return hold


async def _confirm(
    copied: Copied, current: Current, record: Record, fresh: Snapshot, ports: Ports
) -> tuple[Confirmed, int | None]:
    """Return where the current secret is confirmed to stand at a place, and the version that was written over, if one was."""
    place, destination, seen = copied.place, record.destination, copies.seen_at(fresh, copied)
    if seen.entry is None:
        await ports.destinations.read(record.lineage.at(place), place.fields)  # raises what is wrong
        raise Conflict("copy to", place.name, "it could not be read, and now it can")
    if not serves_current(fresh) or copies.obstacle(fresh, copied, seen) is not None:
        raise Conflict("copy to", place.name, "it is not as it was")
    base, written_at = seen.entry.version, seen.entry.written_at
    if copies.serves(fresh, seen) and written_at is not None:
        if place.shares_entry(destination) and base != fresh.entry.version:
            raise Conflict("copy to", place.name, "somebody else wrote meanwhile")
        return Confirmed(version=base, at=written_at, deletion_at=None), None
    there = record.lineage.at(destination)
    read = await ports.destinations.read(there, destination.fields, at_least=fresh.entry.version)
    if read.entry.version != fresh.entry.version or read.secret is None:
        # The secret was proven at the version that was looked at, and at no other.
        raise Conflict("copy from", there.name, "somebody else wrote meanwhile")
    publication = _publication(read.secret, current, record)
    return await publish(publication, record.lineage, place, ports, base=base), base


def _publication(secret: Secret, current: Current, record: Record) -> Publication:
    """Return what the publish of the current key wrote."""
    published = record.history[-1] if record.history else None
    return Publication(
        rotation_id=current.rotation_id,
        secret=secret,
        key_id=current.key.key_id,
        previous_key_id=published.replaced_key_id if published else None,
        expires_at=current.key.expires_at,
    )
