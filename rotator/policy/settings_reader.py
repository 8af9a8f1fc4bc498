"""The part of the file that is not about keys: instance, Vault, limits of the process, providers."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from urllib.parse import urlsplit

from rotator.policy.document import Mapping, Node
from rotator.policy.duration import show_duration
from rotator.policy.fields import Complaints, Fields, Refused, describe, is_null, shown, tell_repeated
from rotator.policy.names import INSTANCE_RULE, NAME_RULE, VENDOR_ID_RULE, is_instance, is_name, is_vendor_id
from rotator.policy.reference import REFERENCE_HINT, read_reference
from rotator.policy.scalars import (
    read_choice,
    read_integer,
    read_matching,
    read_path,
    read_positive_duration,
    read_text,
)
from rotator.policy.settings import (
    ProviderSettings,
    RuntimeSettings,
    SecretReference,
    SecretSource,
    TokenAuth,
    VaultSettings,
)

_STAND_IN = SecretReference(SecretSource.ENV, "")
_CALLS_PER_CLAIM = 3
_MOST_CONCURRENT = 1000
_LATER_LOGINS = dict.fromkeys(
    ("approle", "kubernetes", "jwt", "cert"), "this version logs in with `token` only"
)
_LATER_LIMITS = {
    "sweep_every": "this version sweeps once per run; use a timer",
    "listen": "this version serves no status page or metrics",
}


def read_instance(fields: Fields) -> str:
    """Return the name of this installation."""
    return fields.take("instance", read_matching(is_instance, INSTANCE_RULE), "default")


def read_vault(top: Fields, owner: Node, instance: str) -> VaultSettings:
    """Return which Vault and how to log in. The environment is not looked at here."""
    node = top.node("vault")
    fields = top.section("vault")
    auth_node = fields.node("auth")
    if auth_node is None and (node is None or is_null(node) or isinstance(node, Mapping)):
        top.complaints.tell(
            node or owner, "`vault.auth` is missing", f"write `auth: {{token: ...}}`; {REFERENCE_HINT}"
        )
    journal = fields.section("journal")
    settings = VaultSettings(
        address=fields.take_or_none("address", read_url, None),
        namespace=fields.take_or_none("namespace", read_path, None),
        ca_cert=fields.take_or_none("ca_cert", read_matching(_is_file, "an absolute path"), None),
        auth=TokenAuth(token=_read_token(auth_node, top.complaints)),
        journal_mount=journal.take("mount", read_path, "secret"),
        journal_prefix=journal.take("prefix", read_path, f"rotator/{instance}"),
    )
    journal.close()
    fields.close()
    return settings


def read_runtime(top: Fields) -> RuntimeSettings:
    """Return the limits of this process. A claim must outlast the calls that are made under it."""
    fields = top.section("runtime", later=_LATER_LIMITS)
    settings = RuntimeSettings(
        claim_ttl=fields.take("claim_ttl", read_positive_duration, timedelta(seconds=60)),
        call_timeout=fields.take("call_timeout", read_positive_duration, timedelta(seconds=10)),
        concurrency=fields.take("concurrency", read_integer(1, _MOST_CONCURRENT), 8),
    )
    fields.close()
    shortest = _CALLS_PER_CLAIM * settings.call_timeout
    at = fields.node("claim_ttl") or fields.node("call_timeout")
    if at is not None and fields.usable("claim_ttl", "call_timeout") and settings.claim_ttl < shortest:
        top.complaints.tell(
            at,
            f"claim_ttl {show_duration(settings.claim_ttl)} is shorter than {_CALLS_PER_CLAIM} x call_timeout "
            f"{show_duration(settings.call_timeout)} = {show_duration(shortest)}",
            "a claim could run out while its holder waits for an answer",
        )
    return settings


def read_providers(top: Fields, owner: Node) -> tuple[ProviderSettings, ...]:
    """Return the providers, in the order of the file. One project is named once."""
    node = top.node("providers")
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
    for name, key in node.names.items():
        if not is_name(name):
            complaints.tell(key, "a provider's name that can't be used", f"allowed: {NAME_RULE}")
        provider = _read_provider(name, node.values[name], complaints)
        same = next(
            (p for p in providers if (p.base_url, p.project_id) == (provider.base_url, provider.project_id)),
            None,
        )
        if same is not None and provider.project_id:
            complaints.tell(
                key, f"the same project as provider {shown(same.name)}", "its keys would be rotated twice"
            )
        providers.append(provider)
    return tuple(providers)


def _read_token(auth: Node | None, complaints: Complaints) -> SecretReference:
    if auth is None:
        return _STAND_IN
    if not isinstance(auth, Mapping):
        complaints.tell(auth, describe(auth), f"write `{{token: ...}}`; for the token, {REFERENCE_HINT}")
        return _STAND_IN
    fields = Fields(auth, complaints, later=_LATER_LOGINS, guarded=True)
    if set(auth.names) & set(_LATER_LOGINS):
        token = fields.take("token", read_reference, _STAND_IN)
    else:
        token = fields.need(auth, "token", read_reference, _STAND_IN, hint=REFERENCE_HINT)
    fields.close()
    return token


def _read_provider(name: str, node: Node, complaints: Complaints) -> ProviderSettings:
    fields = Fields(node, complaints)
    fields.need(node, "type", read_choice(("deepgram",)), "deepgram", hint="write `type: deepgram`")
    settings = ProviderSettings(
        name=name,
        type="deepgram",
        project_id=fields.need(node, "project_id", read_matching(is_vendor_id, VENDOR_ID_RULE), ""),
        base_url=fields.take("base_url", read_url, "https://api.deepgram.com"),
        credential=fields.need(node, "credential", read_reference, _STAND_IN, hint=REFERENCE_HINT),
    )
    fields.close()
    return settings


def read_url(node: Node) -> str:
    """Return an address without a `/` at its end. It is never shown: it may hold a password."""
    text = read_text(node)
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise Refused("not an address", "write `https://HOST:PORT`") from None
    if url.username is not None or url.password is not None or "@" in url.netloc:
        raise Refused("an address with a user or a password in it", "write `https://HOST:PORT`")
    if url.scheme not in ("http", "https") or not host or port == 0 or not re.fullmatch(r"[!-~]+", text):
        raise Refused("not an http or https address", "write `https://HOST:PORT`")
    if url.query or url.fragment or "?" in text or "#" in text:
        raise Refused("an address with a query or a fragment", "write `https://HOST:PORT`")
    if url.scheme == "http" and not _is_loopback(host):
        raise Refused("plain http to another machine would show secrets on the way", "write `https://...`")
    return text.rstrip("/")


def _is_file(text: str) -> bool:
    return text.startswith("/") and text.isprintable()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
