"""What is wrong with the files: told at its place, all at once, and without any text that may be a secret."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import lru_cache

from rotator.errors import PolicyError, Problem
from rotator.plural import count
from rotator.policy.file.document import Mapping, Node, Scalar, Sequence
from rotator.policy.names import may_hold_secret

MOST_TOLD = 1000
"""So many problems are told at once; more can't be read by anybody."""

_LONGEST_ECHO = 24
_LONGEST_GUESS = 40
_MOST_GUESSES = 1000
_MOST_LISTED = 30
_NULL = frozenset({"", "~", "null", "Null", "NULL"})


class Refused(Exception):
    """A value can't be used: what is wrong and what to write instead. `Fields` catches it and tells.

    `at` is the part of the value that is wrong, None for the whole.
    """

    def __init__(self, what: str, hint: str = "", *, at: Node | None = None) -> None:
        """Keep both; neither holds text found where a secret may stand."""
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.at = at


@dataclass(frozen=True, slots=True)
class Complaints:
    """All problems told so far of some files. The same problem told twice, through `defaults`, counts once."""

    files: tuple[str, ...]
    _told: dict[tuple[str, int, int, str, str], Problem] = field(default_factory=dict)

    def tell(self, node: Node, what: str, hint: str = "", *, path: str | None = None) -> None:
        """Add a problem at `node`. `path` is for a key: a key's own path is that of its mapping.

        Raise PolicyError when there are more than anybody reads.
        """
        where = node.path if path is None else path
        self.add(
            Problem(file=node.file, line=node.line, column=node.column, path=where, what=what, hint=hint)
        )

    def add(self, problem: Problem) -> None:
        """Add a problem that is known whole. Raise PolicyError when there are more than anybody reads."""
        key = (problem.file, problem.line, problem.column, problem.path, problem.what)
        self._told.setdefault(key, problem)
        if len(self._told) > MOST_TOLD:
            what = f"more than {MOST_TOLD} problems; the others are not told"
            rest = Problem(file=self.files[0], line=0, column=0, path="", what=what)
            raise PolicyError((*self.in_file_order()[:MOST_TOLD], rest))

    def raise_any(self) -> None:
        """Raise PolicyError when anything was told."""
        if self._told:
            raise PolicyError(self.in_file_order())

    def in_file_order(self) -> tuple[Problem, ...]:
        """Return all problems, from the top of the first file to the end of the last."""
        return tuple(sorted(self._told.values(), key=lambda one: self._order(one.file, one.line, one.column)))

    def last(self, nodes: list[Node]) -> Node | None:
        """Return the node that stands last in the files, None if there is none."""
        return max(nodes, key=lambda node: self._order(node.file, node.line, node.column), default=None)

    def _order(self, file: str, line: int, column: int) -> tuple[int, int, int]:
        return self.files.index(file), line, column


def is_null(node: Node) -> bool:
    """Return whether `node` is an empty value or a plain `null`."""
    return isinstance(node, Scalar) and node.plain and node.text in _NULL


def describe(node: Node) -> str:
    """Return the kind and size of `node`, and nothing of its text."""
    if is_null(node):
        return "no value"
    if isinstance(node, Scalar):
        return f"a text of {count(len(node.text), 'character')}"
    if isinstance(node, Sequence):
        return f"a list of {count(len(node.items), 'item')}"
    return f"a mapping of {count(len(node.names), 'key')}"


def shown(text: str) -> str:
    """Return a short `text` in backquotes, and of a long or unprintable one only its length.

    Letters outside ASCII are escaped: some look like others.
    """
    if len(text) <= _LONGEST_ECHO and text.isprintable():
        return f"`{text.encode('ascii', 'backslashreplace').decode()}`"
    return f"a text of {count(len(text), 'character')}"


def is_hidden(name: str) -> bool:
    """Return whether a key is not shown, because a secret may have been pasted in its place."""
    return len(name) > _LONGEST_ECHO or may_hold_secret(name)


@lru_cache(maxsize=MOST_TOLD)
def allowed(found: str, names: tuple[str, ...]) -> str:
    """Return the hint for a name that is not among `names`: the likeliest one, then all, or how many there are."""
    guessable = len(found) <= _LONGEST_GUESS and len(names) <= _MOST_GUESSES
    close = difflib.get_close_matches(found, names, n=1) if guessable else []
    guess = f"did you mean `{close[0]}`? " if close else ""
    listed = ", ".join(sorted(names)) if len(names) <= _MOST_LISTED else f"one of {len(names)} names"
    return f"{guess}allowed: {listed or 'none'}"


def tell_repeated(mapping: Mapping, complaints: Complaints, *, guarded: bool = False) -> None:
    """Tell of keys that are given twice. With `guarded`, and of long ones, by their place only."""
    for key in mapping.repeated:
        hidden = guarded or is_hidden(key.text)
        path = mapping.path if hidden else mapping.values[key.text].path
        complaints.tell(key, "given twice", f"the first is on line {mapping.names[key.text].line}", path=path)
