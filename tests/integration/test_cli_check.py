"""`rotator check`: everything that rotations will need is looked at before, on a real Vault and a provider."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rotator.simulator.faults import Fault, Operation
from rotator.simulator.rights import Role
from rotator.simulator.world import Quirks
from tests.integration.conftest import HOUR, POLICIES, Desk, Ran
from tests.support.canary import CANARY
from tests.support.vault_lab import LEAST_PRIVILEGE

DAY = timedelta(days=1)


def of(ran: Ran, check: str) -> Any:  # noqa: ANN401 (whatever JSON can hold)
    """Return the one finding of that name."""
    found = [one for one in ran.document["findings"] if one["check"] == check]
    assert len(found) == 1, [one["check"] for one in ran.document["findings"]]
    return found[0]


def names(ran: Ran, *grades: str) -> set[str]:
    """Return what was found of these grades."""
    return {one["check"] for one in ran.document["findings"] if one["grade"] in grades}


def of_another(desk: Desk) -> str:
    """Let all keys but the management key be of another account; return the one that the management key is of."""
    ours, desk.owner_id = desk.owner_id, desk.world.add_member(desk.project_id)
    desk.key("voice")
    return ours


async def test_in_the_first_hour_all_is_fine_and_nothing_is_touched(desk: Desk) -> None:
    of_another(desk)
    before = desk.versions()
    ran, shown = await desk.json("check"), await desk.run("check")

    assert (ran.status, shown.status, shown.err) == (0, 0, "")
    assert ran.document["fine"] is True
    assert names(ran, "problem", "warning") == set()
    assert names(ran, "ok") == {
        "vault_reached",
        "mount_fit",
        "journal_none",
        "entries_writable",
        "management_accepted",
        "new_owner",
        "policy_fit",
    }
    assert "0 problems, 0 warnings, 7 fine" in shown.out
    assert desk.versions() == before
    assert {call.method for call in desk.simulator.log} == {"GET"}

    await desk.run("once")
    later = await desk.json("check")
    assert later.status == 0
    assert of(later, "journal_ours")["what"] == "it is ours, with 1 record"


async def test_the_file_comes_first(desk: Desk) -> None:
    desk.write("\n  - {name: a, overlap: soon}\n")
    ran, document = await desk.run("check"), await desk.json("check")

    assert (ran.status, ran.out) == (78, "")
    assert "policies[0].overlap" in ran.err
    assert (document.status, document.document["fine"]) == (78, False)
    assert not desk.simulator.log


async def test_what_is_found_is_told_with_why_and_what_to_do_the_gravest_first(desk: Desk) -> None:
    desk.key("voice")
    desk.key("Voice")
    ran = await desk.run("check")

    assert ran.status == 3
    lines = [line for line in ran.out.splitlines() if line]
    grades = [line.split()[0] for line in lines if line.startswith(("problem ", "warning ", "ok "))]
    assert grades == sorted(grades, key=("problem", "warning", "ok").index)
    (at,) = (number for number, line in enumerate(lines) if line.startswith("problem "))
    told = " ".join(" ".join(lines[at : at + 6]).split())
    assert f"problem lineages: held: secret/{desk.entries}/voice (keys" in told
    assert "why: two keys give this one path do: narrow `select`" in told
    assert lines[-1].startswith("1 problem, ")


async def test_a_narrow_terminal_gets_narrow_lines(desk: Desk) -> None:
    desk.key("voice")
    desk.key("Voice")
    ran = await desk.run("check", COLUMNS="60")
    findings = ran.out.partition("\n\n")[2]

    assert max(map(len, findings.splitlines())) <= 60


# Vault


async def test_a_vault_that_is_away_stops_nothing_else(desk: Desk) -> None:
    desk.write(address="http://127.0.0.1:1")
    ran = await desk.json("check")

    assert ran.status == 75
    assert names(ran, "problem") == {"vault_failed"}
    assert "not reached" in of(ran, "vault_failed")["why"]
    assert "VAULT_ADDR" in of(ran, "vault_failed")["to_do"]
    assert {"management_accepted", "policies_unknown", "list_partial"} <= names(ran, "ok", "warning")


@pytest.mark.promise("P7")
async def test_a_token_that_is_dead_is_told_once(desk: Desk) -> None:
    (desk.folder / "token").write_text(f"{CANARY}-unknown")
    ran = await desk.json("check")

    assert ran.status == 3
    assert names(ran, "problem") == {"vault_failed"}
    assert "the token itself is refused" in of(ran, "vault_failed")["why"]


async def test_a_credential_that_is_not_there_is_78_and_the_rest_is_looked_at(desk: Desk) -> None:
    (desk.folder / "token").unlink()
    ran = await desk.json("check")

    assert ran.status == 78
    assert "token" in of(ran, "vault_failed")["why"]
    assert "management_accepted" in names(ran, "ok")


async def test_a_token_that_may_do_too_much_or_not_for_long_is_told(desk: Desk) -> None:
    (desk.folder / "token").write_text(desk.root.token.reveal())
    assert of(await desk.json("check"), "token_is_root")["grade"] == "warning"

    name, token = uuid.uuid4().hex, f"{CANARY}-token-{uuid.uuid4().hex}"
    desk.root.do("POST", f"sys/policies/acl/{name}", {"policy": LEAST_PRIVILEGE})
    desk.root.do(
        "POST",
        "auth/token/create",
        {"id": token, "policies": [name], "explicit_max_ttl": "1h", "renewable": False},
    )
    (desk.folder / "token").write_text(token)
    ends = of(await desk.json("check"), "token_ends")
    assert ends["what"].startswith("our token ends in 59m")


async def test_rights_that_are_missing_are_named_with_their_paths(desk: Desk) -> None:
    desk.key("voice")
    desk.key("ivr")
    poor = f"""
