"""`rotator plan` and `rotator status`: they show everything and touch nothing."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from rotator.model.key import Mark
from rotator.simulator.faults import Fault, Operation
from tests.integration.conftest import POLICIES, Desk
from tests.support.canary import CANARY, scan

COMMANDS = ("plan", "status")


def clash(desk: Desk) -> None:
    desk.key("voice")
    desk.key("Voice")


def stray(desk: Desk) -> None:
    journal = next(p for p in desk.versions() if p.endswith("/control"))
    journal_id = str(desk.root.data(journal)["journal_id"])
    desk.key(Mark(journal_id, "0" * 12, "0" * 16).put_on("\x1b[2Jcopied"))


def provider_down(desk: Desk) -> None:
    desk.simulator.faults.switch_on(Operation.LIST, Fault.ERROR500)


def denied(desk: Desk) -> None:
    desk.environment["DEEPGRAM_API_KEY"] = CANARY + "nobody"


TROUBLES: dict[str, tuple[Callable[[Desk], None], int, str]] = {
    "hold": (clash, 3, "two keys give this one path"),
    "stray": (stray, 3, r"\x1b[2Jcopied"),
    "provider down": (provider_down, 75, "provider asr"),
    "credential refused": (denied, 1, "the management key is refused as invalid"),
}


@pytest.mark.parametrize("command", COMMANDS)
async def test_nothing_is_touched_before_there_is_a_journal(desk: Desk, command: str) -> None:
    desk.due_key("voice")
    desk.put("other", api_key=f"{CANARY}-of-somebody")
    before = desk.versions()
    ran = await desk.run(command)

    assert (ran.status, ran.err) == (0, "")
    assert f"secret/{desk.entries}/voice" in ran.out
    assert "nothing was touched" in ran.out
    assert desk.versions() == before
    assert {call.method for call in desk.simulator.log} == {"GET"}


@pytest.mark.parametrize("command", COMMANDS)
async def test_nothing_is_touched_when_everything_is_due(desk: Desk, command: str) -> None:
    desk.write(POLICIES.replace("overlap: 1s", "overlap: 0s"))
    old = desk.due_key("served")
    desk.put("served", api_key=old.secret.reveal())
    await desk.run("once", "--limit", "1")
    desk.due_key("new")
    before, calls = desk.versions(), len(desk.simulator.log)
    ran = await desk.json(command)

    assert ran.status == 0
    actions = {
        line["lineage"].rpartition("/")[2]: line["decision"]["action"] for line in ran.document["lineages"]
    }
    assert actions["new"] == "adopt"
    assert desk.versions() == before
    assert {call.method for call in desk.simulator.log[calls:]} == {"GET"}


@pytest.mark.promise("P8")
@pytest.mark.parametrize("name", TROUBLES)
async def test_trouble_is_shown_and_a_status_only_when_asked(desk: Desk, name: str) -> None:
    cause, status, said = TROUBLES[name]
    await desk.run("once")
    cause(desk)

    shown, asked = await desk.run("plan"), await desk.run("status", "--exit-code")
    assert (shown.status, asked.status) == (0, status)
    for ran in (shown, asked):
        assert said in " ".join(ran.out.split())
        assert "To do:" in ran.out


async def test_exclusions_are_counted_by_reason(desk: Desk) -> None:
    desk.key("an admin", scopes=("admin",))
    desk.key("short", age=timedelta(0), lifetime=timedelta(hours=1))
    desk.key("gone", age=timedelta(hours=30), lifetime=timedelta(hours=26))
    desk.key("gone too", age=timedelta(hours=30), lifetime=timedelta(hours=26))

    shown = await desk.run("plan")
    assert "2 at asr: expired" in shown.out
    assert "1 at asr: the management key that rotator uses" in shown.out
    document = (await desk.json("plan")).document
    assert document["lineages"] == []
    assert document["excluded"] == {
        "asr": {"expired": 2, "management_key": 1, "manages_keys": 1, "temporary": 1}
    }


async def test_who_asks_about_some_lineages_is_not_told_what_is_left_out_besides(desk: Desk) -> None:
    desk.key("voice")
    desk.key("short", age=timedelta(0), lifetime=timedelta(hours=1))

    assert "temporary" in (await desk.run("status")).out
    assert "temporary" not in (await desk.run("status", desk.lineage("voice"))).out


async def test_the_plan_says_when(desk: Desk) -> None:
    key = desk.key("voice")
    line = (await desk.json("plan")).line("voice")

    assert line["key_id"] == key.key_id
    assert line["phase"] == "unadopted"
    assert 40 * 3600 < line["expires_in"] < 41 * 3600
    assert datetime.fromisoformat(line["latest_safe_start"]) < datetime.fromisoformat(line["expires_at"])
    shown = await desk.run("plan")
    assert "take the key in, then rotate in " in " ".join(shown.out.split())


async def test_status_tells_the_phases_apart(desk: Desk) -> None:
    desk.write(f"""
  - {{name: watched, provider: asr, select: {{comment: watched}}, destination: {{path: "PLACE/w/{{slug}}"}}}}
{POLICIES.replace('"*"', "[served, fresh, due]").lstrip(chr(10))}""")
    desk.key("watched")
    desk.key("fresh")
    desk.due_key("due")
    served = desk.key("served")
    desk.put("served", api_key=served.secret.reveal())
    await desk.run("once")
    ran = await desk.json("status")

    phases = {line["lineage"].rpartition("/")[2]: line["phase"] for line in ran.document["lineages"]}
    assert phases == {
        "watched": "watched",
        "fresh": "adopted",
        "due": "awaiting_release",
        "served": "current",
    }
    desk.key("late")
    desk.write()
    assert (await desk.json("status", "*/late")).line("late")["phase"] == "unadopted"


@pytest.mark.promise("P8")
async def test_status_shows_the_last_error(desk: Desk) -> None:
    desk.due_key("voice")
    desk.simulator.faults.switch_on(Operation.CREATE, Fault.ERROR500)
    await desk.run("once")
    ran = await desk.run("status", "--exit-code")

    assert ran.status == 1
    assert "failing" in ran.out
    assert "failed once" in " ".join(ran.out.split())


@pytest.mark.promise("P7")
async def test_a_saved_snapshot_is_decided_on_elsewhere_and_later(desk: Desk) -> None:
    key = desk.key("voice")
    desk.put("voice", api_key=key.secret.reveal())
    await desk.run("once")
    file = desk.folder / "seen.json"
    file.write_text("an older one, that others may read")
    file.chmod(0o644)
    live = await desk.json("plan", "--save", str(file))
    scan(file.read_text(), "the saved snapshot")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in desk.folder.iterdir()) == ["config.yaml", "seen.json", "token"]

    # No policy file, no credential, no network: only the snapshot.
    desk.environment.clear()
    calls = len(desk.simulator.log)
    nowhere = (
        "--config",
        str(desk.folder / "none.yaml"),
        "--output",
        "json",
        "plan",
        "--snapshot",
        str(file),
    )
    again = await desk.run(*nowhere)
    assert again.status == 0, again.err
    assert again.line("voice")["decision"] == live.line("voice")["decision"]
    later = await desk.run(*nowhere, "--at", "+35h")
    assert later.line("voice")["decision"]["action"] == "rotate"
    at = (datetime.fromisoformat(live.document["now"]) + timedelta(hours=35)).isoformat()
    assert (await desk.run(*nowhere, "--at", at)).document["lineages"] == later.document["lineages"]
    assert (await desk.run(*nowhere, "other/*")).document["lineages"] == []
    assert len(desk.simulator.log) == calls


async def test_the_calendar_shows_all_that_would_be_done_also_elsewhere(desk: Desk) -> None:
    desk.key("voice")
    desk.key("endless", lifetime=None)
    await desk.run("once")
    file = desk.folder / "seen.json"
    before = desk.versions()
    live = await desk.json("plan", "--until", "10d", "--save", str(file))
    shown = await desk.run("plan", "--until", "10d", COLUMNS="200")

    assert (live.status, shown.status) == (0, 0)
    calendar = live.document["calendar"]
    assert desk.versions() == before
    first = calendar["events"][0]
    line = live.line("voice")
    assert (first["what"], first["lineage"]) == ("rotate", desk.lineage("voice"))
    assert first["at"][:16] == line["decision"]["until"][:16]
    assert len({one["at"] for one in calendar["events"] if one["what"] == "rotate"}) >= 6
    assert [one["lineage"] for one in calendar["unrotated"]] == [desk.lineage("endless")]
    assert [one["policy"] for one in calendar["oldest_keys"]] == ["standard"]
    assert "if nothing goes wrong" in shown.out
    assert f"rotate {desk.lineage('voice')}: its expiry comes near" in shown.out
    assert "standard (2 lineages): without end" in shown.out

    desk.environment.clear()
    nowhere = ("--config", "none.yaml", "--output", "json", "plan", "--snapshot", str(file), "--until")
    again = await desk.run(*nowhere, "10d")
    assert again.document["calendar"] == calendar
    alone = await desk.run(*nowhere, "10d", desk.lineage("endless"))
    assert alone.document["calendar"]["events"] == []
    assert (await desk.run(*nowhere, "10")).status == 2


async def test_the_calendar_knows_how_many_may_begin_in_an_hour_also_elsewhere(desk: Desk) -> None:
    desk.write(f"{POLICIES}limits: {{starts_per_hour: 1}}\n")
    for name in ("a", "b", "c"):
        desk.due_key(name)
    file = desk.folder / "seen.json"
    live = await desk.json("plan", "--until", "1d", "--save", str(file))
    offline = await desk.json("plan", "--until", "1d", "--snapshot", str(file))

    (crowd,) = live.document["calendar"]["crowds"]
    assert (crowd["waiting"], crowd["missed"]) == ({"asr": 2}, 0)
    assert offline.document["calendar"] == live.document["calendar"]


async def test_a_snapshot_that_is_none_is_refused(desk: Desk) -> None:
    file = desk.folder / "seen.json"
    file.write_text(json.dumps({"format": 9}))
    odd = await desk.run("plan", "--snapshot", str(file))
    gone = await desk.run("plan", "--snapshot", str(desk.folder / "none.json"))
    unwritable = await desk.run("plan", "--save", str(desk.folder / "no" / "where.json"))
    folder = await desk.run("plan", "--save", str(desk.folder))

    assert [ran.status for ran in (odd, gone, unwritable, folder)] == [1, 1, 1, 1]
    assert "not a saved snapshot of format 1" in odd.err
    assert "No such file" in gone.err
    assert "No such file" in unwritable.err
    assert "not a regular file" in folder.err


async def test_a_closed_pipe_is_quiet(desk: Desk) -> None:
    desk.due_key("voice")
    process = await desk.start("plan")
    assert process.stdout is not None
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined] # as `head` does
    _, err = await process.communicate()

    assert (process.returncode, err) == (0, b"")
