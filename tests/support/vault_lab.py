"""What the contract tests need around a real Vault-API server: its root's hands, and a troublemaker in between."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import traceback
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
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
    """One answer. `headers` come on top of the length."""

    status: int
    body: bytes = field(repr=False, default=b"")
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, document: object) -> Reply:
        """Answer as Vault does: JSON and a Date."""
        headers = {"Content-Type": "application/json", "Date": "Mon, 23 Nov 2026 01:11:35 GMT"}
        return cls(status, json.dumps(document).encode(), headers)


Rule = Callable[[Seen, Callable[[], Reply]], Reply | None]


@dataclass(slots=True)
class Between:
    """Where to connect to, and what came by."""

    address: str
    seen: list[Seen] = field(default_factory=list)


@contextmanager
def between(
    rule: Rule, upstream: str = "", *, certificate: tuple[Path, Path] | None = None
) -> Iterator[Between]:
    """Listen on loopback and let `rule` answer each request; None cuts the connection without an answer.

    The rule may call its second argument to pass the request on to `upstream`, and get that answer. With
    `certificate`, the files of one and of its key, it speaks TLS.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            request = Seen(self.command, self.path, dict(self.headers), body)
            lab.seen.append(request)
            reply = rule(request, lambda: forward(upstream, request))
            if reply is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 (http.server's names)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    lab = Between(f"http://127.0.0.1:{server.server_address[1]}")
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        lab.address = lab.address.replace("http:", "https:")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield lab
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def forward(upstream: str, request: Seen, authority: Path | None = None) -> Reply:
    """Send a request on to `upstream` and return the answer. With `authority`, over TLS."""
    host = upstream.rpartition("/")[2]
    if authority is None:
        connection = http.client.HTTPConnection(host, timeout=10)
    else:
        trust = ssl.create_default_context(cafile=str(authority))
        connection = http.client.HTTPSConnection(host, timeout=10, context=trust)
    try:
        connection.request(request.method, request.path, request.body, dict(request.headers))
        response = connection.getresponse()
        framing = {"Content-Length", "Transfer-Encoding"}  # of their connection, not of ours
        headers = {name: value for name, value in response.getheaders() if name not in framing}
        return Reply(response.status, response.read(), headers)
    finally:
        connection.close()


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
