"""What happened, collected for the judge (`outside`) alike in each part: every version in Vault, every key, every record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from rotator.model.key import mark_of
from rotator.simulator.world import SimulatedKey
from tests.faults.outside import Attempted, SeenKey, Version
from tests.support.vault_lab import Reply

Ask = Callable[[str], Reply]
"""Asks Vault for what is at a path below `/v1/`, by hands that may read everything."""


def all_versions(ask: Ask, mount: str, path: str) -> Iterator[Version]:
    """Yield every version of an entry that Vault still has, the oldest first, with its instant on Vault's clock."""
    reply = ask(f"{mount}/metadata/{path}")
    listed = json.loads(reply.body)["data"]["versions"] if reply.status == 200 else {}
    for number in sorted(map(int, listed)):
        read = ask(f"{mount}/data/{path}?version={number}")
        if read.status == 200:
            written = datetime.fromisoformat(listed[str(number)]["created_time"])
            yield Version(number=number, at=written, data=json.loads(read.body)["data"]["data"])


def records(ask: Ask, mount: str, prefix: str) -> dict[str, tuple[str, ...]]:
    """Return every version of every record of a journal, the oldest first, by the lineage's id."""
    reply = ask(f"{mount}/metadata/{prefix}/lineages?list=true")
    names = json.loads(reply.body)["data"]["keys"] if reply.status == 200 else []
    return {
        name.rpartition("-")[2]: tuple(
            str(version.data["record"]) for version in all_versions(ask, mount, f"{prefix}/lineages/{name}")
        )
        for name in names
    }


def attempts_in(texts: Iterable[str]) -> Mapping[str, Attempted]:
    """Return every attempt that these records name, by its rotation id."""
    return {
        one["rotation_id"]: Attempted(one["base"], one["reason"])
        for text in texts
        for one in json.loads(text)["attempts"]
    }


def seen(key: SimulatedKey) -> SeenKey:
    """Return a key as the judge sees it."""
    mark = mark_of(key.comment)
    return SeenKey(
        key_id=key.key_id,
        secret=key.secret.reveal(),
        comment=key.comment,
        rotation_id=mark.rotation_id if mark else None,
        rights=(frozenset(key.scopes), frozenset(key.tags)),
        created_at=key.created_at,
        expires_at=key.expires_at,
        deleted_at=key.deleted_at,
    )


def keys_of(lineage_id: str, original: str, keys: Iterable[SimulatedKey]) -> tuple[SeenKey, ...]:
    """Return the keys that were made for a lineage, and the one that it began with."""
    found = []
    for key in keys:
        mark = mark_of(key.comment)
        if key.key_id == original or (mark is not None and mark.lineage_id == lineage_id):
            found.append(seen(key))
    return tuple(found)
