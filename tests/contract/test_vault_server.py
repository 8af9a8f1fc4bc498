from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest

from rotator.clock import SystemClock
from rotator.model.secret import Secret
from rotator.simulator import vault_server as module
from rotator.simulator.vault_server import VaultServer, vault_server
from tests.support.canary import CANARY
from tests.support.vault_lab import Root

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
CLOCK = SystemClock()


def servers_of(parent: int) -> list[Path]:
    """Return the /proc directories of the servers that a process started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    found = [Path("/proc") / child for child in children]
    return [child for child in found if b"-dev-listen-address" in (child / "cmdline").read_bytes()]


async def gone(process: Path) -> bool:
    """Wait until a process has ended; what nobody has waited for yet is left as a zombie."""
    for _ in range(200):
        try:
            if (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        await CLOCK.sleep(timedelta(milliseconds=20))
    return False


@linux
@pytest.mark.promise("P7")
def test_the_token_is_not_in_the_arguments_nor_in_a_file(server: VaultServer) -> None:
    running = servers_of(os.getpid())
    assert running
    for process in running:
        assert CANARY.encode() not in (process / "cmdline").read_bytes()
        home = (process / "cwd").readlink()
        files = [path for path in home.rglob("*") if path.is_file()]
        assert home / "log" in files
        assert not any(CANARY.encode() in path.read_bytes() for path in files)
        assert not any("token" in path.name for path in files)
    assert CANARY not in repr(server)


@linux
@pytest.mark.parametrize("fails", [False, True])
async def test_nothing_is_left_behind(fails: bool) -> None:  # noqa: FBT001
    others, started = servers_of(os.getpid()), []
    with pytest.raises(KeyError) if fails else nullcontext():
        async with vault_server(CLOCK, Secret(f"{CANARY}-other")) as running:
            started = [one for one in servers_of(os.getpid()) if one not in others]
            home = (started[0] / "cwd").readlink()
            assert home.is_dir()
            assert Root(running.address, running.root_token).ask("GET", "secret/data/none").status == 404
            if fails:
                raise KeyError
    assert len(started) == 1
    assert await gone(started[0])
    assert not home.exists()


async def test_a_port_that_is_taken_is_not_taken_for_ours_and_the_failure_is_told(
    server: VaultServer, tmp_path: Path
) -> None:
    taken, token, log = int(server.address.rpartition(":")[2]), Secret(f"{CANARY}-other"), tmp_path / "log"
    process = module._start(taken, tmp_path, log, token)
    assert not await module._ready(CLOCK, process, taken, token)
    told = module._stop(process)
    assert process.returncode == 1
    assert "address already in use" in module._last_words(told, log, token)
    log.write_text(f"said {token.reveal()}")
    assert module._last_words("Unseal Key: x\nError: no", log, token) == "Error: no | said (token)"


PARENT = """
import asyncio, datetime
from rotator.clock import SystemClock
from rotator.model.secret import Secret
from rotator.simulator.vault_server import vault_server

async def main():
    async with vault_server(SystemClock(), Secret("CANARY-killed")) as server:
        # Until it has said all it has to say: a server that writes to a reader who is gone dies of that.
        await SystemClock().sleep(datetime.timedelta(seconds=1))
        print(server.address, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@linux
def test_the_server_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        (sys.executable, "-c", PARENT), stdout=subprocess.PIPE, env={"TMPDIR": str(tmp_path)}, cwd=Path.cwd()
    ) as parent:
        assert parent.stdout is not None
        address = parent.stdout.readline()
        assert address.startswith(b"http://127.0.0.1:")
        (process,) = servers_of(parent.pid)
        assert os.getsid(int(process.name)) != os.getsid(parent.pid), "Ctrl-C would reach it"
        parent.send_signal(signal.SIGKILL)
    assert asyncio.run(gone(process))
