from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.clock import SystemClock
from rotator.errors import Ambiguous, Conflict, Denied, Rejected, TooNew, Unavailable
from rotator.model import record as records
from rotator.model.entry import FieldNames
from rotator.model.lineage import Lineage
from rotator.model.order import Pause
from rotator.model.record import Claim, Current, KnownKey, Record
from rotator.model.secret import Secret
from rotator.ports import Control, Journal
from rotator.rotation import pauses
from rotator.simulator.vault_server import VaultServer
from rotator.vault.client import VaultClient
from rotator.vault.journal import VaultJournal
from tests.support.canary import CANARY
from tests.support.vault_lab import LEAST_PRIVILEGE, Reply, Root, Seen, between, connected

CONTROL = Control(journal_id="0123456789ab", instance="prod")
AT = datetime(2026, 1, 1, 1, 2, 3, 456789, tzinfo=UTC)
LINEAGE = Lineage(provider="p", project_id="x", namespace="", mount="secret", path="app/key")
NAME = LINEAGE.record_name


@pytest.fixture
def prefix(place: str) -> str:
    return f"rotator-journal/{place}"


def on(client: VaultClient, prefix: str) -> VaultJournal:
    return VaultJournal(client, mount="secret", prefix=prefix)


@pytest.fixture
def journal(client: VaultClient, prefix: str) -> Journal:
    return on(client, prefix)


def record(holder: str = "h", lineage: Lineage = LINEAGE) -> Record:
    key = KnownKey(
        key_id="key-1",
        comment="\u20ac comment",
        asked_scopes=frozenset({"usage:write"}),
        scopes=frozenset({"usage:write", "usage:read"}),
        tags=frozenset(),
        created_at=datetime(2026, 1, 1, 1, 2, 3, 456789, tzinfo=UTC),
        expires_at=None,
        member_id=None,
    )
    return Record(
        lineage=lineage,
        first_key_id="key-1",
        adopted_at=key.created_at,
        fields=FieldNames(),
        current=Current(key=key, rotation_id="0" * 16, version=2**53 + 1, published_at=key.created_at),
        claim=Claim(holder, timedelta(seconds=90.123456)),
    )


# The control record


async def test_a_journal_is_founded_once(journal: Journal) -> None:
    assert await journal.control() is None
    await journal.write_control(CONTROL)
    assert await journal.control() == replace(CONTROL, version=1)
    with pytest.raises(Conflict):
        await journal.write_control(Control(journal_id="b" * 12, instance="other"))
    assert await journal.control() == replace(CONTROL, version=1)


async def test_pauses_come_back_as_they_were(journal: Journal) -> None:
    paused = (
        Pause(glob="secret/[ab]*", who="ann@desk", why="Größe \u20ac", at=AT),
        Pause(glob="*", who="", why="", at=AT + timedelta(microseconds=1)),
    )
    await journal.write_control(CONTROL)
    await journal.write_control(replace(CONTROL, pauses=paused, version=1))
    assert await journal.control() == replace(CONTROL, pauses=paused, version=2)


async def test_of_two_who_pause_at_once_the_second_looks_again(journal: Journal) -> None:
    await journal.write_control(CONTROL)
    seen = replace(CONTROL, version=1)
    first = (Pause(glob="a*", who="ann@desk", why="", at=AT),)
    await journal.write_control(replace(seen, pauses=first))
    with pytest.raises(Conflict):
        await journal.write_control(replace(seen, pauses=(Pause(glob="b*", who="ben@desk", why="", at=AT),)))
    assert await journal.control() == replace(CONTROL, pauses=first, version=2)


async def test_with_a_real_journal_pauses_are_given_and_ended(journal: Journal) -> None:
    clock = SystemClock()
    await journal.write_control(CONTROL)
    one, other = (Pause(glob=glob, who="ann@desk", why="", at=AT) for glob in ("a*", "b*"))
    assert await pauses.pause(journal, clock, (one,)) == (one,)
    assert await pauses.pause(journal, clock, (other,)) == (one, other)
    assert await pauses.resume(journal, clock, ("a*",)) == pauses.Resumed(ended=(one,), left=(other,))
    assert await pauses.resume(journal, clock, ()) == pauses.Resumed(ended=(other,), left=())
    assert await journal.control() == replace(CONTROL, version=5)


