"""`rotator pause` and `rotator resume`."""

from __future__ import annotations

import asyncio

from rotator import credentials, log
from rotator.cli import exits
from rotator.cli.look import connected
from rotator.cli.options import Options
from rotator.cli.times import rfc3339
from rotator.model.order import Pause
from rotator.rotation import pauses

EVERYTHING = "*"


def pause(options: Options, globs: tuple[str, ...], why: str) -> int:
    """Write pauses down, and show all that there are."""
    options.start_logging()
    standing = asyncio.run(_pause(options, globs or (EVERYTHING,), why))
    return _emit(options, standing, "Paused", "nothing is paused")


def resume(options: Options, globs: tuple[str, ...], why: str) -> int:
    """Take pauses away, and show which."""
    options.start_logging()
    ended = asyncio.run(_resume(options, globs))
    log.get("rotator").info("resumed", globs=[one.glob for one in ended], who=credentials.person(), why=why)
    return _emit(options, ended, "No longer paused", "there was no such pause; `rotator status` shows them")


async def _pause(options: Options, globs: tuple[str, ...], why: str) -> tuple[Pause, ...]:
    async with connected(options.load(), found_journal=True) as connection:
        who, at = credentials.person(), connection.clock.now()
        wanted = tuple(Pause(glob=glob, who=who, why=why, at=at) for glob in globs)
        return (await pauses.pause(connection.journal, wanted)).pauses


async def _resume(options: Options, globs: tuple[str, ...]) -> tuple[Pause, ...]:
    async with connected(options.load(), found_journal=True) as connection:
        return await pauses.resume(connection.journal, globs)


def _emit(options: Options, some: tuple[Pause, ...], title: str, none: str) -> int:
    document = {"pauses": [document_of(one) for one in some]}
    shown = "\n".join([f"{title}:", *(f"  {line(one)}" for one in some)]) if some else none
    options.emit(document, shown)
    return exits.FINE


def document_of(pause: Pause) -> dict[str, object]:
    """Return a pause, as documents show it."""
    return {"glob": pause.glob, "who": pause.who, "why": pause.why, "at": rfc3339(pause.at)}


def line(pause: Pause) -> str:
    """Return a pause in one line."""
    return f"{pause.glob}  by {pause.who} at {rfc3339(pause.at)}" + (f": {pause.why}" if pause.why else "")
