"""The service over a large fleet: memory, what it costs while nothing is due, a scrape, and lateness when much is due at once."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rotator.clock import Clock, SystemClock
from rotator.plural import count
from rotator.policy.policy import Policy
from tests.benchmarks.figures import Figure, Part
from tests.benchmarks.provider import SOON
from tests.benchmarks.scene import CONCURRENCY, Scene, scene
from tests.support.tools import uv

PORT = 19464
CLOCK = SystemClock()
IDLE = timedelta(minutes=6)
"""How long an idle service is looked at: long enough for a sweep at least, at the default of one every five minutes."""

CALM = timedelta(seconds=10)
"""A service that calls nobody for so long has nothing to do."""

LEAD = timedelta(minutes=10)
"""`rotate_before` of those that are due soon: their due instants are spread over a tenth of it, which is a minute."""

PROJECTS = 20

SOON_POLICY = Policy(name=SOON, providers=(), rotate_before=LEAD)
"""When they are due: the file says the same."""

SPARE = timedelta(minutes=2)
"""Between the idle time and the first that is due."""

ODD_LINES_SAID = 20

RUN = """
runtime: {{concurrency: {concurrency}, listen: "127.0.0.1:{port}", metrics_lineages: {series}}}
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs, and the metrics that it shows."""

    process: subprocess.Popen[bytes]
    clock: Clock = CLOCK

    @property
    def megabytes(self) -> float:
        """The most memory that it ever had (RSS)."""
        return self._status("VmHWM") / 1024

    @property
    def now_megabytes(self) -> float:
        """The memory that it has now (RSS)."""
        return self._status("VmRSS") / 1024

    @property
    def cpu(self) -> float:
        """The CPU time that it has used, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name))

    def scrape(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=60) as answer:
            text: str = answer.read().decode()
        return text

    def metric(self, name: str) -> float:
        """Return the sum of all series of that name."""
        try:
            text = self.scrape()
        except OSError:
            return 0.0
        return sum_of(text, name)

    async def look_at_all(self, lineages: int) -> float:
        """Wait until it has looked at each lineage, and return how many seconds that took; and then until it is calm."""
        took = await self.until(lambda: self.metric("rotator_lineages") >= lineages)
        calls = -1.0
        while calls != (calls := self.metric("rotator_calls_total")):
            await self.clock.sleep(CALM)
        return took

    async def until(self, what: Callable[[], bool]) -> float:
        """Wait until something is so, and return how many seconds that took."""
        began = self.clock.monotonic()
        while not await asyncio.to_thread(what):
            if self.process.poll() is not None:
                raise SystemExit("the service has ended: no figure")
            await self.clock.sleep(timedelta(seconds=1))
        return self.clock.monotonic() - began


@contextmanager
def installation() -> Iterator[Path]:
    """Install the program with nothing but what it needs, as users do, and yield it: what developers have beside it takes memory."""
    with tempfile.TemporaryDirectory() as folder:
        only = ("--quiet", "--frozen", "--no-default-groups", "--no-editable", "--compile-bytecode")
        subprocess.run(("/usr/bin/env", f"UV_PROJECT_ENVIRONMENT={folder}", uv(), "sync", *only), check=True)
        yield Path(folder, "bin", "rotator")


