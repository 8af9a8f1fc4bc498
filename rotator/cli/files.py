"""Files that a command line names: read whole, written whole or not at all."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from rotator.cli import exits
from rotator.cli.failures import Failure


def read(
    path: Path,
    noun: str,
    *,
    most_bytes: int,
    cure: str = "check its name and its mode",
    status: int = exits.FAILED,
) -> bytes:
    """Return what is in a regular file of at most so many bytes. Raise Failure when it can't be read.

    A pipe would be waited for, and a device could be read without end.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            content, why = None, "it is not a regular file"
        else:
            with path.open("rb") as file:
                content = file.read(most_bytes + 1)
            why = f"it is larger than {most_bytes // 1024 // 1024} MiB"
    except OSError as error:
        content, why = None, error.strerror or type(error).__name__
    if content is None or len(content) > most_bytes:
        raise Failure(f"the {noun} {path} can't be read", why=why, cure=cure, status=status)
    return content


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
