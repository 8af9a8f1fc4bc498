"""The contracts between the flow and the adapters. One test suite per port runs on every implementation.

Every method may raise the errors of `errors.PortError` that its docstring names; anything else is a bug of
the adapter. A method that reads may be repeated freely. A method that writes is sent once: no adapter repeats a write
that may have happened, and after `Ambiguous` the caller looks again before it decides. Only what was surely not done is
sent again, such as a check-and-set that a lagging standby of Vault refused, at the same version.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from rotator.clock import Clock
from rotator.model.entry import Entry, FieldNames, Publication
from rotator.model.format import WRITTEN
from rotator.model.key import Key, KeyRequest, Listing
from rotator.model.lineage import Lineage
from rotator.model.order import Pause
from rotator.model.record import Record
from rotator.model.secret import Secret
from rotator.model.told import Told


@dataclass(frozen=True, slots=True)
class Minted:
    """The answer to a create: the new key's id and its secret, which is shown this once."""

    key_id: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class Proof:
    """What a provider says of a secret: accepted or refused as invalid, and whose it is, where it says so."""

    accepted: bool
    key_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastUse:
    """What a provider's own request log shows of one key, by the provider's clock.

    `used_at` is when the newest request in it was made with the key, None when it shows none. That is no proof
    that nobody uses the key: what was refused is not in the log, and a connection that is still open may not be.
    The log shows what was made from `log_begins_at` to `log_ends_at`; later requests may show yet.
    """

    used_at: datetime | None
    log_begins_at: datetime
    log_ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementKey:
    """Our own credential at a provider, as far as the provider tells; None stands for what it does not.

    `key` is how it shows that key itself: owner and expiry are known with it only. `scopes` are what the key was
    given, `owner_scopes` what its owner was given, whose rights it never exceeds: names of roles may be among both.
    """

    key_id: str | None
    scopes: frozenset[str] | None
    key: Key | None
    owner_email: str | None
    owner_scopes: frozenset[str] | None


class Provider(Protocol):
    """One project at one provider, seen through one management key."""

    async def list_keys(self) -> Listing:
        """Return every key that our management key can see, each with its expiry and tags.

        A key whose own details can't be had is among `Listing.unreadable`, and stops no other. Raise Unavailable,
        Throttled, Denied or Rejected when there is no list. May be partial without saying so: see
        `Listing.proves_absence`.
        """
        ...

    async def get_key(self, key_id: str) -> Key:
        """Return one key as it is now. Raise NotFound, Unavailable, Throttled, Denied or Rejected."""
        ...

    async def create_key(self, request: KeyRequest) -> Minted:
        """Create a key. Not idempotent: never repeated by the adapter.

        Unavailable, Throttled, Denied, Rejected: nothing was created. Ambiguous: a key may exist or may
        come to exist; only its mark will find it.
        """
        ...

    async def revoke_key(self, key_id: str) -> None:
        """Delete a key for good. NotFound: the provider knows no such key, or does not show it to us.

        Not sent when it would have to wait for more than 5 s: what was checked before it may be otherwise then.
        Unavailable, Throttled, Denied, Rejected: not deleted. Ambiguous: it may be deleted, now or later.
        """
        ...

    async def prove(self, secret: Secret) -> Proof:
        """Make a call with `secret` that needs no scope, and say whether it was accepted.

        Refused only when the provider says that the secret is invalid. Raise Unavailable, Throttled or
        Rejected when that could not be learnt.
        """
        ...

    async def last_used(self, key_id: str) -> LastUse:
        """Return when a request was last made with a key, by the provider's own request log.

        Raise Denied, Unavailable, Throttled or Rejected when that can't be learnt: without the right to read the
        log, or where the log shows no request of anybody, so that it may not work.
        """
        ...

    async def management_key(self) -> ManagementKey:
        """Return what the provider tells of our own management key. What it may not read of itself is None.

        Raise Denied when the key is refused as invalid, else Unavailable, Throttled or Rejected.
        """
        ...


@dataclass(frozen=True, slots=True)
class EntryRead:
    """One read of a destination. `at` is Vault's clock. `secret` is None when there is none to use."""

    entry: Entry
    secret: Secret | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Published:
    """The answer to a publish: the version it became, and when Vault will delete that version, if ever."""

    version: int
    deletion_at: datetime | None


