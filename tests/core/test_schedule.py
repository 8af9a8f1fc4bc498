"""The arithmetic of when: due times, latest safe starts, lifetimes and back-off."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rotator.model.reason import RotateReason, WaitReason
from rotator.model.record import KnownKey
from rotator.policy.duration import LONGEST
from rotator.policy.policy import Freeze, Lifetime, Policy, Share, Window
from rotator.policy.schedule import (
    KEPT_WITHOUT_EXPIRY,
    Due,
    Start,
    due,
    fits,
    latest_safe_start,
    lifetime_of_next,
    next_try,
    remembered_until,
    rotate_lead,
    start,
    time_of_a_rotation,
)
from tests.support import builders as a
from tests.support.builders import DAY, HOUR, LINEAGE, MINUTE, NOW, POLICY, TICK

lineage_ids = st.text("0123456789abcdef", min_size=12, max_size=12)
key_ids = st.text(min_size=1, max_size=36)
lifetimes = st.timedeltas(MINUTE, 10 * 365 * DAY)
percents = st.floats(0.1, 90.9)
"""Shares that fit below any lifetime, however much they are spread."""
durations = st.timedeltas(timedelta(seconds=1), LONGEST)


def lasting(lifetime: timedelta | None, key_id: str = "key-1") -> KnownKey:
    """Return a key that was created now."""
    return KnownKey.seen(a.key(key_id, age=timedelta(0), lifetime=lifetime))


def due_of(policy: Policy, key: KnownKey, lineage_id: str = LINEAGE.lineage_id) -> Due:
    found = due(policy, lineage_id, key)
    assert found is not None
    return found


# Due


@given(percents, lifetimes, lineage_ids, key_ids)
def test_due_by_expiry_is_never_late_and_early_by_a_tenth_of_the_lead_at_most(
    percent: float, lifetime: timedelta, lineage_id: str, key_id: str
) -> None:
    policy = replace(POLICY, rotate_before=Share(percent))
    key = lasting(lifetime, key_id)
    lead = lifetime * percent / 100

    found = due_of(policy, key, lineage_id)

    left = NOW + lifetime - found.at
    assert found.reason is RotateReason.DUE_BY_EXPIRY
    assert lead - a.TICK <= left <= lead * 1.1 + a.TICK


@given(durations, lineage_ids, key_ids)
def test_due_by_age_is_never_late_and_early_by_a_tenth_of_the_age_at_most(
    max_age: timedelta, lineage_id: str, key_id: str
) -> None:
    found = due_of(replace(POLICY, max_age=max_age), lasting(None, key_id), lineage_id)

    assert found.reason is RotateReason.DUE_BY_AGE
    assert max_age * 0.9 - a.TICK <= found.at - NOW <= max_age


@given(st.none() | lifetimes, st.none() | durations)
def test_the_earlier_of_expiry_and_age_counts(lifetime: timedelta | None, max_age: timedelta | None) -> None:
    key = lasting(lifetime)
    by_expiry = due(POLICY, LINEAGE.lineage_id, key)
    by_age = due(replace(POLICY, max_age=max_age), LINEAGE.lineage_id, lasting(None))

    both = due(replace(POLICY, max_age=max_age), LINEAGE.lineage_id, key)

    candidates = [one for one in (by_expiry, by_age) if one is not None]
    assert both == min(candidates, key=lambda one: one.at, default=None)


def test_a_key_with_neither_expiry_nor_age_is_never_due() -> None:
    assert due(POLICY, LINEAGE.lineage_id, lasting(None)) is None


def test_a_lead_may_be_given_as_a_duration() -> None:
    assert rotate_lead(replace(POLICY, rotate_before=30 * DAY), 90 * DAY) == 30 * DAY
    assert rotate_lead(replace(POLICY, rotate_before=Share(33)), 90 * DAY) == 90 * DAY * 0.33


NEEDED = DAY + HOUR + 2 * MINUTE
"""Overlap, proof and retries of POLICY."""


@pytest.mark.parametrize(
    ("rotate_before", "lifetime", "lead"),
    [
        (30 * DAY, 33 * DAY + TICK, 30 * DAY),
        # It is due as soon as it is made, if it is spread by a whole tenth: the default counts.
        (30 * DAY, 33 * DAY, 33 * DAY * 0.33),
        (30 * DAY, 30 * DAY, 30 * DAY * 0.33),
        (30 * DAY, 10 * DAY, 10 * DAY * 0.33),
        (Share(90), 90 * DAY, 81 * DAY),
        (Share(91), 90 * DAY, 90 * DAY * 0.33),
        # The default leaves too little for a rotation.
        (30 * DAY, 3 * DAY, NEEDED),
        (Share(95), 3 * DAY, NEEDED),
        (30 * DAY, 1.1 * NEEDED + TICK, NEEDED),
        # Nothing fits.
        (30 * DAY, 1.1 * NEEDED, 30 * DAY),
        (30 * DAY, HOUR, 30 * DAY),
        (Share(95), DAY, 0.95 * DAY),
    ],
)
def test_a_lead_that_is_too_long_for_a_lifetime_gives_way_to_one_that_fits(
    rotate_before: Share | timedelta, lifetime: timedelta, lead: timedelta
) -> None:
    assert rotate_lead(replace(POLICY, rotate_before=rotate_before), lifetime) == lead


@given(
    st.builds(Share, st.floats(0.1, 99.9)) | durations,
    lifetimes,
    st.timedeltas(timedelta(0), 9 * DAY),
    st.sampled_from(["", "0 2 * * *", "0 11 5 1 *", "0 2 1 * *"]),
    key_ids,
)
def test_no_new_key_is_due_at_once_that_lives_long_enough_for_a_rotation(
    rotate_before: Share | timedelta, lifetime: timedelta, overlap: timedelta, cron: str, key_id: str
) -> None:
    policy = replace(POLICY, rotate_before=rotate_before, overlap=overlap)
    key = lasting(lifetime, key_id)
    assume(lifetime > 1.1 * time_of_a_rotation(policy) + TICK)
    lead = rotate_lead(policy, lifetime)
    found = due_of(in_windows(cron, of=policy) if cron else policy, key)

    assert found.at > NOW
    asked = (
        rotate_before if isinstance(rotate_before, timedelta) else lifetime * (rotate_before.percent / 100)
    )
    if fits(asked, lifetime):
        assert lead == asked
    else:
        assert time_of_a_rotation(policy) <= lead < asked


def test_the_lead_is_a_share_of_the_whole_lifetime_not_of_what_is_left() -> None:
    key = lasting(90 * DAY)

    assert NOW + 57 * DAY <= due_of(POLICY, key).at <= NOW + 61 * DAY


def test_the_spread_is_the_same_over_restarts_and_replicas() -> None:
    assert due_of(POLICY, lasting(90 * DAY)).at == datetime(2026, 3, 6, 19, 5, 16, 438166, tzinfo=UTC)


def test_the_spread_differs_between_lineages_and_between_successive_keys() -> None:
    key = lasting(90 * DAY)
    instants = {due_of(POLICY, key, f"{n:012x}").at for n in range(100)}
    instants |= {due_of(POLICY, lasting(90 * DAY, f"key-{n}")).at for n in range(100)}

    assert len(instants) == 200
    assert max(instants) - min(instants) > 2 * DAY


# Windows and freezes: when it is due, and when it may start


def z(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def in_windows(*crons: str, of: Policy = POLICY) -> Policy:
    return replace(
        of, windows=tuple(Window(cron=cron, length=2 * HOUR, zone=ZoneInfo("UTC")) for cron in crons)
    )


def in_freeze(start: str, end: str, of: Policy = POLICY) -> Policy:
    return replace(of, freezes=(Freeze(starts_at=z(start), ends_at=z(end)),))


DUE_AT = datetime(2026, 3, 6, 19, 5, 16, 438166, tzinfo=UTC)
"""When a key that lives 90 days from now is due: a Friday."""
SAFE_UNTIL = z("2026-04-04T10:58")
"""Its latest safe start."""
LATE = Start(SAFE_UNTIL, WaitReason.OPENS_TOO_LATE, WaitReason.OUTSIDE_WINDOW)


@pytest.mark.parametrize(
    ("policy", "due_at", "begins"),
    [
        (POLICY, DUE_AT, Start(DUE_AT)),
        (in_windows("0 18 * * *"), DUE_AT, Start(DUE_AT)),
        (in_windows("0 2 * * 0"), DUE_AT, Start(z("2026-03-08T02:00"), WaitReason.OUTSIDE_WINDOW)),
        (in_windows("0 2 1 * *"), DUE_AT, Start(z("2026-04-01T02:00"), WaitReason.OUTSIDE_WINDOW)),
        # Open next only when it is too late: it is due ahead, when one opened last.
        (in_windows("0 2 1 2,5 *"), z("2026-02-01T02:00"), Start(z("2026-02-01T02:00"))),
        (in_windows("58 10 4 4 *", "0 2 1 2 *"), z("2026-02-01T02:00"), Start(z("2026-02-01T02:00"))),
        (
            in_windows("57 10 4 4 *", "0 2 1 2 *"),
            DUE_AT,
            Start(z("2026-04-04T10:57"), WaitReason.OUTSIDE_WINDOW),
        ),
        # But not in the window in which it was made, nor in one before that.
        (in_windows("0 11 5 1 *"), DUE_AT, LATE),
        (in_windows("0 2 5 1 *"), DUE_AT, LATE),
        (in_windows("1 12 5 1 *"), z("2026-01-05T12:01"), Start(z("2026-01-05T12:01"))),
        # A freeze: after it, where that is early enough, else a day before it.
        (in_freeze("2026-03-01", "2026-04-04"), DUE_AT, Start(z("2026-04-04T00:00"), WaitReason.FROZEN)),
        (in_freeze("2026-03-01", "2026-04-05"), z("2026-02-28T00:00"), Start(z("2026-02-28T00:00"))),
        (
            in_freeze("2026-03-01", "2026-04-05", of=in_windows("0 2 * * 0")),
            z("2026-02-22T02:00"),
            Start(z("2026-02-22T02:00")),
        ),
        (
            in_freeze("2026-01-06", "2026-05-01"),
            DUE_AT,
            Start(SAFE_UNTIL, WaitReason.OPENS_TOO_LATE, WaitReason.FROZEN),
        ),
        (in_freeze("2026-03-06", "2026-03-06T19:00"), DUE_AT, Start(DUE_AT)),
    ],
)
def test_a_key_that_expires_is_due_and_starts_when_it_is_open(
    policy: Policy, due_at: datetime, begins: Start
) -> None:
    found = due_of(policy, lasting(90 * DAY))

    assert found == Due(due_at, RotateReason.DUE_BY_EXPIRY)
    assert start(policy, found.at, SAFE_UNTIL) == begins


@pytest.mark.promise("P8")
def test_from_its_latest_safe_start_on_an_expiry_beats_windows_and_freezes() -> None:
    policy = in_windows("0 2 1 7 *")

    assert start(policy, SAFE_UNTIL - TICK, SAFE_UNTIL) == LATE
    assert start(policy, SAFE_UNTIL, SAFE_UNTIL) == Start(SAFE_UNTIL, overrides=WaitReason.OUTSIDE_WINDOW)
    assert start(policy, SAFE_UNTIL + DAY, SAFE_UNTIL).at == SAFE_UNTIL + DAY
    assert start(policy, z("2026-07-01T03:00"), SAFE_UNTIL) == Start(z("2026-07-01T03:00"))
    in_time = Start(SAFE_UNTIL, WaitReason.OUTSIDE_WINDOW)
    assert start(in_windows("58 10 4 4 *"), NOW, SAFE_UNTIL) == in_time


def test_a_key_that_never_expires_waits_as_long_as_it_is_closed() -> None:
    policy = in_windows("0 2 1 7 *")

    assert start(policy, NOW, None) == Start(z("2026-07-01T02:00"), WaitReason.OUTSIDE_WINDOW)


def test_a_key_is_due_ahead_rather_than_older_than_its_age() -> None:
    monthly = in_windows("0 2 1 * *", of=replace(POLICY, max_age=40 * DAY))
    endless = lasting(None)

    assert NOW + 36 * DAY < due_of(replace(monthly, windows=()), endless).at < NOW + 40 * DAY
    assert due_of(monthly, endless) == Due(z("2026-02-01T02:00"), RotateReason.DUE_BY_AGE)
    daily = in_windows("0 2 * * *", of=monthly)
    another = lasting(None, "key-3")
    assert due_of(daily, another) == due_of(replace(daily, windows=()), another)


def test_what_was_over_age_when_it_was_taken_in_is_spread_as_without_windows() -> None:
    policy = replace(POLICY, max_age=40 * DAY)
    old = KnownKey.seen(a.key(age=400 * DAY, lifetime=None))
    found = due(in_windows("0 2 1 * *", of=policy), LINEAGE.lineage_id, old, taken_in_at=NOW)

    assert found == due(policy, LINEAGE.lineage_id, old, taken_in_at=NOW)


def test_a_lead_that_is_too_short_is_due_ahead_of_the_latest_safe_start() -> None:
    daily = in_windows("0 2 * * *", of=replace(POLICY, rotate_before=HOUR))

    assert due_of(daily, lasting(90 * DAY)).at == z("2026-04-04T02:00")


def test_an_expiry_at_the_end_of_the_calendar_waits_for_no_window() -> None:
    key = replace(lasting(DAY), expires_at=datetime.max.replace(tzinfo=UTC))

    found = due_of(in_windows("0 2 1 1 *", of=replace(POLICY, rotate_before=30 * DAY)), key)

    assert found.at.year == 9999
    assert start(in_windows("0 2 1 1 *"), found.at, None) == Start(found.at)


# Latest safe start


@given(durations, durations, durations)
def test_the_latest_safe_start_leaves_time_for_overlap_proof_and_retries(
    overlap: timedelta, prove_deadline: timedelta, retry_max: timedelta
) -> None:
    policy = replace(POLICY, overlap=overlap, prove_deadline=prove_deadline, retry_max=retry_max)

    found = latest_safe_start(policy, NOW)

    assert found is not None
    assert found + retry_max + prove_deadline + overlap == NOW


def test_without_expiry_any_start_is_safe() -> None:
    assert latest_safe_start(POLICY, None) is None


# The lifetime of the next key


@pytest.mark.promise("P1")
@pytest.mark.parametrize("left", [timedelta(minutes=1), 30 * DAY, -5 * DAY])
def test_a_lifetime_is_inherited_whole_however_little_is_left_of_it(left: timedelta) -> None:
    key = KnownKey.seen(a.key(age=90 * DAY - left, lifetime=90 * DAY))

    assert key.expires_at == NOW + left
    assert lifetime_of_next(POLICY, key) == 90 * DAY


@pytest.mark.parametrize("lifetime", [None, 90 * DAY])
def test_a_lifetime_that_the_policy_names_counts_alone(lifetime: timedelta | None) -> None:
    assert lifetime_of_next(replace(POLICY, lifetime=7 * DAY), lasting(lifetime)) == 7 * DAY
    assert lifetime_of_next(replace(POLICY, lifetime=Lifetime.NEVER), lasting(lifetime)) is None


def test_a_key_that_never_expires_is_followed_by_one_that_never_expires() -> None:
    assert lifetime_of_next(POLICY, lasting(None)) is None


def test_an_expiry_at_the_end_of_the_calendar_can_be_inherited() -> None:
    key = replace(lasting(DAY), expires_at=datetime.max.replace(tzinfo=UTC))

    lifetime = lifetime_of_next(POLICY, key)

    assert lifetime == LONGEST
    assert remembered_until(NOW, lifetime) == NOW + LONGEST + HOUR


# How long an attempt is remembered


@given(st.none() | lifetimes)
def test_an_attempt_is_remembered_longer_than_its_key_can_live(lifetime: timedelta | None) -> None:
    created_at_the_latest = NOW + HOUR

    assert remembered_until(NOW, lifetime) == created_at_the_latest + (lifetime or KEPT_WITHOUT_EXPIRY)


# Back-off


def delay(
    policy: Policy, failures: int, safe_until: datetime | None = None, lineage_id: str = "x"
) -> timedelta:
    return next_try(policy, lineage_id, failures=failures, now=NOW, safe_until=safe_until) - NOW


def test_the_delay_doubles_until_the_most_and_is_at_most_halved_by_its_spread() -> None:
    whole = [1, 2, 4, 8, 16, 32, 60, 60]

    for failures, minutes in enumerate(whole, start=1):
        assert minutes * MINUTE / 2 < delay(POLICY, failures) <= minutes * MINUTE


@given(st.integers(1, 10**6), durations, durations, lineage_ids)
def test_the_delay_is_within_its_bounds_for_any_policy(
    failures: int, one: timedelta, other: timedelta, lineage_id: str
) -> None:
    policy = replace(POLICY, retry_initial=min(one, other), retry_max=max(one, other))

    found = delay(policy, failures, lineage_id=lineage_id)

    assert min(one, other) / 2 - a.TICK <= found <= max(one, other)


@pytest.mark.promise("P8")
@given(st.integers(1, 100), st.timedeltas(-DAY, 30 * DAY))
def test_the_delay_takes_a_tenth_of_the_time_left_at_most_and_stays_above_zero(
    failures: int, left: timedelta
) -> None:
    found = delay(POLICY, failures, NOW + left)

    assert found <= max(left / 10, POLICY.retry_initial)
    assert found >= POLICY.retry_initial / 2


def test_much_time_left_does_not_lengthen_the_delay() -> None:
    assert delay(POLICY, 1, NOW + 1000 * DAY) == delay(POLICY, 1)


def test_the_delay_is_spread_between_lineages_and_the_same_for_one() -> None:
    delays = [delay(POLICY, 5, lineage_id=str(n)) for n in range(100)]

    assert len(set(delays)) == 100
    assert delays == [delay(POLICY, 5, lineage_id=str(n)) for n in range(100)]
    assert max(delays) - min(delays) > 7 * MINUTE
