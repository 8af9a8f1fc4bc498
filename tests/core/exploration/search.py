"""The search: every reachable state of one lineage, two processes and a world, up to the bounds given.

A state is the world and, for each process, the node it is at (None between two turns). Every state is judged;
from every state a finite number of undisturbed turns must lead to rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.core.exploration import effects, promises
from tests.core.exploration.process import Answer, Effect, Ended, Processes
from tests.core.exploration.promises import Broken
from tests.core.exploration.world import MANAGEMENT, ORIGINAL, RIGHTS, Key, World

NAMES = "ab"


class Seen(NamedTuple):
    """A process within a turn: its node, and what the judges note of what it has learnt.

    `acts` is what a person had left to do when it last tried a secret, `accepted` the key that it last saw
    accepted.
    """

    node: int
    acts: int
    accepted: int


class State(NamedTuple):
    """One state of everything. `world` is a number of `Search.worlds`.

    `running` is the process that moved last and is within a turn. Anything else that happens then interrupts
    it, and uses up one of `switches`.
    """

    world: int
    processes: tuple[Seen | None, ...]
    running: int | None
    switches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far the search goes: ticks, calls that go wrong, acts of a person, deaths, interruptions, processes."""

    ticks: int
    faults: int
    acts: int
    deaths: int
    switches: int
    processes: int = 2


@dataclass(slots=True)
class Found:
    """What the search found: how many states, and the first broken promise with the way to it."""

    states: int
    worlds: int
    nodes: int
    broken: Broken | None
    trace: tuple[str, ...]


def first_world(bounds: Bounds) -> World:
    """Return the world before anything: a management key, an original, an empty Vault."""
    return World(
        tick=0,
        keys=(
            Key(MANAGEMENT, "", "rotator", "owner", -99, "ops"),
            Key(1, ORIGINAL, "voice", RIGHTS, -2, "ann"),
        ),
        entry=(),
        record=(),
        late=(),
        issued=(0, 0),
        released=False,
        publishes=(),
        bases=(),
        faults=bounds.faults,
        acts=bounds.acts,
        deaths=bounds.deaths,
    )


class Step(NamedTuple):
    """One step from a state: what happened, the state after it, and the promise it broke, if any."""

    label: str
    state: State
    broken: Broken | None


