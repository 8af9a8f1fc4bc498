"""Reading how this process runs: which Vault, limits, providers."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from rotator.policy.duration import show_duration
from rotator.policy.file.auth_reader import read_auth
from rotator.policy.file.document import Mapping, Node
from rotator.policy.file.fields import Fields
from rotator.policy.file.problems import Complaints, describe, is_null, shown, tell_repeated
from rotator.policy.file.settings_options import (
    BASE_URL,
    CA_CERT,
    CALL_TIMEOUT,
    CLAIM_TTL,
    CONCURRENCY,
    JOURNAL,
    JOURNAL_MOUNT,
    JOURNAL_PREFIX,
    LIMITS,
    LISTEN_AT,
    METRICS_LINEAGES,
    PROJECT_ID,
    PROVIDER_CREDENTIAL,
    PROVIDER_TYPE,
    PROVIDERS,
    RUNTIME,
    STARTS_PER_HOUR,
    SWEEP_EVERY,
    VAULT,
    VAULT_ADDRESS,
    VAULT_NAMESPACE,
)
from rotator.policy.names import NAME
from rotator.policy.settings import (
    LimitSettings,
    ProviderSettings,
    RuntimeSettings,
    VaultSettings,
    default_prefix,
)

_CALLS_PER_CLAIM = 3

_SHORTEST_SWEEP, _LONGEST_SWEEP = timedelta(seconds=1), timedelta(days=1)
_LAST_PORT = 65535

_MANAGES_KEYS = "api.deepgram.com"
"""The regional and agent endpoints beside it serve inference only (Deepgram's docs, "Regional Endpoints"; its Rust SDK
sends management calls here whatever address it is given). Known here, and not where Deepgram is, so that it is told
with its line, and by `check --offline`; only hosts of Deepgram's are compared with it."""


def read_vault(top: Fields, owner: Node, instance: str) -> VaultSettings:
    """Return which Vault and how to log in. The environment is not looked at here."""
    fields = top.below(VAULT)
    journal = fields.below(JOURNAL)
    settings = VaultSettings(
        address=fields.take(VAULT_ADDRESS),
        namespace=fields.take(VAULT_NAMESPACE),
        ca_cert=fields.take(CA_CERT),
        auth=read_auth(fields, top.node(VAULT.name) or owner),
        journal_mount=journal.take(JOURNAL_MOUNT),
        journal_prefix=journal.take(JOURNAL_PREFIX) or default_prefix(instance),
    )
    journal.close()
    fields.close()
    return settings


def read_runtime(top: Fields) -> RuntimeSettings:
    """Return the limits of this process. A claim must outlast the calls that are made under it."""
    fields = top.below(RUNTIME)
    settings = RuntimeSettings(
        claim_ttl=fields.take(CLAIM_TTL),
        call_timeout=fields.take(CALL_TIMEOUT),
        concurrency=fields.take(CONCURRENCY),
        sweep_every=fields.take(SWEEP_EVERY),
        listen=fields.take(LISTEN_AT),
        metrics_lineages=fields.take(METRICS_LINEAGES),
    )
    fields.close()
    every = fields.node(SWEEP_EVERY.name)
    if every is not None and not _SHORTEST_SWEEP <= settings.sweep_every <= _LONGEST_SWEEP:
        top.complaints.tell(
            every,
            f"sweep_every {show_duration(settings.sweep_every)} is not between {show_duration(_SHORTEST_SWEEP)} and "
            f"{show_duration(_LONGEST_SWEEP)}",
            "each sweep lists all keys once; what is due is done in between, too",
        )
    port = fields.node(LISTEN_AT.name)
    if port is not None and int(settings.listen.rpartition(":")[2]) > _LAST_PORT:
        top.complaints.tell(port, "a port that does not exist", f"the last one is {_LAST_PORT}")
    shortest = _CALLS_PER_CLAIM * settings.call_timeout
    at = fields.node(CLAIM_TTL.name) or fields.node(CALL_TIMEOUT.name)
    if (
        at is not None
        and fields.usable("runtime.claim_ttl", "runtime.call_timeout")
        and settings.claim_ttl < shortest
    ):
        top.complaints.tell(
            at,
            f"claim_ttl {show_duration(settings.claim_ttl)} is shorter than {_CALLS_PER_CLAIM} x call_timeout "
            f"{show_duration(settings.call_timeout)} = {show_duration(shortest)}",
            "a claim could run out while its holder waits for an answer",
        )
    return settings


def read_limits(top: Fields) -> LimitSettings:
    """Return how much may be begun."""
    fields = top.below(LIMITS)
    settings = LimitSettings(starts_per_hour=fields.take(STARTS_PER_HOUR))
    fields.close()
    return settings


def read_providers(top: Fields, owner: Node) -> tuple[ProviderSettings, ...]:
    """Return the providers, in the order of the file. One project is named once."""
    node = top.node(PROVIDERS.name)
    complaints = top.complaints
    if node is None or is_null(node):
        complaints.tell(
            node or owner, "`providers` is missing", "name at least one: `NAME: {type: deepgram, ...}`"
        )
        return ()
    if not isinstance(node, Mapping):
        complaints.tell(node, f"{describe(node)} where a mapping (`NAME: ...`) is expected")
        return ()
    tell_repeated(node, complaints)
    providers: list[ProviderSettings] = []
    projects: dict[tuple[str, str], str] = {}
    for name, key in node.names.items():
        if not NAME.fits(name):
            complaints.tell(key, "a provider's name that can't be used", f"allowed: {NAME.rule}")
        provider = _read_provider(name, node.values[name], complaints)
        same = projects.setdefault((provider.base_url, provider.project_id), name)
        if same != name and provider.project_id:
            complaints.tell(
                key, f"the same project as provider {shown(same)}", "its keys would be rotated twice"
            )
        providers.append(provider)
    return tuple(providers)


def _read_provider(name: str, node: Node, complaints: Complaints) -> ProviderSettings:
    fields = Fields(node, PROVIDERS, complaints)
    settings = ProviderSettings(
        name=name,
        type=fields.take(PROVIDER_TYPE),
        project_id=fields.take(PROJECT_ID),
        base_url=fields.take(BASE_URL),
        credential=fields.take(PROVIDER_CREDENTIAL),
    )
    fields.close()
    host = urlsplit(settings.base_url).hostname or ""
    if host.endswith(".deepgram.com") and host != _MANAGES_KEYS:
        complaints.tell(
            fields.node(BASE_URL.name) or node,
            "an endpoint of Deepgram that manages no keys",
            f"leave it out, or write `https://{_MANAGES_KEYS}`: keys of all regions are managed there",
        )
    return settings
