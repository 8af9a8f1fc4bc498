"""The examples for timers: systemd finds nothing to complain about, and what they pass on is what rotator takes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rotator.cli import exits
from rotator.cli.app import rotator
from rotator.policy.load import load
from rotator.policy.settings import KubernetesAuth, SecretReference, SecretSource

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = ("rotator-once.service", "rotator-once.timer")
PROGRAM = "/opt/rotator/bin/rotator"

LEFT_OPEN = {
    "PrivateNetwork",
    "RestrictAddressFamilies_AF_INET_INET6",
    "IPAddressDeny",
    "DeviceAllow",
    "RootDirectoryOrRootImage",
    "PrivateMounts",
}
"""What the unit needs, or what costs more than it gives: the network, and a root of its own."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="this machine has no systemd to ask"
)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return a folder with the units, their program replaced by one that is there."""
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace(PROGRAM, "/bin/true"))
    return tmp_path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("systemd-analyze", *arguments),  # noqa: S607 (found on PATH above)
        capture_output=True,
        text=True,
        check=False,
    )


@needs_systemd
def test_systemd_knows_every_line_of_the_units(units: Path) -> None:
    ran = analyze("verify", "--man=no", *(str(units / name) for name in UNITS))

    assert (ran.returncode, ran.stderr) == (0, "")


@needs_systemd
def test_the_unit_leaves_open_only_what_it_needs(units: Path) -> None:
    ran = analyze("security", "--offline=true", "--no-pager", "--json=short", str(units / UNITS[0]))

    checks = yaml.safe_load(ran.stdout)
    open_ones = {
        check["json_field"] for check in checks if check["set"] is False and float(check["exposure"] or 0)
    }
    assert open_ones <= LEFT_OPEN


def test_the_unit_runs_a_command_that_there_is() -> None:
    lines = (DEPLOY / "systemd" / UNITS[0]).read_text().splitlines()
    (start,) = [line for line in lines if line.startswith("ExecStart=")]

    assert start.startswith(f"ExecStart={PROGRAM} ")
    assert start.split()[-1] in rotator.commands
    assert f"SuccessExitStatus={exits.TRY_AGAIN}" in lines


def test_the_page_about_timers_names_and_installs_each_credential_that_the_unit_passes_on() -> None:
    unit = (DEPLOY / "systemd" / UNITS[0]).read_text()
    passed = dict(re.findall(r"^LoadCredential=(.+):(.+)$", unit, re.MULTILINE))
    page = (DEPLOY.parent / "docs" / "how-to" / "run-from-a-timer.md").read_text()
    policy_file = page[page.index("    vault:") : page.index("Try it")]

    assert set(re.findall(r"\{systemd: ([\w-]+)\}", policy_file)) == set(passed)
    assert "{file:" not in policy_file
    assert set(re.findall(r"^    install .* /dev/stdin (\S+)", page, re.MULTILINE)) == set(passed.values())


def manifests() -> dict[str, Any]:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes" / "cronjob.yaml").read_text())
    return {document["kind"]: document for document in documents}


def test_the_policy_file_in_the_config_map_is_fine_and_finds_what_the_pod_mounts() -> None:
    found = manifests()
    file = load(found["ConfigMap"]["data"]["config.yaml"].encode(), name="config.yaml")
    pod = found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert isinstance(file.vault.auth, KubernetesAuth)
    token = Path(file.vault.auth.jwt.name)
    assert str(token.parent) in {mount["mountPath"] for mount in container["volumeMounts"]}
    (projected,) = [volume["projected"] for volume in pod["volumes"] if "projected" in volume]
    assert projected["sources"][0]["serviceAccountToken"]["path"] == token.name
    assert projected["defaultMode"] == 0o400
    named = {SecretReference(SecretSource.ENV, variable["name"]) for variable in container["env"]}
    assert {provider.credential for provider in file.providers} <= named


def test_the_pod_is_restricted_and_runs_one_sweep() -> None:
    job = manifests()["CronJob"]["spec"]
    pod = job["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert job["concurrencyPolicy"] == "Forbid"
    assert job["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert container["args"][-1] in rotator.commands
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
