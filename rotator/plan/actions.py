"""The closed union of decisions. Everything but `Wait` and `Hold` is an action that `rotation` carries out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rotator.model.entry import Place
from rotator.model.reason import Closed, HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.record import KnownKey


@dataclass(frozen=True, slots=True)
class Adopt:
    """Take the key into the lineage: as an original, or as current when the destination holds its secret."""

    key_id: str
    original: bool


@dataclass(frozen=True, slots=True)
class Rotate:
    """Make a replacement for `replaces`, prove it, publish it, record it.

    `overrides` is what closes this time by the policy, and does not count because its expiry is too near.
    """

    reason: RotateReason
    replaces: KnownKey
    overrides: Closed | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """Record a publish that another holder made and could not record: the key is current already."""

    rotation_id: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Bring the secret in use to another place that is served, or record that it is there."""

    place: Place


@dataclass(frozen=True, slots=True)
class Inherit:
    """Count an orphan whose publish can't succeed any more among the previous keys."""

    key_id: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """Delete a previous key or a released original, after checking everything afresh."""

    key_id: str
    reason: RevokeReason


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until `until` (None: until something changes)."""

    reason: WaitReason
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing automatic is safe: a person must act. `detail` names keys or versions, never a secret."""

    reason: HoldReason
    detail: str = ""


Action = Adopt | Rotate | Finish | Copy | Inherit | Revoke
Decision = Action | Wait | Hold
