"""Pause and resume: one control record, written beside others who write it, and read with each fresh look."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.errors import Ambiguous, Conflict, PortError, Unavailable
from rotator.model.order import OrderKind, Pause, pause_of
from rotator.model.reason import RotateReason, WaitReason
from rotator.plan.actions import Revoke, Rotate, Wait
from rotator.reconcile import Turn, turn
from rotator.rotation import pauses
from rotator.rotation.orders import TRIES
from tests.support import builders as a
from tests.support.builders import DAY, SECOND
from tests.support.fakes import FakeJournal, World, settled

ALL, VOICE, OTHER = a.paused("*"), a.paused("secret/voice"), a.paused("secret/other")


def paused(*some: Pause) -> World:
    world = settled()
    world.pause(*some)
    return world


def standing(world: World) -> tuple[Pause, ...]:
    assert world.control is not None
    return world.control.pauses


async def pause(world: World, *some: Pause) -> tuple[Pause, ...]:
    return await pauses.pause(FakeJournal(world), world.clock, some)


async def resume(world: World, *globs: str) -> pauses.Resumed:
    return await pauses.resume(FakeJournal(world), world.clock, globs)


async def test_a_pause_is_added_to_those_that_there_are() -> None:
    world = paused(VOICE)

    assert await pause(world, OTHER) == (VOICE, OTHER) == standing(world)


async def test_a_pause_of_the_same_glob_takes_the_place_of_the_older() -> None:
    world = paused(VOICE, OTHER)
    newer = replace(VOICE, who="ben@desk", why="another change")

    assert await pause(world, newer) == (OTHER, newer)


@pytest.mark.parametrize(
    ("globs", "ended", "left"),
    [
        ((), (ALL, VOICE, OTHER), ()),
        (("secret/voice",), (VOICE,), (ALL, OTHER)),
        (("secret/*",), (), (ALL, VOICE, OTHER)),
        (("*", "secret/other"), (ALL, OTHER), (VOICE,)),
    ],
    ids=str,
)
async def test_pauses_end_by_the_very_globs_that_they_were_given_with(
    globs: tuple[str, ...], ended: tuple[Pause, ...], left: tuple[Pause, ...]
) -> None:
    world = paused(ALL, VOICE, OTHER)

    assert await resume(world, *globs) == pauses.Resumed(ended=ended, left=left)
    assert standing(world) == left


async def test_to_resume_what_is_not_paused_writes_nothing() -> None:
    world = paused(VOICE)

    await resume(world, "secret/other")

    assert "write_control" not in world.calls


@pytest.mark.parametrize("written", [True, False])
async def test_a_change_whose_answer_was_lost_is_made_once(*, written: bool) -> None:
    world = paused(VOICE)
    world.fails("write_control", Ambiguous("write control record", "x"), done=written)

    assert await pause(world, OTHER) == (VOICE, OTHER) == standing(world)
    assert world.calls.count("write_control") == (1 if written else 2)


@pytest.mark.parametrize("written", [True, False])
async def test_what_was_resumed_is_said_also_when_the_answer_was_lost(*, written: bool) -> None:
    world = paused(VOICE, OTHER)
    world.fails("write_control", Ambiguous("write control record", "x"), done=written)

    assert await resume(world, "secret/voice") == pauses.Resumed(ended=(VOICE,), left=(OTHER,))


async def test_a_pause_of_somebody_else_meanwhile_is_kept() -> None:
    world = paused()
    world.before("write_control", lambda: world.pause(OTHER))

    assert await pause(world, VOICE) == (OTHER, VOICE) == standing(world)


@pytest.mark.parametrize("error", [Conflict("write", "x"), Ambiguous("write", "x")])
async def test_a_change_is_not_tried_again_in_the_same_instant(error: PortError) -> None:
    world = paused()
    world.fails("write_control", error)

    await pause(world, VOICE)

    assert world.clock.now() - a.NOW == SECOND


async def test_a_change_gives_up_when_others_always_write_first() -> None:
    world = paused()
    for _ in range(TRIES):
        world.before("write_control", lambda: world.pause(OTHER))

    with pytest.raises(Conflict):
        await pause(world, VOICE)

    assert standing(world) == (OTHER,)


async def test_a_change_that_is_never_answered_is_told_as_one_that_may_have_been_made() -> None:
    world = paused()
    world.fails("write_control", *[Ambiguous("write control record", "x")] * TRIES)

    with pytest.raises(Ambiguous):
        await pause(world, VOICE)


async def test_without_a_journal_there_is_nothing_to_pause() -> None:
    world = World()
    world.control = None

    with pytest.raises(Conflict, match="not there"):
        await pause(world, VOICE)


@pytest.mark.parametrize("error", [None, Unavailable("read control record", "x")])
async def test_a_pause_is_waited_for_until_the_journal_shows_it(error: PortError | None) -> None:
    world = paused()
    before = world.control

    def lags() -> None:
        written, world.control = world.control, before
        world.before("control", lambda: setattr(world, "control", written))

    world.fails("control", None)
    world.before("control", lags)
    world.fails("control", error)

    assert await pause(world, VOICE) == (VOICE,)
    assert world.calls.count("control") == (4 if error is None else 3)
    assert world.clock.now() - a.NOW < SECOND


@pytest.mark.parametrize(
    ("glob", "stops"),
    [
        ("*", True),
        ("secret/*", True),
        ("secret/voice", True),
        ("secret/v[oö]ice", True),
        ("secret/Voice", False),
        ("voice", False),
        ("secret/", False),
    ],
)
def test_a_pause_stops_the_lineages_that_its_glob_names(glob: str, *, stops: bool) -> None:
    said = pause_of(frozenset({"secret/voice"}), (OTHER, a.paused(glob)))

    assert said == (f"{glob}, by ann@desk: a change" if stops else "")


def test_a_pause_without_a_reason_says_who_gave_it() -> None:
    assert pause_of(frozenset({"secret/voice"}), (a.paused(why=""),)) == "*, by ann@desk"


def due() -> World:
    return settled(a.record(serves=a.current(a.key("key-current", age=89 * DAY))))


async def look(world: World) -> Turn:
    return await turn(world.assignment(), world.ports())


async def test_a_pause_that_was_given_after_the_survey_stops_the_next_step() -> None:
    world = due()
    assert isinstance((await look(world)).decision, Rotate)

    again = due()
    again.pause(VOICE)
    done = await look(again)

    assert done.decision == Wait(WaitReason.PAUSED, None)
    assert done.snapshot.paused == "secret/voice, by ann@desk: a change"
    assert again.calls[-1] == "prove"


async def test_a_pause_that_was_ended_after_the_survey_stops_nothing() -> None:
    world = due()
    assignment = replace(world.assignment(), paused="*, by ann@desk")

    assert isinstance((await turn(assignment, world.ports())).decision, Rotate)


async def test_while_the_pauses_can_not_be_read_nothing_is_done() -> None:
    world = due()
    world.fails("control", Unavailable("read control record", "x"))

    with pytest.raises(Unavailable):
        await look(world)

    assert world.calls == ["control"]


async def test_a_pause_lets_nothing_be_deleted_either() -> None:
    record = a.record(previous=[a.previous()])
    assert isinstance((await look(settled(record))).decision, Revoke)

    world = settled(record)
    world.pause(ALL)

    assert (await look(world)).decision == Wait(WaitReason.PAUSED, None)


async def test_a_pause_does_not_hold_an_emergency_up() -> None:
    world = settled(replace(a.record(), standing=a.order(OrderKind.EMERGENCY)))
    world.pause(ALL)

    done = await look(world)

    assert isinstance(done.decision, Rotate)
    assert done.decision.reason is RotateReason.EMERGENCY
    assert done.acted
