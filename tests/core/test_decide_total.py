"""Whatever is seen, there is a decision, and it keeps the promises. These are stated here on their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.model.entry import Entry, EntryState, FieldNames, Place, Served, Verdict
from rotator.model.key import Key, Mark
from rotator.model.order import OrderKind
from rotator.model.reason import CopyReason, HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.record import (
    Attempt,
    Claim,
    Copied,
    KnownKey,
    Original,
    Previous,
    Record,
    decode,
    encode,
)
from rotator.model.snapshot import CopySeen, Snapshot
from rotator.plan import facts
from rotator.plan.actions import Action, Copy, Finish, Hold, Inherit, Revoke, Rotate, Wait
from rotator.plan.decide import decide
from rotator.policy.policy import Adopt as AdoptMode
from rotator.policy.policy import Freeze, Policy, Window
from tests.support import builders as a
from tests.support.builders import DAY, HOUR, JOURNAL, LINEAGE, MEMBER, MINUTE, NOW, POLICY, SCOPES

SECOND = timedelta(seconds=1)
IDS = ["key-a", "key-b", "key-c", "key-d"]
ROTATIONS = ["1" * 16, "2" * 16, "3" * 16]
FOREIGN = "f" * 16

ids = st.sampled_from(IDS)
spans = st.sampled_from(
    [timedelta(0), SECOND, 5 * SECOND, MINUTE, HOUR, DAY - SECOND, DAY, 40 * DAY, 100 * DAY]
)
instants = st.builds(lambda ago, later: NOW + (ago if later else -ago), spans, st.booleans())
marks = st.builds(
    Mark,
    st.sampled_from([JOURNAL, JOURNAL, JOURNAL, "f" * 12]),
    st.sampled_from([LINEAGE.lineage_id, LINEAGE.lineage_id, "e" * 12]),
    st.sampled_from([*ROTATIONS, FOREIGN]),
)
keys = st.builds(
    lambda key_id, mark, created_at, lifetime, member_id, scopes: Key(
        key_id=key_id,
        comment=mark.put_on("voice") if mark else "voice",
        scopes=scopes,
        tags=frozenset(),
        created_at=created_at,
        expires_at=None if lifetime is None else created_at + lifetime,
        member_id=member_id,
    ),
    ids,
    st.none() | marks,
    instants,
    st.none() | spans,
    st.sampled_from([MEMBER, MEMBER, "somebody", None]),
    st.sampled_from([SCOPES, frozenset({"admin"})]),
)
known_keys = st.builds(KnownKey.seen, keys)
attempts = st.builds(
    lambda rotation_id, base, age: a.attempt(rotation_id, base=base, age=age),
    st.sampled_from(ROTATIONS),
    st.integers(0, 5),
    spans,
)
currents = st.builds(
    lambda key, rotation_id, version, age: replace(
        a.current(version=version, age=age), key=key, rotation_id=rotation_id
    ),
    known_keys,
    st.sampled_from([None, *ROTATIONS]),
    st.integers(1, 5),
    spans,
)
hurried = st.sampled_from([False, False, True])
previous = st.builds(
    lambda key_id, ago, at_once: a.previous(key_id, superseded=ago, at_once=at_once), ids, spans, hurried
)
originals = st.builds(
    Original,
    key=known_keys,
    superseded_at=st.none() | instants,
    overlap=st.none() | spans,
    release_after=st.none() | spans,
    released_at=st.none() | instants,
    at_once=hurried,
)
failures = st.builds(
    lambda tried, tries_in: a.failure(tried, tries_in=tries_in),
    st.sampled_from([*RotateReason, *CopyReason, *RevokeReason]),
    spans,
)
PLACES = [a.THERE, a.OTHER_FIELDS]
copied = st.builds(Copied, place=st.sampled_from(PLACES), key_id=st.none() | ids, version=st.integers(0, 3))
records = st.builds(
    Record,
    lineage=st.just(LINEAGE),
    first_key_id=st.just("key-1"),
    adopted_at=instants,
    fields=st.just(FieldNames()),
    current=st.none() | currents | currents,
    previous=st.lists(previous, max_size=2, unique_by=lambda p: p.key_id).map(tuple),
    originals=st.lists(originals, max_size=2).map(tuple),
    attempts=st.lists(attempts, max_size=3, unique_by=lambda one: one.rotation_id).map(tuple),
    rotate_failure=st.none() | failures.filter(lambda one: isinstance(one.tried, RotateReason)),
    revoke_failure=st.none() | failures.filter(lambda one: isinstance(one.tried, RevokeReason)),
    copy_failure=st.none() | failures.filter(lambda one: isinstance(one.tried, CopyReason)),
    publishes_at=st.none() | st.just(a.PLACE),
    also_at=st.just(()) | st.lists(copied, max_size=2, unique_by=lambda one: one.place).map(tuple),
    hold=st.none() | st.none() | st.none() | st.sampled_from(list(HoldReason)).map(a.hold),
    claim=st.none() | st.none() | st.builds(Claim, st.sampled_from([a.OBSERVER, "replica-b"]), spans),
    history=st.lists(
        st.builds(a.rotated, st.sampled_from(ROTATIONS), st.sampled_from(RotateReason)), max_size=2
    ).map(tuple),
    by_order=st.booleans(),
    forgotten=st.sampled_from([False] * 9 + [True]),
    standing=st.none()
    | st.none()
    | st.sampled_from([a.order(OrderKind.ROTATE), a.order(OrderKind.EMERGENCY)]),
)


@st.composite
def copies_seen(draw: st.DrawFn, place: Place, record: Record | None, served: Served) -> CopySeen:
    """Draw what another place serves: mostly the current key, as a copy leaves it."""
    current = record.current if record else None
    if draw(st.sampled_from([False] * 9 + [True])):
        return CopySeen(place=place)
    same = draw(st.sampled_from([True, True, False]))
    entry = a.entry(
        current.rotation_id if current and same else draw(st.sampled_from([None, FOREIGN, *ROTATIONS])),
        version=draw(st.integers(0, 4)),
        key_id=draw(st.none() | ids),
    )
    return CopySeen(
        place=place,
        entry=replace(entry, state=draw(st.sampled_from([EntryState.PRESENT] * 5 + [*EntryState]))),
        served=served if same else Served(draw(st.sampled_from(Verdict)), draw(st.none() | ids)),
        same=same,
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Draw a look that is mostly consistent with its record: only then are the deeper rules reached."""
    record = draw(st.none() | records | records | records)
    current = record.current if record else None
    listed = draw(st.lists(keys, max_size=4, unique_by=lambda key: key.key_id))
    version = draw(st.integers(0, 6))
    entry = Entry(
        state=draw(st.sampled_from([EntryState.PRESENT, EntryState.PRESENT, *EntryState])),
        version=version,
        written_at=draw(st.none() | instants),
        rotation_id=draw(st.sampled_from([None, FOREIGN, *ROTATIONS])),
        key_id=draw(st.none() | ids),
        has_secret=draw(st.booleans()),
    )
    served = Served(draw(st.sampled_from([Verdict.ACCEPTED, *Verdict])), draw(st.none() | ids))
    if current is not None and draw(st.sampled_from([True, True, True, False])):
        entry = a.entry(current.rotation_id, version=max(version, current.version), key_id=current.key.key_id)
        served = Served(Verdict.ACCEPTED, draw(st.sampled_from([None, current.key.key_id])))
    copies = [draw(copies_seen(one.place, record, served)) for one in (record.also_at if record else ())]
    return replace(
        a.snapshot(None),
        seen_at=draw(st.sampled_from([NOW, NOW, NOW - 5 * SECOND, NOW - 6 * SECOND])),
        vault_skew=draw(st.sampled_from([timedelta(0), timedelta(0), 20 * SECOND, -31 * SECOND])),
        provider_skew=draw(st.sampled_from([timedelta(0), timedelta(0), -20 * SECOND, 31 * SECOND])),
        record=record,
        record_written_at=draw(st.none() | instants),
        entry=entry,
        served=served,
        keys=tuple(listed),
        absence_proven=draw(st.booleans()),
        management_key_id=draw(st.sampled_from([a.MANAGEMENT, a.MANAGEMENT, None, *IDS])),
        matched=draw(st.sampled_from([None, *listed])),
        currents_elsewhere=draw(st.none() | st.frozensets(ids, max_size=1)),
        fleet_hold=draw(st.sampled_from([None] * 9 + [HoldReason.MANY_ABSENT])),
        paused=draw(st.sampled_from([""] * 9 + ["*, by ann@desk: a change"])),
        copies=tuple(copies[: draw(st.integers(0, 9))]),
    )


