"""One installation for one case: its own project, keys, entries and journal on shared servers, and its commands."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rotator.clock import SystemClock
from rotator.ports import Minted
from rotator.simulator.deepgram import DeepgramSimulator
from rotator.simulator.world import SimulatedKey, World
from tests.faults.kills.fronts import Crossing, fronts
from tests.support import canary
from tests.support.nursery import Command, Nursery, Process
from tests.support.vault_lab import Root

CLOCK = SystemClock()

OVERLAP = timedelta(seconds=2)
SCOPES, TAGS = ("usage:write", "usage:read"), ("prod", "blue")

_LONGEST_RUN_SECONDS = 120.0

RIGHTS_IN_VAULT = """
path "MOUNT/data/rotated/*"              { capabilities = ["create", "update", "read"] }
path "MOUNT/metadata/rotated/*"          { capabilities = ["read"] }
path "MOUNT/data/rotator-journal/*"      { capabilities = ["create", "update", "read"] }
path "MOUNT/metadata/rotator-journal/*"  { capabilities = ["list"] }
"""

FILE = """\
version: 1
vault:
  address: {vault}
  auth: {{token: {{file: {folder}/token}}}}
  journal: {{mount: {mount}, prefix: rotator-journal/{place}}}
runtime: {{claim_ttl: 9s, call_timeout: 3s}}
limits: {{starts_per_hour: 100000}}
providers:
  asr:
    type: deepgram
    project_id: {project_id}
    base_url: {provider}
    credential: {{env: DEEPGRAM_API_KEY}}
policies:
  - name: standard
    provider: asr
    {which}
    overlap: 2s
    min_gap: 1s
    prove: {{deadline: 5s}}
    retry: {{initial: 1s, max: 4s}}
    {options}
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all sites share: Vault by root's hands, a mount that keeps every version, where processes come from, a folder.

    `turns` bounds how many processes run at once.
    """

    root: Root
    mount: str
    nursery: Nursery
    folder: Path
    turns: asyncio.Semaphore


@asynccontextmanager
async def ground(root: Root, nursery: Nursery, folder: Path, *, at_once: int) -> AsyncIterator[Ground]:
    """Make a mount for all sites of one run."""
    mount = root.mount()
    for _ in range(100):
        # A new mount is prepared for a moment.
        if root.ask("POST", f"{mount}/config", {"max_versions": 10000}).status in {200, 204}:
            break
        await CLOCK.sleep(timedelta(milliseconds=50))
    root.do("POST", f"{mount}/data/rotated/first", {"data": {"is": "ready"}})
    yield Ground(root, mount, nursery, folder, asyncio.Semaphore(at_once))


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it said."""

    status: int
    out: str = field(repr=False)
    err: str = field(repr=False)

    @property
    def document(self) -> Any:  # noqa: ANN401 (whatever JSON can hold)
        """What it wrote as JSON, {} when it did not come to that."""
        with suppress(ValueError):
            return json.loads(self.out)
        return {}


