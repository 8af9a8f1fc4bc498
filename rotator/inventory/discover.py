"""Look at all keys of all providers, in lineages or not, and say of each where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from rotator.inventory.listings import list_all
from rotator.inventory.match import Project, telling_of
from rotator.inventory.records import Records, Trouble
from rotator.model.key import Key, Listing
from rotator.model.record import Record
from rotator.plan.whose import Role, Whose, whose
from rotator.policy.match import Exclusion, destination_path, takes
from rotator.policy.policy import Policy, Select
from rotator.policy.scopes import beyond_usage
from rotator.policy.settings import PolicyFile
from rotator.ports import Provider

_ANY: Final = Policy(name="", providers=(), select=Select(comment=("*",)))
"""Takes every key that a policy can take without naming it by its id."""

_NAMED: Final = (Role.CURRENT, Role.PREVIOUS, Role.ORIGINAL)
"""What a key is that a record names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """One key, and where it stands.

    `lineage` is the name of the one that it is in, or that the policies in `taken_by` would put it into.
    `excluded` is why no policy takes it, `barred` why none could that does not name it by its id. `managing` are its scopes
    beyond usage, unless rotator itself needs them; `old` says that it was made long ago.
    """

    key: Key
    whose: Whose
    lineage: str | None
    taken_by: tuple[str, ...]
    excluded: Exclusion | None
    barred: Exclusion | None
    managing: frozenset[str]
    expired: bool
    temporary: bool
    old: bool

    @property
    def covered(self) -> bool:
        """Whether somebody looks after it: a lineage, a policy, another journal, or we because we work with it."""
        return bool(self.taken_by) or self.whose.role is not Role.FOREIGN


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """All keys of one provider that can be seen. `partial`: perhaps only those of our own account."""

    listing: Listing
    keys: tuple[Discovery, ...]
    partial: bool

    @property
    def counts(self) -> Mapping[str, int]:
        """How many keys there are of each kind that matters. Expired and temporary ones count as such only."""
        lasting = [one for one in self.keys if not one.expired and not one.temporary]
        return {
            "keys": len(self.listing.listed),
            "under_no_policy": sum(not one.covered for one in lasting),
            "never_expiring": sum(one.key.expires_at is None for one in lasting),
            "beyond_usage": sum(bool(one.managing) for one in lasting),
            "old": sum(one.old for one in lasting),
            "expired": sum(one.expired and not one.temporary for one in self.keys),
            "temporary": sum(one.temporary for one in self.keys),
            "unreadable": len(self.listing.unreadable),
        }


async def discover(
    file: PolicyFile,
    providers: Mapping[str, Provider],
    records: Records | None,
    *,
    journal_id: str,
    namespace: str,
    older_than: timedelta,
) -> tuple[Mapping[str, Discovered], tuple[Trouble, ...]]:
    """Return what each provider has, in the order of the file, and what could not be listed.

    `records` None: which keys are in lineages is not known, and of marked ones only that somebody looks after them.
    """
    listings, troubles = await list_all(providers)
    known = [one.record for one in records.read.values() if one.record is not None] if records else []
    found = {}
    for settings in file.providers:
        listing = listings.get(settings.name)
        if listing is not None:
            look = _Look(
                policies=tuple(policy for policy in file.policies if settings.name in policy.providers),
                project=Project(settings=settings, namespace=namespace),
                listing=listing,
                records=known,
                journal_id=journal_id,
                older_than=older_than,
            )
            found[settings.name] = look.at_all()
    return found, troubles


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """All that is known about one provider; `policies` are those that look there."""

    policies: tuple[Policy, ...]
    project: Project
    listing: Listing
    records: Sequence[Record]
    journal_id: str
    older_than: timedelta

    def at_all(self) -> Discovered:
        """Return what the provider has: first what nobody looks after, the oldest first."""
        keys = [self.at(key) for key in self.listing.keys]
        keys.sort(key=lambda one: (one.expired, one.covered, one.key.created_at, one.key.key_id))
        partial = not self.listing.proves_absence(served_key_id=None)
        return Discovered(listing=self.listing, keys=tuple(keys), partial=partial)

    def at(self, key: Key) -> Discovery:
        """Return where one key stands."""
        owner = whose(key.key_id, self.listing, self.records, self.journal_id)
        recorded = frozenset({key.key_id}) if owner.role in _NAMED else frozenset[str]()
        reasons = [self._exclusion(policy, key, recorded) for policy in self.policies]
        takers = [p for p, reason in zip(self.policies, reasons, strict=True) if reason is None]
        barred = self._exclusion(_ANY, key, recorded)
        excluded = telling_of(reasons) if reasons else Exclusion.NOT_SELECTED
        if excluded is Exclusion.NOT_SELECTED and barred is not None:
            excluded = barred
        below = min((policy.temporary_below for policy in self.policies), default=_ANY.temporary_below)
        return Discovery(
            key=key,
            whose=owner,
            lineage=owner.lineage or next((self._place(policy, key) for policy in takers), None),
            taken_by=tuple(policy.name for policy in takers),
            excluded=excluded,
            barred=barred,
            managing=frozenset() if owner.role is Role.MANAGEMENT else beyond_usage(key.scopes),
            expired=key.expired(self.listing.at),
            temporary=key.mark is None and not recorded and key.lifetime is not None and key.lifetime < below,
            old=key.created_at < self.listing.at - self.older_than,
        )

    def _exclusion(self, policy: Policy, key: Key, recorded: frozenset[str]) -> Exclusion | None:
        return takes(
            policy,
            key,
            now=self.listing.at,
            journal_id=self.journal_id,
            recorded=recorded,
            management_key_id=self.listing.management_key_id,
        )

    def _place(self, policy: Policy, key: Key) -> str | None:
        """Return the name of the lineage that a policy puts a key into, None when its path can't be used."""
        try:
            path = destination_path(policy, self.project.settings, key)
        except ValueError:
            return None
        return self.project.lineage(policy, path).name
