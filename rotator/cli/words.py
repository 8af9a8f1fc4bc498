"""Sentences for every reason that the program knows. Reasons are names; here they become words for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, assert_never

from rotator.cli.times import both
from rotator.model.order import OrderKind
from rotator.model.reason import Closed, HoldReason, LeftReason, RevokeReason, RotateReason, WaitReason
from rotator.plan.actions import Adopt, Copy, Decision, Finish, Hold, Inherit, Revoke, Rotate, Wait
from rotator.plan.invariants import Obstacle
from rotator.plan.rebuild import Missing, NotTaken
from rotator.plan.whose import Role
from rotator.policy.match import Exclusion
from rotator.reconcile import Left
from rotator.rotation.orders import Declined

ROTATE: Final[Mapping[RotateReason, str]] = {
    RotateReason.DUE_BY_EXPIRY: "its expiry comes near",
    RotateReason.DUE_BY_AGE: "it has reached its `max_age`",
    RotateReason.ADOPT_NOW: "the policy says `adopt: now`",
    RotateReason.SERVED_KEY_REFUSED: "the provider refuses the secret that Vault serves: consumers are failing",
    RotateReason.ORDERED: "a person ordered it",
    RotateReason.EMERGENCY: "an emergency was ordered",
    RotateReason.IMPORTED: "its secret was handed over by a person",
    RotateReason.REBUILT: "its record was lost and rebuilt",
}

REVOKE: Final[Mapping[RevokeReason, str]] = {
    RevokeReason.OVERLAP_ENDED: "its overlap with the new key is over",
    RevokeReason.EXPIRED: "it has expired by itself",
    RevokeReason.ORIGINAL_RELEASED: "it was released",
    RevokeReason.EMERGENCY: "an emergency was ordered",
}

WAIT: Final[Mapping[WaitReason, str]] = {
    WaitReason.NOT_DUE: "not due",
    WaitReason.WATCHED: "only watched: no policy says `adopt: when_due` or `adopt: now`",
    WaitReason.OVERLAP: "old and new key both work, so that consumers can read Vault again",
    WaitReason.AWAITING_RELEASE: (
        "the key from before rotator lives on until `rotator release` or `original` releases it, or it expires"
    ),
    WaitReason.BACKING_OFF: "the last try failed and is repeated",
    WaitReason.OUTSIDE_WINDOW: "it is time, but no `window` is open",
    WaitReason.FROZEN: "it is time, but the policy is frozen",
    WaitReason.OPENS_TOO_LATE: "it is time, but `window` and `freeze` leave nothing open before it is too late",
    WaitReason.PAUSED: "paused: nothing is done until `rotator resume`",
    WaitReason.FORGOTTEN: "forgotten by an order: it is left alone until `rotator adopt` takes it in again",
    WaitReason.CLAIMED: "another process works on it",
    WaitReason.COPY_BEHIND: "moved, and one of its places does not have the secret in use yet: copying it is repeated",
    WaitReason.SERVED_UNPROVEN: "whether the provider accepts the secret in Vault could not be learnt",
    WaitReason.CLOCKS_DIFFER: (
        "our clock, Vault's and the provider's differ by over 30 s, so nothing is deleted: mend the clocks"
    ),
    WaitReason.LOOK_TOO_SLOW: "answers take over 5 s, so that no proof is fresh enough to delete an old key",
    WaitReason.RETIRING_STOPPED: "an old key can't be deleted yet: the reason stands beside it",
    WaitReason.NOT_FOUND: "no key matches, and no record names one",
    WaitReason.KEY_UNREADABLE: "a key that may be this lineage's is listed, but the provider does not show its details",
}

_UNTIL: Final[Mapping[WaitReason, str]] = {
    WaitReason.NOT_DUE: "rotate",
    WaitReason.OVERLAP: "next step",
    WaitReason.AWAITING_RELEASE: "next step",
    WaitReason.BACKING_OFF: "next try",
    WaitReason.OUTSIDE_WINDOW: "next step",
    WaitReason.FROZEN: "next step",
    WaitReason.OPENS_TOO_LATE: "rotate nevertheless",
    WaitReason.COPY_BEHIND: "next try",
    WaitReason.CLAIMED: "at the latest until",
}

_NEVER: Final[Mapping[WaitReason, str]] = {
    WaitReason.NOT_DUE: "never due: the key has no expiry, and the policy no `max_age`",
}

OVERRIDES: Final[Mapping[Closed, str]] = {
    WaitReason.OUTSIDE_WINDOW: "it can't wait for a `window` to open",
    WaitReason.FROZEN: "it can't wait for the end of the `freeze`",
}

HOLD: Final[Mapping[HoldReason, str]] = {
    HoldReason.LOST_RECORD: "there are keys or an entry of ours, but no journal record of them",
    HoldReason.RECORD_UNREADABLE: "a journal record, its own or one that may name this key, can't be read by this version",
    HoldReason.RECORD_NEWER: (
        "a newer rotator wrote a journal record, its own or one that may name this key, and this version may not act by it"
    ),
    HoldReason.DESTINATION_CLASH: "two keys give this one path",
    HoldReason.MATCHED_TWICE: "two policies match this key",
    HoldReason.MANY_ABSENT: "most keys in use vanished from the provider's list in one look",
    HoldReason.DESTINATION_OCCUPIED: "the secret field holds something that is not proven to be this key's secret",
    HoldReason.ENTRY_DELETED: "the entry in Vault was deleted",
    HoldReason.ENTRY_BEHIND: "the entry in Vault is older than the version that was published",
    HoldReason.ENTRY_CHANGED: "somebody else wrote another secret or id into the entry",
    HoldReason.RECORD_BEHIND: "the journal record is older than what Vault serves: it does not know that rotation",
    HoldReason.DESTINATION_MOVED: "the policy names another mount or path than before",
    HoldReason.FIELDS_CHANGED: "the policy names other fields than before",
    HoldReason.SERVED_REFUSED: "the provider refuses the secret that Vault serves, and the policy only watches",
    HoldReason.CURRENT_UNLISTED: "the provider accepts the key in use but does not list it",
    HoldReason.ORIGINAL_GONE: "the key vanished before a new one was published",
    HoldReason.TOO_MANY_UNSERVED: "too many new keys that nobody serves are alive",
    HoldReason.TOO_MANY_ATTEMPTS: "too many attempts are open",
    HoldReason.PARITY: "the new key got other rights than the old one; it was deleted or will be",
    HoldReason.WRITE_REFUSED: "the next write would be refused",
    HoldReason.ENTRY_EXPIRES: "Vault would delete the published secret by itself",
    HoldReason.UNSAFE: "the next step would have broken a promise and was refused",
}

UNCOVERED: Final = (
    "nothing replaces its key any more: the policy that took it in is gone, or does not select it now"
)
COVER: Final = (
    "bring the policy back (a file that `include` matched no more, a slip in a glob or a tag), or, if it is no longer ours, "
    "`rotator forget LINEAGE`"
)

CURE: Final[Mapping[HoldReason, str]] = {
    HoldReason.LOST_RECORD: (
        "check that `instance` and `vault.journal` are what they were, and bring the record back from a backup of Vault; "
        "if it is gone for good, `rotator check --rebuild-journal` shows what can be rebuilt, and asks"
    ),
    HoldReason.RECORD_UNREADABLE: (
        "undelete the record in Vault or roll it back to its last good version, or, if a newer rotator wrote it, run that; if "
        "that can't be, stop every rotator, keep a copy, delete its metadata, and `rotator check --rebuild-journal` shows what "
        "can be rebuilt"
    ),
    HoldReason.RECORD_NEWER: (
        "run a rotator that knows the format it needs, on every replica; until then nothing of it is touched"
    ),
    HoldReason.DESTINATION_CLASH: (
        "narrow `select` so that it takes one of the two; the other can be named under `keys:`, with another path"
    ),
    HoldReason.MATCHED_TWICE: "narrow `select` in one of the two policies",
    HoldReason.MANY_ABSENT: (
        "see that the management key may still list every key of the project; a key that was really deleted is "
        "replaced, once the provider refuses its secret; `rotator forget` those that nobody needs any more"
    ),
    HoldReason.DESTINATION_OCCUPIED: (
        "put this key's own secret there, remove the field if nobody needs its value, or name another destination"
    ),
    HoldReason.ENTRY_DELETED: "undelete the last version (`vault kv undelete`)",
    HoldReason.ENTRY_BEHIND: (
        "restore the entry from the newest backup of Vault; if the published version is lost, name another "
        "destination for a new key under `keys:`"
    ),
    HoldReason.ENTRY_CHANGED: "roll the entry back to the version that rotator published (`vault kv rollback`)",
    HoldReason.RECORD_BEHIND: (
        "leave the entry as it is: consumers read there; roll the record back to its newest version (`vault kv rollback`), "
        "or restore it from the newest backup of Vault; if there is none: stop every rotator, keep a copy, delete its metadata, "
        "and `rotator check --rebuild-journal` shows what can be rebuilt"
    ),
    HoldReason.DESTINATION_MOVED: (
        "`rotator move OLD NEW` serves both places until the old one is given up; or put the old mount and path back "
        "into the policy: consumers still read there"
    ),
    HoldReason.FIELDS_CHANGED: (
        "`rotator move LINEAGE LINEAGE` serves the old and the new fields until the old ones are given up; or put the old "
        "names back into `destination.fields`: consumers still read those"
    ),
    HoldReason.SERVED_REFUSED: (
        "put a working secret into the entry, or let rotator replace it: write `adopt: when_due` into the policy"
    ),
    HoldReason.CURRENT_UNLISTED: "give the management key a role that sees every key of the project",
    HoldReason.ORIGINAL_GONE: (
        "remove the journal record of this lineage; a new key that the policy matches is then taken in afresh"
    ),
    HoldReason.TOO_MANY_UNSERVED: "make sure that nobody uses them, and delete them at the provider",
    HoldReason.TOO_MANY_ATTEMPTS: "mend what makes rotations fail; attempts are forgotten as their time runs out",
    HoldReason.PARITY: (
        "if the rights that it got are fine, `rotator accept LINEAGE` makes them the wanted ones; else give the "
        "management key's owner the rights that the new key lacked, then `rotator rotate LINEAGE`"
    ),
    HoldReason.WRITE_REFUSED: (
        "mend what is named: the token's policy, the mount's settings, the size of the entry; if it stands on after "
        "that, change any option of the policy: that tries it once more"
    ),
    HoldReason.ENTRY_EXPIRES: (
        "set `delete_version_after` to 0s on the mount and the entry, then change any option of the policy: that "
        "tries it once more"
    ),
    HoldReason.UNSAFE: "report it, it is a bug; a change of any option of the policy tries it once more",
}
"""What a person can do to end a hold."""

GIVEN: Final[Mapping[OrderKind, str]] = {
    OrderKind.ADOPT: "taken in: it is rotated when it is due",
    OrderKind.RELEASE: "released: deleted by the next sweep, once the overlap is over",
    OrderKind.ACCEPT: "accepted: the next new key is compared with these rights",
    OrderKind.FORGET: "forgotten: it is left alone until `rotator adopt` takes it in again",
    OrderKind.IMPORT: "published: consumers can read the secret from Vault now",
    OrderKind.ROTATE: "ordered: the key in use is replaced",
    OrderKind.EMERGENCY: "ordered: the key in use is replaced, and all earlier ones are deleted at once",
    OrderKind.MOVE: "moved: both places are served until the old one is given up",
    OrderKind.GIVE_UP: "given up: it is served there no more, and nothing was deleted",
    OrderKind.REBUILD: "rebuilt: old keys are deleted once their overlap, which begins now, is over",
}
"""What an order came to."""

DECLINED: Final[Mapping[Declined, str]] = {
    Declined.DONE: "nothing to change: it is so already",
    Declined.NO_RECORD: (
        "refused: it is not taken in yet; `rotator adopt` takes it in, `except` in the policy leaves it out"
    ),
    Declined.NO_POLICY: "refused: no policy covers it, so that no terms are known; write one for it",
    Declined.NO_KEY: "refused: no key of the provider matches, or it is gone; look at `rotator status`",
    Declined.NO_ORIGINAL: "nothing to change: it has no key from before rotator",
    Declined.NOT_REPLACED: (
        "refused: the key from before rotator is still the one in use; `rotator rotate` replaces it first"
    ),
    Declined.NOTHING_OFFERED: "refused: it is not held for the rights of a new key, so there are none to accept",
    Declined.FORGOTTEN: "refused: it was forgotten by an order; `rotator adopt` takes it in again",
    Declined.PAUSED: "refused: it is paused; `rotator resume` ends that",
    Declined.REPLACED: "nothing to publish: that key was replaced, and Vault serves the one that replaced it",
    Declined.NOT_NAMED: (
        "refused: the policy file does not put it there; edit the file first, so that the next sweep agrees"
    ),
    Declined.FIELDS_CROSSED: (
        "refused: a field of that entry would get another meaning; move it to new names first, then to these"
    ),
    Declined.NOT_SERVED: "nothing to change: it is not served there besides the place that the policy file names",
    Declined.NOT_COPIED: (
        "refused: the present place does not have the secret in use yet; `rotator once` copies it, or says why not"
    ),
}
"""Why an order changes nothing, and what can be done."""

BECOMES: Final[Mapping[str, str]] = {
    "current": "in use",
    "previous": "previous",
    "orphan": "not served here",
    "original": "from before rotator",
    "stray": "not taken",
}
"""What a key is in a record that is rebuilt."""

NOT_TAKEN: Final[Mapping[NotTaken, str]] = {
    NotTaken.OTHER_JOURNAL: "its mark is another journal's",
    NotTaken.COPIED_MARK: "another key has the very same mark",
    NotTaken.OTHER_OWNER: "it does not belong to the owner of our management key",
    NotTaken.OTHER_COMMENT: "its comment is not that of the key in use",
    NotTaken.OTHER_RIGHTS: "its scopes or tags are not those of the key in use",
}
"""Why a marked key is not taken into a record that is rebuilt."""

MISSING: Final[Mapping[Missing, str]] = {
    Missing.KEY_UNREADABLE: "a key that may be its own is listed, but can't be read just now",
    Missing.SERVED_UNPROVEN: "whether the provider accepts the secret in Vault could not be learnt",
    Missing.SERVED_REFUSED: "the provider refuses the secret that Vault serves, so that nothing shows which key is in use",
    Missing.SERVED_FOREIGN: (
        "Vault serves the secret of a key that has no mark of this lineage and that no policy gives this place (KEY_ID)"
    ),
    Missing.ENTRY_DELETED: "the entry in Vault was deleted",
    Missing.OTHER_FIELDS: "the entry in Vault is ours, but has no secret under the field name that the policy gives",
    Missing.NOTHING_SERVED: "Vault serves nothing there, and no key from before rotator is left to begin from",
    Missing.OTHER_JOURNAL: "the key in use, KEY_ID, carries the mark of another journal than this one",
    Missing.NOT_NAMED: "nothing but a person's word can say that key KEY_ID is its own",
}
"""Why a lost record can't be rebuilt. KEY_ID stands for the key that it is about."""

