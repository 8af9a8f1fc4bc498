"""The servers that an installation reaches, under the names and at the ports that the files under deploy/ give them.

A real Vault-API server and a simulated Deepgram, both behind TLS: `vault.example.com:8200` and `api.deepgram.com:443`.
They listen at every address of the tests' own network, so that a container finds them at the gateway of its bridge.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final

from rotator.clock import SystemClock
from rotator.model.secret import Secret
from rotator.ports import Minted
from rotator.simulator.deepgram import DeepgramSimulator
from rotator.simulator.vault_server import vault_server
from rotator.simulator.world import World
from tests.support import canary
from tests.support.vault_lab import Root

VAULT: Final = "vault.example.com"
DEEPGRAM: Final = "api.deepgram.com"
PORTS: Final = {VAULT: 8200, DEEPGRAM: 443}

PROJECT: Final = "3c7a1f5e-0b8d-4a0e-9a53-8c1f8f3a2b10"
"""The project in the policy files under deploy/ and in the pages about them."""

LIFETIME: Final = timedelta(days=90)
USED_UP: Final = timedelta(days=80)
"""How much of its lifetime a key has behind it, so that it is to be rotated at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Internet:
    """What is out there. `ann` makes keys; `authority` is the certificate that the others are signed with.

    Servers whose names are in `away` are not reached.
    """

    root: Root
    simulator: DeepgramSimulator
    management: Minted
    ann: str
    authority: str = field(repr=False)
    away: set[str]

    def add_key(self, comment: str) -> Minted:
        """Add a key that is due."""
        world = self.simulator.world
        created_at = world.clock.now() - USED_UP
        return world.add_key(
            PROJECT,
            member_id=self.ann,
            comment=comment,
            tags=("prod",),
            created_at=created_at,
            expires_at=created_at + LIFETIME,
        )

    async def serves(self, comment: str) -> bool:
        """Return whether consumers find a secret of the key with that comment in Vault, and can work with it."""
        path = f"deepgram/asr-eu/{comment}"
        reply = await asyncio.to_thread(self.root.ask, "GET", f"secret/data/{path}")
        if reply.status != HTTPStatus.OK:
            return False
        secret = json.loads(reply.body)["data"]["data"]["api_key"]
        return self.simulator.world.accepts(Secret(secret))

    def alive(self, comment: str) -> int:
        """Return how many keys there are with that comment, or with that and a mark."""
        return sum(key.comment.startswith(comment) for key in self.simulator.world.keys(PROJECT))


@asynccontextmanager
async def internet(folder: Path) -> AsyncIterator[Internet]:
    """Run both servers, and a project with a management key and the key of a gateway."""
    numbers = itertools.count()
    world = World(SystemClock(), secret_factory=lambda: canary.secret_text(f"{folder} {next(numbers)}"))
    world.add_project("asr-eu", project_id=PROJECT)
    rotator, ann = (
        world.add_member(PROJECT, email="rotator@example.com"),
        world.add_member(PROJECT, email="ann@example.com"),
    )
    simulator = DeepgramSimulator(world)
    token = Secret(f"{canary.CANARY}-{uuid.uuid4()}")
    async with vault_server(SystemClock(), token) as vault, simulator.serve() as deepgram:
        root = Root(vault.address, vault.root_token)
        authority = await asyncio.to_thread(_certificates, root, folder)
        away: set[str] = set()
        async with _front(folder, VAULT, vault.address, away), _front(folder, DEEPGRAM, deepgram, away):
            there = Internet(
                root=root,
                simulator=simulator,
                management=world.add_key(
                    PROJECT, member_id=rotator, comment="rotator itself", scopes=("owner",)
                ),
                ann=ann,
                authority=authority,
                away=away,
            )
            there.add_key("gateway")
            yield there


def _certificates(root: Root, folder: Path) -> str:
    """Write a certificate and its key for each name, and return that of the authority."""
    root.do("POST", "sys/mounts/pki", {"type": "pki"})
    key = {"key_type": "ec", "key_bits": 256}
    made = root.answer("POST", "pki/root/generate/internal", {"common_name": "the internet", **key})
    root.answer("POST", "pki/roles/server", {"allow_any_name": True, **key, "ttl": "1h"})
    for name in PORTS:
        one = root.answer("POST", "pki/issue/server", {"common_name": name})["data"]
        (folder / f"{name}.pem").write_text(f"{one['certificate']}\n{one['private_key']}\n")
    return str(made["data"]["certificate"])


@asynccontextmanager
async def _front(folder: Path, name: str, upstream: str, away: Collection[str]) -> AsyncIterator[None]:
    """Speak TLS at the port of `name`, and pass on what comes to `upstream`, if that is not away."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem")
    host, _, port = upstream.rpartition("/")[2].partition(":")

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if name in away:
            writer.close()
            return
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_copied(reader, there_writer), _copied(there_reader, writer))

    server = await asyncio.start_server(passed_on, "0.0.0.0", PORTS[name], ssl=context)  # noqa: S104 (its own network)
    try:
        yield
    finally:
        server.close()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until either side has had enough."""
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()
