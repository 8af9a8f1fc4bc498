"""`rotator discover`: all keys of all providers, and what matters about each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import click

from rotator.bootstrap import JOURNAL, Reached, reach, vault_namespace
from rotator.cli import documents, exits, stub, words
from rotator.cli.failures import status_of, tell_trouble
from rotator.cli.options import Options
from rotator.cli.progress import Progress
from rotator.cli.text import emit, paragraph, table
from rotator.cli.times import relative, rfc3339
from rotator.errors import PortError
from rotator.inventory.discover import Discovered, Discovery, discover
from rotator.inventory.records import Records, Trouble, read_records
from rotator.plan.whose import Role
from rotator.plural import count
from rotator.policy.duration import parse_duration, show_duration
from rotator.policy.settings import PolicyFile

_COUNTED = {
    "under_no_policy": "under no policy",
    "never_expiring": "never expiring",
    "beyond_usage": "with rights beyond usage",
    "old": "old",
    "expired": "expired",
    "temporary": "temporary (not shown)",
    "unreadable": "that can't be read",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the command has to show. `lineages_known`: the journal could be read, or there is none yet."""

    now: datetime
    older_than: timedelta
    providers: Mapping[str, Discovered]
    lineages_known: bool
    troubles: tuple[Trouble, ...]


def look_around(options: Options, older_than: str, *, as_stub: bool) -> int:
    """Show all keys, or a file to start from. Vault is asked for lineages only, and may be away."""
    options.start_logging()
    try:
        age = parse_duration(older_than)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--older-than") from None
    file = options.load()
    with options.progress() as progress:
        findings = asyncio.run(_look(file, age, progress))
    for trouble in findings.troubles:
        tell_trouble(trouble.what, trouble.error)
    if as_stub:
        emit(stub.text_of(file, findings.providers, findings.now, lineages_known=findings.lineages_known))
    else:
        options.emit(_document(findings), _shown(findings))
    lost = {status_of(one.error) for one in findings.troubles if one.what.startswith("provider ")}
    return exits.gravest(lost)


async def _look(file: PolicyFile, older_than: timedelta, progress: Progress) -> Findings:
    async with reach(file, progress=progress) as reached:
        troubles = list(reached.troubles)
        records = await _records(reached, troubles)
        found, unlisted = await discover(
            file,
            reached.providers,
            records,
            journal_id=reached.journal_id or "",
            namespace=vault_namespace(file),
            older_than=older_than,
        )
        return Findings(
            now=reached.clock.now(),
            older_than=older_than,
            providers=found,
            lineages_known=records is not None,
            troubles=(*troubles, *unlisted),
        )


async def _records(reached: Reached, troubles: list[Trouble]) -> Records | None:
    """Return all records, None when which there are is not known. Those that can't be read are troubles."""
    if reached.vault is None or reached.journal_id is None:
        return None
    try:
        records = await read_records(reached.vault.journal)
    except PortError as error:
        troubles.append(Trouble(what=JOURNAL, error=error))
        return None
    troubles += records.troubles
    return records


def _shown(findings: Findings) -> str:
    sections = []
    if not findings.lineages_known:
        sections.append(
            paragraph("Vault can't be read, so which of these keys are in lineages already is not known.")
        )
    for provider, found in findings.providers.items():
        sections.append(_counts(provider, found))
        rows = [_row(one, findings) for one in found.keys if not one.temporary]
        if rows:
            sections.append(table(("KEY", "MADE", "EXPIRES", "COMMENT"), rows))
        unreadable = [
            (one.key_id, f'"{one.comment}"\nits details can\'t be read: {one.why}')
            for one in found.listing.unreadable
        ]
        if unreadable:
            sections.append(table(("KEY", "COMMENT"), unreadable))
    return "\n\n".join(sections)


def _counts(provider: str, found: Discovered) -> str:
    counts = found.counts
    kinds = [f"{counts[name]} {said}" for name, said in _COUNTED.items() if counts[name]]
    lines = [paragraph(f"{provider}: {', '.join([count(counts['keys'], 'key'), *kinds])}")]
    if found.partial:
        lines.append(paragraph("Only keys of our own account are shown to us; other accounts may have more."))
    return "\n".join(lines)


def _row(one: Discovery, findings: Findings) -> tuple[str, ...]:
    key, now = one.key, findings.now
    expires = "never" if key.expires_at is None else relative(key.expires_at, now)
    comment = f'"{key.operator_comment}"' if key.operator_comment else "(no comment)"
    return (
        key.key_id,
        relative(key.created_at, now),
        expires,
        f"{comment}\n{'; '.join(_notes(one, findings))}",
    )


def _notes(one: Discovery, findings: Findings) -> Iterator[str]:
    """Yield what matters about a key."""
    yield _standing(one, lineages_known=findings.lineages_known)
    if one.expired:
        return
    if one.managing:
        yield f"may do more than usage: {', '.join(sorted(one.managing))}"
    if one.old:
        yield f"old: made over {show_duration(findings.older_than)} ago"


def _standing(one: Discovery, *, lineages_known: bool) -> str:
    """Return who looks after a key, or why nobody does."""
    owner = one.whose
    if owner.role is Role.CLAIMED_ELSEWHERE and not lineages_known:
        return "made by rotator, this installation or another"
    if owner.lineage is not None:
        return f"lineage {owner.lineage}: {words.ROLE[owner.role]}"
    if owner.role is not Role.FOREIGN:
        return words.ROLE[owner.role]
    if one.taken_by:
        place = f", for {one.lineage}" if one.lineage else ""
        return f"taken by policy {' and '.join(one.taken_by)}{place}"
    why = words.EXCLUSION[one.excluded] if one.excluded else "selected by no policy"
    return f"under no policy: {why}"


def _document(findings: Findings) -> dict[str, object]:
    return {
        "now": rfc3339(findings.now),
        "older_than": findings.older_than.total_seconds(),
        "lineages_known": findings.lineages_known,
        "providers": {
            provider: {
                "partial": found.partial,
                "counts": dict(found.counts),
                "keys": [_key(one) for one in found.keys],
                "unreadable": [
                    {"key_id": one.key_id, "comment": one.comment, "why": one.why}
                    for one in found.listing.unreadable
                ],
            }
            for provider, found in findings.providers.items()
        },
        "troubles": [
            {"what": trouble.what, **documents.of_error(trouble.error)} for trouble in findings.troubles
        ],
    }


def _key(one: Discovery) -> dict[str, object]:
    key = one.key
    return {
        "key_id": key.key_id,
        "comment": key.comment,
        "scopes": sorted(key.scopes),
        "tags": sorted(key.tags),
        "member_id": key.member_id,
        "created_at": rfc3339(key.created_at),
        "expires_at": None if key.expires_at is None else rfc3339(key.expires_at),
        "role": one.whose.role.value,
        "lineage": one.lineage,
        "policies": list(one.taken_by),
        "excluded": None if one.excluded is None else one.excluded.value,
        "beyond_usage": sorted(one.managing),
        "old": one.old,
        "expired": one.expired,
        "temporary": one.temporary,
    }
