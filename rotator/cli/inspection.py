"""Look at all that a policy file leads to, part by part: what fails in one part stops no other."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Mapping

from rotator.bootstrap import JOURNAL, VAULT, Connected, Reached, VaultPorts, reach
from rotator.cli.lines import Line
from rotator.cli.look import lines_of
from rotator.cli.progress import Progress
from rotator.errors import Denied, PortError
from rotator.inventory import preflight
from rotator.inventory.fleet import Fleet
from rotator.inventory.listings import list_all
from rotator.inventory.preflight import failed
from rotator.model.key import Listing
from rotator.model.reason import HoldReason
from rotator.plan.actions import Hold
from rotator.plan.findings import Check, Finding, Grade
from rotator.policy.settings import PolicyFile, VaultReference
from rotator.ports import Kept

Mounts = Mapping[str, Kept | None]


async def inspect(file: PolicyFile, progress: Progress) -> tuple[Finding, ...]:
    """Return everything that was found, the gravest first. Touches nothing."""
    async with reach(file, progress=progress) as reached:
        mounts, found = await _vault(reached)
        fleet = await _fleet(reached, mounts, found)
        listings: Mapping[str, Listing]
        if fleet is None:
            listings, troubles = await list_all(reached.providers)
        else:
            listings, troubles = fleet.listings, fleet.troubles
        for trouble in (*reached.troubles, *troubles):
            if trouble.what.startswith("provider "):
                found.append(failed(Check.PROVIDER_FAILED, trouble.what, trouble.error))
            elif trouble in troubles:
                found.append(failed(Check.NOT_LOOKED_AT, trouble.what, trouble.error))
        found += await _providers(reached, fleet, listings)
        connection = reached.connected()
        if fleet is not None and connection is not None and reached.vault is not None and mounts is not None:
            found += await _lineages(connection, reached.vault, fleet, mounts, progress)
        else:
            found.append(Finding(check=Check.POLICIES_UNKNOWN, grade=Grade.WARNING, about="policies"))
    gravity = list(Grade)
    return tuple(sorted(found, key=lambda one: gravity.index(one.grade)))


async def _vault(reached: Reached) -> tuple[Mounts | None, list[Finding]]:
    """Look at Vault, our token, the mounts and the journal. No mounts: none can be used."""
    file = reached.file
    if reached.vault is None:
        return None, [
            failed(Check.VAULT_FAILED, one.what, one.error) for one in reached.troubles if one.what == VAULT
        ]
    access = reached.vault.access
    named = [file.vault.journal_mount, *(policy.destination.mount for policy in file.policies)]
    named += [p.credential.mount for p in file.providers if isinstance(p.credential, VaultReference)]
    mounts, found = await preflight.look_at_vault(access, named, reached.clock.now())
    if mounts is None or file.vault.journal_mount not in mounts:
        return mounts, list(found)
    journal = await preflight.look_at_journal(access, _journal(file), mounts[file.vault.journal_mount])
    return mounts, [*found, *journal]


async def _fleet(reached: Reached, mounts: Mounts | None, found: list[Finding]) -> Fleet | None:
    """Return all lineages, None when the journal can't say which there are, and tell of the journal."""
    about = f"journal {_journal(reached.file)}"
    refusals = [one.error for one in reached.troubles if one.what == JOURNAL]
    connection = reached.connected()
    if connection is not None:
        try:
            fleet = await connection.survey()
        except PortError as error:
            refusals.append(error)
        else:
            check = Check.JOURNAL_OURS if reached.journal_id else Check.JOURNAL_NONE
            terms = {"records": len(fleet.records)}
            found.append(Finding(check=check, grade=Grade.OK, about=about, terms=terms))
            return fleet
    told = {one.check for one in found}
    if mounts is not None and reached.file.vault.journal_mount in mounts and Check.JOURNAL_FAILED not in told:
        found += [
            failed(Check.JOURNAL_FAILED, about, error)
            for error in refusals
            if not (isinstance(error, Denied) and Check.JOURNAL_RIGHTS in told)
        ]
    return None


async def _providers(reached: Reached, fleet: Fleet | None, listings: Mapping[str, Listing]) -> list[Finding]:
    """Look at the management key of each provider that could be listed."""
    used = preflight.in_use(fleet) if fleet else ()
    own = await asyncio.gather(
        *(preflight.own_key(reached.providers[name], listing) for name, listing in listings.items())
    )
    return [
        finding
        for (name, listing), key in zip(listings.items(), own, strict=True)
        for finding in preflight.look_at_own_key(
            name, key, listing, fleet, [one for provider, one in used if provider == name]
        )
    ]


async def _lineages(
    connection: Connected, vault: VaultPorts, fleet: Fleet, mounts: Mounts, progress: Progress
) -> list[Finding]:
    """Look at policies, at each lineage, and at each entry."""
    file = connection.file
    used = [one for _, one in preflight.in_use(fleet)]
    found = [*preflight.look_at_policies(file.policies, fleet, used, connection.clock.now())]
    there = [one for one in fleet.found if one.assignment.lineage.mount in mounts]
    found += _held(await lines_of(there, fleet, connection, progress))
    free = [one for one in there if one.assignment.fleet_hold is None]
    done = itertools.count(1)
    found += await preflight.look_at_entries(
        free,
        vault.destinations,
        vault.access,
        concurrency=file.runtime.concurrency,
        seen=lambda: progress("looking at entries", next(done), len(free)),
    )
    return found


def _held(lines: Iterable[Line]) -> Iterator[Finding]:
    """Yield the holds, those of one reason together, what is under no policy, and what could not be looked at."""
    held: dict[HoldReason, list[str]] = {}
    missing, uncovered = [], []
    for line in lines:
        if line.uncovered:
            uncovered.append(line.lineage)
        if line.error is not None:
            yield failed(Check.NOT_LOOKED_AT, f"lineage {line.lineage}", line.error)
        elif isinstance(line.decision, Hold):
            detail = f" ({line.decision.detail})" if line.decision.detail else ""
            held.setdefault(line.decision.reason, []).append(f"{line.lineage}{detail}")
        elif line.missing_key_id is not None:
            missing.append(f"{line.missing_key_id} for {line.lineage}")
    for reason, names in held.items():
        yield Finding(
            check=Check.HELD,
            grade=Grade.PROBLEM,
            about="lineages",
            subjects=tuple(names),
            terms={"reason": reason},
        )
    for check, names in ((Check.KEY_MISSING, missing), (Check.UNCOVERED, uncovered)):
        if names:
            yield Finding(check=check, grade=Grade.PROBLEM, about="lineages", subjects=tuple(names))


def _journal(file: PolicyFile) -> str:
    return f"{file.vault.journal_mount}/{file.vault.journal_prefix}"
