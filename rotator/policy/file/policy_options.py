"""The table of options: `defaults` and `policies`. What an operator may write about keys, and why.

Their defaults are those of the values in `rotator.policy.policy`.
"""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from rotator.policy.file.document import Mapping, Node
from rotator.policy.file.kinds import (
    CRON,
    DAY_OR_TIME,
    DURATION,
    GLOBS,
    POSITIVE_DURATION,
    SHARE_OR_DURATION,
    TEXT,
    TEXTS,
    ZONE,
    choice,
    matching,
    not_yet,
    one_or_more,
    optional,
    whole,
    word_or_duration,
)
from rotator.policy.file.option import Kind, Needed, Option, Section, Shape
from rotator.policy.file.problems import Refused, describe
from rotator.policy.file.template import TEMPLATE
from rotator.policy.names import FIELD_WE_WRITE, NAME, PATH, VENDOR_ID
from rotator.policy.policy import Adopt, Exempt, Lifetime, OriginalTerms, Policy, Select

UTC = ZoneInfo("UTC")

_POLICY = Policy(name="", providers=())
_SELECT = Select()
_EXEMPT = Exempt()
_DESTINATION = _POLICY.destination
_FIELDS = _DESTINATION.fields


def _read_keys(node: Node) -> Mapping:
    if not isinstance(node, Mapping) or not node.names:
        raise Refused(
            f"{describe(node)} where paths with the ids of keys are expected", "write `PATH: KEY_ID`"
        )
    return node


_KEYS: Kind[Mapping | None] = Kind(
    read=_read_keys,
    schema={
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^(?:{PATH.pattern})$"},
        "additionalProperties": whole(VENDOR_ID.pattern),
    },
    words="a mapping from paths in Vault to ids of keys",
)

NAME_OF_POLICY = Needed(
    name="name",
    kind=matching(NAME),
    stand_in="",
    why="Shown in plans and logs. Another name changes nothing else, unless `destination.path` holds `{policy}`.",
)
PROVIDER = Needed(
    name="provider",
    kind=one_or_more(TEXT, "a provider's name, a glob of such names, or a list of both"),
    stand_in=(),
    why="Whose keys these are. What is named here must exist; with `keys` it is exactly one.",
)

COMMENT = Option(
    name="comment",
    kind=GLOBS,
    default=_SELECT.comment,
    why='The comment, without our mark, matches one of these; upper and lower case differ. `"*"` takes every key.',
)
TAGS = Option(name="tags", kind=TEXTS, default=_SELECT.tags, why="The key has all of these.")
SCOPES = Option(name="scopes", kind=TEXTS, default=_SELECT.scopes, why="The key has all of these.")
EXCEPT_COMMENT = Option(
    name="comment", kind=GLOBS, default=_EXEMPT.comment, why="The comment matches one of these."
)
EXCEPT_TAGS = Option(name="tags", kind=TEXTS, default=_EXEMPT.tags, why="The key has one of these.")
EXCEPT_SCOPES = Option(name="scopes", kind=TEXTS, default=_EXEMPT.scopes, why="The key has one of these.")
EXCEPT = Section(
    name="except",
    why="Keys that are left out nevertheless: those for which any of these holds.",
    parts=(EXCEPT_COMMENT, EXCEPT_TAGS, EXCEPT_SCOPES),
    filled=True,
)
SELECT = Section(
    name="select",
    why="Which keys; this or `keys`. All that are given must hold. Never taken are keys that a record names, expired and "
    "temporary ones, licences, keys with the mark of another journal, and keys that can manage keys.",
    parts=(COMMENT, TAGS, SCOPES, EXCEPT),
    filled=True,
)
KEYS = Option(
    name="keys",
    kind=_KEYS,
    default=None,
    why="Which keys, one by one; this or `select`. For each path in Vault the id of the key that is there today.",
)

