"""What the simulated Deepgram says, seen raw: the shapes, rights and errors that its callers rely on."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any, cast

import pytest

from rotator.http import Answer, Call
from rotator.model.secret import Secret
from rotator.simulator.rights import Role
from rotator.simulator.world import Quirks, hex_secret
from tests.contract.provider_bench import Bench, bench
from tests.support.canary import CANARY


@pytest.fixture
async def deepgram() -> AsyncIterator[Bench]:
    async with bench() as made:
        yield made


async def ask(
    deepgram: Bench,
    method: str,
    path: str,
    *,
    secret: Secret | None = None,
    scheme: str = "Token",
    body: Mapping[str, object] | None = None,
) -> Answer:
    secret = secret or deepgram.management.secret
    return await deepgram.http.call(
        Call(
            method=method,
            path=path.replace("{keys}", "{project}/keys").replace(
                "{project}", f"/v1/projects/{deepgram.project_id}"
            ),
            operation="ask",
            target=path,
            authorization=Secret(f"{scheme} {secret.reveal()}"),
            body=body,
        )
    )


def content(answer: Answer) -> dict[str, Any]:
    return cast("dict[str, Any]", answer.body)


async def test_projects_are_those_of_the_key(deepgram: Bench) -> None:
    deepgram.world.add_project("another")
    answer = await ask(deepgram, "GET", "/v1/projects")
    assert content(answer) == {"projects": [{"project_id": deepgram.project_id, "name": "simulated"}]}


async def test_twelve_projects_know_nothing_of_each_other(deepgram: Bench) -> None:
    world, made = deepgram.world, {}
    for number in range(12):
        project = world.add_project(f"team {number}")
        members = [world.add_member(project, role=role, email=f"{role}-{number}@x.test") for role in Role]
        made[project] = [
            world.add_key(project, member_id=member, scopes=("owner",), comment=f"of {number}")
            for member in members
        ]
    for project, keys in made.items():
        owners = keys[0].secret
        shown = content(await ask(deepgram, "GET", "/v1/projects", secret=owners))["projects"]
        assert [one["project_id"] for one in shown] == [project]
        items = content(await ask(deepgram, "GET", f"/v1/projects/{project}/keys", secret=owners))["api_keys"]
        assert {item["api_key"]["api_key_id"] for item in items} == {key.key_id for key in keys}
        for elsewhere in made.keys() - {project}:
            answer = await ask(deepgram, "GET", f"/v1/projects/{elsewhere}/keys", secret=owners)
            assert (answer.status, content(answer)["err_code"]) == (404, "PROJECT_NOT_FOUND")


async def test_members_are_shown_to_those_who_may_see_everyone(deepgram: Bench) -> None:
    member = deepgram.world.add_member(deepgram.project_id, role=Role.MEMBER, email="two@example.com")
    deepgram.world.add_member(deepgram.world.add_project("another"))
    shown = content(await ask(deepgram, "GET", "{project}/members"))["members"]
    assert [(one["member_id"], one["email"], one["scopes"]) for one in shown] == [
        (deepgram.owner_id, "one@example.com", ["owner"]),
        (member, "two@example.com", ["member"]),
    ]
    theirs = deepgram.key(member_id=member, scopes=("member",)).secret
    assert (await ask(deepgram, "GET", "{project}/members", secret=theirs)).status == 403


async def test_a_member_without_more_rights_reads_only_its_own_role(deepgram: Bench) -> None:
    member = deepgram.world.add_member(deepgram.project_id, role=Role.MEMBER)
    stranger = deepgram.world.add_member(deepgram.world.add_project("another"))
    theirs = deepgram.key(member_id=member, scopes=("member",)).secret
    own, owners = f"{{project}}/members/{member}/scopes", f"{{project}}/members/{deepgram.owner_id}/scopes"
    assert content(await ask(deepgram, "GET", own, secret=theirs)) == {"scopes": ["member"]}
    assert (await ask(deepgram, "GET", owners, secret=theirs)).status == 403
    assert content(await ask(deepgram, "GET", own)) == {"scopes": ["member"]}
    assert (await ask(deepgram, "GET", f"{{project}}/members/{stranger}/scopes")).status == 404
    assert (await ask(deepgram, "GET", "{project}/members/x/scopes")).status == 404


class TestRequestLog:
    async def rows(self, deepgram: Bench, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = content(await ask(deepgram, "GET", "{project}/requests" + query))[
            "requests"
        ]
        return found

    async def test_shows_what_keys_were_used_for_newest_first(self, deepgram: Bench) -> None:
        one, two = deepgram.key(), deepgram.key()
        for key in (one, two, one):
            deepgram.clock.advance(timedelta(minutes=1))
            await ask(deepgram, "POST", "/v1/listen", secret=key.secret)
        rows = await self.rows(deepgram)
        assert [row["api_key_id"] for row in rows] == [one.key_id, two.key_id, one.key_id]
        assert [row["created"] for row in rows] == sorted((row["created"] for row in rows), reverse=True)
        assert sorted(rows[0]) == [
            *("api_key_id", "callback", "code", "created", "deployment", "path"),
            *("project_uuid", "request_id", "response"),
        ]
        assert len(await self.rows(deepgram, f"?accessor={two.key_id}")) == 1

    async def test_has_no_call_that_manages_and_none_that_was_refused(self, deepgram: Bench) -> None:
        await ask(deepgram, "POST", "/v1/listen", secret=deepgram.key(scopes=("usage:read",)).secret)
        await ask(deepgram, "GET", "{keys}")
        assert await self.rows(deepgram) == []

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("", 10),
            ("?limit=3", 3),
            ("?limit=10&page=1", 2),
            ("?limit=10&page=2", 0),
            ("?limit=100&unknown=7", 12),
            ("?limit=100&accessor=7", 0),
            ("?limit=100&status=succeeded&endpoint=listen&deployment=hosted", 12),
            ("?limit=100&status=failed", 0),
            ("?limit=100&endpoint=speak", 0),
            ("?limit=100&start=2026-01-06", 7),
            ("?limit=100&end=2026-01-06", 5),
            ("?limit=100&start=2026-01-05T18:00:00&end=2026-01-05T22:00:00", 3),
            ("?limit=100&start=2026-01-05T22:00:00%2B02:00&end=2026-01-05T22:00:00", 2),
        ],
    )
    async def test_is_filtered_as_documented(self, deepgram: Bench, query: str, count: int) -> None:
        key = deepgram.key()
        deepgram.clock.advance(timedelta(hours=7, minutes=30))
        for _ in range(12):
            await ask(deepgram, "POST", "/v1/listen", secret=key.secret)
            deepgram.clock.advance(timedelta(hours=1))
        assert len(await self.rows(deepgram, query)) == count

    @pytest.mark.parametrize(
        "query", ["?limit=0", "?limit=1001", "?limit=x", "?start=yesterday", "?end=2026-01-05T20:00:00 02:00"]
    )
    async def test_a_query_that_can_not_be_read_is_refused(self, deepgram: Bench, query: str) -> None:
        assert (await ask(deepgram, "GET", "{project}/requests" + query)).status == 400

    async def test_is_kept_for_90_days_and_shows_each_request_late(self, deepgram: Bench) -> None:
        deepgram.world.quirks = Quirks(log_lag=timedelta(minutes=15))
        await ask(deepgram, "POST", "/v1/listen", secret=deepgram.key().secret)
        counts = []
        for wait in (timedelta(minutes=14), timedelta(minutes=1), timedelta(days=89), timedelta(days=1)):
            deepgram.clock.advance(wait)
            counts.append(len(await self.rows(deepgram)))
        assert counts == [0, 1, 1, 0]

    async def test_is_that_of_one_project_and_needs_usage_read(self, deepgram: Bench) -> None:
        other = deepgram.world.add_project("another")
        theirs = deepgram.world.add_key(other, member_id=deepgram.world.add_member(other))
        await ask(deepgram, "POST", "/v1/listen", secret=theirs.secret)
        assert await self.rows(deepgram) == []
        weak = deepgram.key(scopes=("keys:read",)).secret
        assert (await ask(deepgram, "GET", "{project}/requests", secret=weak)).status == 403


async def test_a_list_has_neither_tags_nor_expiry(deepgram: Bench) -> None:
    deepgram.key(tags=("a",), lifetime=timedelta(days=1))
    items = content(await ask(deepgram, "GET", "{keys}"))["api_keys"]
    assert {tuple(sorted(item["api_key"])) for item in items} == {
        ("api_key_id", "comment", "created", "scopes")
    }
    deepgram.world.quirks = Quirks(list_shows_details=True)
    items = content(await ask(deepgram, "GET", "{keys}"))["api_keys"]
    assert {"tags", "expiration_date"} <= set(items[1]["api_key"])


async def test_a_create_answers_flat_with_the_secret_once(deepgram: Bench) -> None:
    body = {"comment": "x", "scopes": ["member"], "time_to_live_in_seconds": 60}
    answer = await ask(deepgram, "POST", "{keys}", body=body)
    made = content(answer)
    assert answer.status == 200
    assert sorted(made) == ["api_key_id", "comment", "created", "expiration_date", "key", "scopes"]
    assert deepgram.world.accepts(Secret(made["key"]))
    assert "key" not in content(await ask(deepgram, "GET", f"{{keys}}/{made['api_key_id']}"))["api_key"]


@pytest.mark.parametrize(
    "odd",
    [
        {"comment": None},
        {"comment": 7},
        {"scopes": None},
        {"scopes": "member"},
        {"scopes": [7]},
        {"tags": []},
        {"tags": None},
        {"tags": ["t" * 129]},
        {"expiration_date": None},
        {"expiration_date": "2030-01-01"},
        {"expiration_date": "2030-01-01T00:00:00"},
        {"expiration_date": "2030-13-01T00:00:00Z"},
        {"time_to_live_in_seconds": None},
        {"time_to_live_in_seconds": 0},
        {"time_to_live_in_seconds": 1.5},
        {"time_to_live_in_seconds": True},
        {"time_to_live_in_seconds": 60, "expiration_date": "2030-01-01T00:00:00Z"},
    ],
)
async def test_trap_3_a_create_that_deepgram_would_not_take(deepgram: Bench, odd: dict[str, object]) -> None:
    answer = await ask(deepgram, "POST", "{keys}", body={"comment": "x", "scopes": ["member"], **odd})
    assert (answer.status, content(answer)["category"]) == (400, "INVALID_JSON")
    assert len(deepgram.world.keys(deepgram.project_id)) == 1


async def test_an_expiry_may_be_a_full_timestamp(deepgram: Bench) -> None:
    body = {"comment": "x", "scopes": ["member"], "expiration_date": "2030-01-01T02:00:00+02:00"}
    answer = await ask(deepgram, "POST", "{keys}", body=body)
    assert content(answer)["expiration_date"] == "2030-01-01T00:00:00.000000Z"


async def test_the_three_kinds_of_error_bodies(deepgram: Bench) -> None:
    legacy = await ask(deepgram, "GET", "{keys}", secret=Secret(f"{CANARY}-wrong"))
    assert (legacy.status, content(legacy)["err_code"]) == (401, "INVALID_AUTH")
    modern = await ask(deepgram, "GET", "{keys}", secret=deepgram.key().secret)
    assert (modern.status, content(modern)["category"]) == (403, "INSUFFICIENT_PERMISSIONS")
    assert "keys:read" in content(modern)["details"]
    plain = await ask(deepgram, "GET", "/v1/projects/p/keys")
    assert (plain.status, plain.body) == (404, None)


async def test_the_scheme_is_token(deepgram: Bench) -> None:
    assert (await ask(deepgram, "GET", "/v1/auth/token", scheme="Bearer")).status == 401


async def test_what_a_consumer_calls_needs_usage_write(deepgram: Bench) -> None:
    consumer, reader = deepgram.key(), deepgram.key(scopes=("usage:read",))
    answer = await ask(deepgram, "POST", "/v1/listen", secret=consumer.secret)
    assert (answer.status, sorted(content(answer))) == (200, ["metadata", "results"])
    assert (await ask(deepgram, "POST", "/v1/listen", secret=reader.secret)).status == 403
    deepgram.world.person_deletes(consumer.key_id)
    assert (await ask(deepgram, "POST", "/v1/listen", secret=consumer.secret)).status == 401


@pytest.mark.parametrize(
    ("role", "scopes", "listed", "deleted"),
    [
        (Role.OWNER, ("owner",), 3, 200),
        (Role.OWNER, ("keys:read", "keys:write"), 1, 404),
        (Role.OWNER, ("keys:read",), 1, 403),
        (Role.ADMIN, ("owner",), 3, 403),
        (Role.ADMIN, ("admin",), 3, 403),
        (Role.MEMBER, ("owner",), 1, 404),
        (Role.MEMBER, ("member",), 1, 404),
    ],
)
async def test_a_key_has_at_most_the_rights_of_its_owner(
    deepgram: Bench, role: Role, scopes: tuple[str, ...], listed: int, deleted: int
) -> None:
    theirs = deepgram.key()
    mine = deepgram.key(member_id=deepgram.world.add_member(deepgram.project_id, role=role), scopes=scopes)
    items = content(await ask(deepgram, "GET", "{keys}", secret=mine.secret))["api_keys"]
    assert len(items) == listed
    answer = await ask(deepgram, "DELETE", f"{{keys}}/{theirs.key_id}", secret=mine.secret)
    assert answer.status == deleted


async def test_keys_of_another_project_are_not_found(deepgram: Bench) -> None:
    other = deepgram.world.add_project("another")
    member = deepgram.world.add_member(other)
    theirs = deepgram.world.add_key(other, member_id=member)
    assert (await ask(deepgram, "GET", f"{{keys}}/{theirs.key_id}")).status == 404
    assert (await ask(deepgram, "GET", f"/v1/projects/{other}/keys")).status == 404


async def test_the_date_is_the_clock_of_the_simulator(deepgram: Bench) -> None:
    deepgram.clock.advance(timedelta(days=1000))
    assert (await ask(deepgram, "GET", "/v1/auth/token")).at == deepgram.clock.now()


async def test_ids_and_secrets_look_like_deepgrams(deepgram: Bench) -> None:
    assert str(uuid.UUID(deepgram.management.key_id)) == deepgram.management.key_id
    assert len(hex_secret()) == 40
    assert set(hex_secret()) <= set("0123456789abcdef")
