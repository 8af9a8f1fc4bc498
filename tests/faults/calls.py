"""What each call is called: by what it asks, not by when it comes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.faults.faults import Side
from tests.support.vault_lab import Seen

CONTROL = "secret/data/rotator/default/control"
RECORDS = "secret/data/rotator/default/lineages/"
ENTRY = "secret/data/rotated/voice"

_VAULT = {
    ("POST", "auth/approle/login"): "login",
    ("POST", "auth/token/renew-self"): "renew",
    ("GET", "auth/token/lookup-self"): "token look-up",
    ("GET", "sys/internal/ui/mounts/secret"): "mount check",
    ("POST", "sys/capabilities-self"): "capabilities",
    ("GET", "sys/leader"): "leader",
    ("GET", CONTROL): "control record read",
    ("POST", CONTROL): "control record write",
    ("GET", ENTRY.replace("/data/", "/metadata/")): "destination settings",
    ("GET", RECORDS.replace("/data/", "/metadata/").rstrip("/")): "journal list",
    ("GET", "secret/config"): "mount settings",
    ("POST", ENTRY): "destination write",
}


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """One call of a run. `nth` counts those of one `kind`; `kind` names what is asked, `of` which one of several."""

    side: Side
    kind: str
    of: str
    nth: int

    def __str__(self) -> str:
        several = "" if self.nth == 1 else f" ({self.nth})"
        return f"{self.kind}{self.of and ': '}{self.of}{several}"

    @property
    def row(self) -> str:
        """Under which name the table counts it."""
        return f"{self.kind}: {self.of}" if self.kind == "record write" else self.kind

    @property
    def writes(self) -> bool:
        """Whether it may change something on the other side."""
        return self.kind in _WRITES


_WRITES = frozenset(
    {
        "control record write",
        "record write",
        "destination write",
        "provider create",
        "provider delete",
    }
)


class Namer:
    """Names the calls of one run. `role` says which key an id or a secret is that of."""

    def __init__(self, role: Callable[[str], str], record: Mapping[str, Any] | None) -> None:
        self._role = role
        self._record = record
        self._counts: Counter[tuple[str, str]] = Counter()
        self._reads_back = False

    def name(self, side: Side, request: Seen) -> Call:
        """Return the name of a request that has just come."""
        kind, of = self._vault(request) if side is Side.VAULT else self._provider(request)
        self._counts[kind, of] += 1
        return Call(side, kind, of, self._counts[kind, of])

    def wrote(self, request: Seen) -> None:
        """Note that a write of a record was carried out."""
        self._record = record_in(request)

    def _vault(self, request: Seen) -> tuple[str, str]:
        path = request.path.removeprefix("/v1/").partition("?")[0]
        if path.startswith(RECORDS):
            return ("record read", "") if request.method == "GET" else ("record write", self._step(request))
        if path == ENTRY:
            back, self._reads_back = self._reads_back, request.method == "POST"
            if request.method == "GET":
                return ("destination read-back" if back else "destination read"), ""
        return _VAULT[request.method, path], ""

    def _provider(self, request: Seen) -> tuple[str, str]:
        last = request.path.rpartition("/")[2]
        match request.method, last:
            case "GET", "token":
                secret = request.headers["Authorization"].removeprefix("Token ")
                return "provider prove", self._role(secret)
            case "GET", "keys":
                return "provider list", ""
            case "POST", _:
                return "provider create", ""
            case "DELETE", _:
                return "provider delete", self._role(last)
            case _:
                return "provider get", self._role(last)

    def _step(self, request: Seen) -> str:
        """Return what a record that is written says more than the last one."""
        before, after = self._record, record_in(request)
        if before is None:
            return "order" if after["standing"] else "adopted"
        for name, step in (
            ("retired", "retired"),
            ("history", "published"),
            ("attempts", "intent"),
            ("orders", "order"),
            ("previous", "inherited"),
        ):
            if after[name] and after[name][-1:] != before[name][-1:]:
                return step
        for name, step in (
            ("hold", "held"),
            ("rotate_failure", "failed"),
            ("revoke_failure", "failed"),
            ("current", "adopted"),
        ):
            if after[name] != before[name]:
                return step
        return "claimed" if after["claim"] else "given back"


def record_in(request: Seen) -> Mapping[str, Any]:
    """Return the record that a write holds."""
    document = json.loads(request.body)["data"]
    record: Mapping[str, Any] = json.loads(document["record"])
    return record
