"""What `check` finds: judgements about a token, a management key, keys and policies, from what was read of them.

A finding is a name and its terms. Its sentences (what, why, how to mend it) are made at the edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from rotator.errors import RotatorError
from rotator.model.key import Key, Listing
from rotator.model.record import KnownKey
from rotator.policy import windows
from rotator.policy.policy import Adopt, Lifetime, Policy
from rotator.policy.schedule import (
    asked_lead,
    due,
    fits,
    latest_safe_start,
    lifetime_of_next,
    rotate_lead,
    start,
    time_of_a_rotation,
)
from rotator.policy.scopes import lacking, manages_keys
from rotator.policy.windows import Stretch

TOKEN_ENDS_SOON: Final = timedelta(days=7)
"""A token that can't be renewed and ends sooner than this is told of."""

_MANAGE: Final = frozenset({"keys:read", "keys:write"})
_SEE_EVERYONE: Final = "owner"


class Grade(StrEnum):
    """How much a finding matters."""

    PROBLEM = "problem"
    """Rotations will fail, or can't be judged, until it is mended."""
    WARNING = "warning"
    """Something that was perhaps not meant."""
    OK = "ok"


class Check(StrEnum):
    """What was found. These names are an interface: documents and tests show them."""

    VAULT_REACHED = "vault_reached"
    VAULT_FAILED = "vault_failed"
    TOKEN_ENDS = "token_ends"  # noqa: S105 (a name)
    TOKEN_IS_ROOT = "token_is_root"  # noqa: S105 (a name)
    MOUNT_FIT = "mount_fit"
    MOUNT_UNFIT = "mount_unfit"
    FEW_VERSIONS = "few_versions"
    JOURNAL_NONE = "journal_none"
    JOURNAL_OURS = "journal_ours"
    JOURNAL_FAILED = "journal_failed"
    JOURNAL_RIGHTS = "journal_rights"
    JOURNAL_DELETES = "journal_deletes"
    ENTRIES_WRITABLE = "entries_writable"
    ENTRY_REFUSED = "entry_refused"
    PROVIDER_FAILED = "provider_failed"
    MANAGEMENT_ACCEPTED = "management_accepted"
    MANAGEMENT_UNNAMED = "management_unnamed"
    MANAGEMENT_WEAK = "management_weak"
    MANAGEMENT_EXPIRES = "management_expires"
    OWNER_NOT_OWNER = "owner_not_owner"
    LIST_PARTIAL = "list_partial"
    NEW_OWNER = "new_owner"
    SCOPES_LACKING = "scopes_lacking"
    ACCOUNT_SHARED = "account_shared"
    MANAGEMENT_DUPLICATE = "management_duplicate"
    POLICY_FIT = "policy_fit"
    NOTHING_SELECTED = "nothing_selected"
    NEVER_DUE = "never_due"
    LEAD_TOO_SHORT = "lead_too_short"
    LEAD_TOO_LONG = "lead_too_long"
    LIFETIME_TOO_SHORT = "lifetime_too_short"
    SAFE_START_PAST = "safe_start_past"
    WINDOW_MISSED = "window_missed"
    FREEZE_TOO_LONG = "freeze_too_long"
    POLICIES_UNKNOWN = "policies_unknown"
    KEY_MISSING = "key_missing"
    UNCOVERED = "uncovered"
    HELD = "held"
    NOT_LOOKED_AT = "not_looked_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found. `about` names a part of the installation, `subjects` lineages or keys that it concerns.

    `terms` fill in the sentences; `error` is what stood in the way, if it was that. Holds no secret.
    """

    check: Check
    grade: Grade
    about: str
    subjects: tuple[str, ...] = ()
    terms: Mapping[str, object] = field(default_factory=dict)
    error: RotatorError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKey:
    """Our management key at a provider, as far as it is known.

    `owner` names its account; `scopes` are its own, `owner_scopes` its account's, which bound what it can do.
    """

    key: Key | None
    owner: str | None
    scopes: frozenset[str] | None
    owner_scopes: frozenset[str] | None

    def lacks(self, wanted: frozenset[str]) -> frozenset[str]:
        """Return those of `wanted` that it is not known to have. What is not known of it bounds nothing."""
        bounds = [scopes for scopes in (self.scopes, self.owner_scopes) if scopes is not None]
        return frozenset[str]().union(*(lacking(scopes, wanted) for scopes in bounds))


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """The key in use of one lineage. `watched`: it is not rotated by time. `rotated`: it was, before."""

    lineage: str
    lineage_id: str
    policy: Policy
    key: KnownKey
    watched: bool
    rotated: bool


def of_token(
    *, ends_at: datetime | None, renewable: bool, policies: frozenset[str], now: datetime
) -> Iterator[Finding]:
    """Yield what to know about our token for Vault."""
    if ends_at is not None and not renewable and ends_at - now < TOKEN_ENDS_SOON:
        yield Finding(check=Check.TOKEN_ENDS, grade=Grade.WARNING, about="Vault", terms={"ends_at": ends_at})
    if "root" in policies:
        yield Finding(check=Check.TOKEN_IS_ROOT, grade=Grade.WARNING, about="Vault")


def of_own_key(provider: str, own: OwnKey, listing: Listing, *, rotated: bool) -> Iterator[Finding]:
    """Yield what to know about a management key. `rotated`: a lineage looks after it."""
    about = f"provider {provider}"
    key = own.key
    if listing.management_key_id is None:
        yield Finding(check=Check.MANAGEMENT_UNNAMED, grade=Grade.WARNING, about=about)
    missing = own.lacks(_MANAGE)
    if missing:
        yield Finding(
            check=Check.MANAGEMENT_WEAK, grade=Grade.PROBLEM, about=about, terms={"missing": missing}
        )
    if key is not None and key.expires_at is not None and not rotated:
        yield Finding(
            check=Check.MANAGEMENT_EXPIRES,
            grade=Grade.WARNING,
            about=about,
            terms={"key_id": key.key_id, "expires_at": key.expires_at},
        )
    partial = not listing.proves_absence(served_key_id=None)
    if partial:
        yield Finding(check=Check.LIST_PARTIAL, grade=Grade.WARNING, about=about)
    others = [one for one in listing.keys if one.member_id not in (None, listing.management_member_id)]
    if others and own.owner_scopes is not None and _SEE_EVERYONE not in own.owner_scopes:
        yield Finding(
            check=Check.OWNER_NOT_OWNER,
            grade=Grade.WARNING,
            about=about,
            terms={"owner": own.owner or "its account", "role": own.owner_scopes},
        )
    owner = own.owner or listing.management_member_id
    if owner is not None:
        yield Finding(
            check=Check.NEW_OWNER,
            grade=Grade.OK,
            about=about,
            terms={"owner": owner, "others": len(others), "keys": len(listing.keys)},
        )
    yield from _beside(about, own, listing)


def _beside(about: str, own: OwnKey, listing: Listing) -> Iterator[Finding]:
    """Yield what the keys beside our own say: that its account is somebody's, that it was replaced before."""
    beside = [one for one in listing.keys if one.key_id != listing.management_key_id and one.mark is None]
    ours = [
        one for one in beside if one.member_id is not None and one.member_id == listing.management_member_id
    ]
    if ours:
        yield Finding(
            check=Check.ACCOUNT_SHARED,
            grade=Grade.WARNING,
            about=about,
            terms={"owner": own.owner or "its account", "keys": len(ours)},
        )
    comment = own.key.operator_comment if own.key else None
    twins = tuple(
        one.key_id
        for one in beside
        if one.operator_comment == comment and manages_keys(one.scopes) and not one.expired(listing.at)
    )
    if comment and twins:
        yield Finding(
            check=Check.MANAGEMENT_DUPLICATE,
            grade=Grade.WARNING,
            about=about,
            subjects=twins,
            terms={"comment": comment},
        )


