"""`rotator plan`: what would be done, when and why; with `--until`, all of it to a day to come."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

import click

from rotator.cli import calendar, documents, files, show
from rotator.cli.failures import Failure
from rotator.cli.lines import Line, Report, strays_of, uncovered_of
from rotator.cli.look import look
from rotator.cli.options import Options
from rotator.cli.times import parse_instant, parse_until
from rotator.clock import SystemClock
from rotator.plan import saved
from rotator.plan.decide import decide
from rotator.policy.settings import LimitSettings

_LARGEST_SNAPSHOT = 256 * 1024 * 1024
"""Bytes. A lineage takes a few thousand."""


def plan(options: Options, globs: tuple[str, ...], save: Path | None, until: str | None) -> int:
    """Look at everything and show what would be done."""
    options.start_logging()
    _until(until, SystemClock().now())  # a slip is told before anything is looked at
    file = options.load()
    with options.progress() as progress:
        report = asyncio.run(look(file, globs, progress))
    if save is not None:
        _save(report, file.limits, save)
    return _show(options, report, globs, file.limits, until)


def plan_offline(
    options: Options, globs: tuple[str, ...], snapshot: Path, at: str | None, until: str | None
) -> int:
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
    report = Report(
        now=now,
        lines=tuple(lines),
        excluded={},
        idle=(),
        strays=strays_of(lines),
        uncovered=uncovered_of(lines),
        troubles=(),
    )
    return _show(options, report, globs, seen.limits, until)


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


def _save(report: Report, limits: LimitSettings, path: Path) -> None:
    """Save what was seen of every lineage that could be looked at."""
    cases = tuple(
        saved.Case(policy=line.policy, snapshot=line.snapshot) for line in report.lines if line.snapshot
    )
    files.write(path, saved.encode(saved.Saved(now=report.now, cases=cases, limits=limits)), "snapshot")


def _until(text: str | None, now: datetime) -> datetime | None:
    try:
        return None if text is None else parse_until(text, now)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--until") from None


def _show(
    options: Options, report: Report, globs: tuple[str, ...], limits: LimitSettings, until: str | None
) -> int:
    ends_at, document = _until(until, report.now), documents.of_report(report)
    if ends_at is None:
        options.emit(document, show.plan(report))
    else:
        foretold = calendar.foretold(report, ends_at, limits.starts_per_hour)
        options.emit({**document, "calendar": foretold.document}, foretold.shown)
    return report.status_for(globs)
