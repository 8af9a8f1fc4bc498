"""The page to read first: how one lineage is brought, step by step, to where its policy wants it.

    observe   read provider, Vault and journal into one snapshot        inventory.observe
    decide    one action and its reason, from (policy, snapshot, now)   plan.decide
    act       carry out that one action                                 rotation.perform

and then observe again. Nothing is carried over from one round to the next: a crash, a lost answer or another
process at work only means that the next look sees something else. What must be remembered is in Vault and in
the comments of the keys. The last look is spared where what was just written down says that it would find nothing to do.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rotator.errors import Conflict, InvariantViolation, RotatorError
from rotator.inventory.assignment import Assignment
from rotator.inventory.observe import observe, unless_paused_since
from rotator.model.reason import LeftReason
from rotator.model.snapshot import Snapshot
from rotator.model.told import Step, Told
from rotator.plan.actions import Decision, Hold, Rotate, Wait
from rotator.plan.decide import decide
from rotator.plan.presume import presumed
from rotator.ports import Ports, RecordRead
from rotator.rotation.perform import perform
from rotator.rotation.rotate import refusal

TURNS = 20
"""After so many turns in one go the rest is left to the next sweep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One look and what followed from it.

    `held` is the hold that an action ended in, `written` the record as an action that was carried out left it.
    """

    snapshot: Snapshot
    decision: Decision
    acted: bool
    held: Hold | None = None
    written: RecordRead | None = None

    @property
    def stands(self) -> Decision:
        """Where the lineage stands after it."""
        return self.decision if self.held is None else self.held


async def turn(
    assignment: Assignment,
    ports: Ports,
    *,
    may_rotate: Callable[[], bool] = lambda: True,
    seen: Snapshot | None = None,
) -> Turn:
    """Observe, decide, act once.

    `may_rotate` is asked just before a rotation is started; after a no, the rotation is left alone. `seen` is what a
    look of a moment ago showed: enough to begin with while the record is the same, for each deletion looks afresh. Raise
    what the ports raise; Conflict means that somebody else wrote first, and that another look will tell.
    """
    snapshot = await (observe(assignment, ports) if seen is None else unless_paused_since(seen, ports))
    decision = decide(assignment.policy, snapshot, ports.clock.now())
    if doubtful(decision, snapshot) or (seen is not None and isinstance(decision, Rotate)):
        await _check_whole(snapshot, ports)
    if isinstance(decision, Wait | Hold) or ports.stopping():
        return Turn(snapshot=snapshot, decision=decision, acted=False)
    if isinstance(decision, Rotate):
        refused = await refusal(decision, assignment.policy, snapshot, ports)
        if refused is not None or not may_rotate():
            return Turn(snapshot=snapshot, decision=decision, acted=False, held=refused)
    done = await perform(decision, assignment, snapshot, ports)
    return Turn(snapshot=snapshot, decision=decision, acted=True, held=done.held, written=done.written)


def doubtful(decision: Decision, snapshot: Snapshot) -> bool:
    """Return whether it is a hold of this one lineage, which may come from what another process wrote between two reads."""
    return isinstance(decision, Hold) and decision.reason is not snapshot.fleet_hold


async def _check_whole(snapshot: Snapshot, ports: Ports) -> None:
    """Raise Conflict when the record was written while the snapshot was taken, or since.

    A publish by another process between our read of the record and our read of the entry looks like a
    stranger's. Its intent was written before it, so a record that is still the same knows of none.
    """
    read = await ports.journal.read(snapshot.lineage.record_name)
    if read.version != snapshot.record_version:
        raise Conflict("look at", snapshot.lineage.name, "its record was written meanwhile")


@dataclass(frozen=True, slots=True)
class Left:
    """Why a lineage with something to do was left for later. `detail` is what the reason came from, never a secret."""

    reason: LeftReason
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """Where one lineage stands after it was reconciled. Two that are held for one place have one name: `lineage_id` tells them apart.

    `last` is the last turn, None when the lineage could not be observed at all. `done` are the actions that
    were carried out, `error` what stopped it. `left` says why a sweep left it with something to do.
    """

    lineage: str
    lineage_id: str
    last: Turn | None
    done: tuple[Decision, ...]
    error: RotatorError | None
    left: Left | None = None


async def reconcile(
    assignment: Assignment,
    ports: Ports,
    *,
    may_rotate: Callable[[], bool] = lambda: True,
    seen: Snapshot | None = None,
) -> Reconciled:
    """Take turns until there is nothing to do for this lineage now, or something stops it. `seen` is for the first one.

    Raises nothing but what stops the whole process: one lineage never stops another.
    """
    done: list[Decision] = []
    last: Turn | None = None
    error: RotatorError | None = None
    for _ in range(TURNS):
        try:
            looked, seen = seen, None
            last = await turn(assignment, ports, may_rotate=may_rotate, seen=looked)
            error = None
            if not last.acted or last.held is not None:
                break
            done.append(last.decision)
            rest = _at_rest(assignment, last, ports)
        except Conflict as conflict:
            # Somebody else wrote first. If this was the last turn, it is what is reported.
            error = conflict
        except RotatorError as failure:
            error = failure
            break
        except Exception as bug:  # noqa: BLE001 (a bug in one lineage must not stop the others)
            error = violation_of(bug)
            break
        else:
            if rest is not None:
                last = rest
                break
    if error is not None:
        ports.tell(Told(step=Step.FAILED, lineage=assignment.lineage.name, detail=str(error)))
    elif last is not None and isinstance(hold := last.stands, Hold):
        ports.tell(
            Told(
                step=Step.HELD, lineage=assignment.lineage.name, reason=hold.reason.value, detail=hold.detail
            )
        )
    return Reconciled(
        lineage=assignment.lineage.name,
        lineage_id=assignment.lineage.lineage_id,
        last=last,
        done=tuple(done),
        error=error,
    )


def _at_rest(assignment: Assignment, acted: Turn, ports: Ports) -> Turn | None:
    """Return where a lineage stands after an action, if by what was written down it only waits from now on."""
    if acted.written is None or acted.written.record is None:
        return None
    now = ports.clock.now()
    snapshot = presumed(acted.snapshot, acted.written.record, acted.written.version, now)
    decision = None if snapshot is None else decide(assignment.policy, snapshot, now)
    if snapshot is None or not isinstance(decision, Wait):
        return None
    return Turn(snapshot=snapshot, decision=decision, acted=False)


def violation_of(bug: Exception) -> InvariantViolation:
    """Return what is told of a bug: its class and place only, for its text is nobody's promise to hold no secret."""
    frames = traceback.extract_tb(bug.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    return InvariantViolation(f"{type(bug).__name__} at {place}")
