"""Lost records are rebuilt, with a real Vault: what is in use is proven, what is old gets its overlap anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.bootstrap import Connected
from rotator.cli import exits
from rotator.cli.failures import Failure
from rotator.cli.losses import Losses, roles
from rotator.cli.recovery import Wish, check_named, look, write
from rotator.cli.words import CURE
from rotator.errors import Conflict
from rotator.inventory.lost import served_without_journal
from rotator.model.key import Mark
from rotator.model.order import OrderKind
from rotator.model.reason import HoldReason, WaitReason
from rotator.model.record import Record
from rotator.model.secret import Secret
from rotator.plan.actions import Finish, Hold, Wait
from rotator.plan.rebuild import NotRebuilt
from rotator.ports import Minted
from rotator.rotation import moves
from rotator.rotation.orders import Ordered
from rotator.simulator.vault_server import VaultServer
from tests.integration.conftest import Desk
from tests.support.lab import DAY, HOUR, JOURNAL_ID, Lab, lab
from tests.support.vault_lab import Root

BY = Ordered(kind=OrderKind.REBUILD, who="ann@desk", why="the disk died")


@pytest.fixture
async def site(server: VaultServer, token: Secret, place: str) -> AsyncIterator[Lab]:
    async with lab(server, token, place) as made:
        yield made


async def rotated(site: Lab, *slugs: str) -> dict[str, tuple[str, str]]:
    """Let lineages be rotated twice; return of each the key before, whose overlap has just begun, and the one in use."""
    for slug in slugs:
        key = site.key(slug.replace("-", " ", 1), age=80 * DAY)
        await site.put(slug, key.secret)
    await site.sweep()
    before = {slug: await current(site, slug) for slug in slugs}
    for shift in (2 * DAY, 68 * DAY):
        site.clock.shift += shift
        await site.sweep()
    return {slug: (before[slug], await current(site, slug)) for slug in slugs}


async def current(site: Lab, slug: str) -> str:
    record = await site.record(slug)
    assert record.current is not None
    return record.current.key.key_id


def lose(site: Lab, root: Root, *slugs: str) -> None:
    """Remove records, all their versions, as an administrator of Vault can."""
    for slug in slugs:
        name = site.lineage(slug).record_name
        root.do("DELETE", f"secret/metadata/rotator-journal/{site.place}/lineages/{name}")


async def seen(site: Lab, wish: Wish = Wish(), connected: Connected | None = None) -> Losses:  # noqa: B008 (frozen)
    """Return what could be rebuilt, nothing written."""
    return (await look(connected or site.connected, wish, BY))[1]


async def rebuilt(site: Lab, wish: Wish = Wish(), connected: Connected | None = None) -> Losses:  # noqa: B008 (frozen)
    """Rebuild what can be, as the command does."""
    connection, losses = await look(connected or site.connected, wish, BY)
    check_named(losses, wish)
    return await write(losses, wish, BY, connection)


def becomes(losses: Losses, slug: str) -> dict[str, str]:
    """Return what becomes of each key of a lineage, and why those are left alone that are."""
    (loss,) = (one for one in losses.lost if one.lineage.endswith(f"/{slug}"))
    return {role.key_id: role.why or role.becomes for role in roles(loss)}


def missing(losses: Losses) -> dict[str, str]:
    """Return why lineages can't be rebuilt."""
    return {
        one.lineage.rpartition("/")[2]: one.answer.reason.value
        for one in losses.lost
        if isinstance(one.answer, NotRebuilt | Hold)
    }


def to_new_places(site: Lab) -> Connected:
    """Return the same installation once its policy file names another folder."""
    (policy,) = site.connected.file.policies
    destination = replace(policy.destination, path=f"rotated/{site.place}/new/{{slug}}")
    changed = replace(policy, destination=destination, fingerprint="edited")
    return replace(site.connected, file=replace(site.connected.file, policies=(changed,)))


