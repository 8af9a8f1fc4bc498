"""Carry out what a person ordered: one change of the record, written beside processes that may be at work.

An order that can't be given changes nothing and says why. One that is written stands, whatever becomes of the process
that wrote it: the next look at the lineage acts by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import assert_never

from rotator.errors import Ambiguous, Conflict, Unavailable
from rotator.inventory.assignment import Assignment
from rotator.inventory.observe import observe
from rotator.model.order import Order, OrderKind
from rotator.model.reason import HoldReason
from rotator.model.record import HISTORY_KEPT, Record, Standing
from rotator.model.snapshot import Snapshot
from rotator.plan import facts
from rotator.plan.actions import Adopt, Hold
from rotator.plan.decide import decide
from rotator.plan.rules import HOLDS_OF_MINTING
from rotator.policy.policy import Adopt as AdoptMode
from rotator.ports import Ports
from rotator.rotation import bookkeeping

TRIES = 5
"""How often an order is decided anew because somebody else wrote meanwhile, or no answer came."""

ASK_AGAIN_AFTER = timedelta(seconds=1)
"""How long to wait before looking again whether another process has come to the end of its work."""

PATIENCE = timedelta(minutes=5)
"""How long to wait at most until a lineage is free: a rotation takes less."""


class Declined(StrEnum):
    """Why an order changes nothing. These names are an interface: documents show them."""

    DONE = "done"
    """It is so already."""
    NO_RECORD = "no_record"
    """The lineage is not taken in."""
    NO_KEY = "no_key"
    """No key of the provider matches, or the one that did is gone."""
    NO_ORIGINAL = "no_original"
    """There is no key from before adoption."""
    NOT_REPLACED = "not_replaced"
    """The key from before adoption is still the one in use."""
    NOTHING_OFFERED = "nothing_offered"
    """The lineage is not held for the rights of a new key."""
    FORGOTTEN = "forgotten"
    """The lineage is to be left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """Who orders what, and why, in their own words."""

    kind: OrderKind
    who: str
    why: str


async def give(ordered: Ordered, assignment: Assignment, ports: Ports) -> Record | Declined | Hold:
    """Write an order into the record of one lineage; return the record, or why it changes nothing.

    It waits until no other process works on the lineage; an emergency does not: it takes the claim over. Raise what
    the ports raise; Unavailable when the lineage does not come free.
    """
    order: Order | None = None
    error: Ambiguous | Conflict | None = None
    for _ in range(TRIES):
        snapshot = await free(assignment, ports, at_once=ordered.kind is OrderKind.EMERGENCY)
        if order is None:
            at = snapshot.on_vault_clock(snapshot.seen_at)
            order = Order(kind=ordered.kind, who=ordered.who, why=ordered.why, at=at)
        if snapshot.record is not None and order in snapshot.record.orders:
            return snapshot.record
        changed = _changed(order, assignment, snapshot)
        if not isinstance(changed, Record):
            return changed
        try:
            await ports.journal.write(noted(changed, order), base=snapshot.record_version)
        except (Ambiguous, Conflict) as unclear:
            error = unclear
            continue
        return changed
    raise error or Conflict("order", assignment.lineage.name)


async def free(assignment: Assignment, ports: Ports, *, at_once: bool = False) -> Snapshot:
    """Return a look at the lineage while no other process works on it. `at_once`: even if one does."""
    gives_up_at = ports.clock.monotonic() + PATIENCE.total_seconds()
    while True:
        snapshot = await observe(assignment, ports)
        claimed_until = facts.claimed_until(snapshot)
        claimed = claimed_until is not None and claimed_until > snapshot.on_vault_clock(ports.clock.now())
        if at_once or not claimed:
            return snapshot
        if ports.clock.monotonic() >= gives_up_at:
            raise Unavailable("order", assignment.lineage.name, "another process works on it all the time")
        await ports.clock.sleep(ASK_AGAIN_AFTER)


