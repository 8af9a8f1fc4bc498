"""Nobody oversleeps: what ends a lineage's wait wakes it, whatever else goes on meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.model.order import OrderKind
from rotator.model.reason import HoldReason, WaitReason
from rotator.model.record import Claim
from rotator.model.told import Step
from tests.support.builders import DAY, HOUR, MINUTE, SECOND
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import Line, WallClock, connect, policy_file, policy_text
from tests.support.replica import Replica, order
from tests.support.virtual_loop import virtually

NAME = "secret/asr/gateway"


def with_terms(estate: Estate, terms: str) -> str:
    """Return a policy file with further defaults."""
    return policy_text(estate).replace("defaults: {", f"defaults: {{{terms}, ")


async def claimed_by_the_dead(estate: Estate) -> None:
    """Let a process claim the lineage and die."""
    async with connect(policy_file(policy_text(estate)), Line(estate, WallClock(), "gone")) as link:
        read = await link.journal.read(estate.begun[NAME].lineage.record_name)
        assert read.record is not None
        claimed = replace(read.record, claim=Claim(holder="gone", ttl=10 * MINUTE))
        await link.journal.write(claimed, base=read.version)


@pytest.mark.promise("P1", "P8")
@virtually
async def test_a_list_that_lacked_most_keys_holds_nobody_once_it_shows_them_again() -> None:
    estate = Estate()
    names = [f"voice-{number}" for number in range(4)]
    for name in names:
        estate.add_key(name, due_in=20 * MINUTE)
    replica = Replica(estate, with_terms(estate, "original: 1h"))
    await replica.leap(3 * DAY)
    estate.hide(*(str(estate.served(f"secret/asr/{name}")) for name in names))
    await replica.leap(10 * MINUTE)
    reasons = [replica.standing(f"secret/asr/{name}").reason for name in names]
    assert reasons == [HoldReason.MANY_ABSENT] * 4

    estate.hide()
    await replica.leap(10 * MINUTE)
    assert {replica.standing(f"secret/asr/{name}").phase for name in names} == {"current"}


@pytest.mark.promise("P8")
@pytest.mark.parametrize("kind", [OrderKind.ROTATE, OrderKind.EMERGENCY])
@virtually
async def test_an_order_is_carried_out_though_another_key_falls_due_before_the_sweep(kind: OrderKind) -> None:
    estate = Estate()
    estate.add_key("other", due_in=20 * MINUTE)
    estate.add_key("gateway")
    replica = Replica(estate, policy_text(estate))
    await replica.leap(10 * MINUTE)
    due_at = replica.standing("secret/asr/other").due_at
    assert due_at is not None
    await replica.leap(due_at - replica.clock.now() - 10 * SECOND)
    await order(estate, replica.text, NAME, kind)

    await replica.leap(10 * MINUTE)
    assert replica.times(Step.RECORDED, "secret/asr/other")
    assert replica.times(Step.RECORDED, NAME)


@pytest.mark.promise("P8")
@virtually
async def test_an_original_that_is_released_during_the_overlap_goes_when_that_ends() -> None:
    estate = Estate()
    estate.add_key("gateway", due_in=20 * MINUTE)
    original = estate.begun[NAME].key_id
    replica = Replica(estate, policy_text(estate))
    await replica.leap(2 * HOUR)
    await order(estate, replica.text, NAME, OrderKind.RELEASE)

    await replica.leap(DAY)
    assert estate.made[original].deleted_at is not None


@pytest.mark.promise("P8")
@virtually
async def test_an_original_goes_when_its_time_has_come_though_a_later_key_is_in_its_overlap() -> None:
    estate = Estate()
    estate.add_key("gateway", age=300 * DAY, lifetime=319 * DAY)
    original = estate.begun[NAME].key_id
    terms = "lifetime: 30d, overlap: 8d, original: 11d, rotate_before: 20d"
    replica = Replica(estate, with_terms(estate, terms))
    await replica.leap(DAY)
    first = replica.times(Step.RECORDED)[0]

    await replica.leap(first + 11 * DAY + HOUR - estate.now())
    assert len(replica.times(Step.RECORDED)) == 2, "another overlap is under way"
    assert estate.made[original].deleted_at is not None


@pytest.mark.promise("P1", "P8")
@virtually
async def test_a_try_that_a_clock_which_was_ahead_put_off_is_made_once_the_clock_is_right() -> None:
    estate = Estate()
    estate.add_key("gateway", due_in=2 * HOUR, lifetime=9 * DAY)
    replica = Replica(estate, policy_text(estate))
    await replica.leap(30 * MINUTE)
    replica.clock.ahead = 60 * DAY
    estate.refused.add(("asr", "create key"))
    await replica.leap(95 * MINUTE)
    assert replica.times(Step.FAILED)

    replica.clock.ahead = timedelta(0)
    estate.refused.clear()
    await replica.leap(20 * MINUTE)
    assert replica.times(Step.RECORDED)


@pytest.mark.promise("P1")
@pytest.mark.parametrize("mended", [True, False])
@virtually
async def test_a_clock_of_vault_s_that_is_behind_at_a_look_makes_no_gap_of_it(*, mended: bool) -> None:
    estate = Estate()
    estate.add_key("gateway", due_in=20 * MINUTE)
    await Replica(estate, policy_text(estate)).leap(HOUR)
    estate.ahead[VAULT] = -400 * DAY
    replica = Replica(estate, policy_text(estate), name="replica-b")
    await replica.leap(10 * MINUTE)
    if mended:
        estate.ahead.clear()

    await replica.leap(95 * DAY)
    assert len(replica.times(Step.RECORDED)) == 1
    assert estate.works(str(estate.served(NAME)))


@pytest.mark.promise("P1")
@virtually
async def test_a_claim_that_was_looked_at_by_a_clock_of_vault_s_that_was_behind_ends_when_it_is_right() -> (
    None
):
    estate = Estate()
    estate.add_key("gateway", due_in=2 * HOUR)
    await Replica(estate, policy_text(estate)).leap(10 * MINUTE)
    await claimed_by_the_dead(estate)
    estate.ahead[VAULT] = -400 * DAY
    replica = Replica(estate, policy_text(estate), name="replica-b")
    await replica.leap(10 * MINUTE)
    assert replica.standing(NAME).reason == WaitReason.CLAIMED
    estate.ahead.clear()

    await replica.leap(3 * HOUR)
    assert replica.times(Step.RECORDED)


@pytest.mark.promise("P8")
@virtually
async def test_an_old_key_goes_in_time_though_a_look_met_a_clock_of_vault_s_that_was_behind() -> None:
    estate = Estate()
    estate.add_key("gateway", due_in=20 * MINUTE)
    original = estate.begun[NAME].key_id
    await Replica(estate, with_terms(estate, "original: 1h")).leap(HOUR)
    estate.ahead[VAULT] = -400 * DAY
    replica = Replica(estate, with_terms(estate, "original: 1h"), name="replica-b")
    await replica.leap(10 * MINUTE)
    estate.ahead.clear()

    await replica.leap(2 * DAY)
    assert estate.made[original].deleted_at is not None


@virtually
async def test_clocks_of_vault_s_nodes_that_differ_wake_all_but_once_an_hour() -> None:
    estate = Estate()
    for number in range(5):
        estate.add_key(f"voice-{number}")
    replica = Replica(estate, policy_text(estate))
    await replica.leap(10 * MINUTE)
    looks = estate.calls[VAULT, "read entry"]
    for number in range(6 * 12):
        estate.ahead[VAULT] = (number % 2) * MINUTE
        await replica.leap(5 * MINUTE)
    assert estate.calls[VAULT, "read entry"] - looks <= 7 * 5


@pytest.mark.promise("P1", "P8")
@virtually
async def test_keys_that_clash_by_a_clock_that_was_ahead_do_so_no_longer_than_in_truth() -> None:
    estate = Estate()
    estate.add_key("gateway", age=60 * DAY)
    estate.add_key("gateway", age=89 * DAY)
    replica = Replica(estate, policy_text(estate))
    replica.clock.ahead = 60 * DAY
    await replica.leap(HOUR)
    assert replica.standing(NAME).reason == HoldReason.DESTINATION_CLASH
    replica.clock.ahead = timedelta(0)

    await replica.leap(29 * DAY)
    assert replica.times(Step.RECORDED)


@pytest.mark.promise("P1", "P8")
@virtually
async def test_one_that_fails_again_and_again_uses_up_the_hour_of_nobody() -> None:
    estate = Estate("asr", "tts")
    estate.add_key("gateway", age=90 * DAY - 20 * HOUR)
    estate.add_key("other", provider="tts", due_in=4 * HOUR)
    estate.refused.add(("asr", "create key"))
    replica = Replica(estate, policy_text(estate, starts_per_hour=10))
    await replica.leap(5 * HOUR)

    intents = replica.times(Step.INTENT, NAME)
    assert sum(at > estate.now() - HOUR for at in intents) > 20
    assert replica.times(Step.RECORDED, "secret/tts/other")


@pytest.mark.promise("P8")
@virtually
async def test_an_original_that_can_not_be_deleted_is_looked_at_no_more_often_than_it_is_tried() -> None:
    estate = Estate()
    estate.add_key("gateway", age=300 * DAY, lifetime=319 * DAY)
    terms = "lifetime: 30d, overlap: 8d, original: 11d, rotate_before: 20d"
    replica = Replica(estate, with_terms(estate, terms))
    await replica.leap(DAY)
    estate.refused.add(("asr", "revoke key"))
    first = replica.times(Step.RECORDED)[0]
    await replica.leap(first + 12 * DAY - estate.now())
    began = sum(estate.calls.values())
    await replica.leap(12 * HOUR)
    assert len(replica.times(Step.RECORDED)) == 2
    assert sum(estate.calls.values()) - began < 1000
