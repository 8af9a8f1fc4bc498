"""The entries that consumers read: the `Destinations` port on KV version 2."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import inf
from typing import Final

from rotator.clock import Clock
from rotator.errors import Conflict, Denied, Rejected
from rotator.model.entry import EntryState, FieldNames, Publication
from rotator.model.lineage import Lineage
from rotator.ports import EntryRead, Published
from rotator.vault import fields as entry_fields
from rotator.vault import paths
from rotator.vault.answers import Stored
from rotator.vault.client import VaultClient

_SETTINGS_KEPT: Final = timedelta(minutes=1)
"""How long the settings of a mount are believed: they are the same for all lineages of a sweep."""


class VaultDestinations:
    """Reads and writes the entries of lineages. `journal_mount` and `journal_prefix`: where their records are.

    One client works in one namespace: a lineage of another one is refused (Rejected), never looked for here.
    """

    def __init__(self, client: VaultClient, clock: Clock, *, journal_mount: str, journal_prefix: str) -> None:
        self._client = client
        self._clock = clock
        self._journal_mount = journal_mount
        self._journal_prefix = journal_prefix
        self._mounts: dict[str, tuple[float, bool]] = {}
        """When the settings of a mount were asked for, and whether it deletes versions by itself."""

    async def read(self, lineage: Lineage, fields: FieldNames, *, at_least: int = 0) -> EntryRead:
        """Return the latest version of the entry, looking again for 3 s while it is below `at_least`.

        A version that was deleted or destroyed is DELETED, never ABSENT. Raise Unavailable, Throttled, Denied
        or Rejected.
        """
        operation = "read entry"
        self._check_place(operation, lineage)
        found = await self._client.read(operation, lineage.mount, lineage.path, at_least=at_least)
        return EntryRead(
            entry_fields.entry_of(found, fields), entry_fields.secret_of(found, fields), found.at
        )

    async def check_writable(self, lineage: Lineage, fields: FieldNames) -> None:
        """Find out, before anything is minted, whether `publish` will be allowed.

        Raise Denied when a capability is missing on the entry or on the record, Rejected when the merged entry
        would be too large or Vault would delete versions by itself, else Unavailable or Throttled. Settings of
        the mount that our token may not read are left out: the answer to the publish tells what they did.
        """
        operation = "check entry"
        self._check_place(operation, lineage)
        await self._client.check_mount(lineage.mount)
        await self._client.check_mount(self._journal_mount)
        granted = await self._client.capabilities(operation, self._api_paths(lineage))
        self._demand(operation, lineage, granted, first=False)
        found = await self._client.read(operation, lineage.mount, lineage.path)
        if found.state is EntryState.ABSENT:
            self._demand(operation, lineage, granted, first=True)
        problem = entry_fields.too_large(found.data, fields)
        if problem is not None:
            raise Rejected(operation, lineage.name, problem)
        await self._check_deletion(operation, lineage)

    async def publish(
        self, lineage: Lineage, fields: FieldNames, publication: Publication, *, base: int
    ) -> Published:
        """Write into the entry exactly if it still is at version `base`, keeping its other fields.

        What is kept is read first, and is that of version `base`: check-and-set then says whether it still is
        the latest. Conflict: it was not, or that version was deleted; nothing was written. Ambiguous: it may
        be written, now or later, at `base` only. Unavailable, Throttled, Denied, Rejected: nothing was written.
        """
        operation = "publish into entry"
        self._check_place(operation, lineage)
        kept = {} if base == 0 else (await self._at_base(operation, lineage, base)).data
        try:
            data = entry_fields.merged(kept, fields, publication)
        except ValueError as error:
            problem = str(error)
        else:
            result = await self._client.write(operation, lineage.mount, lineage.path, data, base=base)
            return Published(result.version, result.deletion_at)
        raise Rejected(operation, lineage.name, problem)

    async def _at_base(self, operation: str, lineage: Lineage, base: int) -> Stored:
        found = await self._client.read(operation, lineage.mount, lineage.path, at_least=base)
        if found.version != base or found.state is not EntryState.PRESENT:
            detail = f"version {found.version} is {found.state}, not version {base} present"
            raise Conflict(operation, lineage.name, detail)
        return found

    def _api_paths(self, lineage: Lineage) -> tuple[str, str, str]:
        """Return where Vault's policies know the entry, its settings, and its record."""
        record = paths.record_path(self._journal_prefix, lineage.record_name)
        return (
            f"{lineage.mount}/data/{lineage.path}",
            f"{lineage.mount}/metadata/{lineage.path}",
            f"{self._journal_mount}/data/{record}",
        )

    def _demand(
        self, operation: str, lineage: Lineage, granted: Mapping[str, frozenset[str]], *, first: bool
    ) -> None:
        """Compare what our token may do with what a whole rotation needs, `first`: into an entry never written.

        `create` and `update` are different rights in KV version 2: the first version of an entry needs the
        one, each later version the other (https://developer.hashicorp.com/vault/docs/secrets/kv/kv-v2).
        """
        entry, settings, record = self._api_paths(lineage)
        needed = {
            entry: ("create", "read", "update") if first else ("read", "update"),
            settings: ("read",),
            record: ("create", "read", "update"),
        }
        missing = [
            f"{capability} on {path}"
            for path, capabilities in needed.items()
            for capability in capabilities
            if granted.get(path, frozenset()).isdisjoint({capability, "root"})
        ]
        if missing:
            raise Denied(operation, lineage.name, f"the token lacks {', '.join(missing)}")

    async def _check_deletion(self, operation: str, lineage: Lineage) -> None:
        """Refuse an entry whose versions Vault would delete after a while: consumers would lose the secret."""
        cure = "Vault would delete published secrets; set delete_version_after to 0s on"
        if entry_fields.deletes_versions(
            await self._client.entry_settings(operation, lineage.mount, lineage.path)
        ):
            raise Rejected(operation, lineage.name, f"{cure} the entry")
        if await self._mount_deletes(operation, lineage.mount):
            raise Rejected(operation, lineage.name, f"{cure} the mount")

    async def _mount_deletes(self, operation: str, mount: str) -> bool:
        """Return whether a mount deletes versions by itself, False when our token may not ask."""
        now = self._clock.monotonic()
        asked_at, deletes = self._mounts.get(mount, (-inf, False))
        if now - asked_at > _SETTINGS_KEPT.total_seconds():
            try:
                deletes = entry_fields.deletes_versions(await self._client.mount_settings(operation, mount))
            except Denied:
                deletes = False
            self._mounts[mount] = (now, deletes)
        return deletes

    def _check_place(self, operation: str, lineage: Lineage) -> None:
        if lineage.namespace.strip("/") != self._client.namespace:
            detail = (
                f"it is in namespace {lineage.namespace!r}, we work in {self._client.namespace!r}; no lineage is moved "
                "between namespaces: run another instance in the other one"
            )
            raise Rejected(operation, lineage.name, detail)
        # A key's comment may choose the path; it must never lead a secret into the journal.
        if lineage.mount == self._journal_mount and f"{lineage.path}/".startswith(f"{self._journal_prefix}/"):
            raise Rejected(operation, lineage.name, "it is inside the journal")
