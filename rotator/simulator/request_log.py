"""The simulated Deepgram's own log of what was asked of it with each key, and how it is queried.

Sources: Deepgram's OpenAPI description (filters, limit 1 to 1000, default 10), its older usage reference (newest
first, `page` counted from 0, names that it does not know are ignored) and its docs on logs and usage (kept for
90 days). Deepgram's SDKs send instants with `Z` and a fraction of a second too, so these are read. Only accepted requests are in it, and only for what keys are made for, not for managing them.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

KEPT = timedelta(days=90)
_DEFAULT_LIMIT, _LARGEST_LIMIT = 10, 1000
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One accepted request. `endpoint` is its kind: listen, read, speak or agent."""

    request_id: str
    project_id: str
    key_id: str
    at: datetime
    endpoint: str = "listen"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an answer."""

    page: int
    limit: int
    requests: tuple[Request, ...]


class RequestLog:
    """Every accepted request of every project."""

    def __init__(self) -> None:
        """Start empty."""
        self._requests: list[Request] = []

    def add(self, project_id: str, key_id: str, at: datetime) -> str:
        """Note one request and return its id."""
        request_id = str(uuid.uuid4())
        self._requests.append(Request(request_id=request_id, project_id=project_id, key_id=key_id, at=at))
        return request_id

    def page(self, project_id: str, query: Mapping[str, str], *, now: datetime, lag: timedelta) -> Page:
        """Return what a query of one project shows at `now`. Raise ValueError for a value that can't be read."""
        limit, page = _number(query, "limit", _DEFAULT_LIMIT), _number(query, "page", 0)
        if not 1 <= limit <= _LARGEST_LIMIT:
            raise ValueError("limit is out of range")
        start, end = _instant(query, "start"), _instant(query, "end")
        found = [
            request
            for request in self._requests
            if request.project_id == project_id
            and now - KEPT <= request.at <= now - lag
            and (start is None or start <= request.at)
            and (end is None or request.at <= end)
            and all(query.get(name, of(request)) == of(request) for name, of in _FILTERS.items())
        ]
        found.sort(key=lambda request: request.at, reverse=True)
        return Page(page, limit, tuple(found[page * limit : (page + 1) * limit]))


_FILTERS: Mapping[str, Callable[[Request], str]] = {
    "accessor": lambda request: request.key_id,
    "request_id": lambda request: request.request_id,
    "endpoint": lambda request: request.endpoint,
    "status": lambda _request: "succeeded",
    "deployment": lambda _request: "hosted",
    "method": lambda _request: "sync",
}


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    return int(query.get(name, default))


def _instant(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if text is None:
        return None
    if not _DAY.fullmatch(text) and not _MOMENT.fullmatch(text):
        raise ValueError(f"{name} can't be read")
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
