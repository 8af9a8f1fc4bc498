"""The destination: the KV v2 entry that consumers read, as seen and as written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rotator.model.secret import Secret

ROTATION_ID_FIELD = "rotation_id"
"""The field that always carries the rotation id; its name is fixed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldNames:
    """Which field of the entry holds what. None: not written. The secret is always written."""

    secret: str = "api_key"  # noqa: S105 (the name of a field)
    key_id: str | None = "api_key_id"
    previous_key_id: str | None = "previous_api_key_id"
    expires_at: str | None = "expires_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a secret is served: an entry in Vault, and the fields in it."""

    mount: str
    path: str
    fields: FieldNames

    @property
    def name(self) -> str:
        """What people call it: `MOUNT/PATH`, without the fields."""
        return f"{self.mount}/{self.path}"

    def shares_entry(self, other: Place) -> bool:
        """Return whether both are fields of one entry."""
        return (self.mount, self.path) == (other.mount, other.path)


class EntryState(StrEnum):
    """What reading the entry gave. Deleted is never the same as absent: its version numbers go on."""

    ABSENT = "absent"
    PRESENT = "present"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The entry at its latest version, without the secret.

    `version` 0 means that it never had one. `written_at` is when Vault stored this version. `rotation_id`
    and `key_id` are what its fields say, None where they are not there. `has_secret` tells whether the
    secret field exists, whatever it holds.
    """

    state: EntryState
    version: int
    written_at: datetime | None
    rotation_id: str | None
    key_id: str | None
    has_secret: bool


class Verdict(StrEnum):
    """What the provider said of the secret that the entry serves."""

    NOTHING = "nothing"
    """There was no secret to try."""
    ACCEPTED = "accepted"
    REFUSED = "refused"
    """Refused twice as invalid, while our management key was accepted."""
    UNKNOWN = "unknown"
    """It could not be learnt."""


@dataclass(frozen=True, slots=True)
class Served:
    """The verdict on the served secret, and the id of its key where the provider's self-check says it."""

    verdict: Verdict
    key_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What one publish writes into the entry; other fields are kept.

    `rotation_id` is None for a key that the destination held already when it was adopted.
    """

    rotation_id: str | None
    secret: Secret
    key_id: str
    previous_key_id: str | None
    expires_at: datetime | None
