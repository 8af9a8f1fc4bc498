"""Which keys a policy takes, and where the secret of each goes."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from rotator.model.key import Key
from rotator.policy.names import PATH
from rotator.policy.policy import Exempt, Policy, Select
from rotator.policy.scopes import manages_keys
from rotator.policy.settings import ProviderSettings

PLACEHOLDERS = ("policy", "provider", "project_id", "slug", "key_id")
"""What a destination path may name in braces."""

FIXED_PLACEHOLDERS = ("policy", "provider", "project_id")
"""Those that are known before any key is seen."""

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_TEMPLATE = re.compile(r"(?:[^{}]|\{[A-Za-z0-9_]+\})*")
_LICENCE_SCOPES = ("self-hosted:", "onprem:")
_SLUG_ID_LENGTH = 8


class Exclusion(StrEnum):
    """Why a policy does not take a key. These names are an interface: `plan` and `status` count by them."""

    NOT_SELECTED = "not_selected"
    """The policy names neither the key nor anything that it has."""
    NAMED_BY_RECORD = "named_by_record"
    """A journal record names it: it is in a lineage already."""
    CLAIMED_ELSEWHERE = "claimed_elsewhere"
    """It carries the mark of another journal."""
    MARKED = "marked"
    """It carries our own mark, so it is no operator's key."""
    EXCEPTED = "excepted"
    """The policy selects it, and its `except` leaves it out."""
    EXPIRED = "expired"
    """It has stopped working."""
    TEMPORARY = "temporary"
    """Its whole lifetime is under `temporary_below`."""
    LICENCE_KEY = "licence_key"
    """It licenses a self-hosted installation, which a new key would not."""
    MANAGEMENT_KEY = "management_key"
    """We are logged in with it, and the policy does not name it by id."""
    MANAGES_KEYS = "manages_keys"
    """It can make and delete keys, and the policy does not name it by id."""


def takes(
    policy: Policy,
    key: Key,
    *,
    now: datetime,
    journal_id: str,
    recorded: frozenset[str],
    management_key_id: str | None,
) -> Exclusion | None:
    """Return None when `policy` takes `key`, or the first reason why it does not.

    `now` is the provider's clock. `recorded` are the ids of all keys that journal records name.
    """
    named = any(key_id == key.key_id for _, key_id in policy.keys)
    if not named and (policy.select is None or not _has_all(policy.select, key)):
        return Exclusion.NOT_SELECTED
    if key.key_id in recorded:
        return Exclusion.NAMED_BY_RECORD
    if key.mark is not None:
        return Exclusion.MARKED if key.mark.journal_id == journal_id else Exclusion.CLAIMED_ELSEWHERE
    if not named and policy.select is not None and _has_any(policy.select.but, key):
        return Exclusion.EXCEPTED
    if key.expired(now):
        return Exclusion.EXPIRED
    if key.lifetime is not None and key.lifetime < policy.temporary_below:
        return Exclusion.TEMPORARY
    if any(scope.startswith(_LICENCE_SCOPES) for scope in key.scopes):
        return Exclusion.LICENCE_KEY
    if named:
        return None
    if key.key_id == management_key_id:
        return Exclusion.MANAGEMENT_KEY
    return Exclusion.MANAGES_KEYS if manages_keys(key.scopes) else None


def selects(select: Select, key: Key) -> bool:
    """Return whether `key` has all that is asked for and nothing that leaves it out."""
    return _has_all(select, key) and not _has_any(select.but, key)


def _has_all(select: Select, key: Key) -> bool:
    return (
        (not select.comment or _matches(select.comment, key))
        and select.tags <= key.tags
        and select.scopes <= key.scopes
    )


def _has_any(but: Exempt, key: Key) -> bool:
    return _matches(but.comment, key) or bool(but.tags & key.tags or but.scopes & key.scopes)


def _matches(globs: tuple[str, ...], key: Key) -> bool:
    """Return whether one of `globs` fits the comment of `key`, which is looked at without our mark."""
    return any(fnmatchcase(key.operator_comment, glob) for glob in globs)


def slug(comment: str, key_id: str) -> str:
    """Return a segment of a path made of an operator's comment, or of the key's id where that gives none."""
    made = _dashed(comment)
    return made or f"key-{_dashed(key_id)[:_SLUG_ID_LENGTH]}"


def destination_path(policy: Policy, provider: ProviderSettings, key: Key) -> str:
    """Return the path in `policy.destination.mount` where the secret of `key` and its successors goes.

    `key` is the first of the series. Raise ValueError when its id makes no allowed path.
    """
    for path, key_id in policy.keys:
        if key_id == key.key_id:
            return path
    values = _fixed_values(policy.name, provider)
    values |= {"slug": slug(key.operator_comment, key.key_id), "key_id": key.key_id}
    path = policy.destination.path.format_map(values)
    if not PATH.fits(path) or ("key_id" in placeholders_of(policy.destination.path) and "/" in key.key_id):
        message = f"the id of a key of provider {provider.name} makes no allowed path"
        raise ValueError(message)
    return path


def placeholders_of(template: str) -> frozenset[str]:
    """Return the names in braces. Raise ValueError when the braces are not simple `{NAME}` pairs."""
    if not _TEMPLATE.fullmatch(template):
        message = "braces that do not hold a name"
        raise ValueError(message)
    return frozenset(_PLACEHOLDER.findall(template))


def known_part(policy: Policy, provider: ProviderSettings) -> str:
    """Return the policy's path up to what depends on the key: all of it where nothing does."""
    return path_of_any_key(policy, provider, stand_in="{").partition("{")[0]


def path_of_any_key(policy: Policy, provider: ProviderSettings, *, stand_in: str) -> str:
    """Return the policy's path with `stand_in` in place of each part that depends on the key."""
    values = _fixed_values(policy.name, provider) | {"slug": stand_in, "key_id": stand_in}
    return policy.destination.path.format_map(values)


def depends_on_key(policy: Policy) -> bool:
    """Return whether two keys of the policy can have two paths."""
    return not placeholders_of(policy.destination.path) <= set(FIXED_PLACEHOLDERS)


def _fixed_values(policy_name: str, provider: ProviderSettings) -> dict[str, str]:
    return {"policy": policy_name, "provider": provider.name, "project_id": provider.project_id}


def _dashed(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