async def test_who_asks_at_the_same_time_shares_one_read_that_begins_after_the_question(
    server: VaultServer, token: Secret, prefix: str
) -> None:
    paused = replace(CONTROL, pauses=(Pause(glob="*", who="", why="", at=AT),), version=1)
    with between(lambda _seen, pass_on: pass_on(), server.address) as proxy:
        async with connected(proxy.address, token) as client, connected(server.address, token) as other:
            await on(other, prefix).write_control(CONTROL)
            journal = on(client, prefix)
            await journal.control()
            proxy.seen.clear()
            first = asyncio.create_task(journal.control())
            while not proxy.seen:
                await asyncio.wait({first}, timeout=0.001)
            await on(other, prefix).write_control(paused)
            others = await asyncio.gather(*(journal.control() for _ in range(20)))
            await first
    assert all(control is not None and control.version == 2 for control in others)
    assert len(proxy.seen) == 2


GOOD_CONTROL = {"format": "1", "journal_id": "0123456789ab", "instance": "prod", "pauses": "[]"}
PAUSE = {"glob": "*", "who": "ann@desk", "why": "", "at": "2026-01-01T00:00:00Z"}
"""No version was released before pauses were kept: a control record without the field is not one of ours."""


async def test_the_control_record_is_read_from_what_others_wrote(
    journal: Journal, root: Root, prefix: str
) -> None:
    document = GOOD_CONTROL | {"pauses": json.dumps([PAUSE])}
    root.do("POST", f"secret/data/{prefix}/control", {"data": document})
    control = await journal.control()
    assert control is not None
    assert [one.glob for one in control.pauses] == ["*"]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"api_key": "something else"},
        GOOD_CONTROL | {"format": "2"},
        GOOD_CONTROL | {"format": "2", "needs": "2"},
        GOOD_CONTROL | {"format": "2", "needs": "x"},
        GOOD_CONTROL | {"format": "3", "needs": "1"},
        GOOD_CONTROL | {"format": "2", "needs": "1", "more": 7},
        GOOD_CONTROL | {"needs": "1"},
        GOOD_CONTROL | {"format": "01"},
        GOOD_CONTROL | {"format": 1},
        GOOD_CONTROL | {"more": "x"},
        GOOD_CONTROL | {"instance": 7},
        GOOD_CONTROL | {"journal_id": "x ] y"},
        GOOD_CONTROL | {"journal_id": "0123456789AB"},
        {"format": "1", "journal_id": "0123456789ab"},
        {name: value for name, value in GOOD_CONTROL.items() if name != "pauses"},
        GOOD_CONTROL | {"pauses": ""},
        GOOD_CONTROL | {"pauses": []},
        GOOD_CONTROL | {"pauses": "{}"},
        GOOD_CONTROL | {"pauses": "[7]"},
        GOOD_CONTROL | {"pauses": json.dumps([PAUSE | {"at": "2026-01-01T00:00:00"}])},
        GOOD_CONTROL | {"pauses": json.dumps([PAUSE | {"more": "x"}])},
        GOOD_CONTROL | {"pauses": json.dumps([PAUSE | {"glob": 7}])},
        GOOD_CONTROL | {"pauses": json.dumps([{"glob": "*"}])},
    ],
)
async def test_something_else_in_place_of_the_control_record_is_rejected(
    journal: Journal, root: Root, prefix: str, document: dict[str, object]
) -> None:
    root.do("POST", f"secret/data/{prefix}/control", {"data": document})
    with pytest.raises(Rejected):
        await journal.control()
    with pytest.raises(Conflict):
        await journal.write_control(CONTROL)


async def test_pauses_that_can_not_be_read_are_not_shown(journal: Journal, root: Root, prefix: str) -> None:
    document = GOOD_CONTROL | {"pauses": json.dumps([PAUSE | {CANARY: CANARY}])}
    root.do("POST", f"secret/data/{prefix}/control", {"data": document})
    with pytest.raises(Rejected, match="its pauses can't be read by this version") as caught:
        await journal.control()
    assert CANARY not in str(caught.value)


async def test_a_deleted_control_record_is_not_a_new_journal(
    journal: Journal, root: Root, prefix: str
) -> None:
    await journal.write_control(CONTROL)
    root.do("DELETE", f"secret/data/{prefix}/control")
    with pytest.raises(Rejected, match="deleted"):
        await journal.control()
    with pytest.raises(Conflict):
        await journal.write_control(CONTROL)


# Records


async def test_a_record_comes_back_as_it_was(journal: Journal) -> None:
    before = await journal.read(NAME)
    assert (before.record, before.version, before.written_at) == (None, 0, None)
    assert await journal.write(record(), base=0) == 1
    read = await journal.read(NAME)
    assert (read.record, read.version) == (record(), 1)
    assert read.written_at is not None
    assert abs(read.written_at - read.at) < timedelta(seconds=10)
    assert before.at <= read.at
    assert await journal.names() == (NAME,)