OPEN_NOW = Window(cron="0 11 * * *", length=2 * HOUR, zone=ZoneInfo("UTC"))
OPENS_TONIGHT = replace(OPEN_NOW, cron="0 22 * * *")
FREEZE = Freeze(starts_at=NOW - HOUR, ends_at=NOW + 3 * DAY)
policies = st.builds(
    lambda mode, max_age, overlap, windows, freezes: replace(
        POLICY, adopt=mode, max_age=max_age, overlap=overlap, windows=windows, freezes=freezes
    ),
    st.sampled_from(AdoptMode),
    st.none() | st.sampled_from([2 * DAY, 60 * DAY]),
    st.sampled_from([HOUR, DAY]),
    st.sampled_from([(), (OPEN_NOW,), (OPENS_TONIGHT,), (OPEN_NOW, OPENS_TONIGHT)]),
    st.sampled_from([(), (), (FREEZE,)]),
)


def why_closed(policy: Policy) -> WaitReason | None:
    """Say what closes this very time."""
    if policy.freezes:
        return WaitReason.FROZEN
    return WaitReason.OUTSIDE_WINDOW if policy.windows == (OPENS_TONIGHT,) else None


def too_late(policy: Policy, rotate: Rotate, seen: Snapshot) -> bool:
    """Say whether less than a whole overlap is left, and the time for proof and retries, by the provider's clock."""
    expires_at = rotate.replaces.expires_at
    needed = policy.overlap + policy.prove_deadline + policy.retry_max
    return expires_at is not None and expires_at - needed <= NOW + seen.provider_skew


