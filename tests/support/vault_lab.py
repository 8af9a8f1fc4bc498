"""What the contract tests need around a real Vault-API server: its root's hands, and a troublemaker in between."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import threading
import traceback
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rotator.clock import Clock, SystemClock
from rotator.model.secret import Secret
from rotator.policy.settings import VaultAuth
from rotator.vault.client import VaultClient
from tests.support.canary import CANARY

LEAST_PRIVILEGE = """
path "secret/data/rotated/*"              { capabilities = ["create", "update", "read"] }
path "secret/metadata/rotated/*"          { capabilities = ["read"] }
path "secret/data/rotator-journal/*"      { capabilities = ["create", "update", "read"] }
path "secret/metadata/rotator-journal/*"  { capabilities = ["list"] }
"""
"""All that rotator needs: the suites of both ports run with it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, as the troublemaker saw it."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `headers` come on top of the length.

    `cut_after`: the connection is reset after so many bytes of the body. `pause`: seconds between any two bytes of it.
    """

    status: int
    body: bytes = field(repr=False, default=b"")
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    pause: float = 0.0

    @classmethod
    def of(cls, status: int, document: object) -> Reply:
        """Answer as Vault does: JSON and a Date."""
        headers = {"Content-Type": "application/json", "Date": "Mon, 23 Nov 2026 01:11:35 GMT"}
        return cls(status, json.dumps(document).encode(), headers)


Rule = Callable[[Seen, Callable[[], Reply]], Reply | None]


class Between:
    """Where to connect to, what came by, and on how many connections. `rule` answers each request."""

    def __init__(self, rule: Rule, upstream: str, certificate: tuple[Path, Path] | None) -> None:
        self.rule = rule
        self.upstream = upstream
        self.seen: list[Seen] = []
        self.connections = 0
        self._server = _Server(self)
        self.port = self._server.server_port
        self.address = f"http://127.0.0.1:{self.port}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.address = f"https://127.0.0.1:{self.port}"
        self._closed = False
        self._admits = threading.Event()
        self._admits.set()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    @property
    def refuses(self) -> bool:
        return not self._admits.is_set()

    def refuse(self) -> None:
        """Refuse connections from now on. Those that there are end, after the answer that is under way."""
        self._admits.clear()
        self._server.socket.shutdown(socket.SHUT_RDWR)
        for connection in list(self._server.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)

    def admit(self) -> None:
        """Take connections again, at the same port."""
        self._server.socket.listen()
        self._admits.set()

    def close(self) -> None:
        self._closed = True
        self._admits.set()
        with suppress(OSError):  # nobody listens while connections are refused
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.server_close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, client = self._server.socket.accept()
            except OSError:  # connections are refused, or one failed to speak TLS
                self._admits.wait()
                continue
            self.connections += 1
            self._server.process_request(connection, client)


class _Server(ThreadingHTTPServer):
    """A thread for each connection."""

    def __init__(self, between: Between) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        # A socket that was bound to a port by its number keeps it while it does not listen.
        super().__init__(("127.0.0.1", port), _Handler)
        self.between = between
        self.open: set[socket.socket] = set()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (socketserver's types)
        """Stay silent about clients that give up, which is what many tests are about."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        self.server.open.add(self.connection)
        try:
            super().handle()
        finally:
            self.server.open.discard(self.connection)

    def answer(self) -> None:
        between = self.server.between
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request = Seen(self.command, self.path, dict(self.headers), body)
        between.seen.append(request)
        reply = between.rule(request, lambda: forward(between.upstream, request))
        self.close_connection = self.close_connection or between.refuses
        if reply is None:
            self._cut()
            return
        head = [f"HTTP/1.1 {reply.status} .", *(f"{name}: {value}" for name, value in reply.headers.items())]
        if self.close_connection:
            head.append("Connection: close")
        start = "\r\n".join((*head, f"Content-Length: {len(reply.body)}", "", "")).encode("latin-1")
        if reply.pause:
            self.connection.sendall(start)
            for byte in reply.body[: reply.cut_after]:
                self.connection.sendall(bytes([byte]))
                threading.Event().wait(reply.pause)
        else:
            self.connection.sendall(start + reply.body[: reply.cut_after])
        if reply.cut_after is not None:
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 (http.server's names)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Stay silent."""


@contextmanager
def between(
    rule: Rule, upstream: str = "", *, certificate: tuple[Path, Path] | None = None
) -> Iterator[Between]:
    """Listen on loopback and let `rule` answer each request; None cuts the connection without an answer.

    The rule may call its second argument to pass the request on to `upstream`, and get that answer. With
    `certificate`, the files of one and of its key, it speaks TLS.
    """
    lab = Between(rule, upstream, certificate)
    try:
        yield lab
    finally:
        lab.close()


def forward(upstream: str, request: Seen, authority: Path | None = None) -> Reply:
    """Send a request on to `upstream` and return the answer. With `authority`, over TLS."""
    host = upstream.rpartition("/")[2]
    if authority is None:
        connection = http.client.HTTPConnection(host, timeout=10)
    else:
        trust = ssl.create_default_context(cafile=str(authority))
        connection = http.client.HTTPSConnection(host, timeout=10, context=trust)
    try:
        return exchange(connection, request)
    finally:
        connection.close()


def exchange(connection: http.client.HTTPConnection, request: Seen) -> Reply:
    """Send a request on a connection and return the answer, without what is about the connection."""
    connection.request(request.method, request.path, request.body, dict(request.headers))
    response = connection.getresponse()
    framing = {"Content-Length", "Transfer-Encoding", "Connection"}  # of their connection, not of ours
    headers = {name: value for name, value in response.getheaders() if name not in framing}
    return Reply(response.status, response.read(), headers)


@dataclass(frozen=True, slots=True)
class Root:
    """The hands of somebody who may do everything on the server at `address`."""

    address: str
    token: Secret
    authority: Path | None = None

    def ask(self, method: str, path: str, document: object = None, *, namespace: str = "") -> Reply:
        """Make any call below /v1/."""
        return self.ask_with({"X-Vault-Namespace": namespace}, method, path, document)

    def ask_with(self, headers: Mapping[str, str], method: str, path: str, document: object = None) -> Reply:
        """Make any call below /v1/ with headers of its own."""
        headers = {"X-Vault-Token": self.token.reveal(), **headers}
        body = b"" if document is None else json.dumps(document).encode()
        return forward(self.address, Seen(method, f"/v1/{path}", headers, body), self.authority)

    def do(self, method: str, path: str, document: object = None, *, namespace: str = "") -> None:
        """Make a call that has to succeed."""
        reply = self.ask(method, path, document, namespace=namespace)
        assert reply.status in {200, 204}, (method, path, reply.status)

    def data(self, path: str, version: int = 0) -> dict[str, object]:
        """Return the data of an entry of `secret`."""
        document = json.loads(self.ask("GET", f"secret/data/{path}?version={version}").body)
        data: dict[str, object] = document["data"]["data"]
        return data

    def answer(
        self, method: str, path: str, document: object = None, *, namespace: str = ""
    ) -> Mapping[str, Any]:
        """Return what a call that has to succeed answers."""
        reply = self.ask(method, path, document, namespace=namespace)
        assert reply.status == 200, (method, path, reply.status)
        answer: Mapping[str, Any] = json.loads(reply.body)
        return answer

    def mount(self, *, version: int = 2, **settings: object) -> str:
        """Make a new KV mount and return its name."""
        name = f"kv-{uuid.uuid4().hex[:8]}"
        self.do("POST", f"sys/mounts/{name}", {"type": "kv", "options": {"version": str(version)}})
        if settings:
            self.do("POST", f"{name}/config", settings)
        return name

    def new_token(self, policy: str) -> Secret:
        """Make a token that may do what `policy` says and no more."""
        name = self.new_policy(policy)
        token = Secret(f"{CANARY}-token-{name}")
        self.do("POST", "auth/token/create", {"id": token.reveal(), "policies": [name], "ttl": "1h"})
        return token

    def new_policy(self, policy: str, *, namespace: str = "") -> str:
        """Write a policy and return its name."""
        name = uuid.uuid4().hex
        self.do("POST", f"sys/policies/acl/{name}", {"policy": policy}, namespace=namespace)
        return name


@asynccontextmanager
async def connected(
    address: str,
    auth: VaultAuth | Secret,
    *,
    namespace: str = "",
    ca_cert: Path | None = None,
    seconds: float = 10,
    clock: Clock | None = None,
) -> AsyncIterator[VaultClient]:
    """Connect, and wait in the end for what is under way."""
    client = VaultClient(
        address=address,
        auth=auth,
        namespace=namespace,
        ca_cert=None if ca_cert is None else str(ca_cert),
        call_timeout=timedelta(seconds=seconds),
        clock=clock or SystemClock(),
    )
    try:
        yield client
    finally:
        await client.aclose()


def shown(error: BaseException) -> str:
    """Return all that a log could show of an error, contexts and causes included."""
    chain = error.__cause__ or error.__context__
    return "".join(traceback.format_exception(error)) + repr(error.__dict__) + (shown(chain) if chain else "")
