"""What a person is shown of one lineage, worked out from what was seen and decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rotator.cli import exits, failures
from rotator.errors import RotatorError
from rotator.inventory.fleet import Stray
from rotator.inventory.records import Trouble
from rotator.model.entry import Place, Verdict
from rotator.model.key import Key
from rotator.model.reason import WaitReason
from rotator.model.record import Failure, KnownKey, Record
from rotator.model.snapshot import Snapshot
from rotator.plan import copies, facts
from rotator.plan.actions import Action, Decision, Hold, Wait
from rotator.plan.invariants import Obstacle, may_revoke, overlap_ends, release_ends
from rotator.plan.phase import Phase, phase_of, standing_failure
from rotator.policy.match import Exclusion
from rotator.policy.policy import Policy
from rotator.policy.schedule import MADE_WITHIN, due, latest_safe_start
from rotator.reconcile import Left

_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """A key that still works besides the one in use: until when at least, and what stands in the way of its end.

    `ends_at` is on Vault's clock; None: an original that no instant releases. `at_once`: an emergency replaced it.
    """

    key_id: str
    original: bool
    ends_at: datetime | None
    obstacle: Obstacle | None
    at_once: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedAt:
    """A place where a lineage is served. `present`: the one that it is named by; `up_to_date`: it has the secret in use."""

    place: Place
    label: str
    present: bool
    up_to_date: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unserved:
    """A key of ours that works and that nobody serves. Its publish may be under way; the next publish ends it.

    `ends`: a rotation is to come that will end it. `needs_person`: none is, and nobody can be at work on it any
    more. `forgotten`: none is, for a person told us to leave its lineage alone; `held`: none is while its lineage is held.
    """

    lineage: str
    provider: str
    key: Key
    ends: bool
    needs_person: bool
    forgotten: bool
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One lineage. `decision` and `snapshot` are None when it could not be looked at; `error` may say why.

    `now` is when the decision was made. `done` is what was carried out, `error` what went wrong at the end,
    `left_because` why a sweep left what could be done now.
    """

    lineage: str
    provider: str
    policy: Policy
    now: datetime
    snapshot: Snapshot | None
    decision: Decision | None
    error: RotatorError | None = None
    done: tuple[Decision, ...] = ()
    left_because: Left | None = None

    @property
    def record(self) -> Record | None:
        """What the journal says of it."""
        return self.snapshot.record if self.snapshot else None

    @property
    def key(self) -> KnownKey | Key | None:
        """The key in use: the current one, else the original, else the one that the policy matches."""
        if self.record is not None:
            return facts.head(self.record)
        return self.snapshot.matched if self.snapshot else None

    @property
    def expires_at(self) -> datetime | None:
        """When the key in use stops working."""
        return self.key.expires_at if self.key else None

    @property
    def latest_safe_start(self) -> datetime | None:
        """The last instant at which a rotation can start and still give the whole overlap."""
        return latest_safe_start(self.policy, self.expires_at)

    @property
    def uncovered(self) -> bool:
        """Whether no policy covers it any more, so that nothing replaces its key, and nobody said to leave it alone.

        Not known while it can't be looked at.
        """
        return facts.uncovered(self.policy, self.record)

    @property
    def failure(self) -> Failure | None:
        """The last failure, unless the policy entry has changed since."""
        return standing_failure(self.policy, self.record)

    @property
    def alive(self) -> tuple[Alive, ...]:
        """The keys that await their end."""
        if self.snapshot is None or self.record is None or self.record.current is None:
            return ()
        found = [(p.key_id, False, overlap_ends(p), p.at_once) for p in self.record.previous]
        found += [(o.key.key_id, True, release_ends(o), o.at_once) for o in self.record.originals]
        return tuple(
            Alive(
                key_id=key_id,
                original=original,
                ends_at=ends_at,
                obstacle=may_revoke(self.snapshot, key_id, self.snapshot.seen_at),
                at_once=at_once,
            )
            for key_id, original, ends_at, at_once in found
        )

    @property
    def places(self) -> tuple[ServedAt, ...]:
        """Every place that is served: several after a move, until the earlier ones are given up."""
        if self.snapshot is None or self.record is None:
            return ()
        late = {copied.place for copied, _ in copies.behind(self.snapshot)}
        proven = facts.serves_current(self.snapshot)
        return tuple(
            ServedAt(
                place=place,
                label=self.record.label(place),
                present=place == self.record.place,
                up_to_date=proven and place not in late,
            )
            for place in self.record.places
        )

    @property
    def unserved(self) -> tuple[Unserved, ...]:
        """The keys of ours that work and that nobody serves."""
        if self.snapshot is None:
            return ()
        in_use = self.key if isinstance(self.key, KnownKey) else None
        comes = in_use is not None and due(self.policy, self.snapshot.lineage.lineage_id, in_use) is not None
        forgotten = self._waits_for(WaitReason.FORGOTTEN)
        held = isinstance(self.decision, Hold)
        ends = (
            comes and not (held or forgotten) and not facts.watched(self.policy, self.record)
        ) or isinstance(self.decision, Action)
        settled = self.snapshot.on_provider_clock(self.now) - MADE_WITHIN
        return tuple(
            Unserved(
                lineage=self.lineage,
                provider=self.provider,
                key=key,
                ends=ends,
                needs_person=not (ends or forgotten or self.claimed) and key.created_at <= settled,
                forgotten=forgotten,
                held=held,
            )
            for key in facts.unserved(self.snapshot, self.now)
        )

    @property
    def missing_key_id(self) -> str | None:
        """The key that the policy names by its id, while the provider does not list it and no record leads to it."""
        if self.snapshot is None or not self._waits_for(WaitReason.NOT_FOUND):
            return None
        path = self.snapshot.lineage.path
        return next((key_id for named, key_id in self.policy.keys if named == path), None)

    @property
    def empty(self) -> bool:
        """Whether another journal's marks lead here and nothing else: another installation, with a Vault of its own."""
        return self._waits_for(WaitReason.NOT_FOUND) and self.missing_key_id is None

    @property
    def consumers_fail(self) -> bool:
        """Whether the provider refuses the secret that Vault serves."""
        return self.snapshot is not None and self.snapshot.served.verdict is Verdict.REFUSED

    @property
    def claimed(self) -> bool:
        """Whether another process works on it."""
        return self._waits_for(WaitReason.CLAIMED)

    @property
    def left(self) -> bool:
        """Whether there is something to do now that was not done."""
        return self.error is None and isinstance(self.decision, Action)

    @property
    def phase(self) -> Phase:
        """Where it is in its life."""
        return phase_of(self.policy, self.snapshot, self.decision, failed=self.error is not None)

    @property
    def urgency(self) -> tuple[int, datetime, datetime, str]:
        """What lines are sorted by: trouble, then work to be done now, then the time that is left."""
        troubled = self.phase in (Phase.UNKNOWN, Phase.HELD, Phase.FAILING)
        until = self.decision.until if isinstance(self.decision, Wait) else None
        rank = 0 if troubled else 1 if isinstance(self.decision, Action) else 2
        return (rank, self.latest_safe_start or _LAST, until or _LAST, self.lineage)

    @property
    def status(self) -> int:
        """The exit status that this lineage alone would give."""
        if self.error is not None:
            return failures.status_of(self.error)
        if self.phase is Phase.FAILING:
            return exits.FAILED
        stuck = any(one.needs_person for one in self.unserved)
        late = self.latest_safe_start is not None and self.latest_safe_start <= self.now
        late = late or self.consumers_fail
        needed = (
            self.phase is Phase.HELD
            or self._waits_for(WaitReason.NOT_FOUND)
            or stuck
            or (self.phase is Phase.PAUSED and late)
        )
        return exits.PERSON_NEEDED if needed else exits.FINE

    def _waits_for(self, reason: WaitReason) -> bool:
        return isinstance(self.decision, Wait) and self.decision.reason is reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a command has to show.

    `excluded` counts, by provider, the keys that no policy takes; `idle` are the policies that select nothing. `uncovered` are
    the lineages that no policy covers any more.
    """

    now: datetime
    lines: tuple[Line, ...]
    excluded: Mapping[str, Mapping[Exclusion, int]]
    idle: tuple[str, ...]
    strays: tuple[Stray, ...]
    uncovered: tuple[str, ...]
    troubles: tuple[Trouble, ...]

    @property
    def unserved(self) -> tuple[Unserved, ...]:
        """The keys of ours that work and that nobody serves."""
        return tuple(one for line in self.lines for one in line.unserved)

    @property
    def status(self) -> int:
        """The exit status that all of it gives."""
        statuses = {line.status for line in self.lines}
        statuses |= {failures.status_of(trouble.error) for trouble in self.troubles}
        return exits.gravest(statuses | {exits.PERSON_NEEDED} if self.strays or self.uncovered else statuses)

    def status_for(self, globs: tuple[str, ...]) -> int:
        """Return the exit status for one who asked for lineages by `globs`: to name none is a usage error."""
        return exits.USAGE if globs and not self.lines and not self.troubles else self.status


def uncovered_of(lines: Iterable[Line]) -> tuple[str, ...]:
    """Return the lineages that no policy covers any more."""
    return tuple(line.lineage for line in lines if line.uncovered)


def strays_of(lines: Iterable[Line]) -> tuple[Stray, ...]:
    """Return the keys that carry the mark of a lineage with a record, and are not proven to be its own."""
    return tuple(
        Stray(provider=line.provider, key=key)
        for line in lines
        if line.snapshot is not None
        for key in facts.strays(line.snapshot)
    )


def time_left(at: datetime | None, now: datetime) -> timedelta | None:
    """Return how long it is from `now` to `at`, negative when that is over, None without an instant."""
    return None if at is None else at - now
