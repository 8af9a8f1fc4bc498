"""The pages that tell how to begin, and what to do when something happens, played as they stand.

What they show is what comes out; and seen from outside, by the provider and by Vault, nobody was cut off on the way.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from rotator.clock import SystemClock
from rotator.model.secret import Secret
from tests.support import canary
from tests.support.playground import Playground, playground
from tests.support.story import Kind, StoryKey
from tests.support.vault_lab import Root
from tests.support.walkthrough import LASTS_AT_MOST, PAGES, Played, masked, play

RELEASED = ("batch worker", "quality review", "voicemail")
"""The comments of those keys of `mobile` that the tutorial releases."""


def entries(root: Root, folder: str = "deepgram") -> dict[str, dict[str, str]]:
    """Return every entry below a folder, by its path."""
    listed = json.loads(root.ask("GET", f"secret/metadata/{folder}?list=true").body)
    found: dict[str, dict[str, str]] = {}
    for name in listed["data"]["keys"]:
        path = f"{folder}/{name.rstrip('/')}"
        if name.endswith("/"):
            found |= entries(root, path)
        else:
            found[path] = json.loads(root.ask("GET", f"secret/data/{path}").body)["data"]["data"]
    return found


def working(site: Playground, key: StoryKey) -> bool:
    return site.story.world.accepts(key.minted.secret)


def deleted(site: Playground, key: StoryKey) -> bool:
    found = site.story.world.key(key.minted.key_id)
    return found is None or found.deleted_at is not None


def check_tutorial(site: Playground, root: Root) -> None:
    """See from outside that whoever used a key can go on, and that only what was released is gone."""
    story = site.story
    served = entries(root)
    assert len(served) >= len(RELEASED)
    for path, fields in served.items():
        assert story.world.accepts(Secret(fields["api_key"])), path
    gone = {(key.made.comment, key.minted.key_id) for key in story.of() if deleted(site, key)}
    mobile = story.projects["mobile"]
    released = {(comment, mobile.key(comment).minted.key_id) for comment in RELEASED}
    assert gone == released
    for key in story.of():
        if key.made.kind is not Kind.EXPIRED and (key.made.comment, key.minted.key_id) not in released:
            assert working(site, key), key.made.comment


@pytest.mark.promise("P1", "P3", "P4", "P7")
@pytest.mark.timeout(2 * LASTS_AT_MOST)
async def test_the_pages_show_what_comes_out_and_nobody_is_cut_off(tmp_path: Path) -> None:
    numbers = itertools.count()
    folder = tmp_path / "playground"
    token = Secret(canary.secret_text("the administrator of Vault"))
    async with playground(
        folder, SystemClock(), token, secret_factory=lambda: canary.secret_text(str(next(numbers)))
    ) as site:
        root = Root(site.vault.address, token)
        played: list[Played] = []
        for page in PAGES:
            played += [one async for one in play(folder, (page,))]
            if page.name == "first-hour.md":
                check_tutorial(site, root)
    stale = [one for one in played if masked(one.run.shown) != masked(one.came_out)]
    assert not stale, (
        "\n".join(
            f"{one.page.name} is stale: $ {one.run.command}\n--- it says\n{one.run.shown}--- now\n{one.came_out}"
            for one in stale
        )
        + "\nrun: python -m tests.support.walkthrough"
    )
    assert len(played) > len(PAGES)
