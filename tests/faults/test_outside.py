"""The judge from outside is no yes-man: each promise that is broken in a made-up life is named, and a good life passes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.outside import EMERGENCY, Attempted, Life, SeenKey, Version
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
        rotation_id=rotation_id,
        rights=RIGHTS,
        created_at=at(made),
        expires_at=None,
        deleted_at=None if deleted is None else at(deleted),
    )


def version(number: int, name: str, *, written: float, rotation_id: str) -> Version:
    return Version(number=number, at=at(written), secret=canary.secret_text(name), rotation_id=rotation_id)


ORIGINAL = key("original", made=-100, rotation_id=None)
FIRST = key("first", made=1, rotation_id="r1", deleted=115)
ORPHAN = key("orphan", made=90, rotation_id="lost", deleted=116)
SECOND = key("second", made=101, rotation_id="r2")
VERSIONS = (
    version(1, "first", written=2, rotation_id="r1"),
    version(2, "second", written=102, rotation_id="r2"),
)
GOOD = Life(
    name="gateway",
    places={"here": VERSIONS},
    keys=(ORIGINAL, FIRST, ORPHAN, SECOND),
    original="original",
    rights=RIGHTS,
    attempts={"r1": Attempted(0, "due"), "lost": Attempted(1, "due"), "r2": Attempted(1, "due")},
    sent=frozenset({"r1", "r2"}),
    overlap=OVERLAP,
    released_at=None,
    given_up={},
    now=at(200),
)


def keys(*changed: SeenKey) -> tuple[SeenKey, ...]:
    new = {one.key_id: one for one in changed}
    return tuple(new.get(one.key_id, one) for one in GOOD.keys)


def test_a_good_life_passes() -> None:
    assert GOOD.broken(at_rest=True) == ()


def test_an_emergency_needs_no_overlap_and_no_release() -> None:
    at_once = keys(replace(FIRST, deleted_at=at(103)), replace(ORIGINAL, deleted_at=at(103)))
    attempts = {**GOOD.attempts, "r2": Attempted(1, EMERGENCY)}

    assert replace(GOOD, keys=at_once, attempts=attempts).broken(at_rest=True) == ()


@pytest.mark.parametrize(
    ("promise", "life"),
    [
        ("P1", replace(GOOD, keys=keys(replace(SECOND, deleted_at=at(150))))),
        ("P1", replace(GOOD, keys=keys(replace(FIRST, deleted_at=at(101.9))))),
        ("P1", replace(GOOD, keys=keys(replace(SECOND, created_at=at(103))))),
        ("P1", replace(GOOD, keys=keys(replace(SECOND, expires_at=at(199))))),
        ("P2", replace(GOOD, keys=keys(replace(FIRST, deleted_at=None)))),
        ("P2", replace(GOOD, keys=keys(replace(ORPHAN, rotation_id="unknown", deleted_at=None)))),
        ("P2", replace(GOOD, attempts={"r1": Attempted(0, "due"), "lost": Attempted(1, "due")})),
        ("P3", replace(GOOD, keys=keys(replace(FIRST, deleted_at=at(111))))),
        ("P3", replace(GOOD, keys=keys(replace(ORPHAN, deleted_at=at(111))))),
        ("P3", replace(GOOD, keys=keys(replace(ORPHAN, deleted_at=at(95))), sent=frozenset({"lost"}))),
        ("P3", replace(GOOD, keys=keys(replace(ORIGINAL, deleted_at=at(150))))),
        ("P3", replace(GOOD, keys=keys(replace(ORIGINAL, deleted_at=at(150))), released_at=at(160))),
        (
            "P4",
            replace(GOOD, places={"here": (*VERSIONS, version(3, "foreign", written=150, rotation_id="r3"))}),
        ),
        ("P5", replace(GOOD, keys=keys(replace(SECOND, rights=(RIGHTS[0], frozenset()))))),
        ("P6", replace(GOOD, attempts={**GOOD.attempts, "r2": Attempted(0, "due")})),
        (
            "P6",
            replace(GOOD, places={"here": (*VERSIONS, version(3, "second", written=150, rotation_id="r2"))}),
        ),
        ("P8", replace(GOOD, places={"here": VERSIONS, "there": VERSIONS[:1]})),
    ],
)
def test_each_broken_promise_is_named(promise: str, life: Life) -> None:
    assert promise in {each[:2] for each in life.broken(at_rest=True)}
