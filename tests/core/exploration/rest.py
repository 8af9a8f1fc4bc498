"""Judge that everything comes to rest: from any world, undisturbed turns and time lead to a sound one."""

from __future__ import annotations

from rotator.model.order import OrderKind
from tests.core.exploration import effects, promises
from tests.core.exploration.moving import destination, policy_places, served_places
from tests.core.exploration.process import DUE_TICKS, OVERLAP_TICKS, Ended, Processes, Start
from tests.core.exploration.promises import Broken
from tests.core.exploration.world import ADOPTED, LIFE, US, World

TURNS = 12
"""How many turns at one instant must be enough."""

WAITS = (0, 1, DUE_TICKS, *(OVERLAP_TICKS + 1,) * 8)
"""How time passes: not at all, until a claim has run out, until the key in use is due once more, and then a few
times by more than an overlap."""

WORKS_AFTER = 1
"""After that many waits what Vault serves must work."""

SOUND_AFTER = 3
"""After that many waits the world may be sound; only deletions that fail, and so take turns, need all of them."""

AT_REST = ("Wait not_due", "Wait awaiting_release", "Wait not_found", "Hold")


class Rest:
    """Settles worlds, and remembers those that are known to come to rest."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._rested: set[World] = set()

    def judge(self, world: World) -> Broken | None:
        """Return the promise that is broken when nothing disturbs `world` any more, by anything or at its end.

        A process that never ran before takes turns alone. What is late never lands (that it does is another
        world, which is judged as well). A pause has ended. The key in use falls due once, because only a later publish makes
        it certain that an orphan's own can't come any more.
        """
        world = world._replace(faults=0, acts=0, deaths=0, orders=0, moves=0, late=(), paused=False)
        passed: list[World] = []
        ended, broken = Ended(""), None
        for waited, ticks in enumerate(WAITS):
            world = world._replace(tick=world.tick + ticks)
            if (broken := self._expired(world, ended)) is not None:
                return broken
            for _ in range(TURNS):
                if world in self._rested:
                    self._rested.update(passed)
                    return None
                passed.append(world)
                broken, after, ended = self._turn(world)
                if broken is not None:
                    return broken
                if after == world:
                    break
                world = after
            else:
                return Broken("P8", f"no rest after {TURNS} undisturbed turns: {ended.text}")
            if waited >= WORKS_AFTER and (broken := self._works(world, ended)) is not None:
                return broken
            if waited >= SOUND_AFTER and (broken := self._sound(world, ended)) is None:
                self._rested.update(passed)
                return None
        return broken

    def _emergency_over(self, world: World, how: str) -> Broken | None:
        """Judge that an emergency which the record remembers was carried out, if it was not forgotten after that."""
        given = [order.kind for order in self._processes.texts.record(world.record[-1].text).orders]
        last = next((k for k in reversed(given) if k in (OrderKind.EMERGENCY, OrderKind.FORGET)), None)
        if last is not OrderKind.EMERGENCY:
            return None
        if not any(promises.emergency_of(world, publish) for publish in world.publishes):
            return Broken("P8", f"{how}, and an emergency was ordered and never carried out")
        adopted = world.key(ADOPTED)
        if adopted is not None and adopted.alive and promises.in_emergency(world, adopted):
            return Broken("P8", f"{how}, and k{ADOPTED} outlived an emergency")
        return None

    def _turn(self, world: World) -> tuple[Broken | None, World, Ended]:
        """Let one turn run to its end, and judge each of its calls."""
        processes = self._processes
        places = policy_places(world, processes.texts)
        node = processes.start(
            Start("c", world.tick, world.issued[2], places, calm=True, frozen=world.frozen)
        )
        while not isinstance(asked := processes.nexts[node], Ended):
            outcome = next(effects.outcomes(world, asked, processes.texts))
            learnt = processes.learnt[node]
            broken = promises.judge_call(
                world, outcome.world, asked, learnt, world.touched, processes.texts
            ) or promises.judge_known(outcome.world)
            if broken is not None:
                return broken, world, Ended("")
            world = outcome.world
            node = processes.answered(node, world.tick, outcome.answer)
        return (Broken("P8", asked.fault) if asked.fault else None), world, asked

    def _expired(self, world: World, ended: Ended) -> Broken | None:
        """Judge that what Vault serves was replaced before it expired, or a person was told."""
        if not world.frozen or not world.record or world.forgotten or ended.text.startswith("Hold"):
            return None
        served = world.newest(destination(world, self._processes.texts))
        key = world.key(served.n) if served is not None else None
        if key is None:
            return None
        expired = world.tick - key.made >= LIFE
        how = f"time passes ({ended.text}), and k{key.n} expired while Vault served it"
        return Broken("P1", how) if expired else None

    def _works(self, world: World, ended: Ended) -> Broken | None:
        """Judge that what Vault serves works, wherever it should, or a person is told."""
        if not world.record or world.forgotten or ended.text.startswith("Hold"):
            return None
        places = served_places(world, self._processes.texts)
        everywhere = {served.n for place in places if (served := world.newest(place)) is not None}
        if len(everywhere) > 1:
            return Broken("P8", f"at rest ({ended.text}), and two places serve {sorted(everywhere)}")
        for place in places:
            served = world.newest(place)
            if served is None and len(places) == 1:
                continue
            key = world.key(served.n) if served is not None else None
            if key is None or not key.alive:
                what = f"k{served.n}, which does not work" if served is not None else "nothing at one place"
                return Broken("P1", f"at rest ({ended.text}), and Vault serves {what}")
        return None

    def _sound(self, world: World, ended: Ended) -> Broken | None:
        """Judge that the key in use is a new one, and no other key of ours lives, or a person is told."""
        if not world.record or world.forgotten:
            return None
        how = f"at rest ({ended.text})"
        named = self._processes.texts.record(world.record[-1].text).known_key_ids()
        adopted, served = world.key(ADOPTED), world.newest(destination(world, self._processes.texts))
        if adopted is not None and adopted.alive and f"k{ADOPTED}" not in named:
            return Broken("P2", f"{how}, adopted k{ADOPTED} lives on and was forgotten")
        if ended.text.startswith("Hold"):
            return None
        # Nobody can see whether the only key of another member is gone: its deletion is tried for ever, and told.
        # The management key in use is never deleted.
        stays = world.management == ADOPTED
        unseen = adopted is not None and f"k{ADOPTED}" in named and (stays or not world.shows(adopted))
        if not ended.text.startswith(AT_REST) and not unseen:
            return Broken("P8", f"time passes and it is neither at rest nor held: {ended.text}")
        key = world.key(served.n) if served is not None else None
        if key is None:
            return Broken("P8", f"{how}, and nothing was ever published")
        if not unseen and (broken := self._emergency_over(world, how)) is not None:
            return broken
        if world.tick - key.made >= DUE_TICKS:
            return Broken("P8", f"{how}, and k{key.n} was never replaced although it was due")
        for other in world.keys:
            if other.maker == US and other.alive and other != key and promises.passes_for_ours(world, other):
                return Broken("P2", f"{how}, k{other.n} of ours lives on")
        return None
