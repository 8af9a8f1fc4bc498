"""Every reason has words, and what a person is told to do can be done with this version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, get_args

import pytest
from click.testing import CliRunner

from rotator.cli import failures, words
from rotator.cli.app import rotator
from rotator.cli.sections import SECTIONS
from rotator.errors import Ambiguous, Denied, PortError, Rejected
from rotator.model.order import OrderKind
from rotator.model.reason import Closed, HoldReason, LeftReason, RevokeReason, RotateReason, WaitReason
from rotator.plan.actions import Adopt, Decision, Finish, Hold, Inherit, Revoke, Rotate, Wait
from rotator.plan.invariants import Obstacle
from rotator.plan.rebuild import Missing, NotTaken
from rotator.plan.whose import Role
from rotator.policy.match import Exclusion
from rotator.rotation.orders import Declined
from tests.support.builders import CURRENT, DAY, NOW, current

ALL: tuple[tuple[type[StrEnum], Mapping[Any, str]], ...] = (
    (RotateReason, words.ROTATE),
    (RevokeReason, words.REVOKE),
    (WaitReason, words.WAIT),
    (HoldReason, words.HOLD),
    (HoldReason, words.CURE),
    (LeftReason, words.LEFT),
    (Exclusion, words.EXCLUSION),
    (Obstacle, words.OBSTACLE),
    (Role, words.ROLE),
    (OrderKind, words.GIVEN),
    (NotTaken, words.NOT_TAKEN),
    (Missing, words.MISSING),
    (Declined, words.DECLINED),
)


@pytest.mark.promise("P8")
@pytest.mark.parametrize(("members", "said"), ALL)
def test_each_reason_has_words_of_its_own(members: type[StrEnum], said: Mapping[Any, str]) -> None:
    assert set(said) == set(members)
    assert len(set(said.values())) == len(said)
    for text in said.values():
        assert text == text.strip()
        assert not text.endswith(".")
        assert text.isprintable()


def test_whatever_closes_a_time_has_words_for_when_it_is_overridden() -> None:
    assert set(words.OVERRIDES) == set(get_args(Closed))


def test_what_cant_be_rebuilt_has_a_cure() -> None:
    assert set(words.MISSING_CURE) == set(Missing)
    assert all(text == text.strip().rstrip(".") for text in words.MISSING_CURE.values())


@pytest.mark.promise("P1")
@pytest.mark.parametrize(
    "said",
    [words.ASTRAY, *(words.MISSING_CURE[one] for one in (Missing.SERVED_FOREIGN, Missing.SERVED_REFUSED))],
)
def test_where_a_lineage_may_have_been_moved_its_first_place_is_told_to_serve_the_key_in_use_first(
    said: str,
) -> None:
    order = (
        "stop every rotator",
        "all its fields",
        "rebuild it there",
        "move it again before any rotator is let run",
    )

    places = [said.index(part) for part in order]

    assert places == sorted(places)


def test_a_cure_names_no_command_that_does_not_exist() -> None:
    named = {
        command
        for text in (
            *words.CURE.values(),
            *words.HOLD.values(),
            *words.DECLINED.values(),
            *words.GIVEN.values(),
        )
        for command in re.findall(r"`rotator (\w+)", text)
    }

    assert named <= set(rotator.commands)


def test_each_command_has_one_place_in_the_help() -> None:
    placed = [name for names in SECTIONS.values() for name in names]

    assert len(placed) == len(set(placed))
    assert set(placed) <= set(rotator.commands)
    shown = CliRunner().invoke(rotator, ["--help"], terminal_width=120).output
    for name in rotator.commands:
        assert len(re.findall(rf"^  {name}  ", shown, re.MULTILINE)) == 1, name
    places = [shown.index(f"\n{title}:\n") for title in SECTIONS]
    assert places == sorted(places)


DECISIONS: tuple[tuple[Decision, str, str], ...] = (
    (Adopt("key-1", original=True), "take the key in", "taken in"),
    (Adopt("key-1", original=False), "take the key in (Vault serves its secret already)", "taken in"),
    (
        Rotate(RotateReason.DUE_BY_EXPIRY, current().key),
        "rotate now: its expiry comes near",
        "rotated: its expiry comes near",
    ),
    (
        Rotate(RotateReason.DUE_BY_EXPIRY, current().key, WaitReason.OUTSIDE_WINDOW),
        "rotate now: its expiry comes near; it can't wait for a `window` to open",
        "rotated: its expiry comes near; it can't wait for a `window` to open",
    ),
    (
        Rotate(RotateReason.ADOPT_NOW, current().key, WaitReason.FROZEN),
        "rotate now: the policy says `adopt: now`; it can't wait for the end of the `freeze`",
        "rotated: the policy says `adopt: now`; it can't wait for the end of the `freeze`",
    ),
    (
        Wait(WaitReason.OUTSIDE_WINDOW, NOW + DAY * 2),
        "it is time, but no `window` is open; next step in 2d (2026-01-07 12:00Z)",
        "",
    ),
    (
        Wait(WaitReason.FROZEN, NOW + DAY * 2),
        "it is time, but the policy is frozen; next step in 2d (2026-01-07 12:00Z)",
        "",
    ),
    (
        Wait(WaitReason.OPENS_TOO_LATE, NOW + DAY * 2),
        (
            "it is time, but `window` and `freeze` leave nothing open before it is too late; "
            "rotate nevertheless in 2d (2026-01-07 12:00Z)"
        ),
        "",
    ),
    (
        Finish("1" * 16, "key-1"),
        "record key key-1 as the one in use: an earlier process published it",
        "recorded an earlier publish",
    ),
    (
        Inherit("key-1"),
        "count key key-1, which was never served, among the previous ones",
        "counted an unserved key among the previous ones",
    ),
    (
        Revoke("key-1", RevokeReason.OVERLAP_ENDED),
        "delete key key-1 now: its overlap with the new key is over",
        "old key deleted: its overlap with the new key is over",
    ),
    (Wait(WaitReason.NOT_DUE, NOW + DAY * 2), "not due; rotate in 2d (2026-01-07 12:00Z)", ""),
    (Wait(WaitReason.NOT_DUE, None), "never due: the key has no expiry, and the policy no `max_age`", ""),
    (Wait(WaitReason.WATCHED, None), words.WAIT[WaitReason.WATCHED], ""),
    (
        Wait(WaitReason.SERVED_UNPROVEN, NOW + timedelta(minutes=1)),
        f"{words.WAIT[WaitReason.SERVED_UNPROVEN]}; next look in 1m (2026-01-05 12:01Z)",
        "",
    ),
    (
        Hold(HoldReason.ENTRY_DELETED, "version 3"),
        "held: the entry in Vault was deleted (version 3)",
        "",
    ),
    (Hold(HoldReason.ENTRY_DELETED), "held: the entry in Vault was deleted", ""),
)


@pytest.mark.parametrize(("decision", "said", "done"), DECISIONS)
def test_a_decision_is_told_before_and_after(decision: Decision, said: str, done: str) -> None:
    assert words.decision(decision, NOW) == said
    assert words.done(decision) == done
    assert CURRENT.comment not in said


@pytest.mark.parametrize(
    ("error", "status"),
    [(Rejected, "302"), (Ambiguous, "307"), (Denied, "403"), (Rejected, "403"), (Rejected, "407")],
)
def test_the_cure_of_an_answer_that_is_not_the_providers_names_the_base_url(
    error: type[PortError], status: str
) -> None:
    cure = failures.cure_of(error("list keys", "p-1", status))

    assert "`base_url`" in cure
    assert "a proxy or another server answered" in cure


def test_the_cure_of_a_missing_right_is_the_right() -> None:
    assert "the right that is missing" in failures.cure_of(
        Denied("list keys", "p-1", "403 INSUFFICIENT_PERMISSIONS")
    )
