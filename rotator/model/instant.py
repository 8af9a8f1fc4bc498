"""Instants and spans that come from outside: only those with which arithmetic can go on.

Years 1 and 9999 are in the calendar, but adding an overlap or a lifetime to them is not. Nothing that is real here lies
outside of these bounds, so what does is a slip, or was made to do harm, and is refused where it is read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, AwareDatetime, Field

FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2999, 12, 31, tzinfo=UTC)


def bounded(instant: datetime) -> datetime:
    """Return `instant`, which is aware, as it is. Raise ValueError when no arithmetic could go on from it."""
    if not FIRST <= instant <= LAST:
        raise ValueError("an instant before 1970 or after 2999")
    return instant


Instant: TypeAlias = Annotated[AwareDatetime, AfterValidator(bounded)]
Span: TypeAlias = Annotated[timedelta, Field(ge=timedelta(0), le=LAST - FIRST)]
