"""`rotator check`: whether the policy file is fine."""

from __future__ import annotations

from rotator.cli import exits
from rotator.cli.options import Options
from rotator.cli.text import complain, plain
from rotator.errors import PolicyError
from rotator.policy.settings import PolicyFile, origin_of


def check(options: Options) -> int:
    """Load the file and say what it holds, or everything that is wrong with it."""
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
    journal = f"{file.vault.journal_mount}/{file.vault.journal_prefix}"
    document = {
        "file": str(options.config),
        "fine": True,
        "problems": [],
        "included": included,
        "instance": file.instance,
        "journal": journal,
        "providers": [provider.name for provider in file.providers],
        "policies": [policy.name for policy in file.policies],
    }
    options.emit(document, _shown(options, file, journal, included))
    return exits.FINE


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


def _shown(options: Options, file: PolicyFile, journal: str, included: list[str]) -> str:
    return "\n".join(
        [
            f"{options.config} is fine",
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
