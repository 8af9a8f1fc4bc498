"""All that the simulator answers, to every call and with each quirk, is of the shapes that Deepgram publishes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import jsonschema
import pytest

from rotator.model.secret import Secret
from rotator.simulator.faults import Fault, Operation
from rotator.simulator.rights import Role
from rotator.simulator.world import Quirks
from tests.contract.provider_bench import Bench, bench
from tests.support import deepgram_shapes as shapes
from tests.support.canary import CANARY

LAG = timedelta(minutes=15)
USUAL = Quirks()
QUIRKS: Mapping[str, Quirks] = {
    "none": USUAL,
    "nested_get": Quirks(nested_get=True),
    "list_shows_details": Quirks(list_shows_details=True),
    "expands_scopes": Quirks(expands_scopes=True),
    "drops_tags": Quirks(drops_tags=True),
    "self_check_says_id": Quirks(self_check_says_id=False),
    "forbids_with_401": Quirks(forbids_with_401=True),
    "hides_projects": Quirks(hides_projects=True),
    "fraction_digits": Quirks(fraction_digits=0),
    "list_lag": Quirks(list_lag=LAG),
    "accept_lag": Quirks(accept_lag=LAG),
    "log_lag": Quirks(log_lag=LAG),
}
"""Each quirk switched to what it is not by default."""

WANTED = {
    "comment": "new",
    "scopes": ["keys:write"],
    "tags": ["a", "b"],
    "expiration_date": "2030-01-01T00:00:00Z",
}


def test_every_quirk_there_is_has_its_turn() -> None:
    assert list(QUIRKS) == ["none", *Quirks.__dataclass_fields__]
    for name, quirks in QUIRKS.items():
        differing = {field for field in USUAL.__slots__ if getattr(quirks, field) != getattr(USUAL, field)}
        assert differing == {name} - {"none"}


class Raw:
    """Calls whose answers are seen as they came, apart from the clients of the program."""

    def __init__(self, made: Bench, connections: httpx.AsyncClient) -> None:
        self.made = made
        self._connections = connections

    async def ask(
        self,
        operation: Operation,
        *,
        secret: Secret | None = None,
        project: str | None = None,
        named: str = "",
        query: str = "",
        body: object = None,
    ) -> httpx.Response:
        """Make a call; `project` is that of the bench if not said, `named` a key or a member, `body` what is sent."""
        method = {Operation.CREATE: "POST", Operation.LISTEN: "POST", Operation.DELETE: "DELETE"}
        below = f"/v1/projects/{project or self.made.project_id}"
        path = {
            Operation.PROJECTS: "/v1/projects",
            Operation.LIST: f"{below}/keys",
            Operation.GET: f"{below}/keys/{named}",
            Operation.CREATE: f"{below}/keys",
            Operation.DELETE: f"{below}/keys/{named}",
            Operation.PROVE: "/v1/auth/token",
            Operation.LISTEN: "/v1/listen",
            Operation.REQUESTS: f"{below}/requests{query}",
            Operation.MEMBERS: f"{below}/members",
            Operation.MEMBER_SCOPES: f"{below}/members/{named}/scopes",
        }[operation]
        return await self._connections.request(
            method.get(operation, "GET"),
            self.made.base_url + path,
            headers={"Authorization": f"Token {(secret or self.made.management.secret).reveal()}"},
            content=body if isinstance(body, bytes) else json.dumps(body),
        )


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    async with bench() as made, httpx.AsyncClient(trust_env=False) as connections:
        yield Raw(made, connections)


def error(response: httpx.Response) -> tuple[int, str]:
    """Return the status of an error, and its kind or its code, once its body has one of the three shapes."""
    if response.headers["Content-Type"].startswith("text/plain"):
        shapes.check(response.text, shapes.PLAIN)
        return response.status_code, "plain"
    body = response.json()
    modern = "category" in body
    shapes.check(body, shapes.MODERN if modern else shapes.LEGACY)
    return response.status_code, body["category" if modern else "err_code"]


def success(operation: Operation, response: httpx.Response, quirks: Quirks) -> Any:  # noqa: ANN401 (JSON)
    """Return the body of a success, once it has the shape that it has with those quirks."""
    assert response.status_code == 200
    shape = shapes.SUCCESS[operation]
    if operation is Operation.GET and quirks.nested_get:
        shape = shapes.GOT_NESTED
    if operation is Operation.LIST and quirks.list_shows_details:
        shape = shapes.LISTED_WITH_DETAILS
    body = response.json()
    shapes.check(body, shape)
    return body


@pytest.mark.parametrize("quirk", QUIRKS)
async def test_every_answer_of_every_call_has_its_published_shape(raw: Raw, quirk: str) -> None:
    made, quirks = raw.made, QUIRKS[quirk]
    consumer = made.key(tags=("a",), lifetime=timedelta(days=1))
    plain = made.key()
    made.world.quirks = quirks
    await raw.ask(Operation.LISTEN, secret=consumer.secret)
    made.clock.advance(LAG)
    answered: dict[Operation, Any] = {}
    for operation in Operation:
        if operation is not Operation.DELETE:
            named = made.owner_id if operation is Operation.MEMBER_SCOPES else consumer.key_id
            response = await raw.ask(operation, named=named, body=WANTED)
            answered[operation] = success(operation, response, quirks)
    success(Operation.GET, await raw.ask(Operation.GET, named=plain.key_id), quirks)
    response = await raw.ask(Operation.DELETE, named=consumer.key_id)
    answered[Operation.DELETE] = success(Operation.DELETE, response, quirks)
    assert answered.keys() == shapes.SUCCESS.keys() == set(Operation)
    assert ("tags" in answered[Operation.CREATE]) is not quirks.drops_tags
    assert ("api_key_id" in answered[Operation.PROVE]) is quirks.self_check_says_id


@pytest.mark.parametrize("quirk", QUIRKS)
async def test_every_error_of_every_call_has_one_of_the_three_shapes(raw: Raw, quirk: str) -> None:
    made = raw.made
    weak = made.key(scopes=("billing:read",)).secret
    stranger = made.world.add_project("another")
    made.world.quirks = quirks = QUIRKS[quirk]
    forbidden = (401 if quirks.forbids_with_401 else 403, "INSUFFICIENT_PERMISSIONS")
    for operation in Operation:
        response = await raw.ask(operation, secret=Secret(f"{CANARY}-wrong"), named=made.management.key_id)
        assert error(response) == (401, "INVALID_AUTH")
        if operation is Operation.PROVE:
            continue
        named = made.owner_id if operation is Operation.MEMBER_SCOPES else made.management.key_id
        response = await raw.ask(operation, secret=weak, named=named, body=WANTED)
        assert error(response) == forbidden
        if operation in (Operation.PROJECTS, Operation.LISTEN):
            continue
        response = await raw.ask(operation, project=stranger, named=made.management.key_id, body=WANTED)
        assert error(response) == (404, "NOT_FOUND" if quirks.hides_projects else "PROJECT_NOT_FOUND")
        response = await raw.ask(operation, project="x", named=made.management.key_id, body=WANTED)
        assert error(response) == (404, "plain")
    for operation in (Operation.GET, Operation.DELETE):
        assert error(await raw.ask(operation, named=made.project_id)) == (404, "NOT_FOUND")
        assert error(await raw.ask(operation, named="x")) == (404, "plain")
    assert error(await raw.ask(Operation.MEMBER_SCOPES, named=made.project_id)) == (404, "NOT_FOUND")
    assert error(await raw.ask(Operation.MEMBER_SCOPES, named="x")) == (404, "plain")
    assert error(await raw.ask(Operation.CREATE, body=b"{")) == (400, "INVALID_JSON")
    assert error(await raw.ask(Operation.CREATE, body={**WANTED, "tags": []})) == (400, "INVALID_JSON")
    assert error(await raw.ask(Operation.REQUESTS, query="?limit=0")) == (400, "BAD_REQUEST")
    admin = made.world.add_member(made.project_id, role=Role.ADMIN)
    of_an_admin = made.key(member_id=admin, scopes=("admin",)).secret
    response = await raw.ask(Operation.DELETE, secret=of_an_admin, named=made.management.key_id)
    assert error(response) == forbidden


@pytest.mark.parametrize(
    ("fault", "told"),
    [(Fault.THROTTLED, (429, "TOO_MANY_REQUESTS")), (Fault.FORBIDDEN, (403, "INSUFFICIENT_PERMISSIONS"))],
)
async def test_an_error_that_a_fault_brings_has_one_of_the_three_shapes(
    raw: Raw, fault: Fault, told: tuple[int, str]
) -> None:
    raw.made.simulator.faults.schedule(Operation.LIST, fault)
    assert error(await raw.ask(Operation.LIST)) == told


def test_the_shapes_refuse_what_deepgram_never_said() -> None:
    """A measure that takes everything measures nothing."""
    uuid = "3c7a1f5e-0b8d-4a0e-9a53-8c1f8f3a2b10"
    key = {"api_key_id": uuid, "comment": "", "scopes": [], "created": "2026-01-05T12:00:00Z"}
    member = {"member_id": uuid, "email": ""}
    shapes.check({"member": member, "api_key": key}, shapes.GOT_FLAT)
    for odd in (
        {"api_key": key},
        {"member": member, "api_key": {**key, "tags": []}},
        {"member": member, "api_key": {**key, "expiration_date": None}},
        {"member": member, "api_key": {**key, "created": "2026-01-05"}},
        {"member": member, "api_key": {**key, "api_key_id": "7"}},
        {"member": member, "api_key": {**key, "key": "x"}},
        {"item": {"member": member, "api_key": key}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            shapes.check(odd, shapes.GOT_FLAT)
