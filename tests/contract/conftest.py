"""A client of the real Vault-API server for the suites of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rotator.model.secret import Secret
from rotator.simulator.vault_server import VaultServer
from rotator.vault.client import VaultClient
from tests.support.vault_lab import connected


@pytest.fixture
async def client(server: VaultServer, token: Secret) -> AsyncIterator[VaultClient]:
    """Return a client that has the least privilege that rotator needs."""
    async with connected(server.address, token) as client:
        yield client
