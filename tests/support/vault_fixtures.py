"""One real Vault-API server for a whole test run; each test has paths of its own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from rotator.clock import SystemClock
from rotator.model.secret import Secret
from rotator.simulator.vault_server import VaultServer, vault_server
from tests.support.canary import CANARY
from tests.support.vault_lab import LEAST_PRIVILEGE, Root


@pytest.fixture(scope="session")
def server() -> Iterator[VaultServer]:
    """Run the server in the main thread, which outlives it."""
    running = AsyncExitStack()
    with asyncio.Runner() as runner:
        yield runner.run(running.enter_async_context(vault_server(SystemClock(), Secret(f"{CANARY}-root"))))
        runner.run(running.aclose())


@pytest.fixture(scope="session")
def root(server: VaultServer) -> Root:
    return Root(server.address, server.root_token)


@pytest.fixture(scope="session")
def token(root: Root) -> Secret:
    return root.new_token(LEAST_PRIVILEGE)


@pytest.fixture
def place() -> str:
    """Return a folder name that no other test has."""
    return uuid.uuid4().hex[:12]
