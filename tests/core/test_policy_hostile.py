"""Files that nobody means: each ends soon, in an error that can be read and printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.cli.text import plain
from rotator.errors import PolicyError
from rotator.policy.file.kinds import LONGEST_TEXT
from rotator.policy.file.problems import MOST_TOLD
from rotator.policy.load import Included, included_by, load

HEAD = """\
version: 1
vault: {auth: {token: {env: T}}}
providers:
  asr: {type: deepgram, project_id: p-1, credential: {env: K}}
"""
POLICY = "{name: n, provider: asr, select: {comment: '*'}"


def problems_of(text: str | bytes, *included: Included) -> list[str]:
    content = text.encode() if isinstance(text, str) else text
    try:
        load(content, name="p.yaml", included=included)
    except PolicyError as error:
        return [str(problem) for problem in error.problems]
    return []


def problem_of(text: str) -> str:
    (problem,) = problems_of(text)
    return problem


def option(text: str) -> str:
    return f"{HEAD}policies: [{POLICY}, {text}}}]\n"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("begins", ["", "\ufeff"])
def test_line_ends_and_a_mark_at_the_begin_change_nothing(begins: str, ends: str) -> None:
    text = begins + f"{HEAD}policies: [{POLICY}, overlap: 1x}}]\n".replace("\n", ends)
    assert problem_of(text).startswith("p.yaml:5:70: policies[0].overlap: `1x` is not a duration")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # Cyrillic letters that look like Latin ones, and characters that turn the direction of a line.
        (
            "\u0430dopt: now",
            "policies[0].?: an unknown key with letters outside ASCII, which may look like others",
        ),
        ("adopt: n\u043ew", "policies[0].adopt: `n\\u043ew` is not one of the choices (did you mean `now`?"),
        ("adopt: '\u202ewon'", "policies[0].adopt: a text of 4 characters is not one of the choices"),
        ("overlap: 1\u0405", "policies[0].overlap: `1\\u0405` is not a duration"),
        ("overlap: \uff11h", "policies[0].overlap: `\\uff11h` is not a duration"),
        ("overlap: \u0661h", "policies[0].overlap: `\\u0661h` is not a duration"),
        (
            "destination: {mount: s\u0435cret}",
            "policies[0].destination.mount: a text of 6 characters that can't",
        ),
        ("destination: {path: 'a\u2044b'}", "policies[0].destination.path: a path that can't be used"),
        ('adopt: "\\e[31m"', "policies[0].adopt: a text of 5 characters is not one of the choices"),
        ('"\\e[31m": 1', "policies[0].?: unknown key (allowed:"),
        ('"\\n": 1', "policies[0].?: unknown key (allowed:"),
        ('adopt: "\\0"', "policies[0].adopt: a text of 1 character is not one of the choices"),
    ],
)
def test_what_looks_like_something_else_is_told_in_plain_letters(text: str, problem: str) -> None:
    told = problem_of(option(text))
    assert told.split(": ", 1)[1].startswith(problem)
    assert told.isascii()
    assert plain(told) == told


def test_names_of_providers_and_policies_are_of_plain_letters() -> None:
    for head, policy in (
        (HEAD.replace("asr", "\u0430sr"), POLICY),
        (HEAD, POLICY.replace("name: n", "name: \u0430")),
    ):
        assert any("that can't" in told for told in problems_of(f"{head}policies: [{policy}}}]\n"))


def test_so_many_problems_are_told_and_no_more() -> None:
    told = problems_of(HEAD + "policies:\n" + "  - {nam: n}\n" * 10_000)
    assert len(told) == MOST_TOLD + 1
    assert told[0].startswith("p.yaml:6:5: policies[0]: `name` is missing")
    assert told[-1] == f"p.yaml: more than {MOST_TOLD} problems; the others are not told"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            f"{HEAD}policies:\n" + f"  - {POLICY}}}\n" * 100_000,
            "more than 200000 values, with aliases unfolded",
        ),
        (
            f"{HEAD}defaults: {{select: {{tags: [{', '.join('a' * 1000)}]}}}}\npolicies:\n"
            + "  - {name: n}\n" * 1000,
            "defaults: too much for 1000 policies (500000 values in all can be shared)",
        ),
        (f"{HEAD}policies: []\n? {'k' * 1_000_000}\n: 1\n", "an unknown key of 1000000 characters"),
        (f"{HEAD}policies: []\n{'k' * 5000}: 1\n", "not valid YAML: a key without its `:`"),
        (
            option(f"adopt: {'n' * 1_000_000}"),
            f"a text of 1000000 characters (no text here is longer than {LONGEST_TEXT})",
        ),
        (option(f"overlap: {'1' * 1_000_000}d"), "a text of 1000001 characters (no text here is longer"),
        (
            option(f"destination: {{path: '{'{slug}' * 900}'}}"),
            "a text of 5400 characters (no text here is longer",
        ),
        (option(f"destination: {{path: '{'a/' * 2_000}'}}"), "a path that can't be used"),
        (option(f"destination: {{path: '{'{' * 4_000}'}}"), "braces that do not hold a name"),
        (option(f"rotate_before: {'9' * 4_000}%"), "a text of 4001 characters is not a share of a lifetime"),
        (option(f"overlap: {'9' * 12}w"), "is longer than 100 years"),
        (
            HEAD.replace("{auth", f"{{address: 'https://{'a' * 5000}', auth") + "policies: []\n",
            "a text of 5008 char",
        ),
    ],
)
def test_what_is_far_too_large_is_refused_at_once(text: str, problem: str) -> None:
    assert problem in problems_of(text)[0]


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_bytes_of_any_file_crash_the_loader(main: bytes, other: bytes) -> None:
    included_by(main, name="p.yaml")
    assert problems_of(main, Included(name="q.yaml", text=other))
    problems_of(f"{HEAD}policies: []\n", Included(name="q.yaml", text=other))


@given(st.text(alphabet="ab12{}[]:,'\"&*!|>%@`#-? \n\t\\$~<.", max_size=60))
def test_no_text_of_policies_crashes_the_loader(text: str) -> None:
    problems_of(f"{HEAD}policies: []\n", Included(name="q.yaml", text=f"policies:\n{text}".encode()))
