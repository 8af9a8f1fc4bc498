"""What an operator wants for one or many keys, as frozen values. Built by `policy.load`, never by hand in the flow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from rotator.model.entry import FieldNames

NO_POLICY = "(none)"
"""The name of what stands in for the policy of a lineage that no entry covers any more. No entry can have it."""


class Adopt(StrEnum):
    """What happens to a key that the policy matches and no record names yet."""

    WATCH = "watch"
    """Look and tell; never rotate."""
    WHEN_DUE = "when_due"
    """Take it in, rotate it when it is due."""
    NOW = "now"
    """Take it in and rotate it at once."""


class Lifetime(StrEnum):
    """How long a replacement lives, where the policy names no duration."""

    INHERIT = "inherit"
    """The old key's whole lifetime afresh; no expiry if it had none."""
    NEVER = "never"
    """No expiry."""


class OriginalTerms(StrEnum):
    """When an original may be revoked, where the policy names no duration."""

    KEEP = "keep"
    """By an order, or when it has expired."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the granted lifetime, in percent (0 < percent < 100)."""

    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exempt:
    """Which keys a selector leaves out (`except`): those that have any of these."""

    comment: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """Which keys a policy takes. All that are given must hold."""

    comment: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    but: Exempt = field(default_factory=Exempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Times at which rotations by time may start and old keys be deleted: it opens as `cron` says in `zone`, for `length`.

    `length` is elapsed time, also where clocks are changed meanwhile. The zone is loaded while the policy is, whole: it
    is a table of instants, and nothing is read when it is asked.
    """

    cron: str
    length: timedelta
    zone: ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A time, from `starts_at` until just before `ends_at`, in which neither is done, and `why`."""

    starts_at: datetime
    ends_at: datetime
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationTemplate:
    """Where secrets go. `path` may hold {policy} {provider} {project_id} {slug} {key_id}."""

    mount: str = "secret"
    path: str = "deepgram/{provider}/{slug}"
    fields: FieldNames = field(default_factory=FieldNames)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One entry under `policies:` with all defaults filled in.

    `providers` are names, globs resolved. Either `select` or `keys` is given; `keys` maps a Vault path to the id of the key that is there today.
    Without `windows` there is no time that they close; what they leave open, `freezes` close.
    `fingerprint` changes with every option that a person can change, and with nothing else.
    """

    name: str
    providers: tuple[str, ...]
    select: Select | None = None
    keys: tuple[tuple[str, str], ...] = ()
    adopt: Adopt = Adopt.WATCH
    rotate_before: Share | timedelta = Share(33)
    max_age: timedelta | None = None
    lifetime: Lifetime | timedelta = Lifetime.INHERIT
    overlap: timedelta = timedelta(hours=24)
    original: OriginalTerms | timedelta = OriginalTerms.KEEP
    temporary_below: timedelta = timedelta(hours=24)
    prove_deadline: timedelta = timedelta(minutes=2)
    retry_initial: timedelta = timedelta(minutes=1)
    retry_max: timedelta = timedelta(hours=1)
    min_gap: timedelta = timedelta(hours=1)
    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    destination: DestinationTemplate = field(default_factory=DestinationTemplate)
    fingerprint: str = ""
