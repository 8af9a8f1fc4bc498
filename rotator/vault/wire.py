"""One HTTP exchange with Vault, as it happens in a thread: how it is sent, and what becomes of what comes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import hvac.adapters
import hvac.exceptions
import requests
import requests.adapters
import urllib3.exceptions

from rotator.errors import PortError
from rotator.model.secret import Secret
from rotator.vault import answers, translate
from rotator.vault.answers import Answer
from rotator.vault.translate import Call

THREADS: Final = 8
"""How many calls run at once. On two cores that is over a hundred rotations a second, far above what providers allow."""

_CONNECT_TIMEOUT: Final = timedelta(seconds=2)


def adapter(
    *, address: str, token: Secret, namespace: str, ca_cert: str | None, call_timeout: timedelta
) -> hvac.adapters.RawAdapter:
    """Return an adapter that returns every answer as it is, follows no redirect and repeats nothing.

    Of the environment it reads nothing: no proxy, no .netrc, no REQUESTS_CA_BUNDLE, no VAULT_SKIP_VERIFY.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = ca_cert or True
    connections = requests.adapters.HTTPAdapter(
        pool_connections=1, pool_maxsize=THREADS, max_retries=0, pool_block=True
    )
    session.mount("https://", connections)
    session.mount("http://", connections)
    timeouts = (min(_CONNECT_TIMEOUT, call_timeout).total_seconds(), call_timeout.total_seconds())
    return hvac.adapters.RawAdapter(
        base_uri=address,
        token=token.reveal(),
        session=session,
        namespace=namespace or None,
        timeout=timeouts,  # type: ignore[arg-type] # the stubs know less than requests does
        allow_redirects=False,
        ignore_exceptions=True,
        strict_http=True,
    )


def exchange(call: Call, send: Callable[[], object]) -> Answer | PortError:
    """Send, in a thread. Errors are returned: raised, they would drag the request and its headers along."""
    try:
        response = send()
    except (hvac.exceptions.VaultError, urllib3.exceptions.HTTPError, OSError) as error:
        return translate.unanswered(call, error)
    if not isinstance(response, requests.Response):
        return translate.senseless(call, "hvac returned something that is no answer")
    try:
        body = response.json()
    except ValueError:
        body = None
    return Answer(
        status=response.status_code,
        at=answers.date_header(response.headers.get("Date")),
        retry_after=answers.retry_after_header(response.headers.get("Retry-After")),
        body=body if isinstance(body, dict) else None,
    )
