"""Everything that was tried, as one page: `docs/explanation/proof.md`. Each figure on it comes from a run."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from tests.faults.case import Case
from tests.faults.faults import Fault
from tests.faults.phases import PHASES
from tests.faults.report import Line

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "proof.md"
MATRIX = "calls made to fail"
WRONG = "went wrong"
"""The head of the columns that are empty of findings when all is well."""

COUNTED = "<!-- cases of the matrix: {} -->"
"""How the page names its number of cases to the check that it is not stale."""

HEAD = """\
# What was tried to break it

<!-- Written by `make prove`, every figure of it. -->
{counted}

The promises P1 to P8 stand in [the table of promises](../reference/promises.md). This page says what was done to break
them, and what came of it. `make prove` does it all again, and wants a machine with nothing else to do. It uses every core,
and ends with status 1 when anything went wrong; it then says what.

Last run: {when:%Y-%m-%d}, {machine}, {minutes:.0f} minutes. **Went wrong: {broken}.**

{parts}

## Every call, every fault

A rotation is brought to each of five situations. Then one call that the program makes, to Vault or to the provider, goes
wrong in one way, and all others go well. Time moves on until nothing is left to do, and what happened is judged. The
calls are not written down by hand: each situation runs once with nothing going wrong, and its calls are kept in
`tests/faults/calls.txt`, in their order. Each place in that order with each fault is one case. The Vault server is a real
one, the provider is simulated, and both are reached over real HTTP; the program is whole, from its policy file on.

The situations:

{by_situation}

How many cases there were, by call and situation. A record write is named by what it writes down. In this table and the
next, a number followed by `!` counts cases that went wrong.

{by_phase}

By call and fault, the situations together.

{by_fault}

The faults, by the letters above:

{legend}

A fault that is done *after* the call was carried out is tried only for calls that change something. "Done late" happens
after the program has given up and looked again, "done minutes late" once it has gone on with something else.

## What counts as broken

One judge judges the calls made to fail, the strikes and the cluster (`tests/faults/outside.py`). It knows nothing of the
program's rules. It is given every version of the entries and of the records in Vault, read with root's hands, and what
became of every key at the provider, with their instants. Each of its rules is seen to fail by a test. Broken is:

- the secret that Vault serves did not work, at any instant since the first publish (P1);
- a key of ours lives on unserved when all is done, is of no lineage, or is not known any more; a rotation is served that
  no record names; or an entry names another key than the one it serves (P2);
- a key went before the overlap was over since another one was published, or an original that nobody had released, unless
  a person ordered an emergency; a key went while no other working one was served, or while its publish could still come
  (P3). The overlap is 24 hours in the calls made to fail and in the cluster, where hours pass by moving the clock, and
  two seconds where processes are struck;
- a key that is none of its business changed, such as the management key, a namesake or another installation's; or an
  entry serves a secret of none of its keys (P4);
- a served key has other scopes or tags than the first one (P5);
- one rotation was published twice, over another version than the one that its intent names, or to replace another key
  than the one that was served; or a second place of a lineage serves something else than a copy (P6);
- a secret shows in what was told, logged or raised, in a record, in a key's comment, in what a command prints (P7);
- what was to be done was not, and nothing was told; it stays undone although nothing is wrong any more; or the program
  ended in an error that is none of its own (P8). In the calls made to fail, where Vault refuses the publish or the read
  before it with 401, 403 or 404, a person may have to order it again.

The consumer is judged by its own calls: none may be refused. The exploration states the promises on a model of Vault and of
the provider, and a seeded bug has gone wrong when it was not found.

{others}

## What this does not show

- One call goes wrong at a time. Two at once, and a process that dies besides, are the exploration's business, in a model
  of Vault and of the provider.
- The provider is a simulation of Deepgram. What the real one does otherwise than its documents say is not tried.
- In the calls made to fail there is one lineage and one process. Two processes at once are tried by the exploration and the
  kills, many lineages by the kills at random.
- Call timeouts are shortened to {timeout} ms, and hours pass by moving the clock of the program, and Vault's answers with
  it.

## To run it again

