"""A server that answers what it is told to: for answers that a faithful Deepgram never gives."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rotator.http import HttpClient
from rotator.model.secret import Secret
from rotator.providers.deepgram import Deepgram
from rotator.simulator.server import serve
from tests.support.canary import CANARY
from tests.support.virtual_clock import VirtualClock

KEY_ID = "11111111-1111-4111-8111-111111111111"
MINTED = {"api_key_id": KEY_ID, "key": f"{CANARY}-minted", "comment": "", "scopes": []}


@dataclass(frozen=True, slots=True, kw_only=True)
class Canned:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, content: object, *, status: int = 200, **headers: str) -> Canned:
        return cls(
            status=status,
            body=json.dumps(content).encode(),
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )


OWN_ID = Canned.json({"api_key_id": "99999999-9999-4999-8999-999999999999"})


@dataclass(slots=True)
class CannedServer:
    """Answers the self-check with an id, everything else with `answer`.

    `seen` is what came: method, path, body. `queries` are those of the calls that had one.
    """

    answer: Canned
    prove_answer: Canned = OWN_ID
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    provider: Deepgram = field(init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.seen.append((request.method, request.url.path, await request.body()))
        self.queries += [request.url.query] if request.url.query else []
        canned = self.prove_answer if request.url.path == "/v1/auth/token" else self.answer
        response = Response(canned.body, status_code=canned.status, headers=dict(canned.headers))
        await response(scope, receive, send)


@asynccontextmanager
async def canned(answer: Canned, *, prove: Canned = OWN_ID) -> AsyncIterator[CannedServer]:
    server = CannedServer(answer, prove)
    async with serve(server) as base_url:
        http = HttpClient(base_url, call_timeout=timedelta(seconds=5), concurrency=2)
        server.provider = Deepgram(
            http, project_id="p", management=Secret(f"{CANARY}-management"), clock=VirtualClock()
        )
        try:
            yield server
        finally:
            await http.aclose()
