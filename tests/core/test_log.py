"""What a log line looks like, and what it never shows. The values here are no canaries: they are meant to arrive."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from rotator import log
from rotator.model.secret import Secret

VALUE = "0a1b2c3d4e" * 4
"""Looks like a provider's secret."""

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    log.configure("info", "json")

    def read() -> list[dict[str, Any]]:
        out, err = capsys.readouterr()
        assert out == ""
        return [json.loads(line) for line in err.splitlines()]

    return read


class Colour(StrEnum):
    RED = "red"


def fail(text: str) -> NoReturn:
    password = "abcdefgh"
    raise ValueError(text, len(password))


def closed_stream() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


class Unprintable:
    def __str__(self) -> NoReturn:
        raise RuntimeError(VALUE)


def test_a_line_has_level_logger_and_utc_timestamp(lines: Lines) -> None:
    log.get("rotator.reconcile").info("reconciled", lineage="secret/asr/gateway", action="create_key")

    (line,) = lines()
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta(0)
    assert line == {
        "event": "reconciled",
        "level": "info",
        "logger": "rotator.reconcile",
        "lineage": "secret/asr/gateway",
        "action": "create_key",
    }


def test_values_become_what_json_can_hold(lines: Lines) -> None:
    log.get("rotator").info(
        "kinds",
        at=datetime(2026, 11, 22, 9, tzinfo=UTC),
        took=timedelta(seconds=90),
        reason=Colour.RED,
        scopes=frozenset({"usage:write", "usage:read"}),
        nested={"versions": (1, 2.5, None, True)},
        broken=Unprintable(),
    )

    (line,) = lines()
    assert line["at"] == "2026-11-22T09:00:00+00:00"
    assert line["took"] == 90.0
    assert line["reason"] == "red"
    assert line["scopes"] == ["usage:read", "usage:write"]
    assert line["nested"] == {"versions": [1, 2.5, None, True]}
    assert line["broken"] == "[a Unprintable that can't be shown]"


def test_the_level_holds_for_us_and_libraries_speak_from_warning_on(lines: Lines) -> None:
    log.get("rotator.x").debug("ours, too detailed")
    for library in ("httpx", "httpcore.http11", "hvac", "urllib3.connectionpool"):
        logging.getLogger(library).info("GET /v1/x?token=%s", VALUE)
        logging.getLogger(library).warning("pool is %s", "full")

    assert [(line["logger"], line["event"], line["level"]) for line in lines()] == [
        (library, "pool is full", "warning")
        for library in ("httpx", "httpcore.http11", "hvac", "urllib3.connectionpool")
    ]


def test_debug_is_for_our_loggers_only(lines: Lines) -> None:
    log.configure("debug", "json")
    log.get("rotator.x").debug("ours")
    logging.getLogger("httpcore").debug("theirs")

    assert [line["event"] for line in lines()] == ["ours"]


def test_configuring_twice_writes_each_line_once(lines: Lines) -> None:
    log.configure("warning", "json")
    log.configure("info", "json")
    log.get("rotator").info("once")

    assert len(lines()) == 1


@pytest.mark.promise("P7")
@pytest.mark.parametrize(
    "name",
    [
        "token",
        "secret",
        "client_token",
        "X-Vault-Token",
        "Authorization",
        "secret_id",
        "api_key",
        "Set-Cookie",
    ],
)
def test_a_value_named_like_a_secret_is_cut_out(lines: Lines, name: str) -> None:
    log.get("rotator").info("sent", **{name: "short"}, headers={name: ["short"]}, versions={name: 3})

    (line,) = lines()
    assert line[name] == log.REDACTED
    assert line["headers"] == {name: log.REDACTED}
    assert line["versions"] == {name: 3}


