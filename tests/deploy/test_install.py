"""What `deploy/install.sh` refuses, before it fetches or changes anything. That it installs is shown on a machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "deploy" / "install.sh"


def installed(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it where there is nothing to install with: whoever gets so far fails in another way."""
    return subprocess.run(
        ("/bin/sh", str(SCRIPT), *map(str, arguments)),
        env={"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_folder_of_something_else_is_not_emptied(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").write_text("kept")

    ran = installed(theirs)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert "holds something else" in ran.stderr
    assert (theirs / "file").read_text() == "kept"


def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("kept")

    ran = installed(theirs)

    assert ran.returncode == 1
    assert "holds something else" in ran.stderr
    assert theirs.read_text() == "kept"


def test_without_a_folder_it_says_how_it_is_called() -> None:
    ran = installed()

    assert ran.returncode != 0
    assert "usage: sh deploy/install.sh FOLDER" in ran.stderr
