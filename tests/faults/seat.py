"""One whole installation under test: a namespace of a real Vault server, a simulated Deepgram, and the wires between.

A world can be kept as it stands and set up again as often as it is needed, for that costs ten calls and no rotation.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rotator.bootstrap import Connected, connect
from rotator.model.secret import Secret
from rotator.policy.load import load
from rotator.simulator.world import SimulatedKey
from tests.faults.calls import CONTROL, ENTRY, RECORDS, Namer
from tests.faults.collected import all_versions, records
from tests.faults.faults import Side
from tests.faults.outside import Version
from tests.faults.wires import CALL_TIMEOUT, Upstream, Wires
from tests.faults.world import COMMENT, WatchedWorld, first_world, management_secret
from tests.support.canary import secret_text
from tests.support.vault_auth import put
from tests.support.vault_lab import LEAST_PRIVILEGE, Reply, Root, Seen

POLICY = """\
version: 1
vault:
  address: {vault}
  auth: {{approle: {{role_id: {{file: {home}/role-id}}, secret_id: {{file: {home}/secret-id}}}}}}
providers:
  asr:
    type: deepgram
    project_id: {project_id}
    base_url: {provider}
    credential: {{file: {home}/credential}}
policies:
  - name: pinned
    provider: asr
    keys: {{rotated/voice: {original}}}
    adopt: when_due
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A world as it stood at one instant, with what Vault held: by path, all versions of the destination."""

    world: WatchedWorld
    roles: Mapping[str, str]
    entries: Mapping[str, tuple[Version, ...]]
    now: datetime


class Seat:
    """Where cases run, one after another."""

    def __init__(self, root: Root, namespace: str, home: Path) -> None:
        self._root, self._namespace, self._home = root, namespace, home
        self._vault = Upstream(root.address)
        self._stack = ExitStack()
        self.roles: dict[str, str] = {}
        self._take(first_world())

    def _take(self, world: WatchedWorld) -> None:
        """Let `world` be the one that is there, on wires of its own."""
        self.world = world
        world.kept = self._made
        self.clock = world.clock
        self._stack.close()
        self.wires = Wires(world, self._vault, self._namespace)
        self.wires.open(self._stack)
        (self.project_id,) = world.projects
        self.file = self._file()

    def close(self) -> None:
        self._stack.close()
        self._vault.close()

    def virgin(self) -> None:
        """Begin with nothing in Vault, and a key that is due beside keys that are none of our business."""
        self._clear()
        self._take(first_world())
        names = ("management key", "original", "namesake", "other journal's key")
        keys = self.world.keys(self.project_id)
        self.roles = {
            text: name
            for name, key in zip(names, keys, strict=True)
            for text in (key.key_id, key.secret.reveal())
        }

    def keep(self) -> Kept:
        """Return everything as it stands now. Nothing may be under way."""
        return Kept(
            world=self.world.copy(),
            roles=dict(self.roles),
            entries={path: self.versions(path) for path in (CONTROL, ENTRY, *self._records())},
            now=self.clock.now(),
        )

    def restore(self, kept: Kept) -> None:
        """Set everything up as it stood. Of what is not the destination, the last version becomes the only one."""
        self._clear()
        self._take(kept.world.copy())
        self.clock.shift += kept.now - self.clock.now()
        self.roles = dict(kept.roles)
        for path, versions in kept.entries.items():
            for number, one in enumerate(versions if path == ENTRY else versions[-1:], start=1):
                answer = json.loads(self._ask("POST", path, {"data": one.data}).body)
                real = datetime.fromisoformat(answer["data"]["created_time"])
                self.wires.shifts[path, number] = one.at - real

    def versions(self, path: str) -> tuple[Version, ...]:
        """Return every version of an entry, as root sees it, each at its instant on the clock of the test."""
        mount, _, name = path.partition("/data/")
        return tuple(
            replace(version, at=version.at + self.wires.shifts[path, version.number])
            for version in all_versions(self._see, mount, name)
        )

    def records(self) -> tuple[str, ...]:
        """Return every version of the record of the lineage that Vault still has, as root sees it."""
        mount, _, prefix = RECORDS.removesuffix("/lineages/").partition("/data/")
        return tuple(text for texts in records(self._see, mount, prefix).values() for text in texts)

    def served(self) -> str | None:
        """Return the secret that Vault serves now, as root sees it."""
        reply = self._ask("GET", ENTRY)
        return json.loads(reply.body)["data"]["data"]["api_key"] if reply.status == 200 else None

    def record(self) -> Mapping[str, Any] | None:
        """Return the newest record of the lineage, as root sees it."""
        for path in self._records():
            document = json.loads(self._ask("GET", path).body)
            record: Mapping[str, Any] = json.loads(document["data"]["data"]["record"])
            return record
        return None

    def namer(self) -> Namer:
        return Namer(self._role, self.record())

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Connected]:
        """Run a process of the program until the block is left."""
        async with connect(self.file, found_journal=True, clock=self.clock) as connected:
            yield connected

    def _see(self, path: str) -> Reply:
        return self._ask("GET", path)

    def _made(self, key: SimulatedKey) -> None:
        """Name a key that the program has made."""
        number = 1 + sum(role.startswith("key ") for role in set(self.roles.values()))
        for text in (key.key_id, key.secret.reveal()):
            self.roles[text] = f"key {number}"

    def _ask(self, method: str, path: str, document: object = None) -> Reply:
        """Make any call to Vault, with root's hands."""
        headers = {"X-Vault-Token": self._root.token.reveal(), "X-Vault-Namespace": self._namespace}
        body = b"" if document is None else json.dumps(document).encode()
        return self._vault.ask(Seen(method, f"/v1/{path}", headers, body))

    def _role(self, text: str) -> str:
        return self.roles.get(text, "unknown key")

    def _records(self) -> list[str]:
        reply = self._ask("GET", RECORDS.replace("/data/", "/metadata/").rstrip("/") + "?list=true")
        names = json.loads(reply.body)["data"]["keys"] if reply.status == 200 else []
        return [f"{RECORDS}{name}" for name in names]

    def _clear(self) -> None:
        for path in (CONTROL, ENTRY, *self._records()):
            self._ask("DELETE", path.replace("/data/", "/metadata/"))

    def _file(self) -> Any:  # noqa: ANN401 (replaced below)
        original = next(key for key in self.world._keys.values() if key.comment == COMMENT)
        text = POLICY.format(
            vault=self.wires.address(Side.VAULT),
            provider=self.wires.address(Side.PROVIDER),
            home=self._home,
            project_id=self.project_id,
            original=original.key_id,
        )
        file = load(text.encode(), name="matrix.yaml")
        return replace(file, runtime=replace(file.runtime, call_timeout=CALL_TIMEOUT))


