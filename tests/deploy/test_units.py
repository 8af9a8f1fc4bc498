"""The units: systemd finds nothing to complain about in them, and they leave open only what rotator needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from rotator.cli import exits
from rotator.cli.app import rotator
from rotator.policy.duration import parse_duration
from tests.deploy.page import README, section

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICE, ONCE, TIMER = "rotator.service", "rotator-once.service", "rotator-once.timer"
UNITS = (SERVICE, ONCE, TIMER)
DROP_INS = {path.name: path.read_text() for path in (SYSTEMD / "drop-ins").iterdir()}
PROGRAM = "/opt/rotator/bin/rotator"

LEFT_OPEN = {
    "PrivateNetwork",
    "RestrictAddressFamilies_AF_INET_INET6",
    "RestrictAddressFamilies_AF_UNIX",
    "IPAddressDeny",
    "DeviceAllow",
    "RootDirectoryOrRootImage",
    "ProcSubset",
}
"""What a unit needs, or what costs more than it gives: the network, systemd's own socket, a root of its own, and no sight of
what metrics of a process are worked out with."""

MOST_EXPOSED = 12
"""In tenths, as `systemd-analyze security` counts."""

LONGEST_DRAIN = timedelta(minutes=2, seconds=30)
"""How long what is under way may take to come to a safe end."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="this machine has no systemd to ask"
)
service = pytest.mark.artefact(f"deploy/systemd/{SERVICE}", "static")
units_of_both_kinds = pytest.mark.parametrize(
    "unit",
    [
        pytest.param(SERVICE, marks=service),
        pytest.param(ONCE, marks=pytest.mark.artefact(f"deploy/systemd/{ONCE}", "static")),
    ],
)


def text_of(unit: str) -> str:
    return (SYSTEMD / unit).read_text()


def options(text: str) -> dict[str, list[str]]:
    """Return what a unit or a drop-in sets: the values of each option, in their order."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return a folder with the units, their program replaced by one that is there."""
    for name in UNITS:
        (tmp_path / name).write_text(text_of(name).replace(PROGRAM, "/bin/true"))
    return tmp_path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("systemd-analyze", *arguments),  # noqa: S607 (found on PATH above)
        capture_output=True,
        text=True,
        check=False,
    )


def version_of_systemd() -> int:
    found = re.match(r"systemd (\d+)", analyze("--version").stdout)
    assert found is not None
    return int(found[1])


@needs_systemd
@service
def test_systemd_knows_every_line_of_the_units(units: Path) -> None:
    ran = analyze("verify", "--man=no", *(str(units / name) for name in UNITS))

    assert (ran.returncode, ran.stderr) == (0, "")


@needs_systemd
@pytest.mark.artefact("deploy/systemd/drop-ins", "static")
@pytest.mark.parametrize("name", sorted(DROP_INS))
@pytest.mark.parametrize("unit", [SERVICE, ONCE])
def test_systemd_knows_every_line_of_each_drop_in(units: Path, unit: str, name: str) -> None:
    if needed := re.search(r"Needs systemd (\d+)", DROP_INS[name]):
        expected = "Unknown key" if version_of_systemd() < int(needed[1]) else ""
    else:
        expected = ""
    (units / f"{unit}.d").mkdir()
    (units / f"{unit}.d" / name).write_text(DROP_INS[name])
    ran = analyze("verify", "--man=no", str(units / unit))

    assert ran.returncode == 0
    assert expected in ran.stderr
    assert bool(ran.stderr) == bool(expected)


@needs_systemd
@units_of_both_kinds
def test_a_unit_leaves_open_only_what_it_needs(units: Path, unit: str) -> None:
    ran = analyze("security", "--offline=true", "--no-pager", "--json=short", str(units / unit))

    checks = yaml.safe_load(ran.stdout)
    open_ones = {
        check["json_field"] for check in checks if check["set"] is False and float(check["exposure"] or 0)
    }
    assert open_ones == LEFT_OPEN


@needs_systemd
@units_of_both_kinds
def test_a_unit_is_hardly_exposed(units: Path, unit: str) -> None:
    limit = ("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", str(units / unit))

    assert analyze(*limit).returncode == 0


@units_of_both_kinds
def test_a_unit_runs_a_command_that_there_is(unit: str) -> None:
    (start,) = options(text_of(unit))["ExecStart"]

    assert start.startswith(f"{PROGRAM} ")
    assert start.split()[-1] in rotator.commands


@pytest.mark.artefact(f"deploy/systemd/{ONCE}", "static")
def test_both_units_are_hardened_by_the_same_lines() -> None:
    both = [
        text_of(unit)[text_of(unit).index("DynamicUser=") :].split("[Install]")[0] for unit in (SERVICE, ONCE)
    ]

    assert options(both[0]) == options(both[1])


@service
def test_exit_statuses_mean_to_systemd_what_they_mean_to_rotator() -> None:
    assert options(text_of(SERVICE))["RestartPreventExitStatus"] == [str(exits.BAD_POLICY)]
    assert options(text_of(ONCE))["SuccessExitStatus"] == [str(exits.TRY_AGAIN)]


@units_of_both_kinds
def test_systemd_waits_longer_than_a_drain_takes(unit: str) -> None:
    (wait,) = options(text_of(unit))["TimeoutStopSec"]

    assert parse_duration(wait.removesuffix("in")) > LONGEST_DRAIN


@units_of_both_kinds
def test_encrypted_credentials_are_those_of_the_unit(unit: str) -> None:
    plain = options(text_of(unit))["LoadCredential"]
    found = options(DROP_INS["encrypted-credentials.conf"])

    assert found["LoadCredential"] == [""], "those of the unit are taken back"
    assert found["LoadCredentialEncrypted"] == [f"{one}.cred" for one in plain]


@units_of_both_kinds
def test_the_page_names_and_installs_each_credential_that_a_unit_passes_on(unit: str) -> None:
    passed = dict(one.split(":") for one in options(text_of(unit))["LoadCredential"])
    page = section(README, "Say what is rotated")
    policy_file = page[
        page.index("<!-- file: /etc/rotator/config.yaml -->") : page.index("The credentials go into")
    ]

    assert set(re.findall(r"\{systemd: ([\w-]+)\}", policy_file)) == set(passed)
    assert "{file:" not in policy_file
    assert set(re.findall(r"^\$ install .* /dev/stdin (\S+)", page, re.MULTILINE)) == set(passed.values())


@pytest.mark.artefact("deploy/systemd/drop-ins", "static")
def test_every_drop_in_says_where_it_goes_and_is_on_the_page() -> None:
    page = README.read_text()

    assert DROP_INS
    for name, text in DROP_INS.items():
        assert f"/etc/systemd/system/rotator.service.d/{name}" in text
        assert ("rotator-once.service.d" in text) is (name != "restart-steps.conf"), "of a service only"
        assert f"drop-ins/{name}" in page
