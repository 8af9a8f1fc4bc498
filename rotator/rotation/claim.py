"""The claim: a time-bound, fenced right to act, and the record that is written under it.

Safety does not come from the claim but from check-and-set: every write names the version that it was
decided from. The claim is there so that two processes do not both work.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from rotator.errors import InvariantViolation, PortError, Throttled
from rotator.model.reason import CopyReason, RevokeReason, RotateReason
from rotator.model.record import Claim, Record, Rights
from rotator.model.snapshot import Snapshot
from rotator.plan.actions import Hold
from rotator.plan.facts import marks_seen
from rotator.policy.policy import Policy
from rotator.ports import Ports, RecordRead
from rotator.rotation import bookkeeping


class ClaimedRecord:
    """The record of one lineage as this holder last wrote it."""

    def __init__(self, ports: Ports, snapshot: Snapshot) -> None:
        """Begin from the record that `snapshot` saw; nothing is written yet."""
        self._ports = ports
        self._snapshot = snapshot
        self._written = ports.clock.monotonic()
        self._record = snapshot.record
        self.version = snapshot.record_version

    @property
    def record(self) -> Record:
        """The record as it was last written or read. There is none before a lineage is adopted."""
        if self._record is None:
            raise InvariantViolation("a lineage without a record was to be acted on")
        return self._record

    @record.setter
    def record(self, record: Record) -> None:
        """Note what the next write is to start from."""
        self._record = record

    async def write(self, record: Record) -> None:
        """Write `record` with the claim on it. Raise as `ports.Journal.write`."""
        await self._write(replace(record, claim=Claim(self._ports.holder, self._ports.claim_ttl)))

    async def give_back(self, record: Record) -> None:
        """Write `record` without the claim. Raise as `ports.Journal.write`."""
        await self._write(replace(record, claim=None))

    async def hold(self, hold: Hold, policy: Policy, *, offered: Rights | None = None) -> None:
        """Write a hold down and give the claim back. Raise as `ports.Journal.write`."""
        now = self._ports.clock.now()
        held = bookkeeping.held(self.record, policy, hold.reason, hold.detail, now, offered=offered)
        await self.give_back(held)

    async def fail(
        self, tried: RotateReason | CopyReason | RevokeReason, error: PortError, policy: Policy
    ) -> None:
        """Write a failure and the next try down and give the claim back, if Vault can be reached for it.

        If not, the claim runs out by itself, and the next look finds what there is to find.
        """
        now = self._ports.clock.now()
        not_before = now + (error.retry_after or timedelta(0)) if isinstance(error, Throttled) else now
        with suppress(PortError):
            await self.give_back(
                bookkeeping.failed(self.record, policy, tried, str(error), now, not_before=not_before)
            )

    async def keep(self) -> None:
        """Renew the claim when a third of it has passed. Raise when it can't be: no further step then."""
        if self._ports.clock.monotonic() - self._written >= self._ports.claim_ttl.total_seconds() / 3:
            await self.write(self.record)

    def as_read(self) -> RecordRead:
        """Return the record as a read of what was just written would give it."""
        at = self._snapshot.on_vault_clock(self._ports.clock.now())
        return RecordRead(self.record, self.version, at, at)

    async def _write(self, record: Record) -> None:
        written = self._ports.clock.monotonic()
        provider_now = self._snapshot.on_provider_clock(self._ports.clock.now())
        record = bookkeeping.pruned(record, provider_now, marks_seen(self._snapshot))
        self.version = await self._ports.journal.write(record, base=self.version)
        self.record, self._written = record, written
