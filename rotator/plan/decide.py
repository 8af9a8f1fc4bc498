"""The one function that decides."""

from __future__ import annotations

from datetime import datetime

from rotator.errors import InvariantViolation
from rotator.model.snapshot import Snapshot
from rotator.plan.actions import Decision
from rotator.plan.rules import RULES
from rotator.policy.policy import Policy


def decide(policy: Policy, snapshot: Snapshot, now: datetime) -> Decision:
    """Return what to do next about one lineage: exactly one action, wait or hold, with its reason.

    Given the same three values, the answer is the same: nothing is read, drawn or remembered.
    """
    for rule in RULES:
        decision = rule(policy, snapshot, now)
        if decision is not None:
            return decision
    raise InvariantViolation("the last rule always decides")
