"""Publish: put the new secret where consumers read, at the base that the intent recorded, and read it back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.errors import Ambiguous, Conflict, PortError, Throttled, Unavailable
from rotator.model.entry import FieldNames, Publication
from rotator.model.lineage import Lineage
from rotator.ports import EntryRead, Ports
from rotator.rotation.mint import Candidate

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
    candidate: Candidate, lineage: Lineage, fields: FieldNames, previous_key_id: str | None, ports: Ports
) -> Confirmed:
    """Write the candidate's secret at its base and nowhere else, and confirm it by reading it back.

    An unanswered write may have been committed, or may be yet. So after one the entry is read: if it shows
    our rotation id, the write happened; if it still is at the base, the same write is sent again, which
    can't succeed twice. Raise Conflict when somebody else wrote there, Ambiguous when it can't be found
    out, else what a write refused for good raises.
    """
    attempt = candidate.attempt
    publication = Publication(
        rotation_id=attempt.rotation_id,
        secret=candidate.secret,
        key_id=candidate.key.key_id,
        previous_key_id=previous_key_id,
        expires_at=candidate.key.expires_at,
    )
    deletion_at = None
    last: PortError = Ambiguous("publish", lineage.name, "not tried")
    for _ in range(SENDS):
        version = attempt.base + 1
        try:
            published = await ports.destinations.publish(lineage, fields, publication, base=attempt.base)
            version, deletion_at = published.version, published.deletion_at
        except (Unavailable, Throttled) as error:
            last = error
            await ports.clock.sleep(SEND_AGAIN_AFTER)
            continue
        except (Ambiguous, Conflict) as error:
            # Ours may be the write that won: the entry tells.
            last = error
        read = await ports.destinations.read(lineage, fields, at_least=version)
        if _is_ours(read, candidate) and read.entry.written_at is not None:
            return Confirmed(version=read.entry.version, at=read.entry.written_at, deletion_at=deletion_at)
        if read.entry.version != attempt.base:
            raise Conflict("publish", lineage.name, f"the entry is at version {read.entry.version}")
    raise last


def _is_ours(read: EntryRead, candidate: Candidate) -> bool:
    """Return whether the entry holds exactly what this publish wrote."""
    same_attempt = read.entry.rotation_id == candidate.attempt.rotation_id
    return same_attempt and read.secret is not None and read.secret.matches(candidate.secret)
