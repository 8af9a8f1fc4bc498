"""An installation on a real cluster: what can be done with it, what it said, and a witness for the judge."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from rotator.clock import SystemClock
from rotator.errors import PortError
from rotator.model.order import OrderKind
from rotator.model.record import Record
from rotator.reconcile import Reconciled
from rotator.rotation.orders import Ordered, give
from rotator.simulator.faults import Operation
from rotator.vault.client import VaultClient
from tests.faults.collected import seen
from tests.faults.outside import Look
from tests.faults.witness import Witness, wrong_in
from tests.support.lab import DAY, Lab, PatientClock, TravelClock, lab
from tests.support.vault_cluster import Cluster
from tests.support.vault_lab import LEAST_PRIVILEGE

_REAL = SystemClock()

DUE = 80 * DAY
"""The age at which a key that lives 90 days is due by any spread."""

OVERLAP_AND_MORE = timedelta(hours=25)

PATIENCE_SECONDS = 60.0
"""An election takes one to four seconds on a calm machine; what needs longer than this is stuck."""

CLUSTER_TESTS_SECONDS = 400
"""How long a test of one may take: several such waits, and the first one pays for the start of the nodes."""


@dataclass(slots=True)
class Scene:
    """One installation on a cluster. `failures` are what the program said was wrong, sweep by sweep."""

    cluster: Cluster
    site: Lab
    witness: Witness
    failures: list[str] = field(default_factory=list)
    _said: tuple[str, ...] = ()

    async def adopt(self, slug: str) -> str:
        """Make a due key whose secret somebody has put into Vault already; return its id."""
        key = self.site.key(slug.replace("-", " "), age=DUE)
        self.witness.slugs[slug] = key.key_id
        self.put(slug, api_key=key.secret.reveal())
        return key.key_id

    async def original(self, slug: str) -> str:
        """Make a due key whose secret is not in Vault; return its id."""
        key = self.site.key(slug.replace("-", " "), age=DUE)
        self.witness.slugs[slug] = key.key_id
        return key.key_id

    def put(self, slug: str, **data: str) -> None:
        """Write an entry by hand."""
        path = f"secret/data/{self.site.lineage(slug).path}"
        answer = self.cluster.root.answer("POST", path, {"data": data})
        self.witness.by_hand.add((slug, answer["data"]["version"]))

    async def sweep(self) -> dict[str, Reconciled]:
        """Sweep once, and note what was said to be wrong. Nothing, where there is no Vault."""
        try:
            results = await self.site.sweep()
        except PortError as error:
            self.failures.append(str(error))
            self._said = (str(error),)
            return {}
        self.failures += [str(result.error) for result in results.values() if result.error is not None]
        self._said = tuple(each for result in results.values() for each in wrong_in(result))
        self.witness.saw(results)
        return results

    async def sweep_until(self, done: Callable[[], bool]) -> None:
        """Sweep again and again, as a timer does, until it is done."""
        gives_up_at = _REAL.monotonic() + PATIENCE_SECONDS
        while not done():
            assert _REAL.monotonic() < gives_up_at, self.failures
            self.witness.pass_time(timedelta(minutes=10))
            if not await self.sweep():
                await _REAL.sleep(timedelta(milliseconds=200))
            self.witness.looks.append(Look(done(), self._said))

    async def emergency(self, *slugs: str) -> None:
        """Order one, as `rotator rotate --emergency` does."""
        ordered = Ordered(kind=OrderKind.EMERGENCY, who="a test", why="leaked")
        self.witness.emergencies += [(slug, self.site.clock.now()) for slug in slugs]
        names = {self.site.lineage(slug).name for slug in slugs}
        for found in (await self.site.connected.survey()).found:
            if found.assignment.lineage.name in names:
                connected = self.site.connected
                ports = connected.ports(
                    found.assignment.lineage, stopping=lambda: False, tell=self.site.told.append
                )
                assert isinstance(await give(ordered, found.assignment, ports), Record)

    def rotated(self) -> bool:
        """Return whether every lineage has been given a new key."""
        return all(self.served(slug) != first for slug, first in self.witness.slugs.items())

    def served(self, slug: str) -> str | None:
        """Return the id of the key whose secret Vault serves, by the newest version at the active node."""
        key = self.witness.served(slug)
        return None if key is None else key.key_id

    def settled(self) -> bool:
        """Return whether nothing is alive but what is served and what is not ours."""
        served = {self.served(slug) for slug in self.witness.slugs}
        alive = {key.key_id for key in self.witness.alive()}
        return alive - served == {key.key_id for key in self.witness.untouchable}

    async def while_created(self, number: int, act: Callable[[], object]) -> None:
        """Sweep, and `act` as soon as so many more keys were asked for: rotations are under way then."""
        wanted = self.site.simulator.count(Operation.CREATE) + number
        await self._amid(lambda: self.site.simulator.count(Operation.CREATE) >= wanted, act)

    async def while_deleted(self, number: int, act: Callable[[], object]) -> None:
        """Sweep, and `act` as soon as so many more keys were asked to be deleted."""
        wanted = self.site.simulator.count(Operation.DELETE) + number
        await self._amid(lambda: self.site.simulator.count(Operation.DELETE) >= wanted, act)

    async def _amid(self, begun: Callable[[], bool], act: Callable[[], object]) -> None:
        sweeping = asyncio.create_task(self.sweep())
        while not begun() and not sweeping.done():
            await _REAL.sleep(timedelta(milliseconds=1))
        assert begun(), self.failures
        act()
        await sweeping


@asynccontextmanager
async def scene(
    cluster: Cluster,
    address: str,
    *,
    clock: TravelClock | None = None,
    client_of: type[VaultClient] = VaultClient,
) -> AsyncIterator[Scene]:
    """Set up an installation that reaches the cluster at `address`. Its `clock` is a patient one, if it is not given."""
    place = uuid.uuid4().hex[:12]
    token = cluster.root.new_token(LEAST_PRIVILEGE)
    async with lab(
        cluster.server(address),
        token,
        place,
        ca_cert=cluster.authority,
        clock=clock or PatientClock(),
        client_of=client_of,
    ) as site:
        site.key("somebody else's", age=DUE)
        untouchable = [seen(key) for key in site.world.keys(site.project_id)]
        yield Scene(cluster, site, Witness(cluster, site, untouchable=untouchable))
