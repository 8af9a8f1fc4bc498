"""The steps of a rotation up to a proven candidate: intent, create, prove."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from rotator.errors import (
    Ambiguous,
    Conflict,
    Denied,
    NotFound,
    PortError,
    Rejected,
    Throttled,
    Unavailable,
)
from rotator.model.key import Key, Mark, mark_of
from rotator.model.reason import CopyReason, HoldReason, RevokeReason, RotateReason
from rotator.model.record import KnownKey, Previous
from rotator.model.told import Step
from rotator.plan.actions import Hold
from rotator.policy.policy import Adopt, Policy
from rotator.policy.schedule import KEPT_WITHOUT_EXPIRY, MADE_WITHIN
from rotator.reconcile import Turn, turn
from rotator.rotation import bookkeeping
from tests.support import builders as a
from tests.support.builders import DAY, HOUR, MINUTE, POLICY, SCOPES, TAGS
from tests.support.fakes import CLAIM_TTL, World, before_first, settled

SECOND = timedelta(seconds=1)
AT_ONCE = replace(POLICY, adopt=Adopt.NOW)
OLD = a.key("key-1", age=70 * DAY)
DUE = a.record(serves=replace(a.current(OLD, age=70 * DAY), version=3))


async def rotate(world: World, policy: Policy = AT_ONCE) -> Turn:
    return await turn(world.assignment(policy), world.ports())


@pytest.mark.promise("P1", "P2")
async def test_the_first_rotation_tells_each_step_and_leaves_the_original_alive() -> None:
    world = before_first()

    done = await rotate(world)

    assert done.acted
    assert world.steps == [
        Step.INTENT,
        Step.CREATED,
        Step.PROVEN,
        Step.PUBLISHED,
        Step.RECORDED,
        Step.OVERLAP,
    ]
    assert world.served == "key-made-1"
    record = world.record
    assert record.current is not None
    assert record.current.key == replace(KnownKey.seen(world.keys["key-made-1"]), comment="voice")
    assert (record.current.version, record.current.rotation_id) == (1, f"{1:016x}")
    assert record.current.published_at == world.clock.now()
    assert record.previous == ()
    (original,) = record.originals
    assert (original.superseded_at, original.overlap, original.release_after) == (
        world.clock.now(),
        DAY,
        None,
    )
    assert "key-original" in world.keys
    assert (record.claim, record.failure, record.hold) == (None, None, None)
    assert [(one.base, one.reason) for one in record.attempts] == [(0, RotateReason.ADOPT_NOW)]
    assert [(one.key_id, one.replaced_key_id) for one in record.history] == [("key-made-1", "key-original")]


@pytest.mark.promise("P1", "P3")
async def test_a_later_rotation_keeps_the_replaced_key_with_its_terms() -> None:
    world = settled(DUE)

    await rotate(world, POLICY)

    assert world.served == "key-made-1"
    assert world.record.previous == (
        Previous(
            key_id="key-1",
            superseded_at=world.clock.now(),
            overlap=DAY,
            expires_at=OLD.expires_at,
            member_id=OLD.member_id,
        ),
    )
    assert set(world.keys) >= {"key-1", "key-made-1"}
    assert world.told[-1].until == world.clock.now() + DAY
    assert world.told[-1].key_id == "key-1"


async def test_the_policys_duration_of_release_is_copied_at_the_first_publish() -> None:
    world = before_first()

    await rotate(world, replace(AT_ONCE, original=30 * DAY))

    assert world.record.originals[0].release_after == 30 * DAY


@pytest.mark.promise("P3")
async def test_a_later_rotation_leaves_the_terms_of_an_original_as_they_were() -> None:
    waiting = a.original(a.key("key-original", age=100 * DAY, lifetime=None), release_after=30 * DAY)
    world = settled(replace(DUE, originals=(waiting,)))

    await rotate(world, replace(POLICY, original=DAY))

    assert world.record.originals == (waiting,)


async def test_consumers_find_the_key_the_one_before_and_the_expiry_beside_the_secret() -> None:
    world = settled(DUE)

    await rotate(world, POLICY)

    written, made = world.versions[-1].values, world.keys["key-made-1"]
    assert written is not None
    assert made.expires_at is not None
    assert (written["api_key_id"], written["previous_api_key_id"]) == ("key-made-1", "key-1")
    assert written["expires_at"] == made.expires_at.isoformat()


@pytest.mark.promise("P2", "P4")
@pytest.mark.parametrize("lifetime", [80 * DAY, None])
async def test_an_attempt_is_remembered_as_long_as_its_key_can_live(lifetime: timedelta | None) -> None:
    old = a.key("key-1", age=70 * DAY, lifetime=lifetime)
    world = settled(a.record(serves=a.current(old, age=70 * DAY)))

    await rotate(world, replace(POLICY, max_age=60 * DAY))

    kept = world.record.attempts[-1].keep_until - world.clock.now()
    assert kept == (lifetime or KEPT_WITHOUT_EXPIRY) + MADE_WITHIN


@pytest.mark.promise("P5")
async def test_the_request_repeats_rights_comment_and_whole_lifetime_under_a_new_mark() -> None:
    world = settled(DUE)

    await rotate(world, POLICY)

    (request,) = world.requests
    assert (request.scopes, request.tags, request.lifetime) == (SCOPES, TAGS, 90 * DAY)
    mark = mark_of(request.comment)
    assert mark is not None
    assert request.comment == f"voice {mark}"
    assert (mark.journal_id, mark.lineage_id) == (a.JOURNAL, a.LINEAGE.lineage_id)
    assert mark.rotation_id == world.record.attempts[-1].rotation_id


@pytest.mark.promise("P2", "P6")
async def test_the_intent_with_its_base_is_stored_before_anything_is_created() -> None:
    world = settled(DUE)
    seen = []
    world.before("create_key", lambda: seen.append(world.record))

    await rotate(world, POLICY)

    (record,) = seen
    assert record.attempts[-1].base == 3
    assert record.claim is not None
    assert record.claim.holder == a.OBSERVER
    assert record.attempts[-1].intent_at == world.clock.now()


async def test_the_intent_is_noted_on_the_providers_clock() -> None:
    world = settled(DUE)
    world.provider_skew = 20 * SECOND

    await rotate(world, POLICY)

    assert world.record.attempts[-1].intent_at == world.clock.now() + 20 * SECOND


@pytest.mark.parametrize("error", [Rejected("check", "entry", "too large"), Denied("check", "entry", "403")])
async def test_a_destination_that_can_not_be_written_holds_before_anything_is_made(error: PortError) -> None:
    world = before_first()
    world.fails("check_writable", error)

    done = await rotate(world)

    assert done.held == Hold(HoldReason.WRITE_REFUSED, str(error))
    assert "create_key" not in world.calls
    assert world.record.attempts == ()
    assert world.record.rotate_failure is not None
    assert world.record.rotate_failure.what == str(error)
    world.clock.advance(a.DAY)
    assert (await rotate(world)).held is None


@pytest.mark.promise("P6")
async def test_nothing_is_created_when_somebody_else_wrote_the_record_first() -> None:
    world = before_first()
    world.before("write_record", lambda: world.put_record(world.record))

    with pytest.raises(Conflict):
        await rotate(world)

    assert "create_key" not in world.calls


async def test_nothing_is_created_when_the_intent_may_not_be_stored() -> None:
    world = before_first()
    world.fails("write_record", Ambiguous("write record", "voice"), done=True)

    with pytest.raises(Ambiguous):
        await rotate(world)

    assert "create_key" not in world.calls


# Create


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("create key", "project-1"),
        Throttled("create key", "project-1"),
        Denied("create key", "project-1"),
        Rejected("create key", "project-1"),
        Conflict("create key", "project-1"),
        NotFound("create key", "project-1"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_refused_create_withdraws_its_attempt_and_is_written_down(error: PortError) -> None:
    world = before_first()
    world.fails("create_key", error)

    with pytest.raises(type(error)):
        await rotate(world)

    record = world.record
    assert record.attempts == ()
    assert record.claim is None
    assert record.failure is not None
    assert (record.failure.count, record.failure.tried, record.failure.what) == (
        1,
        RotateReason.ADOPT_NOW,
        str(error),
    )
    assert record.failure.next_try_at > world.clock.now()
    assert world.calls.count("create_key") == 1


@pytest.mark.promise("P2")
@pytest.mark.parametrize("done", [True, False], ids=["created", "not created"])
async def test_an_unanswered_create_keeps_its_attempt_and_is_not_repeated(*, done: bool) -> None:
    world = before_first()
    world.fails("create_key", Ambiguous("create key", "project-1"), done=done)

    with pytest.raises(Ambiguous):
        await rotate(world)

    record = world.record
    assert [one.base for one in record.attempts] == [0]
    assert record.failure is not None
    assert record.claim is None
    assert world.calls.count("create_key") == 1


async def test_a_failure_that_can_not_be_written_down_leaves_a_claim_that_runs_out() -> None:
    world = before_first()
    world.fails("create_key", Unavailable("create key", "project-1"))
    world.fails("write_record", None, Unavailable("write record", "voice"))

    with pytest.raises(Unavailable, match="create key"):
        await rotate(world)

    assert world.record.failure is None
    assert world.record.claim is not None


# Proving that the rights are the same


def without_listen(key: Key) -> Key:
    return replace(key, scopes=key.scopes - {"listen"})


def with_admin(key: Key) -> Key:
    return replace(key, scopes=key.scopes | {"admin"})


def without_tags(key: Key) -> Key:
    return replace(key, tags=frozenset())


def with_a_tag(key: Key) -> Key:
    return replace(key, tags=key.tags | {"new"})


def of_another_kind(key: Key) -> Key:
    return replace(key, scopes=frozenset({"admin", "billing"}), tags=frozenset())


UNLIKE: dict[Callable[[Key], Key], str] = {
    without_listen: "lacks scopes listen",
    with_admin: "has extra scopes admin",
    without_tags: "lacks tags prod",
    with_a_tag: "has extra tags new",
    of_another_kind: "lacks scopes listen, usage:write; has extra scopes admin, billing; lacks tags prod",
}


@pytest.mark.promise("P5")
@pytest.mark.parametrize("grant", UNLIKE, ids=lambda grant: grant.__name__)
async def test_a_candidate_with_other_rights_is_revoked_and_the_lineage_held(
    grant: Callable[[Key], Key],
) -> None:
    world = before_first()
    world.grant = grant

    done = await rotate(world)

    assert done.held == Hold(HoldReason.PARITY, UNLIKE[grant])
    assert world.steps == [Step.INTENT, Step.CREATED, Step.CANDIDATE_REVOKED]
    assert (world.told[-1].key_id, world.told[-1].rotation_id) == ("key-made-1", f"{1:016x}")
    assert [one.key_id for one in world.record.attempts] == [None], "there is no key left to be found"
    assert "key-made-1" not in world.keys
    assert "publish" not in world.calls
    record = world.record
    assert record.hold is not None
    assert (record.hold.reason, record.hold.detail) == (HoldReason.PARITY, UNLIKE[grant])
    assert record.claim is None
    assert (await rotate(world)).decision == done.held


@pytest.mark.promise("P5")
async def test_rights_are_compared_as_sets_with_what_the_old_key_shows() -> None:
    world = settled(
        replace(
            DUE, current=replace(a.current(OLD), key=KnownKey.seen(OLD, asked_scopes=frozenset({"member"})))
        )
    )
    world.grant = lambda key: replace(key, scopes=SCOPES)

    await rotate(world, POLICY)

    assert world.requests[0].scopes == {"member"}
    current = world.record.current
    assert current is not None
    assert (current.key.asked_scopes, current.key.scopes) == (frozenset({"member"}), SCOPES)


@pytest.mark.promise("P1")
async def test_a_secret_that_turns_out_to_be_another_keys_is_not_published() -> None:
    world = before_first()
    world.before("prove", lambda: world.secret_of.update({"key-original": world.secret_of["key-made-1"]}))

    done = await rotate(world)

    assert done.held == Hold(HoldReason.UNSAFE, "the new secret is that of key key-original")
    assert "key-made-1" not in world.keys
    assert "publish" not in world.calls
    assert "key-original" in world.keys


@pytest.mark.promise("P4")
@pytest.mark.parametrize("comment", ["somebody's", str(Mark("0" * 12, "0" * 12, "0" * 16))])
@pytest.mark.parametrize("scopes", [SCOPES, frozenset({"admin"})])
async def test_a_key_without_the_mark_of_this_rotation_is_left_alone_whatever_the_answer_to_the_create_says(
    comment: str, scopes: frozenset[str]
) -> None:
    """A proxy may repeat an older answer, and an answer may be wrong."""
    world = before_first()
    world.grant = lambda key: replace(key, key_id="key-strangers", comment=comment, scopes=scopes)

    done = await rotate(world)

    assert done.held is not None
    assert done.held.reason is HoldReason.UNSAFE
    assert "key-strangers, which does not carry the mark of this rotation" in done.held.detail
    assert "key-strangers" in world.keys
    assert not [call for call in world.calls if call.startswith(("publish", "revoke_key"))]
    assert world.steps == [Step.INTENT, Step.CREATED]
    assert [(one.rotation_id, one.key_id) for one in world.record.attempts] == [(f"{1:016x}", None)]


@pytest.mark.promise("P2", "P4")
@pytest.mark.parametrize("comment", ["somebody's", None])
async def test_a_key_that_was_never_seen_to_be_ours_is_left_alone(comment: str | None) -> None:
    """Without a look at it, only the answer to the create says whose it is. If it is ours, its mark brings it back."""
    world = before_first()
    if comment is not None:
        world.grant = lambda key: replace(key, comment=comment)
    world.fails("get_key", *[Unavailable("read key", "key-made-1")] * 1000)

    with pytest.raises(Unavailable):
        await rotate(world)

    assert "key-made-1" in world.keys
    assert not [call for call in world.calls if call.startswith(("publish", "revoke_key"))]
    assert [(one.rotation_id, one.key_id) for one in world.record.attempts] == [(f"{1:016x}", None)]


async def test_a_secret_that_could_not_be_tried_is_told_with_why() -> None:
    world = before_first()
    world.fails("prove", Unavailable("prove key", "key-made-1", "503"))

    with pytest.raises(Unavailable, match="503"):
        await rotate(world, replace(AT_ONCE, prove_deadline=timedelta(0)))


@pytest.mark.promise("P2")
async def test_a_key_that_was_seen_once_to_be_ours_is_deleted_though_it_can_not_be_read_any_more() -> None:
    world = before_first()
    world.fails("get_key", None, *[Unavailable("read key", "key-made-1")] * 1000)
    world.fails("prove", Unavailable("prove key", "key-made-1"))

    with pytest.raises(Unavailable):
        await rotate(world)

    assert "key-made-1" not in world.keys


@pytest.mark.promise("P2")
@pytest.mark.parametrize(
    "error", [Unavailable("revoke key", "k"), Ambiguous("revoke key", "k"), Denied("revoke key", "k")]
)
async def test_a_candidate_that_can_not_be_revoked_is_not_told_as_revoked(error: PortError) -> None:
    world = settled(DUE)
    world.grant = with_admin
    world.fails("revoke_key key-made-1", error)

    done = await rotate(world, POLICY)

    assert done.held is not None
    assert world.steps == [Step.INTENT, Step.CREATED]
    assert [(one.rotation_id, one.key_id) for one in world.record.attempts] == [
        (a.ISSUED, None),
        (f"{1:016x}", "key-made-1"),
    ]


async def test_a_candidate_that_is_gone_already_counts_as_revoked() -> None:
    world = before_first()
    world.grant = with_admin
    world.fails("revoke_key key-made-1", NotFound("revoke key", "key-made-1"))

    await rotate(world)

    assert world.steps[-1] is Step.CANDIDATE_REVOKED


# Proving that the secret works: it may take a while


async def test_a_new_key_may_take_a_while_to_be_known() -> None:
    world = before_first()
    world.works_after = 10 * SECOND
    world.fails("get_key", NotFound("get key", "k"), Unavailable("get key", "k"))
    world.fails("prove", None, Throttled("prove", "k"))
    started = world.clock.now()

    await rotate(world)

    assert world.served == "key-made-1"
    assert world.clock.now() - started == 10 * SECOND


@pytest.mark.promise("P1", "P8")
async def test_a_candidate_that_never_works_is_revoked_and_tried_again_later() -> None:
    world = before_first()
    world.works_after = HOUR
    started = world.clock.now()

    with pytest.raises(Unavailable, match=r": the provider does not accept the new secret$"):
        await rotate(world)

    assert world.clock.now() - started == POLICY.prove_deadline
    assert "key-made-1" not in world.keys
    assert "publish" not in world.calls
    failure = world.record.failure
    assert failure is not None
    assert failure.tried is RotateReason.ADOPT_NOW
    assert failure.failed_at == world.clock.now()
    assert MINUTE / 2 <= failure.next_try_at - world.clock.now() <= MINUTE
    assert world.record.hold is None
    assert world.record.claim is None
    assert len(world.record.attempts) == 1


@pytest.mark.promise("P8")
async def test_what_kept_a_candidate_from_being_looked_at_is_told() -> None:
    world = before_first()
    world.fails("get_key", *[Unavailable("get key", "project-1", "500")] * 1000)

    with pytest.raises(Unavailable, match="get key project-1: 500"):
        await rotate(world)

    assert world.record.failure is not None
    assert "get key project-1: 500" in world.record.failure.what


@pytest.mark.promise("P2")
async def test_a_stop_signal_ends_the_waiting_with_the_candidate_revoked() -> None:
    world = before_first()
    world.works_after = HOUR
    started = world.clock.now()
    world.fails("prove", None, None)
    world.before("prove", lambda: setattr(world, "stopping", True))

    with pytest.raises(Unavailable):
        await rotate(world)

    assert world.clock.now() - started == 2 * SECOND
    assert "key-made-1" not in world.keys
    assert world.record.claim is None


async def test_a_stop_signal_does_not_keep_a_working_candidate_from_its_consumers() -> None:
    world = before_first()
    world.before("create_key", lambda: setattr(world, "stopping", True))

    await rotate(world)

    assert world.served == "key-made-1"
    assert world.record.current is not None


@pytest.mark.promise("P6")
async def test_the_claim_is_renewed_at_each_third_while_waiting() -> None:
    world = before_first()
    world.works_after = 3 * MINUTE
    first = len(world.records)

    await rotate(world, replace(AT_ONCE, prove_deadline=5 * MINUTE))

    instants = [written_at for _, written_at in world.records[first:]]
    gaps = [later - earlier for earlier, later in pairwise(instants)]
    assert len(gaps) == 4
    assert max(gaps) <= CLAIM_TTL / 3 + SECOND
    assert world.record.claim is None


def takes_over(world: World) -> Callable[[], None]:
    return lambda: world.put_record(replace(world.record, claim=None))


@pytest.mark.promise("P2", "P6")
@pytest.mark.parametrize(
    "error", [None, Unavailable("write record", "voice"), Ambiguous("write record", "voice")], ids=str
)
async def test_a_claim_that_is_lost_while_waiting_stops_everything_and_leaves_the_candidate(
    error: PortError | None,
) -> None:
    world = before_first()
    world.works_after = HOUR
    world.fails("write_record", None)
    if error is None:
        world.before("write_record", takes_over(world))
    else:
        world.fails("write_record", error)

    with pytest.raises(type(error) if error else Conflict):
        await rotate(world)

    assert "key-made-1" in world.keys
    assert "revoke_key key-made-1" not in world.calls
    assert "publish" not in world.calls
    assert len(world.record.attempts) == 1


@pytest.mark.promise("P2", "P6")
async def test_a_claim_that_is_lost_during_a_slow_look_leaves_even_an_unfit_candidate() -> None:
    world = before_first()
    world.grant = with_admin
    world.before("get_key", lambda: world.clock.advance(2 * MINUTE))
    world.fails("write_record", None)
    world.before("write_record", takes_over(world))

    with pytest.raises(Conflict):
        await rotate(world)

    assert "key-made-1" in world.keys


@pytest.mark.promise("P6")
async def test_a_claim_that_is_lost_before_the_publish_publishes_nothing() -> None:
    world = before_first()
    world.before("prove", lambda: world.clock.advance(2 * MINUTE))
    world.fails("write_record", None)
    world.before("write_record", takes_over(world))

    with pytest.raises(Conflict):
        await rotate(world)

    assert "publish" not in world.calls
    assert "key-made-1" in world.keys


# Failures


async def test_failures_in_a_row_are_counted_and_spaced_ever_wider() -> None:
    world = before_first()
    delays = []
    for count in (1, 2, 3):
        world.fails("create_key", Unavailable("create key", "project-1"))
        with pytest.raises(Unavailable):
            await rotate(world)
        failure = world.record.failure
        assert failure is not None
        assert failure.count == count
        delays.append(failure.next_try_at - world.clock.now())
        world.clock.advance(delays[-1])

    assert [MINUTE / 2 <= d <= MINUTE * 4 for d in delays] == [True] * 3
    assert delays[2] > 2 * MINUTE - SECOND


async def test_another_policy_entry_starts_counting_anew_and_success_clears_the_count() -> None:
    world = before_first()
    world.fails("create_key", *[Unavailable("create key", "project-1")] * 2)
    with pytest.raises(Unavailable):
        await rotate(world)
    edited = replace(AT_ONCE, fingerprint="edited")

    with pytest.raises(Unavailable):
        await rotate(world, edited)
    failure = world.record.failure
    assert failure is not None
    assert (failure.count, failure.policy_fingerprint) == (1, "edited")

    await rotate(world)
    record = world.record
    assert record.failure is None
    assert record.current is not None


@pytest.mark.parametrize(
    ("before", "tried", "count"),
    [
        (RotateReason.DUE_BY_AGE, RotateReason.DUE_BY_AGE, 2),
        (RotateReason.DUE_BY_AGE, RotateReason.ORDERED, 1),
        (RevokeReason.OVERLAP_ENDED, RevokeReason.OVERLAP_ENDED, 2),
        (RevokeReason.OVERLAP_ENDED, RevokeReason.ORIGINAL_RELEASED, 2),
        (RotateReason.DUE_BY_AGE, RevokeReason.OVERLAP_ENDED, 1),
        (RotateReason.DUE_BY_AGE, CopyReason.MOVED, 1),
        (CopyReason.MOVED, CopyReason.MOVED, 2),
    ],
    ids=str,
)
def test_rotations_that_fail_count_by_their_reason_and_deletions_all_together(
    before: RotateReason | CopyReason | RevokeReason,
    tried: RotateReason | CopyReason | RevokeReason,
    count: int,
) -> None:
    once = bookkeeping.failed(a.record(), POLICY, before, "it went wrong", a.NOW, not_before=a.NOW)
    twice = bookkeeping.failed(
        once, POLICY, tried, "it went wrong", a.NOW + MINUTE, not_before=a.NOW + MINUTE
    )

    assert twice.failure is not None
    assert (twice.failure.tried, twice.failure.count) == (tried, count)


@pytest.mark.parametrize(
    ("asked", "least", "most"), [(None, MINUTE / 2, MINUTE), (SECOND, MINUTE / 2, MINUTE), (HOUR, HOUR, HOUR)]
)
async def test_a_provider_that_asks_for_patience_is_not_asked_again_before(
    asked: timedelta | None, least: timedelta, most: timedelta
) -> None:
    world = before_first()
    world.fails("create_key", Throttled("create key", "project-1", retry_after=asked))

    with pytest.raises(Throttled):
        await rotate(world)

    failure = world.record.failure
    assert failure is not None
    assert least <= failure.next_try_at - world.clock.now() <= most


@pytest.mark.parametrize("left", [a.previous(at_once=True), a.previous()], ids=["emergency", "calm"])
def test_in_an_emergency_the_time_between_tries_to_copy_does_not_grow(left: Previous) -> None:
    record = a.record(previous=[left])
    for _ in range(5):
        record = bookkeeping.failed(record, POLICY, CopyReason.MOVED, "no", a.NOW, not_before=a.NOW)

    assert record.copy_failure is not None
    waits = record.copy_failure.next_try_at - a.NOW
    assert (waits <= MINUTE) is left.at_once


async def test_a_hold_of_a_policy_entry_that_was_edited_ends_with_the_next_publish() -> None:
    world = settled(replace(DUE, hold=a.hold(HoldReason.PARITY, fingerprint="before")))

    await rotate(world, POLICY)

    assert world.served == "key-made-1"
    assert world.record.hold is None


@pytest.mark.promise("P1", "P8")
async def test_the_back_off_of_a_first_rotation_takes_a_tenth_of_the_time_the_original_has_left() -> None:
    left = timedelta(minutes=60)
    start = POLICY.overlap + POLICY.prove_deadline + POLICY.retry_max
    expiring = a.key("key-original", age=90 * DAY - start - left, lifetime=90 * DAY)
    world = settled(a.fresh_record(a.original(expiring, superseded=None)))
    for _ in range(7):
        world.fails("create_key", Unavailable("create key", "project-1"))
        with pytest.raises(Unavailable):
            await rotate(world)
        failure = world.record.failure
        assert failure is not None
        assert failure.next_try_at - world.clock.now() <= left / 10
        world.put_record(
            replace(world.record, rotate_failure=replace(failure, next_try_at=world.clock.now()))
        )
