"""The journal: the `Journal` port on KV version 2.

A record is kept as one JSON text in one string. Vault turns the numbers of a document into floating point,
and servers limit how many strings one request may hold; a text passes through both unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from rotator.errors import Rejected, TooNew
from rotator.model import format as formats
from rotator.model import order as orders
from rotator.model import record as records
from rotator.model.entry import EntryState
from rotator.model.key import is_journal_id
from rotator.model.record import Record
from rotator.ports import Control, RecordRead
from rotator.shared import Shared
from rotator.vault import paths
from rotator.vault.answers import Stored
from rotator.vault.client import VaultClient

_FORMAT: Final = re.compile(r"[1-9][0-9]{0,5}")
_RECORD_FIELDS: Final = frozenset({"format", "lineage", "record"})
"""Those of a document that holds a record, in every format: what is new goes into the record."""
_CONTROL_FIELDS: Final = frozenset({"format", "instance", "journal_id", "pauses"})


class VaultJournal:
    """Records under `prefix` of `mount`: `PREFIX/control` and `PREFIX/lineages/NAME`.

    Reading is strict. What this version can't read whole is refused, because writing it back would lose what
    another version, or a person, put there; a format that is one newer may say that it is no such case (`model.format`).
    """

    def __init__(self, client: VaultClient, *, mount: str, prefix: str) -> None:
        self._client = client
        self._mount = mount
        self._prefix = prefix
        self._control = Shared(self._read_control)

    async def control(self) -> Control | None:
        """Return the control record, None when there never was one.

        Lineages that ask at the same time share one read. Raise TooNew when a newer version wrote it and this one may not
        act by it, Rejected when there is something else in its place, or when it was deleted; else Unavailable, Throttled
        or Denied.
        """
        return await self._control()

    async def _read_control(self) -> Control | None:
        operation, path = "read control record", paths.control_path(self._prefix)
        found = await self._client.read(operation, self._mount, path)
        if found.state is EntryState.ABSENT:
            return None
        document = self._document(operation, path, found)
        unknown = {name: text for name, text in document.items() if name not in _CONTROL_FIELDS}
        needs = unknown.get("needs", "")
        try:
            keeps = formats.keeps_unknown(int(document["format"]), int(needs) if needs.isdecimal() else None)
        except formats.NewerFormat as newer:
            detail = str(newer)
            raise self._too_new(operation, path, detail) from None
        if not document.keys() >= _CONTROL_FIELDS or (unknown and not keeps):
            raise self._other_fields(operation, path, _CONTROL_FIELDS)
        if not is_journal_id(document["journal_id"]):
            # It goes into the comments of keys, and must be found there again.
            raise Rejected(operation, path, "its journal_id is not 12 lower-case hexadecimal digits")
        try:
            pauses = orders.decode_pauses(document["pauses"])
        except ValueError as error:
            problem = str(error)
            raise self._rejected(operation, path, problem) from None
        return Control(
            journal_id=document["journal_id"],
            instance=document["instance"],
            pauses=pauses,
            version=found.version,
            format=int(document["format"]),
            unknown=tuple(unknown.items()),
            at=found.at,
        )

    async def write_control(self, control: Control) -> None:
        """Write the control record exactly if it still is at `control.version` (0: there never was one).

        Conflict: it was not. Else as `write`.
        """
        document = {
            "format": str(max(control.format, formats.WRITTEN)),
            "journal_id": control.journal_id,
            "instance": control.instance,
            "pauses": orders.encode_pauses(control.pauses),
            **dict(control.unknown),
        }
        path = paths.control_path(self._prefix)
        await self._write("write control record", path, document, base=control.version)

    async def names(self) -> tuple[str, ...]:
        """Return the names of all records, of deleted ones too. Raise Unavailable, Throttled, Denied or Rejected.

        Folders are left out: no record is in one.
        """
        listed = await self._client.names("list records", self._mount, paths.records_path(self._prefix))
        return tuple(name for name in listed if not name.endswith("/"))

    async def read(self, name: str) -> RecordRead:
        """Return the latest record of that name (`Lineage.record_name`).

        Raise TooNew when a newer version wrote it and this one may not act by it, Rejected when there is something that is
        not a record this version can read, when it is the record of another name, or when it was deleted; else
        Unavailable, Throttled or Denied.
        """
        operation, path = "read record", paths.record_path(self._prefix, name)
        found = await self._client.read(operation, self._mount, path)
        if found.state is EntryState.ABSENT:
            return RecordRead(record=None, version=0, written_at=None, at=found.at)
        document = self._document(operation, path, found)
        if document.keys() != _RECORD_FIELDS:
            raise self._other_fields(operation, path, _RECORD_FIELDS)
        try:
            record = records.decode(document["record"])
        except formats.NewerFormat as newer:
            detail = str(newer)
            raise self._too_new(operation, path, detail) from None
        except ValueError as error:
            problem = str(error)
        else:
            if document["format"] != str(record.format):
                problem = "it has another format than the record in it"
            elif record.lineage.record_name == name and record.lineage.name == document["lineage"]:
                return RecordRead(record, found.version, found.created_at, found.at)
            else:
                problem = "it is the record of another lineage"
        raise self._rejected(operation, path, problem)

    async def write(self, record: Record, *, base: int) -> int:
        """Write the record exactly if it still is at version `base` (0: there never was one).

        Return the new version. Conflict: it was not at `base`. Ambiguous: it may be written, now or later, at
        `base` only. Rejected: refused for good, or written in a way that Vault will delete it by itself.
        Unavailable, Throttled, Denied: not written.
        """
        document = {
            "format": str(max(record.format, formats.WRITTEN)),
            "lineage": record.lineage.name,
            "record": records.encode(record),
        }
        path = paths.record_path(self._prefix, record.lineage.record_name)
        return await self._write("write record", path, document, base=base)

    async def _write(self, operation: str, path: str, document: Mapping[str, str], *, base: int) -> int:
        result = await self._client.write(operation, self._mount, path, document, base=base)
        if result.deletion_at is not None:
            detail = "Vault would delete it by itself; set delete_version_after to 0s on the journal's mount and entry"
            raise self._rejected(operation, path, detail)
        return result.version

    def _document(self, operation: str, path: str, found: Stored) -> Mapping[str, str]:
        """Return a document that has a format, and texts only."""
        if found.state is EntryState.DELETED:
            detail = f"version {found.version} was deleted; undelete it, or remove its metadata to start anew"
            raise self._rejected(operation, path, detail)
        document = {name: value for name, value in found.data.items() if isinstance(value, str)}
        if len(document) != len(found.data) or not _FORMAT.fullmatch(document.get("format", "")):
            detail = "it is none of ours: it has other fields than texts, or no format"
            raise self._rejected(operation, path, detail)
        return document

    def _other_fields(self, operation: str, path: str, expected: frozenset[str]) -> Rejected:
        return self._rejected(
            operation, path, f"it has other fields than the texts {', '.join(sorted(expected))}"
        )

    def _too_new(self, operation: str, path: str, detail: str) -> TooNew:
        return TooNew(operation, f"{self._mount}/{path}", detail)

    def _rejected(self, operation: str, path: str, detail: str) -> Rejected:
        return Rejected(operation, f"{self._mount}/{path}", detail)
