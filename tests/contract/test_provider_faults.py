"""Each call of the port `Provider` under each fault: which error it is, and what is true afterwards."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from rotator.daemon.starts import NEEDED
from rotator.errors import Ambiguous, Denied, PortError, Rejected, Throttled, Unavailable
from rotator.http import HttpClient
from rotator.providers.deepgram import Deepgram
from rotator.simulator.faults import Fault, Operation
from tests.contract.provider_bench import CALL_TIMEOUT, Bench, bench, request

MINUTE = timedelta(minutes=1)
READS: dict[Operation, Callable[[Bench], Awaitable[object]]] = {
    Operation.LIST: lambda b: b.provider.list_keys(),
    Operation.GET: lambda b: b.provider.get_key(b.management.key_id),
    Operation.PROVE: lambda b: b.provider.prove(b.management.secret),
}
DONE = {Fault.LOST, Fault.ERROR500_DONE}
FAILURES = [fault for fault in Fault if fault not in {Fault.FORBIDDEN, Fault.GARBLED}]
"""The faults that are the same failure of any call. What those two mean, each call knows for itself."""


@pytest.fixture
async def deepgram() -> AsyncIterator[Bench]:
    async with bench() as made:
        yield made


def expected(fault: Fault, *, writes: bool) -> type[PortError]:
    if fault is Fault.THROTTLED:
        return Throttled
    return Ambiguous if writes else Unavailable


@pytest.mark.parametrize("fault", [fault for fault in FAILURES if fault is not Fault.THROTTLED])
@pytest.mark.parametrize("operation", READS)
async def test_a_read_that_fails_may_be_repeated(deepgram: Bench, operation: Operation, fault: Fault) -> None:
    deepgram.simulator.faults.schedule(operation, fault)
    with pytest.raises(expected(fault, writes=False)) as caught:
        await READS[operation](deepgram)
    assert caught.value.operation in NEEDED
    await READS[operation](deepgram)


@pytest.mark.parametrize("operation", READS)
async def test_after_a_throttled_call_nothing_is_sent_before_its_time(
    deepgram: Bench, operation: Operation
) -> None:
    deepgram.simulator.faults.schedule(operation, Fault.THROTTLED)
    with pytest.raises(Throttled, match="429"):
        await READS[operation](deepgram)
    sent = len(deepgram.simulator.log)
    for later in READS.values():
        with pytest.raises(Throttled, match="not sent") as caught:
            await later(deepgram)
        assert caught.value.retry_after is not None
        assert timedelta(seconds=5) < caught.value.retry_after < timedelta(seconds=7)
    assert len(deepgram.simulator.log) == sent


@pytest.mark.promise("P2", "P6")
@pytest.mark.parametrize("fault", FAILURES)
async def test_trap_6_a_create_is_sent_once_and_never_told_undone_when_it_may_be_done(
    deepgram: Bench, fault: Fault
) -> None:
    deepgram.simulator.faults.schedule(Operation.CREATE, fault, delay=MINUTE)
    with pytest.raises(expected(fault, writes=True)):
        await deepgram.provider.create_key(request(comment="the one"))
    assert deepgram.simulator.count(Operation.CREATE) == 1
    assert ours(deepgram) == (1 if fault in DONE else 0)
    deepgram.clock.advance(MINUTE)
    assert ours(deepgram) == (1 if fault in {*DONE, Fault.LATE} else 0)


@pytest.mark.parametrize("fault", FAILURES)
async def test_a_revoke_is_sent_once_and_never_told_undone_when_it_may_be_done(
    deepgram: Bench, fault: Fault
) -> None:
    made = deepgram.key()
    deepgram.simulator.faults.schedule(Operation.DELETE, fault, delay=MINUTE)
    with pytest.raises(expected(fault, writes=True)):
        await deepgram.provider.revoke_key(made.key_id)
    assert deepgram.simulator.count(Operation.DELETE) == 1
    assert deepgram.world.accepts(made.secret) == (fault not in DONE)
    deepgram.clock.advance(MINUTE)
    assert deepgram.world.accepts(made.secret) == (fault not in {*DONE, Fault.LATE})


def ours(deepgram: Bench) -> int:
    return sum(key.comment == "the one" for key in deepgram.world.keys(deepgram.project_id))


async def test_a_late_create_is_as_old_as_the_moment_it_happened(deepgram: Bench) -> None:
    deepgram.simulator.faults.schedule(Operation.CREATE, Fault.LATE, delay=MINUTE)
    with pytest.raises(Ambiguous):
        await deepgram.provider.create_key(request(comment="the one"))
    due = deepgram.clock.now() + MINUTE
    deepgram.clock.advance(3 * MINUTE)
    listing = await deepgram.provider.list_keys()
    assert [key.created_at for key in listing.keys if key.comment == "the one"] == [due]


async def test_a_throttled_call_says_when_to_come_back(deepgram: Bench) -> None:
    deepgram.simulator.faults.schedule(Operation.CREATE, Fault.THROTTLED)
    with pytest.raises(Throttled, match="429 TOO_MANY_REQUESTS") as caught:
        await deepgram.provider.create_key(request())
    assert caught.value.retry_after == timedelta(seconds=7)


@pytest.mark.promise("P2", "P8")
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault.ERROR500, "500"),
        (Fault.FORBIDDEN, "403 INSUFFICIENT_PERMISSIONS"),
        (Fault.GARBLED, "an answer that can't be understood"),
        (Fault.REFUSED, "ReadError|RemoteProtocolError"),
    ],
)
async def test_a_key_that_can_not_be_read_is_listed_as_such_and_stops_no_other(
    deepgram: Bench, fault: Fault, why: str
) -> None:
    made = {deepgram.key(comment=f"app {n}").key_id for n in range(9)} | {deepgram.management.key_id}
    deepgram.simulator.faults.schedule(Operation.GET, fault, nth=8)
    listing = await deepgram.provider.list_keys()
    (hidden,) = listing.unreadable
    assert {key.key_id for key in listing.keys} == made - {hidden.key_id}
    assert re.fullmatch(why, hidden.why)
    assert listing.shows(hidden.key_id)
    known = deepgram.world.key(hidden.key_id)
    assert known is not None
    assert hidden.comment == known.comment
    read = deepgram.simulator.count(Operation.GET)
    later = await deepgram.provider.list_keys()
    assert ({key.key_id for key in later.keys}, later.unreadable) == (made, ())
    assert deepgram.simulator.count(Operation.GET) == read + 1  # what was learnt is kept


@pytest.mark.parametrize("fault", [Fault.ERROR500, Fault.REFUSED])
async def test_where_reads_get_no_answer_the_list_fails_soon_and_what_was_learnt_is_kept(
    deepgram: Bench, fault: Fault
) -> None:
    for _ in range(40):
        deepgram.key()
    for nth in range(11, 41):
        deepgram.simulator.faults.schedule(Operation.GET, fault, nth=nth)
    with pytest.raises(Unavailable):
        await deepgram.provider.list_keys()
    read = deepgram.simulator.count(Operation.GET)
    assert read < 20
    deepgram.simulator.faults.clear()
    listing = await deepgram.provider.list_keys()
    assert (len(listing.keys), listing.unreadable) == (41, ())
    assert deepgram.simulator.count(Operation.GET) < read + 41


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.GARBLED])
async def test_of_many_keys_that_can_not_be_read_each_is_told(deepgram: Bench, fault: Fault) -> None:
    for _ in range(40):
        deepgram.key()
    await deepgram.provider.list_keys()
    new = {deepgram.key().key_id for _ in range(20)}
    deepgram.simulator.faults.switch_on(Operation.GET, fault)
    listing = await deepgram.provider.list_keys()
    assert {key.key_id for key in listing.unreadable} == new
    assert len(listing.keys) == 41


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(Fault.FORBIDDEN, Denied), (Fault.GARBLED, Rejected), (Fault.ERROR500, Unavailable)],
)
async def test_where_no_key_at_all_can_be_read_there_is_no_list(
    deepgram: Bench, fault: Fault, kind: type[PortError]
) -> None:
    deepgram.key()
    deepgram.simulator.faults.switch_on(Operation.GET, fault)
    with pytest.raises(kind):
        await deepgram.provider.list_keys()


async def test_a_throttled_read_is_no_fault_of_the_key(deepgram: Bench) -> None:
    for _ in range(9):
        deepgram.key()
    deepgram.simulator.faults.schedule(Operation.GET, Fault.THROTTLED, nth=8)
    with pytest.raises(Throttled):
        await deepgram.provider.list_keys()


async def test_a_self_check_that_fails_is_asked_again(deepgram: Bench) -> None:
    deepgram.simulator.faults.switch_on(Operation.PROVE, Fault.ERROR500)
    with pytest.raises(Unavailable):
        await deepgram.provider.list_keys()
    with pytest.raises(Unavailable):
        await deepgram.provider.revoke_key(deepgram.key().key_id)
    deepgram.simulator.faults.clear()
    assert (await deepgram.provider.list_keys()).management_key_id == deepgram.management.key_id


async def test_a_list_under_way_misses_nothing_that_another_one_drops(deepgram: Bench) -> None:
    made = {deepgram.key().key_id for _ in range(10)} | {deepgram.management.key_id}
    first, second = await asyncio.gather(deepgram.provider.list_keys(), deepgram.provider.list_keys())
    assert {key.key_id for key in first.keys} == {key.key_id for key in second.keys} == made


async def test_where_nobody_listens_nothing_was_sent() -> None:
    async with bench() as closed:
        pass
    http = HttpClient(closed.base_url, call_timeout=CALL_TIMEOUT, concurrency=1)
    provider = Deepgram(
        http, project_id=closed.project_id, management=closed.management.secret, clock=closed.clock
    )
    with pytest.raises(Unavailable, match="ConnectError"):
        await provider.create_key(request())
    with pytest.raises(Unavailable, match="ConnectError"):
        await provider.list_keys()
    await http.aclose()


async def test_a_fault_strikes_the_nth_call_and_no_other(deepgram: Bench) -> None:
    deepgram.simulator.faults.schedule(Operation.LIST, Fault.REFUSED, nth=2)
    await deepgram.provider.list_keys()
    with pytest.raises(Unavailable):
        await deepgram.provider.list_keys()
    await deepgram.provider.list_keys()


async def test_latency_passes_on_the_clock_of_the_simulator(deepgram: Bench) -> None:
    before = deepgram.clock.now()
    deepgram.simulator.latency = timedelta(seconds=3)
    await deepgram.provider.get_key(deepgram.management.key_id)
    assert deepgram.clock.now() - before == timedelta(seconds=3)


async def test_the_log_says_who_called_what(deepgram: Bench) -> None:
    await deepgram.provider.get_key(deepgram.management.key_id)
    deepgram.world.person_deletes(deepgram.management.key_id)
    with pytest.raises(Denied):
        await deepgram.provider.get_key(deepgram.management.key_id)
    path = f"/v1/projects/{deepgram.project_id}/keys/{deepgram.management.key_id}"
    assert [(logged.method, logged.path, logged.key_id) for logged in deepgram.simulator.log] == [
        ("GET", path, deepgram.management.key_id),
        ("GET", path, None),
    ]
