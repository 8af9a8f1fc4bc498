"""What the service remembers of lineages that depend on one another: what others serve, share, or lack."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from types import FunctionType, ModuleType
from typing import Any

import pytest

from rotator.daemon.rounds import AT_A_TIME
from rotator.errors import Unavailable
from rotator.inventory.assignment import Assignment
from rotator.inventory.fleet import Found
from rotator.model.lineage import Lineage
from rotator.model.reason import HoldReason
from rotator.model.record import Attempt, Copied, Current, KnownKey, Original, Record
from rotator.model.told import Step
from tests.support import builders as a
from tests.support.builders import DAY, HOUR, MINUTE
from tests.support.estate import Estate
from tests.support.estate_ports import ALL, policy_text
from tests.support.replica import Replica
from tests.support.virtual_loop import virtually

ONCE_SERVED = "secret/asr/before"
SERVES_NOW = "secret/asr/after"


def reachable(root: object, *besides: object) -> Iterator[object]:
    """Yield all data that an object leads to, each once, but for what functions hold, and what is known only to `besides`."""
    seen, further = {id(root), *map(id, besides)}, [root]
    while further:
        one = further.pop()
        yield one
        keys = one if isinstance(one, dict) else ()  # the garbage collector leaves texts among them out
        for next_one in (*gc.get_referents(one), *keys):
            if id(next_one) not in seen and not isinstance(next_one, type | ModuleType | FunctionType | Enum):
                seen.add(id(next_one))
                further.append(next_one)


def two_that_name_one_key(estate: Estate) -> str:
    """Let a lineage name an original that is to be revoked in three hours, and another lineage begin with it. Return its id."""
    shared = estate.add_key("after", age=5 * DAY)
    mine = estate.add_key("before", age=5 * DAY)
    known = {key_id: KnownKey.seen(estate.made[key_id].key) for key_id in (shared, mine)}
    began_at = estate.now() - DAY
    estate.write_entry(
        ONCE_SERVED,
        {
            "api_key": estate.made[mine].secret.reveal(),
            "api_key_id": mine,
            "rotation_id": a.ISSUED,
        },
    )
    taken_over = Record(
        lineage=estate.begun[ONCE_SERVED].lineage,
        first_key_id=shared,
        adopted_at=began_at,
        fields=a.PLACE.fields,
        current=Current(key=known[mine], rotation_id=a.ISSUED, version=1, published_at=began_at),
        originals=(
            Original(key=known[shared], superseded_at=began_at, overlap=HOUR, release_after=DAY + 3 * HOUR),
        ),
    )
    begun = Record(
        lineage=estate.begun[SERVES_NOW].lineage,
        first_key_id=shared,
        adopted_at=began_at,
        fields=a.PLACE.fields,
        current=None,
        originals=(Original(key=known[shared]),),
    )
    for record in (taken_over, begun):
        estate.write_record(record, base=0)
    return shared


@pytest.mark.promise("P1")
@virtually
async def test_a_key_is_not_deleted_that_another_lineage_serves_since_another_process_wrote_it() -> None:
    estate = Estate()
    shared = two_that_name_one_key(estate)
    replica = Replica(estate, policy_text(estate))
    await replica.leap(30 * MINUTE)
    name = estate.begun[SERVES_NOW].lineage.record_name
    there = estate.records[name]
    secret = estate.made[shared].secret.reveal()
    version = estate.write_entry(SERVES_NOW, {"api_key": secret, "api_key_id": shared})
    serves = Current(
        key=KnownKey.seen(estate.made[shared].key),
        rotation_id=None,
        version=version,
        published_at=estate.now(),
    )
    estate.write_record(replace(there.record(), current=serves, originals=()), base=there.version)
    await replica.leap(DAY)

    assert estate.works(shared)
    assert estate.served(SERVES_NOW) == shared


@pytest.mark.promise("P1")
@virtually
async def test_a_key_is_not_deleted_that_another_lineage_serves_since_this_process_saw_it() -> None:
    estate = Estate()
    shared = two_that_name_one_key(estate)
    text = policy_text(estate)
    replica = Replica(estate, text)
    await replica.leap(30 * MINUTE)
    estate.write_entry(SERVES_NOW, {"api_key": estate.made[shared].secret.reveal(), "api_key_id": shared})
    # Another policy file makes it look at all lineages.
    replica.take(text.replace("when_due", "when_due, overlap: 2h"))
    await replica.leap(MINUTE)
    record = estate.records[estate.begun[SERVES_NOW].lineage.record_name].record()
    assert record.current is not None
    assert record.current.key.key_id == shared
    await replica.leap(DAY)

    assert estate.works(shared)


@virtually
async def test_lineages_of_one_destination_are_held_while_one_of_their_projects_gives_no_list() -> None:
    estate = Estate("asr", "tts")
    for provider in estate.projects:
        estate.add_key("gateway", provider=provider, due_in=HOUR)
    replica = Replica(estate, policy_text(estate).replace("{provider}/", ""))
    await replica.leap(11 * MINUTE)
    estate.down.add("tts")
    await replica.leap(2 * HOUR)

    assert replica.times(Step.INTENT) == []
    assert {one.reason for one in replica.rounds.book.standings} == {HoldReason.DESTINATION_CLASH}


@virtually
async def test_nothing_is_begun_by_a_list_between_two_sweeps_that_lacks_most_keys_in_use() -> None:
    estate = Estate()
    for number in range(9):
        estate.add_key(f"voice-{number}", served=True)
    estate.add_key("due", due_in=62 * MINUTE, served=True)
    replica = Replica(estate, policy_text(estate, runtime="sweep_every: 1h"))
    await replica.leap(61 * MINUTE)
    swept_at = replica.rounds.swept_at
    served = [estate.served(name) for name in estate.begun if name != "secret/asr/due"]
    estate.hide(*map(str, served))
    await replica.leap(5 * MINUTE)

    assert replica.rounds.swept_at == swept_at
    assert replica.standing("secret/asr/due").reason == HoldReason.MANY_ABSENT
    assert replica.times(Step.INTENT) == []


@pytest.mark.parametrize("what", [{"forgotten": True}, {"also_at": (Copied(place=a.THERE),)}], ids=list)
@virtually
async def test_what_a_command_wrote_while_a_lineage_was_worked_on_counts_for_the_whole_fleet(
    what: dict[str, Any],
) -> None:
    estate = Estate()
    two_that_name_one_key(estate)
    strange = estate.made[estate.add_key("strange")].secret
    estate.write_entry(ONCE_SERVED, {"api_key": strange.reveal()})
    replica = Replica(estate, policy_text(estate))
    await replica.leap(30 * MINUTE)
    name = estate.begun[ONCE_SERVED].lineage.record_name

    book = replica.rounds.book
    before: list[object] = []

    def command_writes() -> None:
        before.append(book.fleet)
        there = estate.records[name]
        estate.write_record(replace(there.record(), **what), base=there.version)

    assert replica.standing(ONCE_SERVED).phase == "held"
    # What is held is looked at in each sweep, and read once more.
    estate.before("read entry", command_writes)
    await replica.leap(10 * MINUTE)

    assert before != []
    assert book.fleet is not before[0]
    there = estate.records[name].record()
    found = book.found(there.lineage.lineage_id)
    assert found is not None
    assert set(found.places) == {there.place, *({a.THERE} if "also_at" in what else ())}
    (known,) = (one for one in book.records() if one.lineage.record_name == name)
    assert (known.places, known.forgotten) == (there.places, "forgotten" in what)


@virtually
async def test_the_fleet_is_not_put_together_anew_for_what_this_process_made_and_deleted() -> None:
    estate = Estate()
    estate.add_key("gateway", due_in=HOUR)
    estate.add_key("voice", due_in=80 * DAY)
    replica = Replica(estate, policy_text(estate, f"- {ALL.replace('adopt', 'original: 2d, adopt')}"))
    await replica.leap(11 * MINUTE)
    before = replica.rounds.book.fleet
    await replica.leap(3 * DAY)
    assert len(replica.times(Step.REVOKED)) == 1
    assert replica.rounds.book.fleet is before

    estate.person_deletes(str(estate.served("secret/asr/gateway")))
    await replica.leap(11 * MINUTE)
    assert replica.rounds.book.fleet is not before


@virtually
async def test_of_a_record_that_stays_the_same_one_copy_is_kept() -> None:
    estate = Estate()
    estate.add_key("gateway")
    for replica in (Replica(estate, policy_text(estate)), Replica(estate, policy_text(estate))):
        await replica.run(HOUR)
    book = replica.rounds.book
    (record,) = book.records()
    looked_at = book.found(record.lineage.lineage_id)

    assert looked_at is not None
    assert looked_at.known_record is record


@virtually
async def test_of_lineages_that_were_rotated_nothing_is_kept_twice() -> None:
    estate = Estate()
    originals = {estate.add_key(name, due_in=HOUR) for name in ("gateway", "voice")}
    for replica in (Replica(estate, policy_text(estate)), Replica(estate, policy_text(estate))):
        await replica.run(3 * HOUR)
        assert not originals & {estate.served(f"secret/asr/{name}") for name in ("gateway", "voice")}
        kept = list(reachable(replica.rounds.book))

        for kind in (Found, Record, Attempt, Lineage):
            assert len([one for one in kept if isinstance(one, kind)]) == 2, kind
        held = [one.currents_elsewhere for one in kept if isinstance(one, Assignment)]
        sets = [one for one in reachable((replica.rounds.book.records(), held)) if isinstance(one, frozenset)]
        assert len(sets) == len(set(sets))


@virtually
async def test_what_is_kept_does_not_grow_with_time() -> None:
    estate = Estate()
    for number in range(5):
        estate.add_key(f"voice-{number}", due_in=number * DAY, lifetime=10 * DAY)
    replica = Replica(estate, policy_text(estate, runtime="sweep_every: 1h"))

    async def month() -> int:
        """Let a month pass in which keys are rotated and calls fail, and return how many bytes are kept after it."""
        for _ in range(3):
            estate.fails("create key", *[Unavailable("create key", "asr", "503")] * 7)
            estate.fails("list keys", *[Unavailable("list keys", "asr", "503")] * 7)
            await replica.leap(10 * DAY)
        kept = reachable(replica.rounds, replica, replica.meter, replica.clock, estate)
        return sum(map(sys.getsizeof, kept))

    months = [await month() for _ in range(10)]
    rotations = len(replica.times(Step.PUBLISHED))
    assert rotations > 200
    assert max(months) - min(months) < 40 * rotations  # nothing is so small that is kept of each of them


@virtually
async def test_keys_that_are_taken_in_portion_by_portion_have_the_fleet_put_together_once() -> None:
    estate = Estate()
    for number in range(AT_A_TIME + 1):
        estate.add_key(f"voice-{number}")
    replica = Replica(estate, policy_text(estate))
    await replica.round()
    fleet = replica.rounds.book.fleet
    assert replica.rounds.more
    await replica.round()

    assert len(replica.rounds.book.standings) == AT_A_TIME + 1
    assert replica.rounds.book.fleet is fleet
