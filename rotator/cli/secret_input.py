"""A secret on standard input: read whole, never shown."""

from __future__ import annotations

import sys

from rotator.cli import exits
from rotator.cli.failures import Failure
from rotator.model.secret import Secret

_MOST_BYTES = 64 * 1024


def read() -> Secret:
    """Return the secret that standard input holds, one newline at its end left out. Raise Failure when it holds none."""
    if sys.stdin.isatty():
        raise _unusable("standard input is a terminal, which would show it")
    content = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise _unusable(f"standard input holds more than {_MOST_BYTES // 1024} KiB")
    secret = _secret(content)
    if secret is None:
        raise _unusable("standard input does not hold one line of visible characters")
    return secret


def _secret(content: bytes) -> Secret | None:
    """Return the secret. None and no error: a UnicodeDecodeError carries what it failed on."""
    try:
        text = content.decode()
        return Secret(text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n"))
    except ValueError:
        return None


def _unusable(why: str) -> Failure:
    return Failure(
        "there is no secret to read",
        why=why,
        cure="give it from a file that only you can read: `... < secret-file`",
        status=exits.USAGE,
    )
