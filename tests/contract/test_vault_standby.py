"""Vault reached through a standby that redirects: followed to the active node, and to nobody else."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rotator.errors import Ambiguous, Conflict, Unavailable
from rotator.model.secret import Secret
from rotator.simulator.vault_server import VaultServer
from tests.support.canary import CANARY
from tests.support.vault_auth import Role
from tests.support.vault_cluster import cluster
from tests.support.vault_lab import LEAST_PRIVILEGE, Between, Reply, Root, Seen, between, connected, forward
from tests.support.vault_processes import TlsServer, tls_server

DATA = {"api_key": f"{CANARY}-value"}


@contextmanager
def standby(
    leader: Callable[[], str], *, named: str = "", certificate: tuple[Path, Path] | None = None
) -> Iterator[Between]:
    """Send every request to `leader`, and name it as the active node, or `named` instead."""

    def rule(request: Seen, _forward: Callable[[], Reply]) -> Reply:
        if request.path == "/v1/sys/leader":
            return Reply.of(200, {"ha_enabled": True, "is_self": False, "leader_address": named or leader()})
        return Reply(307, headers={"Location": f"{leader()}{request.path}"})

    with between(rule, certificate=certificate) as lab:
        yield lab


def passes(_request: Seen, forward: Callable[[], Reply]) -> Reply | None:
    return forward()


async def test_a_real_standby_is_followed_to_the_active_node_and_that_is_remembered(tmp_path: Path) -> None:
    with cluster(tmp_path, nodes=2, standby_reads=False) as nodes:
        standing_by = nodes.standby()

        def redirecting(request: Seen, _forward: Callable[[], Reply]) -> Reply:
            headers = {**request.headers, "X-Vault-No-Request-Forwarding": "1"}
            asked = Seen(request.method, request.path, headers, request.body)
            return forward(standing_by.address, asked, nodes.authority)

        role = Role.made(nodes.root, tmp_path)
        with between(redirecting) as lab:
            async with connected(lab.address, role.auth(), ca_cert=nodes.authority) as client:
                for base in range(3):
                    await client.write("write", "secret", "rotated/a@b", DATA, base=base)
                    assert (await client.read("read", "secret", "rotated/a@b")).version == base + 1
        # The login was redirected; what came after it went to the active node at once.
        assert [request.path.rpartition("/")[2] for request in lab.seen] == ["login", "leader"]
        assert nodes.root.data("rotated/a@b", 3) == DATA


async def test_what_is_refused_at_the_active_node_counts(
    server: VaultServer, token: Secret, place: str
) -> None:
    path = f"rotated/{place}/a"
    with standby(lambda: server.address) as lab:
        async with connected(lab.address, token) as client:
            await client.write("write", "secret", path, DATA, base=0)
            with pytest.raises(Conflict):
                await client.write("write", "secret", path, DATA, base=0)


async def test_a_standby_that_has_not_seen_our_own_last_write_refuses_the_next_in_vain(
    server: VaultServer, token: Secret, place: str
) -> None:
    path, mismatch = f"rotated/{place}/a", "check-and-set parameter did not match the current version"
    late = [Reply.of(400, {"errors": [mismatch]})] * 2

    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply:
        return late.pop() if late and b'"cas": 1' in request.body else forward()

    with between(rule, server.address) as lab:
        async with connected(lab.address, token) as client:
            await client.write("write", "secret", path, DATA, base=0)
            assert (await client.write("write", "secret", path, DATA, base=1)).version == 2
            assert late == []
        async with connected(lab.address, token) as other:
            await other.read("read", "secret", path)
            await other.write("write", "secret", path, DATA, base=2)
        async with connected(lab.address, token) as client:
            await client.read("read", "secret", path)
            with pytest.raises(Conflict):
                await client.write("write", "secret", path, DATA, base=2)


@pytest.mark.promise("P7")
async def test_nothing_is_sent_to_a_server_that_the_standby_does_not_name_as_active(
    server: VaultServer, token: Secret
) -> None:
    with (
        between(passes, server.address) as foreign,
        standby(lambda: foreign.address, named=server.address) as lab,
    ):
        async with connected(lab.address, token) as client:
            with pytest.raises(Unavailable, match="is not followed"):
                await client.write("write", "secret", "rotated/a", DATA, base=0)
        assert foreign.seen == []
        (question,) = (request for request in lab.seen if request.path == "/v1/sys/leader")
        assert "X-Vault-Token" not in question.headers


@pytest.mark.promise("P7")
@pytest.mark.parametrize(
    "location",
    [
        "{0}/v1/elsewhere",
        "{0}{1}?more",
        "{0}",
        "//{2}{1}",
        "{1}",
        "http://user:secret@{2}{1}",
        "ftp://{2}{1}",
        "http://[{1}",
        "",
    ],
)
async def test_a_redirect_that_asks_for_anything_else_is_not_followed(
    server: VaultServer, token: Secret, location: str
) -> None:
    with between(passes, server.address) as active:
        host = active.address.removeprefix("http://")

        def rule(request: Seen, _forward: Callable[[], Reply]) -> Reply:
            if request.path == "/v1/sys/leader":
                return Reply.of(200, {"leader_address": active.address})
            return Reply(307, headers={"Location": location.format(active.address, request.path, host)})

        with between(rule) as lab:
            async with connected(lab.address, token) as client:
                with pytest.raises(Unavailable, match="is not followed"):
                    await client.read("read", "secret", "rotated/a")
        assert active.seen == []


@pytest.mark.promise("P7")
@pytest.mark.parametrize("status", [301, 302, 303, 308])
async def test_only_a_307_is_followed(server: VaultServer, token: Secret, status: int) -> None:
    with between(passes, server.address) as active:

        def rule(request: Seen, _forward: Callable[[], Reply]) -> Reply:
            if request.path == "/v1/sys/leader":
                return Reply.of(200, {"leader_address": active.address})
            return Reply(status, headers={"Location": f"{active.address}{request.path}"})

        with between(rule) as lab:
            async with connected(lab.address, token) as client:
                with pytest.raises(Unavailable, match=f"{status}: .*is not followed"):
                    await client.write("write", "secret", "rotated/a", DATA, base=0)
        assert active.seen == []


@pytest.mark.promise("P7")
@pytest.mark.parametrize(
    "leader", ["http://vault.example.com:8200", "http://10.0.0.1:8200", "vault:8200", ""]
)
async def test_plain_http_is_followed_to_this_machine_only(token: Secret, leader: str) -> None:
    """The network guard of the tests would find out if it were."""
    with standby(lambda: leader) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises(Unavailable, match="is not followed"):
                await client.read("read", "secret", "rotated/a")


@pytest.mark.parametrize(
    "told", [Reply(200, b"<html>"), Reply.of(200, {"leader_address": 7}), Reply.of(200, {}), None]
)
async def test_a_standby_that_names_no_active_node_is_not_followed(token: Secret, told: Reply | None) -> None:
    def rule(request: Seen, _forward: Callable[[], Reply]) -> Reply | None:
        if request.path == "/v1/sys/leader":
            return told
        return Reply(307, headers={"Location": f"http://127.0.0.1:1{request.path}"})

    with between(rule) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises(Unavailable, match="is not followed"):
                await client.read("read", "secret", "rotated/a")


async def test_one_hop_and_no_more(server: VaultServer, token: Secret) -> None:
    with (
        standby(lambda: server.address) as second,
        standby(lambda: second.address) as first,
    ):
        async with connected(first.address, token) as client:
            for _ in range(2):
                with pytest.raises(Unavailable, match="is not followed"):
                    await client.read("read", "secret", "rotated/a")
        assert [len(first.seen), len(second.seen)] == [4, 2]


# The active node is lost


def passes_and_closes(_request: Seen, forward: Callable[[], Reply]) -> Reply:
    """Pass on, and leave no connection open that would outlive the listening."""
    reply = forward()
    return Reply(reply.status, reply.body, {**reply.headers, "Connection": "close"})


def closed_port() -> str:
    """Return an address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


