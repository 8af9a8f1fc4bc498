"""What each call can do to the world, the ways it can go wrong included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from rotator.model.record import Record
from tests.core.exploration.process import Answer, Effect, Texts
from tests.core.exploration.world import (
    MANAGEMENT,
    PERSON,
    US,
    Filed,
    Key,
    Late,
    Publish,
    Version,
    World,
    at,
)

KEPT = 2
"""How many versions a world remembers: the newest, and one that a lagging standby may still show."""


class Outcome(NamedTuple):
    """One way in which a call can go: what the caller is told, and the world after it."""

    label: str
    answer: Answer
    world: World


AMBIGUOUS: Answer = ("raise", "Ambiguous")
UNAVAILABLE: Answer = ("raise", "Unavailable")
CONFLICT: Answer = ("raise", "Conflict")
NOT_FOUND: Answer = ("raise", "NotFound")


def outcomes(world: World, effect: Effect, texts: Texts) -> Iterator[Outcome]:
    """Yield every way in which `effect` can go in `world`."""
    call, *arguments = effect
    yield from _CALLS[call](world, texts, *arguments)


def read_record(world: World, texts: Texts) -> Iterator[Outcome]:
    del texts
    newest = world.record[-1] if world.record else Filed(0, 0, 0)
    yield Outcome("", ("record", newest.version, newest.text, newest.written), world)
    if world.faults and world.record and newest.written == world.tick:
        stale = world.record[-2] if len(world.record) > 1 else Filed(0, 0, 0)
        yield Outcome("stale", ("record", stale.version, stale.text, stale.written), _worse(world))


def read_entry(world: World, texts: Texts, at_least: int) -> Iterator[Outcome]:
    del texts
    nothing = Version(0, 0, None, 0, "")
    newest = world.entry[-1] if world.entry else nothing
    yield Outcome("", ("entry", newest.number, newest.n, newest.rotation_id, newest.written), world)
    if world.faults and world.entry and newest.written == world.tick:
        stale = world.entry[-2] if len(world.entry) > 1 else nothing
        if stale.number >= at_least:
            answer = ("entry", stale.number, stale.n, stale.rotation_id, stale.written)
            yield Outcome("stale", answer, _worse(world))


def list_keys(world: World, texts: Texts) -> Iterator[Outcome]:
    del texts
    shown = tuple(_shown(key) for key in world.keys if key.alive)
    yield Outcome("", ("keys", shown), world)
    if world.faults:
        own = tuple(_shown(key) for key in world.keys if key.alive and key.member == "ops")
        lagging = tuple(_shown(key) for key in world.keys if key.alive and key.made != world.tick)
        if own != shown:
            yield Outcome("partial", ("keys", own), _worse(world))
        if lagging not in (shown, own):
            yield Outcome("lagging", ("keys", lagging), _worse(world))
        yield Outcome("unavailable", UNAVAILABLE, _worse(world))


def get_key(world: World, texts: Texts, n: int) -> Iterator[Outcome]:
    del texts
    key = world.key(n)
    yield Outcome("", NOT_FOUND if key is None or not key.alive else ("key", _shown(key)), world)


def prove(world: World, texts: Texts, n: int) -> Iterator[Outcome]:
    del texts
    key = world.key(n)
    alive = key is not None and key.alive
    yield Outcome("", ("proof", alive), world)
    if world.faults:
        yield Outcome("unavailable", UNAVAILABLE, _worse(world))
        if key is not None and alive and key.made == world.tick:
            yield Outcome("not known everywhere yet", ("proof", False), _worse(world))


def create(world: World, texts: Texts, comment: str, scopes: str) -> Iterator[Outcome]:
    del texts
    n, done = _created(world, comment, scopes)
    yield Outcome("", ("minted", n), done)
    if world.faults:
        yield Outcome("answer lost", AMBIGUOUS, _worse(done))
        yield Outcome("lands late", AMBIGUOUS, _worse(_later(world, "create", comment, scopes)))
        yield Outcome("refused", UNAVAILABLE, _worse(world))
        yield Outcome("repeated by a proxy", ("minted", n), _worse(_created(done, comment, scopes)[1]))
        yield Outcome("with fewer rights", ("minted", n), _worse(_created(world, comment, "")[1]))


def write(world: World, texts: Texts, base: int, text: int) -> Iterator[Outcome]:
    done = _written(world, texts, base, text)
    if done is None:
        yield Outcome("", CONFLICT, world)
        return
    yield Outcome("", ("version", base + 1), done)
    if world.faults:
        yield Outcome("answer lost", AMBIGUOUS, _worse(done))
        yield Outcome(
            "commits late", AMBIGUOUS, _worse(_later(_issue(world, texts, text), "write", base, text))
        )
        yield Outcome("refused", UNAVAILABLE, _worse(world))


def publish(world: World, texts: Texts, base: int, n: int, rotation_id: str) -> Iterator[Outcome]:
    del texts
    done = _published(world, base, n, rotation_id)
    if done is None:
        yield Outcome("", CONFLICT, world)
        return
    yield Outcome("", ("version", base + 1), done)
    if world.faults:
        yield Outcome("answer lost", AMBIGUOUS, _worse(done))
        yield Outcome("commits late", AMBIGUOUS, _worse(_later(world, "publish", base, n, rotation_id)))
        yield Outcome("refused", UNAVAILABLE, _worse(world))


def revoke(world: World, texts: Texts, n: int) -> Iterator[Outcome]:
    del texts
    key = world.key(n)
    if key is None or not key.alive:
        yield Outcome("", NOT_FOUND, world)
        return
    done = world.put_key(key._replace(killer=US))
    yield Outcome("", ("deleted",), done)
    if world.faults:
        yield Outcome("answer lost", AMBIGUOUS, _worse(done))
        yield Outcome("executes late", AMBIGUOUS, _worse(_later(world, "revoke", n)))
        yield Outcome("refused", UNAVAILABLE, _worse(world))


_CALLS = {
    "read_record": read_record,
    "read_entry": read_entry,
    "list": list_keys,
    "get": get_key,
    "prove": prove,
    "create": create,
    "write": write,
    "publish": publish,
    "revoke": revoke,
}


def land(world: World, late: Late, texts: Texts) -> World:
    """Return the world after a delayed call was executed at last."""
    world = world._replace(late=_without(world.late, late))
    match late:
        case Late("create", (str() as comment, str() as scopes)):
            return _created(world, comment, scopes)[1]
        case Late("write", (int() as base, int() as text)):
            return _written(world, texts, base, text) or world
        case Late("publish", (int() as base, int() as n, str() as rotation_id)):
            return _published(world, base, n, rotation_id) or world
        case Late("revoke", (int() as n,)):
            key = world.key(n)
            return world.put_key(key._replace(killer=US)) if key is not None and key.alive else world
    raise AssertionError(late)


def acts(world: World, texts: Texts) -> Iterator[tuple[str, World]]:
    """Yield what a person can do."""
    if not world.acts:
        return
    acted = world._replace(acts=world.acts - 1)
    for key in world.keys:
        if key.alive and key.n != MANAGEMENT:
            yield f"a person deletes k{key.n}", acted.put_key(key._replace(killer=PERSON))
        if key.alive and key.maker == US:
            copy = Key(world.next_key(), PERSON, key.comment, key.scopes, world.tick, "ann")
            yield f"a person copies the comment of k{key.n}", acted.put_key(copy)
    served = world.served
    if served is not None:
        touched = served._replace(number=served.number + 1, written=world.tick)
        yield "a person adds a field", _append(acted, touched)
        yield "a person writes another secret", _append(acted, touched._replace(n=0, writer=PERSON))
        if len(world.entry) > 1:
            before = world.entry[-2]._replace(number=touched.number, written=world.tick, writer=PERSON)
            yield "a person rolls back", _append(acted, before)
    if world.record and not world.released:
        released = _release(texts.record(world.record[-1].text), world)
        if released is not None:
            newest = Filed(world.record[-1].version + 1, texts.number(released), world.tick)
            yield (
                "the original is released",
                acted._replace(record=(*world.record, newest)[-KEPT:], released=True),
            )


def _release(record: Record, world: World) -> Record | None:
    if not record.originals:
        return None
    originals = tuple(replace(o, released_at=at(world.tick)) for o in record.originals)
    return replace(record, originals=originals)


def _shown(key: Key) -> tuple[int, str, str, int, str]:
    return (key.n, key.comment, key.scopes, key.made, key.member)


def _worse(world: World) -> World:
    return world._replace(faults=world.faults - 1)


def _later(world: World, call: str, *arguments: object) -> World:
    return world._replace(late=tuple(sorted((*world.late, Late(call, arguments)))))


def _without(late: tuple[Late, ...], one: Late) -> tuple[Late, ...]:
    at_index = late.index(one)
    return (*late[:at_index], *late[at_index + 1 :])


def _created(world: World, comment: str, scopes: str) -> tuple[int, World]:
    n = world.next_key()
    return n, world.put_key(Key(n, US, comment, scopes, world.tick, "ops"))


def _issue(world: World, texts: Texts, text: int) -> World:
    """Note which rotation ids have left a process, with the bases that were written down for them."""
    issued, bases = list(world.issued), dict(world.bases)
    for attempt in texts.record(text).attempts:
        which = "ab".index(attempt.rotation_id[0])
        issued[which] = max(issued[which], int(attempt.rotation_id[1:], 16))
        bases.setdefault(attempt.rotation_id, attempt.base)
    return world._replace(issued=tuple(issued), bases=tuple(sorted(bases.items())))


def _written(world: World, texts: Texts, base: int, text: int) -> World | None:
    if base != (world.record[-1].version if world.record else 0):
        return None
    world = _issue(world, texts, text)
    return world._replace(record=(*world.record, Filed(base + 1, text, world.tick))[-KEPT:])


def _published(world: World, base: int, n: int, rotation_id: str) -> World | None:
    if base != (world.served.number if world.served else 0):
        return None
    note = Publish(base + 1, n, rotation_id, world.tick)
    world = world._replace(publishes=(*world.publishes, note))
    return _append(world, Version(base + 1, n, rotation_id, world.tick, US))


def _append(world: World, version: Version) -> World:
    return world._replace(entry=(*world.entry, version)[-KEPT:])
