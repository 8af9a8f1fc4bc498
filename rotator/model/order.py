"""Orders: what a person told us to do, with who it was and why. Kept in records and in the control record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rotator.model.instant import Instant


class OrderKind(StrEnum):
    """What was ordered. These names are an interface: records, logs and `history` show them."""

    ADOPT = "adopt"
    """Take the key in, and rotate it when it is due, although the policy only watches."""
    RELEASE = "release"
    """The originals may be deleted: their consumers read Vault now."""
    ACCEPT = "accept"
    """The rights that a replacement got are what is wanted from now on."""
    FORGET = "forget"
    """Leave the lineage alone, and everything of it as it is."""
    IMPORT = "import"
    """The secret of the key in use was handed to us and published."""
    ROTATE = "rotate"
    """Replace the key in use now."""
    EMERGENCY = "emergency"
    """Replace the key in use now, and delete all earlier ones as soon as the new one is published."""
    MOVE = "move"
    """Serve it at another place from now on, and at the one before until that is given up."""
    GIVE_UP = "give_up"
    """Serve it no more at a place that it was moved from."""
    REBUILD = "rebuild"
    """Make its lost record again, of the entry in Vault and the marks of its keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order. `who` is an account and a machine, `why` the person's own words; `at` is Vault's clock.

    `place` is the one that a lineage is moved to, or that is given up, "" for other orders.
    """

    kind: OrderKind
    who: str
    why: str
    at: Instant
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Lineages that match `glob` are observed and planned for, and not acted on."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    glob: str
    who: str
    why: str
    at: Instant


def pause_of(names: frozenset[str], pauses: tuple[Pause, ...]) -> str:
    """Return which of `pauses` stops the lineage with any of these names, who gave it and why; "" when none does.

    A lineage has the name of each place that it is served at: a move does not end what was paused by the name before.
    """
    found = next((one for one in pauses if any(fnmatchcase(name, one.glob) for name in names)), None)
    if found is None:
        return ""
    return f"{found.glob}, by {found.who}" + (f": {found.why}" if found.why else "")


_PAUSES = TypeAdapter(tuple[Pause, ...])


def encode_pauses(pauses: tuple[Pause, ...]) -> str:
    """Return the JSON text of `pauses`."""
    return _PAUSES.dump_json(pauses).decode()


def decode_pauses(text: str) -> tuple[Pause, ...]:
    """Return the pauses in `text`. Raise ValueError, without the text, when it holds something else."""
    try:
        return _PAUSES.validate_json(text, strict=True)
    except ValidationError:
        message = "its pauses can't be read by this version"
    raise ValueError(message)
