"""Many keys due at once: one canary, then the rest in order; and nothing more where rotations fail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from rotator.model.reason import LeftReason
from rotator.model.secret import Secret
from rotator.model.told import Step
from rotator.plan.actions import Rotate
from rotator.policy.settings import LimitSettings
from rotator.reconcile import Reconciled
from rotator.simulator.faults import Fault, Operation
from rotator.simulator.vault_server import VaultServer
from tests.integration.conftest import HOUR, POLICIES, Desk
from tests.support.lab import DAY, Lab, lab

MANY = 10
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def site(server: VaultServer, token: Secret, place: str) -> AsyncIterator[Lab]:
    async with lab(server, token, place) as made:
        yield made


def due(site: Lab, count: int = MANY) -> list[str]:
    """Make so many due keys, the first the most urgent."""
    slugs = [f"voice-{number:02}" for number in range(count)]
    for number, slug in enumerate(slugs):
        site.key(slug.replace("-", " ", 1), age=80 * DAY - number * HOUR)
    return slugs


def told(site: Lab, *steps: Step) -> list[tuple[str, Step]]:
    return [(one.lineage.rpartition("/")[2], one.step) for one in site.told if one.step in steps]


def rotated(ended: dict[str, Reconciled]) -> set[str]:
    return {slug for slug, one in ended.items() if any(isinstance(did, Rotate) for did in one.done)}


def left(ended: dict[str, Reconciled]) -> dict[str, LeftReason]:
    return {slug: one.left.reason for slug, one in ended.items() if one.left}


async def test_one_canary_goes_first_and_the_rest_follow_in_order_of_urgency(site: Lab) -> None:
    slugs = due(site)
    site.simulator.latency = timedelta(milliseconds=5)
    ended = await site.sweep()

    assert rotated(ended) == set(slugs)
    begun = told(site, Step.CREATED, Step.PUBLISHED)
    assert begun[:2] == [(slugs[0], Step.CREATED), (slugs[0], Step.PUBLISHED)]
    intents = [slug for slug, _ in told(site, Step.INTENT)]
    assert all(abs(intents.index(slug) - slugs.index(slug)) < 4 for slug in slugs), intents
    for slug in slugs:
        assert await site.works(slug)


@pytest.mark.promise("P8")
async def test_a_canary_that_fails_leaves_everything_as_it_was(site: Lab) -> None:
    slugs = due(site)
    site.simulator.faults.schedule(Operation.CREATE, Fault.ERROR500)
    ended = await site.sweep()

    assert site.simulator.count(Operation.CREATE) == 1
    assert left(ended) == dict.fromkeys(slugs[1:], LeftReason.BREAKER_OPEN)
    assert site.steps(slugs[1]) == [Step.ADOPTED]

    site.clock.shift += 2 * HOUR
    again = await site.sweep()  # another process: it begins with a canary of its own
    assert rotated(again) == set(slugs)


async def test_an_hour_is_shared_by_all_processes(site: Lab) -> None:
    slugs = due(site)
    file = replace(site.connected.file, limits=LimitSettings(starts_per_hour=4))
    site.connected = replace(site.connected, file=file)
    first = await site.sweep()
    second = await site.sweep(connected=site.another("second"))
    assert (rotated(first), rotated(second)) == (set(slugs[:4]), set())
    assert left(second) == dict.fromkeys(slugs[4:], LeftReason.STARTS_PER_HOUR)

    site.clock.shift += HOUR + MINUTE
    third = await site.sweep(connected=site.another("second"))
    assert rotated(third) == set(slugs[4:8])


async def test_three_failures_in_a_row_end_the_starts_of_once(desk: Desk) -> None:
    desk.write(POLICIES, runtime="{claim_ttl: 30s, call_timeout: 5s, concurrency: 1}")
    for number in range(MANY):
        desk.key(f"voice {number}", age=46 * HOUR - number * MINUTE)
    for nth in range(2, MANY):
        desk.simulator.faults.schedule(Operation.CREATE, Fault.ERROR500, nth=nth)
    ran = await desk.json("once")

    assert ran.status == 1
    assert desk.simulator.count(Operation.CREATE) == 4, "one canary, and three that fail alike"
    assert [ran.line(f"voice-{number}")["left"] for number in range(4)] == [None] * 4
    for number in range(4, MANY):
        line = ran.line(f"voice-{number}")
        assert line["decision"]["action"] == "rotate"
        assert line["left"] == {"reason": "breaker_open", "detail": f"create key {desk.project_id}: 500"}
    assert "breaker_opened" in ran.err

    desk.simulator.faults.clear()
    assert (await desk.run("once", "--limit", "0")).status == 1  # three are failing
    shown = await desk.run("once", "*/voice-9", "--limit", "0")
    assert (shown.status, "left for later (--limit)" in shown.out) == (0, True)


@pytest.mark.promise("P8")
async def test_what_the_breaker_left_is_shown_with_what_opened_it(desk: Desk) -> None:
    for number in range(4):
        desk.key(f"voice {number}", age=46 * HOUR - number * MINUTE)
    desk.simulator.faults.switch_on(Operation.CREATE, Fault.ERROR500)
    ran = await desk.run("once")

    assert ran.status == 1
    shown = " ".join(ran.out.split())
    assert (
        f"left for later (the breaker of its provider is open, after create key {desk.project_id}: 500)"
        in shown
    )
    assert "3 left for later" in shown


async def test_a_rate_limit_is_waited_for_and_nothing_is_lost(desk: Desk) -> None:
    desk.due_key("voice")
    desk.simulator.retry_after = timedelta(seconds=1)
    desk.simulator.faults.schedule(Operation.GET, Fault.THROTTLED, nth=3)
    ran = await desk.run("once")

    assert ran.status == 0, ran.err
    assert desk.serves("voice")
    at = [logged.at for logged in desk.simulator.log]
    assert max(later - sooner for sooner, later in pairwise(at)) >= 0.99 * desk.simulator.retry_after
