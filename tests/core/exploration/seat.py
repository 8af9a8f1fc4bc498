"""The ports of one process, without an event loop: every call is asked of whoever runs the coroutine."""

from __future__ import annotations

import types
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

from rotator import errors
from rotator.model import key as keys
from rotator.model.entry import Entry, EntryState, FieldNames, Place, Publication
from rotator.model.lineage import Lineage
from rotator.model.order import Pause
from rotator.model.record import Record
from rotator.model.secret import Secret
from rotator.model.told import Told
from rotator.ports import (
    Control,
    EntryRead,
    LastUse,
    ManagementKey,
    Minted,
    Ports,
    Proof,
    Published,
    RecordRead,
)
from tests.core.exploration.texts import Texts
from tests.core.exploration.world import LIFE, NOBODY, NOTHING, OUR_MEMBER, Version, at

LINEAGE = Lineage(provider="asr", project_id="p", namespace="", mount="secret", path="voice")
PLACE_HERE = Place(mount="secret", path="voice", fields=FieldNames())
PLACE_THERE = Place(mount="secret", path="moved", fields=FieldNames())
FIELDS_THERE = Place(mount="secret", path="voice", fields=FieldNames(secret="KEY", key_id=None))
JOURNAL_ID = "0123456789ab"
CLAIM_TTL = timedelta(minutes=10)

Effect = tuple[Any, ...]
"""A call: its name and its arguments."""
Answer = tuple[Any, ...]
"""What it is answered: a name and values, or `raise` and the name of an error."""


@types.coroutine
def ask(*effect: Any) -> Generator[Effect, Any, Any]:  # noqa: ANN401 (an effect is its name and arguments)
    """Ask the world for one effect."""
    return (yield effect)


class Seat:
    """Where one process sits: provider, destination, clock and rotation ids. Its clock stands still between answers."""

    def __init__(
        self,
        name: str,
        tick: int,
        issued: int,
        texts: Texts,
        *,
        paused: bool = False,
        expiring: bool = False,
    ) -> None:
        self.expiring = expiring
        self.name, self.tick, self.issued, self.texts = name, tick, issued, texts
        self.pauses = (Pause(glob="*", who="ann", why="", at=at(0)),) if paused else ()
        self.told: list[Told] = []

    def ports(self) -> Ports:
        return Ports(
            provider=self,
            destinations=self,
            journal=_Journal(self),
            clock=self,
            rotation_ids=self,
            holder=self.name,
            journal_id=JOURNAL_ID,
            claim_ttl=CLAIM_TTL,
            stopping=lambda: False,
            tell=self.told.append,
        )

    def now(self) -> datetime:
        return at(self.tick)

    def monotonic(self) -> float:
        return (at(self.tick) - at(0)).total_seconds()

    async def sleep(self, duration: timedelta) -> None:
        del duration

    def new(self) -> str:
        self.issued += 1
        return f"{self.name}{self.issued:015x}"

    # the provider

    async def list_keys(self) -> keys.Listing:
        _, shown, unread, management = await ask("list")
        return keys.Listing(
            keys=tuple(self._key(*k) for k in shown),
            unreadable=tuple(keys.Unreadable(key_id=f"k{n}", comment=c, why="500") for n, c in unread),
            at=self.now(),
            seen_at=self.now(),
            management_key_id=f"k{management}",
            management_member_id=OUR_MEMBER,
        )

    async def get_key(self, key_id: str) -> keys.Key:
        _, shown = await ask("get", _n(key_id))
        return self._key(*shown)

    async def create_key(self, request: keys.KeyRequest) -> Minted:
        rights = " ".join(sorted((*request.scopes, *(f"#{tag}" for tag in request.tags))))
        _, n = await ask("create", request.comment, rights)
        return Minted(f"k{n}", secret_of(n))

    async def revoke_key(self, key_id: str) -> None:
        await ask("revoke", _n(key_id))

    async def prove(self, secret: Secret) -> Proof:
        n = int(secret.reveal().removeprefix("CANARY "))
        _, accepted = await ask("prove", n)
        return Proof(accepted, f"k{n}" if accepted else None)

    async def last_used(self, key_id: str) -> LastUse:
        raise NotImplementedError

    async def management_key(self) -> ManagementKey:
        raise NotImplementedError

    def _key(self, n: int, comment: str, rights: str, made: int, member: str) -> keys.Key:
        words = rights.split()
        return keys.Key(
            key_id=f"k{n}",
            comment=comment,
            scopes=frozenset(word for word in words if not word.startswith("#")),
            tags=frozenset(word[1:] for word in words if word.startswith("#")),
            created_at=at(made),
            expires_at=at(made + LIFE) if self.expiring else None,
            member_id=member,
        )

    # the destination

    async def read(self, lineage: Lineage, fields: FieldNames, *, at_least: int = 0) -> EntryRead:
        version: Version
        _, version, tick = await ask(_at(lineage, fields, "read_entry"), at_least)
        there, held = version.number > 0, version.number > 0 and version.n != NOTHING
        entry = Entry(
            state=EntryState.PRESENT if there else EntryState.ABSENT,
            version=version.number,
            written_at=at(version.written) if there else None,
            rotation_id=version.rotation_id,
            key_id=None if version.named == NOBODY else f"k{version.named}",
            has_secret=held,
        )
        return EntryRead(entry, secret_of(version.n) if held else None, at(tick))

    async def check_writable(self, lineage: Lineage, fields: FieldNames) -> None:
        del lineage, fields

    async def publish(
        self, lineage: Lineage, fields: FieldNames, publication: Publication, *, base: int
    ) -> Published:
        n = int(publication.secret.reveal().removeprefix("CANARY "))
        _, number = await ask(_at(lineage, fields, "publish"), base, n, publication.rotation_id)
        return Published(number, None)


class _Journal:
    """The journal port of a seat (its `read` is another one than the destination's)."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat

    async def control(self) -> Control:
        return Control(journal_id=JOURNAL_ID, instance="explored", pauses=self._seat.pauses)

    async def write_control(self, control: Control) -> None:
        del control

    async def names(self) -> tuple[str, ...]:
        return (LINEAGE.record_name,)

    async def read(self, name: str) -> RecordRead:
        del name
        _, version, text, written = await ask("read_record")
        if not version:
            return RecordRead(None, 0, None, self._seat.now())
        return RecordRead(self._seat.texts.record(text), version, at(written), self._seat.now())

    async def write(self, record: Record, *, base: int) -> int:
        _, version = await ask("write", base, self._seat.texts.number(record))
        return int(version)


def _at(lineage: Lineage, fields: FieldNames, call: str) -> str:
    """Return the name of a call about the place where a lineage is served."""
    here = Place(mount=lineage.mount, path=lineage.path, fields=fields) == PLACE_HERE
    return call if here else f"{call}_there"


def refusal(answer: Answer) -> errors.PortError:
    """Return the error that an answer stands for."""
    error: type[errors.PortError] = getattr(errors, answer[1])
    return error("call", "explored")


def _n(key_id: str) -> int:
    return int(key_id.removeprefix("k"))


def secret_of(n: int) -> Secret:
    return Secret(f"CANARY {n}")
