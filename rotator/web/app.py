"""Probes and metrics, as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rotator.model.board import Board
from rotator.web.metrics import Metrics

METRICS_TYPE = "text/plain; version=1.0.0; charset=utf-8"

_STALLED = "work makes no progress"


def application(board: Callable[[], Board], metrics: Metrics) -> Starlette:
    """Return an application with `/livez`, `/readyz` and `/metrics`."""

    async def live(_request: Request) -> Response:
        return PlainTextResponse("ok\n") if board().alive else _unwell(_STALLED)

    async def ready(_request: Request) -> Response:
        seen = board()
        if seen.ready:
            lines = [f"ok, but: {' '.join(one.split())}\n" for one in seen.troubles]
            return PlainTextResponse("".join(lines) or "ok\n")
        if not seen.alive:
            return _unwell(_STALLED)
        why = "stopping" if seen.stopping else "; ".join(seen.troubles) or "the fleet was not looked at yet"
        return _unwell(why)

    async def scraped(_request: Request) -> Response:
        return Response(await asyncio.to_thread(metrics.text), media_type=METRICS_TYPE)

    return Starlette(routes=[Route("/livez", live), Route("/readyz", ready), Route("/metrics", scraped)])


def _unwell(why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status_code=503)
