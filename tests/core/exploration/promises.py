"""The promises, stated on the model world alone: none of the program's own predicates is used here.

Each function returns the promise that is broken, with what happened, None when all is well.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from rotator.model.key import Mark, mark_of
from tests.core.exploration.moving import destination, served_places
from tests.core.exploration.process import OVERLAP_TICKS, Learnt
from tests.core.exploration.seat import JOURNAL_ID, LINEAGE, Effect
from tests.core.exploration.texts import Texts
from tests.core.exploration.world import (
    ADOPTED,
    HERE,
    NOBODY,
    OUR_MEMBER,
    PERSON,
    PLACES,
    RIGHTS,
    US,
    Key,
    Late,
    Publish,
    Version,
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
    before: World,
    after: World,
    effect: Effect,
    learnt: Learnt,
    touched: tuple[int, int],
    texts: Texts,
) -> Broken | None:
    """Judge a call of a process: what it sent, and what that did at once.

    `touched` are the world's counts when the process last read each place: after that, a person may have
    changed what is served there without any program being able to see it.
    """
    match effect:
        case ("revoke", int() as n):
            key = before.key(n)
            if key is None or not key.alive:
                return None
            own = minted_by(learnt, key)
            named = _named(before, texts) | ({n} if own else set())
            places = _undisturbed(before, touched, texts)
            return (
                _judge_orders(before, learnt, emergency=in_emergency(before, key) or own)
                or _judge_whose(before, key, named)
                or _judge_served(before, key, places)
                or _judge_times(before, key, learnt, places)
            )
        case ("create", str() as comment, _):
            return _judge_orders(before, learnt, emergency=_for_emergency(before, _mark(comment)))
        case ("publish" | "publish_there", _, int() as n, (str() | None) as rotation_id):
            if n not in learnt.accepted:
                return Broken("P1", f"k{n} was sent to Vault without a proof that it works")
            # What an emergency published is brought to every place before the old keys go.
            copies = any((p.rotation_id, p.n) == (rotation_id, n) for p in before.publishes)
            ended = copies and any(emergency_of(before, publish) for publish in before.publishes)
            emergency = ended or _is_emergency(before, rotation_id)
            return _judge_orders(before, learnt, emergency=emergency) or judge_publish(before, after, texts)
        case ("write", _, int() as text) if learnt.given and not texts.kept(text):
            return Broken("P2", "a record was written without what a newer version had put there")
        case _:
            return None


def judge_late(before: World, after: World, late: Late, texts: Texts) -> Broken | None:
    """Judge a call that is executed late. It was judged when it was sent, but the world has changed since."""
    match late:
        case Late("revoke", (int() as n, (int() as here, int() as there))):
            key = before.key(n)
            if key is None or not key.alive:
                return None
            return _judge_served(before, key, _undisturbed(before, (here, there), texts))
        case Late("publish"):
            return judge_publish(before, after, texts)
        case _:
            return None


def judge_publish(before: World, after: World, texts: Texts) -> Broken | None:
    """Judge the publish that made the newest version, if one did: at a place that is served, or was given up."""
    if len(after.publishes) == len(before.publishes):
        return None
    note = after.publishes[-1]
    key, over = after.key(note.n), before.newest(note.place)
    served = note.place in served_places(before, texts)
    if key is None or (served and key.killer == US):
        return Broken("P1", f"k{note.n} was published although it was revoked by us")
    if over is not None and not _of_this_lineage(before, over.n):
        return Broken("P4", f"k{note.n} was published over a secret that is none of ours")
    if not _of_this_lineage(after, note.n):
        return Broken("P4", f"k{note.n} was published and is none of this lineage's")
    if key.rights != RIGHTS:
        return Broken("P5", f"k{note.n} was published with '{key.rights}'")
    if note.rotation_id is None or _copies(before, note):
        return _judge_copy(before, note, over)
    intent = after.intent(note.rotation_id)
    if intent is None:
        return Broken("P2", f"k{note.n} was published and no intent ever named its rotation id")
    if (intent.base, intent.place) != (note.version - 1, note.place):
        return Broken(
            "P6", f"k{note.n} was published at version {note.version - 1}, its base is {intent.base}"
        )
    # What a person undid before it was recorded has to be done once more.
    deleted = {key.n for key in after.keys if key.killer == PERSON}
    carried_out = {p.rotation_id for p in after.publishes if emergency_of(after, p) and p.n not in deleted}
    if len(carried_out) > after.emergencies + sum(after.touched):
        return Broken("P3", f"k{note.n} was published in an emergency that nobody ordered")
    return None


def _copies(before: World, note: Publish) -> bool:
    """Return whether a publish only says at one place what stood at the other one before."""
    return any(
        (one.rotation_id, one.n) == (note.rotation_id, note.n) and one.place != note.place
        for one in before.publishes
    )


def _judge_copy(before: World, note: Publish, over: Version | None) -> Broken | None:
    first: dict[int, int] = {}
    for index, one in enumerate(before.publishes):
        first.setdefault(one.n, index)
    if over is not None and first.get(over.n, -1) > first.get(note.n, -1):
        return Broken("P6", f"k{note.n} was copied over k{over.n}, which came after it")
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


def minted_by(learnt: Learnt, key: Key) -> bool:
    """Return whether a key is the work of a process's create. The answer to that may name another one."""
    return (key.n, key.comment) == (learnt.minted, learnt.asked_for)


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
    return mark is not None and _is_emergency(world, mark.rotation_id)