@contextmanager
def running(rotator: Path, where: Scene, policy: Path, say: Callable[[str], None]) -> Iterator[Running]:
    """Run the service, and say at its end what went wrong in it."""
    command = (rotator, "--log-format", "json", "--config", policy, "run")
    with (where.folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log)
    try:
        yield Running(process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        odd = odd_lines((where.folder / "log").read_text())
        say("\n    ".join([f"it logged {count(len(odd), 'odd line')}", *odd[:ODD_LINES_SAID]]))


async def measure(lineages: int, due: int, due_in: int, say: Callable[[str], None]) -> Part:
    """Take the fleet in, then run the service anew over it, both measured. `due` lineages fall due `due_in` seconds after the beginning."""
    with installation() as rotator:
        return await _measured(rotator, lineages, due, due_in, say)


async def _measured(rotator: Path, lineages: int, due: int, due_in: int, say: Callable[[str], None]) -> Part:
    soon = due_in + int(LEAD.total_seconds())
    groups = {"ours": lineages - due, SOON: due}
    began = CLOCK.monotonic()
    async with scene(groups, milliseconds=0, projects=PROJECTS, soon=soon) as where:
        policy = _policy(where)
        with running(rotator, where, policy, say) as first:
            taken, taking = await first.look_at_all(lineages), first.megabytes
            say(f"{lineages:,} lineages taken in: {taken:.0f} s, {taking:.0f} MB")
        with running(rotator, where, policy, say) as service:
            ready = await service.look_at_all(lineages)
            say(f"looked at by a new process: {ready:.0f} s, {service.megabytes:.0f} MB")
            least = CLOCK.monotonic() - began + (IDLE + SPARE).total_seconds()
            if least > due_in:
                raise SystemExit(
                    f"too much would be due before the idle service is measured: --due-in {least:.0f}"
                )
            cpu, sweeps = service.cpu, service.metric("rotator_sweeps_total")
            await CLOCK.sleep(IDLE)
            idle = (service.cpu - cpu) / IDLE.total_seconds() * 100
            swept = service.metric("rotator_sweeps_total") - sweeps
            say(f"idle: {idle:.2f} % of a core, {swept:.0f} sweeps, {service.now_megabytes:.0f} MB")
            scrapes = [_timed(service.scrape) for _ in range(5)]
            quiet = service.megabytes
            # One that fails is tried again.
            await service.until(lambda: len(where.replaced()) == due)
            most = service.megabytes
            late = [one.late(SOON_POLICY).total_seconds() for one in where.replaced()]
            say(f"{due:,} due: the last was replaced {max(late):.0f} s late")
    return Part(
        title=f"The service over {lineages:,} lineages",
        how=HOW.format(
            projects=PROJECTS, concurrency=CONCURRENCY, minutes=int(IDLE.total_seconds() // 60), due=due
        ),
        figures=[
            Figure(what="taking all of them in, from an empty journal", values=[taken], unit="s"),
            _megabytes("of the process that takes them in", taking),
            Figure(
                what="from the start of another process until it has looked at each", values=[ready], unit="s"
            ),
            _megabytes("of that process, nothing due", quiet),
            _megabytes("of that process, all of it", most),
            Figure(
                what="CPU while nothing is due, of a core",
                values=[idle],
                unit="%",
                goal="at most 1",
                digits=2,
            ),
            Figure(
                what="a scrape, 1,000 lineages with series of their own", values=scrapes, unit="s", digits=2
            ),
            Figure(
                what=f"{due:,} due within a minute: how long after that the new key was created",
                values=late,
                unit="s",
            ),
        ],
        says=SAYS,
    )


HOW = """\
`rotator run` over keys in {projects} projects, `concurrency: {concurrency}`, a sweep every five minutes. One process takes them in; another is started once that
is done. When it has looked at each lineage and calls nobody any more, for {minutes} minutes nothing is due. Then {due:,} keys are due within one minute; when their
successors were created, the provider says. Once, by a process of an installation that has
nothing but what it needs; program, provider and Vault share the cores.
"""

SAYS = """\
A process's first look asks Vault three times a lineage, and the provider once a key; after that, a sweep costs one list per project, the control
record and the names of all records. In memory it keeps of each lineage its key, a short form of its record and where it stood, and of one that
was rotated, for a day, when that was started. How late a rotation begins when many are due is how long those before it take: see above.
"""


def _policy(where: Scene) -> Path:
    path = where.policy(rotate_before="1d")
    text = path.read_text()
    head, policies = text.split("policies:\n")
    runtime = RUN.format(concurrency=CONCURRENCY, port=PORT, series=1000).strip()
    head = re.sub(r"^runtime: .*$", lambda _: runtime, head, flags=re.MULTILINE)
    second = (
        policies.replace("name: all", f"name: {SOON}").replace('"ours *"', f'"{SOON} *"').replace("1d", "10m")
    )
    second += "    prove: {deadline: 30s}\n    retry: {initial: 1s, max: 10s}\n"
    path.write_text(f"{head}policies:\n{policies}{second}")
    return path


def _megabytes(what: str, megabytes: float) -> Figure:
    return Figure(
        what=f"peak memory (RSS) {what}", values=[megabytes], unit="MB", goal="at most 150", digits=0
    )


def _timed(scrape: Callable[[], str]) -> float:
    began = CLOCK.monotonic()
    scrape()
    return CLOCK.monotonic() - began


def odd_lines(log: str) -> list[str]:
    """Return the lines of a log that tell of anything that went wrong, those that are not the program's own among them.

    That it was asked to stop is a warning as well, and nothing odd.
    """
    expected = re.compile(r'"level": "(debug|info)"|"event": "signal"')
    return [line for line in log.splitlines() if not expected.search(line)]


def sum_of(text: str, name: str) -> float:
    """Return the sum of a metric's series."""
    return sum(map(float, re.findall(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)))