def noted(record: Record, order: Order) -> Record:
    """Return the record with an order among those that it remembers, and without any claim."""
    return replace(record, orders=(*record.orders, order)[-HISTORY_KEPT:], claim=None)


def taken_in(assignment: Assignment, snapshot: Snapshot) -> Record | Declined | Hold:
    """Return the record of a lineage that had none, as adopting its key makes it; or why that can't be."""
    policy = assignment.policy
    wanted = replace(policy, adopt=AdoptMode.WHEN_DUE)
    decision = decide(wanted, replace(snapshot, paused=""), snapshot.seen_at)
    if isinstance(decision, Hold):
        return decision
    key = snapshot.key(decision.key_id) if isinstance(decision, Adopt) else None
    if not isinstance(decision, Adopt) or key is None:
        return Declined.NO_KEY
    return bookkeeping.adopted(snapshot, policy, key, original=decision.original)


def _changed(order: Order, assignment: Assignment, snapshot: Snapshot) -> Record | Declined | Hold:
    """Return the record as the order makes it, or why it makes nothing of it."""
    match order.kind:
        case OrderKind.ADOPT:
            return _adopt(assignment, snapshot)
        case OrderKind.ROTATE | OrderKind.EMERGENCY:
            return _rotate(order, assignment, snapshot)
        case OrderKind.RELEASE | OrderKind.ACCEPT | OrderKind.FORGET:
            if snapshot.record is None:
                return Declined.NO_RECORD
            return _CHANGES[order.kind](order, snapshot.record)
        case OrderKind.IMPORT:
            raise TypeError("an import needs a secret: see rotation.handed_over")
        case _:
            assert_never(order.kind)


def _adopt(assignment: Assignment, snapshot: Snapshot) -> Record | Declined | Hold:
    record, only_watched = snapshot.record, assignment.policy.adopt is AdoptMode.WATCH
    if record is None:
        made = taken_in(assignment, snapshot)
        return replace(made, by_order=only_watched) if isinstance(made, Record) else made
    if record.forgotten:
        return replace(record, forgotten=False, by_order=only_watched)
    if facts.watched(assignment.policy, record):
        return replace(record, by_order=True)
    return Declined.DONE


def _rotate(order: Order, assignment: Assignment, snapshot: Snapshot) -> Record | Declined | Hold:
    """Let the key in use be replaced now. What failed, or was held, while minting is tried once more."""
    record = snapshot.record or taken_in(assignment, snapshot)
    if not isinstance(record, Record):
        return record
    if record.forgotten:
        return Declined.FORGOTTEN
    if facts.head(record) is None:
        return Declined.NO_KEY
    tried_again = record.hold is not None and record.hold.reason in HOLDS_OF_MINTING
    return replace(
        record,
        standing=Standing(order=order),
        rotate_failure=None,
        revoke_failure=None,
        hold=None if tried_again else record.hold,
    )


def _release(order: Order, record: Record) -> Record | Declined:
    if not record.originals:
        return Declined.NO_ORIGINAL
    if record.current is None:
        return Declined.NOT_REPLACED
    if all(original.released_at is not None for original in record.originals):
        return Declined.DONE
    originals = (
        replace(original, released_at=original.released_at or order.at) for original in record.originals
    )
    return replace(record, originals=tuple(originals), revoke_failure=None)


def _accept(_order: Order, record: Record) -> Record | Declined:
    hold = record.hold
    if hold is None or hold.reason is not HoldReason.PARITY or hold.offered is None:
        return Declined.DONE if record.accepted is not None else Declined.NOTHING_OFFERED
    return replace(record, accepted=hold.offered, hold=None, rotate_failure=None)


def _forget(_order: Order, record: Record) -> Record | Declined:
    return Declined.DONE if record.forgotten else replace(record, forgotten=True, standing=None)


_CHANGES = {OrderKind.RELEASE: _release, OrderKind.ACCEPT: _accept, OrderKind.FORGET: _forget}