async def test_names_of_a_new_journal_and_of_one_with_strange_things_in_it(
    journal: Journal, root: Root, prefix: str
) -> None:
    assert await journal.names() == ()
    root.do("POST", f"secret/data/{prefix}/lineages/folder/x", {"data": {"a": "b"}})
    root.do("POST", f"secret/data/{prefix}/lineages/stranger", {"data": {"a": "b"}})
    await journal.write(record(), base=0)
    root.do("DELETE", f"secret/data/{prefix}/lineages/{NAME}")
    assert await journal.names() == (NAME, "stranger")


@pytest.mark.promise("P6")
@pytest.mark.parametrize("base", [0, 1, 3])
async def test_from_another_version_nothing_is_written(journal: Journal, base: int) -> None:
    await journal.write(record("a"), base=0)
    assert await journal.write(record("b"), base=1) == 2
    with pytest.raises(Conflict):
        await journal.write(record("late"), base=base)
    assert (await journal.read(NAME)).record == record("b")


async def test_a_write_without_an_answer_is_ambiguous(server: VaultServer, root: Root, prefix: str) -> None:
    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply | None:
        reply = forward()
        return None if request.method == "POST" else reply

    with between(rule, server.address) as lab:
        async with connected(lab.address, root.token) as client:
            with pytest.raises(Ambiguous):
                await on(client, prefix).write(record(), base=0)
            assert (await on(client, prefix).read(NAME)).version == 1


def document(**changes: object) -> dict[str, object]:
    return {"format": "1", "lineage": LINEAGE.name, "record": records.encode(record())} | changes


OTHER = Lineage(provider="p", project_id="x", namespace="", mount="secret", path="app/other")


async def test_what_is_one_format_newer_is_kept_as_it_is(journal: Journal, root: Root, prefix: str) -> None:
    """The journal of a rotator that is rolled out, or was rolled back: both go on, and nothing gets lost."""
    newer = GOOD_CONTROL | {"format": "2", "needs": "1", "keys_in_use": "[7]"}
    text = records.encode(record()).replace('"format":1', '"format":2,"needs":1,"more":[1,"x"]')
    root.do("POST", f"secret/data/{prefix}/control", {"data": newer})
    root.do("POST", f"secret/data/{prefix}/lineages/{NAME}", {"data": document(format="2", record=text)})

    await pauses.pause(journal, SystemClock(), (Pause(glob="a*", who="ann@desk", why="", at=AT),))
    await pauses.resume(journal, SystemClock(), ())
    read = await journal.read(NAME)
    assert read.record is not None
    await journal.write(replace(read.record, claim=None), base=read.version)

    assert root.data(f"{prefix}/control") == newer
    written = root.data(f"{prefix}/lineages/{NAME}")
    assert written["format"] == "2"
    assert json.loads(str(written["record"])) == json.loads(text) | {"claim": None}


@pytest.mark.promise("P2")
async def test_what_is_for_newer_rotators_only_is_told_and_never_written_over(
    journal: Journal, root: Root, prefix: str
) -> None:
    text = records.encode(record()).replace('"format":1', '"format":2')
    root.do("POST", f"secret/data/{prefix}/control", {"data": GOOD_CONTROL | {"format": "2"}})
    root.do("POST", f"secret/data/{prefix}/lineages/{NAME}", {"data": document(format="2", record=text)})

    for read in (journal.control(), journal.read(NAME)):
        with pytest.raises(TooNew, match="in format 2; only a rotator that knows format 2 may act by it"):
            await read
    with pytest.raises(Conflict):
        await journal.write(record(), base=0)
    with pytest.raises(Conflict):
        await journal.write_control(CONTROL)


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        ({}, "no format"),
        (document(format="2"), "another format"),
        (document(format=1), "no format"),
        (document(extra="x"), "other fields"),
        (document(record={"lineage": "x"}), "other fields than texts"),
        (document(record="{}"), "not a journal record"),
        (document(record="no JSON"), "not a journal record"),
        (
            document(record=records.encode(record()).replace('"format":1', '"format":2')),
            "a newer rotator wrote it",
        ),
        (
            document(record=records.encode(record()).replace('"format":1', '"format":1,"x":1')),
            "not a journal record",
        ),
        (document(record=records.encode(record(lineage=OTHER)), lineage=OTHER.name), "another lineage"),
        (document(lineage="secret/else"), "another lineage"),
    ],
)
async def test_what_this_version_can_not_read_is_rejected(
    journal: Journal, root: Root, prefix: str, stored: dict[str, object], problem: str
) -> None:
    root.do("POST", f"secret/data/{prefix}/lineages/{NAME}", {"data": stored})
    with pytest.raises(Rejected, match=problem):
        await journal.read(NAME)


