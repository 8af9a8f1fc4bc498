"""Who may do what at Deepgram: scopes, role words, and what a member's role allows at most.

Sources: Deepgram's docs "Working with Roles" and its scopes reference. Where they disagree (may an admin
delete other people's keys?), the stricter reading is simulated.
"""

from __future__ import annotations

from enum import StrEnum

KEYS_READ = "keys:read"
KEYS_WRITE = "keys:write"
PROJECT_READ = "project:read"
USAGE_READ = "usage:read"
USAGE_WRITE = "usage:write"
SEES_EVERYONE = frozenset({"members:read", "admins:read", "owners:read"})
"""With all of these, a key sees everybody's keys; else only those of its own account."""
READS_SCOPES = frozenset({"members:read:scopes", "admins:read:scopes", "owners:read:scopes"})
"""With all of these, a key reads everybody's role; else only that of its own account."""


class Role(StrEnum):
    """What a member is in a project; also usable as a scope of a key."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


_MEMBER = frozenset({PROJECT_READ, "project:write", USAGE_READ, USAGE_WRITE, KEYS_READ, KEYS_WRITE})
_ADMIN = _MEMBER | {
    "members:read",
    "members:write",
    "admins:read",
    "admins:write",
    "owners:read",
    "billing:read",
}
_OWNER = _ADMIN | READS_SCOPES | {"owners:write", "billing:write", "project:write:destroy"}
_OF_ROLE = {Role.OWNER: _OWNER, Role.ADMIN: _ADMIN, Role.MEMBER: _MEMBER}


def rights(scopes: tuple[str, ...], role: Role) -> frozenset[str]:
    """Return what a key with `scopes` may do while its owner has `role`.

    A key never has more rights than its creator has now: demoting a person weakens their keys.
    """
    words = set(scopes)
    asked = words.union(*(_OF_ROLE[role] for role in Role if role in words))
    return frozenset(asked & _OF_ROLE[role])
