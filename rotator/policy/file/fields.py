"""Reading one mapping, option by option, so that every problem of a file is told at once, each at its place.

A value that can't be used is told and replaced by a stand-in, and reading goes on; nothing with a stand-in in it
leaves `load`, because it raises when anything was told.
"""

from __future__ import annotations

from typing import TypeVar

from rotator.plural import count
from rotator.policy.file.document import Mapping, Node, Sequence
from rotator.policy.file.option import Needed, Option, Section
from rotator.policy.file.problems import (
    Complaints,
    Refused,
    allowed,
    describe,
    is_hidden,
    is_null,
    tell_repeated,
)

T = TypeVar("T")


class Fields:
    """What is written for one section. `close` tells of every key that no option asked for."""

    def __init__(
        self,
        node: Node | None,
        section: Section,
        complaints: Complaints,
        *,
        within: Fields | None = None,
        guarded: bool = False,
    ) -> None:
        """Begin to read `node`; None and an empty value count as an empty mapping.

        With `within`, what is refused here is known there as `SECTION.NAME`. With `guarded`, no key that is found here
        is shown.
        """
        self.section = section
        self.complaints = complaints
        self._guarded = section.guarded or guarded
        self._asked: list[str] = []
        self._refused: set[str] = set() if within is None else within._refused  # noqa: SLF001 (its own kind)
        self._prefix: str = "" if within is None else f"{within._prefix}{section.name}."  # noqa: SLF001 (its own kind)
        self._place = node
        self._mapping = node if isinstance(node, Mapping) else None
        self._wrong_kind = node is not None and self._mapping is None and not is_null(node)
        if node is not None and self._wrong_kind:
            complaints.tell(node, f"{describe(node)} where a mapping (`key: value`) is expected")

    def node(self, name: str) -> Node | None:
        """Return what is written for `name`, None if nothing is. The name counts as known from now on."""
        if name not in self._asked:
            self._asked.append(name)
        return self._mapping.values.get(name) if self._mapping else None

    def take(self, option: Option[T] | Needed[T]) -> T:
        """Return the option as it is understood; where it is not given or refused, its default or stand-in."""
        node = self.node(option.name)
        instead = option.default if isinstance(option, Option) else option.stand_in
        if node is None:
            if isinstance(option, Needed):
                self._tell_missing(option)
            return instead
        try:
            return option.kind.read(node if option.kind.null else _given(node))
        except Refused as refusal:
            self._refused.add(self._prefix + option.name)
            self.complaints.tell(refusal.at or node, refusal.what, refusal.hint)
            return instead

    def refuse(self, option: Option[T] | Needed[T], what: str, hint: str) -> None:
        """Tell that what is written for an option can't be used, although it is a value of its kind."""
        node = self.node(option.name) or self._place
        self._refused.add(self._prefix + option.name)
        if node is not None:
            self.complaints.tell(node, what, hint)

    def _tell_missing(self, option: Needed[T]) -> None:
        self._refused.add(self._prefix + option.name)
        if self._place is not None and not self._wrong_kind:
            self.complaints.tell(self._place, f"`{option.name}` is missing", option.hint)

    def below(self, section: Section) -> Fields:
        """Return a section of this one, to be read and closed in the same way."""
        return Fields(self.node(section.name), section, self.complaints, within=self, guarded=self._guarded)

    def each(self, section: Section) -> tuple[Fields, ...]:
        """Return the items of a list, each to be read and closed in the same way. `null` is a list of none."""
        node = self.node(section.name)
        if node is None or is_null(node):
            return ()
        most = section.most or 0
        if isinstance(node, Sequence) and 0 < len(node.items) <= most:
            return tuple(Fields(item, section, self.complaints, within=self) for item in node.items)
        self._refused.add(self._prefix + section.name)
        what = f"{describe(node)} where a list of up to {most} mappings is expected"
        self.complaints.tell(node, what, "write `[{...}]`, or `null` for none")
        return ()

    def usable(self, *names: str) -> bool:
        """Return whether none of these options, such as `prove.deadline`, was refused."""
        return self._refused.isdisjoint(names)

    def last_of(self, *names: str) -> Node | None:
        """Return the value, among these options, that stands last in the files; None if none is given."""
        return self.complaints.last([node for node in map(self.node, names) if node is not None])

    def close(self) -> None:
        """Tell of keys that are unknown, can't be used, or are given twice."""
        if self._mapping is None:
            return
        for name, key in self._mapping.names.items():
            if name not in self._asked:
                hidden = self._guarded or is_hidden(name)
                path = self._mapping.path if hidden else self._mapping.values[name].path
                self.complaints.tell(key, *self._unknown(name), path=path)
        tell_repeated(self._mapping, self.complaints, guarded=self._guarded)

    def _unknown(self, name: str) -> tuple[str, str]:
        if name in self.section.refused:
            return self.section.refused[name]
        if name == "<<":
            return "merge keys (`<<`) are not used here", "write shared options under `defaults`"
        what = "unknown key"
        if is_hidden(name):
            what = f"an unknown key of {count(len(name), 'character')}"
        elif not name.isascii():
            what = "an unknown key with letters outside ASCII, which may look like others"
        return what, allowed(name, tuple(self._asked))


def _given(node: Node) -> Node:
    if is_null(node):
        raise Refused("no value", "write one, or remove the key")
    return node
