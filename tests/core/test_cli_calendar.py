"""The calendar of `plan --until` as people and programs read it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from rotator.cli import documents
from rotator.cli.calendar import Foretold, foretold
from rotator.cli.lines import Line, Report
from rotator.cli.times import parse_until
from rotator.errors import Unavailable
from rotator.model.snapshot import Snapshot
from rotator.plan.decide import decide
from rotator.policy.policy import NO_POLICY, Adopt, Policy, Window
from tests.support import builders as a
from tests.support.builders import CURRENT, DAY, HOUR, NOW, POLICY, SETTLED

DUE = a.snapshot(a.record(serves=a.current(a.key(CURRENT.key_id, age=70 * DAY), age=70 * DAY)))
LATE = a.snapshot(a.record(serves=a.current(a.key(CURRENT.key_id, age=80 * DAY), age=80 * DAY)))
SHUT = replace(POLICY, name="shut", windows=(Window(cron="0 2 1 12 *", length=HOUR, zone=ZoneInfo("UTC")),))
WATCH = replace(POLICY, name="watch", adopt=Adopt.WATCH)


AGES = "How old a key gets until it is deleted, if no more than one try fails; waits for a start (`starts_per_hour`) count until"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def line(name: str, seen: Snapshot, policy: Policy = POLICY) -> Line:
    return Line(
        lineage=f"secret/{name}",
        provider="asr",
        policy=policy,
        now=NOW,
        snapshot=seen,
        decision=decide(policy, seen, NOW),
    )


def of(*lines: Line, until: timedelta = 30 * DAY, starts_per_hour: int = 60) -> Foretold:
    report = Report(now=NOW, lines=lines, excluded={}, idle=(), strays=(), uncovered=(), troubles=())
    return foretold(report, NOW + until, starts_per_hour)


def test_a_few_events_are_shown_one_by_one() -> None:
    shown = of(line("voice", DUE), line("ivr", LATE, SHUT), starts_per_hour=1).shown

    assert shown.splitlines() == [
        "2 lineages, seen at 2026-01-05 12:00Z; until 2026-02-04 12:00Z, if nothing goes wrong: 2 rotations, 1 old key deleted",
        "",
        "WHEN               WHAT",
        "2026-01-05 12:00Z  rotate secret/voice: its expiry comes near",
        "2026-01-06 12:00Z  delete the old key of secret/voice: its overlap with the new key is over",
        "2026-01-14 10:58Z  rotate secret/ivr: its expiry comes near; it can't wait for a `window` to open",
        "",
        "Begun although all is closed, for an expiry can't wait:",
        "  2026-01-14 10:58Z secret/ivr",
        "",
        f"{AGES} 2026-02-04 12:00Z:",
        "  all (1 lineage): 61d8h14m = lifetime - rotate_before 60d7h12m + prove.deadline 2m + retry.max 1h + overlap 24h",
        "  shut (1 lineage): 90d = lifetime 90d",
    ]


def test_many_events_are_shown_by_days() -> None:
    shown = of(*(line(f"voice-{n:02}", DUE) for n in range(40)), starts_per_hour=10).shown

    assert "2026-01-05  40      -       40 at asr: secret/voice-00, secret/voice-01 and 38 more" in shown
    assert "2026-01-06  -       40" in shown
    assert "More could begin than may (`starts_per_hour` is 10), so that some wait:" in shown
    assert "  2026-01-05 12:00Z to 2026-01-05 15:00Z: 30 at asr" in shown


def test_what_waits_for_room_beyond_its_window_is_shown() -> None:
    nightly = replace(POLICY, windows=(Window(cron="0 2 * * *", length=HOUR, zone=ZoneInfo("UTC")),))
    shown = of(*(line(f"voice-{n}", DUE, nightly) for n in range(3)), until=5 * DAY, starts_per_hour=1).shown

    assert "2026-01-06 02:00Z to 2026-01-08 02:00Z: 2 at asr, 2 of them beyond their window" in shown
    assert (
        "rotate secret/voice-1: its expiry comes near; there is no room for it at 2026-01-06 02:00Z" in shown
    )


@pytest.mark.promise("P8")
def test_what_no_time_rotates_is_shown_with_its_reason_and_the_first_expiry() -> None:
    endless = a.snapshot(a.record(serves=a.current(a.key(CURRENT.key_id, lifetime=None))))
    shown = of(
        line("a", LATE, WATCH), line("b", DUE, WATCH), line("c", replace(DUE, paused="*")), line("d", endless)
    ).shown

    assert "Their latest safe start comes before then, and no time rotates them:" in shown
    assert (
        "  secret/a, secret/b: only watched: no policy says `adopt: when_due` or `adopt: now`; the first key expires 2026-01-15 12:00Z"
        in shown
    )
    assert (
        "  secret/c: paused: nothing is done until `rotator resume`; the first key expires 2026-01-25 12:00Z"
        in shown
    )
    assert (
        "No time rotates, and there is time:\n  secret/d: never due: the key has no expiry, and the policy no `max_age`\n"
        in shown
    )
    assert "  all (2 lineages): without end: some keys do not expire, and no `max_age` is in force" in shown


def test_a_long_list_ends_with_how_many_there_are_besides() -> None:
    shown = of(*(line(f"voice-{n:02}", LATE, SHUT) for n in range(12))).shown

    assert "  2026-01-14 10:58Z secret/voice-09\n  and 2 more\n" in shown


def test_what_was_not_looked_at_and_what_no_policy_covers_have_no_part_in_it() -> None:
    unseen = replace(line("gone", SETTLED), snapshot=None, decision=None, error=Unavailable("list keys", "p"))
    uncovered = line("old", SETTLED, replace(WATCH, name=NO_POLICY))
    found = of(unseen, uncovered)

    assert found.calendar.events == ()
    assert found.ages == ()
    assert "2 lineages" in found.shown


def test_the_document_has_all_of_it() -> None:
    lines = (line("voice", DUE), line("ivr", LATE, SHUT), line("b", DUE, WATCH))
    document = json.loads(documents.text_of(of(*lines, until=10 * DAY).document))

    first, _, last = document["events"]
    assert first == {
        "at": "2026-01-05T12:00:00Z",
        "what": "rotate",
        "lineage": "secret/voice",
        "provider": "asr",
        "policy": "all",
        "reason": "due_by_expiry",
        "wished_at": "2026-01-05T12:00:00Z",
        "overrides": None,
    }
    assert (last["lineage"], last["overrides"]) == ("secret/ivr", "outside_window")
    assert (document["until"], document["cut"], document["crowds"]) == ("2026-01-15T12:00:00Z", False, [])
    assert document["unrotated"] == [
        {
            "lineage": "secret/b",
            "why": "watched",
            "expires_at": "2026-01-25T12:00:00Z",
            "latest_safe_start": "2026-01-24T10:58:00Z",
        }
    ]
    ages = {one["policy"]: one for one in document["oldest_keys"]}
    assert (ages["shut"]["lineages"], ages["shut"]["most"]) == (1, 90 * 86400)
    assert ages["all"]["parts"][1] == {"what": "prove.deadline", "length": 120.0}


def test_how_long_one_waits_for_a_start_is_shown_with_how_old_a_key_gets() -> None:
    aged = replace(POLICY, max_age=30 * DAY)
    found = of(*(line(name, DUE, aged) for name in "abc"), starts_per_hour=1)

    assert (
        f"{AGES} 2026-02-04 12:00Z:\n"
        "  all (3 lineages): 31d3h2m = max_age 30d + starts_per_hour 2h + prove.deadline 2m + retry.max 1h + overlap 24h"
    ) in found.shown
    document = json.loads(documents.text_of(found.document))
    (oldest,) = document["oldest_keys"]
    assert {"what": "starts_per_hour", "length": 7200.0} in oldest["parts"]
    assert oldest["most"] == sum(one["length"] for one in oldest["parts"])


def test_the_document_has_the_crowds_with_how_many_wait_under_each_provider() -> None:
    lines = (line("a", DUE), replace(line("b", DUE), provider="tts"), line("c", DUE))

    assert of(*lines, starts_per_hour=1).document["crowds"] == [
        {
            "at": "2026-01-05T12:00:00Z",
            "last_at": "2026-01-05T14:00:00Z",
            "waiting": {"tts": 1, "asr": 1},
            "missed": 0,
        }
    ]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90d", NOW + 90 * DAY),
        ("+90d", NOW + 90 * DAY),
        ("1098d", NOW + 1098 * DAY),
        ("2026-01-05T12:00:01Z", NOW + timedelta(seconds=1)),
        ("2026-02-01T00:00:00+01:00", NOW + 26 * DAY + 11 * HOUR),
    ],
)
def test_a_time_to_come(text: str, at: object) -> None:
    assert parse_until(text, NOW) == at


@pytest.mark.parametrize(
    "text", ["0s", "90", "soon", "1099d", "2026-01-05T12:00:00Z", "2020-01-01T00:00:00Z", ""]
)
def test_what_is_no_time_to_come(text: str) -> None:
    with pytest.raises(ValueError, match="not a time to come within three years; write 90d"):
        parse_until(text, NOW)
