"""Look at all providers and all records together, and say which lineages there are and what each is to get.

Some things can't be known from one lineage alone: that two keys give one path, that one key is matched
twice, that most keys of a provider vanished in one look. They become holds of the lineages concerned; the
others go on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from rotator.errors import PortError, Rejected
from rotator.inventory.assignment import Assignment
from rotator.inventory.match import Project, Taken, covering, covers_moved, expected_lineage, taken_by
from rotator.model.key import Key, Listing
from rotator.model.lineage import Lineage
from rotator.model.reason import HoldReason
from rotator.model.record import Record
from rotator.policy.match import Exclusion
from rotator.policy.policy import Adopt, DestinationTemplate, Policy
from rotator.policy.settings import PolicyFile
from rotator.ports import Journal, Provider, RecordRead

ABSENT_AT_LEAST = 3
"""So many served keys must have vanished in one look, and more than half, before a whole provider is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One lineage that is to be reconciled.

    `provider` is the name in the file of the one that lists its keys, `record` what the survey read (None: there
    is no record).
    """

    assignment: Assignment
    provider: str
    record: RecordRead | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that stops part of the fleet from being looked at: a provider, or one record."""

    what: str
    error: PortError


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A key with our mark that no record leads to. Told, never touched."""

    provider: str
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All that one look showed. `excluded` counts, by provider, why policies did not take keys."""

    listings: Mapping[str, Listing]
    found: tuple[Found, ...]
    excluded: Mapping[str, Counter[Exclusion]]
    strays: tuple[Stray, ...]
    troubles: tuple[Trouble, ...]


async def survey(
    file: PolicyFile, providers: Mapping[str, Provider], journal: Journal, *, journal_id: str, namespace: str
) -> Fleet:
    """Return the whole fleet as it is now: one list per provider, each record once.

    A provider or a record that can't be read becomes a trouble and stops nothing else. Raise what
    `Journal.names` raises: without the journal nothing may be decided.
    """
    troubles: list[Trouble] = []
    records, unread = await _records(journal, troubles)
    projects = {
        settings.name: Project(settings=settings, namespace=namespace)
        for settings in file.providers
        if settings.name in providers
    }
    listings = await _listings(providers, troubles)
    taken = {
        name: taken_by(file.policies, projects[name], listing, journal_id, _known(records.values()))
        for name, listing in listings.items()
    }
    for name, some in taken.items():
        troubles += _unplaced(name, some)
    found = _without_clashes(
        [
            *_recorded(file.policies, projects, listings, records, taken, troubles),
            *_new(taken, records, unread),
            *_lost(file.policies, projects, listings, records, taken, journal_id),
        ]
    )
    return Fleet(
        listings=listings,
        found=tuple(sorted(found, key=lambda one: one.assignment.lineage.name)),
        excluded={name: some.excluded for name, some in taken.items()},
        strays=_strays(listings, found, unread, journal_id),
        troubles=tuple(troubles),
    )


async def _records(journal: Journal, troubles: list[Trouble]) -> tuple[dict[str, RecordRead], frozenset[str]]:
    """Return all readable records by lineage id, and the lineage ids of those that can't be read."""
    names = await journal.names()
    reads = await asyncio.gather(*(journal.read(name) for name in names), return_exceptions=True)
    records: dict[str, RecordRead] = {}
    unread = set()
    for name, read in zip(names, reads, strict=True):
        if isinstance(read, PortError):
            troubles.append(Trouble(what=f"record {name}", error=read))
            unread.add(name.rpartition("-")[2])
        elif isinstance(read, BaseException):
            raise read
        elif read.record is not None:
            records[read.record.lineage.lineage_id] = read
    return records, frozenset(unread)


