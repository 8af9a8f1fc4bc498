"""What a terminal gets: lines that fit, nothing that steers it, instants as people read and write them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.cli import text, times
from rotator.cli.text import paragraph, plain, table, wrapped
from tests.support.builders import NOW

TITLES = ("LINEAGE", "EXPIRES", "NEXT")
ROWS = (
    ("secret/deepgram/asr/gateway", "in 8d\n2026-01-13 12:00Z", "rotate now: its expiry comes near"),
    ("secret/b", "-", "held: " + "somebody else wrote there " * 5),
)


@pytest.fixture(params=[40, 60, 80, 120, 200])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


def test_a_table_fits_the_terminal_and_loses_nothing(columns: int) -> None:
    shown = table(TITLES, ROWS)

    assert all(len(line) <= columns for line in shown.splitlines())
    for row in ROWS:
        for word in " ".join(row).split():
            assert word in shown.replace("\n", " ")


def test_a_narrow_terminal_gets_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = table(TITLES, ROWS).splitlines()

    assert shown[0] == "LINEAGE  secret/deepgram/asr/gateway"
    assert shown[2] == "         2026-01-13 12:00Z"


def test_a_wide_terminal_gets_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")

    assert table(TITLES, ROWS).splitlines()[:3] == [
        "LINEAGE                      EXPIRES            NEXT",
        "secret/deepgram/asr/gateway  in 8d              rotate now: its expiry comes near",
        "                             2026-01-13 12:00Z",
    ]


def test_what_is_no_terminal_is_120_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)

    assert shutil.get_terminal_size((120, 24)).columns == text.width()


@pytest.mark.parametrize(
    "hostile",
    ["\x1b[2Jgone", "a\rb", "one\x07", "\u202eevil", "\x9b31m", "\u200bnothing", "a\tb"],
)
def test_what_could_steer_a_terminal_is_escaped(hostile: str) -> None:
    for shown in (plain(hostile), *wrapped(hostile, 80), paragraph(hostile), table(TITLES, [(hostile,) * 3])):
        assert all(line.isprintable() for line in shown.split("\n"))


@given(st.text(max_size=300), st.integers(min_value=10, max_value=80))
def test_wrapped_lines_are_never_longer(anything: str, width: int) -> None:
    assert all(len(line) <= width and line.isprintable() for line in wrapped(anything, width))


PIECES = ("\n", "\r", "\x1b[31m", "\x9b", "\u2028", "\u202e", "\x00", "  ", "held:")
NAMES = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=3).map("".join)
CELLS = st.lists(st.sampled_from((*PIECES, "long " * 40)) | st.text(max_size=9), max_size=4).map("".join)


@settings(max_examples=50)
@given(st.lists(st.tuples(NAMES, CELLS, CELLS), min_size=1, max_size=4))
def test_a_table_stays_one_whatever_is_in_its_cells(rows: list[tuple[str, str, str]]) -> None:
    """No cell can look like another row: only names begin at the margin, and each once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")  # wide enough that it is a table, and not blocks
        titles, *lines = table(TITLES, rows).split("\n")

    assert titles.split() == list(TITLES)
    assert all(line.isprintable() for line in lines)
    at_the_margin = [line for line in lines if line[:1].strip()]
    names = [plain(name) for name, _, _ in rows if plain(name)[:1].strip()]
    assert len(at_the_margin) == len(names)
    assert all(line.startswith(name.rstrip()) for line, name in zip(at_the_margin, names, strict=True))


def test_a_paragraph_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    assert paragraph("one two three four five six seven eight", indent="  ").splitlines() == [
        "  one two three four five six seven",
        "    eight",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0s"),
        (0.9, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3_661, "1h1m"),
        (3_601, "1h"),
        (86_400, "1d"),
        (90_061, "1d1h"),
        (-7_200, "2h"),
        (86_400 * 400, "400d"),
    ],
)
def test_a_length_of_time_is_told_in_two_units(seconds: float, said: str) -> None:
    assert times.rough(timedelta(seconds=seconds)) == said


def test_an_instant_is_told_from_now_and_by_the_calendar() -> None:
    assert times.relative(NOW - timedelta(hours=2), NOW) == "2h ago"
    assert times.both(NOW + timedelta(days=8, hours=3), NOW) == "in 8d3h (2026-01-13 15:00Z)"
    assert times.rfc3339(NOW) == "2026-01-05T12:00:00Z"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("+7d", NOW + timedelta(days=7)),
        ("+1h30m", NOW + timedelta(hours=1, minutes=30)),
        ("2026-12-24T02:00:00Z", datetime(2026, 12, 24, 2, tzinfo=UTC)),
        ("2026-12-24T02:00:00+02:00", datetime(2026, 12, 24, 0, tzinfo=UTC)),
    ],
)
def test_an_instant_is_written_in_two_ways(written: str, meant: datetime) -> None:
    assert times.parse_instant(written, NOW) == meant


@pytest.mark.parametrize("written", ["", "+", "+1M", "7d", "tomorrow", "2026-12-24", "2026-12-24T02:00:00"])
def test_other_ways_are_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"write|duration"):
        times.parse_instant(written, NOW)


def test_an_instant_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="calendar"):
        times.parse_instant("+36500d", datetime.max.replace(tzinfo=UTC) - timedelta(days=1))


@pytest.mark.parametrize(
    "written",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "1969-12-31T23:59:59Z",
        "9000-01-01T00:00:00Z",
    ],
)
def test_an_instant_at_an_end_of_the_calendar_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="1970 to 8999"):
        times.parse_instant(written, NOW)
