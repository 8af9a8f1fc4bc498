from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.errors import Ambiguous, Conflict, Denied, Rejected, Unavailable
from rotator.model.entry import Entry, EntryState, FieldNames, Place, Publication
from rotator.model.lineage import Lineage
from rotator.model.secret import Secret
from rotator.ports import Destinations
from rotator.simulator.vault_server import VaultServer
from rotator.vault.client import VaultClient
from rotator.vault.destinations import VaultDestinations
from tests.support.canary import CANARY
from tests.support.vault_lab import LEAST_PRIVILEGE, Reply, Root, Seen, between, connected, shown
from tests.support.virtual_clock import VirtualClock

FIELDS = FieldNames()
EXPIRY = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def lineage(place: str) -> Lineage:
    return Lineage(provider="p", project_id="x", namespace="", mount="secret", path=f"rotated/{place}/key")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def on(client: VaultClient, clock: VirtualClock) -> VaultDestinations:
    return VaultDestinations(client, clock, journal_mount="secret", journal_prefix="rotator-journal/j")


@pytest.fixture
def destinations(client: VaultClient, clock: VirtualClock) -> Destinations:
    return on(client, clock)


def publication(number: int = 1, **changes: object) -> Publication:
    first = Publication(
        rotation_id=f"{number:016x}",
        secret=Secret(f"{CANARY}-{number}"),
        key_id=f"key-{number}",
        previous_key_id=f"key-{number - 1}" if number > 1 else None,
        expires_at=EXPIRY,
    )
    return replace(first, **changes)  # type: ignore[arg-type] # the names of its fields


# Reading


async def test_an_entry_that_never_was(destinations: Destinations, lineage: Lineage) -> None:
    read = await destinations.read(lineage, FIELDS)
    assert read.entry == Entry(
        state=EntryState.ABSENT, version=0, written_at=None, rotation_id=None, key_id=None, has_secret=False
    )
    assert read.secret is None
    assert read.at.tzinfo is UTC


async def test_what_was_published_is_read_back(destinations: Destinations, lineage: Lineage) -> None:
    published = await destinations.publish(lineage, FIELDS, publication(), base=0)
    assert (published.version, published.deletion_at) == (1, None)
    read = await destinations.read(lineage, FIELDS, at_least=1)
    assert (read.entry.state, read.entry.version, read.entry.has_secret) == (EntryState.PRESENT, 1, True)
    assert (read.entry.rotation_id, read.entry.key_id) == (f"{1:016x}", "key-1")
    assert read.secret is not None
    assert read.secret.matches(Secret(f"{CANARY}-1"))
    assert read.entry.written_at is not None
    assert abs(read.entry.written_at - read.at) < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("DELETE", "data", None),
        ("POST", "destroy", {"versions": [1]}),
    ],
)
async def test_a_deleted_entry_is_never_absent(
    destinations: Destinations, lineage: Lineage, root: Root, verb: str, path: str, body: object
) -> None:
    await destinations.publish(lineage, FIELDS, publication(), base=0)
    root.do(verb, f"secret/{path}/{lineage.path}", body)
    read = await destinations.read(lineage, FIELDS, at_least=1)
    assert (read.entry.state, read.entry.version, read.secret) == (EntryState.DELETED, 1, None)


async def test_an_entry_of_somebody_else(destinations: Destinations, lineage: Lineage, root: Root) -> None:
    root.do("POST", f"secret/data/{lineage.path}", {"data": {"api_key": {"nested": "x"}, "rotation_id": 7}})
    read = await destinations.read(lineage, FIELDS)
    assert (read.entry.has_secret, read.secret, read.entry.rotation_id) == (True, None, None)


def lagging(
    lineage: Lineage, older: Reply, times: int
) -> Callable[[Seen, Callable[[], Reply]], Reply | None]:
    """Be a standby that gives an `older` answer for a while."""
    left = [times]

    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply | None:
        if request.method == "GET" and f"/data/{lineage.path}" in request.path and left[0] > 0:
            left[0] -= 1
            return older
        return forward()

    return rule


@pytest.mark.parametrize("older_version", [0, 1])
async def test_a_stale_answer_is_not_taken_for_the_truth(
    server: VaultServer, token: Secret, root: Root, lineage: Lineage, clock: VirtualClock, older_version: int
) -> None:
    older = Reply.of(404, {"errors": []})
    for number in (1, 2):
        root.do("POST", f"secret/data/{lineage.path}", {"data": {"api_key": f"{CANARY}-{number}"}})
        if number == older_version:
            older = root.ask("GET", f"secret/data/{lineage.path}")
    with between(lagging(lineage, older, 3), server.address) as lab:
        async with connected(lab.address, token, clock=clock) as client:
            read = await on(client, clock).read(lineage, FIELDS, at_least=2)
    assert read.entry.version == 2
    assert clock.monotonic() == pytest.approx(0.3)


