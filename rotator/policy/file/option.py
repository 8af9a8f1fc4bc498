"""What an option is. The table of all options, in `options` and the modules `*_options`, is made of these.

The readers, the JSON Schema and the reference page all take from it, so that nothing about an option is said twice.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as ReadOnlyDict
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import Any, Generic, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from rotator.policy.duration import show_duration
from rotator.policy.file.document import Node
from rotator.policy.policy import Share
from rotator.policy.settings import SecretReference

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T_co]):
    """What may stand as the value of an option: how it is read, the same as JSON Schema, and in words.

    `read` raises Refused. With `null`, `null` may be written too, and `read` understands it.
    """

    read: Callable[[Node], T_co]
    schema: dict[str, Json]
    words: str
    null: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Option(Generic[T_co]):
    """An option that can be left out: `default` counts then. `why` is a sentence.

    `otherwise` says in words what counts where `default` is not the whole truth, such as `VAULT_ADDR`.
    """

    name: str
    kind: Kind[T_co]
    default: T_co
    why: str
    otherwise: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed(Generic[T_co]):
    """An option without a default. `hint` is for whoever left it out.

    Reading goes on with `stand_in` after it was told that the option is missing or wrong.
    """

    name: str
    kind: Kind[T_co]
    stand_in: T_co
    why: str
    hint: str = ""


class Shape(Enum):
    """How the parts of a section are written."""

    MAPPING = auto()
    """A mapping with a key for each part."""
    CHOICE = auto()
    """A mapping with a key for exactly one of the parts."""
    NAMED = auto()
    """A mapping from names, which the operator gives, to mappings with a key for each part."""
    LISTED = auto()
    """A list of mappings with a key for each part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Options that are written together below one key.

    `needed` ones can't be left out. With `filled`, an empty one is refused. `refused` are names of keys that are no option here and that somebody may
    well write, each with what is wrong about it and what to do. With `guarded`, no key that is found here is
    shown, because a secret may have been pasted in its place. `most` is how many items a list may have that
    can be `null`, too.
    """

    name: str
    why: str
    parts: tuple[Part, ...]
    shape: Shape = Shape.MAPPING
    needed: bool = False
    filled: bool = False
    refused: ReadOnlyDict[str, tuple[str, str]] = field(default_factory=dict)
    guarded: bool = False
    most: int | None = None


Part: TypeAlias = Option[Any] | Needed[Any] | Section


def later(**options: str) -> dict[str, tuple[str, str]]:
    """Return what is refused because a later version has it, each with what to do without it."""
    return {name: ("this version does not have this option yet", hint) for name, hint in options.items()}


def written(value: object) -> Json:
    """Return a value as it would be written in the file. A set or a list without items is not written: None."""
    match value:
        case timedelta():
            return show_duration(value)
        case Share(percent):
            return f"{percent:g}%"
        case SecretReference(source, name):
            return {source.value: name}
        case Enum():
            return str(value.value)
        case ZoneInfo():
            return value.key
        case str() | int() | None:
            return value
        case tuple() | frozenset() if not value:
            return None
        case _:
            raise TypeError(f"a {type(value).__name__} as a default")