ADOPT = Option(
    name="adopt",
    kind=choice(list(Adopt)),
    default=_POLICY.adopt,
    why="What happens to the keys: `watch` only looks and tells, `when_due` rotates them when they are due, `now` "
    "at once. The default changes nothing until you say so.",
)
ROTATE_BEFORE = Option(
    name="rotate_before",
    kind=SHARE_OR_DURATION,
    default=_POLICY.rotate_before,
    why="How early a key is replaced: a share of the lifetime that the provider granted, or a duration. It leaves room "
    "for the overlap, the proof and the retries. Where a key lives too short for it (it would be due as soon as it is made), "
    "the default counts, or what those take, if that is longer.",
)
MAX_AGE = Option(
    name="max_age",
    kind=optional(POSITIVE_DURATION),
    default=_POLICY.max_age,
    why="How old a key may get, for keys that never expire; with an expiry, the earlier counts.",
)
LIFETIME = Option(
    name="lifetime",
    kind=word_or_duration(Lifetime),
    default=_POLICY.lifetime,
    why="How long a replacement lives: `inherit` gives it the old key's whole lifetime afresh (no expiry if it had "
    "none), `never` no expiry.",
)
OVERLAP = Option(
    name="overlap",
    kind=DURATION,
    default=_POLICY.overlap,
    why="How long the old key still works after the new one is published, so that consumers can read Vault again.",
)
ORIGINAL = Option(
    name="original",
    kind=not_yet(word_or_duration(OriginalTerms), "drained", "write `keep` or a duration"),
    default=_POLICY.original,
    why="When a key from before rotator, whose secret was never in Vault, is deleted: `keep` waits for your order or "
    "its expiry; a duration counts from the first rotation.",
)
TEMPORARY_BELOW = Option(
    name="temporary_below",
    kind=DURATION,
    default=_POLICY.temporary_below,
    why="Keys that live shorter than this are temporary and never touched.",
)
PROVE_DEADLINE = Option(
    name="deadline",
    kind=POSITIVE_DURATION,
    default=_POLICY.prove_deadline,
    why="How long a new key may take to work before it is given up.",
)
PROVE = Section(name="prove", why="A new key is used once before it is published.", parts=(PROVE_DEADLINE,))
RETRY_INITIAL = Option(
    name="initial",
    kind=POSITIVE_DURATION,
    default=_POLICY.retry_initial,
    why="The wait after the first failure; it doubles with each further one.",
)
RETRY_MAX = Option(
    name="max",
    kind=POSITIVE_DURATION,
    default=_POLICY.retry_max,
    why="The longest wait.",
)
RETRY = Section(name="retry", why="How long to wait after a failure.", parts=(RETRY_INITIAL, RETRY_MAX))
MIN_GAP = Option(
    name="min_gap",
    kind=DURATION,
    default=_POLICY.min_gap,
    why="The shortest time between two rotations that are due by time, whatever the arithmetic says.",
)

MOUNT = Option(name="mount", kind=matching(PATH), default=_DESTINATION.mount, why="The KV version 2 engine.")
PATH_OF_SECRET = Option(
    name="path",
    kind=TEMPLATE,
    default=_DESTINATION.path,
    why="The path in it, for policies with `select`. `{slug}` is the comment in small letters, with `-` for everything "
    "but letters and digits; `{key_id}` is that of the first key.",
)
SECRET_FIELD = Option(
    name="secret", kind=matching(FIELD_WE_WRITE), default=_FIELDS.secret, why="Holds the secret."
)
KEY_ID_FIELD = Option(
    name="key_id",
    kind=optional(matching(FIELD_WE_WRITE)),
    default=_FIELDS.key_id,
    why="Holds the id of its key.",
)
PREVIOUS_FIELD = Option(
    name="previous_key_id",
    kind=optional(matching(FIELD_WE_WRITE)),
    default=_FIELDS.previous_key_id,
    why="Holds the id of the key before, which still works for a while.",
)
EXPIRY_FIELD = Option(
    name="expires_at",
    kind=optional(matching(FIELD_WE_WRITE)),
    default=_FIELDS.expires_at,
    why="Holds when the secret expires.",
)
ENTRY_FIELDS = Section(
    name="fields",
    why="The field of the entry that holds each; `null`: not written. Other fields are kept, and `rotation_id` is "
    "always written.",
    parts=(SECRET_FIELD, KEY_ID_FIELD, PREVIOUS_FIELD, EXPIRY_FIELD),
)
DESTINATION = Section(
    name="destination", why="Where secrets go.", parts=(MOUNT, PATH_OF_SECRET, ENTRY_FIELDS)
)

