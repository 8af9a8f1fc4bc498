"""The rounds of the service: now and then a sweep, which finds what is new; in between, what falls due.

What is due is no schedule: it follows from what was seen of each lineage. So a restart, a reload, a missed round or a clock
that was set changes nothing but when it is looked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from rotator import log
from rotator.clock import Clock
from rotator.daemon.book import Book
from rotator.daemon.breaker import Breaker
from rotator.daemon.link import Link
from rotator.daemon.meter import Meter
from rotator.daemon.standings import due_by_record, next_starts, standing_of, wakes_at
from rotator.daemon.starts import HOUR, starts_begun
from rotator.daemon.sweep import RECENT, by_urgency, sweep
from rotator.errors import LostJournal, Rejected
from rotator.inventory.fleet import Found
from rotator.inventory.listings import list_all
from rotator.inventory.records import Answers, read_some
from rotator.model.key import Listing
from rotator.model.reason import LeftReason, RotateReason
from rotator.model.standing import Standing
from rotator.model.told import Step, Told
from rotator.plan.actions import Hold, Revoke, Rotate
from rotator.plan.phase import Phase
from rotator.policy.policy import NO_POLICY
from rotator.ports import Control, Provider, RecordRead
from rotator.reconcile import Reconciled, violation_of

AT_A_TIME = 500
"""So many lineages are worked on in one go: what was seen of each is kept until all of them have ended."""

AGAIN_AFTER = timedelta(minutes=1)
"""After a sweep that could not look at all of the fleet, or a round without Vault, the next comes so soon."""

TOLD_AGAIN_AFTER = timedelta(days=1)
"""How often it is told of a lineage that its latest safe start has passed."""

ROUNDED = timedelta(seconds=2)
"""Two looks at one instant of another clock differ by less: the `Date` of an answer is in whole seconds."""

TROUBLES_TOLD = 20
"""So many that begin or end at once are logged one by one."""

_TROUBLED = frozenset({Phase.HELD, Phase.FAILING, Phase.UNKNOWN})
_ENDS = frozenset({Step.RECORDED, Step.HELD, Step.FAILED})
_BY_TIME = frozenset({RotateReason.DUE_BY_EXPIRY, RotateReason.DUE_BY_AGE})


@dataclass(slots=True)
class _Course:
    """A rotation that was started in this round, by our monotonic seconds."""

    reason: str
    began: float
    late: timedelta | None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class _Start:
    """A rotation that was started, and perhaps stands in no record that was read since."""

    at: datetime
    lineage: str


class Rounds:
    """The rounds of one process over one journal. Its link may be another one each time, to the same journal."""

    def __init__(
        self, clock: Clock, *, stopping: Callable[[], bool], tell: Callable[[Told], None], meter: Meter
    ) -> None:
        """Begin with nothing seen."""
        self._clock = clock
        self.book = Book()
        self.breakers: dict[str, Breaker] = {}
        self.swept_at: datetime | None = None
        """When the last sweep saw the whole fleet: every list, and every record."""
        self.looked_at: datetime | None = None
        """When the last sweep ended, whole or partial."""
        self.working = False
        """Whether lineages are being worked on."""
        self.more = False
        """Whether more was found to do than went into the last round: the next may come at once."""
        self.phases: Counter[str] = Counter()
        """How many lineages are in each phase, as far as they were looked at."""
        self.skews: dict[str, timedelta] = {}
        self.troubles: tuple[str, ...] = ()
        self._stopping = stopping
        self._tell = tell
        self._meter = meter
        self._next_sweep_at: datetime | None = None
        self._silent_until: datetime | None = None
        self._wakes_at: datetime | None = None
        self._courses: dict[str, _Course] = {}
        self._due_at: dict[str, datetime | None] = {}
        self._started: dict[str, _Start] = {}
        self._said: dict[str, tuple[str, datetime]] = {}
        self._told_late: dict[str, datetime] = {}
        self._all_seen = False
        self._told_strays: frozenset[tuple[str, str]] = frozenset()
        self._told_uncovered: frozenset[str] = frozenset()

    def want_sweep(self) -> None:
        """Let the next round be a sweep."""
        self._next_sweep_at = None

    def forget_breakers(self) -> None:
        """Let rotations start again that failures had stopped: what they failed by may be another one now."""
        self.breakers.clear()
        for found in self.book.left(LeftReason.BREAKER_OPEN):
            self.book.put_off(found, self._clock.now())

    @property
    def next_at(self) -> datetime | None:
        """When there is something to do for the next round, as far as that is known; None: at once."""
        if self._silent_until is not None or self._next_sweep_at is None:
            return self._silent_until
        return min(self._next_sweep_at, self._wakes_at or self._next_sweep_at)

    async def round(self, link: Link) -> bool:
        """Do what there is to do now, as far as one portion goes; return whether Vault was asked for it, and answered.

        Raise what `Journal.control` and `Journal.names` raise, LostJournal and Rejected when the journal is not the one that
        it was; the next round comes a while later then, after a bug too.
        """
        now = self._clock.now()
        if self._silent_until is not None and self._silent_until - AGAIN_AFTER <= now < self._silent_until:
            return False
        sweeps = self._sweep_is_due(now, link)
        self.more = False
        if not sweeps and not self._any_awake(now):
            self._silent_until = None
            return False
        try:
            control = await (self._sweep(link) if sweeps else self._look_again(link))
            self.working = True
            worked = await self._work(link, control)
        except Exception:
            self._silent_until = self._clock.now() + AGAIN_AFTER
            raise
        finally:
            self.working = False
            self._sum_up()
        self._silent_until = None
        self.more = worked and self._any_awake(self._clock.now())
        self._all_seen = self._all_seen or not self.more
        return True

    def _any_awake(self, now: datetime) -> bool:
        return self._wakes_at is not None and self._wakes_at <= now

    def _sum_up(self) -> None:
        """Note what each tick asks for: to go through many thousands of lineages every time would take a share of a core.

        That will do until the next round, for only rounds change the book.
        """
        self._wakes_at = self.book.wakes_at
        self.phases = Counter(one.phase for one in self.book.standings)

    def _sweep_is_due(self, now: datetime, link: Link) -> bool:
        at = self._next_sweep_at
        # A clock that was set back must not put it off.
        return at is None or now >= at or at - now > max(link.file.runtime.sweep_every, AGAIN_AFTER)

    def _sweep_soon(self) -> None:
        """Let the next sweep come in a while: something could not be looked at."""
        if self._next_sweep_at is not None:
            self._next_sweep_at = min(self._next_sweep_at, self._clock.now() + AGAIN_AFTER)

    async def _sweep(self, link: Link) -> Control:
        """See the whole fleet: one list per project, the control record, the names of all records and those that changed."""
        began = self._clock.monotonic()
        result = "failed"
        try:
            control = await self._control(link)
            if control.at is not None:
                self.book.note_vault_clock(self.skews["vault"], self._clock.now())
            names = await link.journal.names()
            await self._list(link, link.providers)
            now = self._clock.now()
            wanted = self.book.to_read(names, control, now)
            self.book.note_records(await read_some(link.journal, wanted), now)
            if len(wanted) == len(names):
                self.book.note_all_read(control, now)
            await self._assemble(link, control)
            self.book.want_held()
            result = "whole" if self.book.whole else "partial"
        finally:
            self._meter.swept(timedelta(seconds=self._clock.monotonic() - began), result)
        self.looked_at = seen_at = self._clock.now()
        if result == "whole":
            self.swept_at = seen_at
            self._next_sweep_at = seen_at + link.file.runtime.sweep_every
        else:
            self._next_sweep_at = seen_at + AGAIN_AFTER
        self._look_back()
        return control

    async def _look_again(self, link: Link) -> Control:
        """See the projects of what is due, whose lists are too old to start a rotation by."""
        control = await self._control(link)
        now = self._clock.now()
        concerned = {found.provider for found in self.book.awake(now)}
        old = {
            name: one
            for name, one in link.providers.items()
            if name in concerned and not _recent(self.book.listings.get(name), now)
        }
        await self._list(link, old)
        await self._assemble(link, control)
        return control

    async def _list(self, link: Link, asked: Mapping[str, Provider]) -> None:
        """List some projects. Of one that gives no list nothing is done until a sweep gets one."""
        listings, unlisted = await list_all(asked)
        others = self.book.unlisted_of(link.providers.keys() - asked.keys())
        self.book.note_lists(listings, (*unlisted, *others))
        self.skews.update((name, one.at - one.seen_at) for name, one in listings.items())
        if unlisted:
            self._sweep_soon()

    async def _assemble(self, link: Link, control: Control) -> None:
        """Put the fleet together, and tell what of it could not be looked at."""
        fleet = await self.book.assemble(link, control, self._clock.now())
        self._sum_up()
        self._tell_troubles([f"{trouble.what}: {trouble.error}" for trouble in fleet.troubles])
        for gone in self.breakers.keys() - link.providers.keys():
            del self.breakers[gone]
        self.skews = {name: one for name, one in self.skews.items() if name in {"vault", *link.providers}}

    def _tell_troubles(self, said: Sequence[str]) -> None:
        before, now = set(self.troubles), set(said)
        begun, over = (
            [one for one in said if one not in before],
            [one for one in self.troubles if one not in now],
        )
        for event, some in (("trouble", begun), ("trouble_over", over)):
            _warn_of(event, [{"detail": one} for one in some])
        self.troubles = tuple(said)

    async def _control(self, link: Link) -> Control:
        """Return the control record. Raise LostJournal when it is gone, Rejected when it is another journal's."""
        control = await link.journal.control()
        if control is None:
            raise LostJournal("open journal", link.file.instance, "its control record is gone")
        if (control.journal_id, control.instance) != (link.journal_id, link.file.instance):
            what = "another one stands in its place; stop the service, and look with `rotator check`"
            raise Rejected("open journal", link.file.instance, what)
        if control.at is not None:
            self.skews["vault"] = control.at - self._clock.now()
        return control

    async def _work(self, link: Link, control: Control) -> bool:
        """Reconcile the most urgent of the lineages that need a look, and return whether that changed which do.

        Some of them: the others wait for the next round.
        """
        fleet = self.book.fleet
        awake = self.book.awake(self._clock.now())
        if fleet is None or self._stopping() or not awake:
            return False
        urgent = by_urgency(awake, link.holder, fleet)[:AT_A_TIME]
        answers = await read_some(link.journal, self._to_read(urgent))
        self.book.note_records(answers, self._clock.now())
        fleet = await self.book.assemble(link, control, self._clock.now())
        known = {
            found.assignment.lineage.lineage_id: replace(found, record=_fresh(answers, found))
            for found in map(self.book.found, (one.assignment.lineage.lineage_id for one in urgent))
            if found is not None
        }
        self._due_at = {found.assignment.lineage.name: self._due(found) for found in known.values()}
        now = self._clock.now()
        # Of lineages whose records were just read, those tell. Others may have been withdrawn: whoever fails again and again would use
        # up the hour. One of the future was noted by a clock that was set back since, and would count for as long as that was.
        read = {found.assignment.lineage.name for found in known.values() if found.record is not None}
        self._started = {
            rotation_id: start
            for rotation_id, start in self._started.items()
            if now - HOUR < start.at <= now and start.lineage not in read
        }
        ended = await sweep(
            replace(
                fleet,
                found=tuple(known.values()),
                listings=self.book.heard,
                records=self.book.records(),
            ),
            partial(link.ports, stopping=self._stopping, tell=self._told),
            concurrency=link.file.runtime.concurrency,
            starts_per_hour=link.file.limits.starts_per_hour,
            breakers=self.breakers,
            started=self._starts(),
        )
        for one in ended:
            try:
                self._ended(known[one.lineage_id], one)
            except Exception as bug:  # noqa: BLE001 (the others' looks are to be noted)
                log.get("rotator").error("bug", lineage=one.lineage, detail=str(violation_of(bug)))
                self.book.put_off(known[one.lineage_id], self._clock.now() + AGAIN_AFTER)
        self._put_off(link)
        return any(one.last is not None or one.error is not None for one in ended)

    def _starts(self) -> dict[str, datetime]:
        """Return when rotations were started that may stand in no record."""
        return {rotation_id: start.at for rotation_id, start in self._started.items()}

    def _due(self, found: Found) -> datetime | None:
        """Return when the key in use of a lineage is due, None when that is not known before a look."""
        standing = self.book.standing(found)
        return due_by_record(found) if standing is None else standing.due_at

    def _to_read(self, urgent: Sequence[Found]) -> list[str]:
        """Return the names of their records, and of others that name one of their keys: one that serves it keeps it alive."""
        names = dict.fromkeys(one.assignment.lineage.record_name for one in urgent)
        return list(names | dict.fromkeys(self.book.naming_keys_of(urgent)))

    def _ended(self, found: Found, ended: Reconciled) -> None:
        """Note how the work on one lineage ended."""
        now = self._clock.now()
        if ended.last is None and ended.error is None:
            return  # its turn did not come before the process was asked to stop
        course = self._courses.pop(ended.lineage, None)
        if course is not None:
            seconds = (course.ended or self._clock.monotonic()) - course.began
            outcome = _outcome(ended)
            self._meter.rotated(
                found.provider, course.reason, outcome, took=timedelta(seconds=seconds), late=course.late
            )
        for done in ended.done:
            if isinstance(done, Revoke):
                self._meter.revoked(found.provider, done.reason)
        before = self.book.standing(found)
        standing = standing_of(found, ended, now, before)
        self._tell_changed(before, standing)
        self.book.note_look(found, _read(ended), standing, wakes_at(found, ended, standing, now), now)

    def _put_off(self, link: Link) -> None:
        """Let those wake that were left for later when there may be a start for them.

        For a breaker that is when it lets something through again. Who waits for an hour with a start to spare gives way to
        those who are more urgent, and to those who have just started: so all of them take their turns anew.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        for found in self.book.left(LeftReason.BREAKER_OPEN):
            breaker = self.breakers.setdefault(found.provider, Breaker())
            self._wake(found, now + breaker.opens_in(monotonic))
        waiting = self.book.left(LeftReason.STARTS_PER_HOUR)
        if waiting and self.book.fleet is not None:
            begun = self._starts() | starts_begun(self.book.records(), self.book.listings, now)
            instants = next_starts(begun.values(), link.file.limits.starts_per_hour, now, len(waiting))
            for found, at in zip(by_urgency(waiting, link.holder, self.book.fleet), instants, strict=True):
                self._wake(found, at + ROUNDED)

    def _wake(self, found: Found, at: datetime) -> None:
        """Let a lineage wake at `at`, or as soon as it is late: then it waits neither for an hour nor for a breaker."""
        standing, listing = self.book.standing(found), self.book.listings.get(found.provider)
        if standing is not None and standing.safe_until is not None and listing is not None:
            at = min(at, standing.safe_until - listing.skew)
        self.book.put_off(found, max(at, self._clock.now() + ROUNDED))

    def _told(self, told: Told) -> None:
        """Pass on what happens to a lineage; a hold or a failure that stays the same once a day."""
        now = self._clock.now()
        if told.step is Step.INTENT:
            self._started[str(told.rotation_id)] = _Start(now, told.lineage)
            due_at = self._due_at.get(told.lineage) if told.reason in _BY_TIME else None
            late = None if due_at is None else max(timedelta(0), now - due_at)
            self._courses[told.lineage] = _Course(told.reason, self._clock.monotonic(), late)
        elif told.step in _ENDS and told.lineage in self._courses:
            self._courses[told.lineage].ended = self._clock.monotonic()
        if told.step in {Step.HELD, Step.FAILED}:
            same = f"{told.step} {told.reason} {told.detail}"
            before, told_at = self._said.get(told.lineage, ("", now))
            if same == before and timedelta(0) <= now - told_at < TOLD_AGAIN_AFTER:
                return
            self._said[told.lineage] = (same, now)
        self._tell(told)

    def _tell_changed(self, before: Standing | None, after: Standing) -> None:
        """Tell of a new key that is only watched, and of one that is due at another instant because its policy entry is another one."""
        if after.phase == Phase.WATCHED and before is None and self._all_seen:
            log.get("rotator").info(
                "watched", lineage=after.lineage, key_id=after.key_id, policy=after.policy
            )
        if not after.error and after.phase not in _TROUBLED:
            self._said.pop(after.lineage, None)
        if before is None or before.key_id != after.key_id or before.fingerprint == after.fingerprint:
            return
        if _same(before.due_at, after.due_at):
            return
        log.get("rotator").info(
            "next_run_changed",
            lineage=after.lineage,
            before=_to_the_second(before.due_at),
            after=_to_the_second(after.due_at),
            policy=after.policy,
        )

    def _look_back(self) -> None:
        """Tell, once a day, of each lineage that can't be rotated in time any more; and, once, of each stray, and of what no policy covers."""
        now = self._clock.now()
        late = {
            one.lineage: one
            for one in self.book.standings
            if one.safe_until is not None and one.safe_until <= now and not _left_alone(one)
        }
        names = {one.lineage for one in self.book.standings}
        self._said = {name: said for name, said in self._said.items() if name in names}
        self._told_late = {name: at for name, at in self._told_late.items() if name in late}
        for name, one in late.items():
            told_at = self._told_late.get(name)
            if told_at is None or not timedelta(0) <= now - told_at < TOLD_AGAIN_AFTER:
                self._told_late[name] = now
                log.get("rotator").warning(
                    "late",
                    lineage=name,
                    latest_safe_start=one.safe_until,
                    expires=one.expires_at,
                    reason=one.reason,
                )
        strays = frozenset(self.book.strays())
        new = sorted(strays - self._told_strays)
        _warn_of("stray_key", [{"provider": provider, "key_id": key_id} for provider, key_id in new])
        self._told_strays = strays
        uncovered = frozenset(self.book.uncovered())
        _warn_of("under_no_policy", [{"lineage": name} for name in sorted(uncovered - self._told_uncovered)])
        self._told_uncovered = uncovered


