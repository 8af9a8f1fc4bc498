"""Instants and spans that come from outside: only those with which arithmetic can go on.

Years 1 and 9999 are in the calendar, but what is a lifetime before or after them is not. An expiry in the year 9000 is
real: some write it for "never". What lies outside of these bounds is a slip, or was made to do harm, and is refused where
it is read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, AwareDatetime, Field

FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST: Final = datetime(9001, 1, 1, tzinfo=UTC)
LONGEST_SPAN: Final = timedelta(days=36_500)
"""As long as the longest that a policy can ask for."""


def bounded(instant: datetime) -> datetime:
    """Return `instant`, which is aware, in UTC. Raise ValueError when no arithmetic could go on from it.

    Each that pydantic reads has a zone of its own; of many thousands of records that is memory.
    """
    if not FIRST <= instant <= LAST:
        raise ValueError("an instant before 1970 or after 9000")
    return instant.astimezone(UTC)


Instant: TypeAlias = Annotated[AwareDatetime, AfterValidator(bounded)]
Span: TypeAlias = Annotated[timedelta, Field(ge=timedelta(0), le=LONGEST_SPAN)]
