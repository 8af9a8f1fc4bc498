"""What Vault answered: the status, its clock, its JSON, and the shapes of KV version 2 and of a login. Pure.

Shapes: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 and
https://developer.hashicorp.com/vault/api-docs/auth/token
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit

from rotator.http import LONGEST_RETRY_AFTER
from rotator.model.entry import EntryState
from rotator.model.instant import bounded
from rotator.model.secret import Secret

_SECONDS = re.compile("[0-9]{1,6}")
_LAST_VERSION = 2**53
"""Vault's numbers pass through floating point, which tells no larger ones apart."""

_LONGEST_LEASE = 10**9
"""Seconds; thirty years. The longest that Vault gives by itself is 32 days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer. `at` is its `Date` header; `body` is None when it isn't a JSON object.

    `moved_to` is the other address, such as `https://HOST:PORT`, to which a 307 sends this very request.
    """

    status: int
    at: datetime | None
    retry_after: timedelta | None
    body: Mapping[str, object] | None = field(repr=False)
    moved_to: str | None = None

    @property
    def errors(self) -> tuple[str, ...] | None:
        """What Vault lists under `errors`, None when there is no such list."""
        listed = None if self.body is None else self.body.get("errors")
        return tuple(str(error) for error in listed) if isinstance(listed, list) else None

    @property
    def data(self) -> Mapping[str, object]:
        """What Vault returns under `data`, empty when there is none."""
        return {} if self.body is None else _mapping(self.body.get("data"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One read of a KV entry. `version` 0: never written. `data` may hold secrets, so it is never shown."""

    state: EntryState
    version: int
    created_at: datetime | None
    at: datetime
    data: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The answer to a write. `deletion_at`: when Vault will delete this version by itself, None for never."""

    version: int
    deletion_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A token that Vault gave or renewed. It lasts so long from the request on; `lasts` zero: without end."""

    token: Secret
    lasts: timedelta
    renewable: bool


def stored(answer: Answer) -> Stored | None:
    """Return what a read of an entry found, None when the answer says no such thing.

    Three answers are a finding: 200 with data; 404 with the metadata of a version that was deleted or
    destroyed; 404 with an empty list of errors, which is "never written" once the mount has been checked.
    """
    if answer.at is None:
        return None
    if answer.status == 404 and answer.errors == () and not answer.data:  # noqa: PLR2004 (HTTP)
        return Stored(state=EntryState.ABSENT, version=0, created_at=None, at=answer.at, data={})
    metadata = _mapping(answer.data.get("metadata"))
    version, created_at = _version(metadata), instant_of(metadata.get("created_time"))
    data = answer.data.get("data")
    if version is None or created_at is None:
        return None
    if answer.status == 200 and isinstance(data, dict):  # noqa: PLR2004 (HTTP)
        state, fields = EntryState.PRESENT, data
    elif answer.status == 404 and data is None:  # noqa: PLR2004 (HTTP)
        state, fields = EntryState.DELETED, {}
    else:
        return None
    return Stored(state=state, version=version, created_at=created_at, at=answer.at, data=fields)


def written(answer: Answer) -> Written | None:
    """Return what a write answered, None when it makes no sense."""
    version, deletion = _version(answer.data), answer.data.get("deletion_time")
    if version is None or not isinstance(deletion, str):
        return None
    deletion_at = instant_of(deletion)
    if deletion and deletion_at is None:
        return None
    return Written(version=version, deletion_at=deletion_at)


def granted(answer: Answer) -> Grant | None:
    """Return the token that a login or a renewal answered, None when there is none that can be used."""
    auth = _mapping(None if answer.body is None else answer.body.get("auth"))
    token = auth.get("client_token")
    try:
        secret = Secret(token if isinstance(token, str) and token.isascii() else "")
    except ValueError:
        return None
    return _grant(secret, auth.get("lease_duration"), auth.get("renewable"))


def looked_up(answer: Answer, token: Secret) -> Grant | None:
    """Return what a token tells of itself, None when the answer makes no sense."""
    return _grant(token, answer.data.get("ttl"), answer.data.get("renewable"))


def moved_to(url: str, location: str) -> str | None:
    """Return the origin that a redirect from `url` names. None when it asks for anything but that same request.

    A standby keeps path and query, and may percent-encode them otherwise
    (https://developer.hashicorp.com/vault/docs/concepts/ha#client-redirection).
    """
    try:
        asked, target = urlsplit(url), urlsplit(location)
        host, user = target.hostname, target.username
    except ValueError:
        return None
    same = (unquote(asked.path), asked.query) == (unquote(target.path), target.query)
    if not same or not host or user is not None:
        return None
    return f"{target.scheme}://{target.netloc}"


def date_header(value: str | None) -> datetime | None:
    """Return the instant that a `Date` header names, in UTC; None when there is none to read."""
    try:
        instant = parsedate_to_datetime(value or "")
        return None if instant.tzinfo is None else bounded(instant)
    except (ValueError, OverflowError):
        return None


def retry_after_header(value: str | None) -> timedelta | None:
    """Return how long a `Retry-After` header, in whole seconds as Vault writes it, says to wait; `LONGEST_RETRY_AFTER` at most."""
    if not value or not _SECONDS.fullmatch(value):
        return None
    return min(timedelta(seconds=int(value)), LONGEST_RETRY_AFTER)


def _grant(token: Secret, seconds: object, renewable: object) -> Grant | None:
    if type(seconds) is not int or not 0 <= seconds <= _LONGEST_LEASE:
        return None
    return Grant(token=token, lasts=timedelta(seconds=seconds), renewable=renewable is True)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _version(metadata: Mapping[str, object]) -> int | None:
    version = metadata.get("version")
    return version if type(version) is int and 0 < version <= _LAST_VERSION else None


def instant_of(value: object) -> datetime | None:
    """Return the instant that RFC 3339 as Go writes it means; digits below a microsecond are cut off. None for all else."""
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
        return None if instant is None or instant.tzinfo is None else bounded(instant)
    except ValueError:
        return None
