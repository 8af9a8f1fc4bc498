"""What inventory saw of one lineage at one instant: all that a decision may depend on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.model.entry import Entry, Place, Served, Verdict
from rotator.model.key import Key, ListedKey, Unreadable
from rotator.model.lineage import Lineage
from rotator.model.reason import HoldReason
from rotator.model.record import Names, Record

UNREAD = Served(Verdict.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySeen:
    """A place that is served besides the destination. `entry` None: it could not be read.

    `same` says whether its secret is the one at the destination.
    """

    place: Place
    entry: Entry | None = None
    served: Served = UNREAD
    same: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One lineage, seen whole. Holds no secret, so it can be saved and decided on again offline.

    `observer` is the name of the process that looked (holder of its claims). `seen_at` is our clock;
    `vault_skew` and `provider_skew` are what those clocks were ahead of it. `keys` are the keys of the
    project that concern this lineage: named by its record, marked for it, or matched by its policy.
    `unreadable` are further such keys, listed but without details. `absence_proven` says whether a key missing
    from both is really gone. `matched` is the key that a
    policy gives to this lineage while it has no record. `currents_elsewhere` are those of the
    record's keys that other lineages serve, None while that is not known whole. `fleet_hold` is a hold that follows from looking at all lineages,
    `fleet_hold_detail` names what clashes: keys, policies, never a secret. `paused` says who paused the lineage and
    why, "" when nobody did. `copies` are the places that are served besides the destination.
    """

    lineage: Lineage
    journal_id: str
    observer: str
    seen_at: datetime
    vault_skew: timedelta
    provider_skew: timedelta
    record: Record | None
    record_version: int
    record_written_at: datetime | None
    entry: Entry
    served: Served
    keys: tuple[Key, ...]
    absence_proven: bool
    management_key_id: str | None
    management_member_id: str | None
    matched: Key | None
    currents_elsewhere: Names | None
    fleet_hold: HoldReason | None
    fleet_hold_detail: str = ""
    paused: str = ""
    unreadable: tuple[Unreadable, ...] = ()
    copies: tuple[CopySeen, ...] = ()

    @property
    def listed(self) -> tuple[ListedKey, ...]:
        """All keys that were seen, readable or not."""
        return (*self.keys, *self.unreadable)

    def lists(self, key_id: str) -> bool:
        """Return whether the key with that id was seen, readable or not."""
        return any(key.key_id == key_id for key in self.listed)

    def key(self, key_id: str | None) -> Key | None:
        """Return the key with that id, None when it was not seen or can't be read."""
        return next((key for key in self.keys if key.key_id == key_id), None)

    def on_vault_clock(self, now: datetime) -> datetime:
        """Return what Vault's clock shows at `now` of ours."""
        return now + self.vault_skew

    def on_provider_clock(self, now: datetime) -> datetime:
        """Return what the provider's clock shows at `now` of ours."""
        return now + self.provider_skew
