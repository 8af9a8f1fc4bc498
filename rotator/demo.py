"""`rotator demo`: the main job from beginning to end, in half a minute, with nothing installed and nothing left.

A real Vault-API server and a simulated Deepgram are started, a fleet of keys with very short lives is made, and
the same code that `rotator once` runs sweeps it again and again. A consumer reads its key from Vault and calls
the simulated Deepgram all the while, as an application would.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import click

from rotator.bootstrap import Connected, connect
from rotator.clock import Clock, SystemClock
from rotator.daemon.sweep import sweep
from rotator.errors import PortError
from rotator.http import Call, HttpClient
from rotator.inventory.fleet import Fleet
from rotator.inventory.match import telling_of
from rotator.model.entry import FieldNames
from rotator.model.key import Mark
from rotator.model.lineage import Lineage
from rotator.model.reason import WaitReason
from rotator.model.secret import Secret
from rotator.model.told import Step, Told
from rotator.plan.actions import Hold, Wait
from rotator.policy.load import load
from rotator.policy.match import takes
from rotator.policy.settings import PolicyFile
from rotator.reconcile import Reconciled
from rotator.simulator.deepgram import DeepgramSimulator
from rotator.simulator.vault_server import VaultServer, vault_server
from rotator.simulator.world import World
from rotator.vault.client import VaultClient

LASTS = timedelta(seconds=24)
"""How long the demo sweeps: three lives of its shortest key."""

BETWEEN_SWEEPS = timedelta(milliseconds=500)
BETWEEN_CALLS = timedelta(milliseconds=50)
CONSUMER_READS_EVERY = timedelta(seconds=1)
"""How old the consumer's copy of the secret may get: less than the overlap, or it would fail."""

ROTATIONS_EXPECTED = 3
"""With fewer in that time, something is wrong, and the demo says so."""

INTERRUPTED = 130

POLICY = """\
version: 1
instance: demo
vault:
  address: {vault}
  auth: {{token: {{file: {folder}/vault-token}}}}
runtime: {{claim_ttl: 15s, call_timeout: 5s}}
providers:
  asr:
    type: deepgram
    project_id: {project_id}
    base_url: {deepgram}
    credential: {{file: {folder}/deepgram-key}}
defaults:
  adopt: when_due
  overlap: 3s
  min_gap: 2s
  prove: {{deadline: 2s}}
  retry: {{initial: 1s, max: 1s}}
policies:
  - name: expiring
    provider: asr
    select: {{comment: "voice *"}}
    rotate_before: 50%
    temporary_below: 10s
  - name: without-expiry
    provider: asr
    select: {{comment: "archive"}}
    max_age: 14s
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """What the demo plays on: a Vault server, a simulated project, and the policy file for both."""

    vault: VaultServer
    deepgram: str
    project_id: str
    world: World
    file: PolicyFile
    names: dict[str, str]


@dataclass(slots=True)
class Consumer:
    """An application that uses the gateway's key: it reads Vault now and then, and calls all the time."""

    calls: int = 0
    failed: int = 0
    keys_used: set[str] = field(default_factory=set)

    async def use(self, connected: Connected, lineage: Lineage, deepgram: str) -> None:
        """Call until cancelled."""
        clock = connected.clock
        http = HttpClient(deepgram, call_timeout=timedelta(seconds=5), concurrency=1)
        try:
            while True:
                read = await connected.destinations.read(lineage, FieldNames())
                reads_again = clock.monotonic() + CONSUMER_READS_EVERY.total_seconds()
                while clock.monotonic() < reads_again:
                    await self._call(http, read.secret)
                    self.keys_used.add(read.entry.key_id or "")
                    await clock.sleep(BETWEEN_CALLS)
        finally:
            await http.aclose()

    async def _call(self, http: HttpClient, secret: Secret | None) -> None:
        self.calls += 1
        if secret is None:
            self.failed += 1
            return
        header = Secret(f"Token {secret.reveal()}")
        call = Call(
            method="POST", path="/v1/listen", operation="listen", target="consumer", authorization=header
        )
        try:
            answer = await http.call(call)
        except PortError:
            self.failed += 1
            return
        self.failed += answer.status != 200  # noqa: PLR2004 (HTTP's own number)


