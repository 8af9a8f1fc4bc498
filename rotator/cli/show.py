"""The tables and sentences of `plan`, `status` and `once`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from rotator.cli import colours, words
from rotator.cli.failures import cure_of
from rotator.cli.lines import Line, Phase, Report, Unserved
from rotator.cli.text import paragraph, short, table
from rotator.cli.times import absolute, both, relative
from rotator.inventory.records import Trouble
from rotator.model.key import Key
from rotator.model.record import KnownKey
from rotator.plan.actions import Adopt, Hold, Revoke, Rotate
from rotator.plan.invariants import Obstacle
from rotator.policy import policy as policies
from rotator.policy.schedule import due


def plan(report: Report) -> str:
    """Return what would be done, the most urgent first, and what is left out."""
    titles = ("LINEAGE", "KEY IN USE", "EXPIRES", "LATEST SAFE START", "DECISION")
    rows = [
        (
            line.lineage,
            _short(line.key),
            _instant(line.expires_at, line.now),
            _instant(line.latest_safe_start, line.now),
            _next(line),
        )
        for line in report.lines
    ]
    return _sections(
        _counted(report),
        table(titles, rows, {len(titles) - 1: colours.beginning}) if rows else "",
        *_asides(report),
        _excluded(report),
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
    return _sections(
        _counted(report),
        table(titles, rows, {1: colours.word, len(titles) - 1: colours.beginning}) if rows else "",
        *_asides(report),
        _excluded(report),
    )


def once(report: Report, *, stopped: bool) -> str:
    """Return what was done about every lineage, and where it stands now."""
    rows = [(line.lineage, _done(line), _stands(line)) for line in report.lines]
    shown = table(("LINEAGE", "DONE", "STANDS"), rows, {2: colours.beginning}) if rows else ""
    return _sections(shown, *_asides(report), _summary(report, stopped=stopped))


def _next(line: Line) -> str:
    """Return what will be done, or why nobody knows."""
    if line.decision is None:
        return f"unknown: {line.error}" if line.error else "unknown"
    said = words.decision(line.decision, line.now)
    return f"{said}, {_after_adoption(line)}" if isinstance(line.decision, Adopt) else said


def _after_adoption(line: Line) -> str:
    """Return when a key that is about to be taken in will be rotated."""
    matched = line.snapshot.matched if line.snapshot else None
    if line.snapshot is None or matched is None:
        return "then as the policy says"
    if line.policy.adopt is policies.Adopt.NOW:
        return "then rotate it at once"
    now = line.snapshot.on_provider_clock(line.now)
    first = due(line.policy, line.snapshot.lineage.lineage_id, KnownKey.seen(matched), taken_in_at=now)
    if first is None:
        return "which is never due: it has no expiry, and the policy no `max_age`"
    if first.at <= line.now:
        return f"then rotate it at once: {words.ROTATE[first.reason]}"
    return f"then rotate {both(first.at, line.now)}"


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


def _done(line: Line) -> str:
    counts = Counter(words.done(action) for action in line.done)
    return (
        "\n".join(f"{said} ({count} times)" if count > 1 else said for said, count in counts.items()) or "-"
    )


def _besides(line: Line) -> list[str]:
    """Return what went wrong last, and why old keys whose time is over are still there."""
    said = []
    if line.phase is Phase.PAUSED and line.snapshot:
        said.append(f"pause of {line.snapshot.paused}")
        if line.latest_safe_start is not None and line.latest_safe_start <= line.now:
            said.append("the pause lasts too long: its latest safe start is over")
    if line.record is not None and line.record.standing is not None:
        order = line.record.standing
        said.append(
            f"{order.kind} ordered by {order.who} {relative(order.at, line.now)}: {order.why}".rstrip(": ")
        )
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


def _asides(report: Report) -> list[str]:
    """Return what a person has to know besides: holds and their cures, strays, troubles."""
    sections = []
    held = [
        f"{line.lineage}: {words.HOLD[line.decision.reason]}. To do: {words.CURE[line.decision.reason]}"
        for line in report.lines
        if isinstance(line.decision, Hold)
    ]
    strays = [
        f"{stray.key.key_id} at {stray.provider}, comment {stray.key.operator_comment!a}. To do: find out "
        "whether anybody uses it; if not, delete it at the provider"
        for stray in report.strays
    ]
    missing = [
        f"{line.missing_key_id} at {line.provider} (policy {line.policy.name}, for {line.lineage}). To do: see that the "
        "id is right, and that the management key may list the key; else take it out of the policy"
        for line in report.lines
        if line.missing_key_id is not None
    ]
    unserved = [
        f"{one.key.key_id} at {one.provider}, made for {one.lineage}: " + _end_of(one)
        for one in report.unserved
    ]
    for title, items in (
        ("Held, a person is needed:", held),
        ("Named under `keys:`, but not there:", missing),
        ("Keys of ours that work and that nobody serves:", unserved),
        ("Strays, keys with our mark that no record leads to (never touched):", strays),
    ):
        sections.append(_section(title, items))
    return [*sections, troubles(report.troubles)]


def troubles(some: Sequence[Trouble]) -> str:
    """Return what kept part of the fleet from being looked at, and what can be done about it."""
    return _section("Not looked at:", [f"{t.what}: {t.error}. To do: {cure_of(t.error)}" for t in some])


def _section(title: str, items: Sequence[str]) -> str:
    return "\n".join([title, *(paragraph(item, indent="  ") for item in items)]) if items else ""


def _excluded(report: Report) -> str:
    """Return how many keys no policy takes, by provider and reason, and which policies select nothing."""
    lines = [
        paragraph(f"{count} at {provider}: {words.EXCLUSION[reason]}", indent="  ")
        for provider, counts in sorted(report.excluded.items())
        for reason, count in sorted(counts.items())
    ]
    idle = [
        paragraph(f"{name}: its `select` takes no key, and it covers no lineage", indent="  ")
        for name in report.idle
    ]
    return _sections(
        "\n".join(["Keys that no policy takes in:", *lines]) if lines else "",
        "\n".join(["Policies without a key:", *idle]) if idle else "",
    )


def _counted(report: Report) -> str:
    count = len(report.lines)
    lineages = "1 lineage" if count == 1 else f"{count} lineages"
    return paragraph(f"{lineages}, seen at {absolute(report.now)}; nothing was touched")


def _summary(report: Report, *, stopped: bool) -> str:
    """Return one line that says what a sweep came to."""
    lines = report.lines
    done = [action for line in lines for action in line.done]
    counts = (
        (sum(isinstance(action, Adopt) for action in done), "taken in"),
        (sum(isinstance(action, Rotate) for action in done), "rotated"),
        (sum(isinstance(action, Revoke) for action in done), "old keys deleted"),
        (sum(line.claimed for line in lines), "skipped, at work elsewhere"),
        (sum(line.phase is Phase.PAUSED for line in lines), "paused"),
        (sum(line.left for line in lines), "left for later"),
        (sum(isinstance(line.decision, Hold) for line in lines), "held"),
        (sum(line.phase is Phase.FAILING or line.error is not None for line in lines), "failed"),
    )
    said = ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing to do"
    end = "; stopped before the end" if stopped else ""
    return f"{'1 lineage' if len(lines) == 1 else f'{len(lines)} lineages'}: {said}{end}"


def _sections(*sections: str) -> str:
    return "\n\n".join(section for section in sections if section)


def _short(key: Key | KnownKey | None) -> str:
    return "-" if key is None else short(key.key_id)


def _version(line: Line) -> str:
    current = line.record.current if line.record else None
    return f"\nversion {current.version}" if current else ""


def _instant(at: datetime | None, now: datetime) -> str:
    return "-" if at is None else f"{relative(at, now)}\n{absolute(at)}"


def _end_of(one: Unserved) -> str:
    """Say how a key of ours that nobody serves comes to its end."""
    if one.ends:
        return "leaves after the next publish"
    if one.forgotten:
        return "its lineage was forgotten, and nothing ends it"
    if one.needs_person:
        return "no rotation is to come that would end it. To do: see that nobody uses it, and delete it at the provider"
    return "no rotation is to come that would end it, though a process may still be at work on it"
