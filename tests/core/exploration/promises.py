"""The promises, stated on the model world alone: none of the program's own predicates is used here.

Each function returns the promise that is broken, with what happened, None when all is well.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from rotator.model.key import Mark, mark_of
from tests.core.exploration.process import OVERLAP_TICKS, Learnt
from tests.core.exploration.seat import JOURNAL_ID, LINEAGE, Effect
from tests.core.exploration.texts import Texts
from tests.core.exploration.world import (
    ADOPTED,
    NOBODY,
    OUR_MEMBER,
    PERSON,
    RIGHTS,
    US,
    Key,
    Late,
    Publish,
    World,
)

LINEAGE_ID = LINEAGE.lineage_id

HOUR_TICKS = 2
"""A key that appears more ticks after its intent is not taken for ours."""


class Broken(NamedTuple):
    """A promise that was broken."""

    promise: str
    how: str


def judge_call(
    before: World, after: World, effect: Effect, learnt: Learnt, touched: int, texts: Texts
) -> Broken | None:
    """Judge a call of a process: what it sent, and what that did at once.

    `touched` is the world's count when the process last read the destination: after that, a person may have
    changed what is served without any program being able to see it.
    """
    match effect:
        case ("revoke", int() as n):
            key = before.key(n)
            if key is None or not key.alive:
                return None
            undisturbed = before.touched == touched
            named = _named(before, texts) | {learnt.minted}
            return (
                _judge_orders(before, learnt, emergency=in_emergency(before, key) or learnt.minted == n)
                or _judge_whose(before, key, named)
                or (_judge_served(before, key) if undisturbed else None)
                or (_judge_time(before, key, learnt) if undisturbed else None)
            )
        case ("create", str() as comment, _):
            return _judge_orders(before, learnt, emergency=_for_emergency(before, _mark(comment)))
        case ("publish", _, int() as n, str() as rotation_id):
            if learnt.accepted != n:
                return Broken("P1", f"k{n} was sent to Vault without a proof that it works")
            intent = before.intent(rotation_id)
            emergency = intent is not None and intent.emergency
            return _judge_orders(before, learnt, emergency=emergency) or judge_publish(before, after)
        case _:
            return None


def judge_late(before: World, after: World, late: Late) -> Broken | None:
    """Judge a call that is executed late. It was judged when it was sent, but the world has changed since."""
    match late:
        case Late("revoke", (int() as n, touched)):
            key = before.key(n)
            undisturbed = before.touched == touched
            return _judge_served(before, key) if key is not None and key.alive and undisturbed else None
        case Late("publish"):
            return judge_publish(before, after)
        case _:
            return None


def judge_publish(before: World, after: World) -> Broken | None:
    """Judge the publish that made the newest version, if one did."""
    if len(after.publishes) == len(before.publishes):
        return None
    note, over = after.publishes[-1], before.served
    key = after.key(note.n)
    if key is None or key.killer == US:
        return Broken("P1", f"k{note.n} was published although it was revoked by us")
    if over is not None and not _of_this_lineage(before, over.n):
        return Broken("P4", f"k{note.n} was published over a secret that is none of ours")
    if not _of_this_lineage(after, note.n):
        return Broken("P4", f"k{note.n} was published and is none of this lineage's")
    if key.rights != RIGHTS:
        return Broken("P5", f"k{note.n} was published with '{key.rights}'")
    intent = after.intent(note.rotation_id)
    if intent is None:
        return Broken("P2", f"k{note.n} was published and no intent ever named its rotation id")
    if intent.base != note.version - 1:
        return Broken(
            "P6", f"k{note.n} was published at version {note.version - 1}, its base is {intent.base}"
        )
    # What a person undid before it was recorded has to be done once more.
    deleted = {key.n for key in after.keys if key.killer == PERSON}
    carried_out = [p for p in after.publishes if emergency_of(after, p) and p.n not in deleted]
    if len(carried_out) > after.emergencies + after.touched:
        return Broken("P3", f"k{note.n} was published in an emergency that nobody ordered")
    return None


def judge_known(world: World) -> Broken | None:
    """Judge that every key that we made can be found: its comment leads to this lineage and to an intent."""
    for key in world.keys:
        if key.maker != US:
            continue
        mark = _mark(key.comment)
        if mark is None or (mark.journal_id, mark.lineage_id) != (JOURNAL_ID, LINEAGE_ID):
            return Broken("P2", f"k{key.n} was made and nothing leads to it")
        if world.intent(mark.rotation_id) is None:
            return Broken("P2", f"k{key.n} was made and no intent ever named its rotation id")
    return None


def passes_for_ours(world: World, key: Key) -> bool:
    """Return whether all that P4 asks of a key that is known by its mark holds, whoever made it."""
    mark = _mark(key.comment)
    intent = world.intent(mark.rotation_id) if mark is not None else None
    return (
        intent is not None
        and 0 <= key.made - intent.tick <= HOUR_TICKS
        and key.member == OUR_MEMBER
        and key.rights == RIGHTS
    )


def _judge_orders(before: World, learnt: Learnt, *, emergency: bool) -> Broken | None:
    """Judge that nothing is done for a lineage that is known to be forgotten, or paused save in an emergency."""
    if 0 < before.forgotten <= learnt.knew:
        return Broken("P4", "a lineage was acted on that was known to be forgotten")
    if learnt.paused and not emergency:
        return Broken("P4", "a lineage was acted on that was known to be paused")
    return None


def _for_emergency(world: World, mark: Mark | None) -> bool:
    intent = world.intent(mark.rotation_id) if mark is not None else None
    return intent is not None and intent.emergency


def emergency_of(world: World, publish: Publish) -> bool:
    intent = world.intent(publish.rotation_id)
    return intent is not None and intent.emergency


def in_emergency(world: World, key: Key) -> bool:
    """Return whether an emergency's key was published after `key`, and after it could be published for the last time."""
    mark = _mark(key.comment)
    intent = world.intent(mark.rotation_id) if mark is not None else None
    base = intent.base if intent is not None else 0
    last = max((p.version for p in world.publishes if p.n == key.n), default=base)
    return any(emergency_of(world, p) and p.version > last for p in world.publishes)


