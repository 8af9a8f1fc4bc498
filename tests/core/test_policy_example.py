"""The example shows every option of the table, with the defaults that the program has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from rotator.policy.file.auth_options import AUTH
from rotator.policy.file.option import Needed, Option, written
from rotator.policy.load import included_by, load
from rotator.policy.policy import Adopt, Exempt, Select
from rotator.policy.settings import PolicyFile, VaultReference
from tests.support.policy_pages import FOLDER, options

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
TEXT = EXAMPLE.read_text()

Tree: TypeAlias = dict[str, Any]

OF_ONE_POLICY = {"name", "provider", "select", "keys", "window[]", "freeze[]"}
"""What differs from policy to policy, so that the example shows it below `policies` and not below `defaults`."""


def tree(login: str = "token") -> Tree:
    """Return the example with one of the ways to log in. Those that are not in force are shown as comments."""
    document: Tree = yaml.safe_load(TEXT)
    block = TEXT[TEXT.index("    token: ") : TEXT.index("  journal:")]
    others = yaml.safe_load("\n".join(re.findall(r"^    # (.*)", block, re.MULTILINE)))
    logins = document["vault"]["auth"] | others
    document["vault"]["auth"] = {login: logins[login]}
    return document


def loaded(document: Tree) -> PolicyFile:
    return load(yaml.safe_dump(document, sort_keys=False).encode(), name="x")


def login_of(place: str) -> str:
    return place.split(".")[2] if place.startswith("vault.auth.") else "token"


def holders(place: str, document: Any) -> Iterator[Tree]:  # noqa: ANN401 (whatever YAML can hold)
    """Yield every mapping of the example in which the option at a place such as `policies[].overlap` stands."""
    steps = place.split(".")
    if steps[0] == "policies[]" and steps[1] not in OF_ONE_POLICY:
        steps[0] = "defaults"
    found = [document]
    for step in steps[:-1]:
        inner = [[*one.values()] if step == "NAME" else one.get(step.removesuffix("[]"), []) for one in found]
        found = [item for one in inner for item in (one if isinstance(one, list) else [one])]
    return (one for one in found if steps[-1] in one)


PLACES = [(place, option) for place, option in options() if not place.startswith("defaults.")]


@pytest.mark.parametrize("login", [part.name for part in AUTH.parts])
def test_the_example_loads_with_each_way_to_log_in(login: str) -> None:
    assert type(loaded(tree(login)).vault.auth).__name__.lower() == f"{login}auth"


def test_the_example_loads_as_it_is() -> None:
    assert load(TEXT.encode(), name=EXAMPLE.name) == loaded(tree())
    assert included_by(TEXT.encode(), name=EXAMPLE.name) == ("policies.d/*.yaml",)


@pytest.mark.parametrize(("place", "option"), PLACES, ids=[place for place, _ in PLACES])
def test_every_option_is_shown_with_its_default(place: str, option: Option[Any] | Needed[Any]) -> None:
    document = tree(login_of(place))
    whole = loaded(document)
    shown_in = list(holders(place, document))

    assert shown_in, f"config.example.yaml does not show {place}"
    if isinstance(option, Option) and (written(option.default) is not None or option.name == "max_age"):
        for holder in shown_in:
            del holder[option.name]
        assert loaded(document) == whole


def test_what_has_no_default_is_as_the_example_says() -> None:
    read = load(TEXT.encode(), name="x")
    standard, pinned = read.policies
    assert (standard.adopt, pinned.adopt) == (Adopt.WHEN_DUE, Adopt.WATCH)
    assert (standard.providers, pinned.providers) == (("asr-eu", "tts-eu"), ("asr-eu",))
    assert standard.select == Select(
        comment=("gateway *", "ivr-*"),
        tags=frozenset({"prod"}),
        scopes=frozenset({"usage:write"}),
        but=Exempt(
            comment=("*-tmp", "gateway test *"), tags=frozenset({"manual"}), scopes=frozenset({"admin"})
        ),
    )
    assert read.providers[1].credential == VaultReference(
        mount="secret", path="deepgram/management", field="api_key"
    )


def test_the_example_names_its_schema_to_editors() -> None:
    named = re.match(r"# yaml-language-server: \$schema=(.*)\n", TEXT)
    assert named
    assert (EXAMPLE.parent / named[1]).resolve() == FOLDER / "policy-file.schema.json"
