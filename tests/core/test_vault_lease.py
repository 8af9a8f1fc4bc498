from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.model.secret import Secret
from rotator.vault.answers import Grant
from rotator.vault.lease import Due, Lease, Refusals, one_more
from tests.support.canary import secret_text

PAUSE = timedelta(minutes=15)
GRANT = Grant(token=Secret(secret_text("token")), lasts=timedelta(seconds=100), renewable=True)


def lease(*, renewable: bool = True, seconds: int = 100, asked_at: float = 1000) -> Lease:
    return Lease.begun(replace(GRANT, renewable=renewable, lasts=timedelta(seconds=seconds)), asked_at)


@pytest.mark.parametrize(
    ("now", "renewable", "due"),
    [
        (1000.0, True, Due.NOTHING),
        (1049.9, True, Due.NOTHING),
        (1050.0, True, Due.RENEW),
        (1099.9, True, Due.RENEW),
        (1100.0, True, Due.LOG_IN),
        (1049.9, False, Due.NOTHING),
        (1050.0, False, Due.LOG_IN),
        (9999.9, False, Due.LOG_IN),
    ],
)
def test_a_token_is_looked_after_from_half_its_life_on(now: float, renewable: bool, due: Due) -> None:  # noqa: FBT001
    assert lease(renewable=renewable).due(now) is due


def test_a_token_without_end_is_left_alone() -> None:
    assert lease(seconds=0).due(10**9) is Due.NOTHING
    assert not lease(seconds=0).over(10**9)


def test_after_a_failure_half_of_what_is_left_is_waited_but_at_least_a_second() -> None:
    first = lease().put_off(1050)
    second = first.put_off(1075)
    last = lease().put_off(1099.5)

    assert (first.due(1074.9), first.due(1075)) == (Due.NOTHING, Due.RENEW)
    assert (second.due(1087.4), second.due(1087.5)) == (Due.NOTHING, Due.RENEW)
    assert (last.due(1099.9), last.due(1100)) == (Due.NOTHING, Due.LOG_IN)


def test_a_token_shows_nowhere() -> None:
    assert secret_text("token") not in f"{GRANT!r} {lease()!r} {refused(1)!r}"


# Refusals

WRONG, OTHER = (Secret(secret_text("role")), Secret(secret_text("wrong"))), (Secret(secret_text("role")),)


def refused(times: int, *, at: float = 1000) -> Refusals:
    refusals = None
    for _ in range(times):
        refusals = one_more(refusals, WRONG, at)
    assert refusals is not None
    return refusals


def same(*texts: str) -> tuple[Secret, ...]:
    return tuple(map(Secret, texts))


def test_two_refusals_of_one_credential_bring_a_pause_from_the_last_on() -> None:
    again = same(secret_text("role"), secret_text("wrong"))

    assert refused(1).pause_left(WRONG, 1000, PAUSE) == timedelta(0)
    assert refused(2).pause_left(again, 1000, PAUSE) == PAUSE
    assert refused(2).pause_left(again, 1300, PAUSE) == timedelta(minutes=10)
    assert refused(2).pause_left(again, 1900, PAUSE) == timedelta(0)


@pytest.mark.parametrize("other", [OTHER, (WRONG[0], OTHER[0]), ()])
def test_another_credential_may_be_tried_at_once_and_is_counted_anew(other: tuple[Secret, ...]) -> None:
    assert refused(2).pause_left(other, 1000, PAUSE) == timedelta(0)
    assert one_more(refused(1), other, 1000).count == 1


def test_after_the_pause_two_more_are_borne() -> None:
    after = one_more(refused(2), WRONG, 1900)

    assert after.count == 1
    assert after.pause_left(WRONG, 1900, PAUSE) == timedelta(0)
    assert one_more(after, WRONG, 1901).pause_left(WRONG, 1901, PAUSE) == PAUSE
