"""A file to start from: the keys that no policy takes, as `keys:` blocks to put where `include` finds them.

Comments of keys are anybody's text. They stand in comments of YAML, which end where a line ends: so they are
shown with everything escaped that could end it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from rotator.cli.text import plain
from rotator.cli.times import relative
from rotator.cli.words import EXCLUSION
from rotator.inventory.discover import Discovered, Discovery
from rotator.policy.match import Exclusion, depends_on_key, known_part, slug
from rotator.policy.names import PATH
from rotator.policy.policy import DestinationTemplate
from rotator.policy.settings import PolicyFile

_BARRED: Final = (
    Exclusion.MANAGES_KEYS,
    Exclusion.MANAGEMENT_KEY,
    Exclusion.LICENCE_KEY,
    Exclusion.EXPIRED,
    Exclusion.TEMPORARY,
)
"""Why keys are left out that nobody looks after, in the order in which they are shown."""

_MOST_BARRED: Final = 20
"""So many of one kind are shown: temporary keys can be thousands."""

_LONGEST_COMMENT: Final = 120
_LONGEST_NAME: Final = 50
_ID_SHOWN: Final = 8


def text_of(file: PolicyFile, found: Mapping[str, Discovered], now: datetime, *, lineages_known: bool) -> str:
    """Return the text of an include file. It loads as it is beside `file`, and changes nothing: it watches."""
    head = [
        "# The keys that no policy takes, found by `rotator discover --stub`. Put this file where `include` finds",
        "# it, strike out what rotator is not to look after, and write `adopt: when_due` where it is to rotate.",
    ]
    if not lineages_known:
        head.append("# Vault could not be read: some of these keys may be in lineages already.")
    names = {policy.name for policy in file.policies}
    used = _used(file, found)
    body: list[str] = []
    for provider, some in found.items():
        free = [one for one in some.keys if not one.covered and one.barred is None]
        if free:
            body += _policy(_name(provider, names), provider, _placed(provider, free, used), now)
        body += _left_out(provider, some, now)
    begins = "policies:" if any(line.startswith("  - ") for line in body) else "policies: []"
    return "\n".join([*head, begins, *body])


def _policy(name: str, provider: str, keys: Mapping[str, Discovery], now: datetime) -> Iterator[str]:
    """Yield the lines of one policy that names its keys."""
    yield f'  - name: "{name}"'
    yield f'    provider: "{provider}"'
    yield "    adopt: watch"
    endless = sum(one.key.expires_at is None for one in keys.values())
    if endless:
        some = "1 of these never expires" if endless == 1 else f"{endless} of these never expire"
        yield f"    # max_age: 365d    # {some}: never due without it"
    yield "    keys:"
    for path, one in sorted(keys.items()):
        yield f'      {path}: "{one.key.key_id}"    # {_described(one, now)}'


def _left_out(provider: str, found: Discovered, now: datetime) -> Iterator[str]:
    """Yield comments about the keys that nobody looks after and that no policy takes by a selector."""
    for reason in _BARRED:
        some = [one for one in found.keys if not one.taken_by and one.barred is reason]
        if not some:
            continue
        yield f"  # Left out at {provider}, {EXCLUSION[reason]}:"
        for one in some[:_MOST_BARRED]:
            yield f'  #   "{one.key.key_id}"    # {_described(one, now)}'
        if len(some) > _MOST_BARRED:
            yield f"  #   and {len(some) - _MOST_BARRED} more"
    if found.listing.unreadable:
        yield f"  # Left out at {provider}, their details can't be read:"
        for key in found.listing.unreadable[:_MOST_BARRED]:
            yield f'  #   "{key.key_id}"    # "{_cut(key.comment)}"'


def _described(one: Discovery, now: datetime) -> str:
    """Return what there is to know of a key, in one line without anything that could end it."""
    key = one.key
    verb = "expired" if one.expired else "expires"
    expires = "never expires" if key.expires_at is None else f"{verb} {relative(key.expires_at, now)}"
    parts = [f'"{_cut(key.operator_comment)}"', f"made {relative(key.created_at, now)}", expires]
    if key.tags:
        parts.append(f"tags {plain(', '.join(sorted(key.tags)))}")
    if one.managing:
        parts.append(f"may do more than usage: {plain(', '.join(sorted(one.managing)))}")
    return ", ".join(parts)


def _cut(comment: str) -> str:
    """Return a comment in one line that is not too long."""
    shown = plain(comment)
    return shown if len(shown) <= _LONGEST_COMMENT else f"{shown[:_LONGEST_COMMENT]}..."


def _placed(provider: str, keys: Sequence[Discovery], used: set[str]) -> dict[str, Discovery]:
    """Return the keys by paths of their own, and count these as used."""
    slugs = {one.key.key_id: slug(one.key.operator_comment, one.key.key_id) for one in keys}
    shared = Counter(slugs.values())
    placed = {}
    for one in keys:
        own, key_id = slugs[one.key.key_id], one.key.key_id
        longer = f"{own}-{key_id.lower()[:_ID_SHOWN]}"
        names = (longer if shared[own] > 1 else own, longer, f"key-{key_id}")
        paths = (_path(provider, name) for name in names)
        path = next(path for path in paths if path not in used and PATH.fits(path))
        used.add(path)
        placed[path] = one
    return placed


def _path(provider: str, name: str) -> str:
    return DestinationTemplate().path.format_map({"provider": provider, "slug": name})


def _used(file: PolicyFile, found: Mapping[str, Discovered]) -> set[str]:
    """Return the paths that lineages and policies have already, in whatever mount."""
    providers = {provider.name: provider for provider in file.providers}
    used = {path for policy in file.policies for path, _ in policy.keys}
    used |= {
        known_part(policy, providers[name])
        for policy in file.policies
        if not depends_on_key(policy)
        for name in policy.providers
    }
    for some in found.values():
        for one in some.keys:
            # Where the mount ends is not to be seen from a lineage's name, so every possible end counts.
            parts = (one.lineage or "").split("/")
            used |= {"/".join(parts[start:]) for start in range(1, len(parts))}
    return used


def _name(provider: str, names: set[str]) -> str:
    """Return a name for a policy that no other has, and count it as taken."""
    made = f"{provider[:_LONGEST_NAME]}-found"
    number = 1
    while made in names:
        number += 1
        made = f"{provider[:_LONGEST_NAME]}-found-{number}"
    names.add(made)
    return made
