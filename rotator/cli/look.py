"""Look at the whole fleet and decide about each lineage, without touching anything."""

from __future__ import annotations

import asyncio
import difflib
import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from rotator.bootstrap import Connected, connect, vault_address
from rotator.cli import exits, failures
from rotator.cli.lines import Line, Report, strays_of, uncovered_of
from rotator.cli.progress import Progress
from rotator.cli.text import complain
from rotator.daemon.sweep import named
from rotator.errors import PortError, RotatorError
from rotator.inventory.fleet import Fleet, Found
from rotator.inventory.observe import observe
from rotator.inventory.records import Trouble
from rotator.plan.decide import decide
from rotator.policy.settings import PolicyFile
from rotator.reconcile import doubtful, violation_of

_ALL_NAMES = "`rotator status` shows all names"

_LOOKS = 3
"""How often a lineage is looked at again while another process is at work on it."""


@asynccontextmanager
async def connected(
    file: PolicyFile, *, found_journal: bool, progress: Progress | None = None
) -> AsyncIterator[Connected]:
    """Connect, and turn what Vault says on the way into words. Raise PolicyError or Failure."""
    address = vault_address(file)[0]
    try:
        async with connect(
            file, found_journal=found_journal, progress=progress or Progress(shown=False)
        ) as connection:
            yield connection
    except PortError as error:
        raise failures.of_vault(error, address) from None


async def look(file: PolicyFile, globs: tuple[str, ...], progress: Progress) -> Report:
    """Return where every lineage stands that a glob names (all, without globs, and what is left out besides)."""
    async with connected(file, found_journal=False, progress=progress) as connection:
        fleet = await connection.survey()
        lines = await lines_of(named(fleet, globs), fleet, connection, progress)
        report = report_of(fleet, lines, connection)
        tell_unmatched(globs, [line.lineage for line in report.lines])
        return replace(report, excluded={}, idle=()) if globs else report


async def lines_of(
    chosen: Sequence[Found], fleet: Fleet, connection: Connected, progress: Progress
) -> tuple[Line, ...]:
    """Observe and decide about some lineages of a fleet, side by side."""
    turns = asyncio.Semaphore(connection.file.runtime.concurrency)
    done = itertools.count(1)

    async def one(found: Found) -> Line:
        async with turns:
            line = await line_of(found, fleet, connection)
        progress("looking at lineages", next(done), len(chosen))
        return line

    return tuple(await asyncio.gather(*(one(found) for found in chosen)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The lineages that globs name, and what kept part of the fleet from being looked at."""

    chosen: tuple[Found, ...]
    troubles: tuple[Trouble, ...]


async def find(connection: Connected, globs: tuple[str, ...]) -> Chosen:
    """Return the lineages that a glob names. Raise Failure when there is none, or when that can't be told now."""
    fleet = await connection.survey()
    chosen = named(fleet, globs)
    if not chosen:
        raise none_named(globs, fleet)
    return Chosen(chosen=chosen, troubles=fleet.troubles)


async def find_one(connection: Connected, lineage: str, *, or_served_at: str | None = None) -> Found:
    """Return the lineage of exactly that name, or the one named `or_served_at` where that name is a place of it too.

    Raise Failure as `find`.
    """
    fleet = await connection.survey()
    found = {one.assignment.lineage.name: one for one in fleet.found}
    moved = found.get(or_served_at) if or_served_at is not None else None
    if moved is not None and lineage in {place.name for place in moved.places}:
        return moved
    if lineage not in found:
        raise none_named((lineage,), fleet)
    return found[lineage]


def none_named(globs: tuple[str, ...], fleet: Fleet) -> failures.Failure:
    """Return that the globs name no lineage, or that it can't be told now whether they do."""
    what = f"no lineage is named {' or '.join(globs)}"
    if not fleet.troubles:
        return failures.Failure(
            what,
            why="no policy and no record leads to one",
            cure=_likeliest(globs, fleet),
            status=exits.USAGE,
        )
    return failures.Failure(
        f"{what}, as far as could be seen",
        why="; ".join(f"{trouble.what}: {trouble.error}" for trouble in fleet.troubles),
        cure="; ".join(dict.fromkeys(failures.cure_of(trouble.error) for trouble in fleet.troubles)),
        status=exits.gravest({failures.status_of(trouble.error) for trouble in fleet.troubles}),
    )


def _likeliest(globs: tuple[str, ...], fleet: Fleet) -> str:
    """Return where the names are found, after the likeliest of them for each slip of the keyboard."""
    names = [one.assignment.lineage.name for one in fleet.found]
    close = [name for glob in globs for name in difflib.get_close_matches(glob, names, n=1)]
    return f"did you mean {' or '.join(close)}? {_ALL_NAMES}" if close else _ALL_NAMES


def tell_unmatched(globs: Iterable[str], names: list[str]) -> tuple[str, ...]:
    """Tell of globs that name nothing, most likely a slip of the keyboard, and return them."""
    unmatched = tuple(glob for glob in globs if not any(fnmatchcase(name, glob) for name in names))
    for glob in unmatched:
        complain(f"rotator: no lineage is named {glob}; {_ALL_NAMES}")
    return unmatched


def report_of(fleet: Fleet, lines: Iterable[Line], connection: Connected) -> Report:
    """Return a report of some lineages of a fleet, the most urgent first."""
    ordered = tuple(sorted((line for line in lines if not line.empty), key=lambda line: line.urgency))
    return Report(
        now=connection.clock.now(),
        lines=ordered,
        excluded=fleet.excluded,
        idle=fleet.idle,
        uncovered=uncovered_of(ordered),
        strays=(*fleet.strays, *strays_of(ordered)),
        troubles=fleet.troubles,
    )


async def line_of(found: Found, fleet: Fleet, connection: Connected) -> Line:
    """Observe and decide as a sweep would; what can't be observed is shown with its error.

    A hold is shown only if the record was not written meanwhile: what another process publishes between
    two of our reads looks like a stranger's.
    """
    assignment = found.assignment
    ports = connection.ports(assignment.lineage, stopping=lambda: False, tell=lambda _: None)
    snapshot, decision, error = None, None, None
    try:
        snapshot = await observe(
            assignment, ports, record=found.record, listing=fleet.listings[found.provider]
        )
        for _ in range(_LOOKS):
            if not doubtful(decide(assignment.policy, snapshot, ports.clock.now()), snapshot):
                break
            record = await ports.journal.read(assignment.lineage.record_name)
            if record.version == snapshot.record_version:
                break
            snapshot = await observe(assignment, ports)
        decision = decide(assignment.policy, snapshot, connection.clock.now())
    except RotatorError as failure:
        error = failure
    except Exception as bug:  # noqa: BLE001 (a bug in one lineage must not hide the others)
        error = violation_of(bug)
    return Line(
        lineage=assignment.lineage.name,
        provider=found.provider,
        policy=assignment.policy,
        now=connection.clock.now(),
        snapshot=snapshot,
        decision=decision,
        error=error,
    )
