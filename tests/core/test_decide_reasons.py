"""The tables of decisions, together, leave no reason out."""

from __future__ import annotations

import pytest

from rotator.model.reason import HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.plan.actions import Hold, Revoke, Rotate, Wait
from tests.core import test_decide_access, test_decide_copies, test_decide_keys, test_decide_served

TABLE = [
    *test_decide_access.TABLE,
    *test_decide_served.TABLE,
    *test_decide_copies.TABLE,
    *test_decide_keys.TABLE,
]

FOUND_ELSEWHERE = {case.snapshot.fleet_hold for case in test_decide_access.FLEET} | {
    HoldReason.PARITY,
    HoldReason.WRITE_REFUSED,
    HoldReason.ENTRY_EXPIRES,
    HoldReason.UNSAFE,
    RotateReason.IMPORTED,
    RotateReason.REBUILT,
}
"""Holds that come from looking at all lineages, or that are found while acting; and what is no plan but an order."""


@pytest.mark.promise("P8")
def test_the_tables_reach_every_reason_that_the_planner_can_give() -> None:
    given = {
        case.expected.reason for case in TABLE if isinstance(case.expected, Rotate | Revoke | Wait | Hold)
    }
    can_be_given = {*RotateReason, *RevokeReason, *WaitReason, *HoldReason} - FOUND_ELSEWHERE

    assert given - FOUND_ELSEWHERE == can_be_given


def test_each_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in TABLE]

    assert sorted(set(names)) == sorted(names)
