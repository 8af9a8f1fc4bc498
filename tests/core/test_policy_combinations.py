"""Options that are each fine and can't work together: refused, with the arithmetic shown."""

from __future__ import annotations

from textwrap import indent

import pytest

from rotator.errors import PolicyError
from rotator.policy.load import load

HEAD = """\
version: 1
vault: {auth: {token: {env: VAULT_TOKEN}}}
providers:
  asr: {type: deepgram, project_id: p-1, credential: {file: /run/key}}
  tts: {type: deepgram, project_id: p-2, credential: {file: /run/key}}
policies:
"""
CHOICE = 'provider: asr\nselect: {comment: "*"}\n'


def problems_of(*policies: str) -> list[str]:
    text = HEAD + "".join("  - " + indent(policy, "    ")[4:] + "\n" for policy in policies)
    try:
        load(text.encode(), name="p.yaml")
    except PolicyError as error:
        return [str(problem) for problem in error.problems]
    return []


def refusals_of(options: str) -> list[str]:
    problems = problems_of(f"name: n\n{CHOICE}{options}")
    return [problem.split(": ", 1)[1] for problem in problems]


@pytest.mark.parametrize(
    "options",
    [
        "overlap: 12h\nlifetime: 90d",
        "rotate_before: 25h2m",
        "rotate_before: 34%\nlifetime: 90d",
        "lifetime: 27h31m\noverlap: 23h\nrotate_before: 25h\nretry: {max: 1h}\nprove: {deadline: 1h}",
        "lifetime: 33d1s\nrotate_before: 30d",
        "rotate_before: 90.9%",
        "max_age: 61m\noverlap: 0s",
        "max_age: 25h",
        "retry: {initial: 1h}",
        "window: [{cron: 0 2 * * *, for: 3m}]",
        "window: [{cron: 0 2 * * 0, for: 2h}]",
        "window: [{cron: 0 2 * * 0, for: 2h}]\nlifetime: 8d1h3m",
        "window: [{cron: 0 2 * * 0, for: 2h}, {cron: 0 2 * * 3, for: 1h}]\nlifetime: 6d",
        "window: [{cron: 0 2 1 * *, for: 2h}]\nmax_age: 31d1s",
        "window: [{cron: 0 2 1 1 *, for: 2h}]\nmax_age: 367d",
        "window: [{cron: 0 0 * * *, for: 24h}]\nlifetime: 8d",
        "freeze: [{from: 2026-01-01, to: 2027-01-01}]\nlifetime: 90d\nmax_age: 30d",
    ],
)
def test_combinations_that_work(options: str) -> None:
    assert refusals_of(options) == []


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        (
            "overlap: 24h\nlifetime: 24h",
            (
                "policies[0].lifetime: overlap 24h is not shorter than lifetime 24h "
                "(a key would expire before the overlap with its successor ends)"
            ),
        ),
        (
            "lifetime: 12h\nrotate_before: 50%",
            (
                "policies[0].lifetime: overlap 24h is not shorter than lifetime 12h "
                "(a key would expire before the overlap with its successor ends)"
            ),
        ),
        (
            "rotate_before: 25h1m59s",
            (
                "policies[0].rotate_before: rotate_before 25h1m59s is shorter than "
                "overlap 24h + prove.deadline 2m + retry.max 1h = 25h2m "
                "(the old key would expire before its overlap ends)"
            ),
        ),
        (
            "lifetime: 75h\nprove: {deadline: 1m}",
            (
                "policies[0].prove: rotate_before 33% of lifetime 3d3h = 24h45m is shorter than "
                "overlap 24h + prove.deadline 1m + retry.max 1h = 25h1m "
                "(the old key would expire before its overlap ends)"
            ),
        ),
        (
            "lifetime: 30d\nrotate_before: 30d",
            (
                "policies[0].rotate_before: rotate_before 30d and a tenth of it = 33d is not shorter than lifetime 30d "
                "(due times are spread by up to that tenth: a key could be due as soon as it is made)"
            ),
        ),
        (
            "lifetime: 33d\nrotate_before: 30d",
            (
                "policies[0].rotate_before: rotate_before 30d and a tenth of it = 33d is not shorter than lifetime 33d "
                "(due times are spread by up to that tenth: a key could be due as soon as it is made)"
            ),
        ),
        (
            "rotate_before: 91%",
            (
                "policies[0].rotate_before: rotate_before 91% and a tenth of it = 100.1% is not less than a lifetime "
                "(due times are spread by up to that tenth: a key could be due as soon as it is made)"
            ),
        ),
        (
            "rotate_before: 25h30m\nlifetime: 26h",
            (
                "policies[0].lifetime: min_gap 1h + overlap 24h + prove.deadline 2m + retry.max 1h = 26h2m "
                "is longer than lifetime 26h (a key would expire before it may be rotated, or during its overlap)"
            ),
        ),
        (
            "max_age: 1h\noverlap: 10m",
            (
                "policies[0].max_age: max_age 1h is not longer than min_gap 1h "
                "(a key would be due before it may be rotated again)"
            ),
        ),
        (
            "max_age: 24h",
            (
                "policies[0].max_age: overlap 24h is not shorter than max_age 24h "
                "(a third key would be due while two still overlap)"
            ),
        ),
        (
            "window: [{cron: 0 2 * * *, for: 4h}, {cron: 0 2 * * *, for: 179s}]",
            (
                "policies[0].window: for 2m59s is shorter than prove.deadline 2m + retry.initial 1m = 3m "
                "(a rotation that fails could not be tried again before the window closes)"
            ),
        ),
        (
            "window: [{cron: 0 2 * * 0, for: 2h}]\nlifetime: 8d1h2m",
            (
                "policies[0].lifetime: windows open 7d apart, which is not shorter than "
                "lifetime 8d1h2m - (overlap 24h + prove.deadline 2m + retry.max 1h) = 7d "
                "(a key that is made when one opens would have to be replaced while all are closed)"
            ),
        ),
        (
            "lifetime: 90d\nwindow: [{cron: 0 2 1 */4 *, for: 2h}]",
            (
                "policies[0].window: windows open 123d apart, which is not shorter than "
                "lifetime 90d - (overlap 24h + prove.deadline 2m + retry.max 1h) = 88d22h58m "
                "(a key that is made when one opens would have to be replaced while all are closed)"
            ),
        ),
        (
            "window: [{cron: 0 2 1 * *, for: 2h}]\nmax_age: 31d",
            (
                "policies[0].max_age: windows open 31d apart, which is not shorter than max_age 31d "
                "(a key that is made when one opens would get older)"
            ),
        ),
        (
            "retry: {initial: 2m, max: 1m}",
            "policies[0].retry: initial 2m is longer than max 1m (the first wait is the shortest)",
        ),
    ],
)
def test_combinations_that_can_not_work(options: str, refusal: str) -> None:
    assert refusals_of(options)[-1] == refusal


