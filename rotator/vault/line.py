"""The line to one Vault: calls in threads, so many at a time, each within its time, to the node that serves them.

hvac is synchronous, so each call runs in a thread of a small pool of its own. What hvac would do by itself
is switched off or walked around: its `Client` reads VAULT_TOKEN, ~/.vault-token and client certificates from
the environment (https://github.com/hvac/hvac/blob/v2.4.0/hvac/v1/__init__.py), so its API classes are put on
adapters of ours; its exceptions carry no status, so the adapters return every answer as it is; and requests
would send the token on to any host that a redirect names, so it follows none.

A standby that does not forward redirects with a 307, before it does anything
(https://developer.hashicorp.com/vault/docs/concepts/ha#client-redirection). That one is followed here: once per
call, to nowhere but the node that the standby itself names as active, and never to less protection. That node
is remembered until it fails or redirects in turn.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

from rotator.clock import Clock
from rotator.errors import PortError, Unavailable
from rotator.model.secret import Secret
from rotator.model.told import CallMade, Heard, unheard
from rotator.policy.address import parse_address
from rotator.vault import translate, wire
from rotator.vault.answers import Answer
from rotator.vault.timed import Deadline
from rotator.vault.translate import Call
from rotator.vault.wire import Send

_USED_FOR = timedelta(seconds=30)
"""How old the connections may be that a call is sent on.

