"""The promises, stated on the model world alone: none of the program's own predicates is used here.

Each function is given one effect that took hold and returns the promise that it broke, with what happened.
"""

from __future__ import annotations

from typing import NamedTuple

from rotator.model.key import mark_of
from tests.core.exploration.process import JOURNAL_ID, LINEAGE, OVERLAP_TICKS
from tests.core.exploration.world import MANAGEMENT, ORIGINAL, PERSON, RIGHTS, US, Key, World


class Broken(NamedTuple):
    """A promise that was broken."""

    promise: str
    how: str


def judge_revoke(before: World, n: int, *, disturbed: bool, sent: bool) -> Broken | None:
    """Judge a DELETE of a living key. `disturbed`: a person acted since the caller last looked.

    `sent` is false for one that executes late: it was judged when it was sent, save that it must never hit
    what is served then.
    """
    key, served = before.key(n), before.served
    if key is None or not key.alive:
        return None
    if n == MANAGEMENT or key.maker == PERSON:
        return Broken("P4", f"k{n} is foreign, made by {key.maker}")
    if served is not None and served.n == n and served.writer == US and not disturbed:
        return Broken("P1", f"k{n} was revoked while Vault serves it")
    if not sent or disturbed:
        return None
    if key.maker == ORIGINAL and not before.released:
        return Broken("P3", f"original k{n} was revoked without a release")
    return _judge_time(before, key)


def _judge_time(before: World, key: Key) -> Broken | None:
    """Judge whether consumers had the whole overlap to leave a key that they may have used."""
    served_once = key.maker == ORIGINAL or any(p.n == key.n for p in before.publishes)
    if not served_once:
        return None
    versions = [p.version for p in before.publishes if p.n == key.n]
    last = max(versions, default=0)
    after = [p.tick for p in before.publishes if p.version > last]
    if not after:
        return Broken("P3", f"k{key.n} was revoked before anything replaced it")
    if before.tick - min(after) < OVERLAP_TICKS:
        return Broken(
            "P3", f"k{key.n} was revoked {before.tick - min(after)} ticks after its successor's publish"
        )
    served = before.served
    successor = before.key(served.n) if served is not None else None
    if successor is None or not successor.alive or successor.n == key.n:
        return Broken("P3", f"k{key.n} was revoked while Vault serves no other living key")
    return None


def judge_publish(after: World) -> Broken | None:
    """Judge the publish that made the newest version."""
    note = after.publishes[-1]
    key = after.key(note.n)
    if key is None or key.killer == US:
        return Broken("P1", f"k{note.n} was published although it was revoked by us")
    if key.scopes != RIGHTS:
        return Broken("P5", f"k{note.n} was published with rights '{key.scopes}'")
    base = dict(after.bases).get(note.rotation_id)
    if base is None:
        return Broken("P2", f"k{note.n} was published and no intent ever named its rotation id")
    if base != note.version - 1:
        return Broken("P6", f"k{note.n} was published at version {note.version - 1}, its base is {base}")
    return None


def judge_unproven(key_accepted: bool, n: int) -> Broken | None:  # noqa: FBT001 (the one thing it judges)
    """Judge a publish that is sent: its process must have seen the provider accept the secret."""
    return None if key_accepted else Broken("P1", f"k{n} was sent to Vault without a proof that it works")


def judge_known(world: World) -> Broken | None:
    """Judge that every living key that we made can be found: its comment leads to this journal and lineage."""
    for key in world.keys:
        mark = mark_of(key.comment)
        findable = mark is not None and (mark.journal_id, mark.lineage_id) == (JOURNAL_ID, LINEAGE.lineage_id)
        if key.maker == US and key.alive and not findable:
            return Broken("P2", f"k{key.n} lives and nothing leads to it")
        if key.maker == US and mark is not None and mark.rotation_id not in dict(world.bases):
            return Broken("P2", f"k{key.n} was made and no intent ever named its rotation id")
    return None