async def test_an_active_node_that_is_gone_is_forgotten_and_the_standby_asked_again(
    server: VaultServer, token: Secret, place: str
) -> None:
    path = f"rotated/{place}/a"
    active = ""
    with standby(lambda: active) as lab, ExitStack() as lives:
        async with connected(lab.address, token) as client:
            active = lives.enter_context(between(passes_and_closes, server.address)).address
            await client.write("write", "secret", path, DATA, base=0)
            lives.close()
            active = closed_port()
            # The election is under way: the standby sends us to the dead node on.
            with pytest.raises(Unavailable, match="not reached"):
                await client.write("write", "secret", path, DATA, base=1)
            active = lives.enter_context(between(passes_and_closes, server.address)).address
            assert (await client.write("write", "secret", path, DATA, base=1)).version == 2
            lives.close()
            active = server.address
            # It is over, and nobody notices.
            assert (await client.write("write", "secret", path, DATA, base=2)).version == 3


async def test_a_node_that_is_active_no_longer_is_forgotten(
    server: VaultServer, token: Secret, place: str
) -> None:
    path = f"rotated/{place}/a"
    active, redirects = "", False

    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply:
        location = {"Location": f"{server.address}{request.path}"}
        return Reply(307, headers=location) if redirects else forward()

    with between(rule, server.address) as first, standby(lambda: active) as lab:
        active = first.address
        async with connected(lab.address, token) as client:
            await client.write("write", "secret", path, DATA, base=0)
            active, redirects = server.address, True
            assert (await client.write("write", "secret", path, DATA, base=1)).version == 2
            assert (await client.read("read", "secret", path)).version == 2