def of_copies(provider: str, own: OwnKey, in_use: Iterable[InUse]) -> Iterator[Finding]:
    """Yield which scopes are to be given to new keys although the management key may not have them itself."""
    missing: set[str] = set()
    subjects = []
    for one in in_use:
        lacks = own.lacks(one.key.asked_scopes)
        if lacks:
            missing |= lacks
            subjects.append(one.lineage)
    if subjects:
        yield Finding(
            check=Check.SCOPES_LACKING,
            grade=Grade.WARNING,
            about=f"provider {provider}",
            subjects=tuple(subjects),
            terms={"missing": frozenset(missing)},
        )


def of_policy(policy: Policy, in_use: Iterable[InUse], now: datetime) -> Iterator[Finding]:
    """Yield what the times of a policy mean for the keys that it really has. `now` is the provider's clock."""
    mine = [one for one in in_use if one.policy.name == policy.name]
    found = [
        *_group(Check.NEVER_DUE, policy, [one for one in mine if _never_due(one)]),
        *_group(
            Check.LEAD_TOO_SHORT,
            policy,
            [one for one in mine if _lead_too_short(one)],
            needed=time_of_a_rotation(policy),
        ),
        *_leads_too_long(policy, mine),
        *_group(
            Check.LIFETIME_TOO_SHORT,
            policy,
            [one for one in mine if _lifetime_too_short(one)],
            needed=time_of_a_rotation(policy),
        ),
        *_group(
            Check.SAFE_START_PAST,
            policy,
            [one for one in mine if _safe_start_past(one, now)],
            needed=time_of_a_rotation(policy),
        ),
        *_group(Check.WINDOW_MISSED, policy, [one for one in mine if _window_missed(one, now)]),
        *(
            finding
            for closed in dict.fromkeys(_closed_by_freezes(policy, now))
            for finding in _group(
                Check.FREEZE_TOO_LONG,
                policy,
                [one for one in mine if _closed_too_long(one, closed)],
                starts_at=closed.start,
                closed=closed.end - closed.start,
            )
        ),
    ]
    yield from found
    if mine and not found:
        yield Finding(
            check=Check.POLICY_FIT,
            grade=Grade.OK,
            about=f"policy {policy.name}",
            terms={"lineages": len(mine), "adopt": policy.adopt.value},
        )


