"""How long it takes to rotate many due keys, against a plain program that does the same steps one by one.

Both run against the same real Vault-API server and the same simulated Deepgram, whose calls take 50 ms. The ratio
is what counts: machines differ. The plain program deletes the old key at once, where ours writes an intent,
a record and lets both keys work, and deletes in a later sweep, so ours does more per key.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
import sys
from datetime import timedelta

import click

from rotator.bootstrap import Connected
from rotator.clock import SystemClock
from rotator.daemon.sweep import sweep
from rotator.http import HttpClient
from rotator.model.secret import Secret
from rotator.plan.actions import Rotate
from rotator.policy.load import load
from rotator.providers.deepgram import Deepgram
from rotator.simulator.deepgram import DeepgramSimulator
from rotator.simulator.vault_server import VaultServer, vault_server
from rotator.simulator.world import World
from rotator.vault.client import VaultClient
from rotator.vault.destinations import VaultDestinations
from rotator.vault.journal import VaultJournal
from tests.benchmarks import plain

LATENCY = timedelta(milliseconds=50)
DAY = timedelta(days=1)

POLICY = """\
version: 1
vault:
  address: http://127.0.0.1:8200
  auth: {{token: {{env: UNUSED}}}}
providers:
  asr: {{type: deepgram, project_id: {project_id}, base_url: {base_url}, credential: {{env: UNUSED}}}}
policies:
  - {{name: all, provider: asr, select: {{comment: "ours *"}}, adopt: when_due,
     destination: {{path: "{place}/{{slug}}"}}}}
"""


async def ours(server: VaultServer, base_url: str, project_id: str, management: Secret) -> int:
    """Rotate every due key with one sweep, and return how many were rotated."""
    clock, place = SystemClock(), f"bench-{secrets.token_hex(4)}"
    timeout = timedelta(seconds=30)
    vault = VaultClient(
        address=server.address,
        auth=server.root_token,
        namespace="",
        ca_cert=None,
        call_timeout=timeout,
        clock=clock,
    )
    http = HttpClient(base_url, call_timeout=timeout, concurrency=CONCURRENCY)
    try:
        text = POLICY.format(project_id=project_id, base_url=base_url, place=place)
        connected = Connected(
            file=load(text.encode(), name="bench.yaml"),
            clock=clock,
            journal=VaultJournal(vault, mount="secret", prefix=f"{place}-journal"),
            destinations=VaultDestinations(
                vault, clock, journal_mount="secret", journal_prefix=f"{place}-journal"
            ),
            providers={"asr": Deepgram(http, project_id=project_id, management=management, clock=clock)},
            namespace="",
            holder="bench",
            journal_id=secrets.token_hex(6),
        )
        results = await sweep(
            await connected.survey(),
            lambda lineage: connected.ports(lineage, stopping=lambda: False, tell=lambda _told: None),
            concurrency=CONCURRENCY,
            starts_per_hour=sys.maxsize,
        )
        return sum(isinstance(action, Rotate) for result in results for action in result.done)
    finally:
        await http.aclose()
        await vault.aclose()


CONCURRENCY = 32


async def measure(keys: int) -> float:
    """Return how many times faster one sweep rotated `keys` due keys than the plain program did."""
    clock = SystemClock()
    async with vault_server(clock, Secret(secrets.token_hex(16))) as server:
        world = World(clock)
        simulator = DeepgramSimulator(world, latency=LATENCY)
        project_id = world.add_project()
        member = world.add_member(project_id)
        management = world.add_key(project_id, member_id=member, comment="management", scopes=("owner",))
        made_at = clock.now() - 80 * DAY
        for number in range(keys):
            for whose in ("ours", "plain"):
                world.add_key(
                    project_id,
                    member_id=member,
                    comment=f"{whose} {number}",
                    created_at=made_at,
                    expires_at=made_at + 90 * DAY,
                )
        async with simulator.serve() as base_url:
            began = clock.monotonic()
            rotated = await ours(server, base_url, project_id, management.secret)
            took = clock.monotonic() - began
            began = clock.monotonic()
            replaced = await asyncio.to_thread(
                plain.rotate_all, server, base_url, project_id, management.secret.reveal(), "plain"
            )
            plainly = clock.monotonic() - began
    if rotated != keys or replaced != keys:
        raise SystemExit(f"only {rotated} and {replaced} of {keys} keys were rotated: no figure")
    click.echo(f"  {keys} keys: {took:.1f} s, plain program {plainly:.1f} s, ratio {plainly / took:.1f}")
    return plainly / took


def main() -> None:
    """Measure a few times and print the median."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    click.echo(f"Rotating {asked.keys} due keys, {LATENCY.total_seconds() * 1000:.0f} ms per provider call:")
    ratios = [asyncio.run(measure(asked.keys)) for _ in range(asked.runs)]
    click.echo(f"median: {statistics.median(ratios):.1f} times as fast as the plain program")


if __name__ == "__main__":
    main()
