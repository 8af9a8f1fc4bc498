"""Reading one value: a text, a number, a word out of a few, a path, a length of time."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import TypeVar

from rotator.policy.document import EXPANSION_HINT, Node, Scalar, Sequence
from rotator.policy.duration import FORMS, parse_duration
from rotator.policy.fields import Refused, allowed, describe, is_null, shown
from rotator.policy.names import PATH_RULE, is_path

W = TypeVar("W", bound=str)

_BOOLEAN = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")


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
    return node.text


def read_integer(lowest: int, highest: int) -> Callable[[Node], int]:
    """Return a reader of whole numbers between both, inclusive."""

    def read(node: Node) -> int:
        text = read_text(node)
        number = int(text) if isinstance(node, Scalar) and node.plain and _INTEGER.fullmatch(text) else None
        if number is None or not lowest <= number <= highest:
            raise Refused(f"{shown(text)} is not a whole number from {lowest} to {highest}")
        return number

    return read


def read_matching(accepts: Callable[[str], bool], rule: str) -> Callable[[Node], str]:
    """Return a reader of texts that `accepts` takes. A refused text is not shown: it can be anything."""

    def read(node: Node) -> str:
        text = read_text(node)
        if not accepts(text):
            raise Refused(f"{describe(node)} that can't stand here", f"allowed: {rule}")
        return text

    return read


def read_choice(choices: Collection[W]) -> Callable[[Node], W]:
    """Return a reader of one word out of `choices`."""

    def read(node: Node) -> W:
        text = read_text(node)
        for choice in choices:
            if choice == text:
                return choice
        raise Refused(f"{shown(text)} is not one of the choices", allowed(text, choices))

    return read


def read_texts(node: Node) -> tuple[str, ...]:
    """Return the texts of a list. An empty list is refused: it would select nothing or everything."""
    if not isinstance(node, Sequence):
        raise Refused(f"{describe(node)} where a list is expected", "write `[a, b]`")
    if not node.items:
        raise Refused("an empty list", "remove the key, or write at least one item")
    return tuple(read_text(item) for item in node.items)


def read_path(node: Node) -> str:
    """Return a mount, a prefix or a path in Vault."""
    return read_matching(is_path, PATH_RULE)(node)


def read_duration(node: Node) -> timedelta:
    """Return a length of time, which may be zero."""
    text = read_text(node)
    try:
        return parse_duration(text)
    except ValueError as error:
        raise Refused(f"{shown(text)} is {error}", FORMS) from None


def read_positive_duration(node: Node) -> timedelta:
    """Return a length of time over zero."""
    duration = read_duration(node)
    if not duration:
        raise Refused("zero is not possible here", FORMS)
    return duration
