"""The whole service in virtual time: it starts, takes policy files, loses what it is connected to, and ends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from types import FrameType

import pytest

from rotator.daemon.service import STALLED_AFTER
from rotator.errors import PolicyError, Problem, Unavailable
from rotator.model.told import Step
from rotator.plural import count
from tests.service.conftest import Said
from tests.support.builders import DAY, HOUR, MINUTE, SECOND
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import policy_text
from tests.support.replica import Replica
from tests.support.scene import Scene, scene
from tests.support.virtual_loop import virtually

GATEWAY = "secret/asr/gateway"

NO_CREDENTIAL = PolicyError((Problem(file="K", line=0, column=0, path="", what="the variable is not set"),))


def estate_with(*names: str, due_in: timedelta | None = None) -> Estate:
    estate = Estate()
    for name in names:
        estate.add_key(name, age=30 * DAY, due_in=due_in)
    return estate


async def ready(one: Scene) -> None:
    await one.until(lambda: "READY=1" in one.manager.told, within=HOUR)


@virtually
async def test_it_is_ready_once_it_has_looked_at_all_and_rotates_what_falls_due() -> None:
    estate = estate_with("gateway", due_in=HOUR)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            assert one.board().ready
            await one.until(lambda: one.times(Step.RECORDED), within=2 * HOUR)
        assert "STOPPING=1" in one.manager.told
    assert estate.connections == 0
    assert estate.installation().broken(at_rest=False) == ()


@contextmanager
def calls_counted() -> Iterator[list[str]]:
    """Collect the calls of Python functions, and the items that Python generators give, in this thread, by the function's name."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, _arg: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@virtually
async def test_between_two_sweeps_a_tick_costs_the_same_however_many_lineages_there_are() -> None:
    costs = []
    for lineages in (1, 101):
        estate = estate_with(*(f"voice-{number}" for number in range(lineages)))
        with scene(estate, policy_text(estate, runtime="sweep_every: 1h")) as one:
            async with one.running():
                await ready(one)
                await one.clock.sleep(MINUTE)
                with calls_counted() as calls:
                    await one.clock.sleep(MINUTE)
                assert one.manager.status() == count(lineages, "lineage")
        costs.append(len(calls))
    few, many = costs
    assert many - few < 100, "a call for each"


@virtually
async def test_the_status_counts_who_needs_a_person_for_as_long_as_it_is_so() -> None:
    estate = Estate("asr", "tts")
    for provider in estate.projects:
        estate.add_key("gateway", provider=provider)
    text = policy_text(estate)
    with scene(estate, text.replace("{provider}/", "")) as one:
        async with one.running():
            await ready(one)
            await one.clock.sleep(HOUR)
            assert one.manager.status() == "2 lineages; 2 held"
            one.file = text
            await one.until(lambda: one.manager.status() == "2 lineages", within=MINUTE)


@virtually
async def test_a_policy_file_that_is_gone_for_a_while_is_told_and_taken_again_when_it_is_back() -> None:
    estate = estate_with("gateway")
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            text, one.file = one.file, None
            await one.until(lambda: one.board().file.rejected, within=MINUTE)
            since = one.clock.now()
            assert "it is gone" in one.board().file.rejected
            await one.clock.sleep(HOUR)
            one.file = "version: 2"
            await one.until(lambda: one.board().file.rejections == 2, within=MINUTE)
            shown = await one.metric("rotator_policy_file_rejected_timestamp_seconds")
            assert 0 <= since.timestamp() - shown <= 2
            assert "REFUSED" in one.manager.status()
            one.file = text
            await one.until(lambda: not one.board().file.rejected, within=MINUTE)
            assert await one.metric("rotator_policy_file_rejected_timestamp_seconds") == 0
            assert one.board().file.rejections == 2
            await one.clock.sleep(4 * SECOND)
            assert "REFUSED" not in one.manager.status()