_WHERE_IT_BEGAN: Final = (
    "stop every rotator, write what the entry that is served now holds, all its fields, into the one where the lineage began, "
    "put that place into the policy, rebuild it there, and move it again before any rotator is let run"
)
"""Without it, the key that is served now is taken for one that nobody serves, and is deleted after the next publish."""

MISSING_CURE: Final[Mapping[Missing, str]] = {
    Missing.KEY_UNREADABLE: "run it again later",
    Missing.SERVED_UNPROVEN: "run it again later",
    Missing.SERVED_REFUSED: (
        f"if the lineage was moved away from here, {_WHERE_IT_BEGAN}; if somebody changed the entry, roll it back (`vault kv "
        "rollback`), and run this again; else make a key by hand with the comment and the rights of the one before (under "
        "`keys:`, or where `{key_id}` makes the path, name its id for this path under `keys:`, and there only), put its secret "
        "into the entry (consumers work again then), and run this with --include-key and its id"
    ),
    Missing.SERVED_FOREIGN: (
        f"if the lineage was moved here, {_WHERE_IT_BEGAN}; if the provider does not list the key, give the management key a "
        "role that sees every key"
    ),
    Missing.ENTRY_DELETED: "undelete its last version (`vault kv undelete`), and run this again",
    Missing.OTHER_FIELDS: (
        "put the names that `destination.fields` had back into the policy (`rotator move LINEAGE LINEAGE` changes them, once it "
        "is rebuilt), or, if somebody removed the field, roll the entry back (`vault kv rollback`), and run this again"
    ),
    Missing.NOTHING_SERVED: (
        "if the entry was lost too, bring it back from a backup of Vault, as consumers may still use what stood there; a marked "
        "key that nobody uses, as the log of the provider shows, can be deleted there when no rotator is at work"
    ),
    Missing.OTHER_JOURNAL: (
        "if that other journal is the one that was lost, and this one was begun anew: stop every rotator, delete the metadata "
        "of `control` in the journal, and run this again"
    ),
    Missing.NOT_NAMED: "if it is, run this with --include-key KEY_ID; if not, let `except` in the policy leave it out",
}
"""What a person can do then."""