@pytest.mark.promise("P2")
async def test_a_write_that_the_active_node_leaves_unanswered_is_ambiguous_and_not_repeated(
    server: VaultServer, token: Secret, place: str
) -> None:
    path = f"rotated/{place}/a"
    cut = False

    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply | None:
        reply = forward()
        return None if cut and request.method == "POST" else reply

    with between(rule, server.address) as active, standby(lambda: active.address) as lab:
        async with connected(lab.address, token) as client:
            await client.read("read", "secret", path)
            cut = True
            with pytest.raises(Ambiguous):
                await client.write("write", "secret", path, DATA, base=0)
            assert (await client.read("read", "secret", path)).version == 1
        assert sum(request.method == "POST" for request in (*active.seen, *lab.seen)) == 1


async def test_a_node_that_is_sealed_is_asked_no_more(server: VaultServer, token: Secret) -> None:
    active, sealed = "", False

    def rule(_request: Seen, forward: Callable[[], Reply]) -> Reply:
        return Reply.of(503, {"errors": ["Vault is sealed"]}) if sealed else forward()

    with between(rule, server.address) as first, standby(lambda: active) as lab:
        active = first.address
        async with connected(lab.address, token) as client:
            await client.read("read", "secret", "rotated/a")
            active, sealed = server.address, True
            with pytest.raises(Unavailable, match="sealed"):
                await client.read("read", "secret", "rotated/a")
            await client.read("read", "secret", "rotated/a")


# TLS


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    with tls_server(tmp_path_factory.mktemp("tls")) as running:
        yield running


async def test_tls_is_never_left_and_the_active_nodes_certificate_is_verified(
    server: VaultServer, protected: TlsServer, tmp_path: Path
) -> None:
    certificate = (protected.certificate, protected.key)
    token = Root(protected.address, protected.root_token, protected.authority).new_token(LEAST_PRIVILEGE)
    with (
        between(passes, server.address) as plain,
        standby(lambda: plain.address, certificate=certificate) as lab,
    ):
        async with connected(lab.address, token, ca_cert=protected.authority) as client:
            with pytest.raises(Unavailable, match="less protected"):
                await client.read("read", "secret", "rotated/a")
        assert plain.seen == []
    with standby(lambda: protected.address, certificate=certificate) as lab:
        async with connected(lab.address, token, ca_cert=protected.authority) as client:
            assert (await client.read("read", "secret", "rotated/a")).version == 0
    with tls_server(tmp_path) as stranger, standby(lambda: stranger.address, certificate=certificate) as lab:
        async with connected(lab.address, token, ca_cert=protected.authority) as client:
            with pytest.raises(Unavailable, match="is not trusted"):
                await client.read("read", "secret", "rotated/a")
