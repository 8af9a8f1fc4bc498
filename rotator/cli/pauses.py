"""`rotator pause` and `rotator resume`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rotator import credentials, log
from rotator.bootstrap import Connected
from rotator.cli import exits
from rotator.cli.look import connected, tell_unmatched
from rotator.cli.options import Options
from rotator.cli.text import complain, paragraph
from rotator.cli.times import absolute, rfc3339
from rotator.errors import PortError
from rotator.model.order import Pause
from rotator.plural import count
from rotator.rotation import pauses

EVERYTHING = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pauses:
    """What was taken away, what there is now, and the names of all lineages, None when they could not be learnt."""

    ended: tuple[Pause, ...] = ()
    left: tuple[Pause, ...]
    names: list[str] | None


def pause(options: Options, globs: tuple[str, ...], why: str) -> int:
    """Write pauses down, and show all that there are."""
    options.start_logging()
    globs = globs or (EVERYTHING,)
    found = asyncio.run(_pause(options, globs, why))
    log.get("rotator").info("paused", globs=list(globs), who=credentials.person(), why=why)
    if found.names is not None:
        tell_unmatched([glob for glob in globs if glob != EVERYTHING], found.names)
    _emit(options, found)
    return exits.FINE


def resume(options: Options, globs: tuple[str, ...], why: str) -> int:
    """Take pauses away, and show which, and what is paused still. A glob that no pause was given with is a mistake."""
    options.start_logging()
    found = asyncio.run(_resume(options, globs))
    ended = [one.glob for one in found.ended]
    if ended:
        log.get("rotator").info("resumed", globs=ended, who=credentials.person(), why=why)
    mistaken = [glob for glob in globs if glob not in ended]
    for glob in mistaken:
        complain(f"rotator: no pause was given with the glob {glob}")
    _emit(options, found)
    return exits.USAGE if mistaken and not ended else exits.FINE


async def _pause(options: Options, globs: tuple[str, ...], why: str) -> _Pauses:
    async with connected(options.load(), found_journal=True) as connection:
        who, at = credentials.person(), connection.clock.now()
        wanted = tuple(Pause(glob=glob, who=who, why=why, at=at) for glob in dict.fromkeys(globs))
        standing = await pauses.pause(connection.journal, connection.clock, wanted)
        return _Pauses(left=standing, names=await _names(connection))


async def _resume(options: Options, globs: tuple[str, ...]) -> _Pauses:
    async with connected(options.load(), found_journal=True) as connection:
        resumed = await pauses.resume(connection.journal, connection.clock, globs)
        return _Pauses(ended=resumed.ended, left=resumed.left, names=await _names(connection))


async def _names(connection: Connected) -> list[str] | None:
    """Return the names of all lineages; a pause must be possible while they can't be learnt."""
    try:
        fleet = await connection.survey()
    except PortError:
        return None
    return [one.assignment.lineage.name for one in fleet.found]


def _emit(options: Options, found: _Pauses) -> None:
    document = {
        "resumed": [_document(one, found.names) for one in found.ended],
        "pauses": [_document(one, found.names) for one in found.left],
    }
    sections = [
        *_section("Paused no longer:", found.ended, found.names),
        *_section("Paused:", found.left, found.names),
    ]
    options.emit(document, "\n".join(sections) or "Nothing is paused.")


def _section(title: str, some: Sequence[Pause], names: list[str] | None) -> list[str]:
    return [title, *(paragraph(_line(one, names), indent="  ") for one in some)] if some else []


def _line(pause: Pause, names: list[str] | None) -> str:
    matched = "" if names is None else f", {count(len(_matched(pause, names)), 'lineage')}"
    why = f": {pause.why}" if pause.why else ""
    return f"{pause.glob}{matched}, by {pause.who} at {absolute(pause.at)}{why}"


def _matched(pause: Pause, names: list[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pause.glob)]


def _document(pause: Pause, names: list[str] | None) -> dict[str, object]:
    return {
        "glob": pause.glob,
        "who": pause.who,
        "why": pause.why,
        "at": rfc3339(pause.at),
        "lineages": None if names is None else _matched(pause, names),
    }
