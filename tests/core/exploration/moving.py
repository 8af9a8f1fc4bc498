"""The second place of a lineage that a person moves: what can be ordered and done about it.

As in `promises`, none of the program's own predicates is used, but for what a record says of its places.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any

from rotator.inventory.assignment import Assignment
from rotator.model.entry import Place
from rotator.model.order import OrderKind
from rotator.model.record import Record
from rotator.ports import Ports
from rotator.rotation.moves import give_up, move
from rotator.rotation.orders import Ordered
from tests.core.exploration.effects import append
from tests.core.exploration.seat import FIELDS_THERE, PLACE_HERE, PLACE_THERE
from tests.core.exploration.texts import Texts
from tests.core.exploration.world import HERE, NOBODY, PERSON, PLACES, THERE, Version, World

MOVE, GIVE_UP = "to move it", "to give the other place up"
ORDERS = frozenset({MOVE, GIVE_UP})


def place_of(world: World, place: int) -> Place:
    """Return what the program knows a place by."""
    if place == HERE:
        return PLACE_HERE
    return FIELDS_THERE if world.shared else PLACE_THERE


def newest_record(world: World, texts: Texts) -> Record | None:
    return texts.record(world.record[-1].text) if world.record else None


def policy_places(world: World, texts: Texts, order: str = "") -> tuple[Place, Place]:
    """Return where the policy file puts the lineage, and the other place. A person edits the file before each move."""
    record = newest_record(world, texts)
    here, there = PLACE_HERE, place_of(world, THERE)
    at = here if record is None else record.place
    other = there if at == here else here
    return (other, at) if order == MOVE else (at, other)


def served_places(world: World, texts: Texts) -> tuple[int, ...]:
    """Return where consumers are served by the newest record."""
    record = newest_record(world, texts)
    if record is None:
        return (HERE,)
    return tuple(place for place in PLACES if place_of(world, place) in record.places)


def destination(world: World, texts: Texts) -> int:
    """Return where publishes land by the newest record."""
    record = newest_record(world, texts)
    return HERE if record is None or record.destination == PLACE_HERE else THERE


def begun(world: World, texts: Texts) -> Iterator[tuple[str, World]]:
    """Yield what a person may order about places: to move the lineage, there or back, and to give a place up."""
    record = newest_record(world, texts)
    if record is None or not world.moves:
        return
    given = world._replace(moves=world.moves - 1)
    yield MOVE, given
    if len(record.places) > 1:
        yield GIVE_UP, given


def program(
    order: str, places: tuple[Place, Place], assignment: Assignment, ports: Ports
) -> Coroutine[Any, Any, object]:
    """Return the coroutine that carries such an order out."""
    to, other = places
    if order == MOVE:
        moves = replace(assignment, moves_to=to)
        return move(Ordered(kind=OrderKind.MOVE, who="ann", why="", place=to.name), moves, ports)
    ordered = Ordered(kind=OrderKind.GIVE_UP, who="ann", why="", place=other.name)
    return give_up(ordered, assignment, ports)


def acts_there(world: World, texts: Texts) -> Iterator[tuple[str, World]]:
    """Yield what a person can do to the entry at the other place, while that is served."""
    if THERE not in served_places(world, texts) or world.shared:
        return
    newest = world.newest(THERE)
    number = newest.number + 1 if newest is not None else 1
    foreign = Version(number, NOBODY, None, NOBODY, world.tick, PERSON)
    yield "a person writes an entry of their own there", append(world, foreign, THERE).touch(THERE)
    if newest is None:
        return
    field = newest._replace(number=number, written=world.tick)
    yield "a person adds a field there", append(world, field, THERE)
    patched = field._replace(n=NOBODY, writer=PERSON)
    yield "a person changes the secret field there", append(world, patched, THERE).touch(THERE)
    if len(world.entry_there) > 1:
        before = world.entry_there[-2]._replace(number=number, written=world.tick, writer=PERSON)
        yield "a person rolls back there", append(world, before, THERE).touch(THERE)
