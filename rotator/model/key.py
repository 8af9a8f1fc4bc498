"""Keys as a provider shows them, the mark that we put in their comments, and requests for new ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

_MARK = re.compile(r" ?\[rotator:1:([0-9a-f]{12}):([0-9a-f]{12}):([0-9a-f]{16})\]\Z")
_JOURNAL_ID = re.compile(r"[0-9a-f]{12}")
_ROTATION_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Mark:
    """Our suffix in a key's comment: which journal, which lineage, which attempt.

    Marks at a provider can't be edited later, so their form is versioned (`:1:`) and never changes. A mark
    finds a key; it does not prove that the key is ours (a person can copy a comment): see `plan.facts`.
    Raise ValueError when it could not be found again.
    """

    journal_id: str
    lineage_id: str
    rotation_id: str

    def __post_init__(self) -> None:
        if not _MARK.fullmatch(str(self)):
            raise ValueError("a mark is made of 12, 12 and 16 lower-case hexadecimal digits")

    def __str__(self) -> str:
        """Return the exact text that ends a marked comment."""
        return f"[rotator:1:{self.journal_id}:{self.lineage_id}:{self.rotation_id}]"

    def put_on(self, comment: str) -> str:
        """Return `comment` with this mark in place of any it ends with."""
        own = without_mark(comment)
        return f"{own} {self}" if own else str(self)


@lru_cache(maxsize=256)
def shared(names: frozenset[str]) -> frozenset[str]:
    """Return the one set of these names that is kept: many thousands of keys and lineages have few different ones."""
    return names


def is_journal_id(text: str) -> bool:
    """Return whether `text` has the form of a journal's id, so that it can stand in marks and be found there again."""
    return _JOURNAL_ID.fullmatch(text) is not None


def is_rotation_id(text: str) -> bool:
    """Return whether `text` has the form of a rotation id."""
    return _ROTATION_ID.fullmatch(text) is not None


def mark_of(comment: str) -> Mark | None:
    """Return the mark that `comment` ends with, if any."""
    found = _MARK.search(comment)
    return Mark(*found.groups()) if found else None


def without_mark(comment: str) -> str:
    """Return the operator's own comment: everything before our mark, or before several copied ones."""
    while found := _MARK.search(comment):
        comment = comment[: found.start()]
    return comment


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKey:
    """What is known of every key that a provider lists."""

    key_id: str
    comment: str
    mark: Mark | None = field(init=False, repr=False, compare=False)
    """The mark in the comment, if there is one. Looked for once: every look at a lineage asks it of every key."""
    operator_comment: str = field(init=False, repr=False, compare=False)
    """The comment without our mark."""

    def __post_init__(self) -> None:
        """Take the comment apart."""
        object.__setattr__(self, "mark", mark_of(self.comment))
        object.__setattr__(self, "operator_comment", without_mark(self.comment))


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(ListedKey):
    """One key at a provider, without its secret.

    `scopes` and `tags` are sets because providers reorder them. `expires_at` None means never.
    `member_id` is the account that owns the key, None where the provider does not say.
    """

    scopes: frozenset[str]
    tags: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    member_id: str | None

    @property
    def lifetime(self) -> timedelta | None:
        """The whole lifetime that the provider granted, None when it never expires."""
        return None if self.expires_at is None else self.expires_at - self.created_at

    def expired(self, now: datetime) -> bool:
        """Return whether the key has stopped working by `now` (the provider's clock)."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable(ListedKey):
    """A key that the provider lists, and whose details it does not give. It is not gone.

    `why` is what came instead of them.
    """

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """What is asked of a provider for a new key. `lifetime` None asks for a key that never expires."""

    comment: str
    scopes: frozenset[str]
    tags: frozenset[str]
    lifetime: timedelta | None


@dataclass(frozen=True, slots=True)
class _Index:
    """Where keys stand in a list: by their ids, and those with a mark by its lineage and by the operator's comment."""

    by_id: Mapping[str, int]
    marked_for: Mapping[str, list[int]]
    marked_like: Mapping[str, list[int]]


def _index_of(keys: Iterable[ListedKey]) -> _Index:
    by_id: dict[str, int] = {}
    marked_for: dict[str, list[int]] = {}
    marked_like: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        by_id.setdefault(key.key_id, place)
        if key.mark is not None:
            marked_for.setdefault(key.mark.lineage_id, []).append(place)
            marked_like.setdefault(key.operator_comment, []).append(place)
    return _Index(by_id, marked_for, marked_like)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All keys that our management key can see in one project, and who we are there.

    `at` is the provider's clock when it answered, `seen_at` ours. `management_key_id` is None only when the provider's
    self-check does not say it; nothing is revoked then. `unreadable` are listed beside `keys`.
    """

    keys: tuple[Key, ...]
    at: datetime
    seen_at: datetime
    management_key_id: str | None
    management_member_id: str | None
    unreadable: tuple[Unreadable, ...] = ()
    _places: list[_Index] = field(init=False, default_factory=list, repr=False, compare=False)

    @property
    def _index(self) -> _Index:
        """Where each key stands: a list is made once and asked about once for each lineage, or not at all."""
        if not self._places:
            self._places.append(_index_of(self.listed))
        return self._places[0]

    @property
    def skew(self) -> timedelta:
        """What the provider's clock was ahead of ours."""
        return self.at - self.seen_at

    @property
    def listed(self) -> tuple[ListedKey, ...]:
        """All keys of the list, readable or not."""
        return (*self.keys, *self.unreadable)

    def get(self, key_id: str) -> Key | None:
        """Return the key with that id, None when it can't be read, or when the list does not show it."""
        place = self._index.by_id.get(key_id)
        return None if place is None or place >= len(self.keys) else self.keys[place]

    def shows(self, key_id: str) -> bool:
        """Return whether the list has a key with that id, readable or not."""
        return key_id in self._index.by_id

    def concerning(
        self, lineage_id: str, *, named: Iterable[str], alike: Iterable[str]
    ) -> tuple[tuple[Key, ...], tuple[Unreadable, ...]]:
        """Return the keys, and those that can't be read, that concern a lineage, in the order of the list.

        They are `named` by their ids, marked for it, or marked by anybody with an operator's comment that is among `alike`.
        """
        index = self._index
        places = {index.by_id[key_id] for key_id in named if key_id in index.by_id}
        places.update(index.marked_for.get(lineage_id, ()))
        for comment in alike:
            places.update(index.marked_like.get(comment, ()))
        ordered, readable = sorted(places), len(self.keys)
        return (
            tuple(self.keys[place] for place in ordered if place < readable),
            tuple(self.unreadable[place - readable] for place in ordered if place >= readable),
        )

    def proves_absence(self, *, served_key_id: str | None) -> bool:
        """Return whether a key missing from this list is really gone.

        A demoted management key sees a partial list without an error. So the list counts only if it shows
        the key that the lineage serves, or failing that a key made by somebody else.
        """
        if served_key_id is not None and self.shows(served_key_id):
            return True
        return any(key.member_id not in (None, self.management_member_id) for key in self.keys)