path "secret/data/{desk.entries}/*" {{ capabilities = ["read"] }}
path "secret/metadata/{desk.entries}/*" {{ capabilities = ["read"] }}
path "secret/data/{desk.journal}/*" {{ capabilities = ["read", "update"] }}
path "secret/metadata/{desk.journal}/*" {{ capabilities = ["list"] }}
"""
    (desk.folder / "token").write_text(desk.root.new_token(poor).reveal())
    ran = await desk.json("check")

    assert ran.status == 3
    assert names(ran, "problem") == {"journal_rights", "entry_refused"}
    journal = of(ran, "journal_rights")
    assert journal["what"] == (
        f"our token lacks create on secret/data/{desk.journal}/control, create on "
        f"secret/data/{desk.journal}/lineages/any-000000000000"
    )
    entries = of(ran, "entry_refused")
    assert entries["subjects"] == [f"secret/{desk.entries}/ivr", f"secret/{desk.entries}/voice"]
    assert f"update on secret/data/{desk.entries}/ivr" in entries["why"]
    assert "`rotator vault-policy`" in entries["to_do"]


async def test_a_token_that_may_not_list_the_journal_can_say_nothing_of_policies(desk: Desk) -> None:
    listless = LEAST_PRIVILEGE.replace('["list"]', '["deny"]')
    (desk.folder / "token").write_text(desk.root.new_token(listless).reveal())
    ran = await desk.json("check")

    assert ran.status == 3
    assert names(ran, "problem") == {"journal_rights"}
    assert of(ran, "journal_rights")["what"] == (
        f"our token lacks list on secret/metadata/{desk.journal}/lineages/"
    )
    assert "policies_unknown" in names(ran, "warning")


@pytest.mark.parametrize(
    ("mount", "said"), [("nowhere", "permission denied"), ("cubbyhole", "another type than kv")]
)
async def test_a_mount_that_does_not_fit_is_told_once(desk: Desk, mount: str, said: str) -> None:
    desk.key("voice")
    desk.key("ivr")
    desk.write(POLICIES.replace("destination: {", f"destination: {{mount: {mount}, "))
    ran = await desk.json("check")

    assert ran.status == 3
    assert names(ran, "problem") == {"mount_unfit"}
    assert said in of(ran, "mount_unfit")["why"]


async def test_a_journal_of_another_instance_is_told(desk: Desk) -> None:
    await desk.run("once")
    desk.head = desk.head.replace("version: 1\n", "version: 1\ninstance: other\n")
    desk.write()
    ran = await desk.json("check")

    assert ran.status == 3
    assert "it belongs to instance default" in of(ran, "journal_failed")["why"]


async def test_a_mount_on_which_vault_deletes_by_itself_is_told(desk: Desk) -> None:
    mount = desk.root.mount(delete_version_after="720h", max_versions=1)
    desk.write(journal=f"{{mount: {mount}, prefix: rotator-journal/{desk.place}}}")
    policy = LEAST_PRIVILEGE + LEAST_PRIVILEGE.replace("secret/", f"{mount}/")
    policy += f'path "{mount}/config" {{ capabilities = ["read"] }}'
    (desk.folder / "token").write_text(desk.root.new_token(policy).reveal())
    ran = await desk.json("check")

    assert ran.status == 3
    assert names(ran, "problem") == {"journal_deletes"}
    assert of(ran, "few_versions")["subjects"] == [mount]


async def test_entries_that_can_not_take_a_secret_are_told(desk: Desk) -> None:
    for name in ("deleting", "large", "single"):
        desk.key(name)
    desk.put("deleting", team="voice")
    desk.root.do(
        "POST", f"secret/metadata/{desk.entries}/deleting", {"delete_version_after": "1h", "max_versions": 5}
    )
    desk.put("large", **{f"x{n}": "x" * 1800 for n in range(300)})
    desk.put("single", team="voice")
    desk.root.do("POST", f"secret/metadata/{desk.entries}/single", {"max_versions": 1})
    ran = await desk.json("check")

    assert ran.status == 3
    refused = {
        tuple(one["subjects"]): one["why"]
        for one in ran.document["findings"]
        if one["check"] == "entry_refused"
    }
    assert "set delete_version_after to 0s" in refused[f"secret/{desk.entries}/deleting",]
    assert "KiB" in refused[f"secret/{desk.entries}/large",]
    assert of(ran, "few_versions")["subjects"] == [f"secret/{desk.entries}/single"]
    assert of(ran, "entries_writable")["what"] == "a new secret can be published into 1 entry"


# Providers


def refused(desk: Desk) -> None:
    desk.environment["DEEPGRAM_API_KEY"] = f"{CANARY}-nobody"


def away(desk: Desk) -> None:
    desk.simulator.faults.switch_on(Operation.LIST, Fault.ERROR500)


def unset(desk: Desk) -> None:
    del desk.environment["DEEPGRAM_API_KEY"]


def weak(desk: Desk) -> None:
    key = desk.key("weak", scopes=("usage:write",))
    desk.environment["DEEPGRAM_API_KEY"] = key.secret.reveal()


def another_project(desk: Desk) -> None:
    other = desk.world.add_project("other")
    member = desk.world.add_member(other)
    key = desk.world.add_key(other, member_id=member, scopes=("owner",))
    desk.environment["DEEPGRAM_API_KEY"] = key.secret.reveal()


@pytest.mark.promise("P7")
@pytest.mark.parametrize(
    ("cause", "status", "said"),
    [
        (refused, 3, "the management key is refused as invalid"),
        (away, 75, "500"),
        (unset, 78, "the variable is not set"),
        (weak, 3, "INSUFFICIENT_PERMISSIONS"),
        (another_project, 3, "PROJECT_NOT_FOUND"),
    ],
)
async def test_a_provider_that_can_not_be_used_stops_nothing_else(
    desk: Desk, cause: Callable[[Desk], None], status: int, said: str
) -> None:
    cause(desk)
    ran = await desk.json("check")

    assert ran.status == status
    assert names(ran, "problem") == {"provider_failed"}
    assert said in of(ran, "provider_failed")["why"]
    assert of(ran, "provider_failed")["to_do"]
    assert {"vault_reached", "mount_fit", "journal_none"} <= names(ran, "ok")


async def test_a_management_key_that_will_not_do_for_ever(desk: Desk) -> None:
    member = desk.world.add_member(desk.project_id, role=Role.ADMIN, email="ops@example.com")
    now = desk.world.clock.now()
    key = desk.world.add_key(
        desk.project_id,
        member_id=member,
        comment="rotator's new one",
        scopes=("admin",),
        expires_at=now + 12 * DAY + HOUR,
    )
    desk.environment["DEEPGRAM_API_KEY"] = key.secret.reveal()
    desk.write(POLICIES.replace('comment: "*"', "comment: voice*"))
    desk.key("voice billing", scopes=("usage:write", "billing:write"))
    ran = await desk.json("check")

    assert ran.status == 0
    assert ran.document["fine"] is True
    assert "expires in 12d" in of(ran, "management_expires")["what"]
    assert "nothing rotates it" in of(ran, "management_expires")["what"]
    assert of(ran, "scopes_lacking")["subjects"] == [f"secret/{desk.entries}/voice-billing"]
    assert "billing:write is to be copied" in of(ran, "scopes_lacking")["what"]
    assert of(ran, "new_owner")["what"] == (
        "new keys will belong to ops@example.com, and end if that account is removed; 2 keys belong to other "
        "accounts now"
    )
    assert "ops@example.com" in of(ran, "owner_not_owner")["what"]


async def test_a_management_key_of_a_person_and_one_that_was_replaced(desk: Desk) -> None:
    desk.owner_id = of_another(desk)
    desk.key("of the same person")
    left = desk.key("rotator itself", scopes=("owner",))
    ran = await desk.json("check")

    assert ran.status == 0
    assert "has 2 keys of its own besides" in of(ran, "account_shared")["what"]
    assert of(ran, "management_duplicate")["subjects"] == [left.key_id]


async def test_a_list_that_shows_only_our_own_keys(desk: Desk) -> None:
    desk.world.set_role(of_another(desk), Role.MEMBER)
    ran = await desk.json("check")

    assert of(ran, "list_partial")["grade"] == "warning"


async def test_an_account_that_is_no_owner_may_not_delete_keys_of_others(desk: Desk) -> None:
    desk.world.set_role(of_another(desk), Role.ADMIN)
    ran = await desk.json("check")

    assert of(ran, "owner_not_owner")["what"].endswith("is no owner there but admin")


async def test_a_provider_that_does_not_say_which_key_is_ours(desk: Desk) -> None:
    of_another(desk)
    desk.world.quirks = Quirks(self_check_says_id=False)
    ran = await desk.json("check")

    assert ran.status == 0
    assert "management_unnamed" in names(ran, "warning")


# Policies


async def test_policies_are_compared_with_the_keys_that_there_are(desk: Desk) -> None:
    desk.key("endless", lifetime=None)
    desk.key("hurried", age=30 * HOUR, lifetime=50 * HOUR)
    desk.write(
        POLICIES.replace("overlap: 1s", "overlap: 20h")
        + "  - {name: nothing, provider: asr, select: {comment: nothing}}\n"
        + "  - {name: gone, provider: asr, keys: {PLACE/gone: 8f14e45f}}\n"
    )
    ran = await desk.json("check")

    assert ran.status == 3
    assert of(ran, "never_due")["subjects"] == [f"secret/{desk.entries}/endless"]
    assert of(ran, "lead_too_short")["subjects"] == [f"secret/{desk.entries}/hurried"]
    assert "= 21h2m" in of(ran, "lead_too_short")["why"]
    assert of(ran, "safe_start_past")["subjects"] == [f"secret/{desk.entries}/hurried"]
    assert of(ran, "nothing_selected")["about"] == "policy nothing"
    assert of(ran, "key_missing")["subjects"] == [f"8f14e45f for secret/{desk.entries}/gone"]


@pytest.mark.promise("P8")
async def test_holds_are_told_before_anything_is_done(desk: Desk) -> None:
    desk.key("voice")
    desk.key("Voice")
    desk.key("twice")
    desk.key("occupied")
    desk.put("occupied", api_key=f"{CANARY}-of-somebody")
    desk.write(POLICIES + "  - {name: again, provider: asr, select: {comment: twice}, adopt: when_due}\n")
    ran = await desk.json("check")
    held = {one["subjects"][0]: one["why"] for one in ran.document["findings"] if one["check"] == "held"}

    assert ran.status == 3
    assert len(held) == 3
    assert set(held.values()) == {
        "two keys give this one path",
        "two policies match this key",
        "the secret field holds something that is not proven to be this key's secret",
    }


@pytest.mark.promise("P8")
async def test_a_lineage_that_no_policy_covers_any_more_is_told(desk: Desk) -> None:
    desk.key("voice")
    assert (await desk.run("once")).status == 0
    desk.write(POLICIES.replace('"*"', "voise"))
    ran = await desk.json("check")

    assert ran.status == 3
    assert of(ran, "uncovered")["subjects"] == [desk.lineage("voice")]
    assert "rotator forget" in of(ran, "uncovered")["to_do"]
    assert (await desk.run("status", "--exit-code")).status == 3
    assert (await desk.run("forget", desk.lineage("voice"), "--yes")).status == 0
    assert (await desk.run("check")).status == 0
