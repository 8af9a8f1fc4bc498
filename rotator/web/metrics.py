"""The metrics of the service. Names follow Prometheus' conventions: base units, `_total` for what only grows.

Some are counted as things happen; what stands at the moment of a scrape is read off the board then. They are kept in a
registry of our own: a library that adds metrics to the global one does not show here.
"""

from __future__ import annotations

import heapq
import platform
from collections import Counter as Counted
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from rotator import __version__
from rotator.model.board import Board
from rotator.model.standing import Standing
from rotator.model.told import CallMade

_CALL_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROTATION_SECONDS: Final = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_LATE_SECONDS: Final = (1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600)
_SWEEP_SECONDS: Final = (0.1, 0.5, 1, 5, 15, 60, 300, 900)

_LINEAGE: Final = ("lineage", "provider", "policy")
_FAR: Final = datetime.max.replace(tzinfo=UTC)


class Metrics:
    """All metrics of one process."""

    def __init__(self) -> None:
        """Begin with nothing counted, and no board."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._calls = Counter(
            "rotator_calls",
            "Calls to Vault and to providers that have ended, by the status that was answered, or no_answer.",
            ("to", "operation", "result"),
            registry=self.registry,
        )
        self._call_seconds = Histogram(
            "rotator_call_duration_seconds",
            "How long such a call took, without waiting for its turn.",
            ("to",),
            buckets=_CALL_SECONDS,
            registry=self.registry,
        )
        self._rotations = Counter(
            "rotator_rotations",
            "Rotations that this process started and that have ended, by why and how: published, held or failed.",
            ("provider", "reason", "outcome"),
            registry=self.registry,
        )
        self._rotation_seconds = Histogram(
            "rotator_rotation_duration_seconds",
            "From the intent to the recorded publish, or to the failure.",
            ("provider",),
            buckets=_ROTATION_SECONDS,
            registry=self.registry,
        )
        self._late_seconds = Histogram(
            "rotator_rotation_lateness_seconds",
            "How long after it was due a rotation that is due by time was started.",
            ("provider",),
            buckets=_LATE_SECONDS,
            registry=self.registry,
        )
        self._revocations = Counter(
            "rotator_revocations",
            "Old keys that this process deleted, by why.",
            ("provider", "reason"),
            registry=self.registry,
        )
        self._sweeps = Counter(
            "rotator_sweeps",
            "Sweeps that have ended: whole, partial when part of the fleet could not be looked at, or failed.",
            ("result",),
            registry=self.registry,
        )
        self._sweep_seconds = Histogram(
            "rotator_sweep_duration_seconds",
            "How long it took to see the fleet: lists and records.",
            buckets=_SWEEP_SECONDS,
            registry=self.registry,
        )
        self._standing = _Standing()
        self.registry.register(self._standing)

    def show(self, board: Callable[[], Board]) -> None:
        """Show from now on what `board` returns."""
        self._standing.board = board

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus. Takes its time: call it in a thread."""
        return generate_latest(self.registry)

    def called(self, made: CallMade) -> None:
        """Count a call to Vault or a provider."""
        self._calls.labels(made.to, made.operation, made.result).inc()
        self._call_seconds.labels(made.to).observe(made.took.total_seconds())

    def swept(self, took: timedelta, result: str) -> None:
        """Count a sweep: whole, partial, or failed."""
        self._sweeps.labels(result).inc()
        self._sweep_seconds.observe(took.total_seconds())

    def rotated(
        self, provider: str, reason: str, outcome: str, *, took: timedelta, late: timedelta | None
    ) -> None:
        """Count a rotation that was started, by its `outcome`: published, held or failed."""
        self._rotations.labels(provider, reason, outcome).inc()
        self._rotation_seconds.labels(provider).observe(took.total_seconds())
        if late is not None:
            self._late_seconds.labels(provider).observe(late.total_seconds())

    def revoked(self, provider: str, reason: str) -> None:
        """Count an old key that was deleted."""
        self._revocations.labels(provider, reason).inc()


class _Standing(Collector):
    """What stands at the moment of a scrape."""

    def __init__(self) -> None:
        self.board: Callable[[], Board] | None = None

    def describe(self) -> Iterable[Metric]:
        """Say that names are known only when asked: a registry would collect for it otherwise."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield all of it."""
        if self.board is None:
            return
        board = self.board()
        build = InfoMetricFamily("rotator_build", "Which rotator this is, and of which installation.")
        build.add_metric(
            (),
            {
                "version": __version__,
                "python": platform.python_version(),
                "instance_name": board.file.instance,
            },
        )
        yield build
        yield from _of_service(board)
        yield from _of_fleet(board)
        yield from _of_lineages(board)


