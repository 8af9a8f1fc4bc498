"""rotator on a machine, installed as `deploy/README.md` says, and what it reaches from there."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rotator.model.secret import Secret
from tests.deploy.internet import PORTS, Internet, internet
from tests.deploy.lab import Lab
from tests.deploy.machine import Machine, Ran, booted
from tests.deploy.page import README, follow, section
from tests.support.canary import CANARY, secret_text
from tests.support.vault_lab import Root

CREDENTIALS: Final = "/etc/rotator/credentials"

FOR_ROOT_ONLY: Final = "umask 077"

RIGHTS: Final = """
path "secret/data/deepgram/*"             { capabilities = ["create", "read", "update"] }
path "secret/metadata/deepgram/*"         { capabilities = ["read"] }
path "secret/data/rotator/default/*"      { capabilities = ["create", "read", "update"] }
path "secret/metadata/rotator/default/*"  { capabilities = ["list"] }
"""
"""Those of docs/how-to/vault-auth.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A machine with rotator on it, and the servers that it reaches. Its root makes files that nobody else can read."""

    machine: Machine
    internet: Internet
    pasted: Mapping[str, Secret]

    async def follow(self, page: Path, *headings: str) -> None:
        """Do what a page says below these headings."""
        for heading in headings:
            await follow(self, section(page, heading), self.pasted)

    async def shell(self, text: str, given: str = "") -> Ran:
        """Run a command of a page; when it fails, the end of the machine's log is shown as well.

        A program that was just installed is made to trust the servers of the tests.
        """
        ran = await self.machine.shell(f"{FOR_ROOT_ONLY}\n{text}", given)
        if ran.status != 0:
            log = await self.machine.run("journalctl", "--no-pager", "--lines=30", "--output=short-precise")
            return replace(ran, shown=f"{ran.shown}\n{log.shown}")
        if "deploy/install.sh" in text:
            trusted = "/opt/rotator/lib/python3*/site-packages/certifi/cacert.pem"
            await self.machine.done("sh", "-c", f"tee --append {trusted}", given=self.internet.authority)
        return ran

    async def write(self, path: str, text: str) -> None:
        """Write a file of a page, into a folder that is there."""
        await self.machine.done("sh", "-c", f'{FOR_ROOT_ONLY}\ncat >"$1"', "sh", path, given=text)


@asynccontextmanager
async def installed(lab: Lab, folder: Path) -> AsyncIterator[Installation]:
    """Boot a machine and follow the page up to where something is started."""
    async with internet(folder) as there, booted(lab) as machine:
        names = " ".join(PORTS)
        await machine.done("sh", "-c", f"echo 127.0.0.1 {names} >>/etc/hosts")
        made = Installation(machine=machine, internet=there, pasted=_pasted(there))
        await made.follow(README, "Install the program", "Say what is rotated")
        yield made


def approle(root: Root) -> tuple[Secret, Secret]:
    """Make the role that the pages log in with, and return its id and a secret id."""
    role_id, secret_id = Secret(f"{CANARY}-{uuid.uuid4()}"), Secret(secret_text(str(uuid.uuid4())))
    root.do("POST", "sys/auth/approle", {"type": "approle"})
    root.do("POST", "auth/approle/role/rotator", {"token_policies": [root.new_policy(RIGHTS)]})
    root.do("POST", "auth/approle/role/rotator/role-id", {"role_id": role_id.reveal()})
    root.answer("POST", "auth/approle/role/rotator/custom-secret-id", {"secret_id": secret_id.reveal()})
    return role_id, secret_id


def _pasted(there: Internet) -> dict[str, Secret]:
    """Return what a person pastes into each credential."""
    role_id, secret_id = approle(there.root)
    return {
        f"{CREDENTIALS}/deepgram-api-key": there.management.secret,
        f"{CREDENTIALS}/deepgram-us-api-key": there.management.secret,
        f"{CREDENTIALS}/vault-role-id": role_id,
        f"{CREDENTIALS}/vault-secret-id": secret_id,
    }
