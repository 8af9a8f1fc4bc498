"""Which rights in Vault a policy file needs, and no others. Pure.

A path is one of Vault's API, as its policies name it: `+` stands for any one segment, and `*`, at the end only,
for any ending (https://developer.hashicorp.com/vault/docs/concepts/policies). Of several rules that match a path
Vault takes the most specific one alone: the rights in a wider one do not count then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rotator.policy.match import path_of_any_key
from rotator.policy.policy import Policy
from rotator.policy.settings import PolicyFile, ProviderSettings, VaultReference
from rotator.vault import paths

READ: Final = frozenset({"read"})
WRITE: Final = frozenset({"create", "read", "update"})
"""`create` is for the first version of an entry, `update` for each later one."""

_LIST: Final = frozenset({"list"})
_UPDATE: Final = frozenset({"update"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a token may do at one path, and what for."""

    path: str
    capabilities: frozenset[str]
    reasons: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether it is about one path only."""
        return not self.path.endswith("*") and "+" not in self.path.split("/")


def needed_by(file: PolicyFile) -> tuple[Rule, ...]:
    """Return the rules for everything that `file` has rotator do, each path once, in the order of their reasons."""
    merged: dict[str, Rule] = {}
    for rule in (*_journal(file), *_destinations(file), *_credentials(file), *_token()):
        known = merged.get(rule.path)
        merged[rule.path] = rule if known is None else _together(known, rule)
    return tuple(_with_wider(merged.values()))


def of_journal(mount: str, prefix: str, *, record: str = "+") -> tuple[Rule, ...]:
    """Return the rules for the journal under `prefix` of `mount`: for one `record`, or for all."""
    reasons = ("the journal",)
    return (
        Rule(path=f"{mount}/data/{paths.control_path(prefix)}", capabilities=WRITE, reasons=reasons),
        Rule(path=f"{mount}/data/{paths.record_path(prefix, record)}", capabilities=WRITE, reasons=reasons),
        Rule(path=f"{mount}/metadata/{paths.records_path(prefix)}/", capabilities=_LIST, reasons=reasons),
    )


def of_entry(mount: str, path: str, reason: str) -> tuple[Rule, ...]:
    """Return the rules for an entry that consumers read. One that is only watched may be rotated by an order."""
    return (
        Rule(path=f"{mount}/data/{path}", capabilities=WRITE, reasons=(reason,)),
        Rule(path=f"{mount}/metadata/{path}", capabilities=READ, reasons=(reason,)),
    )


def _journal(file: PolicyFile) -> Iterable[Rule]:
    return of_journal(file.vault.journal_mount, file.vault.journal_prefix)


def _destinations(file: PolicyFile) -> Iterator[Rule]:
    providers = {provider.name: provider for provider in file.providers}
    for policy in file.policies:
        places = [path for path, _ in policy.keys] or [
            _pattern(policy, providers[name]) for name in policy.providers
        ]
        for path in places:
            yield from of_entry(policy.destination.mount, path, f"policy {policy.name}")


def _pattern(policy: Policy, provider: ProviderSettings) -> str:
    """Return the policy's path as Vault's policies can say it: a part of a segment only at the end."""
    unknown = "{"
    *folders, last = path_of_any_key(policy, provider, stand_in=unknown).split("/")
    start, found, _ = last.partition(unknown)
    end = last if not found else f"{start}*" if start else "+"
    return "/".join([*("+" if unknown in folder else folder for folder in folders), end])


def _credentials(file: PolicyFile) -> Iterator[Rule]:
    for provider in file.providers:
        reference = provider.credential
        if isinstance(reference, VaultReference):
            path = f"{reference.mount}/data/{reference.path}"
            yield Rule(path=path, capabilities=READ, reasons=(f"the credential of provider {provider.name}",))


def _token() -> tuple[Rule, ...]:
    """Return what Vault's policy `default` gives to every token. Roles may leave that one out."""
    reasons = ("rotator's own token",)
    return (
        Rule(path="auth/token/lookup-self", capabilities=READ, reasons=reasons),
        Rule(path="auth/token/renew-self", capabilities=_UPDATE, reasons=reasons),
        Rule(path="sys/capabilities-self", capabilities=_UPDATE, reasons=reasons),
    )


def _with_wider(rules: Iterable[Rule]) -> Iterator[Rule]:
    """Yield the rules, each with the rights of the wider ones that it would take the place of."""
    rules = tuple(rules)
    wider = [rule for rule in rules if not rule.exact]
    for rule in rules:
        given = rule.capabilities.union(*(w.capabilities for w in wider if _meet(rule.path, w.path)))
        yield Rule(path=rule.path, capabilities=given, reasons=rule.reasons)


def _together(one: Rule, other: Rule) -> Rule:
    reasons = tuple(dict.fromkeys((*one.reasons, *other.reasons)))
    return Rule(path=one.path, capabilities=one.capabilities | other.capabilities, reasons=reasons)


def _meet(one: str, other: str) -> bool:
    """Return whether there is a path that both match."""
    first, second = one.split("/"), other.split("/")
    for a, b in zip(first, second, strict=False):
        if a.endswith("*") or b.endswith("*"):
            return "+" in (a, b) or _begin_alike(a, b)
        if a != b and "+" not in (a, b):
            return False
    return len(first) == len(second)


def _begin_alike(a: str, b: str) -> bool:
    """Return whether two segments, of which one at least ends in `*`, can be one."""
    start, other = a.removesuffix("*"), b.removesuffix("*")
    return (a.endswith("*") and other.startswith(start)) or (b.endswith("*") and start.startswith(other))
