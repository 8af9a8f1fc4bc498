"""From a policy file to ports: whatever way to log in and whatever reference it names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rotator.bootstrap import connect
from rotator.cli import exits, look
from rotator.cli.failures import Failure
from rotator.errors import PolicyError
from rotator.policy.load import load
from rotator.policy.settings import AppRoleAuth, PolicyFile, SecretReference, SecretSource, VaultReference
from tests.integration.conftest import Desk
from tests.support.canary import secret_text
from tests.support.vault_auth import Role
from tests.support.vault_lab import Root


@pytest.fixture
def file(desk: Desk, root: Root, tmp_path: Path) -> PolicyFile:
    """Return a policy file that logs in with an AppRole and has the provider's credential in Vault."""
    role = tmp_path / "role"
    role.mkdir()
    written = load(desk.file.read_bytes(), name="config.yaml")
    desk.put("management", api_key=desk.environment["DEEPGRAM_API_KEY"])
    reference = VaultReference(mount="secret", path=f"{desk.entries}/management", field="api_key")
    (provider,) = written.providers
    return replace(
        written,
        vault=replace(written.vault, auth=Role.made(root, role).auth()),
        providers=(replace(provider, credential=reference),),
    )


async def test_an_approle_logs_in_and_the_providers_credential_comes_out_of_vault(
    file: PolicyFile, desk: Desk
) -> None:
    desk.due_key("voice")
    async with connect(file, found_journal=True) as connected:
        fleet = await connected.survey()
    assert [found.assignment.lineage.path for found in fleet.found] == [f"{desk.entries}/voice"]


async def test_a_credential_that_is_not_in_vault_is_an_error_of_the_file(
    file: PolicyFile, desk: Desk
) -> None:
    desk.put("management", other=secret_text("other"))
    with pytest.raises(PolicyError, match="no text in a field api_key"):
        async with connect(file, found_journal=True):
            pass


async def test_a_login_whose_credential_is_not_there_is_an_error_of_the_file(file: PolicyFile) -> None:
    nowhere = SecretReference(SecretSource.ENV, "NOT_SET")
    auth = AppRoleAuth(mount="approle", role_id=nowhere, secret_id=nowhere)
    with pytest.raises(PolicyError, match=r"^\{env: NOT_SET\}: the variable is not set"):
        async with connect(replace(file, vault=replace(file.vault, auth=auth)), found_journal=True):
            pass


async def test_a_login_that_vault_refuses_is_told_in_three_parts(file: PolicyFile, tmp_path: Path) -> None:
    (tmp_path / "role" / "secret-id").write_text(secret_text("wrong"))
    with pytest.raises(Failure, match=r"does not let us log in$") as caught:
        async with look.connected(file, found_journal=True):
            pass
    assert caught.value.why.startswith(
        "log in with vault.auth.approle: 400: the role id or the secret id is wrong"
    )
    assert "`vault.auth`" in caught.value.cure
    assert caught.value.status == exits.FAILED
