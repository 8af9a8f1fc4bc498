"""Lineages that can't be looked at, or that no policy covers: what is known of them is shown all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.errors import Denied
from rotator.model.order import OrderKind
from rotator.model.told import Step
from rotator.policy.policy import NO_POLICY
from tests.service.conftest import Said
from tests.support.builders import DAY, HOUR, MINUTE, SECOND
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import ALL, policy_text
from tests.support.replica import Replica, order
from tests.support.virtual_loop import virtually

NAME = "secret/asr/gateway"
LOOKING = (VAULT, "read entry")
A_SLIP = "- " + ALL.replace("comment: '*'", "comment: 'gatewya*'")


async def adopted(estate: Estate, *, due_in: timedelta = 5 * DAY) -> Replica:
    """Return a process that has taken a key in and looked at it since."""
    estate.add_key("gateway", due_in=due_in)
    replica = Replica(estate, policy_text(estate))
    await replica.leap(10 * MINUTE)
    assert replica.times(Step.ADOPTED)
    return replica


@pytest.mark.promise("P8")
@pytest.mark.parametrize("restarted", [False, True])
@virtually
async def test_when_its_key_expires_is_still_shown_and_told(said: Said, *, restarted: bool) -> None:
    estate = Estate()
    replica = await adopted(estate)
    seen = replica.standing(NAME)
    assert seen.expires_at is not None
    assert seen.due_at is not None
    estate.refused.add(LOOKING)
    if restarted:
        replica = Replica(estate, replica.text, name="replica-b")
    await replica.leap(seen.expires_at + DAY - estate.now())

    now = replica.standing(NAME)
    assert now.phase == "unknown"
    assert (now.key_id, now.expires_at, now.safe_until) == (seen.key_id, seen.expires_at, seen.safe_until)
    assert now.due_at is not None
    assert abs(now.due_at - seen.due_at) < 2 * SECOND
    assert {line["lineage"] for line in said("late")} == {NAME}


@virtually
async def test_an_old_key_of_it_is_still_counted() -> None:
    estate = Estate()
    replica = await adopted(estate, due_in=HOUR)
    await replica.leap_until(
        lambda: replica.standing(NAME).previous_since or replica.standing(NAME).originals_since, within=DAY
    )
    seen = replica.standing(NAME)
    estate.refused.add(LOOKING)
    other = Replica(estate, replica.text, name="replica-b")
    await other.leap(HOUR)

    now = other.standing(NAME)
    assert now.error
    assert (now.previous_since, now.originals_since) == (seen.previous_since, seen.originals_since)


@virtually
async def test_looks_grow_rarer_until_one_goes_well() -> None:
    estate = Estate()
    replica = await adopted(estate)
    estate.refused.add(LOOKING)
    replica.take(replica.text.replace("name: all,", "name: all, rotate_before: 34%,"))
    await replica.leap(20 * SECOND)
    assert replica.standing(NAME).failures == 1
    before = estate.calls[LOOKING]
    await replica.leap(DAY)
    looks = estate.calls[LOOKING] - before
    assert 2 * 24 <= looks <= 2 * 42, (
        "two reads each: one look within the hour that `retry.max` is, some more at the beginning"
    )

    estate.refused.clear()
    await replica.leap_until(lambda: not replica.standing(NAME).error, within=HOUR + MINUTE)
    assert replica.standing(NAME).failures == 0


@pytest.mark.promise("P8")
@virtually
async def test_in_an_emergency_it_is_looked_at_each_minute() -> None:
    estate = Estate()
    replica = await adopted(estate)
    await order(estate, replica.text, NAME, OrderKind.EMERGENCY)
    estate.fails("create key", *[Denied("create key", "project-asr", "403")] * 1000)
    estate.refused.add(LOOKING)
    await replica.leap(2 * HOUR)
    before = estate.calls[LOOKING]
    await replica.leap(HOUR)
    assert estate.calls[LOOKING] - before >= 55


@virtually
async def test_what_is_forgotten_is_never_late_or_due() -> None:
    estate = Estate()
    replica = await adopted(estate)
    there = estate.records[estate.begun[NAME].lineage.record_name]
    estate.write_record(replace(there.record(), forgotten=True), base=there.version)
    other = Replica(estate, replica.text, name="replica-b")
    await other.leap(10 * MINUTE)
    assert other.standing(NAME).phase == "forgotten"
    estate.refused.add(LOOKING)
    other.take(other.text.replace("name: all,", "name: all, rotate_before: 34%,"))
    await other.leap(MINUTE)

    now = other.standing(NAME)
    assert now.phase == "unknown"
    assert (now.due_at, now.safe_until) == (None, None)


@virtually
async def test_what_is_known_by_its_record_waits_for_its_window() -> None:
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR)
    nightly = "- " + ALL.replace(
        "when_due}", "when_due, window: [{cron: '0 3 * * *', for: 2h, timezone: UTC}]}"
    )
    replica = Replica(estate, policy_text(estate, nightly))
    await replica.leap(10 * MINUTE)
    seen = replica.standing(NAME).due_at
    assert seen is not None
    estate.refused.add(LOOKING)
    other = Replica(estate, replica.text, name="replica-b")
    await other.leap(HOUR)

    by_record = other.standing(NAME).due_at
    assert by_record is not None
    assert abs(by_record - seen) < 2 * SECOND


@virtually
async def test_a_copy_of_our_mark_is_counted_and_told_once(said: Said) -> None:
    estate = Estate()
    replica = await adopted(estate, due_in=HOUR)
    await replica.leap_until(lambda: replica.times(Step.RECORDED), within=DAY)
    ours = replica.standing(NAME).key_id
    assert ours is not None
    copy = estate.person_adds(estate.made[ours].key.comment)
    await replica.leap(DAY)

    assert set(replica.rounds.book.strays()) == {("asr", copy)}
    assert [(line["provider"], line["key_id"]) for line in said("stray_key")] == [("asr", copy)]
    estate.person_deletes(copy)
    await replica.leap(10 * MINUTE)
    assert list(replica.rounds.book.strays()) == []


@virtually
async def test_what_a_clock_of_vaults_is_ahead_is_known_though_nothing_is_looked_at() -> None:
    estate = Estate()
    replica = await adopted(estate)
    estate.ahead[VAULT] = 10 * MINUTE
    await replica.leap(10 * MINUTE)
    before = estate.calls[LOOKING]
    await replica.leap(10 * MINUTE)

    assert estate.calls[LOOKING] == before
    assert abs(replica.rounds.skews["vault"] - 10 * MINUTE) <= SECOND


@pytest.mark.promise("P8")
@virtually
async def test_a_lineage_whose_policy_is_gone_is_told_and_told_late(said: Said) -> None:
    estate = Estate()
    replica = await adopted(estate, due_in=DAY)
    with_policy = replica.text
    assert said("under_no_policy") == []
    replica.take(policy_text(estate, A_SLIP))
    await replica.leap(10 * MINUTE)

    assert [line["lineage"] for line in said("under_no_policy")] == [NAME]
    assert replica.standing(NAME).policy == NO_POLICY
    await replica.leap(HOUR)
    assert len(said("under_no_policy")) == 1

    safe_until = replica.standing(NAME).safe_until
    assert safe_until is not None
    await replica.leap(safe_until - estate.now() + HOUR)
    assert [line["lineage"] for line in said("late")] == [NAME]
    assert replica.times(Step.RECORDED) == []
    replica.take(with_policy)
    await replica.leap(10 * MINUTE)
    assert replica.times(Step.RECORDED)
    assert list(replica.rounds.book.uncovered()) == []


@virtually
async def test_of_a_lineage_that_is_forgotten_nobody_is_told_that_no_policy_covers_it(said: Said) -> None:
    estate = Estate()
    replica = await adopted(estate)
    await order(estate, replica.text, NAME, OrderKind.FORGET)
    replica.take(policy_text(estate, A_SLIP))
    await replica.leap(HOUR)

    assert replica.standing(NAME).phase == "forgotten"
    assert said("under_no_policy") == []
