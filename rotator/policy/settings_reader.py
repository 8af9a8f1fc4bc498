"""The part of the file that is not about keys: instance, Vault, limits of the process, providers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

from rotator.policy.document import Mapping, Node, Scalar
from rotator.policy.duration import FORMS, parse_duration, show_duration
from rotator.policy.names import (
    INSTANCE_RULE,
    NAME_RULE,
    PATH_RULE,
    VENDOR_ID_RULE,
    is_instance,
    is_name,
    is_path,
    is_vendor_id,
)
from rotator.policy.reader import (
    Complaints,
    Fields,
    Refused,
    describe,
    is_null,
    read_choice,
    read_integer,
    read_matching,
    read_text,
    shown,
    tell_repeated,
)
from rotator.policy.settings import (
    ProviderSettings,
    RuntimeSettings,
    SecretReference,
    SecretSource,
    VaultSettings,
)

REFERENCE_HINT = "write `{env: NAME}`, `{file: PATH}` or `{systemd: NAME}`"

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
_NAME_OF_SOURCE = {
    # Capital letters only: a secret pasted in place of the name is then almost never taken for one.
    SecretSource.ENV: (re.compile(r"[A-Z_][A-Z0-9_]{0,127}"), "capital letters, digits and `_`"),
    SecretSource.FILE: (re.compile(r"/[^\x00-\x1f\x7f]{1,1023}"), "an absolute path"),
    SecretSource.SYSTEMD: (re.compile(r"(?!\.)[A-Za-z0-9._-]{1,100}"), "letters, digits and `._-`"),
}


def read_instance(fields: Fields) -> str:
    """Return the name of this installation."""
    return fields.take("instance", read_matching(is_instance, INSTANCE_RULE), "default")


def read_vault(top: Fields, owner: Node, instance: str) -> VaultSettings:
    """Return which Vault and how to log in. The environment is not looked at here."""
    node = top.node("vault")
    fields = top.section("vault")
    auth_node = fields.node("auth")
    if auth_node is None:
        top.complaints.tell(
            node or owner, "`vault.auth` is missing", f"write `auth: {{token: ...}}`; {REFERENCE_HINT}"
        )
    journal = fields.section("journal")
    settings = VaultSettings(
        address=fields.take("address", _read_url_or_none, None),
        namespace=fields.take("namespace", _read_path_or_none, None),
        ca_cert=fields.take("ca_cert", _read_file_or_none, None),
        token=_read_token(auth_node, top.complaints),
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
                key, f"the same project as provider `{same.name}`", "its keys would be rotated twice"
            )
        providers.append(provider)
    return tuple(providers)


def read_path(node: Node) -> str:
    """Return a mount, a prefix or a path in Vault."""
    return read_matching(is_path, PATH_RULE)(node)


def read_duration(node: Node) -> timedelta:
    """Return a length of time, which may be zero."""
    text = read_text(node)
    try:
        return parse_duration(text)
    except ValueError as error:
        raise Refused(f"{shown(text)} is {error}", FORMS) from None


def read_positive_duration(node: Node) -> timedelta:
    """Return a length of time over zero."""
    duration = read_duration(node)
    if not duration:
        raise Refused("zero is not possible here", FORMS)
    return duration


def read_reference(node: Node) -> SecretReference:
    """Return where a secret is kept. Whatever stands here may be the secret itself: none of it is shown."""
    if isinstance(node, Scalar) and "${" in node.text:
        raise Refused(f"{describe(node)}; `${{...}}` is not expanded", REFERENCE_HINT)
    if not isinstance(node, Mapping):
        raise Refused(describe(node), REFERENCE_HINT)
    if "vault" in node.names:
        raise Refused("this version does not have references to Vault yet", REFERENCE_HINT)
    if len(node.names) != 1 or node.repeated:
        raise Refused(f"{describe(node)} where exactly one is expected", REFERENCE_HINT)
    ((key, value),) = node.values.items()
    if key not in set(SecretSource):
        raise Refused("a mapping with an unknown key", REFERENCE_HINT)
    source = SecretSource(key)
    pattern, rule = _NAME_OF_SOURCE[source]
    if not isinstance(value, Scalar) or is_null(value):
        raise Refused(f"{describe(value)} where a name is expected", REFERENCE_HINT, at=value)
    if "${" in value.text:
        raise Refused(f"{describe(value)}; `${{...}}` is not expanded", REFERENCE_HINT, at=value)
    if not pattern.fullmatch(value.text):
        raise Refused(f"{describe(value)} that can't stand here", f"allowed: {rule}", at=value)
    return SecretReference(source, value.text)


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


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_url_or_none(node: Node) -> str | None:
    return read_url(node)


def _read_path_or_none(node: Node) -> str | None:
    return read_path(node)


def _read_file_or_none(node: Node) -> str | None:
    is_file: Callable[[str], bool] = lambda text: text.startswith("/") and text.isprintable()  # noqa: E731
    return read_matching(is_file, "an absolute path")(node)
