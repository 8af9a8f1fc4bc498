"""What a person can do to the world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rotator.model.key import mark_of
from tests.core.exploration.effects import append, file
from tests.core.exploration.moving import acts_there
from tests.core.exploration.texts import Texts
from tests.core.exploration.world import (
    ADOPTED,
    HERE,
    NOBODY,
    OUR_MEMBER,
    PERSON,
    PLACES,
    RIGHTS,
    THEIR_MEMBER,
    Key,
    Version,
    World,
    at,
)


def acts(world: World, texts: Texts) -> Iterator[tuple[str, World]]:
    """Yield every act of a person that is possible in `world`, while there are any left."""
    if world.acts:
        acted = world._replace(acts=world.acts - 1)
        yield from _on_keys(acted)
        yield from _on_entry(acted)
        yield from _orders(acted, texts)
        yield from acts_there(acted, texts)


def _on_keys(world: World) -> Iterator[tuple[str, World]]:
    for key in world.keys:
        if not key.alive or key.maker == PERSON:
            continue
        deleted = world.put_key(key._replace(killer=PERSON))
        for place in PLACES:
            if (served := world.newest(place)) is not None and served.n == key.n:
                deleted = deleted.touch(place)
        yield f"a person deletes k{key.n}", deleted
        if mark_of(key.comment) is not None:
            for rights, member in ((RIGHTS, THEIR_MEMBER), (RIGHTS, OUR_MEMBER), ("owner", OUR_MEMBER)):
                copy = Key(world.next_key(), PERSON, key.comment, rights, world.tick, member)
                yield f"{member} copies the comment of k{key.n} to a key with '{rights}'", world.put_key(copy)
    if not world.demoted:
        yield "our member is demoted", world._replace(demoted=True)


def _on_entry(world: World) -> Iterator[tuple[str, World]]:
    served = world.served
    number = served.number + 1 if served is not None else 1
    foreign = Version(number, NOBODY, None, NOBODY, world.tick, PERSON)
    yield "a person writes an entry of their own", append(world, foreign).touch(HERE)
    if served is None or (served.writer == PERSON and not world.publishes):
        imported = append(world, foreign._replace(n=ADOPTED)).touch(HERE)
        yield "a person writes the adopted key's secret", imported._replace(released=True)
    if served is None:
        return
    yield "a person adds a field", append(world, served._replace(number=number, written=world.tick))
    patched = served._replace(number=number, n=NOBODY, written=world.tick, writer=PERSON)
    yield "a person changes the secret field only", append(world, patched).touch(HERE)
    if len(world.entry) > 1:
        before = world.entry[-2]._replace(number=number, written=world.tick, writer=PERSON)
        yield "a person rolls back", append(world, before).touch(HERE)


def _orders(world: World, texts: Texts) -> Iterator[tuple[str, World]]:
    record = texts.record(world.record[-1].text) if world.record else None
    if record is not None and record.originals and not world.released:
        originals = tuple(replace(o, released_at=at(world.tick)) for o in record.originals)
        ordered = file(world, texts.number(replace(record, originals=originals)))
        yield "a person releases the original", ordered._replace(released=True)
