"""Bugs seeded into copies of the program: the strikes must show each, by what is seen from outside.

A bug is looked for with one strike, at the call where it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.core.exploration.seeds import Edit
from tests.faults.kills.fronts import Call, Side, first
from tests.faults.kills.scenarios import LATER, Scenario
from tests.faults.kills.strikes import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One seeded bug: what breaks by it, its edits, and the strike that shows it: at the first call of `method` to `path`."""

    name: str
    shows: str
    edits: tuple[Edit, ...]
    scenario: Scenario
    kind: Kind
    side: Side
    method: str
    path: str

    def nth(self, calls: Sequence[Call]) -> int:
        """Return which of the calls to strike at."""
        found = first(calls, self.method, self.path)
        return found - 1 if self.side is Side.BETWEEN else found


SEEDS = (
    Seed(
        name="what is written to Vault does not say over which version",
        shows="P6",
        edits=(Edit("rotator/vault/client.py", "cas=base,", "cas=None,"),),
        scenario=LATER,
        kind=Kind.STOP,
        side=Side.BEFORE,
        method="POST",
        path="/data/rotated/",
    ),
    Seed(
        name="a key whose creation was not answered is deleted as soon as another one is published",
        shows="P3",
        edits=(
            Edit(
                "rotator/rotation/bookkeeping.py",
                "at_once=last is RotateReason.EMERGENCY and record.closed(attempt),",
                "at_once=True,",
            ),
        ),
        scenario=LATER,
        kind=Kind.KILL,
        side=Side.AFTER,
        method="POST",
        path="/keys",
    ),
    Seed(
        name="the intent is not written before the key is made",
        shows="P2",
        edits=(
            Edit(
                "rotator/rotation/rotate.py",
                "await claimed.write(bookkeeping.intended(claimed.record, attempt))",
                "claimed.record = bookkeeping.intended(claimed.record, attempt)",
            ),
        ),
        scenario=LATER,
        kind=Kind.KILL,
        side=Side.AFTER,
        method="POST",
        path="/keys",
    ),
    Seed(
        name="the first signal ends the process, whatever it is doing",
        shows="in the midst of its work",
        edits=(
            Edit(
                "rotator/cli/once.py",
                "        if self.asked:\n            complain",
                "        if True:\n            complain",
            ),
        ),
        scenario=LATER,
        kind=Kind.TERM,
        side=Side.AFTER,
        method="POST",
        path="/keys",
    ),
)
