"""The tables and sentences of `plan`, `status` and `once`."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from rotator.cli import asides, colours, words
from rotator.cli.lines import Line, Report
from rotator.cli.text import paragraph, short, table
from rotator.cli.times import absolute, both, relative
from rotator.model.key import Key
from rotator.model.reason import RotateReason, WaitReason
from rotator.model.record import KnownKey
from rotator.plan.actions import Adopt, Copy, Hold, Revoke, Rotate, Wait
from rotator.plan.invariants import Obstacle
from rotator.plan.phase import Phase
from rotator.plural import count
from rotator.policy import policy as policies
from rotator.policy import windows
from rotator.policy.schedule import due, latest_safe_start, start

_BY_FREEZE = frozenset({WaitReason.FROZEN, WaitReason.OPENS_TOO_LATE})
_TROUBLED = frozenset({Phase.UNKNOWN, Phase.HELD, Phase.FAILING, Phase.PAUSED})


def plan(report: Report) -> str:
    """Return what would be done, the most urgent first, and what is left out."""
    titles = ("LINEAGE", "EXPIRES", "LATEST SAFE START", "DECISION")
    rows = [
        (
            line.lineage,
            _instant(line.expires_at, line.now),
            _instant(line.latest_safe_start, line.now),
            _next(line),
        )
        for line in report.lines
    ]
    return asides.joined(
        _counted(report),
        table(titles, rows, {len(titles) - 1: colours.beginning}) if rows else "",
        *asides.of(report),
        asides.excluded(report),
    )


def status(report: Report) -> str:
    """Return where every lineage stands, the most urgent first."""
    titles = ("LINEAGE", "PHASE", "KEY IN USE", "EXPIRES", "NEXT")
    rows = [
        (
            line.lineage,
            line.phase.value,
            _short(line.key) + _version(line),
            _instant(line.expires_at, line.now),
            "\n".join([_next(line), *_besides(line)]),
        )
        for line in report.lines
    ]
    return asides.joined(
        _counted(report),
        table(titles, rows, {1: colours.word, len(titles) - 1: colours.beginning}) if rows else "",
        *asides.of(report),
        asides.excluded(report),
    )


def once(report: Report, *, stopped: bool) -> str:
    """Return what was done, what was not, and where those lineages stand now. The others are only counted."""
    rows = [(line.lineage, _done(line), _stands(line)) for line in report.lines if not _quiet(line)]
    shown = table(("LINEAGE", "DONE", "STANDS"), rows, {2: colours.beginning}) if rows else ""
    return asides.joined(shown, *asides.of(report), _summary(report, stopped=stopped))


def _next(line: Line) -> str:
    """Return what will be done, or why nobody knows."""
    if line.decision is None:
        return f"unknown: {line.error}" if line.error else "unknown"
    said = words.decision(line.decision, line.now)
    if isinstance(line.decision, Adopt):
        return f"{said}, {_after_adoption(line)}"
    frozen = isinstance(line.decision, Wait) and line.decision.reason in _BY_FREEZE
    whys = (
        [freeze.why for freeze in windows.freezes_on(line.policy, line.now) if freeze.why] if frozen else []
    )
    return f"{said}: {', '.join(whys)}" if whys else said


def _after_adoption(line: Line) -> str:
    """Return when a key that is about to be taken in will be rotated."""
    matched = line.snapshot.matched if line.snapshot else None
    if line.snapshot is None or matched is None:
        return "then as the policy says"
    now, at_once = line.snapshot.on_provider_clock(line.now), line.policy.adopt is policies.Adopt.NOW
    first = due(line.policy, line.snapshot.lineage.lineage_id, KnownKey.seen(matched), taken_in_at=now)
    if first is None and not at_once:
        return "which is never due: it has no expiry, and the policy no `max_age`"
    due_at = now if first is None or at_once else max(first.at, now)
    begins = start(line.policy, due_at, latest_safe_start(line.policy, matched.expires_at))
    if begins.at > now:
        return f"then rotate {both(begins.at, line.now)}"
    return "then rotate it at once" + (f": {words.ROTATE[first.reason]}" if first and not at_once else "")


def _stands(line: Line) -> str:
    if line.error is not None:
        return "\n".join([f"failed: {line.error}", *_left_by_emergency(line)])
    if line.decision is None:
        return "not looked at: asked to stop"
    if line.claimed:
        return f"skipped: {_next(line)}"
    said = _next(line)
    if line.left:
        why = words.left(line.left_because) if line.left_because else "too many steps in one go"
        return f"left for later ({why}): {said}"
    return "\n".join([said, *_besides(line)])


def _quiet(line: Line) -> bool:
    """Return whether a lineage was taken in at most, and nothing is wrong with it."""
    acted = any(not isinstance(action, Adopt) for action in line.done)
    told = acted or line.left or line.error or line.claimed or _besides(line)
    return not told and line.phase not in _TROUBLED


def _done(line: Line) -> str:
    counts = Counter(words.done(action) for action in line.done)
    return (
        "\n".join(f"{said} ({times} times)" if times > 1 else said for said, times in counts.items()) or "-"
    )


def _besides(line: Line) -> list[str]:
    """Return what went wrong last, and why old keys whose time is over are still there."""
    said = []
    if line.phase is Phase.PAUSED and line.snapshot:
        said.append(f"pause of {line.snapshot.paused}")
        if line.latest_safe_start is not None and line.latest_safe_start <= line.now:
            said.append("the pause lasts too long: its latest safe start is over")
        if line.consumers_fail:
            said.append(f"the pause does harm: {words.ROTATE[RotateReason.SERVED_KEY_REFUSED]}")
    if line.record is not None and line.record.standing is not None:
        order = line.record.standing
        said.append(
            f"{order.kind} ordered by {order.who} {relative(order.at, line.now)}: {order.why}".rstrip(": ")
        )
    said += [
        f"also served at {one.label} until `rotator move {one.place.name} {line.lineage} --give-up`"
        for one in line.places
        if not one.present
    ]
    failure = line.failure
    if failure is not None:
        times = "once" if failure.count == 1 else f"{failure.count} times in a row"
        said.append(f"failed {times}, last {relative(failure.failed_at, line.now)}: {failure.what}")
    said += [
        f"old key {key.key_id} is kept: {words.OBSTACLE[key.obstacle]}"
        for key in line.alive
        if key.obstacle not in (None, Obstacle.OVERLAP, Obstacle.NOT_RELEASED)
    ]
    return said + _left_by_emergency(line)


def _left_by_emergency(line: Line) -> list[str]:
    """Return which keys an emergency ordered to go that are still there."""
    keys = [key.key_id for key in line.alive if key.at_once]
    return [f"STILL ALIVE after the emergency, until the next try: {', '.join(keys)}"] if keys else []


def _counted(report: Report) -> str:
    return paragraph(
        f"{count(len(report.lines), 'lineage')}, seen at {absolute(report.now)}; nothing was touched"
    )


def _summary(report: Report, *, stopped: bool) -> str:
    """Return one line that says what a sweep came to."""
    lines = report.lines
    done = [action for line in lines for action in line.done]
    deleted = sum(isinstance(action, Revoke) for action in done)
    counts = (
        (sum(isinstance(action, Adopt) for action in done), "taken in"),
        (sum(isinstance(action, Rotate) for action in done), "rotated"),
        (sum(isinstance(action, Copy) for action in done), "copied to another place"),
        (deleted, "old key deleted" if deleted == 1 else "old keys deleted"),
        (sum(line.claimed for line in lines), "skipped, at work elsewhere"),
        (sum(line.phase is Phase.PAUSED for line in lines), "paused"),
        (sum(line.left for line in lines), "left for later"),
        (sum(isinstance(line.decision, Hold) for line in lines), "held"),
        (sum(line.phase is Phase.FAILING or line.error is not None for line in lines), "failed"),
    )
    said = ", ".join(f"{number} {what}" for number, what in counts if number) or "nothing to do"
    end = "; stopped before the end" if stopped else ""
    return f"{count(len(lines), 'lineage')}: {said}{end}"


def _short(key: Key | KnownKey | None) -> str:
    return "-" if key is None else short(key.key_id)


def _version(line: Line) -> str:
    current = line.record.current if line.record else None
    return f"\nversion {current.version}" if current else ""


def _instant(at: datetime | None, now: datetime) -> str:
    return "-" if at is None else f"{relative(at, now)}\n{absolute(at)}"
