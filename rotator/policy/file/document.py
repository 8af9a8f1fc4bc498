"""A YAML text as nodes that know where they stand. No value is guessed: a scalar stays the text it is.

Only a part of YAML is read: one document, no tags, no merge keys, a bounded size. Aliases are followed,
and what they unfold to counts. No message shows any of the text, because a secret may stand anywhere in a
file that can't be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from rotator.errors import PolicyError, Problem
from rotator.policy.names import may_hold_secret

MOST_BYTES = 10 * 1024 * 1024
MOST_NODES = 200_000
DEEPEST = 50

EXPANSION_HINT = "write the value itself; a secret is referred to as `{env: NAME}`"
"""What to do without `${...}`, for the hints of error messages."""

_UNREADABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SHOWN_IN_PATHS = re.compile(r"[A-Za-z0-9._@:+/-]{1,80}")

# libyaml's texts, to ours. All others become `not valid YAML`: no text of a lower layer is passed on.
_SYNTAX = {
    "mapping values are not allowed in this context": "a `:` where none can be; quote the text or mend the indentation",
    "did not find expected key": "not a `key: value` line of this block; mend the indentation",
    "did not find expected '-' indicator": "not a `- item` line of this list; mend the indentation",
    "did not find expected ',' or ']'": "a list in `[ ]` is not closed, or lacks a `,`",
    "did not find expected ',' or '}'": "a mapping in `{ }` is not closed, or lacks a `,`",
    "did not find expected node content": "a value is missing",
    "could not find expected ':'": "a key without its `:`",
    "found character that cannot start any token": "a text can't begin with this character (a tab, `@`, `%` or a backquote); quote it",
    "found a tab character that violates indentation": "a tab where only spaces can indent",
    "found unexpected end of stream": "a quoted text is not closed",
    "found unknown escape character": "an unknown escape in double quotes; use single quotes",
    "found undefined tag handle": "a tag; tags are not used here",
    "found unexpected document indicator": "a quoted text is not closed before `---` or `...`",
    "found incompatible YAML document": "a YAML version that is not known here; remove the `%YAML` line",
    "block sequence entries are not allowed in this context": "a `-` where none can be; quote the text or mend the indentation",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A text as written. `plain` means without quotes, so that `true`, `null` and numbers may be meant.

    In all nodes, `line` and `column` of `file` count from 1 and `path` is the place in the document; an alias
    is where its anchor is.
    """

    file: str
    line: int
    column: int
    path: str
    text: str
    plain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list."""

    file: str
    line: int
    column: int
    path: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A mapping. `names` holds the keys as they stand; `repeated` those that came again and lost."""

    file: str
    line: int
    column: int
    path: str
    names: dict[str, Scalar]
    values: dict[str, Node]
    repeated: tuple[Scalar, ...] = ()


Node: TypeAlias = Scalar | Sequence | Mapping


@dataclass(slots=True)
class Budget:
    """How many values may still be read, from all files together, with aliases unfolded."""

    left: int = MOST_NODES


def parse(text: bytes, *, file: str, begins: str, budget: Budget | None = None) -> Node:
    """Return the one document in `text`. Raise PolicyError with the first thing that can't be read.

    `begins` is how such a file begins, for whoever gave an empty one.
    """
    source = _decode(text, file)
    composer = _Composer(source, file, begins, budget or Budget())
    try:
        return composer.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        if mark and source[mark.index - 1 : mark.index + 1] == "${":
            raise _unreadable(file, line, column - 1, "`${...}` is not expanded", EXPANSION_HINT) from None
        what = _SYNTAX.get(error.problem or "", "")
        raise _unreadable(file, line, column, f"not valid YAML{what and ': '}{what}") from None
    except yaml.YAMLError:
        raise _unreadable(file, 0, 0, "not valid YAML") from None


