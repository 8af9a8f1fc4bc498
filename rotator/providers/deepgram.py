"""One Deepgram project, seen through one management key.

Deepgram has no update of keys and no idempotency key for creating them, so a create is sent exactly once.
Facts used here and their public sources:

- Calls: Deepgram's OpenAPI description.
- Unset fields are left out, and a lifetime is sent as whole seconds: `tags: []`, nulls and dates without a
  time are answered with 400 INVALID_JSON (deepgram-python-sdk issue 187).
- `GET /v1/auth/token` tests a key (Deepgram's docs: authenticating).
- The request log is kept for 90 days (Deepgram's docs: logs and usage). Requests showed in it 12 to 17 minutes
  after they were made (Appmixer's notes on its Deepgram connector); those that were refused never do.
- Keys are managed on api.deepgram.com only; regional and self-hosted endpoints don't do it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote

from rotator.clock import Clock
from rotator.errors import Denied, NotFound, Rejected
from rotator.http import Call, HttpClient
from rotator.model.key import Key, KeyRequest, Listing
from rotator.model.secret import Secret
from rotator.ports import LastUse, ManagementKey, Minted, Proof
from rotator.providers import deepgram_answers as answers
from rotator.providers.deepgram_answers import Listed
from rotator.providers.deepgram_keys import KeyReader
from rotator.providers.deepgram_wire import Wire, refusal, said, token, understood
from rotator.shared import Shared

_DELETE_STARTS_WITHIN = timedelta(seconds=5)
"""A later DELETE is not sent: what was checked before it may not be so any more."""


_LOG_KEPT = timedelta(days=90)
_LOG_LATE = timedelta(minutes=30)
"""How late requests may show in the log: what was seen, and as much again."""

_LOG_PAGE = "limit=10&page=0"
"""Enough to see that the newest come first; pages are counted from 0."""


class Deepgram:
    """A `ports.Provider` for one project. Keeps the details of the keys that the last list showed, and of new ones.

    `management` is the secret of the management key, `project_id` Deepgram's id of the project. While the keys of
    a list are read, `progress` is told how many of how many are done. Raise ValueError when the id can't be one.
    """

    def __init__(
        self,
        http: HttpClient,
        *,
        project_id: str,
        management: Secret,
        clock: Clock,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        """Look at `project_id` through `http`; `clock` says when a list was seen."""
        self._wire = Wire(http, project_id=project_id, management=management)
        self._http = http
        self._project_id = project_id
        self._management = management
        self._clock = clock
        # Half of the turns, so that a large project leaves the others to urgent calls.
        self._keys = KeyReader(self._wire, progress, at_once=max(1, http.concurrency // 2))
        self._management_key_id: str | None = None
        self._listing = Shared(self._list)

    async def list_keys(self) -> Listing:
        """Return every visible key. A key that vanishes between the list and its reading is left out.

        So many lineages at once cost few lists: all who ask while one is under way share the next.
        """
        return await self._listing()

    async def _list(self) -> Listing:
        management_key_id = await self._own_key_id()
        listed, at, seen_at = await self._listed()
        known = await self._keys.know(listed)
        members = {one.key_id: one.member_id for one in listed}
        return Listing(
            keys=known.keys,
            unreadable=known.unreadable,
            at=at,
            seen_at=seen_at,
            management_key_id=management_key_id,
            management_member_id=None if management_key_id is None else members.get(management_key_id),
        )

    async def _listed(self) -> tuple[tuple[Listed, ...], datetime, datetime]:
        """Return what the list says, and when it said so, by the provider's clock and by ours.

        The answer itself, about a megabyte for a thousand keys, must not be kept while each of them is read.
        """
        call = self._wire.call("GET", "/keys", "list keys", self._project_id)
        answer = await self._wire.ask(call)
        now = self._clock.now()
        return understood(call, answers.listed, answer.body), answer.at or now, now

    async def get_key(self, key_id: str) -> Key:
        """Return one key as it is now, never from what was kept."""
        return await self._keys.read(Listed(key_id))

    async def create_key(self, request: KeyRequest) -> Minted:
        """Create a key, with exactly one request. It will belong to the member behind our management key."""
        body: dict[str, object] = {"comment": request.comment, "scopes": sorted(request.scopes)}
        if request.tags:
            body["tags"] = sorted(request.tags)
        if request.lifetime is not None:
            body["time_to_live_in_seconds"] = max(1, int(request.lifetime.total_seconds()))
        call = replace(self._wire.call("POST", "/keys", "create key", self._project_id), body=body)
        answer = await self._wire.ask(call)
        return understood(call, answers.minted, answer.body)

    async def revoke_key(self, key_id: str) -> None:
        """Delete a key for good. Our own management key is refused with Rejected, before anything is sent."""
        path = self._wire.key_path("revoke key", key_id)
        if key_id == await self._own_key_id():
            raise Rejected("revoke key", key_id, "it is the management key in use")
        call = replace(
            self._wire.call("DELETE", path, "revoke key", key_id), starts_within=_DELETE_STARTS_WITHIN
        )
        await self._wire.ask(call, names_a_key=True)

    async def prove(self, secret: Secret) -> Proof:
        """Say whether `secret` is valid. A valid key that lacks a right is accepted: the rights are not asked."""
        proof, _ = await self._self_check(secret)
        return proof

    async def last_used(self, key_id: str) -> LastUse:
        """Return the key's newest request in the log. An empty answer counts only while the log shows others."""
        if not answers.is_id(key_id):
            raise Rejected("read request log", self._project_id, "not an id of a key")
        path = f"/requests?accessor={quote(key_id, safe='')}&{_LOG_PAGE}"
        call = self._wire.call("GET", path, "read request log", key_id)
        answer = await self._wire.ask(call)
        used_at = understood(call, lambda body: answers.newest_request(body, key_id), answer.body)
        if used_at is None:
            await self._see_the_log_work(key_id)
        at = answer.at or self._clock.now()
        return LastUse(used_at=used_at, log_begins_at=at - _LOG_KEPT, log_ends_at=at - _LOG_LATE)

    async def management_key(self) -> ManagementKey:
        """Return what the self-check, the key itself and its member's scopes tell of our management key."""
        proof, scopes = await self._self_check(self._management)
        if not proof.accepted:
            raise _refused(self._project_id)
        key, email, owner_scopes = None, None, None
        if proof.key_id is not None:
            with suppress(Denied, NotFound):
                key, email = await self._keys.read_with_owner(Listed(proof.key_id))
        if key is not None and key.member_id is not None:
            with suppress(Denied, Rejected):
                owner_scopes = await self._scopes_of(key.member_id)
        return ManagementKey(
            key_id=proof.key_id, scopes=scopes, key=key, owner_email=email, owner_scopes=owner_scopes
        )

    async def _self_check(self, secret: Secret) -> tuple[Proof, frozenset[str] | None]:
        """Return whether `secret` is valid, and the scopes of its key where the answer says them."""
        call = Call(
            method="GET",
            path="/v1/auth/token",
            operation="prove secret",
            target=self._project_id,
            authorization=token(secret),
        )
        answer = await self._http.call(call)
        code = answers.error_code(answer.body)
        match answer.status, code:
            case 200, _:
                key_id = understood(call, answers.own_id, answer.body)
                return Proof(accepted=True, key_id=key_id), answers.own_scopes(answer.body)
            case (401, "INVALID_AUTH") | (403, "UNAUTHORIZED"):  # the latter in the specification of 2025-01
                return Proof(accepted=False, key_id=None), None
            case ((401 | 403), "INSUFFICIENT_PERMISSIONS"):
                return Proof(accepted=True, key_id=None), None
            case ((401 | 403), _):
                # A proxy or a firewall can say this too; "refused" would start a rotation.
                raise Rejected(call.operation, call.target, said(answer.status, code))
            case _:
                raise refusal(call, answer, names_a_key=False)

    async def _own_key_id(self) -> str | None:
        if self._management_key_id is None:
            proof = await self.prove(self._management)
            if not proof.accepted:
                raise _refused(self._project_id)
            self._management_key_id = proof.key_id
        return self._management_key_id

    async def _scopes_of(self, member_id: str) -> frozenset[str]:
        path = f"/members/{quote(member_id, safe='')}/scopes"
        call = self._wire.call("GET", path, "read scopes of member", self._project_id)
        return understood(call, answers.scopes, (await self._wire.ask(call)).body)

    async def _see_the_log_work(self, key_id: str) -> None:
        """Raise Rejected when the log shows no request with any key: then an empty answer means nothing."""
        call = self._wire.call("GET", f"/requests?{_LOG_PAGE}", "read request log", key_id)
        answer = await self._wire.ask(call)
        if not understood(call, answers.shows_requests, answer.body):
            raise Rejected(call.operation, call.target, "the log shows no request with any key")


def _refused(project_id: str) -> Denied:
    return Denied("prove secret", project_id, "the management key is refused as invalid")
