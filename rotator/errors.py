"""Every error that crosses a boundary of ours, split by what the caller may do next.

    RotatorError
    ├─ PolicyError          the file is wrong: where, what, what is allowed     exit 78
    ├─ PortError            raised by adapters only: operation and target
    │   ├─ Unavailable      never reached, or refused before acting             try again later
    │   ├─ Throttled        429: refused before acting                          try again at `retry_after`
    │   ├─ Ambiguous        a write was sent and may have happened              observe again, never repeat
    │   ├─ Conflict         somebody else wrote (check-and-set, 409)            observe again
    │   ├─ Denied           our own credential was refused                      start nothing new, tell
    │   ├─ NotFound         an answer: there is no such thing                   the caller knows what it means
    │   └─ Rejected         any other refusal, or an answer that makes no sense hold until the policy changes
    │       ├─ TooNew       a newer version of ours wrote it                    leave it, tell which version it takes
    │       └─ LostJournal  there was a journal, and it is gone                 begin none, tell
    └─ InvariantViolation   a bug, or an unsafe action refused                  hold, tell, never repeat

An adapter translates every error of its vendor into one of these. Their texts never hold a body, a
header or a secret: only the operation, the target, the status and, from a closed list, the vendor's
error code.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


class RotatorError(Exception):
    """The root of the tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a policy file: where it is, what it is, and what to write instead.

    `line` and `column` count from 1; 0 means that the file has no such place. `path` is the place in
    the document, such as `policies[2].overlap`. No field ever holds text found where a secret may stand.
    """

    file: str
    line: int
    column: int
    path: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        """Render as `FILE:LINE:COLUMN: PATH: WHAT (HINT)`."""
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        path = f" {self.path}:" if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}:{path} {self.what}{hint}"


class PolicyError(RotatorError):
    """The policy file can't be used. Holds every problem found, in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Keep `problems`, at least one."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class PortError(RotatorError):
    """A call to a provider or to Vault did not give what was asked.

    `operation` is ours (`create key`, `write record`), `target` names the thing without any secret, and
    `detail` is a status, a vendor's error code or the class of a lower error.
    """

    def __init__(self, operation: str, target: str, detail: str = "") -> None:
        """Name what was being tried, on what, and what came back."""
        super().__init__(f"{operation} {target}" + (f": {detail}" if detail else ""))
        self.operation = operation
        self.target = target
        self.detail = detail


class Unavailable(PortError):
    """Nothing happened: not reached, or refused before acting. Try again later."""


class Throttled(PortError):
    """Refused before acting because of a rate limit."""

    def __init__(
        self, operation: str, target: str, detail: str = "", *, retry_after: timedelta | None = None
    ) -> None:
        """Keep when the other side said to come back, if it did."""
        super().__init__(operation, target, detail)
        self.retry_after = retry_after


class Ambiguous(PortError):
    """A write was sent and no usable answer came: it may have happened, or may happen yet."""


class Conflict(PortError):
    """Somebody else wrote first. Nothing of ours was written."""


class Denied(PortError):
    """Our own credential was refused, or lacks a right."""


class NotFound(PortError):
    """The other side says that there is no such thing. An answer, not a failure."""


class Rejected(PortError):
    """Refused for good, or answered with something that can't be understood."""


class TooNew(Rejected):
    """A newer version wrote it, and this one must neither act by it nor write over it."""


class LostJournal(Rejected):
    """There was a journal, and its control record, or all of it, is gone."""


class InvariantViolation(RotatorError):
    """An action that would break a promise was refused just before it was done."""
