"""A year of some hundred keys in which everything goes wrong that does: each is replaced in time, and nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from structlog.testing import capture_logs

from rotator.model.told import Step
from tests.faults.outside import Installation, Life, SeenKey, Version
from tests.service.year import (
    CONCURRENCY,
    FAR_AHEAD_SINCE,
    FREEZE,
    KINDS,
    MAX_AGE,
    SET_BACK_AT,
    STARTS_PER_HOUR,
    Kind,
    Year,
)
from tests.support.builders import DAY, HOUR, SECOND
from tests.support.estate import VAULT
from tests.support.replica import Replica
from tests.support.virtual_loop import VirtualLoop

KEYS, DAYS, SEED = 500, 365, 1

OVERLAP = DAY
ORIGINAL = 7 * DAY

WAITS = 13 * DAY
"""How long the windows and the freeze of a policy can make anything wait, with what goes wrong meanwhile."""


@dataclass(frozen=True, slots=True)
class Past:
    """A year that is over."""

    year: Year
    installation: Installation
    logged: tuple[Mapping[str, Any], ...]

    def replaced(self) -> Iterator[tuple[Kind, Life, SeenKey, datetime]]:
        """Yield each key that was replaced, and when: the one that a lineage began with, in Vault or not, and all after it."""
        for life in self.installation.lives:
            versions = next(iter(life.places.values()))
            keys = [_first(life), *(_key_of(life, version) for version in versions if not version.by_hand)]
            ours = [version.at for version in versions if not version.by_hand]
            for key, at in zip(keys, ours, strict=False):
                yield kind_of(life.name), life, key, at

    def times(self, *steps: Step) -> Iterator[tuple[Kind, str, datetime]]:
        """Yield when these steps were told, but for those that a process told while its clock was wrong."""
        for process in self.year.processes:
            for at, told in process.replica.told:
                wrong = any(since <= at <= until for since, until in self.year.wrong_clock)
                if told.step in steps and not wrong:
                    yield kind_of(told.lineage), told.lineage, at


def kind_of(lineage: str) -> Kind:
    name = lineage.rpartition("/")[2].partition("-")[0]
    return next(kind for kind in KINDS if kind.name == name)


def _first(life: Life) -> SeenKey:
    return next(key for key in life.keys if key.key_id == life.original)


def _key_of(life: Life, version: Version) -> SeenKey:
    return next(key for key in life.keys if key.secret == version.secret)


def passed() -> Past:
    pasts: list[Past] = []

    async def pass_by() -> (
        None
    ):  # the year is no result of it: a task's is put into words, which takes seconds
        year = Year(keys=KEYS, days=DAYS, seed=SEED)
        with capture_logs() as logged:
            await year.play()
        pasts.append(Past(year, year.estate.installation(overlap=OVERLAP, keeps=ORIGINAL), tuple(logged)))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(pass_by())
    return pasts[0]


def it_was_eventful(past: Past) -> None:
    estate, happened = past.year.estate, past.year.happened
    assert len(estate.begun) >= KEYS + 50
    assert {what for what, count in happened.items() if count >= 2} == {
        "vault is away",
        "asr is away",
        "tts is away",
        "our clock is wrong",
        "a provider's clock is wrong",
        "the management keys are exchanged",
        "the policy file changes",
        "a process is killed",
    }
    results = {result for process in past.year.processes for _, _, result in process.replica.meter.calls}
    assert results >= {"200", "ambiguous", "unavailable", "conflict"}


def no_promise_is_broken(past: Past) -> None:
    assert past.installation.broken(at_rest=False) == ()


def every_key_is_replaced_long_enough_before_it_expires_and_not_too_early(past: Past) -> None:
    replaced = list(past.replaced())
    assert len(replaced) >= 3 * KEYS
    for kind, life, key, at in replaced:
        lived = at - key.created_at
        if key.expires_at is None or kind.lifetime is None:
            assert MAX_AGE * 0.9 <= lived <= MAX_AGE + WAITS, life.name
        else:
            assert at + OVERLAP <= key.expires_at, life.name
            assert lived >= kind.lifetime * 0.55, life.name


def no_key_in_use_is_overdue_in_the_end(past: Past) -> None:
    for life in past.installation.lives:
        versions = next(iter(life.places.values()))
        key = _key_of(life, versions[-1]) if versions else _first(life)
        until = key.created_at + MAX_AGE + WAITS if key.expires_at is None else key.expires_at - OVERLAP
        assert until > life.now, life.name


def what_was_replaced_is_deleted_in_time_and_not_before_its_overlap_is_over(past: Past) -> None:
    deleted = 0
    for _, life, key, at in past.replaced():
        in_vault = any(
            version.secret == key.secret for versions in life.places.values() for version in versions
        )
        keep = OVERLAP if in_vault else ORIGINAL
        if key.deleted_at is None:
            assert life.now - at <= keep + WAITS, f"{key.key_id} of {life.name}"
        else:
            assert keep <= key.deleted_at - at <= keep + WAITS, f"{key.key_id} of {life.name}"
            deleted += 1
    assert deleted >= 3 * KEYS


def no_more_is_begun_in_an_hour_or_worked_on_at_once_than_is_allowed(past: Past) -> None:
    assert past.year.estate.most_in_an_hour <= STARTS_PER_HOUR
    assert max(most_at_once(process.replica) for process in past.year.processes) == CONCURRENCY


def most_at_once(replica: Replica) -> int:
    """Return how many rotations were under way at once, at most."""
    under_way: set[str] = set()
    most = 0
    for _, told in replica.told:
        if told.step is Step.INTENT:
            under_way.add(told.lineage)
            most = max(most, len(under_way))
        elif told.step in {Step.RECORDED, Step.FAILED, Step.HELD}:
            under_way.discard(told.lineage)
    return most


def when_a_clock_that_was_far_ahead_is_set_back_rotations_go_on(past: Past) -> None:
    begun = [start.at for start in past.year.estate.starts]
    assert sum(FAR_AHEAD_SINCE <= at < SET_BACK_AT for at in begun) == STARTS_PER_HOUR
    assert any(SET_BACK_AT <= at < SET_BACK_AT + HOUR for at in begun)


def nothing_is_begun_outside_the_windows_of_its_policy(past: Past) -> None:
    within = 0
    for kind, lineage, at in past.times(Step.INTENT, Step.REVOKED):
        if kind.opening is not None:
            assert kind.opening.is_open(at - SECOND) or kind.opening.is_open(at), f"{lineage} at {at}"
            within += 1
        if kind.name == "office":
            assert not FREEZE[0] <= at < FREEZE[1], f"{lineage} at {at}"
    assert within >= 4 * KEYS


def so_many_calls_are_made_as_the_keys_and_what_went_wrong_account_for(past: Past) -> None:
    estate, happened = past.year.estate, past.year.happened
    calls, lineages = estate.calls, len(estate.begun)
    revoked = sum(one.deleted_at is not None for one in estate.made.values())
    acts = len(estate.starts) + revoked
    # A new process looks at all; so does one whose clock was set, and by another policy file.
    anew = len(past.year.processes) + sum(
        2 * count for what, count in happened.items() if "clock" in what or "file" in what
    )
    assert calls[VAULT, "read entry"] <= 3 * acts + 2 * anew * lineages
    assert calls[VAULT, "read record"] <= 4 * acts + (DAYS + 4 * anew) * lineages
    minutes_away = sum(count for what, count in happened.items() if "away" in what) * 3 * 60
    for place in estate.projects:
        assert calls[place, "list keys"] <= 2 * acts + DAYS * 4 + minutes_away


def it_went_on_until_the_end_and_no_bug_was_told(past: Past) -> None:
    assert all(process.life.cancelled() for process in past.year.processes)
    assert [line for line in past.logged if line["event"] == "bug"] == []
    assert [one for one in past.year.processes[-1].replica.rounds.book.standings if one.error] == []


def test_nobody_notices_anything_of_a_year() -> None:
    past = passed()
    for judged in (
        it_was_eventful,
        no_promise_is_broken,
        every_key_is_replaced_long_enough_before_it_expires_and_not_too_early,
        no_key_in_use_is_overdue_in_the_end,
        what_was_replaced_is_deleted_in_time_and_not_before_its_overlap_is_over,
        no_more_is_begun_in_an_hour_or_worked_on_at_once_than_is_allowed,
        when_a_clock_that_was_far_ahead_is_set_back_rotations_go_on,
        nothing_is_begun_outside_the_windows_of_its_policy,
        so_many_calls_are_made_as_the_keys_and_what_went_wrong_account_for,
        it_went_on_until_the_end_and_no_bug_was_told,
    ):
        judged(past)
