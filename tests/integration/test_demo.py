"""`rotator demo` as a person runs it: to its end, and interrupted at any moment."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "rotator", "demo")
GONE_WITHIN = 20.0


def start(scratch: Path) -> subprocess.Popen[str]:
    """Start the demo as the leader of a process group of its own, as a terminal would."""
    return subprocess.Popen(
        COMMAND,
        env={"PATH": os.defpath, "TMPDIR": str(scratch), "HOME": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_until_it_has_begun(demo: subprocess.Popen[str]) -> None:
    """Return when the program's first lines have run: until then it is Python that answers a signal, as it likes.

    The sign is what these lines do to the process: its core dumps hold no memory.
    """
    core_filter = Path(f"/proc/{demo.pid}/coredump_filter")
    while (text := core_filter.read_text().strip()) != "00000000":
        assert text, "it ended before it had begun"
        time.sleep(0.002)  # noqa: TID251 (real processes take real time)


def living_children_of(scratch: Path) -> list[str]:
    """Return the processes that were started with `scratch` as their place for temporary files, or below it."""
    living = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(scratch).encode() in environment:
            living.append(command.replace(b"\0", b" ").decode())
    return living


@pytest.mark.promise("P1", "P3")
def test_it_ends_by_itself_with_no_failed_call_and_leaves_nothing(tmp_path: Path) -> None:
    demo = start(tmp_path)
    shown, _ = demo.communicate(timeout=100)
    assert demo.returncode == 0, shown
    for step in ("intent", "created", "proven", "published", "overlap", "revoked"):
        assert re.search(rf"voice-gateway +{step}", shown), step
    for kind in ("expired", "temporary", "claimed elsewhere", "not selected"):
        assert f"left alone: {kind}" in shown
    consumed = re.search(r"The consumer made (\d+) calls with (\d+) different keys: 0 failed", shown)
    assert consumed is not None
    assert int(consumed[1]) > 100
    assert int(consumed[2]) >= 3
    assert "voice-gateway: rotated" in shown
    assert "lives on, as nobody may read Vault yet" in shown
    assert list(tmp_path.iterdir()) == []
    assert living_children_of(tmp_path) == []


def test_nothing_but_signals_is_loaded_before_ctrl_c_is_answered() -> None:
    code = "import sys, signal; before = set(sys.modules); import rotator.__main__; print(*sorted({*sys.modules} - before))"
    shown = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["__future__", "rotator", "rotator.__main__"]


def test_it_answers_a_request_to_stop_from_its_first_lines_on(tmp_path: Path) -> None:
    """The first process of a container, as which it may run, gets no signal that it does not answer."""
    demo = start(tmp_path)
    wait_until_it_has_begun(demo)
    (caught,) = re.findall(r"SigCgt:\s(\w+)", Path(f"/proc/{demo.pid}/status").read_text())
    demo.terminate()
    demo.communicate(timeout=GONE_WITHIN)
    assert int(caught, 16) >> (signal.SIGTERM - 1) & 1
    assert demo.returncode in (130, -signal.SIGTERM)
    assert living_children_of(tmp_path) == []


@pytest.mark.parametrize("after", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.2, 2.0, 4.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_at_any_moment_it_leaves_nothing(
    tmp_path: Path, after: float, number: signal.Signals
) -> None:
    demo = start(tmp_path)
    wait_until_it_has_begun(demo)
    time.sleep(after)  # noqa: TID251 (real processes take real time)
    os.killpg(demo.pid, number)
    os.killpg(demo.pid, number)
    shown, _ = demo.communicate(timeout=GONE_WITHIN)
    assert demo.returncode in (130, -number), shown
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == []
    assert living_children_of(tmp_path) == []


@pytest.mark.parametrize("lines", [1, 3, 48])
def test_it_ends_quietly_when_nobody_reads_any_more(tmp_path: Path, lines: int) -> None:
    demo = start(tmp_path)
    assert demo.stdout is not None
    shown = [demo.stdout.readline() for _ in range(lines)]
    demo.stdout.close()
    assert demo.wait(timeout=GONE_WITHIN) == 0, shown
    assert list(tmp_path.iterdir()) == []
    assert living_children_of(tmp_path) == []
