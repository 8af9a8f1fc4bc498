"""Saved snapshots: what was seen, and what was wanted, as a text that can be decided on again elsewhere.

Neither policies nor snapshots hold a secret, so the text holds none. Every decision that surprises somebody
can be sent to us, and becomes a test file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rotator.model.snapshot import Snapshot
from rotator.policy.policy import Policy
from rotator.policy.settings import LimitSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One lineage: what was wanted for it and what was seen."""

    policy: Policy
    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Everything that decisions were made from. `now` is when. `limits` are what a forecast needs besides."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    now: datetime
    cases: tuple[Case, ...]
    limits: LimitSettings = field(default_factory=LimitSettings)


_CODEC = TypeAdapter(Saved)
_DURATION = TypeAdapter(timedelta)


def encode(saved: Saved) -> str:
    """Return the JSON text of `saved`, the same text for equal values."""
    return json.dumps(_CODEC.dump_python(saved), default=_as_json, indent=2) + "\n"


def decode(text: bytes) -> Saved:
    """Return what was saved in `text`. Raise ValueError, without the text, when it is not of format 1."""
    try:
        return _CODEC.validate_json(text)
    except ValidationError as error:
        places = ", ".join(".".join(map(str, e["loc"])) for e in error.errors(include_input=False)[:3])
        message = f"not a saved snapshot of format 1 (at: {places or 'the top'})"
        raise ValueError(message) from None


def _as_json(value: object) -> object:
    """Return what JSON has no word for: sets in order, instants and durations in ISO 8601, time zones by name."""
    match value:
        case frozenset():
            return sorted(value)
        case datetime():
            return value.isoformat()
        case timedelta():
            return _DURATION.dump_python(value, mode="json")
        case ZoneInfo():
            return value.key
        case _:
            raise TypeError(f"a {type(value).__name__} in a snapshot")
