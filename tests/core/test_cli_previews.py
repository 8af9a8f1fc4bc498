"""What is shown before an order that can't be taken back: every key it concerns, and whether somebody uses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.bootstrap import Connected
from rotator.cli.previews import Preview, preview
from rotator.errors import Denied, PortError, Unavailable
from rotator.inventory.assignment import Assignment
from rotator.inventory.fleet import Found
from rotator.model.key import Mark
from rotator.model.order import OrderKind
from rotator.policy.settings import ProviderSettings, SecretReference, SecretSource
from tests.core.test_fleet import file as files
from tests.support import builders as a
from tests.support.builders import DAY, HOUR, MINUTE
from tests.support.fakes import (
    FakeDestinations,
    FakeJournal,
    FakeProvider,
    World,
    nothing,
    nothing_changes,
    settled,
)

SETTINGS = ProviderSettings(
    name="asr",
    type="deepgram",
    project_id=a.LINEAGE.project_id,
    base_url="https://api.example.com",
    credential=SecretReference(SecretSource.ENV, "NAME"),
)
ORPHANED = a.attempt(a.LATER, base=3, age=2 * HOUR)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the last column in one line."""
    monkeypatch.setenv("COLUMNS", "300")


def connected(world: World) -> Connected:
    return Connected(
        file=replace(files(()), providers=(SETTINGS,)),
        clock=world.clock,
        journal=FakeJournal(world),
        destinations=FakeDestinations(world),
        providers={"asr": FakeProvider(world)},
        namespace="",
        holder="here",
        journal_id=a.JOURNAL,
        renew=nothing,
        read_again=nothing_changes,
    )


def of_each_kind() -> World:
    world = settled(
        a.record(
            previous=[a.previous(superseded=HOUR)],
            originals=[a.original(superseded=2 * HOUR)],
            attempts=[ORPHANED],
        )
    )
    world.add_key(a.made(ORPHANED, "key-orphan"))
    return world


def assignment(world: World, matched: str | None = None) -> Assignment:
    return world.assignment(matched_key_id=matched)


async def look(world: World, kind: OrderKind, matched: str | None = None, *, times: int = 1) -> Preview:
    found = Found(assignment=assignment(world, matched), provider="asr", record=None)
    return await preview(kind, [found] * times, connected(world))


def used_column(seen: Preview) -> str:
    """Return what the table says of the last use of the only key, which it may wrap."""
    title, *lines = str(seen).split("\n\n", maxsplit=1)[0].splitlines()
    begin, end = title.index("LAST USED"), title.index("WHAT FOLLOWS")
    return " ".join(" ".join(line[begin:end] for line in lines).split())


def follows(seen: Preview) -> dict[str, str]:
    return {key.key_id: key.follows for key in seen.keys}


@pytest.mark.parametrize(
    ("kind", "concerned"),
    [
        (OrderKind.RELEASE, {"key-original": "original"}),
        (
            OrderKind.EMERGENCY,
            {
                "key-original": "original",
                "key-current": "current",
                "key-old": "previous",
                "key-orphan": "orphan",
            },
        ),
        (
            OrderKind.FORGET,
            {
                "key-original": "original",
                "key-current": "current",
                "key-old": "previous",
                "key-orphan": "orphan",
            },
        ),
    ],
)
async def test_an_order_concerns(kind: OrderKind, concerned: dict[str, str]) -> None:
    seen = await look(of_each_kind(), kind)

    assert {key.key_id: key.role for key in seen.keys} == concerned
    assert all(key.last_use is not None for key in seen.keys)


@pytest.mark.parametrize(
    ("kind", "concerned"),
    [(OrderKind.EMERGENCY, {"key-1": "matched"}), (OrderKind.FORGET, {}), (OrderKind.RELEASE, {})],
)
async def test_a_key_that_is_not_taken_in_is_concerned_by_an_emergency_only(
    kind: OrderKind, concerned: dict[str, str]
) -> None:
    world = World()
    world.add_key(a.key("key-1"))

    seen = await look(world, kind, "key-1")

    assert {key.key_id: key.role for key in seen.keys} == concerned
    assert ("No key is concerned." in str(seen)) == (not concerned)


RELEASES: list[tuple[str, Callable[[], World], str]] = [
    (
        "its overlap is over",
        lambda: settled(a.record(originals=[a.original(superseded=2 * DAY)])),
        "is deleted by the next sweep",
    ),
    (
        "its overlap runs",
        lambda: settled(a.record(originals=[a.original(superseded=HOUR)])),
        "is deleted when its overlap is over, in 23h (2026-01-06 11:00Z)",
    ),
    (
        "it was released",
        lambda: settled(a.record(originals=[a.original(released=True)])),
        "was released already",
    ),
    (
        "it is in use",
        lambda: settled(replace(a.record(originals=[a.original(superseded=None)]), current=None)),
        "stays: it is still the one in use",
    ),
]


