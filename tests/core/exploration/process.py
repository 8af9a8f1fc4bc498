"""One process: the real `reconcile.turn`, run without an event loop by sending answers into it.

What a turn does next depends on nothing but the answers it got so far. So a process in the middle of a turn
is the list of those answers; it is brought back by running the real code again with the same answers. Each
distinct list is a numbered node, and what it asks for next is computed once.
"""

from __future__ import annotations

import types
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from rotator import errors
from rotator.inventory.assignment import Assignment
from rotator.model import key as keys
from rotator.model.entry import Entry, EntryState, FieldNames, Publication
from rotator.model.lineage import Lineage
from rotator.model.record import Record, decode, encode
from rotator.model.secret import Secret
from rotator.policy.policy import Adopt, Policy
from rotator.ports import Control, EntryRead, Minted, Ports, Proof, Published, RecordRead
from rotator.reconcile import turn
from tests.core.exploration.world import TICK, at

LINEAGE = Lineage(provider="asr", project_id="p", namespace="", mount="secret", path="voice")
JOURNAL_ID = "0123456789ab"
OVERLAP_TICKS = 2

POLICY = Policy(
    name="explored",
    provider="asr",
    adopt=Adopt.NOW,
    max_age=2 * TICK,
    overlap=OVERLAP_TICKS * TICK,
    prove_deadline=timedelta(0),
    retry_initial=timedelta(seconds=2),
    retry_max=timedelta(seconds=2),
    min_gap=timedelta(seconds=1),
    fingerprint="explored",
)
CLAIM_TTL = timedelta(minutes=10)

Effect = tuple[Any, ...]
Answer = tuple[Any, ...]


class Ended(NamedTuple):
    """How a turn ended: with which decision or error. `fault` is set when it ended as no program may."""

    text: str
    fault: str = ""


@types.coroutine
def ask(*effect: Any) -> Generator[Effect, Any, Any]:  # noqa: ANN401 (an effect is its name and arguments)
    """Ask the world for one effect."""
    return (yield effect)


