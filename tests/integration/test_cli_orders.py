"""Orders as an operator gives them: a process of its own, a real Vault, a simulated Deepgram."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.simulator.faults import Fault, Operation
from tests.integration.conftest import HOUR, POLICIES, Desk, Ran
from tests.support.canary import CANARY, secret_text

WATCH = POLICIES.replace("when_due", "watch")
LONG = POLICIES.replace("overlap: 1s", "overlap: 1h")
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def wide(desk: Desk) -> None:
    """Keep sentences in one line."""
    desk.environment["COLUMNS"] = "400"


def shown(ran: Ran) -> str:
    """Return all that a command wrote, each run of white space as one space."""
    return " ".join((ran.out + ran.err).split())


def outcome(ran: Ran) -> dict[str, Any]:
    """Return the only outcome of an order."""
    (one,) = ran.document["outcomes"]
    return {name: value for name, value in one.items() if name != "lineage"}


def given() -> dict[str, Any]:
    return {"given": True, "declined": None, "hold": None, "error": None}


def declined(why: str) -> dict[str, Any]:
    return {"given": False, "declined": why, "hold": None, "error": None}


def log_of(ran: Ran, event: str) -> list[dict[str, Any]]:
    """Return the log lines of one event, of a command that logs as JSON."""
    lines = [json.loads(line) for line in ran.err.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


class TestAdopt:
    async def test_a_watched_key_is_taken_in_and_rotated_when_it_is_due(self, desk: Desk) -> None:
        desk.write(WATCH)
        desk.due_key("voice")
        assert "1 lineage: nothing to do" in (await desk.run("once")).out

        ran = await desk.run("adopt", desk.lineage("voice"), "--reason", "it is ours")
        assert ran.status == 0, ran.err
        assert "taken in: it is rotated when it is due" in shown(ran)
        assert "ordered" in ran.err
        assert "it is ours" in ran.err

        assert "1 rotated" in (await desk.run("once")).out
        assert desk.serves("voice")

    async def test_the_document_says_what_became_of_each_and_a_second_time_changes_nothing(
        self, desk: Desk
    ) -> None:
        desk.write(WATCH)
        desk.key("voice")
        first = await desk.json("adopt", "*", "--reason", "it is ours")
        assert first.status == 0
        assert (first.document["order"], first.document["why"]) == ("adopt", "it is ours")
        assert "@" in first.document["who"]
        assert outcome(first) == given()
        assert first.document["report"] is None

        second = await desk.json("adopt", "*")
        assert (second.status, outcome(second)) == (0, declined("done"))

    async def test_a_name_that_nothing_has_is_a_mistake(self, desk: Desk) -> None:
        desk.key("voice")
        ran = await desk.run("adopt", desk.lineage("voise"))
        assert ran.status == 2
        assert f"no lineage is named {desk.lineage('voise')}" in shown(ran)
        assert f"did you mean {desk.lineage('voice')}? `rotator status` shows all names" in shown(ran)

    async def test_of_several_names_those_that_are_right_count_and_the_status_tells(self, desk: Desk) -> None:
        desk.write(WATCH)
        desk.key("voice")
        ran = await desk.json("adopt", desk.lineage("voice"), "*/voise")
        assert ran.status == 1
        assert outcome(ran) == given()
        assert ran.document["unmatched"] == ["*/voise"]

    @pytest.mark.promise("P8")
    async def test_while_a_provider_is_down_it_is_not_said_that_there_is_no_such_lineage(
        self, desk: Desk
    ) -> None:
        await desk.run("once")  # the journal is begun
        desk.key("voice")
        desk.simulator.faults.switch_on(Operation.LIST, Fault.ERROR500)
        ran = await desk.run("adopt", desk.lineage("voice"))
        assert ran.status == 75
        assert "as far as could be seen" in ran.err
        assert "provider asr: list keys" in shown(ran)

    async def test_a_hold_needs_a_person(self, desk: Desk) -> None:
        desk.write(WATCH)
        desk.key("voice")
        desk.put("voice", api_key=secret_text("of somebody"))
        ran = await desk.run("adopt", "*")
        assert ran.status == 3
        assert "held: the secret field holds something" in shown(ran)
        assert "To do: " in ran.out


class TestRelease:
    @pytest.fixture
    async def old(self, desk: Desk) -> str:
        """Return the id of a key from before, that was replaced and used since."""
        key = desk.due_key("voice")
        desk.used(key.key_id, ago=-MINUTE)
        assert (await desk.run("once")).status == 0
        return key.key_id

    @pytest.mark.promise("P3")
    async def test_without_a_terminal_it_shows_what_would_follow_and_asks_for_yes(
        self, desk: Desk, old: str
    ) -> None:
        desk.world.request_log.add(desk.project_id, old, desk.world.clock.now())
        ran = await desk.run("release", "*")
        assert ran.status == 2
        assert old[:8] in ran.err
        assert "STILL IN USE" in ran.err
        assert "from before rotator" in shown(ran)
        assert "write --yes" in ran.err
        assert ran.out == ""
        await desk.world.clock.sleep(timedelta(seconds=2.5))  # the overlap, and a second by which Date is cut
        await desk.run("once")
        assert desk.alive(old)

    @pytest.mark.promise("P3")
    @pytest.mark.parametrize(
        ("answer", "status", "gone"), [("y\n", 0, True), ("n\n", 1, False), ("\n", 1, False)]
    )
    async def test_a_person_at_a_terminal_is_asked(
        self, desk: Desk, old: str, answer: str, status: int, *, gone: bool
    ) -> None:
        ran = await desk.asked(answer, "release", "*")
        assert ran.status == status, ran.err
        assert "Let these keys be deleted?" in ran.err
        assert ("released: deleted by the next sweep" in shown(ran)) == gone
        await desk.world.clock.sleep(timedelta(seconds=2.5))  # the overlap, and a second by which Date is cut
        await desk.run("once")
        assert desk.alive(old) != gone
        assert desk.serves("voice")

    async def test_the_document_says_when_what_was_released_was_last_used(self, desk: Desk, old: str) -> None:
        used_at = desk.world.clock.now() - 5 * MINUTE
        desk.world.request_log.add(desk.project_id, old, used_at)
        ran = await desk.json("release", "*", "--yes")
        assert ran.status == 0
        (key,) = ran.document["keys"]
        assert (key["key_id"], key["role"], key["unknown"]) == (old, "original", None)
        assert key["last_used_at"][:19] == used_at.isoformat()[:19]
        assert outcome(ran) == given()

    @pytest.mark.parametrize(
        ("fault", "why"),
        [
            (Fault.FORBIDDEN, "our management key may not read the request log"),
            (Fault.ERROR500, "read request log"),
        ],
    )
    async def test_why_a_last_use_is_unknown_is_said_and_stops_nothing(
        self, desk: Desk, old: str, fault: Fault, why: str
    ) -> None:
        desk.simulator.faults.switch_on(Operation.REQUESTS, fault)
        ran = await desk.json("release", "*", "--yes")
        assert ran.status == 0
        (key,) = ran.document["keys"]
        assert why in key["unknown"]
        assert key["key_id"] == old

    async def test_what_has_no_original_is_as_it_should_be_and_what_is_in_use_is_refused(
        self, desk: Desk
    ) -> None:
        desk.key("voice", lifetime=None)
        await desk.run("once")
        refused = await desk.json("release", "*", "--yes")
        assert (refused.status, outcome(refused)) == (1, declined("not_replaced"))


class TestAccept:
    @pytest.mark.promise("P5")
    async def test_rights_that_a_new_key_lacks_are_held_and_then_accepted(self, desk: Desk) -> None:
        desk.key("voice", age=45 * HOUR, tags=("prod",))
        desk.world.quirks = replace(desk.world.quirks, drops_tags=True)
        held = await desk.run("once")
        assert held.status == 3
        assert "rotator accept" in shown(held)
        assert (await desk.run("rotate", desk.lineage("voice"))).status == 3, "to try again is no use"

        ran = await desk.run("accept", desk.lineage("voice"), "--reason", "tags are no use here")
        assert ran.status == 0, ran.err
        assert "accepted: the next new key is compared with these rights" in shown(ran)
        done = await desk.run("once")
        assert done.status == 0
        assert desk.serves("voice")
        again = await desk.json("rotate", desk.lineage("voice"))
        assert again.status == 0

    async def test_where_nothing_is_offered_there_is_nothing_to_accept(self, desk: Desk) -> None:
        desk.key("voice")
        await desk.run("once")
        ran = await desk.json("accept", desk.lineage("voice"))
        assert (ran.status, outcome(ran)) == (1, declined("nothing_offered"))

    @pytest.mark.parametrize("command", ["accept", "import", "history"])
    async def test_it_takes_one_lineage_by_its_name(self, desk: Desk, command: str) -> None:
        ran = await desk.run(command, "secret/*")
        assert ran.status == 2
        assert "by its whole name" in shown(ran)


class TestForget:
    @pytest.mark.promise("P4")
    async def test_nothing_is_done_any_more_until_it_is_adopted_again(self, desk: Desk) -> None:
        desk.due_key("voice")
        ran = await desk.run("rotate", "*")
        assert ran.status == 0
        told = await desk.run("forget", "*", "--reason", "the team is gone", "--yes")
        assert told.status == 0
        assert "left alone until `rotator adopt`" in shown(told)
        before = desk.versions()

        assert (await desk.run("once")).status == 0
        status = await desk.json("status")
        assert status.line("voice")["phase"] == "forgotten"
        assert status.document["excluded"]["asr"]["named_by_record"] == 2
        refused = await desk.json("rotate", "*")
        assert (refused.status, outcome(refused)) == (1, declined("forgotten"))
        assert desk.versions() == before

        assert (await desk.run("adopt", "*")).status == 0
        assert (await desk.json("status")).line("voice")["phase"] == "awaiting_release"

    async def test_it_shows_what_lives_on_and_until_when_and_asks(self, desk: Desk) -> None:
        desk.due_key("voice")
        await desk.run("once")
        ran = await desk.run("forget", "*")
        assert ran.status == 2
        assert "lives on, and nothing deletes it" in shown(ran)
        assert "in 4h" in ran.err
        assert (await desk.json("status")).line("voice")["phase"] == "awaiting_release"


class TestRotate:
    async def test_a_key_that_is_not_due_is_replaced_now_and_what_became_of_each_is_said(
        self, desk: Desk
    ) -> None:
        for name in ("a", "b", "c"):
            desk.key(name, age=HOUR)
        await desk.run("forget", desk.lineage("c"), "--yes")
        await desk.run("once")
        await desk.run("forget", desk.lineage("c"), "--yes")
        ran = await desk.run("rotate", "*", "--reason", "somebody left")
        assert ran.status == 1
        assert "rotated: a person ordered it" in shown(ran)
        assert "refused: it was forgotten by an order" in shown(ran)
        assert "2 lineages: 2 rotated" in ran.out
        assert desk.serves("a")
        assert desk.serves("b")
        assert not desk.exists("c")

    async def test_the_document_holds_the_report_of_the_sweep(self, desk: Desk) -> None:
        desk.write(WATCH)
        desk.key("voice")
        ran = await desk.json("rotate", "*")
        assert ran.status == 0
        assert outcome(ran) == given()
        (line,) = ran.document["report"]["lineages"]
        assert [done["reason"] for done in line["done"]] == ["ordered"]
        assert (line["version"], line["standing"]) == (1, None)

    @pytest.mark.promise("P7")
    async def test_the_log_has_one_line_with_all_evidence_of_each_rotation(self, desk: Desk) -> None:
        old = desk.due_key("voice")
        ran = await desk.run("--log-format", "json", "rotate", "*")
        (evidence,) = log_of(ran, "recorded")
        entry = desk.entry("voice")
        assert evidence["key_id"] == entry["api_key_id"]
        assert evidence["rotation_id"] == entry["rotation_id"]
        assert evidence["replaced_key_id"] == old.key_id
        assert (evidence["reason"], evidence["version"]) == ("ordered", 1)
        assert evidence["lineage"] == desk.lineage("voice")
        for name in ("intent_at", "created_at", "proven_at", "published_at", "holder", "policy"):
            assert evidence[name], name
        assert set(evidence) == {
            *("event", "level", "logger", "timestamp", "lineage", "reason", "key_id", "rotation_id"),
            *("version", "replaced_key_id", "intent_at", "created_at", "proven_at", "published_at"),
            *("holder", "policy"),
        }

    async def test_twenty_at_once_are_bounded_and_show_their_progress(self, desk: Desk) -> None:
        desk.write(POLICIES, runtime="{claim_ttl: 30s, call_timeout: 5s, concurrency: 3}")
        for n in range(20):
            desk.key(f"voice {n}", age=HOUR)
        desk.simulator.latency = timedelta(milliseconds=20)
        ran = await desk.run("--log-format", "json", "rotate", "*")
        assert ran.status == 0, ran.err
        assert "20 lineages: 20 rotated" in ran.out
        under_way = most = 0
        for line in map(json.loads, ran.err.splitlines()):
            under_way += {"intent": 1, "recorded": -1}.get(line["event"], 0)
            most = max(most, under_way)
        assert most <= 3
        assert len(log_of(ran, "recorded")) == 20

    @pytest.mark.promise("P8")
    async def test_an_order_that_a_pause_stops_stands_and_is_carried_out_after_it(self, desk: Desk) -> None:
        desk.key("voice", age=HOUR)
        await desk.run("once")
        await desk.run("pause", "--reason", "Vault is upgraded")
        ran = await desk.run("rotate", "*", "--reason", "somebody left")
        assert ran.status == 3
        assert "paused: nothing is done until `rotator resume`" in shown(ran)
        assert "somebody left" in ran.out
        assert not desk.exists("voice")

        await desk.run("resume")
        assert "rotated: a person ordered it" in (await desk.run("once")).out

    async def test_a_failure_is_told_and_the_order_stands(self, desk: Desk) -> None:
        desk.key("voice", age=HOUR)
        await desk.run("once")
        desk.simulator.faults.switch_on(Operation.CREATE, Fault.ERROR500)
        ran = await desk.json("rotate", "*")
        assert ran.status == 1
        assert outcome(ran) == given()
        (line,) = ran.document["report"]["lineages"]
        assert line["error"]["error"] == "Ambiguous"

        desk.simulator.faults.clear()
        assert (await desk.run("rotate", "*")).status == 0
        assert desk.serves("voice")

    async def test_an_order_does_not_wait_when_it_is_interrupted(self, desk: Desk) -> None:
        desk.key("voice", age=HOUR)
        await desk.run("once")
        (name,) = [path for path in desk.versions() if path.startswith(f"{desk.journal}/lineages/")]
        fields = desk.root.data(name)
        record = json.loads(str(fields["record"]))
        record["claim"] = {"holder": "another", "ttl": "PT30S"}
        desk.root.do("POST", f"secret/data/{name}", {"data": {**fields, "record": json.dumps(record)}})
        process = await desk.start("rotate", "*")
        assert process.stderr is not None
        waiting = await process.stderr.readline()
        assert b"waiting" in waiting
        process.send_signal(signal.SIGINT)
        ran = await desk.end(process)
        assert ran.status == 75
        assert "another process works on it" in shown(ran)


class TestEmergency:
    @pytest.mark.promise("P3")
    async def test_every_earlier_key_goes_without_overlap_and_release_under_a_pause_too(
        self, desk: Desk
    ) -> None:
        desk.write(LONG)
        original = desk.due_key("voice")
        await desk.run("once")
        first = str(desk.entry("voice")["api_key_id"])
        assert (await desk.run("rotate", "*")).status == 0
        second = str(desk.entry("voice")["api_key_id"])
        await desk.run("pause")
        assert all(desk.alive(key_id) for key_id in (original.key_id, first, second))

        ran = await desk.run("rotate", "--emergency", "*", "--reason", "a leak", "--yes")
        assert ran.status == 0, ran.err
        assert not any(desk.alive(key_id) for key_id in (original.key_id, first, second))
        assert desk.serves("voice")
        assert ran.column("DONE") == (
            "rotated: an emergency was ordered old key deleted: an emergency was ordered (3 times)"
        )

        await desk.run("resume")
        third = str(desk.entry("voice")["api_key_id"])
        await desk.run("rotate", "*")
        assert desk.alive(third)

    async def test_it_shows_every_key_with_its_last_use_and_asks(self, desk: Desk) -> None:
        desk.write(LONG)
        original = desk.due_key("voice")
        await desk.run("once")
        first = str(desk.entry("voice")["api_key_id"])
        desk.used(first, ago=5 * MINUTE)
        ran = await desk.asked("n\n", "rotate", "--emergency", "*")
        assert ran.status == 1
        for key_id in (original.key_id, first):
            assert key_id[:8] in ran.err
        assert re.search(r"5m(\d+s)? ago: STILL IN USE", ran.column("LAST USED"))
        assert "STILL IN USE: 1 of 2" in shown(ran)
        assert desk.alive(original.key_id)
        assert desk.alive(first)

        done = await desk.asked("y\n", "rotate", "--emergency", "*")
        assert done.status == 0
        assert not desk.alive(original.key_id)

    async def test_a_key_that_is_not_taken_in_is_on_the_list_too(self, desk: Desk) -> None:
        desk.write(WATCH)
        key = desk.key("voice")
        ran = await desk.run("rotate", "--emergency", "*")
        assert ran.status == 2
        assert key.key_id[:8] in ran.err
        assert "not taken in yet" in shown(ran)

    async def test_results_as_json_still_ask_unless_told_not_to(self, desk: Desk) -> None:
        key = desk.key("voice")
        ran = await desk.json("rotate", "--emergency", "*")
        assert (ran.status, ran.out) == (2, "")
        assert key.key_id[:8] in ran.err

        done = await desk.json("rotate", "--emergency", "*", "--yes")
        assert done.status == 0
        assert done.document["keys"] is None
        assert not desk.alive(key.key_id)

    @pytest.mark.promise("P8")
    async def test_what_can_not_be_deleted_is_tried_again_while_the_command_runs(self, desk: Desk) -> None:
        desk.write(f"{POLICIES}    retry: {{initial: 1s, max: 1s}}\n")
        keys = [desk.due_key("voice")]
        await desk.run("once")
        desk.simulator.faults.switch_on(Operation.DELETE, Fault.ERROR500)
        process = await desk.start("rotate", "--emergency", "*", "--yes")
        while not desk.simulator.count(Operation.DELETE):
            await desk.world.clock.sleep(timedelta(milliseconds=20))
        desk.simulator.faults.clear()
        ran = await desk.end(process)
        assert ran.status == 0, ran.out
        assert "the order to 1 lineage is not carried out yet; the next look is in" in shown(ran)
        assert not any(desk.alive(key.key_id) for key in keys)

    @pytest.mark.promise("P8")
    async def test_interrupted_it_names_the_keys_that_are_alive_and_the_next_sweep_goes_on(
        self, desk: Desk
    ) -> None:
        desk.write(f"{POLICIES}    retry: {{initial: 1s, max: 1s}}\n")
        key = desk.due_key("voice")
        await desk.run("once")
        desk.simulator.faults.switch_on(Operation.DELETE, Fault.ERROR500)
        process = await desk.start("rotate", "--emergency", "*", "--yes")
        while not desk.simulator.count(Operation.DELETE):
            await desk.world.clock.sleep(timedelta(milliseconds=20))
        process.send_signal(signal.SIGTERM)
        ran = await desk.end(process)
        assert ran.status == 1
        assert "STILL ALIVE after the emergency" in ran.column("STANDS")
        assert key.key_id in ran.column("STANDS")

        desk.simulator.faults.clear()
        await desk.world.clock.sleep(timedelta(seconds=1))
        assert (await desk.run("once")).status == 0
        assert not desk.alive(key.key_id)

    async def test_it_takes_over_what_another_process_has_claimed(self, desk: Desk) -> None:
        desk.write(POLICIES)
        desk.due_key("voice")
        desk.simulator.latency = timedelta(milliseconds=300)
        other = await desk.start("once")
        while not desk.simulator.count(Operation.CREATE):
            await desk.world.clock.sleep(timedelta(milliseconds=10))
        began = desk.world.clock.monotonic()
        ran = await desk.run("rotate", "--emergency", "*", "--yes")
        took = desk.world.clock.monotonic() - began
        await desk.end(other)
        desk.simulator.latency = timedelta(0)
        assert ran.status == 0, ran.err
        assert took < 30, "a claim lasts 30 s"
        assert desk.serves("voice")
        await desk.world.clock.sleep(timedelta(seconds=2.5))  # the overlap, and a second by which Date is cut
        await desk.run("once")
        ours = [key.key_id for key in desk.world.keys(desk.project_id) if "[rotator:" in key.comment]
        assert ours == [desk.entry("voice")["api_key_id"]]


class TestReasons:
    @pytest.mark.parametrize(
        ("reason", "why"),
        [
            ("x" * 20 + " " + "y " * 150, "at most 300 visible characters"),
            ("two\nlines", "at most 300 visible characters"),
            ("\x1b[31mred", "at most 300 visible characters"),
            (f"the key {CANARY.replace('-', '')}{'a1' * 20}", "as long as a secret"),
        ],
    )
    async def test_a_reason_is_one_line_of_bounded_length_and_no_secret(
        self, desk: Desk, reason: str, why: str
    ) -> None:
        process = await desk.start("adopt", "*", "--reason", reason)
        ran = await desk.end(process)
        assert ran.status == 2
        assert why in shown(ran)
        assert "a1a1a1" not in shown(ran)

    async def test_a_reason_of_the_longest_is_remembered_whole(self, desk: Desk) -> None:
        desk.key("voice")
        reason = "Größe " * 50
        await desk.run("adopt", "*", "--reason", reason)
        ran = await desk.json("history", desk.lineage("voice"))
        assert ran.document["orders"][0]["why"] == reason


class TestStatus:
    async def test_a_bad_file_is_78(self, desk: Desk) -> None:
        desk.file.write_text("version: 2\n")
        assert (await desk.run("adopt", "*")).status == 78

    @pytest.mark.parametrize("command", ["adopt", "pause", "history"])
    async def test_without_vault_it_is_75(self, desk: Desk, command: str) -> None:
        desk.key("voice")
        desk.write(POLICIES, address="http://127.0.0.1:9")
        ran = await desk.run(command, "secret/x")
        assert ran.status == 75
        assert "do:" in ran.err

    async def test_without_a_lineage_to_order_about_it_is_2(self, desk: Desk) -> None:
        assert (await desk.run("release")).status == 2
