"""`rotator identify`: somebody found a secret. Whose is it, does it work, and what now?"""

from __future__ import annotations

import asyncio
import os
import pty
import sys
from datetime import timedelta

import pytest

from rotator.model.key import Mark
from rotator.model.secret import Secret
from rotator.simulator.faults import Fault, Operation
from rotator.simulator.world import Quirks
from tests.integration.conftest import POLICIES, Desk, Ran
from tests.support.canary import secret_text

pytestmark = pytest.mark.promise("P7")

LONG_OVERLAP = POLICIES.replace("overlap: 1s", "overlap: 1h")


async def identified(desk: Desk, secret: Secret | str) -> Ran:
    """Ask for a document."""
    text = secret if isinstance(secret, str) else secret.reveal()
    return await desk.fed(text.encode(), "--output", "json", "identify")


def served(desk: Desk, path: str) -> str:
    return str(desk.entry(path)["api_key"])


async def test_the_key_in_use_is_named_with_its_lineage_and_what_to_do(desk: Desk) -> None:
    old = desk.due_key("voice")
    desk.put("voice", api_key=old.secret.reveal())
    desk.write(LONG_OVERLAP)
    await desk.run("once")
    before, calls = desk.versions(), len(desk.simulator.log)
    name = f"secret/{desk.entries}/voice"

    ran = await identified(desk, served(desk, "voice"))
    assert (ran.status, ran.err) == (0, "")
    found = ran.document
    assert (found["accepted"], found["role"], found["lineage"]) == (True, "current", name)
    assert (found["provider"], found["key_id"]) == ("asr", desk.entry("voice")["api_key_id"])
    assert found["comment"].startswith("voice [rotator:")
    assert found["served"] == [name]
    assert found["since"] is not None
    assert f"`rotator rotate --emergency {name}`" in found["to_do"]
    shown = await desk.fed(served(desk, "voice").encode(), "identify")
    assert shown.out.splitlines()[0] == "It works: accepted by asr now."
    assert f"in lineage {name}: the key in use, since " in " ".join(shown.out.split())

    before_it = (await identified(desk, old.secret)).document
    assert (before_it["role"], before_it["lineage"]) == ("previous", name)
    assert before_it["served"] == []
    assert desk.versions() == before
    assert {call.method for call in desk.simulator.log[calls:]} == {"GET"}


async def test_every_other_kind_of_key_is_told_apart(desk: Desk) -> None:
    original = desk.due_key("voice")
    await desk.run("once")
    journal_id = str(desk.root.data(f"{desk.journal}/control")["journal_id"])
    keys = {
        "original": original,
        "stray": desk.key(Mark(journal_id, "0" * 12, "0" * 16).put_on("copied")),
        "claimed_elsewhere": desk.key(Mark("f" * 12, "0" * 12, "0" * 16).put_on("theirs")),
        "foreign": desk.key("an admin", scopes=("admin",)),
    }
    advice = {
        "original": "rotator rotate --emergency",
        "stray": f"delete {keys['stray'].key_id} at asr",
        "claimed_elsewhere": "where that other rotator runs",
        "foreign": f"delete {keys['foreign'].key_id} at asr",
    }

    for role, key in keys.items():
        found = (await identified(desk, key.secret)).document
        assert (found["role"], found["key_id"]) == (role, key.key_id)
        assert advice[role] in found["to_do"]
    management = (await identified(desk, desk.environment["DEEPGRAM_API_KEY"])).document
    assert management["role"] == "management"
    assert "make another management key" in management["to_do"]


async def test_a_key_that_a_policy_would_take_is_named_with_its_place(desk: Desk) -> None:
    key = desk.key("voice")
    ran = await identified(desk, key.secret)
    name = f"secret/{desk.entries}/voice"

    assert ran.status == 0
    assert ran.document["role"] == "foreign"
    assert (ran.document["policy"], ran.document["would_be"]) == ("standard", name)
    assert f"`rotator adopt {name}`" in ran.document["to_do"]
    shown = await desk.fed(key.secret.reveal().encode(), "identify")
    assert f"in no lineage yet: policy standard takes it, for {name}" in " ".join(shown.out.split())


