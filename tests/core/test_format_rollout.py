"""The release that brings the next format, played with copies of the program: first it is read, then it is written.

The copies have one more field, `note`, as its author would add it: with a default that means what a record without it
means, and left out of a record that is written in the format before.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rotator.model.format import KNOWN, NewerFormat
from rotator.model.record import decode, encode
from rotator.rotation.orders import noted
from tests.core.exploration.seeded import ROOT, plant
from tests.core.exploration.seeds import Edit, Seed
from tests.core.test_record import FULL
from tests.support import builders as a

FORMAT, RECORD = "rotator/model/format.py", "rotator/model/record.py"
READS = (
    Edit(FORMAT, f"KNOWN: Final = {KNOWN}", f"KNOWN: Final = {KNOWN + 1}"),
    Edit(
        RECORD,
        "    unknown: Annotated[",
        f'    needs: int = {KNOWN}\n    note: str = ""\n    unknown: Annotated[',
    ),
    Edit(
        RECORD,
        "    text = _CODEC.dump_json(replace(record, format=max(record.format, formats.WRITTEN))).decode()\n",
        "    written = max(record.format, formats.WRITTEN)\n"
        f"    new = {{'needs', 'note'}} if written <= {KNOWN} else None\n"
        "    text = _CODEC.dump_json(replace(record, format=written), exclude=new).decode()\n",
    ),
)
WRITES = (*READS, Edit(FORMAT, f"WRITTEN: Final = {KNOWN}", f"WRITTEN: Final = {KNOWN + 1}"))

SCRIPT = """
import json, sys
from dataclasses import replace
from rotator.model.record import decode, encode
texts, changes = json.load(sys.stdin)
print(json.dumps([encode(replace(decode(text), **changes)) for text in texts]))
"""


def version(folder: Path, *edits: Edit) -> Path:
    """Plant a copy of the program and return where it is."""
    plant(Seed(name="rollout", promise="P2", what="", edits=edits, bounds=None), folder)
    return folder


def by(program: Path, *texts: str, **changes: object) -> list[Any]:
    """Let a version of the program read records and write them again, with changes; return their documents."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps([texts, changes]),
        cwd=program,
        env={"PYTHONPATH": f"{program}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [json.loads(text) for text in json.loads(ran.stdout)]


@pytest.mark.promise("P2")
def test_the_next_format_is_rolled_out_in_two_steps_and_can_be_rolled_back(tmp_path: Path) -> None:
    ours = json.loads(encode(FULL))
    reader, writer = version(tmp_path / "reader", *READS), version(tmp_path / "writer", *WRITES)

    # The first release changes nothing in the journal: we go on beside it.
    assert by(reader, encode(FULL)) == [ours]
    # The second one writes the new format. Where older ones may ignore what is new, we keep it.
    (harmless,) = by(writer, encode(FULL), note="later")
    assert (harmless["format"], harmless["needs"], harmless["note"]) == (KNOWN + 1, KNOWN, "later")
    kept = json.loads(encode(noted(decode(json.dumps(harmless)), a.order())))
    assert kept | {"orders": ours["orders"], "claim": ours["claim"]} == harmless
    # Where they may not, we leave it alone; what was rolled back to the first release reads it, and writes it the same.
    (new,) = by(writer, encode(FULL), note="later", needs=KNOWN + 1)
    with pytest.raises(NewerFormat):
        decode(json.dumps(new))
    assert by(reader, json.dumps(new), json.dumps(harmless)) == [new, harmless]