def _gauge(
    name: str, says: str, labels: Iterable[str], samples: Iterable[tuple[Iterable[str], float]]
) -> Metric:
    family = GaugeMetricFamily(name, says, labels=tuple(labels))
    for values, value in samples:
        family.add_metric(tuple(values), value)
    return family


def _seconds(at: datetime | None) -> float:
    return 0.0 if at is None else at.timestamp()


def _of_service(board: Board) -> Iterator[Metric]:
    file = board.file
    yield _gauge(
        "rotator_ready",
        "1 while the fleet was looked at within the last three sweeps, as far as it can be (rotator_troubles counts the rest), or what a sweep found "
        "is being worked on.",
        (),
        [((), board.ready)],
    )
    yield _gauge(
        "rotator_connected", "1 while Vault and the journal can be reached.", (), [((), board.connected)]
    )
    yield _gauge(
        "rotator_last_successful_sweep_timestamp_seconds",
        "When the last sweep saw the whole fleet; 0 before the first.",
        (),
        [((), _seconds(board.swept_at))],
    )
    info = InfoMetricFamily("rotator_policy_file", "The hash of the policy file in use.")
    info.add_metric((), {"sha256": file.digest})
    yield info
    yield _gauge(
        "rotator_policy_file_loaded_timestamp_seconds",
        "When the policy file in use was loaded.",
        (),
        [((), _seconds(file.loaded_at))],
    )
    yield _gauge(
        "rotator_policy_file_rejected",
        "1 while the policy file that is there is refused, and the one before is in use.",
        (),
        [((), bool(file.rejected))],
    )
    yield _gauge(
        "rotator_policy_file_rejected_timestamp_seconds",
        "Since when that is so; 0 while it is not.",
        (),
        [((), _seconds(file.rejected_at))],
    )
    refused = CounterMetricFamily(
        "rotator_policy_file_rejections", "Policy files that were refused, each counted once."
    )
    refused.add_metric((), file.rejections)
    yield refused
    yield _gauge(
        "rotator_clock_skew_seconds",
        "What another clock is ahead of ours: Vault's, and each provider's.",
        ("of",),
        [((of,), skew.total_seconds()) for of, skew in board.skews.items()],
    )
    yield _gauge(
        "rotator_breaker_state",
        "1 for the state that the breaker of a provider is in: open, no rotation is started there, because they fail; "
        "half_open, one is tried first.",
        ("provider", "state"),
        [((name, one), one == state) for name, state in board.breakers.items() for one in _STATES],
    )
    yield _gauge(
        "rotator_troubles",
        "Providers, records, keys and credentials that could not be looked at.",
        (),
        [((), len(board.troubles))],
    )


_STATES: Final = ("closed", "half_open", "open")


def _of_fleet(board: Board) -> Iterator[Metric]:
    standings = board.standings
    by_phase = Counted((one.provider, one.policy, one.phase) for one in standings)
    yield _gauge(
        "rotator_lineages",
        "Lineages by where they are in their life.",
        ("provider", "policy", "phase"),
        by_phase.items(),
    )
    holds = Counted((one.provider, one.reason) for one in standings if one.phase == "held")
    yield _gauge(
        "rotator_held_lineages",
        "Lineages that a person must act on, by why.",
        ("provider", "reason"),
        holds.items(),
    )
    in_use = [one for one in standings if one.phase != "forgotten"]
    late = Counted(
        one.provider for one in in_use if one.safe_until is not None and one.safe_until <= board.now
    )
    overdue = Counted(
        (one.provider, one.policy) for one in in_use if one.due_at is not None and one.due_at <= board.now
    )
    yield _gauge(
        "rotator_overdue_lineages",
        "Lineages whose key in use is due by its policy, and is not replaced yet.",
        ("provider", "policy"),
        [(of, overdue[of]) for of in sorted({(one.provider, one.policy) for one in standings})],
    )
    providers = {one.provider for one in standings}
    yield _gauge(
        "rotator_late_lineages",
        "Lineages past their latest safe start: a rotation that starts now can't give the whole overlap.",
        ("provider",),
        [((name,), late[name]) for name in sorted(providers)],
    )
    yield _gauge(
        "rotator_earliest_safe_start_timestamp_seconds",
        "The nearest latest safe start of all lineages of a policy.",
        ("provider", "policy"),
        _nearest((one, one.safe_until) for one in in_use),
    )
    yield _gauge(
        "rotator_earliest_expiry_timestamp_seconds",
        "The nearest expiry of all keys in use of a policy.",
        ("provider", "policy"),
        _nearest((one, one.expires_at) for one in in_use),
    )
    yield from _of_old_keys(standings)
    for name, says, counted in (
        ("rotator_unserved_keys", "Keys of ours that work and that nobody serves.", _summed(standings)),
        (
            "rotator_stray_keys",
            "Keys with our mark that no record leads to; told, never touched.",
            board.strays,
        ),
        (
            "rotator_claimed_lineages",
            "Lineages that another process worked on when they were looked at.",
            Counted(one.provider for one in standings if one.claimed),
        ),
    ):
        yield _gauge(name, says, ("provider",), [((of,), count) for of, count in counted.items()])


