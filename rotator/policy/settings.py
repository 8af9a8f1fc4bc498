"""How this process runs: the part of the policy file that is not about keys. Values only; `policy.load` builds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from rotator.policy.policy import Policy


class SecretSource(StrEnum):
    """Where a referenced secret is kept."""

    ENV = "env"
    """An environment variable."""
    FILE = "file"
    """A file that holds nothing else."""
    SYSTEMD = "systemd"
    """A credential that systemd passes (LoadCredential)."""


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where to find a secret, never the secret itself. `name` is a variable, a path or a credential's name."""

    source: SecretSource
    name: str

    def __str__(self) -> str:
        """Return it as it is written in the file, such as `{env: NAME}`."""
        return f"{{{self.source}: {self.name}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings:
    """Which Vault, how to log in, and where the journal is. `address` None: VAULT_ADDR says it.

    `ca_cert` and `namespace` None: VAULT_CACERT and VAULT_NAMESPACE say them, if set.
    """

    address: str | None
    namespace: str | None
    ca_cert: str | None
    token: SecretReference
    journal_mount: str
    journal_prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """Limits of this process. `call_timeout` bounds one call to Vault or a provider."""

    claim_ttl: timedelta
    call_timeout: timedelta
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """One project at one provider, by the operator's name for it."""

    name: str
    type: str
    project_id: str
    base_url: str
    credential: SecretReference


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """Everything that one policy file says."""

    instance: str
    vault: VaultSettings
    runtime: RuntimeSettings
    providers: tuple[ProviderSettings, ...]
    policies: tuple[Policy, ...]


def origin_of(address: str) -> str:
    """Return what may be shown of an address: scheme, host and port. A path can be a capability."""
    url = urlsplit(address)
    return f"{url.scheme}://{url.netloc}"
