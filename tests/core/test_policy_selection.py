"""Whose keys a policy is about, and which of them: providers by names and globs, `select` with `except`, `keys`."""

from __future__ import annotations

from textwrap import indent

import pytest

from rotator.errors import PolicyError
from rotator.policy.load import load
from rotator.policy.policy import Exempt, Policy, Select

NAMES = ("asr-eu", "asr-us", "tts", "asr-ap")
HEAD = "version: 1\nvault: {auth: {token: {env: T}}}\nproviders:\n" + "".join(
    f"  {name}: {{type: deepgram, project_id: p-{name}, credential: {{env: K}}}}\n" for name in NAMES
)


def policies_of(*policies: str, defaults: str = "{}") -> tuple[Policy, ...]:
    listed = "".join("  - " + indent(text, "    ")[4:] + "\n" for text in policies)
    return load(f"{HEAD}defaults: {defaults}\npolicies:\n{listed}".encode(), name="p.yaml").policies


def told_of(*policies: str, defaults: str = "{}") -> list[str]:
    with pytest.raises(PolicyError) as caught:
        policies_of(*policies, defaults=defaults)
    return [str(problem).split(": ", 1)[1] for problem in caught.value.problems]


def selecting(provider: str, path: str = "{provider}/{slug}") -> str:
    return f'name: n\nprovider: {provider}\nselect: {{comment: "*"}}\ndestination: {{path: "{path}"}}'


@pytest.mark.parametrize(
    ("provider", "named"),
    [
        ("tts", ("tts",)),
        ("asr-*", ("asr-eu", "asr-us", "asr-ap")),
        ("'*'", NAMES),
        ("'asr-[eu]*'", ("asr-eu", "asr-us")),
        ("'*-?s'", ("asr-us",)),
        ("[tts, asr-us]", ("asr-us", "tts")),
        ("[asr-us, 'asr-*', asr-us]", ("asr-eu", "asr-us", "asr-ap")),
    ],
)
def test_names_and_globs_are_resolved_in_the_order_of_the_providers(
    provider: str, named: tuple[str, ...]
) -> None:
    (policy,) = policies_of(selecting(provider))
    assert policy.providers == named


def test_the_provider_may_be_shared() -> None:
    one, two = policies_of(
        'name: one\nselect: {comment: "*"}',
        'name: two\nprovider: tts\nselect: {comment: "*"}',
        defaults="{provider: 'asr-*'}",
    )
    assert (one.providers, two.providers) == (("asr-eu", "asr-us", "asr-ap"), ("tts",))


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        (
            "asr_eu",
            "policies[0].provider: `asr_eu` names no provider (did you mean `asr-eu`? allowed:",
        ),
        ("ASR-*", "policies[0].provider: `ASR-*` names no provider (allowed: asr-ap, asr-eu, asr-us, tts)"),
        ("asr-x*", "policies[0].provider: `asr-x*` names no provider (did you mean `asr-"),
        ("[tts, ars-eu]", "policies[0].provider[1]: `ars-eu` names no provider (did you mean"),
        ("[tts, '?']", "policies[0].provider[1]: `?` names no provider"),
        ("[]", "policies[0].provider: an empty list (remove the key, or write at least one item)"),
        ("{a: b}", "policies[0].provider: a mapping of 1 key where a list is expected"),
        ("[[tts]]", "policies[0].provider[0]: a list of 1 item where a text is expected"),
        ("", "policies[0].provider: no value (write one, or remove the key)"),
        (f"'{'*' * 30}x'", "policies[0].provider: a text of 31 characters names no provider"),
    ],
)
def test_what_names_no_provider_is_told(provider: str, message: str) -> None:
    (told,) = told_of(selecting(provider))
    assert told.startswith(message)


def test_a_shared_provider_that_does_not_exist_is_told_once() -> None:
    policies = [f'name: {name}\nselect: {{comment: "*"}}' for name in ("one", "two")]
    assert told_of(*policies, defaults="{provider: asr}") == [
        (
            "defaults.provider: `asr` names no provider "
            "(did you mean `asr-us`? allowed: asr-ap, asr-eu, asr-us, tts)"
        )
    ]


