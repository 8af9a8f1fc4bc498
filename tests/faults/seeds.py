"""Seeded bugs that the matrix has to see: each is a small change to the program, most of them where answers are read.

A matrix in which nothing breaks proves little unless these break in it. Those of the exploration are about decisions;
these are about what the exploration takes as given.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.core.exploration.seeded import ROOT, plant
from tests.core.exploration.seeds import Edit

PATIENCE_SECONDS = 600
"""How long to wait for what takes a few seconds on a machine with nothing else to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One seeded bug: what is wrong, the promise it breaks, its edits, and the case that has to show it."""

    name: str
    promise: str
    what: str
    edits: tuple[Edit, ...]
    case: str

    @property
    def file(self) -> str:
        """The first file that is changed."""
        return self.edits[0].file


HTTP, WIRE = "rotator/http.py", "rotator/providers/deepgram_wire.py"
SEEDS = (
    Seed(
        name="a_cut_line_means_never_sent",
        promise="P2",
        what="A create whose connection ended before the answer counts as one that was never sent.",
        edits=(
            Edit(
                HTTP,
                "httpx.RemoteProtocolError: Sent.PERHAPS",
                "httpx.RemoteProtocolError: Sent.NEVER",
            ),
        ),
        case="first rotation / provider create / done, answer lost",
    ),
    Seed(
        name="an_error_of_the_server_means_not_done",
        promise="P2",
        what="A create that the provider answers with 500 counts as one that was refused.",
        edits=(
            Edit(
                WIRE,
                "return Ambiguous(*named) if call.writes else Unavailable(*named)",
                "return Unavailable(*named)",
            ),
        ),
        case="later rotation / provider create / 500 after it was done",
    ),
    Seed(
        name="an_unreadable_answer_means_not_done",
        promise="P2",
        what="A create whose answer can't be read counts as one that was refused.",
        edits=(Edit(WIRE, "kind = Ambiguous if call.writes else Rejected", "kind = Rejected"),),
        case="later rotation / provider create / done, broken JSON",
    ),
    Seed(
        name="an_unanswered_publish_counts_as_done",
        promise="P8",
        what="A publish that got no answer is recorded without a look at what Vault holds.",
        edits=(
            Edit(
                "rotator/rotation/publish.py",
                "        read = await ports.destinations.read(there, fields, at_least=version)",
                "        if isinstance(error, Ambiguous):\n"
                "            return Confirmed(version=version, at=ports.clock.now(), deletion_at=None)\n"
                "        read = await ports.destinations.read(there, fields, at_least=version)",
            ),
        ),
        case="later rotation / destination write / timeout, nothing arrived",
    ),
    Seed(
        name="writes_without_check_and_set",
        promise="P6",
        what="Writes to Vault do not say over which version they go.",
        edits=(
            Edit(
                "rotator/vault/client.py",
                "path, dict(data), cas=base, mount_point=mount",
                "path, dict(data), cas=None, mount_point=mount",
            ),
        ),
        case="later rotation / destination write / done minutes late",
    ),
    Seed(
        name="a_refused_publish_shows_its_secret",
        promise="P7",
        what="The hold after a publish that Vault refuses says which secret it was.",
        edits=(
            Edit(
                "rotator/rotation/rotate.py",
                "return Hold(HoldReason.WRITE_REFUSED, str(refused))\n\n\nasync def _unfit",
                "return Hold(HoldReason.WRITE_REFUSED, f'{refused} {publication.secret.reveal()}')\n\n\n"
                "async def _unfit",
            ),
        ),
        case="later rotation / destination write / 403",
    ),
    Seed(
        name="a_provider_that_gives_no_list_is_not_told",
        promise="P8",
        what="A provider that could not be listed is left out without a word.",
        edits=(
            Edit(
                "rotator/inventory/listings.py",
                'troubles.append(Trouble(what=f"provider {name}", error=answer))',
                "continue",
            ),
        ),
        case="retire / provider list / 503",
    ),
)


def caught(seed: Seed) -> str:
    """Run the case of a seed on a copy of the program that has it. Return what it broke, "" when nothing was seen."""
    with tempfile.TemporaryDirectory(prefix="rotator-seed-") as name:
        folder = Path(name)
        plant(seed, folder)
        ran = subprocess.run(
            [sys.executable, "-m", "tests.faults.matrix", seed.case],
            cwd=folder,
            env={"PYTHONPATH": f"{folder}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    told = [line.strip() for line in ran.stdout.splitlines()]
    return (
        next((line for line in told if line.startswith(f"{seed.promise}: ")), "")
        if ran.returncode == 1
        else ""
    )
