"""Reading options from nodes, so that every problem of a file is told at once, each at its place.

`Fields` reads one mapping, option by option. A value that can't be used is told and replaced by a stand-in,
and reading goes on; nothing with a stand-in in it leaves `load`, because it raises when anything was told.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator
from collections.abc import Mapping as ReadOnlyDict
from dataclasses import dataclass, field
from typing import TypeVar

from rotator.errors import Problem
from rotator.policy.document import Mapping, Node, Scalar, Sequence
from rotator.policy.names import may_hold_secret

T = TypeVar("T")

_LONGEST_ECHO = 24
_LONGEST_GUESS = 40
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
    """All problems told so far of one file. The same problem told twice, through `defaults`, counts once."""

    file: str
    _told: dict[tuple[int, int, str, str], Problem] = field(default_factory=dict)

    def tell(self, node: Node, what: str, hint: str = "", *, path: str | None = None) -> None:
        """Add a problem at `node`. `path` is for a key: a key's own path is that of its mapping."""
        where = node.path if path is None else path
        problem = Problem(
            file=self.file, line=node.line, column=node.column, path=where, what=what, hint=hint
        )
        self._told.setdefault((node.line, node.column, where, what), problem)

    def in_file_order(self) -> tuple[Problem, ...]:
        """Return all problems, from the top of the file to its end."""
        return tuple(sorted(self._told.values(), key=lambda problem: (problem.line, problem.column)))


class Fields:
    """One mapping, read option by option. `close` tells of every key that no option asked for.

    `later` names options that a later version has, each with what to do without it. With `guarded`, names
    found here are never shown, because a secret may have been pasted in their place.
    """

    def __init__(
        self,
        node: Node | None,
        complaints: Complaints,
        *,
        later: ReadOnlyDict[str, str] | None = None,
        guarded: bool = False,
        within: Fields | None = None,
        prefix: str = "",
    ) -> None:
        """Begin to read `node`; None and an empty value count as an empty mapping.

        With `within`, what is refused here is known there as `PREFIX.NAME`.
        """
        self.complaints = complaints
        self._later = later or {}
        self._guarded = guarded
        self._asked: list[str] = []
        self._refused: set[str] = set() if within is None else within._refused  # noqa: SLF001 (its own kind)
        self._prefix = prefix
        self._mapping: Mapping | None = None
        if isinstance(node, Mapping):
            self._mapping = node
        self._wrong_kind = node is not None and self._mapping is None and not is_null(node)
        if node is not None and self._wrong_kind:
            complaints.tell(node, f"{describe(node)} where a mapping (`key: value`) is expected")

    def node(self, name: str) -> Node | None:
        """Return what is written for `name`, None if nothing is. The name counts as known from now on."""
        if name not in self._asked:
            self._asked.append(name)
        return self._mapping.values.get(name) if self._mapping else None

    def take(self, name: str, read: Callable[[Node], T], default: T) -> T:
        """Return the option as `read` understands it, `default` where it is not given or refused."""
        node = self.node(name)
        if node is None:
            return default
        try:
            return read(_given(node))
        except Refused as refusal:
            self._refused.add(self._prefix + name)
            self.complaints.tell(refusal.at or node, refusal.what, refusal.hint)
            return default

    def take_or_none(self, name: str, read: Callable[[Node], T], default: T | None) -> T | None:
        """Return the option as `take` does; a written `null` means None."""
        node = self.node(name)
        return None if node is not None and is_null(node) else self.take(name, read, default)

    def need(self, owner: Node, name: str, read: Callable[[Node], T], stand_in: T, *, hint: str = "") -> T:
        """Return an option that has no default. `owner` is where it is told that it is missing."""
        if self.node(name) is None:
            self._refused.add(self._prefix + name)
            if not self._wrong_kind:
                self.complaints.tell(owner, f"`{name}` is missing", hint)
        return self.take(name, read, stand_in)

    def section(self, name: str, *, later: ReadOnlyDict[str, str] | None = None) -> Fields:
        """Return the mapping below `name`, to be read and closed in the same way."""
        prefix = f"{self._prefix}{name}."
        return Fields(self.node(name), self.complaints, later=later, within=self, prefix=prefix)

    def usable(self, *names: str) -> bool:
        """Return whether none of these options, such as `prove.deadline`, was refused."""
        return self._refused.isdisjoint(names)

    def last_of(self, *names: str) -> Node | None:
        """Return the value, among these options, that stands last in the file; None if none is given."""
        given = [node for node in map(self.node, names) if node is not None]
        return max(given, key=lambda node: (node.line, node.column), default=None)

    def close(self) -> None:
        """Tell of keys that are unknown, come later, or are given twice."""
        if self._mapping is None:
            return
        for name, key in self._mapping.names.items():
            if name not in self._asked:
                hidden = self._guarded or _hidden(name)
                path = self._mapping.path if hidden else self._mapping.values[name].path
                self.complaints.tell(key, *self._unknown(name), path=path)
        tell_repeated(self._mapping, self.complaints, guarded=self._guarded)

    def _unknown(self, name: str) -> tuple[str, str]:
        if name in self._later:
            return "this version does not have this option yet", self._later[name]
        if name == "<<":
            return "merge keys (`<<`) are not used here", "write shared options under `defaults`"
        what = f"an unknown key of {_count(len(name), 'character')}" if _hidden(name) else "unknown key"
        return what, allowed(name, self._asked)


def _given(node: Node) -> Node:
    if is_null(node):
        raise Refused("no value", "write one, or remove the key")
    return node


def tell_repeated(mapping: Mapping, complaints: Complaints, *, guarded: bool = False) -> None:
    """Tell of keys that are given twice. With `guarded`, and of long ones, by their place only."""
    for key in mapping.repeated:
        hidden = guarded or _hidden(key.text)
        path = mapping.path if hidden else mapping.values[key.text].path
        complaints.tell(key, "given twice", f"the first is on line {mapping.names[key.text].line}", path=path)


def _hidden(name: str) -> bool:
    """Return whether a key is not shown, because a secret may have been pasted in its place."""
    return len(name) > _LONGEST_ECHO or may_hold_secret(name)


def is_null(node: Node) -> bool:
    """Return whether `node` is an empty value or a plain `null`."""
    return isinstance(node, Scalar) and node.plain and node.text in _NULL


def describe(node: Node) -> str:
    """Return the kind and size of `node`, and nothing of its text."""
    if is_null(node):
        return "no value"
    if isinstance(node, Scalar):
        return f"a text of {_count(len(node.text), 'character')}"
    if isinstance(node, Sequence):
        return f"a list of {_count(len(node.items), 'item')}"
    return f"a mapping of {_count(len(node.names), 'key')}"


def shown(text: str) -> str:
    """Return a short `text` in backquotes, and of a long or unprintable one only its length."""
    if len(text) <= _LONGEST_ECHO and text.isprintable():
        return f"`{text}`"
    return f"a text of {_count(len(text), 'character')}"


def allowed(found: str, names: Collection[str]) -> str:
    """Return the hint for a name that is not among `names`: the likeliest one, then all."""
    close = difflib.get_close_matches(found, names, n=1) if len(found) <= _LONGEST_GUESS else []
    guess = f"did you mean `{close[0]}`? " if close else ""
    return f"{guess}allowed: {', '.join(sorted(names)) or 'none'}"


def items_of(node: Node | None, complaints: Complaints) -> Iterator[Node]:
    """Yield the items of a list, after telling if it is none."""
    if isinstance(node, Sequence):
        yield from node.items
    elif node is not None:
        complaints.tell(node, f"{describe(node)} where a list (`- item`) is expected")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