`make prove` for all of it. One case, or all with that text in their names:

    .venv/bin/python -m tests.faults.matrix 'later rotation / record write: published / done, answer lost'

All strikes, those at random by the decisions of seed N, which a run says first:

    .venv/bin/python -m tests.faults.kills --seed N --seconds 60

When the program makes other calls than before, this keeps the new ones:

    .venv/bin/python -m tests.faults.matrix --record
"""


def page(
    parts: Mapping[str, Sequence[Line]],
    found: Mapping[Case, tuple[str, ...]],
    *,
    when: datetime,
    seconds: float,
    timeout: float,
) -> str:
    """Return the page. `found` says of each case of the matrix what it broke."""
    lines = [line for some in parts.values() for line in some]
    return HEAD.format(
        counted=COUNTED.format(len(found)),
        when=when,
        machine=f"{os.cpu_count()} cores, Python {platform.python_version()}",
        minutes=seconds / 60,
        broken=sum(len(line.broken) for line in lines),
        parts=_parts(parts),
        by_situation=_lines(parts[MATRIX]),
        by_phase=calls_by_phase(found),
        by_fault=_by_fault(found),
        legend="\n".join(f"- {letter}: {fault}" for letter, fault in _letters().items()),
        others="\n\n".join(_part(name, some) for name, some in parts.items() if name != MATRIX),
        timeout=round(timeout * 1000),
    ).replace("\n\n\n", "\n\n")


def _parts(parts: Mapping[str, Sequence[Line]]) -> str:
    rows = [
        (
            name,
            f"{sum(line.cases for line in some if not line.apart):,}",
            str(sum(len(line.broken) for line in some)),
        )
        for name, some in parts.items()
    ]
    return table(("what was tried", "cases", WRONG), rows)


def _part(name: str, lines: Sequence[Line]) -> str:
    return f"{heading(name)}\n\n{_lines(lines)}"


def heading(name: str) -> str:
    """Return the line that a part begins with on the page."""
    return "## Every call, every fault" if name == MATRIX else f"## {name[0].upper()}{name[1:]}"


def _lines(lines: Sequence[Line]) -> str:
    return table(("what was tried", "cases", WRONG), map(row, lines))


def row(line: Line) -> tuple[str, str, str]:
    """Return a line as a row of a table."""
    return line.what, f"{line.cases:,}", str(len(line.broken))


def calls_by_phase(found: Mapping[Case, tuple[str, ...]]) -> str:
    """Return how many cases there were of each call in each situation, as a table."""
    count = Counter((case.call.row, case.phase) for case in found)
    broken = Counter((case.call.row, case.phase) for case, what in found.items() if what)
    rows = [
        (row, *(_cell(count[row, phase.name], broken[row, phase.name]) for phase in PHASES))
        for row in _rows(found)
    ]
    return table(("call", *(phase.name for phase in PHASES)), rows)


def faults_by_phase(found: Mapping[Case, tuple[str, ...]]) -> str:
    """Return how many cases each fault made in each situation, as a table."""
    count = Counter((case.fault, case.phase) for case in found)
    broken = Counter((case.fault, case.phase) for case, what in found.items() if what)
    rows = [
        (fault, *(_cell(count[fault, phase.name], broken[fault, phase.name]) for phase in PHASES))
        for fault in Fault
    ]
    return table(("fault", *(phase.name for phase in PHASES)), rows)


def _by_fault(found: Mapping[Case, tuple[str, ...]]) -> str:
    count = Counter((case.call.row, case.fault) for case in found)
    broken = Counter((case.call.row, case.fault) for case, what in found.items() if what)
    rows = [(row, *(_cell(count[row, fault], broken[row, fault]) for fault in Fault)) for row in _rows(found)]
    return table(("call", *_letters()), rows)


def _cell(cases: int, broken: int) -> str:
    return f"{cases} {broken}!" if broken else str(cases or "")


def _rows(found: Iterable[Case]) -> list[str]:
    return sorted({case.call.row for case in found})


def _letters() -> dict[str, Fault]:
    return {chr(ord("a") + number): fault for number, fault in enumerate(Fault)}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown: the first column is text, the others are figures."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
