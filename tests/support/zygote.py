"""A process that has loaded the program, and forks a child for each command: `python -m tests.support.zygote FD`.

Starting Python and loading the program takes most of the time of a short command. A child is a process of its own like
any other: it begins in `rotator.__main__.main`, ends as Python ends, and is killed as surely. What it has not been
through is what comes before `main`, and that touches neither Vault nor a provider.

Orders come as JSON through the socket FD: {"start": id, "argv": [...], "env": {...}, "in": path, "out": path, "err":
path} and {"signal": id, "number": n}. Back goes {"id": ..., "pid": ...} for each start and {"id": ..., "status": ...}
for each end. Signals are sent from here, as only the parent of a process can be sure that its number is still its own.
When the socket is closed, all children are killed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

LONGEST = 1 << 20

_WHEN_USED = (
    "anyio._backends._asyncio",
    "anyio.lowlevel",
    "anyio.streams.tls",
    "anyio.to_thread",
    "encodings.utf_8_sig",
    "httpcore",
)
"""What libraries load when they are first used."""


def main() -> None:
    """Load the program, then do as told until the other side is gone."""
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        order = _serve(orders)
    if order is not None:
        _become(order)


def _serve(orders: socket.socket) -> Mapping[str, Any] | None:
    """Do as told. Return None in the end; in each child, return what it is to be."""
    _load()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    orders.send(b'{"ready": true}')
    children: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([orders.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _bury(children, orders)
        if orders.fileno() in ready:
            text = orders.recv(LONGEST)
            if not text:
                break
            order: Mapping[str, Any] = json.loads(text)
            if "signal" in order:
                pid = next((pid for pid, each in children.items() if each == order["signal"]), None)
                if pid is not None:
                    os.kill(pid, order["number"])
                continue
            pid = os.fork()
            if pid == 0:
                return order
            children[pid] = order["start"]
            orders.send(json.dumps({"id": order["start"], "pid": pid}).encode())
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    return None


def _load() -> None:
    """Load every module of the program but those of the demo, and keep what is loaded out of the children's collections."""
    import rotator  # noqa: PLC0415 (whichever copy of it is on the path)

    for module in pkgutil.walk_packages(rotator.__path__, "rotator."):
        if not module.name.startswith(("rotator.demo", "rotator.simulator", "rotator.cli.demo")):
            importlib.import_module(module.name)
    for name in _WHEN_USED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _bury(children: dict[int, int], orders: socket.socket) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            report = {"id": children.pop(pid), "status": os.waitstatus_to_exitcode(status)}
            orders.send(json.dumps(report).encode())


def _become(order: Mapping[str, Any]) -> None:
    """Be the command: it has streams, environment, arguments and signals as if it was just started."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for target, (path, flags) in enumerate(
        ((order["in"], os.O_RDONLY), (order["out"], write), (order["err"], write))
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, target)
        os.close(opened)
    os.environ.clear()  # noqa: TID251 (the child's environment)
    os.environ.update(order["env"])  # noqa: TID251 (the child's environment)
    sys.argv = ["rotator", *order["argv"]]
    from rotator.__main__ import main as rotator  # noqa: PLC0415 (the program begins here)

    rotator()


if __name__ == "__main__":
    main()
