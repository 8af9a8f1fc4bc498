"""What a person can order. The real code of each order is run by a process, as a turn is."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import Any

from rotator.inventory.assignment import Assignment
from rotator.model.entry import Place
from rotator.model.order import OrderKind
from rotator.ports import Ports
from rotator.rotation.handed_over import hand_over
from rotator.rotation.orders import Ordered, give
from tests.core.exploration import moving
from tests.core.exploration.seat import secret_of
from tests.core.exploration.texts import Texts
from tests.core.exploration.world import ADOPTED, World

EMERGENCY, FORGET, ADOPT = "an emergency", "to forget", "to adopt"
IMPORT, IMPORT_FOREIGN = "an import", "an import of a foreign secret"

_KINDS = {EMERGENCY: OrderKind.EMERGENCY, FORGET: OrderKind.FORGET, ADOPT: OrderKind.ADOPT}
_SECRETS = {IMPORT: ADOPTED, IMPORT_FOREIGN: 0}


def begun(world: World, texts: Texts) -> Iterator[tuple[str, World]]:
    """Yield every order that a person may begin to give in `world`, while there are any left."""
    yield from moving.begun(world, texts)
    if not world.orders:
        return
    given = world._replace(orders=world.orders - 1)
    yield EMERGENCY, given._replace(emergencies=world.emergencies + 1)
    yield (ADOPT if world.forgotten else FORGET), given
    if not world.publishes:
        yield IMPORT, given
        yield IMPORT_FOREIGN, given


def pauses(world: World) -> Iterator[tuple[str, World]]:
    """Yield the pause, or its end, that a person may give in `world`. It is in no record of the lineage."""
    if world.orders:
        label = "a person resumes" if world.paused else "a person pauses"
        yield label, world._replace(orders=world.orders - 1, paused=not world.paused)


def program(
    order: str, places: tuple[Place, Place], assignment: Assignment, ports: Ports
) -> Coroutine[Any, Any, object]:
    """Return the coroutine that carries an order out. `places`: where the policy file puts the lineage, and the other one."""
    if order in moving.ORDERS:
        return moving.program(order, places, assignment, ports)
    if order in _SECRETS:
        ordered = Ordered(kind=OrderKind.IMPORT, who="ann", why="")
        return hand_over(secret_of(_SECRETS[order]), ordered, assignment, ports)
    return give(Ordered(kind=_KINDS[order], who="ann", why=""), assignment, ports)
