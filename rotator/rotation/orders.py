"""Carry out what a person ordered: one change of the record, written beside processes that may be at work.

An order that can't be given changes nothing and says why. One that is written stands, whatever becomes of the process
that wrote it: the next look at the lineage acts by it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar, assert_never

from rotator.errors import Ambiguous, Conflict, PortError, Unavailable
from rotator.inventory.assignment import Assignment
from rotator.inventory.observe import observe
from rotator.model.order import Order, OrderKind
from rotator.model.reason import HoldReason, WaitReason
from rotator.model.record import HISTORY_KEPT, Record
from rotator.model.snapshot import Snapshot
from rotator.model.told import Step, Told
from rotator.plan import facts
from rotator.plan.actions import Adopt, Hold, Wait
from rotator.plan.decide import decide
from rotator.plan.rules import HOLDS_OF_MINTING
from rotator.policy.policy import NO_POLICY
from rotator.policy.policy import Adopt as AdoptMode
from rotator.ports import Journal, Ports
from rotator.rotation import bookkeeping

TRIES = 5
"""How often an order is decided anew because somebody else wrote meanwhile, or no answer came."""

ASK_AGAIN_AFTER = timedelta(seconds=1)
"""How long to wait before looking again at what another process does."""

PATIENCE = timedelta(minutes=5)
"""How long to wait at most until a lineage is free: a rotation takes less."""

Seen = TypeVar("Seen")

SHOWN_AFTER = timedelta(milliseconds=200)
LOOKS = 25
"""So often, after such a pause each, an order that was written is looked for: a standby lags behind."""


class Declined(StrEnum):
    """Why an order changes nothing. These names are an interface: documents show them."""

    DONE = "done"
    """It is so already."""
    NO_RECORD = "no_record"
    """The lineage is not taken in."""
    NO_POLICY = "no_policy"
    """No policy says by which terms it is to be rotated."""
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
    PAUSED = "paused"
    """The lineage is not to be acted on for now."""
    REPLACED = "replaced"
    """The key whose secret was handed over is not in use any more: Vault serves the one that replaced it."""
    NOT_NAMED = "not_named"
    """The policy file does not name the place that the lineage is to be moved to."""
    FIELDS_CROSSED = "fields_crossed"
    """A field of the new place has another meaning at the place before."""
    NOT_SERVED = "not_served"
    """The lineage is not served at the place that is to be given up, or the policy file names that place."""
    NOT_COPIED = "not_copied"
    """The present place does not have the secret in use yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """Who orders what, and why, in their own words. `place` (MOUNT/PATH) is for orders about one."""

    kind: OrderKind
    who: str
    why: str
    place: str = ""

    def at(self, snapshot: Snapshot) -> Order:
        """Return the order as it is kept, given when `snapshot` was taken."""
        return self.given(snapshot.on_vault_clock(snapshot.seen_at))

    def given(self, at: datetime) -> Order:
        """Return the order as it is kept, given at `at` (Vault's clock)."""
        return Order(kind=self.kind, who=self.who, why=self.why, at=at, place=self.place)


async def give(ordered: Ordered, assignment: Assignment, ports: Ports) -> Record | Declined | Hold:
    """Write an order into the record of one lineage; return the record, or why it changes nothing.

    It waits until no other process works on the lineage; an emergency does not: it takes the claim over. Raise what
    the ports raise; Unavailable when the lineage does not come free, or when what is there can't be learnt now.
    """
    order: Order | None = None
    error: Ambiguous | Conflict | None = None
    for _ in range(TRIES):
        snapshot = await free(assignment, ports, at_once=ordered.kind is OrderKind.EMERGENCY)
        order = order or ordered.at(snapshot)
        if snapshot.record is not None and order in snapshot.record.orders:
            ports.tell(told_of(order, assignment))
            return snapshot.record
        changed = _changed(order, assignment, snapshot)
        if not isinstance(changed, Record):
            return changed
        record = noted(changed, order)
        try:
            version = await ports.journal.write(record, base=snapshot.record_version)
        except (Ambiguous, Conflict) as unclear:
            error = unclear
            await ports.clock.sleep(ASK_AGAIN_AFTER)
            continue
        ports.tell(told_of(order, assignment))
        await shown(version, assignment, ports)
        return record
    raise error or Conflict("order", assignment.lineage.name)


async def free(assignment: Assignment, ports: Ports, *, at_once: bool = False) -> Snapshot:
    """Return a look at the lineage while no other process works on it. `at_once`: even if one does.

    Raise Unavailable when it does not come free, or when this process is asked to stop meanwhile.
    """

    def claimed(snapshot: Snapshot) -> bool:
        until = facts.claimed_until(snapshot)
        return not at_once and until is not None and until > snapshot.on_vault_clock(ports.clock.now())

    return await until_free(lambda: observe(assignment, ports), claimed, assignment, ports)


async def until_free(
    look: Callable[[], Awaitable[Seen]], claimed: Callable[[Seen], bool], assignment: Assignment, ports: Ports
) -> Seen:
    """Return the first look that shows no other process at work on the lineage. Raise Unavailable as `free`."""
    gives_up_at = ports.clock.monotonic() + PATIENCE.total_seconds()
    lineage, told = assignment.lineage.name, False
    while claimed(seen := await look()):
        if ports.stopping() or ports.clock.monotonic() >= gives_up_at:
            raise Unavailable("order", lineage, "another process works on it")
        if not told:
            ports.tell(Told(step=Step.WAITING, lineage=lineage, reason=WaitReason.CLAIMED.value))
            told = True
        await ports.clock.sleep(ASK_AGAIN_AFTER)
    return seen