ASTRAY: Final = (
    f"if a policy was removed, write it again, and run this again; if its lineage was moved, {_WHERE_IT_BEGAN}. If nobody uses "
    "the key, delete it at the provider"
)

QUESTION: Final[Mapping[OrderKind, str]] = {
    OrderKind.RELEASE: "Let these keys be deleted?",
    OrderKind.FORGET: "Forget these lineages?",
    OrderKind.EMERGENCY: "Replace the keys in use, and delete all these as soon as that is done?",
    OrderKind.GIVE_UP: "Serve it there no more?",
    OrderKind.REBUILD: "Write these records?",
}
"""What is asked before an order that can't be taken back."""

LEFT: Final[Mapping[LeftReason, str]] = {
    LeftReason.LIMIT: "--limit",
    LeftReason.STARTS_PER_HOUR: "`starts_per_hour` is reached",
    LeftReason.BREAKER_OPEN: "the breaker of its provider is open",
    LeftReason.STOPPING: "asked to stop",
}

EXCLUSION: Final[Mapping[Exclusion, str]] = {
    Exclusion.NOT_SELECTED: "selected by no policy",
    Exclusion.NAMED_BY_RECORD: "in a lineage already",
    Exclusion.CLAIMED_ELSEWHERE: "marked by another journal, which looks after it",
    Exclusion.MARKED: "made by rotator, so no operator's key",
    Exclusion.EXCEPTED: "selected, and left out by `except`",
    Exclusion.EXPIRED: "expired",
    Exclusion.TEMPORARY: "temporary: its lifetime is under `temporary_below`",
    Exclusion.LICENCE_KEY: "a licence of a self-hosted installation",
    Exclusion.MANAGEMENT_KEY: "the management key that rotator uses",
    Exclusion.MANAGES_KEYS: "can manage keys, and is not named by its id",
}