async def test_where_the_provider_does_not_say_the_id_vault_does(desk: Desk) -> None:
    desk.due_key("voice")
    await desk.run("once")
    desk.world.quirks = Quirks(self_check_says_id=False)
    ran = await identified(desk, served(desk, "voice"))
    other = await identified(desk, desk.key("other").secret)

    assert ran.document["accepted"] is True
    assert ran.document["key_id"] == desk.entry("voice")["api_key_id"]
    assert (ran.document["role"], ran.document["provider"]) == ("current", "asr")
    assert other.document["key_id"] is None
    assert other.document["accepted"] is True
    assert "does not say whose it is" in other.document["to_do"]


async def test_what_no_provider_accepts_is_compared_with_vault_too(desk: Desk) -> None:
    desk.due_key("voice")
    await desk.run("once")
    nobodys = await identified(desk, secret_text("nobody's"))
    desk.world.person_deletes(str(desk.entry("voice")["api_key_id"]))
    deleted = await identified(desk, served(desk, "voice"))
    shown = await desk.fed(secret_text("nobody's").encode(), "identify")

    assert (nobodys.status, nobodys.document["accepted"], nobodys.document["key_id"]) == (0, False, None)
    assert "No provider accepts it: it was revoked, it has expired, or it is of elsewhere." in shown.out
    assert deleted.document["accepted"] is False
    assert deleted.document["served"] == [f"secret/{desk.entries}/voice"]
    assert (deleted.document["role"], deleted.document["lineage"]) == (
        "current",
        f"secret/{desk.entries}/voice",
    )
    assert "consumers of" in deleted.document["to_do"]


async def test_without_vault_the_provider_says_what_it_knows(desk: Desk) -> None:
    key = desk.key("voice")
    desk.write(address="http://127.0.0.1:1")
    ran = await identified(desk, key.secret)

    assert ran.status == 75
    assert (ran.document["accepted"], ran.document["key_id"]) == (True, key.key_id)
    assert ran.document["lineages_known"] is False
    shown = await desk.fed(key.secret.reveal().encode(), "identify")
    assert "in a lineage or in none: Vault can't be read" in shown.out
    assert "the journal could not be looked at" in shown.err


async def test_what_could_not_be_asked_is_told(desk: Desk) -> None:
    key = desk.key("voice")
    desk.simulator.faults.switch_on(Operation.PROVE, Fault.ERROR500)
    ran = await identified(desk, key.secret)
    shown = await desk.fed(key.secret.reveal().encode(), "identify")

    assert (ran.status, ran.document["accepted"]) == (75, False)
    assert "some could not be asked" in shown.out
    desk.simulator.faults.clear()
    desk.simulator.faults.switch_on(Operation.LIST, Fault.ERROR500)
    listless = await identified(desk, key.secret)
    assert (listless.status, listless.document["key_id"]) == (75, key.key_id)


@pytest.mark.parametrize(("before", "after"), [("", "\n"), ("", "\r\n"), ("", "")])
async def test_one_newline_at_its_end_is_no_part_of_it(desk: Desk, before: str, after: str) -> None:
    key = desk.key("voice")

    assert (await identified(desk, before + key.secret.reveal() + after)).document["accepted"] is True


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"two\nlines", b"x" * 70_000, b"a\x00b"])
async def test_what_is_no_secret_is_refused_unseen(desk: Desk, content: bytes) -> None:
    ran = await desk.fed(content, "identify")

    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("rotator: there is no secret to read\n  why: ")
    assert "two" not in ran.err
    assert not desk.simulator.log


async def test_a_terminal_is_not_waited_for(desk: Desk) -> None:
    """It would show what is typed."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rotator", "identify"),
        env=desk.environment,
        stdin=theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    ran = await desk.end(process)
    os.close(ours)
    os.close(theirs)

    assert ran.status == 2
    assert "standard input is a terminal" in ran.err
    assert "< secret-file" in ran.err


async def test_an_expired_key_is_refused_and_nothing_else(desk: Desk) -> None:
    key = desk.key("gone", age=timedelta(hours=9), lifetime=timedelta(hours=8))
    ran = await identified(desk, key.secret)

    assert (ran.status, ran.document["accepted"]) == (0, False)
