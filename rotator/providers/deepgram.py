"""One Deepgram project, seen through one management key.

Deepgram has no update of keys and no idempotency key for creating them, so a create is sent exactly once.
Facts used here and their public sources:

- Calls, and that a list shows neither tags nor expiry: Deepgram's OpenAPI description. So each key that a
  list shows is read by itself, once: comment, scopes, tags and expiry can't be changed after creation
  (Deepgram's docs: create additional API keys).
- Unset fields are left out, and a lifetime is sent as whole seconds: `tags: []`, nulls and dates without a
  time are answered with 400 INVALID_JSON (deepgram-python-sdk issue 187).
- INVALID_AUTH means a bad key, but a missing right is documented as 401 too (Deepgram's docs: errors) and
  was seen as 403, so the code decides, not the status.
- `GET /v1/auth/token` tests a key (Deepgram's docs: authenticating).
- Keys are managed on api.deepgram.com only; regional and self-hosted endpoints don't do it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar
from urllib.parse import quote

from rotator.clock import Clock
from rotator.errors import Ambiguous, Denied, NotFound, PortError, Rejected, Throttled, Unavailable
from rotator.http import Answer, Call, HttpClient
from rotator.model.key import Key, KeyRequest, Listing
from rotator.model.secret import Secret
from rotator.ports import Minted, Proof
from rotator.providers import deepgram_answers as answers
from rotator.providers.deepgram_answers import Listed

_DETAILS_AT_ONCE = 4
"""How many keys are read at once after a list: few, so that a large project leaves turns to urgent calls."""

_DELETE_STARTS_WITHIN = timedelta(seconds=5)
"""A later DELETE is not sent: what was checked before it may not be so any more."""

_READ = (200,)
_DONE = range(200, 300)
"""200 is what Deepgram answers to a write (its OpenAPI description); any other success was one too."""

_Parsed = TypeVar("_Parsed")


class Deepgram:
    """A `ports.Provider` for one project. Keeps the details of the keys that the last list showed.

    `management` is the secret of the management key, `project_id` Deepgram's id of the project. Raise
    ValueError when the id can't be one.
    """

    def __init__(self, http: HttpClient, *, project_id: str, management: Secret, clock: Clock) -> None:
        """Look at `project_id` through `http`; `clock` says when a list was seen."""
        if not answers.is_id(project_id):
            raise ValueError("a Deepgram project id is made of letters, digits and dashes")
        self._http = http
        self._project_id = project_id
        self._management = management
        self._clock = clock
        self._keys_path = f"/v1/projects/{quote(project_id, safe='')}/keys"
        self._details: dict[str, Key] = {}
        self._management_key_id: str | None = None
        self._listing = asyncio.Lock()
        self._next_list: asyncio.Task[Listing] | None = None

    async def list_keys(self) -> Listing:
        """Return every visible key. A key that vanishes between the list and its reading is left out.

        One list is made at a time. All who ask while one is under way share the next, which begins after
        they asked: so many lineages at once cost few lists, and none gets an answer older than its question.
        """
        if self._next_list is None:
            self._next_list = asyncio.create_task(self._list_in_turn())
            # Seen, so that asyncio does not report a failure whose askers have all gone.
            self._next_list.add_done_callback(lambda made: made.cancelled() or made.exception())
        return await asyncio.shield(self._next_list)

    async def _list_in_turn(self) -> Listing:
        async with self._listing:
            self._next_list = None
            return await self._list()

    async def _list(self) -> Listing:
        management_key_id = await self._own_key_id()
        call = self._call("GET", self._keys_path, "list keys", self._project_id)
        answer = await self._ask(call)
        now = self._clock.now()
        listed = _understood(call, answers.listed, answer.body)
        details = {one.key_id: self._details[one.key_id] for one in listed if one.key_id in self._details}
        await self._learn([one for one in listed if one.key_id not in details], details)
        self._details = details
        members = {one.key_id: one.member_id for one in listed}
        return Listing(
            keys=tuple(details[one.key_id] for one in listed if one.key_id in details),
            at=answer.at or now,
            seen_at=now,
            management_key_id=management_key_id,
            management_member_id=None if management_key_id is None else members.get(management_key_id),
        )

    async def get_key(self, key_id: str) -> Key:
        """Return one key as it is now, never from what was kept."""
        return await self._read(Listed(key_id, None))

    async def create_key(self, request: KeyRequest) -> Minted:
        """Create a key, with exactly one request. It will belong to the member behind our management key."""
        body: dict[str, object] = {"comment": request.comment, "scopes": sorted(request.scopes)}
        if request.tags:
            body["tags"] = sorted(request.tags)
        if request.lifetime is not None:
            body["time_to_live_in_seconds"] = max(1, int(request.lifetime.total_seconds()))
        call = Call(
            method="POST",
            path=self._keys_path,
            operation="create key",
            target=self._project_id,
            authorization=_token(self._management),
            body=body,
        )
        answer = await self._ask(call)
        return _understood(call, answers.minted, answer.body)

    async def revoke_key(self, key_id: str) -> None:
        """Delete a key for good. Our own management key is refused with Rejected, before anything is sent."""
        path = self._key_path("revoke key", key_id)
        if key_id == await self._own_key_id():
            raise Rejected("revoke key", key_id, "it is the management key in use")
        call = replace(self._call("DELETE", path, "revoke key", key_id), starts_within=_DELETE_STARTS_WITHIN)
        await self._ask(call, names_a_key=True)

    async def prove(self, secret: Secret) -> Proof:
        """Say whether `secret` is valid. A valid key that lacks a right is accepted: the rights are not asked."""
        call = Call(
            method="GET",
            path="/v1/auth/token",
            operation="prove secret",
            target=self._project_id,
            authorization=_token(secret),
        )
        answer = await self._http.call(call)
        code = answers.error_code(answer.body)
        match answer.status, code:
            case 200, _:
                return Proof(accepted=True, key_id=_understood(call, answers.own_id, answer.body))
            case (401, "INVALID_AUTH") | (403, "UNAUTHORIZED"):  # the latter in the specification of 2025-01
                return Proof(accepted=False, key_id=None)
            case ((401 | 403), "INSUFFICIENT_PERMISSIONS"):
                return Proof(accepted=True, key_id=None)
            case ((401 | 403), _):
                # A proxy or a firewall can say this too; "refused" would start a rotation.
                raise Rejected(call.operation, call.target, _said(answer.status, code))
            case _:
                raise _error(call, answer, names_a_key=False)

    async def _own_key_id(self) -> str | None:
        if self._management_key_id is None:
            proof = await self.prove(self._management)
            if not proof.accepted:
                raise Denied("prove secret", self._project_id, "the management key is refused as invalid")
            self._management_key_id = proof.key_id
        return self._management_key_id

    async def _learn(self, unknown: list[Listed], details: dict[str, Key]) -> None:
        pending = iter(unknown)  # shared: each worker takes the next
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_DETAILS_AT_ONCE, len(unknown))):
                    group.create_task(self._learn_each(pending, details))
        except ExceptionGroup as errors:
            error = errors.exceptions[0]
        else:
            return
        raise error

    async def _learn_each(self, pending: Iterator[Listed], details: dict[str, Key]) -> None:
        for one in pending:
            try:
                details[one.key_id] = await self._read(one)
            except NotFound:
                continue
            self._details[one.key_id] = details[one.key_id]  # kept even when the list fails later on

    async def _read(self, one: Listed) -> Key:
        call = self._call("GET", self._key_path("read key", one.key_id), "read key", one.key_id)
        answer = await self._ask(call, names_a_key=True)
        return _understood(call, lambda body: answers.key(body, one), answer.body)

    def _key_path(self, operation: str, key_id: str) -> str:
        # An empty id would make the URL of the whole collection, an odd one that of something else.
        if not answers.is_id(key_id):
            raise Rejected(operation, self._project_id, "not an id of a key")
        return f"{self._keys_path}/{quote(key_id, safe='')}"

    def _call(self, method: str, path: str, operation: str, target: str) -> Call:
        return Call(
            method=method,
            path=path,
            operation=operation,
            target=target,
            authorization=_token(self._management),
        )

    async def _ask(self, call: Call, *, names_a_key: bool = False) -> Answer:
        answer = await self._http.call(call)
        if answer.status in (_DONE if call.writes else _READ):
            return answer
        raise _error(call, answer, names_a_key=names_a_key)


def _token(secret: Secret) -> Secret:
    return Secret(f"Token {secret.reveal()}")


def _understood(call: Call, parse: Callable[[object], _Parsed], body: object) -> _Parsed:
    try:
        return parse(body)
    except ValueError:
        pass
    # A success that can't be read is still a success: what was asked for has been done. Raised outside
    # of the handler, so that nothing of the body hangs on the error.
    kind = Ambiguous if call.writes else Rejected
    raise kind(call.operation, call.target, "an answer that can't be understood")


def _error(call: Call, answer: Answer, *, names_a_key: bool) -> PortError:
    code = answers.error_code(answer.body)
    named = (call.operation, call.target, _said(answer.status, code))
    match answer.status // 100, answer.status:
        case _, 429:
            return Throttled(*named, retry_after=answer.retry_after)
        case _, (401 | 403):
            return Denied(*named)
        case _, 404 if names_a_key and code != "PROJECT_NOT_FOUND":
            return NotFound(*named)
        case (5, _) | (_, 408 | 499):  # said by proxies too, which can't know how far a call got
            return Ambiguous(*named) if call.writes else Unavailable(*named)
        case 4, _:
            return Rejected(*named)
        case _:
            return Ambiguous(*named) if call.writes else Rejected(*named)


def _said(status: int, code: str | None) -> str:
    return f"{status} {code}" if code else str(status)