async def _listings(providers: Mapping[str, Provider], troubles: list[Trouble]) -> dict[str, Listing]:
    answers = await asyncio.gather(*(p.list_keys() for p in providers.values()), return_exceptions=True)
    listings: dict[str, Listing] = {}
    for name, answer in zip(providers, answers, strict=True):
        if isinstance(answer, PortError):
            troubles.append(Trouble(what=f"provider {name}", error=answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            listings[name] = answer
    return listings


def _recorded(
    policies: tuple[Policy, ...],
    projects: Mapping[str, Project],
    listings: Mapping[str, Listing],
    records: Mapping[str, RecordRead],
    taken: Mapping[str, Taken],
    troubles: list[Trouble],
) -> Iterable[Found]:
    """Yield the lineages that have a record, covered by a policy or not."""
    currents = _currents(records.values())
    by_project = {project.settings.project_id: name for name, project in projects.items()}
    clashing = {lineage_id for some in taken.values() for lineage_id in some.keys_of}
    for lineage_id, read in records.items():
        record = read.record
        if record is None:
            continue
        name = by_project.get(record.lineage.project_id)
        if name is None or name not in listings:
            if name is None:
                what = f"lineage {record.lineage.name}"
                error = PortError("find provider", record.lineage.provider, "the policy file has none for it")
                troubles.append(Trouble(what=what, error=error))
            continue
        covered = covering(policies, projects[name], record, listings[name])
        hold = None
        if lineage_id in clashing:
            hold = HoldReason.DESTINATION_CLASH
        elif len(covered) > 1:
            hold = HoldReason.MATCHED_TWICE
        elif covers_moved(policies, projects[name], record, covered):
            hold = HoldReason.DESTINATION_MOVED
        elif _many_absent(listings[name], currents.get(record.lineage.project_id, {})):
            hold = HoldReason.MANY_ABSENT
        elsewhere = frozenset(
            key_id for some in currents.values() for other, key_id in some.items() if other != lineage_id
        )
        assignment = Assignment(
            lineage=record.lineage,
            policy=covered[0] if covered else _uncovered(record),
            matched_key_id=None,
            currents_elsewhere=elsewhere,
            fleet_hold=hold,
        )
        yield Found(assignment=assignment, provider=name, record=read)


def _new(
    taken: Mapping[str, Taken], records: Mapping[str, RecordRead], unread: frozenset[str]
) -> Iterable[Found]:
    """Yield the lineages that a policy begins: no record yet.

    A record that can't be read may name any of their keys; nothing is taken in meanwhile.
    """
    elsewhere = frozenset(k for some in _currents(records.values()).values() for k in some.values())
    for some in taken.values():
        for lineage_id, key_ids in some.keys_of.items():
            if lineage_id in records:
                continue
            lineage, policy = some.lineages[lineage_id]
            hold = None
            if len(key_ids) > 1:
                hold = HoldReason.DESTINATION_CLASH
            elif any(len(some.policies_of[key_id]) > 1 for key_id in key_ids):
                hold = HoldReason.MATCHED_TWICE
            elif unread:
                hold = HoldReason.RECORD_UNREADABLE
            assignment = Assignment(
                lineage=lineage,
                policy=policy,
                matched_key_id=min(key_ids),
                currents_elsewhere=elsewhere,
                fleet_hold=hold,
            )
            yield Found(assignment=assignment, provider=lineage.provider, record=None)


def _lost(
    policies: tuple[Policy, ...],
    projects: Mapping[str, Project],
    listings: Mapping[str, Listing],
    records: Mapping[str, RecordRead],
    taken: Mapping[str, Taken],
    journal_id: str,
) -> Iterable[Found]:
    """Yield the lineages that only marked keys lead to: their record was lost."""
    met = set(records) | {lineage_id for some in taken.values() for lineage_id in some.keys_of}
    for name, listing in listings.items():
        for key in listing.keys:
            mark = key.mark
            if mark is None or mark.journal_id != journal_id or mark.lineage_id in met:
                continue
            for policy in policies:
                lineage = expected_lineage(policy, projects[name], key)
                if lineage is not None:
                    met.add(mark.lineage_id)
                    assignment = Assignment(lineage=lineage, policy=policy, matched_key_id=None)
                    yield Found(assignment=assignment, provider=name, record=None)
                    break


def _without_clashes(found: list[Found]) -> list[Found]:
    """Return the lineages, those held that share a place in Vault: keys of two projects can give one path."""
    places = Counter(one.assignment.lineage.name for one in found)
    held = []
    for one in found:
        assignment = one.assignment
        if places[assignment.lineage.name] > 1:
            assignment = replace(assignment, fleet_hold=HoldReason.DESTINATION_CLASH)
        held.append(replace(one, assignment=assignment))
    return held


def _unplaced(provider: str, some: Taken) -> Iterable[Trouble]:
    """Yield the keys that have no place in Vault."""
    for key_id in some.unplaced:
        error = Rejected(
            "find a path for", key_id, "its comment or id makes no allowed path; name it under `keys:`"
        )
        yield Trouble(what=f"key {key_id} at {provider}", error=error)


def _strays(
    listings: Mapping[str, Listing], found: list[Found], unread: frozenset[str], journal_id: str
) -> tuple[Stray, ...]:
    """Return the keys with our mark whose lineage nothing else leads to, not even a record that can't be read."""
    met = {one.assignment.lineage.lineage_id for one in found} | unread
    return tuple(
        Stray(provider=name, key=key)
        for name, listing in listings.items()
        for key in listing.keys
        if (mark := key.mark) is not None and mark.journal_id == journal_id and mark.lineage_id not in met
    )


def _known(records: Iterable[RecordRead]) -> frozenset[str]:
    return frozenset(key_id for read in records if read.record for key_id in read.record.known_key_ids())


def _currents(records: Iterable[RecordRead]) -> dict[str, dict[str, str]]:
    """Return, by project, the key that each lineage serves."""
    currents: dict[str, dict[str, str]] = {}
    for read in records:
        if read.record is not None and read.record.current is not None:
            lineage: Lineage = read.record.lineage
            of_project = currents.setdefault(lineage.project_id, {})
            of_project[lineage.lineage_id] = read.record.current.key.key_id
    return currents


def _many_absent(listing: Listing, currents: Mapping[str, str]) -> bool:
    absent = sum(listing.get(key_id) is None for key_id in currents.values())
    return absent >= ABSENT_AT_LEAST and absent * 2 > len(currents)


def _uncovered(record: Record) -> Policy:
    """Return the policy of a lineage that no entry covers any more: it only watches, by the record's own terms."""
    return Policy(
        name="(none)",
        provider=record.lineage.provider,
        adopt=Adopt.WATCH,
        destination=DestinationTemplate(mount=record.lineage.mount, fields=record.fields),
        fingerprint="(none)",
    )
