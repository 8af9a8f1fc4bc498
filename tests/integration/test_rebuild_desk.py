"""Lost journals at an operator's desk: each command says what is so, and what to do that works."""

from __future__ import annotations

import json

import pytest

from rotator.cli import exits
from rotator.model.key import Mark
from rotator.simulator.faults import Fault, Operation
from tests.integration.conftest import HOUR, POLICIES, Desk
from tests.support.canary import secret_text

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


@pytest.mark.promise("P2")
async def test_no_journal_is_begun_over_a_lost_one_while_our_credential_is_refused(desk: Desk) -> None:
    desk.due_key("voice")
    await desk.run("once")
    lose(desk, desk.journal)
    nobodys = secret_text("of nobody")

    refused = await desk.run("once", DEEPGRAM_API_KEY=nobodys)

    assert refused.status == exits.FAILED
    assert "no journal is begun" in refused.err
    assert "mend the credential that is named above" in refused.err
    assert not any(path.startswith(desk.journal) for path in desk.versions())
    assert "was lost" in (await desk.run("once")).err


async def test_where_a_provider_could_not_be_looked_at_for_want_of_a_credential_nothing_is_fine(
    desk: Desk,
) -> None:
    desk.due_key("voice")
    await desk.run("once")

    unseen = await desk.run("check", "--rebuild-journal", DEEPGRAM_API_KEY="")
    unnamed = await desk.run("check", "--rebuild-journal", desk.lineage("voice"), DEEPGRAM_API_KEY="")

    assert unseen.status == unnamed.status == exits.BAD_POLICY
    assert NOTHING_LOST not in unseen.out
    assert "as far as could be seen" in unnamed.err


async def test_a_name_that_no_lineage_has_is_a_slip(desk: Desk) -> None:
    """Even where the control record is lost: nothing is begun by it."""
    desk.due_key("voice")
    await desk.run("once")
    lose(desk, f"{desk.journal}/control")

    slip = await desk.run("check", "--rebuild-journal", desk.lineage("voise"), "--yes")
    meant = await desk.run("check", "--rebuild-journal", desk.lineage("voice"), "--yes")

    assert (slip.status, slip.out) == (exits.USAGE, "")
    assert f"did you mean {desk.lineage('voice')}" in slip.err
    assert meant.status == exits.FINE
    assert "The journal is begun again" in meant.out


@pytest.mark.promise("P4", "P8")
async def test_an_id_that_no_mark_carries_is_refused_while_there_are_marks(desk: Desk) -> None:
    """Records are there, and only another installation's keys carry marks: none of its journals is ours."""
    desk.key("voice", lifetime=5000 * HOUR)
    await desk.run("once")
    theirs = Mark("f" * 12, "e" * 12, "1" * 16)
    desk.key(theirs.put_on("theirs"), lifetime=5000 * HOUR)
    lose(desk, f"{desk.journal}/control")

    told = await desk.run("check", "--rebuild-journal")
    refused = await desk.run("check", "--rebuild-journal", "--journal-id", "0123456789ab", "--yes")

    assert told.status == exits.PERSON_NEEDED
    assert refused.status == exits.USAGE
    assert "no key carries a mark of journal 0123456789ab" in refused.err
    assert f"{desk.journal}/control" not in desk.versions()
    # What is told to do where none of the marks is ours.
    assert "delete the metadata of its records" in words(told.err)
    lose(desk, f"{desk.journal}/lineages")
    assert (await desk.run("once")).status == exits.FINE
    assert (await desk.json("status")).line("voice")["phase"] == "adopted"


@pytest.mark.promise("P8")
async def test_beside_a_record_of_a_newer_rotator_no_record_of_a_new_key_is_told_to_be_lost(
    desk: Desk,
) -> None:
    desk.due_key("voice")
    await desk.run("once")
    (record,) = (path for path in desk.versions() if "/lineages/" in path)
    document = desk.root.data(record)
    text = json.dumps(json.loads(str(document["record"])) | {"format": 9})
    desk.root.do("POST", f"secret/data/{record}", {"data": {**document, "format": "9", "record": text}})
    desk.key("ivr", lifetime=5000 * HOUR)

    shown, told = await desk.json("status"), await desk.json("check", "--rebuild-journal")

    assert {one["decision"]["reason"] for one in shown.document["lineages"]} == {"record_newer"}
    assert [one["lineage"] for one in told.document["lineages"]] == [desk.lineage("voice")]
    assert told.line("voice")["hold"] == "record_newer"


@pytest.mark.promise("P1", "P8")
async def test_a_lineage_that_was_published_under_other_fields_is_rebuilt_under_those(desk: Desk) -> None:
    key = desk.due_key("voice")
    await desk.run("once")
    lose(desk, f"{desk.journal}/lineages")
    named = ("--include-key", key.key_id, "--yes")
    desk.write(POLICIES.replace("{path:", "{fields: {secret: KEY}, path:"))

    told = await desk.json("check", "--rebuild-journal", *named)
    desk.write()
    done = await desk.json("check", "--rebuild-journal", *named)

    assert (told.status, done.status) == (exits.PERSON_NEEDED, exits.FINE)
    assert told.line("voice")["missing"] == "other_fields"
    assert {one["becomes"] for one in done.line("voice")["keys"]} == {"current", "original"}
    assert (await desk.run("once")).status == exits.FINE
    assert desk.serves("voice")


@pytest.mark.promise("P8")
async def test_under_keys_what_a_person_made_in_place_of_a_refused_key_is_named_for_its_path(
    desk: Desk,
) -> None:
    """No mark and no selector leads from it to the lineage."""

    def pinned(key_id: str) -> None:
        terms = POLICIES.partition("    destination")[0]
        desk.write(terms.replace('select: {comment: "*"}', f"keys: {{PLACE/voice: {key_id}}}"))

    first = desk.due_key("voice")
    pinned(first.key_id)
    await desk.run("once")
    for key_id in (first.key_id, str(desk.entry("voice")["api_key_id"])):
        desk.world.person_deletes(key_id)
    lose(desk, f"{desk.journal}/lineages")

    told = await desk.run("check", "--rebuild-journal")
    mended = desk.key("voice", lifetime=5000 * HOUR)
    fields = {name: str(value) for name, value in desk.entry("voice").items()}
    desk.put("voice", **{**fields, "api_key": mended.secret.reveal(), "api_key_id": mended.key_id})
    named = ("check", "--rebuild-journal", "--include-key", mended.key_id, "--yes")
    unled = await desk.run(*named)
    pinned(mended.key_id)
    done = await desk.json(*named)

    assert "(under `keys:`, or where `{key_id}` makes the path, name its id for this path" in words(told.out)
    assert unled.status == exits.USAGE
    assert done.status == exits.FINE
    assert [(one["key_id"], one["becomes"]) for one in done.line("voice")["keys"]] == [
        (mended.key_id, "current")
    ]
    assert desk.serves("voice")


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
