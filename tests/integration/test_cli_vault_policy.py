"""`rotator vault-policy`: with what it prints, the program does its work on a real server, and nothing else."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from http import HTTPStatus

import pytest

from rotator.model.secret import Secret
from tests.integration.conftest import POLICIES, Desk
from tests.integration.test_cli_once import after_overlap
from tests.support.canary import CANARY
from tests.support.vault_lab import Root, Seen, forward


async def token_of(desk: Desk) -> Secret:
    """Return a token that may do what the command prints, and not even what Vault gives to every other."""
    ran = await desk.run("vault-policy", VAULT_ADDR="")
    assert (ran.status, ran.err) == (0, "")
    name = uuid.uuid4().hex
    token = Secret(f"{CANARY}-token-{name}")
    desk.root.do("POST", f"sys/policies/acl/{name}", {"policy": ran.out})
    desk.root.do(
        "POST",
        "auth/token/create",
        {"id": token.reveal(), "policies": [name], "ttl": "1h", "no_default_policy": True},
    )
    return token


async def use_least_rights(desk: Desk) -> Root:
    """Let the commands use such a token from now on, and return its hands."""
    token = await token_of(desk)
    (desk.folder / "token").write_text(token.reveal())
    return Root(desk.root.address, token)


async def test_with_exactly_these_rights_a_key_is_rotated_and_retired(desk: Desk) -> None:
    await use_least_rights(desk)
    old = desk.due_key("Gateway EU")
    desk.put("gateway-eu", api_key=old.secret.reveal(), team="voice")
    desk.due_key("never in Vault")

    first = await desk.run("once")
    assert first.status == 0, first.err
    assert "2 rotated" in first.out
    last = await after_overlap(desk, old.key_id)
    assert last.status == 0, last.err
    assert not desk.alive(old.key_id)
    assert desk.serves("gateway-eu")
    assert desk.serves("never-in-vault")
    for command in ("plan", "status"):
        ran = await desk.run(command, "--exit-code")
        assert ran.status == 0, ran.out


async def test_an_exact_path_and_an_ending_are_enough_as_well(desk: Desk) -> None:
    named = desk.due_key("anything")
    desk.write(
        f"\n  - {{name: pinned, provider: asr, keys: {{PLACE/exact: {named.key_id}}}, adopt: when_due}}"
        f"{POLICIES.replace('{slug}', 'key-{key_id}').replace('comment: ' + chr(34) + '*' + chr(34), 'comment: other')}"
    )
    await use_least_rights(desk)
    other = desk.due_key("other")
    ran = await desk.run("once")

    assert ran.status == 0, ran.err
    assert desk.serves("exact")
    assert desk.serves(f"key-{other.key_id}")


async def test_a_credential_that_is_kept_in_vault_can_be_read(desk: Desk) -> None:
    """It lies where the wider rule of the entries would cover it."""
    desk.put("management", key=desk.environment.pop("DEEPGRAM_API_KEY"))
    desk.write(credential=f"{{vault: {{mount: secret, path: {desk.entries}/management, field: key}}}}")
    await use_least_rights(desk)
    desk.due_key("voice")
    ran = await desk.run("once")

    assert ran.status == 0, ran.err
    assert desk.serves("voice")


@dataclass(frozen=True, slots=True)
class Forbidden:
    """A call that such a token must not make. E stands for an entry that it may write, P for its folder, J for the journal."""

    method: str
    path: str
    document: object = None
    harmless: bool = True

    def try_with(self, hands: Root, desk: Desk) -> int:
        """Make the call, and return the status of the answer."""
        named = {"E": f"{desk.entries}/voice", "P": desk.entries, "J": desk.journal}
        path = re.sub(r"(?<=/)[EPJ](?=/|X|$)", lambda found: named[found[0]], self.path)
        kind = "application/merge-patch+json" if self.method == "PATCH" else "application/json"
        headers = {"X-Vault-Token": hands.token.reveal(), "Content-Type": kind}
        body = b"" if self.document is None else json.dumps(self.document).encode()
        return forward(hands.address, Seen(self.method, f"/v1/{path}", headers, body)).status


ANSWERED = (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND)
DATA = {"data": {"api_key": "x"}}
FORBIDDEN = {
    "write under another prefix": Forbidden("POST", "secret/data/elsewhere/x", DATA),
    "read under another prefix": Forbidden("GET", "secret/data/elsewhere/x"),
    "write a look-alike of the prefix": Forbidden("POST", "secret/data/PX/x", DATA),
    "write the folder itself": Forbidden("POST", "secret/data/P", DATA),
    "write below an entry": Forbidden("POST", "secret/data/E/x", DATA),
    "read below an entry": Forbidden("GET", "secret/data/E/x"),
    "write a look-alike of the journal": Forbidden("POST", "secret/data/JX/control", DATA),
    "write elsewhere in the journal": Forbidden("POST", "secret/data/J/other", DATA),
    "soft delete": Forbidden("DELETE", "secret/data/E"),
    "soft delete in the journal": Forbidden("DELETE", "secret/data/J/control"),
    "delete versions": Forbidden("POST", "secret/delete/E", {"versions": [1]}),
    "undelete": Forbidden("POST", "secret/undelete/E", {"versions": [1]}),
    "destroy": Forbidden("POST", "secret/destroy/E", {"versions": [1]}),
    "delete the metadata": Forbidden("DELETE", "secret/metadata/E"),
    "write the metadata": Forbidden("POST", "secret/metadata/E", {"max_versions": 5}),
    "write the metadata of the journal": Forbidden("POST", "secret/metadata/J/control", {"max_versions": 5}),
    "patch": Forbidden("PATCH", "secret/data/E", DATA),
    "list the root of the mount": Forbidden("LIST", "secret/metadata/"),
    "list the entries": Forbidden("LIST", "secret/metadata/P"),
    "list the whole journal": Forbidden("LIST", "secret/metadata/J"),
    "read the mount's settings": Forbidden("GET", "secret/config"),
    "write the mount's settings": Forbidden("POST", "secret/config", {"cas_required": False}),
    "list mounts": Forbidden("GET", "sys/mounts"),
    "read a policy": Forbidden("GET", "sys/policies/acl/default"),
    "write a policy": Forbidden("POST", "sys/policies/acl/own", {"policy": 'path "x" {}'}),
    "make a token": Forbidden("POST", "auth/token/create", {"ttl": "1m"}),
    "list auth methods": Forbidden("GET", "sys/auth"),
    "seal": Forbidden("POST", "sys/seal", harmless=False),
}


@pytest.mark.parametrize("name", FORBIDDEN)
async def test_nothing_else_is_allowed(desk: Desk, name: str) -> None:
    forbidden = FORBIDDEN[name]
    poor = await use_least_rights(desk)
    desk.put("voice", api_key=f"{CANARY}-served")
    desk.root.do("POST", f"secret/data/{desk.journal}/control", DATA)

    assert forbidden.try_with(poor, desk) == HTTPStatus.FORBIDDEN
    if forbidden.harmless:
        # The call is one that exists: without the policy, it is answered.
        assert forbidden.try_with(desk.root, desk) in ANSWERED


async def test_the_rights_are_a_document_too_and_need_no_vault(desk: Desk) -> None:
    desk.write(address="http://127.0.0.1:1")
    ran = await desk.json("vault-policy")

    assert ran.status == 0
    assert {
        "path": f"secret/data/{desk.entries}/+",
        "capabilities": ["create", "read", "update"],
        "reasons": ["policy standard"],
    } in ran.document["rules"]
    assert ran.document["namespace"] == ""
    assert not desk.simulator.log


async def test_a_namespace_and_an_odd_segment_are_told(desk: Desk) -> None:
    desk.write(
        f"\n  - {{name: pinned, provider: asr, keys: {{PLACE/+/x: {json.dumps('8f14e45f')}}}}}",
        address=f"{desk.root.address}\n  namespace: team-a",
    )
    lines = (await desk.run("vault-policy")).out.splitlines()

    assert sum("VAULT_NAMESPACE=team-a vault policy write rotator-default -" in line for line in lines) == 1
    assert any("Vault takes that for any segment" in line for line in lines)
    assert f'path "secret/data/{desk.entries}/+/x" {{' in lines


async def test_a_file_name_can_not_break_out_of_its_comment(desk: Desk) -> None:
    odd = desk.folder / 'x\npath "secret" {}.yaml'
    odd.write_text(desk.file.read_text())
    ran = await desk.run("--config", str(odd), "vault-policy")

    assert ran.status == 0
    assert all(line.startswith(("#", "path ", "  cap", "}")) or not line for line in ran.out.splitlines())
    assert 'path "secret" {}' not in ran.out.splitlines()