def _judge_whose(before: World, key: Key, named: frozenset[int]) -> Broken | None:
    if key.n == before.management:
        return Broken("P4", f"k{key.n} is the management key in use")
    if key.maker == PERSON and not passes_for_ours(before, key):
        return Broken("P4", f"k{key.n} is foreign: a person made it")
    if key.n not in named:
        return Broken("P4", f"k{key.n} was revoked and the record does not name it")
    return None


def _judge_served(before: World, key: Key) -> Broken | None:
    served = before.served
    if served is not None and served.n == key.n:
        return Broken("P1", f"k{key.n} was revoked while Vault serves it")
    return None


def _judge_time(before: World, key: Key, learnt: Learnt) -> Broken | None:
    """Judge whether everybody had the whole overlap to leave a key, and it was looked at just before."""
    if learnt.minted == key.n:
        sent = learnt.sent
        return Broken("P1", f"k{key.n} was revoked after its publish was sent") if sent else None
    if learnt.asked != learnt.read:
        return Broken("P3", f"k{key.n} was revoked on a proof {learnt.asked - learnt.read} ticks old")
    emergency = in_emergency(before, key)
    if key.n == ADOPTED and not (before.released or emergency):
        return Broken("P3", f"original k{key.n} was revoked without a release")
    successor = before.key(before.served.n) if before.served is not None else None
    if successor is None or not successor.alive:
        return Broken("P3", f"k{key.n} was revoked while Vault serves no living key")
    if emergency or key.n in before.given_up:
        return None
    mark = _mark(key.comment)
    intent = before.intent(mark.rotation_id) if mark is not None else None
    return _judge_overlap(before, key, intent.base if intent is not None else 0)


def _judge_overlap(before: World, key: Key, base: int) -> Broken | None:
    """Judge the time since nobody can come to serve `key` any more. `base` is where it could be published.

    One that never was served needs no overlap where a person wrote the version that made its publish fail.
    """
    last = max((p.version for p in before.publishes if p.n == key.n), default=0)
    after = [p for p in before.publishes if p.version > max(last, base)]
    if before.served is None or before.served.number <= max(last, base):
        return Broken("P3", f"k{key.n} was revoked before anything was published after it")
    if not after or (not last and key.n != ADOPTED and after[0].version != base + 1):
        return None
    if before.tick - after[0].tick < OVERLAP_TICKS:
        return Broken(
            "P3", f"k{key.n} was revoked {before.tick - after[0].tick} ticks after what replaced it"
        )
    return None


def _of_this_lineage(world: World, n: int) -> bool:
    key = world.key(n)
    return n != NOBODY and key is not None and (key.maker == US or key.n == ADOPTED)


def _named(world: World, texts: Texts) -> frozenset[int]:
    """Return the keys that the newest record names."""
    if not world.record:
        return frozenset()
    ids = texts.record(world.record[-1].text).known_key_ids()
    return frozenset(int(key_id.removeprefix("k")) for key_id in ids)


@cache
def _mark(comment: str) -> Mark | None:
    return mark_of(comment)
