"""Match keys and records with policies: who takes what, and where it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rotator.model.entry import Place
from rotator.model.key import Key, Listing
from rotator.model.lineage import Lineage
from rotator.model.record import KnownKey, Record
from rotator.plan.facts import head
from rotator.policy.match import Exclusion, destination_path, selects, takes
from rotator.policy.policy import Policy
from rotator.policy.settings import ProviderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One provider of the policy file, and the Vault namespace that its secrets go to ("" without one)."""

    settings: ProviderSettings
    namespace: str

    def lineage(self, policy: Policy, path: str) -> Lineage:
        """Return the lineage that `policy` puts at `path`."""
        return Lineage(
            provider=self.settings.name,
            project_id=self.settings.project_id,
            namespace=self.namespace,
            mount=policy.destination.mount,
            path=path,
        )


@dataclass(slots=True)
class Taken:
    """What the policies take of one project: lineages by id, their keys, and why other keys are not taken.

    `policies_of` are the names of the policies that take a key, by its id.

    `unplaced` are the ids of keys that a policy takes and that make no allowed path, as one with an overlong
    comment does.
    """

    lineages: dict[str, tuple[Lineage, Policy]] = field(default_factory=dict)
    keys_of: dict[str, set[str]] = field(default_factory=dict)
    policies_of: dict[str, list[str]] = field(default_factory=dict)
    excluded: Counter[Exclusion] = field(default_factory=Counter)
    unplaced: list[str] = field(default_factory=list)


def taken_by(
    policies: tuple[Policy, ...],
    project: Project,
    listing: Listing,
    journal_id: str,
    recorded: frozenset[str],
) -> Taken:
    """Return what the policies of one project take of its keys, those that records name left out."""
    taken = Taken()
    mine = [policy for policy in policies if project.settings.name in policy.providers]
    for key in listing.keys:
        reasons: list[Exclusion | None] = []
        for policy in mine:
            reason = takes(
                policy,
                key,
                now=listing.at,
                journal_id=journal_id,
                recorded=recorded,
                management_key_id=listing.management_key_id,
            )
            reasons.append(reason)
            if reason is None:
                taken.policies_of.setdefault(key.key_id, []).append(policy.name)
                path = _path(policy, project, key)
                if path is None:
                    taken.unplaced.append(key.key_id)
                    continue
                lineage = project.lineage(policy, path)
                taken.lineages.setdefault(lineage.lineage_id, (lineage, policy))
                taken.keys_of.setdefault(lineage.lineage_id, set()).add(key.key_id)
        excluded = telling_of(reasons)
        if excluded is not None:
            taken.excluded[excluded] += 1
    return taken


def covering(
    policies: tuple[Policy, ...], project: Project, record: Record, listing: Listing
) -> tuple[Policy, ...]:
    """Return the policies that cover a lineage which has a record: by its path, or by what its key has."""
    known = head(record)
    covered = []
    for policy in policies:
        if project.settings.name not in policy.providers:
            continue
        if policy.select is None:
            named = any(path == record.lineage.path for path, _ in policy.keys)
            if named and policy.destination.mount == record.lineage.mount:
                covered.append(policy)
        elif known is not None and selects(policy.select, _as_listed(known, listing)):
            covered.append(policy)
    return tuple(covered)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another place where a policy puts a lineage that has a record. `place` None: its key makes no allowed path."""

    policy: Policy
    place: Place | None


def elsewhere(
    policies: tuple[Policy, ...], project: Project, record: Record, covered: tuple[Policy, ...]
) -> tuple[Elsewhere, ...]:
    """Return the mounts and paths that the file names now for a lineage, besides the present one.

    Paths are made, and named under `keys:`, by the key that the lineage began with.
    """
    ever = record.known_key_ids() | {record.first_key_id}
    mine = [policy for policy in policies if project.settings.name in policy.providers]
    named = [(policy, path) for policy in mine for path, key_id in policy.keys if key_id in ever]
    found = [Elsewhere(policy, _place(policy, path)) for policy, path in named]
    known = head(record)
    if covered and covered[0].select is not None and known is not None:
        first = replace(known, key_id=record.first_key_id).as_key()
        path = _path(covered[0], project, first)
        found.append(Elsewhere(covered[0], None if path is None else _place(covered[0], path)))
    return tuple(one for one in found if one.place is None or not one.place.shares_entry(record.place))


def expected_lineage(policy: Policy, project: Project, key: Key) -> Lineage | None:
    """Return the lineage that the mark of `key` names, None when `policy` gives no such lineage to such a key."""
    mark = key.mark
    if mark is None or project.settings.name not in policy.providers:
        return None
    paths: list[str | None] = [path for path, _ in policy.keys]
    if policy.select is not None and selects(policy.select, key):
        paths = [_path(policy, project, key)]
    lineages = (project.lineage(policy, path) for path in paths if path is not None)
    return next((lineage for lineage in lineages if lineage.lineage_id == mark.lineage_id), None)


def telling_of(reasons: Sequence[Exclusion | None]) -> Exclusion | None:
    """Return why no policy takes a key, of what each says: None when one takes it, or when there is no policy."""
    if not reasons or None in reasons:
        return None
    return next((r for r in reasons if r is not Exclusion.NOT_SELECTED), Exclusion.NOT_SELECTED)


def _path(policy: Policy, project: Project, key: Key) -> str | None:
    """Return where the secret of `key` goes, None when the key makes no allowed path."""
    try:
        return destination_path(policy, project.settings, key)
    except ValueError:
        return None


def _place(policy: Policy, path: str) -> Place:
    return Place(mount=policy.destination.mount, path=path, fields=policy.destination.fields)


def _as_listed(known: KnownKey, listing: Listing) -> Key:
    return listing.get(known.key_id) or known.as_key()
