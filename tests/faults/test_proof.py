"""The proof does not pass emptily: what could not be tried, or tried nothing, is a finding."""

from __future__ import annotations

from datetime import UTC, datetime

from rotator.model.told import Step, Told
from tests.faults import proof
from tests.faults.consumer import CAREFUL, CARELESS, DELETIONS, Played, Usage, reported
from tests.faults.report import Line, Say, tried


def said(_line: str) -> None:
    """Hear it, and do nothing."""


def test_a_part_that_raises_is_a_finding_and_ends_nothing_else() -> None:
    def part(_say: Say) -> list[Line]:
        raise KeyError("the nodes")

    (line,) = tried("a cluster", part, said)

    assert (line.what, line.cases) == ("a cluster", 0)
    assert line.broken[0].startswith("it could not be run: KeyError: 'the nodes' (part:")


def test_a_part_that_tries_nothing_is_a_finding() -> None:
    found = tried(
        "a cluster", lambda _say: [Line(what="late answers", cases=0), Line(what="b", cases=2)], said
    )

    assert [line.broken for line in found] == [("nothing was tried",), ()]
    assert [line.broken for line in tried("a cluster", lambda _say: [], said)] == [("nothing was tried",)]


def test_a_consumer_under_whose_hands_too_few_keys_were_deleted_is_a_finding() -> None:
    assert [line.broken for line in reported(played(deletions=DELETIONS), said)] == [(), ()]
    careful, _ = reported(played(deletions=DELETIONS - 1), said)
    assert careful.broken == (f"only {DELETIONS - 1} of {DELETIONS} keys were deleted",)


def test_a_consumer_who_is_refused_is_a_finding_and_so_is_a_careless_one_who_is_not() -> None:
    careful, careless = reported(played(deletions=DELETIONS, refused=(1, 0)), said)
    assert careful.broken == ("1 of them were refused",)
    assert careless.broken != ()


def played(*, deletions: int, refused: tuple[int, int] = (0, 5)) -> Played:
    used = {
        slug: Usage(calls=300, refused=count)
        for slug, count in zip((CAREFUL, CARELESS), refused, strict=True)
    }
    told = [Told(step=Step.REVOKED, lineage=f"secret/{CAREFUL}", key_id=str(nth)) for nth in range(deletions)]
    return Played(used, told)


def test_the_page_counts_what_is_apart_in_no_sum_and_every_finding() -> None:
    struck = [
        Line(what="nothing", cases=9, broken=("it failed",), apart=True),
        Line(what="SIGKILL", cases=40),
        Line(what="SIGTERM", cases=2),
    ]
    text = proof.page(
        {proof.MATRIX: [], "strikes survived": struck},
        {},
        when=datetime(2026, 11, 1, tzinfo=UTC),
        seconds=60,
        timeout=1.5,
    )

    assert "| strikes survived | 42 | 1 |" in text
    assert "| nothing | 9 | 1 |" in text
    assert "**Went wrong: 1.**" in text
    assert proof.heading("strikes survived") in text
