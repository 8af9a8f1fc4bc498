"""The service on real systemd, as deploy/README.md sets it up: its start, its reloads, its ends, and what it survives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from rotator.cli import exits
from rotator.clock import SystemClock
from rotator.simulator.faults import Operation
from tests.deploy import needs
from tests.deploy.hardening import forbids
from tests.deploy.installation import CREDENTIALS, Installation, installed
from tests.deploy.internet import VAULT, Internet
from tests.deploy.lab import ROOT, Lab
from tests.deploy.machine import CHECKOUT, ran, until
from tests.deploy.page import README
from tests.deploy.test_units import SERVICE, options, text_of

UNIT = "rotator"
STARTS = 10
"""How many starts the unit allows."""

PATIENCE_OF_SYSTEMD = timedelta(seconds=8)

CONFIG = "/etc/rotator/config.yaml"
READY = "curl --silent 127.0.0.1:9464/readyz"

pytestmark = [
    pytest.mark.artefact("deploy/systemd/rotator.service", "real"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    needs.programs("mmdebstrap", "systemd-nspawn")
    async with installed(lab, tmp_path_factory.mktemp("internet")) as installation:
        await installation.follow(README, "Start the service")
        yield installation


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def counted_anew(here: Installation) -> None:
    """Let the starts that other tests gave not count: systemd allows some, within some time."""
    await here.machine.done("systemctl", "reset-failed", UNIT)


async def test_the_page_is_followed_word_by_word(here: Installation) -> None:
    await until(lambda: here.internet.serves("gateway"), "the new secret is in Vault")
    assert here.internet.alive("gateway") == 2, "the key from before rotator lives on"
    assert await here.machine.shows(UNIT, "NRestarts") == "0"


async def test_its_own_process_shows_in_its_metrics(here: Installation) -> None:
    metrics = (await here.machine.shell("curl --silent 127.0.0.1:9464/metrics")).shown

    assert "\nprocess_resident_memory_bytes " in metrics
    assert "\nprocess_open_fds " in metrics


async def test_it_may_do_what_it_needs_and_nothing_else(here: Installation) -> None:
    await forbids(here.machine, UNIT)
    await here.machine.done("systemctl", "start", UNIT)


async def test_a_mistake_in_the_policy_file_is_refused_and_the_one_before_stays(here: Installation) -> None:
    await here.follow(README, "Change the policy file")

    assert await here.machine.shows(UNIT, "NRestarts") == "0"


async def test_another_credential_is_passed_on_by_the_page(here: Installation) -> None:
    await here.follow(README, "Pass on other credentials")

    name = "deepgram-us-api-key"
    assert (await here.machine.shell(READY)).shown == "ok\n"
    await here.machine.done("test", "-s", f"/run/credentials/{UNIT}.service/{name}")
    await here.machine.done("rm", f"{CREDENTIALS}/{name}")
    assert (await here.machine.run("systemctl", "restart", UNIT)).status == 1, (
        "it starts without a credential"
    )
    await here.machine.done("rm", "-r", f"/etc/systemd/system/{UNIT}.service.d")
    await here.machine.done("systemctl", "daemon-reload")


async def test_it_is_upgraded_by_the_page_with_its_unit(here: Installation) -> None:
    (watchdog,) = options(text_of(SERVICE))["WatchdogSec"]
    await here.machine.done(
        "sed", "-i", f"s/^WatchdogSec={watchdog}/WatchdogSec=30s/", f"/etc/systemd/system/{SERVICE}"
    )
    await here.machine.done("systemctl", "daemon-reload")
    await here.follow(README, "Upgrade")

    assert await here.machine.shows(UNIT, "ActiveState") == "active"
    assert await here.machine.shows(UNIT, "WatchdogUSec") == "1min"


async def test_an_upgrade_that_can_not_fetch_all_leaves_what_is_there(here: Installation) -> None:
    """With what builds the package, and nothing of what that needs."""
    listed = f"{CHECKOUT}/deploy/build-requirements.txt"
    names = f"sed -n 's/^\\([a-z-]*\\)==.*/\\1/p' {listed} | tr - _"
    some = f"mkdir /tmp/some && for name in $({names}); do cp /wheels/$name-* /tmp/some; done"
    await here.machine.done("sh", "-c", some)
    ran = await here.machine.shell("PIP_FIND_LINKS=/tmp/some sh deploy/install.sh /opt/rotator")

    assert ran.status != 0
    assert "annotated-types" in ran.shown
    assert (await here.machine.shell("/opt/rotator/bin/rotator --version")).status == 0


async def test_credentials_are_encrypted_by_the_page(here: Installation) -> None:
    await here.follow(README, "Encrypt the credentials")

    assert await here.machine.done("ls", CREDENTIALS) == "\n".join(
        f"{name}.cred" for name in ("deepgram-api-key", "vault-role-id", "vault-secret-id")
    )
    assert (await here.machine.shell(READY)).shown == "ok\n"


ASKING = """\
[Service]
Type=oneshot
ExecStart=/usr/bin/curl --silent --max-time 1 http://%i:9
"""
NOBODY_LISTENS, NO_ANSWER = "7", "28"
"""Statuses of curl: where it may go, there is an answer even if nobody listens."""


@pytest.mark.artefact("deploy/systemd/drop-ins", "real")
async def test_of_its_own_network_it_reaches_vault_and_no_other(here: Installation) -> None:
    vault, neighbour, metadata = "10.0.8.20", "10.0.8.21", "169.254.169.254"
    drop_in = "deploy/systemd/drop-ins/addresses.conf"
    assert f"IPAddressAllow={vault}\n" in (ROOT / drop_in).read_text()
    units = "/run/systemd/system"
    await here.machine.write(f"{units}/asking@.service", ASKING)
    await here.machine.done("install", "-D", "-t", f"{units}/asking@.service.d", f"{CHECKOUT}/{drop_in}")
    await here.machine.done("systemctl", "daemon-reload")

    answers = {}
    for address in (vault, neighbour, metadata):
        await ran("ip", "address", "add", f"{address}/32", "dev", "lo")
        await here.machine.run("systemctl", "start", f"asking@{address}")
        answers[address] = await here.machine.shows(f"asking@{address}", "ExecMainStatus")
    assert answers == {vault: NOBODY_LISTENS, neighbour: NO_ANSWER, metadata: NO_ANSWER}


async def test_on_stop_what_is_under_way_ends_safely(here: Installation) -> None:
    there = here.internet
    there.add_key("batch")
    creates = there.simulator.count(Operation.CREATE)
    there.simulator.latency = timedelta(seconds=0.5)
    await here.machine.done("systemctl", "restart", "--no-block", UNIT)
    await until(lambda: _more(there, creates), "a key is created")
    await here.machine.done("systemctl", "stop", UNIT)
    there.simulator.latency = timedelta(0)

    assert await here.machine.shows(UNIT, "Result") == "success"
    assert await there.serves("batch") or there.alive("batch") == 1
    await here.machine.done("systemctl", "start", UNIT)
    await until(lambda: there.serves("batch"), "the new secret is in Vault")


async def test_one_that_is_killed_is_started_and_looks_at_all_again(here: Installation) -> None:
    restarts = await _restarts(here)
    await here.machine.done("systemctl", "kill", "--signal=KILL", UNIT)
    await until(lambda: _restarted(here, restarts), "it was started again")

    assert (await here.machine.shell(READY)).shown == "ok\n"


async def test_one_that_hangs_is_started_again(here: Installation) -> None:
    await _with(here, "WatchdogSec=3s\nRestartSec=100ms")
    restarts = await _restarts(here)
    await here.machine.done("systemctl", "kill", "--signal=STOP", UNIT)
    await until(lambda: _restarted(here, restarts), "it was started again")
    await _with(here, "")

    assert "Watchdog timeout" in await here.machine.log(UNIT)


async def test_a_start_waits_for_vault_longer_than_systemd_would(here: Installation) -> None:
    await here.machine.done("systemctl", "stop", UNIT)
    await _with(here, f"TimeoutStartSec={PATIENCE_OF_SYSTEMD.seconds}", start=False)
    here.internet.away.add(VAULT)
    await here.machine.done("systemctl", "start", "--no-block", UNIT)
    await until(lambda: _waits(here), "it says that it waits for Vault")
    await SystemClock().sleep(PATIENCE_OF_SYSTEMD)
    assert await _waits(here)
    assert await here.machine.shows(UNIT, "ActiveState") == "activating"
    here.internet.away.clear()
    await until(lambda: _active(here), "it has looked at all keys")
    await _with(here, "")


async def test_one_that_crashes_again_and_again_shows_as_failed(here: Installation) -> None:
    await _with(here, "RestartSec=100ms")
    for started in range(1, STARTS):
        await here.machine.done("systemctl", "kill", "--signal=KILL", UNIT)
        await until(lambda: _restarted(here, started - 1), "it is started again")  # noqa: B023 (waited for at once)
    await here.machine.done("systemctl", "kill", "--signal=KILL", UNIT)
    await until(lambda: _failed(here), "systemd gives up")
    await here.machine.done("systemctl", "reset-failed", UNIT)
    await _with(here, "")

    assert "Start request repeated too quickly" in await here.machine.log(UNIT)


async def test_a_policy_file_that_is_wrong_at_the_start_is_not_tried_again(here: Installation) -> None:
    await here.machine.done("sed", "-i", "s/when_due/when_do/", CONFIG)
    ran = await here.machine.run("systemctl", "restart", UNIT)
    state = await here.machine.shows(UNIT, "ActiveState"), await here.machine.shows(UNIT, "ExecMainStatus")
    await here.machine.done("sed", "-i", "s/when_do/when_due/", CONFIG)
    await here.machine.done("systemctl", "start", UNIT)

    assert ran.status == 1
    assert state == ("failed", str(exits.BAD_POLICY)), "failed, and not about to be started again"


async def test_nothing_went_wrong_on_the_way_and_no_secret_was_logged(here: Installation) -> None:
    log = await here.machine.log(UNIT)

    assert "gateway" in log
    assert "Traceback" not in log
    assert '"bug"' not in log


async def _more(there: Internet, creates: int) -> bool:
    return there.simulator.count(Operation.CREATE) > creates


async def _restarts(here: Installation) -> int:
    return int(await here.machine.shows(UNIT, "NRestarts"))


async def _restarted(here: Installation, before: int) -> bool:
    return await _restarts(here) > before and await _active(here)


async def _active(here: Installation) -> bool:
    return await here.machine.shows(UNIT, "ActiveState") == "active"


async def _waits(here: Installation) -> bool:
    return (await here.machine.shows(UNIT, "StatusText")).startswith("waiting: ")


async def _failed(here: Installation) -> bool:
    return await here.machine.shows(UNIT, "ActiveState") == "failed"


async def _with(here: Installation, lines: str, *, start: bool = True) -> None:
    """Run it with other figures than the unit's, so that a test does not take minutes; with none, as it is."""
    await here.machine.write("/run/systemd/system/rotator.service.d/faster.conf", f"[Service]\n{lines}\n")
    await here.machine.done("systemctl", "daemon-reload")
    if start:
        await here.machine.done("systemctl", "restart", UNIT)
