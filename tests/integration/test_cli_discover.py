"""`rotator discover`: every key of every provider, before and after there is anything else."""

from __future__ import annotations

from datetime import timedelta

from rotator.model.key import Mark
from rotator.policy.load import load
from rotator.simulator.faults import Fault, Operation
from rotator.simulator.rights import Role
from tests.integration.conftest import Desk, Ran
from tests.support.canary import CANARY

DAY = timedelta(days=1)
TITLE = "COMMENT"
NO_POLICIES = " []\n"


def shown(ran: Ran) -> str:
    """Return what it says, without line breaks."""
    return " ".join(ran.out.split())


def fleet(desk: Desk) -> None:
    """Make keys of every kind."""
    desk.key("voice gateway", age=DAY)
    desk.key("old and endless", age=400 * DAY, lifetime=None)
    desk.key("too mighty", scopes=("usage:write", "keys:write", "billing:write"))
    desk.key("gone", age=30 * DAY, lifetime=26 * DAY)
    desk.key("of a token server", age=timedelta(0), lifetime=timedelta(hours=1))
    desk.key("licence", scopes=("self-hosted:products",), lifetime=None)


async def test_before_there_is_a_policy_everything_is_shown_and_nothing_is_touched(desk: Desk) -> None:
    desk.write(NO_POLICIES)
    fleet(desk)
    before = desk.versions()
    ran = await desk.run("discover")

    assert (ran.status, ran.err) == (0, "")
    head = ran.out.partition("KEY  ")[0]
    assert " ".join(head.split()).startswith(
        "asr: 7 keys, 4 under no policy, 3 never expiring, 1 with rights beyond usage, 1 old, 1 expired, "
        "1 temporary (not shown)"
    )
    for said in (
        '"voice gateway" under no policy: selected by no policy',
        '"too mighty" under no policy: can manage keys, and is not named by its id',
        "may do more than usage: billing:write, keys:write",
        "old: made over 90d ago",
        '"licence" under no policy: a licence of a self-hosted installation',
        "the management key, which rotator itself works with",
    ):
        assert said in shown_rows(ran), said
    assert "of a token server" not in ran.out
    assert ran.out.index("gone") > ran.out.index("rotator itself")
    assert desk.versions() == before
    assert {call.method for call in desk.simulator.log} == {"GET"}


def shown_rows(ran: Ran) -> str:
    """Return the last column of the table as one text."""
    title = next(line for line in ran.out.splitlines() if TITLE in line)
    return " ".join(line[title.index(TITLE) :].strip() for line in ran.out.splitlines())


async def test_lineages_policies_and_marks_are_told(desk: Desk) -> None:
    first = desk.due_key("voice")
    await desk.run("once")
    desk.key("taken in next")
    journal_id = str(desk.root.data(f"{desk.journal}/control")["journal_id"])
    desk.key(Mark(journal_id, "0" * 12, "0" * 16).put_on("copied"))
    desk.key(Mark("f" * 12, "0" * 12, "0" * 16).put_on("theirs"))
    document = (await desk.json("discover")).document

    found = {
        key["comment"].partition(" [")[0] + ("*" if "[" in key["comment"] else ""): key
        for key in document["providers"]["asr"]["keys"]
    }
    assert {comment: key["role"] for comment, key in found.items()} == {
        "rotator itself": "management",
        "voice": "original",
        "voice*": "current",
        "taken in next": "foreign",
        "copied*": "stray",
        "theirs*": "claimed_elsewhere",
    }
    assert found["voice"]["key_id"] == first.key_id
    assert found["voice"]["lineage"] == found["voice*"]["lineage"] == f"secret/{desk.entries}/voice"
    assert (found["voice"]["policies"], found["voice"]["excluded"]) == ([], "named_by_record")
    assert found["taken in next"]["policies"] == ["standard"]
    assert found["taken in next"]["lineage"] == f"secret/{desk.entries}/taken-in-next"
    assert document["providers"]["asr"]["counts"]["under_no_policy"] == 0
    assert document["lineages_known"] is True
    table = await desk.run("discover")
    assert f"taken by policy standard, for secret/{desk.entries}/taken-in-next" in shown_rows(table)
    assert "a key with our mark that no record leads to" in shown_rows(table)


async def test_how_old_is_old_can_be_said(desk: Desk) -> None:
    desk.key("voice", age=10 * DAY, lifetime=None)

    def old(ran: Ran) -> int:
        count: int = ran.document["providers"]["asr"]["counts"]["old"]
        return count

    assert old(await desk.json("discover", "--older-than", "9d")) == 1
    assert old(await desk.json("discover", "--older-than", "11d")) == 0
    wrong = await desk.run("discover", "--older-than", "soon")
    assert (wrong.status, wrong.out) == (2, "")
    assert "--older-than" in wrong.err


