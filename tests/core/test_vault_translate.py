from __future__ import annotations

import re
import ssl
from datetime import timedelta

import hvac.exceptions
import pytest
import requests.exceptions as http
import urllib3.exceptions as pool
from hypothesis import given
from hypothesis import strategies as st

from rotator.errors import Ambiguous, Conflict, Denied, PortError, Rejected, Throttled, Unavailable
from rotator.vault.answers import Answer
from rotator.vault.translate import Call, lost, refusal, senseless, unanswered
from tests.support.canary import CANARY

READ = Call(operation="read entry", target="secret/app")
WRITE = Call(operation="publish into entry", target="secret/app", writes=True)

LOST = (Unavailable, Ambiguous)
SURE = (Unavailable, Unavailable)
REFUSED = (Rejected, Rejected)


def answer(status: int, *errors: str, body: dict[str, object] | None = None) -> Answer:
    return Answer(
        status=status,
        at=None,
        retry_after=timedelta(seconds=9),
        body={"errors": list(errors)} if body is None else body,
    )


@pytest.mark.parametrize(
    ("given_answer", "expected"),
    [
        # That of a read is nobody's: it would be looked at again, and nothing would be told.
        (answer(400, "check-and-set parameter did not match the current version"), (Unavailable, Conflict)),
        (answer(400, "check-and-set parameter required for this call"), REFUSED),
        (
            answer(400, "Upgrading from non-versioned to versioned data. This backend will be unavailable"),
            SURE,
        ),
        (answer(400, "Waiting for the primary to upgrade from non-versioned to versioned data"), SURE),
        (answer(400, "refused JSON input due to high complexity"), REFUSED),
        (answer(400, "anything else"), REFUSED),
        (answer(400), REFUSED),
        (answer(401, "no"), (Denied, Denied)),
        (answer(403, "permission denied"), (Denied, Denied)),
        (answer(403, "1 error occurred:\n\t* permission denied\n\n"), (Denied, Denied)),
        (answer(404), REFUSED),
        (answer(404, 'no handler for route "x". route entry not found.'), REFUSED),
        (answer(404, "namespace not found"), REFUSED),
        (answer(405, "unsupported operation"), REFUSED),
        (answer(412, "required index state not present"), SURE),
        (answer(412), SURE),
        (answer(413, "http: request body too large"), REFUSED),
        (answer(418, "teapot"), REFUSED),
        (answer(429), SURE),
        (answer(429, "request path: rate limit quota exceeded"), (Throttled, Throttled)),
        (answer(472), SURE),
        (answer(473), SURE),
        (
            answer(500, "put failed due to value being too large; got 1100000 bytes, max: 1048576 bytes"),
            REFUSED,
        ),
        (answer(500, "local node not active but active cluster node not found"), SURE),
        (answer(500, "internal error"), LOST),
        (answer(500), LOST),
        (answer(501, "Vault is not initialized"), SURE),
        (answer(502), LOST),
        (answer(503, "Vault is sealed"), SURE),
        (answer(503, "no healthy upstream"), LOST),
        (answer(504), LOST),
        (answer(204, body={}), LOST),
        (answer(200, body={"hello": "world"}), LOST),
        (answer(301), SURE),
        (answer(307), SURE),
        (answer(308), SURE),
    ],
)
def test_every_answer_has_its_meaning(given_answer: Answer, expected: tuple[type[PortError], ...]) -> None:
    assert (type(refusal(READ, given_answer)), type(refusal(WRITE, given_answer))) == expected


@pytest.mark.parametrize("status", [200, 204, 400, 403, 404, 405, 413, 418, 500, 502, 503, 504, 520])
def test_an_answer_that_is_not_vaults_is_no_proof_of_anything(status: int) -> None:
    page = Answer(status=status, at=None, retry_after=None, body=None)
    assert (type(refusal(READ, page)), type(refusal(WRITE, page))) == LOST
    gateway = Answer(status=status, at=None, retry_after=None, body={"message": "Forbidden"})
    assert (type(refusal(READ, gateway)), type(refusal(WRITE, gateway))) == LOST


def test_a_rate_limit_says_when_to_come_back() -> None:
    error = refusal(READ, answer(429, "quota"))
    assert isinstance(error, Throttled)
    assert error.retry_after == timedelta(seconds=9)


@pytest.mark.promise("P7")
@given(st.integers(200, 599), st.lists(st.sampled_from(["", "sealed ", "too large "]), max_size=3))
def test_no_word_of_the_answer_gets_into_the_text(status: int, words: list[str]) -> None:
    error = refusal(WRITE, answer(status, *(f"{word}{CANARY}" for word in words)))
    assert CANARY not in str(error)
    assert CANARY not in repr(error)


