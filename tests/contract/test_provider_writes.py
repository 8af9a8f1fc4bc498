"""Creating and deleting keys through the port `Provider`, on the simulated Deepgram over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from rotator.errors import Denied, NotFound, Rejected
from rotator.http import Answer, Call, HttpClient
from rotator.model.key import Mark
from rotator.providers.deepgram import Deepgram
from rotator.simulator.faults import Operation
from rotator.simulator.rights import Role
from rotator.simulator.world import Quirks
from tests.contract.provider_bench import CALL_TIMEOUT, Bench, bench, request
from tests.support.canary import CANARY

DAY = timedelta(days=1)


class Noting(HttpClient):
    """Keeps every call that it was asked to make."""

    def __init__(self, base_url: str, *, call_timeout: timedelta, concurrency: int) -> None:
        super().__init__(base_url, call_timeout=call_timeout, concurrency=concurrency)
        self.calls: list[Call] = []

    async def call(self, call: Call) -> Answer:
        self.calls.append(call)
        return await super().call(call)


@pytest.fixture
async def deepgram() -> AsyncIterator[Bench]:
    async with bench() as made:
        yield made


class TestCreateKey:
    @pytest.mark.promise("P5")
    async def test_the_key_has_what_was_asked(self, deepgram: Bench) -> None:
        mark = Mark("0" * 12, "1" * 12, "2" * 16)
        comment = mark.put_on("billing of größe 1")
        minted = await deepgram.provider.create_key(
            request(comment=comment, scopes=("usage:write", "usage:read"), tags=("b", "a"), lifetime=DAY)
        )
        key = await deepgram.provider.get_key(minted.key_id)
        assert (key.comment, key.mark) == (comment, mark)
        assert key.scopes == {"usage:write", "usage:read"}
        assert key.tags == {"a", "b"}
        assert key.lifetime == DAY
        assert deepgram.world.accepts(minted.secret)

    async def test_trap_3_no_tags_and_no_lifetime_are_not_sent_at_all(self, deepgram: Bench) -> None:
        minted = await deepgram.provider.create_key(request())  # else 400 INVALID_JSON
        key = await deepgram.provider.get_key(minted.key_id)
        assert (key.tags, key.expires_at) == (frozenset(), None)

    async def test_trap_3_a_lifetime_is_whole_seconds_and_at_least_one(self, deepgram: Bench) -> None:
        minted = await deepgram.provider.create_key(request(lifetime=timedelta(milliseconds=300)))
        assert (await deepgram.provider.get_key(minted.key_id)).lifetime == timedelta(seconds=1)
        minted = await deepgram.provider.create_key(request(lifetime=timedelta(seconds=90.9)))
        assert (await deepgram.provider.get_key(minted.key_id)).lifetime == timedelta(seconds=90)

    async def test_trap_5_expanded_scopes_are_shown_as_they_are(self, deepgram: Bench) -> None:
        deepgram.world.quirks = Quirks(expands_scopes=True)
        minted = await deepgram.provider.create_key(request(scopes=("usage:write", "keys:write")))
        key = await deepgram.provider.get_key(minted.key_id)
        assert key.scopes == {"usage:write", "keys:write", "keys:read"}

    @pytest.mark.promise("P5")
    async def test_lost_tags_show(self, deepgram: Bench) -> None:
        deepgram.world.quirks = Quirks(drops_tags=True)
        minted = await deepgram.provider.create_key(request(tags=("customer-7",)))
        assert (await deepgram.provider.get_key(minted.key_id)).tags == frozenset()

    async def test_trap_14_the_key_belongs_to_the_member_behind_our_management_key(
        self, deepgram: Bench
    ) -> None:
        minted = await deepgram.provider.create_key(request())
        assert (await deepgram.provider.get_key(minted.key_id)).member_id == deepgram.owner_id

    @pytest.mark.promise("P7")
    async def test_trap_23_the_answer_does_not_show_the_secret(self, deepgram: Bench) -> None:
        minted = await deepgram.provider.create_key(request())
        assert minted.secret.reveal().startswith(CANARY)
        assert CANARY not in repr(minted)

    async def test_what_deepgram_does_not_take_is_rejected(self, deepgram: Bench) -> None:
        with pytest.raises(Rejected, match="400 INVALID_JSON"):
            await deepgram.provider.create_key(request(tags=("t" * 129,)))
        assert len(deepgram.world.keys(deepgram.project_id)) == 1


class TestRevokeKey:
    async def test_the_secret_stops_working(self, deepgram: Bench) -> None:
        made = deepgram.key()
        await deepgram.provider.revoke_key(made.key_id)
        assert not deepgram.world.accepts(made.secret)
        assert (await deepgram.provider.list_keys()).get(made.key_id) is None

    async def test_trap_11_a_second_time_is_not_found(self, deepgram: Bench) -> None:
        made = deepgram.key()
        await deepgram.provider.revoke_key(made.key_id)
        with pytest.raises(NotFound):
            await deepgram.provider.revoke_key(made.key_id)

    @pytest.mark.promise("P4")
    async def test_trap_13_our_own_management_key_is_refused_before_anything_is_sent(
        self, deepgram: Bench
    ) -> None:
        with pytest.raises(Rejected, match="management key in use"):
            await deepgram.provider.revoke_key(deepgram.management.key_id)
        assert deepgram.simulator.count(Operation.DELETE) == 0

    async def test_an_admin_may_not_delete_the_key_of_another(self, deepgram: Bench) -> None:
        made = deepgram.key()
        admin = deepgram.provider_of(Role.ADMIN, ("admin", "owners:read"))
        with pytest.raises(Denied, match="403 INSUFFICIENT_PERMISSIONS"):
            await admin.revoke_key(made.key_id)
        assert deepgram.world.accepts(made.secret)

    @pytest.mark.promise("P3")
    async def test_a_delete_that_would_have_to_wait_is_not_sent(self, deepgram: Bench) -> None:
        """It was checked for now, not for when a busy provider has a turn to give."""
        made = deepgram.key()
        http = Noting(deepgram.base_url, call_timeout=CALL_TIMEOUT, concurrency=1)
        provider = Deepgram(
            http, project_id=deepgram.project_id, management=deepgram.management.secret, clock=deepgram.clock
        )
        await provider.revoke_key(made.key_id)
        await http.aclose()
        assert [call.starts_within for call in http.calls if call.method == "DELETE"] == [
            timedelta(seconds=5)
        ]
