"""What a lost record can be made of again: the entry in Vault, and the marks of keys.

Whoever can only write comments of keys must gain nothing by it. So what is in use is never taken from a mark: it is the
key whose secret Vault serves and the provider accepts, and its mark must carry the rotation id that stands in the entry,
where only we and Vault's own writers write. The mark of that key also says which journal's marks count. Any other key is
taken only if it carries a mark of that journal and of this lineage that no other key carries too, belongs to our
management key's member, and has the comment and the rights of the key in use: what an original copy of ours would have.
A person can name one of which this can't be shown.

When it was made decides what becomes of a marked key. One that is older than the key in use was made from an earlier base:
its own publish can't succeed any more, and it is previous, its overlap running from now. A newer one may still be
published by a process that sleeps. It gets its attempt back, at the entry's version as its base, and is an orphan: it is
finished if its publish lands, and is inherited after the next publish if not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.errors import InvariantViolation
from rotator.model.entry import EntryState, Verdict
from rotator.model.key import Key, Mark
from rotator.model.order import Order
from rotator.model.reason import RotateReason
from rotator.model.record import Attempt, Current, KnownKey, Original, Previous, Record, Rotated
from rotator.model.snapshot import Snapshot
from rotator.policy.policy import OriginalTerms, Policy
from rotator.policy.schedule import remembered_until

OLDER_BY = timedelta(seconds=1)
"""By so much a key must be older than the one in use, by the provider's clock: some providers cut a second."""


class Missing(StrEnum):
    """Why a record can't be rebuilt. These names are an interface: documents show them."""

    KEY_UNREADABLE = "key_unreadable"
    """A key that may be this lineage's can't be read just now."""
    SERVED_UNPROVEN = "served_unproven"
    """Whether the provider accepts the secret in Vault could not be learnt just now."""
    SERVED_REFUSED = "served_refused"
    """The provider refuses the secret that Vault serves."""
    SERVED_FOREIGN = "served_foreign"
    """The key whose secret Vault serves has no mark of this lineage, and no policy gives it this place."""
    ENTRY_DELETED = "entry_deleted"
    """The entry was deleted."""
    OTHER_FIELDS = "other_fields"
    """The entry carries a rotation id, and no secret under the name that the policy has for it."""
    NOTHING_SERVED = "nothing_served"
    """Vault serves no secret, and there is no key to begin from."""
    OTHER_JOURNAL = "other_journal"
    """The key in use carries the mark of another journal than this one."""
    NOT_NAMED = "not_named"
    """A key is to be taken that no mark proves to be ours: a person has to name it."""


