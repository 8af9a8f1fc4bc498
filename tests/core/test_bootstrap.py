"""Which journal a process works on: the one that is there, or one that it begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from rotator.bootstrap import _found, _journal_id, _of
from rotator.errors import Conflict, LostJournal, Rejected, Unavailable
from rotator.model.record import Record
from rotator.ports import Control, RecordRead
from tests.support.virtual_clock import START, VirtualClock

THEIRS = Control(journal_id="b" * 12, instance="here")


@dataclass
class FakeJournal:
    """A journal whose control record shows only after so many reads, as a lagging standby has it."""

    control_record: Control | None = None
    lags: int = 0
    records: tuple[str, ...] = ()
    founded: list[Control] = field(default_factory=list)

    async def control(self) -> Control | None:
        if self.lags:
            self.lags -= 1
            return None
        return self.control_record

    async def write_control(self, control: Control) -> None:
        if self.control_record is not None:
            raise Conflict("write control record", control.instance)
        self.founded.append(control)

    async def names(self) -> tuple[str, ...]:
        return self.records

    async def read(self, name: str) -> RecordRead:
        raise NotImplementedError

    async def write(self, record: Record, *, base: int) -> int:
        raise NotImplementedError


async def opened(journal: FakeJournal, clock: VirtualClock | None = None, *, found: bool = True) -> str:
    clock = clock or VirtualClock()
    there = await _journal_id(journal, "here", clock)
    return there if there or not found else _of(await _found(journal, "here", clock), "here")


async def test_a_journal_is_begun_where_there_is_nothing() -> None:
    journal = FakeJournal()

    assert await opened(journal) == journal.founded[0].journal_id
    assert journal.founded[0].instance == "here"


async def test_without_a_journal_one_who_touches_nothing_has_no_id() -> None:
    journal = FakeJournal()

    assert await opened(journal, found=False) == ""
    assert journal.founded == []


async def test_the_journal_of_another_instance_is_refused() -> None:
    with pytest.raises(Rejected, match="it belongs to instance there"):
        await opened(FakeJournal(Control(journal_id="b" * 12, instance="there")))


@pytest.mark.promise("P2")
@pytest.mark.parametrize("lags", [1, 2, 20])
async def test_of_two_who_begin_a_journal_the_second_waits_to_see_it(lags: int) -> None:
    """Without its id, the second would make keys that nobody recognises."""
    journal = FakeJournal(THEIRS, lags=lags)

    assert await opened(journal) == THEIRS.journal_id
    assert journal.founded == []


@pytest.mark.promise("P2")
async def test_a_journal_that_was_begun_and_never_shows_is_no_journal_to_work_with() -> None:
    clock = VirtualClock()
    with pytest.raises(Unavailable, match="another process began it"):
        await opened(FakeJournal(THEIRS, lags=10_000), clock)

    assert timedelta(seconds=2) < clock.now() - START < timedelta(seconds=10)


@pytest.mark.promise("P2")
@pytest.mark.parametrize("found", [True, False])
async def test_a_lost_control_record_is_not_replaced(*, found: bool) -> None:
    """Under a new id, all keys that carry the old one would be somebody else's."""
    journal = FakeJournal(records=("voice-0123456789ab",))
    with pytest.raises(LostJournal, match="no control record"):
        await opened(journal, found=found)

    assert journal.founded == []


async def test_records_beside_a_control_record_that_shows_late_are_fine() -> None:
    journal = FakeJournal(THEIRS, lags=2, records=("voice-0123456789ab",))

    assert await opened(journal) == THEIRS.journal_id
