"""Sentences for everything that `check` finds: what it is, why it matters, and how to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rotator.cli import exits, words
from rotator.cli.failures import cure_of, of_vault, status_of, why_of
from rotator.cli.times import both
from rotator.errors import Denied, PortError, Throttled, Unavailable
from rotator.model.reason import HoldReason
from rotator.plan.findings import Check, Finding, Grade
from rotator.policy.duration import show_duration

_SHOWN: Final = 3
"""So many lineages or keys are named; documents name all."""

_OWNERS: Final = "make the management key with an owner's account, with the scope `owner`"
_RIGHTS: Final = "give our token the policy that `rotator vault-policy` prints"


_COUNTED: Final = {
    "entries": ("entry", "entries"),
    "keys": ("key", "keys"),
    "lineages": ("lineage", "lineages"),
    "others": ("key belongs", "keys belong"),
    "records": ("record", "records"),
}
"""What is counted by a term, if there is one of it, and else."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was found, why it matters, and what to do. The latter two are empty where all is fine."""

    what: str
    why: str = ""
    cure: str = ""


SAID: Final[Mapping[Check, Said]] = {
    Check.VAULT_REACHED: Said("it is reached, and our token is good"),
    Check.VAULT_FAILED: Said("it can't be used", "{error}", "{cure}"),
    Check.TOKEN_ENDS: Said(
        "our token ends {ends_at} and can't be renewed",
        "nothing is rotated from then on, unless somebody replaces it in time",
        "give `vault.auth` a token that can be renewed, or see that it is replaced before",
    ),
    Check.TOKEN_IS_ROOT: Said(
        "our token may do everything", "whoever gets at it has all that is in Vault", _RIGHTS
    ),
    Check.MOUNT_FIT: Said("it is KV version 2"),
    Check.MOUNT_UNFIT: Said("it can't be used", "{error}", "{cure}"),
    Check.FEW_VERSIONS: Said(
        "Vault keeps a single version of {subjects}",
        "a person can't roll back to an earlier one",
        "set `max_versions` there to 0, or to more than one",
    ),
    Check.JOURNAL_NONE: Said("there is none yet; the first `rotator once` begins it"),
    Check.JOURNAL_OURS: Said("it is ours, with {records}"),
    Check.JOURNAL_FAILED: Said("it can't be used", "{error}", "{cure}"),
    Check.JOURNAL_RIGHTS: Said(
        "our token lacks {missing}", "without its journal rotator does nothing", _RIGHTS
    ),
    Check.JOURNAL_DELETES: Said(
        "Vault would delete its records after some time",
        "the mount has a `delete_version_after`",
        "set it to 0s there, or name another mount in `vault.journal`",
    ),
    Check.ENTRIES_WRITABLE: Said("a new secret can be published into {entries}"),
    Check.ENTRY_REFUSED: Said("no new secret can be published into {subjects}", "{error}", "{cure}"),
    Check.PROVIDER_FAILED: Said("it can't be used", "{error}", "{cure}"),
    Check.MANAGEMENT_ACCEPTED: Said("the management key {key_id} is accepted, and shows {keys}"),
    Check.MANAGEMENT_UNNAMED: Said(
        "it does not say which of the keys is our management key",
        "no key is deleted while it could be that one",
        "nothing can be done here: delete old keys by hand",
    ),
    Check.MANAGEMENT_WEAK: Said(
        "the management key lacks {missing}", "rotator lists, creates and deletes keys with it", _OWNERS
    ),
    Check.MANAGEMENT_EXPIRES: Said(
        "the management key {key_id} expires {expires_at}, and nothing rotates it",
        "no key of this provider can be rotated from then on",
        "replace it before: make another one, and put it where `credential` points",
    ),
    Check.OWNER_NOT_OWNER: Said(
        "{owner}, the account of the management key, is no owner there but {role}",
        "it may be refused to delete keys of other accounts",
        _OWNERS,
    ),
    Check.LIST_PARTIAL: Said(
        "its list shows no key of another account",
        "if there are any, the management key sees only its own: theirs are not rotated, and none counts as gone",
        f"if other accounts have keys there, {_OWNERS}",
    ),
    Check.NEW_OWNER: Said(
        "new keys will belong to {owner}, and end if that account is removed; {others} to other accounts now"
    ),
    Check.SCOPES_LACKING: Said(
        "{missing} is to be copied for {subjects}, and the management key is not known to have it",
        "the provider may refuse it, or give a weaker key: that is deleted again, and the lineage held",
        f"{_OWNERS}, or try with one first: `rotator once --limit 1`",
    ),
    Check.ACCOUNT_SHARED: Said(
        "{owner}, the account of the management key, has {keys} of its own besides",
        "if it is a person's, every key that rotator made ends when that person leaves and the account is removed",
        "make the management key with a service account, an owner's",
    ),
    Check.MANAGEMENT_DUPLICATE: Said(
        'there are other management keys with the comment "{comment}": {subjects}',
        "one that was replaced is as mighty as the one that rotator uses, and is easily forgotten",
        "delete those that nobody needs",
    ),
    Check.POLICY_FIT: Said("it covers {lineages}, adopt {adopt}"),
    Check.NOTHING_SELECTED: Said(
        "its `select` takes no key, and it covers no lineage",
        "a slip in a glob, a tag or a scope looks like this",
        "compare it with the comments and tags that `rotator discover` shows",
    ),
    Check.NEVER_DUE: Said(
        "no rotation is ever due for {subjects}",
        "the key has no expiry, and the policy no `max_age`",
        "write `max_age`, such as 365d, into the policy",
    ),
    Check.LEAD_TOO_SHORT: Said(
        "the key in use is due too late to give the whole overlap, for {subjects}",
        "`rotate_before` leaves less than overlap + prove.deadline + retry.max = {needed}",
        "make `rotate_before` longer, or `overlap` shorter",
    ),
    Check.LEAD_TOO_LONG: Said(
        "`rotate_before` is too long for the key in use or the next one, for {subjects}",
        "it is {lead}, and due times are spread by up to a tenth of it: a key that lives {lifetime} would be due as soon as "
        "it is made, so {instead} counts for it instead",
        "make `rotate_before` shorter or a share of the lifetime, or `lifetime` longer",
    ),
    Check.LIFETIME_TOO_SHORT: Said(
        "each new key is due as soon as it is made, for {subjects}",
        "it lives too short for overlap + prove.deadline + retry.max = {needed}: it is replaced once per `min_gap`",
        "make `lifetime` longer, or `overlap` shorter",
    ),
    Check.SAFE_START_PAST: Said(
        "it is too late for a whole overlap, for {subjects}",
        "the key in use expires in less than overlap + prove.deadline + retry.max = {needed}",
        "`rotator rotate LINEAGE` now, and see that its consumers read Vault soon after",
    ),
    Check.WINDOW_MISSED: Said(
        "the key in use will be rotated while all is closed, for {subjects}",
        "no `window` opens, or a `freeze` ends, only after its latest safe start",
        "`rotator rotate LINEAGE` at a time that suits, open a `window` before, or make `rotate_before` longer",
    ),
    Check.FREEZE_TOO_LONG: Said(
        "a freeze closes all for {closed}, begin {starts_at}, for {subjects}",
        "windows and other freezes counted in, that is longer than `rotate_before` leaves: what would fall due in it is rotated before it begins if that can still "
        "be, else in it, when its expiry can't wait any more",
        "make `rotate_before` longer, or the freeze shorter",
    ),
    Check.POLICIES_UNKNOWN: Said(
        "they were not compared with the keys that there are",
        "which keys are in lineages already is in the journal, and that can't be read",
        "mend what is told of Vault and the journal",
    ),
    Check.KEY_MISSING: Said(
        "named under `keys:`, and not there: {subjects}",
        "the provider lists no such key",
        "see that the ids are right and that the management key may list them, or take them out of the policy",
    ),
    Check.UNCOVERED: Said("under no policy any more: {subjects}", words.UNCOVERED, words.COVER),
    Check.HELD: Said("held: {subjects}", "{hold}", "{mend}"),
    Check.NOT_LOOKED_AT: Said("it was not looked at", "{error}", "{cure}"),
}


