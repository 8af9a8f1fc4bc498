"""Our token: got when it is first needed, renewed at half its life, replaced when it is dead.

All of it happens on the way to a call, in one task at a time, so an idle process costs Vault nothing. A token
that could not be renewed is used for as long as it lives.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Final

import requests

from rotator.clock import Clock
from rotator.errors import Denied, PortError
from rotator.model.secret import Secret
from rotator.policy.settings import VaultAuth
from rotator.vault import answers, translate
from rotator.vault.answers import Grant
from rotator.vault.lease import Due, Lease
from rotator.vault.line import Line
from rotator.vault.login import LOG_IN, Learnt, Login
from rotator.vault.login_credentials import option_of
from rotator.vault.translate import Call

_LOOK_UP: Final = Call(operation="look up", target="our token")
_RENEW: Final = Call(operation="renew", target="our token")
_RENEWED_NO_MORE: Final = frozenset({requests.codes.bad_request, requests.codes.forbidden})


class Verdict(Enum):
    """What a look at our own token says of a 403. The text is for people."""

    DEAD = "the token itself is refused: expired, revoked or unknown"
    GOOD = "the token is good, but its policies (or its namespace) do not allow this"
    UNKNOWN = "whether the token is still good could not be asked"


class Session:
    """A token for calls on `line`. Safe to share between tasks of one event loop."""

    def __init__(self, line: Line, auth: VaultAuth | Secret, clock: Clock, learnt: Learnt) -> None:
        """Read the credential once, to find out early. Raise PolicyError when there is none that can be used."""
        self._line = line
        self._clock = clock
        self._login = Login(auth, line, clock, learnt)
        self._option = option_of(auth)
        self._lease: Lease | None = None
        self._turn = asyncio.Lock()

    async def token(self) -> Secret:
        """Return a token that is good as far as anybody knows, after what is due for it.

        Raise what `Login.grant` raises, when there is none that still lives.
        """
        lease = self._lease
        if lease is not None and lease.due(self._clock.monotonic()) is Due.NOTHING:
            return lease.token
        async with self._turn:
            # Another task may have done it while this one waited.
            lease, now = self._lease, self._clock.monotonic()
            if lease is None or lease.over(now):
                lease = Lease.begun(await self._login.grant(), now)
            elif lease.due(now) is not Due.NOTHING:
                lease = await self._look_after(lease)
            self._lease = lease
            return lease.token

    async def instead_of(self, dead: Secret) -> Secret:
        """Return another token than one that turned out to be dead. Raise what `Login.grant` raises, Denied if none."""
        async with self._turn:
            if self._lease is None or self._lease.token.matches(dead):
                self._lease, now = None, self._clock.monotonic()
                grant = await self._login.grant()
                if grant.token.matches(dead):
                    raise Denied(LOG_IN, self._option, Verdict.DEAD.value)
                self._lease = Lease.begun(grant, now)
            return self._lease.token

    async def examine(self, token: Secret) -> Verdict:
        """Ask Vault about a token: it gives the same 403 for a dead token and for a missing right.

        The policy `default` lets every token ask about itself
        (https://developer.hashicorp.com/vault/docs/concepts/policies#default-policy).
        """
        try:
            answer = await self._line.ask(
                _LOOK_UP, lambda adapter: adapter.get("/v1/auth/token/lookup-self"), token
            )
        except PortError:
            return Verdict.UNKNOWN
        if answer.status == requests.codes.forbidden:
            return Verdict.DEAD
        return Verdict.GOOD if answer.status == requests.codes.ok else Verdict.UNKNOWN

    async def _look_after(self, lease: Lease) -> Lease:
        """Renew a lease, or log in anew when Vault does not renew it in full any more; else put it off."""
        now = self._clock.monotonic()
        if lease.renewable:
            try:
                renewed = await self._renew(lease)
            except PortError:
                return lease.put_off(now)
            if renewed is not None:
                lasts, lease = lease.lasts, Lease.begun(renewed, now)
                if renewed.lasts >= lasts:
                    return lease
        try:
            return Lease.begun(await self._login.grant(), now)
        except PortError:
            return lease.put_off(self._clock.monotonic())

    async def _renew(self, lease: Lease) -> Grant | None:
        """Return what Vault renewed, None when it refuses to. Raise PortError when it may do so later."""
        answer = await self._line.ask(
            _RENEW, lambda adapter: adapter.post("/v1/auth/token/renew-self", json={}), lease.token
        )
        if answer.status in _RENEWED_NO_MORE:
            return None
        grant = answers.granted(answer)
        if grant is None:
            raise translate.refusal(_RENEW, answer)
        return grant
