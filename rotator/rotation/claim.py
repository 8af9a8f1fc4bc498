"""The claim: a time-bound, fenced right to act, and the record that is written under it.

Safety does not come from the claim but from check-and-set: every write names the version that it was
decided from. The claim is there so that two processes do not both work.
"""

from __future__ import annotations

from dataclasses import replace

from rotator.model.record import Claim, Record
from rotator.model.snapshot import Snapshot
from rotator.ports import Ports, RecordRead
from rotator.rotation.bookkeeping import pruned


class ClaimedRecord:
    """The record of one lineage as this holder last wrote it."""

    def __init__(self, ports: Ports, snapshot: Snapshot, record: Record) -> None:
        """Begin from the version that `snapshot` saw; nothing is written yet."""
        self._ports = ports
        self._snapshot = snapshot
        self._written = ports.clock.monotonic()
        self.record = record
        self.version = snapshot.record_version

    async def write(self, record: Record) -> None:
        """Write `record` with the claim on it. Raise as `ports.Journal.write`."""
        await self._write(replace(record, claim=Claim(self._ports.holder, self._ports.claim_ttl)))

    async def give_back(self, record: Record) -> None:
        """Write `record` without the claim. Raise as `ports.Journal.write`."""
        await self._write(replace(record, claim=None))

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
        seen = frozenset(mark.rotation_id for key in self._snapshot.keys if (mark := key.mark) is not None)
        record = pruned(record, self._snapshot.on_provider_clock(self._ports.clock.now()), seen)
        self.version = await self._ports.journal.write(record, base=self.version)
        self.record, self._written = record, written
