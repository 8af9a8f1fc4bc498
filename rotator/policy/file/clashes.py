"""What two policies can't both have, a name or a destination, and where no destination can be. Only what the file shows."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as ReadOnlyDict
from collections.abc import Sequence as ReadOnlyList

from rotator.policy.file.document import Mapping, Node
from rotator.policy.file.policy_options import DESTINATION, KEYS, NAME_OF_POLICY
from rotator.policy.file.policy_reader import ReadPolicy
from rotator.policy.file.problems import Complaints
from rotator.policy.match import depends_on_key, known_part
from rotator.policy.names import repeats_mount
from rotator.policy.settings import ProviderSettings, VaultSettings


def check_names(read: ReadOnlyList[ReadPolicy], complaints: Complaints) -> None:
    """Tell of two policies of one name."""
    first: dict[str, ReadPolicy] = {}
    for one in read:
        if not one.policy.name:
            continue
        other = first.setdefault(one.policy.name, one)
        if other is not one:
            node = one.fields.node(NAME_OF_POLICY.name) or one.node
            complaints.tell(node, f"{_place(other, one)} has this name too")


def check_destinations(
    read: ReadOnlyList[ReadPolicy],
    providers: ReadOnlyDict[str, ProviderSettings],
    vault: VaultSettings,
    complaints: Complaints,
) -> None:
    """Tell of destinations that are named twice, and of paths that lead elsewhere than where consumers read."""
    owners: dict[tuple[str, str], ReadPolicy] = {}
    for one in read:
        if not one.fields.usable("destination.mount", "destination.path", "name"):
            continue
        mount = one.policy.destination.mount
        for path, node, fixed in _paths(one, providers):
            if repeats_mount(mount, path):
                complaints.tell(
                    node,
                    "a path that begins with its mount, or with `data/`",
                    "the mount is given apart, in `destination.mount`; `data/` is added by Vault's API",
                )
            if mount == vault.journal_mount and _touches(path, vault.journal_prefix, fixed=fixed):
                complaints.tell(
                    node, "a destination inside the journal", "choose another path or `vault.journal`"
                )
            if fixed and (mount, path) in owners:
                complaints.tell(node, *_clash(owners[mount, path], one))
            elif fixed:
                owners[mount, path] = one


def _paths(
    one: ReadPolicy, providers: ReadOnlyDict[str, ProviderSettings]
) -> Iterator[tuple[str, Node, bool]]:
    """Yield each path as far as the file shows it, its place, and whether that is all of it."""
    keys = one.fields.node(KEYS.name)
    if isinstance(keys, Mapping):
        yield from ((path, keys.names[path], True) for path in keys.names)
    elif keys is None:
        place = one.fields.last_of(DESTINATION.name) or one.node
        fixed = not depends_on_key(one.policy)
        for name in one.policy.providers:
            yield known_part(one.policy, providers[name]), place, fixed


def _clash(owner: ReadPolicy, one: ReadPolicy) -> tuple[str, str]:
    if owner is one:
        return (
            f"one destination for {len(one.policy.providers)} providers",
            "put `{provider}` into the path",
        )
    return f"{_place(owner, one)} has this destination too", "one destination, one policy"


def _place(other: ReadPolicy, seen_from: ReadPolicy) -> str:
    """Return where another policy stands."""
    file = "" if other.node.file == seen_from.node.file else f" of {other.node.file}"
    return f"{other.node.path}{file}"


def _touches(path: str, prefix: str, *, fixed: bool) -> bool:
    return path.startswith(f"{prefix}/") or (fixed and path == prefix)
