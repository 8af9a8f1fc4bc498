"""What a create asks for, read as strictly as Deepgram does (deepgram-python-sdk issue 187)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_LONGEST_TAG = 128
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class Asked:
    """A new key as it was asked for."""

    comment: str
    scopes: tuple[str, ...]
    tags: tuple[str, ...]
    expires_at: datetime | None


def asked(body: bytes, now: datetime) -> Asked:
    """Return what a create asks for. Raise ValueError with Deepgram's kind of detail."""
    content = json.loads(body)
    if not isinstance(content, dict):
        raise ValueError("invalid type, expected a map")  # noqa: TRY004 (every odd body is one error)
    nulls = [name for name, value in content.items() if value is None]
    if nulls:
        raise ValueError(f"invalid type: null for `{nulls[0]}`")
    comment = content.get("comment")
    if not isinstance(comment, str):
        raise ValueError("missing field `comment`")  # noqa: TRY004
    tags = _texts(content, "tags") if "tags" in content else ()
    if "tags" in content and (not tags or max(map(len, tags)) > _LONGEST_TAG):
        raise ValueError("invalid length for `tags`")
    return Asked(comment, _texts(content, "scopes"), tags, _expiry(content, now))


def _texts(content: Mapping[str, object], name: str) -> tuple[str, ...]:
    values = content.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"missing field `{name}`")
    return tuple(values)


def _expiry(content: Mapping[str, object], now: datetime) -> datetime | None:
    seconds, date = content.get("time_to_live_in_seconds"), content.get("expiration_date")
    if seconds is not None and date is not None:
        raise ValueError("data did not match any variant")
    if seconds is not None:
        if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 1:
            raise ValueError("invalid type for `time_to_live_in_seconds`")
        return now + timedelta(seconds=seconds)
    if date is not None:
        if not isinstance(date, str) or not _MOMENT.fullmatch(date):
            raise ValueError("premature end of input")
        return datetime.fromisoformat(date).astimezone(UTC)
    return None
