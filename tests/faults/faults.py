"""What can go wrong with one call, as a client sees it, in the words of the side that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType

from tests.support.vault_lab import Reply

DRIP = 0.1
DRIPS = 20
"""Seconds between two bytes of an answer that trickles, and how many come before its connection ends."""


class Side(StrEnum):
    """Who is called."""

    VAULT = "vault"
    PROVIDER = "provider"


class Act(StrEnum):
    """What the other side does about the call, besides answering it."""

    NOTHING = "nothing"
    NOW = "now"
    LATER = "later"
    """After the next call to that side was answered, when the caller has given up and looked again."""
    MUCH_LATER = "much later"
    """When the sweep is over and some minutes have passed."""


class Fault(StrEnum):
    """What happens to one call. The names are those of the table."""

    REFUSED = "connection refused"
    TIMEOUT = "timeout, nothing arrived"
    LOST = "done, answer lost"
    LATE = "done late"
    MUCH_LATE = "done minutes late"
    CUT = "done, answer cut in the middle"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    CONFLICT = "409 or check-and-set"
    BEHIND = "412"
    THROTTLED = "429"
    THROTTLED_UNTIL = "429 with Retry-After"
    ERROR = "500"
    ERROR_DONE = "500 after it was done"
    UNAVAILABLE = "503"
    UNAVAILABLE_DONE = "503 after it was done"
    MOVED = "307 to a dead node"
    PAGE = "200 with a page"
    PAGE_DONE = "200 with a page after it was done"
    GATEWAY = "502 with a page"
    GATEWAY_DONE = "502 with a page after it was done"
    BROKEN = "done, broken JSON"
    SHAPE = "done, JSON of another shape"
    DRIP = "done, answer trickles"


WRITES_ONLY = frozenset(
    {
        Fault.LATE,
        Fault.MUCH_LATE,
        Fault.ERROR_DONE,
        Fault.UNAVAILABLE_DONE,
        Fault.PAGE_DONE,
        Fault.GATEWAY_DONE,
    }
)
"""What makes no difference to a call that changes nothing."""


def faults_of(*, writes: bool) -> tuple[Fault, ...]:
    """Return what can happen to a call that writes, or to one that reads."""
    return tuple(fault for fault in Fault if writes or fault not in WRITES_ONLY)


_JSON = {"Content-Type": "application/json"}


def _cut(real: Reply) -> Reply:
    return replace(real, cut_after=len(real.body) // 2)


def _broken(real: Reply) -> Reply:
    return replace(real, status=200, body=real.body[: len(real.body) // 2] or b"{")


def _shape(real: Reply) -> Reply:
    body = b'{"data": {"keys": {}, "data": [], "version": "new"}, "auth": [], "api_keys": 7, "api_key": [1]}'
    return replace(real, status=200, body=body, headers={**real.headers, **_JSON})


def _drip(real: Reply) -> Reply:
    return replace(real, pause=DRIP, cut_after=min(DRIPS, len(real.body) - 1))


_PAGE = Reply(200, b"<!doctype html><html><title>Sign in</title></html>", {"Content-Type": "text/html"})
_BAD_GATEWAY = replace(_PAGE, status=502)

_VAULT: Mapping[Fault, Reply] = MappingProxyType(
    {
        Fault.UNAUTHORIZED: Reply.of(401, {"errors": ["unauthorized"]}),
        Fault.FORBIDDEN: Reply.of(403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}),
        Fault.NOT_FOUND: Reply.of(404, {"errors": []}),
        Fault.CONFLICT: Reply.of(
            400, {"errors": ["check-and-set parameter did not match the current version"]}
        ),
        Fault.BEHIND: Reply.of(412, {"errors": ["required index state not present"]}),
        Fault.THROTTLED: Reply.of(429, {"errors": ["request path: rate limit quota exceeded"]}),
        Fault.ERROR: Reply.of(500, {"errors": ["internal error"]}),
        Fault.UNAVAILABLE: Reply.of(503, {"errors": ["Vault is sealed"]}),
        Fault.UNAVAILABLE_DONE: Reply.of(503, {"errors": ["internal error"]}),
    }
)
_PROVIDER: Mapping[Fault, Reply] = MappingProxyType(
    {
        Fault.UNAUTHORIZED: Reply.of(401, {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials."}),
        Fault.FORBIDDEN: Reply.of(
            403, {"category": "INSUFFICIENT_PERMISSIONS", "message": "No.", "details": ""}
        ),
        Fault.NOT_FOUND: Reply.of(404, {"category": "NOT_FOUND", "message": "Not found.", "details": ""}),
        Fault.CONFLICT: Reply.of(409, {"category": "CONFLICT", "message": "Conflict.", "details": ""}),
        Fault.BEHIND: Reply.of(412, {"category": "PRECONDITION_FAILED", "message": "No.", "details": ""}),
        Fault.THROTTLED: Reply.of(429, {"err_code": "TOO_MANY_REQUESTS", "err_msg": "Too many requests."}),
        Fault.ERROR: Reply(500, b"Internal Server Error"),
        Fault.UNAVAILABLE: Reply(503, b"Service Unavailable"),
        Fault.UNAVAILABLE_DONE: Reply(503, b"Service Unavailable"),
    }
)


_BY_PROXIES: Mapping[Fault, Reply] = MappingProxyType(
    {
        Fault.PAGE: _PAGE,
        Fault.PAGE_DONE: _PAGE,
        Fault.GATEWAY: _BAD_GATEWAY,
        Fault.GATEWAY_DONE: _BAD_GATEWAY,
    }
)
_MADE_OF_THE_REAL_ONE: Mapping[Fault, Callable[[Reply], Reply]] = MappingProxyType(
    {Fault.CUT: _cut, Fault.BROKEN: _broken, Fault.SHAPE: _shape, Fault.DRIP: _drip}
)
_NEVER_ANSWERED = frozenset({Fault.TIMEOUT, Fault.LOST, Fault.LATE, Fault.MUCH_LATE})
_DONE = frozenset({Fault.LOST, Fault.ERROR_DONE, Fault.UNAVAILABLE_DONE, Fault.PAGE_DONE, Fault.GATEWAY_DONE})


def act_of(fault: Fault) -> Act:
    """Return what the other side does about the call, besides answering it."""
    match fault:
        case Fault.LATE:
            return Act.LATER
        case Fault.MUCH_LATE:
            return Act.MUCH_LATER
        case _:
            return Act.NOW if fault in _DONE or fault in _MADE_OF_THE_REAL_ONE else Act.NOTHING


def answer_of(fault: Fault, side: Side, real: Reply, moved_to: str) -> Reply | None:
    """Return what is answered, None for nothing at all. `real` is the answer of a call that was carried out.

    `moved_to` is the same call at an address where nobody listens. Connections that are refused are none of it: who
    refuses them knows no call.
    """
    spoken = {**(_VAULT if side is Side.VAULT else _PROVIDER), **_BY_PROXIES}
    if fault in _NEVER_ANSWERED:
        return None
    if fault in _MADE_OF_THE_REAL_ONE:
        return _MADE_OF_THE_REAL_ONE[fault](real)
    if fault is Fault.MOVED:
        return Reply(307, b"", {"Location": moved_to})
    if fault is Fault.THROTTLED_UNTIL:
        limited = spoken[Fault.THROTTLED]
        return replace(limited, headers={**limited.headers, "Retry-After": "1"})
    return spoken[Fault.ERROR if fault is Fault.ERROR_DONE else fault]
