"""The only place that speaks HTTP with httpx: one client per base URL, one answer or one of our errors per call.

What a caller may rely on: a call ends within the timeout; it is sent at most once; it is never redirected;
nothing from the environment (proxies, netrc) changes where it goes; an error tells whether the call was
never sent, and its text holds no header, no body and no URL. After the other side limited our rate, nothing is
sent to it before the time that it named.

Why each request runs in a task of its own that nobody cancels: a cancelled httpx request can leave its
connection in httpcore's pool for ever, until every later call ends in PoolTimeout (httpcore issue 1093).
For the same reason there is no `asyncio.timeout` and no `wait_for` here.

Why calls go to httpx's transports, one for each connection, and not through its client: of what a client adds (cookies,
redirects, authentication, proxies) nothing is wanted, and it is a quarter of what a call costs; and httpcore's pool looks
at each of its connections twice in every call, so that a call costs the more the more of them there are (httpcore issue
1035).
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from http import HTTPStatus
from ipaddress import ip_address
from types import MappingProxyType

import httpx

from rotator.clock import SystemClock
from rotator.errors import Ambiguous, PortError, Rejected, Throttled, Unavailable
from rotator.model.secret import Secret
from rotator.model.told import CallMade, Heard, unheard

LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes of a body that are read before a call is given up; a key takes about 500 in a list."""

LONGEST_RETRY_AFTER = timedelta(hours=1)
"""What a longer or absurd Retry-After is cut to: one call asks again then, before a key expires that was never seen meanwhile."""

_YEARS = range(2000, 3000)
"""What a clock can show: with a difference of more than that from ours, nothing could be computed."""

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=60)
"""How long nothing is sent after a rate limit that names no time: doubled each time, until a call is let through."""

_KEPT = timedelta(seconds=1)
"""A connection that no call has used for so long is closed by the next one, and not used again.

Much less than 5 s: after so long without a call, servers in wide use close it themselves by their defaults (uvicorn, Node.js), and
a call that is sent at that moment is lost.
"""

_ABOUT_TO_SEND = "http11.send_request_headers.started"
_ABOUT_TO_END = "http11.send_request_body.started"
"""What httpcore says right before the first byte of a request, and before the rest of it (https://www.encode.io/httpcore/extensions/#trace)."""

# httpx logs whole URLs at INFO, httpcore logs headers at DEBUG.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Sent(StrEnum):
    """How far a failed call got."""

    NEVER = "never"
    """Not one byte of the request was sent."""
    PERHAPS = "perhaps"
    """It may have arrived."""


REACH: Mapping[type[Exception], Sent] = MappingProxyType(
    {
        httpx.ConnectError: Sent.NEVER,
        httpx.ConnectTimeout: Sent.NEVER,
        httpx.PoolTimeout: Sent.NEVER,
        httpx.ProxyError: Sent.NEVER,
        httpx.UnsupportedProtocol: Sent.NEVER,
        httpx.InvalidURL: Sent.NEVER,
        httpx.CloseError: Sent.PERHAPS,
        httpx.CookieConflict: Sent.PERHAPS,
        httpx.DecodingError: Sent.PERHAPS,
        httpx.HTTPStatusError: Sent.PERHAPS,
        httpx.LocalProtocolError: Sent.PERHAPS,
        httpx.ReadError: Sent.PERHAPS,
        httpx.ReadTimeout: Sent.PERHAPS,
        httpx.RemoteProtocolError: Sent.PERHAPS,
        httpx.RequestNotRead: Sent.PERHAPS,
        httpx.ResponseNotRead: Sent.PERHAPS,
        httpx.StreamClosed: Sent.PERHAPS,
        httpx.StreamConsumed: Sent.PERHAPS,
        httpx.TooManyRedirects: Sent.PERHAPS,
        httpx.WriteError: Sent.PERHAPS,
        httpx.WriteTimeout: Sent.PERHAPS,
    }
)
"""Every error that httpx raises. One that is not here (an `ssl.SSLError` while reading) counts as PERHAPS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `operation` and `target` name it in errors; a `body` is sent as JSON.

    `path` is appended to the base URL as it is: whoever builds it encodes what goes into it. Every method
    but GET counts as a write. A call that could be sent only later than `starts_within` is not sent at all.
    """

    method: str
    path: str
    operation: str
    target: str
    authorization: Secret
    body: Mapping[str, object] | None = None
    starts_within: timedelta | None = None

    @property
    def writes(self) -> bool:
        """Whether the call may change something on the other side."""
        return self.method != "GET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer. `content` is its body as it came.

    `at` is the other side's clock (the `Date` header, whole seconds). `retry_after` is a duration from then.
    The body may hold a secret, so it is left out of the repr.
    """

    status: int
    content: bytes = field(repr=False)
    at: datetime | None
    retry_after: timedelta | None

    @property
    def body(self) -> object:
        """The JSON in the body, None when there is none or it is something else.

        Taken apart by whoever asks, each time: a list of keys takes four times as much memory then, and many lists may be
        under way.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


