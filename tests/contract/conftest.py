"""A client of the real Vault-API server for the suites of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from rotator.model.secret import Secret
from rotator.simulator.vault_server import VaultServer
from rotator.vault.client import VaultClient


@pytest.fixture
async def client(server: VaultServer, token: Secret) -> AsyncIterator[VaultClient]:
    """Return a client that has the least privilege that rotator needs."""
    client = VaultClient(
        address=server.address, token=token, namespace="", ca_cert=None, call_timeout=timedelta(seconds=10)
    )
    yield client
    await client.aclose()
