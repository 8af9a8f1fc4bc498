"""The page to read first: how one lineage is brought, step by step, to where its policy wants it.

    observe   read provider, Vault and journal into one snapshot        inventory.observe
    decide    one action and its reason, from (policy, snapshot, now)   plan.decide
    act       carry out that one action                                 rotation.perform

and then observe again. Nothing is carried over from one round to the next: a crash, a lost answer or another
process at work only means that the next look sees something else. What must be remembered is in Vault and in
the comments of the keys.
"""

from __future__ import annotations

from dataclasses import dataclass

from rotator.errors import Conflict, PortError
from rotator.inventory.assignment import Assignment
from rotator.inventory.observe import observe
from rotator.model.key import Listing
from rotator.model.snapshot import Snapshot
from rotator.model.told import Step, Told
from rotator.plan.actions import Action, Decision, Hold, Rotate, Wait
from rotator.plan.decide import decide
from rotator.ports import Ports, RecordRead
from rotator.rotation.perform import perform

ROUNDS = 20
"""After so many rounds in one go the rest is left to the next sweep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """Where one lineage stands after it was reconciled.

    `snapshot` and `decision` are the last that were made, None when the lineage could not be observed.
    `done` are the actions that were carried out, `error` what stopped it.
    """

    lineage: str
    snapshot: Snapshot | None
    decision: Decision | None
    done: tuple[Action, ...]
    error: PortError | None


async def reconcile(
    assignment: Assignment,
    ports: Ports,
    *,
    record: RecordRead | None = None,
    listing: Listing | None = None,
    may_rotate: bool = True,
) -> Reconciled:
    """Observe, decide and act until there is nothing to do for this lineage now, or something stops it.

    `record` and `listing` are what a sweep saw a moment ago; they serve the first look only. With `may_rotate` false, a
    rotation that is due is left alone (the sweep has reached its limit). Raises nothing that a port raises:
    one lineage never stops another.
    """
    done: list[Action] = []
    snapshot: Snapshot | None = None
    decision: Decision | None = None
    error: PortError | None = None
    for _ in range(ROUNDS):
        try:
            snapshot = await observe(assignment, ports, record=record, listing=listing)
            record = listing = None
            decision = decide(assignment.policy, snapshot, ports.clock.now())
            error = None
            if isinstance(decision, Wait | Hold) or ports.stopping():
                break
            if isinstance(decision, Rotate) and not may_rotate:
                break
            held = await perform(decision, assignment, snapshot, ports)
        except Conflict as conflict:
            # Somebody else wrote first. Look again; if this was the last round, it is what is reported.
            error = conflict
            continue
        except PortError as failure:
            error = failure
            ports.tell(Told(step=Step.FAILED, lineage=assignment.lineage.name, detail=str(failure)))
            break
        if held is not None:
            decision = held
            break
        done.append(decision)
    if isinstance(decision, Hold):
        ports.tell(
            Told(
                step=Step.HELD,
                lineage=assignment.lineage.name,
                reason=decision.reason.value,
                detail=decision.detail,
            )
        )
    return Reconciled(
        lineage=assignment.lineage.name,
        snapshot=snapshot,
        decision=decision,
        done=tuple(done),
        error=error,
    )