async def test_patience_with_a_standby_ends(
    server: VaultServer, token: Secret, root: Root, lineage: Lineage, clock: VirtualClock
) -> None:
    root.do("POST", f"secret/data/{lineage.path}", {"data": {"api_key": f"{CANARY}-1"}})
    async with connected(server.address, token, clock=clock) as client:
        read = await on(client, clock).read(lineage, FIELDS, at_least=2)
    assert read.entry.version == 1
    assert clock.monotonic() == pytest.approx(3.0)


async def test_a_read_without_a_floor_is_asked_once(
    server: VaultServer, token: Secret, lineage: Lineage, clock: VirtualClock
) -> None:
    async with connected(server.address, token, clock=clock) as client:
        await on(client, clock).read(lineage, FIELDS)
    assert clock.monotonic() == 0


# Publishing


async def test_other_fields_are_kept_and_ours_are_texts(
    destinations: Destinations, lineage: Lineage, root: Root
) -> None:
    theirs = {"url": "https://x", "port": 8080, "nested": {"a": [1, None, True]}, "api_key": "theirs"}
    root.do("POST", f"secret/data/{lineage.path}", {"data": theirs})
    await destinations.publish(lineage, FIELDS, publication(2), base=1)
    assert root.data(lineage.path) == theirs | {
        "api_key": f"{CANARY}-2",
        "api_key_id": "key-2",
        "previous_api_key_id": "key-1",
        "rotation_id": f"{2:016x}",
        "expires_at": "2027-01-01T00:00:00Z",
    }
    await destinations.publish(lineage, FIELDS, publication(3, previous_key_id=None, expires_at=None), base=2)
    assert root.data(lineage.path) == {name: theirs[name] for name in ("url", "port", "nested")} | {
        "api_key": f"{CANARY}-3",
        "api_key_id": "key-3",
        "rotation_id": f"{3:016x}",
    }


async def test_two_sets_of_fields_are_served_from_one_entry(
    destinations: Destinations, lineage: Lineage, root: Root
) -> None:
    other = FieldNames(secret="KEY", previous_key_id=None, expires_at=None)
    await destinations.publish(lineage, FIELDS, publication(), base=0)
    await destinations.publish(lineage, other, publication(), base=1)
    await destinations.publish(lineage, FIELDS, publication(2), base=2)

    entry = root.data(lineage.path)
    assert (entry["api_key"], entry["KEY"]) == (f"{CANARY}-2", f"{CANARY}-1")
    assert (entry["rotation_id"], entry["api_key_id"]) == (f"{2:016x}", "key-2")
    read = await destinations.read(lineage, other, at_least=3)
    assert read.secret is not None
    assert read.secret.matches(Secret(f"{CANARY}-1"))


async def test_a_key_that_vault_held_before_adoption_is_published_without_a_rotation_id(
    destinations: Destinations, lineage: Lineage, root: Root
) -> None:
    root.do("POST", f"secret/data/{lineage.path}", {"data": {"rotation_id": "stale"}})
    await destinations.publish(lineage, FIELDS, publication(rotation_id=None), base=1)

    assert "rotation_id" not in root.data(lineage.path)
    assert (await destinations.read(lineage, FIELDS, at_least=2)).entry.rotation_id is None


@pytest.mark.promise("P6")
@pytest.mark.parametrize("base", [0, 1, 3])
async def test_from_another_version_nothing_is_published(
    destinations: Destinations, lineage: Lineage, root: Root, base: int
) -> None:
    await destinations.publish(lineage, FIELDS, publication(1), base=0)
    await destinations.publish(lineage, FIELDS, publication(2), base=1)
    with pytest.raises(Conflict):
        await destinations.publish(lineage, FIELDS, publication(9), base=base)
    assert root.data(lineage.path)["api_key"] == f"{CANARY}-2"


