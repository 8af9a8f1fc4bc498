"""The page of all metrics, made from the metrics themselves: `python -m tests.support.metrics_page [--check]`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rotator.model.board import Board, FileSeen
from rotator.model.standing import Standing
from rotator.model.told import CallMade
from rotator.web.metrics import Metrics

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"

HEAD = """\
# Metrics

<!-- Written by `python -m tests.support.metrics_page` from the metrics themselves. -->

`rotator run` serves them at `/metrics`, where `runtime.listen` says, in the text format of Prometheus. Instants are Unix
times in seconds. Series of single lineages are shown for `runtime.metrics_lineages` of them, the most urgent first; totals
cover all. Phases are those of `rotator status`, reasons those of its JSON (`rotator/model/reason.py` explains each).

What a page should call a person for. Two replicas see the same fleet: take `max` of their gauges, such as
`max by (provider, reason) (rotator_held_lineages)`, and `sum` of what each of them counts (`_total` and histograms).

| expression | means |
|---|---|
| `rotator_late_lineages > 0` | a key can't be rotated any more so that consumers have the whole overlap |
| `rotator_overdue_lineages > 0` for two hours | keys that are due are not replaced: windows, `starts_per_hour`, a pause, failures |
| `sum(rotator_lineages{phase=~"failing\\|unknown"}) > 0` for an hour | lineages whose rotations fail, or that can't be looked at |
| `rotator_troubles > 0` for an hour | a provider, a record, a key or a credential can't be read; of a provider that gave no list since the start nothing is shown |
| `rotator_held_lineages > 0` | nothing automatic is safe for a lineage: `rotator status` says what to do |
| `sum(rotator_lineages{policy="(none)", phase!="forgotten"}) > 0` for an hour | nothing replaces the keys of lineages whose policy is gone: `rotator status` names them |
| `absent(rotator_ready)`, or `up == 0` of its job, for 10 minutes | a rotator does not run, or its metrics can't be read |
| `rotator_ready == 0`, for 15 minutes | the fleet can't be looked at, or work stands still: `/readyz` and `/livez` say why |
| `rotator_policy_file_rejected == 1` | the policy file has a mistake; the one before is in use |
| `rotator_breaker_state{state="open"} == 1` | rotations fail under a provider |
| `abs(rotator_clock_skew_seconds) > 30` | clocks differ by so much that no old key is deleted |

| metric | type | labels | |
|---|---|---|---|
"""

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def filled() -> Metrics:
    """Return metrics with at least one series of each."""
    metrics = Metrics()
    metrics.called(CallMade(to="vault", operation="read record", result="200", took=timedelta(seconds=0.01)))
    metrics.swept(timedelta(seconds=1), "whole")
    metrics.rotated(
        "asr-eu", "due_by_expiry", "published", took=timedelta(seconds=2), late=timedelta(seconds=1)
    )
    metrics.revoked("asr-eu", "overlap_ended")
    standing = Standing(
        lineage="secret/deepgram/asr-eu/gateway",
        provider="asr-eu",
        policy="standard",
        fingerprint="",
        phase="held",
        reason="parity",
        key_id="8f14e45f-ceea-467f-a8b1-2b1a2f3c4d5e",
        version=3,
        expires_at=NOW + timedelta(days=30),
        due_at=NOW + timedelta(days=10),
        safe_until=NOW + timedelta(days=28),
        previous_since=(NOW,),
        originals_since=(NOW,),
        unserved=1,
        claimed=True,
    )
    board = Board(
        now=NOW,
        standings=[standing],
        file=FileSeen(digest="0" * 64, instance="default", loaded_at=NOW),
        connected=True,
        swept_at=NOW,
        looked_at=NOW,
        sweep_every=timedelta(minutes=5),
        series=1,
        troubles=(),
        breakers={"asr-eu": "closed"},
        skews={"vault": timedelta(seconds=1)},
        strays={"asr-eu": 1},
        stopping=False,
        working=False,
        alive=True,
    )
    metrics.show(lambda: board)
    return metrics


def rows() -> Iterator[str]:
    """Yield a row of the table for each metric of ours."""
    for family in sorted(filled().registry.collect(), key=lambda family: family.name):
        if not family.name.startswith("rotator_"):
            continue
        labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
        name = {"counter": f"{family.name}_total", "info": f"{family.name}_info"}.get(
            family.type, family.name
        )
        kind = "gauge" if family.type == "info" else family.type
        yield f"| `{name}` | {kind} | {' '.join(f'`{label}`' for label in labels)} | {family.documentation} |\n"


def page() -> str:
    """Return the whole page."""
    return (
        HEAD
        + "".join(rows())
        + "\nBesides, on Linux, `process_*`: memory, CPU time, open files and start of the process. None where /proc/stat can't be\n"
        "read, such as in a unit with `ProcSubset=pid`.\n"
    )


def main() -> int:
    """Write the page, or say that it is not what it should be."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page())
    elif PAGE.read_text() != page():
        sys.stderr.write(f"{PAGE} is not up to date: python -m tests.support.metrics_page\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
