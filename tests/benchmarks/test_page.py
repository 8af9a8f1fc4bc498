"""What the benchmarks say of what they measured. The measuring itself is no test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from rotator.model.key import Mark
from rotator.model.secret import Secret
from rotator.policy.schedule import SPREAD
from rotator.simulator.world import SimulatedKey
from tests.benchmarks import page
from tests.benchmarks.lateness import replaced
from tests.benchmarks.service import CALM, LEAD, SOON_POLICY, Running, odd_lines, sum_of
from tests.support.builders import DAY, HOUR, JOURNAL, LINEAGE, MINUTE, NOW
from tests.support.canary import secret_text
from tests.support.virtual_clock import VirtualClock

NAMES = ("rotations", "service", "starting")


def test_a_part_that_was_measured_alone_leaves_the_sections_of_the_others() -> None:
    first = page.page("", {"rotations": "## Many\n\nold", "starting": "## Start\n\nold"}, NAMES)
    then = page.page(first, {"service": "## The service\n\nnew"}, NAMES)
    again = page.page(then, {"service": "## The service\n\nnewer"}, NAMES)

    assert [line for line in then.splitlines() if line.startswith("## ")] == [
        "## Many",
        "## The service",
        "## Start",
    ]
    assert then.replace("new", "newer") == again
    assert then.count("old") == 2


def test_the_page_that_is_there_can_be_written_part_by_part() -> None:
    before = page.PAGE.read_text()

    assert page.page(before, {}, ("rotations", "lives", "fleet", "service", "starting")) == before


def test_what_went_wrong_is_found_in_the_log() -> None:
    told = [f'{{"event": "step", "level": "{level}"}}' for level in ("debug", "info", "warning", "error")]

    stop = '{"event": "signal", "level": "warning"}'
    assert odd_lines("\n".join([*told, stop, "Traceback"])) == [*told[2:], "Traceback"]


def test_what_was_looked_at_is_counted_by_the_series_of_one_metric() -> None:
    text = """
rotator_lineages{provider="asr",policy="all",phase="idle"} 3.0
rotator_lineages{provider="asr",policy="all",phase="held"} 2.0
rotator_lineages_without_series 7.0
"""
    assert sum_of(text, "rotator_lineages") == 5


@dataclass(frozen=True, slots=True)
class Scraped(Running):
    """A service that shows these texts, one at each scrape, and then no more."""

    texts: list[str] = field(default_factory=list)

    def scrape(self) -> str:
        return self.texts.pop(0)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE) as process:
        yield process


async def test_a_service_is_measured_once_it_has_looked_at_all_and_calls_nobody_any_more(
    process: subprocess.Popen[bytes],
) -> None:
    shown = [(0, 0), (200, 900), (400, 1800), (400, 1900), (400, 2000), (400, 2000)]
    texts = [f"rotator_lineages {seen}\nrotator_calls_total {calls}\n" for seen, calls in shown]
    clock = VirtualClock()
    service = Scraped(process, clock, texts)
    took = await service.look_at_all(400)

    assert took == 2
    assert clock.monotonic() == 2 + 2 * CALM.total_seconds()
    assert texts == []


def key(comment: str, *, made_at: datetime) -> SimulatedKey:
    return SimulatedKey(
        key_id=f"{comment} of {made_at}",
        project_id="project",
        member_id="member",
        secret=Secret(secret_text(comment)),
        comment=comment,
        scopes=(),
        tags=(),
        created_at=made_at,
        expires_at=made_at + 90 * DAY,
        listed_from=made_at,
        accepted_from=made_at,
    )


def test_how_late_a_key_was_replaced_is_counted_from_when_it_was_due_to_the_first_key_made_for_it() -> None:
    expires_at = NOW + 90 * DAY
    successor = Mark(JOURNAL, LINEAGE.lineage_id, "1" * 16).put_on("soon 00001")
    begun = [key("soon 00001", made_at=NOW), key("soon 00002", made_at=NOW)]
    made = [key(successor, made_at=expires_at - LEAD + after) for after in (HOUR, MINUTE)]
    (one,) = replaced(begun, [*begun, *made])

    assert (one.slug, one.key_id) == ("soon-00001", begun[0].key_id)
    assert MINUTE <= one.late(SOON_POLICY) <= MINUTE + LEAD / SPREAD