async def told_to(site: Lab, connected: Connected, kind: OrderKind) -> moves.Answer:
    """Move the one lineage to its new place, or give its first one up, as a person does."""
    (found,) = (await connected.survey()).found
    ports = connected.ports(found.assignment.lineage, stopping=lambda: False, tell=site.told.append)
    slug, order = ("new/voice-a", moves.move) if kind is OrderKind.MOVE else ("voice-a", moves.give_up)
    ordered = Ordered(kind=kind, who="ann", why="", place=site.lineage(slug).name)
    return await order(ordered, found.assignment, ports)


async def moved(site: Lab, connected: Connected) -> None:
    """Move the one lineage, and let it be copied."""
    assert isinstance(await told_to(site, connected, OrderKind.MOVE), Record)
    await site.sweep(connected=connected)


def marked(site: Lab, slug: str, rotation_id: str, *, journal: str = JOURNAL_ID, **more: object) -> Minted:
    """Make a key with a mark by hand, older than the one in use unless `age` says otherwise."""
    mark = Mark(journal, site.lineage(slug).lineage_id, rotation_id)
    terms = {"comment": slug.replace("-", " ", 1), "age": 80 * DAY, "member": site.ours} | more
    return site.key(**{**terms, "comment": mark.put_on(str(terms["comment"]))})  # type: ignore[arg-type]


@pytest.mark.promise("P1", "P2", "P3")
async def test_a_whole_journal_is_rebuilt_and_old_keys_live_their_whole_overlap_from_then(
    site: Lab, root: Root
) -> None:
    keys = await rotated(site, "voice-a", "voice-b")
    held = [(await site.served(slug)).secret for slug in keys]
    site.clock.shift += 23 * HOUR
    lose(site, root, *keys)
    forgotten = replace(site.connected, journal_id="")
    shown = await seen(site, connected=forgotten)
    assert str(shown).endswith("2 lost records: 2 can be rebuilt")
    assert await site.journal.names() == ()
    done = await rebuilt(site, connected=forgotten)

    assert str(done).endswith("2 lost records: 2 rebuilt")
    assert (done.status, done.begins, done.journal_id) == (exits.FINE, True, JOURNAL_ID)
    for slug, (before, serves) in keys.items():
        assert becomes(done, slug) == {serves: "current", before: "previous"}
        assert [(one.kind, one.who) for one in (await site.record(slug)).orders] == [
            (OrderKind.REBUILD, "ann@desk")
        ]
    site.clock.shift += 23 * HOUR
    await site.sweep()
    assert all(site.alive(before) for before, _ in keys.values())
    site.clock.shift += 2 * HOUR
    await site.sweep()
    assert not any(site.alive(before) for before, _ in keys.values())
    assert all(secret is not None and site.world.accepts(secret) for secret in held)
    site.clock.shift += 65 * DAY
    await site.sweep()
    for slug, (_, serves) in keys.items():
        assert await current(site, slug) != serves
        assert await site.works(slug)
    assert (await seen(site)).lost == ()


@pytest.mark.promise("P4")
async def test_keys_that_only_look_like_ours_are_left_alone_and_one_that_a_person_names_is_taken(
    site: Lab, root: Root
) -> None:
    ((before, serves),) = (await rotated(site, "voice-a")).values()
    mark = site.world.key(serves)
    assert mark is not None
    own = marked(site, "voice-a", "1" * 16)
    twins = [marked(site, "voice-a", "2" * 16) for _ in range(2)]
    forged = {
        site.key(mark.comment, age=80 * DAY, member=site.ours).key_id: "copied_mark",
        twins[0].key_id: "copied_mark",
        marked(site, "voice-a", "3" * 16, member=site.ann).key_id: "other_owner",
        marked(site, "voice-a", "4" * 16, scopes=("usage:read",)).key_id: "other_rights",
        marked(site, "voice-a", "5" * 16, tags=()).key_id: "other_rights",
        marked(site, "voice-a", "6" * 16, comment="voice A").key_id: "other_comment",
        marked(site, "voice-a", "7" * 16, journal="0" * 12).key_id: "other_journal",
    }
    lose(site, root, "voice-a")

    done = await rebuilt(site, Wish(named=frozenset({twins[1].key_id})))

    assert becomes(done, "voice-a") == {
        serves: "current",
        before: "previous",
        own.key_id: "previous",
        twins[1].key_id: "previous",
        **forged,
    }
    site.clock.shift += 25 * HOUR
    await site.sweep()
    assert not any(site.alive(one) for one in (before, own.key_id, twins[1].key_id))
    assert all(site.alive(one) for one in (serves, *forged))


