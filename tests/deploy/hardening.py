"""What a unit forbids, tried from inside: `probe.py` runs in the place of rotator, under the very lines of the unit."""

from __future__ import annotations

import json
from typing import Final

from tests.deploy.machine import CHECKOUT, Machine

PROBE: Final = """\
[Service]
Type=oneshot
ExecStart=
ExecStart=/usr/bin/python3 -B /opt/probe.py
"""

ALLOWED: Final = {"read its credential", "open a connection", "write no core dump"}
NONE: Final = "0000000000000000"


async def forbids(machine: Machine, unit: str) -> None:
    """Raise AssertionError when a program in the unit may do more than rotator needs, or less."""
    drop_in = f"/run/systemd/system/{unit}.service.d"
    await machine.write(f"{drop_in}/probe.conf", PROBE)
    await machine.done("cp", f"{CHECKOUT}/tests/deploy/probe.py", "/opt/probe.py")
    await machine.done("systemctl", "daemon-reload")
    await machine.done("systemctl", "restart", unit)
    log = await machine.log(unit)
    await machine.done("rm", "-r", drop_in)
    await machine.done("systemctl", "daemon-reload")

    (line,) = [line for line in log.splitlines() if line.startswith('{"tries"')]
    found = json.loads(line)
    assert {name for name, came in found["tries"].items() if came == "done"} == ALLOWED, found
    assert found["status"].pop("Uid") != "0"
    assert found["status"] == {"CapEff": NONE, "CapBnd": NONE, "NoNewPrivs": "1", "Seccomp": "2"}
