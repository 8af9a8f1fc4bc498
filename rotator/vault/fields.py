"""The fields of an entry: what we read out of them, and what a publish writes into them. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from rotator.model.entry import ROTATION_ID_FIELD, Entry, FieldNames, Publication
from rotator.model.secret import Secret
from rotator.vault.answers import Stored

_OUR_SHARE = 4 * 1024
"""Bytes to allow for what a publish adds."""

_LARGEST = 500 * 1024
_MOST_VALUES = 400
"""Below what servers refuse: 1 MiB per entry in integrated storage, and in OpenBao 1000 strings per request,
names and values counted (https://developer.hashicorp.com/vault/docs/internals/limits,
https://openbao.org/docs/configuration/listener/tcp/)."""


def entry_of(found: Stored, fields: FieldNames) -> Entry:
    """Return what a read says of the entry, without the secret."""
    return Entry(
        state=found.state,
        version=found.version,
        written_at=found.created_at,
        rotation_id=_text(found.data, ROTATION_ID_FIELD),
        key_id=_text(found.data, fields.key_id),
        has_secret=fields.secret in found.data,
    )


def secret_of(found: Stored, fields: FieldNames) -> Secret | None:
    """Return the served secret, None when the field holds nothing that can be one."""
    try:
        return Secret(_text(found.data, fields.secret) or "")
    except ValueError:
        return None


def merged(data: Mapping[str, object], fields: FieldNames, publication: Publication) -> dict[str, object]:
    """Return `data` with a publish written into it: every value a string, other fields kept.

    A field of ours that has nothing to say now is removed, so that no stale value stays beside a new secret.
    Raise ValueError when two of our fields have one name.
    """
    ours = {
        fields.secret: publication.secret.reveal(),
        ROTATION_ID_FIELD: publication.rotation_id,
        fields.key_id: publication.key_id,
        fields.previous_key_id: publication.previous_key_id,
        fields.expires_at: _timestamp(publication.expires_at),
    }
    names = _names(fields)
    if len(set(names)) != len(names):
        raise ValueError("two fields of the entry have one name")
    kept = {name: value for name, value in data.items() if name not in names}
    return kept | {name: value for name, value in ours.items() if name is not None and value is not None}


def too_large(data: Mapping[str, object], fields: FieldNames) -> str | None:
    """Return why a publish into `data` would be refused for its size, None when it would not."""
    size = len(json.dumps(data)) + _OUR_SHARE
    if size > _LARGEST:
        return f"with a new key the entry would have about {size // 1024} KiB; {_LARGEST // 1024} is the most"
    values = _values(data) + len(_names(fields))
    if values > _MOST_VALUES:
        return f"with a new key the entry would have about {values} values; {_MOST_VALUES} is the most"
    return None


def deletes_versions(settings: Mapping[str, object]) -> bool:
    """Return whether settings of an entry or a mount make Vault delete versions by itself.

    `delete_version_after` is a Go duration such as `720h0m0s`; without a digit from 1 to 9 it is zero: never.
    """
    return any(digit in str(settings.get("delete_version_after", "")) for digit in "123456789")


def _names(fields: FieldNames) -> list[str]:
    ours = (fields.secret, ROTATION_ID_FIELD, fields.key_id, fields.previous_key_id, fields.expires_at)
    return [name for name in ours if name is not None]


def _text(data: Mapping[str, object], name: str | None) -> str | None:
    value = None if name is None else data.get(name)
    return value if isinstance(value, str) else None


def _timestamp(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _values(value: object) -> int:
    """Count the values in a document, nested ones included."""
    if isinstance(value, dict):
        return sum(1 + _values(inner) for inner in value.values())
    if isinstance(value, list):
        return sum(1 + _values(inner) for inner in value)
    return 0
