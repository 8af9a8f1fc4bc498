"""`rotator vault-policy`: the rights that a policy file needs in Vault, as a policy of Vault."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rotator.bootstrap import vault_namespace
from rotator.cli import exits
from rotator.cli.options import Options
from rotator.cli.text import plain
from rotator.policy.settings import PolicyFile
from rotator.vault.rights import Rule, needed_by


def vault_policy(options: Options) -> int:
    """Print the policy. Only the file is looked at."""
    file = options.load()
    rules = needed_by(file)
    namespace = plain(vault_namespace(file))
    document = {
        "namespace": namespace,
        "rules": [
            {"path": rule.path, "capabilities": sorted(rule.capabilities), "reasons": list(rule.reasons)}
            for rule in rules
        ],
    }
    options.emit(document, "\n".join(_lines(options, file, rules, namespace)))
    return exits.FINE


def _lines(options: Options, file: PolicyFile, rules: tuple[Rule, ...], namespace: str) -> Iterator[str]:
    name = f"rotator-{file.instance}"
    at = f"VAULT_NAMESPACE={namespace} " if namespace else ""
    yield f"# What rotator may do in Vault: no more than {plain(str(options.config))} needs."
    yield f"# To put it in force: rotator vault-policy | {at}vault policy write {name} -"
    if namespace:
        yield f"# All paths are in the namespace {namespace}; a policy counts only in its own."
    yield "# A lineage whose policy entry was removed needs its rights until its old keys are gone; one that was moved,"
    yield "# those at its earlier place until that is given up."
    if any("+" in path.split("/") for path in _named(file)):
        yield "# A path in the file has a segment `+`, and Vault takes that for any segment: rename it."
    for reasons, some in groupby(rules, key=lambda rule: rule.reasons):
        yield f"\n# {'; '.join(reasons)}"
        for rule in some:
            capabilities = ", ".join(f'"{capability}"' for capability in sorted(rule.capabilities))
            yield f'path "{rule.path}" {{\n  capabilities = [{capabilities}]\n}}'


def _named(file: PolicyFile) -> Iterator[str]:
    """Yield every mount, prefix and path that the file names."""
    yield from (file.vault.journal_mount, file.vault.journal_prefix)
    for policy in file.policies:
        yield from (policy.destination.mount, policy.destination.path, *(path for path, _ in policy.keys))
