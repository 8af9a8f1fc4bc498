"""Every error of httpx has a meaning, and nothing else in the program knows httpx."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest

from rotator.http import REACH, Sent

BASES = {
    httpx.HTTPError,
    httpx.NetworkError,
    httpx.ProtocolError,
    httpx.RequestError,
    httpx.StreamError,
    httpx.TimeoutException,
    httpx.TransportError,
}
"""Classes that httpx raises only as one of their subclasses."""


def raised_by_httpx() -> Iterator[type[Exception]]:
    for value in vars(httpx).values():
        if isinstance(value, type) and issubclass(value, Exception) and value not in BASES:
            yield value


def test_every_error_of_httpx_is_mapped() -> None:
    assert set(raised_by_httpx()) == set(REACH)


@pytest.mark.promise("P2")
def test_only_errors_from_before_the_first_byte_say_that_nothing_was_sent() -> None:
    assert {error for error, sent in REACH.items() if sent is Sent.NEVER} == {
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.InvalidURL,
        httpx.PoolTimeout,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
    }


@pytest.mark.promise("P7")
@pytest.mark.parametrize("name", ["httpx", "httpcore"])
def test_the_loggers_that_show_urls_and_headers_are_quiet(name: str) -> None:
    assert not logging.getLogger(name).isEnabledFor(logging.INFO)
