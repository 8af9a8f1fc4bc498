"""What Deepgram's answers look like, and how they become ours. Pure: no call is made here.

Sources, all public: Deepgram's OpenAPI description (github deepgram/deepgram-api-specs), Deepgram's docs
("Errors", "Authenticating", "Working with Roles"), its older API reference, and its SDKs in several
languages, which disagree on shapes. Where they do, every shape that was ever published is read, and an
answer that is none of them is refused: a missing field is never taken for "none" where that would matter.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeGuard

from rotator.model.key import Key, shared
from rotator.model.secret import Secret
from rotator.ports import Minted

CODES = frozenset(
    {
        "ASR_PAYMENT_REQUIRED",
        "BAD_REQUEST",
        "FORBIDDEN",
        "INSUFFICIENT_PERMISSIONS",
        "INVALID_AUTH",
        "INVALID_JSON",
        "NOT_FOUND",
        "PROJECT_NOT_FOUND",
        "TOO_MANY_REQUESTS",
        "UNAUTHORIZED",
    }
)
"""The error codes that Deepgram documents or that were seen; only these are ever shown."""

_ID = re.compile(r"[0-9a-zA-Z-]{1,64}")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_SURROGATE = re.compile("[\ud800-\udfff]")

_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""What instants are believed between, give or take a day: room on both sides for what is computed from them."""

_LONGEST = 10_000
"""Characters of a comment, of all scopes, of all tags, of a secret. Deepgram's own limits are not published."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list says of a key and may be relied on: by specification a list has no tags and no expiry."""

    key_id: str
    member_id: str | None = None
    comment: str = ""


