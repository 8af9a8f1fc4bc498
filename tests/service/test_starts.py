"""Whatever the providers do, and in whatever order: every wish is answered, no limit is passed, urgency decides."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rotator.daemon.breaker import Breaker, Outcome, Shown, State
from rotator.daemon.starts import Haste, Slots, Starts, haste, outcome_of, starts_begun
from rotator.errors import Conflict, Denied, InvariantViolation, RotatorError, Unavailable
from rotator.model.reason import LeftReason, RotateReason
from rotator.model.record import Attempt, Rotated
from rotator.plan.actions import Adopt, Rotate
from rotator.reconcile import Left, Reconciled
from tests.support import builders as a
from tests.support.builders import DAY, HOUR, MINUTE, NOW, POLICY, TICK

DOWN = Unavailable("create key", "project-1", "503")
ENDS = (Shown.WORKS, Shown.NOTHING, DOWN, Denied("create key", "project-1", "403"))


@dataclass(frozen=True)
class Lineage:
    """What a lineage will do: whether it is due, whether it then asks to start, and how that ends."""

    provider: str
    due: bool = True
    haste: Haste = Haste.NONE
    asks: bool = True
    end: Outcome = Shown.WORKS


@dataclass
class Play:
    """Plays one sweep. `started` and `left` are ranks, in order."""

    lineages: list[Lineage]
    limit: int | None = None
    an_hour: int = 1000
    at_once: int = 2
    breakers: dict[str, Breaker] = field(default_factory=dict)
    started: list[int] = field(default_factory=list)
    left: dict[int, Left] = field(default_factory=dict)
    running: list[int] = field(default_factory=list)
    most_running: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.starts = Starts(
            [one.provider for one in self.lineages],
            slots=Slots(self.limit, self.an_hour),
            breakers=self.breakers,
            at_once=self.at_once,
            clock=lambda: 0.0,
        )

    def look(self, rank: int) -> None:
        one = self.lineages[rank]

        def answer(left: Left | None) -> None:
            assert rank not in self.left
            assert rank not in self.running
            if left is not None:
                self.left[rank] = left
                return
            self.running.append(rank)
            under = sum(self.lineages[other].provider == one.provider for other in self.running)
            self.most_running[one.provider] = max(under, self.most_running.get(one.provider, 0))

        if one.due:
            self.starts.wishes(rank, one.haste, answer)
        else:
            self.starts.seen(rank)

    def ask(self, rank: int) -> None:
        refused = self.starts.refuses(rank)
        if refused is None:
            self.started.append(rank)
        else:
            self.left[rank] = refused

    def end(self, rank: int) -> None:
        one = self.lineages[rank]
        if one.asks and rank not in self.started:
            self.ask(rank)
        self.running.remove(rank)
        self.starts.ended(rank, one.end if rank in self.started else Shown.NOTHING)

    def all(self) -> Play:
        """Look at each in order, then let them end in the order in which they were let go."""
        for rank in range(len(self.lineages)):
            self.look(rank)
        while self.running:
            self.end(self.running[0])
        return self

    def reasons(self) -> dict[int, LeftReason]:
        return {rank: left.reason for rank, left in self.left.items()}


lineages = some.lists(
    some.builds(
        Lineage,
        provider=some.sampled_from(["asr", "tts", "agent"]),
        due=some.booleans(),
        haste=some.sampled_from(Haste),
        asks=some.booleans(),
        end=some.sampled_from(ENDS),
    ),
    max_size=14,
)


@given(
    lineages=lineages,
    limit=some.none() | some.integers(0, 6),
    an_hour=some.integers(-1, 8),
    at_once=some.integers(1, 3),
    states=some.dictionaries(some.sampled_from(["asr", "tts"]), some.sampled_from(State)),
    draw=some.data(),
)
def test_every_wish_is_answered_and_no_limit_is_passed(
    lineages: list[Lineage],
    limit: int | None,
    an_hour: int,
    at_once: int,
    states: dict[str, State],
    draw: some.DataObject,
) -> None:
    play = Play(lineages, limit, an_hour, at_once)
    for provider, state in states.items():
        play.breakers.setdefault(provider, Breaker()).state = state
    unseen = list(range(len(lineages)))
    while unseen or play.running:
        if unseen and (not play.running or draw.draw(some.booleans())):
            play.look(unseen.pop(draw.draw(some.integers(0, len(unseen) - 1))))
        else:
            play.end(draw.draw(some.sampled_from(play.running)))

    answered = {*play.started, *play.left, *(r for r, one in enumerate(lineages) if not one.asks)}
    assert {rank for rank, one in enumerate(lineages) if one.due} <= answered
    assert limit is None or len(play.started) <= limit
    assert all(running <= at_once for running in play.most_running.values())
    for position, rank in enumerate(play.started):
        assert lineages[rank].haste or position < an_hour
    if limit is not None and LeftReason.LIMIT in play.reasons().values():
        assert len(play.started) == limit
        first = min(rank for rank, reason in play.reasons().items() if reason is LeftReason.LIMIT)
        assert max(play.started, default=-1) < first, "a less urgent one was started instead"


def test_a_limit_waits_for_the_more_urgent_that_nobody_has_looked_at_yet() -> None:
    play = Play([Lineage("slow"), Lineage("slow"), Lineage("quick"), Lineage("quick")], limit=3)
    play.look(2)
    play.look(3)
    assert play.running == [2], "one start is left besides two for the slow ones"
    play.look(0)
    play.look(1)
    assert play.running == [2, 0, 1]
    for rank in (2, 0, 1):
        play.end(rank)
    assert play.reasons() == {3: LeftReason.LIMIT}


def test_nothing_goes_under_a_provider_before_all_its_lineages_were_looked_at() -> None:
    play = Play([Lineage("asr"), Lineage("asr", due=False), Lineage("tts")])
    play.look(0)
    assert play.running == []
    play.look(2)
    assert play.running == [2], "another provider is waited for"
    play.look(1)
    assert play.running == [2, 0]


def test_a_start_counts_once() -> None:
    play = Play([Lineage("asr"), Lineage("tts"), Lineage("agent")], limit=3)
    play.look(0)
    play.ask(0)
    play.look(1)
    play.look(2)
    assert play.running == [0, 1, 2]


def test_a_start_that_was_promised_and_not_used_is_given_back() -> None:
    play = Play([Lineage("asr", asks=False), Lineage("asr"), Lineage("asr")], limit=1).all()
    assert play.started == [1]
    assert play.reasons() == {2: LeftReason.LIMIT}


@pytest.mark.parametrize("haste", [Haste.ORDERED, Haste.LATE, Haste.EMERGENCY])
def test_no_hour_is_too_full_for_haste_and_it_is_counted_all_the_same(haste: Haste) -> None:
    play = Play([Lineage("asr"), Lineage("asr", haste=haste), Lineage("asr")], an_hour=2).all()
    assert play.started == [0, 1]
    assert play.reasons() == {2: LeftReason.STARTS_PER_HOUR}

    full = Play([Lineage("asr"), Lineage("asr", haste=haste)], an_hour=-7).all()
    assert full.started == [1]
    assert full.reasons() == {0: LeftReason.STARTS_PER_HOUR}


def test_a_limit_binds_the_hasty_as_well() -> None:
    assert Play([Lineage("asr", haste=Haste.EMERGENCY)] * 2, limit=1).all().started == [0]


@pytest.mark.parametrize(
    ("haste", "started"),
    [(Haste.NONE, []), (Haste.ORDERED, []), (Haste.LATE, [0]), (Haste.EMERGENCY, [0, 1, 2])],
)
def test_an_open_breaker_lets_one_late_probe_through_and_every_emergency(
    haste: Haste, started: list[int]
) -> None:
    opened = Breaker()
    opened.state = State.OPEN
    play = Play([Lineage("asr", haste=haste, end=DOWN)] * 3, at_once=3, breakers={"asr": opened})
    for rank in range(3):
        play.look(rank)
    assert play.running == started


def test_an_emergency_waits_for_no_canary() -> None:
    emergencies = [Lineage("asr", haste=Haste.EMERGENCY)] * 2
    play = Play([*emergencies, *[Lineage("asr")] * 3], at_once=3)
    for rank in range(5):
        play.look(rank)
    assert play.running == [0, 1]
    play.end(0)
    assert play.running == [1, 2, 3], "one of them was the canary for the others"


def test_one_broken_provider_leaves_its_starts_to_the_others() -> None:
    broken = [Lineage("asr", end=DOWN)] * 5
    play = Play([*broken, *[Lineage("tts")] * 3], limit=4).all()

    assert play.started == [0, 5, 6, 7]
    assert play.left == dict.fromkeys(range(1, 5), Left(LeftReason.BREAKER_OPEN, str(DOWN)))


SAFE_UNTIL = POLICY.overlap + POLICY.prove_deadline + POLICY.retry_max


@pytest.mark.parametrize(
    ("reason", "left", "expected"),
    [
        (RotateReason.DUE_BY_EXPIRY, SAFE_UNTIL + TICK, Haste.NONE),
        (RotateReason.DUE_BY_EXPIRY, SAFE_UNTIL, Haste.LATE),
        (RotateReason.DUE_BY_AGE, -DAY, Haste.LATE),
        (RotateReason.DUE_BY_AGE, None, Haste.NONE),
        (RotateReason.ADOPT_NOW, 80 * DAY, Haste.NONE),
        (RotateReason.ORDERED, 80 * DAY, Haste.ORDERED),
        (RotateReason.ORDERED, SAFE_UNTIL, Haste.LATE),
        (RotateReason.EMERGENCY, None, Haste.EMERGENCY),
    ],
)
def test_what_makes_haste(reason: RotateReason, left: timedelta | None, expected: Haste) -> None:
    key = replace(a.current().key, expires_at=None if left is None else NOW + left)
    assert haste(Rotate(reason, key), POLICY, NOW, refused=False) is expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (RotateReason.SERVED_KEY_REFUSED, Haste.LATE),
        (RotateReason.ORDERED, Haste.LATE),
        (RotateReason.EMERGENCY, Haste.EMERGENCY),
    ],
)
@pytest.mark.parametrize("left", [80 * DAY, None])
def test_a_served_key_that_is_refused_makes_haste(
    reason: RotateReason, left: timedelta | None, expected: Haste
) -> None:
    key = replace(a.current().key, expires_at=None if left is None else NOW + left)
    assert haste(Rotate(reason, key), POLICY, NOW, refused=True) is expected


def test_an_hour_counts_each_rotation_once_however_it_is_remembered() -> None:
    def begun(rotation_id: str, ago: timedelta) -> Attempt:
        return replace(a.attempt(rotation_id), intent_at=NOW - ago)

    def done(rotation_id: str, ago: timedelta) -> Rotated:
        return replace(a.rotated(rotation_id), intent_at=NOW - ago)

    record = a.record()
    cases: tuple[tuple[tuple[Attempt, ...], tuple[Rotated, ...], int], ...] = (
        ((), (), 0),
        ((begun("a", HOUR),), (done("a", HOUR),), 0),
        ((begun("a", HOUR - TICK),), (done("a", HOUR - TICK),), 1),
        ((), (done("a", 59 * MINUTE),), 1),
        ((replace(begun("a", MINUTE), reason=RotateReason.IMPORTED),), (), 0),
        ((begun("a", MINUTE), begun("b", MINUTE)), (done("c", MINUTE),), 3),
        ((begun("a", -MINUTE),), (), 1),
    )
    for attempts, history, count in cases:
        remembered = replace(record, attempts=attempts, history=history)
        assert len(starts_begun([remembered], {}, NOW)) == count
        assert len(starts_begun([remembered, record], {}, NOW)) == count


ROTATED = Rotate(RotateReason.DUE_BY_EXPIRY, a.current().key)


@pytest.mark.parametrize(
    ("done", "error", "expected"),
    [
        ((ROTATED,), None, Shown.WORKS),
        ((ROTATED,), Unavailable("list keys", "p", "503"), Shown.WORKS),
        ((Adopt("key-1", original=True),), DOWN, DOWN),
        ((), None, Shown.NOTHING),
        ((), Unavailable("write record", "p", "503"), Shown.NOTHING),
        ((), Unavailable("revoke key", "key-1", "503"), Shown.NOTHING),
        ((), Conflict("create key", "p", "not there any more"), Shown.NOTHING),
        ((), InvariantViolation("a bug"), Shown.NOTHING),
    ],
)
def test_what_a_rotation_shows_of_its_provider(
    done: tuple[Rotate | Adopt, ...], error: RotatorError | None, expected: Outcome
) -> None:
    assert outcome_of(Reconciled(lineage="x", lineage_id="0", last=None, done=done, error=error)) == expected
