"""How this process runs: the part of the policy file that is not about keys. Values only; `policy.load` builds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TypeAlias
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
class VaultReference:
    """Where to find a secret in Vault: one field of a KV version 2 entry."""

    mount: str
    path: str
    field: str

    def __str__(self) -> str:
        """Return it as it is written in the file."""
        return f"{{vault: {{mount: {self.mount}, path: {self.path}, field: {self.field}}}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAuth:
    """Log in to Vault with a token that somebody made. It is renewed as long as Vault does, and read again when it is not."""

    token: SecretReference


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRoleAuth:
    """Log in with an AppRole.

    With `secret_id_response_wrapping_path`, what `secret_id` leads to is a wrapping token that was made at that
    path of Vault's API, such as `auth/approle/role/rotator/secret-id`, and is unwrapped once.
    """

    mount: str
    role_id: SecretReference
    secret_id: SecretReference
    secret_id_response_wrapping_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesAuth:
    """Log in with the token of a Kubernetes service account."""

    mount: str
    role: str
    jwt: SecretReference


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtAuth:
    """Log in with a JSON Web Token."""

    mount: str
    role: str
    jwt: SecretReference


@dataclass(frozen=True, slots=True, kw_only=True)
class CertAuth:
    """Log in with a TLS client certificate. `cert` and `key` are files in PEM."""

    mount: str
    name: str | None
    cert: str
    key: str


VaultAuth: TypeAlias = TokenAuth | AppRoleAuth | KubernetesAuth | JwtAuth | CertAuth


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings:
    """Which Vault, how to log in, and where the journal is. `address` None: VAULT_ADDR says it.

    `ca_cert` and `namespace` None: VAULT_CACERT and VAULT_NAMESPACE say them, if set.
    """

    address: str | None
    namespace: str | None
    ca_cert: str | None
    auth: VaultAuth
    journal_mount: str
    journal_prefix: str


SWEEP_EVERY = timedelta(minutes=5)
LISTEN = "127.0.0.1:9464"
METRICS_LINEAGES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """Limits of this process. `call_timeout` bounds one call to Vault or a provider.

    The rest is for the service: how often it lists the keys, where it serves probes and metrics (HOST:PORT), and how many
    lineages have metrics of their own.
    """

    claim_ttl: timedelta
    call_timeout: timedelta
    concurrency: int
    sweep_every: timedelta = SWEEP_EVERY
    listen: str = LISTEN
    metrics_lineages: int = METRICS_LINEAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """How much may be begun. `starts_per_hour` counts rotations of all processes that share the journal."""

    starts_per_hour: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """One project at one provider, by the operator's name for it."""

    name: str
    type: str
    project_id: str
    base_url: str
    credential: SecretReference | VaultReference


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """Everything that one policy file says."""

    instance: str
    vault: VaultSettings
    runtime: RuntimeSettings
    limits: LimitSettings
    providers: tuple[ProviderSettings, ...]
    policies: tuple[Policy, ...]


def default_prefix(instance: str) -> str:
    """Return where the journal of an instance is below its mount, unless the file says otherwise."""
    return f"rotator/{instance}"


def origin_of(address: str) -> str:
    """Return what may be shown of an address: scheme, host and port. A path can be a capability."""
    url = urlsplit(address)
    return f"{url.scheme}://{url.netloc}"
