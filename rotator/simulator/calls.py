"""What each of Deepgram's calls does to the world and answers. No HTTP here.

The shapes are those of Deepgram's OpenAPI description and docs ("Errors", "Authenticating"); the three
kinds of error bodies (modern, legacy, plain text) are used where the docs or reports show them.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rotator.simulator.faults import Operation
from rotator.simulator.rights import KEYS_READ, KEYS_WRITE, PROJECT_READ, USAGE_WRITE, Role
from rotator.simulator.world import SimulatedKey, World

_NEEDS = {
    Operation.PROJECTS: PROJECT_READ,
    Operation.LIST: KEYS_READ,
    Operation.GET: KEYS_READ,
    Operation.CREATE: KEYS_WRITE,
    Operation.DELETE: KEYS_WRITE,
    Operation.LISTEN: USAGE_WRITE,
}
_LONGEST_TAG = 128
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One call as it came. `secret` is what stands after `Token` in the Authorization header, "" without one."""

    operation: Operation
    secret: str
    project_id: str
    key_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: an object is sent as JSON, a text as plain text."""

    status: int
    content: Mapping[str, object] | str


def perform(world: World, ask: Ask, now: datetime) -> Reply:
    """Do what `ask` says, as at `now`, and return the answer."""
    caller = world.accepted(ask.secret, now)
    if caller is None:
        return _legacy(401, "INVALID_AUTH", "Invalid credentials.")
    if ask.operation in (Operation.LIST, Operation.GET, Operation.CREATE, Operation.DELETE):
        refusal = _unknown_project(caller, ask.project_id)
        if refusal:
            return refusal
    needed = _NEEDS.get(ask.operation)
    if needed is not None and needed not in world.rights(caller):
        return _forbidden(needed)
    return _CALLS[ask.operation](world, caller, ask, now)


def _unknown_project(caller: SimulatedKey, project_id: str) -> Reply | None:
    try:
        uuid.UUID(project_id)
    except ValueError:
        return Reply(404, "UUID parsing failed: invalid character")
    if project_id != caller.project_id:
        return _legacy(404, "PROJECT_NOT_FOUND", "The project was not found.")
    return None


def _projects(world: World, caller: SimulatedKey, _ask: Ask, _now: datetime) -> Reply:
    project = {"project_id": caller.project_id, "name": world.projects[caller.project_id]}
    return Reply(200, {"projects": [project]})


def _list(world: World, caller: SimulatedKey, _ask: Ask, now: datetime) -> Reply:
    return Reply(200, {"api_keys": [_listed(world, key) for key in world.shown(caller, now)]})


def _get(world: World, caller: SimulatedKey, ask: Ask, _now: datetime) -> Reply:
    key = _visible(world, caller, ask.key_id)
    if isinstance(key, Reply):
        return key
    member, details = _member(world, key), _details(world, key, whole=True)
    if world.quirks.nested_get:
        return Reply(200, {"item": {"member": {**member, "api_key": details}}})
    return Reply(200, {"member": member, "api_key": details})


def _create(world: World, caller: SimulatedKey, ask: Ask, now: datetime) -> Reply:
    try:
        asked = _request(ask.body, now)
    except ValueError as error:
        return _modern(400, "INVALID_JSON", "Invalid JSON submitted.", str(error))
    quirks = world.quirks
    scopes = asked.scopes
    if quirks.expands_scopes and KEYS_WRITE in scopes and KEYS_READ not in scopes:
        scopes = (*scopes, KEYS_READ)
    key = SimulatedKey(
        key_id=str(uuid.uuid4()),
        project_id=caller.project_id,
        member_id=caller.member_id,
        secret=world.new_secret(),
        comment=asked.comment,
        scopes=scopes,
        tags=() if quirks.drops_tags else asked.tags,
        created_at=now,
        expires_at=asked.expires_at,
        listed_from=now + quirks.list_lag,
        accepted_from=now + quirks.accept_lag,
    )
    world.keep(key)
    return Reply(200, {**_details(world, key, whole=True), "key": key.secret.reveal()})


def _delete(world: World, caller: SimulatedKey, ask: Ask, now: datetime) -> Reply:
    key = _visible(world, caller, ask.key_id)
    if isinstance(key, Reply):
        return key
    member = world.member(caller.member_id)
    if key.member_id != caller.member_id and (member is None or member.role is not Role.OWNER):
        return _forbidden(KEYS_WRITE)
    world.delete(key.key_id, now)
    return Reply(200, {"message": "Successfully deleted the API key!"})


def _self_check(world: World, caller: SimulatedKey, _ask: Ask, _now: datetime) -> Reply:
    content: dict[str, object] = {
        "scopes": list(caller.scopes),
        "created": _written(world, caller.created_at),
    }
    if world.quirks.self_check_says_id:
        content["api_key_id"] = caller.key_id
    return Reply(200, content)


def _listen(_world: World, _caller: SimulatedKey, _ask: Ask, _now: datetime) -> Reply:
    return Reply(200, {"metadata": {"request_id": str(uuid.uuid4())}, "results": {"channels": []}})


def _visible(world: World, caller: SimulatedKey, key_id: str) -> SimulatedKey | Reply:
    try:
        uuid.UUID(key_id)
    except ValueError:
        return Reply(404, "UUID parsing failed: invalid character")
    key = world.key(key_id)
    if key is None or key.deleted_at is not None or not world.sees(caller, key):
        return _modern(404, "NOT_FOUND", "Not found.", "The key was not found.")
    return key


@dataclass(frozen=True, slots=True)
class _Request:
    comment: str
    scopes: tuple[str, ...]
    tags: tuple[str, ...]
    expires_at: datetime | None


def _request(body: bytes, now: datetime) -> _Request:
    """Return what a create asks for. Raise ValueError with Deepgram's kind of detail."""
    asked = json.loads(body)
    if not isinstance(asked, dict):
        raise ValueError("invalid type, expected a map")  # noqa: TRY004 (every odd body is one error)
    nulls = [name for name, value in asked.items() if value is None]
    if nulls:
        raise ValueError(f"invalid type: null for `{nulls[0]}`")
    comment = asked.get("comment")
    if not isinstance(comment, str):
        raise ValueError("missing field `comment`")  # noqa: TRY004
    tags = _texts(asked, "tags") if "tags" in asked else ()
    if "tags" in asked and (not tags or max(map(len, tags)) > _LONGEST_TAG):
        raise ValueError("invalid length for `tags`")
    return _Request(comment, _texts(asked, "scopes"), tags, _expiry(asked, now))


