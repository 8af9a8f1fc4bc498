"""List the keys of all providers, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from rotator.errors import PortError
from rotator.inventory.records import Trouble
from rotator.model.key import Listing
from rotator.ports import Provider


async def list_all(providers: Mapping[str, Provider]) -> tuple[dict[str, Listing], tuple[Trouble, ...]]:
    """Return one list of keys per provider, and a trouble for each that gave none."""
    answers = await asyncio.gather(*(p.list_keys() for p in providers.values()), return_exceptions=True)
    listings: dict[str, Listing] = {}
    troubles = []
    for name, answer in zip(providers, answers, strict=True):
        if isinstance(answer, PortError):
            troubles.append(Trouble(what=f"provider {name}", error=answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            listings[name] = answer
    return listings, tuple(troubles)
