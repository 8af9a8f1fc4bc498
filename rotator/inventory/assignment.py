"""Which policy a lineage has, and what only a look at all lineages together can know about it."""

from __future__ import annotations

from dataclasses import dataclass

from rotator.model.entry import Place
from rotator.model.lineage import Lineage
from rotator.model.reason import HoldReason
from rotator.policy.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One lineage to be reconciled.

    `policy` is what an operator wants for it; for a record that no policy covers any more, one that only
    watches (its previous keys keep the terms in the record). `matched_key_id` is the key that the policy
    gives to it while it has no record. `moves_to` is the one other place where the policy file puts it now, None when
    it names none, or several. The rest is as in `model.snapshot.Snapshot`.
    """

    lineage: Lineage
    policy: Policy
    matched_key_id: str | None
    currents_elsewhere: frozenset[str] | None = frozenset()
    fleet_hold: HoldReason | None = None
    fleet_hold_detail: str = ""
    paused: str = ""
    moves_to: Place | None = None
