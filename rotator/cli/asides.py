"""What a person has to know besides a table: holds and their cures, keys that are left alone, troubles."""

from __future__ import annotations

from collections.abc import Sequence

from rotator.cli import words
from rotator.cli.failures import cure_of
from rotator.cli.lines import Report, Unserved
from rotator.cli.text import paragraph
from rotator.inventory.records import Trouble
from rotator.model.reason import HoldReason
from rotator.plan.actions import Hold
from rotator.policy.match import Exclusion

_NAMED = 6
"""So many lineages of one kind are named, and the others counted: a table, or the JSON document, names all."""


def of(report: Report) -> list[str]:
    """Return what a person has to know besides: holds and their cures, strays, troubles."""
    sections = []
    held: dict[HoldReason, list[str]] = {}
    for line in report.lines:
        if isinstance(line.decision, Hold):
            held.setdefault(line.decision.reason, []).append(line.lineage)
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
        ("Held, a person is needed:", [_held(reason, lineages) for reason, lineages in held.items()]),
        ("Under no policy any more:", [_uncovered(report.uncovered)] if report.uncovered else []),
        ("Named under `keys:`, but not there:", missing),
        ("Keys of ours that work and that nobody serves:", unserved),
        ("Strays, keys with our mark that no record leads to (never touched):", strays),
    ):
        sections.append(section(title, items))
    return [*sections, troubles(report.troubles)]


def troubles(some: Sequence[Trouble]) -> str:
    """Return what kept part of the fleet from being looked at, and what can be done about it."""
    return section("Not looked at:", [f"{t.what}: {t.error}. To do: {cure_of(t.error)}" for t in some])


def section(title: str, items: Sequence[str]) -> str:
    """Return a list with a title, nothing for one without items."""
    return "\n".join([title, *(paragraph(item, indent="  ") for item in items)]) if items else ""


def excluded(report: Report) -> str:
    """Return how many keys no policy takes, by reason and provider, and which policies select nothing.

    Those that are in a lineage already were taken, and show there.
    """
    places: dict[Exclusion, list[tuple[str, int]]] = {}
    for provider, counts in sorted(report.excluded.items()):
        for reason, count in sorted(counts.items()):
            if reason is Exclusion.NAMED_BY_RECORD:
                continue
            places.setdefault(reason, []).append((provider, count))
    lines = [
        paragraph(f"{_spread(some)}: {words.EXCLUSION[reason]}", indent="  ")
        for reason, some in sorted(places.items())
    ]
    idle = [
        paragraph(f"{name}: its `select` takes no key, and it covers no lineage", indent="  ")
        for name in report.idle
    ]
    return joined(
        "\n".join(["Keys that no policy takes in:", *lines]) if lines else "",
        "\n".join(["Policies without a key:", *idle]) if idle else "",
    )


def _held(reason: HoldReason, lineages: Sequence[str]) -> str:
    return f"{named(lineages)}: {words.HOLD[reason]}. To do: {words.CURE[reason]}"


def _uncovered(lineages: Sequence[str]) -> str:
    return f"{named(lineages)}: {words.UNCOVERED}. To do: {words.COVER}"


def named(lineages: Sequence[str], most: int = _NAMED) -> str:
    """Return some of them by name, and how many more there are."""
    more = f" and {len(lineages) - most} more" if len(lineages) > most else ""
    return f"{', '.join(lineages[:most])}{more}"


def _spread(some: Sequence[tuple[str, int]]) -> str:
    said = ", ".join(f"{count} at {provider}" for provider, count in some)
    return said if len(some) == 1 else f"{sum(count for _, count in some)} ({said})"


def joined(*sections: str) -> str:
    """Return sections with an empty line between them; empty ones are left out."""
    return "\n\n".join(section for section in sections if section)


def _end_of(one: Unserved) -> str:
    """Say how a key of ours that nobody serves comes to its end."""
    if one.ends:
        return "leaves after the next publish"
    if one.forgotten:
        return "its lineage was forgotten, and nothing ends it"
    if one.held:
        return "no rotation that would end it is to come while its lineage is held: what to do is told with the hold"
    if one.needs_person:
        return (
            f"no rotation is to come that would end it. To do: order one with `rotator rotate {one.lineage}`, or see that "
            "nobody uses it, and delete it at the provider"
        )
    return "no rotation is to come that would end it, though a process may still be at work on it"
