"""Answers meant to harm, or made by something that is broken: a clear error of ours, nothing shown, others go on."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rotator.errors import Ambiguous, NotFound, PortError, Rejected
from rotator.http import HttpClient
from rotator.model.secret import Secret
from rotator.providers.deepgram import Deepgram
from rotator.simulator.server import serve
from tests.contract.provider_bench import request
from tests.contract.provider_canned import KEY_ID, MINTED, Canned, canned
from tests.support import canary
from tests.support.canary import CANARY
from tests.support.virtual_clock import VirtualClock

MANAGEMENT = Secret(f"{CANARY}-management")
FINE_ID, ODD_ID = "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"

CALLS: dict[str, Callable[[Deepgram], Awaitable[object]]] = {
    "list_keys": lambda provider: provider.list_keys(),
    "get_key": lambda provider: provider.get_key(KEY_ID),
    "create_key": lambda provider: provider.create_key(request()),
    "revoke_key": lambda provider: provider.revoke_key(KEY_ID),
    "prove": lambda provider: provider.prove(MANAGEMENT),
    "last_used": lambda provider: provider.last_used(KEY_ID),
    "management_key": lambda provider: provider.management_key(),
}

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(CANARY)
NAMES = st.sampled_from(
    [
        *(
            "api_keys",
            "api_key",
            "api_key_id",
            "comment",
            "scopes",
            "tags",
            "created",
            "expiration_date",
            "key",
        ),
        *("item", "member", "member_id", "email", "requests", "category", "err_code"),
    ]
)
JSON = st.recursive(
    SCALARS | st.just(KEY_ID),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)
BODIES = JSON.map(lambda content: json.dumps(content).encode()) | st.binary(max_size=50)
STATUSES = st.sampled_from([200, 200, 200, 200, 201, 204, 301, 307, 400, 401, 403, 404, 429, 500, 503])
HEADERS = st.dictionaries(
    st.sampled_from([b"Date", b"Retry-After", b"Location", b"Content-Encoding", b"Content-Type"]),
    st.sampled_from([b"Fri, 31 Dec 9999 23:59:59 GMT", b"-1", b"http://127.0.0.1:1/", b"gzip", b"\xff", b""]),
    max_size=3,
)
ANSWERS = st.lists(st.tuples(STATUSES, HEADERS, BODIES), min_size=1, max_size=6)


Answers = list[tuple[int, dict[bytes, bytes], bytes]]


class Scripted(httpx.AsyncBaseTransport):
    """Answers call after call as it is told, the last answer again and again."""

    def __init__(self) -> None:
        self.answers: Answers = []
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        status, headers, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return httpx.Response(
            status, headers=list(headers.items()), stream=httpx.ByteStream(body), request=request
        )


@pytest.mark.promise("P2", "P7")
@pytest.mark.parametrize("name", CALLS)
def test_whatever_comes_is_a_result_or_one_of_our_errors_and_shows_nothing(name: str) -> None:
    scripted = Scripted()
    http = HttpClient(
        "https://api.example.com", call_timeout=timedelta(seconds=5), concurrency=4, transport=scripted
    )
    with asyncio.Runner() as runner:

        async def ask(answers: Answers) -> None:
            scripted.answers = list(answers)
            provider = Deepgram(http, project_id="p", management=MANAGEMENT, clock=VirtualClock())
            try:
                await CALLS[name](provider)
            except PortError as error:
                canary.scan(canary.text_of(error), "an error")

        @settings(max_examples=300, deadline=None)
        @given(ANSWERS)
        def anything(answers: Answers) -> None:
            runner.run(ask(answers))

        anything()


class TestRedirects:
    @pytest.mark.promise("P7")
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("name", CALLS)
    async def test_the_key_is_not_carried_to_another_host(self, status: int, name: str) -> None:
        async with canned(Canned()) as elsewhere, serve(elsewhere) as base_url:
            there = Canned(status=status, headers={"Location": f"{base_url}/v1/projects/p/keys"})
            async with canned(there, prove=there) as server:
                with pytest.raises((Rejected, Ambiguous)):
                    await CALLS[name](server.provider)
                assert server.seen
            assert elsewhere.seen == []

    @pytest.mark.promise("P7")
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize(
        "target", [b"http://api.example.com/v1/x", b"https://api.example.com/v1/x", b"/v1/x"]
    )
    async def test_no_redirect_leads_from_https_to_http_or_to_another_path(
        self, status: int, target: bytes
    ) -> None:
        scripted = Scripted()
        http = HttpClient(
            "https://api.example.com", call_timeout=timedelta(seconds=5), concurrency=4, transport=scripted
        )
        provider = Deepgram(http, project_id="p", management=MANAGEMENT, clock=VirtualClock())
        for call in CALLS.values():
            scripted.answers = [(status, {b"Location": target}, b"")]
            with pytest.raises(PortError):
                await call(provider)
        assert scripted.asked
        assert all(url.startswith("https://api.example.com/v1/") for url in scripted.asked)
        assert not [url for url in scripted.asked if url.endswith("/v1/x")]


class TestBodies:
    @pytest.mark.parametrize("name", ["list_keys", "get_key", "create_key", "prove", "last_used"])
    async def test_a_compressed_body_is_not_unpacked(self, name: str) -> None:
        bomb = Canned(body=gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"})
        async with canned(
            bomb, prove=bomb if name == "prove" else Canned.json({"api_key_id": FINE_ID})
        ) as server:
            with pytest.raises((Rejected, Ambiguous), match="can't be understood"):
                await CALLS[name](server.provider)

    @pytest.mark.parametrize("body", [b'{"a":' * 200_000, b"[" * 1_000_000, b"9" * 100_000, b"NaN", b"1e999"])
    async def test_a_body_that_is_a_trap_for_a_parser_is_rejected(self, body: bytes) -> None:
        async with canned(Canned(body=body)) as server:
            with pytest.raises(Rejected, match="can't be understood"):
                await server.provider.list_keys()
            with pytest.raises(Ambiguous, match="can't be understood"):
                await server.provider.create_key(request())

    async def test_a_secret_without_end_is_none(self) -> None:
        async with canned(Canned.json({**MINTED, "key": CANARY * 10_000})) as server:
            with pytest.raises(Ambiguous, match="can't be understood"):
                await server.provider.create_key(request())


ODD_IDS = [
    "",
    ".",
    "..",
    "../keys",
    "a/b",
    "%2e%2e",
    "a?b",
    "a#b",
    "a b",
    "a\r\nHost: x",
    "a\x00",
    "\u202e",
    "é",
    "x" * 65,
    "x" * 10_000,
    7,
    None,
    ["a"],
    {"a": 1},
]


class TestIds:
    @pytest.mark.promise("P4")
    @pytest.mark.parametrize("odd", ODD_IDS, ids=lambda odd: ascii(odd)[:20])
    async def test_a_list_with_an_id_that_leads_elsewhere_is_no_list_and_nothing_is_asked_for_it(
        self, odd: object
    ) -> None:
        items = [{"api_key": {"api_key_id": one}} for one in (FINE_ID, odd)]
        async with canned(Canned.json({"api_keys": items})) as server:
            with pytest.raises(Rejected, match="can't be understood"):
                await server.provider.list_keys()
            assert [path for _, path, _ in server.seen] == ["/v1/auth/token", "/v1/projects/p/keys"]

    @pytest.mark.promise("P2")
    @pytest.mark.parametrize("odd", ODD_IDS, ids=lambda odd: ascii(odd)[:20])
    async def test_a_create_that_names_an_odd_id_may_have_made_a_key(self, odd: object) -> None:
        async with canned(Canned.json({**MINTED, "api_key_id": odd})) as server:
            with pytest.raises(Ambiguous, match="can't be understood"):
                await server.provider.create_key(request())

    @pytest.mark.promise("P3")
    @pytest.mark.parametrize(
        "odd", [odd for odd in ODD_IDS if odd is not None], ids=lambda odd: ascii(odd)[:20]
    )
    async def test_a_self_check_that_names_an_odd_id_proves_nothing(self, odd: object) -> None:
        async with canned(Canned(), prove=Canned.json({"api_key_id": odd})) as server:
            with pytest.raises(Rejected, match="can't be understood"):
                await server.provider.prove(MANAGEMENT)

    async def test_a_key_that_is_listed_many_times_is_read_once(self) -> None:
        async with project({FINE_ID: {}}, times=1000) as server:
            listing = await server.provider.list_keys()
            assert [key.key_id for key in listing.keys] == [FINE_ID]
            assert server.reads == 1


class Project:
    """Lists keys, and answers what it is told when each is read."""

    def __init__(self, keys: dict[str, object], times: int) -> None:
        self.keys, self.times, self.reads = keys, times, 0
        self.provider: Deepgram

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, _, key_id = Request(scope, receive).url.path.partition("/keys")
        await Response(json.dumps(self._answer(key_id.removeprefix("/"))))(scope, receive, send)

    def _answer(self, key_id: str) -> object:
        if not key_id:
            items = [{"api_key": {"api_key_id": one, "comment": f"comment of {one}"}} for one in self.keys]
            return {"api_keys": items * self.times}
        self.reads += 1
        odd = self.keys[key_id]
        fine = {"api_key_id": key_id, "comment": "x", "scopes": ["a"], "created": "2026-01-01T00:00:00Z"}
        return {"member": {"member_id": "m"}, "api_key": fine | odd if isinstance(odd, dict) else odd}


@asynccontextmanager
async def project(keys: dict[str, object], *, times: int = 1) -> AsyncIterator[Project]:
    server = Project(keys, times)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/v1/auth/token":
            await Response('{"scopes": []}')(scope, receive, send)
        else:
            await server(scope, receive, send)

    async with serve(app) as base_url:
        http = HttpClient(base_url, call_timeout=timedelta(seconds=5), concurrency=4)
        server.provider = Deepgram(http, project_id="p", management=MANAGEMENT, clock=VirtualClock())
        try:
            yield server
        finally:
            await http.aclose()


@pytest.mark.promise("P5", "P8")
@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        {"api_key_id": FINE_ID},
        {"api_key_id": ["x"]},
        {"comment": ["x"]},
        {"comment": "\ud800"},
        {"comment": "x" * 1_000_000},
        {"scopes": "usage:write"},
        {"scopes": [7]},
        {"scopes": None},
        {"tags": {"a": 1}},
        {"tags": ["x" * 1_000_000]},
        {"created": None},
        {"created": float("nan")},
        {"created": 10**400},
        {"created": "0001-01-01T00:00:00Z"},
        {"expiration_date": "0001-01-01T00:00:00Z"},
        {"expiration_date": "2025-01-01T00:00:00Z"},
        {"expiration_date": -1},
    ],
    ids=lambda odd: str(odd)[:40],
)
async def test_one_odd_key_is_told_and_stops_no_other(odd: object) -> None:
    async with project({FINE_ID: {}, ODD_ID: odd}) as server:
        listing = await server.provider.list_keys()
    assert [key.key_id for key in listing.keys] == [FINE_ID]
    (unreadable,) = listing.unreadable
    assert (unreadable.key_id, unreadable.comment) == (ODD_ID, f"comment of {ODD_ID}")
    assert unreadable.why == "an answer that can't be understood"


@pytest.mark.parametrize(
    "strange",
    [
        {"comment": "line\nline\x1b[31m\u202ered"},
        {"comment": "x" * 10_000},
        {"scopes": ["\x07", "a" * 100]},
        {"tags": ["\u202e", "\u2066"]},
        {"expiration_date": "9999-12-31T23:59:59Z"},
        {"created": "9999-12-31T23:59:59-14:00"},
        {"unknown": {"deep": [[[[[]]]]]}},
    ],
    ids=lambda strange: ascii(strange)[:40],
)
async def test_what_is_only_strange_is_read_as_it_is(strange: dict[str, object]) -> None:
    async with project({ODD_ID: strange}) as server:
        (key,) = (await server.provider.list_keys()).keys
    assert key.comment == strange.get("comment", "x")
    assert key.tags == frozenset(strange.get("tags", []))  # type: ignore[call-overload]


async def test_a_project_of_thousands_of_keys_is_read_and_read_once() -> None:
    keys: dict[str, object] = {f"{n:08d}-0000-4000-8000-000000000000": {} for n in range(2_000)}
    async with project(keys) as server:
        assert len((await server.provider.list_keys()).keys) == 2_000
        assert len((await server.provider.list_keys()).keys) == 2_000
        assert server.reads == 2_000


async def test_a_404_for_a_key_is_not_found_whatever_the_body() -> None:
    async with canned(Canned(status=404, body=b'{"category": "' + CANARY.encode() + b'"}')) as server:
        with pytest.raises(NotFound):
            await server.provider.get_key(KEY_ID)
