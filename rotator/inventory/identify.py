"""Find out what a secret is that somebody found: of which key, in which lineage, and whether it still works."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from rotator.errors import PortError
from rotator.inventory.fleet import Fleet
from rotator.inventory.records import Trouble
from rotator.model.key import Key, Listing
from rotator.model.secret import Secret
from rotator.plan.whose import Whose, whose
from rotator.ports import Destinations, Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What the providers say of a secret: who accepts it, and the id of its key where one says it."""

    accepted_by: tuple[str, ...]
    key_id: str | None
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A lineage that serves the secret.

    `key_id` is that of the key in use, None when the entry is not as its publish left it, or nothing was published.
    """

    lineage: str
    provider: str
    key_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What is known of a secret's key. `key_id` is None when nothing says it, and `whose` then, too.

    `provider` is the one that the key is at: all providers of one vendor may accept it. `taker` and `place` are the
    policy that takes the key and the lineage that it would begin, while it is in none.
    """

    key_id: str | None
    provider: str | None
    key: Key | None
    whose: Whose | None
    taker: str | None
    place: str | None


async def ask_all(secret: Secret, providers: Mapping[str, Provider]) -> Proofs:
    """Ask every provider whether it accepts the secret. One that can't be asked is a trouble."""
    answers = await asyncio.gather(*(p.prove(secret) for p in providers.values()), return_exceptions=True)
    accepted_by, key_ids, troubles = [], [], []
    for name, answer in zip(providers, answers, strict=True):
        if isinstance(answer, PortError):
            troubles.append(Trouble(what=f"provider {name}", error=answer))
        elif isinstance(answer, BaseException):
            raise answer
        elif answer.accepted:
            accepted_by.append(name)
            key_ids.append(answer.key_id)
    key_id = next((one for one in key_ids if one is not None), None)
    return Proofs(accepted_by=tuple(accepted_by), key_id=key_id, troubles=tuple(troubles))


async def find_served(
    secret: Secret, fleet: Fleet, destinations: Destinations
) -> tuple[tuple[Served, ...], tuple[Trouble, ...]]:
    """Return the lineages that serve the secret now, at any place, and a trouble for each that can't be read."""
    places = [(one, place) for one in fleet.found for place in one.places]
    reads = (destinations.read(one.assignment.lineage.at(place), place.fields) for one, place in places)
    answers = await asyncio.gather(*reads, return_exceptions=True)
    served, troubles = [], []
    for (one, _), answer in zip(places, answers, strict=True):
        name, record = one.assignment.lineage.name, one.known_record
        if isinstance(answer, PortError):
            troubles.append(Trouble(what=f"lineage {name}", error=answer))
        elif isinstance(answer, BaseException):
            raise answer
        elif answer.secret is not None and answer.secret.matches(secret):
            current = record.current if record else None
            as_recorded = current is not None and current.rotation_id == answer.entry.rotation_id
            key_id = current.key.key_id if current and as_recorded else None
            served.append(Served(lineage=name, provider=one.provider, key_id=key_id))
    return tuple(dict.fromkeys(served)), tuple(troubles)


def identity(
    proofs: Proofs,
    served: tuple[Served, ...],
    listings: Mapping[str, Listing],
    fleet: Fleet | None,
    journal_id: str,
) -> Identity:
    """Put together what is known. Where no provider says the id, a lineage that serves the secret does.

    `fleet` None: lineages are not known.
    """
    key_id, provider = proofs.key_id, None
    if key_id is None:
        known = (one for one in served if one.key_id is not None)
        key_id, provider = next(((one.key_id, one.provider) for one in known), (None, None))
    if key_id is None:
        return Identity(key_id=None, provider=None, key=None, whose=None, taker=None, place=None)
    provider = next((name for name, one in listings.items() if one.shows(key_id)), provider)
    listing = listings.get(provider) if provider else None
    begun = next(
        (one.assignment for one in (fleet.found if fleet else ()) if one.assignment.matched_key_id == key_id),
        None,
    )
    return Identity(
        key_id=key_id,
        provider=provider,
        key=listing.get(key_id) if listing else None,
        whose=whose(key_id, listing, fleet.records if fleet else (), journal_id),
        taker=begun.policy.name if begun else None,
        place=begun.lineage.name if begun else None,
    )