def _texts(asked: Mapping[str, object], name: str) -> tuple[str, ...]:
    values = asked.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"missing field `{name}`")
    return tuple(values)


def _expiry(asked: Mapping[str, object], now: datetime) -> datetime | None:
    seconds, date = asked.get("time_to_live_in_seconds"), asked.get("expiration_date")
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


def _member(world: World, key: SimulatedKey) -> dict[str, object]:
    member = world.member(key.member_id)
    return {"member_id": key.member_id, "email": member.email if member else ""}


def _listed(world: World, key: SimulatedKey) -> dict[str, object]:
    details = _details(world, key, whole=world.quirks.list_shows_details)
    return {"member": _member(world, key), "api_key": details}


def _details(world: World, key: SimulatedKey, *, whole: bool) -> dict[str, object]:
    details: dict[str, object] = {
        "api_key_id": key.key_id,
        "comment": key.comment,
        "scopes": list(key.scopes),
        "created": _written(world, key.created_at),
    }
    if whole and key.tags:
        details["tags"] = list(key.tags)
    if whole and key.expires_at is not None:
        details["expiration_date"] = _written(world, key.expires_at)
    return details


def _written(world: World, moment: datetime) -> str:
    digits = f"{moment.microsecond:06d}000"[: world.quirks.fraction_digits]
    whole = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{digits}Z" if digits else f"{whole}Z"


def _legacy(status: int, code: str, message: str) -> Reply:
    return Reply(status, {"err_code": code, "err_msg": message, "request_id": str(uuid.uuid4())})


def _modern(status: int, category: str, message: str, details: str) -> Reply:
    content = {"category": category, "message": message, "details": details, "request_id": str(uuid.uuid4())}
    return Reply(status, content)


def _forbidden(needed: str) -> Reply:
    message = "User does not have sufficient permissions."
    return _modern(403, "INSUFFICIENT_PERMISSIONS", message, f"Missing scope: {needed}")


_CALLS: Mapping[Operation, Callable[[World, SimulatedKey, Ask, datetime], Reply]] = {
    Operation.PROJECTS: _projects,
    Operation.LIST: _list,
    Operation.GET: _get,
    Operation.CREATE: _create,
    Operation.DELETE: _delete,
    Operation.PROVE: _self_check,
    Operation.LISTEN: _listen,
}