@virtually
async def test_a_policy_file_that_is_gone_while_it_is_exchanged_is_not_told() -> None:
    estate = estate_with("gateway")
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            text = one.file
            for _ in range(20):
                one.file = None
                await one.clock.sleep(2 * SECOND)
                one.file = text
                await one.clock.sleep(7 * SECOND)
            assert one.board().file.rejections == 0


EARLY = "name: all, rotate_before: 90%"
"""What is a month old is due by it at once."""


@virtually
async def test_a_file_that_needs_other_connections_is_taken_up_once_vault_is_back() -> None:
    estate = estate_with("gateway")
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            before = one.board().file.digest
            estate.down.add(VAULT)
            one.file = policy_text(estate, runtime="sweep_every: 1h").replace("name: all", EARLY)
            await one.until(lambda: one.board().troubles, within=2 * MINUTE)
            assert one.board().file.digest == before, "what is in use is the file before"
            await one.clock.sleep(10 * MINUTE)
            estate.down.clear()

            await one.until(lambda: one.times(Step.RECORDED), within=2 * MINUTE)
            assert one.board().file.digest != before
            assert one.board().troubles == ()
            assert estate.connections == 1


@virtually
async def test_a_file_of_another_installation_is_not_taken_up_and_the_one_before_goes_on(said: Said) -> None:
    estate = estate_with("gateway", due_in=HOUR)
    text = policy_text(estate)
    with scene(estate, text) as one:
        async with one.running():
            await ready(one)
            before = one.board().file.digest
            one.file = text.replace("instance: test", "instance: other").replace("name: all", EARLY)
            await one.until(lambda: one.times(Step.RECORDED), within=2 * HOUR)

            assert any("it belongs to instance test" in trouble for trouble in one.board().troubles)
            assert "it belongs to instance test" in one.manager.told[-1]
            assert one.board().connected
            assert one.board().ready
            assert one.board().file.digest == before
            assert len(said("not_connected")) == 1
            assert said("not_reached") == []

            one.file = text
            await one.until(lambda: not one.board().troubles, within=MINUTE)
            assert estate.connections == 1


@virtually
async def test_other_credentials_are_connected_with_within_a_minute_and_no_rotation_comes_of_it() -> None:
    estate = estate_with("gateway", due_in=2 * HOUR)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            estate.exchange_management("asr")
            await one.clock.sleep(HOUR)
            assert len(one.lines) == 2
            assert one.board().troubles == ()
            assert one.board().ready
            assert estate.starts == []
            await one.until(lambda: one.times(Step.RECORDED), within=2 * HOUR)
            assert estate.starts[0].at - one.told[0][0] >= 2 * HOUR - 4 * SECOND
            assert estate.connections == 1


@virtually
async def test_a_file_that_leaves_a_project_out_has_its_lineages_left_alone_and_the_others_go_on() -> None:
    estate = Estate("asr", "tts")
    estate.add_key("gateway", due_in=HOUR)
    estate.add_key("agent", provider="tts", due_in=HOUR)
    text = policy_text(estate)
    with scene(estate, text) as one:
        async with one.running():
            await ready(one)
            one.file = "\n".join(line for line in text.splitlines() if not line.startswith("  tts:"))
            await one.until(lambda: one.times(Step.RECORDED), within=2 * HOUR)
            await one.clock.sleep(HOUR)

            assert [told.lineage for _, told in one.told if told.step is Step.RECORDED] == [GATEWAY]
            assert any("secret/tts/agent" in trouble for trouble in one.board().troubles)
            one.file = text
            await one.until(lambda: len(one.times(Step.RECORDED)) == 2, within=MINUTE)