Vault closes one after five minutes without a call (`http_idle_timeout`,
https://developer.hashicorp.com/vault/docs/configuration/listener/tcp), which is how often the service asks by its default, and
a balancer after one (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html).
A call that is sent at that moment is lost. When each of them was used last, nobody says.
"""

_ACTIVE_NODE = Call(operation="find", target="the active node")


class Line:
    """Calls to the Vault at `address`. Safe to share between tasks of one event loop.

    `call_timeout` bounds one exchange from the moment it has its turn: a bounded number run at a time. Of a call whose time
    is over nothing more is sent, and its thread is free again, or will be once a name is looked up and a connection stands, or does not.
    One whose await is cancelled goes on until then if it has been sent, and is never sent if it has not.
    `ca_cert` is a file of certificates to trust instead of the usual ones; there is no way to switch verification
    off. `client_cert` are the files of a certificate and its key, shown to a server that asks for one.
    """

    def __init__(
        self,
        *,
        address: str,
        namespace: str,
        ca_cert: str | None,
        client_cert: tuple[str, str] | None,
        call_timeout: timedelta,
        clock: Clock,
        heard: Heard = unheard,
    ) -> None:
        """Open nothing yet. `heard` is told of each exchange."""
        self._heard = heard
        self._clock = clock
        self._address = address
        self._active: str | None = None
        self._namespace = namespace
        self._ca_cert = ca_cert
        self._client_cert = client_cert
        self._timeout = call_timeout
        self.reconnect()
        self._pool = ThreadPoolExecutor(wire.THREADS, thread_name_prefix="vault")
        self._turns = asyncio.Semaphore(wire.THREADS)

    async def aclose(self) -> None:
        """Wait for the calls that are still under way, then close the connections."""
        await asyncio.to_thread(self._pool.shutdown)
        self._connections.close()

    def reconnect(self) -> None:
        """Make new connections from now on."""
        # What is under way keeps the old ones, which close when nobody uses them any more.
        self._connections = wire.session(ca_cert=self._ca_cert, client_cert=self._client_cert)
        self._connected_at = self._clock.monotonic()

    async def ask(self, call: Call, send: Send, token: Secret | None) -> Answer:
        """Return Vault's answer, whatever its status.

        Raise Unavailable when nothing was done; when that is not sure, Ambiguous for a call that writes.
        """
        node = self._active
        outcome = await self._exchange(call, send, token, node or self._address)
        if node is not None and not _served(outcome):
            self._active = None
            if isinstance(outcome, Unavailable):
                # That node did nothing, so even a write may be sent again.
                outcome = await self._exchange(call, send, token, self._address)
        if isinstance(outcome, Answer) and outcome.moved_to is not None:
            leader = await self._leader(outcome.moved_to)
            if leader is not None:
                # The standby did nothing. What the leader then does, or leaves unanswered, counts as usual.
                outcome = await self._exchange(call, send, token, leader)
                self._active = leader if _served(outcome) else None
        # Raised here, outside of any except block, so that no vendor's exception comes along as its context.
        if isinstance(outcome, PortError):
            raise outcome
        return outcome

    async def _leader(self, target: str) -> str | None:
        """Return `target` if the standby at our address names it as the active node and it is as well protected.

        The standby is asked without our token and outside of any namespace: it tells everybody
        (https://developer.hashicorp.com/vault/api-docs/system/leader).
        """
        told = await self._exchange(
            _ACTIVE_NODE, lambda adapter: adapter.get("/v1/sys/leader"), None, self._address, namespaced=False
        )
        leader = None if isinstance(told, PortError) or told.body is None else told.body.get("leader_address")
        if not isinstance(leader, str) or _origin(leader) != _origin(target):
            return None
        if self._address.startswith("https:") and not leader.startswith("https:"):
            return None
        try:
            # The same rules as for an address in the policy file: plain http to this machine only.
            return parse_address(target)
        except ValueError:
            return None

    async def _exchange(
        self, call: Call, send: Send, token: Secret | None, address: str, *, namespaced: bool = True
    ) -> Answer | PortError:
        """Run `send` in a thread, once one is free, and tell how it went. Errors are returned."""
        await self._turns.acquire()
        if self._clock.monotonic() - self._connected_at > _USED_FOR.total_seconds():
            self.reconnect()
        loop = asyncio.get_running_loop()
        began, result = loop.time(), "no_answer"
        try:
            outcome = await self._sent(call, send, token, address, namespaced=namespaced)
            result = str(outcome.status) if isinstance(outcome, Answer) else result
        finally:
            took = timedelta(seconds=loop.time() - began)
            self._heard(CallMade(to="vault", operation=call.operation, result=result, took=took))
        return outcome

    async def _sent(
        self, call: Call, send: Send, token: Secret | None, address: str, *, namespaced: bool
    ) -> Answer | PortError:
        adapter = wire.adapter(
            self._connections,
            address=address,
            token=token,
            namespace=self._namespace if namespaced else "",
            call_timeout=self._timeout,
        )
        loop, deadline = asyncio.get_running_loop(), Deadline(self._timeout)
        try:
            future = self._pool.submit(wire.exchange, call, send, adapter, deadline)
        except RuntimeError:
            # It is queued nevertheless: a thread that there is may have sent it just now.
            deadline.end()
            self._turns.release()
            return translate.lost(call, "no thread could be started for it")
        ending = loop.call_later(self._timeout.total_seconds(), deadline.end)
        future.add_done_callback(partial(_give_back, loop, self._turns, ending))
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            return translate.lost(call, "no answer in time")


def _give_back(
    loop: asyncio.AbstractEventLoop, turns: asyncio.Semaphore, ending: asyncio.TimerHandle, _: Future[object]
) -> None:
    """Let the next call have its turn, as soon as the thread of this one is free: a caller may have left before."""
    loop.call_soon_threadsafe(_give_back_now, turns, ending)


def _give_back_now(turns: asyncio.Semaphore, ending: asyncio.TimerHandle) -> None:
    turns.release()
    ending.cancel()


def _served(outcome: Answer | PortError) -> bool:
    """Return whether a node did its work: it answered, did not send us elsewhere, and is not out of order."""
    return isinstance(outcome, Answer) and (outcome.status < 300 or 400 <= outcome.status < 500)  # noqa: PLR2004 (HTTP)


def _origin(address: str) -> tuple[str, str | None, int | None] | None:
    """Return scheme, host and port, None for what has none."""
    try:
        url = urlsplit(address)
        return url.scheme, url.hostname, url.port or {"https": 443, "http": 80}.get(url.scheme)
    except ValueError:
        return None