def why_not_revoke(seen: Snapshot, key_id: str, now: datetime) -> str | None:
    """Say which of the promises P1, P3 and P4 revoking this key would break, None when it breaks none."""
    record = seen.record
    if record is None or record.current is None:
        return "nothing was published"
    current = record.current
    terms: list[Previous | Original] = [p for p in record.previous if p.key_id == key_id]
    terms += [o for o in record.originals if o.key.key_id == key_id]
    if not terms:
        return "the record does not name it"
    if seen.management_key_id is None or key_id == seen.management_key_id:
        return "it may be the management key"
    if seen.currents_elsewhere is None or key_id in seen.currents_elsewhere or key_id == current.key.key_id:
        return "it is served"
    not_served = [why_not_at_destination(seen), *(why_not_served(seen, one) for one in record.also_at)]
    if any(not_served):
        return next(filter(None, not_served))
    if now - seen.seen_at > timedelta(seconds=5):
        return "the look is too old"
    clocks = [timedelta(0), seen.vault_skew, seen.provider_skew]
    if any(abs(one - other) > timedelta(seconds=30) for one in clocks for other in clocks):
        return "the clocks differ"
    return _why_too_early(terms[0], now + seen.vault_skew, now + seen.provider_skew)


def why_not_at_destination(seen: Snapshot) -> str | None:
    """Say why it is not shown that the destination serves the current key."""
    current = seen.record.current if seen.record else None
    assert current is not None
    if seen.entry.state is not EntryState.PRESENT or seen.entry.rotation_id != current.rotation_id:
        return "the destination is not as published"
    if seen.served.verdict is not Verdict.ACCEPTED or seen.served.key_id not in (None, current.key.key_id):
        return "the served secret is not shown to be the current key's"
    if seen.served.key_id is not None:
        return None
    if seen.entry.version != current.version or seen.entry.key_id not in (None, current.key.key_id):
        return "somebody wrote there again, and nobody says whose secret it is"
    listed = current.key.key_id in {key.key_id for key in seen.keys}
    return None if listed else "the current key is not shown to be alive"


