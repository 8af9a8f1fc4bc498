"""The search: every reachable state of one lineage, its processes and a world, up to the bounds given.

A state is the world and, for each process, the node it is at (None between two turns). Every call is judged
when it is made, and every world when it is first reached.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.core.exploration import effects, orders, promises
from tests.core.exploration.acts import acts
from tests.core.exploration.bounds import Bounds
from tests.core.exploration.moving import policy_places
from tests.core.exploration.process import Ended, Processes, Start
from tests.core.exploration.promises import Broken
from tests.core.exploration.rest import Rest
from tests.core.exploration.seat import Answer, Effect
from tests.core.exploration.world import HERE, THERE, World, first_world

NAMES = "ab"


class Seen(NamedTuple):
    """A process within a turn: its node, and the world's `touched` when it last read each place."""

    node: int
    touched: tuple[int, int]


class State(NamedTuple):
    """One state of everything. `world` is a number of `Search.worlds`.

    `running` is the process that moved last and is within a turn. Anything else that happens then interrupts
    it, and uses up one of `switches`.
    """

    world: int
    processes: tuple[Seen | None, ...]
    running: int | None
    switches: int


@dataclass(slots=True)
class Found:
    """What the search found: how many states, and the first broken promise with the way to it."""

    states: int
    worlds: int
    nodes: int
    broken: Broken | None
    trace: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{self.states} states, {self.worlds} worlds, {self.nodes} nodes"
        if self.broken is None:
            return f"{head}, no promise broken"
        return "\n".join((f"{head}, {self.broken.promise} broken: {self.broken.how}", *self.trace))


class Step(NamedTuple):
    """One step from a state: what happened, the state after it, and the promise it broke, if any."""

    label: str
    state: State
    broken: Broken | None = None