def test_a_combination_with_a_refused_option_is_left_out() -> None:
    assert len(refusals_of("overlap: soon\nlifetime: 1h\nmin_gap: 0s\nretry: {max: 1s, initial: 1s}")) == 1
    assert len(refusals_of("retry: {initial: 2h, max: soon}")) == 1
    assert len(refusals_of("lifetime: 2d\nrotate_before: 26h\nwindow: [{cron: 0 2 * * 0, for: soon}]")) == 1
    assert len(refusals_of("lifetime: 2d\nrotate_before: 26h\nwindow: []")) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("provider: asr\nkeys: {a/b: k1}", "provider: asr\nkeys: {x: k2, a/b: k3}"),
        ("provider: asr\nkeys: {a/b: k1}", "provider: tts\nkeys: {a/b: k1}"),
        ("provider: asr\nkeys: {a/b: k1}", f"{CHOICE}destination: {{path: a/b}}"),
        (f"{CHOICE}destination: {{path: a/b}}", f"{CHOICE}destination: {{path: a/b}}"),
        (f"{CHOICE}destination: {{path: 'x/{{provider}}'}}", f"{CHOICE}destination: {{path: 'x/asr'}}"),
        (f"{CHOICE}destination: {{path: 'x/{{project_id}}'}}", "provider: tts\nkeys: {x/p-1: k1}"),
    ],
)
def test_two_policies_can_not_name_one_destination(first: str, second: str) -> None:
    (problem,) = problems_of(f"name: one\n{first}", f"name: two\n{second}")
    assert problem.endswith("policies[0] has this destination too (one destination, one policy)")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (CHOICE, CHOICE),
        (f"{CHOICE}destination: {{mount: kv, path: a/b}}", "provider: asr\nkeys: {a/b: k1}"),
        (f"{CHOICE}destination: {{path: 'a/{{policy}}'}}", f"{CHOICE}destination: {{path: 'a/{{policy}}'}}"),
        (f"{CHOICE}destination: {{path: 'a/{{key_id}}'}}", "provider: asr\nkeys: {a/b: k1}"),
    ],
)
def test_what_only_the_keys_can_show_is_no_fault_of_the_file(first: str, second: str) -> None:
    assert problems_of(f"name: one\n{first}", f"name: two\n{second}") == []


@pytest.mark.parametrize(
    "path", ["rotator/default", "rotator/default/x", "rotator/default/{slug}", "rotator/{policy}/{slug}"]
)
def test_a_destination_stays_out_of_the_journal(path: str) -> None:
    (problem,) = problems_of(f"name: default\n{CHOICE}destination: {{path: '{path}'}}")
    assert problem.endswith("a destination inside the journal (choose another path or `vault.journal`)")


def test_keys_stay_out_of_the_journal() -> None:
    (problem,) = problems_of("name: n\nprovider: asr\nkeys: {rotator/default/a: k1}")
    assert "policies[0].keys: a destination inside the journal" in problem


def test_a_path_beside_the_journal_is_fine() -> None:
    assert problems_of(f"name: n\n{CHOICE}destination: {{path: 'rotator/default-{{slug}}'}}") == []
    assert problems_of(f"name: n\n{CHOICE}destination: {{mount: kv, path: 'rotator/default/x'}}") == []


@pytest.mark.parametrize(
    "destination",
    [
        f"{CHOICE}destination: {{path: 'data/{{slug}}'}}",
        f"{CHOICE}destination: {{path: 'secret/data/{{slug}}'}}",
        f"{CHOICE}destination: {{mount: team/kv, path: 'team/kv/app'}}",
        f"{CHOICE}destination: {{mount: asr, path: '{{provider}}/{{slug}}'}}",
        "provider: asr\nkeys: {secret/data/app: k1}",
    ],
)
def test_a_path_holds_neither_its_mount_nor_what_the_api_adds(destination: str) -> None:
    (problem,) = problems_of(f"name: n\n{destination}")
    assert problem.endswith(
        "a path that begins with its mount, or with `data/` "
        "(the mount is given apart, in `destination.mount`; `data/` is added by Vault's API)"
    )


@pytest.mark.parametrize(
    "path", ["database/{slug}", "team/data/{slug}", "secrets/{slug}", "{slug}", "kv/app"]
)
def test_a_path_that_only_resembles_those_is_fine(path: str) -> None:
    assert problems_of(f"name: n\n{CHOICE}destination: {{path: '{path}'}}") == []
