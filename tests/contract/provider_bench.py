"""A simulated project with a management key, and the provider that looks at it over real HTTP."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from rotator.http import HttpClient
from rotator.model.key import KeyRequest
from rotator.model.secret import Secret
from rotator.ports import Minted
from rotator.providers.deepgram import Deepgram
from rotator.simulator.deepgram import DeepgramSimulator
from rotator.simulator.rights import Role
from rotator.simulator.world import World
from tests.support.canary import CANARY
from tests.support.virtual_clock import VirtualClock

CALL_TIMEOUT = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    clock: VirtualClock
    world: World
    simulator: DeepgramSimulator
    base_url: str
    http: HttpClient
    project_id: str
    owner_id: str
    management: Minted
    provider: Deepgram

    def key(
        self,
        *,
        comment: str = "an app",
        scopes: Iterable[str] = ("usage:write",),
        tags: Iterable[str] = (),
        lifetime: timedelta | None = None,
        member_id: str | None = None,
    ) -> Minted:
        """Add a key that was created now, by the owner of the management key if not said."""
        return self.world.add_key(
            self.project_id,
            member_id=member_id or self.owner_id,
            comment=comment,
            scopes=scopes,
            tags=tags,
            expires_at=None if lifetime is None else self.clock.now() + lifetime,
        )

    def provider_with(self, secret: Secret, *, project_id: str | None = None) -> Deepgram:
        return Deepgram(
            self.http, project_id=project_id or self.project_id, management=secret, clock=self.clock
        )

    def provider_of(self, role: Role, scopes: Iterable[str]) -> Deepgram:
        """A provider whose management key is that of somebody else."""
        member_id = self.world.add_member(self.project_id, role=role, email="two@example.com")
        return self.provider_with(self.key(member_id=member_id, scopes=scopes).secret)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    numbers = itertools.count()
    clock = VirtualClock()
    world = World(clock, secret_factory=lambda: f"{CANARY}{next(numbers):034d}")
    project_id = world.add_project()
    owner_id = world.add_member(project_id)
    management = world.add_key(project_id, member_id=owner_id, scopes=("owner",), comment="rotator itself")
    simulator = DeepgramSimulator(world)
    async with simulator.serve() as base_url:
        http = HttpClient(base_url, call_timeout=CALL_TIMEOUT, concurrency=8)
        made = Bench(
            clock=clock,
            world=world,
            simulator=simulator,
            base_url=base_url,
            http=http,
            project_id=project_id,
            owner_id=owner_id,
            management=management,
            provider=Deepgram(http, project_id=project_id, management=management.secret, clock=clock),
        )
        try:
            yield made
        finally:
            await http.aclose()


def request(
    *,
    comment: str = "a key",
    scopes: Iterable[str] = ("usage:write",),
    tags: Iterable[str] = (),
    lifetime: timedelta | None = None,
) -> KeyRequest:
    return KeyRequest(comment=comment, scopes=frozenset(scopes), tags=frozenset(tags), lifetime=lifetime)
