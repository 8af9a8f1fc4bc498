"""Whether there was a journal where none is: what can't be asked must not hide it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from rotator.errors import Denied, NotFound, PortError, Rejected, Throttled, Unavailable
from rotator.inventory.lost import served_without_journal
from rotator.model.entry import FieldNames, Publication
from rotator.model.lineage import Lineage
from rotator.ports import EntryRead, Published
from tests.core.test_fleet import FakeProvider, file, mark_on, policy
from tests.support.builders import NOW, entry, key

MARKED = key("key-1", comment=mark_on("voice", "voice"))


@dataclass
class FakeDestinations:
    """One entry, that of the marked key, or what reading it raises."""

    answer: EntryRead | PortError

    async def read(self, lineage: Lineage, fields: FieldNames, *, at_least: int = 0) -> EntryRead:
        del lineage, fields, at_least
        if isinstance(self.answer, PortError):
            raise self.answer
        return self.answer

    async def check_writable(self, lineage: Lineage, fields: FieldNames) -> None:
        raise NotImplementedError

    async def publish(
        self, lineage: Lineage, fields: FieldNames, publication: Publication, *, base: int
    ) -> Published:
        raise NotImplementedError


async def served(answer: EntryRead | PortError, *, lists: PortError | None = None) -> str | None:
    """Return which lineage was lost, where a second provider answers a list with an error."""
    providers = {"asr": FakeProvider((MARKED,)), "tts": FakeProvider(fails=lists)}
    asked = file((policy(),), *providers)
    return await served_without_journal(asked, providers, FakeDestinations(answer), "")


OURS = EntryRead(entry("1" * 16, age=timedelta(0)), None, NOW)
OTHERS = EntryRead(entry("2" * 16, age=timedelta(0)), None, NOW)


@pytest.mark.promise("P2")
@pytest.mark.parametrize("kind", [Unavailable, Throttled, Denied, NotFound])
async def test_what_may_be_asked_once_something_is_mended_hides_no_lost_journal(
    kind: type[PortError],
) -> None:
    error = kind("read", "x", "no")

    with pytest.raises(kind):
        await served(error)
    with pytest.raises(kind):
        await served(OTHERS, lists=error)
    assert await served(OURS, lists=error) == "secret/voice"


async def test_what_is_refused_for_good_counts_as_nothing() -> None:
    error = Rejected("read", "x", "no")

    assert await served(error) is None
    assert await served(OTHERS, lists=error) is None
