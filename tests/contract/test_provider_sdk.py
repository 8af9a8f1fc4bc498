"""Deepgram's own Python SDK drives the simulator over real HTTP, and understands all that it says.

The SDK (PyPI deepgram-sdk 7.17.0) is made from Deepgram's OpenAPI description. It repeats a create by itself unless it
is told `max_retries: 0`, turns a date without a zone into local time, and takes an empty answer for an error.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.core.request_options import RequestOptions
from deepgram.environment import DeepgramClientEnvironment

from rotator.http import Call
from rotator.model.secret import Secret
from rotator.simulator.faults import Fault, Operation
from rotator.simulator.world import Quirks
from tests.contract.provider_bench import Bench, bench

ONCE = RequestOptions(max_retries=0)
DAY = timedelta(days=1)


@dataclass(slots=True)
class Sdk:
    """The SDK, and the bodies of the answers that it got."""

    bench: Bench
    client: AsyncDeepgramClient
    bodies: list[Any] = field(default_factory=list, repr=False)

    def understood(self, model: Any) -> Any:  # noqa: ANN401 (each call has a type of its own)
        """Return `model`, once all that the last answer held was found in it."""
        same(self.bodies[-1], model.model_dump(exclude_unset=True))
        return model

    @property
    def project(self) -> str:
        return self.bench.project_id

    @property
    def keys(self) -> Any:  # noqa: ANN401
        return self.client.manage.v1.projects.keys


def same(sent: object, read: object) -> None:
    """See that what was sent was read, field by field, with nothing dropped, added, or turned into None."""
    match sent, read:
        case dict(), Mapping():
            assert sent.keys() == read.keys()
            for name, value in sent.items():
                same(value, read[name])
        case list(), list():
            assert len(sent) == len(read)
            for one, other in zip(sent, read, strict=True):
                same(one, other)
        case str(), datetime():
            assert datetime.fromisoformat(sent) == read
        case _:
            # Bare values, so that a failure shows no secret.
            assert type(sent) is type(read) or {type(sent), type(read)} == {int, float}
            equal = sent == read
            assert equal


@pytest.fixture
async def sdk() -> AsyncIterator[Sdk]:
    async with bench() as made, driving(made) as driven:
        yield driven


@asynccontextmanager
async def driving(made: Bench, *, secret: Secret | None = None) -> AsyncIterator[Sdk]:
    bodies: list[Any] = []

    async def keep(response: httpx.Response) -> None:
        content = await response.aread()
        is_json = response.headers["Content-Type"] == "application/json"
        bodies.append(json.loads(content) if is_json else content.decode())

    async with httpx.AsyncClient(event_hooks={"response": [keep]}, trust_env=False) as connections:
        environment = DeepgramClientEnvironment(
            base=made.base_url, production=made.base_url, agent=made.base_url, agent_rest=made.base_url
        )
        client = AsyncDeepgramClient(
            environment=environment,
            api_key=(secret or made.management.secret).reveal(),
            httpx_client=connections,
        )
        yield Sdk(made, client, bodies)


async def test_it_sees_the_project_its_members_and_their_roles(sdk: Sdk) -> None:
    projects = sdk.client.manage.v1.projects
    listed = sdk.understood(await projects.list(request_options=ONCE))
    assert [one.project_id for one in listed.projects] == [sdk.project]
    members = sdk.understood(await projects.members.list(sdk.project, request_options=ONCE))
    assert [one.email for one in members.members] == ["one@example.com"]
    (member,) = members.members
    scopes = sdk.understood(
        await projects.members.scopes.list(sdk.project, member.member_id, request_options=ONCE)
    )
    assert scopes.scopes == ["owner"]


@pytest.mark.parametrize("details", [False, True])
async def test_it_lists_keys(sdk: Sdk, *, details: bool) -> None:
    key = sdk.bench.key(comment="voice", tags=("prod",), lifetime=90 * DAY)
    sdk.bench.world.quirks = Quirks(list_shows_details=details)
    listed = sdk.understood(await sdk.keys.list(sdk.project, request_options=ONCE))
    assert [item.api_key.api_key_id for item in listed.api_keys] == [
        sdk.bench.management.key_id,
        key.key_id,
    ]
    item = listed.api_keys[1]
    assert (item.member.member_id, item.api_key.comment) == (sdk.bench.owner_id, "voice")
    assert item.api_key.created == sdk.bench.clock.now()
    # A list that says more than its description: the SDK keeps it, as the texts that came.
    assert ((item.api_key.model_extra or {}).get("tags") == ["prod"]) is details


async def test_it_lists_the_active_and_the_expired_apart(sdk: Sdk) -> None:
    expired = sdk.bench.key(lifetime=timedelta(hours=1))
    sdk.bench.clock.advance(timedelta(hours=1))
    found = {}
    for status in ("active", "expired"):
        listed = sdk.understood(await sdk.keys.list(sdk.project, status=status, request_options=ONCE))
        found[status] = [item.api_key.api_key_id for item in listed.api_keys]
    assert found == {"active": [sdk.bench.management.key_id], "expired": [expired.key_id]}


async def test_it_reads_a_key_as_described(sdk: Sdk) -> None:
    sdk.bench.world.quirks = Quirks(nested_get=True)
    key = sdk.bench.key(comment="voice", tags=("prod",), lifetime=90 * DAY)
    got = sdk.understood(await sdk.keys.get(sdk.project, key.key_id, request_options=ONCE))
    shown = got.item.member.api_key
    assert (shown.api_key_id, shown.comment, shown.scopes, shown.tags) == (
        key.key_id,
        "voice",
        ["usage:write"],
        ["prod"],
    )
    assert shown.expiration_date == sdk.bench.clock.now() + 90 * DAY


async def test_it_finds_no_item_in_a_key_as_the_docs_show_it_and_yet_loses_nothing(sdk: Sdk) -> None:
    """The example 51-management-keys.py of the SDK reads `api_key` of this answer as a plain dict."""
    key = sdk.bench.key(comment="voice")
    got = sdk.understood(await sdk.keys.get(sdk.project, key.key_id, request_options=ONCE))
    assert got.item is None
    assert got.api_key["comment"] == "voice"


@pytest.mark.parametrize("digits", [0, 3, 6])
async def test_it_creates_a_key_that_works_and_deletes_it(sdk: Sdk, digits: int) -> None:
    sdk.bench.world.quirks = Quirks(fraction_digits=digits)
    wanted = {
        "comment": "a new one",
        "scopes": ["usage:write"],
        "tags": ["prod"],
        "time_to_live_in_seconds": 86_400,
    }
    made = sdk.understood(await sdk.keys.create(sdk.project, request=wanted, request_options=ONCE))
    assert sdk.bench.world.accepts(Secret(made.key))
    assert made.expiration_date - (sdk.bench.clock.now() + DAY) < timedelta(seconds=1)
    deleted = sdk.understood(await sdk.keys.delete(sdk.project, made.api_key_id, request_options=ONCE))
    assert deleted.message
    assert not sdk.bench.world.accepts(Secret(made.key))


async def test_an_expiry_that_it_is_given_with_a_zone_arrives(sdk: Sdk) -> None:
    until = datetime(2027, 1, 1, tzinfo=UTC)
    wanted = {"comment": "x", "scopes": ["usage:write"], "expiration_date": until}
    made = sdk.understood(await sdk.keys.create(sdk.project, request=wanted, request_options=ONCE))
    assert made.expiration_date == until


async def test_what_it_sends_for_nothing_is_refused(sdk: Sdk) -> None:
    """It sends `tags: []` and nulls as they are (deepgram-python-sdk issue 187: only leaving them out works)."""
    nothings: tuple[dict[str, object], ...] = ({"tags": []}, {"expiration_date": None}, {"tags": None})
    for nothing in nothings:
        wanted = {"comment": "x", "scopes": ["usage:write"], **nothing}
        with pytest.raises(ApiError) as caught:
            await sdk.keys.create(sdk.project, request=wanted, request_options=ONCE)
        assert caught.value.status_code == HTTPStatus.BAD_REQUEST
        assert sdk.bodies[-1]["category"] == "INVALID_JSON"


async def test_it_pages_through_the_requests_of_one_key(sdk: Sdk) -> None:
    consumer, other = sdk.bench.key(), sdk.bench.key()
    for key in (consumer, other, consumer, consumer):
        await listen(sdk.bench, key.secret)
        sdk.bench.clock.advance(timedelta(minutes=1))
    requests = sdk.client.manage.v1.projects.requests
    asked: Mapping[str, Any] = {"accessor": consumer.key_id, "limit": 2, "status": "succeeded"}
    pages = [
        sdk.understood(await requests.list(sdk.project, page=page, **asked, request_options=ONCE))
        for page in range(2)
    ]
    assert [len(page.requests) for page in pages] == [2, 1]
    assert {row.api_key_id for page in pages for row in page.requests} == {consumer.key_id}
    since = sdk.bench.clock.now() - timedelta(minutes=2)
    newest = sdk.understood(await requests.list(sdk.project, start=since, request_options=ONCE))
    assert len(newest.requests) == 2


async def test_the_three_kinds_of_errors_reach_it(sdk: Sdk) -> None:
    async with driving(sdk.bench, secret=sdk.bench.key().secret) as weak:
        with pytest.raises(ApiError) as modern:
            await weak.keys.list(sdk.project, request_options=ONCE)
    with pytest.raises(ApiError) as legacy:
        await sdk.keys.list("3c7a1f5e-0b8d-4a0e-9a53-8c1f8f3a2b10", request_options=ONCE)
    with pytest.raises(ApiError) as plain:
        await sdk.keys.get(sdk.project, "x", request_options=ONCE)
    assert (modern.value.status_code, modern.value.body["category"]) == (403, "INSUFFICIENT_PERMISSIONS")
    assert (legacy.value.status_code, legacy.value.body["err_code"]) == (404, "PROJECT_NOT_FOUND")
    assert (plain.value.status_code, plain.value.body) == (404, "UUID parsing failed: invalid character")


async def test_left_to_itself_it_creates_a_key_per_attempt(sdk: Sdk) -> None:
    """Why the program has a client of its own: up to three keys from one create, two of whose secrets are lost."""
    sdk.bench.simulator.faults.schedule(Operation.CREATE, Fault.ERROR500_DONE)
    wanted = {"comment": "x", "scopes": ["usage:write"]}
    await sdk.keys.create(sdk.project, request=wanted)
    assert len([key for key in sdk.bench.world.keys(sdk.project) if key.comment == "x"]) == 2


async def listen(made: Bench, secret: Secret) -> None:
    """Use a key as a consumer does."""
    authorization = Secret(f"Token {secret.reveal()}")
    answer = await made.http.call(
        Call(
            method="POST",
            path="/v1/listen",
            operation="listen",
            target="a consumer",
            authorization=authorization,
        )
    )
    assert answer.status == HTTPStatus.OK
