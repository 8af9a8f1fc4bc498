"""Whatever stands where a reference to a secret is expected, no message shows any of it; nor does any file crash us."""

from __future__ import annotations

import json
from typing import TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rotator.errors import PolicyError
from rotator.policy.load import load
from tests.support.canary import CANARY, secret_text

pytestmark = pytest.mark.promise("P7")

Json: TypeAlias = "str | int | bool | float | list[Json] | dict[str, Json] | None"

SECRET = secret_text("pasted")
HINT = (
    "write `{env: NAME}`, `{file: PATH}` or `{systemd: NAME}`, "
    "or `{vault: {mount: MOUNT, path: PATH, field: FIELD}}`"
)
# What stands in place of a reference, so that the file has a second fault and its message is seen in any case.
HOLES = {
    "vault": "version: 1\nbad: 1\nvault: %s\nproviders: {}\npolicies: []\n",
    "vault.auth": "version: 1\nbad: 1\nvault: {auth: %s}\nproviders: {}\npolicies: []\n",
    "vault.auth.token": "version: 1\nbad: 1\nvault: {auth: {token: %s}}\nproviders: {}\npolicies: []\n",
    "vault.auth.approle": "version: 1\nbad: 1\nvault: {auth: {approle: %s}}\nproviders: {}\npolicies: []\n",
    "vault.auth.approle.role_id": (
        "version: 1\nbad: 1\nvault: {auth: {approle: {role_id: %s, secret_id: {env: S}}}}\n"
        "providers: {}\npolicies: []\n"
    ),
    "vault.auth.approle.secret_id": (
        "version: 1\nbad: 1\nvault: {auth: {approle: {role_id: {env: R}, secret_id: %s}}}\n"
        "providers: {}\npolicies: []\n"
    ),
    "vault.auth.kubernetes.jwt": (
        "version: 1\nbad: 1\nvault: {auth: {kubernetes: {role: r, jwt: %s}}}\nproviders: {}\npolicies: []\n"
    ),
    "vault.auth.jwt.jwt": (
        "version: 1\nbad: 1\nvault: {auth: {jwt: {role: r, jwt: %s}}}\nproviders: {}\npolicies: []\n"
    ),
    "vault.auth.cert.key": (
        "version: 1\nbad: 1\nvault: {auth: {cert: {cert: /c, key: %s}}}\nproviders: {}\npolicies: []\n"
    ),
    "providers.a.credential": (
        "version: 1\nbad: 1\nvault: {auth: {token: {env: T}}}\n"
        "providers: {a: {type: deepgram, project_id: p, credential: %s}}\npolicies: []\n"
    ),
}
REFERENCES = sorted(set(HOLES) - {"vault"})


def told(text: str | bytes) -> str:
    """Return all that is told of `text`; nothing but a PolicyError may come."""
    try:
        load(text.encode() if isinstance(text, str) else text, name="p.yaml")
    except PolicyError as error:
        return f"{error} {error.problems!r}"
    return ""


names = st.sampled_from(
    [
        *(
            SECRET,
            f"${{{CANARY}}}",
            f"{CANARY} x",
            "env",
            "file",
            "systemd",
            "vault",
            "token",
            "approle",
            "<<",
        ),
        *(
            "mount",
            "path",
            "field",
            "role",
            "role_id",
            "secret_id",
            "kubernetes",
            "jwt",
            "cert",
            "key",
            "name",
        ),
    ]
)
leaves = st.one_of(names, names.map(lambda text: f"/{text}"), st.none(), st.booleans(), st.integers())
secrets: st.SearchStrategy[Json] = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)


