"""An operator's desk: a policy file, a real Vault, a simulated Deepgram, and the command line as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
import tty
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from rotator.clock import SystemClock
from rotator.model.secret import Secret
from rotator.ports import Minted
from rotator.simulator.deepgram import DeepgramSimulator
from rotator.simulator.world import World
from tests.support import canary
from tests.support.nursery import Command, Nursery
from tests.support.vault_lab import Root

HOUR = timedelta(hours=1)

_ENDS_WITHIN_SECONDS = 60

POLICIES = """
  - name: standard
    provider: asr
    select: {comment: "*"}
    adopt: when_due
    overlap: 1s
    min_gap: 1s
    destination: {path: "PLACE/{slug}"}
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it said."""

    status: int
    out: str = field(repr=False)
    err: str = field(repr=False)

    @property
    def document(self) -> Any:  # noqa: ANN401 (whatever JSON can hold)
        """What it wrote as JSON."""
        return json.loads(self.out)

    def column(self, title: str) -> str:
        """What stands in one column of the tables that it wrote, as one line: cells are wrapped."""
        words: list[str] = []
        begin, end = None, None
        for line in (self.out + self.err).splitlines():
            titles = line.split()
            if len(titles) > 1 and line == line.upper() and title in line:
                begin = line.index(title)
                after = line[begin:].partition("  ")[2]
                end = begin + line[begin:].index(after) + len(after) - len(after.lstrip()) if after else None
            elif not line:
                begin = None
            elif begin is not None:
                words += line[begin:end].split()
        return " ".join(words)

    def line(self, path: str) -> Any:  # noqa: ANN401 (whatever JSON can hold)
        """What the document says of the lineage whose path ends so."""
        (found,) = (one for one in self.document["lineages"] if one["lineage"].endswith(f"/{path}"))
        return found


@dataclass(slots=True)
class Desk:
    """Everything that an operator has. `environment` is what the commands see, besides PATH."""

    root: Root
    world: World
    simulator: DeepgramSimulator
    project_id: str
    owner_id: str
    folder: Path
    place: str
    environment: dict[str, str]
    head: str
    children: Nursery

    @property
    def file(self) -> Path:
        """The policy file."""
        return self.folder / "config.yaml"

    @property
    def entries(self) -> str:
        """Where this desk's entries are in Vault, below the mount `secret`."""
        return f"rotated/{self.place}"

    @property
    def journal(self) -> str:
        """Where this desk's journal is, below the mount `secret`."""
        return f"rotator-journal/{self.place}"

    def write(self, policies: str = POLICIES, **replaced: str) -> None:
        """Write the policy file. `replaced` changes texts in the part before `policies`."""
        head = self.head
        for name, text in replaced.items():
            lines = [line for line in head.splitlines() if f"{name}: " in line]
            assert len(lines) == 1, name
            before = lines[0].partition(f"{name}: ")[0]
            head = head.replace(lines[0], f"{before}{name}: {text}")
        self.file.write_text(f"{head}policies:{policies.replace('PLACE', self.entries)}")
        self.file.chmod(0o600)

    def key(
        self,
        comment: str,
        *,
        age: timedelta = 9 * HOUR,
        lifetime: timedelta | None = 50 * HOUR,
        scopes: Iterable[str] = ("usage:write",),
        tags: Iterable[str] = (),
    ) -> Minted:
        """Make a key by hand, as somebody did some time ago."""
        created_at = self.world.clock.now() - age
        return self.world.add_key(
            self.project_id,
            member_id=self.owner_id,
            comment=comment,
            scopes=scopes,
            tags=tags,
            created_at=created_at,
            expires_at=None if lifetime is None else created_at + lifetime,
        )

    def due_key(self, comment: str) -> Minted:
        """Make a key that lives 50 hours and is due by its expiry, whatever the spread."""
        return self.key(comment, age=45 * HOUR)

    def used(self, key_id: str, *, ago: timedelta) -> None:
        """Let a consumer have used a key."""
        self.world.request_log.add(self.project_id, key_id, self.world.clock.now() - ago)

    def lineage(self, path: str) -> str:
        """Return the name of the lineage that is published there."""
        return f"secret/{self.entries}/{path}"

    def put(self, path: str, **fields: str) -> None:
        """Write an entry by hand, all of it."""
        self.root.do("POST", f"secret/data/{self.entries}/{path}", {"data": fields})

    def entry(self, path: str) -> Mapping[str, object]:
        """Return the fields of an entry."""
        return self.root.data(f"{self.entries}/{path}")

    def exists(self, path: str) -> bool:
        """Return whether there is such an entry."""
        return self.root.ask("GET", f"secret/data/{self.entries}/{path}").status == HTTPStatus.OK

    def serves(self, path: str) -> bool:
        """Return whether a consumer that reads the entry now can work."""
        return self.world.accepts(Secret(str(self.entry(path)["api_key"])))

    def alive(self, key_id: str) -> bool:
        """Return whether the provider still has that key."""
        return any(key.key_id == key_id for key in self.world.keys(self.project_id))

    def versions(self) -> dict[str, int]:
        """Return the version of every entry and record of this desk."""
        return {
            path: json.loads(self.root.ask("GET", f"secret/metadata/{path}").body)["data"]["current_version"]
            for folder in (self.entries, self.journal, f"{self.journal}/lineages")
            for path in self._below(folder)
        }

    def written(self) -> str:
        """Return the whole journal as one text."""
        paths = [*self._below(self.journal), *self._below(f"{self.journal}/lineages")]
        return json.dumps([self.root.data(path) for path in paths])

    def _below(self, folder: str) -> list[str]:
        reply = self.root.ask("GET", f"secret/metadata/{folder}?list=true")
        names = json.loads(reply.body).get("data", {}).get("keys", [])
        return [f"{folder}/{name}" for name in names if not name.endswith("/")]

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        """Start the command line as a process of its own."""
        return await self.start_python("-m", "rotator", *arguments, **environment)

    async def start_python(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        """Start a program in Python, with warnings as errors."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            *arguments,
            env={**self.environment, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def redirected(self, redirection: str, *arguments: str) -> Ran:
        """Run the command line to its end as a shell does with a redirection such as `2>&-`."""
        script = f'exec "$@" {redirection}'
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", script, "sh", sys.executable, "-W", "error", "-m", "rotator", *arguments),
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return await self.end(process)

    async def fed(self, content: bytes, *arguments: str) -> Ran:
        """Run the command line to its end with something on standard input."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "rotator", *arguments),
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return await self.end(process, content)

    async def watched(self, stream: str, *arguments: str, **environment: str) -> Ran:
        """Run the command line to its end with one standard stream, `stdout` or `stderr`, on a terminal."""
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "rotator", *arguments),
            env={"TERM": "xterm", **self.environment, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=theirs if stream == "stdout" else asyncio.subprocess.PIPE,
            stderr=theirs if stream == "stderr" else asyncio.subprocess.PIPE,
        )
        os.close(theirs)
        shown, ran = await asyncio.gather(asyncio.to_thread(_read, ours), self.end(process))
        canary.scan(shown, f"{stream} of the command")
        return replace(ran, out=shown) if stream == "stdout" else replace(ran, err=shown)

    async def end(
        self, process: asyncio.subprocess.Process, given: bytes | None = None, *, traced: bool = False
    ) -> Ran:
        """Wait for its end, and see that no secret shows in what it wrote, here or in Vault."""
        out, err = await asyncio.wait_for(process.communicate(given), _ENDS_WITHIN_SECONDS)
        return self._ran(int(process.returncode or 0), out or b"", err or b"", traced=traced)

    def _ran(self, status: int, out: bytes, err: bytes, *, traced: bool) -> Ran:
        ran = Ran(status, out.decode(), err.decode())
        canary.scan(ran.out, "standard output of the command")
        canary.scan(ran.err, "standard error of the command")
        canary.scan(self.written(), "the journal")
        assert traced or "Traceback" not in ran.err
        return ran

    async def run(self, *arguments: str, **environment: str) -> Ran:
        """Run the command line to its end, as a process that has loaded the program when it begins."""
        canary.scan(" ".join(arguments), "the arguments of the command")
        with TemporaryDirectory(dir=self.folder.parent) as folder:
            given, out, err = (Path(folder) / name for name in ("in", "out", "err"))
            given.touch()
            process = await self.children.fork(
                Command(
                    arguments=arguments,
                    environment={**self.environment, **environment},
                    streams=(given, out, err),
                )
            )
            status = await asyncio.wait_for(process.ended, _ENDS_WITHIN_SECONDS)
            return self._ran(status, out.read_bytes(), err.read_bytes(), traced=False)

    async def started(self, *arguments: str, traced: bool = False, **environment: str) -> Ran:
        """Run the command line to its end from the start of Python on."""
        canary.scan(" ".join(arguments), "the arguments of the command")
        return await self.end(await self.start(*arguments, **environment), traced=traced)

    async def asked(self, answer: str, *arguments: str) -> Ran:
        """Run the command line to its end with a person at a terminal who types `answer`."""
        ours, theirs = pty.openpty()
        try:
            os.write(ours, answer.encode())
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", "-m", "rotator", *arguments),
                env=self.environment,
                stdin=theirs,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            return await self.end(process)
        finally:
            os.close(theirs)
            os.close(ours)

    async def json(self, *arguments: str) -> Ran:
        """Run it with its results as JSON."""
        return await self.run("--output", "json", *arguments)


