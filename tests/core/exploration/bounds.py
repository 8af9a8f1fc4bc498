"""How far a search goes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many ticks pass, calls go wrong, acts a person does, processes die, turns are interrupted, orders are given.

    `moves` is how often a person orders something about places: to serve the lineage at another one, or no more.
    `world` is the kind of world that it begins with (`world.first_world`). A turn is interrupted when
    anything else happens between two of its calls.
    """

    ticks: int
    faults: int = 0
    acts: int = 0
    deaths: int = 0
    switches: int = 0
    orders: int = 0
    moves: int = 0
    processes: int = 1
    world: str = "empty"

    def __str__(self) -> str:
        counts = ("processes", "ticks", "faults", "acts", "deaths", "switches", "orders", "moves")
        return f"{self.world} " + " ".join(f"{name}={getattr(self, name)}" for name in counts)


QUICK: tuple[Bounds, ...] = (
    Bounds(ticks=1, faults=2),
    Bounds(ticks=1, faults=1, deaths=1),
    Bounds(ticks=1, faults=1, deaths=1, world="imported"),
    Bounds(ticks=2, deaths=1, world="imported"),
    Bounds(ticks=2, faults=1, world="imported"),
    Bounds(ticks=1, faults=1, switches=1, world="imported"),
    Bounds(ticks=1, acts=2),
    Bounds(ticks=2, acts=1, world="imported"),
    Bounds(ticks=1, acts=1, switches=1, world="imported"),
    Bounds(ticks=0, faults=1, acts=1, world="imported"),
    Bounds(ticks=1, faults=1, acts=1, world="occupied"),
    Bounds(ticks=2, acts=1, world="own"),
    Bounds(ticks=0, faults=1, switches=1, processes=2),
    Bounds(ticks=2, switches=1, processes=2, world="imported"),
    Bounds(ticks=1, switches=2, processes=2),
    Bounds(ticks=0, orders=2),
    Bounds(ticks=0, faults=1, orders=1),
    Bounds(ticks=0, acts=1, orders=1),
    Bounds(ticks=0, deaths=1, orders=1),
    Bounds(ticks=1, switches=1, orders=1, world="imported"),
    Bounds(ticks=0, switches=1, orders=1, processes=2),
    Bounds(ticks=1, moves=2, world="imported"),
    Bounds(ticks=2, moves=1, world="imported"),
    Bounds(ticks=0, faults=1, moves=1, world="imported"),
    Bounds(ticks=0, acts=1, moves=1, world="imported"),
    Bounds(ticks=0, orders=1, moves=1, world="imported"),
    Bounds(ticks=1, switches=1, moves=1, world="imported"),
    Bounds(ticks=1, switches=1, moves=1, processes=2, world="imported"),
    Bounds(ticks=1, moves=2, world="fields"),
    Bounds(ticks=0, faults=1, moves=1, world="fields"),
    Bounds(ticks=3, faults=1, world="frozen"),
    Bounds(ticks=3, deaths=2, world="frozen"),
    Bounds(ticks=3, switches=1, processes=2, world="frozen"),
)
"""What every run of the tests searches: each kind of trouble, and each two kinds together, a short way."""

THOROUGH: tuple[Bounds, ...] = (
    Bounds(ticks=1, faults=2),
    Bounds(ticks=2, faults=1, deaths=1),
    Bounds(ticks=2, faults=1, deaths=1, world="imported"),
    Bounds(ticks=2, faults=1, switches=1, world="imported"),
    Bounds(ticks=2, acts=2),
    Bounds(ticks=2, acts=1, switches=1, world="imported"),
    Bounds(ticks=1, faults=1, acts=1, world="imported"),
    Bounds(ticks=1, faults=1, acts=1, world="occupied"),
    Bounds(ticks=2, acts=1, world="own"),
    Bounds(ticks=1, faults=1, switches=1, processes=2),
    Bounds(ticks=3, switches=1, processes=2, world="imported"),
    Bounds(ticks=2, switches=2, processes=2),
    Bounds(ticks=1, orders=2),
    Bounds(ticks=0, faults=1, orders=2),
    Bounds(ticks=0, acts=1, orders=1),
    Bounds(ticks=1, deaths=1, orders=1),
    Bounds(ticks=2, switches=1, orders=1, world="imported"),
    Bounds(ticks=0, switches=2, orders=1, processes=2),
    Bounds(ticks=2, moves=2, world="imported"),
    Bounds(ticks=1, faults=1, moves=1, world="imported"),
    Bounds(ticks=1, acts=1, moves=1, world="imported"),
    Bounds(ticks=1, orders=1, moves=1, world="imported"),
    Bounds(ticks=2, switches=1, moves=1, world="imported"),
    Bounds(ticks=1, switches=1, moves=1, processes=2, world="imported"),
    Bounds(ticks=2, moves=2, world="fields"),
    Bounds(ticks=1, faults=1, moves=1, world="fields"),
    Bounds(ticks=3, faults=1, world="frozen"),
    Bounds(ticks=3, deaths=2, world="frozen"),
    Bounds(ticks=3, switches=1, processes=2, world="frozen"),
)
"""What `make prove` searches: the same, a longer way."""

DEEP: tuple[Bounds, ...] = (
    Bounds(ticks=2, faults=2),
    Bounds(ticks=4, faults=1, deaths=1),
    Bounds(ticks=4, faults=1, switches=1, world="imported"),
    Bounds(ticks=3, faults=1, acts=1),
    Bounds(ticks=3, faults=1, acts=1, world="imported"),
    Bounds(ticks=3, acts=2),
    Bounds(ticks=2, acts=2, switches=1),
    Bounds(ticks=3, acts=1, switches=1, world="imported"),
    Bounds(ticks=2, acts=2, world="own"),
    Bounds(ticks=2, faults=1, switches=1, processes=2),
    Bounds(ticks=2, acts=1, switches=1, processes=2),
    Bounds(ticks=3, deaths=1, switches=2, processes=2, world="imported"),
    Bounds(ticks=2, orders=3),
    Bounds(ticks=1, faults=1, orders=2),
    Bounds(ticks=2, deaths=1, orders=2),
    Bounds(ticks=1, acts=1, switches=1, orders=1),
    Bounds(ticks=2, switches=1, orders=2, world="imported"),
    Bounds(ticks=1, switches=2, orders=1, processes=2),
    Bounds(ticks=2, faults=1, moves=2, world="imported"),
    Bounds(ticks=2, acts=1, moves=2, world="imported"),
    Bounds(ticks=2, orders=1, moves=2, world="imported"),
    Bounds(ticks=2, deaths=1, moves=2, world="imported"),
    Bounds(ticks=3, switches=2, moves=2, world="imported"),
    Bounds(ticks=2, switches=1, moves=2, processes=2, world="imported"),
    Bounds(ticks=2, moves=3),
    Bounds(ticks=2, faults=1, moves=2, world="fields"),
    Bounds(ticks=2, switches=1, moves=2, processes=2, world="fields"),
    Bounds(ticks=3, faults=2, world="frozen"),
    Bounds(ticks=3, faults=1, acts=1, world="frozen"),
    Bounds(ticks=3, deaths=1, switches=2, processes=2, world="frozen"),
)
"""What `--deep` searches: the same, further still."""