@given(st.sampled_from(REFERENCES), secrets)
@example("providers.a.credential", SECRET)
@example("providers.a.credential", {SECRET: SECRET})
@example("providers.a.credential", {"env": SECRET, SECRET: "x"})
@example("providers.a.credential", {"env": {SECRET: {}}})
@example("providers.a.credential", {"file": SECRET})
@example("vault.auth", SECRET)
@example("vault.auth", {SECRET: {}})
@example("vault.auth", {"token": SECRET, SECRET: 1})
@example("vault.auth", {"approle": {"mount": SECRET, SECRET: SECRET}})
@example("vault.auth", {"approle": {f"{CANARY}-pw": 1}, "jwt": {f"{CANARY}-pw": 1}})
@example("vault.auth.approle", {"role_id": {"env": "R"}, "secret_id": SECRET, f"{CANARY} x": 1})
@example("providers.a.credential", {"vault": {"mount": SECRET, "path": SECRET, "field": SECRET}})
@example("providers.a.credential", {"vault": {"mount": "m", "path": "p", SECRET: "f"}})
@example("providers.a.credential", {"vault": {"mount": "m", "path": f"p/{SECRET}", "field": "f"}})
@example("providers.a.credential", {"vault": SECRET})
def test_what_stands_for_a_secret_is_never_shown(hole: str, secret: Json) -> None:
    text = told(HOLES[hole] % json.dumps(secret))
    assert "bad: unknown key" in text
    assert CANARY not in text


@given(st.sampled_from(REFERENCES), st.text(alphabet="{}[]:,'\"&*!|>%@`#- \n\t\\$", max_size=8))
def test_a_secret_in_broken_yaml_is_never_shown(hole: str, around: str) -> None:
    half = len(around) // 2
    assert CANARY not in told(HOLES[hole] % f"{around[:half]}{SECRET}{around[half:]}")


@pytest.mark.parametrize("hole", sorted(HOLES))
def test_a_secret_as_plain_text_is_told_by_its_length(hole: str) -> None:
    assert f"{hole}: a text of 40 characters" in told(HOLES[hole] % SECRET)


PLACES = {
    "vault": "version: 1\nvault: {auth: {token: {env: T}}, %s}\nproviders: {}\npolicies: []\n",
    "vault.journal": "version: 1\nvault: {auth: {token: {env: T}}, journal: {%s}}\nproviders: {}\npolicies: []\n",
    "providers.a": (
        "version: 1\nvault: {auth: {token: {env: T}}}\n"
        "providers: {a: {type: deepgram, project_id: p, credential: {env: K}, %s}}\npolicies: []\n"
    ),
    "defaults.select": (
        "version: 1\nvault: {auth: {token: {env: T}}}\nproviders: {}\n"
        "defaults: {select: {tags: [a], %s}}\npolicies: []\n"
    ),
    "": "%s\nversion: 1\nvault: {auth: {token: {env: T}}}\nproviders: {}\npolicies: []\n",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", [SECRET, f"{CANARY}0123456789abcd", f"{CANARY}-a-long-name-of-words"])
def test_an_unknown_key_that_may_be_a_secret_is_told_by_its_length(place: str, name: str) -> None:
    text = told(PLACES[place] % f"{name}: 1")
    assert f"{place}: an unknown key of {len(name)} characters (".removeprefix(": ") in text
    assert CANARY not in text


def test_the_name_of_a_provider_that_may_be_a_secret_is_not_shown() -> None:
    text = told(f"version: 1\nproviders: {{{SECRET}: {{}}, {SECRET}: {{}}}}\n")
    assert "providers.?: `type` is missing" in text
    assert "providers: given twice" in text
    assert CANARY not in text


def test_a_key_given_twice_is_not_shown() -> None:
    text = told(HOLES["vault.auth"] % f"{{token: {{env: T}}, {SECRET}: 1, {SECRET}: 2}}")
    assert "vault.auth: given twice (the first is on line 3)" in text
    assert CANARY not in text


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("abc", f"a text of 3 characters ({HINT})"),
        ("12", f"a text of 2 characters ({HINT})"),
        ("", "no value"),
        ("[a, b]", f"a list of 2 items ({HINT})"),
        ("{}", f"a mapping of 0 keys where exactly one is expected ({HINT})"),
        ("{env: A, file: /b}", f"a mapping of 2 keys where exactly one is expected ({HINT})"),
        ("{env: A, env: B}", f"a mapping of 1 key where exactly one is expected ({HINT})"),
        ("{evn: A}", f"a mapping with an unknown key ({HINT})"),
        ("{vault: x}", f".vault: a text of 1 character where a place in Vault is expected ({HINT})"),
        ("{vault: {mount: m, path: p}}", f".vault: a mapping of 2 keys without `field` ({HINT})"),
        (
            "{vault: {mount: m, path: p, field: f, x: y}}",
            f".vault: a mapping of 4 keys where three are expected ({HINT})",
        ),
        (
            "{vault: {mount: m, path: p/../q, field: f}}",
            ".vault.path: a text of 6 characters that can't stand here (allowed: segments",
        ),
        (
            "{vault: {mount: m, path: m/p, field: f}}",
            ".vault: a path that begins with its mount, or with `data/` (leave that out)",
        ),
        (
            f"{{vault: {{mount: m, path: p, field: {SECRET}}}}}",
            f".vault.field: a text of 40 characters that looks like a secret itself ({HINT})",
        ),
        ("'${A}'", f"a text of 4 characters; `${{...}}` is not expanded ({HINT})"),
        ("{env: '${A}'}", f".env: a text of 4 characters; `${{...}}` is not expanded ({HINT})"),
        (f"{{file: /{SECRET}}}", f".file: a text of 41 characters that looks like a secret itself ({HINT})"),
        (
            f"{{file: /run/{SECRET}}}",
            f".file: a text of 45 characters that looks like a secret itself ({HINT})",
        ),
        (
            f"{{systemd: {SECRET}}}",
            f".systemd: a text of 40 characters that looks like a secret itself ({HINT})",
        ),
        (
            f"{{env: {SECRET.upper()}}}",
            f".env: a text of 40 characters that looks like a secret itself ({HINT})",
        ),
        ("{env: lower}", ".env: a text of 5 characters that can't stand here (allowed: capital letters"),
        ("{env: }", f".env: no value where a name is expected ({HINT})"),
        (
            "{file: relative}",
            ".file: a text of 8 characters that can't stand here (allowed: an absolute path)",
        ),
        (
            "{systemd: ../x}",
            ".systemd: a text of 4 characters that can't stand here (allowed: letters, digits",
        ),
    ],
)
def test_what_is_told_of_a_reference(reference: str, message: str) -> None:
    head, _, after = told(HOLES["providers.a.credential"] % reference).partition("providers.a.credential")
    assert "bad: unknown key" in head
    assert after.removeprefix(": ").startswith(message)


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b"\xef\xbf\xbe: 1")
def test_no_bytes_crash_the_loader(content: bytes) -> None:
    assert told(content)


