"""What each call can do to the world, the ways it can go wrong included."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from rotator.model.reason import RotateReason
from tests.core.exploration.seat import PLACE_HERE, Answer, Effect
from tests.core.exploration.texts import Texts
from tests.core.exploration.world import (
    ADOPTED,
    HERE,
    KEPT,
    NOBODY,
    OUR_MEMBER,
    RIGHTS,
    THERE,
    US,
    Filed,
    Intent,
    Key,
    Late,
    Publish,
    Version,
    World,
    tick_of,
)

AHEAD = 9
"""By how many ticks a wrong clock is ahead."""

OTHER_RIGHTS = ("usage:write", "#prod", f"{RIGHTS} usage:read")
"""What a replacement may get instead: without its tag, without its scope, with more."""


class Outcome(NamedTuple):
    """One way in which a call can go: what the caller is told, and the world after it."""

    label: str
    answer: Answer
    world: World


AMBIGUOUS: Answer = ("raise", "Ambiguous")
UNAVAILABLE: Answer = ("raise", "Unavailable")
CONFLICT: Answer = ("raise", "Conflict")
NOT_FOUND: Answer = ("raise", "NotFound")

NO_RECORD = Filed(0, 0, 0)
NO_ENTRY = Version(0, NOBODY, None, NOBODY, 0, "")


def outcomes(world: World, effect: Effect, texts: Texts) -> Iterator[Outcome]:
    """Yield every way in which `effect` can go in `world`. The first is how it goes when nothing is wrong."""
    call: str = effect[0]
    arguments: tuple[Any, ...] = effect[1:]
    yield from _CALLS[call](world, texts, *arguments)


def read_record(world: World, texts: Texts) -> Iterator[Outcome]:
    del texts
    newest = world.record[-1] if world.record else NO_RECORD
    yield Outcome("", ("record", *newest), world)
    if world.faults and world.record and newest.written == world.tick:
        stale = world.record[-2] if len(world.record) > 1 else NO_RECORD
        yield Outcome("stale", ("record", *stale), _worse(world))


def read_entry(world: World, texts: Texts, at_least: int, *, place: int = HERE) -> Iterator[Outcome]:
    del texts
    versions = world.versions(place)
    newest = versions[-1] if versions else NO_ENTRY
    answer = ("entry", newest, world.tick)
    yield Outcome("", answer, world)
    if not world.faults:
        return
    yield Outcome("unavailable", UNAVAILABLE, _worse(world))
    yield Outcome("with a wrong clock", ("entry", newest, world.tick + AHEAD), _worse(world))
    if versions and newest.written == world.tick:
        stale = versions[-2] if len(versions) > 1 else NO_ENTRY
        if stale.number >= at_least:
            yield Outcome("stale", ("entry", stale, world.tick), _worse(world))


def list_keys(world: World, texts: Texts) -> Iterator[Outcome]:
    del texts
    keys = [key for key in world.keys if world.shows(key)]
    yield Outcome("", _listed(world, keys), world)
    if world.faults:
        own = [key for key in keys if key.member == OUR_MEMBER]
        lagging = [key for key in keys if key.made != world.tick]
        if own != keys:
            yield Outcome("partial", _listed(world, own), _worse(world))
        if lagging not in (keys, own):
            yield Outcome("lagging", _listed(world, lagging), _worse(world))
        for hidden in keys:
            yield Outcome(f"k{hidden.n} unreadable", _listed(world, keys, hidden), _worse(world))
        yield Outcome("unavailable", UNAVAILABLE, _worse(world))


def get_key(world: World, texts: Texts, n: int) -> Iterator[Outcome]:
    del texts
    key = world.key(n)
    yield Outcome("", NOT_FOUND if key is None or not world.shows(key) else ("key", shown(key)), world)
    if world.faults:
        yield Outcome("unavailable", UNAVAILABLE, _worse(world))


def prove(world: World, texts: Texts, n: int) -> Iterator[Outcome]:
    del texts
    key = world.key(n)
    alive = key is not None and key.alive
    yield Outcome("", ("proof", alive), world)
    if world.faults:
        yield Outcome("unavailable", UNAVAILABLE, _worse(world))
        if key is not None and alive and key.made == world.tick:
            yield Outcome("not known everywhere yet", ("proof", False), _worse(world))


def create(world: World, texts: Texts, comment: str, rights: str) -> Iterator[Outcome]:
    del texts
    n, done = _created(world, comment, rights)
    yield Outcome("", ("minted", n), done)
    if world.faults:
        yield Outcome("answer lost", AMBIGUOUS, _worse(done))
        yield Outcome("lands late", AMBIGUOUS, _worse(_later(world, "create", comment, rights)))
        yield Outcome("refused", UNAVAILABLE, _worse(world))
        yield Outcome("repeated by a proxy", ("minted", n), _worse(_created(done, comment, rights)[1]))
        older = max(key.n for key in world.keys if key.alive)
        yield Outcome(f"answered with k{older} of before", ("minted", older), _worse(done))
        for other in OTHER_RIGHTS:
            yield Outcome(f"with '{other}'", ("minted", n), _worse(_created(world, comment, other)[1]))


def write(world: World, texts: Texts, base: int, text: int) -> Iterator[Outcome]:
    done = _written(world, texts, base, text)
    if done is None:
        yield Outcome("", CONFLICT, world)
        return
    yield Outcome("", ("version", base + 1), done)
    if world.faults:
        yield Outcome("answer lost", AMBIGUOUS, _worse(done))
        later = _later(_used(world, texts, text), "write", base, text)
        yield Outcome("commits late", AMBIGUOUS, _worse(later))
        yield Outcome("refused", UNAVAILABLE, _worse(_used(world, texts, text)))


def publish(
    world: World, texts: Texts, base: int, n: int, rotation_id: str | None, *, place: int = HERE
) -> Iterator[Outcome]:
    del texts
    done = _published(world, base, n, rotation_id, place)
    if done is None:
        yield Outcome("", CONFLICT, world)
        return
    yield Outcome("", ("version", base + 1), done)
    if world.faults:
        yield Outcome("answer lost", AMBIGUOUS, _worse(done))
        later = _later(world, "publish", place, base, n, rotation_id)
        yield Outcome("commits late", AMBIGUOUS, _worse(later))
        yield Outcome("refused", UNAVAILABLE, _worse(world))


def revoke(world: World, texts: Texts, n: int) -> Iterator[Outcome]:
    del texts
    key = world.key(n)
    if key is None or not world.shows(key):
        yield Outcome("", NOT_FOUND, world)
        return
    done = world.put_key(key._replace(killer=US))
    yield Outcome("", ("deleted",), done)
    if world.faults:
        yield Outcome("answer lost", AMBIGUOUS, _worse(done))
        yield Outcome("executes late", AMBIGUOUS, _worse(_later(world, "revoke", n, world.touched)))
        yield Outcome("refused", UNAVAILABLE, _worse(world))


_CALLS: dict[str, Callable[..., Iterator[Outcome]]] = {
    "read_record": read_record,
    "read_entry": read_entry,
    "list": list_keys,
    "get": get_key,
    "prove": prove,
    "create": create,
    "write": write,
    "publish": publish,
    "read_entry_there": partial(read_entry, place=THERE),
    "publish_there": partial(publish, place=THERE),
    "revoke": revoke,
}


def land(world: World, late: Late, texts: Texts) -> World:
    """Return the world after a delayed call was executed at last."""
    at_index = world.late.index(late)
    world = world._replace(late=(*world.late[:at_index], *world.late[at_index + 1 :]))
    match late:
        case Late("create", (str() as comment, str() as rights)):
            return _created(world, comment, rights)[1]
        case Late("write", (int() as base, int() as text)):
            return _written(world, texts, base, text) or world
        case Late("publish", (int() as place, int() as base, int() as n, (str() | None) as rotation_id)):
            return _published(world, base, n, rotation_id, place) or world
        case Late("revoke", (int() as n, _)):
            key = world.key(n)
            return world.put_key(key._replace(killer=US)) if key is not None and key.alive else world
        case _:
            raise AssertionError(late)


def shown(key: Key) -> tuple[int, str, str, int, str]:
    """Return what the provider shows of a key."""
    return (key.n, key.comment, key.rights, key.made, key.member)


def append(world: World, version: Version, place: int = HERE) -> World:
    """Return the world with one more version of what stands at a place."""
    return world.append(place, version)


def file(world: World, text: int) -> World:
    """Return the world with one more version of the journal record."""
    version = world.record[-1].version + 1 if world.record else 1
    return world._replace(record=(*world.record, Filed(version, text, world.tick))[-KEPT:])


def _listed(world: World, keys: list[Key], unreadable: Key | None = None) -> Answer:
    readable = tuple(shown(key) for key in keys if key != unreadable)
    unread = () if unreadable is None else ((unreadable.n, unreadable.comment),)
    return ("keys", readable, unread, world.management)


def _worse(world: World) -> World:
    return world._replace(faults=world.faults - 1)


def _later(world: World, call: str, *arguments: object) -> World:
    return world._replace(late=tuple(sorted((*world.late, Late(call, arguments)), key=repr)))


def _created(world: World, comment: str, rights: str) -> tuple[int, World]:
    n = world.next_key()
    return n, world.put_key(Key(n, US, comment, rights, world.tick, OUR_MEMBER))


def _used(world: World, texts: Texts, text: int) -> World:
    """Note which rotation ids have left a process: it never uses them again."""
    issued = list(world.issued)
    for attempt in texts.record(text).attempts:
        which = "abc".index(attempt.rotation_id[0])
        issued[which] = max(issued[which], int(attempt.rotation_id[1:], 16))
    return world._replace(issued=tuple(issued))


def _written(world: World, texts: Texts, base: int, text: int) -> World | None:
    if base != (world.record[-1].version if world.record else 0):
        return None
    noted = {intent.rotation_id for intent in world.intents}
    record = texts.record(text)
    place = HERE if record.destination == PLACE_HERE else THERE
    new = tuple(
        Intent(
            attempt.rotation_id,
            attempt.base,
            tick_of(attempt.intent_at),
            emergency=attempt.reason is RotateReason.EMERGENCY,
            place=place,
        )
        for attempt in record.attempts
        if attempt.rotation_id not in noted
    )
    forgotten = (world.forgotten or base + 1) if texts.record(text).forgotten else 0
    return file(_used(world, texts, text)._replace(intents=(*world.intents, *new), forgotten=forgotten), text)


def _published(world: World, base: int, n: int, rotation_id: str | None, place: int) -> World | None:
    if base != world.number(place):
        return None
    note = Publish(base + 1, n, rotation_id, world.tick, place)
    # A key whose own secret Vault has served needs no release.
    released = world.released or n == ADOPTED
    world = world._replace(publishes=(*world.publishes, note), released=released)
    return append(world, Version(base + 1, n, rotation_id, n, world.tick, US), place)
