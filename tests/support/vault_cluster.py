"""Several Vault-API servers with one storage (raft) and TLS: killed, sealed, restarted and restored at will."""

from __future__ import annotations

import http.client
import json
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rotator.model.secret import Secret
from rotator.simulator.vault_server import VaultServer
from tests.support.vault_lab import Reply, Root, Seen, forward
from tests.support.vault_processes import running, status, tls_server, wait_until

ACTIVE, STANDBY, SEALED, NEVER_INITIALISED = 200, 429, 503, 501
"""What `sys/health` answers (https://openbao.org/api-docs/system/health/)."""


@dataclass(slots=True)
class Node:
    """One server. `life` ends its process."""

    home: Path
    address: str
    life: ExitStack = field(default_factory=ExitStack)


@dataclass(slots=True, kw_only=True)
class Cluster:
    """The nodes, first the one that began it. Everything here blocks until it is so, in real time."""

    nodes: tuple[Node, ...]
    authority: Path
    root_token: Secret = field(default_factory=lambda: Secret("none yet"))
    unseal_key: Secret = field(default_factory=lambda: Secret("none yet"))

    @property
    def root(self) -> Root:
        """The hands of root at the node that is active now."""
        return Root(self.active().address, self.root_token, self.authority)

    def server(self, address: str) -> VaultServer:
        """Return the cluster as it is reached at `address`: a node's, or what stands before them."""
        return VaultServer(address=address, root_token=self.root_token)

    def health(self, node: Node) -> int:
        """Return what the node says of its health, 0 when it says nothing."""
        try:
            return status(node.address, self.authority)
        except (OSError, http.client.HTTPException):
            return 0

    def healths(self, node: Node, *expected: int) -> bool:
        """Return whether the node says one of these of its health."""
        return self.health(node) in expected

    def active(self) -> Node:
        """Return the active node, once there is one."""
        found: list[Node] = []

        def one_is() -> bool:
            found[:] = [node for node in self.nodes if self.health(node) == ACTIVE]
            return len(found) == 1

        wait_until(one_is)
        return found[0]

    def standby(self) -> Node:
        """Return a node that stands by, once there is one."""
        found: list[Node] = []

        def one_does() -> bool:
            found[:] = [node for node in self.nodes if self.health(node) == STANDBY]
            return bool(found)

        wait_until(one_does)
        return found[0]

    def kill(self, node: Node) -> None:
        """Let the process die without a word."""
        node.life.close()

    def start(self, node: Node) -> None:
        """Start the process of a node, and wait for nothing. It ends with the thread that starts it."""
        node.life.enter_context(running(node.home, f"-config={node.home}/config.hcl"))

    def step_down(self) -> None:
        """Let the active node give its place up."""
        self.root.do("PUT", "sys/step-down")

    def seal(self) -> Node:
        """Seal the active node and return it. The others go on without it."""
        node = self.active()
        Root(node.address, self.root_token, self.authority).do("PUT", "sys/seal")
        return node

    def unseal(self, node: Node) -> None:
        """Bring a sealed node, or one that was just started, back into the cluster."""

        def unsealed() -> bool:
            self.ask(node, "PUT", "sys/unseal", {"key": self.unseal_key.reveal()})
            return self.healths(node, ACTIVE, STANDBY)

        wait_until(unsealed)

    def until_whole(self) -> None:
        """Wait until one node is active, and the others stand by and know it."""
        whole = [ACTIVE, *(STANDBY for _ in self.nodes[1:])]
        wait_until(lambda: sorted(map(self.health, self.nodes)) == whole)
        for node in self.nodes:
            wait_until(partial(_takes_writes, self, node))

    def snapshot(self) -> bytes:
        """Return all that is stored."""
        reply = self.root.ask("GET", "sys/storage/raft/snapshot")
        assert reply.status == 200, reply.status
        return reply.body

    def restore(self, snapshot: bytes, *, force: bool = False) -> None:
        """Put everything back to what it was at a snapshot. The standbys take some seconds more to work with it."""
        way = "snapshot-force" if force else "snapshot"
        path = f"/v1/sys/storage/raft/{way}"
        headers = {"X-Vault-Token": self.root_token.reveal()}
        reply = forward(self.active().address, Seen("POST", path, headers, snapshot), self.authority)
        assert reply.status == 204, reply.status
        wait_until(lambda: _takes_writes(self, self.active()))

    def ask(self, node: Node, method: str, path: str, document: object = None) -> Reply:
        """Make a call of one node, as root."""
        body = b"" if document is None else json.dumps(document).encode()
        headers = {"X-Vault-Token": self.root_token.reveal()}
        return forward(node.address, Seen(method, f"/v1/{path}", headers, body), self.authority)


