"""One case: a situation, one call in it, and what goes wrong with that call. Run it, let it recover, and judge."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

from rotator.bootstrap import Connected
from rotator.clock import SystemClock
from rotator.model.lineage import Lineage
from rotator.model.order import OrderKind
from rotator.model.reason import HoldReason
from tests.faults.calls import ENTRY, Call
from tests.faults.collected import attempts_in, keys_of, seen
from tests.faults.faults import WRITES_ONLY, Fault, Side
from tests.faults.outside import Installation, Life, Look
from tests.faults.phases import PHASES, Phase, Unsettled, Watch
from tests.faults.seat import Kept, Seat
from tests.faults.wires import Armed
from tests.faults.world import COMMENT, DAY, HOUR, MINUTE, SCOPES, TAGS

RESTS = (3 * MINUTE, 15 * MINUTE, 65 * MINUTE, 25 * HOUR, 25 * HOUR, 25 * HOUR)
"""How time moves on after a fault. Once what was to be done is done, it goes on by `NEXT_DAY`."""

NEXT_DAY = 25 * HOUR

OVERLAP = DAY
"""That of the policy, which says nothing about it."""

LIMITS = frozenset({Fault.THROTTLED, Fault.THROTTLED_UNTIL})
LIMIT_LASTS = timedelta(seconds=1.1)
"""How long nothing is sent to a provider after those, in real time: that is what a rate limit is about."""

_NAME = re.compile(r"(?P<kind>[^:(]+?)(?:: (?P<of>[^(]+?))?(?: \((?P<nth>\d+)\))?")

NOT_REACHED = "it never came to that call"

FOR_GOOD = frozenset({Fault.UNAUTHORIZED, Fault.FORBIDDEN, Fault.NOT_FOUND})
"""What Vault says to a publish, or to the read that it begins with, when it will never take it: the lineage is held until a
person has looked."""


@dataclass(frozen=True, slots=True)
class Case:
    """Its name is enough to run it again."""

    phase: str
    call: Call
    fault: Fault

    def __str__(self) -> str:
        return f"{self.phase} / {self.call} / {self.fault}"


def call_named(name: str) -> Call:
    """Return the call with that name."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"no call is named {name!r}")
    side = Side.PROVIDER if found["kind"].startswith("provider ") else Side.VAULT
    return Call(side, found["kind"], found["of"] or "", int(found["nth"] or 1))


