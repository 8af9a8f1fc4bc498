"""What one key's life costs in calls to the provider and to Vault: the same each time, so a test can hold it.

One process takes a key in, replaces it when it is due, deletes the old one when its overlap is over, and then sweeps once
more with nothing to do. Each call to Vault goes through a proxy that notes it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace

from rotator.model.secret import Secret
from rotator.simulator.vault_server import VaultServer
from tests.support.lab import DAY, Lab, lab
from tests.support.vault_lab import Seen, between

Calls = dict[str, int]
"""How many calls of each kind were made, by plain names."""

_KINDS = (
    ("GET", r".*/control", "read what is paused"),
    ("LIST|GET", r".*/metadata/.*/lineages\?list=true", "list the records"),
    ("GET", r".*/data/rotator-journal/.*/lineages/.*", "read a record"),
    ("POST", r".*/data/rotator-journal/.*/lineages/.*", "write a record"),
    ("GET", r".*/data/.*", "read an entry"),
    ("POST", r".*/data/.*", "write an entry"),
    ("GET", r".*/metadata/.*", "read the settings of an entry"),
    ("GET", r".*/config", "read the settings of the mount"),
    ("GET", r".*/sys/internal/ui/mounts/.*", "check the mount"),
    ("POST", r".*/sys/capabilities-self", "ask for our rights"),
    ("GET", r".*/auth/token/lookup-self", "look our token up"),
)
_OF_PROVIDER = {
    "list": "list the keys",
    "get": "read a key",
    "create": "create a key",
    "prove": "try a secret",
    "delete": "delete a key",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The calls of one stage."""

    provider: Calls
    vault: Calls

    @property
    def total(self) -> tuple[int, int]:
        """How many calls went to the provider and to Vault."""
        return sum(self.provider.values()), sum(self.vault.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The stages of one key's life, all in one process. `take_in` is its first sweep, `idle` one over all `lineages`."""

    take_in: Cost
    rotate: Cost
    retire: Cost
    idle: Cost
    lineages: int


async def life(server: VaultServer, token: Secret, place: str, *, lineages: int = 3) -> Life:
    """Live one life and count. All other lineages only wait: what they cost in a sweep is in `idle`."""
    with between(lambda _seen, pass_on: pass_on(), server.address) as proxy:
        async with lab(replace(server, address=proxy.address), token, place) as site:
            key = site.key("voice 0", age=10 * DAY)
            await site.put("voice-0", key.secret)
            take_in = await _sweep(site, proxy.seen)
            site.clock.shift += 70 * DAY
            rotate = await _sweep(site, proxy.seen)
            site.clock.shift += 2 * DAY
            retire = await _sweep(site, proxy.seen)
            assert not site.alive(key.key_id)
            for number in range(1, lineages):
                other = site.key(f"voice {number}", age=DAY)
                await site.put(f"voice-{number}", other.secret)
            await site.sweep()
            return Life(
                take_in=take_in,
                rotate=rotate,
                retire=retire,
                idle=await _sweep(site, proxy.seen),
                lineages=lineages,
            )


async def _sweep(site: Lab, seen: list[Seen]) -> Cost:
    """Sweep once. The clock has moved by days: what was asked for a minute ago is asked for again."""
    seen.clear()
    site.simulator.log.clear()
    await site.sweep()
    provider = Counter(_OF_PROVIDER[logged.operation.value] for logged in site.simulator.log)
    return Cost(provider=dict(provider), vault=dict(Counter(map(_kind, seen))))


def _kind(seen: Seen) -> str:
    return next(
        name
        for method, path, name in _KINDS
        if re.fullmatch(method, seen.method) and re.fullmatch(path, seen.path)
    )