@pytest.mark.promise("P1")
async def test_a_key_that_may_still_be_published_gets_its_attempt_back(site: Lab, root: Root) -> None:
    ((_, serves),) = (await rotated(site, "voice-a")).values()
    site.clock.shift += HOUR
    late = marked(site, "voice-a", "1" * 16, age=timedelta(0))
    forged = marked(site, "voice-a", "1" * 16, age=timedelta(0), journal="0" * 12)
    version = (await site.served("voice-a")).entry.version
    lose(site, root, "voice-a")
    done = await rebuilt(site, Wish(named=frozenset({late.key_id})))
    assert becomes(done, "voice-a")[late.key_id] == "orphan"
    assert becomes(done, "voice-a")[forged.key_id] == "other_journal"

    site.clock.shift += 25 * HOUR
    await site.sweep()
    assert site.alive(late.key_id)
    # What a process that slept all the time had under way comes at last.
    await site.put("voice-a", late.secret, base=version, api_key_id=late.key_id, rotation_id="1" * 16)
    done_then = (await site.sweep())["voice-a"].done

    assert Finish("1" * 16, late.key_id) in done_then
    assert await current(site, "voice-a") == late.key_id
    assert site.alive(serves)
    assert await site.works("voice-a")


@pytest.mark.promise("P4")
async def test_the_key_from_before_is_taken_only_if_a_person_names_it_and_lives_until_its_release(
    site: Lab, root: Root
) -> None:
    original = site.key("voice a", age=80 * DAY, lifetime=None)
    await site.sweep()
    site.clock.shift += 300 * DAY
    await site.sweep()
    serves = await current(site, "voice-a")
    lose(site, root, "voice-a")

    unnamed = await rebuilt(site)
    with pytest.raises(Failure, match="no lineage that is to be rebuilt leads to key key-nobody"):
        await rebuilt(site, Wish(named=frozenset({"key-nobody"})))
    done = await rebuilt(site, Wish(named=frozenset({original.key_id})))

    assert (unnamed.status, missing(unnamed)) == (exits.PERSON_NEEDED, {"voice-a": "not_named"})
    assert original.key_id in str(unnamed)
    assert becomes(done, "voice-a") == {serves: "current", original.key_id: "original"}
    site.clock.shift += 30 * DAY
    stands = (await site.sweep())["voice-a"].last
    assert stands is not None
    assert isinstance(stands.decision, Wait)
    assert stands.decision.reason is WaitReason.AWAITING_RELEASE
    assert site.alive(original.key_id)


