"""A provider's credential that is kept in Vault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from rotator.bootstrap import _changes_of, _management
from rotator.daemon.link import CredentialsSeen
from rotator.errors import Denied, PolicyError, Rejected, Unavailable
from rotator.model.secret import Secret
from rotator.policy.settings import VaultReference
from rotator.simulator.vault_server import VaultServer
from rotator.vault.client import VaultClient
from rotator.vault.credential import read_credential
from tests.support.canary import secret_text
from tests.support.estate import Estate
from tests.support.estate_ports import policy_file, policy_text
from tests.support.vault_lab import Reply, Root, between, connected, shown

VALUE = secret_text("management")


def at(path: str, *, mount: str = "secret", field: str = "api_key") -> VaultReference:
    return VaultReference(mount=mount, path=path, field=field)


async def test_it_is_read_afresh_each_time(client: VaultClient, root: Root, place: str) -> None:
    reference = at(f"rotated/{place}/key")
    for value in (VALUE, secret_text("next")):
        root.do("POST", f"secret/data/{reference.path}", {"data": {"api_key": value, "note": "x"}})
        assert (await read_credential(client, reference)).matches(Secret(value))


async def test_a_management_key_that_was_exchanged_since_it_was_read_is_noticed(
    client: VaultClient, root: Root, place: str
) -> None:
    path = f"rotated/{place}/key"
    reference = f"{{vault: {{mount: secret, path: {path}, field: api_key}}}}"
    file = policy_file(policy_text(Estate()).replace("{env: K}", reference))

    def put(value: str) -> None:
        root.do("POST", f"secret/data/{path}", {"data": {"api_key": value}})

    async def connected_now() -> Callable[[], Awaitable[CredentialsSeen]]:
        return _changes_of(file, client, {"asr": await _management(file.providers[0], client)})

    put(VALUE)
    changed = await connected_now()
    put(secret_text("next"))
    assert (await changed()).changed
    assert (await changed()).changed, "until it is connected anew"
    changed_since = await connected_now()
    assert not (await changed_since()).changed
    root.do("DELETE", f"secret/data/{path}")
    gone = await changed()
    assert not gone.changed, "nothing would work with it"
    assert "is deleted" in gone.unread["asr"]


@pytest.mark.promise("P7")
async def test_what_is_not_there_is_told_with_its_reference_and_how_to_mend_it(
    client: VaultClient, root: Root, place: str
) -> None:
    path = f"rotated/{place}/key"

    async def refusal(reference: VaultReference) -> str:
        with pytest.raises(PolicyError) as caught:
            await read_credential(client, reference)
        assert VALUE not in shown(caught.value)
        said = str(caught.value)
        assert said.startswith(f"{reference}: ")
        return said.removeprefix(f"{reference}: ")

    reference = at(path)
    assert await refusal(reference) == (
        f"there is no entry secret/{path} in Vault (write the credential there)"
    )
    root.do("POST", f"secret/data/{path}", {"data": {"api_key": f"{VALUE}\n", "number": 7, "nothing": None}})
    assert (await refusal(reference)).endswith("(it is one line of visible characters)")
    for field in ("other", "number", "nothing"):
        said = await refusal(at(path, field=field))
        assert said == f"the entry has no text in a field {field} (name another field)"
    root.do("DELETE", f"secret/data/{path}")
    assert await refusal(reference) == f"version 1 of secret/{path}, its latest, is deleted (undelete it)"


async def test_a_missing_right_is_told_with_its_cure(client: VaultClient, root: Root, place: str) -> None:
    root.do("POST", f"secret/data/elsewhere/{place}", {"data": {"api_key": VALUE}})
    with pytest.raises(Denied) as caught:
        await read_credential(client, at(f"elsewhere/{place}"))
    assert str(at(f"elsewhere/{place}")) in str(caught.value)
    assert str(caught.value).endswith(f"let our token read secret/data/elsewhere/{place}")


async def test_what_is_wrong_with_vault_itself_is_told_as_such(
    client: VaultClient, server: VaultServer, token: Secret
) -> None:
    with pytest.raises(Rejected, match="another type than kv"):
        async with connected(server.address, server.root_token) as root_client:
            await read_credential(root_client, at("a", mount="cubbyhole"))
    with pytest.raises(Denied, match=r"^check mount nowhere: 403"):
        await read_credential(client, at("a", mount="nowhere"))
    with between(lambda _request, _forward: Reply.of(503, {"errors": ["Vault is sealed"]})) as lab:
        async with connected(lab.address, token) as sealed:
            with pytest.raises(Unavailable, match="sealed"):
                await read_credential(sealed, at("a"))