class Screen:
    """What a person sees: one line per step, with the seconds since the beginning."""

    def __init__(self, clock: Clock, stop: Callable[[], None]) -> None:
        """Begin to count the seconds. `stop` is called when nothing can be shown any more."""
        self._clock = clock
        self._began = clock.monotonic()
        self._stop = stop
        self.told: list[Told] = []
        self.lost: OSError | None = None

    def say(self, text: str = "") -> None:
        """Show one line of text. When that can't be done, keep why in `lost` and be silent from then on."""
        if self.lost is not None:
            return
        try:
            click.echo(text)
        except OSError as error:
            self.lost = error
            self._stop()

    def tell(self, told: Told) -> None:
        """Show one step of one lineage."""
        if told.step is Step.HELD and told in self.told:
            return
        self.told.append(told)
        facts = [
            told.reason.replace("_", " "),
            f"key {told.key_id[:8]}" if told.key_id else "",
            f"rotation {told.rotation_id[:8]}" if told.rotation_id else "",
            f"version {told.version}" if told.version else "",
            f"until {told.until:%H:%M:%S} UTC" if told.until else "",
            told.detail,
        ]
        shown = ", ".join(fact for fact in facts if fact)
        seconds = self._clock.monotonic() - self._began
        self.say(f"  {seconds:5.1f}s  {told.lineage:<33} {told.step.value:<18} {shown}")


def run() -> int:
    """Play the demo and return an exit status: 0 when all went as promised. Raise OSError if it can't be shown."""
    return asyncio.run(_until_stopped())


async def _until_stopped() -> int:
    """Play until the end or until a signal; either way everything that was started is taken down first."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if not stopped and task is not None:
            stopped = True
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    clock = SystemClock()
    screen = Screen(clock, stop)
    try:
        status = await _play(clock, screen)
    except asyncio.CancelledError:
        screen.say("\nStopped. Everything that the demo started is gone.")
        status = INTERRUPTED
    if screen.lost is not None:
        raise screen.lost
    return status


async def _play(clock: Clock, screen: Screen) -> int:
    async with _stage(clock, screen) as stage, connect(stage.file, found_journal=True) as connected:
        gateway = Lineage(
            provider="asr",
            project_id=stage.project_id,
            namespace="",
            mount="secret",
            path="deepgram/asr/voice-gateway",
        )
        await _put_gateway(gateway, stage)
        left_alone = _show_fleet(screen, stage, await connected.survey())
        consumer = Consumer()
        using = asyncio.create_task(consumer.use(connected, gateway, stage.deepgram))
        try:
            results = await _sweep_on(connected, screen, consumer)
        finally:
            using.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await using
        return _summary(screen, consumer, left_alone, results)


@asynccontextmanager
async def _stage(clock: Clock, screen: Screen) -> AsyncIterator[Stage]:
    """Start both servers, make the fleet, write the policy file; take it all down in the end."""
    async with AsyncExitStack() as stack:
        screen.say("Starting a Vault-API server (OpenBao) and a simulated Deepgram on this machine ...")
        server = await stack.enter_async_context(vault_server(clock, Secret(secrets.token_hex(16))))
        world = World(clock)
        deepgram = await stack.enter_async_context(DeepgramSimulator(world).serve())
        screen.say(f"  Vault at {server.address}, Deepgram at {deepgram}")
        project_id, management, names = _fleet(world, clock.now())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rotator-demo-")))
        _write_secret(folder / "vault-token", server.root_token)
        _write_secret(folder / "deepgram-key", management)
        text = POLICY.format(vault=server.address, folder=folder, project_id=project_id, deepgram=deepgram)
        screen.say("\nThe policy file:\n")
        screen.say("\n".join(f"    {line}" for line in text.splitlines()))
        file = load(text.encode(), name="demo.yaml")
        yield Stage(server, deepgram, project_id, world, file, names)


def _fleet(world: World, now: datetime) -> tuple[str, Secret, dict[str, str]]:
    """Make the keys. Return the project, the management key's secret, and what each key is for by its id."""
    project_id = world.add_project("demo")
    ours = world.add_member(project_id, email="rotator@example.com")
    ann = world.add_member(project_id, email="ann@example.com")
    day, second = timedelta(days=1), timedelta(seconds=1)
    management = world.add_key(project_id, member_id=ours, comment="rotator itself", scopes=("owner",))
    names = {management.key_id: "rotator itself"}
    elsewhere = str(Mark("0" * 12, "1" * 12, "2" * 16))
    for comment, age, lifetime in (
        ("voice gateway", 8 * second, 16 * second),
        ("archive", 300 * day, None),
        ("voice reports", day, 90 * day),
        ("voice retired", 30 * day, 20 * day),
        ("voice session", 1 * second, 9 * second),
        ("billing export", 100 * day, None),
        (f"voice kiosk {elsewhere}", day, 90 * day),
    ):
        made = world.add_key(
            project_id,
            member_id=ann,
            comment=comment,
            tags=("prod",),
            created_at=now - age,
            expires_at=None if lifetime is None else now - age + lifetime,
        )
        names[made.key_id] = comment
    return project_id, management.secret, names


