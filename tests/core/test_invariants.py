"""When a key may be revoked: each obstacle, in its order, and each boundary to the microsecond."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rotator.model.entry import Served, Verdict
from rotator.model.key import Mark
from rotator.model.record import KnownKey, Original
from rotator.model.snapshot import Snapshot
from rotator.plan.invariants import Obstacle, may_revoke
from tests.support import builders as a
from tests.support.builders import CURRENT, DAY, HOUR, NOW, SETTLED, TICK

pytestmark = pytest.mark.promise("P3")

SECOND = timedelta(seconds=1)

ENDED = a.snapshot(a.record(previous=[a.previous(superseded=DAY)]))
"""The overlap of `key-old` ends exactly now."""


def elsewhere(**changes: object) -> Snapshot:
    """Return a look at a moved lineage, with something else at its other place."""
    seen = a.snapshot(a.moved(ENDED.record))
    return replace(seen, copies=(replace(seen.copies[0], **changes),))  # type: ignore[arg-type]


def about(key_id: str = "key-old", *, seen: Snapshot = ENDED, now: datetime = NOW) -> Obstacle | None:
    return may_revoke(seen, key_id, now)


def of_original(original: Original, **looked: object) -> Obstacle | None:
    seen = a.snapshot(a.record(originals=[original]))
    return may_revoke(replace(seen, **looked), "key-original", NOW)  # type: ignore[arg-type]


def test_nothing_stands_in_the_way_when_all_holds() -> None:
    assert about() is None


OBSTACLES = [
    ("a key that the record does not name", Obstacle.NOT_OURS, replace(ENDED, record=a.record())),
    ("a lineage without a record", Obstacle.NOT_OURS, replace(ENDED, record=None)),
    (
        "a lineage that published nothing",
        Obstacle.NOT_OURS,
        a.with_record(ENDED, current=None, originals=(a.original(),)),
    ),
    (
        "the management key in use",
        Obstacle.MANAGEMENT_KEY,
        replace(ENDED, management_key_id="key-old"),
    ),
    (
        "any key, while it is unknown which one is the management key",
        Obstacle.MANAGEMENT_KEY,
        replace(ENDED, management_key_id=None),
    ),
    (
        "a key that another lineage serves",
        Obstacle.CURRENT_ELSEWHERE,
        replace(ENDED, currents_elsewhere=frozenset({"key-old"})),
    ),
    (
        "a record of another lineage that can't be read",
        Obstacle.CURRENT_ELSEWHERE,
        replace(ENDED, currents_elsewhere=None),
    ),
    (
        "a key that the record names as current too",
        Obstacle.CURRENT,
        a.with_record(ENDED, current=replace(a.current(), key=KnownKey.seen(a.key("key-old")))),
    ),
    ("a refused served secret", Obstacle.SERVED_UNPROVEN, replace(ENDED, served=Served(Verdict.REFUSED))),
    ("an unproven served secret", Obstacle.SERVED_UNPROVEN, replace(ENDED, served=Served(Verdict.UNKNOWN))),
    ("no served secret", Obstacle.SERVED_UNPROVEN, replace(ENDED, served=Served(Verdict.NOTHING))),
    ("another served key", Obstacle.SERVED_UNPROVEN, replace(ENDED, served=a.accepted("key-9"))),
    ("the old key served again", Obstacle.SERVED_UNPROVEN, replace(ENDED, served=a.accepted("key-old"))),
    ("a deleted destination", Obstacle.SERVED_UNPROVEN, replace(ENDED, entry=a.deleted_entry())),
    (
        "another place that was not copied to yet",
        Obstacle.COPY_BEHIND,
        a.snapshot(a.moved(ENDED.record, copied=None)),
    ),
    (
        "another place that serves the old key",
        Obstacle.COPY_BEHIND,
        a.snapshot(a.moved(ENDED.record, copied="key-old")),
    ),
    (
        "another place that serves a key which the provider refuses",
        Obstacle.COPY_BEHIND,
        elsewhere(served=Served(Verdict.REFUSED)),
    ),
    (
        "another place whose secret is not proven",
        Obstacle.COPY_BEHIND,
        elsewhere(served=Served(Verdict.UNKNOWN)),
    ),
    ("another place that was deleted", Obstacle.COPY_BEHIND, elsewhere(entry=a.deleted_entry(1))),
    ("another place that could not be read", Obstacle.COPY_BEHIND, elsewhere(entry=None)),
    (
        "another place that was not looked at",
        Obstacle.COPY_BEHIND,
        replace(a.snapshot(a.moved(ENDED.record)), copies=()),
    ),
    ("an old look", Obstacle.PROOF_TOO_OLD, replace(ENDED, seen_at=NOW - 6 * SECOND)),
    ("clocks that differ", Obstacle.CLOCKS_DIFFER, replace(ENDED, vault_skew=31 * SECOND)),
    (
        "a running overlap",
        Obstacle.OVERLAP,
        a.snapshot(a.record(previous=[a.previous(superseded=HOUR)])),
    ),
]


@pytest.mark.promise("P1", "P4")
@pytest.mark.parametrize(
    ("expected", "seen"), [pytest.param(expected, seen, id=name) for name, expected, seen in OBSTACLES]
)
def test_the_obstacle_is(expected: Obstacle, seen: Snapshot) -> None:
    assert about(seen=seen) is expected


def test_nothing_stands_in_the_way_when_every_place_serves_the_current_key() -> None:
    assert about(seen=elsewhere()) is None


@pytest.mark.promise("P1", "P3")
def test_of_a_place_whose_keys_the_provider_does_not_name_the_same_secret_tells() -> None:
    seen = replace(elsewhere(served=a.accepted(None)), served=a.accepted(None))

    assert about(seen=seen) is None
    assert about(seen=replace(seen, copies=(replace(seen.copies[0], same=False),))) is Obstacle.COPY_BEHIND


def test_an_original_that_nobody_released_stays() -> None:
    assert of_original(a.original()) is Obstacle.NOT_RELEASED


@pytest.mark.promise("P4")
def test_an_original_stays_while_another_installation_rotates_its_like() -> None:
    released = a.original(released=True)
    elsewhere = Mark("0" * 12, "1" * 12, "2" * 16)
    rival = a.key("key-rival", comment=elsewhere.put_on(released.key.comment))
    other = a.key("key-other", comment=elsewhere.put_on("another comment"))
    seen = a.snapshot(a.record(originals=[released]))
    both = replace(seen, keys=(*seen.keys, rival, other))

    assert may_revoke(replace(seen, keys=(*seen.keys, rival)), "key-original", NOW) is (
        Obstacle.CLAIMED_ELSEWHERE
    )
    assert may_revoke(replace(seen, keys=(*seen.keys, other)), "key-original", NOW) is None
    assert may_revoke(a.unread(both, "key-rival"), "key-original", NOW) is Obstacle.CLAIMED_ELSEWHERE
    assert may_revoke(a.unread(seen, "key-original"), "key-original", NOW) is None


def test_each_obstacle_is_met_by_a_test() -> None:
    elsewhere = {Obstacle.NOT_RELEASED, Obstacle.CLAIMED_ELSEWHERE}
    assert {expected for _, expected, _ in OBSTACLES} | elsewhere == set(Obstacle)


# Boundaries


def test_the_overlap_ends_at_its_very_end_on_vaults_clock() -> None:
    almost = a.snapshot(a.record(previous=[a.previous(superseded=DAY - TICK)]))

    assert about(seen=almost) is Obstacle.OVERLAP
    assert about(seen=replace(almost, vault_skew=TICK)) is None
    assert about(seen=replace(ENDED, vault_skew=-TICK)) is Obstacle.OVERLAP


def test_our_clock_and_the_providers_do_not_end_an_overlap() -> None:
    almost = a.snapshot(a.record(previous=[a.previous(superseded=DAY - 20 * SECOND)]))

    assert about(seen=replace(almost, provider_skew=25 * SECOND)) is Obstacle.OVERLAP
    assert about(seen=replace(almost, vault_skew=25 * SECOND)) is None


def test_a_look_counts_for_five_seconds() -> None:
    assert about(now=NOW + 5 * SECOND) is None
    assert about(now=NOW + 5 * SECOND + TICK) is Obstacle.PROOF_TOO_OLD


@pytest.mark.parametrize(
    ("vault", "provider", "expected"),
    [
        (30 * SECOND, timedelta(0), None),
        (30 * SECOND + TICK, timedelta(0), Obstacle.CLOCKS_DIFFER),
        (-30 * SECOND, timedelta(0), Obstacle.OVERLAP),
        (-30 * SECOND - TICK, timedelta(0), Obstacle.CLOCKS_DIFFER),
        (timedelta(0), 30 * SECOND, None),
        (timedelta(0), 30 * SECOND + TICK, Obstacle.CLOCKS_DIFFER),
        (timedelta(0), -30 * SECOND, None),
        (timedelta(0), -30 * SECOND - TICK, Obstacle.CLOCKS_DIFFER),
        (10 * SECOND, -20 * SECOND, None),
        (10 * SECOND, -20 * SECOND - TICK, Obstacle.CLOCKS_DIFFER),
    ],
)
def test_any_two_of_the_three_clocks_may_differ_by_thirty_seconds(
    vault: timedelta, provider: timedelta, expected: Obstacle | None
) -> None:
    assert about(seen=replace(ENDED, vault_skew=vault, provider_skew=provider)) is expected


# Originals


def test_an_original_is_kept_before_our_first_publish_even_when_released() -> None:
    assert of_original(a.original(superseded=None, released=True)) is Obstacle.OVERLAP


def test_an_original_waits_for_its_overlap_even_when_released() -> None:
    assert of_original(a.original(superseded=HOUR, released=True)) is Obstacle.OVERLAP


def test_an_order_releases_an_original() -> None:
    assert of_original(a.original(released=True)) is None


def test_a_duration_releases_an_original_at_its_very_end_on_vaults_clock() -> None:
    almost = a.original(superseded=10 * DAY, release_after=10 * DAY + TICK)

    assert of_original(a.original(superseded=10 * DAY, release_after=10 * DAY)) is None
    assert of_original(almost) is Obstacle.NOT_RELEASED
    assert of_original(almost, vault_skew=TICK) is None
    assert of_original(almost, provider_skew=TICK) is Obstacle.NOT_RELEASED


def test_its_expiry_releases_an_original_at_that_very_instant_on_the_providers_clock() -> None:
    expired = a.original(a.key("key-original", age=40 * DAY, lifetime=40 * DAY))
    almost = a.original(a.key("key-original", age=40 * DAY, lifetime=40 * DAY + TICK))

    assert of_original(expired) is None
    assert of_original(almost) is Obstacle.NOT_RELEASED
    assert of_original(almost, provider_skew=TICK) is None
    assert of_original(almost, vault_skew=TICK) is Obstacle.NOT_RELEASED


def test_a_previous_key_needs_no_release() -> None:
    both = a.record(previous=[a.previous()], originals=[a.original()])

    assert about(seen=a.snapshot(both)) is None
    assert about("key-original", seen=a.snapshot(both)) is Obstacle.NOT_RELEASED


@pytest.mark.promise("P1")
def test_the_current_key_is_never_revoked_however_settled_the_lineage_is() -> None:
    assert about(CURRENT.key_id, seen=SETTLED) is Obstacle.NOT_OURS


@pytest.mark.promise("P1")
def test_the_served_key_is_not_revoked_when_two_lists_of_the_record_name_it() -> None:
    twice = a.record(previous=[a.previous(CURRENT.key_id)])

    assert about(CURRENT.key_id, seen=a.snapshot(twice)) is Obstacle.CURRENT
