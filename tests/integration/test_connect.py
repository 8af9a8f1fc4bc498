"""The command line with another way to log in than a token, and with the provider's credential in Vault."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import Desk
from tests.support.canary import secret_text
from tests.support.vault_auth import Role
from tests.support.vault_lab import Root


@pytest.fixture
def role(desk: Desk, root: Root, tmp_path: Path) -> Role:
    """Write a policy file that logs in with an AppRole and has the provider's credential in Vault."""
    folder = tmp_path / "role"
    folder.mkdir()
    role = Role.made(root, folder)
    auth = role.auth()
    desk.put("management", api_key=desk.environment.pop("DEEPGRAM_API_KEY"))
    desk.write(
        auth=f"{{approle: {{mount: {auth.mount}, role_id: {auth.role_id}, secret_id: {auth.secret_id}}}}}",
        credential=f"{{vault: {{mount: secret, path: {desk.entries}/management, field: api_key}}}}",
    )
    return role


@pytest.mark.usefixtures("role")
async def test_an_approle_logs_in_and_the_providers_credential_comes_out_of_vault(desk: Desk) -> None:
    desk.due_key("voice")
    ran = await desk.run("once")
    assert ran.status == 0, ran.err
    assert desk.serves("voice")


@pytest.mark.promise("P7")
@pytest.mark.usefixtures("role")
async def test_a_credential_that_is_not_in_vault_is_named(desk: Desk) -> None:
    desk.put("management", other=secret_text("other"))
    ran = await desk.run("plan")
    assert ran.status == 78
    assert ran.err.endswith(
        "field: api_key}}: the entry has no text in a field api_key (name another field)\n"
    )


@pytest.mark.promise("P7")
async def test_a_secret_id_that_is_not_there_or_is_refused_is_told(desk: Desk, role: Role) -> None:
    file = role.folder / "secret-id"
    file.write_text(secret_text("wrong"))
    refused = await desk.run("plan")
    file.unlink()
    gone = await desk.run("plan")

    assert (refused.status, gone.status) == (1, 78)
    assert "does not let us log in\n  why: log in with vault.auth.approle: 400: the role id or" in refused.err
    assert gone.err == (
        f"{{file: {file}}}: can't be read (No such file or directory) (see that it is there, and that this user may "
        "read it)\n"
    )
