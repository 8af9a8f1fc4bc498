"""What the service shows of itself: metrics of what is there and no more, and what systemd takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from rotator.clock import SystemClock
from rotator.daemon.breaker import State
from rotator.daemon.notify import LONGEST_STATUS, Systemd
from rotator.errors import Denied
from rotator.model.board import Board, FileSeen
from rotator.model.standing import Standing
from rotator.model.told import CallMade
from rotator.web.metrics import Metrics
from rotator.web.server import listening
from tests.support.builders import DAY, MINUTE, NOW
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import policy_text
from tests.support.manager import manager
from tests.support.scene import scene
from tests.support.virtual_loop import virtually


def standing(name: str, phase: str, expires_in: timedelta) -> Standing:
    return Standing(
        lineage=f"secret/{name}",
        provider="asr",
        policy="all",
        fingerprint="",
        phase=phase,
        reason="not_due",
        key_id=name,
        version=1,
        expires_at=NOW + expires_in,
        due_at=None,
        safe_until=NOW + expires_in - DAY,
    )


def page(*standings: Standing, series: int = 10) -> str:
    board = Board(
        now=NOW,
        standings=standings,
        file=FileSeen(digest="0" * 64, instance="test", loaded_at=NOW),
        connected=True,
        swept_at=NOW,
        looked_at=NOW,
        sweep_every=5 * MINUTE,
        series=series,
        troubles=(),
        breakers={},
        skews={},
        strays={},
        stopping=False,
        working=False,
        alive=True,
    )
    metrics = Metrics()
    metrics.show(lambda: board)
    metrics.called(CallMade(to="vault", operation="read record", result="200", took=MINUTE))
    metrics.swept(MINUTE, "failed")
    return metrics.text().decode()


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("rotator_earliest_expiry_timestamp_seconds", NOW + 9 * DAY),
        ("rotator_earliest_safe_start_timestamp_seconds", NOW + 8 * DAY),
    ],
)
def test_the_nearest_instant_is_of_a_lineage_that_is_not_forgotten(name: str, at: datetime) -> None:
    shown = page(standing("kept", "current", 9 * DAY), standing("left", "forgotten", -90 * DAY))
    assert value(shown, name) == at.timestamp()


def value(shown: str, name: str) -> float:
    (line,) = (one for one in shown.splitlines() if one.startswith(f"{name}{{"))
    return float(line.rpartition(" ")[2])


def test_what_is_due_and_not_replaced_is_counted_with_and_without_an_expiry() -> None:
    waiting = standing("waiting", "current", 9 * DAY)
    endless = replace(waiting, lineage="secret/endless", expires_at=None, safe_until=None)
    shown = page(
        waiting,
        replace(waiting, lineage="secret/calm", due_at=NOW + MINUTE),
        replace(waiting, lineage="secret/overdue", due_at=NOW - MINUTE),
        replace(endless, due_at=NOW - DAY),
        replace(endless, lineage="secret/left", phase="forgotten", due_at=NOW - DAY),
    )
    assert value(shown, "rotator_overdue_lineages") == 2
    assert value(page(waiting), "rotator_overdue_lineages") == 0


def test_series_of_their_own_have_those_that_are_due_first_where_nothing_expires() -> None:
    endless = [
        replace(standing(name, "current", DAY), expires_at=None, safe_until=None, due_at=NOW + due_in)
        for name, due_in in (("a", 9 * DAY), ("b", -DAY), ("c", 5 * DAY))
    ]
    shown = page(*endless, series=1)
    assert 'rotator_next_rotation_timestamp_seconds{lineage="secret/b"' in shown
    assert "secret/a" not in shown


def test_no_metric_says_when_another_one_was_made() -> None:
    assert 'rotator_sweeps_total{result="failed"} 1.0' in page()
    assert "_created" not in page()


@virtually
async def test_what_is_shown_of_a_provider_vanishes_when_the_policy_file_names_it_no_more() -> None:
    estate = Estate("asr", "tts")
    estate.add_key("voice")
    for number in range(3):
        estate.add_key(f"mouth-{number}", provider="tts", age=80 * DAY)
    both = policy_text(estate)
    estate.fails("create key", *[Denied("create key", "project-tts", "403")] * 10)
    with scene(estate, both) as one:
        async with one.running():
            await one.clock.sleep(2 * MINUTE)
            assert one.board().breakers["tts"] == State.OPEN
            assert one.board().skews.keys() == {"vault", "asr", "tts"}
            one.file = "\n".join(line for line in both.splitlines() if not line.startswith("  tts:"))
            await one.clock.sleep(MINUTE)
            assert one.board().breakers.keys() <= {"asr"}
            assert one.board().skews.keys() == {"vault", "asr"}


@virtually
async def test_a_sweep_that_failed_is_counted() -> None:
    estate = Estate()
    with scene(estate, policy_text(estate, runtime="sweep_every: 1m")) as one:
        async with one.running():
            await one.clock.sleep(MINUTE)
            estate.down.add(VAULT)
            await one.clock.sleep(5 * MINUTE)
            assert 4 <= one.meter.sweeps["failed"] <= 6


def test_a_line_of_status_is_no_longer_than_systemd_takes() -> None:
    with manager() as systemd:
        service = Systemd(systemd.variable, SystemClock())
        service.status("policy file REFUSED:\n" + "  config.yaml:1:5: not a duration\n" * 100)

        assert systemd.status().startswith("policy file REFUSED: config.yaml:1:5: not a duration config")
        assert len(systemd.status()) == LONGEST_STATUS
        assert len(systemd.told) == 1


def test_a_place_where_another_service_listens_already_is_refused_at_once() -> None:
    with listening("127.0.0.1:0") as one, pytest.raises(OSError, match="in use"):
        listening(f"127.0.0.1:{one.getsockname()[1]}")
