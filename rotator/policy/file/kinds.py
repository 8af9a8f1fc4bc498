"""The kinds of values: a text, a number, a word out of a few, a path, a length of time."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from rotator.policy import address, duration, windows
from rotator.policy.file.document import EXPANSION_HINT, Node, Scalar, Sequence
from rotator.policy.file.option import Json, Kind
from rotator.policy.file.problems import Refused, allowed, describe, is_null, shown
from rotator.policy.names import FILE, Form
from rotator.policy.policy import Share

LONGEST_TEXT = 4096
"""Characters. Nothing that is meant is longer, and some checks take long then."""

T = TypeVar("T")
W = TypeVar("W", bound=str)
E = TypeVar("E", bound=StrEnum)

_BOOLEAN = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_SHARE = r"(?=.*[1-9])[0-9]{1,2}(?:\.[0-9]{1,3})?%"
_OVER_ZERO = "(?=.*[1-9])"


def read_text(node: Node) -> str:
    """Return the text of a scalar. Numbers are taken as they are written; `true` and `null` are refused."""
    if not isinstance(node, Scalar):
        raise Refused(f"{describe(node)} where a text is expected", at=node)
    if is_null(node):
        raise Refused("no value where a text is expected", "if the text is meant, quote it", at=node)
    if node.plain and node.text in _BOOLEAN:
        raise Refused(f"`{node.text}` where a text is expected", "if the text is meant, quote it", at=node)
    if "${" in node.text:
        raise Refused("`${...}` is not expanded", EXPANSION_HINT, at=node)
    if not node.text:
        raise Refused("an empty text", at=node)
    if len(node.text) > LONGEST_TEXT:
        raise Refused(describe(node), f"no text here is longer than {LONGEST_TEXT}", at=node)
    return node.text


def whole(pattern: str) -> dict[str, Json]:
    """Return the schema of a text that `pattern` fits from its first to its last character.

    A number is fine too where it is as a text: the loader takes it as it is written.
    """
    made: dict[str, Json] = {"type": "string", "pattern": f"^(?:{pattern})$"}
    if re.fullmatch(pattern, "1"):
        made["type"] = ["string", "number" if re.fullmatch(pattern, "1.5") else "integer"]
        if not re.fullmatch(pattern, "-1"):
            made["minimum"] = 0
    return made


_TEXT: dict[str, Json] = {
    "type": ["string", "number"],
    "minLength": 1,
    "maxLength": LONGEST_TEXT,
    "not": {"type": "string", "pattern": r"\$\{"},
}


def integer(lowest: int, highest: int) -> Kind[int]:
    """Return the kind of whole numbers between both, inclusive."""
    rule = f"{lowest}" if lowest == highest else f"a whole number from {lowest} to {highest}"

    def read(node: Node) -> int:
        text = read_text(node)
        number = int(text) if isinstance(node, Scalar) and node.plain and _INTEGER.fullmatch(text) else None
        if number is None or not lowest <= number <= highest:
            raise Refused(f"{shown(text)} is not {rule}")
        return number

    return Kind(
        read=read,
        schema={"type": "integer", "minimum": lowest, "maximum": highest},
        words=rule,
    )


def matching(form: Form) -> Kind[str]:
    """Return the kind of texts that look like `form`. A refused text is not shown: it can be anything."""

    def read(node: Node) -> str:
        text = read_text(node)
        if not form.fits(text):
            raise Refused(f"{describe(node)} that can't stand here", f"allowed: {form.rule}")
        return text

    return Kind(read=read, schema=whole(form.pattern), words=form.noun)


def choice(words: Collection[W]) -> Kind[W]:
    """Return the kind of one word out of `words`."""

    def read(node: Node) -> W:
        text = read_text(node)
        for word in words:
            if word == text:
                return word
        raise Refused(f"{shown(text)} is not one of the choices", allowed(text, tuple(map(str, words))))

    return Kind(read=read, schema={"enum": [str(word) for word in words]}, words=_listed(words))


def optional(kind: Kind[T]) -> Kind[T | None]:
    """Return `kind` with `null` for none."""
    return Kind(
        read=lambda node: None if is_null(node) else kind.read(node),
        schema={"anyOf": [kind.schema, {"type": "null"}]},
        words=f"{kind.words}; or `null`",
        null=True,
    )


def _read_list(node: Node, read: Callable[[Node], T]) -> tuple[T, ...]:
    """Return what `read` makes of each item. An empty list is refused: it would select nothing or everything."""
    if not isinstance(node, Sequence):
        raise Refused(f"{describe(node)} where a list is expected", "write `[a, b]`")
    if not node.items:
        raise Refused("an empty list", "remove the key, or write at least one item")
    found = []
    for item in node.items:
        try:
            found.append(read(item))
        except Refused as refused:
            raise Refused(refused.what, refused.hint, at=refused.at or item) from None
    return tuple(found)


def _list_of(schema: dict[str, Json]) -> dict[str, Json]:
    return {"type": "array", "items": schema, "minItems": 1}


def list_of(kind: Kind[T]) -> Kind[tuple[T, ...]]:
    """Return the kind of lists, not empty, of such values."""
    return Kind(
        read=lambda node: _read_list(node, kind.read),
        schema=_list_of(kind.schema),
        words=f"a list; each item is {kind.words}",
    )


def one_or_more(kind: Kind[T], words: str) -> Kind[tuple[T, ...]]:
    """Return the kind of one such value, or of a list of them."""
    return Kind(
        read=lambda node: (kind.read(node),) if isinstance(node, Scalar) else _read_list(node, kind.read),
        schema={"anyOf": [kind.schema, _list_of(kind.schema)]},
        words=words,
    )


TEXT = Kind(read=read_text, schema=_TEXT, words="a text")
TEXTS = Kind(
    read=lambda node: frozenset(_read_list(node, read_text)), schema=_list_of(_TEXT), words="a list of texts"
)
GLOBS = one_or_more(TEXT, "a glob (`*`, `?`, `[...]`), or a list of globs")


def _read_duration(node: Node) -> timedelta:
    text = read_text(node)
    try:
        return duration.parse_duration(text)
    except ValueError as error:
        raise Refused(f"{shown(text)} is {error}", duration.FORMS) from None


def _read_positive(node: Node) -> timedelta:
    length = _read_duration(node)
    if not length:
        raise Refused("zero is not possible here", duration.FORMS)
    return length


def _span(pattern: str) -> dict[str, Json]:
    return {"type": "string", "pattern": f"^{pattern}$"}


DURATION = Kind(read=_read_duration, schema=_span(duration.PATTERN), words="a duration")
POSITIVE_DURATION = Kind(
    read=_read_positive, schema=_span(_OVER_ZERO + duration.PATTERN), words="a duration over zero"
)


def _or_duration(
    other: Callable[[str], T | None], schema: dict[str, Json], words: str
) -> Kind[T | timedelta]:
    """Return the kind of what `other` makes of a text, or else of a duration over zero."""

    def read(node: Node) -> T | timedelta:
        text = read_text(node)
        found = other(text)
        try:
            return _read_positive(node) if found is None else found
        except Refused as refused:
            raise Refused(refused.what, f"{words}, or a duration: {refused.hint}") from None

    return Kind(
        read=read,
        schema={"anyOf": [schema, POSITIVE_DURATION.schema]},
        words=f"{words}, or {POSITIVE_DURATION.words}",
    )


def word_or_duration(words: type[E]) -> Kind[E | timedelta]:
    """Return the kind of one of these words, or of a duration over zero."""
    members = {str(member.value): member for member in words}
    return _or_duration(members.get, {"enum": [*members]}, ", ".join(f"`{word}`" for word in members))


def not_yet(kind: Kind[T], word: str, hint: str) -> Kind[T]:
    """Return `kind`, with its own refusal for a word that a later version has."""

    def read(node: Node) -> T:
        if read_text(node) == word:
            raise Refused(f"this version does not have `{word}` yet", hint)
        return kind.read(node)

    return replace(kind, read=read)


def _share(text: str) -> Share | None:
    if not text.endswith("%"):
        return None
    if not re.fullmatch(_SHARE, text):
        raise Refused(f"{shown(text)} is not a share of a lifetime", "more than 0% and less than 100%")
    return Share(float(text[:-1]))


SHARE_OR_DURATION = _or_duration(_share, _span(_SHARE), "a share such as `33%`")


def _read_address(node: Node) -> str:
    try:
        return address.parse_address(read_text(node))
    except ValueError as error:
        raise Refused(str(error), address.ADDRESS_FORM) from None


ADDRESS = Kind(
    read=_read_address,
    schema={"type": "string", "pattern": f"^{address.PATTERN}$"},
    words="an address; plain http only to this machine",
)
ABSOLUTE_PATH = matching(FILE)


_CRON_HINT = (
    "minute, hour, day of the month, month, day of the week: `0 2 * * 1-5` is 02:00 from Monday to Friday; how long it stays "
    "open is said in `for`"
)


def _read_cron(node: Node) -> str:
    text = read_text(node)
    try:
        windows.check_cron(text)
    except ValueError as error:
        raise Refused(str(error), _CRON_HINT) from None
    return text


CRON = Kind(
    read=_read_cron,
    schema={"type": "string", "pattern": r"^\s*[0-5]?[0-9](?:\s+[0-9A-Za-z*/,#-]+){4}\s*$"},
    words="a time as cron writes it, at one minute of the hour",
)

_ZONE = r"UTC|[A-Z][A-Za-z]*(?:/[A-Za-z0-9_+-]+){1,2}"


def _read_zone(node: Node) -> ZoneInfo:
    """Return the zone. This reads its table, so that nothing has to be read later, when it is asked."""
    text = read_text(node)
    try:
        if re.fullmatch(_ZONE, text):
            return ZoneInfo(text)
    except (ZoneInfoNotFoundError, OSError):
        pass
    known = tuple(name for name in available_timezones() if re.fullmatch(_ZONE, name))
    raise Refused(
        f"{shown(text)} is no time zone", f"{allowed(text, known)}: `UTC`, or a place such as `Europe/Berlin`"
    )


ZONE = Kind(read=_read_zone, schema=whole(_ZONE), words="a time zone, such as `Europe/Berlin`")

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DAY_OR_TIME = rf"{_DAY}(?:[T ][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}})?(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})?)?"


def _read_day_or_time(node: Node) -> date | datetime:
    text = read_text(node)
    try:
        if re.fullmatch(_DAY, text):
            return date.fromisoformat(text)
        if re.fullmatch(_DAY_OR_TIME, text):
            return datetime.fromisoformat(text)
    except ValueError:
        raise Refused(f"{shown(text)} is no day of the calendar") from None
    raise Refused(f"{shown(text)} is no day", "write `2026-12-20`, or `2026-12-20T18:00` for a time of it")


DAY_OR_TIME = Kind(read=_read_day_or_time, schema=whole(_DAY_OR_TIME), words="a day, or a time of it")


def _listed(words: Collection[str]) -> str:
    *before, last = (f"`{word}`" for word in words)
    return f"{', '.join(before)} or {last}" if before else last
