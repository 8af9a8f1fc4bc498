"""The journal record: everything a lineage must remember, and never a secret.

One record per lineage, one JSON text, written with check-and-set only. Reading is strict: a record that
this version can't read without harm is refused, never guessed at. A number is no text, and an instant
without a zone, which could not be compared with any other, is none, nor is one that nothing could be added to. What a
newer version wrote beside what is known here is kept, where that allows it: see `model.format`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from typing import Annotated

from pydantic import ConfigDict, Field, PlainSerializer, TypeAdapter, ValidationError

from rotator.model import format as formats
from rotator.model.entry import FieldNames, Place
from rotator.model.instant import Instant, Span
from rotator.model.key import Key, Mark
from rotator.model.lineage import Lineage
from rotator.model.order import Order
from rotator.model.reason import CopyReason, HoldReason, RevokeReason, RotateReason

Names = Annotated[frozenset[str], PlainSerializer(sorted, return_type=list[str])]

HISTORY_KEPT = 20
"""How many past rotations, deletions and orders a record shows, of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key as it was last seen. `asked_scopes` is what a request for its like repeats."""

    key_id: str
    comment: str
    asked_scopes: Names
    scopes: Names
    tags: Names
    created_at: Instant
    expires_at: Instant | None
    member_id: str | None

    @classmethod
    def seen(cls, key: Key, *, asked_scopes: frozenset[str] | None = None) -> KnownKey:
        """Return what to remember of `key`. Without `asked_scopes`, its scopes are what was asked."""
        return cls(
            key_id=key.key_id,
            comment=key.operator_comment,
            asked_scopes=key.scopes if asked_scopes is None else asked_scopes,
            scopes=key.scopes,
            tags=key.tags,
            created_at=key.created_at,
            expires_at=key.expires_at,
            member_id=key.member_id,
        )

    def as_key(self) -> Key:
        """Return the key as it was last seen, its comment without a mark."""
        return Key(
            key_id=self.key_id,
            comment=self.comment,
            scopes=self.scopes,
            tags=self.tags,
            created_at=self.created_at,
            expires_at=self.expires_at,
            member_id=self.member_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """The scopes and tags that a key has."""

    scopes: Names
    tags: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One rotation id that was issued, with its base: kept until the lifetime asked for has passed.

    `base` is the destination's version when the intent was written; a publish of this attempt can succeed
    at that version only. `intent_at` is the provider's clock. `overlap` is copied from the policy, so that
    a publish that is found later keeps its terms. `asked_scopes` and `tags` are what was asked for,
    `expected_scopes` and `expected_tags` what the new key has to get: the rights of the key that is replaced, or
    those that a person accepted.

    `key_id` is noted when its key, seen with our mark, was found unfit and could not be deleted at once: it is ours
    whatever rights it got. With the reason IMPORTED nothing is created, and it is the key whose own
    secret is published. `void`: the place that the base counts in was given up since.
    """

    rotation_id: str
    base: int
    intent_at: Instant
    comment: str
    asked_scopes: Names
    expected_scopes: Names
    tags: Names
    expected_tags: Names
    lifetime: Span | None
    overlap: Span
    reason: RotateReason
    keep_until: Instant
    key_id: str | None = None
    void: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """The key that the destination serves, and the version and instant (Vault's clock) of its publish.

    `rotation_id` is None for a key that the destination held already when it was adopted.
    """

    key: KnownKey
    rotation_id: str | None
    version: int
    published_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """A key that awaits revocation, with its terms as they were at the publish.

    `superseded_at` is when the last place that served it was seen to serve a later one, on Vault's clock: its overlap
    runs from then. `member_id` is the account that owns the key: which lists prove that it is gone depends on it.
    `at_once`: an emergency replaced it, so that its overlap does not count.
    """

    key_id: str
    superseded_at: Instant
    overlap: Span
    expires_at: Instant | None
    member_id: str | None = None
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A key from before adoption whose secret the destination never held.

    `superseded_at` (Vault's clock) and `overlap` are None until our first publish. It is revoked when the
    overlap is over and, besides, `release_after` has passed since then, or somebody released it, or it has
    expired; never otherwise. `at_once`: an emergency replaced it, so that none of this counts.
    """

    key: KnownKey
    superseded_at: Instant | None = None
    overlap: Span | None = None
    release_after: Span | None = None
    released_at: Instant | None = None
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A place that is served besides the destination, by copies of what is published there.

    `key_id` is the key whose secret was confirmed there last, at `version`; None: nothing was copied there yet.
    """

    place: Place
    key_id: str | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How often in a row it went wrong, what was tried, what went wrong last, and when to try next.

    Does not count any more once the policy entry has another fingerprint.
    """

    count: int
    tried: RotateReason | RevokeReason | CopyReason
    what: str
    failed_at: Instant
    next_try_at: Instant
    policy_fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedHold:
    """A hold that was found while acting. It is tried once more when the policy entry changes.

    `offered` are the rights that a replacement got instead of those it should have: `rotator accept` takes them.
    """

    reason: HoldReason
    detail: str
    since: Instant
    policy_fingerprint: str
    offered: Rights | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Who works on this lineage. It has run out `ttl` and a margin after the record was written."""

    holder: str
    ttl: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """The evidence of one finished rotation, for people to look back at.

    `intent_at` and `created_at` are the provider's clock, `published_at` is Vault's. `proven_at`, on ours, is when the
    provider last accepted the new secret. `replaced_key_id` is None after an import. `holder` is the process that recorded it, `policy_fingerprint` the policy
    entry that it worked by.
    """

    rotation_id: str
    key_id: str
    replaced_key_id: str | None
    reason: RotateReason
    intent_at: Instant
    created_at: Instant
    proven_at: Instant
    published_at: Instant
    version: int
    holder: str
    policy_fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """The evidence of one deletion: which key, why, and which key Vault was seen to serve just before, on our clock."""

    key_id: str
    reason: RevokeReason
    revoked_at: Instant
    served_key_id: str
    served_version: int
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that is remembered of one lineage. Rotating, copying and deleting fail, and are tried again, each on its own.

    `lineage` and `fields` say where it is to be served: the present place. After a move, publishes still land at the
    place before, `publishes_at`, until that is given up, and every other place that is served is in `also_at`.

    `first_key_id` is the key that the lineage began with: policies name lineages, and paths are made, by it.
    `adopted_at` (the provider's clock) is when it was taken in, `by_order` whether a person did, so that a policy that
    only watches does not count. `accepted` are the rights that a person accepted for the next key. `standing` is an
    order to rotate whose new key is not published yet; it outlives the process that took it. `forgotten`: a person told
    us to leave it alone; what was remembered is kept, and nothing is done by it.

    `unknown` are the fields of a newer format that this version does not know, as the text of a JSON object, "" without
    any. Whoever wrote them knows whether a secret is among them: they are shown nowhere.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    format: Annotated[int, Field(ge=1)] = formats.WRITTEN
    lineage: Lineage
    first_key_id: str
    adopted_at: Instant
    fields: FieldNames
    current: Current | None
    previous: tuple[Previous, ...] = ()
    originals: tuple[Original, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    rotate_failure: Failure | None = None
    copy_failure: Failure | None = None
    revoke_failure: Failure | None = None
    hold: RecordedHold | None = None
    claim: Claim | None = None
    by_order: bool = False
    forgotten: bool = False
    accepted: Rights | None = None
    standing: Order | None = None
    publishes_at: Place | None = None
    also_at: tuple[Copied, ...] = ()
    history: tuple[Rotated, ...] = ()
    retired: tuple[Retired, ...] = ()
    orders: tuple[Order, ...] = ()
    unknown: Annotated[str, Field(exclude=True)] = field(default="", repr=False)

    @property
    def place(self) -> Place:
        """The present place: where the lineage is to be served, and what people name it by."""
        return Place(mount=self.lineage.mount, path=self.lineage.path, fields=self.fields)

    @property
    def destination(self) -> Place:
        """Where publishes land, and whose versions bases count in."""
        return self.publishes_at or self.place

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place that is served."""
        return (self.destination, *(copied.place for copied in self.also_at))

    def label(self, place: Place) -> str:
        """Return what people call a served place: with its secret's field where another one shares the entry."""
        shared = any(other != place and other.shares_entry(place) for other in self.places)
        return f"{place.name}#{place.fields.secret}" if shared else place.name

    def attempt(self, rotation_id: str | None) -> Attempt | None:
        """Return the attempt with that id, if this record issued it."""
        return next((a for a in self.attempts if a.rotation_id == rotation_id), None)

    def closed(self, attempt: Attempt) -> bool:
        """Return whether a publish above the attempt's base is recorded: its own can't succeed where we serve."""
        return attempt.void or (self.current is not None and attempt.base < self.current.version)

    @property
    def failure(self) -> Failure | None:
        """The last failure, of any kind."""
        kinds = (self.rotate_failure, self.copy_failure, self.revoke_failure)
        failures = [one for one in kinds if one is not None]
        return max(failures, key=lambda one: one.failed_at, default=None)

    def known_key_ids(self) -> frozenset[str]:
        """Return the ids of all keys that this record names."""
        served = () if self.current is None else (self.current.key.key_id,)
        return frozenset(
            (*served, *(p.key_id for p in self.previous), *(o.key.key_id for o in self.originals))
        )

    def mark(self, journal_id: str, rotation_id: str) -> Mark:
        """Return the mark of an attempt of this lineage."""
        return Mark(journal_id, self.lineage.lineage_id, rotation_id)


_CODEC = TypeAdapter(Record)
_OWN = frozenset(one.name for one in fields(Record)) - {"unknown"}


def encode(record: Record) -> str:
    """Return the JSON text of `record`, in the format that this version writes, or in a newer one that it was read in."""
    text = _CODEC.dump_json(replace(record, format=max(record.format, formats.WRITTEN))).decode()
    return f"{text[:-1]},{record.unknown[1:]}" if record.unknown else text


def decode(text: str) -> Record:
    """Return the record in `text`.

    Raise `format.NewerFormat` when a newer version wrote it and this one may not act by it, any other ValueError when it
    is no record; neither shows the text.
    """
    refusal = ValueError("not a journal record that this version can read (at: format)")
    try:
        record = _CODEC.validate_json(text, strict=True)
    except ValidationError as error:
        refusal = _refusal(error)
    else:
        if record.format <= formats.KNOWN and not record.unknown:
            return record
    return _newer(text, refusal)


def _newer(text: str, refusal: ValueError) -> Record:
    """Return the record in a text of a newer format, what is not known of it kept. Raise `refusal` when it is none.

    Only the record itself may have unknown fields: its parts are made into others and dropped as a rotation goes on, and
    nobody here could say what becomes of an unknown field of theirs. One that has others is too new whatever it says, and
    not garbled: a person would be told to remove it.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise refusal from None
    found = document.get("format") if isinstance(document, dict) else None
    if (
        not isinstance(found, int)
        or found > formats.LARGEST
        or not formats.keeps_unknown(found, document.get("needs"))
    ):
        raise refusal
    try:
        own = json.dumps({name: value for name, value in document.items() if name in _OWN}, allow_nan=False)
        rest = json.dumps(
            {name: value for name, value in document.items() if name not in _OWN}, allow_nan=False
        )
        return replace(_CODEC.validate_json(own, strict=True), unknown=rest)
    except ValidationError:
        raise formats.NewerFormat(found, found) from None
    except ValueError:
        raise refusal from None


def _refusal(error: ValidationError) -> ValueError:
    """Return the error that says where a text is no record, without the text."""
    places = ", ".join(_place(e["type"], e["loc"]) for e in error.errors(include_input=False)[:3])
    return ValueError(f"not a journal record that this version can read (at: {places or 'the top'})")


def _place(kind: str, place: tuple[int | str, ...]) -> str:
    """Return where an error is. The name of a field that we don't know may be anything, so it is left out."""
    known = (*place[:-1], "an unknown field") if kind == "unexpected_keyword_argument" else place
    return ".".join(map(str, known))
