"""`starts_per_hour`: those that an hour has no start for wake one by one, in the order of urgency, and are left alone till then."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rotator.daemon.rounds import AT_A_TIME
from rotator.daemon.standings import next_starts
from rotator.model.told import Step
from tests.support.builders import DAY, HOUR, MINUTE, NOW, SECOND
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import policy_text
from tests.support.replica import Replica
from tests.support.virtual_loop import virtually

ROUNDED = 2 * SECOND
"""Starts are told by the provider's clock, in whole seconds."""


@pytest.mark.parametrize(("lineages", "per_hour"), [(20, 4), (520, 100)], ids=str)
@virtually
async def test_each_that_was_left_is_looked_at_once_more_when_it_starts(lineages: int, per_hour: int) -> None:
    estate = Estate()
    estate.latency = timedelta(milliseconds=1)  # so that no look is too old when its turn comes
    for number in range(lineages):
        estate.add_key(f"voice-{number}", age=70 * DAY)
    replica = Replica(estate, policy_text(estate, starts_per_hour=per_hour))
    hours = -(-lineages // per_hour) - 1
    took = await replica.leap_until(
        lambda: len(replica.times(Step.RECORDED)) == lineages, within=(hours + 1) * HOUR
    )

    assert took >= hours * HOUR - ROUNDED
    assert estate.most_in_an_hour == per_hour
    # To take it in, to check before and to read back after its publish; and once more where it had to wait.
    assert estate.calls[VAULT, "read entry"] == 3 * lineages + lineages - per_hour


@virtually
async def test_who_is_more_urgent_takes_the_next_start_of_those_who_wait() -> None:
    estate = Estate()
    for number in range(12):
        estate.add_key(f"voice-{number}", due_in=HOUR)
    replica = Replica(estate, policy_text(estate, starts_per_hour=2))
    await replica.leap(2 * HOUR + 10 * MINUTE)
    estate.add_key("zone", age=85 * DAY)
    assert (
        await replica.leap_until(lambda: replica.times(Step.RECORDED, "secret/asr/zone"), within=DAY) < HOUR
    )
    await replica.leap_until(lambda: len(replica.times(Step.RECORDED)) == 13, within=DAY)

    assert estate.most_in_an_hour == 2


@virtually
async def test_a_key_whose_overlap_would_be_cut_short_waits_for_no_hour() -> None:
    estate = Estate()
    for number in range(12):
        estate.add_key(f"voice-{number}", due_in=HOUR, lifetime=4 * DAY)
    replica = Replica(estate, policy_text(estate, starts_per_hour=1))
    await replica.leap(2 * HOUR)
    late_at = {one.lineage: one.safe_until for one in replica.rounds.book.standings if one.safe_until}
    await replica.leap_until(lambda: len(replica.times(Step.RECORDED)) == 12, within=DAY)

    assert estate.most_in_an_hour > 1, "all had time"
    for name, at in late_at.items():
        assert min(replica.times(Step.INTENT, name)) <= at + 2 * MINUTE, name


@virtually
async def test_a_clock_that_is_ahead_has_nobody_who_waits_looked_at_all_the_time() -> None:
    estate = Estate()
    for number in range(4):
        estate.add_key(f"voice-{number}", due_in=HOUR, lifetime=4 * DAY)
    replica = Replica(estate, policy_text(estate, starts_per_hour=1))
    await replica.leap(HOUR + 10 * MINUTE)
    late_at = min(one.safe_until for one in replica.rounds.book.standings if one.safe_until)
    # By our clock all are late, by the provider's none is.
    replica.clock.ahead = late_at - estate.now() + HOUR
    before = estate.calls.copy()
    await replica.leap(HOUR)

    assert (estate.calls - before)[VAULT, "read entry"] <= 4 * 60


@virtually
async def test_who_waits_for_a_start_is_looked_at_when_there_is_something_new() -> None:
    """Though more wake at once than are looked at in one go."""
    estate = Estate()
    estate.latency = timedelta(milliseconds=1)
    for number in range(AT_A_TIME + 20):
        estate.add_key(f"voice-{number}", age=70 * DAY)
    replica = Replica(estate, policy_text(estate, starts_per_hour=1))
    await replica.leap(10 * MINUTE)
    replica.take(replica.text.replace("name: all,", "name: all, rotate_before: 34%,"))
    await replica.leap(MINUTE)

    assert len({one.fingerprint for one in replica.rounds.book.standings}) == 1


@virtually
async def test_a_start_by_a_clock_that_was_ahead_counts_no_longer_than_another() -> None:
    estate = Estate()
    for number in range(2):
        estate.add_key(f"voice-{number}", due_in=HOUR)
    replica = Replica(estate, policy_text(estate, starts_per_hour=1))
    replica.clock.ahead = 5 * DAY
    await replica.leap_until(lambda: replica.times(Step.RECORDED), within=2 * HOUR)
    replica.clock.ahead = timedelta(0)
    took = await replica.leap_until(lambda: len(replica.times(Step.RECORDED)) == 2, within=DAY)

    assert took <= HOUR + 10 * MINUTE
    assert estate.most_in_an_hour == 1


@given(
    ago=some.lists(some.integers(0, 90), max_size=8), per_hour=some.integers(1, 4), count=some.integers(0, 12)
)
def test_no_hour_is_planned_too_full_and_no_start_later_than_that_asks_for(
    ago: list[int], per_hour: int, count: int
) -> None:
    begun = [NOW - minutes * MINUTE for minutes in ago]
    planned = next_starts(begun, per_hour, NOW, count)

    assert len(planned) == count
    assert planned == sorted(planned)
    for number, at in enumerate(planned):
        assert at >= NOW
        before = [*begun, *planned[:number]]
        assert sum(at - HOUR < other <= at for other in before) < per_hour, "too many within the hour"
        if at > max([NOW, *planned[:number]]):
            sooner = at - timedelta(microseconds=1)
            assert sum(sooner - HOUR < other <= sooner for other in before) >= per_hour, "later than needed"
