"""The rounds of one process over a whole estate, tick by tick: what they cost, and what wakes a lineage."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from rotator.model.reason import HoldReason
from rotator.model.told import Step
from tests.service.conftest import Said
from tests.support.builders import DAY, HOUR, MINUTE, SECOND, paused
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import policy_text
from tests.support.replica import Calls, Replica
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
