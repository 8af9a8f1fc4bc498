"""Policies in files of their own: completed by the defaults of the policy file, and told of at their own places."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.errors import PolicyError
from rotator.policy.file.document import MOST_NODES
from rotator.policy.load import Included, included_by, load
from rotator.policy.settings import PolicyFile
from tests.support.canary import CANARY, secret_text

MAIN = """\
version: 1
vault: {auth: {token: {env: T}}}
include: [p.d/*.yaml]
providers:
  asr: {type: deepgram, project_id: p-1, credential: {env: K}}
  tts: {type: deepgram, project_id: p-2, credential: {env: K}}
defaults: {provider: asr, overlap: 1h, select: {comment: "*"}}
"""


def loaded(*files: str | Included, main: str = MAIN) -> PolicyFile:
    """Return what `main` says with the given texts as p.d/0.yaml, p.d/1.yaml and so on."""
    included = [
        one if isinstance(one, Included) else Included(name=f"p.d/{n}.yaml", text=one.encode())
        for n, one in enumerate(files)
    ]
    return load(main.encode(), name="main.yaml", included=included)


def told_of(*files: str | Included, main: str = MAIN) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        loaded(*files, main=main)
    return [str(problem) for problem in caught.value.problems]


def test_policies_of_all_files_come_in_the_order_of_the_files_with_all_defaults() -> None:
    main = f"{MAIN}policies: [{{name: first}}]\n"
    read = loaded("policies: [{name: b}, {name: a, overlap: 2h}]", "policies: [{name: c}]", main=main)
    assert [policy.name for policy in read.policies] == ["first", "b", "a", "c"]
    assert [policy.overlap for policy in read.policies] == [timedelta(hours=h) for h in (1, 1, 2, 1)]
    assert {policy.providers for policy in read.policies} == {("asr",)}


def test_a_file_may_hold_no_policy_when_it_says_so() -> None:
    assert loaded("policies: []").policies == ()
    assert loaded().policies == ()


def test_a_file_that_includes_nothing_and_is_given_no_other_needs_policies() -> None:
    alone = MAIN.replace("include: [p.d/*.yaml]\n", "")
    assert [policy.name for policy in loaded("policies: [{name: a}]", main=alone).policies] == ["a"]
    assert told_of(main=alone) == ["main.yaml:1:1: `policies` is missing (for none, write `policies: []`)"]


def test_every_problem_of_every_file_comes_at_once_in_the_order_of_the_files() -> None:
    main = MAIN.replace("version: 1", "version: 2").replace("overlap: 1h", "overlap: 1x")
    assert [
        told.partition(" (")[0]
        for told in told_of(
            "policies:\n  - {name: a, lifetime: 1h}\n  - {nam: b}\n",
            "policies: [\n",
            Included(name="p.d/2.yaml", unread="Permission denied"),
            "",
            "version: 1\ndefaults: {}\nzzz: 1\npolicies: []\n",
            "- name: a\n",
            "policies:\n  - {name: a, provider: ars}\n",
            main=main,
        )
    ] == [
        "main.yaml:1:10: version: `2` is not 1",
        "main.yaml:7:36: defaults.overlap: `1x` is not a duration",
        "p.d/0.yaml:3:5: policies[1]: `name` is missing",
        "p.d/0.yaml:3:6: policies[1].nam: unknown key",
        "p.d/1.yaml:2:1: not valid YAML: a value is missing",
        "p.d/2.yaml: can't be read: Permission denied",
        "p.d/3.yaml: the file is empty",
        "p.d/4.yaml:1:1: version: this belongs into the main policy file",
        "p.d/4.yaml:2:1: defaults: this belongs into the main policy file",
        "p.d/4.yaml:3:1: zzz: unknown key",
        "p.d/5.yaml:1:1: a list of 1 item where a mapping is expected",
        "p.d/6.yaml:2:12: policies[0].name: policies[0] of p.d/0.yaml has this name too",
        "p.d/6.yaml:2:25: policies[0].provider: `ars` names no provider",
    ]


def test_a_default_that_does_not_go_with_a_policy_is_told_at_the_policy() -> None:
    assert told_of("policies:\n  - {name: a, lifetime: 30m}\n") == [
        (
            "p.d/0.yaml:2:25: policies[0].lifetime: overlap 1h is not shorter than lifetime 30m "
            "(a key would expire before the overlap with its successor ends)"
        )
    ]


def test_one_destination_in_two_files_names_the_other_file() -> None:
    one = "policies: [{name: NAME, destination: {path: a/b}}]"
    assert told_of(one.replace("NAME", "a"), one.replace("NAME", "b")) == [
        (
            "p.d/1.yaml:1:35: policies[0].destination: policies[0] of p.d/0.yaml has this destination too "
            "(one destination, one policy)"
        )
    ]


def test_a_broken_policy_file_hides_no_problem_that_can_be_seen() -> None:
    assert told_of("policies: {\n", main="version: [\n") == [
        "main.yaml:2:1: not valid YAML: a value is missing",
        "p.d/0.yaml:2:1: not valid YAML: a value is missing",
    ]


def test_all_files_together_hold_so_many_values_at_most() -> None:
    half = f"policies: []\nzzz: [{', '.join(['a'] * (MOST_NODES // 2))}]\n"
    told = told_of(half, half, "policies: []")
    assert [text.partition(":")[0] for text in told] == ["p.d/0.yaml", "p.d/1.yaml", "p.d/2.yaml"]
    assert all("more than 200000 values, with aliases unfolded" in text for text in told[1:])


@pytest.mark.promise("P7")
@pytest.mark.parametrize(
    "text",
    [
        f"vault: {{auth: {{token: {secret_text()}}}}}\npolicies: []\n",
        f"providers: {{a: {{credential: {secret_text()}}}}}\n",
        f"{secret_text()}: 1\npolicies: []\n",
        f"{secret_text()}",
        f"policies: [{{name: {secret_text()}: x}}]",
        f"policies: '{secret_text()}",
        f"policies: *{secret_text()}",
    ],
)
def test_a_secret_in_the_wrong_file_is_not_shown(text: str) -> None:
    assert CANARY not in "".join(told_of(text))
    assert CANARY not in repr(Included(name="x", text=text.encode()))


@pytest.mark.parametrize(
    ("include", "patterns"),
    [
        ("[p.d/*.yaml]", ("p.d/*.yaml",)),
        ("[./a.yaml, 'b c/[a-z]?.yaml', '.hidden/*']", ("./a.yaml", "b c/[a-z]?.yaml", ".hidden/*")),
        ("[]", ()),
        ("p.d", ()),
        ("[/etc/x.yaml]", ()),
        ("[a.yaml, ../x.yaml]", ()),
        ("[a/../x.yaml]", ()),
        ("[a/**/x.yaml]", ()),
        ("[~/x.yaml]", ()),
        ("[a//x.yaml]", ()),
        ("['a\\\\x.yaml']", ()),
        ('["a\\u0007"]', ()),
        ("['${HOME}/x.yaml']", ()),
        ("[[a]]", ()),
    ],
)
def test_what_can_be_included(include: str, patterns: tuple[str, ...]) -> None:
    text = MAIN.replace("[p.d/*.yaml]", include)
    assert included_by(text.encode(), name="main.yaml") == patterns
    if not patterns:
        assert any(" include" in told for told in told_of(main=text))


@pytest.mark.parametrize("text", [b"", b"\xff", b"[", b"- a", b"include: {a: b}"])
def test_a_file_that_can_not_be_read_includes_nothing(text: bytes) -> None:
    assert included_by(text, name="main.yaml") == ()
