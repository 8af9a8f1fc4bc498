"""`rotator run`: the service."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import AbstractAsyncContextManager
from functools import partial

from rotator import credentials, log
from rotator.bootstrap import Connected, Met, connect
from rotator.cli import exits
from rotator.cli.failures import Failure
from rotator.cli.once import Stop, tell
from rotator.cli.options import Options
from rotator.cli.policy_files import PolicyTexts
from rotator.clock import SystemClock
from rotator.daemon.notify import Systemd
from rotator.daemon.service import Outside, Service
from rotator.daemon.ticks import ticking
from rotator.errors import PolicyError, Problem
from rotator.model.told import Heard
from rotator.policy.settings import PolicyFile
from rotator.web.app import application
from rotator.web.metrics import Metrics
from rotator.web.server import listening, serving


def run(options: Options) -> int:
    """Run the service until it is asked to stop."""
    options.start_logging()
    texts = options.read()
    file = texts.load()
    listener = _listening(file.runtime.listen)
    clock = SystemClock()
    metrics = Metrics()
    outside = Outside(
        clock=clock,
        read=lambda: _read(options),
        connect=partial(_connect, Met()),
        ticking=ticking,
        systemd=Systemd(credentials.variable, clock),
        meter=metrics,
        tell=tell,
    )
    stop = Stop(say=lambda what: log.get("rotator").warning("signal", detail=what))
    stop.run(_run(outside, texts, file, metrics, listener, stop))
    return exits.FINE


async def _run(
    outside: Outside,
    texts: PolicyTexts,
    file: PolicyFile,
    metrics: Metrics,
    listener: socket.socket,
    stop: Stop,
) -> None:
    service = Service(outside, texts, file)
    metrics.show(service.board)
    stop.listen(service.stop)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, service.reload)
    async with serving(application(service.board, metrics), listener):
        await service.run()


def _connect(met: Met, file: PolicyFile, heard: Heard) -> AbstractAsyncContextManager[Connected]:
    return connect(file, found_journal=True, heard=heard, met=met)


def _read(options: Options) -> PolicyTexts:
    """Return the policy file as it is now. Raise PolicyError when it can't be read."""
    try:
        return options.read()
    except Failure as failure:
        problem = Problem(
            file=str(options.config),
            line=0,
            column=0,
            path="",
            what=f"{failure.what}: {failure.why}",
            hint=failure.cure,
        )
        raise PolicyError((problem,)) from None


def _listening(listen: str) -> socket.socket:
    try:
        return listening(listen)
    except OSError as error:
        raise Failure(
            f"can't listen at {listen}",
            why=error.strerror or type(error).__name__,
            cure="end what listens there, or name another place in `runtime.listen`",
        ) from None
