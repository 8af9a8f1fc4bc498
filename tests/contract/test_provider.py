"""Reading keys through the port `Provider`, on the simulated Deepgram over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest

from rotator.clock import SystemClock
from rotator.errors import NotFound
from rotator.http import HttpClient
from rotator.model.secret import Secret
from rotator.providers.deepgram import Deepgram
from rotator.simulator.faults import Operation
from rotator.simulator.rights import Role
from rotator.simulator.world import Quirks
from tests.contract.provider_bench import Bench, bench, request
from tests.support.canary import CANARY

NEW = tuple(f"key-{number}" for number in range(50))


class Busy(httpx.AsyncBaseTransport):
    """A Deepgram whose keys are all new, and which says whose a key is in a list only.

    `read` are the keys that were read, `most` how many of them at once.
    """

    def __init__(self) -> None:
        self.most = self.now = 0
        self.keys = NEW
        self.read: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(5):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(turn.set_result, None)
            await turn
        self.now -= 1
        *_, last = request.url.path.split("/")
        self.read += [last] if last.startswith("key-") else []
        details = {"api_key_id": last, "scopes": [], "created": "2026-01-01T00:00:00Z"}
        answers = {
            "token": {},
            "keys": {
                "api_keys": [
                    {"member": {"member_id": "m"}, "api_key": {"api_key_id": key}} for key in self.keys
                ]
            },
        }
        body = json.dumps(answers.get(last, {"api_key": details})).encode()
        return httpx.Response(200, stream=httpx.ByteStream(body), request=request)


@asynccontextmanager
async def on(line: Busy, *, turns: int = 8) -> AsyncIterator[Deepgram]:
    http = HttpClient(
        "http://localhost:1", call_timeout=timedelta(seconds=10), concurrency=turns, transport=line
    )
    secret = Secret(f"{CANARY}-management")
    yield Deepgram(http, project_id="p", management=secret, clock=SystemClock())
    await http.aclose()


DAY = timedelta(days=1)
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def deepgram() -> AsyncIterator[Bench]:
    async with bench() as made:
        yield made


class TestListKeys:
    async def test_shows_each_key_with_what_was_asked_at_its_creation(self, deepgram: Bench) -> None:
        made = deepgram.key(
            comment="billing", scopes=("usage:write", "member"), tags=("a", "b"), lifetime=DAY
        )
        listing = await deepgram.provider.list_keys()
        key = listing.get(made.key_id)
        assert key is not None
        assert key.comment == "billing"
        assert key.scopes == {"usage:write", "member"}
        assert key.tags == {"a", "b"}
        assert key.created_at == deepgram.clock.now()
        assert key.expires_at == deepgram.clock.now() + DAY
        assert key.member_id == deepgram.owner_id

    @pytest.mark.parametrize("nested", [False, True])
    @pytest.mark.parametrize("details_in_list", [False, True])
    async def test_trap_1_and_2_expiry_and_tags_are_right_whatever_the_shape(
        self, deepgram: Bench, *, nested: bool, details_in_list: bool
    ) -> None:
        deepgram.world.quirks = Quirks(nested_get=nested, list_shows_details=details_in_list)
        made = deepgram.key(tags=("customer-7",), lifetime=DAY)
        key = (await deepgram.provider.list_keys()).get(made.key_id)
        assert key is not None
        assert key.tags == {"customer-7"}
        assert key.lifetime == DAY
        assert key.member_id == deepgram.owner_id

    async def test_many_who_ask_at_once_share_a_list_that_begins_after_they_asked(
        self, deepgram: Bench
    ) -> None:
        first = asyncio.create_task(deepgram.provider.list_keys())
        while not deepgram.simulator.count(Operation.LIST):
            await deepgram.clock.sleep(timedelta(0))
        late = deepgram.key()
        others = await asyncio.gather(*(deepgram.provider.list_keys() for _ in range(20)))
        await first
        assert all(listing.get(late.key_id) is not None for listing in others)
        assert deepgram.simulator.count(Operation.LIST) == 2

    @pytest.mark.promise("P4")
    async def test_trap_13_says_which_key_and_member_we_are(self, deepgram: Bench) -> None:
        listing = await deepgram.provider.list_keys()
        assert listing.management_key_id == deepgram.management.key_id
        assert listing.management_member_id == deepgram.owner_id

    async def test_says_nothing_of_us_where_the_self_check_does_not(self, deepgram: Bench) -> None:
        deepgram.world.quirks = Quirks(self_check_says_id=False)
        listing = await deepgram.provider.list_keys()
        assert (listing.management_key_id, listing.management_member_id) == (None, None)

    async def test_trap_4_tells_the_clock_of_deepgram(self, deepgram: Bench) -> None:
        deepgram.clock.advance(timedelta(days=400, seconds=7))
        assert (await deepgram.provider.list_keys()).at == deepgram.clock.now()

    async def test_was_seen_when_the_list_came_not_when_all_its_keys_were_read(self, deepgram: Bench) -> None:
        for _ in range(5):
            deepgram.key()
        deepgram.simulator.latency = timedelta(seconds=1)
        before = deepgram.clock.now()
        listing = await deepgram.provider.list_keys()
        assert listing.at == listing.seen_at == before + timedelta(seconds=2)  # the self-check and the list

    async def test_reads_a_key_once_as_it_can_never_change(self, deepgram: Bench) -> None:
        deepgram.key()
        await deepgram.provider.list_keys()
        read = deepgram.simulator.count(Operation.GET)
        second = deepgram.key()
        listing = await deepgram.provider.list_keys()
        assert len(listing.keys) == 3
        assert listing.get(second.key_id) is not None
        assert (read, deepgram.simulator.count(Operation.GET)) == (2, 3)

    async def test_reads_no_key_again_that_was_read_when_it_was_made(self, deepgram: Bench) -> None:
        await deepgram.provider.list_keys()
        made = deepgram.key()
        await deepgram.provider.get_key(made.key_id)
        read = deepgram.simulator.count(Operation.GET)
        assert (await deepgram.provider.list_keys()).get(made.key_id) is not None
        assert deepgram.simulator.count(Operation.GET) == read

    async def test_keeps_what_is_read_while_a_list_is_under_way(self) -> None:
        """That list does not show it: it was made before. The next one does."""
        line = Busy()
        async with on(line) as provider:
            reading = asyncio.create_task(provider.list_keys())
            while not line.read:
                await asyncio.wait({reading}, timeout=0.001)
            await provider.get_key("key-made")
            assert not reading.done()
            await reading
            line.keys = (*NEW, "key-made")
            assert (await provider.list_keys()).get("key-made") is not None
            assert line.read.count("key-made") == 1

    @pytest.mark.promise("P4")
    async def test_knows_whose_a_key_is_that_was_read_before_a_list_showed_it(self) -> None:
        async with on(Busy()) as provider:
            await provider.get_key(NEW[0])
            assert {key.member_id for key in (await provider.list_keys()).keys} == {"m"}

    @pytest.mark.parametrize(("turns", "at_once"), [(1, 1), (8, 4), (32, 16)])
    async def test_of_new_keys_reads_half_as_many_at_once_as_it_has_turns(
        self, turns: int, at_once: int
    ) -> None:
        line = Busy()
        async with on(line, turns=turns) as provider:
            assert len((await provider.list_keys()).keys) == len(NEW)
        assert line.most == at_once

    async def test_asks_who_we_are_once(self, deepgram: Bench) -> None:
        await deepgram.provider.list_keys()
        await deepgram.provider.list_keys()
        assert deepgram.simulator.count(Operation.PROVE) == 1

    async def test_forgets_what_is_no_longer_listed(self, deepgram: Bench) -> None:
        made = deepgram.key()
        await deepgram.provider.list_keys()
        deepgram.world.person_deletes(made.key_id)
        assert (await deepgram.provider.list_keys()).get(made.key_id) is None

    async def test_reads_a_key_anew_that_was_out_of_sight(self, deepgram: Bench) -> None:
        made = deepgram.key(member_id=deepgram.world.add_member(deepgram.project_id))
        await deepgram.provider.list_keys()
        deepgram.world.set_role(deepgram.owner_id, Role.MEMBER)
        await deepgram.provider.list_keys()
        deepgram.world.set_role(deepgram.owner_id, Role.OWNER)
        read = deepgram.simulator.count(Operation.GET)
        assert (await deepgram.provider.list_keys()).get(made.key_id) is not None
        assert deepgram.simulator.count(Operation.GET) == read + 1

    async def test_leaves_out_a_key_that_vanishes_between_list_and_read(self, deepgram: Bench) -> None:
        kept, gone = deepgram.key(), deepgram.key()
        deepgram.world.quirks = Quirks(list_lag=timedelta(minutes=1))
        deepgram.world.person_deletes(gone.key_id)
        listing = await deepgram.provider.list_keys()
        assert listing.get(gone.key_id) is None
        assert listing.get(kept.key_id) is not None

    async def test_reads_many_keys_a_few_at_a_time(self, deepgram: Bench) -> None:
        made = {deepgram.key(comment=f"app {n}").key_id for n in range(60)}
        listing = await deepgram.provider.list_keys()
        assert {key.key_id for key in listing.keys} == made | {deepgram.management.key_id}

    async def test_a_created_key_may_show_late(self, deepgram: Bench) -> None:
        deepgram.world.quirks = Quirks(list_lag=timedelta(minutes=1))
        minted = await deepgram.provider.create_key(request())
        assert (await deepgram.provider.list_keys()).get(minted.key_id) is None
        deepgram.clock.advance(timedelta(minutes=1))
        assert (await deepgram.provider.list_keys()).get(minted.key_id) is not None

    async def test_trap_16_expired_keys_are_shown(self, deepgram: Bench) -> None:
        made = deepgram.key(lifetime=DAY)
        deepgram.clock.advance(2 * DAY)
        key = (await deepgram.provider.list_keys()).get(made.key_id)
        assert key is not None
        assert key.expired(deepgram.clock.now())

    @pytest.mark.promise("P3", "P4")
    async def test_trap_12_a_weak_management_key_sees_a_part_and_that_proves_no_absence(
        self, deepgram: Bench
    ) -> None:
        made = deepgram.key()
        weak = deepgram.provider_of(Role.MEMBER, ("keys:read", "keys:write"))
        listing = await weak.list_keys()
        assert listing.get(made.key_id) is None
        assert not listing.proves_absence(served_key_id=made.key_id)

    async def test_trap_12_a_list_that_shows_somebody_elses_key_proves_absence(self, deepgram: Bench) -> None:
        other = deepgram.world.add_member(deepgram.project_id, role=Role.MEMBER)
        deepgram.key(member_id=other)
        assert (await deepgram.provider.list_keys()).proves_absence(served_key_id=UNKNOWN_ID)

    @pytest.mark.parametrize("digits", range(10))
    async def test_reads_any_fraction_of_a_second(self, deepgram: Bench, digits: int) -> None:
        deepgram.world.quirks = Quirks(fraction_digits=digits)
        deepgram.clock.advance(timedelta(microseconds=123456))
        made = deepgram.key(lifetime=DAY)
        key = (await deepgram.provider.list_keys()).get(made.key_id)
        assert key is not None
        assert key.lifetime == DAY
        assert timedelta(0) <= deepgram.clock.now() - key.created_at < timedelta(seconds=1)


class TestGetKey:
    async def test_reads_the_key_as_it_is_now(self, deepgram: Bench) -> None:
        made = deepgram.key(comment="an app")
        await deepgram.provider.list_keys()
        assert (await deepgram.provider.get_key(made.key_id)).comment == "an app"
        deepgram.world.person_deletes(made.key_id)
        with pytest.raises(NotFound):
            await deepgram.provider.get_key(made.key_id)

    async def test_an_unknown_key_is_not_found(self, deepgram: Bench) -> None:
        with pytest.raises(NotFound, match="404 NOT_FOUND"):
            await deepgram.provider.get_key(UNKNOWN_ID)

    async def test_an_id_that_is_no_uuid_is_not_found(self, deepgram: Bench) -> None:
        with pytest.raises(NotFound):
            await deepgram.provider.get_key("not-a-uuid")

    async def test_trap_12_a_key_that_is_not_shown_to_us_is_not_found(self, deepgram: Bench) -> None:
        made = deepgram.key()
        weak = deepgram.provider_of(Role.MEMBER, ("keys:read",))
        with pytest.raises(NotFound):
            await weak.get_key(made.key_id)
