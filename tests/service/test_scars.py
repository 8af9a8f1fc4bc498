"""What hurt the users of other rotators, as far as it concerns scheduling or running: a test for each that would have shown it.

The numbers are those of the failures that were collected before this program was begun: 3 is what users asked for or complained
about, 6 what somebody was bitten by. Each test says where that can be read. What they have in common has one test. These are
played elsewhere:

- 3.1 to 3.3, 3.17, 6.1 to 6.6, 6.8, 6.10, 6.23, 6.24 and 6.28: by the faults at every call, against a real server
- 3.18: orders that wait for their outcome, in the tests of the commands
- 3.19 (github.com/Infisical/infisical/issues/2860): policies that only watch, in `test_rounds`,
  `test_a_key_of_a_lineage_that_is_only_watched_is_missed_when_it_is_gone`
- 6.25 (github.com/ovotech/cloud-key-rotator/pull/921): management keys that are exchanged, in `test_reload`,
  `test_a_management_key_that_is_another_one_makes_it_connect_anew`; in `test_service`,
  `test_other_credentials_are_connected_with_within_a_minute_and_no_rotation_comes_of_it`; and in `test_year`

3.10 to 3.12, 6.21 and 6.22 are about hooks, which there are none of; 6.29 is about versions that Vault forgets, and `check` says it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from rotator.model.reason import HoldReason
from rotator.model.told import Step
from rotator.plan.phase import Phase
from tests.service.conftest import Said
from tests.support.builders import DAY, HOUR, MINUTE
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import ALL, policy_text
from tests.support.fakes import Died
from tests.support.replica import Replica
from tests.support.virtual_loop import virtually

ROUNDED = timedelta(seconds=2)
"""Vault tells in whole seconds when something was published."""

GATEWAY = "secret/asr/gateway"


def policy(**options: str) -> str:
    """Return a policy that takes all keys, with these options besides."""
    return f"- {ALL[:-1]}, " + ", ".join(f"{name}: {said}" for name, said in options.items()) + "}"


@virtually
async def test_3_4_and_6_13_two_keys_of_one_age_are_not_replaced_at_one_time() -> None:
    """Two roles that were to take turns came to rotate at one time: github.com/hashicorp/vault/issues/18738."""
    estate = Estate()
    estate.add_key("blue", served=True)
    estate.add_key("green", served=True)
    replica = Replica(estate, policy_text(estate, runtime="sweep_every: 1d"))
    await replica.leap(80 * DAY)

    (blue,), (green,) = (replica.times(Step.RECORDED, f"secret/asr/{name}") for name in ("blue", "green"))
    assert abs(blue - green) >= HOUR


@virtually
async def test_3_5_and_6_14_when_a_process_dies_another_rotates_what_is_due() -> None:
    """A new leader lost the queue: github.com/hashicorp/vault/issues/21935."""
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR)
    one, other = (Replica(estate, policy_text(estate), name=name) for name in ("one", "other"))
    await asyncio.gather(one.leap(30 * MINUTE), other.leap(30 * MINUTE))
    one.line.dead = True
    await other.leap(HOUR)

    assert [start.holder for start in estate.starts] == ["other"]
    assert other.times(Step.RECORDED)


@pytest.mark.parametrize("served", [True, False])
@virtually
async def test_3_6_a_restart_rotates_nothing(served: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    """A restart rotated all there was: github.com/hashicorp/vault/pull/29537."""
    estate = Estate()
    for number in range(10):
        estate.add_key(f"voice-{number}", due_in=30 * DAY, served=served)
    for number in range(20):
        await Replica(estate, policy_text(estate), name=f"process-{number}").leap(HOUR)

    assert estate.starts == []


@virtually
async def test_3_7_another_period_counts_at_once(said: Said) -> None:
    """Another period had no effect for long: github.com/hashicorp/vault/issues/21967."""
    estate = Estate()
    estate.add_key("gateway", age=50 * DAY)
    estate.add_key("voice", age=20 * DAY)
    replica = Replica(estate, policy_text(estate))
    await replica.leap(HOUR)
    assert estate.starts == []
    replica.take(policy_text(estate, policy(rotate_before="50%")))
    took = await replica.leap_until(lambda: replica.times(Step.RECORDED, GATEWAY), within=DAY)

    assert took < MINUTE
    (changed,) = [line for line in said("next_run_changed") if line["lineage"] == "secret/asr/voice"]
    assert changed["after"] < changed["before"]


@pytest.fixture
def zones(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


def test_3_8_the_time_zone_of_the_machine_changes_no_schedule(zones: pytest.MonkeyPatch) -> None:
    """A restart took schedules for those of another zone: github.com/hashicorp/web-unified-docs/pull/1283."""
    due = set()
    for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
        zones.setenv("TZ", zone)
        time.tzset()
        due.add(_due_by_window())
    assert len(due) == 1
    assert due != {None}


def _due_by_window() -> datetime | None:
    found = []

    @virtually
    async def look() -> None:
        estate = Estate()
        estate.add_key("gateway", due_in=3 * DAY)
        window = "[{cron: '30 1 * * *', for: 2h, timezone: Europe/Berlin}]"
        replica = Replica(estate, policy_text(estate, policy(window=window)))
        await replica.leap(MINUTE)
        found.append(replica.standing(GATEWAY).due_at)

    look()
    return found[0]


@virtually
async def test_3_9_no_key_gets_twice_as_old_as_its_policy_says() -> None:
    """Two keys at a time made the oldest twice as old: github.com/hashicorp/vault/issues/27477."""
    estate = Estate()
    estate.add_key("gateway", lifetime=None, age=10 * DAY, served=True)
    replica = Replica(estate, policy_text(estate, policy(max_age="30d"), runtime="sweep_every: 1d"))
    await replica.leap(130 * DAY)

    gone = [one for one in estate.made.values() if one.provider == "asr" and one.deleted_at]
    assert len(gone) >= 4
    for one in gone:
        assert one.deleted_at is not None
        assert one.deleted_at - one.key.created_at <= 30 * DAY + DAY + HOUR


@virtually
async def test_3_13_and_6_12_two_processes_replace_a_key_once_and_its_end_is_that_of_its_overlap() -> None:
    """One was made twice, and the old one kept for longer: github.com/external-secrets/external-secrets/issues/6681."""
    estate = Estate()
    old = estate.add_key("gateway", due_in=HOUR, served=True)
    one, other = (Replica(estate, policy_text(estate), name=name) for name in ("one", "other"))
    await asyncio.gather(one.leap(3 * DAY), other.leap(3 * DAY))

    assert len(estate.starts) == 1
    (recorded,) = one.times(Step.RECORDED) + other.times(Step.RECORDED)
    deleted_at = estate.made[old].deleted_at
    assert deleted_at is not None
    assert DAY <= deleted_at - recorded <= DAY + 5 * MINUTE


@virtually
async def test_3_14_and_6_26_an_old_key_is_deleted_though_its_policy_is_gone() -> None:
    """What was to clean up had lost its rights: github.com/external-secrets/external-secrets/issues/6773."""
    estate = Estate()
    old = estate.add_key("gateway", due_in=HOUR, served=True)
    replica = Replica(estate, policy_text(estate))
    await replica.leap(2 * HOUR)
    assert len(estate.starts) == 1
    replica.take(policy_text(estate, "- {name: others, provider: '*', select: {comment: other}}"))
    await replica.leap(2 * DAY)

    assert not estate.works(old)
    assert len(estate.starts) == 1


@virtually
async def test_3_15_and_6_19_what_fails_for_long_is_told_at_once_each_day_and_when_it_gets_too_late(
    said: Said,
) -> None:
    """It failed for long, and no log said so: github.com/cyberark/conjur/issues/2555."""
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR, lifetime=9 * DAY)
    replica = Replica(estate, policy_text(estate, runtime="sweep_every: 6h"))
    estate.refused.add(("asr", "create key"))
    await replica.leap(60 * HOUR)

    told = replica.times(Step.FAILED, GATEWAY)
    assert len(told) == 3
    assert replica.standing(GATEWAY).phase is Phase.FAILING
    assert [line["lineage"] for line in said("late")][:1] == [GATEWAY]


@virtually
async def test_3_16_6_7_and_6_9_a_key_that_could_not_be_deleted_is_deleted_later_by_another_process() -> None:
    """A revocation failed, and the key lived on: github.com/Infisical/infisical/pull/7483.

    So did others (github.com/CopilotKit/OpenBot/issues/53), until there was no room for more
    (github.com/fwdcloudsec/granted/issues/388).
    """
    estate = Estate()
    old = estate.add_key("gateway", due_in=HOUR, served=True)
    estate.refused.add(("asr", "revoke key"))
    replica = Replica(estate, policy_text(estate, runtime="sweep_every: 6h"))
    await replica.leap(30 * HOUR)
    assert estate.works(old)
    assert replica.times(Step.FAILED, GATEWAY)
    estate.refused.clear()
    await Replica(estate, policy_text(estate), name="another").leap(2 * HOUR)

    assert not estate.works(old)


@virtually
async def test_3_20_a_key_whose_lifetime_was_cut_to_the_lead_is_not_due_as_soon_as_it_is_made() -> None:
    """A lifetime was cut to `rotate_before`: github.com/cert-manager/cert-manager/issues/3813, and 4423 there."""
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR, served=True)
    estate.projects["asr"].grant = lambda key: replace(key, expires_at=key.created_at + 30 * DAY)
    replica = Replica(estate, policy_text(estate, policy(rotate_before="30d")))
    await replica.leap(19 * DAY)
    assert len(estate.starts) == 1
    await replica.leap(2 * DAY)

    assert len(estate.starts) == 2


@virtually
async def test_6_11_a_key_that_lives_too_short_for_a_rotation_is_replaced_no_faster_than_the_gap_allows() -> (
    None
):
    """Each was due as soon as it was made: github.com/cert-manager/cert-manager/issues/4423."""
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR, served=True)
    estate.projects["asr"].grant = lambda key: replace(key, expires_at=key.created_at + 26 * HOUR)
    replica = Replica(estate, policy_text(estate, policy(rotate_before="30d", min_gap="12h")))
    await replica.leap(3 * DAY)

    starts = [start.at for start in estate.starts]
    assert 5 <= len(starts) <= 7
    assert all(later - earlier >= 12 * HOUR - ROUNDED for earlier, later in pairwise(starts))


@virtually
async def test_6_15_the_claim_of_a_process_that_died_ends() -> None:
    """The lock of a rotation was held for ever: github.com/hashicorp/web-unified-docs/pull/1240."""
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR)
    one, other = (Replica(estate, policy_text(estate), name=name) for name in ("one", "other"))

    def dies() -> None:
        one.line.dead = True

    estate.before("publish into entry", dies)
    with pytest.raises(Died):
        await one.leap(2 * HOUR)
    died_at = estate.now()
    await other.leap_until(lambda: other.times(Step.RECORDED) + other.times(Step.FINISHED), within=HOUR)

    assert estate.now() - died_at <= 5 * MINUTE


@pytest.mark.parametrize(
    "day",
    [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)],
    ids=["in spring", "in autumn"],
)
@virtually
async def test_6_16_on_the_day_on_which_summer_time_begins_or_ends_it_is_rotated_once(day: datetime) -> None:
    """In which zone, and what of summer time: github.com/hashicorp/web-unified-docs/pull/1283."""
    estate = Estate()
    window = "[{cron: '30 2 * * *', for: 1h, timezone: Europe/Berlin}]"
    replica = Replica(estate, policy_text(estate, policy(window=window), runtime="sweep_every: 1d"))
    await replica.clock.sleep(day - estate.now() - 6 * HOUR)
    estate.add_key("gateway", due_in=HOUR)
    await replica.leap(5 * DAY)

    (recorded,) = replica.times(Step.RECORDED)
    assert day <= recorded <= day + 4 * HOUR


@virtually
async def test_6_17_a_window_that_was_missed_is_made_good_by_the_next() -> None:
    """After a window that was missed nothing came until the next cycle: github.com/hashicorp/vault/pull/22448."""
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR)
    window = "[{cron: '0 22 * * *', for: 2h, timezone: UTC}]"
    replica = Replica(estate, policy_text(estate, policy(window=window)))
    await replica.leap(2 * HOUR)
    estate.down.add(VAULT)
    await replica.leap(12 * HOUR)
    estate.down.clear()
    await replica.leap(2 * DAY)

    (recorded,) = replica.times(Step.RECORDED)
    assert recorded - estate.now().replace(hour=22, minute=0, second=0, microsecond=0) <= HOUR
    assert recorded.hour == 22


@virtually
async def test_6_18_a_lineage_whose_place_is_renamed_is_held_and_told_and_not_forgotten() -> None:
    """A mount was moved, and rotation ended silently.

    It is a known issue of Vault Enterprise, "rotation-manager-mount-migration-deregistration".
    """
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR, served=True)
    replica = Replica(estate, policy_text(estate))
    await replica.leap(2 * HOUR)
    replica.take(policy_text(estate).replace("{provider}/{slug}", "keys/{slug}"))
    await replica.leap(10 * MINUTE)

    standing = replica.standing(GATEWAY)
    assert (standing.phase, standing.reason) == (Phase.HELD, HoldReason.DESTINATION_MOVED)
    assert replica.times(Step.HELD, GATEWAY)


@virtually
async def test_6_20_where_no_key_can_be_made_for_weeks_there_is_time_left_before_the_expiry() -> None:
    """A try that fails needs time for others: github.com/kubevela/kubevela/pull/7345.

    About a hundred had expired before a rotator came to them: github.com/ilijamt/vault-plugin-secrets-gitlab/issues/104.
    """
    estate = Estate()
    first = estate.add_key("gateway", due_in=HOUR, served=True)
    replica = Replica(estate, policy_text(estate, runtime="sweep_every: 6h"))
    estate.refused.add(("asr", "create key"))
    await replica.leap(21 * DAY)
    estate.refused.clear()
    await replica.leap(2 * HOUR)

    assert estate.works(first)
    assert estate.served(GATEWAY) != first


@virtually
async def test_6_27_what_a_provider_always_gets_wrong_is_tried_once_and_held() -> None:
    """What was refused each time was tried for ever: github.com/hashicorp/vault/pull/28989."""
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR, served=True)
    estate.projects["asr"].grant = lambda key: replace(key, scopes=frozenset({"listen"}))
    replica = Replica(estate, policy_text(estate, runtime="sweep_every: 6h"))
    await replica.leap(5 * DAY)

    assert len(estate.starts) == 1
    assert replica.standing(GATEWAY).reason == HoldReason.PARITY
