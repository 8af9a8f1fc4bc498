"""What the service remembers between two looks, so that an idle fleet costs one list per project and no read per lineage.

Nothing here is needed to go on: a new process reads it all again. Nothing is done by it either: a lineage whose time has come
is read afresh before anything is decided about it. It only says which lineages need a look now:

- those that are new, or whose policy, pause or place is another one,
- those whose record another process wrote, a marked key of which came, or a key of whose record vanished; and those
  without a record whose key came or vanished,
- those whose own next instant has come, or was worked out before our clock was set.

Orders are written into records, which are not read while nothing is due. So whoever gives one writes the control record again
afterwards: at its next version all records are read once. They are besides once a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from rotator.daemon.link import Link
from rotator.errors import PortError, Rejected
from rotator.inventory.fleet import Fleet, Found, assembled
from rotator.inventory.records import Trouble, brief, lineage_id_of, sorted_out
from rotator.model.key import ListedKey, Listing
from rotator.model.order import Pause
from rotator.model.reason import HoldReason, LeftReason
from rotator.model.record import Record
from rotator.model.standing import Standing
from rotator.plan import facts
from rotator.plan.phase import Phase
from rotator.policy.policy import NO_POLICY
from rotator.policy.settings import PolicyFile
from rotator.ports import Control, RecordRead

READ_AGAIN_AFTER = timedelta(days=1)
"""All records are read once more after so long, whatever was seen."""

STARTS_KEPT = timedelta(days=1)
"""For so long it is kept when rotations were started: an hour counts, whatever clock it was told by."""

WOKEN_AGAIN_AFTER = timedelta(hours=1)
"""For so long a clock of Vault's that is another one wakes nobody again."""

_AT_ONCE = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Page:
    """One lineage. The record of `found` is brief.

    `version` is that of its record when it was looked at last, None before the first look; `wakes_at` None: never by itself.
    """

    found: Found
    version: int | None = None
    wakes_at: datetime | None = None
    standing: Standing | None = None

    @property
    def known(self) -> frozenset[str]:
        """The keys that its record named when it was read last."""
        record = self.found.known_record
        return record.known_key_ids() if record else frozenset()


