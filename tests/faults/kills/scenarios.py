"""What is being done when a process is struck: how it is prepared, the command that does it, and how one sees it done.

Done is judged by what is served and what lives, never by what the program says of itself; only whether a place was
given up is asked of `status`, for nothing else shows it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from rotator.clock import SystemClock
from tests.faults.kills.aftermath import versions
from tests.faults.kills.site import GATEWAY, OVERLAP, Site

SLUG = "gateway"
DUE, YOUNG = timedelta(hours=45), timedelta(hours=1)
"""How old a key of fifty hours is that is due, and one that is not for long."""

_CLOCK = SystemClock()

_OVERLAP_IS_OVER = OVERLAP + timedelta(seconds=1.2)
"""Vault tells its time in whole seconds, cut off: by its clock an overlap ends up to one second later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing that an operator does. `order` is given again when nothing came of it; a sweep needs no such thing."""

    name: str
    prepare: Callable[[Site], Awaitable[None]]
    command: Callable[[Site], tuple[str, ...]]
    done: Callable[[Site], Awaitable[bool]]
    order: bool = True
    given: Callable[[Site], str] = lambda _: ""


def pin(site: Site, *, age: timedelta, **options: str) -> None:
    """Give the installation its lineage: one key, named by its id."""
    if SLUG not in site.originals:
        site.originals[SLUG] = site.key(GATEWAY, age=age)
    key_id = site.originals[SLUG].key_id
    site.write(which=f"keys: {{{site.moved_to or site.entry(SLUG)}: {key_id}}}", **options)


async def served_by(site: Site, path: str = "") -> str | None:
    """Return the id of the key whose secret is served, None when nothing is."""
    published = await versions(site, path or site.entry(SLUG))
    keys = {key.secret.reveal(): key.key_id for key in site.world._keys.values()}
    return keys.get(str(published[-1].secret)) if published else None


async def _due(site: Site) -> None:
    pin(site, age=DUE, adopt="when_due")


async def _rotated(site: Site) -> None:
    await _due(site)
    assert (await site.run("once")).status == 0


async def _replaced(site: Site) -> bool:
    """Return whether another key is served than the first one that we published."""
    published = await versions(site, site.entry(SLUG))
    return len(published) > 1 and published[-1].secret != published[0].secret


async def _rotated_twice(site: Site) -> None:
    await _rotated(site)
    assert (await site.run("rotate", site.lineage(SLUG))).status == 0
    await _CLOCK.sleep(_OVERLAP_IS_OVER)


async def _taken_over(site: Site) -> bool:
    return await served_by(site) not in (None, site.originals[SLUG].key_id)


async def _retired(site: Site) -> bool:
    published = await versions(site, site.entry(SLUG))
    return not any(
        key.deleted_at is None
        for key in site.world._keys.values()
        if key.secret.reveal() in {version.secret for version in published[:-1]}
    )


async def _all_gone(site: Site) -> bool:
    return await _replaced(site) and await _retired(site) and await _original_gone(site)


async def _original_gone(site: Site) -> bool:
    key = site.world.key(site.originals[SLUG].key_id)
    return key is not None and key.deleted_at is not None


async def _young(site: Site) -> None:
    pin(site, age=YOUNG, adopt="when_due")


async def _imported(site: Site) -> bool:
    return await served_by(site) == site.originals[SLUG].key_id


async def _named_elsewhere(site: Site) -> None:
    await _rotated(site)
    site.moved_to = site.entry("moved")
    pin(site, age=DUE, adopt="when_due")


async def _copied(site: Site) -> bool:
    assert site.moved_to is not None
    here, there = await served_by(site), await served_by(site, site.moved_to)
    return here is not None and here == there


async def _moved(site: Site) -> None:
    await _named_elsewhere(site)
    assert (await site.run(*_move(site))).status == 0


def _move(site: Site) -> tuple[str, ...]:
    return "move", site.lineage(SLUG), f"{site.ground.mount}/{site.moved_to}"


async def _left(site: Site) -> bool:
    (line,) = (await site.run("status")).document["lineages"]
    return [place["place"] for place in line["places"]] == [f"{site.ground.mount}/{site.moved_to}"]


def _give_up(site: Site) -> tuple[str, ...]:
    # From here on that place may be served no more.
    site.given_up.setdefault(site.entry(SLUG), _CLOCK.now())
    return (*_move(site), "--give-up", "--yes")


async def _released(site: Site) -> None:
    await _rotated(site)
    await _CLOCK.sleep(_OVERLAP_IS_OVER)


def _release(site: Site) -> tuple[str, ...]:
    site.released_at = site.released_at or _CLOCK.now()
    return "release", site.lineage(SLUG), "--yes"


async def _watched(site: Site) -> None:
    pin(site, age=DUE, adopt="watch")


FIRST = Scenario(
    name="first rotation", prepare=_due, command=lambda _: ("once",), done=_taken_over, order=False
)
LATER = Scenario(
    name="later rotation",
    prepare=_rotated,
    command=lambda site: ("rotate", site.lineage(SLUG)),
    done=_replaced,
)
RETIRE = Scenario(
    name="retire", prepare=_rotated_twice, command=lambda _: ("once",), done=_retired, order=False
)
EMERGENCY = Scenario(
    name="emergency",
    prepare=_rotated,
    command=lambda site: ("rotate", site.lineage(SLUG), "--emergency", "--yes"),
    done=_all_gone,
)
IMPORT = Scenario(
    name="import",
    prepare=_young,
    command=lambda site: ("import", site.lineage(SLUG)),
    done=_imported,
    given=lambda site: site.originals[SLUG].secret.reveal(),
)
MOVE = Scenario(name="move", prepare=_named_elsewhere, command=_move, done=_copied)
GIVE_UP = Scenario(name="give up", prepare=_moved, command=_give_up, done=_left)
RELEASE = Scenario(name="release", prepare=_released, command=_release, done=_original_gone)
ADOPT = Scenario(
    name="adopt",
    prepare=_watched,
    command=lambda site: ("adopt", site.lineage(SLUG)),
    done=_taken_over,
)

SCENARIOS = (FIRST, LATER, RETIRE, EMERGENCY, IMPORT, MOVE, GIVE_UP, RELEASE, ADOPT)
