"""Reading which keys a policy is about: of which providers, and selected by what they have or named by their ids."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from rotator.policy.file.document import Mapping, Node, Sequence
from rotator.policy.file.fields import Fields
from rotator.policy.file.kinds import matching
from rotator.policy.file.policy_options import (
    COMMENT,
    EXCEPT,
    EXCEPT_COMMENT,
    EXCEPT_SCOPES,
    EXCEPT_TAGS,
    KEYS,
    PROVIDER,
    SCOPES,
    SELECT,
    TAGS,
)
from rotator.policy.file.problems import Complaints, Refused, allowed, is_null, shown, tell_repeated
from rotator.policy.names import PATH, VENDOR_ID
from rotator.policy.policy import Exempt, Select

MOST_COMPARED = 500_000
"""How often a glob may be compared with the name of a provider, in all policies together."""

_GLOB = re.compile(r"[*?\[]")
_MOST_SHOWN = 5


class KnownProviders:
    """The providers that policies can name, in the order of the file."""

    def __init__(self, names: tuple[str, ...]) -> None:
        """Nothing was compared with any of them yet."""
        self.names = names
        self._set = frozenset(names)
        self._compared = 0

    def named_by(self, text: str) -> list[str]:
        """Return the providers that a name or a glob names. Raise Refused when there is too much to compare."""
        if not _GLOB.search(text):
            return [text] if text in self._set else []
        self._compared += len(self.names)
        if self._compared > MOST_COMPARED:
            raise Refused(
                "too many globs for so many providers", "name the providers, or write fewer policies"
            )
        return [name for name in self.names if fnmatchcase(name, text)]


def read_providers(fields: Fields, known: KnownProviders) -> tuple[str, ...]:
    """Return whose keys a policy is about, in the order of the providers. Without any provider nothing is told."""
    texts, node = fields.take(PROVIDER), fields.node(PROVIDER.name)
    if node is None or not known.names:
        return ()
    found: set[str] = set()
    for item, text in zip(node.items if isinstance(node, Sequence) else (node,), texts, strict=False):
        try:
            names = known.named_by(text)
        except Refused as refused:
            fields.complaints.tell(item, refused.what, refused.hint)
            continue
        if not names:
            fields.complaints.tell(item, f"{shown(text)} names no provider", allowed(text, known.names))
        found.update(names)
    return tuple(name for name in known.names if name in found)


def read_select(fields: Fields) -> Select | None:
    """Return which keys are selected, None where nothing about it is written."""
    section = fields.below(SELECT)
    exempt = section.below(EXCEPT)
    select = Select(
        comment=section.take(COMMENT),
        tags=section.take(TAGS),
        scopes=section.take(SCOPES),
        but=Exempt(
            comment=exempt.take(EXCEPT_COMMENT),
            tags=exempt.take(EXCEPT_TAGS),
            scopes=exempt.take(EXCEPT_SCOPES),
        ),
    )
    exempt.close()
    section.close()
    given, left_out = fields.node(SELECT.name), section.node(EXCEPT.name)
    if left_out is not None and _is_empty(left_out):
        fields.complaints.tell(left_out, "an empty `except`", "remove it, or write what is left out")
    if given is not None and _is_empty(given):
        fields.complaints.tell(given, "an empty `select`", 'to take every key, write `comment: "*"`')
    return select if given is not None else None


def read_keys(fields: Fields) -> tuple[tuple[str, str], ...]:
    """Return the keys that are named by their ids, each with its path in Vault."""
    node, complaints = fields.take(KEYS), fields.complaints
    if node is None:
        return ()
    tell_repeated(node, complaints)
    keys = tuple((path, _read_id(node.values[path], complaints)) for path in node.names)
    seen: set[str] = set()
    for path, key_id in keys:
        if not PATH.fits(path):
            complaints.tell(node.names[path], "a path that can't be used", f"allowed: {PATH.rule}")
        if key_id and key_id in seen:
            complaints.tell(node.values[path], "this key is named for another path already")
        seen.add(key_id)
    return keys


def check_choice(node: Node, fields: Fields, providers: tuple[str, ...]) -> None:
    """Tell of a policy that names its keys in both ways or in none, and of what does not go with its way.

    `node` is the policy as it is written, `fields` what it is with all defaults.
    """
    select, keys, complaints = fields.node(SELECT.name), fields.node(KEYS.name), fields.complaints
    if select is not None and keys is not None:
        complaints.tell(keys, "`keys` and `select` in one policy", "write two policies")
    if select is None and keys is None and isinstance(node, Mapping):
        complaints.tell(
            node, "neither `select` nor `keys`", 'to take every key, write `select: {comment: "*"}`'
        )
    if isinstance(select, Mapping) and set(select.names) == {EXCEPT.name}:
        complaints.tell(select, "`except` alone", 'to take every other key, write `comment: "*"` too')
    if keys is None:
        return
    own = node.values.get("destination") if isinstance(node, Mapping) else None
    if isinstance(own, Mapping) and "path" in own.names:
        complaints.tell(own.values["path"], "`destination.path` beside `keys`", "`keys` says the paths")
    if len(providers) > 1:
        complaints.tell(
            fields.node(PROVIDER.name) or node,
            f"`keys` of {len(providers)} providers ({_some(providers)})",
            "a key is at one provider: write a policy for each",
        )


def _read_id(node: Node, complaints: Complaints) -> str:
    """Return the id of a key, "" after telling what is wrong with it."""
    try:
        return matching(VENDOR_ID).read(node)
    except Refused as refused:
        complaints.tell(node, refused.what, refused.hint)
        return ""


def _is_empty(node: Node) -> bool:
    return is_null(node) or (isinstance(node, Mapping) and not node.names)


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