@pytest.mark.promise("P4")
async def test_the_journals_id_is_that_of_what_is_in_use_whatever_other_marks_say(
    site: Lab, root: Root
) -> None:
    keys = await rotated(site, "voice-a", "voice-b")
    real = site.world.key(keys["voice-a"][1])
    assert real is not None
    rotation_id = real.comment[-17:-1]
    for number in range(9):
        marked(site, "voice-a", rotation_id, journal=f"{number:012x}")
    lose(site, root, *keys)
    forgotten = replace(site.connected, journal_id="")
    assert (await seen(site, connected=forgotten)).journal_id == JOURNAL_ID

    # Something that another journal made comes to be served: as if two installations had one entry.
    other = marked(site, "voice-b", "8" * 16, journal="f" * 12)
    version = (await site.served("voice-b")).entry.version
    await site.put("voice-b", other.secret, base=version, api_key_id=other.key_id, rotation_id="8" * 16)
    with pytest.raises(Failure) as unclear:
        await rebuilt(site, connected=forgotten)
    with pytest.raises(Failure, match="no key in use carries a mark of journal 000000000000"):
        await seen(site, Wish(journal_id="0" * 12), forgotten)
    assert JOURNAL_ID in unclear.value.why
    assert "f" * 12 in unclear.value.why
    assert "0" * 12 not in unclear.value.why
    done = await rebuilt(site, Wish(journal_id=JOURNAL_ID), forgotten)

    assert unclear.value.status == done.status == exits.PERSON_NEEDED
    assert missing(done) == {"voice-b": "other_journal"}
    control = await site.journal.control()
    assert control is not None
    assert control.journal_id == JOURNAL_ID
    with pytest.raises(Failure, match="already"):
        await seen(site, Wish(journal_id="f" * 12))


@pytest.mark.promise("P8")
async def test_without_a_key_in_use_a_person_says_the_id_and_orphans_can_be_begun_from_the_key_before(
    site: Lab,
) -> None:
    """The first rotation was under way when its journal got lost: nothing is served yet."""
    orphan = marked(site, "voice-a", "1" * 16, age=HOUR)
    marked(site, "voice-b", "2" * 16, age=HOUR)
    original = site.key("voice a", age=10 * DAY)
    forgotten = replace(site.connected, journal_id="")

    with pytest.raises(Failure, match="not clear which id") as unclear:
        await seen(site, connected=forgotten)
    done = await rebuilt(site, Wish(named=frozenset({original.key_id}), journal_id=JOURNAL_ID), forgotten)

    assert JOURNAL_ID in unclear.value.why
    assert becomes(done, "voice-a") == {orphan.key_id: "orphan", original.key_id: "original"}
    assert missing(done) == {"voice-b": "nothing_served"}
    assert "consumers may still use what stood there" in " ".join(str(done).split())
    site.clock.shift += 60 * DAY
    await site.sweep()
    assert await site.works("voice-a")
    assert site.alive(original.key_id)


@pytest.mark.promise("P8")
async def test_what_cant_be_rebuilt_is_told_with_what_to_do_and_the_rest_is_rebuilt(
    site: Lab, root: Root
) -> None:
    slugs = [f"voice-{name}" for name in ("dead", "deleted", "fine", "garbled", "newer")]
    keys = await rotated(site, *slugs)
    lose(site, root, *slugs[:3])
    site.world.person_deletes(keys["voice-dead"][1])
    root.do("DELETE", f"secret/data/{site.lineage('voice-deleted').path}")
    folder = f"secret/data/rotator-journal/{site.place}/lineages"
    garbled, newer = (f"{folder}/{site.lineage(slug).record_name}" for slug in slugs[3:])
    root.do("POST", garbled, {"data": {"nonsense": "x"}})
    document = root.data(newer.removeprefix("secret/data/"))
    text = json.dumps(json.loads(str(document["record"])) | {"format": 9})
    root.do("POST", newer, {"data": {**document, "format": "9", "record": text}})

    done = await rebuilt(site)

    assert done.status == exits.FAILED  # the troubles with two records are told as ever
    assert missing(done) == {
        "voice-dead": "served_refused",
        "voice-deleted": "entry_deleted",
        "voice-garbled": HoldReason.RECORD_UNREADABLE,
        "voice-newer": HoldReason.RECORD_NEWER,
    }
    assert becomes(done, "voice-fine")[keys["voice-fine"][1]] == "current"
    words = " ".join(str(done).split())
    for said in (
        "undelete its last version",
        "--include-key and its id",
        "delete its metadata",
        "knows the format",
    ):
        assert said in words
    assert root.data(garbled.removeprefix("secret/data/")) == {"nonsense": "x"}
    assert root.data(newer.removeprefix("secret/data/"))["format"] == "9"
    # A person does as they are told about one of them: a new key by hand, whose secret consumers get at once.
    for path in (garbled, newer):
        root.do("DELETE", path.replace("/data/", "/metadata/"))
    mended = site.key("voice dead")
    version = (await site.served("voice-dead")).entry.version
    await site.put("voice-dead", mended.secret, base=version, api_key_id=mended.key_id, rotation_id="9" * 16)
    again = await rebuilt(
        site, Wish(named=frozenset({mended.key_id}), globs=(site.lineage("voice-dead").name,))
    )
    assert becomes(again, "voice-dead") == {mended.key_id: "current", keys["voice-dead"][0]: "previous"}
    assert (await rebuilt(site)).possible != ()
    assert {one.lineage.rpartition("/")[2] for one in (await seen(site)).lost} == {"voice-deleted"}


