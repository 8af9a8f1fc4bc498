"""A redirect of any kind of call to Vault leads no credential to a server that Vault itself does not name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rotator.errors import PortError
from rotator.model.secret import Secret
from rotator.policy.settings import AppRoleAuth, SecretReference, SecretSource, TokenAuth
from rotator.simulator.vault_server import VaultServer
from rotator.vault.client import VaultClient
from tests.support.canary import CANARY
from tests.support.vault_auth import Role
from tests.support.vault_lab import Reply, Root, Seen, between, connected

pytestmark = pytest.mark.promise("P7")

PATH = "rotated/redirected"
CALLS: dict[str, tuple[str, Callable[[VaultClient], Awaitable[object]]]] = {
    "mount": ("/v1/sys/internal/ui/mounts/", lambda client: client.check_mount("secret")),
    "read": ("/v1/secret/data/", lambda client: client.read("read", "secret", PATH)),
    "write": (
        "/v1/secret/data/",
        lambda client: client.write("write", "secret", PATH, {"api_key": f"{CANARY}-value"}, base=0),
    ),
    "names": ("/v1/secret/metadata/", lambda client: client.names("list", "secret", PATH)),
    "entry_settings": (
        "/v1/secret/metadata/",
        lambda client: client.entry_settings("settings", "secret", PATH),
    ),
    "mount_settings": ("/v1/secret/config", lambda client: client.mount_settings("settings", "secret")),
    "capabilities": (
        "/v1/sys/capabilities-self",
        lambda client: client.capabilities("rights", ("secret/data/x",)),
    ),
    "own_token": ("/v1/auth/token/lookup-self", lambda client: client.own_token()),
}
"""Every call of the client: where it goes, and how it is made."""

STATUSES = (301, 302, 303, 307, 308)


def test_every_call_of_the_client_is_in_the_table() -> None:
    plain = {
        "aclose",
        "namespace",
        "look_after_token",
    }  # which makes the calls of the session, as each call does
    methods = {name for name in vars(VaultClient) if not name.startswith("_")}
    assert methods - plain == {"check_mount", *CALLS} - {"mount"}


def nothing(_request: Seen, _forward: Callable[[], Reply]) -> Reply:
    """What waits where a redirect leads: it gives nothing away of what it is."""
    return Reply.of(404, {"errors": []})


@pytest.mark.parametrize("status", STATUSES)
async def test_a_redirected_call_of_any_kind_carries_nothing_away(
    server: VaultServer, token: Secret, status: int
) -> None:
    """Not even the question who is active, which is asked without a token, is taken there."""
    with between(nothing) as trap:
        for prefix, make in CALLS.values():

            def rule(request: Seen, forward: Callable[[], Reply], *, prefix: str = prefix) -> Reply:
                if request.path.startswith(prefix) or request.path == "/v1/sys/leader":
                    return Reply(status, headers={"Location": f"{trap.address}{request.path}"})
                return forward()

            with between(rule, server.address) as lab:
                async with connected(lab.address, token) as client:
                    with pytest.raises(PortError):
                        await make(client)
        assert trap.seen == []


@pytest.mark.parametrize("status", STATUSES)
async def test_a_redirected_login_of_any_kind_carries_nothing_away(
    server: VaultServer, root: Root, tmp_path: Path, status: int
) -> None:
    role = Role.made(root, tmp_path, token_ttl="1h")
    wrapping = tmp_path / "wrapping"
    wrapping.touch(mode=0o600)
    wrapped = AppRoleAuth(
        mount=role.mount,
        role_id=SecretReference(SecretSource.FILE, str(tmp_path / "role-id")),
        secret_id=SecretReference(SecretSource.FILE, str(wrapping)),
        secret_id_response_wrapping_path=role.path,
    )
    logins = (
        (
            "/v1/auth/token/lookup-self",
            TokenAuth(token=SecretReference(SecretSource.FILE, str(tmp_path / "role-id"))),
        ),
        (f"/v1/auth/{role.mount}/login", role.auth()),
        (f"/v1/auth/{role.mount}/login", wrapped),
        ("/v1/sys/wrapping/lookup", wrapped),
        ("/v1/sys/wrapping/unwrap", wrapped),
    )
    with between(nothing) as trap:
        for path, auth in logins:
            wrapping.write_text(role.wrapped().reveal())

            def rule(request: Seen, forward: Callable[[], Reply], *, path: str = path) -> Reply:
                if request.path == path:
                    return Reply(status, headers={"Location": f"{trap.address}{request.path}"})
                return forward()

            with between(rule, server.address) as lab:
                async with connected(lab.address, auth) as client:
                    with pytest.raises(PortError):
                        await client.read("read", "secret", PATH)
                assert path in {request.path for request in lab.seen}
        assert trap.seen == []


@pytest.mark.parametrize("status", STATUSES)
async def test_a_redirected_renewal_carries_nothing_away(
    server: VaultServer, root: Root, tmp_path: Path, status: int
) -> None:
    """Renewing is put off then, and the token that still lives goes on to be used where it belongs."""
    role = Role.made(root, tmp_path, token_ttl="1s", token_max_ttl="1h")
    with between(nothing) as trap:

        def rule(request: Seen, forward: Callable[[], Reply]) -> Reply:
            if request.path in {"/v1/auth/token/renew-self", "/v1/sys/leader"}:
                return Reply(status, headers={"Location": f"{trap.address}{request.path}"})
            return forward()

        with between(rule, server.address) as lab:
            async with connected(lab.address, role.auth()) as client:
                while "/v1/auth/token/renew-self" not in {request.path for request in lab.seen}:
                    await client.read("read", "secret", PATH)
        assert trap.seen == []
