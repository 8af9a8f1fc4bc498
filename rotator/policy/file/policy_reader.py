"""Reading `defaults` and `policies`, each policy completed by the defaults."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as ReadOnlyList
from dataclasses import dataclass, replace

from rotator.policy.file.bounds_reader import read_freezes, read_windows
from rotator.policy.file.destination_reader import read_destination
from rotator.policy.file.document import Mapping, Node, Sequence
from rotator.policy.file.fields import Fields
from rotator.policy.file.policy_options import (
    ADOPT,
    DEFAULTS,
    KEYS,
    LIFETIME,
    MAX_AGE,
    MIN_GAP,
    NAME_OF_POLICY,
    ORIGINAL,
    OVERLAP,
    POLICIES,
    PROVE,
    PROVE_DEADLINE,
    PROVIDER,
    RETRY,
    RETRY_INITIAL,
    RETRY_MAX,
    ROTATE_BEFORE,
    SELECT,
    TEMPORARY_BELOW,
)
from rotator.policy.file.problems import Complaints, describe, is_null
from rotator.policy.file.selection_reader import (
    KnownProviders,
    check_choice,
    read_keys,
    read_providers,
    read_select,
)
from rotator.policy.fingerprint import fingerprint
from rotator.policy.policy import Policy

MOST_MERGED = 500_000
"""So many values may come into all policies together from `defaults`."""

_EITHER = {SELECT.name: KEYS.name, KEYS.name: SELECT.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPolicy:
    """A policy with its place in the files, for the checks that follow."""

    policy: Policy
    node: Node
    fields: Fields


def read_policies(
    top: Fields, items: ReadOnlyList[Node], providers: tuple[str, ...]
) -> tuple[ReadPolicy, ...]:
    """Return the policies that `items` say, with all defaults filled in."""
    complaints, known = top.complaints, KnownProviders(providers)
    defaults = top.node(DEFAULTS.name)
    shared = Fields(defaults, DEFAULTS, complaints)
    if shared.node(PROVIDER.name) is not None:
        read_providers(shared, known)
    _read_options(shared, Policy(name="", providers=()))
    shared.close()
    if defaults is not None and _size(defaults) * len(items) > MOST_MERGED:
        complaints.tell(
            defaults, f"too much for {len(items)} policies", f"{MOST_MERGED} values in all can be shared"
        )
        complaints.raise_any()
    return tuple(_read_policy(item, defaults, known, complaints) for item in items)


def items_of(fields: Fields, owner: Node, *, needed: bool) -> tuple[Node, ...]:
    """Return the policies as they are written in one file. Where none are, that is told at `owner` if `needed`."""
    node = fields.node(POLICIES.name)
    if node is None and not needed:
        return ()
    if node is None or is_null(node):
        fields.complaints.tell(node or owner, "`policies` is missing", "for none, write `policies: []`")
        return ()
    if not isinstance(node, Sequence):
        fields.complaints.tell(node, f"{describe(node)} where a list (`- item`) is expected")
        return ()
    return node.items


def _read_policy(
    node: Node, defaults: Node | None, known: KnownProviders, complaints: Complaints
) -> ReadPolicy:
    merged = node
    if isinstance(node, Mapping) and isinstance(defaults, Mapping):
        merged = _merged(defaults, node)
    fields = Fields(merged, POLICIES, complaints)
    name, providers, keys = fields.take(NAME_OF_POLICY), read_providers(fields, known), read_keys(fields)
    policy = _read_options(fields, Policy(name=name, providers=providers, keys=keys))
    fields.close()
    check_choice(node, fields, providers)
    return ReadPolicy(policy=replace(policy, fingerprint=fingerprint(policy)), node=node, fields=fields)


def _merged(shared: Mapping, own: Mapping) -> Mapping:
    """Return `own` completed by `shared`: maps key by key, anything else as a whole."""
    names = dict(own.names)
    values = dict(own.values)
    for name, value in shared.values.items():
        mine = own.values.get(name)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            values[name] = _merged(value, mine)
        elif mine is None and _EITHER.get(name) not in own.names:
            names[name], values[name] = shared.names[name], value
    return replace(own, names=names, values=values)


def _size(node: Node) -> int:
    """Return of how many values a node is made."""
    return 1 + sum(_size(below) for below in _below(node))


def _below(node: Node) -> Iterator[Node]:
    if isinstance(node, Mapping):
        yield from node.values.values()
    elif isinstance(node, Sequence):
        yield from node.items


def _read_options(fields: Fields, start: Policy) -> Policy:
    """Return `start` with every option that `defaults` may hold as well."""
    prove = fields.below(PROVE)
    retry = fields.below(RETRY)
    policy = replace(
        start,
        select=read_select(fields),
        adopt=fields.take(ADOPT),
        rotate_before=fields.take(ROTATE_BEFORE),
        max_age=fields.take(MAX_AGE),
        lifetime=fields.take(LIFETIME),
        overlap=fields.take(OVERLAP),
        original=fields.take(ORIGINAL),
        temporary_below=fields.take(TEMPORARY_BELOW),
        prove_deadline=prove.take(PROVE_DEADLINE),
        retry_initial=retry.take(RETRY_INITIAL),
        retry_max=retry.take(RETRY_MAX),
        min_gap=fields.take(MIN_GAP),
        windows=read_windows(fields),
        freezes=read_freezes(fields),
        destination=read_destination(fields),
    )
    prove.close()
    retry.close()
    return policy
