"""The five situations in which calls are made to fail, and how each is brought about and run."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotator.bootstrap import Connected
from rotator.daemon.breaker import Breaker
from rotator.daemon.sweep import sweep
from rotator.errors import RotatorError
from rotator.model.order import OrderKind
from rotator.model.reason import WaitReason
from rotator.model.record import Record
from rotator.model.told import Step, Told
from rotator.plan.actions import Hold, Wait
from rotator.reconcile import Reconciled
from rotator.rotation.orders import Ordered, give
from tests.faults.seat import Kept, Seat
from tests.faults.world import DAY, HOUR, MINUTE
from tests.support import canary

CALM = frozenset({WaitReason.NOT_DUE, WaitReason.OVERLAP, WaitReason.AWAITING_RELEASE})
"""What a lineage waits for when nothing is wrong."""


class Unsettled(Exception):
    """Before anything was made to go wrong, something did: the machine is too busy."""


@dataclass(slots=True)
class Watch:
    """What a person beside the program would see: its troubles, what it tells, and what it ends in."""

    seat: Seat
    breakers: dict[str, Breaker] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)
    hold: str = ""
    ordered_at: datetime | None = None
    ordered: bool = False

    async def look(self, work: Awaitable[object]) -> None:
        """Do some work of the program, and see what it says."""
        self.said, self.hold = [], ""
        try:
            await work
        except RotatorError as error:
            self.texts.append(canary.text_of(error))
            self.said.append(f"{type(error).__name__}: {error}")
        except Exception as bug:  # noqa: BLE001 (whatever it is, it is a finding)
            self.texts.append(canary.text_of(bug))
            self.bugs.append(type(bug).__name__)

    async def sweep(self, connected: Connected) -> None:
        """Sweep once, as `rotator once` does."""
        fleet = await connected.survey()
        self.texts.append(repr(fleet.troubles))
        self.said += [f"{trouble.what}: {trouble.error}" for trouble in fleet.troubles]
        results = await sweep(
            fleet,
            lambda lineage: connected.ports(lineage, stopping=lambda: False, tell=self._tell),
            concurrency=4,
            starts_per_hour=60,
            breakers=self.breakers,
        )
        for result in results:
            self._saw(result)

    async def order(self, connected: Connected, kind: OrderKind) -> Record | None:
        """Order a rotation, as a person does."""
        fleet = await connected.survey()
        self.said += [f"{trouble.what}: {trouble.error}" for trouble in fleet.troubles]
        if not fleet.found:
            return None
        (found,) = fleet.found
        ports = connected.ports(found.assignment.lineage, stopping=lambda: False, tell=self._tell)
        given = await give(Ordered(kind=kind, who="ops@host", why="a case"), found.assignment, ports)
        if not isinstance(given, Record):
            self.said.append(repr(given))
            return None
        return given

    def _tell(self, told: Told) -> None:
        self.texts.append(repr(told))
        if told.step in {Step.FAILED, Step.HELD}:
            self.said.append(f"{told.step} {told.reason} {told.detail}")
        if told.step is Step.HELD:
            self.hold = told.reason

    def _saw(self, result: Reconciled) -> None:
        self.texts.append(repr(result))
        if result.error is not None:
            self.texts.append(canary.text_of(result.error))
        stands = result.last.stands if result.last else None
        if isinstance(stands, Wait) and stands.reason not in CALM:
            self.said.append(f"waits: {stands.reason}")
        if isinstance(stands, Hold):
            self.hold = stands.reason.value
        if result.left:
            self.said.append(f"left: {result.left.reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One situation. `world` names the world that it begins with.

    `ahead`: a process has swept that world already, and goes on by so much later; None: a process begins with it.
    `emergency`: what is run is an order and the sweep after it. It is done once another key than `replaces` is served
    (None: nothing is to be replaced) and `retires` is gone.
    """

    name: str
    world: str
    ahead: timedelta | None
    emergency: bool = False
    replaces: str | None = None
    retires: str | None = None

    def done(self, served: str, alive: frozenset[str]) -> bool:
        """Return whether what the situation is about is done: `served` and `alive` name keys by their role."""
        replaced = self.replaces is None or served not in {"", self.replaces}
        return replaced and self.retires not in alive

    async def run(self, watch: Watch, connected: Connected) -> None:
        """Do what the situation is about."""
        if self.emergency:
            watch.ordered_at = watch.ordered_at or watch.seat.clock.now()
            watch.ordered = await watch.order(connected, OrderKind.EMERGENCY) is not None
            if not watch.ordered:
                return
        await watch.sweep(connected)


PHASES = (
    Phase(name="first rotation", world="virgin", ahead=None, replaces="original"),
    Phase(name="later rotation", world="settled", ahead=69 * DAY, replaces="key 1"),
    Phase(name="overlap", world="rotated", ahead=20 * HOUR),
    Phase(name="retire", world="rotated", ahead=24 * HOUR + MINUTE, retires="key 1"),
    Phase(name="emergency", world="settled", ahead=None, emergency=True, replaces="key 1", retires="key 1"),
)


async def prepare(seat: Seat) -> dict[str, Kept]:
    """Bring about, once, each world that a situation begins with."""
    kept = {}
    seat.virgin()
    kept["virgin"] = seat.keep()
    watch = Watch(seat)

    async def cleanly() -> None:
        async with seat.process() as connected:
            await watch.sweep(connected)
        if watch.said:
            raise Unsettled("; ".join(watch.said))

    await cleanly()
    seat.clock.shift += 11 * DAY
    await cleanly()
    kept["settled"] = seat.keep()
    seat.clock.shift += 69 * DAY
    await cleanly()
    kept["rotated"] = seat.keep()
    return kept
