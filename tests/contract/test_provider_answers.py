"""Answers that Deepgram documents and the simulator does not give, and answers that nobody should give."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from rotator import http
from rotator.daemon.starts import NEEDED
from rotator.errors import Ambiguous, Denied, NotFound, PortError, Rejected, Throttled, Unavailable
from rotator.model.secret import Secret
from rotator.providers.deepgram import Deepgram
from tests.contract.provider_bench import request
from tests.contract.provider_canned import KEY_ID, MINTED, Canned, canned
from tests.support.canary import CANARY
from tests.support.virtual_clock import START

HTML = Canned(body=f"<html>{CANARY}</html>".encode(), headers={"Content-Type": "text/html"})
LEAKY = {"err_code": f"{CANARY}", "err_msg": f"{CANARY}", "key": f"{CANARY}"}
SECRET = Secret(f"{CANARY}-to-prove")


def kind_of(status: int, *, writes: bool, names_a_key: bool) -> type[PortError]:
    """What a status means, written down as a table that shares nothing with the code."""
    if status in (401, 403):
        return Denied
    if status == 404 and names_a_key:
        return NotFound
    if status == 429:
        return Throttled
    if status in (408, 499, 500, 502, 503, 504, 599):
        return Ambiguous if writes else Unavailable
    return Ambiguous if writes and status < 400 else Rejected


STATUSES = (
    *(301, 302, 303, 307, 308),
    *(400, 401, 402, 403, 404, 408, 409, 410, 418, 422, 429, 499),
    *(500, 502, 503, 504, 599),
)


@pytest.mark.promise("P7")
@pytest.mark.parametrize(
    ("call", "writes", "names_a_key", "sent"),
    [
        (lambda provider: provider.list_keys(), False, False, 2),  # a self-check before it
        (lambda provider: provider.get_key(KEY_ID), False, True, 1),
        (lambda provider: provider.create_key(request()), True, False, 1),
        (lambda provider: provider.revoke_key(KEY_ID), True, True, 2),
    ],
    ids=["list", "get", "create", "revoke"],
)
@pytest.mark.parametrize("status", STATUSES)
async def test_every_status_is_one_of_our_errors_and_shows_nothing(
    status: int, call: Callable[[Deepgram], Awaitable[object]], *, writes: bool, names_a_key: bool, sent: int
) -> None:
    answer = Canned.json(LEAKY, status=status, Location="http://127.0.0.1:1/elsewhere")
    async with canned(answer) as server:
        expected = kind_of(status, writes=writes, names_a_key=names_a_key)
        with pytest.raises(expected, match=str(status)) as caught:
            await call(server.provider)
        assert len(server.seen) == sent, "it was repeated or redirected"
    assert caught.value.operation in {*NEEDED, "revoke key"}


@pytest.mark.parametrize("status", [200, 204])
async def test_a_delete_is_done_with_and_without_a_body(status: int) -> None:
    async with canned(Canned(status=status)) as server:
        await server.provider.revoke_key(KEY_ID)


@pytest.mark.promise("P2")
@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "text",
        {},
        {"api_key_id": KEY_ID},
        {"key": f"{CANARY}-x"},
        {**MINTED, "api_key_id": ""},
        {**MINTED, "api_key_id": 7},
        {**MINTED, "key": None},
        {**MINTED, "key": ""},
        {**MINTED, "key": f"{CANARY} \n"},
        {**MINTED, "key": [f"{CANARY}"]},
    ],
)
async def test_trap_6_a_key_whose_secret_was_not_understood_may_exist(content: object) -> None:
    async with canned(Canned.json(content)) as server:
        with pytest.raises(Ambiguous, match="can't be understood") as caught:
            await server.provider.create_key(request())
    assert caught.value.__context__ is None


@pytest.mark.promise("P5")
async def test_trap_3_a_create_sends_exactly_this() -> None:
    async with canned(Canned.json(MINTED)) as server:
        await server.provider.create_key(request(comment="x", scopes=("b", "a"), tags=("d", "c")))
        await server.provider.create_key(request(comment="x", lifetime=timedelta(days=1)))
    assert [(method, path, json.loads(body)) for method, path, body in server.seen] == [
        ("POST", "/v1/projects/p/keys", {"comment": "x", "scopes": ["a", "b"], "tags": ["c", "d"]}),
        (
            "POST",
            "/v1/projects/p/keys",
            {"comment": "x", "scopes": ["usage:write"], "time_to_live_in_seconds": 86400},
        ),
    ]


@pytest.mark.parametrize("status", [201, 202])
async def test_another_success_with_a_usable_answer_is_a_success(status: int) -> None:
    async with canned(Canned.json(MINTED, status=status)) as server:
        minted = await server.provider.create_key(request())
    assert minted.key_id == KEY_ID
    assert minted.secret.matches(Secret(f"{CANARY}-minted"))


@pytest.mark.promise("P2", "P7")
@pytest.mark.parametrize(
    "body",
    [b"", b"{", HTML.body, b"\xff\xfe", f'{{"key": "{CANARY}", "api_key_id"'.encode(), b"[" * 100_000],
)
async def test_a_body_that_is_no_json_is_rejected_or_after_a_create_ambiguous(body: bytes) -> None:
    async with canned(Canned(body=body)) as server:
        with pytest.raises(Rejected):
            await server.provider.list_keys()
        with pytest.raises(Rejected):
            await server.provider.get_key(KEY_ID)
        with pytest.raises(Ambiguous):
            await server.provider.create_key(request())


async def test_an_answer_without_bounds_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LARGEST_ANSWER", 1000)
    async with canned(Canned(body=b" " * 1001)) as server:
        with pytest.raises(Rejected, match="too large"):
            await server.provider.list_keys()
        with pytest.raises(Ambiguous, match="too large"):
            await server.provider.create_key(request())


KEY = {
    "api_key_id": KEY_ID,
    "comment": "x",
    "scopes": ["usage:write"],
    "created": "2026-01-01T00:00:00Z",
}


@pytest.mark.parametrize(
    "body",
    [
        {"member": {"member_id": "m"}, "api_key": KEY},
        {"item": {"member": {"member_id": "m"}, "api_key": KEY}},
        {"item": {"member": {"member_id": "m", "api_key": KEY}}},
    ],
)
async def test_trap_1_every_published_shape_is_read(body: object) -> None:
    async with canned(Canned.json(body)) as server:
        key = await server.provider.get_key(KEY_ID)
    assert (key.key_id, key.member_id) == (KEY_ID, "m")
    assert key.scopes == {"usage:write"}


@pytest.mark.promise("P4")
async def test_trap_1_another_key_than_the_one_asked_for_is_rejected() -> None:
    other = {**KEY, "api_key_id": "22222222-2222-4222-8222-222222222222"}
    async with canned(Canned.json({"member": {"member_id": "m"}, "api_key": other})) as server:
        with pytest.raises(Rejected):
            await server.provider.get_key(KEY_ID)


@pytest.mark.parametrize(
    ("status", "body", "accepted"),
    [
        (401, {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials."}, False),
        (401, {"error_code": "invalid auth"}, False),
        (403, {"category": "UNAUTHORIZED", "message": "Authentication failed."}, False),
        (401, {"err_code": "INSUFFICIENT_PERMISSIONS"}, True),
        (403, {"category": "INSUFFICIENT_PERMISSIONS", "details": "keys:read"}, True),
        (200, {"scopes": []}, True),
    ],
)
async def test_trap_11_the_code_and_not_the_status_says_whether_a_secret_is_valid(
    status: int, body: dict[str, Any], *, accepted: bool
) -> None:
    async with canned(Canned(), prove=Canned.json(body, status=status)) as server:
        proof = await server.provider.prove(SECRET)
    assert (proof.accepted, proof.key_id) == (accepted, None)


@pytest.mark.promise("P1", "P3")
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Canned(status=401), Rejected),
        (Canned(status=403, body=HTML.body), Rejected),
        (Canned.json({"err_code": "FORBIDDEN"}, status=403), Rejected),
        (Canned.json({"err_code": "INVALID_AUTH"}, status=400), Rejected),
        (Canned.json({"err_code": "INVALID_AUTH"}, status=404), Rejected),
        (Canned.json({"category": "UNAUTHORIZED"}, status=401), Rejected),
        (Canned(status=404), Rejected),
        (Canned(status=204), Rejected),
        (Canned(status=302), Rejected),
        (HTML, Rejected),
        (Canned.json([]), Rejected),
        (Canned.json({"api_key_id": 7}), Rejected),
        (Canned.json({"api_key_id": "../x"}), Rejected),
        (Canned.json({"err_code": "INVALID_AUTH"}, status=500), Unavailable),
        (Canned(status=503), Unavailable),
        (Canned.json({"err_code": "INVALID_AUTH"}, status=429), Throttled),
    ],
)
async def test_whatever_else_a_self_check_says_is_no_verdict(answer: Canned, kind: type[PortError]) -> None:
    async with canned(Canned(), prove=answer) as server:
        with pytest.raises(kind):
            await server.provider.prove(SECRET)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After-Ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": "Mon, 05 Jan 2026 12:01:00 GMT", "Date": "Mon, 05 Jan 2026 12:00:00 GMT"}, 60),
        ({"Retry-After": "Mon, 05 Jan 2026 11:00:00 GMT", "Date": "Mon, 05 Jan 2026 12:00:00 GMT"}, 0),
        ({"Retry-After": "Mon, 05 Jan 2026 12:01:00 GMT"}, None),
        ({"Retry-After": "999999999"}, 3600),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
    ],
)
async def test_a_throttled_call_says_when_to_come_back(
    headers: dict[str, str], seconds: float | None
) -> None:
    async with canned(Canned(status=429, headers=headers)) as server:
        with pytest.raises(Throttled) as caught:
            await server.provider.create_key(request())
    assert caught.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    "date", [None, "", "yesterday", "Mon, 05 Jan 2026 12:00:00 -0000", "Fri, 31 Dec 9999 23:59:59 -1400"]
)
async def test_without_a_usable_date_the_time_is_ours(date: str | None) -> None:
    headers = {} if date is None else {"Date": date}
    async with canned(Canned(body=b'{"api_keys": []}', headers=headers)) as server:
        assert (await server.provider.list_keys()).at == START


async def test_trap_4_deepgrams_clock_and_ours_are_told_apart() -> None:
    headers = {"Date": "Mon, 05 Jan 2026 12:00:31 GMT"}
    async with canned(Canned(body=b'{"api_keys": []}', headers=headers)) as server:
        listing = await server.provider.list_keys()
    assert (listing.at - START, listing.seen_at) == (timedelta(seconds=31), START)


@pytest.mark.parametrize(
    "items", [None, {}, [None], [{}], [{"api_key": {"api_key_id": ""}}], [{"api_key": []}]]
)
async def test_a_list_with_an_item_that_is_no_key_is_rejected_whole(items: object) -> None:
    async with canned(Canned.json({"api_keys": items})) as server:
        with pytest.raises(Rejected):
            await server.provider.list_keys()