def _read(terminal: int) -> str:
    """Return all that comes to a terminal, until nobody has its other end any more."""
    read = b""
    with os.fdopen(terminal, "rb", buffering=0) as file:
        while True:
            try:
                chunk = file.read(65536)
            except OSError:  # how Linux tells that
                chunk = b""
            if not chunk:
                return read.decode()
            read += chunk


@pytest.fixture
async def desk(
    root: Root, token: Secret, place: str, children: Nursery, tmp_path: Path
) -> AsyncIterator[Desk]:
    """Return an operator's desk with a policy file that takes every key, and no key yet but the management key."""
    labels = iter(range(1000))
    world = World(SystemClock(), secret_factory=lambda: canary.secret_text(f"{place}-{next(labels)}"))
    project_id = world.add_project()
    owner_id = world.add_member(project_id)
    management = world.add_key(project_id, member_id=owner_id, scopes=("owner",), comment="rotator itself")
    token_file = tmp_path / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(token.reveal() + "\n")
    simulator = DeepgramSimulator(world)
    async with simulator.serve() as base_url:
        head = f"""\
version: 1
vault:
  address: {root.address}
  auth: {{token: {{file: {token_file}}}}}
  journal: {{mount: secret, prefix: rotator-journal/{place}}}
runtime: {{claim_ttl: 30s, call_timeout: 5s}}
providers:
  asr:
    type: deepgram
    project_id: {project_id}
    base_url: {base_url}
    credential: {{env: DEEPGRAM_API_KEY}}
"""
        made = Desk(
            root=root,
            world=world,
            simulator=simulator,
            project_id=project_id,
            owner_id=owner_id,
            folder=tmp_path,
            place=place,
            environment={
                "DEEPGRAM_API_KEY": management.secret.reveal(),
                "ROTATOR_CONFIG": str(tmp_path / "config.yaml"),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            head=head,
            children=children,
        )
        made.write()
        yield made