def why_not_served(seen: Snapshot, copied: Copied) -> str | None:
    """Say why it is not shown that another place serves the current key, to the knowledge of the record."""
    current = seen.record.current if seen.record else None
    assert current is not None
    if copied.key_id != current.key.key_id:
        return "the copy was not recorded"
    (copy,) = [one for one in seen.copies if one.place == copied.place] or [CopySeen(place=copied.place)]
    if copy.entry is None or copy.entry.state is not EntryState.PRESENT:
        return "another place shows nothing"
    if copy.entry.rotation_id != current.rotation_id or copy.served.verdict is not Verdict.ACCEPTED:
        return "another place does not serve what was published"
    if copy.served.key_id is not None:
        return None if copy.served.key_id == current.key.key_id else "another place serves another key"
    return None if copy.same else "another place serves nobody knows which key"


def _why_too_early(terms: Previous | Original, vault_now: datetime, provider_now: datetime) -> str | None:
    if terms.at_once:
        return None
    if (
        terms.superseded_at is None
        or terms.overlap is None
        or vault_now - terms.superseded_at < terms.overlap
    ):
        return "the overlap has not run out"
    if isinstance(terms, Previous) or terms.released_at is not None:
        return None
    if terms.release_after is not None and vault_now - terms.superseded_at >= terms.release_after:
        return None
    if terms.key.expires_at is not None and terms.key.expires_at <= provider_now:
        return None
    return "the original was not released"


def why_not_copy(seen: Snapshot, place: Place) -> str | None:
    """Say which of the promises P1 and P4 copying to this place would break, None when it breaks none."""
    record = seen.record
    if record is None or record.current is None:
        return "nothing was published"
    (copied,) = (one for one in record.also_at if one.place == place)
    if seen.served.verdict is not Verdict.ACCEPTED:
        return "what would be copied is not shown to work"
    if seen.served.key_id not in (None, record.current.key.key_id):
        return "what would be copied is another key"
    entry = next((one.entry for one in seen.copies if one.place == place), None)
    copy = next((one for one in seen.copies if one.place == place), CopySeen(place=place))
    if entry is None or (copied.key_id is None and not entry.has_secret):
        return None
    if entry.state is EntryState.DELETED or entry.version < copied.version:
        return "a person deleted it, or rolled it back"
    if copied.key_id is not None and entry.version == copied.version:
        return None
    ours = copy.served.key_id in record.known_key_ids() or (copy.served.key_id is None and copy.same)
    return None if copy.served.verdict is Verdict.ACCEPTED and ours else "whose secret is there is not shown"


@pytest.mark.promise("P1", "P3", "P4")
@settings(max_examples=300)
@given(policies, snapshots())
def test_there_is_always_a_decision_and_a_revocation_only_when_the_promises_allow_it(
    policy: Policy, seen: Snapshot
) -> None:
    decision = decide(policy, seen, NOW)

    if isinstance(decision, Revoke):
        assert why_not_revoke(seen, decision.key_id, NOW) is None
    if isinstance(decision, Rotate):
        assert seen.fleet_hold is None
        assert seen.record is not None
        assert policy.adopt is not AdoptMode.WATCH or seen.record.by_order or seen.record.standing
    if isinstance(decision, Copy):
        assert why_not_copy(seen, decision.place) is None
    if isinstance(decision, Rotate | Finish | Inherit | Revoke | Copy):
        assert seen.record is not None
        assert not seen.record.forgotten
    if seen.paused and seen.record is not None:
        assert facts.emergency(seen.record) or not isinstance(decision, Action)
    if seen.paused and isinstance(decision, Rotate | Revoke):
        assert decision.reason in (RotateReason.EMERGENCY, RevokeReason.EMERGENCY)


BY_TIME = (RotateReason.DUE_BY_EXPIRY, RotateReason.DUE_BY_AGE, RotateReason.ADOPT_NOW)


@given(policies, snapshots())
def test_what_begins_by_itself_begins_when_it_is_open_or_can_not_wait(policy: Policy, seen: Snapshot) -> None:
    decision, closed = decide(policy, seen, NOW), why_closed(policy)

    if isinstance(decision, Revoke):
        assert closed is None or decision.reason is RevokeReason.EMERGENCY
    if isinstance(decision, Rotate):
        assert decision.overrides == (closed if decision.reason in BY_TIME else None)
        assert decision.overrides is None or too_late(policy, decision, seen)


