"""What is left in Vault and at the provider after a case, read by hands that may do everything, and given to the judge."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from rotator.clock import SystemClock
from rotator.model.lineage import Lineage
from tests.faults.collected import all_versions, attempts_in, keys_of, records, seen
from tests.faults.kills.site import OVERLAP, SCOPES, TAGS, Site
from tests.faults.outside import Installation, Life, Look, Version
from tests.support.vault_lab import Reply

CLOCK = SystemClock()


async def versions(made: Site, path: str) -> tuple[Version, ...]:
    """Return every version of an entry, oldest first."""
    return await asyncio.to_thread(lambda: tuple(all_versions(_ask(made), made.ground.mount, path)))


async def _life(made: Site, slug: str, texts: Sequence[str], lineage_id: str) -> Life:
    """Return what happened to a lineage. `texts` are its records, the newest last."""
    original = made.originals[slug].key_id
    paths = (made.entry(slug), *([made.moved_to] if made.moved_to else []))
    attempts = attempts_in(texts)
    sent = [call.body for call in made.crossing.calls if call.writes and call.path.endswith(paths)]
    return Life(
        name=slug,
        places={path: await versions(made, path) for path in paths},
        keys=keys_of(lineage_id, original, made.world._keys.values()),
        original=original,
        rights=(frozenset(SCOPES), frozenset(TAGS)),
        attempts=attempts,
        sent=frozenset(each for each in attempts if any(each.encode() in body for body in sent)),
        emergencies=tuple(at for lineage, at in made.emergencies if lineage == made.lineage(slug)),
        overlap=OVERLAP,
        released_at=made.released_at,
        given_up=made.given_up,
        remembered=texts[-1] if texts else "",
        strays=frozenset(),
        now=CLOCK.now(),
    )


async def judge(made: Site, *, at_rest: bool = True, looks: Sequence[Look] = ()) -> tuple[str, ...]:
    """Return what was broken in this installation, a sentence each."""
    journal = await asyncio.to_thread(records, _ask(made), made.ground.mount, f"rotator-journal/{made.place}")
    lives = []
    for slug in made.originals:
        lineage_id = _lineage_id(made, slug)
        lives.append(await _life(made, slug, journal.get(lineage_id, ()), lineage_id))
    happened = Installation(
        lives=tuple(lives),
        keys=tuple(map(seen, made.world._keys.values())),
        untouchable=tuple(map(seen, made.decoys)),
        texts={
            "the journal": tuple(text for texts in journal.values() for text in texts),
            **{where: tuple(heard) for where, heard in made.heard.items()},
        },
        looks=tuple(looks),
        bugs=tuple(made.bugs),
    )
    return happened.broken(at_rest=at_rest)


def _lineage_id(made: Site, slug: str) -> str:
    lineage = Lineage(
        provider="asr",
        project_id=made.project_id,
        namespace="",
        mount=made.ground.mount,
        path=made.entry(slug),
    )
    return lineage.lineage_id


def _ask(made: Site) -> partial[Reply]:
    return partial(made.ground.root.ask, "GET")
