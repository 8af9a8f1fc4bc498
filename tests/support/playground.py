"""A place to play the first hour in: a real Vault-API server, and a simulated Deepgram with 300 keys in 12 projects.

`make playground` runs it until Ctrl-C, in a folder `playground` that `docs/tutorial/first-hour.md` works in. The test
that plays that page uses the same. What is in the folder:

    env                   for `. playground/env`: what an operator's shell needs
    config.yaml           a policy file with the providers, and no policy yet
    credentials/NAME      the management key of each project
    secrets/NAME          two secrets that their teams handed over
    from-the-console/NAME better management keys, for the projects whose first one has a fault
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rotator.clock import Clock, SystemClock
from rotator.model.secret import Secret
from rotator.simulator.deepgram import DeepgramSimulator
from rotator.simulator.vault_server import VaultServer, vault_server
from rotator.simulator.world import hex_secret
from tests.support.story import EXPIRES_SOON, OF_A_PERSON, READS_ONLY, SEES_A_PART, Story, story

HANDED_OVER = {"gateway": "gateway", "ivr": "ivr"}
"""The secrets that are known: the file's name, and the comment of the key in asr-eu."""

FAULTY = (READS_ONLY, OF_A_PERSON, EXPIRES_SOON, SEES_A_PART)

CONFIG = """\
version: 1
vault:
  auth: {{token: {{file: {folder}/credentials/vault}}}}
providers:
{providers}
policies: []
"""

PROVIDER = """\
  {name}:
    type: deepgram
    project_id: {project_id}
    base_url: {deepgram}
    credential: {{file: {folder}/credentials/{name}}}
"""

ENV = """\
# An operator's shell. BAO_TOKEN is for the administrator of Vault, whom this shell plays as well.
export PATH="{program}:$PATH"
export ROTATOR_CONFIG="{folder}/config.yaml"
export VAULT_ADDR="{vault}" BAO_ADDR="{vault}" BAO_TOKEN="{root_token}"
export DEEPGRAM="{deepgram}"
cd "{folder}"
"""


@dataclass(frozen=True, slots=True)
class Playground:
    """What is being played in."""

    folder: Path
    story: Story
    simulator: DeepgramSimulator
    vault: VaultServer


@asynccontextmanager
async def playground(
    folder: Path, clock: Clock, root_token: Secret, *, secret_factory: Callable[[], str] = hex_secret
) -> AsyncIterator[Playground]:
    """Start both servers and fill `folder`, which must not exist yet or be one of ours. The folder stays."""
    async with vault_server(clock, root_token) as vault:
        fleet = story(clock, secret_factory=secret_factory)
        simulator = DeepgramSimulator(fleet.world)
        async with simulator.serve() as deepgram:
            _fill(folder, fleet, vault, deepgram)
            yield Playground(folder, fleet, simulator, vault)


def _fill(folder: Path, fleet: Story, vault: VaultServer, deepgram: str) -> None:
    if folder.exists():
        if not (folder / "env").exists():
            raise FileExistsError(f"{folder} is there already, and no playground")
        shutil.rmtree(folder)
    for part in ("credentials", "secrets", "from-the-console"):
        (folder / part).mkdir(parents=True, mode=0o700)
    for name, project in fleet.projects.items():
        _write_secret(folder / "credentials" / name, project.management.secret)
    for name, comment in HANDED_OVER.items():
        _write_secret(folder / "secrets" / name, fleet.projects["asr-eu"].key(comment).minted.secret)
    for name in FAULTY:
        _write_secret(folder / "from-the-console" / name, fleet.mend(name).secret)
    providers = "".join(
        PROVIDER.format(name=name, project_id=project.project_id, deepgram=deepgram, folder=folder)
        for name, project in fleet.projects.items()
    )
    (folder / "config.yaml").write_text(CONFIG.format(folder=folder, providers=providers.rstrip("\n")))
    (folder / "env").touch(mode=0o600)
    (folder / "env").write_text(
        ENV.format(
            program=Path(sys.executable).parent,
            folder=folder,
            vault=vault.address,
            root_token=vault.root_token.reveal(),
            deepgram=deepgram,
        )
    )


def _write_secret(path: Path, secret: Secret) -> None:
    path.touch(mode=0o600)
    path.write_text(secret.reveal() + "\n")


async def _stay(folder: Path) -> None:
    """Run until a signal comes."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with playground(folder, SystemClock(), Secret(hex_secret())):
        print(f"Ready. In another shell: . {folder.name}/env\nCtrl-C ends it.", flush=True)  # noqa: T201 (a command)
        await stopped.wait()
    shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run a place to play the first hour in.")
    parser.add_argument("folder", nargs="?", default="playground", type=Path)
    asyncio.run(_stay(parser.parse_args().folder.resolve()))