@virtually
async def test_a_mistake_is_refused_once_and_the_file_before_goes_on_whatever_else_is_read(
    said: Said,
) -> None:
    estate = estate_with("gateway", due_in=HOUR)
    text = policy_text(estate)
    with scene(estate, text) as one:
        async with one.running():
            await ready(one)
            before = one.board().file.digest
            one.file = text.replace("adopt:", "adobt:")
            await one.until(lambda: one.times(Step.RECORDED), within=2 * HOUR)

            (refused,) = said("policy_file_refused")
            assert "did you mean" in refused["detail"]
            assert "REFUSED" in one.manager.told[-1]
            assert (one.board().file.digest, one.board().file.rejections) == (before, 1)
            assert one.board().ready

            one.file = text
            await one.until(lambda: not one.board().file.rejected, within=10 * SECOND)
            assert one.board().file.digest == before


@virtually
async def test_a_good_file_changes_when_keys_are_due_at_once_and_says_so(said: Said) -> None:
    estate = estate_with("gateway", "agent")
    text = policy_text(estate)
    with scene(estate, text) as one:
        async with one.running():
            await ready(one)
            before = one.standing(GATEWAY).due_at
            one.file = text.replace("name: all", "name: all, rotate_before: 60%")
            await one.until(lambda: len(said("next_run_changed")) == 2, within=10 * SECOND)

            (changed,) = [line for line in said("next_run_changed") if line["lineage"] == GATEWAY]
            after = one.standing(GATEWAY).due_at
            assert before is not None
            assert after is not None
            assert changed["before"] == before.replace(microsecond=0)
            assert changed["after"] == after.replace(microsecond=0)
            assert after < before
            assert len(said("policy_file_loaded")) == 1
            assert estate.starts == []
            assert len(one.lines) == 1, "the same connections will do"


@virtually
async def test_a_file_that_is_still_being_written_is_not_taken(said: Said) -> None:
    estate = estate_with("gateway")
    text = policy_text(estate)
    with scene(estate, text) as one:
        async with one.running():
            await ready(one)
            longer = text.replace("name: all", EARLY)
            for length in range(40, len(longer), 7):
                one.file = longer[:length]
                await one.clock.sleep(SECOND)
            one.file = longer
            await one.until(lambda: one.times(Step.RECORDED), within=10 * SECOND)

            assert said("policy_file_refused") == []
            assert len(said("policy_file_loaded")) == 1


@virtually
async def test_the_metrics_name_the_installation_of_the_file_that_is_in_use() -> None:
    estate = estate_with("gateway")
    text = policy_text(estate)
    with scene(estate, text) as one:
        async with one.running():
            await ready(one)
            one.file = text.replace("instance: test", "instance: other")
            await one.until(lambda: one.board().file.rejected, within=MINUTE)
            assert 'instance_name="test"' in (await one.asked("/metrics"))[1]
            estate.control = None
            one.service.reload()
            await one.until(lambda: not one.board().file.rejected, within=MINUTE)
            assert 'instance_name="other"' in (await one.asked("/metrics"))[1]


@virtually
async def test_a_hangup_takes_the_file_at_once_connects_anew_and_tells_systemd() -> None:
    estate = estate_with("gateway")
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            one.file = policy_text(estate).replace("name: all", EARLY)
            one.service.reload()
            await one.until(lambda: one.times(Step.RECORDED), within=2 * SECOND)

            reloading = next(told for told in one.manager.told if told.startswith("RELOADING=1\n"))
            assert one.manager.told.index("READY=1", one.manager.told.index(reloading))
            assert (len(one.lines), estate.connections) == (2, 1)


@virtually
async def test_a_reload_has_ended_once_the_new_file_is_in_use_and_not_before() -> None:
    estate = estate_with("gateway")
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            before = one.board().file.digest
            estate.latency = 20 * SECOND
            one.file = policy_text(estate).replace("name: all", EARLY)
            one.service.reload()
            await one.clock.sleep(10 * SECOND)
            assert one.manager.told.count("READY=1") == 1, "it is not connected yet"
            one.service.reload()
            await one.until(lambda: one.manager.told.count("READY=1") == 2, within=10 * MINUTE)
            assert one.board().file.digest != before
            assert len(one.lines) == 3, "the second of them has not ended yet"
            await one.clock.sleep(10 * MINUTE)
            assert one.manager.told.count("READY=1") == 2, "two reloads at once have one end"