@dataclass(slots=True)
class Site:
    """One installation. `originals` are the keys that its lineages began with, by the path of their entry.

    `emergencies` are the orders of one that were given, by the name of the lineage. `heard` is what its processes have
    shown, by where.
    """

    ground: Ground
    place: str
    folder: Path
    world: World
    crossing: Crossing
    project_id: str
    member_id: str
    management: Minted
    addresses: tuple[str, str]
    originals: dict[str, SimulatedKey] = field(default_factory=dict)
    decoys: list[SimulatedKey] = field(default_factory=list)
    released_at: datetime | None = None
    moved_to: str | None = None
    given_up: dict[str, datetime] = field(default_factory=dict)
    emergencies: list[tuple[str, datetime]] = field(default_factory=list)
    heard: dict[str, list[str]] = field(default_factory=dict)
    bugs: list[str] = field(default_factory=list)
    runs: int = 0

    def entry(self, slug: str) -> str:
        """Return the path of an entry."""
        return f"rotated/{self.place}/{slug}"

    @property
    def lineages(self) -> tuple[str, ...]:
        """The names of all its lineages."""
        return tuple(map(self.lineage, self.originals))

    def lineage(self, slug: str) -> str:
        """Return the name of a lineage."""
        return f"{self.ground.mount}/{self.entry(slug)}"

    def key(
        self, comment: str, *, age: timedelta, lifetime: timedelta | None = timedelta(hours=50)
    ) -> SimulatedKey:
        """Make a key as a person did some time ago."""
        created_at = CLOCK.now() - age
        minted = self.world.add_key(
            self.project_id,
            member_id=self.member_id,
            comment=comment,
            scopes=SCOPES,
            tags=TAGS,
            created_at=created_at,
            expires_at=None if lifetime is None else created_at + lifetime,
        )
        made = self.world.key(minted.key_id)
        assert made is not None
        return made

    def alive(self, key_id: str) -> bool:
        """Return whether the provider still has that key."""
        key = self.world.key(key_id)
        return key is not None and key.deleted_at is None

    def write(self, *, which: str, **options: str) -> None:
        """Write the policy file: which keys, and further options of the policy."""
        text = FILE.format(
            vault=self.addresses[0],
            provider=self.addresses[1],
            folder=self.folder,
            mount=self.ground.mount,
            place=self.place,
            project_id=self.project_id,
            which=which,
            options="\n    ".join(
                f"{name}: {value}"
                for name, value in ({"destination": f"{{mount: {self.ground.mount}}}"} | options).items()
            ),
        )
        (self.folder / "config.yaml").write_text(text)

    async def begin(self, *arguments: str, given: str = "", started: bool = False) -> tuple[Process, Command]:
        """Begin a command. `started`: from the command line, not forked."""
        self.runs += 1
        if "--emergency" in arguments:
            self.emergencies += [(name, CLOCK.now()) for name in arguments if name in self.lineages]
        streams = tuple(self.folder / f"{self.runs}.{name}" for name in ("in", "out", "err"))
        streams[0].write_text(given)
        command = Command(
            arguments=arguments,
            environment={
                "DEEPGRAM_API_KEY": self.management.secret.reveal(),
                "ROTATOR_CONFIG": str(self.folder / "config.yaml"),
                "HOME": str(self.folder),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            streams=(streams[0], streams[1], streams[2]),
        )
        canary.scan(" ".join(arguments), "the arguments of a command")
        nursery = self.ground.nursery
        process = await (nursery.start(command) if started else nursery.fork(command))
        return process, command

    async def end(self, process: Process, command: Command) -> Ran:
        """Wait for the end of a command, and keep what it said."""
        try:
            status = await asyncio.wait_for(asyncio.shield(process.ended), _LONGEST_RUN_SECONDS)
        except TimeoutError:
            process.send(signal.SIGKILL)
            await process.ended
            raise AssertionError(f"{' '.join(command.arguments)} did not end") from None
        out, err = (path.read_text() for path in command.streams[1:])
        self.hear("standard output", out)
        self.hear("standard error", err)
        if "Traceback" in err:
            self.bugs.append(f"a traceback of `{' '.join(command.arguments)}` ({err.strip()})")
        return Ran(status, out, err)

    def hear(self, where: str, text: str) -> None:
        """Keep what can be read of a process by others."""
        self.heard.setdefault(where, []).append(text)

    def expose(self, process: Process) -> None:
        """Read off a process that was started what others can: its arguments, and the environment of its children."""
        # It may end at any time.
        with suppress(OSError):
            folder = Path(f"/proc/{process.pid}")
            self.hear("the arguments of a process", (folder / "cmdline").read_text())
            for child in (folder / "task" / str(process.pid) / "children").read_text().split():
                self.hear("the environment of a child", Path(f"/proc/{child}/environ").read_text())

    async def run(self, *arguments: str, given: str = "") -> Ran:
        """Run a command to its end, when it has its turn."""
        async with self.ground.turns:
            return await self.end(*await self.begin("--output", "json", *arguments, given=given))


@asynccontextmanager
async def site(ground: Ground) -> AsyncIterator[Site]:
    """Set up one installation, with decoys: keys that look as if they were the lineage's and are not."""
    place = uuid.uuid4().hex[:12]
    folder = ground.folder / place
    folder.mkdir()
    labels = iter(range(1_000_000))
    world = World(CLOCK, secret_factory=lambda: canary.secret_text(f"{place}-{next(labels)}"))
    project_id = world.add_project()
    member_id = world.add_member(project_id)
    management = world.add_key(project_id, member_id=member_id, scopes=("owner",), comment="rotator itself")
    token = ground.root.new_token(RIGHTS_IN_VAULT.replace("MOUNT", ground.mount))
    (folder / "token").touch(mode=0o600)
    (folder / "token").write_text(token.reveal() + "\n")
    crossing = Crossing()
    async with fronts(ground.root.address, DeepgramSimulator(world).app, crossing) as addresses:
        made = Site(ground, place, folder, world, crossing, project_id, member_id, management, addresses)
        for comment in (GATEWAY, f"elsewhere [rotator:1:{'a' * 12}:{'b' * 12}:{'c' * 16}]"):
            made.decoys.append(made.key(comment, age=timedelta(hours=45)))
        manager = world.key(management.key_id)
        assert manager is not None
        made.decoys.append(replace(manager))
        yield made


GATEWAY = "voice gateway"
"""The comment of the key that most cases are about, and of a decoy."""
