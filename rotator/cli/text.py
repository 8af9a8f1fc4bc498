"""Text for a terminal: what others wrote is escaped, tables fit the width, a stream that takes nothing is bearable."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from rotator.errors import RotatorError

_WIDTH_ELSEWHERE = 120
"""The width of what is not a terminal."""

_LEAST_LAST = 24
"""A last column narrower than this is unreadable: each row becomes a block then."""

_MOST_OTHER = 32
"""Columns between the first and the last are wrapped at this width. The first holds names, which stay whole."""

_GAP = "  "

_SHORT_ID = 8
_LONGEST_ID_SHOWN_WHOLE = 12


class Unwritten(RotatorError):
    """Standard output does not take a result, and somebody may be waiting for it."""

    def __init__(self, cause: OSError) -> None:
        """Say why in the words of the operating system."""
        super().__init__("the report could not be written")
        self.why = cause.strerror or type(cause).__name__


def open_streams() -> None:
    """Give each standard stream that was closed before this process began an open one that leads nowhere."""
    # In this order, so that each gets its own number back, and nothing else that is opened gets it.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 (open to the end)


def settle_streams() -> Unwritten | None:
    """Let Python end in peace: drop what can't be written. Return what a person who reads the output has lost."""
    unwritten = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            _drop(stream)
            if stream is sys.stdout and error.errno != errno.EPIPE:
                unwritten = Unwritten(error)
    return unwritten


def _drop(stream: TextIO) -> None:
    """Send what a stream still holds, and all that follows, nowhere: it would fail again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def width() -> int:
    """Return how wide lines on standard output may be."""
    return max(shutil.get_terminal_size((_WIDTH_ELSEWHERE, 24)).columns, _LEAST_LAST)


def plain(text: str) -> str:
    """Return one line of text with everything escaped that could steer a terminal or forge a line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def wrapped(text: str, within: int) -> list[str]:
    """Return the lines of `text`, none longer than `within`. Line breaks in it are kept."""
    lines: list[str] = []
    for line in text.split("\n"):
        lines += textwrap.wrap(plain(line), within, break_on_hyphens=False) or [""]
    return lines


def short(key_id: str) -> str:
    """Return the beginning of an id: enough to tell keys apart, and to find one in the provider's console."""
    return key_id if len(key_id) <= _LONGEST_ID_SHOWN_WHOLE else f"{key_id[:_SHORT_ID]}..."


def paragraph(text: str, *, indent: str = "") -> str:
    """Return `text` wrapped to the width of the terminal; lines after the first are indented further."""
    hanging = indent + _GAP
    lines = wrapped(text, width() - len(hanging))
    return "\n".join((hanging if number else indent) + line for number, line in enumerate(lines))


Paint = Callable[[str], str]
"""Returns a line of a cell with colours around it. What is shown of it, and so its width, stays the same."""


def coloured() -> bool:
    """Return whether standard output is a terminal that shows colours, to somebody who wants them.

    https://no-color.org: any text in NO_COLOR means that nobody does.
    """
    from rotator.credentials import variable  # noqa: PLC0415 (--help does not need it)

    plain_terminal = variable("TERM") in (None, "dumb")
    return sys.stdout.isatty() and not plain_terminal and variable("NO_COLOR") is None


def table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], paints: Mapping[int, Paint] | None = None
) -> str:
    """Return a table whose last column is wrapped to fit; blocks of `title: value` where that can't be.

    `paints` colours columns, by their number, where that is wanted.
    """
    paints = paints if paints and coloured() else {}
    cells = [[[plain(row[0])], *(wrapped(cell, _MOST_OTHER) for cell in row[1:])] for row in rows]
    widths = [
        max(len(line) for line in [title, *(line for row in cells for line in row[column])])
        for column, title in enumerate(titles[:-1])
    ]
    left = width() - sum(widths) - len(_GAP) * len(widths)
    if left < _LEAST_LAST:
        return "\n\n".join(_block(titles, row, paints) for row in rows)
    lines = [_row([[title] for title in titles], widths, {})]
    lines += [
        _row([*parts[:-1], wrapped(row[-1], left)], widths, paints)
        for parts, row in zip(cells, rows, strict=True)
    ]
    return "\n".join(lines)


def emit(text: str) -> None:
    """Write a result to standard output. Nobody reading it any more is no error, nor is a narrow encoding.

    Raise Unwritten when it can't be written for another reason, such as a full disk.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        _drop(sys.stdout)
        if error.errno != errno.EPIPE:
            raise Unwritten(error) from None


def complain(text: str) -> None:
    """Write for people to standard error, each line escaped. When it takes nothing, there is nobody to tell."""
    with contextlib.suppress(OSError):
        sys.stderr.write("\n".join(plain(line) for line in text.split("\n")) + "\n")


def _row(cells: Sequence[Sequence[str]], widths: Sequence[int], paints: Mapping[int, Paint]) -> str:
    lines = []
    for number in range(max(len(cell) for cell in cells)):
        parts = [cell[number] if number < len(cell) else "" for cell in cells]
        padded = [
            paints.get(column, str)(part) + " " * (size - len(part))
            for column, (part, size) in enumerate(zip(parts, [*widths, 0], strict=True))
        ]
        lines.append(_GAP.join(padded).rstrip())
    return "\n".join(lines)


def _block(titles: Sequence[str], row: Sequence[str], paints: Mapping[int, Paint]) -> str:
    indent = max(len(title) for title in titles) + len(_GAP)
    lines = []
    for column, (title, cell) in enumerate(zip(titles, row, strict=True)):
        for number, line in enumerate(wrapped(cell, max(width() - indent, 10))):
            shown = paints.get(column, str)(line)
            lines.append(((title if number == 0 else "").ljust(indent) + shown).rstrip())
    return "\n".join(lines)