def _same(one: datetime | None, other: datetime | None) -> bool:
    """Return whether two looks gave the same instant: what a provider says of its clock is rounded."""
    return one == other if one is None or other is None else abs(one - other) < ROUNDED


def _warn_of(event: str, some: Sequence[Mapping[str, str]]) -> None:
    for one in some[:TROUBLES_TOLD]:
        log.get("rotator").warning(event, **one)
    if len(some) > TROUBLES_TOLD:
        log.get("rotator").warning(event, detail=f"and {len(some) - TROUBLES_TOLD} more")


def _left_alone(one: Standing) -> bool:
    """Return whether a person wants it so that its key is not replaced in time."""
    return one.phase == Phase.FORGOTTEN or (one.phase == Phase.WATCHED and one.policy != NO_POLICY)


def _to_the_second(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(microsecond=0)


def _recent(listing: Listing | None, now: datetime) -> bool:
    """Return whether a list is good enough to start a rotation by."""
    return listing is not None and timedelta(0) <= now - listing.seen_at <= RECENT


def _fresh(answers: Answers, found: Found) -> RecordRead | None:
    """Return the record of a lineage as it was just read, None where there is none or it is to be looked at once more."""
    read = answers.get(found.assignment.lineage.record_name)
    return read if isinstance(read, RecordRead) and read.record is not None else None


def _read(ended: Reconciled) -> RecordRead | None:
    """Return the record as the work on its lineage left it, None when that is not sure."""
    last = ended.last
    if last is None or ended.error is not None:
        return None
    if last.written is not None:
        return last.written
    seen = last.snapshot
    return RecordRead(seen.record, seen.record_version, seen.record_written_at, seen.seen_at)


def _outcome(ended: Reconciled) -> str:
    """Return how a rotation that was started ended: published, held or failed."""
    if any(isinstance(done, Rotate) for done in ended.done):
        return "published"
    held = ended.last is not None and isinstance(ended.last.stands, Hold)
    return "held" if held else "failed"
