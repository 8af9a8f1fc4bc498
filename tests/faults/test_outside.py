"""The judge from outside is no yes-man: each rule sees what breaks it in a made-up life, and a good life passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.outside import EMERGENCY, Attempted, Installation, Life, Look, SeenKey, Version
from tests.support import canary

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
OVERLAP = timedelta(seconds=10)
RIGHTS = (frozenset({"usage:write"}), frozenset({"prod"}))


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def key(name: str, *, made: float, rotation_id: str | None, deleted: float | None = None) -> SeenKey:
    return SeenKey(
        key_id=name,
        secret=canary.secret_text(name),
        comment="gateway",
        rotation_id=rotation_id,
        rights=RIGHTS,
        created_at=at(made),
        expires_at=None,
        deleted_at=None if deleted is None else at(deleted),
    )


def data(name: str, rotation_id: str, previous: str | None) -> Mapping[str, Any]:
    return {
        "api_key": canary.secret_text(name),
        "api_key_id": name,
        "previous_api_key_id": previous,
        "rotation_id": rotation_id,
    }


def version(
    number: int, name: str, *, written: float, rotation_id: str, previous: str | None = None
) -> Version:
    return Version(number=number, at=at(written), data=data(name, rotation_id, previous))


ORIGINAL = key("original", made=-100, rotation_id=None)
FIRST = key("first", made=1, rotation_id="r1", deleted=115)
ORPHAN = key("orphan", made=90, rotation_id="lost", deleted=116)
SECOND = key("second", made=101, rotation_id="r2")
V1 = version(1, "first", written=2, rotation_id="r1", previous="original")
V2 = version(2, "second", written=102, rotation_id="r2", previous="first")
DUE = {"r1": Attempted(0, "due"), "lost": Attempted(1, "due"), "r2": Attempted(1, "due")}
GOOD = Life(
    name="gateway",
    places={"here": (V1, V2)},
    keys=(ORIGINAL, FIRST, ORPHAN, SECOND),
    original="original",
    rights=RIGHTS,
    attempts=DUE,
    sent=frozenset({"r1", "r2"}),
    emergencies=(),
    overlap=OVERLAP,
    released_at=None,
    given_up={},
    remembered="r1 lost r2",
    strays=frozenset(),
    now=at(200),
)
AT_ONCE = {**DUE, "r2": Attempted(1, EMERGENCY)}


def keys(*changed: SeenKey) -> tuple[SeenKey, ...]:
    new = {one.key_id: one for one in changed}
    return tuple(new.get(one.key_id, one) for one in GOOD.keys)


def life(*changed: SeenKey, here: tuple[Version, ...] = (V1, V2), **more: Any) -> Life:  # noqa: ANN401 (any field)
    return replace(GOOD, keys=keys(*changed), places={"here": here}, **more)


def deleted(one: SeenKey, seconds: float | None) -> SeenKey:
    return replace(one, deleted_at=None if seconds is None else at(seconds))


def moved(*there: Version, given_up: float | None = None, here: tuple[Version, ...] = (V1, V2)) -> Life:
    """Return the life of a lineage that is served at another place besides, or instead."""
    ended = {} if given_up is None else {"here": at(given_up)}
    return replace(
        GOOD, places={"here": here, "there": there}, given_up=ended, keys=keys(deleted(FIRST, 130))
    )


def by_hand(number: int, name: str, *, written: float) -> Version:
    return Version(number=number, at=at(written), data={"api_key": canary.secret_text(name)}, by_hand=True)


COPY = replace(V2, number=1, at=at(103))
THIRD = key("third", made=151, rotation_id="r3")
V3 = version(2, "third", written=152, rotation_id="r3", previous="second")
FOLLOWED = replace(
    moved(COPY, V3, given_up=140),
    keys=(*keys(deleted(FIRST, 130), deleted(SECOND, 170)), THIRD),
    attempts={**DUE, "r3": Attempted(1, "due")},
    remembered="r3",
)
"""Its old place was given up, and it was rotated again at the new one."""


@pytest.mark.parametrize(
    "lived",
    [
        pytest.param(GOOD, id="two rotations"),
        pytest.param(
            life(deleted(FIRST, 103), deleted(ORIGINAL, 103), attempts=AT_ONCE, emergencies=(at(100),)),
            id="an emergency needs no overlap and no release",
        ),
        pytest.param(
            life(deleted(ORIGINAL, 150), released_at=at(140)), id="an original that somebody released"
        ),
        pytest.param(
            life(replace(deleted(ORIGINAL, 150), expires_at=at(149))), id="an original that has expired"
        ),
        pytest.param(
            life(deleted(ORPHAN, 95)), id="a candidate that its minter revokes before it was ever sent"
        ),
        pytest.param(
            life(replace(ORPHAN, created_at=at(105), deleted_at=at(113))),
            id="a key that was made when its base was passed leaves with those that were replaced then",
        ),
        pytest.param(
            life(here=(V1, V2, by_hand(3, "first", written=150), by_hand(4, "second", written=160))),
            id="what a person restores may be dead",
        ),
        pytest.param(
            life(
                deleted(ORIGINAL, 15),
                here=(by_hand(1, "original", written=-1), replace(V1, number=2), replace(V2, number=3)),
                attempts={one: Attempted(due.base + 1, "due") for one, due in DUE.items()},
            ),
            id="a key whose secret was in Vault already is no original",
        ),
        pytest.param(
            life(deleted(ORPHAN, None), remembered="r1 r2", strays=frozenset({"orphan"})),
            id="a key that is shown as stray",
        ),
        pytest.param(life(remembered="r1 lost second"), id="a key that a record knows by its id"),
        pytest.param(
            replace(GOOD, places={"here": (), "there": ()}, keys=(ORIGINAL,), attempts={}),
            id="nothing was published yet",
        ),
        pytest.param(moved(COPY), id="a copy at another place"),
        pytest.param(
            moved(replace(V1, at=at(50)), replace(V2, at=at(110))),
            id="a key that was never served needs no overlap at another place",
        ),
        pytest.param(
            life(here=(V1, V2, by_hand(3, "stranger", written=150), by_hand(4, "second", written=160))),
            id="what a person writes may be anything",
        ),
        pytest.param(FOLLOWED, id="a rotation at the new place, since the old one was given up"),
    ],
)
def test_a_good_life_passes(lived: Life) -> None:
    assert lived.broken(at_rest=True) == ()


@pytest.mark.parametrize(
    ("rule", "lived"),
    [
        ("P1: what version 2 of here served stopped working", life(deleted(SECOND, 150))),
        ("P1: what version 1 of here served stopped working", life(deleted(FIRST, 101.9))),
        ("P1: what version 2 of here served stopped working", life(replace(SECOND, created_at=at(103)))),
        ("P1: what version 2 of here served stopped working", life(replace(SECOND, expires_at=at(199)))),
        (
            "P1: what version 3 of here served stopped working",
            life(deleted(FIRST, 150), here=(V1, V2, by_hand(3, "first", written=120))),
        ),
        ("P2: key first lives on and is not served", life(deleted(FIRST, None))),
        (
            "P2: key original lives on and is not served",
            life(here=(by_hand(1, "original", written=-1), replace(V1, number=2))),
        ),
        (
            "P2: key orphan was made, and no record names its rotation",
            life(replace(ORPHAN, rotation_id="unknown")),
        ),
        ("P2: key second lives on, and is not known any more", life(remembered="r1 lost")),
        (
            "P2: version 2 of here is of a rotation that no record names",
            life(attempts={"r1": Attempted(0, "due"), "lost": Attempted(1, "due")}),
        ),
        (
            "P2: version 2 of here names another key",
            life(here=(V1, replace(V2, data=dict(V2.data) | {"api_key_id": "first"}))),
        ),
        ("P3: key first was deleted 0:00:09 after here served another", life(deleted(FIRST, 111))),
        ("P3: key orphan was deleted 0:00:09 after here served another", life(deleted(ORPHAN, 111))),
        (
            "P3: key orphan was deleted 0:00:09 after here served another",
            life(deleted(ORPHAN, 111), attempts={**DUE, "lost": Attempted(0, "due")}),
        ),
        (
            "P3: key orphan was deleted 0:00:03 after here served another",
            life(replace(ORPHAN, created_at=at(103), deleted_at=at(105))),
        ),
        (
            "P3: key orphan was deleted although its publish could still come",
            life(deleted(ORPHAN, 95), sent=frozenset({"lost"})),
        ),
        (
            "P3: key original was deleted although its publish could still come",
            life(deleted(ORIGINAL, 1)),
        ),
        ("P3: key second was deleted while here served no other working key", life(deleted(SECOND, 150))),
        (
            "P3: key first was deleted while here served no other working key",
            life(replace(SECOND, expires_at=at(110))),
        ),
        ("P3: the original original was deleted", life(deleted(ORIGINAL, 150))),
        ("P3: the original original was deleted", life(deleted(ORIGINAL, 150), here=(V1, V2, by_hand(3, "original", written=160)))),
        ("P3: the original original was deleted", life(deleted(ORIGINAL, 150), released_at=at(160))),
        (
            "P3: the original original was deleted",
            life(replace(deleted(ORIGINAL, 150), expires_at=at(151))),
        ),
        (
            "P3: key first was deleted 0:00:01 after here served another",
            life(deleted(FIRST, 103), attempts=AT_ONCE),
        ),
        (
            "P3: key first was deleted 0:00:01 after here served another",
            life(deleted(FIRST, 103), attempts=AT_ONCE, emergencies=(at(150),)),
        ),
        (
            "P3: key first was deleted 0:00:01 after here served another",
            life(deleted(FIRST, 103), emergencies=(at(100),)),
        ),
        (
            "P3: key first was deleted 0:00:08 after there served another",
            moved(replace(V1, number=1, at=at(50)), replace(V2, at=at(122))),
        ),
        (
            "P4: version 3 of here holds a secret of none of its keys",
            life(here=(V1, V2, version(3, "foreign", written=150, rotation_id="r3"))),
        ),
        ("P5: version 2 of here serves a key with other rights", life(replace(SECOND, rights=(RIGHTS[0], frozenset())))),
        ("P5: version 2 of here serves a key with other rights", life(replace(SECOND, rights=(frozenset(), RIGHTS[1])))),
        (
            "P6: version 2 of here was to be published over version 0",
            life(attempts={**DUE, "r2": Attempted(0, "due")}),
        ),
        (
            "P6: version 2 of here was to be published over version 0",
            replace(moved(COPY), attempts={**DUE, "r2": Attempted(0, "due")}),
        ),
        (
            "P6: version 2 of there was to be published over version 2",
            replace(FOLLOWED, attempts={**DUE, "r3": Attempted(2, "due")}),
        ),
        ("P6: one rotation was published twice at here", life(here=(V1, V2, replace(V2, number=3, at=at(150))))),
        (
            "P6: version 2 of here was made to replace another key",
            life(here=(V1, replace(V2, data=data("second", "r2", "original")))),
        ),
        ("P6: version 1 of there is no copy of what here served then", moved(replace(COPY, at=at(101)))),
        (
            "P6: version 2 of there is no copy of what here served then",
            replace(FOLLOWED, given_up={"here": at(160)}),
        ),
        (
            "P6: version 1 of there says other things",
            moved(replace(COPY, data=data("second", "r2", "original"))),
        ),
        ("P8: its places serve different secrets", moved(replace(V1, at=at(50)))),
    ],
)  # fmt: skip
def test_each_rule_of_a_life_sees_what_breaks_it(rule: str, lived: Life) -> None:
    assert [each for each in lived.broken(at_rest=True) if each.startswith(rule)] != []


NAMESAKE = key("namesake", made=-50, rotation_id=None)
WELL = Installation(
    lives=(GOOD,),
    keys=(*GOOD.keys, NAMESAKE),
    untouchable=(NAMESAKE,),
    texts={"the journal": ("one record", "another")},
    looks=(Look(done=False, told=("it fails",)), Look(done=True, told=())),
)


def test_a_good_installation_passes() -> None:
    assert WELL.broken(at_rest=True) == ()


@pytest.mark.parametrize(
    ("rule", "happened"),
    [
        ("P1", replace(WELL, lives=(GOOD, life(deleted(SECOND, 150))))),
        ("P2: key unheard was made, and is of no lineage",
            replace(WELL, keys=(*WELL.keys, key("unheard", made=9, rotation_id="r9")))),
        ("P4: key namesake", replace(WELL, keys=(*GOOD.keys, deleted(NAMESAKE, 9)))),
        ("P4: key namesake", replace(WELL, keys=(*GOOD.keys, replace(NAMESAKE, comment="ours")))),
        ("P4: key namesake", replace(WELL, keys=GOOD.keys)),
        ("P7: a secret shows in the journal",
            replace(WELL, texts={"the journal": ("fine", canary.secret_text("first"))})),
        ("P7: a secret shows in comments of keys",
            replace(WELL, keys=(*WELL.keys, replace(ORPHAN, comment=canary.secret_text("orphan"))))),
        ("P8: what was to be done was not, and nothing was told",
            replace(WELL, looks=(Look(done=False, told=()), Look(done=True, told=())))),
        ("P8: it is stuck: it fails", replace(WELL, looks=WELL.looks[:1])),
        ("P8: it ended in KeyError", replace(WELL, bugs=("KeyError",))),
    ],
)  # fmt: skip
def test_each_rule_of_an_installation_sees_what_breaks_it(rule: str, happened: Installation) -> None:
    assert [each for each in happened.broken(at_rest=True) if each.startswith(rule)] != []


def test_what_is_left_is_known_before_all_is_judged() -> None:
    assert list(GOOD.left()) == []
    assert list(life(deleted(FIRST, None)).left()) != []


def test_before_all_is_at_rest_something_may_be_left_to_do() -> None:
    restless = replace(WELL, lives=(life(deleted(FIRST, None)),), looks=WELL.looks[:1])
    assert restless.broken(at_rest=False) == ()
