"""A secret does not show itself, whatever is done with it."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from types import SimpleNamespace

import pytest

from rotator.model.entry import Publication
from rotator.model.secret import Secret
from rotator.ports import EntryRead, Minted
from tests.support import builders as a
from tests.support import canary

pytestmark = pytest.mark.promise("P7")

TEXT = canary.secret_text("opaque")
SECRET = Secret(TEXT)
SAME = Secret(TEXT)


@dataclass(frozen=True)
class Holder:
    secret: Secret


class HolderError(Exception):
    pass


SHOWN: dict[str, Callable[[], object]] = {
    "repr": lambda: repr(SECRET),
    "str": lambda: str(SECRET),
    "format": lambda: format(SECRET),
    "format with a width": lambda: format(SECRET, ">200"),
    "f-string": lambda: f"{SECRET} {SECRET!r} {SECRET!s} {SECRET!a} {SECRET:>60}",
    "percent": lambda: "%s %r" % (SECRET, SECRET),  # noqa: UP031 (old code writes so)
    "str.format": lambda: "{} {!r} {:s}".format(SECRET, SECRET, SECRET),  # noqa: UP032 (old code writes so)
    "in a list": lambda: repr([SECRET]),
    "in a dict": lambda: repr({"secret": SECRET}),
    "in a dataclass": lambda: repr(Holder(SECRET)),
    "in a publication": lambda: repr(
        Publication(rotation_id=a.ISSUED, secret=SECRET, key_id="k", previous_key_id=None, expires_at=None)
    ),
    "in a create's answer": lambda: repr(Minted("k", SECRET)),
    "in a read of an entry": lambda: repr(EntryRead(a.entry(), SECRET, a.NOW)),
    "in a namespace": lambda: repr(SimpleNamespace(secret=SECRET)),
    "in an exception": lambda: repr(HolderError("it failed", SECRET)),
    "in the text of an exception": lambda: str(HolderError(SECRET)),
    "in a printed exception": lambda: "".join(traceback.format_exception_only(HolderError(SECRET))),
    "in a KeyError": lambda: str(KeyError(SECRET)),
    "as JSON by str": lambda: json.dumps({"secret": SECRET}, default=str),
    "as JSON by repr": lambda: json.dumps([SECRET], default=repr),
    "its attributes' names": lambda: repr(dir(SECRET)),
    "its public attributes": lambda: repr([getattr(SECRET, name) for name in dir(SECRET) if name[0] != "_"]),
    "its documentation": lambda: repr(SECRET.__doc__),
}

REFUSED: dict[str, Callable[[], object]] = {
    **{f"pickle protocol {n}": partial(pickle.dumps, SECRET, n) for n in range(pickle.HIGHEST_PROTOCOL + 1)},
    "pickled inside something": lambda: pickle.dumps([SECRET]),
    "copy": lambda: copy.copy(SECRET),
    "deepcopy": lambda: copy.deepcopy(SECRET),
    "deepcopy of something": lambda: copy.deepcopy({"secret": SECRET}),
    "asdict": lambda: asdict(Holder(SECRET)),
    "astuple": lambda: astuple(Holder(SECRET)),
    "==": lambda: SECRET == SAME,
    "== with a text": lambda: SECRET == TEXT,
    "!=": lambda: SECRET != SAME,
    "equal holders": lambda: Holder(SECRET) == Holder(SAME),
    "in a list of others": lambda: SECRET in [SAME, SAME],
    "hash": lambda: hash(SECRET),
    "member of a set": lambda: {SECRET},
    "hash of its holder": lambda: hash(Holder(SECRET)),
    "json": lambda: json.dumps({"secret": SECRET}),
    "json by vars": lambda: json.dumps([SECRET], default=vars),
    "vars": lambda: vars(SECRET),
    "<": lambda: SECRET < SAME,  # type: ignore[operator]
    "sorted": lambda: sorted([SECRET, SAME]),  # type: ignore[type-var]
    "len": lambda: len(SECRET),  # type: ignore[arg-type]
    "iterating": lambda: list(SECRET),  # type: ignore[call-overload]
    "indexing": lambda: SECRET[0],  # type: ignore[index]
    "bytes": lambda: bytes(SECRET),  # type: ignore[call-overload]
    "adding": lambda: SECRET + "",  # type: ignore[operator]
    "joining": lambda: ", ".join(iter([SECRET, SAME])),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("way", SHOWN)
def test_it_does_not_show(way: str) -> None:
    canary.scan(str(SHOWN[way]()), way)


@pytest.mark.parametrize("way", REFUSED)
def test_it_refuses(way: str) -> None:
    with pytest.raises(TypeError):
        REFUSED[way]()


def test_nothing_shows_in_logs(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("rotator.test")

    log.warning("a secret: %s %r", SECRET, [SECRET])
    log.error("with a traceback", exc_info=HolderError(SECRET))

    canary.scan(caplog.text, "the log")
    assert "Secret(hidden)" in caplog.text


def test_it_has_no_dictionary_and_can_not_be_given_more() -> None:
    assert not hasattr(SECRET, "__dict__")
    with pytest.raises(AttributeError):
        SECRET.note = "x"  # type: ignore[attr-defined]


def test_its_value_is_given_by_one_method_only() -> None:
    assert [name for name in dir(SECRET) if name[0] != "_"] == ["matches", "reveal"]
    assert (SECRET.reveal() == TEXT) is True


def test_two_of_the_same_value_match() -> None:
    assert SECRET.matches(SAME)
    assert SECRET.matches(SECRET)
    assert not SECRET.matches(Secret(canary.secret_text("another")))
    assert not SECRET.matches(Secret(TEXT + "x"))


def test_letters_of_any_language_can_be_compared() -> None:
    assert Secret(f"{TEXT}é").matches(Secret(f"{TEXT}é"))
    assert not Secret(f"{TEXT}é").matches(SECRET)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        f" {TEXT}",
        f"{TEXT} ",
        f"{TEXT}\n",
        f"{TEXT}\r\nX: y",
        f"a\0{TEXT}",
        f"a\ud800{TEXT}",
        f"\ufeff{TEXT}",
    ],
    ids=["empty", "blank", "before", "after", "newline", "header", "nul", "surrogate", "byte order mark"],
)
def test_a_value_that_no_header_can_carry_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(ValueError, match="a secret is empty, has white space around it, or holds control"):
        Secret(value)


def test_replacing_a_holder_keeps_the_very_same_secret() -> None:
    assert replace(Holder(SECRET)).secret is SECRET
