"""Reconcile everything once: the most urgent first, a bounded number at a time, and no more starts than are safe.

Every lineage is looked at, and all is done for it but to start a rotation: taking in, finishing, deleting.
A lineage whose rotation is due waits, without a turn, until `starts` lets it go, and is looked at afresh when that took long.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from rotator import log
from rotator.daemon.breaker import Breaker, Outcome, Shown
from rotator.daemon.starts import Slots, Starts, haste, outcome_of, starts_begun
from rotator.daemon.turns import Turns, share
from rotator.inventory.fleet import Fleet, Found
from rotator.inventory.observe import observe
from rotator.model.entry import Verdict
from rotator.model.lineage import Lineage
from rotator.model.reason import LeftReason
from rotator.model.snapshot import Snapshot
from rotator.plan.actions import Action, Adopt, Revoke, Rotate, Wait
from rotator.plan.decide import decide
from rotator.plan.facts import emergency, head
from rotator.ports import Ports
from rotator.reconcile import Left, Reconciled, Turn, reconcile

RECENT = timedelta(seconds=30)
"""For so long a look is good enough to start a rotation from. What changes meanwhile costs a key that is made for nothing."""

_NEVER = datetime.max.replace(tzinfo=UTC)


async def sweep(
    fleet: Fleet,
    ports_of: Callable[[Lineage], Ports],
    *,
    globs: tuple[str, ...] = (),
    concurrency: int,
    starts_per_hour: int,
    limit: int | None = None,
    breakers: MutableMapping[str, Breaker] | None = None,
    started: Mapping[str, datetime] | None = None,
) -> tuple[Reconciled, ...]:
    """Reconcile every lineage of the fleet that a glob names (all, without globs), and return where each stands.

    At most `limit` rotations are started, and at most `starts_per_hour` within an hour by all processes
    together, those of the most urgent keys; what has `Haste` is counted in the latter, and not bound by it.
    `breakers`, by provider, and when rotations were `started`, by their ids, are kept from sweep to sweep by a process that
    sweeps again: what it started may be in no record that could be read.

    Nothing is started any more once the process is asked to stop, or the sweep is cancelled; lineages whose
    turn had not come then have no last turn. What is under way is always brought to a safe end first.
    """
    chosen = named(fleet, globs)
    if not chosen:
        return ()
    some = ports_of(chosen[0].assignment.lineage)
    ordered = by_urgency(chosen, some.holder, fleet)
    providers = [found.provider for found in ordered]
    breakers = {} if breakers is None else breakers
    recent = len(dict(started or {}) | starts_begun(fleet.records, fleet.listings, some.clock.now()))
    starts = Starts(
        providers,
        slots=Slots(limit, starts_per_hour - recent),
        breakers=breakers,
        at_once=share(concurrency, providers),
        clock=some.clock.monotonic,
    )
    one = _Sweep(fleet, ports_of, Turns(concurrency, providers), starts, breakers)
    return await one.run(ordered)


class _Sweep:
    """One sweep under way. A lineage's `rank` is its place in the order of urgency."""

    def __init__(
        self,
        fleet: Fleet,
        ports_of: Callable[[Lineage], Ports],
        turns: Turns,
        starts: Starts,
        breakers: MutableMapping[str, Breaker],
    ) -> None:
        self._fleet = fleet
        self._ports_of = ports_of
        self._turns = turns
        self._starts = starts
        self._breakers = breakers
        self._cancelled = False

    async def run(self, ordered: Sequence[Found]) -> tuple[Reconciled, ...]:
        """Reconcile each, and return where they stand, in that order. Raise what is a bug once all have ended."""
        tasks = [asyncio.create_task(self._one(rank, found)) for rank, found in enumerate(ordered)]
        try:
            await asyncio.shield(asyncio.gather(*tasks, return_exceptions=True))
        except asyncio.CancelledError:
            self._cancelled = True
            while not all(task.done() for task in tasks):
                with suppress(asyncio.CancelledError):
                    await asyncio.wait(tasks)
            raise
        return tuple(task.result() for task in tasks)

    async def _one(self, rank: int, found: Found) -> Reconciled:
        try:
            given = self._ports_of(found.assignment.lineage)
            ports = replace(given, stopping=lambda: self._cancelled or given.stopping())
            looked = await self._look(found, ports)
            due = _due(looked)
        except BaseException:
            self._starts.seen(rank)  # so that nobody waits for it
            raise
        if due is None:
            self._starts.seen(rank)
            return _with_reason(looked, ports)
        decision, snapshot = due
        at = snapshot.on_provider_clock(ports.clock.now())
        granted: asyncio.Future[Left | None] = asyncio.get_running_loop().create_future()
        refused = snapshot.served.verdict is Verdict.REFUSED
        urgent = haste(decision, found.assignment.policy, at, refused=refused)
        self._starts.wishes(rank, urgent, granted.set_result)
        left = await granted
        return replace(looked, left=left) if left else await self._rotate(rank, found, ports, looked)

    async def _look(self, found: Found, ports: Ports) -> Reconciled:
        """Do all that there is to do now but start a rotation."""
        async with self._turns.under(found.provider):
            if ports.stopping():
                return _looked(found, None)
            surveyed = await self._by_survey(found, ports)
            if surveyed is not None and isinstance(surveyed.decision, Wait | Rotate):
                return _looked(found, surveyed)
            seen = surveyed.snapshot if surveyed is not None else None
            return await reconcile(found.assignment, ports, may_rotate=lambda: False, seen=seen)

    async def _by_survey(self, found: Found, ports: Ports) -> Turn | None:
        """Return where a lineage stands by what the survey read of it, None unless it waits or a key is to be taken in, replaced or deleted.

        That costs no read of record and list. It is good enough to leave a lineage alone, and for what is written to the
        record first, which another process may have changed since. To call a person it is not: a publish of that
        process, in an entry that is read now, looks like a stranger's beside a record that was read before.
        """
        try:
            listing = self._fleet.listings[found.provider]
            snapshot = await observe(found.assignment, ports, record=found.record, listing=listing)
            decision = decide(found.assignment.policy, snapshot, ports.clock.now())
        except Exception:  # noqa: BLE001 (reconcile looks again, and tells what is wrong)
            return None
        if not isinstance(decision, Wait | Adopt | Rotate | Revoke):
            return None
        return Turn(snapshot=snapshot, decision=decision, acted=False)

    async def _rotate(self, rank: int, found: Found, ports: Ports, looked: Reconciled) -> Reconciled:
        """Start the rotation, if it is still due. Return all that was done."""
        left: Left | None = None

        def may_rotate() -> bool:
            nonlocal left
            left = self._starts.refuses(rank)
            return left is None

        outcome: Outcome = Shown.NOTHING
        try:
            async with self._turns.under(found.provider):
                if ports.stopping():
                    return replace(looked, left=Left(LeftReason.STOPPING))
                seen = self._recent(found, looked, ports)
                ended = await reconcile(found.assignment, ports, may_rotate=may_rotate, seen=seen)
            outcome = outcome_of(ended)
        finally:
            self._end(rank, found.provider, outcome)
        whole = replace(ended, last=ended.last or looked.last, done=(*looked.done, *ended.done), left=left)
        return _with_reason(whole, ports)

    def _recent(self, found: Found, looked: Reconciled, ports: Ports) -> Snapshot | None:
        """Return what was seen of a lineage, None when that, or the list that it was seen by, is too old."""
        if looked.last is None:
            return None
        now, listing = ports.clock.now(), self._fleet.listings[found.provider]
        ages = (now - looked.last.snapshot.seen_at, now - listing.seen_at)
        return looked.last.snapshot if all(timedelta(0) <= age <= RECENT for age in ages) else None

    def _end(self, rank: int, provider: str, outcome: Outcome) -> None:
        breaker = self._breakers[provider]
        before = breaker.why
        self._starts.ended(rank, outcome)
        if breaker.why == before:
            return
        if breaker.why:
            log.get("rotator").warning("breaker_opened", provider=provider, detail=breaker.why)
        else:
            log.get("rotator").info("breaker_closed", provider=provider)


