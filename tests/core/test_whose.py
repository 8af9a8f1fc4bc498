"""Whose a key is: management key, current, previous, original, orphan, stray, another installation's, or nobody's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.model.key import Key, Listing, Mark
from rotator.model.record import Record
from rotator.plan.whose import Role, Whose, whose
from tests.support.builders import (
    CURRENT,
    DAY,
    HOUR,
    JOURNAL,
    LATER,
    LINEAGE,
    MANAGEMENT,
    MEMBER,
    NOW,
    attempt,
    current,
    key,
    made,
    original,
    previous,
    record,
)

NAME = LINEAGE.name
MANAGING = key(MANAGEMENT, comment="rotator itself")
LATE = attempt(LATER, base=3, age=HOUR)
ORPHAN = made(LATE, "key-orphan")
FULL = record(previous=[previous()], originals=[original()], attempts=[LATE])
ELSEWHERE = replace(key("key-elsewhere"), comment=Mark("f" * 12, LINEAGE.lineage_id, LATER).put_on("voice"))
UNISSUED = replace(key("key-stray"), comment=Mark(JOURNAL, LINEAGE.lineage_id, "9" * 16).put_on("voice"))
NOWHERE = replace(ORPHAN, key_id="key-nowhere", comment=Mark(JOURNAL, "0" * 12, LATER).put_on("voice"))
PLAIN = key("key-plain")
COPIED = replace(ORPHAN, key_id="key-copied", member_id="somebody")


def listing(*keys: Key) -> Listing:
    return Listing(
        keys=(MANAGING, *keys),
        at=NOW,
        seen_at=NOW,
        management_key_id=MANAGEMENT,
        management_member_id=MEMBER,
    )


ALL = listing(
    CURRENT, key("key-old"), key("key-original"), ORPHAN, ELSEWHERE, UNISSUED, NOWHERE, PLAIN, COPIED
)


@pytest.mark.parametrize(
    ("key_id", "expected"),
    [
        (MANAGEMENT, Whose(Role.MANAGEMENT, None, MANAGING.created_at)),
        (CURRENT.key_id, Whose(Role.CURRENT, NAME, current().published_at)),
        ("key-old", Whose(Role.PREVIOUS, NAME, NOW - 10 * DAY)),
        ("key-original", Whose(Role.ORIGINAL, NAME, NOW - 100 * DAY)),
        (ORPHAN.key_id, Whose(Role.ORPHAN, NAME, ORPHAN.created_at)),
        (COPIED.key_id, Whose(Role.STRAY, None, COPIED.created_at)),
        (UNISSUED.key_id, Whose(Role.STRAY, None, UNISSUED.created_at)),
        (NOWHERE.key_id, Whose(Role.STRAY, None, NOWHERE.created_at)),
        (ELSEWHERE.key_id, Whose(Role.CLAIMED_ELSEWHERE, None, ELSEWHERE.created_at)),
        (PLAIN.key_id, Whose(Role.FOREIGN, None, PLAIN.created_at)),
        ("key-unlisted", Whose(Role.FOREIGN, None, None)),
    ],
)
def test_whose_a_key_is(key_id: str, expected: Whose) -> None:
    assert whose(key_id, ALL, [FULL], JOURNAL) == expected


def test_records_say_it_where_the_provider_could_not_be_listed() -> None:
    assert whose(CURRENT.key_id, None, [FULL], JOURNAL).role is Role.CURRENT
    assert whose(MANAGEMENT, None, [FULL], JOURNAL) == Whose(Role.FOREIGN, None, None)


def test_of_two_records_the_one_that_serves_the_key_counts() -> None:
    other = replace(record(previous=[previous(CURRENT.key_id)]), lineage=replace(LINEAGE, path="other"))
    other = replace(other, current=replace(current(), key=replace(current().key, key_id="key-9")))

    for order in ([FULL, other], [other, FULL]):
        assert whose(CURRENT.key_id, ALL, order, JOURNAL) == Whose(Role.CURRENT, NAME, current().published_at)


def test_a_management_key_that_is_a_lineage_too_is_told_with_it() -> None:
    served: Record = record(serves=current(MANAGING))

    assert whose(MANAGEMENT, ALL, [served], JOURNAL) == Whose(Role.MANAGEMENT, NAME, MANAGING.created_at)