class Brake:
    """Keeps calls back after the other side limited our rate. `now` and the like are seconds of the event loop.

    What was sent before the limit was known says nothing of it afterwards, be it another 429 or a success: many
    calls are under way at once, and they are one mistake, not many.
    """

    def __init__(self) -> None:
        """Begin without a limit."""
        self._limited_at = self._ends_at = -math.inf
        self._pause = FIRST_PAUSE

    def left(self, now: float) -> timedelta:
        """Return for how long from now on nothing may be sent."""
        return timedelta(seconds=max(0.0, self._ends_at - now))

    def answered(self, *, sent_at: float, now: float, limited: bool, retry_after: timedelta | None) -> None:
        """Note an answer. `retry_after` is what it said, if anything, of when to come back."""
        news = sent_at > self._limited_at
        if not limited:
            self._pause = FIRST_PAUSE if news else self._pause
            return
        wait = retry_after
        if not wait and news:
            wait, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
        if news:
            self._limited_at = now
        if wait:
            self._ends_at = max(self._ends_at, now + wait.total_seconds())


class HttpClient:
    """Calls to one base URL, a bounded number of them at a time.

    `call_timeout` bounds one call from the moment it has its turn; half of it bounds reaching the other
    side, so that "never sent" and "sent, no answer" can be told apart. While the other side limits our rate, a
    call that has its turn waits as long again for the limit to end, at most. Raise ValueError for a base URL that
    is neither https nor http to this machine, or that holds more than scheme, host, port and path.
    """

    def __init__(
        self,
        base_url: str,
        *,
        call_timeout: timedelta,
        concurrency: int,
        transport: httpx.AsyncBaseTransport | None = None,
        name: str = "",
        heard: Heard = unheard,
    ) -> None:
        """Prepare the client; nothing is sent until the first call. `transport` None: the network.

        `heard` is told of each call that was sent, as one to `name`.
        """
        self._name = name
        self._heard = heard
        self._base_url = _checked(base_url)
        self._most_seconds = call_timeout.total_seconds()
        self.concurrency = concurrency
        self._turns = asyncio.Semaphore(concurrency)
        self._brake = Brake()
        self._running: set[asyncio.Task[Answer]] = set()
        self._cutting: set[asyncio.Task[None]] = set()
        self._transport = transport
        self._trust = _trust()
        reaching = self._most_seconds / 2
        self._timeouts = httpx.Timeout(self._most_seconds, connect=reaching, pool=reaching).as_dict()
        self._idle: list[tuple[float, httpx.AsyncBaseTransport]] = []
        """Since when, and which. The one that was used last is used next: its connection is the likeliest to be open."""

    async def call(self, call: Call) -> Answer:
        """Send `call` once and return the answer, whatever its status.

        Unavailable: it was never sent, as when it could be sent only too late, or it reads and no complete answer came. Ambiguous: it writes, and
        may have arrived. Rejected: it reads, and the answer is larger than `LARGEST_ANSWER`. Throttled: it was
        never sent, as an earlier call was told to come back later. When the
        caller is cancelled, the request goes on by itself until it has an answer or times out.
        """
        asked_at = asyncio.get_running_loop().time()
        starts_until = (
            math.inf if call.starts_within is None else asked_at + call.starts_within.total_seconds()
        )
        await self._turns.acquire()
        try:
            await self._close_idle_since_before(asked_at - _KEPT.total_seconds())
            await self._may_be_sent(call, starts_until)
        except BaseException:
            self._turns.release()
            raise
        ends_at = asyncio.get_running_loop().time() + self._most_seconds
        task = asyncio.create_task(self._timed(call, starts_until, ends_at))
        self._running.add(task)
        task.add_done_callback(self._ended)
        done, _ = await asyncio.wait({task}, timeout=self._most_seconds)
        if not done:
            raise _failure(call, Sent.PERHAPS, "no answer in time")
        return task.result()

    async def aclose(self) -> None:
        """Let the requests under way end, each within its timeouts, then close the connections."""
        if self._running:
            await asyncio.wait(self._running)
        if self._cutting:
            await asyncio.wait(self._cutting)
        await self._close_idle_since_before(math.inf)

    async def _may_be_sent(self, call: Call, starts_until: float) -> None:
        """Wait until no rate limit is known. Raise when that takes too long, or the turn came too late already."""
        loop = asyncio.get_running_loop()
        waits_until = min(loop.time() + self._most_seconds, starts_until)
        while left := self._brake.left(loop.time()):
            if loop.time() + left.total_seconds() > waits_until:
                raise Throttled(
                    call.operation, call.target, "not sent: the rate limit has not ended", retry_after=left
                )
            await SystemClock().sleep(left)
        _in_time(call, starts_until)

    def _ended(self, task: asyncio.Task[Answer]) -> None:
        self._running.discard(task)
        self._turns.release()
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not report one whose caller has gone

    async def _timed(self, call: Call, starts_until: float, ends_at: float) -> Answer:
        """Send a call, and tell how it went and how long it took."""
        loop = asyncio.get_running_loop()
        began, result = loop.time(), "no_answer"
        try:
            answer = await self._exchange(call, starts_until, ends_at)
            result = str(answer.status)
        finally:
            took = timedelta(seconds=loop.time() - began)
            self._heard(CallMade(to=self._name, operation=call.operation, result=result, took=took))
        return answer

    async def _exchange(self, call: Call, starts_until: float, ends_at: float) -> Answer:
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        connection = self._idle.pop()[1] if self._idle else self._connection()
        # httpx bounds each read, and not how many there are: an answer may come byte by byte for ever.
        cut = loop.call_at(ends_at, self._cut, connection)
        try:
            # One that stands only then is not known to be closed any more: it closes itself, as the request is refused.
            request = self._request(call, starts_until, ends_at)
            response = await connection.handle_async_request(request)
            response.request = request
            try:
                answer = await self._read(call, response)
            finally:
                await response.aclose()
            self._note(answer, sent_at)
        except PortError:
            raise
        except Exception as error:  # noqa: BLE001 (an error nobody mapped must not pass for "nothing happened")
            sent, what = REACH.get(type(error), Sent.PERHAPS), type(error).__name__
        else:
            return answer
        finally:
            cut.cancel()
            self._idle.append((loop.time(), connection))
        # Outside of the handler, and so without a context: h11's texts quote headers.
        raise _failure(call, sent, what)

    def _cut(self, connection: httpx.AsyncBaseTransport) -> None:
        """Close a connection that a call takes too long on: the call fails at once."""
        closing = asyncio.create_task(_close(connection))
        self._cutting.add(closing)
        closing.add_done_callback(self._cutting.discard)

    def _request(self, call: Call, starts_until: float, ends_at: float) -> httpx.Request:
        async def reached(event: str, _: object) -> None:
            # Its connection may have taken long to stand, and the process may have slept.
            if event == _ABOUT_TO_SEND:
                _in_time(call, min(starts_until, ends_at))
            elif event == _ABOUT_TO_END and asyncio.get_running_loop().time() > ends_at:
                raise _failure(call, Sent.PERHAPS, "no answer in time")

        headers = {
            b"Accept": b"application/json",
            b"Accept-Encoding": b"identity",
            b"Authorization": call.authorization.reveal().encode(),
            b"User-Agent": b"rotator",
        }
        content = None
        if call.body is not None:
            headers[b"Content-Type"] = b"application/json"
            content = json.dumps(call.body).encode()
        return httpx.Request(
            call.method,
            self._base_url + call.path,
            headers=headers,
            content=content,
            extensions={"timeout": self._timeouts, "trace": reached},
        )

    async def _close_idle_since_before(self, instant: float) -> None:
        """Close what was used last before `instant`: a first look at a project opens many, and only one is needed afterwards."""
        while self._idle and self._idle[0][0] < instant:
            await _close(self._idle.pop(0)[1])

    def _connection(self) -> httpx.AsyncBaseTransport:
        return self._transport or httpx.AsyncHTTPTransport(
            verify=self._trust,
            limits=httpx.Limits(
                max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEPT.total_seconds()
            ),
            trust_env=False,
        )

    def _note(self, answer: Answer, sent_at: float) -> None:
        # 503 too names a time when it is meant to be obeyed (RFC 9110, section 10.2.3).
        unavailable = answer.status == HTTPStatus.SERVICE_UNAVAILABLE and answer.retry_after is not None
        self._brake.answered(
            sent_at=sent_at,
            now=asyncio.get_running_loop().time(),
            limited=unavailable or answer.status == HTTPStatus.TOO_MANY_REQUESTS,
            retry_after=answer.retry_after,
        )

    async def _read(self, call: Call, response: httpx.Response) -> Answer:
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > LARGEST_ANSWER:
                kind = Ambiguous if call.writes else Rejected
                raise kind(call.operation, call.target, "the answer is too large")
        at = _moment(response.headers.get("Date"))
        return Answer(
            status=response.status_code,
            content=bytes(content),
            at=at,
            retry_after=_retry_after(response.headers, at),
        )


