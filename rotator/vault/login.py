"""Logging in to Vault, by each of the methods, as often as it is needed and no oftener than Vault bears.

What the policy file refers to is read afresh at each login: files are replaced, and the tokens that Kubernetes
projects live an hour. Every method is one POST to `auth/MOUNT/login`
(https://developer.hashicorp.com/vault/api-docs/auth).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, assert_never

import requests

from rotator.clock import Clock
from rotator.errors import Denied, PolicyError, PortError, Rejected
from rotator.model.secret import Secret
from rotator.policy.settings import AppRoleAuth, CertAuth, JwtAuth, KubernetesAuth, TokenAuth, VaultAuth
from rotator.vault import answers, login_credentials, login_refusals, translate
from rotator.vault.answers import Answer, Grant
from rotator.vault.lease import Refusals, one_more
from rotator.vault.line import Line
from rotator.vault.translate import Call

LOG_IN: Final = "log in with"
"""The operation of every error of a login."""

_WITHOUT_END: Final = timedelta(0)
_LOCKED_OUT: Final = timedelta(minutes=15)
"""For so long Vault lets nobody log in with a role after five wrong logins, if nobody tuned it."""

_NO_LOCK: Final = timedelta(minutes=1)
"""The other methods lock nobody out, and their refusals may pass: Kubernetes' API was down."""


@dataclass(slots=True, repr=False)
class Learnt:
    """What the logins of one process showed: what Vault refused, and the secret id that a wrapping token held.

    It outlives connections: Vault counts wrong logins whoever makes them, and a wrapping token can be used once.
    """

    refusals: Refusals | None = None
    unwrapped: tuple[Secret, Secret] | None = None


class Login:
    """One way to log in. A Secret is a token that somebody has at hand, and is used as it is, never renewed."""

    def __init__(self, auth: VaultAuth | Secret, line: Line, clock: Clock, learnt: Learnt) -> None:
        """Read the credential once, to find out early. Raise PolicyError when there is none that can be used."""
        self._auth = auth
        self._line = line
        self._clock = clock
        self._learnt = learnt
        self._call = Call(operation=LOG_IN, target=login_credentials.option_of(auth))
        login_credentials.read(auth)

    async def grant(self) -> Grant:
        """Return a new token; or, where it is the credential itself, the one that is there now.

        Raise Denied when there is no credential any more, when Vault refuses it, or when it did so twice a moment
        ago; else Unavailable, Throttled or Rejected.
        """
        credential = self._read()
        self._check_refusals(credential)
        try:
            grant = await self._granted(credential)
        except Denied:
            self._learnt.refusals = one_more(self._learnt.refusals, credential, self._clock.monotonic())
            raise
        self._learnt.refusals = None
        return grant

    async def _granted(self, credential: tuple[Secret, ...]) -> Grant:
        match self._auth:
            case Secret() as token:
                return Grant(token=token, lasts=_WITHOUT_END, renewable=False)
            case TokenAuth():
                return await self._looked_up(*credential)
            case AppRoleAuth() as auth:
                role_id, secret_id = credential
                if auth.secret_id_response_wrapping_path is not None:
                    secret_id = await self._unwrap(secret_id, auth.secret_id_response_wrapping_path)
                return await self._post(auth.mount, {"role_id": role_id, "secret_id": secret_id})
            case KubernetesAuth() | JwtAuth() as auth:
                (jwt,) = credential
                return await self._post(auth.mount, {"jwt": jwt}, role=auth.role)
            case CertAuth() as auth:
                # The files may be others by now; Vault looks at the certificate of the connection.
                self._line.reconnect()
                return await self._post(auth.mount, {}, **({"name": auth.name} if auth.name else {}))
            case _:
                assert_never(self._auth)

    async def _looked_up(self, token: Secret) -> Grant:
        """Return a token that somebody else made, and how long it still lives.

        One that may not ask about itself, or is dead, is taken as it is: the call that it is needed for tells.
        """
        answer = await self._line.ask(
            self._call, lambda adapter: adapter.get("/v1/auth/token/lookup-self"), token
        )
        if answer.status == requests.codes.forbidden and answer.errors is not None:
            return Grant(token=token, lasts=_WITHOUT_END, renewable=False)
        grant = answers.looked_up(answer, token)
        if grant is None:
            raise translate.refusal(self._call, answer)
        return grant

    async def _post(self, mount: str, secrets: dict[str, Secret], **others: str) -> Grant:
        answer = await self._line.ask(
            self._call,
            lambda adapter: adapter.post(
                f"/v1/auth/{mount}/login",
                json={name: secret.reveal() for name, secret in secrets.items()} | others,
            ),
            None,
        )
        if answer.status != requests.codes.ok or answer.body is None:
            raise self._refusal(answer)
        grant = answers.granted(answer)
        if grant is None:
            detail = "200 without a token that can be used; a login that needs more than one step can't be done here"
            raise Rejected(self._call.operation, self._call.target, detail)
        return grant

    async def _unwrap(self, wrapping: Secret, path: str) -> Secret:
        """Return the secret id that a wrapping token holds. It can be had once, and is then kept in memory."""
        if self._learnt.unwrapped is not None and self._learnt.unwrapped[0].matches(wrapping):
            return self._learnt.unwrapped[1]
        looked = await self._line.ask(
            self._call,
            lambda adapter: adapter.post("/v1/sys/wrapping/lookup", json={"token": wrapping.reveal()}),
            None,
        )
        self._check_wrapping(looked)
        if str(looked.data.get("creation_path")).strip("/") != path.strip("/"):
            raise self._denied(login_refusals.WRAPPED_ELSEWHERE)
        # The wrapping token is the client's token here: in the body alone, it is refused.
        answer = await self._line.ask(
            self._call, lambda adapter: adapter.post("/v1/sys/wrapping/unwrap", json={}), wrapping
        )
        self._check_wrapping(answer)
        try:
            secret_id = Secret(str(answer.data.get("secret_id", "")))
        except ValueError:
            secret_id = None
        if secret_id is None:
            raise self._denied("the wrapping token held no secret id")
        self._learnt.unwrapped = (wrapping, secret_id)
        return secret_id

    def _check_wrapping(self, answer: Answer) -> None:
        if answer.status == requests.codes.bad_request and answer.errors is not None:
            raise self._denied(login_refusals.UNWRAPPED_BEFORE)
        if answer.status != requests.codes.ok or answer.body is None:
            raise translate.refusal(self._call, answer)

    def _read(self) -> tuple[Secret, ...]:
        try:
            return login_credentials.read(self._auth)
        except PolicyError as error:
            problem = str(error)
        raise self._denied(problem)

    def _check_refusals(self, credential: tuple[Secret, ...]) -> None:
        if self._learnt.refusals is None:
            return
        pause = _LOCKED_OUT if isinstance(self._auth, AppRoleAuth) else _NO_LOCK
        if self._learnt.refusals.pause_left(credential, self._clock.monotonic(), pause):
            raise self._denied(
                f"refused {self._learnt.refusals.count} times; not tried again for {pause.total_seconds():.0f} s, or until "
                "the credential is another one, lest Vault lock it out"
            )

    def _refusal(self, answer: Answer) -> PortError:
        words = None if isinstance(self._auth, Secret) else login_refusals.words(self._auth, answer)
        return translate.refusal(self._call, answer) if words is None else self._denied(words)

    def _denied(self, detail: str) -> Denied:
        return Denied(self._call.operation, self._call.target, detail)