def connection_error(reason: Exception) -> http.ConnectionError:
    return http.ConnectionError(pool.MaxRetryError(None, "/v1/secret", reason))  # type: ignore[arg-type]


def ssl_error(reason: Exception) -> http.SSLError:
    return http.SSLError(pool.MaxRetryError(None, "/v1/secret", pool.SSLError(reason)))  # type: ignore[arg-type]


@pytest.mark.promise("P2")
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (connection_error(pool.NewConnectionError(None, "refused")), SURE),  # type: ignore[arg-type]
        (connection_error(pool.NameResolutionError("host", None, OSError())), SURE),  # type: ignore[arg-type]
        (connection_error(pool.ConnectTimeoutError()), SURE),
        (ssl_error(ssl.SSLCertVerificationError()), SURE),
        (ssl_error(ssl.SSLEOFError()), LOST),
        (http.ConnectionError(pool.ProtocolError("Connection aborted.", ConnectionResetError())), LOST),
        (http.ConnectionError(), LOST),
        (OSError(), LOST),
    ],
)
def test_only_what_never_left_is_sure_not_to_have_happened(
    error: Exception, expected: tuple[type[PortError], ...]
) -> None:
    assert (type(unanswered(READ, error)), type(unanswered(WRITE, error))) == expected


EXPECTED: dict[type[Exception], tuple[type[PortError], ...]] = {
    hvac.exceptions.VaultError: LOST,
    hvac.exceptions.InvalidRequest: LOST,
    hvac.exceptions.Unauthorized: LOST,
    hvac.exceptions.Forbidden: LOST,
    hvac.exceptions.InvalidPath: LOST,
    hvac.exceptions.UnsupportedOperation: LOST,
    hvac.exceptions.PreconditionFailed: LOST,
    hvac.exceptions.RateLimitExceeded: LOST,
    hvac.exceptions.InternalServerError: LOST,
    hvac.exceptions.VaultNotInitialized: LOST,
    hvac.exceptions.VaultDown: LOST,
    hvac.exceptions.UnexpectedError: LOST,
    hvac.exceptions.BadGateway: LOST,
    hvac.exceptions.ParamValidationError: REFUSED,
    http.RequestException: LOST,
    http.InvalidJSONError: LOST,
    http.JSONDecodeError: LOST,
    http.HTTPError: LOST,
    http.ConnectionError: LOST,
    http.ProxyError: LOST,
    http.SSLError: LOST,
    http.Timeout: LOST,
    http.ConnectTimeout: SURE,
    http.ReadTimeout: LOST,
    http.URLRequired: REFUSED,
    http.TooManyRedirects: LOST,
    http.MissingSchema: REFUSED,
    http.InvalidSchema: REFUSED,
    http.InvalidURL: REFUSED,
    http.InvalidHeader: REFUSED,
    http.InvalidProxyURL: REFUSED,
    http.ChunkedEncodingError: LOST,
    http.ContentDecodingError: LOST,
    http.StreamConsumedError: LOST,
    http.RetryError: LOST,
    http.UnrewindableBodyError: LOST,
}
"""Our adapter never lets hvac raise for a status; if a future hvac did, its exceptions prove nothing."""


def vendor_exceptions() -> list[type[Exception]]:
    return [
        thing
        for module in (hvac.exceptions, http)
        for thing in vars(module).values()
        if isinstance(thing, type)
        and issubclass(thing, Exception)
        and not issubclass(thing, Warning)
        and thing.__module__ == module.__name__
    ]


@pytest.mark.parametrize("vendor", vendor_exceptions())
def test_every_exception_of_the_vendors_has_its_meaning(vendor: type[Exception]) -> None:
    error = vendor(CANARY, CANARY, 0) if vendor is http.JSONDecodeError else vendor(CANARY)
    translated = unanswered(READ, error), unanswered(WRITE, error)
    assert tuple(map(type, translated)) == EXPECTED[vendor]
    for ours in translated:
        assert CANARY not in str(ours)
        assert vendor.__name__ in ours.detail
        # The name of a class tells an operator nothing.
        assert re.fullmatch(r"\w+: [a-z ]+", ours.detail)


def test_a_success_that_makes_no_sense() -> None:
    assert type(senseless(READ, "x")) is Rejected
    assert type(senseless(WRITE, "x")) is Ambiguous
    assert type(lost(READ, "x")) is Unavailable
    assert type(lost(WRITE, "x")) is Ambiguous