def is_id(value: object) -> TypeGuard[str]:
    """Return whether `value` can be an id. Real ones are UUIDs; only what a URL can't take is refused."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def error_code(body: object) -> str | None:
    """Return the vendor's error code in `body`, None without one that is in `CODES`.

    Three spellings of the field exist (`category` today; `err_code`, and `error_code` in one sample,
    before), and TOO_MANY_REQUESTS is also written with spaces (Deepgram's docs: errors).
    """
    if not _is_object(body):
        return None
    for name in ("category", "err_code", "error_code"):
        value = body.get(name)
        if isinstance(value, str) and (code := value.strip().upper().replace(" ", "_")) in CODES:
            return code
    return None


def listed(body: object) -> tuple[Listed, ...]:
    """Return the keys that the answer to a list names, each once. Raise ValueError when it is not a list of keys."""
    items = _object(body, "the list").get("api_keys")
    if not isinstance(items, list):
        raise ValueError("the list has no api_keys")  # noqa: TRY004 (every odd shape is one error to the caller)
    found: dict[str, Listed] = {}
    for element in items:
        item = _object(element, "a list item")
        shown = _object(item.get("api_key"), "a listed key")
        key_id, comment = shown.get("api_key_id"), shown.get("comment")
        if not is_id(key_id):
            raise ValueError("a listed key has no usable id")
        found[key_id] = Listed(key_id, _member_id(item.get("member")), _readable(comment))
    return tuple(found.values())


def key(body: object, asked: Listed) -> Key:
    """Return the one key in `body`. Raise ValueError when it is not the key asked for, or not whole.

    The specification nests it as `item.member.api_key`, older references and SDKs give `api_key` beside
    `member`, some below `item`. Missing, null and empty tags all mean none, and a missing or null expiry
    means never: unset fields are left out of Deepgram's samples.
    """
    item = _item(body)
    member = item.get("member")
    nested = member.get("api_key") if _is_object(member) else None
    details = nested if _is_object(nested) else _object(item.get("api_key"), "the key's details")
    if details.get("api_key_id") != asked.key_id:
        raise ValueError("another key than the one asked for")
    created_at = moment(details.get("created"))
    expires = details.get("expiration_date")
    expires_at = None if expires is None else moment(expires)
    if expires_at is not None and expires_at <= created_at:
        raise ValueError("a key that expired before it was made")
    comment = details.get("comment")
    tags = details.get("tags")
    return Key(
        key_id=asked.key_id,
        comment="" if comment is None else _text(comment),
        scopes=_texts(details.get("scopes")),
        tags=frozenset() if tags is None else _texts(tags),
        created_at=created_at,
        expires_at=expires_at,
        member_id=_member_id(member) or asked.member_id,
    )


def owner_email(body: object) -> str | None:
    """Return the e-mail address of the account that owns the one key in `body`, None when it says none."""
    member = _item(body).get("member")
    email = member.get("email") if _is_object(member) else None
    return _readable(email) or None


def minted(body: object) -> Minted:
    """Return the new key's id and secret. Raise ValueError, without the body, when one is missing."""
    answer = _object(body, "the answer")
    key_id, value = answer.get("api_key_id"), answer.get("key")
    if not is_id(key_id) or not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError("the answer has no usable id and secret")
    return Minted(key_id, Secret(value))


def own_id(body: object) -> str | None:
    """Return the id that a self-check says, None when it says none. Raise ValueError for an odd answer.

    Whether it says the id is not in the specification; a recorded answer in Deepgram's JavaScript SDK does.
    """
    key_id = _object(body, "the self-check").get("api_key_id")
    if key_id is not None and not is_id(key_id):
        raise ValueError("the self-check names an odd id")
    return key_id


def own_scopes(body: object) -> frozenset[str] | None:
    """Return the scopes that a self-check says, None when it says none that can be read."""
    try:
        return scopes(body)
    except ValueError:
        return None


def scopes(body: object) -> frozenset[str]:
    """Return the scopes that an answer consists of. Raise ValueError when it has none."""
    return _texts(_object(body, "the answer").get("scopes"))


def newest_request(body: object, key_id: str) -> datetime | None:
    """Return when the newest request in a page of the log was made, None on an empty page.

    The page was asked for one key, newest first. Raise ValueError when it shows something else: a filter that
    Deepgram does not know is not refused but ignored (its usage reference), and the order is documented once only.
    """
    made_at = []
    for row in _requests(body):
        request = _object(row, "a request")
        if request.get("api_key_id") != key_id:
            raise ValueError("a request that was made with another key")
        made_at.append(moment(request.get("created")))
    if made_at and made_at[0] < made_at[-1]:
        raise ValueError("the oldest request comes first")
    return max(made_at, default=None)


def shows_requests(body: object) -> bool:
    """Return whether a page of the log has any request. Raise ValueError when it is no such page."""
    return bool(_requests(body))


def moment(value: object) -> datetime:
    """Return an RFC 3339 timestamp as aware UTC, cut to microseconds. Raise ValueError for anything else.

    Deepgram's samples have 0 to 6 digits of a second's fraction; up to 9 are read, as its parser may write. What is
    after the year 9000 is taken for that (some write the end of the calendar for "never"), and what is before 2000
    for nonsense, such as the year 1 that some write for "unset".
    """
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("not a timestamp")
    day, time, fraction, sign, hours, minutes = found.groups()
    zone = UTC
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(-offset if sign == "-" else offset)
    local = datetime.fromisoformat(f"{day}T{time}Z")
    if local < _EARLIEST:
        raise ValueError("a timestamp from before there were such keys")
    microsecond = int((fraction or "0").ljust(6, "0")[:6])
    instant = min(local, _LATEST).replace(microsecond=microsecond, tzinfo=zone)
    return instant.astimezone(UTC)


def _is_object(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, dict)


def _object(value: object, what: str) -> Mapping[str, object]:
    if not _is_object(value):
        raise ValueError(f"{what} is not an object")
    return value


def _item(body: object) -> Mapping[str, object]:
    """Return what holds the one key in `body` and its member."""
    top = _object(body, "the key")
    inner = top.get("item")
    return inner if _is_object(inner) else top


def _requests(body: object) -> list[object]:
    rows = _object(body, "the request log").get("requests")
    if not isinstance(rows, list):
        raise ValueError("the request log has no requests")  # noqa: TRY004 (as above)
    return rows


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST or _SURROGATE.search(value):
        raise ValueError("not a text that can be kept")
    return value


def _texts(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise ValueError("not a list of texts")  # noqa: TRY004 (as above)
    texts = shared(frozenset(_text(item) for item in value))
    if sum(map(len, texts)) > _LONGEST:
        raise ValueError("texts that are too long together")
    return texts


def _readable(value: object) -> str:
    """Return what can be kept of a text, "" of anything else. Its end is kept: a mark would be there."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value[-_LONGEST:]) if isinstance(value, str) else ""


def _member_id(member: object) -> str | None:
    member_id = member.get("member_id") if _is_object(member) else None
    return sys.intern(member_id) if is_id(member_id) else None  # one text for all keys of a member