def _summed(standings: Iterable[Standing]) -> Counted[str]:
    found: Counted[str] = Counted()
    for one in standings:
        found[one.provider] += one.unserved
    return found


def _nearest(
    instants: Iterable[tuple[Standing, datetime | None]],
) -> Iterable[tuple[tuple[str, str], float]]:
    nearest: dict[tuple[str, str], datetime] = {}
    for one, at in instants:
        if at is not None:
            of = (one.provider, one.policy)
            nearest[of] = min(at, nearest.get(of, _FAR))
    return [(of, at.timestamp()) for of, at in nearest.items()]


def _of_old_keys(standings: Iterable[Standing]) -> Iterator[Metric]:
    counts: Counted[tuple[str, str]] = Counted()
    oldest: dict[tuple[str, str], datetime] = {}
    for one in standings:
        for kind, since in (("previous", one.previous_since), ("original", one.originals_since)):
            for at in since:
                of = (one.provider, kind)
                counts[of] += 1
                oldest[of] = min(at, oldest.get(of, _FAR))
    yield _gauge(
        "rotator_keys_awaiting_revocation",
        "Old keys that still work: previous ones, and originals from before adoption.",
        ("provider", "kind"),
        counts.items(),
    )
    yield _gauge(
        "rotator_oldest_key_awaiting_revocation_timestamp_seconds",
        "Since when the oldest of them has awaited its end.",
        ("provider", "kind"),
        [(of, at.timestamp()) for of, at in oldest.items()],
    )


def _of_lineages(board: Board) -> Iterator[Metric]:
    """Yield what is known of single lineages, the most urgent first."""
    shown = heapq.nsmallest(board.series, board.standings, key=_urgency)
    yield _gauge(
        "rotator_lineages_without_series",
        "Lineages that have no series of their own, by `runtime.metrics_lineages`.",
        (),
        [((), len(board.standings) - len(shown))],
    )
    instants: tuple[tuple[str, str, Callable[[Standing], datetime | None]], ...] = (
        ("rotator_key_expiry_timestamp_seconds", "When the key in use expires.", lambda one: one.expires_at),
        ("rotator_next_rotation_timestamp_seconds", "When the key in use is due.", lambda one: one.due_at),
        (
            "rotator_latest_safe_start_timestamp_seconds",
            "Until when a rotation can start and still give the whole overlap before the key expires.",
            lambda one: one.safe_until,
        ),
    )
    for name, says, instant in instants:
        samples = [(_names(one), at.timestamp()) for one in shown if (at := instant(one)) is not None]
        yield _gauge(name, says, _LINEAGE, samples)
    yield _gauge(
        "rotator_lineage_phase",
        "Always 1; says where a lineage is in its life, and why.",
        (*_LINEAGE, "phase", "reason"),
        [((*_names(one), one.phase, one.reason), 1) for one in shown],
    )
    yield _gauge(
        "rotator_entry_version",
        "The version of the entry in Vault.",
        _LINEAGE,
        [(_names(one), one.version) for one in shown],
    )


def _names(one: Standing) -> tuple[str, str, str]:
    return (one.lineage, one.provider, one.policy)


def _urgency(one: Standing) -> tuple[bool, datetime, str]:
    return (
        one.phase not in {"held", "failing", "unknown"},
        one.safe_until or one.due_at or _FAR,
        one.lineage,
    )
