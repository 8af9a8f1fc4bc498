"""What scopes let a key do: more than usage, and what another key's scopes include."""

from __future__ import annotations

import pytest

from rotator.policy.scopes import beyond_usage, lacking, manages_keys


@pytest.mark.parametrize(
    "scope",
    [
        "owner",
        "admin",
        "keys:write",
        "members:write",
        "members:write:kick",
        "admins:write:invites",
        "owners:write",
        "billing:write",
        "project:write",
        "project:write:destroy",
        "project:kick",
        "account:write",
    ],
)
def test_what_changes_keys_members_billing_or_projects_is_beyond_usage(scope: str) -> None:
    assert beyond_usage(frozenset({scope, "usage:write"})) == {scope}


@pytest.mark.parametrize(
    "scope",
    [
        "member",
        "usage:read",
        "usage:write",
        "keys:read",
        "members:read:invites",
        "billing:read",
        "listen",
        "keys",
        "",
    ],
)
def test_using_and_reading_is_not(scope: str) -> None:
    assert beyond_usage(frozenset({scope})) == frozenset()


@pytest.mark.parametrize(
    ("own", "wanted", "missing"),
    [
        ({"owner"}, {"billing:write", "admin", "anything"}, set()),
        ({"admin"}, {"usage:write", "members:write:kick", "member", "billing:read"}, set()),
        ({"admin"}, {"billing:write", "owners:write", "owner"}, {"billing:write", "owners:write", "owner"}),
        ({"member"}, {"usage:read", "keys:write", "project:read"}, set()),
        ({"member"}, {"admin", "members:read"}, {"admin", "members:read"}),
        ({"keys:read", "keys:write"}, {"usage:write"}, {"usage:write"}),
        ({"usage:write"}, {"usage:write"}, set()),
        ({"project:write"}, {"project:write:settings"}, set()),
        ({"project:write:settings"}, {"project:write"}, {"project:write"}),
        ({"keys:write"}, {"keys:writes"}, {"keys:writes"}),
        (set(), {"usage:write"}, {"usage:write"}),
        (set(), set(), set()),
    ],
)
def test_what_a_key_lacks_of_anothers_scopes(own: set[str], wanted: set[str], missing: set[str]) -> None:
    assert lacking(frozenset(own), frozenset(wanted)) == missing


@pytest.mark.parametrize(
    ("scope", "manages"), [("keys:write", True), ("owner", True), ("admin", True), ("member", False)]
)
def test_who_makes_and_deletes_keys_of_others(scope: str, *, manages: bool) -> None:
    assert manages_keys(frozenset({"usage:write", scope})) is manages