def _decode(text: bytes, file: str) -> str:
    if len(text) > MOST_BYTES:
        raise _unreadable(file, 0, 0, f"larger than {MOST_BYTES // 1024 // 1024} MiB")
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _unreadable(file, 1, 1, "UTF-16 or UTF-32 text", "save the file as UTF-8")
    try:
        source = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _place(text[: error.start].decode("utf-8", "replace"))
        raise _unreadable(file, line, column, "not UTF-8 text", "save the file as UTF-8") from None
    if found := _UNREADABLE.search(source):
        line, column = _place(source[: found.start()])
        raise _unreadable(file, line, column, "a control character, which YAML does not allow")
    return source


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _unreadable(file: str, line: int, column: int, what: str, hint: str = "") -> PolicyError:
    return PolicyError((Problem(file=file, line=line, column=column, path="", what=what, hint=hint),))


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A finished node that an alias may name, with the number of its nodes and of its levels."""

    node: Node
    size: int
    height: int


class _Composer:
    """Builds nodes from libyaml's events, and stops before a text unfolds to more than can be meant."""

    def __init__(self, source: str, file: str, begins: str, budget: Budget) -> None:
        self._events: Iterator[yaml.Event] = iter(yaml.parse(source, Loader=yaml.CSafeLoader))
        self._file = file
        self._begins = begins
        self._budget = budget
        self._anchors: dict[str, _Anchored] = {}
        self._deepest = 0

    def document(self) -> Node:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _unreadable(self._file, 0, 0, "the file is empty", f"it begins with `{self._begins}`")
        node = self._node(next(self._events), "", 1)
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._refuse(after, "a second document", "one file holds one document: remove the `---`")
        return node

    def _node(self, event: yaml.Event, path: str, depth: int) -> Node:
        self._spend(1, event, depth)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise self._refuse(event, "a value is missing")
        if event.tag is not None:
            raise self._refuse(event, "a tag (`!...`)", "tags are not used here; for a text write quotes")
        outer, self._deepest, left = self._deepest, depth, self._budget.left
        file, (line, column) = self._file, _mark(event)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0]
            node = Scalar(file=file, line=line, column=column, path=path, text=event.value, plain=plain)
        elif isinstance(event, yaml.SequenceStartEvent):
            items = tuple(self._items(path, depth))
            node = Sequence(file=file, line=line, column=column, path=path, items=items)
        else:
            node = self._mapping(path, depth, line, column)
        if event.anchor is not None:
            size, height = left - self._budget.left + 1, self._deepest - depth
            self._anchors[event.anchor] = _Anchored(node, size, height)
        self._deepest = max(outer, self._deepest)
        return node

    def _alias(self, event: yaml.AliasEvent, depth: int) -> Node:
        anchored = self._anchors.get(event.anchor or "")
        if anchored is None:
            raise self._refuse(event, "an alias (`*...`) without its anchor (`&...`) above it")
        self._deepest = max(self._deepest, depth + anchored.height)
        self._spend(anchored.size, event, depth + anchored.height)
        return anchored.node

    def _items(self, path: str, depth: int) -> Iterator[Node]:
        event = next(self._events)
        index = 0
        while not isinstance(event, yaml.SequenceEndEvent):
            yield self._node(event, f"{path}[{index}]", depth + 1)
            event = next(self._events)
            index += 1

    def _mapping(self, path: str, depth: int, line: int, column: int) -> Mapping:
        names: dict[str, Scalar] = {}
        values: dict[str, Node] = {}
        repeated: list[Scalar] = []
        event = next(self._events)
        while not isinstance(event, yaml.MappingEndEvent):
            name = self._node(event, path, depth + 1)
            if not isinstance(name, Scalar) or not name.text:
                raise self._refuse(event, "a key that is not a text")
            shown = name.text if _shown_in_paths(name.text) else "?"
            below = f"{path}.{shown}" if path else shown
            value = self._node(next(self._events), below, depth + 1)
            if name.text in names:
                repeated.append(name)
            else:
                names[name.text], values[name.text] = name, value
            event = next(self._events)
        return Mapping(
            file=self._file,
            line=line,
            column=column,
            path=path,
            names=names,
            values=values,
            repeated=tuple(repeated),
        )

    def _spend(self, count: int, event: yaml.Event, depth: int) -> None:
        self._budget.left -= count
        if self._budget.left < 0:
            raise self._refuse(event, f"more than {MOST_NODES} values, with aliases unfolded")
        if depth > DEEPEST:
            raise self._refuse(event, f"more than {DEEPEST} levels, with aliases unfolded")

    def _refuse(self, event: yaml.Event, what: str, hint: str = "") -> PolicyError:
        line, column = _mark(event)
        return _unreadable(self._file, line, column, what, hint)


def _shown_in_paths(name: str) -> bool:
    return _SHOWN_IN_PATHS.fullmatch(name) is not None and not may_hold_secret(name)


def _mark(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)
