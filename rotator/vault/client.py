"""The calls that rotator makes to Vault, through hvac, each with a token that is good."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import requests
from hvac.api.secrets_engines.kv_v2 import KvV2
from hvac.api.system_backend import SystemBackend

from rotator.clock import Clock
from rotator.errors import Conflict, Denied, PortError, Rejected
from rotator.model.secret import Secret
from rotator.model.told import Heard, unheard
from rotator.policy.settings import CertAuth, VaultAuth
from rotator.vault import answers, paths, translate, wire
from rotator.vault.answers import Answer, Stored, Written
from rotator.vault.line import Line
from rotator.vault.login import Learnt
from rotator.vault.newest import Newest
from rotator.vault.session import Session, Verdict
from rotator.vault.translate import Call
from rotator.vault.wire import Send

_LOOK_AGAIN: Final = timedelta(milliseconds=100)
_LOOKS: Final = 30
"""A standby lags behind the active node by a tenth of a second, and is given thirty times that."""

_NEW_AND_DEAD: Final = (
    "the token may not look itself up, although it is new: leave Vault's policy `default` on, or add the paths that "
    "rotator needs of it"
)
"""What a 403 means when a new token is refused as the old one was."""


class VaultClient:
    """The calls that rotator makes to Vault, each translated into `rotator.errors`.

    `auth` says how to log in; a Secret is a token that is used as it is. Every KV call first makes sure that the
    mount is KV version 2. `ca_cert` and `call_timeout` are those of `Line`. Any call may have to log in first, and raises
    what that raises: Denied, Unavailable, Throttled or Rejected; nothing was written then. Safe to share between
    tasks of one event loop.
    """

    def __init__(
        self,
        *,
        address: str,
        auth: VaultAuth | Secret,
        namespace: str,
        ca_cert: str | None,
        call_timeout: timedelta,
        clock: Clock,
        heard: Heard = unheard,
        learnt: Learnt | None = None,
    ) -> None:
        """Open nothing yet. `heard` is told of each call, `learnt` is what earlier logins of this process showed.

        Raise PolicyError when there is no credential that can be used, Rejected when `namespace` or `ca_cert`
        can't.
        """
        self.namespace = namespace.strip("/")
        if self.namespace:
            _check_path(Call(operation="use", target=f"namespace {self.namespace}"), self.namespace)
        if ca_cert is not None:
            wire.check_authorities(ca_cert)
        self._line = Line(
            address=address,
            namespace=self.namespace,
            ca_cert=ca_cert,
            client_cert=(auth.cert, auth.key) if isinstance(auth, CertAuth) else None,
            call_timeout=call_timeout,
            clock=clock,
            heard=heard,
        )
        self._session = Session(self._line, auth, clock, learnt or Learnt())
        self._clock = clock
        self._checked_mounts: set[str] = set()
        self._newest = Newest()

    async def aclose(self) -> None:
        """Wait for the calls that are still under way, then close the connections."""
        await self._line.aclose()

    async def look_after_token(self) -> None:
        """Renew our token, or log in again, if it is time for that. Raise as any call when there is none that lives."""
        await self._session.token()

    async def check_mount(self, mount: str) -> None:
        """Make sure that `mount` is KV version 2. Asked once per mount.

        Without it, a version 1 mount looks like success: it takes the same writes, ignores check-and-set
        and overwrites. Raise Rejected with what to do, Denied, Unavailable or Throttled.
        """
        if mount in self._checked_mounts:
            return
        call = Call(operation="check mount", target=mount)
        _check_path(call, mount)
        answer = await self._expect(call, lambda adapter: adapter.get(f"/v1/sys/internal/ui/mounts/{mount}"))
        found, options = answer.data.get("path"), answer.data.get("options")
        if not isinstance(found, str) or found.strip("/") != mount:
            raise Rejected(call.operation, mount, "it lies inside another mount; name that one")
        if answer.data.get("type") != "kv":
            raise Rejected(call.operation, mount, "it is a secrets engine of another type than kv")
        if not isinstance(options, dict) or options.get("version") != "2":
            detail = f"it is KV version 1; run `vault kv enable-versioning {mount}` or name another mount"
            raise Rejected(call.operation, mount, detail)
        self._checked_mounts.add(mount)

    async def read(self, operation: str, mount: str, path: str, *, at_least: int = 0) -> Stored:
        """Return the latest version of an entry, or that it was deleted, or never written.

        A standby may answer with an older version, and with 404 as well. While it is one below `at_least`, or older than
        what this client wrote or read of late (`Newest`), it is asked again, for 3 s. What is older even after that has come
        back from a backup, and counts. Raise Unavailable, Throttled, Denied or Rejected.
        """
        call = await self._kv_call(operation, mount, path)
        found = await self._read(call, mount, path)
        for _ in range(_LOOKS):
            if found.version >= max(at_least, self._newest.of(mount, path)):
                break
            await self._clock.sleep(_LOOK_AGAIN)
            found = await self._read(call, mount, path)
        self._newest.note(mount, path, found.version)
        return found

    async def _read(self, call: Call, mount: str, path: str) -> Stored:
        """Return what one node answers."""
        answer = await self._ask(
            call,
            lambda adapter: KvV2(adapter).read_secret_version(
                path, mount_point=mount, raise_on_deleted_version=False
            ),
        )
        found = answers.stored(answer)
        if found is not None:
            return found
        if answer.status == requests.codes.ok and answer.body is not None:
            raise translate.lost(call, "200 without the data, version and times of an entry")
        raise translate.refusal(call, answer)

    async def write(
        self, operation: str, mount: str, path: str, data: Mapping[str, object], *, base: int
    ) -> Written:
        """Write a whole new version exactly if the entry is at version `base` (0: never written).

        A standby that answers reads itself compares versions with what it has seen so far, and may refuse what follows
        our own last write. So a refusal is believed once something newer than `base` is read, or after 3 s. Raise
        Conflict, Ambiguous, Unavailable, Throttled, Denied or Rejected, as in `ports`.
        """
        call = await self._kv_call(operation, mount, path, writes=True)
        answer = await self._write(
            call,
            lambda adapter: KvV2(adapter).create_or_update_secret(
                path, dict(data), cas=base, mount_point=mount
            ),
            (mount, path),
            base,
        )
        result = answers.written(answer)
        if result is None:
            raise translate.senseless(call, "200 without the version that was written")
        self._newest.note(mount, path, result.version)
        return result

    async def _write(self, call: Call, send: Send, where: tuple[str, str], base: int) -> Answer:
        """Send a write, and again while the node that refused it may lag behind."""
        for _ in range(_LOOKS):
            try:
                return await self._expect(call, send)
            except Conflict:
                if not await self._may_lag(where, base):
                    raise
            await self._clock.sleep(_LOOK_AGAIN)
        return await self._expect(call, send)

    async def _may_lag(self, where: tuple[str, str], base: int) -> bool:
        """Return whether an entry that we wrote or saw at `base` is not seen to be at a later version yet."""
        mount, path = where
        if base == 0 or self._newest.of(mount, path) != base:
            return False
        try:
            found = await self._read(Call(operation="read", target=f"{mount}/{path}"), mount, path)
        except PortError:
            return False
        return found.version <= base

    async def names(self, operation: str, mount: str, folder: str) -> tuple[str, ...]:
        """Return the names in a folder; those of folders end in `/`. Empty when there is no such folder."""
        call = await self._kv_call(operation, mount, folder)
        answer = await self._ask(call, lambda adapter: KvV2(adapter).list_secrets(folder, mount_point=mount))
        if _nothing_there(answer):
            return ()
        keys = answer.data.get("keys")
        if answer.status != requests.codes.ok or not isinstance(keys, list):
            raise translate.refusal(call, answer)
        return tuple(str(key) for key in keys)

    async def entry_settings(self, operation: str, mount: str, path: str) -> Mapping[str, object]:
        """Return the settings and versions of one entry (its `metadata`), empty when there are none."""
        call = await self._kv_call(operation, mount, path)
        answer = await self._ask(
            call, lambda adapter: KvV2(adapter).read_secret_metadata(path, mount_point=mount)
        )
        if _nothing_there(answer):
            return {}
        return _data_of(call, answer)

    async def mount_settings(self, operation: str, mount: str) -> Mapping[str, object]:
        """Return the settings of a KV mount. Many tokens may not read them: Denied is usual here."""
        await self.check_mount(mount)
        call = Call(operation=operation, target=mount)
        return (
            await self._expect(call, lambda adapter: KvV2(adapter).read_configuration(mount_point=mount))
        ).data

    async def capabilities(self, operation: str, api_paths: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        """Return what our token may do at each API path, such as `secret/data/app`."""
        call = Call(operation=operation, target=" and ".join(api_paths))
        for path in api_paths:
            _check_path(call, path)
        answer = await self._expect(
            call,
            lambda adapter: SystemBackend(adapter).get_capabilities(list(api_paths)),  # type: ignore[no-untyped-call] # untyped stub
        )
        granted = {path: answer.data.get(path) for path in api_paths}
        return {path: frozenset(rights) for path, rights in granted.items() if isinstance(rights, list)}

    async def own_token(self) -> Mapping[str, object]:
        """Return what Vault knows of our token. Raise Denied when it may not ask even that, else as `read`."""
        call = Call(operation="look up", target="our token")
        return (await self._expect(call, lambda adapter: adapter.get("/v1/auth/token/lookup-self"))).data

    async def _kv_call(self, operation: str, mount: str, path: str, *, writes: bool = False) -> Call:
        """Name the call, once its path is allowed and its mount is known to be KV version 2."""
        call = Call(operation=operation, target=f"{mount}/{path}", writes=writes)
        _check_path(call, f"{mount}/{path}")
        await self.check_mount(mount)
        return call

    async def _expect(self, call: Call, send: Send) -> Answer:
        """Ask, and return an answer that is 200 with a JSON object."""
        answer = await self._ask(call, send)
        _data_of(call, answer)
        return answer

    async def _ask(self, call: Call, send: Send) -> Answer:
        """Ask with a token that is good, and return any answer but one that denies us something: Denied.

        A dead token is replaced and the call is sent once more: Vault checks the token before it does anything.
        """
        token = await self._session.token()
        answer = await self._line.ask(call, send, token)
        denied = _denial(call, answer)
        if denied is None:
            return answer
        verdict = await self._session.examine(token)
        if verdict is Verdict.DEAD:
            token = await self._session.instead_of(token)
            answer = await self._line.ask(call, send, token)
            denied = _denial(call, answer)
            if denied is None:
                return answer
            verdict = await self._session.examine(token)
        detail = _NEW_AND_DEAD if verdict is Verdict.DEAD else verdict.value
        raise Denied(call.operation, call.target, f"{denied.detail}; {detail}")


def _denial(call: Call, answer: Answer) -> Denied | None:
    error = None if answer.status < 400 else translate.refusal(call, answer)  # noqa: PLR2004 (HTTP)
    return error if isinstance(error, Denied) else None


def _data_of(call: Call, answer: Answer) -> Mapping[str, object]:
    if answer.status == requests.codes.ok and answer.body is not None:
        return answer.data
    raise translate.refusal(call, answer)


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
