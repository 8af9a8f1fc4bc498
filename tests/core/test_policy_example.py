"""The example shows every option of this version, with the defaults that the program has."""

from __future__ import annotations

import functools
import operator
import re
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from rotator.errors import PolicyError
from rotator.policy.load import load
from rotator.policy.policy import Adopt, Select

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
TEXT = EXAMPLE.read_text()

Tree: TypeAlias = dict[str, Any]


def tree() -> Tree:
    read: Tree = yaml.safe_load(TEXT)
    return read


def at(document: Tree, path: tuple[str | int, ...]) -> Tree:
    return functools.reduce(operator.getitem, path, document)  # type: ignore[arg-type]


def allowed_names(document: Tree, path: tuple[str | int, ...]) -> set[str]:
    """Return what the loader says is allowed at `path`, by asking it with an option that is not there."""
    at(document, path)["zzz"] = 1
    with pytest.raises(PolicyError) as caught:
        load(yaml.safe_dump(document).encode(), name="x")
    (problem,) = [problem for problem in caught.value.problems if problem.what == "unknown key"]
    found = re.search(r"allowed: (.*)", problem.hint)
    assert found
    return set(found[1].split(", "))


def test_the_example_loads() -> None:
    read = load(TEXT.encode(), name=EXAMPLE.name)
    assert [policy.name for policy in read.policies] == ["standard", "pinned"]


@pytest.mark.parametrize(
    ("path", "elsewhere"),
    [
        ((), set()),
        (("vault",), set()),
        (("vault", "auth"), set()),
        (("vault", "journal"), set()),
        (("runtime",), set()),
        (("providers", "asr-eu"), set()),
        (("defaults",), {"provider", "select"}),
        (("defaults", "prove"), set()),
        (("defaults", "retry"), set()),
        (("defaults", "destination"), set()),
        (("defaults", "destination", "fields"), set()),
        (("policies", 0, "select"), set()),
    ],
)
def test_every_option_that_the_loader_knows_is_shown(
    path: tuple[str | int, ...], elsewhere: set[str]
) -> None:
    assert allowed_names(tree(), path) == set(at(tree(), path)) | elsewhere


def test_every_option_of_a_policy_is_shown() -> None:
    document = tree()
    given = set(document["defaults"]).union(*document["policies"])
    assert allowed_names(document, ("policies", 0)) == given


def test_the_defaults_shown_are_those_of_the_program() -> None:
    document = tree()
    del document["instance"], document["runtime"], document["defaults"]
    del document["vault"]["journal"]
    del document["providers"]["asr-eu"]["base_url"]
    bare = load(yaml.safe_dump(document, sort_keys=False).encode(), name="x")
    assert bare == load(TEXT.encode(), name="x")


def test_what_has_no_default_is_as_the_example_says() -> None:
    standard = load(TEXT.encode(), name="x").policies[0]
    assert standard.adopt is Adopt.WHEN_DUE
    assert standard.select == Select(
        comment=("gateway *", "ivr-*"), tags=frozenset({"prod"}), scopes=frozenset({"usage:write"})
    )
