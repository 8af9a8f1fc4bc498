"""What is left in Vault and at the provider after a case, read by hands that may do everything, and given to the judge."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rotator.clock import SystemClock
from rotator.model.key import mark_of
from rotator.model.lineage import Lineage
from rotator.simulator.world import SimulatedKey
from tests.faults.kills.site import OVERLAP, SCOPES, TAGS, Site
from tests.faults.outside import Attempted, Life, SeenKey, Version
from tests.support import canary

CLOCK = SystemClock()


async def versions(made: Site, path: str) -> tuple[Version, ...]:
    """Return every version of an entry, oldest first."""
    found = []
    for number, at, data in await _all_versions(made, path):
        found.append(
            Version(
                number=number,
                at=at,
                secret=str(data.get("api_key")),
                rotation_id=data.get("rotation_id"),
            )
        )
    return tuple(found)


async def _records(made: Site) -> dict[str, list[Mapping[str, Any]]]:
    """Return every version of every record of the journal, by the lineage's id."""
    folder = f"rotator-journal/{made.place}/lineages"
    reply = await _ask(made, f"metadata/{folder}?list=true")
    found: dict[str, list[Mapping[str, Any]]] = {}
    for name in reply.get("data", {}).get("keys", []):
        texts = [str(data["record"]) for _, _, data in await _all_versions(made, f"{folder}/{name}")]
        leak = canary.leak_in("\n".join(texts), "the journal")
        made.leaks += [leak] if leak else []
        found[name.rpartition("-")[2]] = [json.loads(text) for text in texts]
    return found


async def _life(made: Site, slug: str, records: Mapping[str, Sequence[Mapping[str, Any]]]) -> Life:
    """Return what happened to a lineage."""
    original = made.originals[slug]
    lineage_id = Lineage(
        provider="asr",
        project_id=made.project_id,
        namespace="",
        mount=made.ground.mount,
        path=made.entry(slug),
    ).lineage_id
    paths = [made.entry(slug), *([made.moved_to] if made.moved_to else [])]
    keys = []
    for key in made.world._keys.values():
        mark = mark_of(key.comment)
        ours = mark is not None and mark.lineage_id == lineage_id
        if key.key_id == original.key_id or ours:
            keys.append(_seen(key, mark.rotation_id if mark else None))
    attempts = {
        one["rotation_id"]: Attempted(one["base"], one["reason"])
        for record in records.get(lineage_id, ())
        for one in record["attempts"]
    }
    places = {path: await versions(made, path) for path in paths}
    sent = [call.body for call in made.crossing.calls if call.writes and f"/data/{paths[0]}" in call.path]
    return Life(
        name=slug,
        places=places,
        keys=tuple(keys),
        original=original.key_id,
        rights=(frozenset(SCOPES), frozenset(TAGS)),
        attempts=attempts,
        sent=frozenset(each for each in attempts if any(each.encode() in body for body in sent)),
        overlap=OVERLAP,
        released_at=made.released_at,
        given_up=made.given_up,
        now=CLOCK.now(),
    )


async def judge(made: Site, *, at_rest: bool = True) -> tuple[str, ...]:
    """Return what was broken in this installation, a sentence each."""
    records = await _records(made)
    found = [
        f"P4: decoy {one.comment!r} was touched" for one in made.decoys if made.world.key(one.key_id) != one
    ]
    for slug in made.originals:
        found += (await _life(made, slug, records)).broken(at_rest=at_rest)
    return (*found, *(f"P7: {leak}" for leak in made.leaks))


async def _all_versions(made: Site, path: str) -> list[tuple[int, datetime, Mapping[str, Any]]]:
    newest = (await _ask(made, f"data/{path}")).get("data")
    if newest is None:
        return []
    found = []
    for number in range(1, newest["metadata"]["version"] + 1):
        data = (await _ask(made, f"data/{path}?version={number}"))["data"]
        found.append((number, datetime.fromisoformat(data["metadata"]["created_time"]), data["data"]))
    return found


async def _ask(made: Site, path: str) -> Any:  # noqa: ANN401 (whatever JSON can hold)
    reply = await asyncio.to_thread(made.ground.root.ask, "GET", f"{made.ground.mount}/{path}")
    return json.loads(reply.body)


def _seen(key: SimulatedKey, rotation_id: str | None) -> SeenKey:
    return SeenKey(
        key_id=key.key_id,
        secret=key.secret.reveal(),
        rotation_id=rotation_id,
        rights=(frozenset(key.scopes), frozenset(key.tags)),
        created_at=key.created_at,
        expires_at=key.expires_at,
        deleted_at=key.deleted_at,
    )
