"""Bugs seeded into copies of the program: the strikes must show each, by what is seen from outside.

A bug is looked for with one strike, at the call where it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.core.exploration.seeded import plant
from tests.core.exploration.seeds import Edit
from tests.faults.kills.fronts import Call, Side, first
from tests.faults.kills.scenarios import LATER, Scenario
from tests.faults.kills.site import ground, site
from tests.faults.kills.strikes import Case, Kind, strike
from tests.support.nursery import nursery
from tests.support.vault_lab import Root


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

    async def unseen(self, root: Root, folder: Path) -> str:
        """Strike at a copy of the program, in `folder`, that has it. Return what was found instead, "" when it was seen."""
        plant(self, folder)
        with nursery(folder) as children:
            async with ground(root, children, folder, at_once=1) as shared:
                async with site(shared) as made:
                    await self.scenario.prepare(made)
                    begin = len(made.crossing.calls)
                    await made.run(*self.scenario.command(made))
                    nth = self.nth(made.crossing.calls[begin:])
                case = Case(scenario=self.scenario, kind=self.kind, nth=nth, side=self.side)
                found = await strike((case,), shared)
        seen = any(self.shows in each for each in found)
        return "" if seen else f"the bug {self.name!r} was not found: {'; '.join(found) or 'nothing was'}"


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
                "        if self.asked:\n            self._say",
                "        if True:\n            self._say",
            ),
        ),
        scenario=LATER,
        kind=Kind.TERM,
        side=Side.AFTER,
        method="POST",
        path="/keys",
    ),
)
