"""What is told at each step: which lineage, which key, which rotation and why. Logs and notifications are made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from rotator.errors import Unavailable
from rotator.model.order import OrderKind
from rotator.model.reason import RotateReason
from rotator.model.told import Step, Told
from rotator.policy.policy import Adopt as AdoptMode
from rotator.policy.policy import Policy, Window
from rotator.reconcile import reconcile
from rotator.rotation.orders import Ordered, give
from rotator.rotation.rotate import evidence_of
from tests.support import builders as a
from tests.support.builders import CURRENT, DAY, LATER, LINEAGE, NOW, PLACE, POLICY
from tests.support.fakes import CLAIM_TTL, World, before_first, settled

pytestmark = pytest.mark.promise("P8")

AT_ONCE = replace(POLICY, adopt=AdoptMode.NOW)
FIRST, MADE = f"{1:016x}", "key-made-1"
OLD = a.key("key-1", age=70 * DAY)


def told(step: Step, *, key_id: str | None = None, rotation_id: str | None = None, reason: str = "") -> Told:
    return Told(step=step, lineage=LINEAGE.name, key_id=key_id, rotation_id=rotation_id, reason=reason)


def due() -> World:
    return settled(a.record(serves=a.current(OLD, age=70 * DAY)))


def ended() -> World:
    return settled(a.record(previous=[a.previous()]))


def matched() -> World:
    world = World()
    world.add_key(a.key())
    return world


def overtaken() -> World:
    attempt = a.attempt(LATER, base=2, age=DAY)
    world = settled(a.record(attempts=[attempt]))
    world.add_key(a.made(attempt, "key-orphan"))
    return world


def unfit() -> World:
    world = before_first()
    world.grant = lambda key: replace(key, tags=frozenset())
    return world


BEGUN = [
    told(Step.INTENT, rotation_id=FIRST, reason="adopt_now"),
    told(Step.CREATED, key_id=MADE, rotation_id=FIRST),
]


@pytest.mark.parametrize(
    ("world", "policy", "steps"),
    [
        (matched, POLICY, [told(Step.ADOPTED, key_id="key-1")]),
        (
            overtaken,
            POLICY,
            [
                told(Step.INHERITED, key_id="key-orphan"),
                told(Step.REVOKED, key_id="key-orphan", reason="overlap_ended"),
            ],
        ),
        (ended, POLICY, [told(Step.REVOKED, key_id="key-old", reason="overlap_ended")]),
        (
            unfit,
            AT_ONCE,
            [
                *BEGUN,
                told(Step.CANDIDATE_REVOKED, key_id=MADE, rotation_id=FIRST),
                replace(told(Step.HELD, reason="parity"), detail="lacks tags prod"),
            ],
        ),
    ],
    ids=["adopted", "inherited", "revoked", "unfit"],
)
async def test_a_step_is_told_with_its_key(
    world: Callable[[], World], policy: Policy, steps: list[Told]
) -> None:
    there = world()

    await reconcile(there.assignment(policy, "key-1"), there.ports())

    assert there.told == steps


async def test_a_rotation_is_told_from_its_intent_to_the_end_of_its_overlap() -> None:
    world = due()

    await reconcile(world.assignment(), world.ports())

    evidence = evidence_of(world.record)
    assert (evidence.evidence, evidence.lineage) == (world.record.history[-1], LINEAGE.name)
    assert (evidence.reason, evidence.key_id, evidence.rotation_id, evidence.version) == (
        "due_by_expiry",
        MADE,
        FIRST,
        4,
    )
    assert world.told == [
        told(Step.INTENT, rotation_id=FIRST, reason="due_by_expiry"),
        told(Step.CREATED, key_id=MADE, rotation_id=FIRST),
        told(Step.PROVEN, key_id=MADE, rotation_id=FIRST),
        replace(told(Step.PUBLISHED, key_id=MADE, rotation_id=FIRST), version=4),
        evidence,
        replace(told(Step.OVERLAP, key_id="key-1"), until=NOW + DAY),
    ]


async def test_a_rotation_that_could_not_wait_for_a_window_tells_so() -> None:
    world = settled(a.record(serves=a.current(a.key("key-1", age=89 * DAY), age=70 * DAY)))
    shut = Window(cron="0 2 1 7 *", length=DAY, zone=ZoneInfo("UTC"))
    await reconcile(world.assignment(replace(POLICY, windows=(shut,))), world.ports())

    assert world.told[:2] == [
        told(Step.INTENT, rotation_id=FIRST, reason="due_by_expiry"),
        told(Step.OVERRIDDEN, rotation_id=FIRST, reason="outside_window"),
    ]


async def test_a_publish_that_was_recorded_later_is_told_with_its_evidence() -> None:
    world = due()
    world.fails("write_record", None, Unavailable("write record", "it"))
    await reconcile(world.assignment(), world.ports())
    world.clock.advance(CLAIM_TTL * 2)
    world.told.clear()

    await reconcile(world.assignment(), world.ports())

    assert world.told == [evidence_of(world.record), told(Step.FINISHED, key_id=MADE)]
    (*_, finished) = world.record.history
    assert finished.reason is RotateReason.DUE_BY_EXPIRY


async def test_in_an_emergency_no_overlap_is_told() -> None:
    world = settled(replace(a.record(), standing=a.order(OrderKind.EMERGENCY)))

    await reconcile(world.assignment(), world.ports())

    assert Step.OVERLAP not in world.steps
    assert world.told[-1] == told(Step.REVOKED, key_id=CURRENT.key_id, reason="emergency")


@pytest.mark.parametrize(
    ("why", "place", "detail"),
    [
        ("a leak", "", "by ann@desk: a leak"),
        ("", "", "by ann@desk"),
        ("a new mount", PLACE.name, "secret/voice, by ann@desk: a new mount"),
    ],
)
async def test_an_order_is_told_with_who_gave_it_and_why(why: str, place: str, detail: str) -> None:
    world = settled()
    ordered = Ordered(kind=OrderKind.ROTATE, who="ann@desk", why=why, place=place)

    await give(ordered, world.assignment(), world.ports())

    assert world.told == [replace(told(Step.ORDERED, reason="rotate"), detail=detail)]


async def test_an_order_that_waits_for_another_process_tells_that_once() -> None:
    world = settled(replace(a.record(), claim=a.claim("replica-b", CLAIM_TTL)))
    ordered = Ordered(kind=OrderKind.ROTATE, who="ann@desk", why="")

    await give(ordered, world.assignment(), world.ports())

    waiting = told(Step.WAITING, reason="claimed")
    assert world.told == [waiting, replace(told(Step.ORDERED, reason="rotate"), detail="by ann@desk")]
