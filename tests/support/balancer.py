"""A load balancer before a cluster, as installations have one: TCP, by what each node says of its health."""

from __future__ import annotations

import itertools
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.support.vault_cluster import Cluster, Node

CHECKS_EVERY_SECONDS = 0.2


@dataclass(slots=True)
class Balancer:
    """Where to connect to. `takes`: what a node has to say of its health to be given connections.

    Nodes that qualify are given them in turn; those of a node that does not any more are cut.
    """

    cluster: Cluster
    takes: frozenset[int]
    listening: socket.socket
    ended: threading.Event = field(default_factory=threading.Event)
    up: tuple[Node, ...] = ()
    _open: list[tuple[Node, socket.socket]] = field(default_factory=list)
    _turns: Iterator[int] = field(default_factory=itertools.count)

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.listening.getsockname()[1]}"

    def check(self) -> None:
        """Look at every node, and cut what leads to one that is not to be used any more."""
        self.up = tuple(node for node in self.cluster.nodes if self.cluster.healths(node, *self.takes))
        for node, connection in tuple(self._open):
            if node not in self.up:
                _end(connection)

    def look_on(self) -> None:
        while not self.ended.wait(CHECKS_EVERY_SECONDS):
            self.check()

    def accept_on(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:  # closed: the end
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Pass bytes on between a client and a node until either of them ends it."""
        up = self.up
        with client, suppress(OSError):
            if not up:
                return
            node = up[next(self._turns) % len(up)]
            port = int(node.address.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=1) as server:
                self._open.append((node, client))
                try:
                    _pass_on(client, server)
                finally:
                    self._open.remove((node, client))

    def end(self) -> None:
        self.ended.set()
        _end(self.listening)
        self.listening.close()
        for _, connection in tuple(self._open):
            _end(connection)


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    other = {client: server, server: client}
    while True:
        for ready in select.select([client, server], [], [])[0]:
            content = ready.recv(65536)
            if not content:
                return
            other[ready].sendall(content)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def balancer(cluster: Cluster, *takes: int) -> Iterator[Balancer]:
    """Stand before the nodes of a cluster."""
    made = Balancer(cluster, frozenset(takes), socket.create_server(("127.0.0.1", 0)))
    made.check()
    threads = [threading.Thread(target=part) for part in (made.look_on, made.accept_on)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.end()
        for thread in threads:
            thread.join()
