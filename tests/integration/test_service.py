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
from pathlib import Path
from typing import Any

import pytest

from rotator.clock import SystemClock
from rotator.model.secret import Secret
from rotator.ports import Minted
from tests.integration.conftest import Desk
from tests.support import canary
from tests.support.canary import secret_text
from tests.support.vault_auth import Role
from tests.support.vault_lab import Root

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

    async def hang_up(self) -> None:
        """Ask it to reload, and wait until it has begun to."""
        before = self._reloads()
        self.process.send_signal(signal.SIGHUP)
        await self.until(lambda: self._reloads() > before)

    def _reloads(self) -> int:
        return sum(told.startswith("RELOADING=1\nMONOTONIC_USEC=") for told in self.told)

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

    async def until_shown(self, line: str) -> None:
        """Wait until the metrics have such a line."""
        for _ in range(int(PATIENCE_SECONDS / SOON.total_seconds())):
            _, text = await self.get("/metrics")
            if line in text.splitlines():
                return
            await CLOCK.sleep(SOON)
        raise AssertionError(f"not shown after {PATIENCE_SECONDS} s: {line}")

    def _hear_manager(self) -> None:
        while True:
            try:
                self.told.append(self.manager.recv(65536).decode())
            except BlockingIOError:
                return


@asynccontextmanager
async def running(desk: Desk, **replaced: str) -> AsyncIterator[Running]:
    """Run the service. `replaced` changes its policy file, as `Desk.write` does."""
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
        desk.write(**replaced)
        process = await desk.start("--log-format", "json", "run", NOTIFY_SOCKET=str(path))
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
        await service.until(lambda: desk.exists("voice-gateway") and desk.serves("voice-gateway"))
        assert (await service.get("/livez"))[0] == 200
        assert (await service.get("/readyz"))[0] == 200
        reason = 'reason="due_by_expiry"'
        await service.until_shown(
            f'rotator_rotations_total{{outcome="published",provider="asr",{reason}}} 1.0'
        )
        await service.until_shown('rotator_keys_awaiting_revocation{kind="original",provider="asr"} 1.0')
        service.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(service.process.wait(), 20) == 0
        await service.until(lambda: "STOPPING=1" in service.told)
        assert "asked to stop" in service.events("signal")[0]["detail"]
        assert service.other == [], "every line of the log is JSON"


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
        await service.hang_up()
        await service.until(lambda: service.told.count("READY=1") == 2)


@pytest.mark.promise("P2", "P8")
async def test_a_hangup_begins_no_new_journal_where_there_was_one(desk: Desk, root: Root) -> None:
    desk.key("voice gateway", age=timedelta(hours=1))
    async with running(desk) as service:
        await service.until(lambda: "READY=1" in service.told)
        for path in desk.versions():
            root.do("DELETE", f"secret/metadata/{path}")
        await service.hang_up()
        await service.until(lambda: service.events("not_connected"))
        assert "it was there before, and is gone" in service.events("not_connected")[0]["detail"]
        assert len(service.events("connected")) == 1
        assert desk.versions() == {}


@pytest.mark.promise("P1")
async def test_a_credential_that_is_gone_keeps_no_new_one_of_another_provider_out(desk: Desk) -> None:
    def management(project_id: str, member_id: str) -> Minted:
        return desk.world.add_key(project_id, member_id=member_id, scopes=("owner",), comment="rotator")

    def keep(name: str, secret: Secret) -> Path:
        kept = desk.folder / f"{name}.key"
        kept.touch(mode=0o600)
        kept.write_text(secret.reveal())
        return kept

    other = desk.world.add_project("other")
    ours = management(desk.project_id, desk.owner_id)
    asr = keep("asr", ours.secret)
    tts = keep("tts", management(other, desk.world.add_member(other)).secret)
    base_url = next(line for line in desk.head.splitlines() if "base_url" in line)
    desk.head = desk.head.replace("{env: DEEPGRAM_API_KEY}", f"{{file: {asr}}}") + (
        f"  tts:\n    type: deepgram\n    project_id: {other}\n{base_url}\n    credential: {{file: {tts}}}\n"
    )
    async with running(desk) as service:
        await service.until(lambda: "READY=1" in service.told)
        tts.unlink()
        keep("asr", management(desk.project_id, desk.owner_id).secret)
        desk.world.delete(ours.key_id, CLOCK.now())
        desk.due_key("voice gateway")
        await service.hang_up()
        await service.until(lambda: desk.exists("voice-gateway") and desk.serves("voice-gateway"))
        await service.until(lambda: service.events("credential_unread"))
        assert [line["provider"] for line in service.events("credential_unread")] == ["tts"]
        assert service.events("not_connected") == []


def approle(role: Role, *, wrapped: bool = False) -> str:
    auth = role.auth(wrapped=wrapped)
    path = f", secret_id_response_wrapping_path: {auth.secret_id_response_wrapping_path}" if wrapped else ""
    return f"{{approle: {{mount: {auth.mount}, role_id: {auth.role_id}, secret_id: {auth.secret_id}{path}}}}}"


async def test_however_often_it_connects_a_wrong_secret_id_does_not_lock_its_role_out(
    desk: Desk, root: Root
) -> None:
    role = Role.made(root, desk.folder)
    role.deliver(Secret(secret_text("wrong")))
    refusals = 'rotator_calls_total{operation="log in with",result="400",to="vault"}'
    async with running(desk, auth=approle(role)) as service:
        await service.until(lambda: service.events("not_reached"))
        for _ in range(5):
            await service.hang_up()
            await CLOCK.sleep(SOON)
        assert await service.metric(refusals) == 2.0
        assert "refused 2 times" in service.events("not_reached")[-1]["detail"]
        role.deliver(role.new_secret_id())
        await service.hang_up()
        await service.until(lambda: "READY=1" in service.told)


async def test_a_secret_id_that_was_wrapped_is_kept_for_the_next_connection(desk: Desk, root: Root) -> None:
    role = Role.made(root, desk.folder)
    role.deliver(role.wrapped())
    async with running(desk, auth=approle(role, wrapped=True)) as service:
        await service.until(lambda: "READY=1" in service.told)
        await service.hang_up()
        await service.until(lambda: service.told.count("READY=1") == 2)
        assert service.events("not_connected") == []
        assert len(service.events("connected")) == 2


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
