"""The folder in which everything is built, and the pages whose commands are run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy import needs
from tests.deploy.lab import Lab


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    """Return the folder to build in; it goes when the run ends, if none was given with `--lab`."""
    needs.root()
    given: Path | None = pytestconfig.getoption("--lab")
    folder = given.absolute() if given else Path(tempfile.mkdtemp(prefix="rotator-lab-"))
    folder.mkdir(exist_ok=True)
    made = Lab(folder)
    yield made
    if given is None:
        made.remove()
