"""`window` and `freeze` in the policy file: what they mean, and what is told of those that can't be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from rotator.errors import PolicyError
from rotator.policy.load import load
from rotator.policy.policy import Freeze, Policy, Window

HEAD = """\
version: 1
vault: {auth: {token: {env: T}}}
providers:
  asr: {type: deepgram, project_id: p-1, credential: {env: K}}
"""
FROZEN = "freeze: [{from: 2026-12-20, to: 2027-01-05, why: holidays}]"
OPEN = "window: [{cron: 0 2 * * 1-5, for: 4h, timezone: Europe/Berlin}]"
CRON_HINT = (
    " (minute, hour, day of the month, month, day of the week: `0 2 * * 1-5` is 02:00 from Monday to Friday; how long "
    "it stays open is said in `for`)"
)


def text_of(options: str, defaults: str) -> bytes:
    policy = f"  - name: n\n    provider: asr\n    select: {{comment: '*'}}\n    {options}\n"
    return f"{HEAD}defaults: {{{defaults}}}\npolicies:\n{policy}".encode()


def policy_of(options: str, defaults: str = "") -> Policy:
    (policy,) = load(text_of(options, defaults), name="p.yaml").policies
    return policy


def problems_of(options: str, defaults: str = "") -> list[str]:
    with pytest.raises(PolicyError) as refused:
        load(text_of(options, defaults), name="p.yaml")
    return [str(problem).partition(": ")[2] for problem in refused.value.problems]


def z(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_window_as_it_is_written() -> None:
    berlin = Window(cron="0 2 * * 1-5", length=timedelta(hours=4), zone=ZoneInfo("Europe/Berlin"))

    assert policy_of(OPEN).windows == (berlin,)
    assert policy_of("window: [{cron: 0 2 * * 1-5, for: 4h}]").windows[0].zone == ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("freeze", "starts_at", "ends_at"),
    [
        # Both days belong to it.
        ("from: 2026-12-20, to: 2027-01-05", "2026-12-20T00:00", "2027-01-06T00:00"),
        ("from: 2026-12-20, to: 2026-12-20", "2026-12-20T00:00", "2026-12-21T00:00"),
        # Days and times are those of the zone, or have an offset of their own.
        (
            "from: 2026-07-01, to: 2026-07-02, timezone: Europe/Berlin",
            "2026-06-30T22:00",
            "2026-07-02T22:00",
        ),
        ("from: 2026-12-20T18:00, to: 2026-12-21 06:30:05", "2026-12-20T18:00", "2026-12-21T06:30:05"),
        (
            "from: 2026-12-20T18:00, to: 2027-01-05, timezone: Europe/Berlin",
            "2026-12-20T17:00",
            "2027-01-05T23:00",
        ),
        (
            "from: 2026-12-20T18:00Z, to: 2026-12-21T06:00-05:00, timezone: Europe/Berlin",
            "2026-12-20T18:00",
            "2026-12-21T11:00",
        ),
        # What a clock shows twice, or never, is taken as the longer freeze.
        (
            "from: 2026-03-29T02:30, to: 2026-10-25T02:30, timezone: Europe/Berlin",
            "2026-03-29T00:30",
            "2026-10-25T01:30",
        ),
        (
            "from: 2026-10-25T02:30, to: 2027-03-28T02:30, timezone: Europe/Berlin",
            "2026-10-25T00:30",
            "2027-03-28T01:30",
        ),
    ],
)
def test_a_freeze_as_it_is_meant(freeze: str, starts_at: str, ends_at: str) -> None:
    assert policy_of(f"freeze: [{{{freeze}}}]").freezes == (
        Freeze(starts_at=z(starts_at), ends_at=z(ends_at)),
    )


def test_a_list_of_a_policy_replaces_that_of_the_defaults_and_null_is_none() -> None:
    shared = f"{FROZEN}, {OPEN}"

    assert policy_of("adopt: now", shared) != policy_of("adopt: now")
    assert policy_of("adopt: now", shared).freezes[0].why == "holidays"
    assert policy_of("freeze: [{from: 2026-05-01, to: 2026-05-01}]", shared).freezes == (
        Freeze(starts_at=z("2026-05-01"), ends_at=z("2026-05-02")),
    )
    assert policy_of("freeze: null\n    window:", shared) == policy_of("adopt: watch")


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        (
            "window: {cron: 0 2 * * 1-5, for: 4h}",
            [
                (
                    "policies[0].window: a mapping of 2 keys where a list of up to 20 mappings is expected "
                    "(write `[{...}]`, or `null` for none)"
                )
            ],
        ),
        (
            f"window: [{', '.join(['{cron: 0 2 * * 1-5, for: 4h}'] * 21)}]",
            [
                (
                    "policies[0].window: a list of 21 items where a list of up to 20 mappings is expected "
                    "(write `[{...}]`, or `null` for none)"
                )
            ],
        ),
        (
            "window: [{cron: 0 2 * * 1-5, for: 4h}, {}]",
            [
                'policies[0].window[1]: `cron` is missing (write `cron: "0 2 * * 1-5"`: 02:00 from Monday to Friday)',
                "policies[0].window[1]: `for` is missing (write how long it stays open: `for: 4h`)",
            ],
        ),
        (
            "window: [{cron: 0 2 * * 1-5, fro: 4h, for: 8d}]",
            [
                "policies[0].window[0].fro: unknown key (did you mean `for`? allowed: cron, for, timezone)",
                "policies[0].window[0].for: 8d is longer than 7d (several windows together can be open for longer)",
            ],
        ),
        (
            "window: [{cron: '*/5 2 * * *', for: 4h}]",
            [f"policies[0].window[0].cron: a minute that is not one number from 0 to 59{CRON_HINT}"],
        ),
        (
            "window: [{cron: '@daily', for: 4h}]",
            [f"policies[0].window[0].cron: 1 fields where five are expected{CRON_HINT}"],
        ),
        (
            "window: [{cron: 0 2 30 2 *, for: 4h}]",
            [
                (
                    "policies[0].window[0].cron: a day of the month that cron does not know, or that never comes"
                    f"{CRON_HINT}"
                )
            ],
        ),
        (
            "window: [{cron: 0 2 29 2 *, for: 4h}]",
            ["policies[0].window[0].cron: a time that does not come in each year (nothing can wait for it)"],
        ),
        (
            "freeze: [{from: 2026-12-20, to: 2026-12-19}]",
            [
                (
                    "policies[0].freeze[0].to: `to` is not after `from` "
                    "(both days belong to the freeze; a time ends it)"
                )
            ],
        ),
        (
            "freeze: [{from: 2026-12-20T18:00, to: 2026-12-20T18:00}]",
            [
                (
                    "policies[0].freeze[0].to: `to` is not after `from` "
                    "(both days belong to the freeze; a time ends it)"
                )
            ],
        ),
        (
            "freeze: [{from: 2026-02-30, to: 5.1.2027, why: ''}]",
            [
                "policies[0].freeze[0].from: `2026-02-30` is no day of the calendar",
                (
                    "policies[0].freeze[0].to: `5.1.2027` is no day "
                    "(write `2026-12-20`, or `2026-12-20T18:00` for a time of it)"
                ),
                "policies[0].freeze[0].why: an empty text",
            ],
        ),
        (
            "freeze: [{from: 1969-12-31, to: 2026-01-01}, {from: 2026-01-01, to: 9999-12-31}]",
            [
                "policies[0].freeze[0].from: a day out of reach (the years 1970 to 8999 can be written)",
                "policies[0].freeze[1].to: a day out of reach (the years 1970 to 8999 can be written)",
            ],
        ),
        (
            "freeze: [{to: 2026-12-20}]",
            [
                "policies[0].freeze[0]: `from` is missing (write the first day: `from: 2026-12-20`)",
            ],
        ),
    ],
)
def test_what_is_told_of_those_that_can_not_be(options: str, problems: list[str]) -> None:
    assert problems_of(options) == problems


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Berln", "did you mean `Europe/Berlin`? allowed: one of "),
        ("europe/berlin", "did you mean `Europe/Berlin`? "),
        ("America/Argentina", "did you mean `America/Argentina/"),
        ("CET", "allowed: one of "),
        ("../../etc/passwd", "allowed: one of "),
        ("right/UTC", "did you mean `Etc/UTC`? "),
    ],
)
def test_an_unknown_time_zone_is_guessed_at(zone: str, hint: str) -> None:
    (problem,) = problems_of(f"freeze: [{{from: 2026-12-20, to: 2026-12-20, timezone: {zone}}}]")

    assert problem.startswith(f"policies[0].freeze[0].timezone: `{zone}` is no time zone ({hint}")
    assert problem.endswith(": `UTC`, or a place such as `Europe/Berlin`)")


def test_what_is_wrong_in_the_defaults_is_told_once() -> None:
    assert len(problems_of("adopt: now", "window: [{cron: 0 2 * * *, for: soon}]")) == 1