class Texts:
    """Record texts by number, so that worlds stay small and quick to compare."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._records: dict[int, Record] = {}

    def number(self, record: Record) -> int:
        text = encode(record)
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return self._numbers[text]

    def record(self, number: int) -> Record:
        if number not in self._records:
            self._records[number] = decode(self.texts[number])
        return self._records[number]


class _Seat:
    """Where one process sits: its clock stands still between two answers."""

    def __init__(self, name: str, tick: int, issued: int, texts: Texts) -> None:
        self.name, self.tick, self.issued, self.texts = name, tick, issued, texts

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
        _, shown = await ask("list")
        return keys.Listing(
            keys=tuple(_key(*k) for k in shown),
            at=self.now(),
            seen_at=self.now(),
            management_key_id="k0",
            management_member_id="ops",
        )

    async def get_key(self, key_id: str) -> keys.Key:
        _, shown = await ask("get", _n(key_id))
        return _key(*shown)

    async def create_key(self, request: keys.KeyRequest) -> Minted:
        _, n = await ask("create", request.comment, " ".join(sorted(request.scopes)))
        return Minted(f"k{n}", _secret(n))

    async def revoke_key(self, key_id: str) -> None:
        await ask("revoke", _n(key_id))

    async def prove(self, secret: Secret) -> Proof:
        n = int(secret.reveal().removeprefix("CANARY-"))
        _, accepted = await ask("prove", n)
        return Proof(accepted, f"k{n}" if accepted else None)

    # the destination

    async def read(self, lineage: Lineage, fields: FieldNames, *, at_least: int = 0) -> EntryRead:
        del lineage, fields
        _, number, n, rotation_id, written = await ask("read_entry", at_least)
        entry = Entry(
            state=EntryState.PRESENT if number else EntryState.ABSENT,
            version=number,
            written_at=at(written) if number else None,
            rotation_id=rotation_id,
            key_id=f"k{n}" if n else None,
            has_secret=bool(number),
        )
        return EntryRead(entry, _secret(n) if number else None, self.now())

    async def check_writable(self, lineage: Lineage, fields: FieldNames) -> None:
        del lineage, fields

    async def publish(
        self, lineage: Lineage, fields: FieldNames, publication: Publication, *, base: int
    ) -> Published:
        del lineage, fields
        n = _n(publication.key_id)
        _, number = await ask("publish", base, n, publication.rotation_id)
        return Published(number, None)


class _Journal:
    """The journal port of a seat (its `read` is another one than the destination's)."""

    def __init__(self, seat: _Seat) -> None:
        self._seat = seat

    async def control(self) -> Control:
        return Control(journal_id=JOURNAL_ID, instance="explored")

    async def found(self, control: Control) -> None:
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


class Processes:
    """All nodes that were ever reached, and what each asks for next."""

    def __init__(self) -> None:
        self.texts = Texts()
        self.nexts: list[Effect | Ended] = []
        self._histories: list[tuple[tuple[str, int, int], tuple[tuple[int, Answer], ...]]] = []
        self._starts: dict[tuple[str, int, int], int] = {}
        self._answers: dict[tuple[int, int, Answer], int] = {}

    def start(self, name: str, tick: int, issued: int) -> int:
        """Return the node of a process that begins a turn."""
        start = (name, tick, issued)
        if start not in self._starts:
            self._starts[start] = self._add(start, ())
        return self._starts[start]

    def answered(self, node: int, tick: int, answer: Answer) -> int:
        """Return the node that `node` becomes when it gets `answer` at `tick`."""
        step = (node, tick, answer)
        if step not in self._answers:
            start, history = self._histories[node]
            self._answers[step] = self._add(start, (*history, (tick, answer)))
        return self._answers[step]

    def name(self, node: int) -> str:
        return self._histories[node][0][0]

    def _add(self, start: tuple[str, int, int], history: tuple[tuple[int, Answer], ...]) -> int:
        self._histories.append((start, history))
        self.nexts.append(self._run(start, history))
        return len(self.nexts) - 1

    def _run(self, start: tuple[str, int, int], history: tuple[tuple[int, Answer], ...]) -> Effect | Ended:
        """Run the real code with these answers, and return what it asks for next, or how it ended."""
        seat = _Seat(*start, self.texts)
        ports = Ports(
            provider=seat,
            destinations=seat,
            journal=_Journal(seat),
            clock=seat,
            rotation_ids=seat,
            holder=seat.name,
            journal_id=JOURNAL_ID,
            claim_ttl=CLAIM_TTL,
            stopping=lambda: False,
            tell=lambda told: None,
        )
        assignment = Assignment(lineage=LINEAGE, policy=POLICY, matched_key_id="k1")
        running = turn(assignment, ports)
        try:
            effect = running.send(None)
            for tick, answer in history:
                seat.tick = tick
                if answer[0] == "raise":
                    error: type[errors.PortError] = getattr(errors, answer[1])
                    effect = running.throw(error(str(effect[0]), "explored"))
                else:
                    effect = running.send(answer)
        except StopIteration as stop:
            stands = stop.value.stands
            return Ended(f"{type(stands).__name__} {getattr(stands, 'reason', '')}")
        except errors.PortError as error:
            return Ended(f"{type(error).__name__}: {error}")
        except (errors.InvariantViolation, AssertionError) as error:
            return Ended("broken", fault=repr(error))
        running.close()
        return tuple(effect)


def _n(key_id: str) -> int:
    return int(key_id.removeprefix("k"))


def _secret(n: int) -> Secret:
    return Secret(f"CANARY-{n}")


def _key(n: int, comment: str, scopes: str, made: int, member: str) -> keys.Key:
    return keys.Key(
        key_id=f"k{n}",
        comment=comment,
        scopes=frozenset(scopes.split()),
        tags=frozenset(),
        created_at=at(made),
        expires_at=None,
        member_id=member,
    )