@pytest.mark.promise("P6")
async def test_a_write_between_our_read_and_our_write_is_a_conflict(
    server: VaultServer, token: Secret, root: Root, lineage: Lineage, clock: VirtualClock
) -> None:
    root.do("POST", f"secret/data/{lineage.path}", {"data": {"api_key": "theirs"}})

    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply | None:
        if request.method == "POST":
            root.do("POST", f"secret/data/{lineage.path}", {"data": {"api_key": "theirs, later"}})
        return forward()

    with between(rule, server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises(Conflict):
                await on(client, clock).publish(lineage, FIELDS, publication(), base=1)
    assert root.data(lineage.path) == {"api_key": "theirs, later"}


@pytest.mark.promise("P4")
async def test_nothing_is_published_over_a_version_that_somebody_deleted(
    destinations: Destinations, lineage: Lineage, root: Root
) -> None:
    await destinations.publish(lineage, FIELDS, publication(), base=0)
    root.do("DELETE", f"secret/data/{lineage.path}")
    for base in (0, 1):
        with pytest.raises(Conflict):
            await destinations.publish(lineage, FIELDS, publication(2), base=base)


async def test_a_stale_read_before_a_publish_is_waited_for_and_never_merged(
    server: VaultServer, token: Secret, root: Root, lineage: Lineage, clock: VirtualClock
) -> None:
    root.do("POST", f"secret/data/{lineage.path}", {"data": {"note": "old"}})
    older = root.ask("GET", f"secret/data/{lineage.path}")
    root.do("POST", f"secret/data/{lineage.path}", {"data": {"note": "new"}})
    with between(lagging(lineage, older, 2), server.address) as lab:
        async with connected(lab.address, token) as client:
            await on(client, clock).publish(lineage, FIELDS, publication(), base=2)
    assert root.data(lineage.path)["note"] == "new"


@pytest.mark.promise("P2", "P7")
async def test_a_publish_without_an_answer_is_ambiguous_and_shows_nothing(
    server: VaultServer, token: Secret, root: Root, lineage: Lineage, clock: VirtualClock
) -> None:
    def rule(request: Seen, forward: Callable[[], Reply]) -> Reply | None:
        reply = forward()
        return None if request.method == "POST" else reply

    with between(rule, server.address) as lab:
        async with connected(lab.address, token) as client:
            with pytest.raises(Ambiguous) as caught:
                await on(client, clock).publish(lineage, FIELDS, publication(), base=0)
    assert CANARY not in shown(caught.value)
    assert root.data(lineage.path)["rotation_id"] == f"{1:016x}"


@pytest.mark.promise("P1")
async def test_two_fields_of_one_name_are_refused(
    destinations: Destinations, lineage: Lineage, root: Root
) -> None:
    with pytest.raises(Rejected, match="one name"):
        await destinations.publish(lineage, FieldNames(key_id="api_key"), publication(), base=0)
    assert root.ask("GET", f"secret/data/{lineage.path}").status == 404


async def test_the_answer_says_when_vault_will_delete_what_was_published(
    destinations: Destinations, lineage: Lineage, root: Root
) -> None:
    root.do("POST", f"secret/metadata/{lineage.path}", {"delete_version_after": "720h"})
    published = await destinations.publish(lineage, FIELDS, publication(), base=0)
    assert published.deletion_at is not None
    read = await destinations.read(lineage, FIELDS)
    assert published.deletion_at - read.at == pytest.approx(timedelta(hours=720), abs=timedelta(seconds=10))


@pytest.mark.promise("P4")
async def test_a_lineage_of_another_namespace_is_not_looked_for_here(
    destinations: Destinations, lineage: Lineage, root: Root
) -> None:
    elsewhere = replace(lineage, namespace="team")
    for attempt in (
        destinations.read(elsewhere, FIELDS),
        destinations.check_writable(elsewhere, FIELDS),
        destinations.publish(elsewhere, FIELDS, publication(), base=0),
    ):
        with pytest.raises(Rejected, match="namespace 'team'"):
            await attempt
    assert root.ask("GET", f"secret/data/{lineage.path}").status == 404


# Checking before


@pytest.mark.parametrize("exists", [False, True])
async def test_the_least_privilege_is_enough(
    destinations: Destinations,
    lineage: Lineage,
    exists: bool,  # noqa: FBT001
) -> None:
    if exists:
        await destinations.publish(lineage, FIELDS, publication(), base=0)
    await destinations.check_writable(lineage, FIELDS)


async def test_root_may_do_all(server: VaultServer, lineage: Lineage, clock: VirtualClock) -> None:
    async with connected(server.address, server.root_token) as client:
        await on(client, clock).check_writable(lineage, FIELDS)


ENTRY = 'path "secret/data/rotated/*" { capabilities = '
SETTINGS = 'path "secret/metadata/rotated/*" { capabilities = ["read"] }\n'
RECORD = 'path "secret/data/rotator-journal/*" { capabilities = '
ALL = '["create", "update", "read"] }\n'


@pytest.mark.parametrize(
    ("policy", "missing"),
    [
        (ENTRY + '["create", "read"] }\n' + SETTINGS + RECORD + ALL, "update on secret/data/rotated/"),
        (ENTRY + '["update", "read"] }\n' + SETTINGS + RECORD + ALL, "create on secret/data/rotated/"),
        (ENTRY + '["create", "update"] }\n' + SETTINGS + RECORD + ALL, "read on secret/data/rotated/"),
        (ENTRY + '["deny"] }\n' + SETTINGS + RECORD + ALL, "update on secret/data/rotated/"),
        (ENTRY + ALL + RECORD + ALL, "read on secret/metadata/rotated/"),
        (ENTRY + ALL + SETTINGS, "update on secret/data/rotator-journal/j/lineages/secret-rotated-"),
        (
            ENTRY + ALL + SETTINGS + RECORD + '["create", "read"] }\n',
            "update on secret/data/rotator-journal/j/",
        ),
    ],
)
async def test_a_missing_capability_is_named(
    server: VaultServer, root: Root, lineage: Lineage, clock: VirtualClock, policy: str, missing: str
) -> None:
    async with connected(server.address, root.new_token(policy)) as client:
        with pytest.raises(Denied) as caught:
            await on(client, clock).check_writable(lineage, FIELDS)
    assert missing in caught.value.detail
    assert lineage.name in caught.value.target


async def test_of_a_moved_lineage_the_rights_at_its_place_and_at_the_record_it_began_with_count(
    server: VaultServer, root: Root, lineage: Lineage, clock: VirtualClock
) -> None:
    place = Place(mount="secret", path=f"rotated/moved/{lineage.path.split('/')[1]}", fields=FIELDS)
    there = lineage.at(place)
    async with connected(server.address, root.new_token(ENTRY + ALL + SETTINGS)) as client:
        with pytest.raises(Denied) as caught:
            await on(client, clock).check_writable(there, FIELDS)
    assert f"lineages/{lineage.record_name}" in caught.value.detail
    assert place.name in caught.value.target
    async with connected(server.address, root.new_token(ENTRY + ALL + SETTINGS + RECORD + ALL)) as client:
        await on(client, clock).check_writable(there, FIELDS)
        await on(client, clock).publish(there, FIELDS, publication(), base=0)
    assert root.data(place.path)["api_key_id"] == "key-1"
    assert root.ask("GET", f"secret/data/{lineage.path}").status == 404


async def test_an_entry_that_exists_needs_no_right_to_create(
    server: VaultServer, root: Root, lineage: Lineage, clock: VirtualClock
) -> None:
    root.do("POST", f"secret/data/{lineage.path}", {"data": {"a": "b"}})
    token = root.new_token(ENTRY + '["update", "read"] }\n' + SETTINGS + RECORD + ALL)
    async with connected(server.address, token) as client:
        await on(client, clock).check_writable(lineage, FIELDS)
        assert (await on(client, clock).publish(lineage, FIELDS, publication(), base=1)).version == 2


async def test_a_dead_token_is_denied(
    server: VaultServer, root: Root, lineage: Lineage, clock: VirtualClock
) -> None:
    token = root.new_token(LEAST_PRIVILEGE)
    root.do("POST", "auth/token/revoke", {"token": token.reveal()})
    async with connected(server.address, token) as client:
        with pytest.raises(Denied, match="token itself is refused"):
            await on(client, clock).check_writable(lineage, FIELDS)


@pytest.mark.parametrize(
    ("data", "problem"),
    [({"blob": "x" * 600_000}, "KiB"), ({str(n): "x" for n in range(450)}, "values")],
)
async def test_an_entry_that_would_get_too_large_is_rejected_before_anything_is_minted(
    destinations: Destinations, lineage: Lineage, root: Root, data: dict[str, str], problem: str
) -> None:
    root.do("POST", f"secret/data/{lineage.path}", {"data": data})
    with pytest.raises(Rejected, match=problem):
        await destinations.check_writable(lineage, FIELDS)


@pytest.mark.promise("P1")
async def test_an_entry_whose_versions_vault_deletes_is_rejected(
    destinations: Destinations, lineage: Lineage, root: Root
) -> None:
    root.do("POST", f"secret/metadata/{lineage.path}", {"delete_version_after": "720h"})
    with pytest.raises(Rejected, match="delete_version_after to 0s on the entry"):
        await destinations.check_writable(lineage, FIELDS)


@pytest.mark.promise("P1")
async def test_a_mount_whose_versions_vault_deletes_is_rejected_where_that_can_be_read(
    server: VaultServer, root: Root, lineage: Lineage, clock: VirtualClock
) -> None:
    mount = root.mount(delete_version_after="720h")
    there = replace(lineage, mount=mount)
    blind = f'path "{mount}/*" {{ capabilities = ["create", "update", "read"] }}\n' + RECORD + ALL
    token = root.new_token(blind + f'path "{mount}/config" {{ capabilities = ["deny"] }}')
    async with connected(server.address, token) as client:
        await on(client, clock).check_writable(there, FIELDS)
        published = await on(client, clock).publish(there, FIELDS, publication(), base=0)
        assert published.deletion_at is not None
    async with connected(server.address, root.new_token(blind)) as client:
        with pytest.raises(Rejected, match="delete_version_after to 0s on the mount"):
            await on(client, clock).check_writable(there, FIELDS)


async def test_the_settings_of_a_mount_are_believed_for_a_minute(
    server: VaultServer, root: Root, lineage: Lineage, clock: VirtualClock
) -> None:
    """They are the same for all lineages of a sweep. The answer to a publish tells what changed meanwhile."""
    mount = root.mount()
    there = replace(lineage, mount=mount)
    async with connected(server.address, server.root_token) as client:
        destinations = on(client, clock)
        await destinations.check_writable(there, FIELDS)
        root.do("POST", f"{mount}/config", {"delete_version_after": "720h"})
        clock.advance(timedelta(minutes=1))
        await destinations.check_writable(there, FIELDS)
        clock.advance(timedelta(seconds=1))
        with pytest.raises(Rejected, match="delete_version_after to 0s on the mount"):
            await destinations.check_writable(there, FIELDS)


async def test_a_mount_that_requires_check_and_set_is_fine(
    server: VaultServer, root: Root, lineage: Lineage, clock: VirtualClock
) -> None:
    there = replace(lineage, mount=root.mount(cas_required=True))
    async with connected(server.address, server.root_token) as client:
        await on(client, clock).check_writable(there, FIELDS)
        assert (await on(client, clock).publish(there, FIELDS, publication(), base=0)).version == 1


@pytest.mark.parametrize("path", ["a/../b", "a//b", "a b"])
async def test_a_path_that_is_not_allowed_is_rejected(
    destinations: Destinations, lineage: Lineage, path: str
) -> None:
    wrong = replace(lineage, path=path)
    for attempt in (
        destinations.read(wrong, FIELDS),
        destinations.check_writable(wrong, FIELDS),
        destinations.publish(wrong, FIELDS, publication(), base=0),
    ):
        with pytest.raises(Rejected, match="segments of"):
            await attempt


@pytest.mark.promise("P6")
async def test_a_version_1_mount_is_rejected_by_every_method(
    server: VaultServer, root: Root, lineage: Lineage, clock: VirtualClock
) -> None:
    there = replace(lineage, mount=root.mount(version=1))
    root.do("POST", f"{there.mount}/{there.path}", {"api_key": f"{CANARY}-theirs"})
    async with connected(server.address, server.root_token) as client:
        for attempt in (
            on(client, clock).read(there, FIELDS),
            on(client, clock).check_writable(there, FIELDS),
            on(client, clock).publish(there, FIELDS, publication(), base=0),
        ):
            with pytest.raises(Rejected, match="version 1"):
                await attempt
    kept = json.loads(root.ask("GET", f"{there.mount}/{there.path}").body)["data"]
    assert kept == {"api_key": f"{CANARY}-theirs"}


async def test_without_vault_every_method_is_unavailable(
    token: Secret, lineage: Lineage, clock: VirtualClock
) -> None:
    with between(lambda _request, _forward: None) as lab:
        async with connected(lab.address, token) as client:
            for attempt in (
                on(client, clock).read(lineage, FIELDS),
                on(client, clock).check_writable(lineage, FIELDS),
                on(client, clock).publish(lineage, FIELDS, publication(), base=0),
            ):
                with pytest.raises(Unavailable):
                    await attempt


@pytest.mark.promise("P7")
@pytest.mark.parametrize("path", ["rotator-journal/j/control", "rotator-journal/j/lineages/x"])
async def test_no_secret_is_ever_led_into_the_journal(
    destinations: Destinations, lineage: Lineage, path: str
) -> None:
    inside = replace(lineage, path=path)
    with pytest.raises(Rejected, match="inside the journal"):
        await destinations.check_writable(inside, FIELDS)
    with pytest.raises(Rejected, match="inside the journal"):
        await destinations.publish(inside, FIELDS, publication(), base=0)