@given(policies, snapshots())
def test_windows_and_freezes_put_off_rotations_and_deletions_and_nothing_else(
    policy: Policy, seen: Snapshot
) -> None:
    decision = decide(policy, seen, NOW)
    at_any_time = decide(replace(policy, windows=(), freezes=()), seen, NOW)

    if not isinstance(at_any_time, Rotate | Revoke | Wait):
        assert decision == at_any_time
    if isinstance(decision, Wait) and decision.reason in (WaitReason.OUTSIDE_WINDOW, WaitReason.FROZEN):
        assert isinstance(at_any_time, Rotate | Revoke)


@given(policies, snapshots())
def test_the_same_look_gives_the_same_decision_also_when_the_record_was_stored_in_between(
    policy: Policy, seen: Snapshot
) -> None:
    again = replace(seen, record=decode(encode(seen.record)) if seen.record else None)

    assert decide(policy, seen, NOW) == decide(policy, again, NOW)


@pytest.mark.promise("P8")
@given(policies, snapshots())
def test_no_wait_ends_in_the_past_so_that_nothing_is_looked_at_in_a_tight_loop(
    policy: Policy, seen: Snapshot
) -> None:
    decision = decide(policy, seen, NOW)

    if isinstance(decision, Wait):
        assert decision.until is None or decision.until > NOW
        assert decision.until is not None or decision.reason not in (
            WaitReason.CLAIMED,
            WaitReason.BACKING_OFF,
        )


Change = Callable[[Snapshot], Snapshot]

REVOCABLE = a.snapshot(
    a.record(
        previous=[a.previous(superseded=DAY)],
        originals=[a.original(superseded=DAY, released=True)],
    )
)


def original(**changes: object) -> Change:
    """Change the terms of the original, and put the previous key out of the way."""

    def change(seen: Snapshot) -> Snapshot:
        assert seen.record is not None
        changed = tuple(replace(one, **changes) for one in seen.record.originals)  # type: ignore[arg-type]
        return a.with_record(seen, previous=(), originals=changed)

    return change


def looked(**changes: object) -> Change:
    return lambda seen: replace(seen, **changes)  # type: ignore[arg-type]


def recorded(**changes: object) -> Change:
    return lambda seen: a.with_record(seen, **changes)


def there(**changes: object) -> Change:
    """Change what is seen at another place, if the lineage was moved."""

    def change(seen: Snapshot) -> Snapshot:
        copies = tuple(replace(one, **changes) for one in seen.copies)  # type: ignore[arg-type]
        return replace(seen, copies=copies)

    return change


def moved(seen: Snapshot) -> Snapshot:
    assert seen.record is not None
    of = a.snapshot(a.moved(seen.record))
    return replace(seen, record=of.record, copies=of.copies)


EXPIRED = KnownKey.seen(a.key("key-original", age=40 * DAY, lifetime=40 * DAY))

disturbances: st.SearchStrategy[Change] = st.sampled_from(
    [
        looked(seen_at=NOW - 5 * SECOND),
        looked(seen_at=NOW - 5 * SECOND - a.TICK),
        looked(vault_skew=-a.TICK),
        looked(vault_skew=30 * SECOND),
        looked(vault_skew=30 * SECOND + a.TICK),
        looked(provider_skew=-30 * SECOND),
        looked(provider_skew=-30 * SECOND - a.TICK),
        looked(management_key_id=None),
        looked(management_key_id="key-old"),
        looked(management_key_id="key-original"),
        looked(currents_elsewhere=frozenset({"key-old"})),
        looked(currents_elsewhere=frozenset({"key-original"})),
        looked(keys=()),
        looked(served=a.accepted(None)),
        looked(served=Served(Verdict.UNKNOWN)),
        looked(entry=a.entry(key_id="key-old", version=4)),
        looked(entry=a.entry(key_id=None)),
        moved,
        moved,
        there(entry=a.deleted_entry(1)),
        there(entry=a.entry(version=2)),
        there(entry=a.entry(FOREIGN, version=1)),
        there(served=Served(Verdict.REFUSED)),
        there(served=Served(Verdict.UNKNOWN)),
        there(served=a.accepted(None)),
        there(served=a.accepted("key-old"), same=False),
        recorded(previous=()),
        recorded(originals=()),
        recorded(previous=(a.previous(superseded=DAY - a.TICK),)),
        original(superseded_at=None),
        original(superseded_at=NOW - DAY + a.TICK),
        original(overlap=None),
        original(released_at=None),
        original(released_at=None, release_after=DAY),
        original(released_at=None, release_after=DAY + a.TICK),
        original(released_at=None, key=EXPIRED),
        original(released_at=None, key=replace(EXPIRED, expires_at=NOW + a.TICK)),
    ]
)