async def test_a_moved_lineage_is_told_and_rebuilt_where_it_began(site: Lab, root: Root) -> None:
    ((before, serves),) = (await rotated(site, "voice-a")).values()
    edited = to_new_places(site)
    await moved(site, edited)
    lose(site, root, "voice-a")

    told = await rebuilt(site, connected=edited)
    assert (told.status, told.lost) == (exits.PERSON_NEEDED, ())
    assert {one.key.key_id for one in told.astray} == {before, serves}
    assert "if its lineage was moved" in " ".join(str(told).split())

    assert (await rebuilt(site)).status == exits.FINE
    await moved(site, edited)
    site.clock.shift += 65 * DAY
    await site.sweep(connected=edited)
    for slug in ("voice-a", "new/voice-a"):
        assert await site.works(slug)


@pytest.mark.promise("P1", "P2")
async def test_a_moved_lineage_whose_first_place_was_given_up_is_rebuilt_as_it_is_told(
    site: Lab, root: Root
) -> None:
    """Its first place serves an older key, and the one in use would be an orphan there: nobody's, and deleted in the end."""
    ((_, older),) = (await rotated(site, "voice-a")).values()
    edited = to_new_places(site)
    await moved(site, edited)
    assert isinstance(await told_to(site, edited, OrderKind.GIVE_UP), Record)
    site.clock.shift += 65 * DAY
    await site.sweep(connected=edited)
    serves = await current(site, "voice-a")
    lose(site, root, "voice-a")

    told = " ".join(str(await rebuilt(site, connected=edited)).split())
    first, last = site.lineage("voice-a"), site.lineage("new/voice-a")
    assert "write what the entry that is served now holds, all its fields, into the one where the" in told
    assert "move it again before any rotator is let run" in told
    assert becomes(await seen(site), "voice-a") == {older: "current", serves: "orphan"}
    root.do("POST", f"secret/data/{first.path}", {"data": root.data(last.path)})
    done = await rebuilt(site)

    assert becomes(done, "voice-a") == {serves: "current", older: "previous"}
    await moved(site, edited)
    site.clock.shift += 25 * HOUR
    await site.sweep(connected=edited)
    assert not site.alive(older)
    for _ in range(2):
        assert await site.works("voice-a")
        assert await site.works("new/voice-a")
        site.clock.shift += 64 * DAY
        await site.sweep(connected=edited)
    assert not site.alive(serves)


@pytest.mark.promise("P8")
async def test_a_record_older_than_what_vault_serves_is_rebuilt_as_it_is_told_where_there_is_no_newer_one(
    site: Lab, root: Root
) -> None:
    slug = "voice-a"
    name = site.lineage(slug).record_name
    path = f"rotator-journal/{site.place}/lineages/{name}"
    site.key("voice a", age=80 * DAY)
    await site.sweep()
    old = root.data(path)
    site.clock.shift += 68 * DAY
    await site.sweep()
    serves = await current(site, slug)
    root.do("POST", f"secret/data/{path}", {"data": old})
    stands = (await site.sweep())[slug].last
    assert stands is not None
    assert isinstance(stands.stands, Hold)

    assert stands.stands.reason is HoldReason.RECORD_BEHIND
    assert "if there is none: stop every rotator, keep a copy, delete its" in CURE[HoldReason.RECORD_BEHIND]
    lose(site, root, slug)
    assert serves in becomes(await rebuilt(site), slug)
    site.clock.shift += 65 * DAY
    await site.sweep()
    assert await current(site, slug) != serves
    assert await site.works(slug)


