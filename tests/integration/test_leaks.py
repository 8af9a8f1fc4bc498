"""What a process of the command line shows of the secrets that it holds: to the machine, in files, in logs, when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rotator.simulator.vault_server import VaultServer
from tests.integration.conftest import Desk, Ran
from tests.support import canary
from tests.support.vault_lab import Between, Reply, Seen, between
from tests.support.vault_processes import tls_server

pytestmark = pytest.mark.promise("P7")

LOUD = ("--log-level", "debug", "--log-format", "json")

WATCHED = """
import os, sys

def watch(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        os.write(2, f"WRITES {args[0]}\\n".encode())
    if event in {"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}:
        os.write(2, f"STARTS {event}\\n".encode())

sys.addaudithook(watch)
from rotator.__main__ import main
main()
"""
"""The command line, telling of each file that it opens to write, and of each process that it starts."""


@dataclass(slots=True)
class Moment:
    """What was seen of a process at the instant at which it publishes: then it holds every secret there is."""

    pid: int = 0
    texts: dict[str, str] = field(default_factory=dict, repr=False)
    children: list[str] = field(default_factory=list)
    writable: list[str] = field(default_factory=list)

    def look(self) -> None:
        """Keep what Linux shows of the process."""
        process = Path("/proc") / str(self.pid)
        for name in ("cmdline", "environ", "comm", "status", "limits", "coredump_filter"):
            self.texts[name] = (process / name).read_bytes().decode(errors="replace")
        for thread in (process / "task").iterdir():
            self.texts[f"comm of {thread.name}"] = (thread / "comm").read_text()
            self.children += (thread / "children").read_text().split()
        for opened in (process / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                flags = int((process / "fdinfo" / opened.name).read_text().split("flags:")[1].split()[0], 8)
                target = str(opened.readlink())
                if target.startswith("/") and flags & (os.O_WRONLY | os.O_RDWR):
                    self.writable.append(target)


def publishing(desk: Desk, act: Callable[[], object]) -> Callable[[Seen, Callable[[], Reply]], Reply]:
    """Return a rule that passes everything on to Vault, and does `act` before the entry is written."""

    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply:
        if request.method == "POST" and request.path.startswith(f"/v1/secret/data/{desk.entries}/"):
            act()
        return forward()

    return rule


@pytest.fixture
def in_files(desk: Desk) -> Desk:
    """Return the desk with every credential in a file, as the docs advise."""
    key = desk.folder / "key"
    key.touch(mode=0o600)
    key.write_text(desk.environment.pop("DEEPGRAM_API_KEY"))
    desk.head = desk.head.replace("{env: DEEPGRAM_API_KEY}", f"{{file: {key}}}")
    desk.write()
    return desk


async def act(desk: Desk, what: str, *, begun: Callable[[int], object] = lambda _pid: None) -> Ran:
    """Rotate a key by order, because it is due, or import a secret, as a process of its own."""
    key = desk.due_key("voice")
    arguments, given = {
        "once": (("once",), None),
        "rotate": (("rotate", desk.lineage("voice"), "--yes"), None),
        "import": (("import", desk.lineage("voice")), key.secret.reveal().encode()),
    }[what]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "rotator", *LOUD, *arguments),
        env=desk.environment,
        cwd=desk.folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    begun(process.pid)
    ran = await desk.end(process, given)
    assert ran.status == 0, ran.err
    assert desk.serves("voice")
    return ran


def via(desk: Desk, lab: Between) -> None:
    """Let the policy file lead to `lab` instead of Vault."""
    desk.write(address=lab.address)


@pytest.mark.parametrize("what", ["once", "rotate", "import"])
async def test_nothing_that_the_machine_shows_of_a_process_holds_a_secret(
    in_files: Desk, server: VaultServer, what: str
) -> None:
    """Asyncio's debug mode logs what slow callbacks were called with."""
    in_files.environment["PYTHONASYNCIODEBUG"] = "1"
    moment = Moment()
    with between(publishing(in_files, moment.look), server.address) as lab:
        via(in_files, lab)
        await act(in_files, what, begun=lambda pid: setattr(moment, "pid", pid))
    assert moment.texts["cmdline"].startswith(sys.executable)
    for name, text in moment.texts.items():
        canary.scan(text, name)
    assert (moment.children, moment.writable) == ([], [])
    limits = {line[:26].strip(): line[26:].split()[:2] for line in moment.texts["limits"].splitlines()}
    assert limits["Max core file size"] == ["0", "0"]
    assert int(moment.texts["coredump_filter"], 16) == 0


@pytest.mark.parametrize("what", ["check", "once", "rotate", "import", "identify"])
async def test_no_file_is_written_and_no_process_started(in_files: Desk, what: str) -> None:
    key = in_files.due_key("voice")
    given = key.secret.reveal().encode() if what in ("import", "identify") else None
    lineages = {"rotate": (in_files.lineage("voice"), "--yes"), "import": (in_files.lineage("voice"),)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-B", "-c", WATCHED, *LOUD, what, *lineages.get(what, ())),
        env=in_files.environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    ran = await in_files.end(process, given)
    assert ran.status == 0, ran.err
    told = [line for line in ran.err.splitlines() if line.startswith(("WRITES", "STARTS"))]
    assert told == ["WRITES /proc/self/coredump_filter"]


def dumps_core(folder: Path, *command: str, **environment: str) -> int:
    """Start a program that may dump core without limit; return its process id."""
    script = 'ulimit -c unlimited; cd "$0" && exec "$@"'
    silent = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in range(3)]
    return os.posix_spawn(
        "/bin/sh", ["sh", "-c", script, str(folder), *command], environment, file_actions=silent
    )


async def ended(pid: int) -> tuple[int, bool]:
    """Wait for the end of a process; return the signal that ended it, and whether it left a core dump."""
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, os.WCOREDUMP(status)


async def test_a_process_that_dies_while_it_holds_secrets_leaves_no_core_dump(
    in_files: Desk, server: VaultServer, tmp_path: Path
) -> None:
    plain, ours = tmp_path / "plain", tmp_path / "ours"
    plain.mkdir()
    ours.mkdir()
    crashed = await ended(dumps_core(plain, sys.executable, "-c", "import os; os.abort()"))
    if crashed != (signal.SIGABRT, True):
        pytest.skip("no process can dump core on this machine")
    moment = Moment()
    in_files.due_key("voice")
    with between(publishing(in_files, lambda: os.kill(moment.pid, signal.SIGABRT)), server.address) as lab:
        via(in_files, lab)
        command = (sys.executable, "-m", "rotator", "once")
        moment.pid = dumps_core(ours, *command, **in_files.environment)
        assert await ended(moment.pid) == (signal.SIGABRT, False)
    assert list(ours.iterdir()) == []


async def test_no_keys_of_tls_sessions_are_written_down(in_files: Desk, tmp_path: Path) -> None:
    """With them, whoever has recorded the network reads every secret that went over it."""
    keys = tmp_path / "tls-keys"
    (tmp_path / "vault").mkdir()
    with tls_server(tmp_path / "vault") as vault:
        in_files.write(address=f"{vault.address}\n  ca_cert: {vault.authority}")
        (in_files.folder / "token").write_text(vault.root_token.reveal())
        process = await in_files.start("--output", "json", "check", SSLKEYLOGFILE=str(keys))
        out, _ = await process.communicate()
    assert '"vault_reached"' in out.decode()
    assert not keys.exists()
