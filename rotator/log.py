"""Structured logs on standard error, as JSON lines or for people, with a last defence against secrets in them.

No caller gives a secret to a logger: secrets travel in a type that does not show itself. Should one get here
all the same (a vendor's error text, a header), it is cut out by its name or its shape before the line is
written. Libraries are heard from WARNING on, through the same defence. Tracebacks carry no local variables.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error"]
"""How much our own loggers say."""

Form = Literal["json", "console"]
"""One JSON object per line, or lines for people."""

REDACTED: Final = "[redacted]"
"""What stands where something that looks like a secret was cut out."""

_DEEPEST: Final = 8
"""Values nested deeper than this are shown as one text."""

_SECRET_NAME = re.compile(
    r"(^|_)(authorization|token|secret|secret_id|password|passwd|api_key|apikey|private_key|jwt|cookie)$"
)
_SECRET_TYPES: Final = frozenset({"Secret", "SecretStr", "SecretBytes"})
_SECRET_SHAPE = re.compile(
    r"""
      (?<=://)[^/\s@]+(?=@)                       # user and password in an address
    | (?<=\btoken\ )[\w.~+=-]{16,}                # Authorization: Token ...
    | (?<=\bbearer\ )[\w.~+=-]{16,}               # Authorization: Bearer ...
    | \beyJ[\w-]{8,}\.[\w-]+\.[\w-]*              # a JSON Web Token
    | \b(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{20,}     # a Vault token
    | [A-Za-z0-9]{40,}                            # a provider's secret; long digests go with it
    """,
    re.VERBOSE | re.IGNORECASE,
)


def configure(level: Level, form: Form) -> None:
    """Send every log line of this process to standard error. May be called again; the last call counts."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _StandardError)]:
        root.removeHandler(handler)
    standard_error = _StandardError()
    standard_error.setFormatter(_formatter(form))
    root.addHandler(standard_error)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(threshold, logging.WARNING))
    logging.getLogger("rotator").setLevel(threshold)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_preamble(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module, called with its `__name__`. May be called before `configure`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is at the moment, and never shows a line that could not be rendered."""

    def __init__(self) -> None:
        """Bypass the fixed stream of the base class."""
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The standard error of this moment."""
        return sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the name is logging's)
        """Say which logger failed, if possible; the default would print the record's arguments as they are."""
        # A log line must not fail the caller, who may be in the middle of a rotation.
        with contextlib.suppress(Exception):
            error = sys.exception()
            number = f" {error.errno}" if isinstance(error, OSError) else ""
            why = f"{type(error).__name__}{number}"
            sys.stderr.write(f"rotator: a log line of {record.name} could not be written ({why})\n")


def _preamble() -> list[Processor]:
    """Return what is added to each line, ours and those of libraries."""
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(form: Form) -> logging.Formatter:
    """Return what makes one line (in the form for people: one line and an indented traceback) of a record."""
    rendering: list[Processor]
    if form == "json":
        transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        rendering = [
            structlog.processors.ExceptionRenderer(transformer),
            _clean_event,
            structlog.processors.JSONRenderer(),
        ]
    else:
        rendering = [
            structlog.processors.format_exc_info,
            _clean_event,
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
            ),
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_preamble(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )


def _clean_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Cut out what looks like a secret, and escape what could forge a line or steer a terminal."""
    traceback = event.pop("exception", None)
    cleaned: EventDict = {
        _clean_text(str(name)): _clean(value, name=str(name)) for name, value in event.items()
    }
    if isinstance(traceback, str):
        cleaned["exception"] = "\n".join(f"    {_clean_text(line)}" for line in traceback.split("\n"))
    elif traceback is not None:
        cleaned["exception"] = _clean(traceback)
    return cleaned


def _clean(value: object, *, name: str = "", depth: int = 0) -> Any:  # noqa: ANN401 (whatever JSON can hold)
    """Return `value` in terms of JSON, without secrets and control characters."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAME.search(name.lower().replace("-", "_")) or type(value).__name__ in _SECRET_TYPES:
        return REDACTED
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if depth < _DEEPEST:
        if isinstance(value, Mapping):
            return {_clean_text(str(k)): _clean(v, name=str(k), depth=depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [_clean(item, name=name, depth=depth + 1) for item in value]
        if isinstance(value, AbstractSet):
            return sorted((_clean(item, name=name, depth=depth + 1) for item in value), key=str)
    return _clean_text(_shown(value))


def _shown(value: object) -> str:
    """Return the text of any object, even of one that can't be shown."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 (a log line must not fail the caller)
        return f"[a {type(value).__name__} that can't be shown]"


def _clean_text(text: str) -> str:
    """Return `text` without what looks like a secret, and with its unprintable characters escaped."""
    text = _SECRET_SHAPE.sub(REDACTED, text[:])  # the slice makes a plain text of an enum's member
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
