"""What the measured programs run against: a Vault-API server and a simulated Deepgram, each a process of its own."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter

from rotator.clock import SystemClock
from rotator.credentials import variable
from rotator.model.secret import Secret
from rotator.simulator.vault_server import VaultServer, vault_server
from tests.benchmarks.lateness import Replaced
from tests.benchmarks.provider import REPLACED

POLICY = """\
version: 1
vault:
  address: {vault}
  auth: {{token: {{file: {folder}/vault}}}}
runtime: {{concurrency: {concurrency}}}
limits: {{starts_per_hour: 100000}}
providers:
{providers}
policies:
  - name: all
    provider: "asr*"
    select: {{comment: "ours *"}}
    adopt: when_due
    rotate_before: {rotate_before}
    overlap: 0s
    destination: {{path: "bench/{{slug}}"}}
"""
"""Without an overlap a key is replaced and deleted in one run, so that the figures hold the whole of its life."""

PROVIDER = """\
  {name}: {{type: deepgram, project_id: {project_id}, base_url: {deepgram}, credential: {{file: {folder}/{name}}}}}
"""

CONCURRENCY = 32

Key = tuple[str, str, str]
"""The path of its entry below `secret`, its id, and its secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run of a program: how long it took, what CPU time and memory it used, and the JSON that it said."""

    seconds: float
    cpu: float
    megabytes: float
    said: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Both servers, and a folder with the credentials. `keys` are those of each group."""

    vault: VaultServer
    deepgram: str
    projects: Sequence[tuple[str, Secret]]
    keys: Mapping[str, Sequence[Key]]
    folder: Path
    provider: subprocess.Popen[str]

    @property
    def project_id(self) -> str:
        """The first project: the only one, but for the service."""
        return self.projects[0][0]

    @property
    def management(self) -> Secret:
        """The management key of the first project."""
        return self.projects[0][1]

    @property
    def providers(self) -> str:
        """The part of a policy file that names them."""
        return "".join(
            PROVIDER.format(name=name, project_id=project_id, deepgram=self.deepgram, folder=self.folder)
            for name, (project_id, _) in zip(_names(len(self.projects)), self.projects, strict=True)
        )

    def policy(self, *, rotate_before: str) -> Path:
        """Write a policy file and return it. The keys are 80 days old and live for 90."""
        path = self.folder / f"{rotate_before.strip('%')}.yaml"
        path.write_text(
            POLICY.format(
                vault=self.vault.address,
                folder=self.folder,
                providers=self.providers,
                concurrency=CONCURRENCY,
                rotate_before=rotate_before,
            )
        )
        return path

    def asked(self) -> dict[str, Any]:
        """Return what the provider says of itself: the calls since it was asked last, its CPU time, its number of keys."""
        return _line(self.provider, "\n")

    def replaced(self) -> list[Replaced]:
        """Return the keys of the group `provider.SOON` that have a successor."""
        said = _line(self.provider, f"{REPLACED}\n")["replaced"]
        return TypeAdapter(list[Replaced]).validate_python(said)

    def vault_cpu(self) -> float:
        """Return how much CPU time the Vault-API server has used, in seconds."""
        fields = Path(f"/proc/{_child_named('bao')}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def scene(
    groups: Mapping[str, int], *, milliseconds: int, projects: int = 1, soon: int = 0
) -> AsyncIterator[Scene]:
    """Start both servers, with so many keys of each group, each of them served in Vault already.

    Keys of the group `provider.SOON` expire in `soon` seconds.
    """
    async with vault_server(SystemClock(), Secret(secrets.token_hex(16))) as vault:
        with (
            _provider(groups, milliseconds, projects, soon) as provider,
            tempfile.TemporaryDirectory() as folder,
        ):
            said = _line(provider, "")
            keys = {
                group: [(f"bench/{slug}", key_id, secret) for slug, key_id, secret in made]
                for group, made in said["keys"].items()
            }
            managed = [(project_id, Secret(secret)) for project_id, secret in said["projects"]]
            credentials = zip(_names(projects), (secret.reveal() for _, secret in managed), strict=True)
            for name, secret in (("vault", vault.root_token.reveal()), *credentials):
                path = Path(folder) / name
                path.touch(mode=0o600)
                path.write_text(secret)
            await asyncio.to_thread(_serve, vault, [key for made in keys.values() for key in made])
            yield Scene(
                vault=vault,
                deepgram=said["base_url"],
                projects=managed,
                keys=keys,
                folder=Path(folder),
                provider=provider,
            )


def run(
    *command: str | Path, given: str = "", env: Mapping[str, str] | None = None, log: Path | None = None
) -> Ran:
    """Run a program to its end, and say what it took. Raise SystemExit when it fails."""
    clock = SystemClock()
    with (log or Path(os.devnull)).open("wb") as errors, tempfile.TemporaryFile("w+") as told:
        began = clock.monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=told,
            stderr=errors,
            text=True,
            env=_environment() | dict(env or {}),
        )
        with _input_of(process) as pipe:
            pipe.write(given)
        _, status, used = os.wait4(process.pid, 0)
        seconds = clock.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}; see {log}")
        told.seek(0)
        text = told.read()
    return Ran(
        seconds=seconds,
        cpu=used.ru_utime + used.ru_stime,
        megabytes=used.ru_maxrss / 1024,
        said=json.loads(text) if text.startswith(("{", "[")) else None,
    )


def _environment() -> dict[str, str]:
    """Return the environment of a measured program: compiled modules are kept, as in an installation."""
    return {
        "PATH": variable("PATH") or os.defpath,
        "HOME": variable("HOME") or "/",
        "PYTHONPATH": str(Path.cwd()),
    }


@contextmanager
def _provider(
    groups: Mapping[str, int], milliseconds: int, projects: int, soon: int
) -> Iterator[subprocess.Popen[str]]:
    named = (f"{group}={many}" for group, many in groups.items())
    options = ("--latency", milliseconds, "--projects", projects, "--soon", soon)
    command = (sys.executable, "-m", "tests.benchmarks.provider", *named, *map(str, options))
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment()
    )
    try:
        yield process
    finally:
        _input_of(process).close()
        process.wait()


def _names(projects: int) -> list[str]:
    """Return what the policy file calls the projects."""
    return ["asr", *(f"asr-{number}" for number in range(1, projects))]


def _input_of(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin is not None
    return process.stdin


def _line(process: subprocess.Popen[str], sent: str) -> dict[str, Any]:
    _input_of(process).write(sent)
    _input_of(process).flush()
    assert process.stdout is not None
    said: dict[str, Any] = json.loads(process.stdout.readline())
    return said


def _serve(vault: VaultServer, keys: Sequence[Key]) -> None:
    """Put each key's secret where its consumers read it."""
    connection = http.client.HTTPConnection(vault.address.removeprefix("http://"))
    for path, _key_id, secret in keys:
        body = json.dumps({"data": {"api_key": secret, "owner": "a team"}})
        connection.request(
            "POST", f"/v1/secret/data/{path}", body, {"X-Vault-Token": vault.root_token.reveal()}
        )
        connection.getresponse().read()
    connection.close()


def _child_named(name: str) -> int:
    """Return the number of our child process of that name."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return next(int(child) for child in children if Path(f"/proc/{child}/comm").read_text().strip() == name)
