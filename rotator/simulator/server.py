"""Serve an ASGI app on a free port of this machine, inside the caller's event loop.

The app finds one extension in its scope, `DROP`: a function that resets the connection of the request at
hand, as a crashed server or a cut line does. ASGI itself has no word for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

DROP = "rotator.drop_connection"


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would take the signals of the program around it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.stopped = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        await self.stopped.wait()

    def drop(self, client: tuple[str, int]) -> None:
        """Reset the connection from `client`."""
        for connection in self.server_state.connections:
            if connection.transport.get_extra_info("peername") == client:
                connection.transport.abort()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 (uvicorn's name)
        """Reset every connection and end: uvicorn would wait for idle ones, a tenth of a second at a time."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            await task
        for server in self.servers:
            await server.wait_closed()


@contextlib.asynccontextmanager
async def serve(app: ASGIApp) -> AsyncIterator[str]:
    """Serve `app` on 127.0.0.1 until the context ends; yield its base URL, without a slash at its end."""
    # With its protocol named, so that asyncio sets TCP_NODELAY: else each body comes 40 ms after its headers.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]

    async def with_drop(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {DROP: lambda: server.drop(scope["client"])}
        await app(scope, receive, send)

    config = uvicorn.Config(
        with_drop,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await server.listening.wait()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stopped.set()
        await task