def test_too_many_globs_for_so_many_providers_end_early() -> None:
    providers = "".join(
        f"  a{n}: {{type: deepgram, project_id: p-{n}, credential: {{env: K}}}}\n" for n in range(1000)
    )
    globs = ", ".join(f"'*{n}'" for n in range(600))
    text = f"{HEAD}{providers}policies: [{{name: n, provider: [{globs}], select: {{comment: '*'}}}}]\n"
    with pytest.raises(PolicyError) as caught:
        load(text.encode(), name="p.yaml")
    assert "too many globs for so many providers" in str(caught.value.problems[0])


@pytest.mark.parametrize(
    ("provider", "found"),
    [("'*'", "4 providers (asr-eu, asr-us, tts, asr-ap)"), ("[tts, asr-eu]", "2 providers (asr-eu, tts)")],
)
def test_a_key_that_is_named_is_at_one_provider(provider: str, found: str) -> None:
    assert told_of(f"name: n\nprovider: {provider}\nkeys: {{a/b: k}}") == [
        f"policies[0].provider: `keys` of {found} (a key is at one provider: write a policy for each)"
    ]


def test_a_glob_that_finds_one_provider_is_fine_for_named_keys() -> None:
    (policy,) = policies_of("name: n\nprovider: 't*'\nkeys: {a/b: k}")
    assert (policy.providers, policy.keys) == (("tts",), (("a/b", "k"),))


def test_one_path_for_several_providers_is_a_clash() -> None:
    assert told_of(selecting("asr-*", path="voice/gateway")) == [
        "policies[0].destination: one destination for 3 providers (put `{provider}` into the path)"
    ]
    assert len(policies_of(selecting("tts", path="voice/gateway"))) == 1


@pytest.mark.parametrize("path", ["v/{provider}", "v/{project_id}", "v/{slug}", "v/{key_id}"])
def test_a_path_that_can_differ_from_provider_to_provider_is_none(path: str) -> None:
    assert len(policies_of(selecting("asr-*", path=path))) == 1


def test_a_path_of_any_provider_of_a_policy_clashes_with_that_of_another_policy() -> None:
    told = told_of(selecting("'*'", path="v/{provider}"), "name: m\nprovider: tts\nkeys: {v/tts: k}")
    assert told == ["policies[1].keys: policies[0] has this destination too (one destination, one policy)"]


def test_what_is_left_out_is_read() -> None:
    (policy,) = policies_of(
        "name: n\nprovider: tts\n"
        "select: {tags: [prod], except: {comment: ['*-tmp', 'ci *'], tags: [manual], scopes: [admin]}}"
    )
    assert policy.select == Select(
        tags=frozenset({"prod"}),
        but=Exempt(comment=("*-tmp", "ci *"), tags=frozenset({"manual"}), scopes=frozenset({"admin"})),
    )


def test_what_is_left_out_merges_key_by_key() -> None:
    (policy,) = policies_of(
        "name: n\nprovider: tts\nselect: {comment: '*', except: {tags: [b]}}",
        defaults="{select: {except: {comment: x, tags: [a]}}}",
    )
    assert policy.select == Select(comment=("*",), but=Exempt(comment=("x",), tags=frozenset({"b"})))


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("{comment: '*', except: {}}", "policies[0].select.except: an empty `except` (remove it, or write"),
        ("{comment: '*', except: }", "policies[0].select.except: an empty `except` (remove it, or write"),
        ("{comment: '*', except: x}", "policies[0].select.except: a text of 1 character where a mapping"),
        ("{comment: '*', except: {tags: []}}", "policies[0].select.except.tags: an empty list"),
        (
            "{comment: '*', except: {tag: [a]}}",
            "policies[0].select.except.tag: unknown key (did you mean `tags`?",
        ),
        ("{except: {tags: [a]}}", "policies[0].select: `except` alone (to take every other key, write"),
    ],
)
def test_what_is_wrong_with_what_is_left_out(select: str, message: str) -> None:
    (told,) = told_of(f"name: n\nprovider: tts\nselect: {select}")
    assert told.startswith(message)