class NotTaken(StrEnum):
    """Why a marked key is left alone. These names are an interface: documents show them."""

    OTHER_JOURNAL = "other_journal"
    """Its mark is another journal's."""
    COPIED_MARK = "copied_mark"
    """Another key carries the very same mark."""
    OTHER_OWNER = "other_owner"
    """It does not belong to our management key's member."""
    OTHER_COMMENT = "other_comment"
    """Its comment before the mark is not that of the key in use."""
    OTHER_RIGHTS = "other_rights"
    """It has other scopes or tags than the key in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A record that was made again, and the marked keys that it does not name, each with why."""

    record: Record
    left: tuple[tuple[str, NotTaken], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRebuilt:
    """Why a record can't be made again, and which key that is about, None for none."""

    reason: Missing
    key_id: str | None = None


def rebuild(policy: Policy, snapshot: Snapshot, order: Order, named: frozenset[str]) -> Rebuilt | NotRebuilt:
    """Return the record of a lineage that lost it, or why there is none. `named` are ids of keys that a person vouches for.

    `order` (Vault's clock) is the one to rebuild it: overlaps run from then.
    """
    stops = _stops(snapshot)
    if stops is not None:
        return NotRebuilt(reason=stops)
    serves: Key | None = None
    if snapshot.served.verdict is Verdict.ACCEPTED:
        serves = served_key(snapshot)
        if serves is None:
            return NotRebuilt(reason=Missing.SERVED_FOREIGN, key_id=snapshot.served.key_id)
        if serves.mark is not None and serves.mark.journal_id != snapshot.journal_id:
            return NotRebuilt(reason=Missing.OTHER_JOURNAL, key_id=serves.key_id)
    unmarked = snapshot.matched
    for key in (serves, unmarked):
        if key is not None and key.key_id not in named and not _in_entry(key, snapshot):
            return NotRebuilt(reason=Missing.NOT_NAMED, key_id=key.key_id)
    model = serves or unmarked
    if model is None:
        return NotRebuilt(reason=Missing.NOTHING_SERVED)
    return _rebuilt(policy, snapshot, order, named, model, serves)


def journals(snapshots: Iterable[Snapshot]) -> Counter[str]:
    """Return which journals the keys in use were made for, each with how many: no mark counts that proves nothing."""
    served = ((snapshot, served_key(snapshot)) for snapshot in snapshots)
    return Counter(
        mark.journal_id
        for snapshot, key in served
        if key is not None and _in_entry(key, snapshot) and (mark := key.mark) is not None
    )


def journals_of_records(records: Iterable[Record], keys: Iterable[Key]) -> Counter[str]:
    """Return which journals the keys were made for that records name as in use, each with how many."""
    marks = {key.key_id: key.mark for key in keys if key.mark is not None}
    named = (record.current for record in records if record.current is not None)
    return Counter(
        mark.journal_id
        for current in named
        if (mark := marks.get(current.key.key_id)) is not None and mark.rotation_id == current.rotation_id
    )


def served_key(snapshot: Snapshot) -> Key | None:
    """Return the key whose secret Vault serves, as the provider says, or as our own fields in the entry say.

    None when there is none, and when it is none of the keys that concern this lineage.
    """
    if snapshot.served.verdict is not Verdict.ACCEPTED:
        return None
    if snapshot.served.key_id is not None:
        return snapshot.key(snapshot.served.key_id)
    fitting = [key for key in _marked(snapshot) if _in_entry(key, snapshot)]
    if snapshot.entry.key_id is not None:
        fitting = [key for key in fitting if key.key_id == snapshot.entry.key_id]
    return fitting[0] if len(fitting) == 1 else None


def _stops(snapshot: Snapshot) -> Missing | None:
    """Return why nothing can be said of what Vault serves."""
    if snapshot.unreadable:
        return Missing.KEY_UNREADABLE
    if snapshot.entry.state is EntryState.DELETED:
        return Missing.ENTRY_DELETED
    match snapshot.served.verdict:
        case Verdict.UNKNOWN:
            return Missing.SERVED_UNPROVEN
        case Verdict.REFUSED:
            return Missing.SERVED_REFUSED
        case Verdict.NOTHING if snapshot.entry.rotation_id is not None:
            return Missing.OTHER_FIELDS
        case Verdict.ACCEPTED | Verdict.NOTHING:
            return None


def _rebuilt(
    policy: Policy, snapshot: Snapshot, order: Order, named: frozenset[str], model: Key, serves: Key | None
) -> Rebuilt:
    """Return the record, with each key in its place. `model` is what the others have to be like."""
    marked = [key for key in _marked(snapshot) if serves is None or key.key_id != serves.key_id]
    doubts = {key.key_id: _doubt(key, model, snapshot) for key in marked}
    older = {key.key_id for key in marked if serves is not None and _older(key, serves)}
    # Of a key that may still be published, no word of a person makes sure that it is not.
    previous = [k for k in marked if k.key_id in older and (doubts[k.key_id] is None or k.key_id in named)]
    orphans = [k for k in marked if k.key_id not in older and doubts[k.key_id] is None]
    taken = {key.key_id for key in (*previous, *orphans)}
    original = snapshot.matched if serves is None or snapshot.matched != serves else None
    record = Record(
        lineage=snapshot.lineage,
        first_key_id=_first(policy, snapshot, model),
        adopted_at=snapshot.on_provider_clock(snapshot.seen_at),
        fields=policy.destination.fields,
        current=None if serves is None else _current(serves, snapshot),
        previous=tuple(_previous(key, policy, order.at) for key in sorted(previous, key=_age)),
        originals=() if original is None else (_original(original, policy, order.at if serves else None),),
        attempts=tuple(_attempt(key, policy, snapshot) for key in sorted(orphans, key=_age)),
        history=()
        if serves is None or serves.mark is None
        else (_evidence(serves, serves.mark, policy, snapshot),),
        orders=(order,),
    )
    left = tuple(
        (key_id, doubt) for key_id, doubt in doubts.items() if doubt is not None and key_id not in taken
    )
    return Rebuilt(record=record, left=left)


def _marked(snapshot: Snapshot) -> list[Key]:
    """Return the keys whose mark names this lineage, whatever journal it names."""
    lineage_id = snapshot.lineage.lineage_id
    return [key for key in snapshot.keys if key.mark is not None and key.mark.lineage_id == lineage_id]


def _in_entry(key: Key, snapshot: Snapshot) -> bool:
    """Return whether the entry carries the rotation id that made the key."""
    return key.mark is not None and key.mark.rotation_id == snapshot.entry.rotation_id


def _doubt(key: Key, model: Key, snapshot: Snapshot) -> NotTaken | None:
    """Return why a mark does not prove a key to be this lineage's, None when all speaks for it."""
    mark = key.mark
    if mark is None or mark.journal_id != snapshot.journal_id:
        return NotTaken.OTHER_JOURNAL
    if sum(other.mark == mark for other in snapshot.keys) > 1:
        return NotTaken.COPIED_MARK
    if key.member_id is None or key.member_id != snapshot.management_member_id:
        return NotTaken.OTHER_OWNER
    if key.operator_comment != model.operator_comment:
        return NotTaken.OTHER_COMMENT
    return None if (key.scopes, key.tags) == (model.scopes, model.tags) else NotTaken.OTHER_RIGHTS


def _older(key: Key, serves: Key) -> bool:
    return key.created_at + OLDER_BY <= serves.created_at


def _age(key: Key) -> datetime:
    return key.created_at


def _first(policy: Policy, snapshot: Snapshot, model: Key) -> str:
    """Return the key that the lineage is taken to have begun with: policies name lineages, and paths are made, by it."""
    named = (key_id for path, key_id in policy.keys if path == snapshot.lineage.path)
    return next(named, (snapshot.matched or model).key_id)


def _current(key: Key, snapshot: Snapshot) -> Current:
    entry = snapshot.entry
    return Current(
        key=KnownKey.seen(key),
        rotation_id=entry.rotation_id,
        version=entry.version,
        published_at=_written_at(snapshot),
    )


def _written_at(snapshot: Snapshot) -> datetime:
    if snapshot.entry.written_at is None:
        raise InvariantViolation("a destination that serves a key has a version")
    return snapshot.entry.written_at


def _previous(key: Key, policy: Policy, at: datetime) -> Previous:
    return Previous(
        key_id=key.key_id,
        superseded_at=at,
        overlap=policy.overlap,
        expires_at=key.expires_at,
        member_id=key.member_id,
    )


def _original(key: Key, policy: Policy, superseded_at: datetime | None) -> Original:
    """Return a key from before adoption; nothing superseded it while nothing is served."""
    if superseded_at is None:
        return Original(key=KnownKey.seen(key))
    return Original(
        key=KnownKey.seen(key),
        superseded_at=superseded_at,
        overlap=policy.overlap,
        release_after=None if isinstance(policy.original, OriginalTerms) else policy.original,
    )


def _attempt(key: Key, policy: Policy, snapshot: Snapshot) -> Attempt:
    """Return the attempt that made a key whose publish may still land: at no other version than the present one."""
    if key.mark is None:
        raise InvariantViolation("a key without a mark was made by no attempt")
    return Attempt(
        rotation_id=key.mark.rotation_id,
        base=snapshot.entry.version,
        intent_at=key.created_at,
        comment=key.operator_comment,
        asked_scopes=key.scopes,
        expected_scopes=key.scopes,
        tags=key.tags,
        expected_tags=key.tags,
        lifetime=key.lifetime,
        overlap=policy.overlap,
        reason=RotateReason.REBUILT,
        keep_until=remembered_until(key.created_at, key.lifetime),
    )


def _evidence(key: Key, mark: Mark, policy: Policy, snapshot: Snapshot) -> Rotated:
    """Return what can still be shown of the rotation that made the key in use: when its intent was written is lost."""
    return Rotated(
        rotation_id=mark.rotation_id,
        key_id=key.key_id,
        replaced_key_id=None,
        reason=RotateReason.REBUILT,
        intent_at=key.created_at,
        created_at=key.created_at,
        proven_at=snapshot.seen_at,
        published_at=_written_at(snapshot),
        version=snapshot.entry.version,
        holder=snapshot.observer,
        policy_fingerprint=policy.fingerprint,
    )
