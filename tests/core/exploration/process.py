"""One process: the real `reconcile.turn`, run without an event loop by sending answers into it.

What a turn does next depends on nothing but the answers it got so far. So a process in the middle of a turn
is the list of those answers; it is brought back by running the real code again with the same answers. Each
distinct list is a numbered node, and what it asks for next is computed once.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from rotator import errors
from rotator.inventory.assignment import Assignment
from rotator.model.entry import Place
from rotator.policy.policy import Adopt, DestinationTemplate, Freeze, Policy
from rotator.reconcile import Turn, turn
from tests.core.exploration import orders
from tests.core.exploration.seat import LINEAGE, Answer, Effect, Seat, refusal
from tests.core.exploration.texts import Texts
from tests.core.exploration.world import ADOPTED, HERE, NOBODY, THERE, TICK, at

OVERLAP_TICKS = 2

POLICY = Policy(
    name="explored",
    providers=("asr",),
    adopt=Adopt.NOW,
    max_age=2 * TICK,
    overlap=OVERLAP_TICKS * TICK,
    prove_deadline=timedelta(0),
    retry_initial=timedelta(seconds=2),
    retry_max=timedelta(seconds=2),
    min_gap=timedelta(seconds=1),
    fingerprint="explored",
)
DUE_TICKS = 20
FROZEN = (Freeze(starts_at=at(2), ends_at=at(29)),)
"""It begins amid what is searched, and ends after keys of then have expired."""
CALM = replace(POLICY, max_age=DUE_TICKS * TICK)
"""The same policy with keys that are due so late that everything comes to rest before."""


class Start(NamedTuple):
    """How a turn begins: whose it is, when, how many rotation ids it has used, and under which policy.

    `places` are where the policy file puts it by then, and the other place. `order`: it is no turn but carries this
    order out. `paused`: that is what stands in the control record. `frozen`: the policy has a freeze, and keys expire.
    """

    name: str
    tick: int
    issued: int
    places: tuple[Place, Place]
    calm: bool = False
    order: str = ""
    paused: bool = False
    frozen: bool = False


class Ended(NamedTuple):
    """How a turn ended: with which decision or error. `fault` is set when it ended as no program may."""

    text: str
    fault: str = ""


class Learnt(NamedTuple):
    """What a process has done and seen within its turn: for the judges, the program does not see it.

    `accepted` are the keys that it saw accepted, `minted` is the one that the answer to its create named, `asked_for` with
    which comment it asked for one, `sent` whether it has sent a publish; `reads` are when it last read each place, `asked` is when it made its last decision;
    `knew` is the version of the record that it last read or wrote, `given` whether it read one, with what a newer version
    had put there; `paused` whether it read that the lineage is.
    """

    accepted: frozenset[int] = frozenset()
    minted: int = NOBODY
    asked_for: str = ""
    sent: bool = False
    reads: tuple[int, int] = (NOBODY, NOBODY)
    asked: int = NOBODY
    knew: int = 0
    given: bool = False
    paused: bool = False


class _Running(NamedTuple):
    """A turn, or an order, that stands at a call."""

    coroutine: Coroutine[Effect, Answer, object]
    seat: Seat


LIVE = 2000
"""How many turns are kept running, so that they need not be run again from their beginning."""


class Processes:
    """All nodes that were ever reached, and what each asks for next."""

    def __init__(self) -> None:
        self.texts = Texts()
        self.nexts: list[Effect | Ended] = []
        self.learnt: list[Learnt] = []
        self._histories: list[tuple[Start, tuple[tuple[int, Answer], ...]]] = []
        self._starts: dict[Start, int] = {}
        self._answers: dict[tuple[int, int, Answer], int] = {}
        self._live: dict[int, _Running] = {}

    def start(self, start: Start) -> int:
        """Return the node of a process that begins a turn."""
        if start not in self._starts:
            self._starts[start] = self._add(start, (), Learnt(asked=start.tick, paused=start.paused))
        return self._starts[start]

    def answered(self, node: int, tick: int, answer: Answer) -> int:
        """Return the node that `node` becomes when it gets `answer` at `tick`."""
        step = (node, tick, answer)
        if step not in self._answers:
            start, history = self._histories[node]
            learnt = _noted(self.learnt[node], self.nexts[node], answer, tick)
            self._answers[step] = self._add(
                start, (*history, (tick, answer)), learnt, self._live.pop(node, None)
            )
        return self._answers[step]

    def _add(
        self,
        start: Start,
        history: tuple[tuple[int, Answer], ...],
        learnt: Learnt,
        running: _Running | None = None,
    ) -> int:
        self._histories.append((start, history))
        self.learnt.append(learnt)
        if running is None:
            running, asked = self._run(start, history)
        else:
            asked = _send(running, *history[-1])
        self.nexts.append(asked)
        node = len(self.nexts) - 1
        if not isinstance(asked, Ended):
            self._live[node] = running
            if len(self._live) > LIVE:
                self._live.pop(next(iter(self._live))).coroutine.close()
        return node

    def _run(self, start: Start, history: tuple[tuple[int, Answer], ...]) -> tuple[_Running, Effect | Ended]:
        """Run the real code from its beginning with these answers."""
        seat = Seat(
            start.name,
            start.tick,
            start.issued,
            self.texts,
            paused=start.paused,
            expiring=start.frozen,
        )
        destination = DestinationTemplate(fields=start.places[0].fields)
        policy = replace(CALM if start.calm else POLICY, destination=destination)
        if start.frozen:
            policy = replace(policy, freezes=FROZEN, retry_max=TICK)
        assignment = Assignment(lineage=LINEAGE, policy=policy, matched_key_id=f"k{ADOPTED}")
        if start.order:
            # Its clock stands still, so it must not wait for another process.
            ports = replace(seat.ports(), stopping=lambda: True)
            running = _Running(orders.program(start.order, start.places, assignment, ports), seat)
        else:
            running = _Running(turn(assignment, seat.ports()), seat)
        asked = _send(running, start.tick, None)
        for tick, answer in history:
            asked = _send(running, tick, answer)
        return running, asked


def _send(running: _Running, tick: int, answer: Answer | None) -> Effect | Ended:
    """Send one answer into a turn, and return what it asks for next, or how it ended."""
    running.seat.tick = tick
    try:
        if answer is not None and answer[0] == "raise":
            return running.coroutine.throw(refusal(answer))
        sent: Any = answer
        return running.coroutine.send(sent)
    except StopIteration as stop:
        stands = stop.value.stands if isinstance(stop.value, Turn) else stop.value
        return Ended(f"{type(stands).__name__} {getattr(stands, 'reason', '')}")
    except errors.PortError as error:
        return Ended(f"{type(error).__name__}: {error}")
    except (errors.InvariantViolation, AssertionError) as error:
        return Ended("broken", fault=repr(error))


def _noted(learnt: Learnt, effect: Effect | Ended, answer: Answer, tick: int) -> Learnt:
    learnt = learnt._replace(asked=tick)
    match (*effect[:2], *answer[:2]):
        case ("prove", int() as n, "proof", True):
            return learnt._replace(accepted=learnt.accepted | {n})
        case ("create", str() as comment, "minted", int() as n):
            return learnt._replace(minted=n, asked_for=comment)
        case ("publish" | "publish_there", *_):
            return learnt._replace(sent=True)
        case ("read_entry", _, "entry", *_):
            return learnt._replace(reads=(tick, learnt.reads[THERE]))
        case ("read_entry_there", _, "entry", *_):
            return learnt._replace(reads=(learnt.reads[HERE], tick))
        case ("read_record", *_) if answer[0] == "record":
            return learnt._replace(knew=answer[1], given=learnt.given or answer[1] > 0)
        case ("write", *_) if answer[0] == "version":
            return learnt._replace(knew=answer[1])
        case _:
            return learnt