@virtually
async def test_after_a_stop_nothing_is_told_of_being_ready_or_reloading() -> None:
    estate = estate_with("gateway", due_in=-MINUTE)

    def stops() -> None:
        estate.latency = 5 * SECOND
        one.service.stop()
        one.service.reload()

    estate.before("create key", stops)
    with scene(estate, policy_text(estate)) as one:
        await one.service.run()
        assert estate.served(GATEWAY), "what was begun took its time"
        assert "STOPPING=1" in one.manager.told
        assert "READY=1" not in one.manager.told
        assert not any(told.startswith("RELOADING=1") for told in one.manager.told)


@virtually
async def test_after_a_stop_amid_a_reload_its_end_is_not_told() -> None:
    estate = estate_with("gateway")
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            estate.latency = 5 * SECOND
            one.service.reload()
            await one.clock.sleep(SECOND)
        assert one.manager.told.count("READY=1") == 1


@virtually
async def test_a_bug_in_reading_the_file_does_not_stop_the_work() -> None:
    estate = estate_with("gateway", due_in=HOUR)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            one.file = 7  # type: ignore[assignment]  # no text at all
            await one.until(lambda: one.times(Step.RECORDED), within=2 * HOUR)
            assert "a bug" in one.board().file.rejected
            assert one.board().file.rejections == 1


@virtually
async def test_while_vault_is_away_at_the_start_it_waits_says_so_and_asks_for_more_time() -> None:
    estate = estate_with("gateway")
    estate.down.add(VAULT)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await one.clock.sleep(10 * MINUTE)
            assert not one.board().connected
            assert not one.board().ready
            assert one.board().alive
            assert "READY=1" not in one.manager.told
            assert any(told.startswith("STATUS=waiting: read control record") for told in one.manager.told)
            assert sum(told.startswith("EXTEND_TIMEOUT_USEC=") for told in one.manager.told) >= 100
            assert 7 <= sum(estate.calls.values()) <= 9, "it waits longer each time"
            estate.down.clear()
            await one.until(lambda: one.board().ready, within=3 * MINUTE)
            await ready(one)


@virtually
async def test_a_provider_that_can_not_be_listed_keeps_nothing_from_being_ready_and_is_shown() -> None:
    estate = Estate("asr", "tts")
    estate.add_key("gateway")
    estate.add_key("agent", provider="tts", due_in=HOUR)
    estate.down.add("asr")
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await one.until(lambda: "READY=1" in one.manager.told, within=MINUTE)
            await one.until(lambda: one.times(Step.RECORDED), within=2 * HOUR)
            assert one.board().ready
            assert one.board().swept_at is None
            status, text = await one.asked("/readyz")
            assert status == 200
            assert text.startswith("ok, but: provider asr: list keys")
            assert "1 could not be looked at: provider asr" in one.manager.told[-1]
            estate.down.clear()
            await one.until(lambda: one.board().swept_at, within=2 * MINUTE)
            assert await one.asked("/readyz") == (200, "ok\n")


@virtually
async def test_it_is_not_ready_any_more_after_three_sweeps_that_failed_and_is_again_after_one_that_did_not() -> (
    None
):
    estate = estate_with("gateway")
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            estate.down.add(VAULT)
            await one.clock.sleep(14 * MINUTE)
            assert one.board().ready
            await one.clock.sleep(2 * MINUTE)
            assert not one.board().ready
            assert (await one.asked("/readyz"))[0] == 503
            estate.down.clear()
            await one.until(lambda: one.board().ready, within=2 * MINUTE)