ROLE: Final[Mapping[Role, str]] = {
    Role.MANAGEMENT: "the management key, which rotator itself works with",
    Role.CURRENT: "the key in use",
    Role.PREVIOUS: "the key before the one in use; it still works for the rest of its overlap",
    Role.ORIGINAL: "a key from before rotator, whose secret was never in Vault",
    Role.ORPHAN: "a key of ours that nobody serves",
    Role.STRAY: "a key with our mark that no record leads to",
    Role.CLAIMED_ELSEWHERE: "a key of another rotator: it carries the mark of another journal",
    Role.FOREIGN: "in no lineage",
}

OBSTACLE: Final[Mapping[Obstacle, str]] = {
    Obstacle.NOT_OURS: "the record does not name it",
    Obstacle.MANAGEMENT_KEY: "it is the management key in use, or which one that is can't be told",
    Obstacle.CURRENT_ELSEWHERE: "another lineage serves it, or may: a record can't be read",
    Obstacle.CURRENT: "it is the key in use",
    Obstacle.SERVED_UNPROVEN: "it is not proven that Vault serves the working secret of the new key",
    Obstacle.COPY_BEHIND: "another place that is served does not have the secret of the new key yet",
    Obstacle.PROOF_TOO_OLD: "Vault was read too long ago",
    Obstacle.CLOCKS_DIFFER: "our clock, Vault's and the provider's differ by over 30 s",
    Obstacle.OVERLAP: "its overlap with the new key is not over",
    Obstacle.CLAIMED_ELSEWHERE: (
        "a key of the same comment is rotated by another installation: let only one of them do it"
    ),
    Obstacle.NOT_RELEASED: "it is from before rotator, and neither `rotator release` nor `original` released it",
}


