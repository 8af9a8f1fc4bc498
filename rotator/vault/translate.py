"""From what came back of a call, or didn't, to the errors of `rotator.errors`. Pure.

The rule for writes: an error other than `Ambiguous` is a promise that nothing was written. So it is given
only for what never left, and for answers that Vault is known to give before it acts. All else is Ambiguous.

Texts are made of our own sentences and the status. Vault's words are matched, never repeated.
Texts and statuses: https://developer.hashicorp.com/vault/api-docs#http-status-codes and the sources of
https://github.com/hashicorp/vault-plugin-secrets-kv and https://github.com/openbao/openbao.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Final

import hvac.exceptions
import requests.exceptions as http
import urllib3.exceptions as pool

from rotator.errors import Ambiguous, Conflict, Denied, PortError, Rejected, Throttled, Unavailable
from rotator.vault.answers import Answer

NOT_VAULT: Final = "without Vault's JSON; is a proxy in between, or the address wrong?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is tried, for the texts of errors, and whether it writes."""

    operation: str
    target: str
    writes: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """A refusal that Vault gives before it acts, found by its status and a part of its text."""

    status: int
    text: str
    error: type[PortError]
    detail: str


_KNOWN: Final = (
    _Known(400, "check-and-set parameter did not match", Conflict, "it is at another version"),
    _Known(
        400, "check-and-set parameter required", Rejected, "the mount or the entry requires check-and-set"
    ),
    _Known(400, "non-versioned", Unavailable, "the mount is being upgraded to version 2"),
    _Known(
        400, "Waiting for the primary to upgrade", Unavailable, "the mount is being upgraded to version 2"
    ),
    _Known(400, "high complexity", Rejected, "too many values in one entry"),
    _Known(404, "no handler for route", Rejected, "there is no such mount"),
    _Known(404, "namespace not found", Rejected, "there is no such namespace"),
    _Known(500, "value being too large", Rejected, "the entry is too large for Vault's storage"),
    _Known(500, "active cluster node not found", Unavailable, "no node is active yet"),
    _Known(503, "sealed", Unavailable, "Vault is sealed or not initialised"),
)

_BEFORE_ACTING: Final[dict[int, tuple[type[PortError], str]]] = {
    401: (Denied, "the token was refused"),
    403: (Denied, "permission denied"),
    404: (Rejected, "no such thing"),
    405: (Rejected, "not allowed here"),
    412: (Unavailable, "this node has not seen the last write yet"),
    413: (Rejected, "the request is too large"),
    472: (Unavailable, "this node is a disaster recovery secondary"),
    473: (Unavailable, "this node is a performance standby"),
    501: (Unavailable, "Vault is not initialised"),
}
"""What a status means whatever the text says, when the answer is Vault's."""

_NEVER_SENT: Final[tuple[type[Exception], ...]] = (
    hvac.exceptions.ParamValidationError,
    http.URLRequired,
    http.MissingSchema,
    http.InvalidSchema,
    http.InvalidURL,
    http.InvalidHeader,
)
"""Raised while the request is built; or of an answer, by what urllib3 raised (`InvalidHeader`)."""

_NEVER_REACHED: Final = (
    pool.NewConnectionError,
    pool.NameResolutionError,
    pool.ConnectTimeoutError,
    ssl.SSLCertVerificationError,
)
"""What a failed connection is caused by when no request was sent on it."""


def refusal(call: Call, answer: Answer) -> PortError:
    """Return the error that an answer other than the expected one is."""
    if 300 <= answer.status < 400:  # noqa: PLR2004 (HTTP)
        detail = (
            f"{answer.status}: this node is a standby that sends its clients to another address, which is not "
            "followed: it is none that the node itself names as active, or is less protected; set the address to "
            "the active node or to a load balancer that finds it"
        )
        return Unavailable(call.operation, call.target, detail)
    if answer.status == 429:  # noqa: PLR2004 (HTTP)
        return _too_many(call, answer)
    if answer.errors is None:
        return lost(call, f"{answer.status} {NOT_VAULT}")
    text = "\n".join(answer.errors)
    for known in _KNOWN:
        if known.status == answer.status and known.text in text:
            if known.error is Conflict and not call.writes:
                return lost(call, f"{answer.status}: an answer to a write")
            return known.error(call.operation, call.target, f"{answer.status}: {known.detail}")
    if answer.status in _BEFORE_ACTING:
        error, detail = _BEFORE_ACTING[answer.status]
        return error(call.operation, call.target, f"{answer.status}: {detail}")
    if 400 <= answer.status < 500:  # noqa: PLR2004 (HTTP)
        return Rejected(call.operation, call.target, f"{answer.status}: refused")
    return lost(call, str(answer.status))


def unanswered(call: Call, error: Exception) -> PortError:
    """Return the error that an exception of hvac, requests or the operating system is."""
    name = type(error).__name__
    if isinstance(error, _NEVER_SENT) and not any(isinstance(one, pool.HTTPError) for one in error.args):
        return Rejected(call.operation, call.target, f"{name}: the request could not be built")
    if isinstance(error, http.ConnectTimeout):
        return Unavailable(call.operation, call.target, f"{name}: not reached")
    match _why_unconnected(error):
        case None:
            return lost(call, f"{name}: no whole answer came")
        case ssl.SSLCertVerificationError() as reason:
            detail = (
                f"the TLS certificate of the server is not trusted ({getattr(reason, 'verify_message', name)}); "
                "it must be signed by an authority in `vault.ca_cert`, and be made out to the host in `vault.address`"
            )
            return Unavailable(call.operation, call.target, detail)
        case _:
            return Unavailable(call.operation, call.target, f"{name}: not reached")


def lost(call: Call, detail: str) -> PortError:
    """Return the error of a call that was sent, and whose outcome no answer tells."""
    error = Ambiguous if call.writes else Unavailable
    return error(call.operation, call.target, detail)


def senseless(call: Call, detail: str) -> PortError:
    """Return the error of a call that Vault answered with success, in a way that makes no sense."""
    error = Ambiguous if call.writes else Rejected
    return error(call.operation, call.target, detail)


def _too_many(call: Call, answer: Answer) -> PortError:
    """Tell a quota from a standby that has not caught up: OpenBao says 429 for both, without a text for the latter."""
    if answer.errors == ():
        return Unavailable(call.operation, call.target, "429: this node has not seen the last write yet")
    return Throttled(call.operation, call.target, "429: a rate limit", retry_after=answer.retry_after)


def _why_unconnected(error: Exception) -> object | None:
    """Follow what an exception of requests wraps, down to the reason why there was no connection, if that is it."""
    if not isinstance(error, http.ConnectionError):
        return None
    cause: object = error
    while isinstance(cause, BaseException) and not isinstance(cause, _NEVER_REACHED):
        cause = getattr(cause, "reason", None) or next(iter(cause.args), None)
    return cause if isinstance(cause, _NEVER_REACHED) else None
