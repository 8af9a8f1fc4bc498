"""The timer on real systemd, as docs/how-to/run-from-a-timer.md sets it up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from rotator.cli import exits
from rotator.simulator.faults import Fault, Operation
from tests.deploy import needs
from tests.deploy.hardening import forbids
from tests.deploy.installation import Installation, installed
from tests.deploy.internet import Internet
from tests.deploy.lab import Lab
from tests.deploy.machine import until
from tests.deploy.page import TIMER

pytestmark = [
    pytest.mark.artefact("deploy/systemd/rotator-once.service", "real"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    needs.programs("mmdebstrap", "systemd-nspawn")
    async with installed(lab, tmp_path_factory.mktemp("internet")) as installation:
        await installation.follow(TIMER, "systemd")
        yield installation


UNIT = "rotator-once"


async def test_the_page_about_timers_is_followed_word_by_word(here: Installation) -> None:
    assert await here.internet.serves("gateway")
    assert here.internet.alive("gateway") == 2, "the key from before rotator lives on"
    assert await here.machine.shows(f"{UNIT}.timer", "NextElapseUSecRealtime")


async def test_a_sweep_may_do_what_it_needs_and_nothing_else(here: Installation) -> None:
    await forbids(here.machine, UNIT)


async def test_on_stop_what_is_under_way_ends_safely(here: Installation) -> None:
    there = here.internet
    there.add_key("batch")
    there.simulator.latency = timedelta(seconds=1)
    await here.machine.done("systemctl", "start", "--no-block", UNIT)
    creates = there.simulator.count(Operation.CREATE)
    await until(lambda: _more(there, creates), "a key is created")
    await here.machine.done("systemctl", "stop", UNIT)
    there.simulator.latency = timedelta(0)

    assert await here.machine.shows(UNIT, "Result") == "success"
    assert await there.serves("batch") or there.alive("batch") == 1
    await here.machine.done("systemctl", "start", UNIT)
    assert await there.serves("batch")


async def test_a_provider_that_cannot_be_reached_is_no_failure_of_the_unit(here: Installation) -> None:
    here.internet.simulator.faults.switch_on(Operation.LIST, Fault.REFUSED)
    await here.machine.done("systemctl", "start", UNIT)
    here.internet.simulator.faults.clear()

    assert await here.machine.shows(UNIT, "ExecMainStatus") == str(exits.TRY_AGAIN)
    assert await here.machine.shows(UNIT, "Result") == "success"


async def test_a_mistake_in_the_policy_file_is_a_failure_of_the_unit(here: Installation) -> None:
    await here.machine.done("sed", "-i", "s/when_due/when_do/", "/etc/rotator/config.yaml")
    ran = await here.machine.run("systemctl", "start", UNIT)
    await here.machine.done("sed", "-i", "s/when_do/when_due/", "/etc/rotator/config.yaml")

    assert ran.status == 1
    assert await here.machine.shows(UNIT, "ExecMainStatus") == str(exits.BAD_POLICY)
    assert "did you mean" in await here.machine.log(UNIT)


async def test_nothing_went_wrong_on_the_way_and_no_secret_was_logged(here: Installation) -> None:
    log = await here.machine.log(UNIT)

    assert "gateway" in log
    assert "Traceback" not in log


async def _more(there: Internet, creates: int) -> bool:
    return there.simulator.count(Operation.CREATE) > creates