def _is_emergency(world: World, rotation_id: str | None) -> bool:
    intent = world.intent(rotation_id) if rotation_id is not None else None
    return intent is not None and intent.emergency


def emergency_of(world: World, publish: Publish) -> bool:
    return _is_emergency(world, publish.rotation_id)


def in_emergency(world: World, key: Key) -> bool:
    """Return whether an emergency's key was published after `key`, and after it could be published for the last time."""
    mark = _mark(key.comment)
    intent = world.intent(mark.rotation_id) if mark is not None else None
    bases = {intent.place: intent.base} if intent is not None else {}
    last = {
        place: max((p.version for p in world.publishes if (p.n, p.place) == (key.n, place)), default=base)
        for place in PLACES
        for base in (bases.get(place, 0),)
    }
    return any(emergency_of(world, p) and p.version > last[p.place] for p in world.publishes)


def _judge_whose(before: World, key: Key, named: frozenset[int]) -> Broken | None:
    if key.n == before.management:
        return Broken("P4", f"k{key.n} is the management key in use")
    if key.maker == PERSON and not passes_for_ours(before, key):
        return Broken("P4", f"k{key.n} is foreign: a person made it")
    if key.n not in named:
        return Broken("P4", f"k{key.n} was revoked and the record does not name it")
    return None


def _undisturbed(before: World, touched: tuple[int, int], texts: Texts) -> tuple[int, ...]:
    """Return the places that are served, not only to be, and that no person changed since a process read them."""
    begun = destination(before, texts)
    return tuple(
        place
        for place in served_places(before, texts)
        if before.touched[place] == touched[place] and (place == begun or before.newest(place) is not None)
    )


def _judge_served(before: World, key: Key, places: tuple[int, ...]) -> Broken | None:
    for place in places:
        served = before.newest(place)
        if served is not None and served.n == key.n:
            return Broken("P1", f"k{key.n} was revoked while Vault serves it")
    return None


def _judge_times(before: World, key: Key, learnt: Learnt, places: tuple[int, ...]) -> Broken | None:
    """Judge whether everybody had the whole overlap to leave a key, and it was looked at just before."""
    if minted_by(learnt, key):
        sent = learnt.sent
        return Broken("P1", f"k{key.n} was revoked after its publish was sent") if sent and places else None
    if places and key.n == ADOPTED and not (before.released or in_emergency(before, key)):
        return Broken("P3", f"original k{key.n} was revoked without a release")
    judged = (_judge_time(before, key, learnt, place) for place in places)
    return next((broken for broken in judged if broken is not None), None)


def _judge_time(before: World, key: Key, learnt: Learnt, place: int) -> Broken | None:
    read = learnt.reads[place]
    if read not in (NOBODY, learnt.asked):
        return Broken("P3", f"k{key.n} was revoked on a proof {learnt.asked - read} ticks old")
    newest = before.newest(place)
    successor = before.key(newest.n) if newest is not None else None
    if successor is None or not successor.alive:
        return Broken("P3", f"k{key.n} was revoked while Vault serves no living key")
    if in_emergency(before, key) or key.n in before.given_up:
        return None
    mark = _mark(key.comment)
    intent = before.intent(mark.rotation_id) if mark is not None else None
    if place == (HERE if intent is None else intent.place):
        return _judge_overlap(before, key, 0 if intent is None else intent.base, place)
    return _judge_left(before, key, place)


def _judge_overlap(before: World, key: Key, base: int, place: int) -> Broken | None:
    """Judge the time since nobody can come to serve `key` any more. `base` is where it could be published.

    One that never was served needs no overlap where a person wrote the version that made its publish fail.
    """
    publishes = [p for p in before.publishes if p.place == place]
    last = max((p.version for p in publishes if p.n == key.n), default=0)
    after = [p for p in publishes if p.version > max(last, base)]
    newest = before.newest(place)
    if newest is None or newest.number <= max(last, base):
        return Broken("P3", f"k{key.n} was revoked before anything was published after it")
    if not after or (not last and key.n != ADOPTED and after[0].version != base + 1):
        return None
    return _too_early(before, key, after[0])


def _judge_left(before: World, key: Key, place: int) -> Broken | None:
    """Judge the time since a place that once served `key`, and that no publish of it can reach, serves another one."""
    publishes = [p for p in before.publishes if p.place == place]
    last = max((p.version for p in publishes if p.n == key.n), default=None)
    after = [p for p in publishes if last is not None and p.version > last]
    return _too_early(before, key, after[0]) if after else None


def _too_early(before: World, key: Key, after: Publish) -> Broken | None:
    if before.tick - after.tick < OVERLAP_TICKS:
        return Broken("P3", f"k{key.n} was revoked {before.tick - after.tick} ticks after what replaced it")
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