class Runner:
    """Runs cases at one seat, one after another. `kept` are the worlds that situations begin with."""

    def __init__(self, seat: Seat, kept: Mapping[str, Kept]) -> None:
        self._seat, self._kept = seat, kept
        virgin = kept["virgin"]
        self._original = next(key_id for key_id in virgin.world._keys if virgin.roles[key_id] == "original")

    async def record(self, phase: Phase) -> tuple[Call, ...]:
        """Run a situation with nothing going wrong, and return its calls in their order."""
        watch = self._begin(phase)
        async with AsyncExitStack() as stack:
            connected = await self._warm(phase, watch, stack)
            self._seat.wires.begin(self._seat.namer())
            await self._run(phase, watch, connected)
            calls = tuple(self._seat.wires.calls)
        if watch.said:
            raise Unsettled("; ".join(watch.said))
        broken = self._happened(watch).broken(at_rest=False)
        if broken or not self._done(phase):
            raise AssertionError(f"{phase.name}, with nothing going wrong: {broken}")
        return calls

    async def run(self, case: Case, calls: tuple[Call, ...]) -> tuple[str, ...]:
        """Run a case and return the promises that it broke. `calls` are those of its situation."""
        phase = next(phase for phase in PHASES if phase.name == case.phase)
        before = [call for call in calls[: calls.index(case.call)] if call.side is case.call.side]
        armed = Armed(case.call, case.fault, before[-1] if before else None)
        watch = self._begin(phase)
        async with AsyncExitStack() as stack:
            connected = await self._warm(phase, watch, stack)
            self._seat.wires.begin(self._seat.namer(), armed)
            await self._run(phase, watch, connected)
            self._seat.wires.end()
            looks = await self._recover(case, phase, watch, connected)
        broken = self._happened(watch, looks).broken(at_rest=True)
        return broken if armed.fired else (NOT_REACHED, *broken)

    def _begin(self, phase: Phase) -> Watch:
        seat = self._seat
        seat.restore(self._kept[phase.world])
        return Watch(seat)

    async def _warm(self, phase: Phase, watch: Watch, stack: AsyncExitStack) -> Connected | None:
        """Return the process that a situation goes on with, None when it begins with a new one."""
        if phase.ahead is None:
            return None
        connected = await stack.enter_async_context(self._seat.process())
        await watch.look(watch.sweep(connected))
        if watch.said:
            raise Unsettled("; ".join(watch.said))
        self._seat.clock.shift += phase.ahead
        return connected

    async def _run(self, phase: Phase, watch: Watch, connected: Connected | None) -> None:
        if connected is not None:
            await watch.look(phase.run(watch, connected))
            return

        async def begin() -> None:
            async with self._seat.process() as new:
                await phase.run(watch, new)

        await watch.look(begin())

    async def _recover(
        self, case: Case, phase: Phase, watch: Watch, connected: Connected | None
    ) -> list[Look]:
        """Let time pass and sweep, in the same process if that goes on, until everything is at rest; return what was seen."""
        seat, looks = self._seat, list[Look]()
        if connected is not None and case.fault in LIMITS and case.call.side is Side.PROVIDER:
            await SystemClock().sleep(LIMIT_LASTS)
        async with AsyncExitStack() as stack:

            async def go_on(held: str) -> None:
                nonlocal connected
                if connected is None:
                    connected = await stack.enter_async_context(seat.process())
                await self._go_on(case, phase, watch, connected, held=held)

            async def step() -> None:
                seat.wires.settle()
                await watch.look(go_on(watch.hold))

            for rest in (*RESTS, None):
                done = self._done(phase)
                looks.append(Look(done, tuple(watch.said)))
                if rest is None or (done and not list(self._life(watch, ()).left())):
                    break
                seat.clock.shift += NEXT_DAY if done else rest
                await step()
            if rest is RESTS[0] or case.fault in WRITES_ONLY:
                # Nothing was looked at yet since the fault, or something may have come late.
                seat.clock.shift += HOUR
                await step()
        return [*looks, Look(self._done(phase), tuple(watch.said))]

    async def _go_on(
        self, case: Case, phase: Phase, watch: Watch, connected: Connected, *, held: str
    ) -> None:
        """Sweep. A person orders again what was not taken, and what is held for good by that very fault."""
        refused = case.call.kind in {"destination write", "destination read"} and case.fault in FOR_GOOD
        if refused and held == HoldReason.WRITE_REFUSED:
            await watch.order(connected, OrderKind.EMERGENCY if phase.emergency else OrderKind.ROTATE)
        elif phase.emergency and not watch.ordered:
            await phase.run(watch, connected)
            return
        await watch.sweep(connected)

    def _done(self, phase: Phase) -> bool:
        seat = self._seat
        alive = frozenset(
            role
            for text, role in seat.roles.items()
            if (key := seat.world._keys.get(text)) and not key.deleted_at
        )
        return phase.done(seat.roles.get(seat.served() or "", ""), alive)

    def _life(self, watch: Watch, texts: tuple[str, ...]) -> Life:
        """Return what has happened so far to the one lineage. `texts` are its records, the newest last."""
        seat, original = self._seat, self._original
        keys = seat.world._keys.values()
        lineage = Lineage(
            provider="asr", project_id=seat.project_id, namespace="", mount="secret", path="rotated/voice"
        )
        return Life(
            name=COMMENT,
            places={ENTRY: seat.versions(ENTRY)},
            keys=keys_of(lineage.lineage_id, original, keys),
            original=original,
            rights=(frozenset(SCOPES), frozenset(TAGS)),
            attempts=attempts_in(texts),
            sent=frozenset(seat.wires.offered),
            emergencies=() if watch.ordered_at is None else (watch.ordered_at,),
            overlap=OVERLAP,
            released_at=None,
            given_up={},
            remembered=texts[-1] if texts else "",
            strays=frozenset(),
            now=seat.clock.now(),
        )

    def _happened(self, watch: Watch, looks: Sequence[Look] = ()) -> Installation:
        """Return all that has happened so far. Of the keys that were there first, only one is to be rotated."""
        seat, began = self._seat, self._kept["virgin"].world._keys
        texts = seat.records()
        return Installation(
            lives=(self._life(watch, texts),),
            keys=tuple(map(seen, seat.world._keys.values())),
            untouchable=tuple(seen(key) for key_id, key in began.items() if key_id != self._original),
            texts={
                "what is told": tuple(watch.texts),
                "what is sent to Vault besides the destination": tuple(seat.wires.sent),
                "the journal": texts,
            },
            looks=tuple(looks),
            bugs=tuple(watch.bugs),
        )
