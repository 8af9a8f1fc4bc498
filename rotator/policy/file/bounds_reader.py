"""Reading `window` and `freeze`."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rotator.policy import windows
from rotator.policy.duration import show_duration
from rotator.policy.file.fields import Fields
from rotator.policy.file.policy_options import (
    CRON_OF_WINDOW,
    END_OF_FREEZE,
    FREEZE,
    LENGTH_OF_WINDOW,
    START_OF_FREEZE,
    WHY_OF_FREEZE,
    WINDOW,
    ZONE_OF_FREEZE,
    ZONE_OF_WINDOW,
)
from rotator.policy.policy import Freeze, Window

_FIRST_YEAR, _LAST_YEAR = 1970, 8999
_NEVER = datetime.min.replace(tzinfo=UTC)


def read_windows(fields: Fields) -> tuple[Window, ...]:
    """Return the windows of a policy."""
    return tuple(_window(each) for each in fields.each(WINDOW))


def read_freezes(fields: Fields) -> tuple[Freeze, ...]:
    """Return the freezes of a policy."""
    return tuple(_freeze(each) for each in fields.each(FREEZE))


def _window(fields: Fields) -> Window:
    window = Window(
        cron=fields.take(CRON_OF_WINDOW),
        length=fields.take(LENGTH_OF_WINDOW),
        zone=fields.take(ZONE_OF_WINDOW),
    )
    fields.close()
    if window.length > windows.LONGEST:
        what = f"{show_duration(window.length)} is longer than {show_duration(windows.LONGEST)}"
        fields.refuse(LENGTH_OF_WINDOW, what, "several windows together can be open for longer")
    if not windows.opens_each_year(window):
        fields.refuse(CRON_OF_WINDOW, "a time that does not come in each year", "nothing can wait for it")
    return window


def _freeze(fields: Fields) -> Freeze:
    starts, ends = fields.take(START_OF_FREEZE), fields.take(END_OF_FREEZE)
    why, zone = fields.take(WHY_OF_FREEZE), fields.take(ZONE_OF_FREEZE)
    fields.close()
    for option, day in ((START_OF_FREEZE, starts), (END_OF_FREEZE, ends)):
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            fields.refuse(
                option, "a day out of reach", f"the years {_FIRST_YEAR} to {_LAST_YEAR} can be written"
            )
            return Freeze(starts_at=_NEVER, ends_at=_NEVER)
    last = ends if isinstance(ends, datetime) else ends + timedelta(days=1)
    freeze = Freeze(starts_at=min(_instants(starts, zone)), ends_at=max(_instants(last, zone)), why=why or "")
    if freeze.ends_at <= freeze.starts_at:
        fields.refuse(
            END_OF_FREEZE, "`to` is not after `from`", "both days belong to the freeze; a time ends it"
        )
    return freeze


def _instants(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the instants that a time, or the begin of a day, may mean: two where the clock shows it twice, or never."""
    local = day if isinstance(day, datetime) else datetime.combine(day, time())
    if local.tzinfo is None:
        local = local.replace(tzinfo=zone)
    return local.replace(fold=0).astimezone(UTC), local.replace(fold=1).astimezone(UTC)
