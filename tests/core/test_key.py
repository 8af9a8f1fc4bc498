"""Keys and the mark that we put in their comments."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.model.key import Key, Listing, Mark, mark_of, without_mark
from tests.support import builders as a
from tests.support.builders import DAY, MEMBER, NOW

pytestmark = pytest.mark.promise("P4")

hexadecimal = "0123456789abcdef"
short_ids = st.text(hexadecimal, min_size=12, max_size=12)
marks = st.builds(Mark, short_ids, short_ids, st.text(hexadecimal, min_size=16, max_size=16))
spaces = st.text(" \t\n\r\v\f\u2028\u00a0", max_size=3)
comments = st.builds(lambda before, text, after: before + text + after, spaces, st.text(max_size=30), spaces)
"""Comments that a person could write. What ends like a mark is a mark, so these do not."""

MARK = Mark("0123456789ab", "ba9876543210", "0123456789abcdef")
WRITTEN = "[rotator:1:0123456789ab:ba9876543210:0123456789abcdef]"


def test_the_form_of_a_mark_never_changes_because_old_keys_carry_it() -> None:
    assert str(MARK) == WRITTEN
    assert MARK.put_on("Gateway EU") == f"Gateway EU {WRITTEN}"
    assert MARK.put_on("") == WRITTEN


@pytest.mark.parametrize(
    "fields",
    [
        ("", "ba9876543210", "0123456789abcdef"),
        ("0123456789ab", "ba987654321", "0123456789abcdef"),
        ("0123456789ab", "ba9876543210", "0123456789abcdef\n"),
        ("0123456789AB", "ba9876543210", "0123456789abcdef"),
        ("0123456789ab", "ba9876543210", "0123456789abcdef]"),
    ],
)
def test_a_mark_that_could_not_be_found_again_is_never_made(fields: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        Mark(*fields)


@given(comments, marks)
def test_a_mark_is_found_again_and_leaves_the_comment_as_it_was(comment: str, mark: Mark) -> None:
    marked = mark.put_on(comment)

    assert mark_of(marked) == mark
    assert without_mark(marked) == comment


@given(comments, marks, marks)
def test_a_mark_replaces_an_older_one_and_never_grows(comment: str, old: Mark, new: Mark) -> None:
    assert new.put_on(old.put_on(comment)) == new.put_on(comment)


@given(comments, st.lists(marks, min_size=1, max_size=4))
def test_several_copied_marks_are_taken_off_together_and_the_last_counts(
    comment: str, copied: list[Mark]
) -> None:
    marked = " ".join([comment, *map(str, copied)])

    assert mark_of(marked) == copied[-1]
    assert without_mark(marked) == comment
    assert MARK.put_on(marked) == MARK.put_on(comment)


@given(comments)
def test_a_comment_without_a_mark_stays_as_it_is(comment: str) -> None:
    assert mark_of(comment) is None
    assert without_mark(comment) == comment


def test_a_mark_needs_no_space_before_it() -> None:
    assert mark_of(f"x{WRITTEN}") == MARK
    assert without_mark(f"x{WRITTEN}") == "x"


@pytest.mark.parametrize(
    "comment",
    [
        f"{WRITTEN} voice",
        f"{WRITTEN} ",
        f"{WRITTEN}\n",
        f"{WRITTEN}.",
        WRITTEN.upper(),
        WRITTEN.replace("a", "A"),
        WRITTEN.replace("rotator:1", "rotator:2"),
        WRITTEN.replace("rotator", "Rotator"),
        WRITTEN.replace("[", "("),
        WRITTEN.replace(":0123456789ab:", ":0123456789a:"),
        WRITTEN.replace(":0123456789ab:", ":0123456789abc:"),
        WRITTEN.replace("ef]", "e]"),
        WRITTEN.replace("ef]", "eff]"),
        WRITTEN.replace("ef]", "eg]"),
        WRITTEN.replace("0", "\u0660"),
        WRITTEN.replace(":", " : "),
        WRITTEN[1:],
        WRITTEN[:-1],
        "",
    ],
)
def test_what_only_looks_like_a_mark_is_none(comment: str) -> None:
    assert mark_of(comment) is None
    assert without_mark(comment) == comment


def test_a_key_shows_its_mark_and_the_operators_comment_apart() -> None:
    key = replace(a.key(), comment=MARK.put_on("voice\nsecond line"))

    assert key.mark == MARK
    assert key.operator_comment == "voice\nsecond line"
    assert a.key().mark is None


def test_a_key_stops_working_at_its_expiry() -> None:
    key = a.key(age=DAY, lifetime=DAY)

    assert key.lifetime == DAY
    assert key.expired(NOW)
    assert not key.expired(NOW - a.TICK)
    assert not replace(key, expires_at=None).expired(NOW)
    assert replace(key, expires_at=None).lifetime is None


# What a list proves


def listing(*keys: Key) -> Listing:
    return Listing(
        keys=keys, at=NOW, seen_at=NOW, management_key_id=a.MANAGEMENT, management_member_id=MEMBER
    )


OTHERS = replace(a.key("key-others"), member_id="somebody")


def test_a_list_is_asked_by_id() -> None:
    assert listing(a.key(), OTHERS).get("key-others") == OTHERS
    assert listing(a.key()).get("key-9") is None


@pytest.mark.promise("P2", "P3")
def test_a_key_that_is_listed_and_can_not_be_read_is_there() -> None:
    hidden = replace(listing(a.key()), unreadable=(a.unreadable(a.CURRENT),))
    assert hidden.get(a.CURRENT.key_id) is None
    assert hidden.shows(a.CURRENT.key_id)
    assert hidden.shows(a.key().key_id)
    assert not hidden.shows("key-9")
    assert hidden.proves_absence(served_key_id=a.CURRENT.key_id)
    assert not hidden.proves_absence(served_key_id="key-9")
    assert hidden.unreadable[0].mark == a.CURRENT.mark
    assert hidden.unreadable[0].operator_comment == "voice"


@pytest.mark.promise("P2", "P3")
@pytest.mark.parametrize(
    ("keys", "served", "proves"),
    [
        pytest.param([a.key("key-served")], "key-served", True, id="the served key is there"),
        pytest.param([OTHERS], "key-served", True, id="another member's key is there"),
        pytest.param([OTHERS], None, True, id="nothing is served, another member's key is there"),
        pytest.param([a.key("key-1")], "key-served", False, id="only our member's keys are there"),
        pytest.param([a.key("key-1")], None, False, id="nothing is served, only our member's keys are there"),
        pytest.param([replace(OTHERS, member_id=None)], None, False, id="a key of nobody knows whom"),
        pytest.param([], "key-served", False, id="an empty list"),
    ],
)
def test_a_list_that_may_be_partial_proves_no_absence(
    keys: list[Key], served: str | None, *, proves: bool
) -> None:
    assert listing(*keys).proves_absence(served_key_id=served) is proves


def test_the_keys_that_concern_a_lineage_are_found_in_the_order_of_the_list() -> None:
    marked = replace(a.key("key-marked"), comment=MARK.put_on("voice"))
    alike = replace(a.key("key-alike"), comment=str(replace(MARK, lineage_id="f" * 12).put_on("ivr")))
    named, hidden = a.key("key-named"), a.unreadable(a.CURRENT)
    shown = replace(listing(alike, OTHERS, named, marked), unreadable=(hidden,))

    found = shown.concerning(MARK.lineage_id, named={"key-named", "key-9", hidden.key_id}, alike={"ivr", "x"})
    assert found == ((alike, named, marked), (hidden,))
    assert shown.concerning("0" * 12, named=(), alike=("voice",)) == ((marked,), (hidden,))
    assert shown.concerning("0" * 12, named=(), alike=()) == ((), ())