async def _close(connection: httpx.AsyncBaseTransport) -> None:
    with suppress(Exception):  # whether that goes well changes nothing for any call
        await connection.aclose()


@cache
def _trust() -> ssl.SSLContext:
    """Return what certificates are verified with. To read all authorities takes as long as ten calls: once will do."""
    return httpx.create_ssl_context(trust_env=False)


def _in_time(call: Call, starts_until: float) -> None:
    """Raise when it is too late to send a call."""
    if asyncio.get_running_loop().time() > starts_until:
        raise _failure(call, Sent.NEVER, "not sent: it was too late for that")


def _failure(call: Call, sent: Sent, what: str) -> PortError:
    kind = Ambiguous if call.writes and sent is not Sent.NEVER else Unavailable
    return kind(call.operation, call.target, what)


def _checked(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
        port_is_odd = url.port == 0
    except (httpx.InvalidURL, ValueError):
        raise ValueError("the base URL can't be read") from None
    if url.userinfo or url.query or url.fragment or not url.host or port_is_odd:
        raise ValueError("a base URL has a scheme, a host, perhaps a port and a path, and nothing else")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.host)):
        raise ValueError("a base URL is https, or http to this machine only")
    return str(url).rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _moment(header: str | None) -> datetime | None:
    """Return the instant that a header names, None when it names none that a clock can show today."""
    try:
        moment = parsedate_to_datetime(header or "")
        instant = moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, TypeError, OverflowError):
        return None
    return instant if instant is not None and instant.year in _YEARS else None


def _retry_after(headers: httpx.Headers, at: datetime | None) -> timedelta | None:
    milliseconds, wait = headers.get("retry-after-ms", ""), headers.get("retry-after", "")
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", milliseconds):
        asked = timedelta(milliseconds=float(milliseconds))
    elif re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", wait):
        asked = timedelta(seconds=float(wait))
    elif (until := _moment(wait)) and at:
        asked = until - at
    else:
        return None
    return max(timedelta(0), min(asked, LONGEST_RETRY_AFTER))
