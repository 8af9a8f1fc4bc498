"""A saved snapshot is decided on again as it was, without anything secret in it."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.model.reason import HoldReason, RotateReason
from rotator.model.snapshot import Snapshot
from rotator.plan.decide import decide
from rotator.plan.saved import Case, Saved, decode, encode
from rotator.policy.policy import Freeze, Lifetime, OriginalTerms, Policy, Select, Share, Window
from tests.support.builders import (
    BEFORE_FIRST,
    DAY,
    NOW,
    POLICY,
    SETTLED,
    failure,
    hold,
    key,
    lying_about,
    moved,
    original,
    previous,
    record,
    snapshot,
    unrecorded,
    with_record,
)

SNAPSHOTS = (
    SETTLED,
    BEFORE_FIRST,
    unrecorded(key()),
    unrecorded(None),
    lying_about(3),
    snapshot(moved()),
    snapshot(record(previous=[previous()], originals=[original(released=True)])),
    with_record(SETTLED, rotate_failure=failure(RotateReason.DUE_BY_AGE), hold=hold(HoldReason.PARITY)),
    replace(SETTLED, vault_skew=timedelta(microseconds=-1), fleet_hold=HoldReason.MANY_ABSENT),
)

POLICIES = (
    POLICY,
    replace(POLICY, rotate_before=timedelta(days=7), lifetime=Lifetime.NEVER, original=timedelta(days=30)),
    replace(POLICY, rotate_before=Share(12.5), lifetime=timedelta(days=1), original=OriginalTerms.KEEP),
    replace(POLICY, select=Select(comment=("b", "a"), tags=frozenset("xyz"), scopes=frozenset("abc"))),
    replace(POLICY, keys=(("z/path", "a-key"), ("a/path", "z-key"))),
    replace(
        POLICY,
        windows=(Window(cron="0 2 * * 1-5", length=timedelta(hours=4), zone=ZoneInfo("Europe/Berlin")),),
        freezes=(Freeze(starts_at=NOW, ends_at=NOW + DAY, why="holidays"),),
    ),
)


@pytest.mark.parametrize("seen", SNAPSHOTS)
@pytest.mark.parametrize("policy", POLICIES)
def test_what_comes_back_is_what_was_saved(policy: Policy, seen: Snapshot) -> None:
    saved = Saved(now=NOW, cases=(Case(policy=policy, snapshot=seen),))
    again = decode(encode(saved).encode())

    assert again == saved
    assert encode(decode(encode(again).encode())) == encode(again)
    assert decide(again.cases[0].policy, again.cases[0].snapshot, NOW + DAY) == decide(
        policy, seen, NOW + DAY
    )


@given(st.timedeltas(min_value=timedelta(days=-9), max_value=timedelta(days=36_500)))
def test_durations_are_exact(duration: timedelta) -> None:
    case = Case(
        policy=replace(POLICY, overlap=duration, lifetime=duration, rotate_before=duration),
        snapshot=replace(SETTLED, vault_skew=duration),
    )
    saved = Saved(now=NOW, cases=(case,))

    assert decode(encode(saved).encode()) == saved


def test_the_text_is_json_with_sets_in_order_one_value_a_line() -> None:
    text = encode(Saved(now=NOW, cases=(Case(policy=POLICIES[3], snapshot=SETTLED),)))
    document = json.loads(text)

    assert text == json.dumps(document, indent=2) + "\n"
    assert document["format"] == 1
    assert document["cases"][0]["policy"]["select"]["tags"] == ["x", "y", "z"]
    assert document["cases"][0]["policy"]["select"]["comment"] == ["b", "a"]


def test_a_time_zone_that_this_machine_does_not_know_is_named() -> None:
    text = encode(Saved(now=NOW, cases=(Case(policy=POLICIES[-1], snapshot=SETTLED),)))

    with pytest.raises(ValueError, match=r"at: cases\.0\.policy\.windows\.0\.zone"):
        decode(text.replace("Europe/Berlin", "Mars/Phobos").encode())


@pytest.mark.promise("P7")
def test_there_is_no_field_for_a_secret() -> None:
    for value in (*(f.type for f in fields(Snapshot)), *(f.type for f in fields(Policy))):
        assert "Secret" not in str(value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello",
        b"[]",
        b"{}",
        b"\xff",
        b'{"format": 2, "now": "2026-01-05T12:00:00Z", "cases": []}',
        b'{"format": 1, "now": "2026-01-05T12:00:00Z", "cases": [], "more": 1}',
        b'{"format": 1, "now": "CANARY", "cases": []}',
    ],
)
def test_anything_else_is_refused_without_being_shown(text: bytes) -> None:
    with pytest.raises(ValueError, match="not a saved snapshot of format 1"):
        decode(text)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (b"[]", "the top"),
        (b'{"format": 1, "now": "2026-01-05T12:00:00Z"}', "cases"),
        (
            b'{"format": 1, "now": "2026-01-05T12:00:00Z", "cases": [{}, {}]}',
            "cases.0.policy, cases.0.snapshot, cases.1.policy",
        ),
    ],
)
def test_the_first_three_places_are_named_at_which_a_text_is_none_of_ours(text: bytes, places: str) -> None:
    with pytest.raises(ValueError, match="not a saved") as refused:
        decode(text)

    assert str(refused.value) == f"not a saved snapshot of format 1 (at: {places})"
