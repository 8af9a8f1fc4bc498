"""What each of Deepgram's calls does to the world and answers. No HTTP here.

The calls are those of Deepgram's OpenAPI description and docs ("Authenticating"), their rights those of its
older API reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rotator.simulator import replies
from rotator.simulator.asked import asked
from rotator.simulator.faults import Operation
from rotator.simulator.replies import Reply
from rotator.simulator.request_log import Request
from rotator.simulator.rights import (
    KEYS_READ,
    KEYS_WRITE,
    PROJECT_READ,
    READS_SCOPES,
    SEES_EVERYONE,
    USAGE_READ,
    USAGE_WRITE,
    Role,
)
from rotator.simulator.world import SimulatedKey, World

_NEEDS = {
    Operation.PROJECTS: frozenset({PROJECT_READ}),
    Operation.LIST: frozenset({KEYS_READ}),
    Operation.GET: frozenset({KEYS_READ}),
    Operation.CREATE: frozenset({KEYS_WRITE}),
    Operation.DELETE: frozenset({KEYS_WRITE}),
    Operation.LISTEN: frozenset({USAGE_WRITE}),
    Operation.REQUESTS: frozenset({USAGE_READ}),
    Operation.MEMBERS: frozenset({PROJECT_READ}) | SEES_EVERYONE,
    Operation.MEMBER_SCOPES: frozenset({PROJECT_READ}),
}
_OF_NO_PROJECT = frozenset({Operation.PROJECTS, Operation.PROVE, Operation.LISTEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One call as it came. `secret` is what stands after `Token` in the Authorization header, "" without one.

    `named` is the id of what is asked about within the project, a key or a member.
    """

    operation: Operation
    secret: str
    project_id: str
    named: str
    query: Mapping[str, str]
    body: bytes


def perform(world: World, ask: Ask, now: datetime) -> Reply:
    """Do what `ask` says, as at `now`, and return the answer."""
    caller = world.accepted(ask.secret, now)
    if caller is None:
        return replies.legacy(401, "INVALID_AUTH", "Invalid credentials.")
    if ask.operation not in _OF_NO_PROJECT:
        refusal = _unknown_project(world, caller, ask.project_id)
        if refusal:
            return refusal
    missing = _NEEDS.get(ask.operation, frozenset()) - world.rights(caller)
    if missing:
        return _forbidden(world, min(missing))
    return _CALLS[ask.operation](world, caller, ask, now)


def _unknown_project(world: World, caller: SimulatedKey, project_id: str) -> Reply | None:
    if project_id == caller.project_id:
        return None
    unknown = replies.legacy(404, "PROJECT_NOT_FOUND", "The project was not found.")
    if world.quirks.hides_projects:
        unknown = replies.modern(404, "NOT_FOUND", "Not found.", "The project was not found.")
    return replies.odd_id(project_id) or unknown


def _forbidden(world: World, needed: str) -> Reply:
    return replies.forbidden_as_documented() if world.quirks.forbids_with_401 else replies.forbidden(needed)


def _projects(world: World, caller: SimulatedKey, _ask: Ask, _now: datetime) -> Reply:
    project = {"project_id": caller.project_id, "name": world.projects[caller.project_id]}
    return Reply(200, {"projects": [project]})


def _list(world: World, caller: SimulatedKey, ask: Ask, now: datetime) -> Reply:
    wanted = ask.query.get("status")
    shown = [key for key in world.shown(caller, now) if wanted in (None, _status(key, now))]
    return Reply(200, {"api_keys": [replies.listed(world, key) for key in shown]})


def _status(key: SimulatedKey, now: datetime) -> str:
    return "expired" if key.expired(now) else "active"


def _get(world: World, caller: SimulatedKey, ask: Ask, _now: datetime) -> Reply:
    key = _visible(world, caller, ask.named)
    if isinstance(key, Reply):
        return key
    member, details = replies.member(world, key), replies.details(world, key, whole=True)
    if world.quirks.nested_get:
        return Reply(200, {"item": {"member": {**member, "api_key": details}}})
    return Reply(200, {"member": member, "api_key": details})


