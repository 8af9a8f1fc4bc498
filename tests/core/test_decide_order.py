"""Which rule wins when several would decide: the order of the rules is the specification.

Each entry of `ORDER` changes a look at a lineage so that one rule decides. Whatever a later one would say as
well, an earlier one is what counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import pytest

from rotator.model.entry import FieldNames, Served, Verdict
from rotator.model.reason import HoldReason, RotateReason, WaitReason
from rotator.model.record import Claim
from rotator.model.snapshot import Snapshot
from rotator.plan.actions import Adopt, Decision, Finish, Hold, Inherit, Revoke, Rotate, Wait
from rotator.plan.decide import decide
from tests.support import builders as a
from tests.support.builders import CURRENT, DAY, HOUR, LATER, MINUTE, NOW, POLICY, SETTLED

PUBLISHED = a.attempt(LATER, base=3, age=HOUR)
OVERTAKEN = a.attempt("4" * 16, base=2, age=HOUR)

Change = Callable[[Snapshot], Snapshot]


def vanished_in_one_look(seen: Snapshot) -> Snapshot:
    return replace(seen, fleet_hold=HoldReason.MANY_ABSENT)


def claimed(seen: Snapshot) -> Snapshot:
    return a.with_record(replace(seen, record_written_at=NOW), claim=Claim("replica-b", 10 * MINUTE))


def held(seen: Snapshot) -> Snapshot:
    return a.with_record(seen, hold=a.hold(HoldReason.UNSAFE))


def other_fields(seen: Snapshot) -> Snapshot:
    return a.with_record(seen, fields=FieldNames(secret="token"))


def unrecorded_publish(seen: Snapshot) -> Snapshot:
    found = a.made(PUBLISHED, "key-new")
    return replace(
        with_attempt(seen, PUBLISHED),
        keys=(*seen.keys, found),
        entry=a.entry(LATER, version=4, key_id="key-new"),
        served=a.accepted("key-new"),
    )


def rolled_back(seen: Snapshot) -> Snapshot:
    return replace(seen, entry=a.entry(version=2))


def refused(seen: Snapshot) -> Snapshot:
    return replace(seen, served=Served(Verdict.REFUSED))


def overtaken_orphan(seen: Snapshot) -> Snapshot:
    return replace(with_attempt(seen, OVERTAKEN), keys=(*seen.keys, a.made(OVERTAKEN, "key-orphan")))


def overlap_over(seen: Snapshot) -> Snapshot:
    return a.with_record(seen, previous=(a.previous(superseded=2 * DAY),))


def unlisted(seen: Snapshot) -> Snapshot:
    return replace(seen, keys=tuple(key for key in seen.keys if key.key_id != CURRENT.key_id))


def due(seen: Snapshot) -> Snapshot:
    return a.with_record(seen, current=a.current(a.key(CURRENT.key_id, age=70 * DAY), age=10 * DAY))


def with_attempt(seen: Snapshot, attempt: object) -> Snapshot:
    assert seen.record is not None
    return a.with_record(seen, attempts=(*seen.record.attempts, attempt))


ORDER: dict[Change, Decision | type[Decision]] = {
    vanished_in_one_look: Hold(HoldReason.MANY_ABSENT),
    claimed: Wait,
    held: Hold(HoldReason.UNSAFE, "why"),
    other_fields: Hold(HoldReason.FIELDS_CHANGED),
    unrecorded_publish: Finish(LATER, "key-new"),
    rolled_back: Hold(HoldReason.ENTRY_BEHIND, "version 2, published 3"),
    refused: Rotate,
    overtaken_orphan: Inherit("key-orphan"),
    overlap_over: Revoke,
    unlisted: Hold(HoldReason.CURRENT_UNLISTED),
    due: Rotate,
}

IMPOSSIBLE = {
    (unrecorded_publish, rolled_back),  # one entry shows one rotation id
    (unrecorded_publish, refused),  # a refused publish is not finished: the table says what happens
    (
        vanished_in_one_look,
        refused,
    ),  # what the provider refuses has vanished indeed: the table says what happens
}


def is_as_expected(decision: Decision, expected: Decision | type[Decision]) -> bool:
    return isinstance(decision, expected) if isinstance(expected, type) else decision == expected


@pytest.mark.parametrize("change", ORDER, ids=lambda change: change.__name__)
def test_each_change_alone_makes_its_rule_decide(change: Change) -> None:
    assert is_as_expected(decide(POLICY, change(SETTLED), NOW), ORDER[change])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(first, second, id=f"{first.__name__} before {second.__name__}")
        for first, second in combinations(ORDER, 2)
        if (first, second) not in IMPOSSIBLE
    ],
)
def test_the_more_urgent_question_is_answered_first(first: Change, second: Change) -> None:
    both = first(second(SETTLED))

    assert is_as_expected(decide(POLICY, both, NOW), ORDER[first])


def test_a_served_key_that_is_refused_is_replaced_for_that_reason_even_when_it_is_due() -> None:
    decision = decide(POLICY, refused(due(SETTLED)), NOW)

    assert isinstance(decision, Rotate)
    assert decision.reason is RotateReason.SERVED_KEY_REFUSED


@pytest.mark.promise("P1", "P3")
@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.UNKNOWN, Verdict.NOTHING])
def test_nothing_is_retired_while_the_served_secret_is_not_shown_to_work(verdict: Verdict) -> None:
    seen = replace(overlap_over(SETTLED), served=Served(verdict))

    assert not isinstance(decide(POLICY, seen, NOW), Revoke)


@pytest.mark.promise("P4")
def test_a_lost_record_wins_over_a_key_to_adopt() -> None:
    key = a.key()
    seen = a.unrecorded(key, also=[CURRENT])

    assert isinstance(decide(POLICY, a.unrecorded(key), NOW), Adopt)
    assert decide(POLICY, seen, NOW) == Hold(HoldReason.LOST_RECORD)


@pytest.mark.promise("P6")
def test_another_process_at_work_is_left_alone_even_when_the_served_key_is_refused() -> None:
    decision = decide(POLICY, claimed(refused(SETTLED)), NOW)

    assert isinstance(decision, Wait)
    assert decision.reason is WaitReason.CLAIMED


def test_what_lies_about_counts_before_a_back_off() -> None:
    seen = a.with_record(due(a.lying_about(3)), rotate_failure=a.failure(RotateReason.DUE_BY_EXPIRY))

    assert decide(POLICY, seen, NOW) == Hold(HoldReason.TOO_MANY_UNSERVED, a.ORPHANS)
