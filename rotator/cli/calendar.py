"""The calendar that `plan --until` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from rotator.cli import asides, words
from rotator.cli.lines import Report
from rotator.cli.text import paragraph, table
from rotator.cli.times import absolute, rfc3339
from rotator.model.reason import HoldReason, RevokeReason, WaitReason
from rotator.model.record import KnownKey
from rotator.plan.ages import OldestKey, oldest_key
from rotator.plan.calendar import Calendar, Crowd, Unrotated, forecast
from rotator.plan.course import Event, Subject, What
from rotator.plural import count
from rotator.policy.duration import show_duration
from rotator.policy.policy import NO_POLICY, Policy

_SHOWN_EACH = 50
"""Up to so many events are shown one by one, more by days."""

_NAMED_EACH_DAY = 2
_LISTED = 10


@dataclass(frozen=True, slots=True)
class Foretold:
    """What would be done, and how old keys get, as a document and as text."""

    calendar: Calendar
    ages: tuple[OldestKey, ...]
    starts_per_hour: int
    report: Report

    @property
    def document(self) -> dict[str, object]:
        """It as a document."""
        calendar = self.calendar
        return {
            "until": rfc3339(calendar.until),
            "cut": calendar.cut,
            "events": [_event(event) for event in calendar.events],
            "crowds": [
                {
                    "at": rfc3339(one.at),
                    "last_at": rfc3339(one.last_at),
                    "waiting": dict(one.waiting),
                    "missed": one.missed,
                }
                for one in calendar.crowds
            ],
            "unrotated": [
                {
                    "lineage": one.lineage,
                    "why": one.why.value,
                    "expires_at": _instant(one.expires_at),
                    "latest_safe_start": _instant(one.safe_until),
                }
                for one in calendar.unrotated
            ],
            "oldest_keys": [
                {
                    "policy": one.policy,
                    "lineages": one.lineages,
                    "most": None if one.most is None else one.most.total_seconds(),
                    "parts": [{"what": what, "length": length.total_seconds()} for what, length in one.parts],
                }
                for one in self.ages
            ],
        }

    @property
    def shown(self) -> str:
        """It as text."""
        calendar = self.calendar
        return asides.joined(
            self._counted(),
            _table(calendar.events),
            asides.section(
                f"More could begin than may (`starts_per_hour` is {self.starts_per_hour}), so that some wait:",
                _some([_crowd(one) for one in calendar.crowds]),
            ),
            asides.section(
                "Begun although all is closed, for an expiry can't wait:",
                _some([f"{absolute(one.at)} {one.lineage}" for one in calendar.events if one.overrides]),
            ),
            asides.section(
                "Their latest safe start comes before then, and no time rotates them:",
                _by_why([one for one in calendar.unrotated if _is_late(one, calendar)]),
            ),
            asides.section(
                "No time rotates, and there is time:",
                _by_why([one for one in calendar.unrotated if not _is_late(one, calendar)]),
            ),
            asides.section(
                "How old a key gets until it is deleted, if no more than one try fails; waits for a start "
                f"(`starts_per_hour`) count until {absolute(calendar.until)}:",
                [_oldest(one) for one in self.ages],
            ),
            *asides.of(self.report),
        )

    def _counted(self) -> str:
        calendar, lines = self.calendar, len(self.report.lines)
        whats = Counter(event.what for event in calendar.events)
        cut = f"; there it ends, after {len(calendar.events)} events" if calendar.cut else ""
        return paragraph(
            f"{count(lines, 'lineage')}, seen at {absolute(calendar.now)}; until "
            f"{absolute(calendar.until)}, if nothing goes wrong: {count(whats[What.ROTATE], 'rotation')}, "
            f"{count(whats[What.RETIRE], 'old key')} deleted{cut}"
        )


def foretold(report: Report, until: datetime, starts_per_hour: int) -> Foretold:
    """Return what would be done until then about the lineages of a report."""
    subjects = [
        Subject(
            lineage=line.lineage,
            provider=line.provider,
            policy=line.policy,
            snapshot=line.snapshot,
            decision=line.decision,
        )
        for line in report.lines
        if line.snapshot is not None and line.decision is not None
    ]
    calendar = forecast(subjects, now=report.now, until=until, starts_per_hour=starts_per_hour)
    keys: dict[str, tuple[Policy, list[KnownKey]]] = {}
    for subject in subjects:
        if subject.key is not None and subject.policy.name != NO_POLICY:
            keys.setdefault(subject.policy.name, (subject.policy, []))[1].append(subject.key)
    ages = tuple(
        oldest_key(policy, some, report.now, until, waits=calendar.longest_waits.get(name, timedelta(0)))
        for name, (policy, some) in sorted(keys.items())
    )
    return Foretold(calendar, ages, starts_per_hour, report)


def _table(events: Sequence[Event]) -> str:
    if not events:
        return ""
    if len(events) <= _SHOWN_EACH:
        return table(("WHEN", "WHAT"), [(absolute(event.at), _said(event)) for event in events])
    days = groupby(events, key=_day)
    return table(("DAY", "ROTATE", "DELETE", "ROTATED"), [_row(day, list(some)) for day, some in days])


def _row(day: date, events: list[Event]) -> tuple[str, str, str, str]:
    rotated = [event for event in events if event.what is What.ROTATE]
    names = asides.named([event.lineage for event in rotated], _NAMED_EACH_DAY)
    counts = _by_provider(Counter(event.provider for event in rotated))
    deleted = len(events) - len(rotated)
    return day.isoformat(), _number(len(rotated)), _number(deleted), f"{counts}: {names}" if rotated else ""


def _day(event: Event) -> date:
    return event.at.date()


def _said(event: Event) -> str:
    if isinstance(event.reason, RevokeReason):
        return f"delete the old key of {event.lineage}: {words.REVOKE[event.reason]}"
    overrides = f"; {words.OVERRIDES[event.overrides]}" if event.overrides else ""
    crowded = (
        f"; there is no room for it at {absolute(event.wished_at)}" if event.at > event.wished_at else ""
    )
    return f"rotate {event.lineage}: {words.ROTATE[event.reason]}{overrides}{crowded}"


def _crowd(one: Crowd) -> str:
    closed = f", {one.missed} of them beyond their window" if one.missed else ""
    return f"{absolute(one.at)} to {absolute(one.last_at)}: {_by_provider(one.waiting)}{closed}"


def _some(items: Sequence[str]) -> list[str]:
    """Return the first of them, and how many more there are: the document has all."""
    more = len(items) - _LISTED
    return [*items[:_LISTED], *([f"and {more} more"] if more > 0 else [])]


def _by_provider(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} at {name}" for name, count in sorted(counts.items()))


def _number(count: int) -> str:
    return str(count) if count else "-"


def _is_late(one: Unrotated, calendar: Calendar) -> bool:
    return one.safe_until is not None and one.safe_until <= calendar.until


def _by_why(some: Sequence[Unrotated]) -> list[str]:
    """Return them by what keeps each from being rotated, with the first expiry of each."""
    whys: dict[HoldReason | WaitReason, list[Unrotated]] = {}
    for one in some:
        whys.setdefault(one.why, []).append(one)
    return [_kept(why, each) for why, each in whys.items()]


def _kept(why: HoldReason | WaitReason, some: Sequence[Unrotated]) -> str:
    first = min((one.expires_at for one in some if one.expires_at is not None), default=None)
    expires = "" if first is None else f"; the first key expires {absolute(first)}"
    return f"{asides.named([one.lineage for one in some])}: {words.stays(why)}{expires}"


def _oldest(one: OldestKey) -> str:
    begins = f"{one.policy} ({count(one.lineages, 'lineage')}): "
    if one.most is None:
        return f"{begins}without end: some keys do not expire, and no `max_age` is in force"
    parts = " + ".join(f"{what} {show_duration(length)}" for what, length in one.parts)
    return f"{begins}{show_duration(one.most)} = {parts}"


def _event(event: Event) -> dict[str, object]:
    return {
        "at": rfc3339(event.at),
        "what": event.what.value,
        "lineage": event.lineage,
        "provider": event.provider,
        "policy": event.policy,
        "reason": event.reason.value,
        "wished_at": rfc3339(event.wished_at),
        "overrides": event.overrides.value if event.overrides else None,
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
