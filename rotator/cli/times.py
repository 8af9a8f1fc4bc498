"""Instants and lengths of time, as people read them and as they write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rotator.policy.duration import FORMS, parse_duration

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_UNITS_SHOWN = 2
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9000, 1, 1, tzinfo=UTC)
_FURTHEST = timedelta(days=3 * 366)


def rough(duration: timedelta) -> str:
    """Return a length of time in its two largest units, such as `8d3h`."""
    left = int(abs(duration).total_seconds())
    parts: list[tuple[int, str]] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if parts or count:
            parts.append((count, unit))
    return "".join(f"{count}{unit}" for count, unit in parts[:_UNITS_SHOWN] if count) or "0s"


def relative(at: datetime, now: datetime) -> str:
    """Return how far `at` is from `now`: `in 8d3h` or `2h ago`."""
    return f"in {rough(at - now)}" if at >= now else f"{rough(now - at)} ago"


def absolute(at: datetime) -> str:
    """Return an instant to the minute, in UTC (`Z`)."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def exact(at: datetime) -> str:
    """Return an instant to the second, in UTC (`Z`)."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def both(at: datetime, now: datetime) -> str:
    """Return an instant in both ways, in one line."""
    return f"{relative(at, now)} ({absolute(at)})"


def rfc3339(at: datetime) -> str:
    """Return an instant as programs read it, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_instant(text: str, now: datetime) -> datetime:
    """Return the instant that `text` means: RFC 3339, or `+DURATION` from `now`.

    Raise ValueError for other texts, and for instants to which nothing could be added any more, or taken from.
    """
    at = _parsed(text, now)
    if not _FIRST <= at < _END:
        message = "not an instant from the years 1970 to 8999"
        raise ValueError(message)
    return at.astimezone(UTC)


def parse_until(text: str, now: datetime) -> datetime:
    """Return the instant after `now` that `text` means: DURATION from `now` on, or as `parse_instant`.

    Raise ValueError for other texts, for what is over, and for what is too far off to be foretold.
    """
    try:
        at = now + parse_duration(text)
    except ValueError:
        try:
            at = parse_instant(text, now)
        except ValueError:
            at = now
    if not now < at <= now + _FURTHEST:
        message = "not a time to come within three years; write 90d, or 2027-03-01T00:00:00Z"
        raise ValueError(message)
    return at


def _parsed(text: str, now: datetime) -> datetime:
    if text.startswith("+"):
        try:
            return now + parse_duration(text[1:])
        except ValueError as error:
            message = f"{error} after `+`; {FORMS}"
        except OverflowError:
            message = "later than any calendar goes"
        raise ValueError(message)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        message = "not an instant; write 2026-12-24T02:00:00Z, or +7d for seven days later"
        raise ValueError(message)
    return at
