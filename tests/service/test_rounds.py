"""The rounds of one process over a whole estate, tick by tick: what they cost, and what wakes a lineage."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from rotator.errors import Denied, Unavailable
from rotator.model.reason import HoldReason
from rotator.model.told import Step
from tests.service.conftest import Said
from tests.support.builders import DAY, HOUR, MINUTE, SECOND, paused
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import ALL, policy_text
from tests.support.replica import Calls, Replica, order
from tests.support.virtual_loop import virtually

SWEEP = 5 * MINUTE
"""By default."""

A_SWEEP = Counter({(VAULT, "read control record"): 1, (VAULT, "list records"): 1})
"""What a sweep that finds nothing new asks of Vault, however many lineages there are."""


def times(calls: Calls, count: int) -> Calls:
    return Counter({call: each * count for call, each in calls.items()})


async def during(replica: Replica, duration: timedelta) -> Calls:
    """Return the calls of a process that runs for so long."""
    before = replica.estate.calls.copy()
    await replica.leap(duration)
    return replica.estate.calls - before


async def settled(estate: Estate, text: str = "") -> Replica:
    """Return a process that has taken all keys in and looked at them again since."""
    replica = Replica(estate, text or policy_text(estate))
    await replica.run(2 * SWEEP)
    return replica


@pytest.mark.parametrize("lineages", [3, 40])
@virtually
async def test_a_sweep_that_finds_nothing_new_costs_one_list_per_project_however_many_lineages(
    lineages: int,
) -> None:
    estate = Estate("asr", "tts")
    for number in range(lineages):
        estate.add_key(f"voice-{number}", provider=("asr", "tts")[number % 2])
    replica = await settled(estate)
    calls = await during(replica, 10 * HOUR)

    a_sweep = A_SWEEP + Counter({("asr", "list keys"): 1, ("tts", "list keys"): 1})
    assert calls == times(a_sweep, 120)
    assert len(replica.rounds.book.standings) == lineages


@virtually
async def test_a_look_that_finds_the_key_due_when_it_was_due_before_says_nothing(said: Said) -> None:
    estate = Estate()
    estate.add_key("due", due_in=HOUR)
    for number in range(5):
        estate.add_key(f"voice-{number}")
    replica = await settled(estate)
    await replica.leap(10 * HOUR)

    assert replica.times(Step.RECORDED, "secret/asr/due")
    assert said("next_run_changed") == []


@virtually
async def test_what_is_held_is_looked_at_in_each_sweep_and_not_besides() -> None:
    estate = Estate()
    estate.add_key("held", due_in=62 * MINUTE)
    calm = estate.made[estate.add_key("calm")]
    replica = await settled(estate)
    estate.write_entry("secret/asr/held", {"api_key": calm.secret.reveal()})
    # Seen when the key is due, which is between two sweeps.
    await replica.leap_until(lambda: replica.standing("secret/asr/held").phase == "held", within=2 * HOUR)
    calls = await during(replica, 10 * HOUR)

    assert calls[VAULT, "list records"] == 120
    assert calls[VAULT, "read entry"] == 2 * 120, "a hold needs a second look"
    assert calls["asr", "list keys"] == 2 * 120


@virtually
async def test_two_lineages_of_one_name_are_both_looked_at_and_then_left_alone() -> None:
    estate = Estate("asr", "tts")
    for provider in estate.projects:
        estate.add_key("gateway", provider=provider)
    replica = await settled(estate, policy_text(estate).replace("{provider}/", ""))
    reasons = {(one.lineage, one.provider): one.reason for one in replica.rounds.book.standings}
    assert reasons == dict.fromkeys(
        [("secret/gateway", "asr"), ("secret/gateway", "tts")], HoldReason.DESTINATION_CLASH
    )
    calls = await during(replica, 10 * HOUR)

    assert calls["asr", "list keys"] == calls["tts", "list keys"] == 2 * 120


NAMED = "- {name: named, provider: asr, keys: {asr/gateway: KEY}, adopt: when_due}"


@virtually
async def test_a_key_that_the_policy_names_is_taken_in_once_the_provider_lists_it() -> None:
    estate = Estate()
    key_id = estate.add_key("gateway")
    estate.hide(key_id)
    replica = await settled(estate, policy_text(estate, NAMED.replace("KEY", key_id)))
    assert replica.standing("secret/asr/gateway").reason == "not_found"
    estate.hide()

    assert await replica.leap_until(lambda: replica.times(Step.ADOPTED), within=HOUR) <= SWEEP


@virtually
async def test_a_key_of_a_lineage_that_is_only_watched_is_missed_when_it_is_gone() -> None:
    estate = Estate()
    key_id = estate.add_key("gateway")
    replica = await settled(
        estate, policy_text(estate, NAMED.replace("KEY", key_id).replace("when_due", "watch"))
    )
    assert replica.standing("secret/asr/gateway").reason == "watched"
    estate.person_deletes(key_id)
    await replica.leap(SWEEP)

    assert replica.standing("secret/asr/gateway").reason == "not_found"


@virtually
async def test_a_pause_that_came_and_went_between_two_sweeps_costs_no_rotation() -> None:
    estate = Estate()
    estate.add_key("gateway", due_in=3 * SWEEP + 2 * MINUTE)
    replica = await settled(estate)
    await replica.leap(SWEEP + MINUTE)
    estate.pause(paused())
    await replica.leap(2 * MINUTE)
    assert replica.standing("secret/asr/gateway").reason == "paused"
    estate.pause()
    await replica.leap(2 * SWEEP)

    assert replica.times(Step.RECORDED)


@virtually
async def test_what_is_paused_costs_nothing_and_goes_on_within_a_sweep_of_its_resumption() -> None:
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR)
    replica = await settled(estate)
    estate.pause(paused("secret/asr/*"))
    await replica.leap(2 * SWEEP)
    calls = await during(replica, 10 * HOUR)
    assert replica.standing("secret/asr/gateway").reason == "paused"
    assert calls[VAULT, "read entry"] == 0

    estate.pause()
    assert await replica.leap_until(lambda: replica.times(Step.RECORDED), within=HOUR) <= SWEEP


@pytest.mark.parametrize("ahead", [2 * DAY, HOUR, -HOUR, -2 * DAY], ids=str)
@virtually
async def test_a_clock_that_was_wrong_and_is_set_right_neither_delays_a_rotation_nor_starts_one(
    ahead: timedelta,
) -> None:
    estate = Estate()
    estate.add_key("gateway", due_in=DAY)
    replica = Replica(estate, policy_text(estate))
    replica.clock.ahead = ahead
    await replica.leap(2 * SWEEP)
    assert replica.times(Step.ADOPTED)
    replica.clock.ahead = timedelta(0)
    due_at = estate.now() + DAY - 2 * SWEEP
    await replica.leap_until(lambda: replica.times(Step.RECORDED), within=2 * DAY)

    (began_at,) = replica.times(Step.INTENT)
    assert timedelta(0) <= began_at - due_at <= 4 * SECOND


@virtually
async def test_a_new_key_is_taken_in_by_the_next_sweep() -> None:
    estate = Estate("asr", "tts")
    estate.add_key("gateway")
    replica = await settled(estate)
    estate.add_key("newcomer", provider="tts")

    took = await replica.leap_until(lambda: replica.times(Step.ADOPTED, "secret/tts/newcomer"), within=HOUR)
    assert took <= SWEEP


@virtually
async def test_a_new_key_that_is_only_watched_is_told_once(said: Said) -> None:
    estate = Estate()
    estate.add_key("gateway")
    watching = "- " + ALL.replace("when_due", "watch")
    replica = await settled(estate, policy_text(estate, watching))
    key_id = estate.add_key("newcomer")
    await replica.leap(DAY)

    await settled(estate, replica.text)

    assert [(line["lineage"], line["key_id"]) for line in said("watched")] == [
        ("secret/asr/newcomer", key_id)
    ]


@virtually
async def test_a_served_key_that_a_person_deletes_is_replaced_by_the_next_sweep() -> None:
    estate = Estate()
    key_id = estate.add_key("gateway", served=True)
    estate.add_key("another", served=True)
    replica = await settled(estate, (await settled(estate)).text)
    estate.person_deletes(key_id)

    took = await replica.leap_until(lambda: replica.times(Step.RECORDED, "secret/asr/gateway"), within=HOUR)
    assert took <= SWEEP + 5 * SECOND
    assert len(replica.times(Step.RECORDED)) == 1


@virtually
async def test_a_rotation_by_another_process_is_seen_by_its_key_and_read_once() -> None:
    estate = Estate()
    for number in range(5):
        estate.add_key(f"voice-{number}")
    estate.add_key("gateway", age=30 * DAY)
    watching = await settled(estate)
    early = ALL.replace("comment: '*'", "comment: gateway").replace(
        "name: all", "name: all, rotate_before: 90%"
    )
    rotating = Replica(estate, policy_text(estate, f"- {early}"), name="replica-b")
    await rotating.leap_until(lambda: rotating.times(Step.RECORDED), within=2 * HOUR)
    before = estate.calls.copy()
    await watching.leap(SWEEP + MINUTE)
    calls = estate.calls - before

    assert watching.times(Step.INTENT) == []
    standing = watching.standing("secret/asr/gateway")
    assert standing.key_id == estate.served("secret/asr/gateway")
    assert calls[VAULT, "read entry"] == 1


@virtually
async def test_an_order_is_seen_by_the_control_record_and_carried_out_by_the_next_sweep() -> None:
    estate = Estate()
    for number in range(5):
        estate.add_key(f"voice-{number}")
    replica = await settled(estate)
    await order(estate, replica.text, "secret/asr/voice-3")
    before = estate.calls.copy()

    took = await replica.leap_until(lambda: replica.times(Step.RECORDED, "secret/asr/voice-3"), within=HOUR)
    assert took <= SWEEP + 5 * SECOND
    # All records are read, and one lineage is looked at: before and after, and what was published.
    calls = estate.calls - before
    assert calls[VAULT, "read record"] <= 5 + 4
    assert calls[VAULT, "read entry"] == 2
    assert len(replica.times(Step.RECORDED)) == 1


@virtually
async def test_another_policy_wakes_the_lineages_that_it_is_about_and_says_when_they_are_due(
    said: Said,
) -> None:
    estate = Estate("asr", "tts")
    estate.add_key("gateway")
    estate.add_key("agent", provider="tts")
    two = (
        "- " + ALL.replace("'*'", "asr", 1) + "\n- " + ALL.replace("'*'", "tts", 1).replace("all", "other", 1)
    )
    replica = await settled(estate, policy_text(estate, two))
    before, due_at = estate.calls.copy(), replica.standing("secret/asr/gateway").due_at
    assert due_at is not None
    replica.take(replica.text.replace("name: all,", "name: all, rotate_before: 90%,"))
    await replica.leap(SWEEP)

    (changed,) = said("next_run_changed")
    assert (changed["lineage"], changed["before"]) == ("secret/asr/gateway", due_at.replace(microsecond=0))
    after = replica.standing("secret/asr/gateway").due_at
    assert after is not None
    assert changed["after"] == after.replace(microsecond=0)
    assert changed["after"] < due_at
    assert (estate.calls - before)[VAULT, "read entry"] == 1


@virtually
async def test_a_key_is_rotated_within_a_tick_of_when_it_is_due() -> None:
    estate = Estate()
    for number in range(20):
        estate.add_key(f"voice-{number}", due_in=HOUR + number * 7 * MINUTE)
    replica = Replica(estate, policy_text(estate, runtime="sweep_every: 1d"))
    began_at = estate.now()
    await replica.run(4 * HOUR)

    for number in range(20):
        (at,) = replica.times(Step.INTENT, f"secret/asr/voice-{number}")
        late = at - (began_at + HOUR + number * 7 * MINUTE)
        assert -SECOND <= late <= 4 * SECOND, number
    assert replica.meter.late
    assert max(replica.meter.late) <= 4 * SECOND


@virtually
async def test_how_late_a_rotation_is_counts_from_before_the_process_was_there() -> None:
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR)
    before = await settled(estate)
    await before.leap(10 * MINUTE)
    estate.down.add(VAULT)
    await before.leap(6 * HOUR)
    estate.down.clear()
    replica = Replica(estate, before.text, name="replica-b")
    await replica.leap_until(lambda: replica.meter.late, within=HOUR)

    assert 5 * HOUR < replica.meter.late[0] < 6 * HOUR


@virtually
async def test_how_long_a_rotation_took_that_failed_ends_with_it() -> None:
    """Though others that are worked on beside it take longer."""
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR)
    estate.add_key("slow", due_in=HOUR)
    replica = await settled(estate)
    estate.fails("create key", Denied("create key", "project-asr", "403"))
    estate.before("read entry", lambda: setattr(estate, "latency", 20 * SECOND))
    await replica.leap_until(lambda: len(replica.meter.took) == 2, within=DAY)

    took = replica.meter.took
    assert took["failed"] < took["published"]


@virtually
async def test_all_records_are_read_again_once_a_day() -> None:
    estate = Estate()
    for number in range(7):
        estate.add_key(f"voice-{number}")
    replica = await settled(estate)
    calls = await during(replica, 10 * DAY)

    assert calls[VAULT, "read record"] == 10 * 7
    assert calls[VAULT, "read entry"] == 0


@virtually
async def test_a_record_that_another_process_wrote_unseen_is_acted_by_within_a_day() -> None:
    estate = Estate()
    estate.add_key("gateway")
    replica = await settled(estate)
    estate.fails("write control record", Unavailable("write control record", "test", "503"))
    await order(estate, replica.text, "secret/asr/gateway")
    await replica.leap_until(lambda: replica.times(Step.RECORDED), within=DAY + SWEEP)


@virtually
async def test_a_key_that_was_just_deleted_is_not_taken_for_a_new_one_by_a_list_of_before() -> None:
    estate = Estate()
    for number in range(2):
        estate.add_key(f"voice-{number}", due_in=HOUR + number * 10 * SECOND)
    replica = Replica(estate, policy_text(estate, "- " + ALL.replace("when_due", "when_due, original: 1d")))
    await replica.leap_until(lambda: replica.times(Step.REVOKED), within=2 * DAY)
    estate.pause(paused("secret/asr/other"))  # so that the fleet is put together anew
    await replica.leap_until(lambda: len(replica.times(Step.REVOKED)) == 2, within=MINUTE)
    await replica.leap(HOUR)

    assert replica.times(Step.HELD) == []