async def test_a_good_document_written_by_hand_is_read(journal: Journal, root: Root, prefix: str) -> None:
    root.do("POST", f"secret/data/{prefix}/lineages/{NAME}", {"data": document()})
    assert (await journal.read(NAME)).record == record()


@pytest.mark.promise("P2")
@pytest.mark.parametrize(
    ("verb", "path", "body"), [("DELETE", "data", None), ("POST", "destroy", {"versions": [1]})]
)
async def test_a_deleted_record_is_not_a_new_lineage(
    journal: Journal, root: Root, prefix: str, verb: str, path: str, body: object
) -> None:
    await journal.write(record(), base=0)
    root.do(verb, f"secret/{path}/{prefix}/lineages/{NAME}", body)
    with pytest.raises(Rejected, match="version 1 was deleted"):
        await journal.read(NAME)
    with pytest.raises(Conflict):
        await journal.write(record(), base=0)


@pytest.mark.promise("P2")
async def test_a_record_that_vault_would_delete_is_rejected(
    journal: Journal, root: Root, prefix: str
) -> None:
    for name in ("control", f"lineages/{NAME}"):
        root.do("POST", f"secret/metadata/{prefix}/{name}", {"delete_version_after": "720h"})
    with pytest.raises(Rejected, match="delete_version_after"):
        await journal.write(record(), base=0)
    with pytest.raises(Rejected, match="delete_version_after"):
        await journal.write_control(CONTROL)


async def test_a_long_record_is_no_problem_for_limits_on_the_number_of_strings(journal: Journal) -> None:
    many = record()
    assert many.current is not None
    key = KnownKey(
        key_id="k",
        comment="",
        asked_scopes=frozenset(map(str, range(3000))),
        scopes=frozenset(),
        tags=frozenset(),
        created_at=many.current.key.created_at,
        expires_at=None,
        member_id=None,
    )
    long = Record(
        lineage=LINEAGE,
        first_key_id="key-1",
        adopted_at=key.created_at,
        fields=FieldNames(),
        current=Current(key=key, rotation_id=None, version=1, published_at=key.created_at),
    )
    await journal.write(long, base=0)
    assert (await journal.read(NAME)).record == long


# All methods


async def test_without_rights_every_method_is_denied(server: VaultServer, root: Root, prefix: str) -> None:
    token = root.new_token('path "secret/data/other" { capabilities = ["read"] }')
    async with connected(server.address, token) as client:
        journal = on(client, prefix)
        for attempt in (
            journal.control(),
            journal.write_control(CONTROL),
            journal.names(),
            journal.read(NAME),
            journal.write(record(), base=0),
        ):
            with pytest.raises(Denied, match="its policies"):
                await attempt


async def test_without_vault_every_method_is_unavailable(root: Root, prefix: str) -> None:
    with between(lambda _request, _forward: None) as lab:
        async with connected(lab.address, root.token) as client:
            journal = on(client, prefix)
            for attempt in (
                journal.control(),
                journal.write_control(CONTROL),
                journal.names(),
                journal.read(NAME),
                journal.write(record(), base=0),
            ):
                with pytest.raises(Unavailable):
                    await attempt


@pytest.mark.promise("P6")
async def test_a_version_1_mount_is_rejected_by_every_method(server: VaultServer, root: Root) -> None:
    mount = root.mount(version=1)
    async with connected(server.address, root.token) as client:
        journal = VaultJournal(client, mount=mount, prefix="j")
        for attempt in (
            journal.control(),
            journal.write_control(CONTROL),
            journal.names(),
            journal.read(NAME),
            journal.write(record(), base=0),
        ):
            with pytest.raises(Rejected, match="version 1"):
                await attempt
    assert root.ask("GET", f"{mount}?list=true").status == 404


async def test_a_name_that_is_not_allowed_is_rejected(journal: Journal) -> None:
    for name in ("../control", "a b", ""):
        with pytest.raises(Rejected, match="segments of"):
            await journal.read(name)


async def test_the_least_privilege_can_not_remove_a_record(
    server: VaultServer, root: Root, journal: Journal, prefix: str
) -> None:
    await journal.write(record(), base=0)
    limited = Root(server.address, root.new_token(LEAST_PRIVILEGE))
    for verb, path in (("DELETE", "data"), ("DELETE", "metadata"), ("POST", "delete"), ("POST", "destroy")):
        body = {"versions": [1]} if verb == "POST" else None
        assert limited.ask(verb, f"secret/{path}/{prefix}/lineages/{NAME}", body).status == 403
