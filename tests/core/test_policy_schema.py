"""The JSON Schema says what the loader says, as far as a schema can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from rotator.errors import PolicyError
from rotator.policy.file.document import parse
from rotator.policy.file.option import Needed, Option
from rotator.policy.file.policy_options import KEYS
from rotator.policy.file.problems import Refused, is_null
from rotator.policy.file.schema import schema
from rotator.policy.load import load
from tests.support.policy_pages import FOLDER, PAGES, options

SCHEMA = Draft202012Validator(schema())


class Loader(yaml.SafeLoader):
    """Reads YAML as editors do, for which a day is a text (YAML 1.2)."""


Loader.yaml_implicit_resolvers = {
    first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def as_editors_read(text: str) -> Any:  # noqa: ANN401 (whatever YAML can hold)
    return yaml.load(text, Loader)  # noqa: S506 (a safe one)


EXAMPLE = as_editors_read((Path(__file__).parents[2] / "config.example.yaml").read_text())

HEAD = """\
version: 1
vault: {auth: {token: {env: T}}}
providers:
  asr: {type: deepgram, project_id: p-1, credential: {env: K}}
  tts: {type: deepgram, project_id: p-2, credential: {vault: {mount: secret, path: a/b, field: c}}}
"""
ONE = "policies: [{name: n, provider: asr, select: {comment: '*'}}]\n"


def vault(text: str) -> str:
    return HEAD.replace("{auth: {token: {env: T}}}", text) + ONE


def auth(text: str) -> str:
    return vault(f"{{auth: {text}}}")


def policy(text: str, *, defaults: str = "{}") -> str:
    return f"{HEAD}defaults: {defaults}\npolicies: [{{name: n, {text}}}]\n"


GOOD = [
    HEAD + ONE,
    HEAD + "policies: []\n",
    HEAD + "include: [policies.d/*.yaml]\n",
    HEAD + "runtime:\nlimits:\ndefaults:\n" + ONE,
    HEAD + "limits: {starts_per_hour: 1}\n" + ONE,
    HEAD + "instance: 5\n" + ONE,
    vault("{auth: {token: {file: /t}}, address: null, namespace: a/b, ca_cert: /c, journal: {prefix: x}}"),
    auth("{approle: {role_id: {env: R}, secret_id: {systemd: s}}}"),
    auth("{approle: {role_id: {env: R}, secret_id: {env: S}, secret_id_response_wrapping_path: null}}"),
    auth("{kubernetes: {role: r}}"),
    auth("{jwt: {mount: a/b, role: r, jwt: {file: /j}}}"),
    auth("{cert: {cert: /c, key: /k}}"),
    policy("provider: ['*', asr], select: {tags: [1, a], except: {comment: x}}"),
    policy("provider: asr, keys: {a/b: k1}, destination: {mount: kv}"),
    policy("select: {comment: '*'}", defaults="{provider: asr}"),
    policy("provider: asr", defaults="{select: {scopes: [a]}}"),
    policy("provider: asr, keys: {a: b}", defaults="{select: {scopes: [a]}, destination: {path: x}}"),
    policy("provider: asr, select: {except: {tags: [a]}}", defaults="{select: {scopes: [a]}}"),
    policy("provider: asr, select: {comment: x}", defaults="{select: {except: {tags: [a]}}}"),
    policy("provider: asr, select: {comment: x}, prove: null, destination: {fields: null}"),
    policy("provider: asr, select: {comment: x}, window: [{cron: 0 2 * * 1-5, for: 4h}], freeze: null"),
    policy(
        "provider: asr, select: {comment: x}, window: [{cron: 5 */6 L * fri#1, for: PT1H, timezone: UTC}]"
    ),
    policy(
        "provider: asr, select: {comment: x}, freeze: [{from: 2026-12-20, to: 2027-01-05, why: holidays}]"
    ),
    policy(
        "provider: asr, select: {comment: x}, freeze: [{from: 2026-12-20 18:00, to: 2027-01-05T08:00:30Z}]"
    ),
    policy(
        "provider: asr, select: {comment: x}, window: null", defaults="{window: [{cron: 0 2 * * *, for: 1h}]}"
    ),
]
BAD = [
    "[]\n",
    "{}\n",
    HEAD,
    HEAD + "policies:\n",
    HEAD + "policies: {}\n",
    HEAD + "policies: [null]\n",
    HEAD + "policies: [n]\n",
    HEAD + ONE + "zzz: 1\n",
    HEAD + ONE + "runtime: 5\n",
    HEAD + ONE + "runtime: {sweep_every: 0s}\n",
    HEAD + ONE + "runtime: {listen: '9464'}\n",
    HEAD + ONE + "limits: {starts_per_hour: 0}\n",
    HEAD.replace("version: 1", "version: 2") + ONE,
    HEAD.replace("version: 1\n", "") + ONE,
    HEAD.replace("version: 1", "version: '1'") + ONE,
    HEAD.replace("asr:", "a/b:") + ONE.replace("asr", "'*'"),
    HEAD.replace("type: deepgram, ", "") + ONE,
    HEAD.replace("credential: {env: K}", "zzz: 1") + ONE,
    HEAD.replace("deepgram", "other") + ONE,
    HEAD.partition("providers")[0] + ONE,
    HEAD.replace("credential: {env: K}", "credential: abc") + ONE,
    HEAD.replace("field: c", "zzz: c") + ONE,
    HEAD.replace("field: c", "field: c, zzz: d") + ONE,
    vault("{}"),
    vault(""),
    vault("{address: 'https://v'}"),
    auth(""),
    auth("{}"),
    auth("{token: {env: T}, kubernetes: {role: r}}"),
    auth("{token: {vault: {mount: a, path: b, field: c}}}"),
    auth("{approle: {role_id: {env: R}}}"),
    auth("{approle: }"),
    auth("{kubernetes: {}}"),
    auth("{kubernetes: {role: r, mount: auth/k}}"),
    auth("{jwt: {role: r}}"),
    auth("{cert: {cert: /c}}"),
    auth("{cert: {cert: c, key: /k}}"),
    auth("{userpass: {}}"),
    HEAD + ONE + "include: policies.d\n",
    HEAD + ONE + "include: []\n",
    HEAD + ONE + "include: [/etc/x.yaml]\n",
    HEAD + ONE + "include: [../x.yaml]\n",
    HEAD + ONE + "include: [a/**/x.yaml]\n",
    HEAD + ONE + "defaults: {name: n}\n",
    HEAD + ONE + "defaults: {keys: {a: b}}\n",
    policy("select: {comment: x}"),
    policy("provider: asr"),
    policy("provider: [], select: {comment: x}"),
    policy("provider: asr, select: {}"),
    policy("provider: asr, select: "),
    policy("provider: asr, select: {tags: []}"),
    policy("provider: asr, select: {except: {tags: [a]}}"),
    policy("provider: asr, select: {comment: x, except: {}}"),
    policy("provider: asr, select: {comment: x, except: }"),
    policy("provider: asr, select: {comment: x}, keys: {a: b}"),
    policy("provider: asr, keys: {}"),
    policy("provider: asr, keys: {'a//b': k}"),
    policy("provider: asr, keys: {a: 'k k'}"),
    policy("provider: asr, keys: {a: k}, destination: {path: x}"),
    policy("provider: asr, select: {comment: x}, window: []"),
    policy("provider: asr, select: {comment: x}, window: {cron: 0 2 * * 1-5, for: 4h}"),
    policy("provider: asr, select: {comment: x}, window: [{cron: 0 2 * * 1-5}]"),
    policy("provider: asr, select: {comment: x}, window: [{cron: '* 2 * * 1-5', for: 4h}]"),
    policy("provider: asr, select: {comment: x}, window: [{cron: 0 2 * * 1-5, for: 4h, timezone: europe}]"),
    policy("provider: asr, select: {comment: x}, window: [{cron: 0 2 * * 1-5, for: 4h, why: x}]"),
    policy("provider: asr, select: {comment: x}, freeze: [{from: 2026-12-20}]"),
    policy("provider: asr, select: {comment: x}, freeze: [{from: 20.12.2026, to: 2027-01-05}]"),
    policy("provider: asr, select: {comment: x}, original: drained"),
]


def loads(text: str) -> bool:
    try:
        load(text.encode(), name="x")
    except PolicyError:
        return False
    return True


@pytest.mark.parametrize("text", GOOD)
def test_what_loads_fits_the_schema(text: str) -> None:
    assert loads(text)
    assert [error.message for error in SCHEMA.iter_errors(as_editors_read(text))] == []


@pytest.mark.parametrize("text", BAD)
def test_what_is_refused_does_not_fit_the_schema(text: str) -> None:
    assert not loads(text)
    assert not SCHEMA.is_valid(as_editors_read(text))


VALUES: list[object] = [
    *(None, True, 0, 1, 8, 1001, 100_001, -1, 1.5, "", " ", "a", "x y", "A", "a/b", "a//b", "/a", "a/", "."),
    *(
        "..",
        "a/../b",
        "/a/../b",
        "./a",
        "~/a",
        "*",
        "a*",
        "**",
        "[a]",
        "*.yaml",
        "auth/x",
        "data/x",
        "é",
        "a\nb",
    ),
    *(
        "${A}",
        "a${A}",
        "{slug}",
        "{a}",
        "{",
        "{{a}}",
        "{slug}/{key_id}",
        "rotation_id",
        "a.b",
        "-a",
        "_a",
        ".a",
    ),
    *(
        "0s",
        "1s",
        "90s",
        "1h30m",
        "30m1h",
        "1d12h",
        "PT0S",
        "PT12H",
        "P1D",
        "P1M",
        "P",
        "PT",
        "12",
        "1.5h",
        "1M",
    ),
    *("0%", "1%", "33%", "33.5%", "99.999%", "100%", "0.0%", "101%", "%", "-3%", "3 %"),
    *("watch", "when_due", "now", "inherit", "never", "keep", "drained", "forever", "deepgram"),
    *(
        "https://v",
        "https://v:8200/x",
        "http://v",
        "http://localhost",
        "http://127.0.0.1:8200",
        "http://[::1]:1",
    ),
    *(
        "https://u@v",
        "https://v?a",
        "https://v#a",
        "ftp://v",
        "https://",
        "http://localhost.example.com",
        "v:8200",
    ),
    *("a" * 31, "a" * 40, "a" * 41, "a" * 63, "a" * 64, "a" * 65, "a" * 100, "a" * 101, "a" * 400, "a" * 401),
    *("a" * 4096, "a" * 4097),
    *(
        [],
        ["a"],
        ["a", 1],
        ["*"],
        [""],
        [None],
        [["a"]],
        ["a", "../b"],
        {},
        {"a": "b"},
        {"a/b": 5},
        {"a": ""},
    ),
    *(
        {"env": "A"},
        {"env": "a"},
        {"env": 5},
        {"file": "/a"},
        {"file": "a"},
        {"systemd": "a-b"},
        {"systemd": ".a"},
    ),
    *({"env": "A", "file": "/a"}, {"evn": "A"}, {"env": None}, {"env": "A" * 32}, {"file": "/" + "a" * 32}),
    {"vault": {"mount": "m", "path": "p", "field": "f"}},
    {"vault": {"mount": "m", "path": "p"}},
    {"vault": {"mount": "m", "path": "../p", "field": "f"}},
    {"vault": {"mount": "m", "path": "p", "field": "f", "x": "y"}},
    {"vault": "secret/data/x#f"},
]
KINDS = {id(option.kind): (place, option) for place, option in options() if option is not KEYS}.values()
"""One option for each kind. The paths and ids of `keys` are read one by one, so whole files show those."""


@pytest.mark.parametrize("option", [option for _, option in KINDS], ids=[place for place, _ in KINDS])
def test_a_value_fits_the_schema_of_an_option_when_its_reader_takes_it(
    option: Option[Any] | Needed[Any],
) -> None:
    fits = Draft202012Validator(option.kind.schema)
    for value in VALUES:
        node = parse(json.dumps(value).encode(), file="x", begins="")
        try:
            option.kind.read(node)
            taken = option.kind.null or not is_null(node)
        except Refused:
            taken = False
        assert fits.is_valid(value) == taken, value


def test_the_example_fits_the_schema() -> None:
    Draft202012Validator.check_schema(schema())
    assert [error.message for error in SCHEMA.iter_errors(EXAMPLE)] == []


def test_every_option_has_its_reason_in_the_schema_and_no_default_that_the_schema_refuses() -> None:
    def walk(node: Any) -> int:  # noqa: ANN401 (whatever JSON can hold)
        if isinstance(node, list):
            return sum(walk(one) for one in node)
        if not isinstance(node, dict):
            return 0
        if "default" in node:
            assert Draft202012Validator(node).is_valid(node["default"])
        return ("description" in node) + sum(walk(one) for one in node.values())

    assert walk(schema()) > len(list(options()))


def test_the_pages_in_the_repository_are_those_of_the_table() -> None:
    assert {file.parent for file in PAGES} == {FOLDER}
    for file, wanted in PAGES.items():
        assert file.read_text() == wanted(), "run `python -m tests.support.policy_pages`"
