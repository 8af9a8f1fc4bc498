"""Why the planner said what it said. These names are an interface: logs, metrics, status, docs and tests use them.

Sentences are made at the edge (`cli.words`), from these.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias


class RotateReason(StrEnum):
    """Why a new key is made."""

    DUE_BY_EXPIRY = "due_by_expiry"
    """The expiry that the provider granted comes near (`rotate_before`)."""
    DUE_BY_AGE = "due_by_age"
    """The key has reached `max_age`."""
    ADOPT_NOW = "adopt_now"
    """The policy says `adopt: now` and nothing was published yet."""
    SERVED_KEY_REFUSED = "served_key_refused"
    """The provider refuses the secret that Vault serves: consumers are failing now."""
    ORDERED = "ordered"
    """A person ordered it (`rotator rotate`)."""
    EMERGENCY = "emergency"
    """A person ordered it, and that all earlier keys go at once (`rotator rotate --emergency`)."""
    IMPORTED = "imported"
    """Nothing is made: a person handed the secret of the key in use over (`rotator import`)."""
    REBUILT = "rebuilt"
    """Nothing is made: its record was lost and made again, and why the key was made is not known."""


class CopyReason(StrEnum):
    """Why a secret is copied."""

    MOVED = "moved"
    """The lineage was moved, and not every place that is served has the secret in use."""


class RevokeReason(StrEnum):
    """Why an old key is deleted."""

    OVERLAP_ENDED = "overlap_ended"
    """Both keys worked for the whole overlap since the confirmed publish."""
    EXPIRED = "expired"
    """The key has expired by itself and is tidied away."""
    ORIGINAL_RELEASED = "original_released"
    """An original was released by an order or by the policy."""
    EMERGENCY = "emergency"
    """A person ordered that all earlier keys go at once."""


class WaitReason(StrEnum):
    """Why there is nothing to do until some instant."""

    NOT_DUE = "not_due"
    """The key in use is not due."""
    WATCHED = "watched"
    """The policy says `adopt: watch`."""
    OVERLAP = "overlap"
    """A previous key still works, for consumers that have not read Vault again."""
    AWAITING_RELEASE = "awaiting_release"
    """An original lives on until it is released."""
    BACKING_OFF = "backing_off"
    """The last try failed; the next is at the instant shown."""
    OUTSIDE_WINDOW = "outside_window"
    """It is time for a rotation or a deletion, and the policy's windows are closed."""
    FROZEN = "frozen"
    """It is time for a rotation or a deletion, in a freeze of the policy."""
    OPENS_TOO_LATE = "opens_too_late"
    """It is time, and windows and freezes leave nothing open until the latest safe start: it is rotated then nevertheless."""
    PAUSED = "paused"
    """A person paused it (`rotator pause`)."""
    FORGOTTEN = "forgotten"
    """A person told us to leave it alone (`rotator forget`)."""
    CLAIMED = "claimed"
    """Another process works on this lineage."""
    COPY_BEHIND = "copy_behind"
    """After a move, a place that is served does not have the secret in use; copying it there is tried again."""
    SERVED_UNPROVEN = "served_unproven"
    """Whether the provider accepts the secret in Vault could not be learnt just now."""
    CLOCKS_DIFFER = "clocks_differ"
    """Our clock, Vault's and the provider's differ by too much to revoke by them."""
    LOOK_TOO_SLOW = "look_too_slow"
    """The answers take so long that a proof is old before it can be used; nothing is revoked."""
    RETIRING_STOPPED = "retiring_stopped"
    """Something else stands in the way of deleting an old key: status names it beside the key."""
    NOT_FOUND = "not_found"
    """No key of the provider matches, and no record names one."""
    KEY_UNREADABLE = "key_unreadable"
    """A listed key that may be this lineage's can't be read just now."""


Closed: TypeAlias = Literal[WaitReason.OUTSIDE_WINDOW, WaitReason.FROZEN]
"""What a policy closes a time by."""


class HoldReason(StrEnum):
    """Why nothing automatic is safe. Each names, in the reference, the order or change that ends it."""

    LOST_RECORD = "lost_record"
    """Marked keys, or an entry of ours, but no record."""
    RECORD_UNREADABLE = "record_unreadable"
    """The journal record can't be read, or is not one of ours; or that of another lineage, which may name this key."""
    RECORD_NEWER = "record_newer"
    """A newer version wrote the journal record, or another that may name this key, and this one may not act by it."""
    DESTINATION_CLASH = "destination_clash"
    """Two keys give one path."""
    MATCHED_TWICE = "matched_twice"
    """One key is matched by two policies."""
    MANY_ABSENT = "many_absent"
    """Most keys of the provider vanished in one look; only those whose secret the provider refuses are believed to be gone."""
    DESTINATION_OCCUPIED = "destination_occupied"
    """The secret field holds a value that is not proven to be this lineage's key."""
    ENTRY_DELETED = "entry_deleted"
    """The entry that we published was deleted or destroyed."""
    ENTRY_BEHIND = "entry_behind"
    """The entry is at an older version than the one we published."""
    ENTRY_CHANGED = "entry_changed"
    """Somebody else wrote another secret or id into the entry."""
    RECORD_BEHIND = "record_behind"
    """The record is older than what Vault serves: it does not know the rotation that published it."""
    DESTINATION_MOVED = "destination_moved"
    """The policy names another mount or path than the record: consumers still read the old one."""
    FIELDS_CHANGED = "fields_changed"
    """The policy names other fields than the record."""
    SERVED_REFUSED = "served_refused"
    """The provider refuses the secret that Vault serves, and the policy only watches."""
    CURRENT_UNLISTED = "current_unlisted"
    """The provider accepts the key in use but does not list it: our management key sees only a part."""
    ORIGINAL_GONE = "original_gone"
    """The key to be replaced vanished before anything was published."""
    TOO_MANY_UNSERVED = "too_many_unserved"
    """Three keys of ours that nobody serves are alive."""
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    """Fifty attempts are open: their keys live unserved, or may yet come to be."""
    PARITY = "parity"
    """The replacement got other scopes or tags than the key it replaces."""
    WRITE_REFUSED = "write_refused"
    """Vault or the provider refused the request for good: too large, denied, malformed."""
    ENTRY_EXPIRES = "entry_expires"
    """Vault would delete the entry or the record before its time (`delete_version_after`)."""
    UNSAFE = "unsafe"
    """A promise would have been broken by the next step, which was refused. A bug: please report it."""


class LeftReason(StrEnum):
    """Why something that could be done now was left for a later sweep."""

    LIMIT = "limit"
    """This sweep was to start no more rotations (`--limit`)."""
    STARTS_PER_HOUR = "starts_per_hour"
    """So many rotations were started within the last hour, by all processes together."""
    BREAKER_OPEN = "breaker_open"
    """Rotations fail under its provider, so no more are started there for now."""
    STOPPING = "stopping"
    """The process was asked to stop."""


Reason = RotateReason | CopyReason | RevokeReason | WaitReason | HoldReason
