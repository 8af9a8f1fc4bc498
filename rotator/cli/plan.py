"""`rotator plan`: what would be done, when and why."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

import click

from rotator.cli import documents, files, show
from rotator.cli.failures import Failure
from rotator.cli.lines import Line, Report, strays_of
from rotator.cli.look import look
from rotator.cli.options import Options
from rotator.cli.times import parse_instant
from rotator.plan import saved
from rotator.plan.decide import decide

_LARGEST_SNAPSHOT = 256 * 1024 * 1024
"""Bytes. A lineage takes a few thousand."""


def plan(options: Options, globs: tuple[str, ...], save: Path | None) -> int:
    """Look at everything and show what would be done."""
    options.start_logging()
    file = options.load()
    with options.progress() as progress:
        report = asyncio.run(look(file, globs, progress))
    if save is not None:
        _save(report, save)
    return _show(options, report, globs)


def plan_offline(options: Options, globs: tuple[str, ...], snapshot: Path, at: str | None) -> int:
    """Decide on what was saved, as at another time if one is given."""
    text = files.read(snapshot, "snapshot", most_bytes=_LARGEST_SNAPSHOT)
    try:
        seen = saved.decode(text)
    except ValueError as error:
        raise Failure(
            f"{snapshot} can't be used",
            why=str(error),
            cure="give a file that `rotator plan --save` of this version wrote",
        ) from None
    try:
        now = seen.now if at is None else parse_instant(at, seen.now)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None
    cases = [
        case
        for case in seen.cases
        if not globs or any(fnmatchcase(case.snapshot.lineage.name, glob) for glob in globs)
    ]
    lines = sorted((_line(case, now) for case in cases), key=lambda line: line.urgency)
    report = Report(now=now, lines=tuple(lines), excluded={}, idle=(), strays=strays_of(lines), troubles=())
    return _show(options, report, globs)


def _line(case: saved.Case, now: datetime) -> Line:
    """Decide on one saved lineage, as if it had been seen at `now`."""
    snapshot = replace(case.snapshot, seen_at=now)
    return Line(
        lineage=snapshot.lineage.name,
        provider=snapshot.lineage.provider,
        policy=case.policy,
        now=now,
        snapshot=snapshot,
        decision=decide(case.policy, snapshot, now),
    )


def _save(report: Report, path: Path) -> None:
    """Save what was seen of every lineage that could be looked at."""
    cases = tuple(
        saved.Case(policy=line.policy, snapshot=line.snapshot) for line in report.lines if line.snapshot
    )
    files.write(path, saved.encode(saved.Saved(now=report.now, cases=cases)), "snapshot")


def _show(options: Options, report: Report, globs: tuple[str, ...]) -> int:
    options.emit(documents.of_report(report), show.plan(report))
    return report.status_for(globs)
