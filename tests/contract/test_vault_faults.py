from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from rotator.clock import SystemClock
from rotator.errors import Ambiguous, PortError, Rejected, Throttled, Unavailable
from rotator.model.secret import Secret
from rotator.simulator.vault_server import VaultServer
from rotator.vault.wire import LARGEST_ANSWER
from tests.support.canary import CANARY
from tests.support.vault_lab import Reply, Rule, Seen, between, connected, shown

DATA = {"api_key": f"{CANARY}-value"}
PAGE = Reply(200, b"<html>sign in</html>", {"Content-Type": "text/html"})


def only(method: str, reply: Reply | None) -> Rule:
    """Give `reply` to one method on data, pass everything else on."""

    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply | None:
        return reply if request.method == method and "/data/" in request.path else forward()

    return rule


@pytest.mark.promise("P2")
async def test_a_write_whose_answer_is_lost_is_ambiguous_and_may_have_happened(
    server: VaultServer, token: Secret, place: str
) -> None:
    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply | None:
        reply = forward()
        return None if request.method == "POST" else reply

    path = f"rotated/{place}/a"
    with between(rule, server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises(Ambiguous) as caught:
                await client.write("write", "secret", path, DATA, base=0)
            assert CANARY not in shown(caught.value)
            assert (await client.read("read", "secret", path)).data == DATA
        assert sum(request.method == "POST" for request in lab.seen) == 1


async def test_a_write_that_is_cut_before_it_is_stored_is_ambiguous_too(
    server: VaultServer, token: Secret, place: str
) -> None:
    path = f"rotated/{place}/a"
    with between(only("POST", None), server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises(Ambiguous):
                await client.write("write", "secret", path, DATA, base=0)
            assert (await client.read("read", "secret", path)).version == 0


async def test_a_read_that_is_cut_is_unavailable(server: VaultServer, token: Secret) -> None:
    with between(only("GET", None), server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises(Unavailable):
                await client.read("read", "secret", "rotated/a")
        assert len(lab.seen) == 2


@pytest.fixture
def patience() -> Iterator[threading.Event]:
    """Return what a hanging answer waits for, and set it in the end."""
    event = threading.Event()
    yield event
    event.set()


def hanging(method: str, patience: threading.Event) -> Rule:
    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply | None:
        if request.method == method and "/data/" in request.path:
            patience.wait(20)
        return forward()

    return rule


async def test_no_answer_in_time(
    server: VaultServer, token: Secret, place: str, patience: threading.Event
) -> None:
    path = f"rotated/{place}/a"
    with between(hanging("POST", patience), server.address) as lab:
        async with connected(lab.address, token, seconds=0.4) as client:
            with pytest.raises(Ambiguous):
                await client.write("write", "secret", path, DATA, base=0)
            patience.set()
    with between(hanging("GET", patience), server.address) as lab:
        patience.clear()
        async with connected(lab.address, token, seconds=0.4) as client:
            with pytest.raises(Unavailable):
                await client.read("read", "secret", path)
            patience.set()


@pytest.mark.promise("P8")
async def test_many_calls_at_once_all_have_their_turn(server: VaultServer, token: Secret, place: str) -> None:
    """The time that a call waits for the others before it is none of its own."""

    def slow(_request: Seen, forward: Callable[[], Reply]) -> Reply | None:
        threading.Event().wait(0.1)
        return forward()

    with between(slow, server.address) as lab:
        async with connected(lab.address, token, seconds=0.5) as client:
            reads = (client.read("read", "secret", f"rotated/{place}/{n}") for n in range(80))
            assert {read.version for read in await asyncio.gather(*reads)} == {0}


async def test_a_call_that_is_cancelled_before_its_turn_is_never_sent(
    server: VaultServer, token: Secret, place: str, patience: threading.Event
) -> None:
    with between(hanging("GET", patience), server.address) as lab:
        async with connected(lab.address, token, seconds=5) as client:
            await client.check_mount("secret")
            reads = [
                asyncio.create_task(client.read("read", "secret", f"rotated/{place}/{n}")) for n in range(8)
            ]
            await reached(lambda: len(lab.seen) == 9)
            late = asyncio.create_task(client.write("write", "secret", f"rotated/{place}/late", DATA, base=0))
            await SystemClock().sleep(timedelta(milliseconds=20))
            late.cancel()
            patience.set()
            await asyncio.gather(*reads)
            assert (await client.read("read", "secret", f"rotated/{place}/late")).version == 0
        assert not any(request.method == "POST" for request in lab.seen)


async def test_a_write_whose_await_is_cancelled_goes_on_and_is_waited_for(
    server: VaultServer, token: Secret, place: str, patience: threading.Event
) -> None:
    path = f"rotated/{place}/a"
    with between(hanging("POST", patience), server.address) as lab:
        async with connected(lab.address, token) as client:
            await client.check_mount("secret")
            write = asyncio.create_task(client.write("write", "secret", path, DATA, base=0))
            await reached(lambda: any(request.method == "POST" for request in lab.seen))
            write.cancel()
            with pytest.raises(asyncio.CancelledError):
                await write
            assert (await client.read("read", "secret", path)).version == 0
            patience.set()
        async with connected(server.address, token) as client:
            assert (await client.read("read", "secret", path)).data == DATA


async def reached(condition: Callable[[], bool]) -> None:
    clock = SystemClock()
    while not condition():
        await clock.sleep(timedelta(milliseconds=5))


async def test_a_refused_connection_proves_that_nothing_was_written(token: Secret) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with connected(f"http://127.0.0.1:{taken.getsockname()[1]}", token) as client:
            client._checked_mounts.add("secret")
            with pytest.raises(Unavailable, match="not reached") as caught:
                await client.write("write", "secret", "a", DATA, base=0)
            assert CANARY not in shown(caught.value)


async def test_an_address_that_is_none(token: Secret) -> None:
    for address in ("vault.example", "ftp://127.0.0.1", "http://"):
        async with connected(address, token) as client:
            with pytest.raises(Rejected, match="could not be built"):
                await client.check_mount("secret")


@pytest.mark.promise("P7")
async def test_a_redirect_is_not_followed_and_the_token_stays_here(
    server: VaultServer, token: Secret
) -> None:
    with between(lambda _request, _forward: PAGE) as elsewhere:
        away = Reply(307, b"", {"Location": f"{elsewhere.address}/v1/secret/data/a"})
        with between(
            lambda _request, forward: away if "/data/" in _request.path else forward(), server.address
        ) as lab:
            async with connected(lab.address, token) as client:
                for attempt in (
                    client.read("read", "secret", "rotated/a"),
                    client.write("write", "secret", "rotated/a", DATA, base=0),
                ):
                    with pytest.raises(Unavailable, match=r"standby.*set the address to the active node"):
                        await attempt
        assert elsewhere.seen == []


@pytest.mark.parametrize("reply", [PAGE, Reply(204), Reply.of(200, ["a"]), Reply.of(200, {"data": {}})])
async def test_a_success_that_is_not_vaults_is_no_success(
    server: VaultServer, token: Secret, reply: Reply
) -> None:
    with between(only("POST", reply), server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises(Ambiguous):
                await client.write("write", "secret", "rotated/a", DATA, base=0)
    with between(only("GET", reply), server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises((Unavailable, Rejected)):
                await client.read("read", "secret", "rotated/a")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply.of(500, {"errors": ["put failed due to value being too large; got 2, max: 1"]}), Rejected),
        (Reply.of(500, {"errors": ["local node not active but active cluster node not found"]}), Unavailable),
        (Reply.of(500, {"errors": [f"{CANARY} boom"]}), Ambiguous),
        (Reply(502, b"<html>"), Ambiguous),
        (Reply.of(503, {"errors": ["Vault is sealed"]}), Unavailable),
        (Reply.of(429, {"errors": ["quota"]}), Throttled),
        (Reply.of(429, {"errors": []}), Unavailable),
        (Reply.of(412, {"errors": []}), Unavailable),
    ],
)
async def test_answers_that_this_server_does_not_give(
    server: VaultServer, token: Secret, reply: Reply, error: type[PortError]
) -> None:
    with between(only("POST", reply), server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises(error) as caught:
                await client.write("write", "secret", "rotated/a", DATA, base=0)
            assert type(caught.value) is error
            assert CANARY not in shown(caught.value)


JSON = {"Content-Type": "application/json", "Date": "Mon, 23 Nov 2026 01:11:35 GMT"}


@pytest.mark.parametrize("status", [200, 400, 404, 503])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(0, b"[" * 1_000_000, JSON),
        Reply(0, b'{"data":' * 1_000_000, JSON),
        Reply(0, b"\xff\xfe\x00", JSON),
        Reply(0, b"1" * 5000, JSON),
        Reply(0, b'{"errors": [1e999]}', JSON),
        Reply(0, b'{"errors": ["\\ud800"]}', JSON),
        Reply(0, b"no gzip", {**JSON, "Content-Encoding": "gzip"}),
        Reply(0, b"{}", {**JSON, "Date": "Mon, 01 Jan 0001 00:00:00 +2359"}),
        Reply(0, b"{}", {**JSON, "Retry-After": "9" * 400}),
        Reply(0, b"", {"Location": "http://[", "Set-Cookie": "\x01"}),
    ],
    ids=lambda reply: repr(bytes(reply.body[:12])),
)
async def test_whatever_comes_back_is_an_error_of_ours(
    server: VaultServer, token: Secret, reply: Reply, status: int
) -> None:
    reply = Reply(status, reply.body, reply.headers)
    with between(only("GET", reply), server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises((Unavailable, Rejected)):
                await client.read("read", "secret", "rotated/a")
    with between(only("POST", reply), server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises((Ambiguous, Rejected, Unavailable)) as caught:
                await client.write("write", "secret", "rotated/a", DATA, base=0)
            assert status != 200 or type(caught.value) is Ambiguous


@pytest.mark.parametrize(
    "document", [{}, {"data": []}, {"data": {"data": {}, "metadata": {"version": "new"}}}]
)
async def test_an_answer_of_another_shape_stops_nothing_for_good(
    server: VaultServer, token: Secret, document: object
) -> None:
    """A refusal for good would hold the lineage whose publish begins with this read until a person acts."""
    with between(only("GET", Reply.of(200, document)), server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises(Unavailable, match="200 without the data"):
                await client.read("read", "secret", "rotated/a")


async def test_an_answer_that_is_too_large_is_told(server: VaultServer, token: Secret) -> None:
    endless = Reply(200, b"{" + b" " * LARGEST_ANSWER + b"}", JSON)
    with between(only("GET", endless), server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises(Rejected, match="too large"):
                await client.read("read", "secret", "rotated/a")
