"""What the program is made of: locked by hash, from one place, under licences that fit, and listed by a command."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.tools import uv

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = tomllib.loads((ROOT / "uv.lock").read_text())
OURS = "rotator-daemon"


def needed() -> set[str]:
    """Return the names of all that a production installation needs, by the lock, whatever the platform."""
    packages = {package["name"]: package for package in LOCK["package"]}
    found: set[str] = set()
    pending = [OURS]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += [each["name"] for each in packages[name].get("dependencies", [])]
    return found - {OURS}


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("make", "-s", f"PYTHON={sys.executable}", *arguments),  # noqa: S607 (that of the machine)
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_package_is_locked_by_hash_and_comes_from_pypi() -> None:
    assert "index" not in PROJECT["tool"].get("uv", {})
    assert "sources" not in PROJECT["tool"].get("uv", {})
    for package in LOCK["package"]:
        name = package["name"]
        if name == OURS:
            assert package["source"] == {"editable": "."}
            continue
        assert package["source"] == {"registry": "https://pypi.org/simple"}, name
        files: list[dict[str, Any]] = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
        assert files, name
        for file in files:
            assert file["url"].startswith("https://files.pythonhosted.org/packages/"), name
            assert file["hash"].startswith("sha256:"), name


def test_the_licences_of_all_that_is_needed_are_listed_and_allowed() -> None:
    ran = make("licences")
    assert ran.returncode == 0, ran.stderr
    listed = {line.split()[0].lower().replace("_", "-") for line in ran.stdout.splitlines()[1:]}
    assert listed == needed() | {OURS}


def test_a_licence_that_is_not_allowed_is_told() -> None:
    """With the same tool and the same list, less the licence of one package."""
    allowed = PROJECT["tool"]["pip-licenses"]["allow-only"].split(";")
    fewer = ";".join(one for one in allowed if not one.startswith("Mozilla"))
    ran = subprocess.run(
        (
            uv(),
            *("run", "--quiet", "--isolated", "--frozen"),
            *("--no-default-groups", "--group", "audit", "pip-licenses", "--allow-only", fewer),
        ),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "certifi" in ran.stderr


def test_the_bill_of_materials_lists_all_that_is_needed_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "made" / "sbom.json"
    ran = make("sbom", f"SBOM={file}")
    assert (ran.returncode, ran.stdout) == (0, f"{file}\n"), ran.stderr
    bill = json.loads(file.read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    assert bill["metadata"]["component"]["name"] == OURS
    assert {component["name"] for component in bill["components"]} == needed()
    assert all(component["purl"].startswith("pkg:pypi/") for component in bill["components"])


@pytest.mark.parametrize(
    ("file", "chosen"),
    [("requirements", "--no-default-groups"), ("build-requirements", "--only-group=build")],
)
def test_what_is_installed_is_what_is_locked(file: str, chosen: str) -> None:
    exported = subprocess.run(
        (
            uv(),
            *("export", "--quiet", "--frozen", "--no-emit-project", "--no-annotate", "--no-header", chosen),
        ),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert (ROOT / "deploy" / f"{file}.txt").read_text() == exported, "run `make requirements`"


def test_the_wheel_is_built_by_what_is_locked() -> None:
    assert PROJECT["build-system"]["requires"] == PROJECT["dependency-groups"]["build"]