@virtually
async def test_a_token_that_could_not_be_renewed_for_a_moment_is_soon_shown_as_over() -> None:
    estate = estate_with("gateway")
    with scene(estate, policy_text(estate, runtime="sweep_every: 6h")) as one:
        async with one.running():
            await ready(one)
            estate.fails("renew", Unavailable("renew", "our token", "503"))
            await one.until(lambda: not one.board().connected, within=2 * MINUTE)
            await one.until(lambda: one.board().connected, within=MINUTE)
            await one.clock.sleep(4 * SECOND)
            assert one.manager.told[-1] == "STATUS=1 lineage"


@virtually
async def test_work_that_takes_long_is_not_stalled_while_its_calls_are_answered() -> None:
    estate = estate_with("gateway")
    estate.latency = STALLED_AFTER / 2
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            while not one.board().ready:
                assert one.board().alive
                await one.clock.sleep(SECOND)


@virtually
async def test_work_that_makes_no_progress_is_shown_as_stalled_until_it_does_again() -> None:
    estate = estate_with("gateway", due_in=HOUR)
    with scene(estate, policy_text(estate), WATCHDOG_USEC="60000000") as one:
        async with one.running():
            await ready(one)
            assert await one.asked("/livez") == (200, "ok\n")
            estate.before("create key", lambda: setattr(estate, "latency", 2 * STALLED_AFTER))
            await one.until(lambda: not one.board().alive, within=2 * HOUR)
            for path in ("/livez", "/readyz"):
                assert await one.asked(path) == (503, "work makes no progress\n")
            await one.clock.sleep(4 * SECOND)
            before = len(one.manager.told)
            assert one.manager.told[-1] == "STATUS=stalled: work makes no progress"
            await one.clock.sleep(MINUTE)
            assert one.manager.told[before:] == [], "a service manager would end it"

            estate.latency = SECOND
            await one.until(lambda: one.board().alive, within=2 * STALLED_AFTER)
            await one.clock.sleep(30 * SECOND)
            assert "WATCHDOG=1" in one.manager.told[before:]
            assert (await one.asked("/livez"))[0] == (await one.asked("/readyz"))[0] == 200
            await one.until(lambda: one.times(Step.RECORDED), within=MINUTE)


@pytest.mark.parametrize("instance", ["other", None])
@virtually
async def test_a_journal_that_is_exchanged_or_lost_stops_all_work_and_is_told(
    instance: str | None, said: Said
) -> None:
    estate = estate_with("gateway", due_in=HOUR)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            before = estate.control
            assert before is not None
            estate.control = replace(before, instance=instance) if instance else None
            await one.clock.sleep(2 * HOUR)
            assert estate.starts == []
            assert not one.board().connected
            assert len(said("not_reached")) == 1
            estate.control = before
            await one.until(lambda: one.times(Step.RECORDED), within=2 * MINUTE)


STEPS = ["write record", "create key", "read key", "prove secret", "publish into entry", "read entry"]


@pytest.mark.parametrize("operation", STEPS)
@virtually
async def test_a_stop_amid_a_rotation_ends_soon_and_the_next_process_finds_nothing_lost(
    operation: str,
) -> None:
    estate = estate_with("gateway", due_in=HOUR)
    text = policy_text(estate)
    with scene(estate, text) as one:
        running = asyncio.create_task(one.service.run())
        await one.clock.sleep(50 * MINUTE)
        if operation in {"write record", "create key"}:
            estate.before(operation, one.service.stop)
        else:
            estate.before("create key", lambda: estate.before(operation, one.service.stop))
        await one.until(lambda: one.board().stopping, within=HOUR)
        stopped_at = estate.now()
        await running
        assert estate.now() - stopped_at <= 5 * SECOND
    assert estate.served(GATEWAY), "what was begun was not brought to its end"
    assert len(estate.starts) == 1
    await Replica(estate, text).leap(3 * DAY)
    assert len(estate.starts) == 1
    assert estate.installation().broken(at_rest=True) == ()


