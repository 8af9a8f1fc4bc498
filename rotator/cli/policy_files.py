"""The policy file and the files of policies that go with it: found, and read whole."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from rotator.cli import exits, files
from rotator.cli.failures import Failure
from rotator.credentials import exchangeable
from rotator.policy.file.document import MOST_BYTES
from rotator.policy.load import MOST_FILES, Included, included_by, load
from rotator.policy.settings import PolicyFile

_GLOB = re.compile(r"[*?\[]")

_OPEN_TO_ALL = "every user of this machine can change it, and so decide what is done with our credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTexts:
    """What one policy file and those that go with it hold. `name` is what messages call the policy file."""

    name: str
    text: bytes = field(repr=False)
    included: tuple[Included, ...]

    @property
    def digest(self) -> str:
        """A hash of all of it, in hexadecimal, that changes with every byte, name and reason why a file can't be read."""
        whole = hashlib.sha256(_framed(self.text))
        for one in self.included:
            for part in (one.name.encode(), one.text, one.unread.encode()):
                whole.update(_framed(part))
        return whole.hexdigest()

    def load(self) -> PolicyFile:
        """Return what they say. Raise PolicyError when something in them is wrong."""
        return load(self.text, name=self.name, included=self.included)


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(8, "big") + part


def read(main: Path, further: Iterable[Path]) -> PolicyTexts:
    """Return the policy file, what it includes, and further files of policies, each file once.

    Raise Failure when the policy file can't be read; of another file that is kept in its place.
    """
    text = files.read(
        main,
        "policy file",
        most_bytes=MOST_BYTES,
        cure="name it with --config PATH or ROTATOR_CONFIG, and let this user read it",
        status=exits.BAD_POLICY,
    )
    opened = _open_to_all(main)
    if opened is not None:
        raise Failure(
            f"the policy file {main} is not used",
            why=_OPEN_TO_ALL,
            cure=f"take that right from them: chmod o-w {opened}",
            status=exits.BAD_POLICY,
        )
    found: dict[Path, Included] = {}
    left = MOST_BYTES - len(text)
    for path, unread in _named(main, _included_by(text, str(main)), further):
        if path in found or path == main:
            continue
        if len(found) == MOST_FILES:
            found[path] = Included(name=str(path), unread=f"more than {MOST_FILES} files are included")
            break
        found[path] = Included(name=str(path), unread=unread) if unread else _included(path, left)
        left -= len(found[path].text)
    return PolicyTexts(name=str(main), text=text, included=tuple(found.values()))


@lru_cache(maxsize=1)
def _included_by(text: bytes, name: str) -> tuple[str, ...]:
    """Return what a file includes: the service reads the same one every other second."""
    return included_by(text, name=name)


def _named(main: Path, patterns: Iterable[str], further: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield each file that goes with `main`, and "", or a folder that can't be looked through, and why."""
    for pattern in patterns:
        try:
            yield from [(path, "") for path in _below(main.parent, pattern)]
        except OSError as error:
            why = error.strerror or type(error).__name__
            yield Path(error.filename), f"{why}; see that the folder is there, or take it out of `include`"
    yield from ((path, "") for path in further)


def _below(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield what a path or a glob names in a folder, in the order of the names. Raise OSError.

    As in a shell, a glob names nothing that begins with a dot, unless it begins with one itself: that leaves out what
    editors keep beside a file, and the folders that Kubernetes links to.
    """
    first, _, rest = pattern.partition("/")
    found = [folder / first]
    if _GLOB.search(first):
        inside = sorted(path for path in folder.iterdir() if _matches(path.name, first))
        found = [path for path in inside if not rest or path.is_dir()]
    for path in found:
        yield from _below(path, rest) if rest else [path]


def _matches(name: str, glob: str) -> bool:
    return fnmatchcase(name, glob) and (glob.startswith(".") or not name.startswith("."))


def _open_to_all(path: Path) -> Path | None:
    """Return the file if every user may write into it, or the folder in which they may exchange it; None without one."""
    with suppress(OSError):  # read a moment ago, and gone by now
        return path if path.stat().st_mode & stat.S_IWOTH else exchangeable(path, stat.S_IWOTH)
    return None


def _included(path: Path, left: int) -> Included:
    try:
        text = files.content(path, most_bytes=MOST_BYTES)
    except files.UnreadableError as error:
        return Included(name=str(path), unread=str(error))
    if _open_to_all(path) is not None:
        return Included(name=str(path), unread=_OPEN_TO_ALL)
    if len(text) > left:
        unread = f"it and the files before it are larger than {MOST_BYTES // 1024 // 1024} MiB"
        return Included(name=str(path), unread=unread)
    return Included(name=str(path), text=text)
