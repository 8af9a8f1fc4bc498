"""The `Access` port on a real server: our token, mounts, entries, and what is missing for the journal."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from rotator.clock import SystemClock
from rotator.errors import Denied, Rejected, Unavailable
from rotator.model.lineage import Lineage
from rotator.model.secret import Secret
from rotator.ports import Access, Kept
from rotator.vault.access import VaultAccess
from rotator.vault.client import VaultClient
from tests.support.canary import CANARY
from tests.support.vault_lab import LEAST_PRIVILEGE, Root, connected


def access(client: VaultClient, place: str, *, mount: str = "secret") -> Access:
    return VaultAccess(client, journal_mount=mount, journal_prefix=f"rotator-journal/{place}")


def lineage(mount: str, path: str) -> Lineage:
    return Lineage(provider="asr", project_id="p", namespace="", mount=mount, path=path)


async def test_what_vault_says_of_our_token(client: VaultClient, root: Root, place: str) -> None:
    ours = await access(client, place).token()
    assert ours is not None
    assert ours.ends_at is not None
    assert timedelta(0) < ours.ends_at - SystemClock().now() <= timedelta(hours=1)
    assert ours.renewable
    assert "default" in ours.policies
    async with connected(root.address, root.token) as mighty:
        everything = await access(mighty, place).token()
    assert everything is not None
    assert (everything.ends_at, everything.policies) == (None, frozenset({"root"}))


async def test_a_role_may_leave_out_the_right_to_ask(root: Root, place: str) -> None:
    token = Secret(f"{CANARY}-token-{uuid.uuid4().hex}")
    name = uuid.uuid4().hex
    root.do("POST", f"sys/policies/acl/{name}", {"policy": LEAST_PRIVILEGE})
    root.do(
        "POST", "auth/token/create", {"id": token.reveal(), "policies": [name], "no_default_policy": True}
    )
    async with connected(root.address, token) as silent:
        assert await access(silent, place).token() is None


async def test_settings_of_a_mount_are_known_where_they_may_be_read(
    client: VaultClient, root: Root, place: str
) -> None:
    mount = root.mount(max_versions=3, delete_version_after="1h")

    assert await access(client, place).mount("secret") is None
    async with connected(root.address, root.token) as mighty:
        assert await access(mighty, place).mount(mount) == Kept(most_versions=3, deletes=True)
        assert await access(mighty, place).mount("secret") == Kept(most_versions=0, deletes=False)


async def test_a_mount_that_can_not_be_used_is_refused(client: VaultClient, root: Root, place: str) -> None:
    old = root.mount(version=1)
    async with connected(root.address, root.token) as mighty:
        with pytest.raises(Rejected, match="KV version 1"):
            await access(mighty, place).mount(old)
    with pytest.raises(Denied):
        await access(client, place).mount("nowhere")
    async with connected("http://127.0.0.1:1", root.token) as lost:
        with pytest.raises(Unavailable):
            await access(lost, place).mount("secret")


async def test_settings_of_an_entry(client: VaultClient, root: Root, place: str) -> None:
    path = f"rotated/{place}/voice"
    assert await access(client, place).entry(lineage("secret", path)) is None
    root.do("POST", f"secret/metadata/{path}", {"max_versions": 1, "delete_version_after": "0s"})

    assert await access(client, place).entry(lineage("secret", path)) == Kept(most_versions=1, deletes=False)
    assert await access(client, place).entry(lineage("secret", "elsewhere/x")) is None


async def test_what_is_missing_for_the_journal_is_named_right_by_right(
    client: VaultClient, root: Root, place: str
) -> None:
    assert await access(client, place).journal_lacks() == ()
    journal = f"rotator-journal/{place}"
    poor = root.new_token(f'path "secret/data/{journal}/lineages/*" {{ capabilities = ["read", "update"] }}')
    async with connected(root.address, poor) as client_of_poor:
        lacking = await access(client_of_poor, place).journal_lacks()
    async with connected(root.address, root.token) as mighty:
        assert await access(mighty, place).journal_lacks() == ()

    control, record = (f"secret/data/{journal}/{name}" for name in ("control", "lineages/any-000000000000"))
    assert set(lacking) == {
        f"create on {control}",
        f"read on {control}",
        f"update on {control}",
        f"create on {record}",
        f"list on secret/metadata/{journal}/lineages/",
    }
