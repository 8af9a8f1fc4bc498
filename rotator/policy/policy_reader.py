"""The part of the file that is about keys: `defaults` and `policies`."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Sequence as ReadOnlyList
from dataclasses import dataclass, replace
from datetime import timedelta

from rotator.policy.destination_reader import read_destination
from rotator.policy.document import Mapping, Node, Scalar
from rotator.policy.duration import FORMS, parse_duration
from rotator.policy.fields import (
    Complaints,
    Fields,
    Refused,
    allowed,
    describe,
    is_null,
    items_of,
    shown,
    tell_repeated,
)
from rotator.policy.fingerprint import fingerprint
from rotator.policy.names import NAME_RULE, PATH_RULE, VENDOR_ID_RULE, is_name, is_path, is_vendor_id
from rotator.policy.policy import Adopt, Lifetime, OriginalTerms, Policy, Select, Share
from rotator.policy.scalars import (
    read_choice,
    read_duration,
    read_matching,
    read_positive_duration,
    read_text,
    read_texts,
)

_DEFAULT = Policy(name="", providers=())
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%")
_WHOLE = 100
_GLOB = re.compile(r"[*?\[]")
_EITHER = {"select": "keys", "keys": "select"}
_LATER = {
    "window": "this version acts at any time",
    "freeze": "this version acts at any time; remove the policy to stop it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPolicy:
    """A policy with its place in the file, for the checks that follow."""

    policy: Policy
    node: Node
    fields: Fields


def read_policies(top: Fields, owner: Node, providers: ReadOnlyList[str]) -> tuple[ReadPolicy, ...]:
    """Return the policies with all defaults filled in, in the order of the file."""
    complaints = top.complaints
    defaults = top.node("defaults")
    shared = Fields(defaults, complaints, later=_LATER)
    shared.take("provider", _read_provider(providers), "")
    _read_options(shared, _DEFAULT)
    shared.close()
    node = top.node("policies")
    if node is None or is_null(node):
        complaints.tell(node or owner, "`policies` is missing", "for none, write `policies: []`")
        return ()
    return tuple(_read_policy(item, defaults, providers, complaints) for item in items_of(node, complaints))


def _read_policy(
    node: Node, defaults: Node | None, providers: ReadOnlyList[str], complaints: Complaints
) -> ReadPolicy:
    if isinstance(node, Mapping) and isinstance(defaults, Mapping):
        merged: Node = _merged(defaults, node)
    else:
        merged = node
    fields = Fields(merged, complaints, later=_LATER)
    policy = _read_options(
        fields,
        replace(
            _DEFAULT,
            name=fields.need(node, "name", read_matching(is_name, NAME_RULE), ""),
            providers=(fields.need(node, "provider", _read_provider(providers), ""),),
            keys=_read_keys(fields.node("keys"), complaints),
        ),
    )
    fields.close()
    _check_choice(node, fields, complaints)
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


def _read_options(fields: Fields, start: Policy) -> Policy:
    """Return `start` with every option that `defaults` may hold as well."""
    prove = fields.section("prove")
    retry = fields.section("retry")
    policy = replace(
        start,
        select=_read_select(fields),
        adopt=fields.take("adopt", read_choice(list(Adopt)), start.adopt),
        rotate_before=fields.take("rotate_before", _read_rotate_before, start.rotate_before),
        max_age=fields.take_or_none("max_age", read_positive_duration, start.max_age),
        lifetime=fields.take("lifetime", _read_lifetime, start.lifetime),
        overlap=fields.take("overlap", read_duration, start.overlap),
        original=fields.take("original", _read_original, start.original),
        temporary_below=fields.take("temporary_below", read_duration, start.temporary_below),
        prove_deadline=prove.take("deadline", read_positive_duration, start.prove_deadline),
        retry_initial=retry.take("initial", read_positive_duration, start.retry_initial),
        retry_max=retry.take("max", read_positive_duration, start.retry_max),
        min_gap=fields.take("min_gap", read_duration, start.min_gap),
        destination=read_destination(fields.section("destination")),
    )
    prove.close()
    retry.close()
    return policy


def _read_select(fields: Fields) -> Select | None:
    node = fields.node("select")
    section = fields.section(
        "select", later={"except": "give the keys to be left out another tag or comment"}
    )
    none: tuple[str, ...] = ()
    select = Select(
        comment=section.take("comment", _read_globs, none),
        tags=frozenset(section.take("tags", read_texts, none)),
        scopes=frozenset(section.take("scopes", read_texts, none)),
    )
    section.close()
    if node is None:
        return None
    if is_null(node) or (isinstance(node, Mapping) and not node.names):
        fields.complaints.tell(node, "an empty `select`", 'to take every key, write `comment: "*"`')
    return select


def _read_globs(node: Node) -> tuple[str, ...]:
    return (read_text(node),) if isinstance(node, Scalar) else read_texts(node)


def _read_keys(node: Node | None, complaints: Complaints) -> tuple[tuple[str, str], ...]:
    if node is None:
        return ()
    if not isinstance(node, Mapping) or not node.names:
        complaints.tell(
            node, f"{describe(node)} where paths with the ids of keys are expected", "write `PATH: KEY_ID`"
        )
        return ()
    tell_repeated(node, complaints)
    entries = Fields(node, complaints)
    read_id = read_matching(is_vendor_id, VENDOR_ID_RULE)
    keys = tuple((path, entries.take(path, read_id, "")) for path in node.names)
    seen: set[str] = set()
    for path, key_id in keys:
        if not is_path(path):
            complaints.tell(node.names[path], "a path that can't be used", f"allowed: {PATH_RULE}")
        if key_id and key_id in seen:
            complaints.tell(node.values[path], "this key is named for another path already")
        seen.add(key_id)
    return keys


def _check_choice(node: Node, fields: Fields, complaints: Complaints) -> None:
    """Tell of a policy that names its keys in both ways or in none, and of a path that nothing uses."""
    select, keys = fields.node("select"), fields.node("keys")
    if select is not None and keys is not None:
        complaints.tell(keys, "`keys` and `select` in one policy", "write two policies")
    if select is None and keys is None and isinstance(node, Mapping):
        complaints.tell(
            node, "neither `select` nor `keys`", 'to take every key, write `select: {comment: "*"}`'
        )
    own = node.values.get("destination") if isinstance(node, Mapping) else None
    if keys is not None and isinstance(own, Mapping) and "path" in own.names:
        complaints.tell(own.values["path"], "`destination.path` beside `keys`", "`keys` says the paths")


def _read_provider(providers: ReadOnlyList[str]) -> Callable[[Node], str]:
    def read(node: Node) -> str:
        if not isinstance(node, Scalar):
            raise Refused(f"{describe(node)}", "this version takes exactly one provider's name")
        text = read_text(node)
        if _GLOB.search(text):
            raise Refused("a glob", "this version takes exactly one provider's name")
        if providers and text not in providers:
            raise Refused(f"{shown(text)} is no provider of this file", allowed(text, providers))
        return text

    return read


def _read_rotate_before(node: Node) -> Share | timedelta:
    text = read_text(node)
    if text.endswith("%"):
        found = _PERCENT.fullmatch(text)
        percent = float(found[1]) if found else 0.0
        if not 0 < percent < _WHOLE:
            raise Refused(f"{shown(text)} is not a share of a lifetime", "more than 0% and less than 100%")
        return Share(percent)
    return _duration_or("a share such as `33%`", node)


def _read_lifetime(node: Node) -> Lifetime | timedelta:
    text = read_text(node)
    return Lifetime(text) if text in set(Lifetime) else _duration_or("`inherit`, `never`", node)


def _read_original(node: Node) -> OriginalTerms | timedelta:
    text = read_text(node)
    if text == "drained":
        raise Refused("this version does not have `drained` yet", "write `keep` or a duration")
    return OriginalTerms.KEEP if text == OriginalTerms.KEEP else _duration_or("`keep`", node)


def _duration_or(other: str, node: Node) -> timedelta:
    """Return a length of time over zero; a refusal says what `other` could stand there too."""
    text = read_text(node)
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise Refused(f"{shown(text)} is {error}", f"{other}, or a duration: {FORMS}") from None
    if not duration:
        raise Refused("zero is not possible here", f"{other}, or a duration: {FORMS}")
    return duration
