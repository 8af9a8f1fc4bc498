"""The pytest plugin that guards every test: no secret shows, nothing but loopback is reached.

Both guards write what they find into `canary.findings`, so that a test fails even if the code under test
has swallowed the exception.
"""

from __future__ import annotations

import ipaddress
import logging
import sys
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Any

import pytest
import structlog

from tests.support import canary

_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})
_SENDS = frozenset({"socket.connect", "socket.sendto"})


class NetworkRefusedError(RuntimeError):
    """A test tried to reach something other than this machine."""


def _is_loopback(host: object) -> bool:
    """Return whether `host` is this machine. None and "" are what a server binds to, or nothing."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host is None or host in {"", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _refuse_network(event: str, args: tuple[Any, ...]) -> None:
    """Refuse, as an audit hook, to look up or reach any host but this machine. Unix sockets pass."""
    if event in _SENDS:
        host = args[1][0] if isinstance(args[1], tuple) else None
    elif event in _LOOKUPS:
        host = args[0]
    else:
        return
    if not _is_loopback(host):
        refusal = f"the network was asked for ({event}: {host!r}); tests reach this machine only"
        canary.findings.append(refusal)
        raise NetworkRefusedError(refusal)


class _Guards:
    """The hooks, as one object, so that they are registered once however often this module is imported."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Look at what this phase printed, logged and raised; turn a finding into a failure."""
        report = yield
        for name, text in report.sections:
            if name.endswith(f" {call.when}"):
                canary.note(text, name.lower())
        if report.failed:
            raised = "\n".join(line for line in report.longreprtext.splitlines() if line.startswith("E "))
            canary.note(raised, "the text of the failure")
        found, canary.findings[:] = "\n".join(dict.fromkeys(canary.findings)), []
        if found and report.failed:
            report.sections.append(("guards", found))
        elif found:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} ({call.when}): {found}"
        return report


def pytest_configure(config: pytest.Config) -> None:
    """Put the guards up, for the whole run."""
    config.pluginmanager.register(_Guards(), "guards")
    sys.addaudithook(_refuse_network)
    _watch_what_tests_keep()


def _watch_what_tests_keep() -> None:
    """Look, too, at what pytest hands to a test and so keeps out of its report.

    These are the exceptions that a test expects (`pytest.raises`) and the output that it reads (`capsys`).
    """
    leave, read = pytest.RaisesExc.__exit__, pytest.CaptureFixture.readouterr

    def watched_leave(
        self: pytest.RaisesExc[Any],
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool:
        if exc_val is not None:
            canary.note(canary.text_of(exc_val), "an exception that the test expects")
        return leave(self, exc_type, exc_val, exc_tb)

    def watched_read(self: pytest.CaptureFixture[Any]) -> Any:  # noqa: ANN401 (its type is private)
        result = read(self)
        canary.note(f"{result.out}\n{result.err}", "output that the test reads")
        return result

    pytest.RaisesExc.__exit__ = watched_leave  # type: ignore[method-assign]
    pytest.CaptureFixture.readouterr = watched_read  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Capture our loggers at every level, and undo what the test configured."""
    root, ours = logging.getLogger(), logging.getLogger("rotator")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    ours.setLevel(logging.DEBUG)
    yield
    root.handlers[:] = [handler for handler in root.handlers if handler in handlers]
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    structlog.reset_defaults()
