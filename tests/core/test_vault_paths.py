from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.model.lineage import Lineage
from rotator.vault import paths

ALLOWED = "ABCxyz019._@:+-"
NAMES = st.text(ALLOWED, min_size=1).filter(lambda name: name not in {".", ".."})


@given(st.lists(NAMES, min_size=1, max_size=5).map("/".join))
def test_allowed_paths_pass_unchanged_and_no_client_would_rewrite_them(path: str) -> None:
    assert paths.checked(path) == path
    assert posixpath.normpath(path) == path


@given(st.text())
def test_whatever_passes_means_one_entry_only(path: str) -> None:
    try:
        paths.checked(path)
    except ValueError:
        return
    assert posixpath.normpath(path) == path
    assert path.isascii()
    assert path.isprintable()
    assert not set(path) & set("%?#*\\\"' ")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "a b",
        "a\n",
        "a\tb",
        "a%2Fb",
        "a?b",
        "é",
        "\u202ea",
    ],
)
def test_aliases_and_traps_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="segments of"):
        paths.checked(path)


def test_a_dot_inside_a_name_is_allowed() -> None:
    assert paths.checked("a/..b/c.d/...") == "a/..b/c.d/..."


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_name_of_every_record_is_allowed(mount: str, path: str) -> None:
    lineage = Lineage(provider="p", project_id="x", namespace="", mount=mount, path=path)
    paths.checked(paths.record_path("rotator", lineage.record_name))
    assert "/" not in lineage.record_name
