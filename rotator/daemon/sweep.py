"""Reconcile everything once: the most urgent first, a bounded number at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from rotator.inventory.fleet import Fleet, Found
from rotator.inventory.observe import observe
from rotator.model.lineage import Lineage
from rotator.plan.actions import Wait
from rotator.plan.decide import decide
from rotator.plan.facts import head
from rotator.ports import Ports
from rotator.reconcile import Reconciled, Turn, reconcile

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Allowance:
    """How many rotations may still be started. None: any number."""

    left: int | None

    def take(self) -> bool:
        """Return whether one more may be started, and count it."""
        if self.left is None:
            return True
        if self.left == 0:
            return False
        self.left -= 1
        return True


async def sweep(
    fleet: Fleet,
    ports_of: Callable[[Lineage], Ports],
    *,
    globs: tuple[str, ...] = (),
    concurrency: int,
    limit: int | None = None,
) -> tuple[Reconciled, ...]:
    """Reconcile every lineage of the fleet that a glob names (all, without globs), and return where each stands.

    Those whose key expires first come first; among equals the order is shuffled by the name of this
    process, so that several replicas do not all begin with the same one. At most `limit` rotations are
    started, those of the most urgent keys: with a limit, lineages have their turn one after another.

    Nothing is started any more once the process is asked to stop, or the sweep is cancelled; lineages whose
    turn had not come then have no last turn. What is under way is always brought to a safe end first.
    """
    allowance = Allowance(limit)
    cancelled = asyncio.Event()
    turns = asyncio.Semaphore(concurrency if limit is None else 1)

    async def one(found: Found) -> Reconciled:
        lineage = found.assignment.lineage
        given = ports_of(lineage)
        ports = replace(given, stopping=lambda: cancelled.is_set() or given.stopping())
        async with turns:
            if ports.stopping():
                return Reconciled(lineage=lineage.name, last=None, done=(), error=None)
            waits = await _left_alone(found, fleet, ports)
            return waits or await reconcile(found.assignment, ports, may_rotate=allowance.take)

    chosen = named(fleet, globs)
    ordered = sorted(
        chosen, key=lambda found: _urgency(found, ports_of(found.assignment.lineage).holder, fleet)
    )
    tasks = [asyncio.create_task(one(found)) for found in ordered]
    try:
        for task in tasks:
            await asyncio.shield(task)
    except asyncio.CancelledError:
        cancelled.set()
        while not all(task.done() for task in tasks):
            with suppress(asyncio.CancelledError):
                await asyncio.wait(tasks)
        raise
    return tuple(task.result() for task in tasks)


async def _left_alone(found: Found, fleet: Fleet, ports: Ports) -> Reconciled | None:
    """Return where a lineage stands by what the survey read of it, None unless it only waits.

    A survey is good enough to leave a lineage alone, which costs no read of record and list then. To act, or
    to call a person, it is not: another process may have been at work since, and its publish in an entry
    that is read now looks like a stranger's beside a record that was read before.
    """
    try:
        snapshot = await observe(
            found.assignment, ports, record=found.record, listing=fleet.listings[found.provider]
        )
        decision = decide(found.assignment.policy, snapshot, ports.clock.now())
    except Exception:  # noqa: BLE001 (reconcile looks again, and tells what is wrong)
        return None
    if not isinstance(decision, Wait):
        return None
    last = Turn(snapshot=snapshot, decision=decision, acted=False, held=None)
    return Reconciled(lineage=found.assignment.lineage.name, last=last, done=(), error=None)


def named(fleet: Fleet, globs: tuple[str, ...]) -> tuple[Found, ...]:
    """Return the lineages whose name matches any of `globs`; all of them when there is none."""
    return tuple(
        found
        for found in fleet.found
        if not globs or any(fnmatchcase(found.assignment.lineage.name, glob) for glob in globs)
    )


def _urgency(found: Found, holder: str, fleet: Fleet) -> tuple[datetime, str]:
    """Return what lineages are ordered by: the expiry of the key in use, then a shuffle of this process."""
    lineage = found.assignment.lineage
    record = found.record.record if found.record else None
    in_use = (
        head(record) if record else fleet.listings[found.provider].get(str(found.assignment.matched_key_id))
    )
    expires_at = in_use.expires_at if in_use else None
    shuffled = hashlib.sha256(f"{holder} {lineage.lineage_id}".encode()).hexdigest()
    return (expires_at or _NEVER, shuffled)
