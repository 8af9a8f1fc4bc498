"""What scopes let a key do, as far as Deepgram documents them (its docs, "Working with Roles").

A scope is a word, such as `usage:write`; one of the role words `member`, `admin` and `owner` stands for all that
such a member may do. What a key can really do is bounded by what its account may do at that moment, too.
"""

from __future__ import annotations

from typing import Final

_MANAGES_KEYS: Final = frozenset({"keys:write", "owner", "admin"})
_MANAGED: Final = frozenset({"keys", "members", "admins", "owners", "billing", "project", "account"})
_MEMBER: Final = frozenset({"member", "project:read", "project:write", "usage", "keys"})
_ADMIN: Final = _MEMBER | {"admin", "members", "admins", "owners:read", "billing:read"}
_OF_ROLE: Final = {"member": _MEMBER, "admin": _ADMIN}


def manages_keys(scopes: frozenset[str]) -> bool:
    """Return whether a key can make and delete other people's keys. `member` can do so with its own only."""
    return not scopes.isdisjoint(_MANAGES_KEYS)


def beyond_usage(scopes: frozenset[str]) -> frozenset[str]:
    """Return those that change keys, members, billing or projects: more than a consumer of the service needs.

    Not `member`: keys that only use the service are made with it, too.
    """
    return frozenset(
        scope
        for scope in scopes
        if scope in ("owner", "admin")
        or (scope.partition(":")[0] in _MANAGED and ":" in scope and scope.split(":")[1] != "read")
    )


def lacking(own: frozenset[str], wanted: frozenset[str]) -> frozenset[str]:
    """Return those of `wanted` that `own` is not known to include."""
    if "owner" in own:
        return frozenset()
    included = own.union(*(_OF_ROLE[role] for role in own & _OF_ROLE.keys()))
    return frozenset(
        scope for scope in wanted if not any(scope == one or scope.startswith(f"{one}:") for one in included)
    )