@pytest.mark.promise("P7")
@pytest.mark.parametrize("held", [Secret("short"), SecretStr("short")])
def test_a_value_of_a_type_for_secrets_is_cut_out(lines: Lines, held: object) -> None:
    log.get("rotator").info("held", answer=held, answers=[held])

    (line,) = lines()
    assert line["answer"] == log.REDACTED
    assert line["answers"] == [log.REDACTED]


@pytest.mark.promise("P7")
@pytest.mark.parametrize(
    "text",
    [
        f"the answer was {VALUE}",
        f"key={VALUE}&x=1",
        "Authorization: Token abcdefghijklmnop-1234",
        "bearer abcdefghijklmnop.1234",
        "login gave hvs.CAESIJ1234567890abcdefgh",
        "login gave s.1234567890abcdefghijklmn",
        "https://someone:abcdefgh@vault.example.com/v1",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.abcdefghijk",
    ],
)
def test_a_text_shaped_like_a_secret_is_cut_out(lines: Lines, text: str) -> None:
    log.get("rotator").info(
        text, detail=text, deep=[{"a": {text}}], thing=ValueError(text), raw=text.encode()
    )
    logging.getLogger("hvac").warning("%s", text)
    try:
        fail(text)
    except ValueError:
        log.get("rotator").exception("failed")

    shown = json.dumps(lines())
    for piece in (VALUE, "abcdefgh", "eyJzdWIi", "1234567890"):
        assert piece not in shown
    assert shown.count(log.REDACTED) == 7


@pytest.mark.parametrize(
    "text",
    [
        "secret/deepgram/asr-eu/gateway",
        "3c7a1f5e-aa00-4b1c-9d2e-000000000000",
        "write record secret/rotator/prod-eu/lineages/gateway-0123456789ab: 400",
        "{env: DEEPGRAM_API_KEY}",
        "[rotator:1:0123456789ab:0123456789ab:0123456789abcdef]",
    ],
)
def test_what_operators_need_is_kept(lines: Lines, text: str) -> None:
    log.get("rotator").info(text, lineage=text)

    (line,) = lines()
    assert line["event"] == line["lineage"] == text


@pytest.mark.promise("P7")
def test_a_traceback_shows_no_local_variable(lines: Lines) -> None:
    try:
        fail("plain")
    except ValueError:
        log.get("rotator").exception("failed")
        logging.getLogger("hvac").exception("failed too")

    first, second = lines()
    assert first["exception"][0]["exc_type"] == second["exception"][0]["exc_type"] == "ValueError"
    assert [frame["name"] for frame in first["exception"][0]["frames"]][-1] == "fail"
    assert "abcdefgh" not in json.dumps([first, second])


@pytest.mark.promise("P7")
def test_a_line_that_can_not_be_written_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("info", "json")
    (handler,) = [h for h in logging.getLogger().handlers if isinstance(h, log._StandardError)]
    handler.handle(logging.LogRecord("hvac", logging.WARNING, "", 0, "%d", (VALUE,), None))

    assert capsys.readouterr().err == "rotator: a log line of hvac could not be written (TypeError)\n"


@pytest.mark.parametrize("form", ["json", "console"])
def test_foreign_text_forges_no_line_and_steers_no_terminal(
    capsys: pytest.CaptureFixture[str], form: log.Form
) -> None:
    log.configure("info", form)
    hostile = "x\n2026-01-01T00:00:00Z [info] revoked\r\x1b[2J\x9b\u202e\u2028\x00"
    log.get("rotator").info(hostile, comment=hostile, **{"a\nb": 1})

    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.removesuffix("\n").isprintable()


