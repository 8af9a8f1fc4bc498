"""`rotator import` as an operator runs it: what standard input may hold, and what comes of it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from rotator.simulator.faults import Fault, Operation
from tests.integration.conftest import HOUR, POLICIES, Desk, Ran
from tests.support.canary import secret_text


@pytest.fixture(autouse=True)
def wide(desk: Desk) -> None:
    """Keep sentences in one line."""
    desk.environment["COLUMNS"] = "400"


async def import_(desk: Desk, content: bytes, *options: str) -> Ran:
    return await desk.fed(content, *options, "import", desk.lineage("voice"), "--reason", "move to Vault")


@pytest.mark.promise("P4", "P7")
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
async def test_the_secret_of_a_key_is_published_and_consumers_can_read_it(desk: Desk, end: bytes) -> None:
    desk.write(POLICIES.replace("when_due", "watch"))
    key = desk.key("voice")
    ran = await import_(desk, key.secret.reveal().encode() + end)

    assert ran.status == 0, ran.err
    assert "published: consumers can read the secret from Vault now" in ran.out
    assert desk.serves("voice")
    assert desk.entry("voice")["api_key_id"] == key.key_id
    assert desk.simulator.count(Operation.CREATE) == 0


async def test_the_document_is_that_of_any_order(desk: Desk) -> None:
    key = desk.key("voice")
    ran = await import_(desk, key.secret.reveal().encode(), "--output", "json")

    document = ran.document
    assert (document["order"], document["why"]) == ("import", "move to Vault")
    assert document["outcomes"] == [
        {"lineage": desk.lineage("voice"), "given": True, "declined": None, "hold": None, "error": None}
    ]


async def test_a_second_time_there_is_nothing_to_do(desk: Desk) -> None:
    key = desk.key("voice")
    await import_(desk, key.secret.reveal().encode())
    before = desk.versions()
    again = await import_(desk, key.secret.reveal().encode())

    assert again.status == 0
    assert "it is so already" in again.out
    assert desk.versions() == before


@pytest.mark.promise("P3")
async def test_an_imported_key_is_rotated_with_its_overlap_and_goes_without_a_release(desk: Desk) -> None:
    key = desk.key("voice", age=45 * HOUR)
    await import_(desk, key.secret.reveal().encode())
    assert (await desk.run("rotate", "*")).status == 0
    assert desk.alive(key.key_id)
    await desk.world.clock.sleep(timedelta(seconds=2.5))  # the overlap, and a second by which Date is cut
    assert (await desk.run("once")).status == 0

    assert not desk.alive(key.key_id)
    assert desk.serves("voice")


async def test_its_evidence_is_logged_in_one_line_and_remembered(desk: Desk) -> None:
    key = desk.key("voice")
    ran = await import_(desk, key.secret.reveal().encode(), "--log-format", "json")
    lines = [json.loads(line) for line in ran.err.splitlines()]
    (evidence,) = [line for line in lines if line["event"] == "recorded"]
    assert (evidence["reason"], evidence["key_id"], evidence["version"]) == ("imported", key.key_id, 1)
    assert "replaced_key_id" not in evidence

    history = (await desk.json("history", desk.lineage("voice"))).document
    assert [one["reason"] for one in history["rotations"]] == ["imported"]
    assert [(one["kind"], one["why"]) for one in history["orders"]] == [("import", "move to Vault")]


@pytest.mark.promise("P7")
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "one line of visible characters"),
        (b"\n", "one line of visible characters"),
        (b"\xff\xfe\x00\x01", "one line of visible characters"),
        (b"one\ntwo\n", "one line of visible characters"),
        (b"one\n\n", "one line of visible characters"),
        (b"one\x00", "one line of visible characters"),
        (b"\xef\xbb\xbfone\n", "one line of visible characters"),
        (b"x" * (64 * 1024 + 1), "more than 64 KiB"),
        (b"x" * (8 * 1024 * 1024), "more than 64 KiB"),
    ],
    ids=["empty", "newline", "binary", "two lines", "two newlines", "nul", "bom", "huge", "huger"],
)
async def test_what_is_no_secret_is_refused_before_anything_is_asked(
    desk: Desk, content: bytes, why: str
) -> None:
    desk.key("voice")
    ran = await import_(desk, content)

    assert ran.status == 2
    assert why in ran.err
    assert "< secret-file" in ran.err
    assert desk.simulator.log == []


@pytest.mark.promise("P7")
async def test_a_terminal_would_show_it(desk: Desk) -> None:
    desk.key("voice")
    ran = await desk.asked("", "import", desk.lineage("voice"))

    assert ran.status == 2
    assert "standard input is a terminal, which would show it" in ran.err


@pytest.mark.promise("P7")
async def test_a_secret_on_the_command_line_is_refused_and_not_shown(desk: Desk) -> None:
    ran = await desk.end(await desk.start("import", desk.lineage("voice"), secret_text("in argv")))

    assert ran.status == 2
    assert "the secret goes to standard input" in ran.err
    assert "in argv" not in ran.err


@pytest.mark.promise("P1", "P4", "P7")
async def test_a_secret_that_is_not_the_keys_own_is_refused_with_whose_it_is(desk: Desk) -> None:
    key, other = desk.key("voice"), desk.key("other")
    wrong = await import_(desk, other.secret.reveal().encode())
    assert wrong.status == 1
    assert f"import secret of key {key.key_id}: what was handed over is the secret of key {other.key_id}" in (
        wrong.out
    )
    assert "To do: give the secret of that very key" in wrong.out

    nobodys = await import_(desk, secret_text("nobody").encode())
    assert nobodys.status == 1
    assert "the provider does not accept what was handed over" in nobodys.out
    assert not desk.exists("voice")


@pytest.mark.promise("P4")
async def test_what_stands_there_is_not_written_over(desk: Desk) -> None:
    key = desk.key("voice")
    desk.put("voice", api_key=secret_text("somebody's"))
    ran = await import_(desk, key.secret.reveal().encode())

    assert ran.status == 3
    assert "held: the secret field holds something" in ran.out
    assert desk.entry("voice") == {"api_key": secret_text("somebody's")}


async def test_other_fields_of_the_entry_stay(desk: Desk) -> None:
    key = desk.key("voice")
    desk.put("voice", team="asr")
    assert (await import_(desk, key.secret.reveal().encode())).status == 0

    assert desk.entry("voice")["team"] == "asr"
    assert desk.serves("voice")


async def test_under_a_pause_nothing_is_published(desk: Desk) -> None:
    key = desk.key("voice")
    await desk.run("pause")
    ran = await import_(desk, key.secret.reveal().encode())

    assert ran.status == 3
    assert "refused: it is paused; `rotator resume` ends that" in ran.out
    assert not desk.exists("voice")


@pytest.mark.parametrize("operation", [Operation.LIST, Operation.PROVE])
async def test_a_provider_that_is_down_is_worth_another_try(desk: Desk, operation: Operation) -> None:
    key = desk.key("voice")
    desk.simulator.faults.switch_on(operation, Fault.ERROR500)
    ran = await import_(desk, key.secret.reveal().encode())

    assert ran.status == 75, ran.out + ran.err
    assert not desk.exists("voice")
