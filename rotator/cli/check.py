"""`rotator check`: whether the policy file is fine, and everything that it leads to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from rotator.cli import colours, documents, exits
from rotator.cli.findings import said, status
from rotator.cli.options import Options
from rotator.cli.text import coloured, complain, plain, width, wrapped
from rotator.clock import SystemClock
from rotator.errors import PolicyError
from rotator.plan.findings import Finding, Grade
from rotator.policy.settings import PolicyFile, origin_of

_MARGIN = "problem  "


def check(options: Options, *, offline: bool) -> int:
    """Load the file and say what it holds, or everything that is wrong with it; then look at all that it leads to."""
    texts = options.read()
    included = [one.name for one in texts.included]
    try:
        file = texts.load()
    except PolicyError as error:
        if options.as_json:
            options.emit({"file": str(options.config), "fine": False, "problems": _problems(error)}, "")
        else:
            complain("\n".join(str(problem) for problem in error.problems))
        return exits.BAD_POLICY
    found: tuple[Finding, ...] = ()
    if not offline:
        from rotator.cli.inspection import inspect  # noqa: PLC0415 (the file alone needs none of it)

        options.start_logging()
        with options.progress() as progress:
            found = asyncio.run(inspect(file, progress))
    now = SystemClock().now()
    journal = f"{file.vault.journal_mount}/{file.vault.journal_prefix}"
    document = {
        "file": str(options.config),
        "fine": all(one.grade is not Grade.PROBLEM for one in found),
        "problems": [],
        "included": included,
        "instance": file.instance,
        "journal": journal,
        "providers": [provider.name for provider in file.providers],
        "policies": [policy.name for policy in file.policies],
        "findings": [_document(one, now) for one in found],
    }
    shown = _shown(options, file, journal, included, offline=offline)
    options.emit(document, "\n".join([shown, *_lines(found, now)]))
    return status(found)


def _problems(error: PolicyError) -> list[dict[str, object]]:
    return [
        {
            "file": problem.file,
            "line": problem.line,
            "column": problem.column,
            "path": problem.path,
            "what": problem.what,
            "hint": problem.hint,
        }
        for problem in error.problems
    ]


def _vault(file: PolicyFile) -> str:
    return origin_of(file.vault.address) if file.vault.address else "as VAULT_ADDR says"


def _shown(options: Options, file: PolicyFile, journal: str, included: list[str], *, offline: bool) -> str:
    return "\n".join(
        [
            f"{options.config} is fine" + ("" if offline else " by itself"),
            *(f"  included   {plain(name)}" for name in included),
            f"  instance   {file.instance}, with its journal at {journal}",
            f"  Vault      {_vault(file)}",
            *(f"  provider   {one.name}: {one.type}, project {one.project_id}" for one in file.providers),
            *(
                f"  policy     {one.name}: keys of {', '.join(one.providers)}, adopt {one.adopt}"
                for one in file.policies
            ),
        ]
    )


def _lines(found: tuple[Finding, ...], now: datetime) -> Iterator[str]:
    """Yield what was found in words, the gravest first, and how much of each there is."""
    if not found:
        return
    yield ""
    for finding in found:
        words = said(finding, now)
        parts = [f"{finding.about}: {words.what}"]
        parts += [f"why: {words.why}"] if words.why else []
        parts += [f"do:  {words.cure}"] if words.cure else []
        lines = [line for part in parts for line in wrapped(part, width() - len(_MARGIN))]
        grade = finding.grade.value
        painted = colours.word(grade) if coloured() else grade
        for number, line in enumerate(lines):
            yield (painted + " " * (len(_MARGIN) - len(grade)) if number == 0 else " " * len(_MARGIN)) + line
    counts = Counter(finding.grade for finding in found)
    yield ""
    yield ", ".join(
        f"{counts[grade]} {one if counts[grade] == 1 else many}"
        for grade, one, many in (
            (Grade.PROBLEM, "problem", "problems"),
            (Grade.WARNING, "warning", "warnings"),
            (Grade.OK, "fine", "fine"),
        )
    )


def _document(finding: Finding, now: datetime) -> dict[str, object]:
    words = said(finding, now)
    return {
        "check": finding.check.value,
        "grade": finding.grade.value,
        "about": finding.about,
        "what": words.what,
        "why": words.why or None,
        "to_do": words.cure or None,
        "subjects": list(finding.subjects),
        "error": documents.of_error(finding.error) if finding.error else None,
    }
