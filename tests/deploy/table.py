"""The pytest plugin that ends a run with a table: which file under deploy/, what was tested, for real or not, how it went.

A test says it with `@pytest.mark.artefact("deploy/...", "real")`: `real` where the file does its work in the test,
`static` where something looks at it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(slots=True)
class _Row:
    artefact: str
    test: str
    kind: str
    result: str
    seconds: float = 0.0


class _Table:
    def __init__(self) -> None:
        self.rows: dict[str, _Row] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        mark = item.get_closest_marker("artefact")
        if mark is not None:
            artefact, kind = mark.args
            row = self.rows.setdefault(item.nodeid, _Row(artefact, item.name, kind, report.outcome))
            row.seconds += call.duration
            if report.failed:
                row.result = "FAILED"
            elif report.skipped:
                row.result = f"skipped: {_why(report)}"
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        columns = ("artefact", "test", "kind", "result", "seconds")
        terminalreporter.section("what is deployed")
        terminalreporter.write_line(_line(columns))
        terminalreporter.write_line(_line("---" for _ in columns))
        for row in sorted(self.rows.values(), key=lambda row: (row.artefact, row.kind)):
            name = row.test.removeprefix("test_").replace("_", " ")
            terminalreporter.write_line(
                _line((row.artefact, name, row.kind, row.result, f"{row.seconds:.1f}"))
            )


def _why(report: pytest.TestReport) -> str:
    return str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a folder be given that outlives the run, for those who run it again and again."""
    parser.addoption("--lab", type=Path, help="the folder to build trees and images in, and to keep them in")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the rows of this run."""
    config.pluginmanager.register(_Table(), "table")