def _looked(found: Found, last: Turn | None) -> Reconciled:
    """Return where a lineage stands of which nothing was read afresh."""
    lineage = found.assignment.lineage
    return Reconciled(lineage=lineage.name, lineage_id=lineage.lineage_id, last=last, done=(), error=None)


def _due(looked: Reconciled) -> tuple[Rotate, Snapshot] | None:
    """Return the rotation that a lineage stands before, and what it was decided from."""
    last = looked.last
    if looked.error is not None or last is None or last.acted or not isinstance(last.stands, Rotate):
        return None
    return last.stands, last.snapshot


def _with_reason(ended: Reconciled, ports: Ports) -> Reconciled:
    """Say of a lineage that was left in the middle because the process was asked to stop."""
    last = ended.last
    if ended.left or ended.error or last is None or last.acted or not isinstance(last.stands, Action):
        return ended
    return replace(ended, left=Left(LeftReason.STOPPING)) if ports.stopping() else ended


def named(fleet: Fleet, globs: tuple[str, ...]) -> tuple[Found, ...]:
    """Return the lineages whose name matches any of `globs`; all of them when there is none."""
    return tuple(
        found
        for found in fleet.found
        if not globs or any(fnmatchcase(found.assignment.lineage.name, glob) for glob in globs)
    )


def by_urgency(chosen: Iterable[Found], holder: str, fleet: Fleet) -> list[Found]:
    """Return lineages of a fleet in the order in which a process of that name goes through them."""
    return sorted(chosen, key=lambda found: _urgency(found, holder, fleet))


def _urgency(found: Found, holder: str, fleet: Fleet) -> tuple[bool, bool, datetime, str]:
    """Return what lineages are ordered by.

    Emergencies come first. Those whose last try to rotate failed come last: what fails for a reason of its own must not take the starts of
    the others, nor be the probe that keeps a breaker open. Then counts the expiry of the key in use. Among equals the
    order is shuffled by the name of this process, so that several replicas do not all begin with the same one.
    """
    lineage = found.assignment.lineage
    record = found.known_record
    in_use = (
        head(record) if record else fleet.listings[found.provider].get(str(found.assignment.matched_key_id))
    )
    expires_at = in_use.expires_at if in_use else None
    failure = record.rotate_failure if record else None
    failing = failure is not None and failure.policy_fingerprint == found.assignment.policy.fingerprint
    shuffled = hashlib.sha256(f"{holder} {lineage.lineage_id}".encode()).hexdigest()
    return (not emergency(record), failing, expires_at or _NEVER, shuffled)
