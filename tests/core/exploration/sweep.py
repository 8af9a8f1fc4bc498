"""Every single thing that can go wrong in one `reconcile` or one import: is it told, and does no secret show?

The search judges what happens to keys and versions. This judges what is said: P7 and P8.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from rotator import errors
from rotator.inventory.assignment import Assignment
from rotator.model.told import Step
from rotator.plan.actions import Hold
from rotator.ports import Minted
from rotator.reconcile import Reconciled, reconcile
from tests.core.exploration import effects, orders
from tests.core.exploration.acts import acts
from tests.core.exploration.process import POLICY
from tests.core.exploration.promises import Broken
from tests.core.exploration.seat import LINEAGE, PLACE_HERE, PLACE_THERE, Seat, refusal, secret_of
from tests.core.exploration.texts import Texts
from tests.core.exploration.world import ADOPTED, World, first_world

CANARY = "CANARY"


def sweep() -> tuple[int, Broken | None]:
    """Judge both programs for each way in which one of their calls can go. Return how many there were."""
    runs = 0
    for kind, order in product(("empty", "imported", "occupied"), ("", orders.IMPORT)):
        world = first_world(kind, faults=1, acts=1, deaths=0)
        texts = Texts()
        for start in (world, *(acted for _, acted in acts(world, texts))):
            for at_call in range(100):
                wrongs = list(_wrong(start, order, at_call, texts))
                runs += len(wrongs)
                broken = next((broken for broken in wrongs if broken is not None), None)
                if broken is not None:
                    return runs, broken
                if not wrongs:
                    break
    return runs, None


def _wrong(world: World, order: str, at_call: int, texts: Texts) -> Iterator[Broken | None]:
    """Yield the judgement of one run for each way in which call number `at_call` can go."""
    way = 0
    ways = 1
    while way < ways:
        reached, ways, broken = _run(world, order, at_call, way, texts)
        if not reached:
            return
        yield broken
        way += 1


def _run(world: World, order: str, at_call: int, way: int, texts: Texts) -> tuple[bool, int, Broken | None]:
    """Run one `reconcile`, or an order, its call number `at_call` going the given way and all others well.

    Return whether it came to that call, in how many ways that could go, and what broke.
    """
    seat = Seat("a", world.tick, 0, texts)
    assignment = Assignment(lineage=LINEAGE, policy=POLICY, matched_key_id=f"k{ADOPTED}")
    ports = seat.ports()
    running = (
        orders.program(order, (PLACE_HERE, PLACE_THERE), assignment, ports)
        if order
        else reconcile(assignment, ports)
    )
    answer: Any = None
    calls, ways = 0, 1
    while True:
        try:
            refused = answer is not None and answer[0] == "raise"
            asked = running.throw(refusal(answer)) if refused else running.send(answer)
        except (StopIteration, errors.PortError) as end:
            result = end.value if isinstance(end, StopIteration) else end
            return calls > at_call, ways, _silent(result, seat) or _shows(result, seat, world, texts)
        found = list(effects.outcomes(world, asked, texts))
        if calls == at_call:
            ways = len(found)
        outcome = found[way] if calls == at_call else found[0]
        world, answer, calls = outcome.world, outcome.answer, calls + 1


def _silent(result: object, seat: Seat) -> Broken | None:
    told = {one.step for one in seat.told}
    if not isinstance(result, Reconciled):
        return None  # it is given to the person who ordered it
    if result.error is not None and Step.FAILED not in told:
        return Broken("P8", f"it ended in an error and told nobody: {result.error}")
    if result.last is not None and isinstance(result.last.stands, Hold) and Step.HELD not in told:
        return Broken("P8", f"it is held and told nobody: {result.last.stands.reason}")
    return None


def _shows(result: object, seat: Seat, world: World, texts: Texts) -> Broken | None:
    """Judge all that was said: steps, errors, decisions and records, as a log would show them."""
    minted = [repr(Minted(f"k{key.n}", secret_of(key.n))) for key in world.keys]
    record = [repr(texts.record(filed.text)) for filed in world.record]
    error = result.error if isinstance(result, Reconciled) else result
    said = [*map(repr, seat.told), repr(result), str(error), *minted, *record]
    leaked = next((text for text in said if CANARY in text), None)
    return (
        None
        if leaked is None
        else Broken("P7", f"a secret shows: {leaked.replace(CANARY, '(secret)')[:200]}")
    )
