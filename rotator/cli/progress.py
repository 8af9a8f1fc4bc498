"""How far long work has come: one line on standard error, drawn anew, for somebody who watches it."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Final, Self

_WORTH_TELLING: Final = 10
"""Shorter work is over before it is read of."""

_CLEAR: Final = "\r\x1b[K"
_WIDTH_UNKNOWN: Final = 80


class Progress:
    """Tells of several pieces of work at once. Silent when not `shown`, and after the `with` block."""

    def __init__(self, *, shown: bool) -> None:
        """Begin with nothing to tell."""
        self._shown = shown
        self._parts: dict[str, tuple[int, int]] = {}
        self._drawn = False

    def __enter__(self) -> Self:
        """Tell from now on."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the line as it was before."""
        self.end()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell that `done` of `total` pieces of some work are done. `what` is ours, such as `reading keys of asr`."""
        if not self._shown or total < _WORTH_TELLING:
            return
        self._parts[what] = (done, total)
        under_way = [f"{name} {n}/{of}" for name, (n, of) in self._parts.items() if n < of]
        self._write(_CLEAR + ", ".join(under_way)[: _width() - 1] if under_way else _CLEAR)
        self._drawn = bool(under_way)

    def end(self) -> None:
        """Be silent from now on."""
        if self._drawn:
            self._write(_CLEAR)
        self._shown = self._drawn = False

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            self._shown = self._drawn = False


def watched() -> bool:
    """Return whether standard error is a terminal that can draw a line anew."""
    from rotator.credentials import variable  # noqa: PLC0415 (--help does not need it)

    return sys.stderr.isatty() and variable("TERM") not in (None, "dumb")


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _WIDTH_UNKNOWN
    except OSError:
        return _WIDTH_UNKNOWN