@asynccontextmanager
async def seat(root: Root) -> AsyncIterator[Seat]:
    """Set up a namespace of its own, with a role for the program, and a simulator."""
    namespace = f"seat-{uuid.uuid4().hex[:8]}"
    root.do("POST", f"sys/namespaces/{namespace}")
    root.do("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}, namespace=namespace)
    root.do("POST", "sys/auth/approle", {"type": "approle"}, namespace=namespace)
    policy = root.new_policy(
        LEAST_PRIVILEGE.replace("rotator-journal", "rotator/default"), namespace=namespace
    )
    role = {"token_policies": [policy], "token_ttl": "36h", "token_max_ttl": "720h"}
    root.do("POST", "auth/approle/role/rotator", role, namespace=namespace)
    role_id = root.answer("GET", "auth/approle/role/rotator/role-id", namespace=namespace)
    secret_id = Secret(secret_text(f"secret id of {namespace}"))
    root.answer(
        "POST",
        "auth/approle/role/rotator/custom-secret-id",
        {"secret_id": secret_id.reveal()},
        namespace=namespace,
    )
    with tempfile.TemporaryDirectory(prefix="rotator-seat-") as folder:
        home = Path(folder)
        put(home / "role-id", Secret(role_id["data"]["role_id"]))
        put(home / "secret-id", secret_id)
        put(home / "credential", management_secret())
        made = Seat(root, namespace, home)
        try:
            yield made
        finally:
            made.close()
