"""The table of Deepgram's traps and quirks: where each is known from, and which tests show that it is dealt with.

`python -m tests.support.traps` writes `docs/explanation/deepgram.md`; with `--check` it writes nothing and fails when
the page is stale. Both fail when a test that is named does not exist, and when a test whose own name says a trap is
not named for it.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.support.trap_list import TRAPS, Trap

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "explanation" / "deepgram.md"

HEAD: Final = """\
# What Deepgram does that a rotation has to know

<!-- Written by `python -m tests.support.traps`; `make static` fails when it is stale. -->

Deepgram's descriptions, docs and SDKs disagree on shapes, and say nothing of some things that matter when keys are
replaced. Nobody of us has an account at hand for every case, so what the program believes comes from public text, and
each belief has a test: of the program, or of the simulator that the program is tested against (`rotator/simulator`).
The simulator itself is measured in two ways: `tests/contract/test_provider_sdk.py` drives it with Deepgram's own
Python SDK and sees that nothing that it says gets lost, and `tests/contract/test_provider_shapes.py` holds every answer
of every call, with each quirk on, against the published shapes.

What no public text says is not taken for known: how long a new or a deleted key takes to take effect, whether the same
key can be deleted twice, how many keys a project may have, and whether a key can be given rights that its maker lacks.
There the program asks instead of assuming: it proves a new secret by a call, looks at a list after a deletion, and
reads a new key back.
"""

_NUMBERED = re.compile(r"test_trap_(\d+)_(?:and_(\d+)_)?")


def written_tests() -> Mapping[str, frozenset[str]]:
    """Return the names of the test functions in each test file, by its path from the root."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("*_*.py")):
        if not path.name.startswith(("test_", "lab_")):
            continue
        names = {
            node.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        }
        found[str(path.relative_to(ROOT))] = frozenset(names)
    return found


def problems(traps: tuple[Trap, ...], tests: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """Yield what is not as the table says, a sentence each."""
    for number, trap in enumerate(traps, start=1):
        if not trap.sources:
            yield f"trap {number} has no source"
        if not trap.tests:
            yield f"trap {number} has no test"
        for file, test in trap.tests:
            if test not in tests.get(file, ()):
                yield f"trap {number}: there is no {test} in {file}"
    for file, names in tests.items():
        for name in sorted(names):
            said = _NUMBERED.match(name)
            for number in (int(each) for each in said.groups() if each) if said else ():
                if not 0 < number <= len(traps) or (file, name) not in traps[number - 1].tests:
                    yield f"{file}: {name} is not named for trap {number}"


def page(traps: tuple[Trap, ...]) -> str:
    """Return the page."""
    parts = [HEAD]
    for number, trap in enumerate(traps, start=1):
        parts.append(
            f"\n## {number}. {trap.what}\n\n{trap.answer}\n\nKnown from: {'; '.join(trap.sources)}.\n\n"
        )
        for file, tests in groupby(sorted(trap.tests), key=lambda test: test[0]):
            parts.append(f"- `{file}`: {', '.join(f'`{test}`' for _, test in tests)}\n")
    return "".join(parts)


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.traps")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the page is stale")
    check = parser.parse_args().check
    found = list(problems(TRAPS, written_tests()))
    if check and (not PAGE.exists() or PAGE.read_text() != page(TRAPS)):
        found.append(f"{PAGE.relative_to(ROOT)} is stale: run `python -m tests.support.traps`")
    if not check:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(TRAPS))
    for problem in found:
        sys.stderr.write(f"traps: {problem}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