async def _put_gateway(gateway: Lineage, stage: Stage) -> None:
    """Put the gateway's present secret where its consumer reads, as somebody once did by hand."""
    client = VaultClient(
        address=stage.vault.address,
        auth=stage.vault.root_token,
        namespace="",
        ca_cert=None,
        call_timeout=timedelta(seconds=5),
        clock=SystemClock(),
    )
    key_id = next(key_id for key_id, name in stage.names.items() if name == "voice gateway")
    key = stage.world.key(key_id)
    if key is None:
        raise AssertionError("the gateway's key was made above")
    try:
        by_hand = {FieldNames().secret: key.secret.reveal(), "note": "put here by hand"}
        await client.write("put secret", gateway.mount, gateway.path, by_hand, base=0)
    finally:
        await client.aclose()


async def _sweep_on(connected: Connected, screen: Screen, consumer: Consumer) -> tuple[Reconciled, ...]:
    """Sweep again and again, as the service will, and show each step; return the last results."""
    clock = connected.clock
    ends = clock.monotonic() + LASTS.total_seconds()
    screen.say(
        f"\nSweeping for {LASTS.seconds} seconds; a consumer calls with what Vault holds all the while.\n"
    )
    results: tuple[Reconciled, ...] = ()
    while clock.monotonic() < ends:
        before = len(screen.told)
        results = await sweep(
            await connected.survey(),
            lambda lineage: connected.ports(lineage, stopping=lambda: False, tell=screen.tell),
            concurrency=connected.file.runtime.concurrency,
            starts_per_hour=connected.file.limits.starts_per_hour,
        )
        if len(screen.told) > before:
            screen.say(f"          consumer: {consumer.calls} calls, {consumer.failed} failed")
        await clock.sleep(BETWEEN_SWEEPS)
    return results


def _show_fleet(screen: Screen, stage: Stage, fleet: Fleet) -> dict[str, str]:
    """Show each key and whether a policy takes it; return those that none takes, with the reason."""
    left_alone: dict[str, str] = {}
    screen.say("\nThe keys, and what the policy makes of them:\n")
    listing = fleet.listings["asr"]
    for key in sorted(listing.keys, key=lambda one: one.comment):
        reasons = [
            takes(
                policy,
                key,
                now=listing.at,
                journal_id="",
                recorded=frozenset(),
                management_key_id=listing.management_key_id,
            )
            for policy in stage.file.policies
        ]
        expires = f"expires {key.expires_at:%Y-%m-%d %H:%M:%S}" if key.expires_at else "never expires"
        telling = telling_of(reasons)
        taken = "taken in"
        if telling is not None:
            left_alone[key.operator_comment] = telling.value.replace("_", " ")
            taken = f"left alone: {left_alone[key.operator_comment]}"
        screen.say(f"    {key.operator_comment:<16} {expires:<29} {taken}")
    return left_alone


def _summary(
    screen: Screen, consumer: Consumer, left_alone: dict[str, str], results: tuple[Reconciled, ...]
) -> int:
    """Tell in plain words what happened, and return the exit status."""
    published = [told for told in screen.told if told.step is Step.PUBLISHED]
    revoked = [told for told in screen.told if told.step is Step.REVOKED]
    screen.say("\nWhat happened")
    for name in sorted({told.lineage for told in published}):
        times = sum(told.lineage == name for told in published)
        gone = sum(told.lineage == name for told in revoked)
        old_keys = "1 old key deleted after its" if gone == 1 else f"{gone} old keys deleted after their"
        screen.say(f"  {name}: rotated {times} times, {old_keys} overlap")
    screen.say(
        f"  The consumer made {consumer.calls} calls with {len(consumer.keys_used)} different keys:"
        f" {consumer.failed} failed"
    )
    screen.say("\nWhere each lineage stands")
    for result in results:
        screen.say(f"  {result.lineage}: {_standing(result)}")
    screen.say("\nLeft alone")
    for comment, reason in left_alone.items():
        screen.say(f"  {comment}: {reason}")
    screen.say("\nNext: write a policy file (config.example.yaml shows every option), then `rotator plan`.")
    if consumer.failed or not consumer.calls or len(published) < ROTATIONS_EXPECTED:
        screen.say("This is not what was promised: please report it.")
        return 1
    return 0


def _standing(result: Reconciled) -> str:
    """Say where one lineage stands, and why."""
    if result.last is None:
        return f"could not be looked at: {result.error}"
    stands, record = result.last.stands, result.last.snapshot.record
    if not isinstance(stands, Wait):
        return str(stands.reason if isinstance(stands, Hold) else "at work")
    until = f"{stands.until:%Y-%m-%d %H:%M:%S} UTC" if stands.until else None
    if stands.reason is not WaitReason.AWAITING_RELEASE or record is None:
        return stands.reason.value.replace("_", " ") + (f" until {until}" if until else "")
    originals = ", ".join(original.key.key_id[:8] for original in record.originals)
    return (
        f"its original {originals} lives on, as nobody may read Vault yet; it is deleted when a person or the"
        " policy releases it" + (f". Next step at {until}" if until else "")
    )


def _write_secret(path: Path, secret: Secret) -> None:
    path.touch(mode=0o600)
    path.write_text(secret.reveal())
