from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.clock import SystemClock
from rotator.errors import Conflict, Denied, PolicyError, PortError, Rejected, Throttled, Unavailable
from rotator.model.entry import EntryState
from rotator.model.secret import Secret
from rotator.simulator.vault_server import VaultServer, vault_server
from rotator.vault.client import VaultClient
from tests.support.canary import CANARY
from tests.support.lab import TravelClock
from tests.support.vault_lab import LEAST_PRIVILEGE, Reply, Root, Seen, between, connected, shown

DATA = {"api_key": f"{CANARY}-value"}


async def test_write_read_and_the_clock_of_vault(client: VaultClient, place: str) -> None:
    path = f"rotated/{place}/a"
    absent = await client.read("read", "secret", path)
    assert (absent.state, absent.version, absent.data) == (EntryState.ABSENT, 0, {})
    result = await client.write("write", "secret", path, DATA, base=0)
    assert (result.version, result.deletion_at) == (1, None)
    found = await client.read("read", "secret", path)
    assert (found.state, found.version, found.data) == (EntryState.PRESENT, 1, DATA)
    assert found.created_at is not None
    now = SystemClock().now()
    for instant in (found.created_at, found.at):
        assert abs(instant - now) < timedelta(seconds=10)
    assert found.at.microsecond == 0


@pytest.mark.promise("P6")
@pytest.mark.parametrize("base", [0, 1, 3])
async def test_a_write_at_another_version_is_a_conflict(client: VaultClient, place: str, base: int) -> None:
    path = f"rotated/{place}/a"
    for version in (0, 1):
        await client.write("write", "secret", path, DATA, base=version)
    with pytest.raises(Conflict):
        await client.write("write", "secret", path, {"api_key": f"{CANARY}-late"}, base=base)
    assert (await client.read("read", "secret", path)).data == DATA


