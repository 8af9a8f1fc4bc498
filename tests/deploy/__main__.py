"""Test the files under deploy/ on real systemd, real containers and the tools that judge them: `make test-deploy`.

The tests run in a network namespace of their own, so that they may listen at the ports that the files name, and nothing
of theirs is left when they end. What is given on the command line is handed on to pytest.

They need root and the Debian packages in `needs.py`. In CI what is missing there is installed; elsewhere a test that
needs it is skipped, and the table at the end says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.deploy import needs

ROOT = Path(__file__).parents[2]

OWN_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")

PYTEST = (
    *(sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "tests.deploy.table"),
    *("-m", "artefact", "-o", "python_files=test_*.py lab_*.py", "tests/deploy"),
)


def main() -> int:
    """Return the status of pytest."""
    if needs.in_ci() and needs.missing():
        needs.install()
    isolated = os.geteuid() == 0 and shutil.which("ip") is not None
    own_network = OWN_NETWORK if isolated else ()
    return subprocess.run((*own_network, *PYTEST, *sys.argv[1:]), cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
