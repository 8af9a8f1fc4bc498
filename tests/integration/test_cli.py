"""The command line itself: usage, files, and what it says when it can't begin."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from rotator import __version__
from tests.integration.conftest import Desk, Ran
from tests.support.canary import CANARY, secret_text
from tests.support.vault_lab import Root

NEEDS_VAULT = ("plan", "status", "once")


def parts(ran: Ran) -> list[str]:
    """Return what, why and what to do."""
    (text,) = [ran.err.strip()]
    found = re.fullmatch(r"rotator: (.+)\n  why: (.+)\n  do:  (.+)", text)
    assert found, text
    return list(found.groups())


async def test_the_version_and_the_help(desk: Desk) -> None:
    version, shown = await desk.run("--version"), await desk.run("--help")

    assert __version__ in version.out
    assert all(f"\n  {command} " in shown.out for command in (*NEEDS_VAULT, "check", "demo"))
    assert (version.status, shown.status) == (0, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("plan", "--nonsense"),
        ("plan", "--at", "+7d"),
        ("plan", "--save", "a", "--snapshot", "b"),
        ("once", "--limit", "-1"),
        ("--output", "xml", "plan"),
    ],
)
async def test_a_wrong_command_line_is_2(desk: Desk, arguments: tuple[str, ...]) -> None:
    ran = await desk.run(*arguments)

    assert ran.status == 2
    assert ran.out == ""
    assert "Usage:" in ran.err


@pytest.mark.parametrize("at", ["tomorrow", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "+3000000d"])
async def test_a_time_that_can_not_be_used_is_2(desk: Desk, at: str) -> None:
    file = desk.folder / "seen.json"
    await desk.run("plan", "--save", str(file))
    ran = await desk.run("plan", "--snapshot", str(file), "--at", at)

    assert ran.status == 2
    assert "--at" in ran.err


@pytest.mark.parametrize("command", ["plan", "status"])
async def test_a_glob_that_names_nothing_is_2_when_a_status_is_asked_for(desk: Desk, command: str) -> None:
    desk.key("voice")

    assert (await desk.run(command, "nonesuch*")).status == 0
    assert (await desk.run(command, "--exit-code", "nonesuch*")).status == 2
    assert (await desk.run(command, "--exit-code", "*/voice")).status == 0


async def test_a_fine_file_is_summed_up(desk: Desk) -> None:
    shown, document = await desk.run("check", "--offline"), (await desk.json("check", "--offline")).document

    assert shown.status == 0
    assert f"{desk.file} is fine" in shown.out
    assert f"journal at secret/{desk.journal}" in shown.out
    assert document["fine"] is True
    assert (document["providers"], document["policies"]) == (["asr"], ["standard"])
    assert not desk.simulator.log


async def test_a_narrow_encoding_stops_nothing(desk: Desk) -> None:
    other = desk.folder / "schlüssel.yaml"
    other.write_text(desk.file.read_text())
    ran = await desk.started("--config", str(other), "check", "--offline", PYTHONIOENCODING="ascii")

    assert ran.status == 0, ran.err
    assert r"schl\xfcssel.yaml is fine" in ran.out


@pytest.mark.promise("P7")
async def test_a_bad_file_is_78_with_every_problem(desk: Desk) -> None:
    desk.write("\n  - {name: a, provider: nobody, overlap: soon}\n", credential=secret_text())
    for command in (("check", "--offline"), *((name,) for name in NEEDS_VAULT)):
        ran = await desk.run(*command)
        assert (ran.status, ran.out) == (78, "")
        assert len(ran.err.splitlines()) >= 3
        assert all(line.startswith(f"{desk.file}:") for line in ran.err.splitlines())
    as_json = await desk.json("check", "--offline")
    assert as_json.status == 78
    assert {problem["path"] for problem in as_json.document["problems"]} >= {"policies[0].overlap"}


async def test_further_files_add_policies(desk: Desk) -> None:
    """They are included, or named by a further `--config`; ROTATOR_CONFIG names one file, whatever its name."""
    folder = desk.folder / "policies.d"
    folder.mkdir()
    for name, place in (("included", folder), ("further", desk.folder)):
        place.joinpath(f"{name}.yaml").write_text(
            f"policies: [{{name: {name}, provider: 'a*', keys: {{{desk.entries}/{name}: key-{name}}}}}]\n"
        )
    main = desk.folder / "a:b.yaml"
    main.write_text(f"{desk.head}include: [policies.d/*.yaml]\n")
    further = str(desk.folder / "further.yaml")
    in_environment = await desk.json("check", "--offline")
    named = await desk.json("--config", str(main), "--config", further, "check", "--offline")
    desk.environment["ROTATOR_CONFIG"] = str(main)
    whole = await desk.run("check", "--offline")
    planned = await desk.json("--config", str(main), "--config", further, "plan")

    assert in_environment.document["policies"] == ["standard"]
    assert named.document["policies"] == ["included", "further"]
    assert named.document["included"] == [str(folder / "included.yaml"), further]
    assert f"included   {folder / 'included.yaml'}\n" in whole.out
    assert "policy     included: keys of asr, adopt watch" in whole.out
    assert [line["lineage"] for line in planned.document["lineages"]] == [
        f"secret/{desk.entries}/{name}" for name in ("further", "included")
    ]


async def test_a_problem_of_a_further_file_is_told_with_its_own_name(desk: Desk) -> None:
    other = desk.folder / "other.yaml"
    other.write_text("policies: [{name: a, provider: nobody, select: {comment: x}}]\n")
    ran = await desk.run("--config", str(desk.file), "--config", str(other), "plan")

    assert (ran.status, ran.out) == (78, "")
    assert ran.err.startswith(f"{other}:1:32: policies[0].provider: `nobody` names no provider")


async def test_the_schema_needs_no_policy_file(desk: Desk) -> None:
    desk.environment.clear()
    desk.environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    ran = await desk.run("schema")

    assert (ran.status, ran.err) == (0, "")
    assert ran.out == (Path(__file__).parents[2] / "docs/reference/policy-file.schema.json").read_text()


async def test_a_missing_file_is_78(desk: Desk) -> None:
    ran = await desk.run("--config", str(desk.folder / "none.yaml"), "plan")

    assert ran.status == 78
    assert parts(ran)[1] == "No such file or directory"
    assert "--config" in parts(ran)[2]


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "folder", "large"])
async def test_only_a_regular_file_of_a_bounded_size_is_read(desk: Desk, kind: str) -> None:
    path = Path(kind) if kind.startswith("/") else desk.folder / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "large":
        path.touch()
        os.truncate(path, 300 * 1024 * 1024)
    policy, snapshot = (
        await desk.run("--config", str(path), "plan"),
        await desk.run("plan", "--snapshot", str(path)),
    )

    assert (policy.status, snapshot.status) == (78, 1)
    for ran, largest in ((policy, 10), (snapshot, 256)):
        why = f"it is larger than {largest} MiB" if kind == "large" else "it is not a regular file"
        assert parts(ran)[1] == why


async def test_the_option_wins_over_the_environment(desk: Desk) -> None:
    other = desk.folder / "other.yaml"
    other.write_text(desk.file.read_text())
    ran = await desk.run("--config", str(other), "check", "--offline")

    assert f"{other} is fine" in ran.out


async def test_a_missing_credential_is_78_and_names_its_place(desk: Desk) -> None:
    del desk.environment["DEEPGRAM_API_KEY"]
    ran = await desk.run("plan")

    assert ran.status == 78
    assert "{env: DEEPGRAM_API_KEY}" in ran.err


@pytest.mark.parametrize("command", NEEDS_VAULT)
async def test_a_vault_that_is_not_there_is_75(desk: Desk, command: str) -> None:
    desk.write(address="http://127.0.0.1:1")
    ran = await desk.run(command)

    assert (ran.status, ran.out) == (75, "")
    what, why, cure = parts(ran)
    assert what == "Vault can't be reached at http://127.0.0.1:1"
    assert "not reached" in why
    assert "VAULT_ADDR" in cure


@pytest.mark.promise("P7")
@pytest.mark.parametrize("command", ["plan", "once"])
async def test_a_token_that_is_refused_is_told_from_one_that_lacks_rights(
    desk: Desk, root: Root, command: str
) -> None:
    token = desk.folder / "token"
    token.write_text(f"{CANARY}-unknown")
    unknown = await desk.run(command)
    token.write_text(root.new_token('path "secret/data/elsewhere" { capabilities = ["read"] }').reveal())
    poor = await desk.run(command)

    assert (unknown.status, poor.status) == (1, 1)
    assert parts(unknown)[0].endswith("does not let us log in")
    assert parts(poor)[0].endswith("refuses our token")
    assert "the token itself is refused" in parts(unknown)[1]
    assert "do not allow this" in parts(poor)[1]


@pytest.mark.promise("P7")
async def test_of_an_address_only_the_host_is_shown(desk: Desk) -> None:
    """Somebody may reach Vault through a path that nobody can guess."""
    desk.write(address=f"http://127.0.0.1:1/{CANARY}")
    shown, failed = await desk.run("check", "--offline"), await desk.run("plan")

    assert re.search("Vault +http://127.0.0.1:1$", shown.out, re.MULTILINE)
    assert parts(failed)[0] == "Vault can't be reached at http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("mount", "said"), [("nowhere", "permission denied"), ("cubbyhole", "another type than kv")]
)
async def test_a_wrong_mount_is_named(desk: Desk, mount: str, said: str) -> None:
    desk.write(journal=f"{{mount: {mount}, prefix: rotator-journal/{desk.place}}}")
    ran = await desk.run("once")

    assert ran.status == 1
    assert said in parts(ran)[1]
    assert mount in parts(ran)[1]


async def test_a_vault_address_of_the_environment_is_held_to_the_same_rules(desk: Desk) -> None:
    """The token would go over the line as it is."""
    address = desk.root.address
    desk.head = desk.head.replace(f"  address: {address}\n", "")
    desk.write()

    assert (await desk.run("plan", VAULT_ADDR=f"{address}/")).status == 0
    for bad in ("http://vault.example.com:8200", "vault.example.com:8200", "https://u:p@vault.example.com"):
        ran = await desk.run("plan", VAULT_ADDR=bad)
        assert ran.status == 78
        assert ran.err.startswith("VAULT_ADDR: ")
    none = await desk.run("plan")
    assert none.status == 78
    assert "set VAULT_ADDR" in none.err


async def test_settings_of_vault_that_can_not_be_used_are_78_and_named(desk: Desk) -> None:
    namespace = await desk.run("plan", VAULT_NAMESPACE="team a")
    authority = await desk.run("plan", VAULT_CACERT="/nowhere/ca.pem")
    desk.write(address=f"{desk.root.address}\n  ca_cert: /nowhere/ca.pem")
    in_file = await desk.run("plan")
    desk.write()
    (desk.folder / "token").write_text(f"{CANARY}é")
    token = await desk.run("plan")

    assert {ran.status for ran in (namespace, authority, in_file, token)} == {78}
    assert namespace.err.startswith("VAULT_NAMESPACE: a path is made of segments")
    assert "(give the path of a namespace" in namespace.err
    for ran, name in ((authority, "VAULT_CACERT"), (in_file, "vault.ca_cert")):
        assert ran.err.startswith(
            f"{name}: there is no such file (put the certificates to trust at /nowhere/ca.pem"
        )
    assert token.err.startswith(
        "vault.auth.token: the token has characters that no token of Vault has (look at"
    )
    assert f"{{file: {desk.folder / 'token'}}}" in token.err


async def test_the_demo_names_what_it_lacks(desk: Desk) -> None:
    folder = desk.folder / "bare"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['uvicorn'] = None\n")
    ran = await desk.started("demo", PYTHONPATH=f"{folder}:{desk.environment['PYTHONPATH']}")

    assert ran.status == 1
    assert parts(ran)[2] == "pip install 'rotator-daemon[demo]'"


@pytest.mark.promise("P7")
async def test_a_bug_is_told_shortly_and_traced_when_asked(desk: Desk) -> None:
    folder = desk.folder / "broken"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import rotator.inventory.fleet as fleet\n"
        "def broken(*_, **__):\n"
        "    secret = 'CAN' + 'ARY'\n"
        "    raise KeyError('x')\n"
        "fleet.survey = broken\n"
    )
    path = f"{folder}:{desk.environment['PYTHONPATH']}"
    short = await desk.started("plan", PYTHONPATH=path)
    long = await desk.started("--log-level", "debug", "plan", traced=True, PYTHONPATH=path)

    assert (short.status, long.status) == (1, 1)
    what, why, cure = parts(short)
    assert what == "a bug ended the command"
    assert why.startswith("KeyError at broken, line ")
    assert "report it" in cure
    assert "Traceback" in long.err


@pytest.mark.parametrize("closed", ["2>&-", "1>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-", "2>/dev/full"])
async def test_a_standard_stream_that_takes_nothing_hinders_no_rotation(desk: Desk, closed: str) -> None:
    desk.due_key("voice")
    ran = await desk.redirected(closed, "once")

    assert ran.status == 0, ran.err
    assert desk.serves("voice")
    assert ("1 rotated" in ran.out) == ("1>" not in closed)


@pytest.mark.parametrize("command", [("plan",), ("--output", "json", "check", "--offline"), ("--help",)])
async def test_a_report_that_can_not_be_written_is_a_plain_failure(
    desk: Desk, command: tuple[str, ...]
) -> None:
    ran = await desk.redirected(">/dev/full", *command)

    assert ran.status == 1
    assert parts(ran)[:2] == ["the report could not be written", "No space left on device"]


@pytest.mark.parametrize("lost", ["2>/dev/full", "2>&-", ">/dev/full 2>/dev/full"])
async def test_words_that_can_not_be_written_change_no_status(desk: Desk, lost: str) -> None:
    assert (await desk.redirected(lost, "nonsense")).status == 2
    desk.write("\n  - {name: a}\n")
    ran = await desk.redirected(lost, "plan")

    assert (ran.status, ran.out, ran.err) == (78, "", "")
