"""Files that a command line names: read whole, written whole or not at all."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from rotator.cli import exits
from rotator.cli.failures import Failure


class UnreadableError(Exception):
    """A file can't be read. The text says why."""


def content(path: Path, *, most_bytes: int) -> bytes:
    """Return what is in a regular file of at most so many bytes. Raise UnreadableError.

    A pipe would be waited for, and a device could be read without end.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableError("it is not a regular file")
        with path.open("rb") as file:
            found = file.read(most_bytes + 1)
    except OSError as error:
        raise UnreadableError(error.strerror or type(error).__name__) from None
    if len(found) > most_bytes:
        raise UnreadableError(f"it is larger than {most_bytes // 1024 // 1024} MiB")
    return found


def read(
    path: Path,
    noun: str,
    *,
    most_bytes: int,
    cure: str = "check its name and its mode",
    status: int = exits.FAILED,
) -> bytes:
    """Return what `content` does. Raise Failure when it can't be read."""
    try:
        return content(path, most_bytes=most_bytes)
    except UnreadableError as error:
        raise Failure(f"the {noun} {path} can't be read", why=str(error), cure=cure, status=status) from None


def write(path: Path, text: str, noun: str) -> None:
    """Put a file in place of the one that has that name, readable by this user only. Raise Failure."""
    if path.exists() and not path.is_file():
        raise Failure(
            f"the {noun} {path} can't be written", why="it is not a regular file", cure="give it another name"
        )
    try:
        # Made with mode 600 beside its place, so that nobody ever sees a part of it.
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            beside = Path(file.name)
            with _removed_on_error(beside):
                file.write(text)
                file.close()
                beside.replace(path)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Failure(
            f"the {noun} {path} can't be written", why=why, cure="check the folder, its mode, and the disk"
        ) from None


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
