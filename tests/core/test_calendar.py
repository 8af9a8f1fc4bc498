"""What would be done until a day to come: the same arithmetic as the planner's, run forward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.model.entry import Served, Verdict
from rotator.model.key import Key
from rotator.model.order import OrderKind
from rotator.model.reason import HoldReason, RevokeReason, RotateReason, WaitReason
from rotator.model.record import KnownKey
from rotator.model.snapshot import Snapshot
from rotator.plan.actions import Rotate, Wait
from rotator.plan.ages import OldestKey, oldest_key
from rotator.plan.calendar import MOST_EVENTS, Calendar, Crowd, Unrotated, forecast
from rotator.plan.course import Subject, What
from rotator.plan.decide import decide
from rotator.policy.policy import Adopt as AdoptMode
from rotator.policy.policy import Freeze, Lifetime, Policy, Share, Window
from rotator.policy.schedule import SPREAD, latest_safe_start
from tests.support import builders as a
from tests.support.builders import CURRENT, DAY, HOUR, MINUTE, NOW, POLICY, SETTLED, TICK

Happens = tuple[timedelta, str, str]
"""How long from now, what, and why."""

OLD = a.key(CURRENT.key_id, age=70 * DAY)
DUE = a.snapshot(a.record(serves=a.current(OLD, age=70 * DAY)))
ENDLESS = a.key(CURRENT.key_id, lifetime=None)
NIGHTLY = Window(cron="0 2 * * *", length=2 * HOUR, zone=ZoneInfo("UTC"))
"""Opens 14 hours from now."""
EVERY_DAY = replace(POLICY, max_age=DAY, overlap=HOUR)


def subject(
    seen: Snapshot, policy: Policy = POLICY, *, name: str = "voice", provider: str = "asr"
) -> Subject:
    decision = decide(policy, seen, NOW)
    return Subject(lineage=name, provider=provider, policy=policy, snapshot=seen, decision=decision)


def foretold(*subjects: Subject, until: timedelta = 90 * DAY, starts_per_hour: int = 60) -> Calendar:
    return forecast(subjects, now=NOW, until=NOW + until, starts_per_hour=starts_per_hour)


def happens(*subjects: Subject, until: timedelta = 90 * DAY) -> list[Happens]:
    events = foretold(*subjects, until=until).events
    return [(event.at - NOW, event.what.value, event.reason.value) for event in events]


def serving(of: Key, *, age: timedelta = 10 * DAY, **more: object) -> Snapshot:
    return a.with_record(a.snapshot(a.record(serves=a.current(of, age=age))), **more)


def test_a_key_that_is_due_is_replaced_and_deleted_and_so_is_its_successor() -> None:
    found = foretold(subject(DUE), until=80 * DAY).events

    assert [(one.what, one.reason) for one in found] == [
        (What.ROTATE, RotateReason.DUE_BY_EXPIRY),
        (What.RETIRE, RevokeReason.OVERLAP_ENDED),
        (What.ROTATE, RotateReason.DUE_BY_EXPIRY),
        (What.RETIRE, RevokeReason.OVERLAP_ENDED),
    ]
    first, gone, second, _ = (one.at for one in found)
    assert (first, gone) == (NOW, NOW + DAY)
    lead = 90 * DAY * 0.33
    assert NOW + 90 * DAY - lead * (1 + 1 / SPREAD) <= second <= NOW + 90 * DAY - lead


def test_what_happens_at_the_very_end_is_shown() -> None:
    of = subject(SETTLED)
    due_at = foretold(of).events[0].at

    assert [one.at for one in foretold(of, until=due_at - NOW).events] == [due_at]
    assert foretold(of, until=due_at - NOW - TICK).events == ()


def test_what_follows_a_rotation_has_reasons_and_instants_of_its_own() -> None:
    """A successor is due by time, whyever its predecessor was replaced, and is spread by a key id of its own."""
    ordered = subject(a.with_record(SETTLED, standing=a.order()))
    rotations = [one for one in foretold(ordered, until=400 * DAY).events if one.what is What.ROTATE]

    assert [one.reason for one in rotations] == ["ordered"] + ["due_by_expiry"] * (len(rotations) - 1)
    assert not any(one.missed for one in rotations)
    gaps = {after.at - before.at for before, after in pairwise(rotations)}
    assert len(gaps) == len(rotations) - 1 > 4


ORIGINAL = a.original(a.key("key-original", age=40 * DAY, lifetime=60 * DAY), superseded=None)
KEPT = a.original(superseded=None)


@pytest.mark.parametrize(
    ("of", "events"),
    [
        # What awaits its end already.
        (
            subject(serving(ENDLESS, previous=(a.previous(superseded=HOUR),))),
            [(23 * HOUR, "retire", "overlap_ended")],
        ),
        (
            subject(serving(ENDLESS, previous=(a.previous(superseded=2 * DAY),))),
            [(timedelta(), "retire", "overlap_ended")],
        ),
        (
            subject(serving(ENDLESS, previous=(a.previous(superseded=HOUR, at_once=True),))),
            [(timedelta(), "retire", "emergency")],
        ),
        (subject(serving(ENDLESS, originals=(a.original(),))), []),
        (
            subject(serving(ENDLESS, originals=(a.original(released=True),))),
            [(timedelta(), "retire", "original_released")],
        ),
        (
            subject(serving(ENDLESS, originals=(a.original(superseded=HOUR, release_after=2 * HOUR),))),
            [(23 * HOUR, "retire", "original_released")],
        ),
        (
            subject(
                serving(
                    ENDLESS, originals=(a.original(a.key("key-original", age=5 * DAY, lifetime=8 * DAY)),)
                )
            ),
            [(3 * DAY, "retire", "expired")],
        ),
        (
            subject(serving(ENDLESS, originals=(a.original(superseded=HOUR, at_once=True),))),
            [(timedelta(), "retire", "emergency")],
        ),
        (
            subject(serving(ENDLESS, originals=(a.original(superseded=3 * DAY, release_after=2 * DAY),))),
            [(timedelta(), "retire", "original_released")],
        ),
        # A window, or a freeze, puts a deletion off.
        (
            subject(
                serving(ENDLESS, previous=(a.previous(superseded=HOUR),)), replace(POLICY, windows=(NIGHTLY,))
            ),
            [(38 * HOUR, "retire", "overlap_ended")],
        ),
        # The first rotation leaves the original alive until its release, or its own expiry.
        (
            subject(a.snapshot(a.fresh_record(KEPT)), replace(POLICY, adopt=AdoptMode.NOW)),
            [(timedelta(), "rotate", "adopt_now")],
        ),
        (
            subject(a.snapshot(a.fresh_record(KEPT)), replace(POLICY, adopt=AdoptMode.NOW, original=5 * DAY)),
            [(timedelta(), "rotate", "adopt_now"), (5 * DAY, "retire", "original_released")],
        ),
        (
            subject(
                a.snapshot(a.fresh_record(ORIGINAL)),
                replace(POLICY, adopt=AdoptMode.NOW, lifetime=Lifetime.NEVER),
            ),
            [(timedelta(), "rotate", "adopt_now"), (20 * DAY, "retire", "expired")],
        ),
        # What is not taken in yet.
        (
            subject(
                a.unrecorded(a.key(lifetime=None)), replace(POLICY, adopt=AdoptMode.NOW, original=5 * DAY)
            ),
            [(timedelta(), "rotate", "adopt_now"), (5 * DAY, "retire", "original_released")],
        ),
        (
            subject(
                replace(
                    a.unrecorded(a.key(lifetime=None)),
                    entry=a.entry(None, key_id="key-1"),
                    served=a.accepted("key-1"),
                ),
                replace(POLICY, adopt=AdoptMode.NOW, original=5 * DAY),
            ),
            [(timedelta(), "rotate", "adopt_now"), (DAY, "retire", "overlap_ended")],
        ),
        # Orders, and what fails.
        (
            subject(serving(ENDLESS, standing=a.order()), replace(POLICY, windows=(NIGHTLY,))),
            [(timedelta(), "rotate", "ordered"), (38 * HOUR, "retire", "overlap_ended")],
        ),
        (
            subject(
                serving(
                    ENDLESS, standing=a.order(), rotate_failure=a.failure(RotateReason.ORDERED, tries_in=HOUR)
                )
            ),
            [(HOUR, "rotate", "ordered"), (25 * HOUR, "retire", "overlap_ended")],
        ),
        (
            subject(
                serving(
                    ENDLESS, standing=a.order(OrderKind.EMERGENCY), originals=(a.original(superseded=None),)
                )
            ),
            [
                (timedelta(), "rotate", "emergency"),
                (timedelta(), "retire", "emergency"),
                (timedelta(), "retire", "emergency"),
            ],
        ),
        (
            subject(
                replace(serving(ENDLESS), served=Served(Verdict.REFUSED)), replace(POLICY, windows=(NIGHTLY,))
            ),
            [(timedelta(), "rotate", "served_key_refused"), (38 * HOUR, "retire", "overlap_ended")],
        ),
        (
            subject(
                a.with_record(DUE, rotate_failure=a.failure(RotateReason.DUE_BY_EXPIRY, tries_in=HOUR)),
                replace(POLICY, lifetime=Lifetime.NEVER),
            ),
            [(HOUR, "rotate", "due_by_expiry"), (25 * HOUR, "retire", "overlap_ended")],
        ),
    ],
)
def test_what_happens_to_a_lineage(of: Subject, events: list[Happens]) -> None:
    assert happens(of) == events


BY_AGE = replace(POLICY, max_age=30 * DAY)


def test_a_rotation_and_a_deletion_wait_for_a_window() -> None:
    (rotated, deleted) = foretold(subject(DUE, replace(POLICY, windows=(NIGHTLY,))), until=30 * DAY).events

    assert (rotated.at, rotated.wished_at, rotated.overrides) == (NOW + 14 * HOUR,) * 2 + (None,)
    assert deleted.at == NOW + 38 * HOUR


@pytest.mark.promise("P8")
def test_what_can_not_wait_for_a_window_or_the_end_of_a_freeze_is_shown_as_such() -> None:
    expiring = serving(a.key(CURRENT.key_id, age=80 * DAY), age=80 * DAY)
    once = replace(NIGHTLY, cron="0 2 1 12 *")
    frozen = Freeze(starts_at=NOW - DAY, ends_at=NOW + 50 * DAY)
    safe_until = latest_safe_start(POLICY, NOW + 10 * DAY)

    shut = foretold(subject(expiring, replace(POLICY, windows=(once,))), until=20 * DAY).events
    cold = foretold(subject(expiring, replace(POLICY, freezes=(frozen,))), until=20 * DAY).events

    assert [(one.at, one.overrides) for one in shut] == [(safe_until, WaitReason.OUTSIDE_WINDOW)]
    assert [(one.at, one.overrides) for one in cold] == [(safe_until, WaitReason.FROZEN)]


policies = st.builds(
    lambda max_age, opened, closed, adopt: replace(
        POLICY, max_age=max_age, windows=opened, freezes=closed, adopt=adopt
    ),
    st.none() | st.sampled_from([5 * DAY, 9 * DAY, 60 * DAY]),
    st.sampled_from(
        [(), (NIGHTLY,), (replace(NIGHTLY, cron="0 2 * * 0"),), (replace(NIGHTLY, cron="0 2 1 */3 *"),)]
    ),
    st.sampled_from([(), (Freeze(starts_at=NOW + 5 * DAY, ends_at=NOW + 25 * DAY),)]),
    st.sampled_from([AdoptMode.WHEN_DUE, AdoptMode.NOW]),
)
snapshots = st.builds(
    lambda age, lifetime, published: serving(
        a.key(CURRENT.key_id, age=age, lifetime=lifetime), age=published
    ),
    st.sampled_from([HOUR, 9 * DAY, 40 * DAY, 70 * DAY, 88 * DAY, 89 * DAY]),
    st.sampled_from([90 * DAY, None, 100 * DAY]),
    st.sampled_from([MINUTE, 9 * DAY]),
)


@given(policies, snapshots)
def test_the_first_rotation_is_when_the_planner_says(policy: Policy, seen: Snapshot) -> None:
    of = subject(seen, policy)
    rotations = [one for one in foretold(of, until=900 * DAY).events if one.what is What.ROTATE]

    match of.decision:
        case Rotate(reason, _, overrides):
            first = rotations[0]
            assert (first.at, first.reason, first.overrides) == (NOW, reason, overrides)
        case Wait(_, until):
            assert (rotations[0].at if rotations else None) == until
        case _:
            raise AssertionError(of.decision)


def test_what_was_over_age_when_it_was_taken_in_is_due_when_the_planner_says() -> None:
    over_age = a.original(a.key("key-original", age=400 * DAY, lifetime=None), superseded=None)
    of = subject(a.snapshot(replace(a.fresh_record(over_age), adopted_at=NOW)), BY_AGE)

    assert isinstance(of.decision, Wait)
    assert NOW < foretold(of).events[0].at == of.decision.until


def test_an_original_that_was_superseded_is_deleted_once() -> None:
    superseded = a.original(superseded=HOUR, release_after=2 * HOUR)

    of = subject(a.with_record(DUE, originals=(superseded,)), replace(POLICY, original=3 * DAY))

    assert happens(of, until=5 * DAY) == [
        (timedelta(), "rotate", "due_by_expiry"),
        (23 * HOUR, "retire", "original_released"),
        (DAY, "retire", "overlap_ended"),
    ]


# More than may begin


def crowd(count: int, policy: Policy = POLICY) -> list[Subject]:
    return [subject(DUE, policy, name=f"voice-{n}", provider="asr" if n % 2 else "tts") for n in range(count)]


def begun(calendar: Calendar) -> list[timedelta]:
    return [event.at - NOW for event in calendar.events if event.what is What.ROTATE]


def test_no_more_begin_in_an_hour_than_may_and_the_others_wait() -> None:
    calendar = foretold(*crowd(5), until=DAY, starts_per_hour=2)

    assert begun(calendar) == [timedelta(), timedelta(), HOUR, HOUR, 2 * HOUR]
    assert calendar.crowds == (Crowd(at=NOW, last_at=NOW + 2 * HOUR, waiting={"tts": 2, "asr": 1}, missed=0),)
    assert foretold(*crowd(5), until=DAY, starts_per_hour=5).crowds == ()


def test_those_whose_window_closes_meanwhile_begin_in_the_next() -> None:
    calendar = foretold(*crowd(5, replace(POLICY, windows=(NIGHTLY,))), until=3 * DAY, starts_per_hour=1)

    opens = 14 * HOUR
    assert begun(calendar) == [opens, opens + HOUR, opens + DAY, opens + DAY + HOUR, opens + 2 * DAY]
    (waits,) = calendar.crowds
    assert (waits.at, waits.last_at, waits.missed) == (NOW + opens, NOW + opens + 2 * DAY, 3)


def test_each_crowd_ends_when_the_last_of_it_begins() -> None:
    later = replace(POLICY, freezes=(Freeze(starts_at=NOW - DAY, ends_at=NOW + 5 * HOUR),))
    calendar = foretold(*crowd(3), *crowd(3, later), until=DAY, starts_per_hour=1)

    assert [(one.at - NOW, one.last_at - NOW) for one in calendar.crowds] == [
        (timedelta(), 2 * HOUR),
        (5 * HOUR, 7 * HOUR),
    ]


def test_who_could_begin_as_the_last_of_a_crowd_does_belongs_to_it() -> None:
    failed = a.failure(RotateReason.DUE_BY_EXPIRY, tries_in=HOUR)
    third = subject(a.with_record(DUE, rotate_failure=failed), name="third")
    calendar = foretold(*crowd(2), third, until=DAY, starts_per_hour=1)

    assert [(one.at - NOW, one.last_at - NOW) for one in calendar.crowds] == [(timedelta(), 2 * HOUR)]


def test_one_that_waits_less_than_others_does_not_end_a_crowd() -> None:
    failed = a.failure(RotateReason.DUE_BY_EXPIRY, tries_in=30 * MINUTE)
    soon = serving(a.key(CURRENT.key_id, age=90 * DAY - 26 * HOUR), age=89 * DAY, rotate_failure=failed)
    failed_too = a.with_record(DUE, rotate_failure=replace(failed, next_try_at=NOW + 90 * MINUTE))
    calendar = foretold(
        *crowd(4), subject(soon, name="soon"), subject(failed_too), until=DAY, starts_per_hour=1
    )

    assert {event.lineage: event.at - NOW for event in calendar.events}["soon"] == 58 * MINUTE
    assert [(one.at - NOW, one.last_at - NOW) for one in calendar.crowds] == [(timedelta(), 4 * HOUR)]


def test_who_waited_once_does_not_wait_again() -> None:
    calendar = foretold(*crowd(3), until=80 * DAY, starts_per_hour=1)

    waited = [event for event in calendar.events if event.at > event.wished_at]
    assert [event.at - NOW for event in waited] == [HOUR, 2 * HOUR]
    assert len(begun(calendar)) == 6


@pytest.mark.promise("P8")
def test_what_is_late_or_ordered_begins_however_many_do_and_the_nearest_expiry_first() -> None:
    late = subject(serving(a.key(CURRENT.key_id, age=89 * DAY), age=89 * DAY), name="late")
    ordered = subject(serving(ENDLESS, standing=a.order()), name="ordered")
    calendar = foretold(*crowd(3), ordered, late, until=DAY - TICK, starts_per_hour=1)

    assert {one.lineage for one in calendar.events if one.at == NOW} == {"late", "ordered"}
    assert begun(calendar) == [timedelta(), timedelta(), HOUR, 2 * HOUR, 3 * HOUR]


def test_a_start_that_would_come_too_late_does_not_wait_for_room() -> None:
    soon = serving(a.key(CURRENT.key_id, age=90 * DAY - 26 * HOUR), age=89 * DAY)
    calendar = foretold(subject(DUE, name="first"), subject(soon), until=DAY, starts_per_hour=1)
    several = foretold(*(subject(soon, name=f"voice-{n}") for n in range(3)), until=DAY, starts_per_hour=1)

    assert begun(calendar) == [timedelta(), HOUR]
    assert begun(several) == [timedelta(), 58 * MINUTE, 58 * MINUTE]


# What no time rotates


@pytest.mark.promise("P8")
@pytest.mark.parametrize(
    ("of", "why"),
    [
        (subject(replace(SETTLED, fleet_hold=HoldReason.MATCHED_TWICE)), HoldReason.MATCHED_TWICE),
        (subject(replace(SETTLED, paused="*, by ann")), WaitReason.PAUSED),
        (subject(a.with_record(SETTLED, forgotten=True)), WaitReason.FORGOTTEN),
        (subject(SETTLED, replace(POLICY, adopt=AdoptMode.WATCH)), WaitReason.WATCHED),
        (subject(serving(ENDLESS)), WaitReason.NOT_DUE),
        (subject(a.unrecorded(None)), WaitReason.NOT_FOUND),
    ],
)
def test_what_no_time_rotates_is_named_with_its_reason(of: Subject, why: HoldReason | WaitReason) -> None:
    calendar = foretold(of)

    expires_at = of.key.expires_at if of.key else None
    assert calendar.events == ()
    assert calendar.unrotated == (
        Unrotated(
            lineage="voice",
            why=why,
            expires_at=expires_at,
            safe_until=latest_safe_start(POLICY, expires_at),
        ),
    )


def test_a_pause_keeps_old_keys_too_and_a_policy_that_watches_does_not() -> None:
    seen = serving(CURRENT, previous=(a.previous(superseded=HOUR),))

    assert happens(subject(replace(seen, paused="*, by ann"))) == []
    assert happens(subject(seen, replace(POLICY, adopt=AdoptMode.WATCH))) == [
        (23 * HOUR, "retire", "overlap_ended")
    ]


# A calendar that is full


def test_what_is_due_as_soon_as_it_is_made_fills_a_calendar_and_it_says_where_it_ends() -> None:
    brief = replace(POLICY, rotate_before=95 * DAY, lifetime=HOUR)
    hasty = replace(brief, min_gap=timedelta(0), overlap=timedelta(0))
    calendar = foretold(subject(DUE, hasty), until=900 * DAY, starts_per_hour=100_000)

    assert calendar.cut
    assert MOST_EVENTS - 2 <= len(calendar.events) <= MOST_EVENTS
    assert calendar.until == NOW + MOST_EVENTS / 2 * MINUTE


# How old a key gets


def oldest(
    policy: Policy, *keys: Key, until: timedelta = 90 * DAY, waits: timedelta = timedelta()
) -> OldestKey:
    return oldest_key(policy, [KnownKey.seen(key) for key in keys], NOW, NOW + until, waits=waits)


LEFT = (("prove.deadline", 2 * MINUTE), ("retry.max", HOUR), ("overlap", DAY))
MONTHLY = (replace(NIGHTLY, cron="0 2 1 * *"),)


@pytest.mark.parametrize(
    ("policy", "keys", "parts"),
    [
        (replace(POLICY, max_age=90 * DAY), [ENDLESS], (("max_age", 90 * DAY), *LEFT)),
        (replace(POLICY, max_age=90 * DAY, overlap=timedelta(0)), [], (("max_age", 90 * DAY), *LEFT[:2])),
        # An expiry bounds it, too, and what comes first counts.
        (
            replace(POLICY, rotate_before=Share(50)),
            [CURRENT, a.key(lifetime=30 * DAY)],
            (("lifetime - rotate_before", 45 * DAY), *LEFT),
        ),
        (replace(POLICY, rotate_before=HOUR), [CURRENT], (("lifetime", 90 * DAY),)),
        # A key that lives shorter may get older, where the lead is too long for it.
        (
            replace(POLICY, rotate_before=80 * DAY),
            [CURRENT, a.key(lifetime=80 * DAY), a.key(lifetime=50 * DAY)],
            (("lifetime - rotate_before", 80 * DAY * 0.67), *LEFT),
        ),
        (
            replace(POLICY, lifetime=30 * DAY, max_age=90 * DAY, rotate_before=20 * DAY),
            [ENDLESS, CURRENT],
            (("lifetime - rotate_before", 10 * DAY), *LEFT),
        ),
        (replace(POLICY, lifetime=300 * DAY, max_age=90 * DAY), [ENDLESS], (("max_age", 90 * DAY), *LEFT)),
        # Nothing bounds it.
        (POLICY, [ENDLESS], ()),
        (POLICY, [CURRENT, ENDLESS], ()),
        (POLICY, [], ()),
        (replace(POLICY, lifetime=Lifetime.NEVER), [CURRENT], ()),
        # A policy that watches makes no keys: those that are there live as long as they do.
        (
            replace(POLICY, adopt=AdoptMode.WATCH, max_age=DAY, lifetime=DAY),
            [CURRENT],
            (("lifetime", 90 * DAY),),
        ),
        (replace(POLICY, adopt=AdoptMode.WATCH, max_age=DAY), [ENDLESS], ()),
        # Windows put off rotations and deletions; by age, rotations only if they are rare.
        (
            replace(POLICY, rotate_before=Share(50), windows=(NIGHTLY,)),
            [CURRENT],
            (
                ("lifetime - rotate_before", 45 * DAY),
                ("closed", 22 * HOUR),
                *LEFT,
                ("closed for the deletion", 22 * HOUR),
            ),
        ),
        (
            replace(POLICY, max_age=90 * DAY, windows=(NIGHTLY,)),
            [ENDLESS],
            (("max_age", 90 * DAY), *LEFT, ("closed for the deletion", 22 * HOUR)),
        ),
        (
            replace(POLICY, max_age=20 * DAY, windows=MONTHLY),
            [ENDLESS],
            (
                ("max_age", 20 * DAY),
                ("closed", 11 * DAY),
                *LEFT,
                ("closed for the deletion", 31 * DAY - 2 * HOUR),
            ),
        ),
        (
            replace(
                POLICY,
                max_age=20 * DAY,
                freezes=(Freeze(starts_at=NOW + 200 * DAY, ends_at=NOW + 230 * DAY),),
            ),
            [ENDLESS],
            (("max_age", 20 * DAY), ("closed", 11 * DAY), *LEFT, ("closed for the deletion", 30 * DAY)),
        ),
        (
            replace(
                POLICY, max_age=5 * DAY, freezes=(Freeze(starts_at=NOW - 10 * DAY, ends_at=NOW + 20 * DAY),)
            ),
            [ENDLESS],
            (("max_age", 5 * DAY), ("closed", 26 * DAY), *LEFT, ("closed for the deletion", 30 * DAY)),
        ),
        # One that ends now counts no more, and one that has lasted for more than a year counts from now on.
        (
            replace(POLICY, max_age=5 * DAY, freezes=(Freeze(starts_at=NOW - 40 * DAY, ends_at=NOW),)),
            [ENDLESS],
            (("max_age", 5 * DAY), *LEFT),
        ),
        (
            replace(
                POLICY, max_age=5 * DAY, freezes=(Freeze(starts_at=NOW - 400 * DAY, ends_at=NOW + 20 * DAY),)
            ),
            [ENDLESS],
            (("max_age", 5 * DAY), ("closed", 15 * DAY), *LEFT, ("closed for the deletion", 20 * DAY)),
        ),
    ],
)
def test_how_old_a_key_gets_is_added_up(
    policy: Policy, keys: list[Key], parts: tuple[tuple[str, timedelta], ...]
) -> None:
    most = sum((length for _, length in parts), timedelta()) if parts else None

    assert oldest(policy, *keys) == OldestKey(policy="all", lineages=len(keys), most=most, parts=parts)


def crowded(policy: Policy, key: Key, count: int) -> list[Subject]:
    return [subject(serving(key, age=MINUTE), policy, name=f"voice-{number}") for number in range(count)]


def reached(calendar: Calendar, name: str, lifetime: timedelta) -> Iterator[timedelta]:
    """Yield how old the keys of a lineage got, the first of which was made a minute ago."""
    events = [one for one in calendar.events if one.lineage == name]
    made = [NOW - MINUTE, *(one.at for one in events if one.what is What.ROTATE)]
    gone = [one.at for one in events if one.what is What.RETIRE]
    for created_at, deleted_at in zip(made, gone, strict=False):
        yield min(deleted_at - created_at, lifetime)


@given(policies, st.sampled_from([90 * DAY, 100 * DAY]), st.sampled_from([(1, 60), (5, 60), (5, 1)]))
def test_no_key_gets_older_than_that_in_the_calendar(
    policy: Policy, lifetime: timedelta, many: tuple[int, int]
) -> None:
    policy, (count, starts_per_hour) = replace(policy, adopt=AdoptMode.WHEN_DUE), many
    key = a.key(CURRENT.key_id, age=MINUTE, lifetime=lifetime)
    some = crowded(policy, key, count)
    calendar = foretold(*some, until=900 * DAY, starts_per_hour=starts_per_hour)
    waits = calendar.longest_waits.get(policy.name, timedelta())
    most = oldest(policy, key, until=900 * DAY, waits=waits).most
    assert most is not None

    for one in some:
        assert max(reached(calendar, one.lineage, lifetime), default=timedelta()) <= most


def test_where_more_are_due_than_may_begin_the_longest_wait_makes_a_key_older() -> None:
    policy = replace(EVERY_DAY, name="crowded")
    key = a.key(CURRENT.key_id, age=MINUTE, lifetime=90 * DAY)
    some = crowded(policy, key, 48)
    calendar = foretold(*some, until=20 * DAY, starts_per_hour=1)
    waits = calendar.longest_waits["crowded"]
    promised = oldest(policy, key, waits=waits)

    got = max(age for one in some for age in reached(calendar, one.lineage, 90 * DAY))
    without = oldest(policy, key).most
    assert without is not None
    assert promised.most is not None
    assert without < got <= promised.most == without + waits
    assert ("starts_per_hour", waits) in promised.parts


def test_what_begins_only_after_the_end_of_the_calendar_counts_as_having_waited() -> None:
    calendar = foretold(*crowd(5, replace(POLICY, windows=(NIGHTLY,))), until=15 * HOUR, starts_per_hour=1)

    assert calendar.longest_waits == {"all": DAY}
    assert foretold(*crowd(5), until=DAY, starts_per_hour=5).longest_waits == {}


def test_an_expiry_bounds_how_old_a_key_gets_however_long_it_waits_for_a_start() -> None:
    assert oldest(POLICY, CURRENT, waits=80 * DAY).parts == (("lifetime", 90 * DAY),)
