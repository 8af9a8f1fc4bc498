"""Make small wrong changes in the rooms that decide and act, and see which of them no test notices.

`python -m tests.mutation` runs every mutant and writes `docs/explanation/mutants.md`; with names of modules or functions
(`rotator.plan.facts`, `rotator.plan.facts.head`) it runs theirs only and writes nothing. Exit with 1 when a survivor is
explained nowhere, or when an explained one survives no more. Mutants are run by mutmut; `tool.mutmut` in
`pyproject.toml` says how.

It begins anew each time, for a result that is kept knows of no test that changed since. `--resume` goes on with the last
whole run all the same, after it was stopped, or to see whether new tests kill its survivors: what was killed in a
function that is still the same counts as killed, and all else is tried again.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

from tests.mutation.survivors import (
    EXPLAINED,
    Fate,
    Mutant,
    change_of,
    explanations,
    figures,
    gaps,
    page,
)

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "mutants.md"

FATES = {
    "killed": Fate.KILLED,
    "caught by type check": Fate.TYPED,
    "timeout": Fate.STUCK,
    "survived": Fate.SURVIVED,
    "no tests": Fate.SURVIVED,
}
"""What mutmut calls them. Anything else (a crash, an interrupted run) is no result."""


def main() -> int:
    """Run mutants and say what became of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("names", nargs="*", help="modules or functions; all without any")
    parser.add_argument("--jobs", type=int, default=2, help="how many mutants are tried at once (2)")
    parser.add_argument("--resume", action="store_true", help="try again only what was not killed before")
    arguments = parser.parse_args()
    patterns = [_pattern(name) for name in arguments.names]
    if arguments.resume:
        _forget_survivors()
    else:
        shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    command = [mutmut, "run", "--max-children", str(arguments.jobs), *patterns]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        return done.returncode
    mutants = list(_mutants(whole=not patterns))
    explained = explanations(EXPLAINED.read_text())
    found = gaps(mutants, explained, whole=not patterns)
    for line in found:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{figures(mutants)}, {len(found)} of them to be mended\n")
    if not patterns and not found:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(mutants, explained))
    return 1 if found else 0


def _pattern(name: str) -> str:
    """Return how mutmut names the mutants of a module or a function."""
    if (ROOT / name.replace(".", "/")).with_suffix(".py").exists():
        return f"{name}.*"
    module, _, function = name.rpartition(".")
    if (ROOT / module.replace(".", "/")).with_suffix(".py").exists():
        return f"{module}.x*{function}__mutmut_*"
    raise SystemExit(f"there is no module or function {name}")


def _forget_survivors() -> None:
    """Let everything be tried again that was not killed, and learn anew which tests reach what."""
    (ROOT / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        codes = data.exit_code_by_key
        data.exit_code_by_key = {
            key: code if FATES.get(status_by_exit_code[code]) is Fate.KILLED else None
            for key, code in codes.items()
        }
        data.save()


def _mutants(*, whole: bool) -> Iterator[Mutant]:
    """Yield every mutant with what became of it. Exit when there is one without a result that should have one."""
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for key, code in data.exit_code_by_key.items():
            if code is None and not whole:
                continue
            status = status_by_exit_code[code]
            if status not in FATES:
                raise SystemExit(f"{key} has no result: {status}")
            function, owner = orig_function_and_class_names_from_key(key)
            place = ".".join([*path.with_suffix("").parts, *([owner] if owner else []), function])
            fate = FATES[status]
            survived = (
                change_of(place, get_diff_for_mutant(key, path=path)) if fate is Fate.SURVIVED else None
            )
            yield Mutant(place, fate, survived)


if __name__ == "__main__":
    sys.exit(main())
