"""Addresses of Vault and of providers, as an operator writes them. None is ever shown: it may hold a password."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

ADDRESS_FORM = "write `https://HOST:PORT`; plain http only to this machine"
"""What is allowed, for the hints of error messages."""

PATTERN = r"(?:https://[^@?#\s]+|http://(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?=[:/]|$)[^@?#\s]*)"
"""The same as a pattern for JSON Schema, as closely as a pattern can tell it."""

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-f:.]+")


def parse_address(text: str) -> str:
    """Return an address without a `/` at its end. Raise ValueError, without the text, when it can't be used."""
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise ValueError("not an address") from None
    if url.username is not None or url.password is not None or "@" in url.netloc:
        raise ValueError("an address with a user or a password in it")
    if url.query or url.fragment or "?" in text or "#" in text:
        raise ValueError("an address with a query or a fragment")
    if url.scheme not in ("http", "https") or port == 0 or not re.fullmatch(r"[!-~]+", text):
        raise ValueError("not an http or https address")
    if not host or not _HOST.fullmatch(host):
        raise ValueError("not an http or https address")
    if url.scheme == "http" and not _is_loopback(host):
        raise ValueError("plain http to another machine would show secrets on the way")
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
