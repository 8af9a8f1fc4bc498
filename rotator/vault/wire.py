"""One HTTP exchange with Vault, as it happens in a thread: how it is sent, and what becomes of what comes back."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeAlias

import hvac.adapters
import hvac.exceptions
import requests
import urllib3.exceptions

from rotator.errors import PortError, Rejected
from rotator.model.secret import Secret
from rotator.vault import answers, translate
from rotator.vault.answers import Answer
from rotator.vault.timed import Deadline, TimedAdapter
from rotator.vault.translate import Call

# urllib3 logs headers that it can't read as they came, and a proxy may send back what it was sent.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

Send: TypeAlias = Callable[[hvac.adapters.RawAdapter], object]
"""Sends one request through an adapter and returns its answer."""

THREADS: Final = 8
"""How many calls run at once. On two cores that is over a hundred rotations a second, far above what providers allow."""

LARGEST_ANSWER: Final = 32 * 1024 * 1024
"""Bytes. Vault takes no request that is larger, and a list of a hundred thousand records is a quarter of it."""

_NODES: Final = 2
"""The address that we were given, and the active node that it may send us to."""

_CONNECT_TIMEOUT: Final = timedelta(seconds=2)


class _Connections(requests.Session):
    """Connections on which a redirect is an answer like any other."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Name none: requests would take the target apart even where it follows nothing, and raise ValueError."""


def check_authorities(ca_cert: str) -> None:
    """Raise Rejected when a file holds no certificates that can be trusted."""
    try:
        ssl.create_default_context(cafile=ca_cert)
    except FileNotFoundError:
        problem = "there is no such file"
    except (OSError, ValueError):
        problem = "the file can't be read, or holds no certificates in PEM"
    else:
        return
    raise Rejected("read certificates from", ca_cert, problem)


def session(*, ca_cert: str | None, client_cert: tuple[str, str] | None) -> requests.Session:
    """Return connections that always verify the other side, and show `client_cert` (certificate and key) if asked.

    Of the environment they read nothing: no proxy, no .netrc, no REQUESTS_CA_BUNDLE, no VAULT_SKIP_VERIFY.
    """
    made = _Connections()
    made.trust_env = False
    made.stream = True
    made.verify = ca_cert or True
    made.cert = client_cert
    connections = TimedAdapter(pool_connections=_NODES, pool_maxsize=THREADS, max_retries=0, pool_block=True)
    made.mount("https://", connections)
    made.mount("http://", connections)
    return made


def adapter(
    connections: requests.Session,
    *,
    address: str,
    token: Secret | None,
    namespace: str,
    call_timeout: timedelta,
) -> hvac.adapters.RawAdapter:
    """Return an adapter that returns every answer as it is, follows no redirect and repeats nothing.

    It is made for one call: neither its token nor its address changes under way.
    """
    timeouts = (min(_CONNECT_TIMEOUT, call_timeout).total_seconds(), call_timeout.total_seconds())
    return hvac.adapters.RawAdapter(
        base_uri=address,
        token=None if token is None else token.reveal(),
        session=connections,
        namespace=namespace or None,
        timeout=timeouts,  # type: ignore[arg-type] # the stubs know less than requests does
        allow_redirects=False,
        ignore_exceptions=True,
        strict_http=True,
    )


def exchange(
    call: Call, send: Send, through: hvac.adapters.RawAdapter, deadline: Deadline
) -> Answer | PortError:
    """Send, in a thread. Errors are returned: raised, they would drag the request and its headers along."""
    try:
        with deadline.bounds():
            response = send(through)
            if not isinstance(response, requests.Response):
                return translate.senseless(call, "hvac returned something that is no answer")
            with response:
                content = response.raw.read(LARGEST_ANSWER + 1, decode_content=True)
    except (hvac.exceptions.VaultError, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        # ValueError is what http.client makes of some answers that make no sense.
        return translate.unanswered(call, error)
    if len(content) > LARGEST_ANSWER:
        return translate.senseless(call, "the answer is too large")
    body = _parsed(content)
    moved = response.status_code == requests.codes.temporary_redirect
    return Answer(
        status=response.status_code,
        at=answers.date_header(response.headers.get("Date")),
        retry_after=answers.retry_after_header(response.headers.get("Retry-After")),
        body=body if isinstance(body, dict) else None,
        moved_to=answers.moved_to(response.url, response.headers.get("Location", "")) if moved else None,
    )


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
