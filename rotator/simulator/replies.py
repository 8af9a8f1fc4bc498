"""The bodies that the simulated Deepgram answers with: keys, and the three kinds of errors.

The shapes are those of Deepgram's OpenAPI description and docs ("Errors"); the kinds of error bodies (modern,
legacy, plain text) are used where the docs or reports show them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rotator.simulator.world import SimulatedKey, World


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: an object is sent as JSON, a text as plain text."""

    status: int
    content: Mapping[str, object] | str


def legacy(status: int, code: str, message: str) -> Reply:
    """Return an error of the older kind."""
    return Reply(status, {"err_code": code, "err_msg": message, "request_id": str(uuid.uuid4())})


def modern(status: int, category: str, message: str, details: str) -> Reply:
    """Return an error of the newer kind."""
    content = {"category": category, "message": message, "details": details, "request_id": str(uuid.uuid4())}
    return Reply(status, content)


_INSUFFICIENT = "INSUFFICIENT_PERMISSIONS", "User does not have sufficient permissions."


def forbidden(needed: str) -> Reply:
    """Return the error for a missing right, as it was seen on a create (deepgram-ai-agent-demo issue 62)."""
    return modern(403, *_INSUFFICIENT, f"Missing scope: {needed}")


def forbidden_as_documented() -> Reply:
    """Return the error for a missing right as Deepgram's docs on errors have it."""
    return legacy(401, *_INSUFFICIENT)


def odd_id(text: str) -> Reply | None:
    """Return the error for an id that is no UUID, None for one that is."""
    try:
        uuid.UUID(text)
    except ValueError:
        return Reply(404, "UUID parsing failed: invalid character")
    return None


def member(world: World, key: SimulatedKey) -> dict[str, object]:
    """Return what is said of the account that owns a key."""
    owner = world.member(key.member_id)
    return {"member_id": key.member_id, "email": owner.email if owner else ""}


def listed(world: World, key: SimulatedKey) -> dict[str, object]:
    """Return a key as a list shows it."""
    return {
        "member": member(world, key),
        "api_key": details(world, key, whole=world.quirks.list_shows_details),
    }


def details(world: World, key: SimulatedKey, *, whole: bool) -> dict[str, object]:
    """Return a key itself, with tags and expiry when `whole`. What is unset is left out."""
    shown: dict[str, object] = {
        "api_key_id": key.key_id,
        "comment": key.comment,
        "scopes": list(key.scopes),
        "created": written(world, key.created_at),
    }
    if whole and key.tags:
        shown["tags"] = list(key.tags)
    if whole and key.expires_at is not None:
        shown["expiration_date"] = written(world, key.expires_at)
    return shown


def written(world: World, moment: datetime) -> str:
    """Return an instant as this Deepgram writes it."""
    digits = f"{moment.microsecond:06d}000"[: world.quirks.fraction_digits]
    whole = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{digits}Z" if digits else f"{whole}Z"