class Destinations(Protocol):
    """The KV v2 entries that consumers read."""

    async def read(self, lineage: Lineage, fields: FieldNames, *, at_least: int = 0) -> EntryRead:
        """Return the latest version of the entry.

        A standby may answer with an older one: while the version is below `at_least`, the adapter looks
        again for a few seconds, then returns what it sees. Raise Unavailable, Throttled, Denied or Rejected.
        """
        ...

    async def check_writable(self, lineage: Lineage, fields: FieldNames) -> None:
        """Find out, before anything is minted, whether `publish` will be allowed.

        Raise Denied when a capability is missing on the entry or on the record, Rejected when the merged
        entry would be too large or Vault would delete versions by itself (`delete_version_after`), else
        Unavailable or Throttled.
        """
        ...

    async def publish(
        self, lineage: Lineage, fields: FieldNames, publication: Publication, *, base: int
    ) -> Published:
        """Write into the entry exactly if it still is at version `base`, keeping its other fields.

        Conflict: it was not at `base`, nothing was written. Ambiguous: it may be written, now or later, at
        `base` only. Unavailable, Throttled, Denied, Rejected: nothing was written.
        """
        ...


@dataclass(frozen=True, slots=True)
class RecordRead:
    """One read of a journal record: None and version 0 when there never was one. `at` is Vault's clock."""

    record: Record | None
    version: int
    written_at: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The control record of a journal: its id, made once and at random, which instance owns it, and what is paused.

    `version` is the one that it was read at, 0 for one that is not written yet, and `at` is when, by Vault's clock. `format` and
    `unknown` are as in `model.record.Record`: the fields of a newer format are written back as they are.
    """

    journal_id: str
    instance: str
    pauses: tuple[Pause, ...] = ()
    version: int = 0
    format: int = WRITTEN
    unknown: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    at: datetime | None = field(default=None, compare=False)


class Journal(Protocol):
    """One record per lineage, under a prefix of our own, never with a secret in it."""

    async def control(self) -> Control | None:
        """Return the control record, None when there never was one.

        Raise TooNew when a newer version wrote it and this one may not act by it, Rejected when there is something else
        in its place, or when it was deleted; else Unavailable, Throttled or Denied.
        """
        ...

    async def write_control(self, control: Control) -> None:
        """Write the control record exactly if it still is at `control.version` (0: there never was one).

        Conflict: it was not. Else as `write`.
        """
        ...

    async def names(self) -> tuple[str, ...]:
        """Return the names of all records. Raise Unavailable, Throttled, Denied or Rejected."""
        ...

    async def read(self, name: str) -> RecordRead:
        """Return the latest record of that name (`Lineage.record_name`).

        Raise TooNew when a newer version wrote it and this one may not act by it, Rejected when there is something that is
        not a record this version can read, or when it was deleted; else Unavailable, Throttled or Denied.
        """
        ...

    async def write(self, record: Record, *, base: int) -> int:
        """Write the record exactly if it still is at version `base` (0: there never was one).

        Return the new version. Conflict: it was not at `base`. Ambiguous: it may be written, now or later,
        at `base` only. Rejected: refused for good, or written although Vault will delete that version by
        itself. Unavailable, Throttled, Denied: not written.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSeen:
    """What Vault says of our own token. `ends_at` is None when it never ends; `policies` are names."""

    ends_at: datetime | None
    renewable: bool
    policies: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How Vault keeps versions: how many (0: as many as it does by itself), and whether it deletes them after a time."""

    most_versions: int
    deletes: bool


class Access(Protocol):
    """What our token may do in Vault, and how Vault is set up there. Asked without writing anything."""

    async def token(self) -> TokenSeen | None:
        """Return what Vault says of our token, None when it may not ask. Raise Unavailable, Throttled, Denied or Rejected."""
        ...

    async def mount(self, mount: str) -> Kept | None:
        """Make sure that a mount is KV version 2, and return its settings, None when our token may not read them.

        Raise Rejected when it is none, with what to do; else Unavailable, Throttled or Denied.
        """
        ...

    async def entry(self, lineage: Lineage) -> Kept | None:
        """Return the settings of an entry, None when our token may not read them, or when there is none yet.

        Raise Unavailable, Throttled or Rejected.
        """
        ...

    async def journal_lacks(self) -> tuple[str, ...]:
        """Return the rights on the journal that our token lacks, such as `create on secret/data/rotator/control`.

        Raise Unavailable, Throttled, Denied or Rejected.
        """
        ...


class RotationIds(Protocol):
    """Where new rotation ids come from."""

    def new(self) -> str:
        """Return 16 lower-case hexadecimal digits that were never used before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything outside that the flow may touch for one lineage, and who it is when it does.

    `holder` names this process in claims, `journal_id` names the journal in marks. `claim_ttl` is how long
    a claim lasts without being renewed. `stopping` says whether the process was asked to stop: nothing new
    is begun then, and what is under way is brought to a safe end. `tell` is called at each step.
    """

    provider: Provider
    destinations: Destinations
    journal: Journal
    clock: Clock
    rotation_ids: RotationIds
    holder: str
    journal_id: str
    claim_ttl: timedelta
    stopping: Callable[[], bool]
    tell: Callable[[Told], None]
