"""Look at all providers and all records together, and say which lineages there are and what each is to get.

Some things can't be known from one lineage alone: that two keys give one path, that one key is matched
twice, that most keys of a provider vanished in one look. They become holds of the lineages concerned; the
others go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rotator.errors import PortError, Rejected
from rotator.inventory.assignment import Assignment
from rotator.inventory.listings import list_all
from rotator.inventory.match import Project, Taken, covering, elsewhere, expected_lineage, taken_by
from rotator.inventory.records import Records, Trouble, read_records
from rotator.model.entry import Place
from rotator.model.key import Key, Listing, shared
from rotator.model.lineage import Lineage
from rotator.model.order import Pause, pause_of
from rotator.model.reason import HoldReason
from rotator.model.record import Record
from rotator.plan.facts import head
from rotator.policy.match import Exclusion
from rotator.policy.policy import NO_POLICY, Adopt, DestinationTemplate, Policy
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

    @property
    def known_record(self) -> Record | None:
        """Its record itself, None where there is none."""
        return self.record.record if self.record else None

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place where the lineage is served, or will be."""
        if self.known_record is not None:
            return self.known_record.places
        lineage, fields = self.assignment.lineage, self.assignment.policy.destination.fields
        return (Place(mount=lineage.mount, path=lineage.path, fields=fields),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A key with our mark that no record leads to. Told, never touched."""

    provider: str
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All that one look showed.

    `excluded` counts, by provider, why policies did not take keys. `idle` are the names of the policies whose
    selector takes no key and covers no lineage. `records` are all that could be read, those of providers that
    could not be asked among them, `unread` the ids of the lineages whose records could not.
    """

    listings: Mapping[str, Listing]
    found: tuple[Found, ...]
    excluded: Mapping[str, Counter[Exclusion]]
    idle: tuple[str, ...]
    strays: tuple[Stray, ...]
    troubles: tuple[Trouble, ...]
    records: tuple[Record, ...] = ()
    unread: frozenset[str] = frozenset()


async def survey(
    file: PolicyFile,
    providers: Mapping[str, Provider],
    journal: Journal,
    *,
    journal_id: str,
    namespace: str,
    pauses: tuple[Pause, ...] = (),
) -> Fleet:
    """Return the whole fleet as it is now: one list per provider, each record once.

    A provider or a record that can't be read becomes a trouble and stops nothing else. Raise what
    `Journal.names` raises: without the journal nothing may be decided.
    """
    records = await read_records(journal)
    listings, unlisted = await list_all(providers)
    return assembled(
        file, listings, unlisted, records, journal_id=journal_id, namespace=namespace, pauses=pauses
    )


def assembled(
    file: PolicyFile,
    listings: Mapping[str, Listing],
    unlisted: Sequence[Trouble],
    records: Records,
    *,
    journal_id: str,
    namespace: str,
    pauses: tuple[Pause, ...],
) -> Fleet:
    """Return the fleet that lists and records show. `unlisted` are the troubles of providers that gave no list."""
    troubles = [*records.troubles, *unlisted]
    projects = {settings.name: Project(settings=settings, namespace=namespace) for settings in file.providers}
    known = records.known_key_ids() | records.retired_key_ids()
    taken = {
        name: taken_by(file.policies, projects[name], listing, journal_id, known)
        for name, listing in listings.items()
    }
    for name, some in taken.items():
        troubles += [
            *_unread(name, listings[name]),
            *_unplaced(name, some),
            *_left_behind(name, some, records),
        ]
    absent = _many_absent(projects, listings, records)
    found = [
        *_recorded(file.policies, projects, listings, records, taken, absent, troubles),
        *_new(taken, records, absent),
        *_lost(file.policies, projects, listings, records, taken, journal_id),
    ]
    found = _without_clashes([*found, *_missing(file.policies, projects, listings, records, found)])
    found = [_paused(one, pauses) for one in found]
    unread = records.refused | records.waiting
    return Fleet(
        listings=listings,
        found=tuple(sorted(found, key=lambda one: one.assignment.lineage.name)),
        excluded={name: some.excluded for name, some in taken.items()},
        idle=_idle(file.policies, projects, listings, taken, found),
        strays=strays(listings, found, unread, journal_id),
        troubles=tuple(troubles),
        records=tuple(read.record for read in records.read.values() if read.record is not None),
        unread=unread,
    )


def _recorded(
    policies: tuple[Policy, ...],
    projects: Mapping[str, Project],
    listings: Mapping[str, Listing],
    records: Records,
    taken: Mapping[str, Taken],
    absent: Mapping[str, str],
    troubles: list[Trouble],
) -> Iterable[Found]:
    """Yield the lineages that have a record, covered by a policy or not."""
    served_by = records.served_by()
    by_project = {project.settings.project_id: name for name, project in projects.items()}
    clashing = {lineage_id: ids for some in taken.values() for lineage_id, ids in some.keys_of.items()}
    places = {lineage_id: one for some in taken.values() for lineage_id, (one, _) in some.lineages.items()}
    for lineage_id, read in records.read.items():
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
        others = elsewhere(policies, projects[name], record, covered)
        moves_to = {one.place for one in others}
        hold, detail = None, ""
        if lineage_id in clashing and not _left(places[lineage_id], record):
            hold = HoldReason.DESTINATION_CLASH
            detail = _named("keys", clashing[lineage_id] | {_begun_or_served(record)})
        elif len(covered) > 1:
            hold, detail = HoldReason.MATCHED_TWICE, _named("policies", [policy.name for policy in covered])
        elif others:
            hold = HoldReason.DESTINATION_MOVED
            detail = _named("places", [place.name for place in moves_to if place is not None])
        elif name in absent:
            hold, detail = HoldReason.MANY_ABSENT, absent[name]
        served_elsewhere = shared(
            frozenset(
                key_id
                for key_id in record.known_key_ids()
                if any(other != lineage_id for other in served_by.get(key_id, ()))
            )
        )
        assignment = Assignment(
            lineage=record.lineage,
            policy=others[0].policy if others else covered[0] if covered else _uncovered(record),
            matched_key_id=None,
            currents_elsewhere=None if records.refused or records.waiting else served_elsewhere,
            fleet_hold=hold,
            fleet_hold_detail=detail,
            moves_to=moves_to.pop() if len(moves_to) == 1 else None,
        )
        yield Found(assignment=assignment, provider=name, record=read)


def _new(taken: Mapping[str, Taken], records: Records, absent: Mapping[str, str]) -> Iterable[Found]:
    """Yield the lineages that a policy begins: no record yet.

    A record that can't be read may name any of their keys; nothing is taken in meanwhile. While one could only
    not be asked for, they wait unseen: the trouble tells.
    """
    if records.waiting and not records.refused:
        return
    for name, some in taken.items():
        for lineage_id, key_ids in some.keys_of.items():
            if lineage_id in records.read:
                continue
            lineage, policy = some.lineages[lineage_id]
            takers = {name for key_id in key_ids for name in some.policies_of[key_id]}
            hold, detail = None, ""
            if len(key_ids) > 1:
                hold, detail = HoldReason.DESTINATION_CLASH, _named("keys", key_ids)
            elif any(len(some.policies_of[key_id]) > 1 for key_id in key_ids):
                hold, detail = HoldReason.MATCHED_TWICE, _named("policies", takers)
            elif records.refused:
                newer = records.newer == records.refused
                hold = HoldReason.RECORD_NEWER if newer else HoldReason.RECORD_UNREADABLE
                detail = "the record of another lineage"
            elif name in absent:
                hold, detail = HoldReason.MANY_ABSENT, absent[name]
            assignment = Assignment(
                lineage=lineage,
                policy=policy,
                matched_key_id=min(key_ids),
                fleet_hold=hold,
                fleet_hold_detail=detail,
            )
            yield Found(assignment=assignment, provider=lineage.provider, record=None)


def _lost(
    policies: tuple[Policy, ...],
    projects: Mapping[str, Project],
    listings: Mapping[str, Listing],
    records: Records,
    taken: Mapping[str, Taken],
    journal_id: str,
) -> Iterable[Found]:
    """Yield the lineages that only marked keys lead to: their record was lost.

    While there is no record at all, or the journal's id is not known, marks of any journal lead there: this one may have
    been begun anew after the one before was lost.
    """
    any_journal = not (journal_id and (records.read or records.refused or records.waiting))
    met = (
        records.waiting
        | set(records.read)
        | {lineage_id for some in taken.values() for lineage_id in some.keys_of}
    )
    for name, listing in listings.items():
        for key in listing.keys:
            mark = key.mark
            if mark is None or mark.lineage_id in met:
                continue
            if mark.journal_id != journal_id and not any_journal:
                continue
            for policy in policies:
                lineage = expected_lineage(policy, projects[name], key)
                if lineage is not None:
                    met |= {mark.lineage_id}
                    assignment = Assignment(
                        lineage=lineage, policy=policy, matched_key_id=None, currents_elsewhere=None
                    )
                    yield Found(assignment=assignment, provider=name, record=None)
                    break


def _missing(
    policies: tuple[Policy, ...],
    projects: Mapping[str, Project],
    listings: Mapping[str, Listing],
    records: Records,
    found: list[Found],
) -> Iterable[Found]:
    """Yield the lineages that a policy names under `keys:`, where the provider has no such key and nobody knows it."""
    if records.waiting:
        return
    met = {one.assignment.lineage.lineage_id for one in found} | records.refused
    served = {place.name for one in found for place in one.places}
    ever = {one.record.first_key_id for one in records.read.values() if one.record} | records.known_key_ids()
    for policy in policies:
        if not policy.keys:
            continue
        (provider,) = policy.providers
        listing = listings.get(provider)
        if listing is None:
            continue
        for path, key_id in policy.keys:
            lineage = projects[provider].lineage(policy, path)
            if key_id in ever or listing.shows(key_id):
                continue
            if lineage.lineage_id in met or lineage.name in served:
                continue
            assignment = Assignment(lineage=lineage, policy=policy, matched_key_id=key_id)
            yield Found(assignment=assignment, provider=provider, record=None)


def _without_clashes(found: list[Found]) -> list[Found]:
    """Return the lineages, those held that share a place in Vault: keys of two projects can give one path.

    One that is to be moved to a place of another, or to where another is to be moved too, is held for that.
    """
    at: dict[str, list[int]] = {}  # lists: a set for each of many thousands takes four times the memory
    wanted: dict[str, list[int]] = {}
    for index, one in enumerate(found):
        for name in {place.name for place in one.places}:
            at.setdefault(name, []).append(index)
        if one.assignment.moves_to is not None:
            wanted.setdefault(one.assignment.moves_to.name, []).append(index)
    held = []
    for one in found:
        sharing = {index for place in one.places for index in at[place.name]}
        if one.assignment.moves_to is not None:
            to = one.assignment.moves_to.name
            sharing.update(at.get(to, ()), wanted[to])
        if len(sharing) > 1:
            clashing = (found[index] for index in sharing)
            detail = " and ".join(sorted(f"{_key_id(each)} at {each.provider}" for each in clashing))
            assignment = replace(
                one.assignment, fleet_hold=HoldReason.DESTINATION_CLASH, fleet_hold_detail=f"keys {detail}"
            )
            held.append(replace(one, assignment=assignment))
        else:
            held.append(one)
    return held


def _paused(found: Found, pauses: tuple[Pause, ...]) -> Found:
    """Return the lineage with who paused it and why, if anybody did."""
    said = pause_of(frozenset(place.name for place in found.places), pauses)
    return replace(found, assignment=replace(found.assignment, paused=said)) if said else found


def _idle(
    policies: tuple[Policy, ...],
    projects: Mapping[str, Project],
    listings: Mapping[str, Listing],
    taken: Mapping[str, Taken],
    found: list[Found],
) -> tuple[str, ...]:
    """Return the policies that select nothing. Of a provider that could not be listed whole, nothing is known."""
    whole = {name for name, listing in listings.items() if not listing.unreadable}
    busy = {name for some in taken.values() for names in some.policies_of.values() for name in names}
    idle = [
        policy
        for policy in policies
        if policy.select is not None and policy.name not in busy and whole >= set(policy.providers)
    ]
    for one in found:
        if idle and one.record is not None and one.record.record is not None:
            listing = listings[one.provider]
            covered = covering(tuple(idle), projects[one.provider], one.record.record, listing)
            idle = [policy for policy in idle if policy not in covered]
    return tuple(policy.name for policy in idle)


def _unread(provider: str, listing: Listing) -> Iterable[Trouble]:
    """Yield the keys that are listed and can't be read."""
    for key in listing.unreadable:
        error = Rejected("read key", key.key_id, f"it is listed, but not shown: {key.why}")
        yield Trouble(what=f"key {key.key_id} at {provider}", error=error)


def _unplaced(provider: str, some: Taken) -> Iterable[Trouble]:
    """Yield the keys that have no place in Vault."""
    for key_id in some.unplaced:
        error = Rejected(
            "find a path for", key_id, "its comment or id makes no allowed path; name it under `keys:`"
        )
        yield Trouble(what=f"key {key_id} at {provider}", error=error)


def _left(lineage: Lineage, record: Record) -> bool:
    """Return whether a place is where the lineage of the record began, and is served no more."""
    return all(place.name != lineage.name for place in record.places)


def _left_behind(provider: str, some: Taken, records: Records) -> Iterable[Trouble]:
    """Yield the keys whose place a lineage was moved away from: its record and its marks are named by that place."""
    for lineage_id, key_ids in some.keys_of.items():
        read = records.read.get(lineage_id)
        lineage, _ = some.lineages[lineage_id]
        if read is None or read.record is None or not _left(lineage, read.record):
            continue
        why = f"lineage {read.record.lineage.name} began at {lineage.name}; name another path for this key"
        for key_id in sorted(key_ids):
            yield Trouble(what=f"key {key_id} at {provider}", error=Rejected("take in", key_id, why))


def strays(
    listings: Mapping[str, Listing], found: Sequence[Found], unread: frozenset[str], journal_id: str
) -> tuple[Stray, ...]:
    """Return the keys with our mark whose lineage nothing else leads to, not even a record that can't be read."""
    met = {one.assignment.lineage.lineage_id for one in found} | unread
    return tuple(
        Stray(provider=name, key=key)
        for name, listing in listings.items()
        for key in listing.keys
        if (mark := key.mark) is not None and mark.journal_id == journal_id and mark.lineage_id not in met
    )


def _many_absent(
    projects: Mapping[str, Project],
    listings: Mapping[str, Listing],
    records: Records,
) -> dict[str, str]:
    """Return the providers whose list lacks most of the keys in use, each with how many.

    A key that was made since the list is in none, and says nothing of it.
    """
    found = {}
    for name, listing in listings.items():
        in_use = records.currents(projects[name].settings.project_id).values()
        served = [key.key_id for key in in_use if key.created_at < listing.at]
        absent = sum(not listing.shows(key_id) for key_id in served)
        if absent >= ABSENT_AT_LEAST and absent * 2 > len(served):
            found[name] = f"{absent} of {len(served)}"
    return found


def _named(what: str, names: Iterable[str]) -> str:
    return f"{what} {' and '.join(sorted(set(names)))}"


def _begun_or_served(record: Record) -> str:
    """Return the id of the key that a lineage has in use, else of the one that it began with."""
    known = head(record)
    return record.first_key_id if known is None else known.key_id


def _key_id(found: Found) -> str:
    record = found.known_record
    return str(found.assignment.matched_key_id) if record is None else _begun_or_served(record)


def _uncovered(record: Record) -> Policy:
    """Return the policy of a lineage that no entry covers any more: it only watches, by the record's own terms."""
    return Policy(
        name=NO_POLICY,
        providers=(record.lineage.provider,),
        adopt=Adopt.WATCH,
        destination=DestinationTemplate(mount=record.lineage.mount, fields=record.fields),
        fingerprint=NO_POLICY,
    )
