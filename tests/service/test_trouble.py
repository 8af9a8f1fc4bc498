"""What goes wrong with one lineage, one record or one provider: it is told, stops nothing else and costs little."""

from __future__ import annotations

from collections import Counter

from rotator.daemon.rounds import AT_A_TIME, TROUBLES_TOLD
from rotator.errors import Denied, Unavailable
from rotator.model.told import Step
from tests.service.conftest import Said
from tests.support.builders import DAY, HOUR, MINUTE, SECOND
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import ALL, policy_text
from tests.support.replica import Replica
from tests.support.scene import scene
from tests.support.virtual_loop import virtually

SWEEP = 5 * MINUTE
UNREAD = Unavailable("read record", "voice", "no whole answer came")
REFUSED = Denied("read record", "voice", "403")


@virtually
async def test_a_healthy_provider_waits_for_one_portion_of_one_that_is_slow() -> None:
    estate = Estate("asr", "tts")
    for number in range(2 * AT_A_TIME):
        estate.add_key(f"voice-{number}")
    estate.add_key("mouth", provider="tts", due_in=11 * MINUTE)
    before = Replica(estate, policy_text(estate))
    await before.leap(10 * MINUTE)
    assert len(before.times(Step.ADOPTED)) == 2 * AT_A_TIME + 1
    replica = Replica(estate, policy_text(estate))
    estate.before("read entry", lambda: setattr(estate, "latency", 4 * SECOND))
    looked_at = []
    estate.before("create key", lambda: looked_at.append(len(replica.rounds.book.standings)))
    began_at = estate.now()
    await replica.leap(2 * HOUR)

    assert len(replica.rounds.book.standings) == 2 * AT_A_TIME + 1
    assert looked_at == [AT_A_TIME]
    assert replica.times(Step.INTENT)[0] > began_at + 2 * MINUTE


class Bursts(Counter[tuple[str, str, str]]):
    """Counts, but not what is of one provider."""

    def __setitem__(self, key: tuple[str, str, str], value: int) -> None:
        if key[0] == "tts":
            raise OverflowError
        super().__setitem__(key, value)


@virtually
async def test_a_bug_in_noting_how_a_lineage_ended_is_told_and_stops_no_other(said: Said) -> None:
    estate = Estate("asr", "tts")
    for number in range(20):
        estate.add_key(f"voice-{number}", provider=("asr", "tts")[number % 2], age=70 * DAY)
    replica = Replica(estate, policy_text(estate))
    replica.meter.rotations = Bursts()
    await replica.leap(MINUTE)

    assert len(replica.times(Step.RECORDED)) == 20
    assert {line["lineage"] for line in said("bug")} == {f"secret/tts/voice-{n}" for n in range(1, 20, 2)}
    assert {one.provider for one in replica.rounds.book.standings} == {"asr"}
    await replica.leap(HOUR)
    assert len(said("bug")) == 10
    assert Counter(one.provider for one in replica.rounds.book.standings) == {"asr": 10, "tts": 10}
    assert len(replica.times(Step.RECORDED)) == 20


SOME_WATCHED = f"""- {{name: watched, provider: '*', select: {{comment: 'watched-*'}}}}
- {ALL.replace("console", "[console, 'watched-*']")}"""


async def settled(estate: Estate) -> Replica:
    for number in range(30):
        estate.add_key(f"voice-{number}")
        estate.add_key(f"watched-{number}")
    replica = Replica(estate, policy_text(estate, SOME_WATCHED))
    await replica.leap(2 * SWEEP)
    assert len(replica.rounds.book.standings) == 60
    return replica


@virtually
async def test_a_record_that_can_not_be_read_for_a_moment_wakes_no_other_lineage(said: Said) -> None:
    estate = Estate()
    replica = await settled(estate)
    estate.pause()  # so that all records are read
    estate.fails("read record", *[None] * 7, UNREAD, None, UNREAD)
    before = estate.calls.copy()
    await replica.leap_until(lambda: replica.meter.sweeps["partial"], within=SWEEP)
    assert len(said("trouble")) == len(replica.rounds.troubles) == 2
    assert len(replica.rounds.book.standings) == 60
    await replica.leap(3 * SWEEP)
    calls = estate.calls - before

    assert replica.meter.sweeps["partial"] == 1
    assert [*replica.rounds.troubles] == []
    assert len(replica.rounds.book.standings) == 60
    assert calls[VAULT, "read record"] <= 30 + 2 + 2
    assert calls[VAULT, "read entry"] <= 2


@virtually
async def test_records_that_can_not_be_read_keep_the_service_from_nothing_else_and_are_shown() -> None:
    estate = Estate()
    await settled(estate)
    estate.fails("read record", *[REFUSED] * 200)
    with scene(estate, policy_text(estate, SOME_WATCHED)) as one:
        async with one.running():
            await one.clock.sleep(2 * MINUTE)
            assert one.board().ready
            assert one.board().connected
            assert one.meter.sweeps["whole"] == 0
            assert len(one.board().troubles) == 30
            await one.clock.sleep(HOUR)
            assert one.meter.sweeps["whole"] > 0
            assert [*one.board().troubles] == []
            assert len(one.board().standings) == 60


@virtually
async def test_records_that_can_not_be_read_any_more_are_shown_and_their_lineages_kept() -> None:
    estate = Estate()
    await settled(estate)
    with scene(estate, policy_text(estate, SOME_WATCHED)) as one:
        async with one.running():
            await one.clock.sleep(2 * MINUTE)
            estate.pause()
            estate.fails("read record", *[REFUSED] * 2000)
            await one.clock.sleep(4 * SWEEP)
            assert len(one.board().troubles) == 30
            assert len(one.board().standings) == 60


@virtually
async def test_a_project_can_be_left_out_of_the_policy_file_while_a_record_can_not_be_read(
    said: Said,
) -> None:
    estate = Estate("asr", "tts")
    estate.add_key("voice")
    estate.add_key("watched-1", provider="tts")
    both = policy_text(estate, SOME_WATCHED)
    with scene(estate, both) as one:
        async with one.running():
            await one.clock.sleep(2 * MINUTE)
            assert {each.provider for each in one.board().standings} == {"asr", "tts"}
            estate.fails("read record", *[UNREAD] * 3000)
            one.file = "\n".join(line for line in both.splitlines() if not line.startswith("  tts:"))
            estate.pause()
            await one.clock.sleep(2 * HOUR)
            assert said("bug") == []
            assert {each.provider for each in one.board().standings} == {"asr"}


@virtually
async def test_holds_that_were_found_at_different_times_cost_no_lists_of_their_own() -> None:
    estate = Estate()
    names = [f"secret/asr/voice-{number}" for number in range(5)]
    for number in range(5):
        estate.add_key(f"voice-{number}", due_in=HOUR + 7 * number * MINUTE)
    calm = estate.made[estate.add_key("calm")]
    replica = Replica(estate, policy_text(estate))
    await replica.leap(2 * SWEEP)
    for name in names:
        estate.write_entry(name, {"api_key": calm.secret.reveal()})
    await replica.leap_until(lambda: replica.standing(names[-1]).phase == "held", within=3 * HOUR)
    assert all(replica.standing(name).phase == "held" for name in names)
    before = estate.calls.copy()
    await replica.leap(10 * HOUR)

    assert (estate.calls - before)["asr", "list keys"] == 2 * 120


@virtually
async def test_of_many_troubles_at_once_some_are_logged_and_the_rest_counted(said: Said) -> None:
    estate = Estate()
    replica = await settled(estate)
    estate.pause()
    estate.fails("read record", *[UNREAD] * 30)
    await replica.leap(2 * SWEEP)

    for event in ("trouble", "trouble_over"):
        *single, rest = (line["detail"] for line in said(event))
        assert len(single) == TROUBLES_TOLD
        assert all("no whole answer came" in one for one in single)
        assert rest == "and 10 more"


@virtually
async def test_a_record_that_could_not_be_read_for_a_moment_does_not_keep_old_keys_of_others_alive() -> None:
    estate = Estate()
    estate.add_key("soon", due_in=HOUR, served=True)
    estate.add_key("later", due_in=10 * HOUR, served=True)
    replica = Replica(estate, policy_text(estate, runtime="sweep_every: 1d"))
    await replica.leap(2 * HOUR)
    old = estate.begun["secret/asr/soon"].key_id
    estate.fails("read record", UNREAD)
    await replica.leap(9 * HOUR)
    assert replica.times(Step.RECORDED, "secret/asr/later"), "its own look did not read it again"

    await replica.leap(estate.starts[0].at + DAY + 5 * MINUTE - estate.now())
    assert not estate.works(old)


@virtually
async def test_a_clock_that_is_wrong_for_long_costs_few_looks_at_what_waits_for_it() -> None:
    estate = Estate()
    for number in range(20):
        estate.add_key(f"voice-{number}", due_in=HOUR, served=True)
    replica = Replica(estate, policy_text(estate))
    await replica.leap(20 * HOUR)
    estate.ahead["asr"] = 10 * MINUTE
    await replica.leap(HOUR)
    before = estate.calls.copy()
    await replica.leap(2 * HOUR)
    assert (estate.calls - before)[VAULT, "read entry"] == 0, "their overlap is not over yet"

    await replica.leap(4 * HOUR)
    before = estate.calls.copy()
    await replica.leap(10 * HOUR)
    assert len(replica.times(Step.REVOKED)) == 0
    assert (estate.calls - before)[VAULT, "read entry"] <= 20 * 10 * 4
    estate.ahead.clear()
    await replica.leap(20 * MINUTE)
    assert len(replica.times(Step.REVOKED)) == 20
