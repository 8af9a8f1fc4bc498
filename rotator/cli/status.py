"""`rotator status`: where every lineage stands."""

from __future__ import annotations

import asyncio

from rotator.cli import documents, show
from rotator.cli.look import look
from rotator.cli.options import Options


def status(options: Options, globs: tuple[str, ...]) -> int:
    """Look at everything and show where it stands."""
    options.start_logging()
    file = options.load()
    with options.progress() as progress:
        report = asyncio.run(look(file, globs, progress))
    options.emit(documents.of_report(report), show.status(report))
    return report.status_for(globs)
