"""`rotator pause`, `resume` and `history` as an operator runs them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from rotator.simulator.faults import Fault, Operation
from tests.integration.conftest import Desk


@pytest.fixture(autouse=True)
def wide(desk: Desk) -> None:
    """Keep sentences in one line."""
    desk.environment["COLUMNS"] = "400"


@pytest.mark.promise("P4", "P8")
async def test_what_one_process_paused_another_leaves_alone_and_status_says_by_whom(desk: Desk) -> None:
    for name in ("a", "b"):
        desk.due_key(name)
    paused = await desk.run("pause", desk.lineage("a"), "--reason", "Vault is upgraded")
    assert paused.status == 0, paused.err
    assert f"{desk.lineage('a')}, 1 lineage, by " in paused.out
    assert ": Vault is upgraded" in paused.out

    swept = await desk.run("once")
    assert swept.status == 0
    assert "2 lineages: 1 taken in, 1 rotated, 1 paused" in swept.out
    assert (desk.exists("a"), desk.exists("b")) == (False, True)

    status = await desk.run("status")
    assert f"pause of {desk.lineage('a')}, by " in status.out
    line = (await desk.json("status")).line("a")
    assert (line["phase"], line["decision"]["reason"]) == ("paused", "paused")
    assert line["paused"].endswith(": Vault is upgraded")

    resumed = await desk.run("resume", desk.lineage("a"))
    assert resumed.status == 0
    assert "Paused no longer:" in resumed.out
    assert "1 taken in, 1 rotated" in (await desk.run("once")).out


@pytest.mark.promise("P4")
async def test_a_pause_stops_a_sweep_that_has_begun_before_its_next_step(desk: Desk) -> None:
    names = [f"voice {n}" for n in range(6)]
    desk.write(runtime="{claim_ttl: 30s, call_timeout: 5s, concurrency: 1}")
    for name in names:
        desk.due_key(name)
    desk.simulator.latency = timedelta(milliseconds=150)
    sweep = await desk.start("once")
    while not desk.simulator.count(Operation.CREATE):
        await desk.world.clock.sleep(timedelta(milliseconds=10))
    await desk.run("pause")
    made = desk.simulator.count(Operation.CREATE)
    ran = await desk.end(sweep)
    desk.simulator.latency = timedelta(0)

    assert desk.simulator.count(Operation.CREATE) <= made + 1
    assert desk.simulator.count(Operation.CREATE) < len(names)
    assert "paused" in ran.out


async def test_without_a_glob_everything_is_paused_and_the_documents_say_what(desk: Desk) -> None:
    desk.key("voice")
    paused = (await desk.json("pause", "--reason", "a change")).document
    (pause,) = paused["pauses"]
    assert (pause["glob"], pause["why"], pause["lineages"]) == ("*", "a change", [desk.lineage("voice")])
    assert pause["at"].endswith("Z")
    assert paused["resumed"] == []

    resumed = (await desk.json("resume")).document
    assert [one["glob"] for one in resumed["resumed"]] == ["*"]
    assert resumed["pauses"] == []
    assert "Nothing is paused." in (await desk.run("resume")).out


@pytest.mark.promise("P8")
async def test_what_is_paused_still_is_said_when_something_else_is_resumed(desk: Desk) -> None:
    desk.key("voice")
    await desk.run("pause")
    await desk.run("pause", desk.lineage("voice"))
    ran = await desk.run("resume", desk.lineage("voice"))

    assert ran.status == 0
    assert "Paused:\n  *, 1 lineage, by " in ran.out


async def test_a_glob_that_names_nothing_is_kept_and_told(desk: Desk) -> None:
    desk.key("voice")
    ran = await desk.run("pause", "secret/voise")

    assert ran.status == 0
    assert "no lineage is named secret/voise" in ran.err
    assert "secret/voise, 0 lineages" in ran.out


async def test_to_resume_what_was_not_paused_is_a_mistake_and_shows_what_is(desk: Desk) -> None:
    desk.key("voice")
    await desk.run("pause", "secret/*")
    ran = await desk.run("resume", desk.lineage("voice"))

    assert ran.status == 2
    assert f"no pause was given with the glob {desk.lineage('voice')}" in ran.err
    assert "secret/*" in ran.out


@pytest.mark.parametrize("glob", ["two\nlines", "\x1b[31m", "x" * 301])
async def test_a_glob_is_one_line_of_bounded_length(desk: Desk, glob: str) -> None:
    ran = await desk.run("pause", glob)

    assert ran.status == 2
    assert "\x1b[31m" not in ran.err


async def test_while_a_provider_is_down_it_can_be_paused(desk: Desk) -> None:
    await desk.run("once")  # the journal is begun
    desk.due_key("voice")
    desk.simulator.faults.switch_on(Operation.LIST, Fault.ERROR500)
    assert (await desk.run("pause")).status == 0
    desk.simulator.faults.clear()

    assert "1 paused" in (await desk.run("once")).out


@pytest.mark.promise("P6")
async def test_pauses_that_are_given_at_once_are_all_kept(desk: Desk) -> None:
    await desk.run("once")
    ran = await asyncio.gather(*(desk.run("pause", f"secret/{name}") for name in "abc"))

    assert [one.status for one in ran] == [0, 0, 0], [one.err for one in ran]
    kept = (await desk.json("resume")).document["resumed"]
    assert {one["glob"] for one in kept} == {"secret/a", "secret/b", "secret/c"}


class TestHistory:
    async def test_it_shows_every_rotation_deletion_and_order_with_its_evidence(self, desk: Desk) -> None:
        old = desk.due_key("voice")
        desk.put("voice", api_key=old.secret.reveal())
        await desk.run("once")
        await desk.world.clock.sleep(timedelta(seconds=2.5))  # the overlap, and a second by which Date is cut
        await desk.run("rotate", "*", "--reason", "somebody left")
        ran = await desk.run("history", desk.lineage("voice"))

        assert ran.status == 0, ran.err
        for said in (
            "rotated: its expiry comes near",
            f"replaces key {old.key_id}",
            "ordered: rotate",
            "somebody left",
            f"key {old.key_id}, while Vault served key ",
            "rotated: a person ordered it",
        ):
            assert said in ran.out
        assert "deleted: its overlap with the new key is over" in ran.column("WHAT")
        assert sum(line[:4].isdigit() for line in ran.out.splitlines()) == 4

        document = (await desk.json("history", desk.lineage("voice"))).document
        first, second = document["rotations"]
        assert (first["replaced_key_id"], first["version"]) == (old.key_id, 2)
        assert (second["key_id"], second["reason"]) == (desk.entry("voice")["api_key_id"], "ordered")
        (deleted,) = document["deletions"]
        assert (deleted["key_id"], deleted["reason"]) == (old.key_id, "overlap_ended")
        assert [order["kind"] for order in document["orders"]] == ["rotate"]

    async def test_of_a_lineage_about_which_nothing_was_done_it_says_so(self, desk: Desk) -> None:
        desk.key("voice")
        await desk.run("once", "none")
        ran = await desk.run("history", desk.lineage("voice"))
        assert ran.status == 0
        assert "nothing was done about it yet" in ran.out

    async def test_it_touches_nothing_not_even_a_journal_that_is_not_there(self, desk: Desk) -> None:
        desk.key("voice")
        ran = await desk.json("history", desk.lineage("voice"))
        assert (ran.status, ran.document["rotations"], ran.document["orders"]) == (0, [], [])
        assert desk.versions() == {}

    async def test_a_name_that_nothing_has_is_a_mistake(self, desk: Desk) -> None:
        assert (await desk.run("history", "secret/none")).status == 2