def noted(record: Record, order: Order) -> Record:
    """Return the record with an order among those that it remembers, once, and without any claim."""
    others = tuple(one for one in record.orders if one != order)
    return replace(record, orders=(*others, order)[-HISTORY_KEPT:], claim=None)


def told_of(order: Order, assignment: Assignment) -> Told:
    """Return what is told of an order that was written."""
    about = f"{order.place}, " if order.place else ""
    detail = f"{about}by {order.who}" + (f": {order.why}" if order.why else "")
    return Told(step=Step.ORDERED, lineage=assignment.lineage.name, reason=order.kind.value, detail=detail)


def taken_in(assignment: Assignment, snapshot: Snapshot) -> Record | Declined | Hold:
    """Return the record of a lineage that had none, as adopting its key makes it; or why that can't be.

    Raise Unavailable when what is there could not be learnt just now.
    """
    policy = assignment.policy
    wanted = replace(policy, adopt=AdoptMode.WHEN_DUE)
    decision = decide(wanted, replace(snapshot, paused=""), snapshot.seen_at)
    match decision:
        case Adopt():
            key = snapshot.key(decision.key_id)
            return (
                Declined.NO_KEY
                if key is None
                else bookkeeping.adopted(snapshot, policy, key, original=decision.original)
            )
        case Hold():
            return decision
        case Wait(reason=WaitReason.NOT_FOUND):
            return Declined.NO_KEY
        case _:
            raise Unavailable(
                "order", assignment.lineage.name, "its key or entry can't be looked at just now"
            )


async def shown(version: int, assignment: Assignment, ports: Ports) -> None:
    """Wait until the journal shows what was written, so that whoever looks next acts by it, and let running services look."""
    with suppress(PortError):
        for _ in range(LOOKS):
            read = await ports.journal.read(assignment.lineage.record_name)
            if read.version >= version:
                break
            await ports.clock.sleep(SHOWN_AFTER)
    await _announce(ports.journal)


async def _announce(journal: Journal) -> None:
    """Write the control record again, as it is: at its next version, services read all records once.

    Somebody else's write does as well. When it fails, they will within a day.
    """
    with suppress(PortError):
        control = await journal.control()
        if control is not None:
            await journal.write_control(control)


def _changed(order: Order, assignment: Assignment, snapshot: Snapshot) -> Record | Declined | Hold:
    """Return the record as the order makes it, or why it makes nothing of it."""
    match order.kind:
        case OrderKind.ADOPT:
            return _adopt(assignment, snapshot)
        case OrderKind.ROTATE | OrderKind.EMERGENCY:
            return _rotate(order, assignment, snapshot)
        case OrderKind.RELEASE | OrderKind.ACCEPT | OrderKind.FORGET:
            record, hold = snapshot.record, snapshot.fleet_hold
            if record is None:
                return Declined.NO_RECORD if hold is None else Hold(hold, snapshot.fleet_hold_detail)
            if record.forgotten:
                return Declined.DONE if order.kind is OrderKind.FORGET else Declined.FORGOTTEN
            return _CHANGES[order.kind](order, record)
        case OrderKind.IMPORT | OrderKind.MOVE | OrderKind.GIVE_UP | OrderKind.REBUILD:
            raise TypeError("these are orders of another kind: see rotation.handed_over, .moves and .rebuild")
        case _:
            assert_never(order.kind)


def _adopt(assignment: Assignment, snapshot: Snapshot) -> Record | Declined | Hold:
    record, policy = snapshot.record, assignment.policy
    only_watched = policy.adopt is AdoptMode.WATCH
    if policy.name == NO_POLICY:
        return Declined.NO_POLICY
    if record is None:
        made = taken_in(assignment, snapshot)
        return replace(made, by_order=only_watched) if isinstance(made, Record) else made
    if record.forgotten:
        return replace(
            record, forgotten=False, by_order=only_watched, rotate_failure=None, revoke_failure=None
        )
    if facts.watched(policy, record):
        return replace(record, by_order=True)
    return Declined.DONE


def _rotate(order: Order, assignment: Assignment, snapshot: Snapshot) -> Record | Declined | Hold:
    """Let the key in use be replaced now. What failed, or was held, while minting is tried once more.

    An emergency that stands already is more than an ordinary order, and stays.
    """
    record = snapshot.record or taken_in(assignment, snapshot)
    if not isinstance(record, Record):
        return record
    if record.forgotten:
        return Declined.FORGOTTEN
    if facts.head(record) is None:
        return Declined.NO_KEY
    tried_again = record.hold is not None and record.hold.reason in HOLDS_OF_MINTING
    stands = record.standing is not None and record.standing.kind is OrderKind.EMERGENCY
    return replace(
        record,
        standing=record.standing if stands else order,
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
    return replace(record, forgotten=True, standing=None)


_CHANGES = {OrderKind.RELEASE: _release, OrderKind.ACCEPT: _accept, OrderKind.FORGET: _forget}
