"""Moves on a real Vault-API server: both places serve through rotations, until the earlier one is given up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.bootstrap import Connected
from rotator.model.entry import EntryState, FieldNames
from rotator.model.lineage import Lineage
from rotator.model.order import OrderKind
from rotator.model.record import Record
from rotator.model.secret import Secret
from rotator.plan.actions import Copy, Rotate
from rotator.rotation import moves
from rotator.rotation.orders import Ordered
from rotator.simulator.vault_server import VaultServer
from tests.integration.conftest import POLICIES, Desk
from tests.support.canary import secret_text
from tests.support.lab import DAY, HOUR, Lab, lab

ELSEWHERE = POLICIES.replace("PLACE/", "PLACE/new/")
FIELDS = POLICIES.replace('{slug}"}', '{slug}", fields: {secret: DEEPGRAM_API_KEY, key_id: null}}')
TICK = timedelta(milliseconds=20)


@pytest.fixture
async def site(server: VaultServer, token: Secret, place: str) -> AsyncIterator[Lab]:
    async with lab(server, token, place) as made:
        yield made


def edited(site: Lab) -> Connected:
    """Return the same installation once its policy file names another folder."""
    (policy,) = site.connected.file.policies
    destination = replace(policy.destination, path=f"rotated/{site.place}/new/{{slug}}")
    changed = replace(policy, destination=destination, fingerprint="edited")
    return replace(site.connected, file=replace(site.connected.file, policies=(changed,)))


def places(site: Lab) -> tuple[Lineage, Lineage]:
    return site.lineage("voice-a"), site.lineage("new/voice-a")


async def ordered(site: Lab, connected: Connected, kind: OrderKind) -> moves.Answer:
    """Give an order about the place before, as a person does."""
    (found,) = (await connected.survey()).found
    ports = connected.ports(found.assignment.lineage, stopping=lambda: False, tell=site.told.append)
    old, new = places(site)
    place, order = (new, moves.move) if kind is OrderKind.MOVE else (old, moves.give_up)
    given = Ordered(kind=kind, who="ann@desk", why="", place=place.name)
    return await order(given, found.assignment, ports)


@pytest.mark.promise("P1", "P3")
async def test_consumers_of_either_place_never_fail_through_rotations_and_the_old_one_can_be_given_up(
    site: Lab,
) -> None:
    """Each consumer reads Vault only every 23 hours, so it holds an old secret for most of each overlap."""
    key = site.key("voice a", age=3 * DAY, lifetime=4 * DAY)
    await site.put("voice-a", key.secret, team="asr")
    await site.sweep()
    connected = edited(site)
    assert isinstance(await ordered(site, connected, OrderKind.MOVE), Record)
    await site.sweep(connected=connected)
    read = site.connected.destinations.read

    async def rotations(days: int, *lineages: Lineage) -> int:
        """Let time pass, a consumer at each of these places, and return how often the key was replaced."""
        count = 0
        for _ in range(days):
            held = [(await read(lineage, FieldNames())).secret for lineage in lineages]
            for _ in range(2):
                site.clock.shift += 11 * HOUR + 30 * timedelta(minutes=1)
                done = (await site.sweep(connected=connected))["voice-a"].done
                count += any(isinstance(action, Rotate) for action in done)
                assert all(secret is not None and site.world.accepts(secret) for secret in held)
        return count

    old, new = places(site)
    assert await rotations(8, old, new) >= 2
    assert isinstance(await ordered(site, connected, OrderKind.GIVE_UP), Record)
    left = await read(old, FieldNames())
    assert await rotations(8, new) >= 2
    assert (await read(old, FieldNames())).entry == left.entry
    assert left.secret is not None
    assert not site.world.accepts(left.secret)
    record = await site.record("voice-a")
    assert [place.name for place in record.places] == [new.name]
    listed = {key.key_id for key in (await site.listing()).keys if key.mark is not None}
    assert listed == record.known_key_ids(), "no key of ours lives on unknown"


@pytest.mark.promise("P2")
async def test_an_order_whose_process_died_before_the_copy_is_finished_by_the_next_sweep(site: Lab) -> None:
    key = site.key("voice a", age=DAY)
    await site.put("voice-a", key.secret)
    await site.sweep()
    connected = edited(site)
    await ordered(site, connected, OrderKind.MOVE)
    old, new = places(site)
    assert (await site.connected.destinations.read(new, FieldNames())).entry.state is EntryState.ABSENT

    results = await site.sweep(connected=replace(connected, holder="second"))

    (done,) = results["voice-a"].done
    assert isinstance(done, Copy)
    secrets = [(await site.connected.destinations.read(place, FieldNames())).secret for place in (old, new)]
    assert all(secret is not None and secret.matches(key.secret) for secret in secrets)


# At a desk


def lineage(desk: Desk, path: str) -> str:
    return f"secret/{desk.entries}/{path}"


async def rotated(desk: Desk, path: str = "voice") -> str:
    """Replace the key in use by an order, and return the id of the new one."""
    ran = await desk.json("rotate", lineage(desk, path))
    assert ran.status == 0, ran.err + ran.out
    return str(desk.entry(path)["api_key_id"])


async def served(desk: Desk) -> None:
    """Have a lineage whose secret Vault serves already."""
    desk.put("voice", api_key=desk.key("voice").secret.reveal(), team="asr")
    ran = await desk.run("once")
    assert ran.status == 0, ran.err


@pytest.mark.promise("P8")
async def test_a_changed_path_is_held_until_a_person_moves_the_lineage(desk: Desk) -> None:
    await served(desk)
    old, new = lineage(desk, "voice"), lineage(desk, "new/voice")
    early = await desk.run("move", old, new)
    assert early.status == 1
    assert "the policy file does not put it there; edit the file first" in " ".join(early.out.split())

    desk.write(ELSEWHERE)
    held = await desk.run("once")
    assert held.status == 3
    assert new in held.out
    assert "`rotator move OLD NEW` serves both places" in " ".join(held.out.split())

    moved = await desk.json("move", old, new, "--reason", "a new folder")
    assert moved.status == 0, moved.err
    document = moved.document
    assert (document["order"], document["place"], document["why"]) == ("move", new, "a new folder")
    assert [(one["lineage"], one["given"]) for one in document["outcomes"]] == [(old, True)]
    (line,) = document["report"]["lineages"]
    assert [(done["action"], done["detail"]) for done in line["done"]] == [("copy", new)]
    assert [(one["place"], one["present"], one["up_to_date"]) for one in line["places"]] == [
        (old, False, True),
        (new, True, True),
    ]
    assert desk.entry("new/voice")["api_key"] == desk.entry("voice")["api_key"]
    again = await desk.run("move", old, new)
    assert again.status == 0
    assert "it is so already" in again.out


@pytest.mark.promise("P1")
async def test_both_places_follow_until_the_old_one_is_given_up(desk: Desk) -> None:
    await served(desk)
    old, new = lineage(desk, "voice"), lineage(desk, "new/voice")
    desk.write(ELSEWHERE)
    moved = await desk.run("move", old, new)
    assert moved.status == 0
    assert "moved: both places are served until the old one is given up" in moved.out
    key_id = await rotated(desk, "new/voice")
    assert desk.entry("voice")["api_key_id"] == key_id
    assert desk.entry("voice")["team"] == "asr"
    status = await desk.run("status")
    assert f"also served at {old} until `rotator move {old} {new} --give-up`" in " ".join(status.out.split())

    asked = await desk.run("move", old, new, "--give-up")
    assert asked.status == 2
    assert f"It holds the secret of key {key_id}" in " ".join(asked.err.split())
    given = await desk.run("move", old, new, "--give-up", "--yes", "--reason", "all moved")
    assert "ordered" in given.err
    assert given.status == 0, given.err
    assert "given up: it is served there no more, and nothing was deleted" in given.out
    assert "what still reads it there fails from the end of that key on" in " ".join(given.out.split())

    later = await rotated(desk, "new/voice")
    assert desk.entry("voice")["api_key_id"] == key_id
    assert later != key_id
    assert desk.serves("new/voice")
    orders = (await desk.json("history", new)).document["orders"]
    about_places = [(one["kind"], one["place"], one["why"]) for one in orders if one["place"]]
    assert about_places == [("move", new, ""), ("give_up", old, "all moved")]
    nothing = await desk.json("move", old, new, "--give-up", "--yes")
    (outcome,) = nothing.document["outcomes"]
    assert (nothing.status, outcome["declined"], nothing.document["left"]) == (1, "not_served", None)


async def test_a_name_that_is_no_lineages_is_a_mistake(desk: Desk) -> None:
    await served(desk)
    name = lineage(desk, "voice")
    for arguments in (
        ("secret/a", "secret/b"),
        ("secret/a", name),
        ("secret/a", "secret/b", "--give-up", "--yes"),
    ):
        ran = await desk.run("move", *arguments)
        assert ran.status == 2
        assert "no lineage is named" in ran.err


@pytest.mark.promise("P4")
async def test_a_place_that_is_taken_is_refused(desk: Desk) -> None:
    await served(desk)
    theirs = secret_text("somebody else's")
    desk.put("new/voice", api_key=theirs)
    desk.write(ELSEWHERE)
    ran = await desk.json("move", lineage(desk, "voice"), lineage(desk, "new/voice"))

    (outcome,) = ran.document["outcomes"]
    assert (ran.status, outcome["hold"]["reason"]) == (3, "destination_occupied")
    assert desk.entry("new/voice") == {"api_key": theirs}


@pytest.mark.promise("P2")
async def test_a_command_that_is_killed_before_the_copy_is_finished_by_the_next_run(desk: Desk) -> None:
    await served(desk)
    desk.write(ELSEWHERE)
    desk.simulator.latency = timedelta(milliseconds=400)
    process = await desk.start("move", lineage(desk, "voice"), lineage(desk, "new/voice"))
    while process.returncode is None and f"{desk.entries}/new/voice" not in desk.written():
        await desk.world.clock.sleep(TICK)
    process.kill()
    await process.wait()
    assert not desk.exists("new/voice")

    desk.simulator.latency = timedelta(0)
    await desk.world.clock.sleep(timedelta(seconds=1))
    ran = await desk.run("once")
    assert ran.status == 0, ran.out
    assert desk.serves("new/voice")


@pytest.mark.promise("P1")
async def test_other_fields_are_served_beside_the_old_ones(desk: Desk) -> None:
    await served(desk)
    name = lineage(desk, "voice")
    desk.write(FIELDS)
    held = await desk.run("once")
    assert held.status == 3
    assert "`rotator move LINEAGE LINEAGE` serves the old and the new fields" in " ".join(held.out.split())

    assert (await desk.run("move", name, name)).status == 0
    key_id = await rotated(desk)
    entry = desk.entry("voice")
    assert entry["api_key"] == entry["DEEPGRAM_API_KEY"]
    assert (entry["api_key_id"], entry["team"]) == (key_id, "asr")
    assert (await desk.run("move", name, name, "--give-up", "--yes")).status == 0
    assert (await desk.json("rotate", name)).status == 0
    after = desk.entry("voice")
    assert after["api_key"] == entry["api_key"]
    assert after["DEEPGRAM_API_KEY"] != entry["api_key"]
