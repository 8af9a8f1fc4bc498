"""The canary: a text that every secret in a test carries, and that may show up nowhere else.

`tests.support.guards` looks for it in the logs, the output and the exceptions of each test. What a test produces
elsewhere (a journal, the output or the arguments of a process it started) it gives to `scan` itself.
"""

from __future__ import annotations

import base64
import hashlib
import re
import traceback

CANARY = "CANARY"


def secret_text(label: str = "") -> str:
    """Return the value of a secret: 40 letters and digits with the canary, the same for the same label."""
    return CANARY + hashlib.sha256(label.encode()).hexdigest()[:34]


class LeakError(AssertionError):
    """The canary showed where no secret may be."""


findings: list[str] = []
"""What went wrong in the running test, whatever the code under test did with the exception. Emptied per test."""


def _forms() -> list[str]:
    """Return the canary as it looks plain, in hexadecimal, and in base64 at each of the three offsets."""
    value = CANARY.encode()
    encoded = [base64.b64encode(value).decode()]
    encoded += [base64.b64encode(b"\0" * n + value + b"\0" * (3 - n))[n + 1 : 8 + n].decode() for n in (1, 2)]
    return [CANARY, value.hex(), *encoded]


_SHOWN = re.compile("|".join(f"(?:{re.escape(form)})" for form in _forms()))
_WORD = re.compile(r"\S*?(?:" + _SHOWN.pattern + r")\w*")
_AROUND = 80


def leak_in(text: str, where: str) -> str | None:
    """Return a sentence that says where in `text` the canary shows, without it. None when it does not."""
    shown = _SHOWN.search(text)
    if shown is None:
        return None
    near = _WORD.sub("[a secret]", text[max(0, shown.start() - _AROUND) : shown.end() + _AROUND])
    return f"a secret shows in {where}: ...{near}..."


def text_of(error: BaseException) -> str:
    """Return what can be printed of `error`, its causes and its parts: texts, notes, arguments, attributes.

    The lines of source in a traceback are left out: a test may name the canary in its own code.
    """
    lines: list[str] = []
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending:
        each = pending.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        lines += [*traceback.format_exception_only(each), f"{each!r} {each.args!r} {vars(each)!r}"]
        if isinstance(each, BaseExceptionGroup):
            pending += each.exceptions
        context = None if each.__suppress_context__ else each.__context__
        pending += [linked for linked in (each.__cause__, context) if linked is not None]
    return "\n".join(lines)


def note(text: str, where: str) -> None:
    """Let the running test fail at its end if the canary shows in `text`."""
    leak = leak_in(text, where)
    if leak is not None:
        findings.append(leak)


def scan(text: str, where: str) -> None:
    """Raise LeakError if the canary shows in `text`, and let the running test fail even if that is caught."""
    note(text, where)
    leak = leak_in(text, where)
    if leak is not None:
        raise LeakError(leak)
