"""What goes wrong on the way to the simulated Deepgram and back, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Operation(StrEnum):
    """The calls that the simulator knows."""

    PROJECTS = "projects"
    LIST = "list"
    GET = "get"
    CREATE = "create"
    DELETE = "delete"
    PROVE = "prove"
    LISTEN = "listen"
    REQUESTS = "requests"
    MEMBERS = "members"
    MEMBER_SCOPES = "member_scopes"


class Fault(StrEnum):
    """What happens to one call."""

    REFUSED = "refused"
    """Nothing is done; the connection is reset."""
    LOST = "lost"
    """It is done; the connection is reset without an answer."""
    LATE = "late"
    """The connection is reset now; it is done later."""
    ERROR500 = "error500"
    """Nothing is done; 500."""
    ERROR500_DONE = "error500_done"
    """It is done; 500."""
    THROTTLED = "throttled"
    """Nothing is done; 429 with the Retry-After of the simulator."""
    FORBIDDEN = "forbidden"
    """Nothing is done; 403 for a missing right."""
    GARBLED = "garbled"
    """It is done; 200 with half of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A fault that awaits a call. `delay` is how late a LATE call is done."""

    fault: Fault
    delay: timedelta


class Faults:
    """Which coming calls go wrong. May be changed at any time."""

    def __init__(self) -> None:
        """Let everything go well."""
        self._once: dict[Operation, dict[int, Planned]] = {}
        self._always: dict[Operation, Planned] = {}

    def schedule(
        self, operation: Operation, fault: Fault, *, nth: int = 1, delay: timedelta = timedelta(minutes=1)
    ) -> None:
        """Let the `nth` call of that operation from now on go wrong, once."""
        self._once.setdefault(operation, {})[nth] = Planned(fault=fault, delay=delay)

    def switch_on(
        self, operation: Operation, fault: Fault, *, delay: timedelta = timedelta(minutes=1)
    ) -> None:
        """Let every call of that operation go wrong, until `clear`."""
        self._always[operation] = Planned(fault=fault, delay=delay)

    def clear(self) -> None:
        """Let everything go well again."""
        self._once.clear()
        self._always.clear()

    def take(self, operation: Operation) -> Planned | None:
        """Return what happens to the call of that operation which has just come."""
        waiting = self._once.get(operation, {})
        planned = waiting.pop(1, None)
        self._once[operation] = {nth - 1: later for nth, later in waiting.items()}
        return planned or self._always.get(operation)