@dataclass(slots=True)
class Book:
    """What was seen last of one journal and the projects that go with it."""

    fleet: Fleet | None = None
    """As it was put together last, None before that. Its `found` and `records` are left out: they are kept here, as they were read last."""
    _pauses: tuple[Pause, ...] | None = None
    _file: PolicyFile | None = None
    _listings: dict[str, Listing] = field(default_factory=dict)
    _skews: dict[str | None, timedelta] = field(default_factory=dict)
    """What each clock was ahead of ours when it was compared last: of providers, and of Vault (None)."""
    _woken_at: datetime | None = None
    """When all lineages were woken last because of Vault's clock."""
    _unlisted: tuple[Trouble, ...] = ()
    _read: dict[str, RecordRead | PortError] = field(default_factory=dict)
    _all_read_at: datetime | None = None
    _read_under: int | None = None
    """The version of the control record under which all records were read: each order makes a new one."""
    _changes_at: datetime | None = None
    _changed: bool = True
    _pages: dict[str, _Page] = field(default_factory=dict)
    _wanted: set[str] = field(default_factory=set)
    """The ids of lineages that need a look because something changed."""
    _stale: set[str] = field(default_factory=set)
    """The ids of those whose records were written by somebody else since they were read, by what lists show."""

    @property
    def lineages(self) -> int:
        """How many lineages there are."""
        return len(self._pages)

    @property
    def standings(self) -> Collection[Standing]:
        """Where each lineage stood that was looked at."""
        return [page.standing for page in self._pages.values() if page.standing is not None]

    @property
    def listings(self) -> Mapping[str, Listing]:
        """The last list of each provider."""
        return self._listings

    def unlisted_of(self, some: Collection[str]) -> tuple[Trouble, ...]:
        """Return the troubles of those of some providers that gave no list."""
        return tuple(one for one in self._unlisted if one.what.removeprefix("provider ") in some)

    def standing(self, found: Found) -> Standing | None:
        """Return where a lineage stood when it was looked at last."""
        page = self._pages.get(found.assignment.lineage.lineage_id)
        return page.standing if page else None

    def records(self) -> tuple[Record, ...]:
        """Return all records that could be read, briefly."""
        read = (one.record for one in self._read.values() if isinstance(one, RecordRead))
        return tuple(record for record in read if record is not None)

    def note_lists(self, listings: Mapping[str, Listing], unlisted: tuple[Trouble, ...]) -> None:
        """Note what asking some providers gave, and which lineages need a look because of it."""
        for provider, after in listings.items():
            before = self._listings.get(provider)
            if before is None:
                self._changed = True
            elif before.listed != after.listed:
                came, gone = _besides(after, before), _besides(before, after)
                stayed = [key for key in before.listed if after.shows(key.key_id)]
                same = stayed == [key for key in after.listed if before.shows(key.key_id)]
                self._changed |= not (same and self._as_recorded(came, gone)) or self._many_absent(provider)
                moved = self._moved(came, {key.key_id for key in gone})
                self._wanted |= moved
                self._stale |= moved
            self._listings[provider] = after
            self._compare_clocks(provider, after.skew, {provider})
        said = {trouble.what: str(trouble.error) for trouble in self._unlisted}
        self._changed |= said != {trouble.what: str(trouble.error) for trouble in unlisted}
        self._unlisted = unlisted

    def note_vault_clock(self, skew: timedelta, now: datetime) -> None:
        """Note what Vault's clock is ahead of ours, by which overlaps end. Two nodes of it may differ: all wake at most once an hour."""
        since = self._woken_at
        recently = since is not None and timedelta(0) <= now - since < WOKEN_AGAIN_AFTER
        if not recently and self._compare_clocks(None, skew, self._listings):
            self._woken_at = now

    def to_read(self, names: tuple[str, ...], control: Control, now: datetime) -> list[str]:
        """Return which of all records have to be read before anything can be said of the fleet."""
        for gone in self._read.keys() - set(names):
            del self._read[gone]
            self._changed = True
        since = self._all_read_at
        old = since is None or not timedelta(0) <= now - since < READ_AGAIN_AFTER
        if old or self._read_under != control.version:
            return list(names)
        of_no_policy = {
            page.found.assignment.lineage.record_name
            for page in self._pages.values()
            if page.found.assignment.policy.name == NO_POLICY
        }
        return [
            name
            for name in names
            if not isinstance(self._read.get(name), RecordRead)
            or lineage_id_of(name) in self._stale
            or name in of_no_policy
        ]

    def note_all_read(self, control: Control, now: datetime) -> None:
        """Note that all records were read."""
        self._all_read_at, self._read_under = now, control.version

    def note_records(self, answers: Mapping[str, RecordRead | PortError], now: datetime) -> None:
        """Note what reading some records gave."""
        for name, answer in answers.items():
            before = self._read.get(name)
            if isinstance(answer, PortError) or _version(before) != answer.version:
                self._changed = True
                self._read[name] = (
                    brief(answer, self._kept_since(now)) if isinstance(answer, RecordRead) else answer
                )
            if isinstance(answer, RecordRead):
                self._stale.discard(lineage_id_of(name))

    async def assemble(self, link: Link, control: Control, now: datetime) -> Fleet:
        """Put the fleet together, unless nothing can have made it another one, and return it as `fleet` is.

        Of a provider that gives no list now, its last one counts: what it showed is still there, as far as anybody knows, and
        so are the holds that follow from it.
        """
        same = (
            self.fleet is not None
            and not self._changed
            and self._file is link.file
            and self._pauses == control.pauses
            and (self._changes_at is None or now < self._changes_at)
        )
        self._pauses = control.pauses
        if same and self.fleet is not None:
            return self.fleet
        self._listings = {name: one for name, one in self._listings.items() if name in link.providers}
        records = sorted_out(self._read)
        # It takes seconds for many thousands of lineages, and nothing else changes the book meanwhile.
        fleet = await asyncio.to_thread(
            assembled,
            link.file,
            self._listings,
            self._unlisted,
            records,
            journal_id=link.journal_id,
            namespace=link.namespace,
            pauses=control.pauses,
        )
        pages = {one.assignment.lineage.lineage_id: self._page(one) for one in fleet.found}
        if records.waiting:
            # A record that can't be read just now may name any key that is new: what was seen before is not gone.
            seen = {name: one for name, one in self._pages.items() if one.found.provider in link.providers}
            pages = seen | pages
        self._pages, self._wanted = pages, self._wanted & pages.keys()
        self.fleet = replace(fleet, found=(), records=())
        self._file, self._changed = link.file, False
        self._changes_at = min(_ends(self._listings.values()), default=None)
        return self.fleet

    @property
    def whole(self) -> bool:
        """Whether every provider gave a list and every record could be asked for, when they were asked last."""
        waiting = any(
            isinstance(one, PortError) and not isinstance(one, Rejected) for one in self._read.values()
        )
        return not self._unlisted and not waiting

    @property
    def heard(self) -> Mapping[str, Listing]:
        """The last list of each provider that gave one when it was asked last."""
        silent = self.silent
        return {name: one for name, one in self._listings.items() if name not in silent}

    def found(self, lineage_id: str) -> Found | None:
        """Return a lineage as it is known now, None when it is gone."""
        page = self._pages.get(lineage_id)
        return page.found if page else None

    def naming_keys_of(self, chosen: Iterable[Found]) -> list[str]:
        """Return the names of further records that name a key which one of these lineages does: none, as a rule.

        Where there are any, the fleet is to be put together anew: one that serves such a key keeps it alive.
        """
        ids = {one.assignment.lineage.lineage_id for one in chosen}
        each = [key_id for lineage_id in ids for key_id in self._known(lineage_id)]
        named = frozenset(each)
        names = [
            page.found.assignment.lineage.record_name
            for lineage_id, page in self._pages.items()
            if lineage_id not in ids and not named.isdisjoint(page.known)
        ]
        self._changed |= bool(names) or len(named) < len(each)
        return names

    def want_held(self) -> None:
        """Let what is held be looked at: a person may have mended it."""
        self._wanted |= {
            lineage_id
            for lineage_id, page in self._pages.items()
            if page.standing is not None and page.standing.phase == Phase.HELD
        }

    @property
    def silent(self) -> frozenset[str]:
        """The providers that gave no list when they were asked last."""
        return frozenset(trouble.what.removeprefix("provider ") for trouble in self._unlisted)

    def awake(self, now: datetime) -> list[Found]:
        """Return the lineages that need a look now, of providers that gave a list."""
        return [page.found for page, at in self._waking() if at <= now]

    @property
    def wakes_at(self) -> datetime | None:
        """When the next lineage needs a look, as far as that is known; None: none does before the next sweep."""
        return min((at for _, at in self._waking()), default=None)

    def note_look(
        self,
        found: Found,
        read: RecordRead | None,
        standing: Standing,
        wakes_at: datetime | None,
        now: datetime,
    ) -> None:
        """Note how a look at a lineage ended. `read` is its record as it was left, None when that is not sure."""
        lineage = found.assignment.lineage
        page = self._pages.get(lineage.lineage_id)
        if page is None:
            return
        if read is None:
            self._stale.add(lineage.lineage_id)
            page.version = page.version or 0
        else:
            kept = brief(read, self._kept_since(now), lineage)
            before = page.found.record
            if before is not None and _where(before.record) != _where(kept.record):
                self._changed = True  # a command wrote that, since the fleet was put together
            known = self._read.get(lineage.record_name)
            if isinstance(known, PortError):
                self._changed = True  # the fleet was put together without it, which holds up all others
            elif known is not None and (known.version, known.record) == (kept.version, kept.record):
                kept = known  # one copy is enough
            page.version = read.version
            if kept is not before:
                page.found = replace(page.found, record=kept if kept.record is not None else None)
            if kept.record is not None:
                self._read[lineage.record_name] = kept
        page.standing, page.wakes_at = standing, wakes_at
        self._wanted.discard(lineage.lineage_id)

    def left(self, reason: LeftReason) -> list[Found]:
        """Return the lineages that were left for that reason when they were looked at last, but for those that need a look now."""
        return [
            page.found
            for lineage_id, page in self._pages.items()
            if page.standing is not None and page.standing.reason == reason and lineage_id not in self._wanted
        ]

    def uncovered(self) -> Iterator[str]:
        """Yield the lineages that no policy covers any more, but for those that a person told us to leave alone."""
        for page in self._pages.values():
            assignment = page.found.assignment
            if facts.uncovered(assignment.policy, page.found.known_record):
                yield assignment.lineage.name

    def strays(self) -> Iterator[tuple[str, str]]:
        """Yield provider and id of each key with a mark of this journal that is not proven to be ours."""
        for stray in self.fleet.strays if self.fleet else ():
            yield stray.provider, stray.key.key_id
        for one in self.standings:
            listing = self._listings.get(one.provider)
            for key_id in one.strays:
                if listing is None or listing.shows(key_id):
                    yield one.provider, key_id

    def put_off(self, found: Found, wakes_at: datetime) -> None:
        """Look at a lineage again at another instant than was noted."""
        page = self._pages.get(found.assignment.lineage.lineage_id)
        if page is not None:
            page.version, page.wakes_at = page.version or 0, wakes_at
            self._wanted.discard(found.assignment.lineage.lineage_id)

    def _waking(self) -> Iterator[tuple[_Page, datetime]]:
        """Yield the lineages that will need a look, of providers that gave a list, and when."""
        silent = self.silent
        for lineage_id, page in self._pages.items():
            if page.found.provider in silent:
                continue
            at = _AT_ONCE if page.version is None or lineage_id in self._wanted else page.wakes_at
            if at is not None:
                yield page, at

    def _page(self, found: Found) -> _Page:
        """Return the page of a lineage, and note that it needs a look if it is not what it was."""
        lineage_id = found.assignment.lineage.lineage_id
        page = self._pages.get(lineage_id)
        if page is None:
            return _Page(found)
        version = found.record.version if found.record else 0
        # Which keys others serve matters for deleting one, and whoever waits for that looks again by itself.
        before = replace(page.found.assignment, currents_elsewhere=found.assignment.currents_elsewhere)
        if found.record is not None:  # it was taken in, and has no use for the key that its policy gave it
            before = replace(before, matched_key_id=None)
        if found.assignment != before or page.version not in (None, version):
            self._wanted.add(lineage_id)
        page.found = found
        return page

    def _kept_since(self, now: datetime) -> datetime:
        """Return since when starts of rotations are kept, on the clock of the provider that is most behind ours."""
        behind = min((one.skew for one in self._listings.values()), default=timedelta(0))
        return now + min(behind, timedelta(0)) - STARTS_KEPT

    def _compare_clocks(self, of: str | None, skew: timedelta, concerned: Collection[str]) -> bool:
        """Let lineages of some providers wake at once when a clock was set since their instants were worked out: ours, or that one.

        They are instants of a provider (`of` names it) or of Vault (None), told by our clock as it was; and so is which keys have expired.
        Return whether one was.
        """
        if abs(skew - self._skews.setdefault(of, skew)) <= facts.SKEW_ALLOWED:
            return False
        self._skews[of] = skew
        self._changed = True
        for page in self._pages.values():
            if page.found.provider in concerned and page.wakes_at is not None:
                page.wakes_at = _AT_ONCE
        return True

    def _as_recorded(self, came: Iterable[ListedKey], gone: Iterable[ListedKey]) -> bool:
        """Return whether records account for all keys that came and went: this process made or deleted them itself.

        The fleet is put together no otherwise for it.
        """
        named = all(key.mark is not None and key.key_id in self._known(key.mark.lineage_id) for key in came)
        retired = {one.key_id for record in self.records() for one in record.retired}
        return named and all(key.key_id in retired for key in gone)

    def _many_absent(self, provider: str) -> bool:
        """Return whether lineages are held because a list of this provider lacked most of their keys: the next may show them."""
        return any(
            page.found.provider == provider and page.found.assignment.fleet_hold is HoldReason.MANY_ABSENT
            for page in self._pages.values()
        )

    def _moved(self, came: Collection[ListedKey], gone: Collection[str]) -> set[str]:
        """Return the lineages with keys that came or went otherwise than their records say, or than their policy has it."""
        moved = {
            mark.lineage_id
            for key in came
            if (mark := key.mark) is not None and key.key_id not in self._known(mark.lineage_id)
        }
        changed = {*gone, *(key.key_id for key in came)}
        for lineage_id, page in self._pages.items() if changed else ():
            if not page.known.isdisjoint(gone) or page.found.assignment.matched_key_id in changed:
                moved.add(lineage_id)
        return moved

    def _known(self, lineage_id: str) -> frozenset[str]:
        """Return the keys that the record of a lineage named when it was read last."""
        page = self._pages.get(lineage_id)
        return page.known if page else frozenset()


def _besides(one: Listing, other: Listing) -> list[ListedKey]:
    """Return the keys of one list that the other does not show."""
    return [key for key in one.listed if not other.shows(key.key_id)]


def _where(record: Record | None) -> tuple[object, ...] | None:
    """Return what of a record only commands change, and the fleet is put together by; None without one."""
    return None if record is None else (record.place, record.places, record.forgotten)


def _version(read: RecordRead | PortError | None) -> int | None:
    """Return at which version a record is, as far as it was read: 0 where nobody knows of any, None where that is not sure."""
    if read is None:
        return 0
    return read.version if isinstance(read, RecordRead) else None


def _ends(listings: Iterable[Listing]) -> Iterable[datetime]:
    """Yield when keys expire, on our clock: a key that has expired is taken in by no policy."""
    for listing in listings:
        for key in listing.keys:
            if key.expires_at is not None and key.expires_at > listing.at:
                yield key.expires_at - listing.skew