@contextmanager
def cluster(home: Path, *, nodes: int, standby_reads: bool) -> Iterator[Cluster]:
    """Run so many nodes, each with a vote, and a KV version 2 mount `secret`. Takes about ten seconds for three.

    `standby_reads`: nodes that stand by answer reads themselves, from what they know so far; else they pass
    everything on. The former is what OpenBao does by itself, the latter what Vault Community always does.
    """
    (home / "tls").mkdir()
    with tls_server(home / "tls") as server:
        """Only its files are needed: a certificate for this machine, and the authority behind it."""
    made = Cluster(nodes=tuple(_nodes(home, nodes)), authority=server.authority)
    for node in made.nodes:
        _configure(node, made, standby_reads=standby_reads, tls=(server.certificate, server.key))
    with ExitStack() as lives:
        for node in made.nodes:
            lives.callback(node.life.close)
            made.start(node)
        _begin(made)
        yield made


def _nodes(home: Path, number: int) -> Iterator[Node]:
    for index in range(number):
        node_home = home / f"node-{index}"
        (node_home / "storage").mkdir(parents=True)
        yield Node(node_home, f"https://127.0.0.1:{_port()}")


def _port() -> int:
    """Return a port that is free, and whose successor is: a node speaks to the others there.

    It binds the second one only seconds later, when it has joined. So both are below those that systems give to whoever
    asks for any (on Linux from 32768 on): one of these would be taken by then, now and then.
    """
    while True:
        port = random.randrange(15000, 32000, 2)  # noqa: S311 (a port is no secret)
        with socket.socket() as first, socket.socket() as second, suppress(OSError):
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 1))
            return port


def _begin(made: Cluster) -> None:
    """Initialise the first node, let the others join, and wait until each has a vote."""
    first, *others = made.nodes
    wait_until(partial(made.healths, first, NEVER_INITIALISED))
    shares = {"secret_shares": 1, "secret_threshold": 1}
    keys: dict[str, Any] = json.loads(made.ask(first, "PUT", "sys/init", shares).body)
    made.root_token, made.unseal_key = Secret(keys["root_token"]), Secret(keys["keys_base64"][0])
    made.unseal(first)
    wait_until(partial(made.healths, first, ACTIVE))
    calm = {"server_stabilization_time": "100ms"}
    made.root.do("POST", "sys/storage/raft/autopilot/configuration", calm)
    for node in others:
        wait_until(partial(made.healths, node, SEALED))
        made.unseal(node)
    wait_until(lambda: _voters(made) == len(made.nodes))
    made.root.do("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    made.until_whole()


def _voters(made: Cluster) -> int:
    answer = made.root.answer("GET", "sys/storage/raft/configuration")
    return sum(server["voter"] for server in answer["data"]["config"]["servers"])


def _takes_writes(made: Cluster, node: Node) -> bool:
    """Return whether a node takes writes, for itself or for the active one. A new mount is upgraded first."""
    return made.ask(node, "POST", "secret/data/first", {"data": {}}).status == 200


def _configure(node: Node, made: Cluster, *, standby_reads: bool, tls: tuple[Path, Path]) -> None:
    """Write what a node needs. Elections and votes are as fast as they can be: these are tests."""
    port = int(node.address.rpartition(":")[2])
    joins = "\n".join(
        f'  retry_join {{ leader_api_addr = "{other.address}" leader_ca_cert_file = "{made.authority}" }}'
        for other in made.nodes
        if other is not node and node is not made.nodes[0]
    ).replace('" leader', '"\n    leader')
    (node.home / "config.hcl").write_text(f"""\
disable_mlock = true
disable_standby_reads = {str(not standby_reads).lower()}
api_addr = "{node.address}"
cluster_addr = "https://127.0.0.1:{port + 1}"
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_cert_file = "{tls[0]}"
  tls_key_file = "{tls[1]}"
}}
storage "raft" {{
  path = "{node.home}/storage"
  node_id = "{node.home.name}"
  performance_multiplier = 1
  autopilot_reconcile_interval = "200ms"
  autopilot_update_interval = "100ms"
{joins}
}}
""")