CRON_OF_WINDOW = Needed(
    name="cron",
    kind=CRON,
    stand_in="0 0 * * *",
    why="When it opens: minute, hour, day of the month, month, day of the week.",
    hint='write `cron: "0 2 * * 1-5"`: 02:00 from Monday to Friday',
)
LENGTH_OF_WINDOW = Needed(
    name="for",
    kind=POSITIVE_DURATION,
    stand_in=timedelta(days=1),
    why="How long it stays open, a week at most, whatever clocks do meanwhile.",
    hint="write how long it stays open: `for: 4h`",
)
ZONE_OF_WINDOW = Option(name="timezone", kind=ZONE, default=UTC, why="Whose clock `cron` is read by.")
WINDOW = Section(
    name="window",
    why="When rotations that are due by time, and deletions, may begin: while one of these is open. At any time without. "
    "An expiry that can't wait, and an order, do not wait for it.",
    parts=(CRON_OF_WINDOW, LENGTH_OF_WINDOW, ZONE_OF_WINDOW),
    shape=Shape.LISTED,
    most=20,
)
START_OF_FREEZE = Needed(
    name="from",
    kind=DAY_OR_TIME,
    stand_in=date(2026, 1, 1),
    why="The first day, or the time of a day at which it begins.",
    hint="write the first day: `from: 2026-12-20`",
)
END_OF_FREEZE = Needed(
    name="to",
    kind=DAY_OR_TIME,
    stand_in=date(2026, 1, 1),
    why="The last day, which belongs to it, or the time of a day at which it ends.",
    hint="write the last day: `to: 2027-01-05`",
)
WHY_OF_FREEZE = Option(
    name="why", kind=optional(TEXT), default=None, why="Shown beside what waits for its end."
)
ZONE_OF_FREEZE = Option(
    name="timezone",
    kind=ZONE,
    default=UTC,
    why="Where days and times are those meant. A time with an offset of its own (`Z`, `+01:00`) is as it says.",
)
FREEZE = Section(
    name="freeze",
    why="Days on which neither is begun, whatever `window` says. An expiry that can't wait, and an order, do not wait for "
    "the end of it.",
    parts=(START_OF_FREEZE, END_OF_FREEZE, WHY_OF_FREEZE, ZONE_OF_FREEZE),
    shape=Shape.LISTED,
    most=100,
)

_SHARED = (
    SELECT,
    ADOPT,
    ROTATE_BEFORE,
    MAX_AGE,
    LIFETIME,
    OVERLAP,
    ORIGINAL,
    TEMPORARY_BELOW,
    PROVE,
    RETRY,
    MIN_GAP,
    WINDOW,
    FREEZE,
    DESTINATION,
)
DEFAULTS = Section(
    name="defaults",
    why="What all policies share: any option of a policy but `name` and `keys`. Mappings are merged key by key; lists "
    "and single values are replaced.",
    parts=(PROVIDER, *_SHARED),
)
POLICIES = Section(
    name="policies",
    why="What is wanted, for one key or many. A key that two policies take is held until one of them lets go.",
    parts=(NAME_OF_POLICY, PROVIDER, KEYS, *_SHARED),
    shape=Shape.LISTED,
)
