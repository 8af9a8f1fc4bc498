"""A sweep starts rotations calmly: one canary where many are due, no more than allowed, none under a broken provider."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from rotator.daemon.breaker import State
from rotator.daemon.sweep import RECENT
from rotator.errors import Denied, Unavailable
from rotator.model.order import Order, OrderKind
from rotator.model.reason import LeftReason
from rotator.model.record import Claim
from rotator.plan.actions import Adopt, Revoke, Rotate, Wait
from rotator.policy.policy import Adopt as AdoptMode
from rotator.reconcile import Left, Reconciled
from tests.support import builders as a
from tests.support.builders import CURRENT, DAY, HOUR, ISSUED, MINUTE, NOW, POLICY, SCOPES
from tests.support.crowd import Crowd
from tests.support.virtual_loop import virtually

SECOND = timedelta(seconds=1)
WATCH = replace(POLICY, adopt=AdoptMode.WATCH)


def rotated(ended: dict[str, Reconciled]) -> set[str]:
    return {path for path, one in ended.items() if any(isinstance(did, Rotate) for did in one.done)}


def left(ended: dict[str, Reconciled]) -> dict[str, LeftReason]:
    return {path: one.left.reason for path, one in ended.items() if one.left}


def due(
    crowd: Crowd,
    count: int,
    *,
    provider: str = "asr",
    slow: timedelta = SECOND,
    later: timedelta = timedelta(0),
    served: bool = False,
) -> list[str]:
    """Add so many due lineages, the first the most urgent."""
    paths = [f"{provider}-{number:02}" for number in range(count)]
    for number, path in enumerate(paths):
        part = crowd.add(path, provider=provider, expires=5 * DAY + number * HOUR + later, served=served)
        part.latency = slow
    return paths


@virtually
async def test_the_first_of_many_goes_alone_and_the_rest_follow_in_order() -> None:
    crowd = Crowd()
    paths = due(crowd, 6)
    ended = await crowd.sweep(concurrency=2)

    assert rotated(ended) == set(paths)
    assert crowd.created() == paths
    published = {call.path: call.at for call in crowd.called if call.name == "publish"}
    created = {call.path: call.at for call in crowd.called if call.name == "create_key"}
    assert created[paths[1]] > published[paths[0]], "the second did not wait for the canary"
    assert created[paths[2]] < published[paths[1]], "after the canary they still go one by one"


@virtually
async def test_two_that_are_due_go_side_by_side() -> None:
    crowd = Crowd()
    paths = due(crowd, 2)
    await crowd.sweep()

    published = {call.path: call.at for call in crowd.called if call.name == "publish"}
    created = {call.path: call.at for call in crowd.called if call.name == "create_key"}
    assert created[paths[1]] < published[paths[0]]


@virtually
async def test_a_canary_that_fails_is_the_only_one() -> None:
    crowd = Crowd()
    paths = due(crowd, 10)
    crowd.parts[paths[0]].fails("create_key", Unavailable("create key", "project-1", "500"))
    ended = await crowd.sweep()

    assert crowd.created() == paths[:1]
    assert ended[paths[0]].error is not None
    assert {path: one.left for path, one in ended.items() if one.left} == dict.fromkeys(
        paths[1:], Left(LeftReason.BREAKER_OPEN, "create key project-1: 500")
    )


@virtually
async def test_three_failures_of_one_kind_in_a_row_open_it_after_a_good_canary() -> None:
    crowd = Crowd()
    paths = due(crowd, 10)
    for path in paths[1:]:
        crowd.parts[path].fails("create_key", Unavailable("create key", "project-1", "500"))
    ended = await crowd.sweep(concurrency=1)

    assert crowd.created() == paths[:4]
    assert rotated(ended) == {paths[0]}
    assert left(ended) == dict.fromkeys(paths[4:], LeftReason.BREAKER_OPEN)


@virtually
async def test_what_is_still_looking_when_it_opens_starts_nothing() -> None:
    crowd = Crowd()
    paths = due(crowd, 6)
    for path in paths[1:4]:
        crowd.parts[path].fails("create_key", Unavailable("create key", "project-1", "500"))
    crowd.parts[paths[0]].latency = RECENT  # so that those after the canary are looked at again
    crowd.parts[paths[4]].latency = 10 * SECOND
    ended = await crowd.sweep(concurrency=4)

    assert set(crowd.created()) == set(paths[:4])
    assert left(ended) == dict.fromkeys(paths[4:], LeftReason.BREAKER_OPEN)


@virtually
async def test_one_refusal_of_our_credential_opens_it() -> None:
    crowd = Crowd()
    paths = due(crowd, 2)
    crowd.parts[paths[0]].fails("create_key", Denied("create key", "project-1", "403"))
    first = await crowd.sweep(concurrency=1)
    assert left(first) == {paths[1]: LeftReason.BREAKER_OPEN}

    crowd.add("later", expires=4 * DAY)
    assert left(await crowd.sweep()) == {paths[1]: LeftReason.BREAKER_OPEN, "later": LeftReason.BREAKER_OPEN}


@virtually
async def test_what_fails_at_vault_opens_nothing() -> None:
    crowd = Crowd()
    paths = due(crowd, 5)
    for path in paths:
        crowd.parts[path].fails("write_record", Unavailable("write record", path, "503"))
    ended = await crowd.sweep()

    assert left(ended) == {}
    assert all(one.error for one in ended.values())
    assert crowd.breakers["asr"].state is State.HALF_OPEN


@virtually
async def test_a_canary_that_is_held_proves_nothing_and_the_next_goes_alone() -> None:
    crowd = Crowd()
    paths = due(crowd, 4)
    crowd.parts[paths[0]].grant = lambda key: replace(key, scopes=SCOPES - {"listen"})
    ended = await crowd.sweep()

    assert rotated(ended) == set(paths[1:])
    created = {call.path: call.at for call in crowd.called if call.name == "create_key"}
    published = {call.path: call.at for call in crowd.called if call.name == "publish"}
    assert created[paths[2]] > published[paths[1]]


@virtually
async def test_one_that_is_past_its_latest_safe_start_is_tried_though_the_breaker_is_open() -> None:
    crowd = Crowd()
    paths = due(crowd, 3)
    crowd.parts[paths[0]].fails("create_key", Unavailable("create key", "project-1", "500"))
    await crowd.sweep()

    crowd.add("dying", expires=20 * HOUR)
    crowd.add("dying too", expires=21 * HOUR)
    assert crowd.breakers["asr"].state is State.OPEN
    ended = await crowd.sweep()
    assert crowd.created() == [paths[0], "dying", "dying too", *paths[1:]]
    assert rotated(ended) == {"dying", "dying too", *paths[1:]}, "its success did not close the breaker"


@virtually
async def test_an_order_lets_no_lineage_wait_whose_key_in_use_is_refused() -> None:
    crowd = Crowd()
    paths = due(crowd, 3)
    crowd.parts[paths[0]].fails("create_key", Unavailable("create key", "project-1", "500"))
    await crowd.sweep()

    failing = crowd.add(
        "failing", due=False, served=True, record=lambda record: replace(record, standing=a.order())
    )
    failing.keys.clear()
    assert crowd.breakers["asr"].state is State.OPEN

    assert "failing" in rotated(await crowd.sweep())


@virtually
async def test_probes_of_an_open_breaker_are_made_one_by_one() -> None:
    crowd = Crowd()
    paths = due(crowd, 3)
    crowd.parts[paths[0]].fails("create_key", Unavailable("create key", "project-1", "500"))
    await crowd.sweep()

    for number in range(4):
        dying = crowd.add(f"dying-{number}", expires=20 * HOUR + number * MINUTE)
        dying.latency = SECOND
        dying.fails("create_key", Unavailable("create key", "project-1", "500"))
    crowd.called.clear()
    ended = await crowd.sweep()
    assert crowd.created() == [f"dying-{number}" for number in range(4)]
    created = [call.at for call in crowd.called if call.name == "create_key"]
    assert all(later - sooner >= 1 for sooner, later in pairwise(created))
    assert left(ended) == dict.fromkeys(paths[1:], LeftReason.BREAKER_OPEN)


@virtually
async def test_a_service_tries_one_again_when_the_wait_is_over_and_waits_longer_each_time() -> None:
    crowd = Crowd()
    paths = due(crowd, 5)
    clock = crowd.parts[paths[0]].clock
    tried = []
    for path in paths[:4]:
        crowd.parts[path].fails("create_key", Unavailable("create key", "project-1", "500"))
    for minute in range(16):
        before = len(crowd.created())
        await crowd.sweep()
        tried += [minute] * (len(crowd.created()) - before)
        crowd.parts[paths[len(crowd.created()) - 1]].policy = WATCH  # no try of its own comes in between
        await clock.sleep(MINUTE)

    assert tried == [0, 1, 3, 7, 15]
    assert crowd.breakers["asr"].state is State.CLOSED


@virtually
async def test_what_failed_last_time_lets_the_others_go_first() -> None:
    """Its trouble may be its own: were it the canary of each sweep, nothing else would ever be rotated."""
    crowd = Crowd()
    paths = due(crowd, 4)
    crowd.parts[paths[0]].fails(
        "create_key", *[Denied("create key", "project-1", "403 INSUFFICIENT_PERMISSIONS")] * 9
    )
    assert rotated(await crowd.sweep()) == set()

    crowd.breakers.clear()  # as in a new process
    await crowd.parts[paths[0]].clock.sleep(2 * HOUR)
    assert rotated(await crowd.sweep()) == set(paths[1:])


@virtually
async def test_a_key_that_is_new_and_due_is_taken_in_and_then_rotated() -> None:
    crowd = Crowd()
    crowd.add("new", new=True)
    ended = await crowd.sweep()

    assert [type(did) for did in ended["new"].done] == [Adopt, Rotate]


@virtually
async def test_what_was_seen_is_shown_though_the_second_look_fails() -> None:
    crowd = Crowd()
    crowd.add("due").fails("read_record", Unavailable("read record", "due", "503"))
    ended = await crowd.sweep()

    assert isinstance(ended["due"].error, Unavailable)
    assert ended["due"].last is not None


@virtually
async def test_a_rotation_starts_from_the_look_of_its_sweep_and_writes_down_that_nothing_is_left() -> None:
    crowd = Crowd()
    part = crowd.add("due")
    await crowd.sweep()

    before_it = ["read_entry", "control", "read_record", "check_writable"]
    rotation = [
        "write_record",
        "create_key",
        "get_key",
        "prove",
        "publish",
        "read_entry",
        "write_record",
    ]
    assert [call.name.split(" at ")[0] for call in crowd.called] == [*before_it, *rotation]
    assert part.served is not None


@virtually
async def test_a_rotation_that_waited_for_long_is_looked_at_again() -> None:
    crowd = Crowd()
    canary, *others = due(crowd, 3)
    crowd.parts[canary].latency = RECENT
    await crowd.sweep()

    for path in others:
        assert [call.name for call in crowd.called if call.path == path].count("read_entry") == 3


@virtually
async def test_a_rotation_by_a_list_of_long_ago_is_looked_at_again() -> None:
    """The look at its entry is fresh, and a key may be gone from the list since."""
    crowd = Crowd()
    crowd.add("due")
    await crowd.sweep(surveyed_before=RECENT + SECOND)

    assert [call.name for call in crowd.called].count("read_entry") == 3


@virtually
async def test_an_emergency_goes_first_and_waits_for_nothing() -> None:
    crowd = Crowd()
    paths = due(crowd, 4)
    order = Order(kind=OrderKind.EMERGENCY, who="ann", why="leaked", at=NOW)
    for path in ("leaked", "leaked too"):
        crowd.add(
            path, expires=80 * DAY, record=lambda record: replace(record, standing=order)
        ).latency = SECOND
    ended = await crowd.sweep(starts_per_hour=0)

    assert rotated(ended) == {"leaked", "leaked too"}
    created = {call.path: call.at for call in crowd.called if call.name == "create_key"}
    assert created["leaked"] == created["leaked too"]
    assert left(ended) == dict.fromkeys(paths, LeftReason.STARTS_PER_HOUR)


@virtually
async def test_an_emergency_is_started_though_the_breaker_is_open() -> None:
    crowd = Crowd()
    paths = due(crowd, 3)
    crowd.parts[paths[0]].fails("create_key", Unavailable("create key", "project-1", "500"))
    await crowd.sweep()
    order = Order(kind=OrderKind.EMERGENCY, who="ann", why="leaked", at=NOW)
    crowd.add("leaked", record=lambda record: replace(record, standing=order))

    assert crowd.breakers["asr"].state is State.OPEN
    assert "leaked" in rotated(await crowd.sweep())


@virtually
async def test_only_starts_are_held_back() -> None:
    """Taking in and deleting go on, whatever is said of starts."""
    crowd = Crowd()
    crowd.add("new", new=True)
    crowd.add("fine", due=False)
    old = crowd.add("old", due=False)
    old.records.clear()
    whole = a.record(previous=[a.previous()])
    for key in a.known(whole):
        old.add_key(key)
    old.put_record(replace(whole, lineage=old.lineage))
    old.put_entry(CURRENT.key_id, ISSUED, versions=3)
    ended = await crowd.sweep(starts_per_hour=0)

    assert [type(did) for did in ended["new"].done] == [Adopt]
    assert [type(did) for did in ended["old"].done] == [Revoke]
    assert left(ended) == {"new": LeftReason.STARTS_PER_HOUR}


@virtually
async def test_an_hour_takes_so_many_starts_by_all_processes_together() -> None:
    crowd = Crowd()
    paths = due(crowd, 6)
    begun = replace(a.attempt("1" * 16), intent_at=NOW - 59 * MINUTE)
    long_ago = replace(a.attempt("2" * 16), intent_at=NOW - 61 * MINUTE)
    done = replace(a.rotated("1" * 16), intent_at=NOW - 59 * MINUTE)
    pruned = replace(a.rotated("3" * 16), intent_at=NOW - MINUTE)
    crowd.add(
        "busy",
        due=False,
        record=lambda record: replace(record, attempts=(begun, long_ago), history=(done, pruned)),
    )
    ended = await crowd.sweep(starts_per_hour=5)

    assert rotated(ended) == set(paths[:3])
    assert left(ended) == dict.fromkeys(paths[3:], LeftReason.STARTS_PER_HOUR)

    again = await crowd.sweep(starts_per_hour=5)
    assert rotated(again) == set(), "its own starts of the sweep before were not counted"
    await crowd.parts[paths[0]].clock.sleep(HOUR)
    assert len(rotated(await crowd.sweep(starts_per_hour=5))) == 3


@virtually
async def test_what_cannot_wait_is_counted_but_not_bound_by_the_hour() -> None:
    crowd = Crowd()
    paths = due(crowd, 3)
    crowd.add("dying", expires=20 * HOUR)
    crowd.add("dying too", expires=21 * HOUR)
    ended = await crowd.sweep(starts_per_hour=3)
    assert rotated(ended) == {"dying", "dying too", paths[0]}

    later = Crowd()
    later.add("dying", expires=20 * HOUR)
    later.add("calm")
    assert rotated(await later.sweep(starts_per_hour=0)) == {"dying"}


@virtually
async def test_a_limit_goes_to_the_most_urgent_under_whichever_provider() -> None:
    crowd = Crowd()
    for number in range(4):
        crowd.add(f"slow-{number}", provider="slow", expires=5 * DAY + number * HOUR).latency = 9 * SECOND
        crowd.add(f"quick-{number}", provider="quick", expires=6 * DAY + number * HOUR)
    ended = await crowd.sweep(limit=5)

    assert rotated(ended) == {"slow-0", "slow-1", "slow-2", "slow-3", "quick-0"}
    assert left(ended) == dict.fromkeys(["quick-1", "quick-2", "quick-3"], LeftReason.LIMIT)


@virtually
async def test_a_start_that_was_not_needed_goes_to_the_next() -> None:
    """Another process has claimed the most urgent one since the survey."""
    crowd = Crowd()
    paths = due(crowd, 3)
    first = crowd.parts[paths[0]]
    first.before("read_record", lambda: first.put_record(replace(first.record, claim=Claim("else", HOUR))))
    ended = await crowd.sweep(limit=1)

    last = ended[paths[0]].last
    assert last is not None
    assert isinstance(last.decision, Wait)
    assert rotated(ended) == {paths[1]}
    assert left(ended) == {paths[2]: LeftReason.LIMIT}


@virtually
async def test_to_stop_ends_the_waits_once_the_canary_has_ended() -> None:
    crowd = Crowd()
    paths = due(crowd, 5)
    ended = await crowd.sweep(stopping=lambda: bool(crowd.created()))

    assert crowd.created() == paths[:1]
    assert rotated(ended) == {paths[0]}
    assert left(ended) == dict.fromkeys(paths[1:], LeftReason.STOPPING)
    names = [call.name for call in crowd.called if call.path in paths[1:]]
    assert "read_record" not in names, "they were looked at again"


@virtually
async def test_a_bug_in_one_keeps_no_other_from_its_end() -> None:
    crowd = Crowd()
    paths = due(crowd, 3)
    asked = iter((False, RuntimeError("a bug")))

    def stopping() -> bool:
        answer = next(asked, False)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    with pytest.raises(RuntimeError):
        await crowd.sweep(concurrency=1, stopping=stopping)
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)
    assert len([call for call in crowd.called if call.name == "publish"]) == 2, paths


@virtually
async def test_to_cancel_ends_the_waits_once_the_canary_has_ended() -> None:
    crowd = Crowd()
    paths = due(crowd, 5)
    task = asyncio.create_task(crowd.sweep())
    while not crowd.created():
        await crowd.parts[paths[0]].clock.sleep(SECOND)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert crowd.created() == paths[:1]
    assert [call.path for call in crowd.called if call.name == "publish"] == paths[:1]


@virtually
async def test_a_provider_that_does_not_answer_leaves_the_others_their_turns() -> None:
    """Twelve providers with 25 due keys each; a call to a dead one takes ten seconds, to others a tenth of one.

    The keys of the dead one are the most urgent, so that they ask for every turn first.
    """
    loop = asyncio.get_running_loop()
    begins, ends = [], []
    for slow in (SECOND / 10, 10 * SECOND):
        crowd = Crowd()
        due(crowd, 25, provider="dead", slow=slow, served=True)
        for number in range(11):
            due(crowd, 25, provider=f"live-{number:02}", slow=SECOND / 10, served=True, later=2 * DAY)
        began = loop.time()
        await crowd.sweep(starts_per_hour=1000)
        live = [call.at - began for call in crowd.called if call.path.startswith("live")]
        begins.append(min(live))
        ends.append(max(live))

    assert begins[1] <= 1
    assert ends[1] <= 1.75 * ends[0]


@virtually
async def test_all_old_keys_of_a_lineage_leave_in_one_sweep_however_slow_the_others_are() -> None:
    """Were its turn another's after the first deletion, the proof for the second would be too old when it got one."""
    crowd = Crowd()
    old = crowd.add("old", due=False)
    old.records.clear()
    whole = a.record(previous=[a.previous("key-0"), a.previous("key-00")])
    for key in a.known(whole):
        old.add_key(key)
    old.put_record(replace(whole, lineage=old.lineage))
    old.put_entry(CURRENT.key_id, ISSUED, versions=3)
    for number in range(3):
        crowd.add(f"slow-{number}", due=False, served=True).latency = 6 * SECOND
    ended = await crowd.sweep(concurrency=1)

    assert [type(did) for did in ended["old"].done] == [Revoke, Revoke]
