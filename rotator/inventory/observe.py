"""Read everything that a decision about one lineage may depend on, once, into one snapshot."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from rotator.errors import PortError, Rejected, TooNew
from rotator.inventory.assignment import Assignment
from rotator.model.entry import Entry, Place, Served, Verdict
from rotator.model.key import Key, Listing, Unreadable, is_rotation_id
from rotator.model.lineage import Lineage
from rotator.model.order import pause_of
from rotator.model.reason import HoldReason
from rotator.model.record import Record
from rotator.model.secret import Secret
from rotator.model.snapshot import CopySeen, Snapshot
from rotator.ports import Control, EntryRead, Ports, RecordRead

REFUSED_AGAIN_AFTER = timedelta(seconds=1)
"""A refusal counts only when it is repeated after this pause."""


NOT_AN_ID = "(not one of ours)"
"""What a snapshot shows in place of a text that is the id of no key, or no rotation id."""


async def observe(
    assignment: Assignment,
    ports: Ports,
    *,
    record: RecordRead | None = None,
    listing: Listing | None = None,
) -> Snapshot:
    """Return one snapshot of the lineage, whole or not at all.

    `record` is given by a holder that has just written it, `listing` by a sweep that has just asked; else
    both are read, and with the record what is paused. What is served is read last, and its secret tried, so that a
    proof is as fresh as `seen_at` says. Raise what the ports raise; only an unreadable record is an answer (a hold), and
    a place besides the destination that can't be read.
    """
    lineage, clock = assignment.lineage, ports.clock
    fleet_hold, fleet_hold_detail = assignment.fleet_hold, assignment.fleet_hold_detail
    paused = assignment.paused
    if record is None:
        control = await ports.journal.control()
        try:
            record = await ports.journal.read(lineage.record_name)
        except Rejected as error:
            record = RecordRead(None, 0, None, clock.now())
            newer = isinstance(error, TooNew)
            fleet_hold = HoldReason.RECORD_NEWER if newer else HoldReason.RECORD_UNREADABLE
            fleet_hold_detail = error.detail
        paused = _paused(lineage, record.record, control)
    if listing is None:
        listing = await ports.provider.list_keys()
    provider_skew = listing.skew
    current = record.record.current if record.record else None
    if record.record is not None:
        lineage, place = record.record.lineage, record.record.destination
    else:
        place = Place(mount=lineage.mount, path=lineage.path, fields=assignment.policy.destination.fields)
    seen_at = clock.now()
    read = await ports.destinations.read(
        lineage.at(place), place.fields, at_least=current.version if current else 0
    )
    vault_skew = read.at - clock.now()
    served = await _try(read.secret, ports)
    keys, unreadable = _concerning(assignment, record, listing)
    copies = await _copies(record, listing, read, served, ports)
    return Snapshot(
        lineage=lineage,
        journal_id=ports.journal_id,
        observer=ports.holder,
        seen_at=seen_at,
        vault_skew=vault_skew,
        provider_skew=provider_skew,
        record=record.record,
        record_version=record.version,
        record_written_at=record.written_at,
        entry=_without_texts(read.entry, record, listing),
        served=served,
        keys=keys,
        unreadable=unreadable,
        absence_proven=listing.proves_absence(served_key_id=current.key.key_id if current else None),
        management_key_id=listing.management_key_id,
        management_member_id=listing.management_member_id,
        matched=listing.get(assignment.matched_key_id) if assignment.matched_key_id else None,
        currents_elsewhere=assignment.currents_elsewhere,
        fleet_hold=fleet_hold,
        fleet_hold_detail=fleet_hold_detail,
        paused=paused,
        copies=copies,
    )


async def unless_paused_since(seen: Snapshot, ports: Ports) -> Snapshot:
    """Return a snapshot of a moment ago with what is paused now. Raise what `Journal.control` raises."""
    return replace(seen, paused=_paused(seen.lineage, seen.record, await ports.journal.control()))


def _paused(lineage: Lineage, record: Record | None, control: Control | None) -> str:
    """Return who paused the lineage, by the name of any place that it is served at, and why."""
    places = record.places if record else ()
    names = frozenset((lineage.name, *(place.name for place in places)))
    return pause_of(names, control.pauses) if control else ""


async def _copies(
    record: RecordRead, listing: Listing, read: EntryRead, served: Served, ports: Ports
) -> tuple[CopySeen, ...]:
    """Return what other places serve. `read` and `served` are the destination's: one secret is not tried twice."""
    copies: list[CopySeen] = []
    if record.record is None:
        return ()
    for copied in record.record.also_at:
        place = copied.place
        lineage = record.record.lineage.at(place)
        try:
            found = await ports.destinations.read(lineage, place.fields, at_least=copied.version)
        except PortError:
            copies.append(CopySeen(place=place))
            continue
        same = found.secret is not None and read.secret is not None and found.secret.matches(read.secret)
        copies.append(
            CopySeen(
                place=place,
                entry=_without_texts(found.entry, record, listing),
                served=served if same else await _try(found.secret, ports),
                same=same,
            )
        )
    return tuple(copies)


def _without_texts(entry: Entry, record: RecordRead, listing: Listing) -> Entry:
    """Return the entry without what only stands where an id should: if field names were exchanged, it is a secret."""
    named = record.record.known_key_ids() if record.record else frozenset[str]()
    key_id, rotation_id = entry.key_id, entry.rotation_id
    if key_id is not None and key_id not in named and not listing.shows(key_id):
        key_id = NOT_AN_ID
    if rotation_id is not None and not is_rotation_id(rotation_id):
        rotation_id = NOT_AN_ID
    return replace(entry, key_id=key_id, rotation_id=rotation_id)


async def _try(secret: Secret | None, ports: Ports) -> Served:
    """Return what the provider says of the served secret.

    A refusal counts only when it is repeated, and when our own key is accepted after it: else it is the
    provider's authentication that fails, not the secret.
    """
    if secret is None:
        return Served(Verdict.NOTHING)
    try:
        proof = await ports.provider.prove(secret)
        if not proof.accepted:
            await ports.clock.sleep(REFUSED_AGAIN_AFTER)
            proof = await ports.provider.prove(secret)
        if not proof.accepted:
            await ports.provider.list_keys()
    except PortError:
        return Served(Verdict.UNKNOWN)
    return Served(Verdict.ACCEPTED if proof.accepted else Verdict.REFUSED, proof.key_id)


def _concerning(
    assignment: Assignment, record: RecordRead, listing: Listing
) -> tuple[tuple[Key, ...], tuple[Unreadable, ...]]:
    """Return the listed keys, and the unreadable ones, that concern this lineage.

    They are named by the record, marked for it, matched, or marked by anybody and named like an original.
    """
    named = set(record.record.known_key_ids()) if record.record else set[str]()
    if assignment.matched_key_id is not None:
        named.add(assignment.matched_key_id)
    alike = {original.key.comment for original in record.record.originals} if record.record else set[str]()
    return listing.concerning(assignment.lineage.lineage_id, named=named, alike=alike)