@pytest.mark.promise("P1", "P2", "P3", "P4")
@settings(max_examples=500)
@given(st.lists(disturbances, max_size=3))
def test_what_awaits_revocation_goes_exactly_when_the_promises_allow_it(changes: list[Change]) -> None:
    seen = REVOCABLE
    for change in changes:
        seen = change(seen)
    assert seen.record is not None
    waiting = [*(p.key_id for p in seen.record.previous), *(o.key.key_id for o in seen.record.originals)]
    may_go = [key_id for key_id in waiting if why_not_revoke(seen, key_id, NOW) is None]

    decision = decide(POLICY, seen, NOW)

    assert isinstance(decision, Revoke) == bool(may_go)
    assert not isinstance(decision, Revoke) or decision.key_id == may_go[0]


OVERTAKEN = a.attempt(a.LATER, base=2, age=DAY)
UNRECORDED = a.attempt(a.LATER, base=3, age=DAY)


def variants_of(key: Key) -> st.SearchStrategy[Key]:
    """Return a key like one that an attempt made, in most properties."""
    return st.builds(
        lambda mark, created_at, member_id, scopes: replace(
            key, comment=mark.put_on("voice"), created_at=created_at, member_id=member_id, scopes=scopes
        ),
        st.just(Mark(JOURNAL, LINEAGE.lineage_id, a.LATER)) | marks,
        st.sampled_from(
            [
                key.created_at,
                key.created_at - MINUTE - SECOND,
                key.created_at + HOUR,
                key.created_at + HOUR / 2,
            ]
        ),
        st.sampled_from([MEMBER, MEMBER, MEMBER, "somebody", None]),
        st.sampled_from([SCOPES, SCOPES, SCOPES, frozenset({"admin"})]),
    )


def is_work_of(key: Key, attempt: Attempt) -> bool:
    """Return whether promise P4 lets the key count as made by the attempt."""
    ours = key.mark == Mark(JOURNAL, LINEAGE.lineage_id, attempt.rotation_id)
    in_time = -MINUTE <= key.created_at - attempt.intent_at <= HOUR
    return ours and in_time and key.member_id == MEMBER and key.scopes == SCOPES


@pytest.mark.promise("P2", "P4")
@given(variants_of(a.made(OVERTAKEN, "key-orphan")))
def test_an_overtaken_orphan_is_inherited_exactly_when_it_is_ours(key: Key) -> None:
    decision = decide(POLICY, a.snapshot(a.record(attempts=[OVERTAKEN]), also=[key]), NOW)

    assert decision == (Inherit("key-orphan") if is_work_of(key, OVERTAKEN) else a.NOT_DUE)


@pytest.mark.promise("P2", "P4")
@given(variants_of(a.made(UNRECORDED, "key-new")))
def test_an_unrecorded_publish_is_finished_exactly_when_its_key_is_ours(key: Key) -> None:
    seen = replace(
        a.snapshot(a.record(attempts=[UNRECORDED]), also=[key]),
        entry=a.entry(a.LATER, version=4, key_id="key-new"),
        served=a.accepted("key-new"),
    )

    expected = (
        Finish(a.LATER, "key-new")
        if is_work_of(key, UNRECORDED)
        else Hold(HoldReason.ENTRY_CHANGED, "version 4")
    )
    assert decide(POLICY, seen, NOW) == expected