class Search:
    """A search and all that it has reached."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.processes = Processes()
        self.worlds: list[World] = []
        self._numbers: dict[World, int] = {}
        self._outcomes: dict[tuple[int, Effect], list[tuple[str, Answer, int]]] = {}
        self._rested: set[World] = set()

    def run(self) -> Found:
        """Search breadth first, so that the first broken promise has the shortest way to it."""
        world = self._number(first_world(self.bounds))
        start = State(world, (None,) * self.bounds.processes, None, self.bounds.switches)
        came: dict[State, tuple[State, str] | None] = {start: None}
        queue = deque([start])
        judged = 0
        while queue:
            state = queue.popleft()
            for step in self._steps(state):
                if step.state in came and step.broken is None:
                    continue
                came.setdefault(step.state, (state, step.label))
                broken = step.broken
                while broken is None and judged < len(self.worlds):
                    world = self.worlds[judged]
                    broken = promises.judge_known(world) or self._rests(world)
                    judged += 1
                if broken is not None:
                    return self._found(came, broken, (*self._way(came, state), step.label))
                queue.append(step.state)
        return self._found(came, None, ())

    def _found(
        self, came: dict[State, tuple[State, str] | None], broken: Broken | None, trace: tuple[str, ...]
    ) -> Found:
        return Found(len(came), len(self.worlds), len(self.processes.nexts), broken, trace)

    def _number(self, world: World) -> int:
        """Return the number of a world, so that states are small and quick to compare."""
        number = self._numbers.setdefault(world, len(self.worlds))
        if number == len(self.worlds):
            self.worlds.append(world)
        return number

    def _way(self, came: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
        labels = []
        link = came[state]
        while link is not None:
            labels.append(link[1])
            link = came[link[0]]
        return tuple(reversed(labels))

    def _steps(self, state: State) -> Iterator[Step]:
        """Yield everything that can happen next."""
        world = self.worlds[state.world]
        for which, seen in enumerate(state.processes):
            turned = state if state.running in (None, which) else _interrupted(state)
            if seen is not None and world.deaths:
                dead = self._number(world._replace(deaths=world.deaths - 1))
                yield Step(f"{NAMES[which]} dies", _with(state._replace(world=dead), which, None), None)
            if turned is not None:
                yield from self._call(turned, which, seen or self._begin(world, which))
        quiet = state if state.running is None else _interrupted(state)
        if quiet is None:
            return
        if world.tick < self.bounds.ticks:
            later = self._number(world._replace(tick=world.tick + 1))
            yield Step("time passes", quiet._replace(world=later), None)
        for late in set(world.late):
            landed = effects.land(world, late, self.processes.texts)
            broken = _judge_late(world, landed, late.call, late.arguments)
            yield Step(f"late: {late.call}", quiet._replace(world=self._number(landed)), broken)
        for label, acted in effects.acts(world, self.processes.texts):
            yield Step(label, quiet._replace(world=self._number(acted)), None)

    def _begin(self, world: World, which: int) -> Seen:
        node = self.processes.start(NAMES[which], world.tick, world.issued[which])
        return Seen(node, world.acts, -1)

    def _call(self, state: State, which: int, seen: Seen) -> Iterator[Step]:
        """Yield every way in which the call that a process makes next can go."""
        effect = self.processes.nexts[seen.node]
        if isinstance(effect, Ended):
            raise TypeError(f"a turn that has ended makes no call: {effect}")
        world = self.worlds[state.world]
        for outcome, answer, number in self._ways(state.world, effect):
            broken = self._judge(world, self.worlds[number], effect, seen)
            node = self.processes.answered(seen.node, world.tick, answer)
            follows = self.processes.nexts[node]
            after: Seen | None = None
            if isinstance(follows, Ended):
                if follows.fault and broken is None:
                    broken = Broken("P3", f"the program stopped itself: {follows.fault}")
            else:
                after = _noted(Seen(node, seen.acts, seen.accepted), effect, answer, world)
            moved = state._replace(world=number, running=None if after is None else which)
            yield Step(
                f"{NAMES[which]} {_text(effect)} {outcome}".rstrip(), _with(moved, which, after), broken
            )

    def _ways(self, world: int, effect: Effect) -> list[tuple[str, Answer, int]]:
        asked = (world, effect)
        if asked not in self._outcomes:
            ways = effects.outcomes(self.worlds[world], effect, self.processes.texts)
            self._outcomes[asked] = [(label, answer, self._number(after)) for label, answer, after in ways]
        return self._outcomes[asked]

    def _judge(self, before: World, after: World, effect: Effect, seen: Seen) -> Broken | None:
        match effect:
            case ("revoke", int() as n):
                return promises.judge_revoke(before, n, disturbed=before.acts != seen.acts, sent=True)
            case ("publish", _, int() as n, _):
                unproven = promises.judge_unproven(seen.accepted == n, n)
                took_hold = len(after.publishes) > len(before.publishes)
                return unproven or (promises.judge_publish(after) if took_hold else None)
        return None

    def _rests(self, world: World) -> Broken | None:
        """Judge that undisturbed turns of one process lead from this world to rest, and to a sound rest."""
        calm = world._replace(faults=0, acts=0, deaths=0)
        if calm in self._rested:
            return None
        broken, passed = settle(self.processes, calm)
        if broken is None:
            self._rested.update(passed)
        return broken


def _interrupted(state: State) -> State | None:
    """Return the state with the running process interrupted, None when it may not be any more."""
    return state._replace(running=None, switches=state.switches - 1) if state.switches else None


def settle(processes: Processes, world: World) -> tuple[Broken | None, list[World]]:
    """Run undisturbed turns of process `a`, time passing between them, until nothing is left to be done.

    Rest is where nothing changes but by a rotation that falls due. Return the broken promise, if any, and the
    worlds passed on the way.
    """
    passed = [world]
    later = [effects.land(world, late, processes.texts) for late in world.late[:1]]
    world = later[0] if later else world
    for _ in range(TURNS_TO_REST):
        before = world
        ended = Ended("")
        node = processes.start("a", world.tick, world.issued[0])
        while not isinstance(ended := processes.nexts[node], Ended):  # type: ignore[assignment]
            outcome = next(effects.outcomes(world, ended, processes.texts))
            world = outcome.world
            node = processes.answered(node, world.tick, outcome.answer)
        if ended.fault:
            return Broken("P3", f"the program stopped itself: {ended.fault}"), passed
        if world == before:
            return _sound(world, ended), passed
        passed.append(world)
    return Broken("P8", f"no rest after {TURNS_TO_REST} undisturbed turns: {ended.text}"), passed


TURNS_TO_REST = 12


def _sound(world: World, ended: Ended) -> Broken | None:
    """Judge a world at rest: what Vault serves works, unless a hold or another's claim says that a person or time must help."""
    served = world.served
    waits = ended.text.startswith("Hold") or "claimed" in ended.text or "backing_off" in ended.text
    if served is None or waits:
        return None
    key = world.key(served.n)
    if key is None or not key.alive:
        return Broken("P1", f"at rest ({ended.text}), and Vault serves k{served.n}, which does not work")
    return None


def _judge_late(before: World, after: World, call: str, arguments: tuple[object, ...]) -> Broken | None:
    if call == "revoke" and isinstance(arguments[0], int):
        return promises.judge_revoke(before, arguments[0], disturbed=False, sent=False)
    if call == "publish" and len(after.publishes) > len(before.publishes):
        return promises.judge_publish(after)
    return None


def _noted(seen: Seen, effect: Effect, answer: tuple[object, ...], world: World) -> Seen:
    """Note what a process has learnt: for the judges only, the program does not see it."""
    if effect[0] == "prove" and answer[0] == "proof":
        return Seen(seen.node, world.acts, effect[1] if answer[1] else seen.accepted)
    return seen


def _with(state: State, which: int, seen: Seen | None) -> State:
    processes = list(state.processes)
    processes[which] = seen
    running = None if seen is None and state.running == which else state.running
    return state._replace(processes=tuple(processes), running=running)


def _text(effect: Effect) -> str:
    call, *arguments = effect
    return f"{call}({', '.join(str(a)[-20:] for a in arguments)})"
