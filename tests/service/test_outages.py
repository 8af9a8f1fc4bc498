"""Vault or a provider is away: little is asked meanwhile, nothing is made, and all is caught up calmly afterwards."""

from __future__ import annotations

import pytest

from rotator.model.told import Step
from tests.support.builders import DAY, HOUR, MINUTE, SECOND
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import policy_text
from tests.support.replica import Replica
from tests.support.virtual_loop import virtually

AWAY = [VAULT, "asr"]


async def settled(estate: Estate, text: str = "") -> Replica:
    replica = Replica(estate, text or policy_text(estate))
    await replica.leap(11 * MINUTE)
    return replica


@virtually
async def test_a_provider_that_gives_no_list_when_a_key_is_due_delays_that_by_little() -> None:
    estate = Estate("asr", "tts")
    estate.add_key("gateway", due_in=HOUR)
    replica = await settled(estate, policy_text(estate, runtime="sweep_every: 1d"))
    await replica.leap(48 * MINUTE)
    estate.down.add("asr")
    await replica.leap(3 * MINUTE)
    assert replica.times(Step.INTENT) == []
    estate.down.clear()

    assert await replica.leap_until(lambda: replica.times(Step.RECORDED), within=2 * HOUR) < 2 * MINUTE


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("sweep_every", ["1s", "5m", "1d"])
@virtually
async def test_what_is_away_is_asked_once_a_minute(away: str, sweep_every: str) -> None:
    estate = Estate("asr", "tts")
    for number in range(30):
        estate.add_key(f"voice-{number}", due_in=HOUR + number * MINUTE)
    replica = await settled(estate, policy_text(estate, runtime=f"sweep_every: {sweep_every}"))
    estate.down.add(away)
    await replica.leap(MINUTE)
    before = estate.calls.copy()
    await replica.run(2 * HOUR)
    calls = estate.calls - before

    assert replica.times(Step.INTENT) == []
    asked = sum(count for (place, _), count in calls.items() if place == away)
    assert asked <= 120
    assert sum(calls.values()) <= 4 * 120
    assert asked >= 100 or sweep_every == "1d", "nobody would notice that it is back"


@virtually
async def test_after_a_bug_the_next_round_comes_a_minute_later() -> None:
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR)
    replica = await settled(estate, policy_text(estate, runtime="sweep_every: 1d"))

    def goes_wrong() -> None:
        raise ZeroDivisionError

    estate.before("read control record", goes_wrong)
    with pytest.raises(ZeroDivisionError):
        await replica.run(2 * HOUR)
    before = estate.calls.copy()
    await replica.run(58 * SECOND)
    assert estate.calls == before

    await replica.run(10 * SECOND)
    assert replica.times(Step.RECORDED)


@virtually
async def test_while_rotations_fail_those_that_wait_are_looked_at_ever_more_rarely() -> None:
    estate = Estate("asr", "tts")
    for number in range(30):
        estate.add_key(f"voice-{number}", due_in=HOUR)
    replica = await settled(estate)
    estate.refused.add(("asr", "create key"))
    before = estate.calls.copy()
    await replica.leap(7 * HOUR)
    calls = estate.calls - before
    # One tries, after a minute, two, four, eight and so on, up to an hour.
    tries = len(replica.times(Step.INTENT))
    assert 10 <= tries <= 13
    assert calls["asr", "prove secret"] == 0
    assert calls[VAULT, "read entry"] <= 31 * (tries + 1)

    estate.refused.clear()
    took = await replica.leap_until(lambda: len(replica.times(Step.RECORDED)) == 30, within=2 * HOUR)
    assert took <= HOUR + MINUTE


@virtually
async def test_a_key_whose_overlap_would_be_cut_short_is_tried_though_the_breaker_is_open() -> None:
    estate = Estate()
    for number in range(8):
        estate.add_key(f"voice-{number}", due_in=HOUR, lifetime=4 * DAY)
    replica = await settled(estate)
    estate.refused.add(("asr", "create key"))
    await replica.leap(4 * HOUR)
    late_at = {one.lineage: one.safe_until for one in replica.rounds.book.standings if one.safe_until}
    await replica.leap_until(lambda: estate.now() > max(late_at.values()) + HOUR, within=DAY)

    assert len(late_at) == 8
    for name, at in late_at.items():
        assert any(at <= begun <= at + 5 * MINUTE for begun in replica.times(Step.INTENT, name)), name


@pytest.mark.parametrize("away", AWAY)
@virtually
async def test_what_fell_due_meanwhile_is_caught_up_one_first_then_in_order_and_no_more_than_an_hour_allows(
    away: str,
) -> None:
    estate = Estate("asr", "tts")
    for number in range(12):
        estate.add_key(f"voice-{number}", due_in=HOUR + number * 4 * MINUTE)
    replica = await settled(estate, policy_text(estate, starts_per_hour=10))
    ends = {one.lineage: one.expires_at for one in replica.rounds.book.standings}
    await replica.leap(45 * MINUTE)
    estate.down.add(away)
    await replica.leap(HOUR)
    assert estate.starts == []
    estate.down.clear()
    back_at = estate.now()
    await replica.leap_until(lambda: len(replica.times(Step.RECORDED)) == 12, within=3 * HOUR)

    created, recorded = replica.times(Step.CREATED), replica.times(Step.RECORDED)
    assert created[0] - back_at <= 2 * MINUTE
    assert created[1] >= recorded[0], "nobody went first"
    assert created[9] - back_at <= 5 * MINUTE
    assert created[10] - created[0] >= HOUR - 2 * SECOND
    begun = [told.lineage for _, told in replica.told if told.step is Step.INTENT]
    urgent = sorted(ends, key=lambda name: ends[name] or estate.now())
    assert begun[0] == urgent[0]
    assert set(begun[:10]) == set(urgent[:10])
    assert max(replica.meter.late) >= 45 * MINUTE


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize(
    "operation", ["read key", "prove secret", "publish into entry", "read entry", "write record"]
)
@virtually
async def test_an_outage_in_the_middle_of_a_rotation_leaves_neither_a_key_nor_a_lineage_behind(
    operation: str, away: str
) -> None:
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR)
    replica = await settled(estate)
    estate.before("create key", lambda: estate.before(operation, lambda: estate.down.add(away)))
    await replica.leap_until(lambda: estate.down, within=2 * HOUR)
    await replica.leap(5 * MINUTE)
    estate.down.clear()
    await replica.leap(3 * DAY)

    assert estate.served("secret/asr/gateway")
    assert estate.installation().broken(at_rest=True) == ()
