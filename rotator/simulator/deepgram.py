"""The simulated Deepgram as an ASGI app: routes, faults, latency, and a log of what was called.

world = World(clock)
project = world.add_project()
me = world.add_member(project)
management = world.add_key(project, member_id=me, scopes=("owner",))
async with DeepgramSimulator(world).serve() as base_url:
    ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from rotator.simulator import replies
from rotator.simulator.calls import Ask, perform
from rotator.simulator.faults import Fault, Faults, Operation
from rotator.simulator.replies import Reply
from rotator.simulator.server import DROP, serve
from rotator.simulator.world import World

_PROJECT = "/v1/projects/{project_id}"
_KEYS = _PROJECT + "/keys"
_ROUTES = (
    ("GET", "/v1/projects", Operation.PROJECTS),
    ("GET", _KEYS, Operation.LIST),
    ("POST", _KEYS, Operation.CREATE),
    ("GET", _KEYS + "/{named}", Operation.GET),
    ("DELETE", _KEYS + "/{named}", Operation.DELETE),
    ("GET", _PROJECT + "/requests", Operation.REQUESTS),
    ("GET", _PROJECT + "/members", Operation.MEMBERS),
    ("GET", _PROJECT + "/members/{named}/scopes", Operation.MEMBER_SCOPES),
    ("GET", "/v1/auth/token", Operation.PROVE),
    ("POST", "/v1/listen", Operation.LISTEN),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One call that came. `key_id` is the key it was made with, None when it was not accepted."""

    at: datetime
    method: str
    path: str
    operation: Operation
    key_id: str | None


class _Dropped:
    """Instead of an answer: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        scope["extensions"][DROP]()
        await receive()  # until the server has noticed; else it would answer by itself


class DeepgramSimulator:
    """One simulated Deepgram over one world. `latency` is how long each call takes, by the world's clock.

    `retry_after` is the time that it names to throttled calls, in whole seconds. `faults`, `latency` and that may be
    changed at any time; `log` holds every call that came.
    """

    def __init__(self, world: World, *, latency: timedelta = timedelta(0)) -> None:
        """Prepare the app; `serve` starts it."""
        self.world = world
        self.faults = Faults()
        self.latency = latency
        self.retry_after = timedelta(seconds=7)
        self.log: list[Logged] = []
        self.app = Starlette(
            routes=[
                Route(path, self._endpoint(operation), methods=[method])
                for method, path, operation in _ROUTES
            ]
        )

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve on a free port of 127.0.0.1 in this event loop until the context ends; yield the base URL."""
        async with serve(self.app) as base_url:
            yield base_url

    def count(self, operation: Operation) -> int:
        """Return how many calls of that operation came, whatever became of them."""
        return sum(logged.operation is operation for logged in self.log)

    def _endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response | _Dropped]]:
        async def endpoint(request: Request) -> Response | _Dropped:
            scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
            ask = Ask(
                operation=operation,
                secret=secret if scheme == "Token" else "",
                project_id=request.path_params.get("project_id", ""),
                named=request.path_params.get("named", ""),
                query=dict(request.query_params),
                body=await request.body(),
            )
            if self.latency:
                await self.world.clock.sleep(self.latency)
            self.world.settle()
            self._note(request, ask)
            return self._answer(ask)

        return endpoint

    def _note(self, request: Request, ask: Ask) -> None:
        now = self.world.clock.now()
        caller = self.world.accepted(ask.secret, now)
        self.log.append(
            Logged(
                at=now,
                method=request.method,
                path=request.url.path,
                operation=ask.operation,
                key_id=caller.key_id if caller else None,
            )
        )

    def _answer(self, ask: Ask) -> Response | _Dropped:
        planned = self.faults.take(ask.operation)
        if planned is None:
            return self._dated(self._perform(ask))
        match planned.fault:
            case Fault.REFUSED:
                return _Dropped()
            case Fault.LOST:
                self._perform(ask)
                return _Dropped()
            case Fault.LATE:
                self.world.postpone(planned.delay, lambda at: perform(self.world, ask, at))
                return _Dropped()
            case Fault.ERROR500:
                return self._dated(Reply(500, "Internal Server Error"))
            case Fault.ERROR500_DONE:
                self._perform(ask)
                return self._dated(Reply(500, "Internal Server Error"))
            case Fault.FORBIDDEN:
                return self._dated(replies.forbidden("keys:read"))
            case Fault.GARBLED:
                response = self._dated(self._perform(ask))
                response.body = bytes(response.body)[: len(response.body) // 2]
                response.headers["Content-Length"] = str(len(response.body))
                return response
            case Fault.THROTTLED:
                response = self._dated(replies.legacy(429, "TOO_MANY_REQUESTS", "Too many requests."))
                response.headers["Retry-After"] = str(round(self.retry_after.total_seconds()))
                return response

    def _perform(self, ask: Ask) -> Reply:
        return perform(self.world, ask, self.world.clock.now())

    def _dated(self, reply: Reply) -> Response:
        kind = PlainTextResponse if isinstance(reply.content, str) else JSONResponse
        response = kind(reply.content, status_code=reply.status)
        response.headers["Date"] = format_datetime(self.world.clock.now(), usegmt=True)
        return response