@given(st.text(alphabet="ab12{}[]:,'\"&*!|>%@`#-? \n\t\\$~<.", max_size=60))
def test_no_text_crashes_the_loader(text: str) -> None:
    assert told(text)


options = st.sampled_from(
    [
        *(
            "version",
            "instance",
            "vault",
            "auth",
            "token",
            "journal",
            "mount",
            "prefix",
            "runtime",
            "claim_ttl",
        ),
        *("concurrency", "providers", "asr", "type", "project_id", "base_url", "credential", "defaults"),
        *("policies", "name", "provider", "select", "comment", "tags", "keys", "adopt", "rotate_before"),
        *("max_age", "lifetime", "overlap", "original", "prove", "deadline", "retry", "initial", "max"),
        *("destination", "path", "fields", "secret", "key_id", "a/b"),
    ]
)
values = st.one_of(
    st.sampled_from(
        ["1h", "24h", "33%", "now", "deepgram", "asr", "*", "{slug}", "{", "http://[", "${A}", ""]
    ),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
)
files: st.SearchStrategy[Json] = st.recursive(
    values,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(options, inner, max_size=5)),
    max_leaves=20,
)


@given(files)
def test_no_document_crashes_the_loader(document: Json) -> None:
    assert told(json.dumps(document))


@given(st.dictionaries(options, files, max_size=6))
def test_no_policy_crashes_the_loader(policy: dict[str, Json]) -> None:
    document = {
        "version": 1,
        "vault": {"auth": {"token": {"env": "T"}}},
        "providers": {"asr": {"type": "deepgram", "project_id": "p", "credential": {"env": "K"}}},
        "policies": [{"name": "n", "provider": "asr", "select": {"comment": "*"}} | policy],
    }
    told(json.dumps(document))
