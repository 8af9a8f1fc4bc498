"""Publish: put the new secret where consumers read, at the base that the intent recorded, and read it back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.errors import Ambiguous, Conflict, PortError, Throttled, Unavailable
from rotator.model.entry import Place, Publication
from rotator.model.lineage import Lineage
from rotator.model.reason import HoldReason
from rotator.plan.actions import Hold
from rotator.ports import EntryRead, Ports

SENDS = 3
"""How often a publish is sent at most: at one base, only one of them can succeed."""

SEND_AGAIN_AFTER = timedelta(seconds=1)
"""How long to wait before Vault is asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A publish that was read back: its version, its instant, and when Vault will delete it, if ever."""

    version: int
    at: datetime
    deletion_at: datetime | None


async def publish(
    publication: Publication, lineage: Lineage, place: Place, ports: Ports, *, base: int
) -> Confirmed:
    """Write a secret into a place at version `base` and no other, and confirm it by reading it back.

    An unanswered write may have been committed, or may be yet. So after one the entry is read: if it shows
    what we wrote, the write happened; if it still is at the base, the same write is sent again, which
    can't succeed twice. Raise Conflict when somebody else wrote there, Ambiguous when it can't be found
    out, else what a write refused for good raises.
    """
    there, fields = lineage.at(place), place.fields
    deletion_at = None
    error: PortError | None = None
    for _ in range(SENDS):
        version = base + 1
        try:
            published = await ports.destinations.publish(there, fields, publication, base=base)
            version, deletion_at = published.version, published.deletion_at
        except (Unavailable, Throttled) as refused:
            error = refused
            await ports.clock.sleep(SEND_AGAIN_AFTER)
            continue
        except (Ambiguous, Conflict) as unclear:
            # Ours may be the write that won: the entry tells.
            error = unclear
        read = await ports.destinations.read(there, fields, at_least=version)
        if _is_ours(read, publication) and read.entry.written_at is not None:
            return Confirmed(version=read.entry.version, at=read.entry.written_at, deletion_at=deletion_at)
        if read.entry.version != base:
            raise Conflict("publish", there.name, f"the entry is at version {read.entry.version}")
    raise error or Ambiguous("publish", there.name, "it was answered and does not show")


def vanishes(confirmed: Confirmed, expires_at: datetime | None) -> Hold | None:
    """Return a hold when Vault will delete the published version before its key expires."""
    deletion_at = confirmed.deletion_at
    if deletion_at is None or (expires_at is not None and deletion_at >= expires_at):
        return None
    return Hold(HoldReason.ENTRY_EXPIRES, f"version {confirmed.version} is deleted at {deletion_at}")


def _is_ours(read: EntryRead, publication: Publication) -> bool:
    """Return whether the entry holds exactly what this publish wrote."""
    same_attempt = read.entry.rotation_id == publication.rotation_id
    return same_attempt and read.secret is not None and read.secret.matches(publication.secret)
