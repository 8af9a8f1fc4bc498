"""Read all records of the journal together, and say what they name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from rotator.errors import PortError, Rejected, RotatorError, TooNew
from rotator.model.entry import FieldNames
from rotator.model.key import shared
from rotator.model.lineage import Lineage
from rotator.model.record import Attempt, KnownKey
from rotator.ports import Journal, RecordRead

_AT_ONCE = 32
"""How many records are asked for at once: more than Vault is asked for at a time, and few enough to need no memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that stops part of the fleet from being looked at: Vault, a provider, a record, a key."""

    what: str
    error: RotatorError


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What reading all records gave, by lineage id: those that could be read, those that can't be, the others.

    `refused` stay unreadable until a person acts, `newer` are those of them that a newer version wrote; `waiting` could not
    be asked for just now.
    """

    read: Mapping[str, RecordRead]
    refused: frozenset[str]
    newer: frozenset[str]
    waiting: frozenset[str]
    troubles: tuple[Trouble, ...]

    def known_key_ids(self) -> frozenset[str]:
        """Return the ids of all keys that any record names."""
        return frozenset(
            key_id for one in self.read.values() if one.record for key_id in one.record.known_key_ids()
        )

    def retired_key_ids(self) -> frozenset[str]:
        """Return the ids of keys that were deleted of late, as far as records tell: an older list shows them still."""
        return frozenset(
            one.key_id for read in self.read.values() if read.record for one in read.record.retired
        )

    def currents(self, project_id: str) -> dict[str, KnownKey]:
        """Return the key that each lineage of a project serves."""
        return {
            lineage_id: one.record.current.key
            for lineage_id, one in self.read.items()
            if one.record is not None
            and one.record.current is not None
            and one.record.lineage.project_id == project_id
            and not one.record.forgotten
        }

    def served_by(self) -> dict[str, list[str]]:
        """Return which lineages serve each key."""
        lineages: dict[str, list[str]] = {}
        for lineage_id, one in self.read.items():
            if one.record is not None and one.record.current is not None:
                lineages.setdefault(one.record.current.key.key_id, []).append(lineage_id)
        return lineages


Answers = Mapping[str, RecordRead | PortError]
"""What reading some records gave, by their names."""


async def read_records(journal: Journal) -> Records:
    """Read every record. One that can't be read is a trouble; raise what `Journal.names` raises."""
    return sorted_out(await read_some(journal, await journal.names()))


async def read_some(journal: Journal, names: Sequence[str]) -> Answers:
    """Read the records of those names, a bounded number at a time."""
    pending = iter(names)  # shared: each reader takes the next
    answers: dict[str, RecordRead | PortError] = {}

    async def read_each() -> None:
        for name in pending:
            try:
                answers[name] = await journal.read(name)
            except PortError as error:
                answers[name] = error

    await asyncio.gather(*(read_each() for _ in range(min(_AT_ONCE, len(names)))))
    return answers


def sorted_out(answers: Answers) -> Records:
    """Return what reading all records gave as records, those that can't be read, and troubles."""
    read: dict[str, RecordRead] = {}
    refused: set[str] = set()
    newer: set[str] = set()
    waiting: set[str] = set()
    troubles = []
    for name, answer in answers.items():
        if isinstance(answer, PortError):
            troubles.append(Trouble(what=f"record {name}", error=answer))
            lineage_id = lineage_id_of(name)
            (refused if isinstance(answer, Rejected) else waiting).add(lineage_id)
            if isinstance(answer, TooNew):
                newer.add(lineage_id)
        elif answer.record is not None:
            read[answer.record.lineage.lineage_id] = answer
    return Records(
        read=read,
        refused=frozenset(refused),
        newer=frozenset(newer),
        waiting=frozenset(waiting),
        troubles=tuple(troubles),
    )


def brief(read: RecordRead, since: datetime, lineage: Lineage | None = None) -> RecordRead:
    """Return a record without what only a look at its own lineage needs, to be kept for long beside many others.

    Of attempts and history it keeps what began after `since`: how many rotations were started of late. Likewise of what was
    deleted. `lineage` is the one that is kept already, if there is one.
    """
    record = read.record
    if record is None:
        return read
    short = replace(
        record,
        lineage=lineage if record.lineage == lineage else record.lineage,
        current=None if record.current is None else replace(record.current, key=_brief(record.current.key)),
        originals=tuple(replace(one, key=_brief(one.key)) for one in record.originals),
        fields=_shared(record.fields),
        attempts=tuple(_brief_attempt(one) for one in record.attempts if one.intent_at > since),
        history=tuple(one for one in record.history if one.intent_at > since),
        retired=tuple(one for one in record.retired if one.revoked_at > since),
        orders=(),
        hold=None,
        unknown="",
    )
    return replace(read, record=short)


def _brief(key: KnownKey) -> KnownKey:
    return replace(
        key, asked_scopes=shared(key.asked_scopes), scopes=shared(key.scopes), tags=shared(key.tags)
    )


def _brief_attempt(attempt: Attempt) -> Attempt:
    return replace(
        attempt,
        asked_scopes=shared(attempt.asked_scopes),
        expected_scopes=shared(attempt.expected_scopes),
        tags=shared(attempt.tags),
        expected_tags=shared(attempt.expected_tags),
    )


@lru_cache(maxsize=256)
def _shared(fields: FieldNames) -> FieldNames:
    """Return the one value of these names that is kept."""
    return fields


def lineage_id_of(name: str) -> str:
    """Return the id of the lineage whose record has that name (`Lineage.record_name`)."""
    return name.rpartition("-")[2]
