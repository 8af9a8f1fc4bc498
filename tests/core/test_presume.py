"""What is presumed after an action: enough to see that nothing is left, and never more than a look would show."""

from __future__ import annotations

from dataclasses import replace

from rotator.model.reason import RevokeReason, WaitReason
from rotator.model.record import Record
from rotator.plan.actions import Revoke, Wait
from rotator.plan.decide import decide
from rotator.plan.presume import presumed
from tests.support import builders as a
from tests.support.builders import DAY, NOW, POLICY

OLD = a.previous()


def after(before: Record, record: Record) -> object:
    """Return what is decided on what is presumed after an action that made `record` of `before`."""
    snapshot = presumed(a.snapshot(before), record, 8, NOW)
    assert snapshot is not None
    assert (snapshot.record, snapshot.record_version) == (record, 8)
    return decide(POLICY, snapshot, NOW)


def test_after_a_rotation_both_keys_work_until_the_overlap_is_over() -> None:
    new = a.made(a.attempt(), "key-new")
    served = replace(a.current(new, version=4, age=a.MINUTE), rotation_id=a.ISSUED)
    record = replace(
        a.record(),
        current=served,
        previous=(a.previous(a.CURRENT.key_id, superseded=a.MINUTE),),
        attempts=(a.attempt(),),
    )
    decision = after(a.record(), record)
    assert isinstance(decision, Wait)
    assert decision.reason is WaitReason.OVERLAP


def test_after_a_deletion_the_key_is_gone_and_another_old_one_is_next() -> None:
    other = a.previous("key-older", superseded=12 * DAY)
    both = replace(a.record(), previous=(OLD, other))
    left = replace(both, previous=(other,))

    assert after(both, replace(both, previous=())) == decide(POLICY, a.snapshot(a.record()), NOW)
    assert after(both, left) == Revoke("key-older", RevokeReason.OVERLAP_ENDED)


def test_what_was_seen_of_an_original_stays_as_it_was_seen() -> None:
    record = a.fresh_record(a.original(superseded=None))
    snapshot = presumed(a.unrecorded(a.key()), record, 1, NOW)
    assert snapshot is not None
    assert snapshot.entry == a.unrecorded(a.key()).entry
    assert snapshot.served == a.unrecorded(a.key()).served


def test_nothing_is_presumed_of_a_lineage_that_is_served_at_several_places() -> None:
    moved = replace(a.record(), also_at=a.moved().also_at)
    assert presumed(a.snapshot(moved), moved, 8, NOW) is None
