"""Look at everything that rotations will need, before they need it. Nothing that fails stops the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from rotator.errors import Denied, PortError, RotatorError
from rotator.inventory.fleet import Fleet, Found
from rotator.model.entry import FieldNames
from rotator.model.key import Listing
from rotator.model.lineage import Lineage
from rotator.model.record import KnownKey
from rotator.plan import facts, findings
from rotator.plan.findings import Check, Finding, Grade, InUse, OwnKey
from rotator.policy.policy import Policy
from rotator.ports import Access, Destinations, Kept, Provider


async def look_at_vault(
    access: Access, mounts: Iterable[str], now: datetime
) -> tuple[Mapping[str, Kept | None] | None, tuple[Finding, ...]]:
    """Look at our token and at each mount, the journal's first.

    Return the mounts that fit with their settings (None where our token may not read them); no mounts at all when Vault, or our token, is of no use.
    """
    found: list[Finding] = []
    kept: dict[str, Kept | None] = {}
    try:
        token = await access.token()
    except PortError as error:
        return None, (failed(Check.VAULT_FAILED, "Vault", error),)
    if token is not None:
        found.append(Finding(check=Check.VAULT_REACHED, grade=Grade.OK, about="Vault"))
        found += findings.of_token(
            ends_at=token.ends_at, renewable=token.renewable, policies=token.policies, now=now
        )
    for number, mount in enumerate(dict.fromkeys(mounts)):
        try:
            kept[mount] = await access.mount(mount)
        except PortError as error:
            if token is None and number == 0 and isinstance(error, Denied):
                return None, (failed(Check.VAULT_FAILED, "Vault", error),)
            found.append(failed(Check.MOUNT_UNFIT, f"mount {mount}", error))
        else:
            found.append(Finding(check=Check.MOUNT_FIT, grade=Grade.OK, about=f"mount {mount}"))
            found += _few_versions(f"mount {mount}", {mount: kept[mount]})
    return kept, tuple(found)


async def look_at_journal(access: Access, place: str, kept: Kept | None) -> tuple[Finding, ...]:
    """Look at what our token may do in the journal, and whether Vault would delete records by itself."""
    about = f"journal {place}"
    found = []
    if kept is not None and kept.deletes:
        found.append(Finding(check=Check.JOURNAL_DELETES, grade=Grade.PROBLEM, about=about))
    try:
        lacking = await access.journal_lacks()
    except PortError as error:
        return (*found, failed(Check.JOURNAL_FAILED, about, error))
    if lacking:
        found.append(
            Finding(
                check=Check.JOURNAL_RIGHTS,
                grade=Grade.PROBLEM,
                about=about,
                terms={"missing": ", ".join(lacking)},
            )
        )
    return tuple(found)


async def own_key(provider: Provider, listing: Listing) -> OwnKey:
    """Return what is known of our management key at a provider that could be listed."""
    listed = listing.get(listing.management_key_id) if listing.management_key_id else None
    try:
        told = await provider.management_key()
    except PortError:
        return OwnKey(
            key=listed,
            owner=listing.management_member_id,
            scopes=listed.scopes if listed else None,
            owner_scopes=None,
        )
    key = told.key or listed
    return OwnKey(
        key=key,
        owner=told.owner_email or listing.management_member_id,
        scopes=key.scopes if key else told.scopes,
        owner_scopes=told.owner_scopes,
    )


def look_at_own_key(
    name: str, own: OwnKey, listing: Listing, fleet: Fleet | None, in_use: Iterable[InUse]
) -> Iterator[Finding]:
    """Yield what to know about the management key of one provider. `fleet` None: lineages are not known."""
    key = own.key
    yield Finding(
        check=Check.MANAGEMENT_ACCEPTED,
        grade=Grade.OK,
        about=f"provider {name}",
        terms={"key_id": key.key_id if key else "that is not named", "keys": len(listing.keys)},
    )
    named = {key_id for record in (fleet.records if fleet else ()) for key_id in record.known_key_ids()}
    yield from findings.of_own_key(name, own, listing, rotated=key is not None and key.key_id in named)
    yield from findings.of_copies(name, own, in_use)


def in_use(fleet: Fleet) -> tuple[tuple[str, InUse], ...]:
    """Return the key in use of each lineage that is not held for another, with the name of its provider."""
    seen = []
    for one in fleet.found:
        record = one.known_record
        listing = fleet.listings[one.provider]
        matched = listing.get(one.assignment.matched_key_id) if one.assignment.matched_key_id else None
        key = facts.head(record) if record else KnownKey.seen(matched) if matched else None
        if key is None or one.assignment.fleet_hold is not None:
            continue
        policy = one.assignment.policy
        seen.append(
            (
                one.provider,
                InUse(
                    lineage=one.assignment.lineage.name,
                    lineage_id=one.assignment.lineage.lineage_id,
                    policy=policy,
                    key=key,
                    watched=facts.watched(policy, record),
                    rotated=bool(record and record.history),
                ),
            )
        )
    return tuple(seen)


def look_at_policies(
    policies: Iterable[Policy], fleet: Fleet, used: Iterable[InUse], now: datetime
) -> Iterator[Finding]:
    """Yield what policies mean for the keys that are really there."""
    used = tuple(used)
    for policy in policies:
        if policy.name in fleet.idle:
            yield Finding(check=Check.NOTHING_SELECTED, grade=Grade.WARNING, about=f"policy {policy.name}")
        yield from findings.of_policy(policy, used, now)


async def look_at_entries(
    chosen: Iterable[Found],
    destinations: Destinations,
    access: Access,
    *,
    concurrency: int,
    seen: Callable[[], None],
) -> tuple[Finding, ...]:
    """Look at whether a new secret can be written into each entry, those at earlier places too. `seen` is called after each lineage."""
    turns = asyncio.Semaphore(concurrency)

    async def at(lineage: Lineage, fields: FieldNames) -> tuple[Lineage, PortError | None, Kept | None]:
        try:
            await destinations.check_writable(lineage, fields)
            return lineage, None, await access.entry(lineage)
        except PortError as error:
            return lineage, error, None

    async def one(found: Found) -> list[tuple[Lineage, PortError | None, Kept | None]]:
        async with turns:
            lineage = found.assignment.lineage
            looked = [await at(lineage.at(place), place.fields) for place in found.places]
        seen()
        return looked

    looked = [each for some in await asyncio.gather(*(one(found) for found in chosen)) for each in some]
    found = [*_refusals([(lineage, refusal) for lineage, refusal, _ in looked if refusal is not None])]
    found += _few_versions("entries", {lineage.name: kept for lineage, _, kept in looked})
    fine = sum(refusal is None for _, refusal, _ in looked)
    if fine:
        found.append(
            Finding(check=Check.ENTRIES_WRITABLE, grade=Grade.OK, about="entries", terms={"entries": fine})
        )
    return tuple(found)


def failed(check: Check, about: str, error: RotatorError, subjects: tuple[str, ...] = ()) -> Finding:
    """Return the finding that something could not be looked at, or is not as it has to be."""
    return Finding(check=check, grade=Grade.PROBLEM, about=about, subjects=subjects, error=error)


def _refusals(refused: Iterable[tuple[Lineage, PortError]]) -> Iterator[Finding]:
    """Yield the refusals, those together that differ in nothing but the names of entry and record."""
    groups: dict[tuple[type[PortError], str], list[tuple[Lineage, PortError]]] = {}
    for lineage, error in refused:
        alike = error.detail.replace(lineage.record_name, "").replace(lineage.path, "")
        groups.setdefault((type(error), alike), []).append((lineage, error))
    for group in groups.values():
        names = tuple(lineage.name for lineage, _ in group)
        yield failed(Check.ENTRY_REFUSED, "entries", group[0][1], names)


def _few_versions(about: str, kept: Mapping[str, Kept | None]) -> Iterator[Finding]:
    """Yield what keeps a single version, of which nothing can be rolled back to."""
    few = tuple(name for name, one in kept.items() if one is not None and one.most_versions == 1)
    if few:
        yield Finding(check=Check.FEW_VERSIONS, grade=Grade.WARNING, about=about, subjects=few)
