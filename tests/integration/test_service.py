"""The service, as an operator meets it: started from the command line, asked by curl, told by signals and by its file."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from rotator.clock import SystemClock
from tests.integration.conftest import Desk
from tests.support import canary

CLOCK = SystemClock()
SOON = timedelta(milliseconds=100)
PATIENCE_SECONDS = 40


@dataclass
class Running:
    """A service that runs. `said` are its log lines so far, `manager` what it told systemd."""

    process: asyncio.subprocess.Process
    port: int
    manager: socket.socket
    said: list[dict[str, Any]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    async def listen(self) -> None:
        assert self.process.stderr is not None
        while line := (await self.process.stderr.readline()).decode():
            canary.scan(line, "the log")
            try:
                self.said.append(json.loads(line))
            except ValueError:
                self.other.append(line)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.said if line["event"] == name]

    async def until(self, what: Callable[[], object]) -> None:
        """Wait until something is so."""
        for _ in range(int(PATIENCE_SECONDS / SOON.total_seconds())):
            self._hear_manager()
            if what():
                return
            await CLOCK.sleep(SOON)
        said = [f"{line['event']} {line.get('detail', '')}" for line in self.said[-20:]]
        raise AssertionError(
            f"not so after {PATIENCE_SECONDS} s; said: {said} {self.other[-5:]} {self.told[-5:]}"
        )

    async def get(self, path: str) -> tuple[int, str]:
        def ask() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        status, text = await asyncio.to_thread(ask)
        canary.scan(text, path)
        return status, text

    async def metric(self, name: str) -> float:
        """Return one figure. `name` is all that stands before it."""
        _, text = await self.get("/metrics")
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, f"{name} is not in {text}"
        return float(found[1])

    def _hear_manager(self) -> None:
        while True:
            try:
                self.told.append(self.manager.recv(65536).decode())
            except BlockingIOError:
                return


@asynccontextmanager
async def running(desk: Desk, **environment: str) -> AsyncIterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = desk.folder.parent / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(0)
        desk.head = desk.head.replace(
            "runtime: {", f'runtime: {{listen: "127.0.0.1:{port}", sweep_every: 1s, '
        )
        desk.write()
        process = await desk.start("--log-format", "json", "run", NOTIFY_SOCKET=str(path), **environment)
        service = Running(process, port, manager)
        hearing = asyncio.create_task(service.listen())
        try:
            yield service
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()
            await hearing
            path.unlink()
            canary.scan(desk.written(), "the journal")


@pytest.mark.promise("P8")
async def test_a_key_that_is_due_is_rotated_and_all_of_it_is_seen(desk: Desk) -> None:
    desk.due_key("voice gateway")
    desk.key("calm", age=timedelta(hours=1))
    async with running(desk) as service:
        await service.until(lambda: "READY=1" in service.told)
        assert desk.serves("voice-gateway")
        assert (await service.get("/livez"))[0] == 200
        assert (await service.get("/readyz"))[0] == 200
        reason = 'reason="due_by_expiry"'
        assert (
            await service.metric(f'rotator_rotations_total{{outcome="published",provider="asr",{reason}}}')
            == 1.0
        )
        assert await service.metric('rotator_keys_awaiting_revocation{kind="original",provider="asr"}') == 1.0
        service.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(service.process.wait(), 20) == 0
        await service.until(lambda: "STOPPING=1" in service.told)


async def test_a_mistake_in_the_policy_file_is_refused_and_a_good_one_is_taken(desk: Desk) -> None:
    desk.key("voice gateway", age=timedelta(hours=1))
    async with running(desk) as service:
        await service.until(lambda: "READY=1" in service.told)
        good = desk.file.read_text()
        desk.file.write_text(good.replace("adopt:", "adobt:"))
        await service.until(lambda: service.events("policy_file_refused"))
        assert "did you mean" in service.events("policy_file_refused")[0]["detail"]
        assert await service.metric("rotator_policy_file_rejected") == 1.0
        await service.until(lambda: any("REFUSED" in told for told in service.told))
        assert (await service.get("/readyz"))[0] == 200

        desk.file.write_text(good.replace("adopt:", "rotate_before: 60%\n    adopt:"))
        await service.until(lambda: service.events("policy_file_loaded"))
        await service.until(lambda: service.events("next_run_changed"))
        (changed,) = service.events("next_run_changed")
        assert changed["after"] < changed["before"]
        assert await service.metric("rotator_policy_file_rejected") == 0.0


async def test_a_hangup_takes_the_file_at_once_and_tells_systemd(desk: Desk) -> None:
    desk.key("voice gateway", age=timedelta(hours=1))
    async with running(desk) as service:
        await service.until(lambda: "READY=1" in service.told)
        service.process.send_signal(signal.SIGHUP)
        await service.until(
            lambda: any(told.startswith("RELOADING=1\nMONOTONIC_USEC=") for told in service.told)
        )
        await service.until(lambda: service.told.count("READY=1") == 2)


async def test_a_bad_policy_file_at_the_start_is_not_tried_again(desk: Desk) -> None:
    desk.write()
    desk.file.write_text("version: 2\n")
    ran = await desk.started("run")
    assert ran.status == 78


async def test_a_port_that_is_taken_is_said(desk: Desk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f'listen: "127.0.0.1:{taken.getsockname()[1]}"'
        desk.head = desk.head.replace("runtime: {", f"runtime: {{{listen}, ")
        desk.write()
        ran = await desk.started("run")
    assert ran.status == 1
    assert "runtime.listen" in ran.err