def said(finding: Finding, now: datetime) -> Said:
    """Return what a finding says, with its terms filled in."""
    terms = {name: _shown(name, value, now) for name, value in finding.terms.items()}
    terms |= {
        "subjects": _named(finding.subjects),
        "error": "" if finding.error is None else why_of(finding.error),
        "cure": _cure(finding),
    }
    reason = finding.terms.get("reason")
    if isinstance(reason, HoldReason):
        terms |= {"hold": words.HOLD[reason], "mend": words.CURE[reason]}
    template = SAID[finding.check]
    return Said(*(part.format_map(terms) for part in (template.what, template.why, template.cure)))


def status(found: tuple[Finding, ...]) -> int:
    """Return the exit status that findings give together."""
    statuses = {_status(finding) for finding in found if finding.grade is Grade.PROBLEM}
    return exits.gravest(statuses)


def _status(finding: Finding) -> int:
    """Return what a problem means: a bad file, something to try again, a bug, or that a person must mend something."""
    error = finding.error
    if error is None or (isinstance(error, PortError) and not isinstance(error, Unavailable | Throttled)):
        return exits.PERSON_NEEDED
    return status_of(error)


def _cure(finding: Finding) -> str:
    error = finding.error
    if finding.check is Check.VAULT_FAILED and isinstance(error, PortError):
        return of_vault(error, "").cure
    if isinstance(error, Denied) and not finding.about.startswith("provider "):
        return _RIGHTS
    return "" if error is None else cure_of(error)


def _named(subjects: tuple[str, ...]) -> str:
    """Return some of them by name, and how many more there are."""
    more = len(subjects) - _SHOWN
    shown = ", ".join(subjects[:_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def _shown(name: str, value: object, now: datetime) -> str:
    match value:
        case int():
            return f"{value} {_COUNTED[name][value != 1]}"
        case datetime():
            return both(value, now)
        case timedelta():
            return show_duration(value)
        case frozenset():
            return ", ".join(sorted(map(str, value)))
        case _:
            return str(value)