def _create(world: World, caller: SimulatedKey, ask: Ask, now: datetime) -> Reply:
    try:
        wanted = asked(ask.body, now)
    except ValueError as error:
        return replies.modern(400, "INVALID_JSON", "Invalid JSON submitted.", str(error))
    quirks = world.quirks
    scopes = wanted.scopes
    if quirks.expands_scopes and KEYS_WRITE in scopes and KEYS_READ not in scopes:
        scopes = (*scopes, KEYS_READ)
    key = SimulatedKey(
        key_id=world.new_id(),
        project_id=caller.project_id,
        member_id=caller.member_id,
        secret=world.new_secret(),
        comment=wanted.comment,
        scopes=scopes,
        tags=() if quirks.drops_tags else wanted.tags,
        created_at=now,
        expires_at=wanted.expires_at,
        listed_from=now + quirks.list_lag,
        accepted_from=now + quirks.accept_lag,
    )
    world.keep(key)
    return Reply(200, {**replies.details(world, key, whole=True), "key": key.secret.reveal()})


def _delete(world: World, caller: SimulatedKey, ask: Ask, now: datetime) -> Reply:
    key = _visible(world, caller, ask.named)
    if isinstance(key, Reply):
        return key
    member = world.member(caller.member_id)
    if key.member_id != caller.member_id and (member is None or member.role is not Role.OWNER):
        return _forbidden(world, KEYS_WRITE)
    world.delete(key.key_id, now)
    return Reply(200, {"message": "Successfully deleted the API key!"})


def _self_check(world: World, caller: SimulatedKey, _ask: Ask, _now: datetime) -> Reply:
    content: dict[str, object] = {
        "scopes": list(caller.scopes),
        "created": replies.written(world, caller.created_at),
    }
    if world.quirks.self_check_says_id:
        content["api_key_id"] = caller.key_id
    return Reply(200, content)


def _listen(world: World, caller: SimulatedKey, _ask: Ask, now: datetime) -> Reply:
    request_id = world.request_log.add(caller.project_id, caller.key_id, now)
    return Reply(200, {"metadata": {"request_id": request_id}, "results": {"channels": []}})


def _requests(world: World, caller: SimulatedKey, ask: Ask, now: datetime) -> Reply:
    try:
        page = world.request_log.page(caller.project_id, ask.query, now=now, lag=world.quirks.log_lag)
    except ValueError as error:
        return replies.legacy(400, "BAD_REQUEST", str(error))
    rows = [_row(world, request) for request in page.requests]
    return Reply(200, {"page": page.page, "limit": page.limit, "requests": rows})


def _row(world: World, request: Request) -> dict[str, object]:
    return {
        "request_id": request.request_id,
        "project_uuid": request.project_id,
        "created": replies.written(world, request.at),
        "path": f"/v1/{request.endpoint}",
        "api_key_id": request.key_id,
        "response": {"details": {"usd": 0.0, "method": "sync"}, "code": 200},
        "code": 200,
        "deployment": "hosted",
        "callback": None,
    }


def _members(world: World, caller: SimulatedKey, _ask: Ask, _now: datetime) -> Reply:
    shown = [
        {"member_id": member.member_id, "email": member.email, "scopes": [member.role.value]}
        for member in world.members(caller.project_id)
    ]
    return Reply(200, {"members": shown})


def _member_scopes(world: World, caller: SimulatedKey, ask: Ask, _now: datetime) -> Reply:
    """Answer with the role. Without the rights to read everybody's, a key is told that of its own account only."""
    odd = replies.odd_id(ask.named)
    if odd:
        return odd
    member = world.member(ask.named)
    if member is None or member.project_id != caller.project_id:
        return replies.modern(404, "NOT_FOUND", "Not found.", "The member was not found.")
    missing = READS_SCOPES - world.rights(caller)
    if member.member_id != caller.member_id and missing:
        return _forbidden(world, min(missing))
    return Reply(200, {"scopes": [member.role.value]})


def _visible(world: World, caller: SimulatedKey, key_id: str) -> SimulatedKey | Reply:
    odd = replies.odd_id(key_id)
    if odd:
        return odd
    key = world.key(key_id)
    if key is None or key.deleted_at is not None or not world.sees(caller, key):
        return replies.modern(404, "NOT_FOUND", "Not found.", "The key was not found.")
    return key


_CALLS: Mapping[Operation, Callable[[World, SimulatedKey, Ask, datetime], Reply]] = {
    Operation.PROJECTS: _projects,
    Operation.LIST: _list,
    Operation.GET: _get,
    Operation.CREATE: _create,
    Operation.DELETE: _delete,
    Operation.PROVE: _self_check,
    Operation.LISTEN: _listen,
    Operation.REQUESTS: _requests,
    Operation.MEMBERS: _members,
    Operation.MEMBER_SCOPES: _member_scopes,
}
