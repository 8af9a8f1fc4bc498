"""When a key was last used, and who we are at the provider: on the simulated Deepgram and on answers it never gives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import Denied, PortError, Rejected, Throttled, Unavailable
from rotator.http import Call
from rotator.model.secret import Secret
from rotator.ports import Minted
from rotator.simulator.faults import Fault, Operation
from rotator.simulator.rights import Role
from rotator.simulator.world import Quirks
from tests.contract.provider_bench import Bench, bench
from tests.contract.provider_canned import KEY_ID, Canned, canned
from tests.support.canary import CANARY
from tests.support.virtual_clock import START

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
OWNER = frozenset({"owner"})
OTHER_ID = "22222222-2222-4222-8222-222222222222"


@pytest.fixture
async def deepgram() -> AsyncIterator[Bench]:
    async with bench() as made:
        yield made


async def use(deepgram: Bench, key: Minted) -> None:
    """Transcribe something with a key, as a consumer does."""
    header = Secret(f"Token {key.secret.reveal()}")
    call = Call(method="POST", path="/v1/listen", operation="listen", target="x", authorization=header)
    assert (await deepgram.http.call(call)).status == 200


class TestLastUsed:
    async def test_is_when_the_newest_request_was_made_with_that_key(self, deepgram: Bench) -> None:
        ours, other = deepgram.key(), deepgram.key()
        for key in (ours, ours, other):
            deepgram.clock.advance(DAY)
            await use(deepgram, key)
        deepgram.clock.advance(DAY)
        used = await deepgram.provider.last_used(ours.key_id)
        assert used.used_at == deepgram.clock.now() - 2 * DAY

    async def test_trap_18_last_use_is_told_by_the_log_to_the_second_and_by_no_summary(
        self, deepgram: Bench
    ) -> None:
        ours = deepgram.key()
        deepgram.clock.advance(timedelta(hours=7, seconds=11))
        await use(deepgram, ours)
        used_at = deepgram.clock.now()
        deepgram.clock.advance(timedelta(minutes=40))
        deepgram.simulator.log.clear()
        assert (await deepgram.provider.last_used(ours.key_id)).used_at == used_at
        assert [logged.path for logged in deepgram.simulator.log] == [
            f"/v1/projects/{deepgram.project_id}/requests"
        ]

    async def test_of_more_requests_than_a_page_holds_the_newest_counts(self, deepgram: Bench) -> None:
        ours = deepgram.key()
        for _ in range(25):
            deepgram.clock.advance(MINUTE)
            await use(deepgram, ours)
        assert (await deepgram.provider.last_used(ours.key_id)).used_at == deepgram.clock.now()

    async def test_says_from_when_to_when_the_log_shows_anything(self, deepgram: Bench) -> None:
        await use(deepgram, deepgram.key())
        deepgram.clock.advance(DAY)
        used = await deepgram.provider.last_used(deepgram.key().key_id)
        now = deepgram.clock.now()
        assert used.used_at is None
        assert (used.log_begins_at, used.log_ends_at) == (now - 90 * DAY, now - 30 * MINUTE)

    @pytest.mark.promise("P3")
    async def test_trap_17_a_request_that_shows_late_was_made_after_the_log_ended(
        self, deepgram: Bench
    ) -> None:
        deepgram.world.quirks = Quirks(log_lag=17 * MINUTE)
        ours = deepgram.key()
        await use(deepgram, deepgram.key())
        deepgram.clock.advance(DAY)
        made_at = deepgram.clock.now()
        await use(deepgram, ours)
        deepgram.clock.advance(16 * MINUTE)
        unseen = await deepgram.provider.last_used(ours.key_id)
        assert unseen.used_at is None
        assert unseen.log_ends_at < made_at
        deepgram.clock.advance(MINUTE)
        assert (await deepgram.provider.last_used(ours.key_id)).used_at == made_at

    async def test_a_log_without_any_request_tells_nothing(self, deepgram: Bench) -> None:
        with pytest.raises(Rejected, match="no request with any key"):
            await deepgram.provider.last_used(deepgram.key().key_id)

    async def test_trap_17_what_is_older_than_the_log_tells_nothing(self, deepgram: Bench) -> None:
        ours = deepgram.key()
        await use(deepgram, ours)
        deepgram.clock.advance(91 * DAY)
        with pytest.raises(Rejected, match="no request with any key"):
            await deepgram.provider.last_used(ours.key_id)

    async def test_without_usage_read_nothing_is_known(self, deepgram: Bench) -> None:
        ours = deepgram.key()
        await use(deepgram, ours)
        weak = deepgram.provider_of(Role.OWNER, ("keys:read", "keys:write"))
        with pytest.raises(Denied, match="403 INSUFFICIENT_PERMISSIONS"):
            await weak.last_used(ours.key_id)

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [(Fault.ERROR500, Unavailable), (Fault.REFUSED, Unavailable), (Fault.THROTTLED, Throttled)],
    )
    @pytest.mark.parametrize("nth", [1, 2])
    async def test_a_log_that_can_not_be_read_is_no_answer(
        self, deepgram: Bench, fault: Fault, kind: type[PortError], nth: int
    ) -> None:
        deepgram.simulator.faults.schedule(Operation.REQUESTS, fault, nth=nth)
        with pytest.raises(kind):
            await deepgram.provider.last_used(deepgram.key().key_id)

    @pytest.mark.parametrize("odd", ["", "a/b", "..", "x&page=9", "x#y", "x%2fy", "é", "x" * 65])
    async def test_trap_24_an_odd_id_never_reaches_a_url(self, deepgram: Bench, odd: str) -> None:
        with pytest.raises(Rejected, match="not an id"):
            await deepgram.provider.last_used(odd)
        assert deepgram.simulator.log == []


def row(**changes: object) -> dict[str, object]:
    return {"request_id": "r", "api_key_id": KEY_ID, "created": "2026-01-01T00:00:00.5Z", **changes}


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"requests": None},
        {"requests": {}},
        {"requests": [None]},
        {"requests": [{}]},
        {"requests": [row(api_key_id=OTHER_ID)]},
        {"requests": [row(), row(api_key_id=OTHER_ID)]},
        {"requests": [row(api_key_id=None)]},
        {"requests": [row(created=None)]},
        {"requests": [row(created="yesterday")]},
        {"requests": [row(created="2026-01-01T00:00:00Z"), row(created="2026-01-02T00:00:00Z")]},
        {"requests": CANARY},
    ],
)
async def test_trap_17_a_page_that_is_not_the_newest_requests_of_the_key_is_no_answer(
    content: object,
) -> None:
    async with canned(Canned.json(content)) as server:
        with pytest.raises(Rejected, match="can't be understood"):
            await server.provider.last_used(KEY_ID)


async def test_trap_19_pages_are_counted_from_0_and_the_key_is_named() -> None:
    async with canned(Canned.json({"requests": [row()]})) as server:
        used = await server.provider.last_used(KEY_ID)
    assert used.used_at is not None
    assert used.log_begins_at == START - 90 * DAY
    assert server.queries == [f"accessor={KEY_ID}&limit=10&page=0"]


class TestManagementKey:
    async def test_tells_scopes_owner_and_expiry(self, deepgram: Bench) -> None:
        made = await deepgram.provider.management_key()
        assert made.key is not None
        assert made.key_id == made.key.key_id == deepgram.management.key_id
        assert (made.key.expires_at, made.key.member_id) == (None, deepgram.owner_id)
        assert (made.scopes, made.owner_email, made.owner_scopes) == (OWNER, "one@example.com", OWNER)

    async def test_trap_13_an_expiry_is_told(self, deepgram: Bench) -> None:
        mine = deepgram.key(scopes=("owner",), lifetime=DAY)
        made = await deepgram.provider_with(mine.secret).management_key()
        assert made.key is not None
        assert made.key.expires_at == deepgram.clock.now() + DAY

    async def test_trap_14_the_role_of_a_demoted_owner_is_told(self, deepgram: Bench) -> None:
        deepgram.world.set_role(deepgram.owner_id, Role.MEMBER)
        made = await deepgram.provider.management_key()
        assert (made.scopes, made.owner_scopes) == (OWNER, frozenset({"member"}))

    async def test_what_it_may_not_read_of_itself_is_unknown(self, deepgram: Bench) -> None:
        made = await deepgram.provider_of(Role.OWNER, ("usage:write",)).management_key()
        assert made.key_id is not None
        assert made.scopes == frozenset({"usage:write"})
        assert (made.key, made.owner_email, made.owner_scopes) == (None, None, None)

    async def test_without_project_read_the_role_is_unknown(self, deepgram: Bench) -> None:
        made = await deepgram.provider_of(Role.OWNER, ("keys:read",)).management_key()
        assert made.key is not None
        assert (made.owner_email, made.owner_scopes) == ("two@example.com", None)

    async def test_where_the_self_check_says_no_id_only_the_scopes_are_known(self, deepgram: Bench) -> None:
        deepgram.world.quirks = Quirks(self_check_says_id=False)
        made = await deepgram.provider.management_key()
        assert (made.key_id, made.scopes, made.key) == (None, OWNER, None)

    async def test_one_that_is_refused_is_denied(self, deepgram: Bench) -> None:
        with pytest.raises(Denied, match="refused as invalid"):
            await deepgram.provider_with(Secret(f"{CANARY}-mistyped")).management_key()

    async def test_trap_25_of_another_project_it_is_rejected(self, deepgram: Bench) -> None:
        other = deepgram.world.add_project("another")
        with pytest.raises(Rejected, match="404 PROJECT_NOT_FOUND"):
            await deepgram.provider_with(deepgram.management.secret, project_id=other).management_key()

    @pytest.mark.parametrize("scopes", [None, "owner", [7], {"a": 1}])
    async def test_scopes_that_are_none_are_unknown(self, scopes: object) -> None:
        check: dict[str, Any] = {"scopes": scopes}
        async with canned(Canned(), prove=Canned.json(check)) as server:
            made = await server.provider.management_key()
        assert (made.scopes, made.key_id) == (None, None)

    @pytest.mark.parametrize("email", [None, "", 7, ["x"]])
    async def test_an_owner_without_a_usable_address_has_none(self, email: object) -> None:
        key = {"api_key_id": KEY_ID, "scopes": ["owner"], "created": "2026-01-01T00:00:00Z"}
        answer = Canned.json({"member": {"member_id": "..", "email": email}, "api_key": key})
        async with canned(answer, prove=Canned.json({"api_key_id": KEY_ID})) as server:
            made = await server.provider.management_key()
        assert (made.key is not None, made.owner_email, made.owner_scopes) == (True, None, None)
        assert [path for _, path, _ in server.seen] == ["/v1/auth/token", f"/v1/projects/p/keys/{KEY_ID}"]
