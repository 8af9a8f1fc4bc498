"""Tries, in the place of rotator, what its unit forbids, and prints what came of each as JSON: a program of its own.

Only the standard library of the machine that it runs on is there.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import socket
import sys
from collections.abc import Callable
from pathlib import Path

CLONE_NEWUSER = 0x10000000


def write(path: str) -> None:
    """Write into a file system that is to be read-only."""
    Path(path).write_text("x")


def unshare() -> None:
    """Make a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def tries() -> dict[str, Callable[[], object]]:
    """Return what is tried, by its name."""
    credentials = Path(os.environ["CREDENTIALS_DIRECTORY"])  # noqa: TID251 (a program of its own)
    return {
        "write to /etc": lambda: write("/etc/probe"),
        "write to its own code": lambda: write("/opt/rotator/probe"),
        "look into /home": lambda: os.listdir("/home"),  # noqa: PTH208 (the error is that of the call)
        "read the file of a credential": lambda: Path(
            "/etc/rotator/credentials/deepgram-api-key"
        ).read_bytes(),
        "see another process": lambda: Path("/proc/1/status").read_text(),
        "open a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "make a namespace": unshare,
        "make code that can be written": lambda: mmap.mmap(
            -1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        ),
        "change its priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -5),
        "open a device": lambda: Path("/dev/kmsg").read_bytes(),
        "become root": lambda: os.setuid(0),
        "read its credential": (credentials / "deepgram-api-key").read_bytes,
        "open a connection": lambda: socket.create_connection(("127.0.0.1", 8200), timeout=5).close(),
        "write no core dump": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    }


def outcome(act: Callable[[], object]) -> str:
    """Return `done`, or the name of the error."""
    try:
        act()
    except OSError as error:
        return type(error).__name__ if error.errno is None else os.strerror(error.errno)
    return "done"


if __name__ == "__main__":
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    shown = {name: status[name].split()[0] for name in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Uid")}
    json.dump({"tries": {name: outcome(act) for name, act in tries().items()}, "status": shown}, sys.stdout)
