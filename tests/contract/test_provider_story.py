"""The fleet of the first hour, seen through the port `Provider` over real HTTP: what `check` and `release` will find."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest

from rotator.errors import Denied
from rotator.http import HttpClient
from rotator.providers.deepgram import Deepgram
from rotator.simulator.deepgram import DeepgramSimulator
from tests.contract.provider_bench import CALL_TIMEOUT, request
from tests.support.canary import secret_text
from tests.support.story import (
    EXPIRES_SOON,
    OF_A_PERSON,
    READS_ONLY,
    SEES_A_PART,
    Kind,
    Project,
    Story,
    story,
)
from tests.support.virtual_clock import VirtualClock

Seen = tuple[Story, HttpClient]


@pytest.fixture
async def seen() -> AsyncIterator[Seen]:
    numbers = itertools.count()
    fleet = story(VirtualClock(), secret_factory=lambda: secret_text(f"story {next(numbers)}"))
    async with DeepgramSimulator(fleet.world).serve() as base_url:
        http = HttpClient(base_url, call_timeout=CALL_TIMEOUT, concurrency=8)
        try:
            yield fleet, http
        finally:
            await http.aclose()


def provider(seen: Seen, project: Project) -> Deepgram:
    fleet, http = seen
    return Deepgram(
        http,
        project_id=project.project_id,
        management=project.management.secret,
        clock=fleet.world.clock,
    )


async def test_each_project_shows_its_25_keys_and_our_own_and_one_only_a_part(seen: Seen) -> None:
    fleet, _ = seen
    counts = {
        name: len((await provider(seen, project).list_keys()).keys)
        for name, project in fleet.projects.items()
    }
    part = counts.pop(SEES_A_PART)
    assert set(counts.values()) == {26}
    assert part < 26
    fleet.mend(SEES_A_PART)
    listing = await provider(seen, fleet.projects[SEES_A_PART]).list_keys()
    assert (len(listing.keys), listing.unreadable) == (27, ())


async def test_the_management_keys_tell_their_owners_and_faults(seen: Seen) -> None:
    fleet, _ = seen
    found = {name: await provider(seen, project).management_key() for name, project in fleet.projects.items()}
    owners = {name: made.owner_email for name, made in found.items()}
    assert owners.pop(OF_A_PERSON) == "ann@example.com"
    assert owners.pop(SEES_A_PART) == "cy@example.com"
    assert set(owners.values()) == {"rotator@example.com"}
    assert found[SEES_A_PART].owner_scopes == frozenset({"member"})
    reads = found[READS_ONLY].scopes
    assert reads is not None
    assert "keys:write" not in reads
    expiring = {name for name, made in found.items() if made.key is not None and made.key.expires_at}
    assert expiring == {EXPIRES_SOON}
    with pytest.raises(Denied):
        await provider(seen, fleet.projects[READS_ONLY]).create_key(request())


async def test_each_original_tells_when_it_was_last_used(seen: Seen) -> None:
    fleet, _ = seen
    project = fleet.projects["asr-eu"]
    asked = provider(seen, project)
    now = fleet.world.clock.now()
    for key in project.keys:
        used = await asked.last_used(key.minted.key_id)
        assert used.used_at == (None if key.made.used is None else now - key.made.used)
    assert {key.made.used is None for key in project.keys if key.made.kind is Kind.ORDINARY} == {True, False}