@virtually
async def test_a_stop_while_a_new_secret_does_not_work_yet_deletes_its_key_and_ends() -> None:
    estate = estate_with("gateway", due_in=HOUR)
    with scene(estate, policy_text(estate)) as one:
        running = asyncio.create_task(one.service.run())
        await one.clock.sleep(50 * MINUTE)
        estate.refused.add(("asr", "prove secret"))
        await one.until(lambda: estate.starts, within=HOUR)
        await one.clock.sleep(10 * SECOND)
        one.service.stop()
        stopped_at = estate.now()
        await running
        assert estate.now() - stopped_at <= 5 * SECOND
        assert one.times(Step.CANDIDATE_REVOKED)
    assert estate.alive(GATEWAY) == [estate.begun[GATEWAY].key_id]
    assert estate.served(GATEWAY) is None


@virtually
async def test_a_stop_while_vault_is_away_ends_at_once() -> None:
    estate = estate_with("gateway")
    estate.down.add(VAULT)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await one.clock.sleep(MINUTE)
        assert "STOPPING=1" in one.manager.told
    assert estate.connections == 0


@virtually
async def test_a_credential_that_is_missing_at_the_start_ends_it_and_later_is_refused() -> None:
    estate = estate_with("gateway")
    with scene(estate, policy_text(estate)) as one:
        one.refused = NO_CREDENTIAL
        with pytest.raises(PolicyError):
            await one.service.run()
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            one.refused = NO_CREDENTIAL
            one.service.reload()
            await one.until(lambda: one.board().file.rejected, within=MINUTE)
            assert one.board().ready
            assert estate.connections == 1


@virtually
async def test_a_credential_that_is_missing_while_it_waits_for_vault_is_told_and_waited_for() -> None:
    estate = estate_with("gateway")
    estate.down.add(VAULT)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await one.clock.sleep(MINUTE)
            estate.down.clear()
            one.refused = NO_CREDENTIAL
            await one.until(lambda: "the variable is not set" in one.manager.told[-1], within=2 * MINUTE)
            one.file = policy_text(estate).replace("name: all", EARLY)
            await one.clock.sleep(10 * MINUTE)
            assert not one.board().connected
            one.refused = None
            await one.until(lambda: one.board().ready, within=3 * MINUTE)


@virtually
async def test_another_file_or_a_hangup_ends_the_wait_before_it_connects_again() -> None:
    estate = estate_with("gateway")
    estate.down.add(VAULT)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            for change in (one.service.reload, lambda: setattr(one, "file", f"{one.file}\n")):
                await one.clock.sleep(10 * MINUTE + SECOND)
                before = len(one.lines)
                change()
                await one.clock.sleep(17 * SECOND)
                assert len(one.lines) == before + 2, "at once, and 10 seconds later"


@virtually
async def test_it_is_ready_while_what_it_found_takes_longer_than_three_sweeps() -> None:
    estate = Estate()
    for number in range(60):
        estate.add_key(f"voice-{number}", due_in=HOUR)
    with scene(
        estate, policy_text(estate, runtime="sweep_every: 1m, concurrency: 2", starts_per_hour=1000)
    ) as one:
        async with one.running():
            await one.clock.sleep(30 * MINUTE)
            estate.latency = 3 * SECOND
            await one.clock.sleep(30 * MINUTE)
            longest = timedelta(0)
            for _ in range(60):
                await one.clock.sleep(10 * SECOND)
                board = one.board()
                assert board.ready
                assert board.looked_at is not None
                longest = max(longest, board.now - board.looked_at)
            assert longest > 3 * MINUTE


@virtually
async def test_a_clock_that_was_set_back_does_not_keep_it_ready_for_so_much_longer() -> None:
    estate = estate_with("gateway")
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await ready(one)
            one.clock.ahead = -DAY
            estate.down.add(VAULT)
            await one.clock.sleep(16 * MINUTE)
            assert not one.board().ready
            estate.down.clear()
            await one.until(lambda: one.board().ready, within=2 * MINUTE)
