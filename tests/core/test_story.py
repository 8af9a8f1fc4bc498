"""The fleet that the first hour is told of has in it what that hour is about, and is the same each time."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from datetime import timedelta

from rotator.simulator.world import SimulatedKey
from tests.support.canary import secret_text
from tests.support.story import (
    EXPIRES_SOON,
    OF_A_PERSON,
    PROVIDERS,
    READS_ONLY,
    SEES_A_PART,
    Kind,
    Story,
    story,
)
from tests.support.virtual_clock import START, VirtualClock


def told(start_later: timedelta = timedelta(0)) -> Story:
    numbers = itertools.count()
    return story(VirtualClock(START + start_later), secret_factory=lambda: secret_text(str(next(numbers))))


def keys_of(fleet: Story) -> list[SimulatedKey]:
    return [key for project in fleet.projects.values() for key in fleet.world.keys(project.project_id)]


def test_there_are_300_keys_of_three_people_in_12_projects() -> None:
    fleet = told()
    assert tuple(fleet.projects) == tuple(sorted(PROVIDERS))
    assert len(PROVIDERS) == 12
    assert len(list(fleet.of())) == 300
    assert len(keys_of(fleet)) == 312  # with the management keys
    assert Counter(key.owner for key in fleet.of()) == {"ann": 100, "bo": 100, "cy": 100}


def test_each_kind_of_key_is_there_and_is_what_it_says() -> None:
    fleet = told()
    assert Counter(key.made.kind for key in fleet.of()) == {
        Kind.ORDINARY: 144,
        Kind.TWIN: 48,
        Kind.UNNAMED: 12,
        Kind.THROWN_AWAY_SOON: 24,
        Kind.TEMPORARY: 24,
        Kind.EXPIRED: 12,
        Kind.LICENCE: 12,
        Kind.MANAGES_KEYS: 24,
    }
    now = fleet.world.clock.now()
    for key in fleet.of():
        known = fleet.world.key(key.minted.key_id)
        assert known is not None
        assert known.works(now) == (key.made.kind is not Kind.EXPIRED)
        assert fleet.world.accepts(key.minted.secret) == known.works(now)


def test_ordinary_keys_differ_in_expiry_tags_age_and_use() -> None:
    made = [key.made for key in told().of(Kind.ORDINARY)]
    assert len([one for one in made if one.lifetime is None]) == 48
    assert min(one.lifetime - one.age for one in made if one.lifetime) < timedelta(days=10)
    assert Counter(one.tags[0] for one in made) == {"prod": 108, "staging": 36}
    assert {one.used is None for one in made} == {True, False}


def test_the_management_keys_of_four_projects_have_a_fault_that_can_be_mended() -> None:
    fleet = told()
    whole = []
    for name, project in fleet.projects.items():
        key = fleet.world.key(project.management.key_id)
        assert key is not None
        sees = len(fleet.world.shown(key, fleet.world.clock.now()))
        service = key.member_id == project.members["rotator"]
        if service and key.expires_at is None and "keys:write" in fleet.world.rights(key) and sees == 26:
            whole.append(name)
    assert set(PROVIDERS) - set(whole) == {READS_ONLY, OF_A_PERSON, EXPIRES_SOON, SEES_A_PART}
    mended = fleet.world.key(fleet.mend(SEES_A_PART).key_id)
    assert mended is not None
    assert len(fleet.world.shown(mended, fleet.world.clock.now())) == 27


def test_it_is_the_same_each_time_but_for_when() -> None:
    later = timedelta(days=1000, seconds=7)
    shifted = [
        replace(
            key,
            created_at=key.created_at - later,
            expires_at=None if key.expires_at is None else key.expires_at - later,
            listed_from=key.listed_from - later,
            accepted_from=key.accepted_from - later,
        )
        for key in keys_of(told(later))
    ]
    one, two = keys_of(told()), keys_of(told())
    assert [repr(key) for key in one] == [repr(key) for key in two] == [repr(key) for key in shifted]
    assert all(a.secret.matches(b.secret) for a, b in zip(one, two, strict=True))