def _group(check: Check, policy: Policy, concerned: list[InUse], **terms: object) -> Iterator[Finding]:
    if concerned:
        yield Finding(
            check=check,
            grade=Grade.WARNING,
            about=f"policy {policy.name}",
            subjects=tuple(one.lineage for one in concerned),
            terms=terms,
        )


def _never_due(one: InUse) -> bool:
    """Return whether no rotation by time is ever to come, or after the first one none any more."""
    if one.watched or due(one.policy, one.lineage_id, one.key) is not None:
        return False
    first = one.policy.adopt is Adopt.NOW and not one.rotated
    return not first or lifetime_of_next(one.policy, one.key) is None


def _lead_too_short(one: InUse) -> bool:
    """Return whether each key of this lifetime would be due too late to give the whole overlap."""
    lifetime = None if one.key.expires_at is None else one.key.expires_at - one.key.created_at
    if one.watched or lifetime is None or one.policy.lifetime is not Lifetime.INHERIT:
        return False
    return rotate_lead(one.policy, lifetime) < time_of_a_rotation(one.policy)


def _leads_too_long(policy: Policy, mine: list[InUse]) -> Iterator[Finding]:
    """Yield for which keys another lead than `rotate_before` counts, and which that is for the one that lives shortest."""
    lives = {one.lineage: _lives_of_another_lead(one) for one in mine}
    shortest = min((life for some in lives.values() for life in some), default=timedelta())
    yield from _group(
        Check.LEAD_TOO_LONG,
        policy,
        [one for one in mine if lives[one.lineage]],
        lead=asked_lead(policy, shortest),
        lifetime=shortest,
        instead=rotate_lead(policy, shortest),
    )


def _lives_of_another_lead(one: InUse) -> list[timedelta]:
    """Return the lifetimes, of the key in use and of the next one, for which `rotate_before` is too long."""
    lives = [lifetime_of_next(one.policy, one.key)]
    if one.key.expires_at is not None:
        lives.append(one.key.expires_at - one.key.created_at)
    return [
        life
        for life in lives
        if not one.watched
        and life is not None
        and rotate_lead(one.policy, life) != asked_lead(one.policy, life)
    ]


def _lifetime_too_short(one: InUse) -> bool:
    """Return whether each new key is due as soon as it is made, as no lead fits below its lifetime."""
    life = lifetime_of_next(one.policy, one.key)
    return not one.watched and life is not None and not fits(rotate_lead(one.policy, life), life)


def _safe_start_past(one: InUse, now: datetime) -> bool:
    start, expires_at = latest_safe_start(one.policy, one.key.expires_at), one.key.expires_at
    return start is not None and expires_at is not None and start <= now < expires_at


def _window_missed(one: InUse, now: datetime) -> bool:
    """Return whether the key in use will be replaced while all is closed, because its expiry can't wait longer."""
    if one.watched:
        return False
    first = due(one.policy, one.lineage_id, one.key)
    at_once = one.policy.adopt is Adopt.NOW and not one.rotated
    due_at = now if first is None or at_once else max(first.at, now)
    begins = start(one.policy, due_at, latest_safe_start(one.policy, one.key.expires_at))
    return begins.overrides is not None and begins.at > now


def _closed_by_freezes(policy: Policy, now: datetime) -> Iterator[Stretch]:
    """Yield what is closed because of freezes that are not over, where that is longer than windows close anyway."""
    anyway = windows.longest_closed(windows.reckoned(policy.windows))
    for freeze in policy.freezes:
        closed = windows.closed_around(policy, freeze)
        if freeze.ends_at > now and closed.end - closed.start > anyway:
            yield closed


def _closed_too_long(one: InUse, closed: Stretch) -> bool:
    """Return whether a key that falls due as a time begins that is closed can't wait for its end.

    That is the key in use, if it lives for so long yet, or one that replaces it.
    """
    if one.watched:
        return False
    lives = [lifetime_of_next(one.policy, one.key)]
    if one.key.expires_at is not None and one.key.expires_at > closed.start:
        lives.append(one.key.expires_at - one.key.created_at)
    rooms = [
        rotate_lead(one.policy, life) - time_of_a_rotation(one.policy) for life in lives if life is not None
    ]
    return any(closed.end - closed.start > room for room in rooms)