def decision(stands: Decision, now: datetime) -> str:
    """Return what will be done next, why, and when."""
    match stands:
        case Adopt(original=True):
            return "take the key in"
        case Adopt():
            return "take the key in (Vault serves its secret already)"
        case Rotate():
            return f"rotate now: {_why(stands)}"
        case Finish():
            return f"record key {stands.key_id} as the one in use: an earlier process published it"
        case Copy():
            return f"copy the secret in use to {stands.place.name}"
        case Inherit():
            return f"count key {stands.key_id}, which was never served, among the previous ones"
        case Revoke():
            return f"delete key {stands.key_id} now: {REVOKE[stands.reason]}"
        case Wait():
            return _wait(stands, now)
        case Hold():
            detail = f" ({stands.detail})" if stands.detail else ""
            return f"held: {HOLD[stands.reason]}{detail}"
        case _:
            assert_never(stands)


def done(action: Decision) -> str:
    """Return what was done."""
    match action:
        case Adopt():
            return "taken in"
        case Rotate():
            return f"rotated: {_why(action)}"
        case Finish():
            return "recorded an earlier publish"
        case Copy():
            return f"copied to {action.place.name}"
        case Inherit():
            return "counted an unserved key among the previous ones"
        case Revoke():
            return f"old key deleted: {REVOKE[action.reason]}"
        case Wait() | Hold():
            return ""
        case _:
            assert_never(action)


def stays(why: HoldReason | WaitReason) -> str:
    """Return why no time rotates a lineage."""
    return f"held: {HOLD[why]}" if isinstance(why, HoldReason) else _NEVER.get(why, WAIT[why])


def left(why: Left) -> str:
    """Return why something was left for later."""
    return f"{LEFT[why.reason]}, after {why.detail}" if why.detail else LEFT[why.reason]


def _why(rotate: Rotate) -> str:
    why = ROTATE[rotate.reason]
    return f"{why}; {OVERRIDES[rotate.overrides]}" if rotate.overrides else why


def _wait(wait: Wait, now: datetime) -> str:
    if wait.until is None:
        return _NEVER.get(wait.reason, WAIT[wait.reason])
    return f"{WAIT[wait.reason]}; {_UNTIL.get(wait.reason, 'next look')} {both(wait.until, now)}"