@pytest.mark.parametrize(("world", "said"), [pytest.param(*rest, id=name) for name, *rest in RELEASES])
async def test_a_release_says_when_the_key_goes(world: Callable[[], World], said: str) -> None:
    assert follows(await look(world(), OrderKind.RELEASE)) == {"key-original": said}


@pytest.mark.parametrize("kind", [OrderKind.RELEASE, OrderKind.EMERGENCY])
async def test_another_installation_that_may_need_the_key_is_named(kind: OrderKind) -> None:
    world = settled(a.record(originals=[a.original()]))
    theirs = Mark("f" * 12, a.LINEAGE.lineage_id, a.LATER).put_on("voice")
    world.add_key(replace(a.key("key-theirs"), comment=theirs))

    seen = await look(world, kind)

    assert "another installation rotates a key of the same comment" in follows(seen)["key-original"]


@pytest.mark.promise("P8")
@pytest.mark.parametrize(
    ("used", "superseded", "said"),
    [
        (5 * MINUTE, HOUR, "5m ago: STILL IN USE"),
        (5 * MINUTE, None, "5m ago: STILL IN USE"),
        (2 * HOUR, HOUR, "2h ago: STILL IN USE"),
        (2 * DAY, 10 * DAY, "2d ago: STILL IN USE"),
        (2 * DAY, DAY, "2d ago"),
        (2 * DAY, None, "2d ago"),
        (None, HOUR, "not since 2025-10-07 12:00Z, when the log begins"),
    ],
    ids=str,
)
async def test_a_use_after_the_successor_was_published_or_a_short_while_ago_stands_out(
    used: timedelta | None, superseded: timedelta | None, said: str
) -> None:
    world = settled(a.record(originals=[a.original(superseded=superseded)]))
    if used is not None:
        world.used["key-original"] = world.clock.now() - used

    seen = await look(world, OrderKind.RELEASE)
    shown = str(seen)

    assert used_column(seen) == said
    assert ("STILL IN USE: 1 of 1" in shown) == said.endswith("STILL IN USE")
    assert "A provider's log is late: what was used after 2026-01-05 11:30Z may not show yet." in shown


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            Denied("read request log", "key-original", "403"),
            "our management key may not read the request log",
        ),
        (Unavailable("read request log", "key-original", "503"), "read request log key-original: 503"),
    ],
)
async def test_a_last_use_that_can_not_be_learnt_is_unknown_with_the_reason(
    error: PortError, why: str
) -> None:
    world = settled(a.record(originals=[a.original()]))
    world.fails("last_used", error)

    seen = await look(world, OrderKind.RELEASE)

    assert used_column(seen) == f"unknown: {why}"
    assert seen.document == [
        {
            "lineage": "secret/voice",
            "key_id": "key-original",
            "role": "original",
            "expires_at": None,
            "last_used_at": None,
            "log_begins_at": None,
            "log_ends_at": None,
            "unknown": why,
        }
    ]


async def test_the_document_says_when_a_key_was_last_used_and_what_the_log_shows() -> None:
    world = settled(a.record(originals=[a.original()]))
    world.used["key-original"] = world.clock.now() - HOUR

    (key,) = (await look(world, OrderKind.RELEASE)).document

    assert (key["last_used_at"], key["unknown"]) == ("2026-01-05T11:00:00Z", None)
    assert (key["log_begins_at"], key["log_ends_at"]) == ("2025-10-07T12:00:00Z", "2026-01-05T11:30:00Z")


@pytest.mark.promise("P8")
async def test_a_lineage_that_can_not_be_looked_at_is_named_and_hides_no_other() -> None:
    world = settled(a.record(originals=[a.original()]))
    world.fails("read_entry", Unavailable("read entry", "voice"))

    seen = await look(world, OrderKind.RELEASE, times=2)

    assert [key.key_id for key in seen.keys] == ["key-original"]
    assert "secret/voice could not be looked at: read entry voice" in str(seen)


@pytest.mark.promise("P7")
async def test_what_others_wrote_can_not_steer_the_terminal() -> None:
    world = settled(a.record(originals=[a.original()]))
    world.fails("last_used", Unavailable("read request log", "key-original", "\x1b[2J"))

    assert all(line.isprintable() for line in str(await look(world, OrderKind.RELEASE)).split("\n"))


async def test_only_so_many_are_asked_about_at_once() -> None:
    world = of_each_kind()
    under_way, most = 0, 0

    class Counting(FakeProvider):
        async def prove(self, secret):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await world.clock.sleep(timedelta(0))
            under_way -= 1
            return await super().prove(secret)

    found = Found(assignment=assignment(world), provider="asr", record=None)
    connection = replace(connected(world), providers={"asr": Counting(world)})
    await preview(OrderKind.EMERGENCY, [found] * 10, connection)

    assert most == connection.file.runtime.concurrency == 1