def test_in_the_form_for_people_only_a_log_line_begins_at_the_margin(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.configure("info", "console")
    try:
        fail("x\n2026-01-01T00:00:00Z [info] revoked\x1b[2J")
    except ValueError:
        log.get("rotator").exception("failed", lineage="secret/a b")

    first, *rest = capsys.readouterr().err.splitlines()
    assert "[error" in first
    assert "failed" in first
    assert "lineage='secret/a b'" in first
    assert "Traceback" in rest[0]
    assert all(line.startswith("    ") and line.isprintable() for line in rest)


@pytest.mark.promise("P7")
@given(
    st.text(string.printable, max_size=60).filter(lambda text: not text[-1:].isalnum()),
    st.text(string.ascii_letters + string.digits, min_size=40, max_size=50),
    st.text(max_size=60),
)
def test_no_run_of_forty_letters_and_digits_gets_through(before: str, secret: str, after: str) -> None:
    formatter = log._formatter("json")
    record = logging.LogRecord("hvac", logging.WARNING, "", 0, "%s", (before + secret + after,), None)

    assert secret not in json.loads(formatter.format(record))["event"]


@pytest.mark.parametrize("stream", [None, closed_stream()])
def test_a_line_that_can_not_be_written_fails_nobody(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None
) -> None:
    log.configure("info", "json")
    monkeypatch.setattr("sys.stderr", stream)

    log.get("rotator").info("intent")


PIECES = st.sampled_from(
    [
        "\n",
        "\r\n",
        "\x1b[31m",
        "\x9b",
        "\u2028",
        "\u2029",
        "\x85",
        "\u202e",
        "\u2066",
        "\ufeff",
        "\x00",
        "\ud800",
        *('", "level": "error"}', "[error", "x=1", "\\n", "}" * 50, "long " * 500),
    ]
)
HOSTILE = st.lists(PIECES | st.text(max_size=20), max_size=6).map("".join)
FIELDS = st.recursive(
    HOSTILE | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HOSTILE, inner, max_size=3),
    max_leaves=8,
)


@contextlib.contextmanager
def unreported() -> Iterator[None]:
    """Keep what is logged out of pytest's report, which can't be sent to another process with half a character in it."""
    root = logging.getLogger()
    reporting = [handler for handler in root.handlers if not isinstance(handler, log._StandardError)]
    for handler in reporting:
        root.removeHandler(handler)
    try:
        yield
    finally:
        for handler in reporting:
            root.addHandler(handler)


def logged(form: log.Form, event: str, fields: dict[str, object], *, raised: str | None) -> str:
    """Return what is written of one event, or of one error of a library."""
    log.configure("debug", form)
    written = io.StringIO()
    with contextlib.redirect_stderr(written), unreported():
        try:
            if raised is not None:
                raise ValueError(raised)  # noqa: TRY301 (it is the text that matters)
            log.get("rotator.x").debug(event, **fields)
        except ValueError:
            logging.getLogger("hvac").exception("%s", event)
    return written.getvalue()


@given(HOSTILE, st.dictionaries(st.text("abcxyz", min_size=1), FIELDS, max_size=4), st.none() | HOSTILE)
def test_whatever_is_logged_is_one_line_of_json(
    event: str, fields: dict[str, object], raised: str | None
) -> None:
    fields = {f"field_{name}": value for name, value in fields.items()}
    text = logged("json", event, fields, raised=raised)

    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert text.removesuffix("\n").isascii()
    assert text.removesuffix("\n").isprintable()
    line = json.loads(text)
    assert (line["level"], line["logger"]) == (
        ("debug", "rotator.x") if raised is None else ("error", "hvac")
    )
    assert line.keys() - {"exception"} == {"event", "level", "logger", "timestamp"} | (
        fields.keys() if raised is None else set()
    )


@given(HOSTILE, st.dictionaries(st.text("abcxyz", min_size=1), FIELDS, max_size=4), st.none() | HOSTILE)
def test_whatever_is_logged_for_people_begins_one_line(
    event: str, fields: dict[str, object], raised: str | None
) -> None:
    fields = {f"field_{name}": value for name, value in fields.items()}
    first, *rest = logged("console", event, fields, raised=raised).removesuffix("\n").split("\n")

    assert all(line.isprintable() for line in (first, *rest))
    assert all(line.startswith("    ") for line in rest)
    assert bool(rest) is (raised is not None)
