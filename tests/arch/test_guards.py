"""The guards themselves: a run of tests that leak must fail, whatever way the secret took."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import canary

ROOT = Path(__file__).parents[2]

CONFTEST = 'pytest_plugins = ["tests.support.guards"]\n'

LEAKS = """
import base64, logging, socket, subprocess, sys
import pytest, structlog
from tests.support import canary

VALUE = canary.secret_text("leak")

@pytest.fixture
def leaking_setup():
    print(VALUE)

@pytest.fixture
def leaking_teardown():
    yield
    print(VALUE)

def test_leaks_by_print():
    print("the answer was", VALUE)

def test_leaks_by_stdlib_log():
    logging.getLogger("rotator.vault").debug("answer %s", VALUE)

def test_leaks_by_log_of_an_exception():
    try:
        raise ValueError(VALUE)
    except ValueError:
        logging.getLogger("x").exception("failed")

def test_leaks_by_structlog():
    structlog.get_logger().info("created", answer=VALUE)

def test_leaks_by_stderr_of_a_child():
    subprocess.run([sys.executable, "-c", "import sys; sys.stderr.write(sys.argv[1])", VALUE])

def test_leaks_in_base64():
    print(base64.b64encode(b"v" + VALUE.encode()).decode())

def test_leaks_by_expected_exception():
    with pytest.raises(ValueError):
        raise ValueError(VALUE)

def test_leaks_by_cause_of_expected_exception():
    with pytest.raises(KeyError):
        try:
            raise ValueError(VALUE)
        except ValueError as error:
            raise KeyError("harmless") from error

def test_leaks_by_note_in_a_group():
    inner = ValueError("harmless")
    inner.add_note(VALUE)
    with pytest.raises(ExceptionGroup):
        raise ExceptionGroup("several", [inner])

def test_leaks_into_output_that_it_reads(capsys):
    print(VALUE)
    assert capsys.readouterr().out

def test_leaks_into_output_that_it_does_not_read(capsys):
    print(VALUE)

def test_leaks_what_it_scans_though_caught():
    try:
        canary.scan(VALUE, "a journal record")
    except AssertionError:
        pass

def test_leaks_in_setup(leaking_setup):
    pass

def test_leaks_in_teardown(leaking_teardown):
    pass

@pytest.mark.xfail(strict=True)
def test_leaks_and_was_expected_to_fail():
    print(VALUE)
    assert False

def test_reaches_the_network():
    with pytest.raises(RuntimeError):
        socket.create_connection(("192.0.2.1", 9), timeout=0.1)

def test_looks_up_a_name():
    try:
        socket.getaddrinfo("vault.example.com", 443)
    except Exception:
        pass

def test_passes_with_loopback():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()

def test_passes_with_a_secret_that_stays_inside():
    error = ValueError("hidden")
    try:
        raise ValueError(VALUE)
    except ValueError:
        with pytest.raises(ValueError):
            raise error from None

def test_fails_by_itself():
    raise ValueError("plain")

def test_fails_by_itself_and_leaks():
    raise ValueError(VALUE)
"""


def test_each_leak_fails_its_test(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}\n")
    (tmp_path / "test_leaks.py").write_text(LEAKS)

    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-rA",
        "--no-header",
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    outcomes = re.findall(r"^(PASSED|FAILED|ERROR) \S+::(test_\w+)", run.stdout, re.MULTILINE)
    passed = {name for outcome, name in outcomes if outcome == "PASSED"}
    broken = {name for outcome, name in outcomes if outcome != "PASSED"}
    names = set(re.findall(r"^def (test_\w+)", LEAKS, re.MULTILINE))
    assert broken == {name for name in names if "passes" not in name}, "a leak went unseen"
    assert passed - broken == {name for name in names if "passes" in name}
    assert (
        run.stdout.count("a secret shows in the text of the failure: ...E       ValueError: [a secret]...")
        == 1
    )


def test_a_secret_of_a_test_looks_like_a_real_one() -> None:
    value = canary.secret_text("a")

    assert re.fullmatch("[A-Za-z0-9]{40}", value)
    assert canary.leak_in(value, "itself") is not None
    assert value == canary.secret_text("a") != canary.secret_text("b")


def test_what_a_leak_says_does_not_leak() -> None:
    with pytest.raises(canary.LeakError) as caught:
        canary.scan(f"token={canary.secret_text()} of asr-eu", "argv")

    assert str(caught.value) == "a secret shows in argv: ...[a secret] of asr-eu..."
    canary.findings.clear()
