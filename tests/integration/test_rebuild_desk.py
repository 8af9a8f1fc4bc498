"""Lost journals at an operator's desk: each command says what is so, and what to do that works."""

from __future__ import annotations

import pytest

from rotator.cli import exits
from rotator.simulator.faults import Fault, Operation
from tests.integration.conftest import HOUR, Desk

NOBODYS = """
  - name: other
    provider: asr
    select: {comment: "nobody's"}
    adopt: when_due
    destination: {path: "PLACE/{slug}"}
"""
NOTHING_LOST = "Nothing is lost: there is nothing to rebuild."


def lose(desk: Desk, *folders: str) -> None:
    """Remove what is below some folders of this desk's in Vault, all versions."""
    for path in desk.versions():
        if path.startswith(folders):
            desk.root.do("DELETE", f"secret/metadata/{path}")


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.promise("P8")
async def test_a_control_record_that_is_lost_before_any_rotation_is_begun_again_as_it_is_told(
    desk: Desk,
) -> None:
    """No key carries a mark yet, so that nothing says the id, and nothing needs it."""
    desk.key("voice", lifetime=5000 * HOUR)
    assert (await desk.run("once")).status == exits.FINE
    lose(desk, f"{desk.journal}/control")

    refused = await desk.run("once")
    told = await desk.run("check", "--rebuild-journal")
    begun = await desk.run("check", "--rebuild-journal", "--journal-id", "0123456789ab", "--yes")

    assert refused.status == exits.FAILED
    assert "was lost" in refused.err
    assert "`rotator check --rebuild-journal` shows" in words(refused.err)
    assert told.status == exits.PERSON_NEEDED
    assert NOTHING_LOST not in told.out
    assert "--journal-id with any 12" in words(told.err)
    assert begun.status == exits.FINE
    assert (await desk.run("once")).status == exits.FINE


@pytest.mark.promise("P2")
async def test_no_journal_is_begun_while_it_cant_be_told_whether_there_was_one(desk: Desk) -> None:
    """A provider that can't be reached for a moment would hide the keys that say so."""
    desk.due_key("voice")
    await desk.run("once")
    lose(desk, desk.journal)
    desk.simulator.faults.switch_on(Operation.LIST, Fault.ERROR500)

    told = await desk.run("once")

    assert told.status == exits.TRY_AGAIN
    assert "no journal is begun" in told.err
    assert not any(path.startswith(desk.journal) for path in desk.versions())
    desk.simulator.faults.clear()
    assert "was lost" in (await desk.run("once")).err


async def test_what_another_installation_rotates_is_no_lineage_of_a_new_one(desk: Desk) -> None:
    """It has a Vault of its own, and the same policies; nothing is lost here, and nobody is needed."""
    key = desk.due_key("voice")
    await desk.run("once")
    desk.world.person_deletes(key.key_id)
    lose(desk, desk.journal, desk.entries)

    planned, swept = await desk.json("plan"), await desk.json("once")
    after = await desk.run("status", "--exit-code")

    assert planned.document["lineages"] == swept.document["lineages"] == []
    assert (swept.status, after.status) == (exits.FINE, exits.FINE)
    assert NOTHING_LOST in (await desk.run("check", "--rebuild-journal")).out


@pytest.mark.promise("P8")
async def test_a_lost_record_whose_keys_cant_be_read_just_now_is_no_record_that_was_not_lost(
    desk: Desk,
) -> None:
    key = desk.due_key("voice")
    await desk.run("once")
    await desk.run("rotate", desk.lineage("voice"))
    desk.world.person_deletes(key.key_id)
    lose(desk, f"{desk.journal}/lineages")
    desk.simulator.faults.schedule(Operation.GET, Fault.ERROR500, nth=2)

    told = await desk.json("check", "--rebuild-journal")

    assert [one["missing"] for one in told.document["lineages"]] == ["key_unreadable"]
    assert told.line("voice")["keys"] == []


@pytest.mark.promise("P1", "P8")
async def test_no_key_of_a_record_that_cant_be_read_is_told_to_be_deleted(desk: Desk) -> None:
    """Its policy is gone besides: only the record could say who uses the key."""
    desk.due_key("voice")
    await desk.run("once")
    (record,) = (path for path in desk.versions() if "/lineages/" in path)
    desk.root.do("POST", f"secret/data/{record}", {"data": {"nonsense": "x"}})
    desk.write(NOBODYS)

    told = await desk.json("check", "--rebuild-journal")

    assert told.document["strays"] == []
    assert [one["what"] for one in told.document["troubles"]] != []


@pytest.mark.promise("P8")
async def test_beside_the_records_of_a_journal_that_was_begun_anew_those_of_the_one_before_are_lost(
    desk: Desk,
) -> None:
    key = desk.due_key("voice")
    await desk.run("once")
    desk.world.person_deletes(key.key_id)
    lost = desk.root.data(f"{desk.journal}/control")
    lose(desk, desk.journal)
    # Somebody begins a journal by hand, and a key that is new is taken in.
    desk.root.do("POST", f"secret/data/{desk.journal}/control", {"data": {**lost, "journal_id": "0" * 12}})
    desk.key("ivr", lifetime=5000 * HOUR)
    await desk.run("once")

    told = await desk.json("check", "--rebuild-journal")
    lose(desk, f"{desk.journal}/control")
    done = await desk.run("check", "--rebuild-journal", "--yes")

    assert told.status == exits.PERSON_NEEDED
    assert told.line("voice")["missing"] == "other_journal"
    assert done.status == exits.FINE
    assert desk.root.data(f"{desk.journal}/control") == lost
    assert (await desk.run("once")).status == exits.FINE