@pytest.mark.promise("P1", "P6")
async def test_another_process_works_all_the_while_and_what_was_shown_must_still_be_so(
    site: Lab, root: Root
) -> None:
    keys = await rotated(site, *(f"voice-{n}" for n in range(4)))
    held = [(await site.served(slug)).secret for slug in keys]
    lose(site, root, *keys)
    connection, losses = await look(site.connected, Wish(), BY)
    assert len(losses.possible) == len(keys)
    # A person takes their time, and meanwhile the key of one is taken away, and another is rebuilt.
    site.world.person_deletes(keys["voice-0"][0])
    await rebuilt(site, Wish(globs=(site.lineage("voice-1").name,)), site.another("second"))

    others = asyncio.gather(*(site.sweep(connected=site.another(f"b{n}")) for n in range(3)))
    done = await write(losses, Wish(), BY, connection)
    await others
    errors = {one.lineage[-7:]: one.answer for one in done.lost if one.record is None}

    assert errors.keys() == {"voice-0", "voice-1"}
    assert all(isinstance(error, Conflict) for error in errors.values())
    assert done.status == exits.FAILED
    await rebuilt(site)
    for _ in range(2):
        site.clock.shift += 25 * HOUR
        await site.sweep()
    assert not any(site.alive(before) for before, _ in keys.values())
    assert all(secret is not None and site.world.accepts(secret) for secret in held)


@pytest.mark.promise("P2")
async def test_no_journal_is_begun_while_vault_serves_what_a_lost_one_was_about(
    site: Lab, root: Root
) -> None:
    """A second installation whose Vault serves none of these keys is another matter."""
    ((_, serves),) = (await rotated(site, "voice-a")).values()
    lose(site, root, "voice-a")
    asked = (site.connected.file, site.connected.providers, site.connected.destinations, "")

    assert await served_without_journal(*asked) == site.lineage("voice-a").name
    root.do("DELETE", f"secret/metadata/{site.lineage('voice-a').path}")
    assert await served_without_journal(*asked) is None
    assert site.alive(serves)


@pytest.mark.promise("P8")
async def test_by_the_command_line_a_lost_journal_is_refused_shown_asked_about_and_rebuilt(
    desk: Desk,
) -> None:
    key = desk.due_key("voice")
    await desk.run("once")
    desk.world.person_deletes(key.key_id)
    control = desk.root.data(f"{desk.journal}/control")
    for path in [path for path in desk.versions() if path.startswith(desk.journal)]:
        desk.root.do("DELETE", f"secret/metadata/{path}")

    refused, unasked = await asyncio.gather(desk.run("once"), desk.run("check", "--rebuild-journal"))
    assert refused.status == exits.FAILED
    assert "rotator check --rebuild-journal" in " ".join(refused.err.split())
    assert unasked.status == exits.USAGE
    assert f"with its id {control['journal_id']}" in unasked.err
    assert not any(path.startswith(desk.journal) for path in desk.versions())

    why = ("--reason", "the disk died")
    done = await desk.asked("y\n", "--output", "json", "check", "--rebuild-journal", *why)
    assert done.status == exits.FINE
    assert done.document["journal"] == {"id": control["journal_id"], "begun": True}
    assert done.line("voice")["rebuilt_at"] is not None
    assert [one["becomes"] for one in done.line("voice")["keys"]] == ["current"]
    assert desk.root.data(f"{desk.journal}/control") == control
    again = await desk.run("check", "--rebuild-journal")
    assert (again.status, again.out) == (exits.FINE, "Nothing is lost: there is nothing to rebuild.\n")
    assert desk.serves("voice")
