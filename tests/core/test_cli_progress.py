"""How far long work has come: one line that is drawn anew and goes away, whatever becomes of the work."""

from __future__ import annotations

import pytest

from rotator.cli.progress import Progress

CLEAR = "\r\x1b[K"


def test_several_pieces_of_work_share_the_line_until_each_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(shown=True) as progress:
        progress("reading keys of asr", 1, 20)
        progress("reading keys of tts", 5, 30)
        progress("reading keys of asr", 20, 20)
        progress("reading keys of tts", 30, 30)

    assert capsys.readouterr().err.split(CLEAR) == [
        "",
        "reading keys of asr 1/20",
        "reading keys of asr 1/20, reading keys of tts 5/30",
        "reading keys of tts 5/30",
        "",
    ]


def test_work_that_is_given_up_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with Progress(shown=True) as progress:
            progress("looking", 1, 20)
            raise LookupError

    with pytest.raises(LookupError):
        work()
    assert capsys.readouterr().err == f"{CLEAR}looking 1/20{CLEAR}"


def test_once_ended_nothing_is_drawn_any_more(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(shown=True)
    progress("looking", 1, 20)
    progress.end()
    progress("looking", 2, 20)

    assert capsys.readouterr().err == f"{CLEAR}looking 1/20{CLEAR}"


def test_a_line_is_never_wider_than_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(shown=True)
    for number in range(20):
        progress(f"reading keys of provider-{number}", 1, 20)

    assert max(len(line) for line in capsys.readouterr().err.split(CLEAR)) == 79


@pytest.mark.parametrize(("shown", "total"), [(False, 100), (True, 9)])
def test_nothing_is_drawn_for_nobody_or_for_short_work(
    capsys: pytest.CaptureFixture[str], *, shown: bool, total: int
) -> None:
    with Progress(shown=shown) as progress:
        progress("looking", 1, total)

    assert capsys.readouterr().err == ""