async def test_without_vault_lineages_are_not_known_and_that_is_said(desk: Desk) -> None:
    desk.due_key("voice")
    await desk.run("once")
    desk.write(address="http://127.0.0.1:1")
    ran = await desk.run("discover")

    assert ran.status == 0
    assert "which of these keys are in lineages already is not known" in shown(ran)
    assert "made by rotator, this installation or another" in shown_rows(ran)
    assert "the journal could not be looked at" in ran.err
    assert "\n  do:  " in ran.err
    desk.write(NO_POLICIES, token="{env: NO_SUCH_VARIABLE}}")
    nameless = await desk.json("discover")
    assert nameless.status == 0
    assert nameless.document["lineages_known"] is False
    assert "Vault could not be looked at" in nameless.err
    desk.write(
        NO_POLICIES,
        address="http://127.0.0.1:1",
        credential="{vault: {mount: secret, path: rotated/management, field: key}}",
    )
    keyless = await desk.run("discover")
    assert (keyless.status, keyless.out) == (
        75,
        "Vault can't be read, so which of these keys are in lineages already is not known.\n",
    )
    assert "provider asr could not be looked at" in keyless.err


async def test_a_provider_that_is_down_is_told_and_the_others_are_shown(desk: Desk) -> None:
    other = desk.world.add_project("other")
    member = desk.world.add_member(other)
    management = desk.world.add_key(other, member_id=member, scopes=("owner",), comment="the other's")
    base_url = next(line for line in desk.head.splitlines() if "base_url" in line)
    desk.head += (
        f"  tts:\n    type: deepgram\n    project_id: {other}\n{base_url}\n    credential: {{env: OTHER}}\n"
    )
    desk.write(NO_POLICIES)
    desk.environment["OTHER"] = management.secret.reveal()
    assert (await desk.json("discover")).document["providers"].keys() == {"asr", "tts"}

    desk.environment["OTHER"] = f"{CANARY}-nobody"
    refused = await desk.run("discover")
    assert refused.status == 1
    assert "provider tts could not be looked at" in refused.err
    assert refused.out.startswith("asr: 1 key")
    del desk.environment["OTHER"]
    assert (await desk.run("discover")).status == 78
    desk.environment["OTHER"] = management.secret.reveal()
    desk.simulator.faults.schedule(Operation.LIST, Fault.ERROR500)
    desk.simulator.faults.schedule(Operation.LIST, Fault.ERROR500, nth=2)
    assert (await desk.run("discover")).status == 75


async def test_a_key_whose_details_can_not_be_read_is_named_all_the_same(desk: Desk) -> None:
    desk.write(NO_POLICIES)
    desk.key("voice")
    desk.simulator.faults.schedule(Operation.GET, Fault.ERROR500)
    table = await desk.run("discover")
    desk.simulator.faults.schedule(Operation.GET, Fault.ERROR500)
    stub = await desk.run("discover", "--stub")
    desk.simulator.faults.schedule(Operation.GET, Fault.ERROR500)
    found = (await desk.json("discover")).document["providers"]["asr"]

    assert table.status == 0
    assert "asr: 2 keys" in table.out
    assert "1 that can't be read" in shown(table)
    assert "its details can't be read: 500" in shown(table)
    assert "# Left out at asr, their details can't be read:" in stub.out
    assert len(load((desk.head + stub.out).encode(), name="stub.yaml").policies) <= 1
    assert [one["why"] for one in found["unreadable"]] == ["500"]


async def test_a_list_of_our_own_keys_only_is_called_so(desk: Desk) -> None:
    ann = desk.world.add_member(desk.project_id)
    desk.world.add_key(desk.project_id, member_id=ann, comment="ann's")
    assert "Only keys of our own account" not in (await desk.run("discover")).out
    desk.world.set_role(desk.owner_id, Role.MEMBER)
    ran = await desk.run("discover")

    assert "Only keys of our own account are shown to us" in shown(ran)
    assert "ann's" not in ran.out


async def test_the_stub_is_an_include_file_that_takes_the_keys_in(desk: Desk) -> None:
    fleet(desk)
    voice = desk.key("Voice Gateway")
    desk.write(NO_POLICIES)
    ran = await desk.run("discover", "--stub")
    assert (ran.status, ran.err) == (0, "")

    file = load((desk.head + ran.out).encode(), name="stub.yaml")
    (policy,) = file.policies
    paths = {key_id: path for path, key_id in policy.keys}
    assert len(paths) == 3
    assert paths[voice.key_id] == f"deepgram/asr/voice-gateway-{voice.key_id[:8]}"
    (desk.folder / "found.yaml").write_text(ran.out.replace("deepgram/asr", desk.entries))
    desk.head += "include: [found.yaml]\n"
    desk.write(NO_POLICIES)
    plan = await desk.json("plan")
    assert {line["key_id"] for line in plan.document["lineages"]} == set(paths)
    again = await desk.run("discover", "--stub")
    assert "policies: []" in again.out


async def test_a_stub_is_no_json(desk: Desk) -> None:
    ran = await desk.json("discover", "--stub")

    assert (ran.status, ran.out) == (2, "")


async def test_hostile_comments_steer_neither_the_terminal_nor_the_file(desk: Desk) -> None:
    desk.key("\x1b[2Jx\npolicies: [evil]\u2028- y")
    desk.write(NO_POLICIES)
    table, text = await desk.run("discover"), await desk.run("discover", "--stub")

    assert all(line.isprintable() for ran in (table, text) for line in ran.out.splitlines())
    assert len(load((desk.head + text.out).encode(), name="stub.yaml").policies) == 1