@pytest.mark.promise("P6")
async def test_of_many_writes_at_one_version_one_succeeds(client: VaultClient, place: str) -> None:
    path = f"rotated/{place}/a"
    writes = [client.write("write", "secret", path, {"n": str(n)}, base=0) for n in range(24)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 23


@pytest.mark.promise("P2")
async def test_a_read_shows_no_less_than_was_written_or_seen_before_unless_it_stays_gone(
    server: VaultServer, token: Secret, place: str
) -> None:
    """A balancer may send one call to the active node and the next to a standby that lags behind."""
    path = f"rotated/{place}/a"
    earlier: list[Reply] = []
    late = 0

    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply:
        nonlocal late
        reply = forward()
        if request.method != "GET" or "/data/" not in request.path:
            return reply
        earlier.append(reply)
        late -= 1
        return earlier[0] if late >= 0 else reply

    with between(rule, server.address) as lab:
        async with connected(lab.address, token, clock=TravelClock()) as client:
            for base, state in enumerate([EntryState.ABSENT, EntryState.PRESENT]):
                assert (await client.read("read", "secret", path)).state is state
                await client.write("write", "secret", path, DATA, base=base)
                late = 3
                assert (await client.read("read", "secret", path)).version == base + 1
            # As after a restore: what is gone for longer than a standby lags is believed, and then at once.
            late = 1000
            assert (await client.read("read", "secret", path)).version == 0
            asked = len(earlier)
            assert (await client.read("read", "secret", path)).version == 0
            assert len(earlier) == asked + 1


async def test_no_call_is_sent_where_the_server_may_just_be_closing_the_connection(
    server: VaultServer, token: Secret, place: str
) -> None:
    clock, together = TravelClock(), threading.Barrier(1)

    def rule(_: Seen, forward: Callable[[], Reply]) -> Reply:
        together.wait(10)
        return forward()

    async def opened(calls: int, client: VaultClient) -> int:
        """Make so many calls, all under way at once, and return how many connections were opened for them."""
        nonlocal together
        together, before = threading.Barrier(calls), lab.connections
        await asyncio.gather(
            *(client.read("read", "secret", f"rotated/{place}/{number}") for number in range(calls))
        )
        return lab.connections - before

    with between(rule, server.address) as lab:
        async with connected(lab.address, token, clock=clock) as client:
            await opened(1, client)
            assert await opened(1, client) == 0
            for calls in (1, 3):
                await clock.sleep(timedelta(seconds=31))
                assert await opened(calls, client) == calls
                assert await opened(calls, client) == 0
            for _ in range(10):
                await clock.sleep(timedelta(seconds=4))
                await opened(1, client)
            assert await opened(3, client) == 2, "one was used all the while, and the others were not"


async def test_deleted_and_destroyed_are_not_absent(client: VaultClient, root: Root, place: str) -> None:
    for name, request in {
        "deleted": ("DELETE", "secret/data/{}", None),
        "destroyed": ("POST", "secret/destroy/{}", {"versions": [1]}),
    }.items():
        path = f"rotated/{place}/{name}"
        await client.write("write", "secret", path, DATA, base=0)
        root.do(request[0], request[1].format(path), request[2])
        found = await client.read("read", "secret", path)
        assert (found.state, found.version, found.data) == (EntryState.DELETED, 1, {})
        with pytest.raises(Conflict):
            await client.write("write", "secret", path, DATA, base=0)
        assert (await client.write("write", "secret", path, DATA, base=1)).version == 2


async def test_texts_pass_unchanged_where_numbers_would_not(client: VaultClient, place: str) -> None:
    path = f"rotated/{place}/a"
    texts = {"big": str(2**53 + 1), "unicode": "\u20ac\u0000\u202e\U0001f511", "empty": "", "null": None}
    await client.write("write", "secret", path, texts | {"number": 2**53 + 1}, base=0)
    found = await client.read("read", "secret", path)
    assert found.data == texts | {"number": 2**53}


async def test_names_of_a_folder(client: VaultClient, place: str) -> None:
    folder = f"rotator-journal/{place}"
    assert await client.names("list", "secret", folder) == ()
    for name in ("b", "a", "sub/c"):
        await client.write("write", "secret", f"{folder}/{name}", DATA, base=0)
    assert await client.names("list", "secret", folder) == ("a", "b", "sub/")


@pytest.mark.parametrize(
    "path", ["a/../b", "a//b", "/a", "a/", "..", "a%2fb", "a b", "a\n", "a?version=1", "a\u202e"]
)
async def test_a_path_that_is_not_allowed_never_leaves(token: Secret, path: str) -> None:
    with between(lambda _request, _forward: None) as trap:
        async with connected(trap.address, token) as client:
            for attempt in (
                client.read("read", "secret", path),
                client.write("write", "secret", path, DATA, base=0),
                client.names("list", "secret", path),
                client.entry_settings("look", "secret", path),
                client.read("read", path, "a"),
                client.check_mount(path),
            ):
                with pytest.raises(Rejected, match="segments of") as caught:
                    await attempt
                assert "\n" not in str(caught.value)
        assert trap.seen == []


# The mount


async def test_a_version_1_mount_is_refused_with_what_to_do(root: Root, server: VaultServer) -> None:
    mount = root.mount(version=1)
    async with connected(server.address, server.root_token) as client:
        with pytest.raises(Rejected, match=f"vault kv enable-versioning {mount}"):
            await client.write("write", mount, "a", DATA, base=0)
    assert root.ask("GET", f"{mount}/data/a").status == 404


async def test_other_engines_and_places_inside_a_mount_are_refused(server: VaultServer) -> None:
    async with connected(server.address, server.root_token) as client:
        with pytest.raises(Rejected, match="another type"):
            await client.check_mount("cubbyhole")
        with pytest.raises(Rejected, match="inside another mount"):
            await client.check_mount("secret/rotated")


async def test_a_mount_that_is_not_there_is_denied_by_vault(client: VaultClient) -> None:
    with pytest.raises(Denied, match="check mount nowhere: 403"):
        await client.read("read", "nowhere", "a")


async def test_a_mount_is_checked_once(server: VaultServer, token: Secret, place: str) -> None:
    with between(lambda _request, forward: forward(), server.address) as lab:
        async with connected(lab.address, token) as client:
            for _ in range(3):
                await client.read("read", "secret", f"rotated/{place}/a")
        assert sum("/sys/internal/ui/mounts/" in request.path for request in lab.seen) == 1
        assert len(lab.seen) == 4


async def test_a_mount_that_vanishes_later_is_not_an_empty_one(root: Root, server: VaultServer) -> None:
    mount = root.mount()
    async with connected(server.address, server.root_token) as client:
        assert (await client.read("read", mount, "a")).state is EntryState.ABSENT
        root.do("DELETE", f"sys/mounts/{mount}")
        with pytest.raises(Rejected, match="no such mount"):
            await client.read("read", mount, "a")
        with pytest.raises(Rejected, match="no such mount"):
            await client.names("list", mount, "a")


# Namespaces


async def test_a_namespace_is_used_and_one_that_is_not_there_is_refused(
    root: Root, server: VaultServer, place: str
) -> None:
    root.do("POST", f"sys/namespaces/{place}", {})
    root.do("POST", "sys/mounts/inner", {"type": "kv", "options": {"version": "2"}}, namespace=place)
    async with connected(server.address, server.root_token, namespace=f"{place}/") as client:
        assert (await client.write("write", "inner", "a", DATA, base=0)).version == 1
    assert root.ask("GET", "inner/data/a", namespace=place).status == 200
    async with connected(server.address, server.root_token, namespace="nowhere") as client:
        with pytest.raises(Rejected, match="no such namespace"):
            await client.read("read", "inner", "a")


# Tokens


async def test_a_missing_right_and_a_dead_token_are_told_apart(root: Root, server: VaultServer) -> None:
    token = root.new_token(LEAST_PRIVILEGE)
    async with connected(server.address, token) as client:
        with pytest.raises(Denied, match=r"403.*token is good, but its policies"):
            await client.read("read", "secret", "elsewhere/a")
        root.do("POST", "auth/token/revoke", {"token": token.reveal()})
        with pytest.raises(Denied, match=r"log in with a token: the token itself is refused"):
            await client.read("read", "secret", "rotated/a")


async def test_a_403_whose_reason_can_not_be_asked(token: Secret, server: VaultServer) -> None:
    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply | None:
        if "lookup-self" in request.path:
            return None
        return Reply.of(403, {"errors": ["permission denied"]}) if "/data/" in request.path else forward()

    with between(rule, server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises(Denied, match="could not be asked"):
                await client.read("read", "secret", "rotated/a")


@pytest.mark.promise("P7")
async def test_the_environment_and_the_home_directory_are_not_asked(
    server: VaultServer, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    for name in (
        "VAULT_TOKEN",
        "VAULT_ADDR",
        "VAULT_NAMESPACE",
        "VAULT_CLIENT_CERT",
        "HTTP_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with connected(server.address, server.root_token) as client:
        assert (await client.read("read", "secret", f"rotated/{place}")).version == 0


@pytest.mark.promise("P7")
async def test_what_can_not_be_used_is_refused_without_being_shown(
    server: VaultServer, token: Secret, tmp_path: Path
) -> None:
    no_certificates, odd = tmp_path / "ca.pem", Secret(f"{CANARY}-\u20ac")
    no_certificates.write_text(f"{CANARY}\n")
    with pytest.raises(PolicyError, match="has characters that no token") as caught:
        await connected(server.address, odd).__aenter__()
    assert CANARY not in shown(caught.value)
    with pytest.raises(Rejected, match="no such file"):
        await connected(server.address, token, ca_cert=Path("/nowhere.pem")).__aenter__()
    with pytest.raises(Rejected, match="no certificates in PEM"):
        await connected(server.address, token, ca_cert=no_certificates).__aenter__()
    with pytest.raises(Rejected, match="segments of"):
        await connected(server.address, token, namespace="a b").__aenter__()


# What only a real server can say


async def test_a_quota_is_a_rate_limit(root: Root, server: VaultServer) -> None:
    mount = root.mount()
    root.do("POST", f"sys/quotas/rate-limit/{mount}", {"path": mount, "rate": 1, "interval": "60s"})
    async with connected(server.address, server.root_token) as client:
        await client.read("read", mount, "a")
        with pytest.raises(Throttled):
            await client.write("write", mount, "a", DATA, base=0)


async def test_too_many_values_in_one_request_are_rejected(client: VaultClient, place: str) -> None:
    with pytest.raises(Rejected, match="too many values"):
        await client.write("write", "secret", f"rotated/{place}/a", {str(n): "x" for n in range(600)}, base=0)


async def test_a_sealed_vault_is_unavailable() -> None:
    async with (
        vault_server(SystemClock(), Secret(f"{CANARY}-root")) as server,
        connected(server.address, server.root_token) as client,
    ):
        await client.write("write", "secret", "a", DATA, base=0)
        Root(server.address, server.root_token).do("PUT", "sys/seal")
        for attempt in (
            client.read("read", "secret", "a"),
            client.write("write", "secret", "a", DATA, base=1),
        ):
            with pytest.raises(Unavailable, match=r"503.*sealed"):
                await attempt


@pytest.mark.promise("P7")
async def test_headers_that_make_no_sense_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A proxy may send back what it was sent; urllib3 would log such headers whole."""
    caplog.set_level(logging.WARNING)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = await reader.readuntil(b"\r\n\r\n")
        token = next(line for line in sent.split(b"\r\n") if line.lower().startswith(b"x-vault-token"))
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + token.replace(b":", b" ") + b"\r\nX: y\r\n\r\n{}"
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as listening:
        address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with connected(address, Secret(f"{CANARY}-token")) as client:
            with pytest.raises(PortError):
                await client.check_mount("secret")
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == []
