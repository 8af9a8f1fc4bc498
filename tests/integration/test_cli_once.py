"""`rotator once` as an operator runs it: a process of its own, a real Vault, a simulated Deepgram."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta

import pytest

from rotator.simulator.faults import Fault, Operation
from tests.integration.conftest import POLICIES, Desk, Ran
from tests.support.canary import CANARY

OVERLAP = timedelta(seconds=1)
AGES = timedelta(seconds=10)
"""No overlap of a test takes longer, on the slowest machine."""


async def after_overlap(desk: Desk, key_id: str) -> Ran:
    """Run it until the old key is gone."""
    clock = desk.world.clock
    gives_up_at = clock.now() + AGES
    while True:
        await clock.sleep(OVERLAP)
        ran = await desk.run("once")
        if not desk.alive(key_id) or clock.now() > gives_up_at:
            return ran


@pytest.mark.promise("P1", "P3", "P7")
async def test_a_due_key_is_taken_in_replaced_overlapped_and_retired(desk: Desk) -> None:
    old = desk.due_key("Gateway EU")
    desk.put("gateway-eu", api_key=old.secret.reveal(), team="voice")

    first = await desk.run("once")
    assert first.status == 0, first.err
    entry = desk.entry("gateway-eu")
    assert (entry["team"], entry["previous_api_key_id"]) == ("voice", old.key_id)
    assert entry["api_key_id"] != old.key_id
    assert desk.serves("gateway-eu")
    assert desk.alive(old.key_id)
    assert "1 lineage: 1 taken in, 1 rotated" in first.out
    steps = ["adopted", "intent", "created", "proven", "published", "recorded", "overlap"]
    assert [line.split()[3] for line in first.err.splitlines()] == steps

    last = await after_overlap(desk, old.key_id)
    assert last.status == 0, last.err
    assert not desk.alive(old.key_id)
    assert desk.serves("gateway-eu")
    assert "1 old key deleted" in last.out
    assert "revoked" in last.err

    idle = await desk.run("once")
    assert (idle.status, idle.err) == (0, "")
    assert "1 lineage: nothing to do" in idle.out


@pytest.mark.promise("P3")
async def test_an_original_lives_on_until_the_policy_releases_it(desk: Desk) -> None:
    old = desk.due_key("kept")
    await desk.run("once")
    await desk.world.clock.sleep(2 * OVERLAP)
    ran = await desk.json("once")
    assert ran.line("kept")["phase"] == "awaiting_release"
    assert desk.alive(old.key_id)


async def test_the_document_says_what_was_done(desk: Desk) -> None:
    desk.due_key("voice")
    ran = await desk.json("once")

    line = ran.line("voice")
    assert [(done["action"], done["reason"]) for done in line["done"]] == [
        ("adopt", None),
        ("rotate", "due_by_expiry"),
    ]
    assert line["version"] == 1
    assert line["key_id"] == desk.entry("voice")["api_key_id"]


async def test_logs_are_json_when_asked(desk: Desk) -> None:
    desk.due_key("voice")
    ran = await desk.run("--log-format", "json", "once")

    steps = [Ran(0, line, "").document for line in ran.err.splitlines()]
    assert steps[-1]["event"] == "overlap"
    assert {step["lineage"] for step in steps} == {f"secret/{desk.entries}/voice"}


async def test_only_so_many_are_started_and_globs_choose(desk: Desk) -> None:
    for name in ("a one", "a two", "b one"):
        desk.due_key(name)

    chosen = await desk.json("once", "*/a-*", "--limit", "1")
    assert chosen.status == 0
    assert {line["lineage"].rpartition("/")[2] for line in chosen.document["lineages"]} == {"a-one", "a-two"}
    rotated = [line for line in chosen.document["lineages"] if line["version"]]
    assert len(rotated) == 1

    none = await desk.run("once", "--limit", "0")
    assert "left for later (--limit)" in none.out
    assert desk.simulator.count(Operation.CREATE) == 1


async def test_a_glob_that_names_nothing_is_a_mistake(desk: Desk) -> None:
    desk.due_key("voice")
    ran = await desk.run("once", "*/voise")

    assert ran.status == 2
    assert "no lineage is named */voise" in ran.err
    assert desk.simulator.count(Operation.CREATE) == 0


@pytest.mark.promise("P6")
async def test_two_at_once_make_one_rotation_per_due_key(desk: Desk) -> None:
    names = [f"voice {n}" for n in range(10)]
    for name in names:
        desk.due_key(name)
    desk.simulator.latency = timedelta(milliseconds=30)
    first, second = await asyncio.gather(desk.run("once"), desk.run("once"))

    assert (first.status, second.status) == (0, 0), first.err + second.err
    assert not [
        line for ran in (first, second) for line in (ran.out + ran.err).splitlines() if "held" in line
    ]
    assert desk.simulator.count(Operation.CREATE) == len(names)
    for number in range(len(names)):
        assert desk.serves(f"voice-{number}")
        assert desk.entry(f"voice-{number}")["previous_api_key_id"]


@pytest.mark.promise("P2")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_what_is_under_way_end_and_starts_nothing_new(
    desk: Desk, number: signal.Signals
) -> None:
    desk.write(POLICIES, runtime="{claim_ttl: 30s, call_timeout: 5s, concurrency: 1}")
    for n in range(3):
        desk.due_key(f"voice {n}")
    desk.simulator.latency = timedelta(milliseconds=100)
    process = await desk.start("once")
    while process.returncode is None and not desk.simulator.count(Operation.CREATE):
        await desk.world.clock.sleep(timedelta(milliseconds=10))
    process.send_signal(number)
    ran = await desk.end(process)

    assert ran.status == 75, ran.err
    assert "asked to stop" in ran.err
    assert "left for later (asked to stop)" in ran.out
    assert "stopped before the end" in ran.out
    assert desk.simulator.count(Operation.CREATE) == 1
    # What was under way is whole: published, or the new key is deleted again.
    made = [key for key in desk.world.keys(desk.project_id) if "[rotator:" in key.comment]
    published = [n for n in range(3) if desk.exists(f"voice-{n}")]
    assert len(made) == len(published)

    desk.simulator.latency = timedelta(0)
    again = await desk.run("once")
    assert again.status in {0, 1}, again.err
    assert all(desk.serves(f"voice-{n}") for n in range(3) if desk.exists(f"voice-{n}"))


async def test_a_second_signal_ends_at_once(desk: Desk) -> None:
    desk.due_key("voice")
    desk.simulator.latency = timedelta(milliseconds=500)
    process = await desk.start("once")
    while process.returncode is None and not desk.simulator.log:
        await desk.world.clock.sleep(timedelta(milliseconds=10))
    process.send_signal(signal.SIGTERM)
    await desk.world.clock.sleep(timedelta(milliseconds=100))
    process.send_signal(signal.SIGTERM)
    ran = await desk.end(process)

    assert ran.status == 130
    assert "ended at once" in ran.err


@pytest.mark.promise("P2")
async def test_a_lost_answer_is_made_good_by_the_next_run(desk: Desk) -> None:
    desk.write(POLICIES + "    retry: {initial: 1s, max: 1s}\n    original: 1s\n")
    old = desk.due_key("voice")
    desk.simulator.faults.schedule(Operation.CREATE, Fault.LOST)
    failed = await desk.run("once")
    assert failed.status == 1
    assert "create key" in failed.err

    await after_overlap(desk, old.key_id)
    await desk.world.clock.sleep(2 * OVERLAP)
    assert (await desk.run("once")).status == 0
    assert desk.serves("voice")
    ours = [key for key in desk.world.keys(desk.project_id) if "[rotator:" in key.comment]
    assert [key.key_id for key in ours] == [desk.entry("voice")["api_key_id"]]


async def test_a_provider_that_is_down_is_worth_another_try(desk: Desk) -> None:
    await desk.run("once")  # the journal is begun
    desk.due_key("voice")
    desk.simulator.faults.switch_on(Operation.LIST, Fault.ERROR500)
    ran = await desk.run("once")

    assert ran.status == 75
    assert "provider asr: list keys" in ran.out
    assert "To do:" in ran.out


@pytest.mark.promise("P8")
async def test_a_failure_is_counted_and_backed_off_from(desk: Desk) -> None:
    desk.due_key("voice")
    desk.simulator.faults.switch_on(Operation.CREATE, Fault.ERROR500)
    assert (await desk.run("once")).status == 1
    calls = desk.simulator.count(Operation.CREATE)
    ran = await desk.json("once")

    assert ran.status == 1
    assert desk.simulator.count(Operation.CREATE) == calls
    line = ran.line("voice")
    assert (line["phase"], line["decision"]["reason"]) == ("failing", "backing_off")
    assert line["last_failure"]["count"] == 1


@pytest.mark.promise("P4", "P8")
async def test_a_hold_needs_a_person(desk: Desk) -> None:
    desk.due_key("voice")
    desk.put("voice", api_key=f"{CANARY}0123456789", owner="somebody")
    ran = await desk.run("once")

    assert ran.status == 3
    assert "held: the secret field holds something" in " ".join(ran.out.split())
    assert "To do: put this key's own secret there" in " ".join(ran.out.split())
    assert desk.entry("voice")["owner"] == "somebody"
    assert desk.simulator.count(Operation.CREATE) == 0


async def test_the_journal_of_another_instance_is_left_alone(desk: Desk) -> None:
    await desk.run("once")
    before = desk.versions()
    desk.file.write_text("instance: other\n" + desk.file.read_text())
    ran = await desk.run("once")

    assert ran.status == 1
    assert "belongs to instance default" in ran.err
    assert desk.versions() == before
