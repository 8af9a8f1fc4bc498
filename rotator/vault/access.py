"""What our token may do, and how Vault is set up: the `Access` port. Reads only."""

from __future__ import annotations

from collections.abc import Mapping

from rotator.errors import Denied
from rotator.model.lineage import Lineage
from rotator.ports import Kept, TokenSeen
from rotator.vault import fields, paths, rights
from rotator.vault.answers import instant_of
from rotator.vault.client import VaultClient

_ANY_RECORD = "any-000000000000"
"""A name that a record could have: rights are asked for a path, not for a pattern."""


class VaultAccess:
    """Asks about rights and settings. The journal is under `journal_prefix` of `journal_mount`."""

    def __init__(self, client: VaultClient, *, journal_mount: str, journal_prefix: str) -> None:
        self._client = client
        self._journal_mount = journal_mount
        self._journal_prefix = journal_prefix

    async def token(self) -> TokenSeen | None:
        """Return what Vault says of our token. A role may leave out the right to ask."""
        try:
            found = await self._client.own_token()
        except Denied:
            return None
        policies = found.get("policies")
        return TokenSeen(
            ends_at=instant_of(found.get("expire_time")),
            renewable=found.get("renewable") is True,
            policies=frozenset(map(str, policies)) if isinstance(policies, list) else frozenset(),
        )

    async def mount(self, mount: str) -> Kept | None:
        """Make sure that it is KV version 2, and return its settings."""
        await self._client.check_mount(mount)
        try:
            return _kept(await self._client.mount_settings("read settings of", mount))
        except Denied:
            return None

    async def entry(self, lineage: Lineage) -> Kept | None:
        """Return the settings of an entry."""
        try:
            found = await self._client.entry_settings("read settings of", lineage.mount, lineage.path)
        except Denied:
            return None
        return _kept(found) if found else None

    async def journal_lacks(self) -> tuple[str, ...]:
        """Compare what our token may do with what the journal needs. Whether it may list is seen by listing."""
        rules = rights.of_journal(self._journal_mount, self._journal_prefix, record=_ANY_RECORD)
        needed = {rule.path: rule.capabilities for rule in rules if not rule.path.endswith("/")}
        granted = await self._client.capabilities("check journal", tuple(needed))
        lacking = [
            f"{capability} on {path}"
            for path, capabilities in needed.items()
            for capability in sorted(capabilities)
            if granted.get(path, frozenset()).isdisjoint({capability, "root"})
        ]
        folder = paths.records_path(self._journal_prefix)
        try:
            await self._client.names("check journal", self._journal_mount, folder)
        except Denied:
            lacking.append(f"list on {self._journal_mount}/metadata/{folder}/")
        return tuple(lacking)


def _kept(settings: Mapping[str, object]) -> Kept:
    most = settings.get("max_versions")
    return Kept(most_versions=most if isinstance(most, int) else 0, deletes=fields.deletes_versions(settings))