class Search:
    """A search and all that it has reached."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.processes = Processes()
        self.worlds: list[World] = []
        self._rest = Rest(self.processes)
        self._numbers: dict[World, int] = {}
        self._outcomes: dict[tuple[int, Effect], list[tuple[str, Answer, int]]] = {}

    def run(self) -> Found:
        """Search until every state was reached, or a promise was broken."""
        gc.disable()  # all that is made is kept: looking for garbage would take a fifth of the time
        try:
            return self._run()
        finally:
            gc.enable()

    def _run(self) -> Found:
        """Search breadth first, so that the first broken promise has the shortest way to it."""
        bounds = self.bounds
        world = first_world(
            bounds.world,
            faults=bounds.faults,
            acts=bounds.acts,
            deaths=bounds.deaths,
            orders=bounds.orders,
            moves=bounds.moves,
        )
        start = State(self._number(world), (None,) * bounds.processes, None, bounds.switches)
        came: dict[State, tuple[State, str] | None] = {start: None}
        queue = deque([start])
        judged: set[int] = set()
        while queue:
            state = queue.popleft()
            for step in self._steps(state):
                if step.state in came and step.broken is None:
                    continue
                came.setdefault(step.state, (state, step.label))
                broken = step.broken
                if broken is None and step.state.world not in judged:
                    judged.add(step.state.world)
                    reached = self.worlds[step.state.world]
                    broken = promises.judge_known(reached) or self._rest.judge(reached)
                if broken is not None:
                    return self._found(len(came), broken, (*_way(came, state), step.label))
                queue.append(step.state)
        return self._found(len(came), None, ())

    def _found(self, states: int, broken: Broken | None, trace: tuple[str, ...]) -> Found:
        return Found(states, len(self.worlds), len(self.processes.nexts), broken, trace)

    def _number(self, world: World) -> int:
        """Return the number of a world, so that states are small and quick to compare."""
        number = self._numbers.setdefault(world, len(self.worlds))
        if number == len(self.worlds):
            self.worlds.append(world)
        return number

    def _steps(self, state: State) -> Iterator[Step]:
        """Yield everything that can happen next."""
        world = self.worlds[state.world]
        for which, seen in enumerate(state.processes):
            turned = state if state.running in (None, which) else _interrupted(state)
            if seen is not None and world.deaths:
                dead = self._number(world._replace(deaths=world.deaths - 1))
                yield Step(f"{NAMES[which]} dies", _with(state._replace(world=dead), which, None))
            if turned is not None:
                yield from self._call(turned, which, seen or self._begin(world, which))
            if turned is not None and seen is None:
                for order, ordered in orders.begun(world, self.processes.texts):
                    number = self._number(ordered)
                    begun = self._begin(ordered, which, order)
                    for step in self._call(turned._replace(world=number), which, begun):
                        yield step._replace(label=f"a person orders {order}: {step.label}")
        quiet = state if state.running is None else _interrupted(state)
        if quiet is not None:
            yield from self._happens(quiet, world)

    def _happens(self, state: State, world: World) -> Iterator[Step]:
        """Yield what can happen without any process."""
        if world.tick < self.bounds.ticks:
            later = self._number(world._replace(tick=world.tick + 1))
            yield Step("time passes", state._replace(world=later))
        for late in dict.fromkeys(world.late):
            landed = effects.land(world, late, self.processes.texts)
            broken = promises.judge_late(world, landed, late, self.processes.texts)
            yield Step(f"late: {late.call}", state._replace(world=self._number(landed)), broken)
        for label, acted in (*acts(world, self.processes.texts), *orders.pauses(world)):
            yield Step(label, state._replace(world=self._number(acted)))

    def _begin(self, world: World, which: int, order: str = "") -> Seen:
        places = policy_places(world, self.processes.texts, order)
        start = Start(
            NAMES[which],
            world.tick,
            world.issued[which],
            places,
            order=order,
            paused=world.paused,
            frozen=world.frozen,
        )
        return Seen(self.processes.start(start), world.touched)

    def _call(self, state: State, which: int, seen: Seen) -> Iterator[Step]:
        """Yield every way in which the call that a process makes next can go."""
        processes = self.processes
        effect = processes.nexts[seen.node]
        if isinstance(effect, Ended):
            raise TypeError(f"a turn that has ended makes no call: {effect}")
        world, learnt = self.worlds[state.world], processes.learnt[seen.node]
        for label, answer, outcome in self._ways(state.world, effect):
            after, number = self.worlds[outcome], outcome
            broken = promises.judge_call(world, after, effect, learnt, seen.touched, processes.texts)
            if effect == ("revoke", learnt.minted) and not learnt.sent:
                number = self._number(
                    after._replace(given_up=tuple(sorted({*after.given_up, learnt.minted})))
                )
            node = processes.answered(seen.node, world.tick, answer)
            follows = processes.nexts[node]
            then: Seen | None = None
            if not isinstance(follows, Ended):
                then = Seen(node, _touched(effect, world, seen))
            elif follows.fault:
                broken = broken or Broken("P8", f"the program stopped itself: {follows.fault}")
            moved = state._replace(world=number, running=None if then is None else which)
            yield Step(f"{NAMES[which]} {_text(effect)} {label}".rstrip(), _with(moved, which, then), broken)

    def _ways(self, world: int, effect: Effect) -> list[tuple[str, Answer, int]]:
        asked = (world, effect)
        if asked not in self._outcomes:
            ways = effects.outcomes(self.worlds[world], effect, self.processes.texts)
            self._outcomes[asked] = [(label, answer, self._number(after)) for label, answer, after in ways]
        return self._outcomes[asked]


def _touched(effect: Effect, world: World, seen: Seen) -> tuple[int, int]:
    """Return the counts of what persons changed, as they were when a process last read each place."""
    match effect[0]:
        case "read_entry":
            return (world.touched[HERE], seen.touched[THERE])
        case "read_entry_there":
            return (seen.touched[HERE], world.touched[THERE])
        case _:
            return seen.touched


def _way(came: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    labels = []
    link = came[state]
    while link is not None:
        labels.append(link[1])
        link = came[link[0]]
    return tuple(reversed(labels))


def _interrupted(state: State) -> State | None:
    """Return the state with the running process interrupted, None when it may not be any more."""
    return state._replace(running=None, switches=state.switches - 1) if state.switches else None


def _with(state: State, which: int, seen: Seen | None) -> State:
    processes = list(state.processes)
    processes[which] = seen
    running = None if seen is None and state.running == which else state.running
    return state._replace(processes=tuple(processes), running=running)


def _text(effect: Effect) -> str:
    call, *arguments = effect
    return f"{call}({', '.join(str(a)[-20:] for a in arguments)})"
