"""What the service puts off because of a limit or a breaker: none is forgotten, none is begun too often, little is asked."""

from __future__ import annotations

import pytest

from rotator.daemon.rounds import AT_A_TIME
from rotator.errors import Ambiguous, Denied
from rotator.model.told import Step
from tests.support.builders import DAY, HOUR, MINUTE, SECOND
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import ALL, policy_text
from tests.support.replica import Replica
from tests.support.virtual_loop import virtually


@pytest.mark.parametrize("starts_per_hour", [1, 6])
@virtually
async def test_as_many_are_rotated_as_the_hour_has_starts_for_and_the_rest_before_it_is_too_late(
    starts_per_hour: int,
) -> None:
    estate = Estate()
    for number in range(40 * starts_per_hour):
        estate.add_key(f"voice-{number}", age=89 * DAY)
    policies = f"- {ALL}".replace("adopt:", "overlap: 1h, adopt:")
    replica = Replica(estate, policy_text(estate, policies, starts_per_hour=starts_per_hour))
    await replica.leap(MINUTE)
    late_at = replica.standing("secret/asr/voice-1").safe_until
    assert late_at is not None
    await replica.leap(DAY - 2 * MINUTE)

    begun = replica.times(Step.INTENT)
    in_time = [at for at in begun if at < late_at]
    assert all(
        later - earlier >= HOUR - SECOND
        for earlier, later in zip(in_time, in_time[starts_per_hour:], strict=False)
    )
    hours = (late_at - in_time[0]) / HOUR
    assert len(in_time) >= int(hours * 0.95) * starts_per_hour
    rotated = {told.lineage for _, told in replica.told if told.step is Step.RECORDED}
    assert rotated == set(estate.begun)
    assert len(begun) == len(rotated)


@virtually
async def test_a_more_urgent_key_that_comes_later_is_next() -> None:
    estate = Estate()
    for number in range(30):
        estate.add_key(f"voice-{number}", age=70 * DAY)
    replica = Replica(estate, policy_text(estate, starts_per_hour=2))
    await replica.leap(3 * HOUR)
    estate.add_key("zither", age=80 * DAY)

    took = await replica.leap_until(
        lambda: replica.times(Step.RECORDED, "secret/asr/zither"), within=10 * HOUR
    )
    assert took <= HOUR + 10 * MINUTE


@virtually
async def test_no_more_keys_are_made_in_an_hour_than_may_be_though_no_publish_is_answered() -> None:
    estate = Estate()
    for number in range(AT_A_TIME + 50):
        estate.add_key(f"voice-{number}", age=70 * DAY)
    replica = Replica(estate, policy_text(estate, starts_per_hour=5))
    lost = Ambiguous("publish into entry", "secret/asr/voice", "no whole answer came")
    estate.fails("publish into entry", *[lost] * 100)
    await replica.leap(59 * MINUTE)

    assert 1 <= estate.calls["asr", "create key"] <= 5


@virtually
async def test_what_an_open_breaker_left_is_not_read_again_before_it_may_be_tried() -> None:
    estate = Estate()
    for number in range(100):
        estate.add_key(f"voice-{number}", age=70 * DAY)
    replica = Replica(estate, policy_text(estate))
    estate.fails("create key", *[Denied("create key", "project-asr", "403")] * 500)
    await replica.leap(HOUR)
    before = estate.calls.copy()
    await replica.leap(4 * HOUR)
    calls = estate.calls - before

    # It may be tried once an hour by then.
    assert calls[VAULT, "read entry"] <= 5 * 2 * 100
    assert estate.calls["asr", "create key"] <= 12
