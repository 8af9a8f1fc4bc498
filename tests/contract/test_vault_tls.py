"""TLS to a real server: whom we trust, and logging in with a certificate of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.errors import Denied, PolicyError, Unavailable
from rotator.policy.settings import CertAuth
from rotator.vault.client import VaultClient
from tests.support.canary import CANARY
from tests.support.vault_auth import ClientAuthority, method
from tests.support.vault_lab import LEAST_PRIVILEGE, Reply, Root, Seen, between, connected, forward
from tests.support.vault_processes import TlsServer, tls_server
from tests.support.virtual_clock import VirtualClock


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    with tls_server(tmp_path_factory.mktemp("tls")) as running:
        yield running


@pytest.fixture(scope="module")
def root(server: TlsServer) -> Root:
    return Root(server.address, server.root_token, server.authority)


@pytest.fixture(scope="module")
def clients(root: Root) -> ClientAuthority:
    return ClientAuthority.made(root)


@pytest.fixture
def auth(root: Root, clients: ClientAuthority, tmp_path: Path) -> CertAuth:
    """Return a certificate, made out to `rotator`, that a role of Vault accepts."""
    mount = method(root, "cert")
    role = {
        "certificate": clients.certificate,
        "allowed_common_names": ["rotator*"],
        "token_policies": [root.new_policy(LEAST_PRIVILEGE)],
        "token_ttl": "1m",
    }
    root.do("POST", f"auth/{mount}/certs/rotator", role)
    auth = CertAuth(
        mount=mount, name="rotator", cert=str(tmp_path / "client.pem"), key=str(tmp_path / "client.key")
    )
    sign(clients, "rotator", auth)
    return auth


def sign(clients: ClientAuthority, name: str, auth: CertAuth) -> None:
    clients.sign(name, Path(auth.cert), Path(auth.key))


# The server's certificate


async def test_a_private_authority_is_trusted_when_it_is_named(server: TlsServer) -> None:
    async with connected(server.address, server.root_token, ca_cert=server.authority) as client:
        assert (await client.read("read", "secret", "rotated/a")).version == 0


async def test_nothing_is_sent_to_a_server_whose_certificate_is_not_trusted(
    server: TlsServer, clients: ClientAuthority, auth: CertAuth, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_text(clients.certificate)
    with between(lambda _request, _forward: Reply(200), certificate=(server.certificate, server.key)) as trap:
        for ca_cert in (other, None):
            for login in (server.root_token, auth):
                async with connected(trap.address, login, ca_cert=ca_cert) as client:
                    with pytest.raises(
                        Unavailable, match="TLS certificate of the server is not trusted"
                    ) as caught:
                        await client.write("write", "secret", "rotated/a", {}, base=0)
                    assert "`vault.ca_cert`" in str(caught.value)
        assert trap.seen == []


# Our own certificate


def tokens(root: Root, auth: CertAuth) -> list[tuple[str, bool]]:
    """Return the serial number behind each login of a method, and whether its token was renewed since."""
    listed = root.answer("GET", "auth/token/accessors?list=true")["data"]["keys"]
    looked = [
        root.answer("POST", "auth/token/lookup-accessor", {"accessor": each})["data"] for each in listed
    ]
    ours = [each for each in looked if each["path"] == f"auth/{auth.mount}/login"]
    ours.sort(key=lambda each: str(each["issue_time"]))
    return [(each["meta"]["serial_number"], "last_renewal" in each) for each in ours]


async def test_a_client_certificate_logs_in_and_its_token_is_renewed(
    server: TlsServer, root: Root, auth: CertAuth
) -> None:
    clock = VirtualClock()
    async with connected(server.address, auth, ca_cert=server.authority, clock=clock) as client:
        await client.read("read", "secret", "rotated/a")
        ((serial, renewed),) = tokens(root, auth)
        assert not renewed
        clock.advance(timedelta(seconds=31))
        await client.read("read", "secret", "rotated/a")
        assert tokens(root, auth) == [(serial, True)]


async def test_a_login_shows_the_certificate_that_is_in_the_files_now(
    server: TlsServer, root: Root, clients: ClientAuthority, auth: CertAuth
) -> None:
    clock = VirtualClock()
    async with connected(server.address, auth, ca_cert=server.authority, clock=clock) as client:
        await client.read("read", "secret", "rotated/a")
        sign(clients, "rotator-2", auth)
        clock.advance(timedelta(minutes=1))
        await client.read("read", "secret", "rotated/a")
    (first, _), (second, _) = tokens(root, auth)
    assert first != second


async def test_without_a_name_vault_finds_the_role(server: TlsServer, auth: CertAuth) -> None:
    async with connected(server.address, replace(auth, name=None), ca_cert=server.authority) as client:
        assert (await client.read("read", "secret", "rotated/a")).version == 0


async def test_a_certificate_that_no_role_accepts_is_told(
    server: TlsServer, clients: ClientAuthority, auth: CertAuth
) -> None:
    said = await refusal(server, replace(auth, name="nobody"))
    assert "400: no role of Vault accepts the client certificate, or there is no role of that `name`" in said
    sign(clients, "somebody", auth)
    said = await refusal(server, auth)
    assert said.endswith(f"no role of that `name`; look at {auth.cert}")
    assert "no such method is mounted at auth/nowhere" in await refusal(
        server, replace(auth, mount="nowhere")
    )


async def refusal(server: TlsServer, auth: CertAuth) -> str:
    async with connected(server.address, auth, ca_cert=server.authority) as client:
        with pytest.raises(Denied, match=r"^log in with vault\.auth\.cert: ") as caught:
            await client.read("read", "secret", "rotated/a")
    return str(caught.value)


async def test_a_proxy_that_ends_tls_is_named(server: TlsServer, auth: CertAuth) -> None:
    def rule(request: Seen, _forward: Callable[[], Reply]) -> Reply:
        return forward(server.address, request, server.authority)

    with between(rule, certificate=(server.certificate, server.key)) as proxy:
        async with connected(proxy.address, auth, ca_cert=server.authority) as client:
            with pytest.raises(Denied, match="no client certificate reached Vault; does a proxy in between"):
                await client.read("read", "secret", "rotated/a")


LOCKED = """\
-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,00000000000000000000000000000000

Q0FOQVJZ
-----END EC PRIVATE KEY-----
"""


@pytest.mark.promise("P7")
def test_files_that_can_not_be_used_are_told_at_once(server: TlsServer, auth: CertAuth) -> None:
    key = Path(auth.key)
    good = key.read_text()
    key.chmod(0o644)
    assert "other users can read the file (give it the mode 600 or 400; in a container, " in unusable(auth)
    key.chmod(0o600)
    for bad in (f"{CANARY}\n", LOCKED, ""):
        key.write_text(bad)
        assert unusable(auth).startswith(
            "vault.auth.cert: the certificate and its key can't be used together"
        )
    key.write_text(good)
    assert "can't be used together" in unusable(replace(auth, cert=str(server.certificate)))
    assert "can't be used together" in unusable(replace(auth, cert="/nowhere.pem"))
    key.unlink()
    assert f"{{file: {key}}}: can't be read (No such file or directory)" in unusable(auth)


def unusable(auth: CertAuth) -> str:
    with pytest.raises(PolicyError) as caught:
        VaultClient(
            address="https://127.0.0.1:1",
            auth=auth,
            namespace="",
            ca_cert=None,
            call_timeout=timedelta(seconds=1),
            clock=VirtualClock(),
        )
    return str(caught.value)
