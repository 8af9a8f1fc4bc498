"""Lengths of time as an operator writes them. Months and years are refused: they have no fixed length."""

from __future__ import annotations

import re
from datetime import timedelta

LONGEST = timedelta(days=36_500)
"""No duration is longer than a hundred years: more is a slip of the keyboard."""

FORMS = "write `90s`, `15m`, `12h`, `7d`, `2w`, a sum such as `1d12h`, or ISO 8601 such as `PT12H`"
"""What is allowed, for the hints of error messages."""

_SUM = re.compile(
    r"(?=.)(?:([0-9]{1,12})w)?(?:([0-9]{1,12})d)?(?:([0-9]{1,12})h)?(?:([0-9]{1,12})m)?(?:([0-9]{1,12})s)?"
)
_ISO = re.compile(
    r"P(?=.)(?:([0-9]{1,12})W)?(?:([0-9]{1,12})D)?"
    r"(?:T(?=.)(?:([0-9]{1,12})H)?(?:([0-9]{1,12})M)?(?:([0-9]{1,12})S)?)?"
)

PATTERN = f"(?:{_SUM.pattern}|{_ISO.pattern})"
"""The same as a pattern for JSON Schema, which can't tell of what is longer than `LONGEST`."""

_UNITS = (
    ("w", 7 * 86_400),
    ("d", 86_400),
    ("h", 3_600),
    ("m", 60),
    ("s", 1),
)
_SHOWN_IN_HOURS = 48 * 3_600


def parse_duration(text: str) -> timedelta:
    """Return the length that `text` means. Raise ValueError, without the text, when it means none.

    Units go from the largest to the smallest, each at most once, so that `1m1h` is not guessed at.
    """
    found = _SUM.fullmatch(text) or _ISO.fullmatch(text)
    if found is None:
        raise ValueError(_reason(text))
    seconds = sum(int(n) * size for n, (_, size) in zip(found.groups("0"), _UNITS, strict=True))
    if seconds > LONGEST.total_seconds():
        message = "longer than 100 years"
        raise ValueError(message)
    return timedelta(seconds=seconds)


def show_duration(duration: timedelta) -> str:
    """Return `duration`, in whole seconds, as an operator would write it: hours up to two days, then days."""
    left = int(duration.total_seconds())
    sizes = _UNITS[2:] if left < _SHOWN_IN_HOURS else _UNITS[1:]
    parts = []
    for unit, size in sizes:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _reason(text: str) -> str:
    """Return what is wrong with `text`, as closely as a common slip can be told."""
    if re.fullmatch(r"[0-9.]+", text):
        return "a number without a unit"
    if text.startswith("-"):
        return "a negative duration"
    if re.fullmatch(r"[0-9]+[My]|P[0-9]+[YM].*", text):
        return "a number of months or years, which have no fixed length"
    return "not a duration"
