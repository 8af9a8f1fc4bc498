"""One Vault, asked through hvac, without blocking the event loop.

hvac is synchronous, so each call runs in a thread of a small pool of its own. What hvac would do by itself
is switched off or walked around: its `Client` reads VAULT_TOKEN, ~/.vault-token and client certificates from
the environment (https://github.com/hvac/hvac/blob/v2.4.0/hvac/v1/__init__.py), so its API classes are put on
an adapter of ours directly; its exceptions carry no status, so the adapter returns every answer as it is; and
requests would send the token on to any host that a redirect names, so redirects are never followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import requests
from hvac.api.auth_methods import Token
from hvac.api.secrets_engines.kv_v2 import KvV2
from hvac.api.system_backend import SystemBackend

from rotator.errors import Denied, PortError, Rejected
from rotator.model.secret import Secret
from rotator.vault import answers, paths, translate, wire
from rotator.vault.answers import Answer, Stored, Written
from rotator.vault.translate import Call


class VaultClient:
    """The calls that rotator makes to Vault, each translated into `rotator.errors`.

    Every KV call first makes sure that the mount is KV version 2. `call_timeout` bounds one call from
    the moment it has its turn: a bounded number run at a time. A call whose await is cancelled or timed out goes on in its thread if it has
    been sent, and is never sent if it has not. `ca_cert` is a file of certificates to trust instead of the
    usual ones; there is no way to switch verification off. Safe to share between tasks of one event loop.
    """

    def __init__(
        self, *, address: str, token: Secret, namespace: str, ca_cert: str | None, call_timeout: timedelta
    ) -> None:
        """Open nothing yet. Raise Rejected when the token, `namespace` or `ca_cert` can't be used at all."""
        if not token.reveal().isascii():
            raise Rejected("log in to", address, "the token has characters that no token of Vault has")
        if ca_cert is not None and not Path(ca_cert).is_file():
            raise Rejected("read certificates from", ca_cert, "there is no such file")
        self.namespace = namespace.strip("/")
        if self.namespace:
            _check_path(Call(operation="use", target=f"namespace {self.namespace}"), self.namespace)
        self._timeout = call_timeout
        self._pool = ThreadPoolExecutor(wire.THREADS, thread_name_prefix="vault")
        self._turns = asyncio.Semaphore(wire.THREADS)
        self._adapter = wire.adapter(
            address=address,
            token=token,
            namespace=self.namespace,
            ca_cert=ca_cert,
            call_timeout=call_timeout,
        )
        self._kv = KvV2(self._adapter)
        self._system = SystemBackend(self._adapter)
        self._token = Token(self._adapter)
        self._checked_mounts: set[str] = set()

    async def aclose(self) -> None:
        """Wait for the calls that are still under way, then close the connections."""
        await asyncio.to_thread(self._pool.shutdown)
        self._adapter.close()

    async def check_mount(self, mount: str) -> None:
        """Make sure that `mount` is KV version 2. Asked once per mount.

        Without it, a version 1 mount looks like success: it takes the same writes, ignores check-and-set
        and overwrites. Raise Rejected with what to do, Denied, Unavailable or Throttled.
        """
        if mount in self._checked_mounts:
            return
        call = Call(operation="check mount", target=mount)
        _check_path(call, mount)
        answer = await self._expect(call, lambda: self._adapter.get(f"/v1/sys/internal/ui/mounts/{mount}"))
        found, options = answer.data.get("path"), answer.data.get("options")
        if not isinstance(found, str) or found.strip("/") != mount:
            raise Rejected(call.operation, mount, "it lies inside another mount; name that one")
        if answer.data.get("type") != "kv":
            raise Rejected(call.operation, mount, "it is a secrets engine of another type than kv")
        if not isinstance(options, dict) or options.get("version") != "2":
            detail = f"it is KV version 1; run `vault kv enable-versioning {mount}` or name another mount"
            raise Rejected(call.operation, mount, detail)
        self._checked_mounts.add(mount)

    async def read(self, operation: str, mount: str, path: str) -> Stored:
        """Return the latest version of an entry, or that it was deleted, or never written.

        A standby may answer with an older version. Raise Unavailable, Throttled, Denied or Rejected.
        """
        call = await self._kv_call(operation, mount, path)
        answer = await self._ask(
            call,
            lambda: self._kv.read_secret_version(path, mount_point=mount, raise_on_deleted_version=False),
        )
        found = answers.stored(answer)
        if found is not None:
            return found
        if answer.status == requests.codes.ok and answer.body is not None:
            raise translate.senseless(call, "200 without the data, version and times of an entry")
        raise await self._refusal(call, answer)

    async def write(
        self, operation: str, mount: str, path: str, data: Mapping[str, object], *, base: int
    ) -> Written:
        """Write a whole new version exactly if the entry is at version `base` (0: never written).

        Raise Conflict, Ambiguous, Unavailable, Throttled, Denied or Rejected, as in `ports`.
        """
        call = await self._kv_call(operation, mount, path, writes=True)
        answer = await self._expect(
            call,
            lambda: self._kv.create_or_update_secret(path, dict(data), cas=base, mount_point=mount),
        )
        result = answers.written(answer)
        if result is None:
            raise translate.senseless(call, "200 without the version that was written")
        return result

    async def names(self, operation: str, mount: str, folder: str) -> tuple[str, ...]:
        """Return the names in a folder; those of folders end in `/`. Empty when there is no such folder."""
        call = await self._kv_call(operation, mount, folder)
        answer = await self._ask(call, lambda: self._kv.list_secrets(folder, mount_point=mount))
        if _nothing_there(answer):
            return ()
        keys = answer.data.get("keys")
        if answer.status != requests.codes.ok or not isinstance(keys, list):
            raise await self._refusal(call, answer)
        return tuple(str(key) for key in keys)

    async def entry_settings(self, operation: str, mount: str, path: str) -> Mapping[str, object]:
        """Return the settings and versions of one entry (its `metadata`), empty when there are none."""
        call = await self._kv_call(operation, mount, path)
        answer = await self._ask(call, lambda: self._kv.read_secret_metadata(path, mount_point=mount))
        if _nothing_there(answer):
            return {}
        return await self._data_of(call, answer)

    async def mount_settings(self, operation: str, mount: str) -> Mapping[str, object]:
        """Return the settings of a KV mount. Many tokens may not read them: Denied is usual here."""
        await self.check_mount(mount)
        call = Call(operation=operation, target=mount)
        return (await self._expect(call, lambda: self._kv.read_configuration(mount_point=mount))).data

    async def capabilities(self, operation: str, api_paths: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        """Return what our token may do at each API path, such as `secret/data/app`."""
        call = Call(operation=operation, target=" and ".join(api_paths))
        for path in api_paths:
            _check_path(call, path)
        answer = await self._expect(
            call,
            lambda: self._system.get_capabilities(list(api_paths)),  # type: ignore[no-untyped-call] # untyped stub
        )
        granted = {path: answer.data.get(path) for path in api_paths}
        return {path: frozenset(rights) for path, rights in granted.items() if isinstance(rights, list)}

    async def _kv_call(self, operation: str, mount: str, path: str, *, writes: bool = False) -> Call:
        """Name the call, once its path is allowed and its mount is known to be KV version 2."""
        call = Call(operation=operation, target=f"{mount}/{path}", writes=writes)
        _check_path(call, f"{mount}/{path}")
        await self.check_mount(mount)
        return call

    async def _expect(self, call: Call, send: Callable[[], object]) -> Answer:
        """Ask, and return an answer that is 200 with a JSON object."""
        answer = await self._ask(call, send)
        await self._data_of(call, answer)
        return answer

    async def _data_of(self, call: Call, answer: Answer) -> Mapping[str, object]:
        if answer.status == requests.codes.ok and answer.body is not None:
            return answer.data
        raise await self._refusal(call, answer)

    async def _refusal(self, call: Call, answer: Answer) -> PortError:
        error = translate.refusal(call, answer)
        if type(error) is not Denied:
            return error
        return Denied(call.operation, call.target, f"{error.detail}; {await self._why_denied()}")

    async def _why_denied(self) -> str:
        """Ask about our own token: Vault gives the same 403 for a dead token and for a missing right."""
        call = Call(operation="look up", target="our token")
        try:
            answer = await self._ask(call, self._token.lookup_self)
        except PortError:
            return "whether the token is still good could not be asked"
        if answer.status == requests.codes.forbidden:
            return "the token itself is refused: expired, revoked or unknown"
        if answer.status == requests.codes.ok:
            return "the token is good, but its policies (or its namespace) do not allow this"
        return "whether the token is still good could not be asked"

    async def _ask(self, call: Call, send: Callable[[], object]) -> Answer:
        """Run `send` in a thread, once one is free, and return the answer, whatever its status."""
        await self._turns.acquire()
        future = self._pool.submit(wire.exchange, call, send)
        future.add_done_callback(partial(_give_back, asyncio.get_running_loop(), self._turns))
        outcome: Answer | PortError
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                outcome = await asyncio.wrap_future(future)
        except TimeoutError:
            outcome = translate.lost(call, "no answer in time")
        # Raised here, outside of any except block, so that no vendor's exception comes along as its context.
        if isinstance(outcome, PortError):
            raise outcome
        return outcome


def _give_back(loop: asyncio.AbstractEventLoop, turns: asyncio.Semaphore, _ended: Future[object]) -> None:
    """Let the next call have its turn, as soon as the thread of this one is free: a caller may have left before."""
    loop.call_soon_threadsafe(turns.release)


def _nothing_there(answer: Answer) -> bool:
    return answer.status == requests.codes.not_found and answer.errors == ()


def _check_path(call: Call, path: str) -> None:
    try:
        paths.checked(path)
    except ValueError as error:
        problem = str(error)
    else:
        return
    raise Rejected(call.operation, ascii(call.target), problem)
