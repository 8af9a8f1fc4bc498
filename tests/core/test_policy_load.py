"""What one policy file says, and what is told of a file that says it wrongly."""

from __future__ import annotations

from datetime import timedelta
from textwrap import indent

import pytest

from rotator.errors import PolicyError
from rotator.model.entry import FieldNames
from rotator.policy.load import load
from rotator.policy.policy import Adopt, DestinationTemplate, Lifetime, OriginalTerms, Policy, Select, Share
from rotator.policy.settings import (
    LimitSettings,
    PolicyFile,
    ProviderSettings,
    RuntimeSettings,
    SecretReference,
    SecretSource,
    TokenAuth,
    VaultSettings,
)

HEAD = """\
version: 1
vault: {auth: {token: {env: VAULT_TOKEN}}}
providers:
  asr: {type: deepgram, project_id: p-1, credential: {file: /run/key}}
"""
POLICY = """\
name: all
provider: asr
select: {comment: "*"}
"""


def loaded(text: str) -> PolicyFile:
    return load(text.encode(), name="p.yaml")


def file_of(*options: str, head: str = HEAD) -> str:
    """Return a file with one policy per text in `options`."""
    listed = "".join("  - " + indent(text, "    ")[4:] for text in options)
    return f"{head}policies:\n{listed}"


def policy_of(text: str) -> Policy:
    (policy,) = loaded(file_of(POLICY + text)).policies
    return policy


def problems_of(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        loaded(text)
    return [str(problem) for problem in caught.value.problems]


def problem_of(text: str) -> str:
    (problem,) = problems_of(text)
    return problem


def refusal_of(text: str) -> str:
    """Return the problem, without its place, of the one policy with `text` added."""
    return problem_of(file_of(POLICY + text)).split(": ", 1)[1]


def test_a_small_file_gets_every_default() -> None:
    read = loaded(file_of(POLICY))
    assert read.instance == "default"
    assert read.vault == VaultSettings(
        address=None,
        namespace=None,
        ca_cert=None,
        auth=TokenAuth(token=SecretReference(SecretSource.ENV, "VAULT_TOKEN")),
        journal_mount="secret",
        journal_prefix="rotator/default",
    )
    assert read.runtime == RuntimeSettings(
        claim_ttl=timedelta(seconds=60), call_timeout=timedelta(seconds=10), concurrency=8
    )
    assert read.limits == LimitSettings(starts_per_hour=60)
    assert read.providers == (
        ProviderSettings(
            name="asr",
            type="deepgram",
            project_id="p-1",
            base_url="https://api.deepgram.com",
            credential=SecretReference(SecretSource.FILE, "/run/key"),
        ),
    )
    (policy,) = read.policies
    assert policy == Policy(
        name="all", providers=("asr",), select=Select(comment=("*",)), fingerprint=policy.fingerprint
    )


def test_every_option_of_a_policy_is_read() -> None:
    policy = policy_of("""\
adopt: now
rotate_before: 12.5%
max_age: 90d
lifetime: never
overlap: 0s
original: 7d
temporary_below: 0s
prove: {deadline: 30s}
retry: {initial: 5s, max: PT10M}
min_gap: 0s
destination:
  mount: team/kv
  path: "{policy}/{project_id}/{key_id}"
  fields: {secret: s, key_id: null, previous_key_id: p, expires_at: ~}
""")
    assert policy == Policy(
        name="all",
        providers=("asr",),
        select=Select(comment=("*",)),
        adopt=Adopt.NOW,
        rotate_before=Share(12.5),
        max_age=timedelta(days=90),
        lifetime=Lifetime.NEVER,
        overlap=timedelta(),
        original=timedelta(days=7),
        temporary_below=timedelta(),
        prove_deadline=timedelta(seconds=30),
        retry_initial=timedelta(seconds=5),
        retry_max=timedelta(minutes=10),
        min_gap=timedelta(),
        destination=DestinationTemplate(
            mount="team/kv",
            path="{policy}/{project_id}/{key_id}",
            fields=FieldNames(secret="s", key_id=None, previous_key_id="p", expires_at=None),
        ),
        fingerprint=policy.fingerprint,
    )


def test_words_are_read_as_they_are() -> None:
    policy = policy_of("adopt: watch\nlifetime: inherit\noriginal: keep\nrotate_before: 26h\nmax_age: null\n")
    assert (policy.adopt, policy.lifetime, policy.original) == (
        Adopt.WATCH,
        Lifetime.INHERIT,
        OriginalTerms.KEEP,
    )
    assert (policy.rotate_before, policy.max_age) == (timedelta(hours=26), None)


def test_numbers_and_words_of_old_yaml_stay_texts() -> None:
    text = "name: n\nprovider: asr\nselect: {comment: [no, 12:30, 1.10, 2026-12-20], tags: [on, 007]}\n"
    (policy,) = loaded(file_of(text)).policies
    assert policy.select == Select(
        comment=("no", "12:30", "1.10", "2026-12-20"), tags=frozenset({"on", "007"})
    )


def test_defaults_are_merged_key_by_key_and_lists_replaced() -> None:
    head = HEAD + (
        "defaults:\n"
        "  provider: asr\n"
        "  overlap: 1h\n"
        "  max_age: 90d\n"
        "  select: {tags: [a, b], scopes: [s]}\n"
        "  destination: {mount: kv, fields: {secret: s, key_id: k}}\n"
    )
    own = "name: one\nselect: {tags: [c]}\nmax_age: null\ndestination: {fields: {key_id: null}}\n"
    by_id = "name: two\nkeys: {voice/gateway: k-1}\n"
    one, two = loaded(file_of(own, by_id, head=head)).policies
    assert one.select == Select(tags=frozenset({"c"}), scopes=frozenset({"s"}))
    assert (one.overlap, one.max_age, one.destination.mount) == (timedelta(hours=1), None, "kv")
    assert (one.destination.fields.secret, one.destination.fields.key_id) == ("s", None)
    assert (two.select, two.keys) == (None, (("voice/gateway", "k-1"),))
    assert two.destination.fields.key_id == "k"


def test_no_policy_is_possible_when_it_is_written() -> None:
    assert loaded(HEAD + "policies: []\n").policies == ()


def test_an_instance_names_the_journal() -> None:
    assert (
        loaded(file_of(POLICY, head=HEAD + "instance: prod-eu\n")).vault.journal_prefix == "rotator/prod-eu"
    )


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    text = """\
version: 2
instnace: x
vault: {address: "http://vault:8200", auth: {}}
include: [../a]
providers:
  asr: {type: deepgrm, project_id: "${PID}", credential: abcdef}
defaults: {overlap: 24, window: []}
policies:
  - {name: a, provider: ars, select: {}}
  - {name: a, provider: asr, select: {comment: [true], except: {}}, keys: {a: b}}
  - plain
"""
    assert problems_of(text) == [
        "p.yaml:1:10: version: `2` is not 1",
        (
            "p.yaml:2:1: instnace: unknown key (did you mean `instance`? "
            "allowed: defaults, include, instance, limits, policies, providers, runtime, vault, version)"
        ),
        (
            "p.yaml:3:18: vault.address: plain http to another machine would show secrets on the way "
            "(write `https://HOST:PORT`; plain http only to this machine)"
        ),
        (
            "p.yaml:3:45: vault.auth: 0 ways to log in where exactly one is expected (write one of `token: ...`, "
            "`approle: ...`, `kubernetes: ...`, `jwt: ...`, `cert: ...`; "
            "write `{env: NAME}`, `{file: PATH}` or `{systemd: NAME}`)"
        ),
        (
            "p.yaml:4:11: include[0]: a text of 4 characters that can't stand here (allowed: a path or a glob (`*`, `?`, "
            "`[...]`) below this file's folder, without `..` and `**`; a file that is elsewhere is named with a "
            "further `--config`)"
        ),
        (
            "p.yaml:6:15: providers.asr.type: `deepgrm` is not one of the choices "
            "(did you mean `deepgram`? allowed: deepgram)"
        ),
        (
            "p.yaml:6:36: providers.asr.project_id: `${...}` is not expanded "
            "(write the value itself; a secret is referred to as `{env: NAME}`)"
        ),
        (
            "p.yaml:6:58: providers.asr.credential: a text of 6 characters "
            "(write `{env: NAME}`, `{file: PATH}` or `{systemd: NAME}`, "
            "or `{vault: {mount: MOUNT, path: PATH, field: FIELD}}`)"
        ),
        (
            "p.yaml:7:21: defaults.overlap: `24` is a number without a unit "
            "(write `90s`, `15m`, `12h`, `7d`, `2w`, a sum such as `1d12h`, or ISO 8601 such as `PT12H`)"
        ),
        (
            "p.yaml:7:33: defaults.window: a list of 0 items where a list of up to 20 mappings is expected "
            "(write `[{...}]`, or `null` for none)"
        ),
        "p.yaml:9:25: policies[0].provider: `ars` names no provider (did you mean `asr`? allowed: asr)",
        'p.yaml:9:38: policies[0].select: an empty `select` (to take every key, write `comment: "*"`)',
        "p.yaml:10:12: policies[1].name: policies[0] has this name too",
        (
            "p.yaml:10:49: policies[1].select.comment[0]: `true` where a text is expected "
            "(if the text is meant, quote it)"
        ),
        "p.yaml:10:64: policies[1].select.except: an empty `except` (remove it, or write what is left out)",
        "p.yaml:10:75: policies[1].keys: `keys` and `select` in one policy (write two policies)",
        "p.yaml:11:5: policies[2]: a text of 5 characters where a mapping (`key: value`) is expected",
    ]


def test_an_empty_mapping_is_told_what_it_lacks() -> None:
    assert problems_of("{}") == [
        "p.yaml:1:1: `version` is missing (write `version: 1`)",
        (
            "p.yaml:1:1: `vault.auth` is missing "
            "(write `auth: {token: ...}`; write `{env: NAME}`, `{file: PATH}` or `{systemd: NAME}`)"
        ),
        "p.yaml:1:1: `providers` is missing (name at least one: `NAME: {type: deepgram, ...}`)",
        "p.yaml:1:1: `policies` is missing (for none, write `policies: []`)",
    ]


@pytest.mark.parametrize("text", ["just text", "- a", "1", "---\n"])
def test_a_file_that_is_no_mapping(text: str) -> None:
    assert "where a mapping is expected (it begins with `version: 1`)" in problem_of(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adopt: nwo", "`nwo` is not one of the choices (did you mean `now`? allowed: now, watch, when_due)"),
        ("adopt: true", "`true` where a text is expected (if the text is meant, quote it)"),
        ("adopt:", "no value (write one, or remove the key)"),
        ("adopt: [now]", "a list of 1 item where a text is expected"),
        ("rotate_before: 0%", "`0%` is not a share of a lifetime (more than 0% and less than 100%)"),
        ("rotate_before: 100%", "`100%` is not a share of a lifetime (more than 0% and less than 100%)"),
        ("rotate_before: -3%", "`-3%` is not a share of a lifetime (more than 0% and less than 100%)"),
        ("max_age: 0s", "zero is not possible here (write `90s`,"),
        ("lifetime: 0d", "zero is not possible here (`inherit`, `never`, or a duration: write `90s`,"),
        ("lifetime: forever", "`forever` is not a duration (`inherit`, `never`, or a duration: write `90s`,"),
        ("overlap: 1M", "`1M` is a number of months or years, which have no fixed length"),
        ("overlap: 12:30", "`12:30` is not a duration"),
        ("overlap: -1h", "`-1h` is a negative duration"),
        ("original: drained", "this version does not have `drained` yet (write `keep` or a duration)"),
        ("original: 0s", "zero is not possible here (`keep`, or a duration:"),
        ("prove: 2m", "a text of 2 characters where a mapping (`key: value`) is expected"),
        ("retry: {inital: 1s}", "unknown key (did you mean `initial`? allowed: initial, max)"),
        ("freeze: []", "a list of 0 items where a list of up to 100 mappings is expected (write `[{...}]`"),
        ("<<: {overlap: 1h}", "merge keys (`<<`) are not used here (write shared options under `defaults`)"),
        ("overlap: 1h\noverlap: 2h", "given twice (the first is on line 9)"),
        ('"${X}": 1', "unknown key"),
        ("destination: {mount: ../x}", "a text of 4 characters that can't stand here (allowed: segments of"),
        ("destination: {path: 'a//b'}", "a path that can't be used (allowed: segments of"),
        ("destination: {path: 'a/./{slug}'}", "a path that can't be used"),
        ("destination: {path: '{slug!r}'}", "braces that do not hold a name (allowed: {policy}"),
        ("destination: {path: '{slug.x}'}", "braces that do not hold a name"),
        ("destination: {path: '{0}'}", "an unknown placeholder (allowed: key_id,"),
        ("destination: {path: 'a}'}", "braces that do not hold a name"),
        ("destination: {path: '{{a}}'}", "braces that do not hold a name"),
        ("destination: {path: '{slgu}'}", "an unknown placeholder (did you mean `slug`?"),
        ("destination: {fields: {secret: null}}", "no value (write one, or remove the key)"),
        ("destination: {fields: {secret: a, key_id: a}}", "two fields of the entry have one name"),
        ("destination: {fields: {key_id: api_key}}", "two fields of the entry have one name"),
        (
            "destination: {fields: {key_id: rotation_id}}",
            "a text of 11 characters that can't stand here (allowed: up to 100 letters, digits and `_.-`; not",
        ),
    ],
)
def test_what_is_wrong_with_an_option(text: str, message: str) -> None:
    refusal = refusal_of(text + "\n")
    assert refusal.partition(": ")[2].startswith(message)
    assert refusal.startswith("policies[0].")


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("select: {}", 'an empty `select` (to take every key, write `comment: "*"`)'),
        ("select:", 'an empty `select` (to take every key, write `comment: "*"`)'),
        ("select: {tags: []}", "an empty list (remove the key, or write at least one item)"),
        ("select: {tags: prod}", "a text of 4 characters where a list is expected (write `[a, b]`)"),
        ("select: {tags: [a, null]}", "no value where a text is expected (if"),
        ('select: {tags: [a, ""]}', "an empty text"),
        ("select: {tag: [a]}", "unknown key (did you mean `tags`? allowed: comment, except, scopes, tags)"),
        ("select: '*'", "a text of 1 character where a mapping"),
        (
            "keys: {}",
            "a mapping of 0 keys where paths with the ids of keys are expected (write `PATH: KEY_ID`)",
        ),
        (
            "keys: [a]",
            "a list of 1 item where paths with the ids of keys are expected (write `PATH: KEY_ID`)",
        ),
        (
            "keys: {a/b: 'x y'}",
            "a text of 3 characters that can't stand here (allowed: up to 64 letters, digits",
        ),
        ("keys: {a/../b: x}", "a path that can't be used"),
        ("keys: {a: x, b: x}", "this key is named for another path already"),
        ("keys: {a: x, a: y}", "given twice (the first is on line 8)"),
        ("keys: {a: x}\ndestination: {path: b}", "`destination.path` beside `keys` (`keys` says the paths)"),
        ("overlap: 1h", 'neither `select` nor `keys` (to take every key, write `select: {comment: "*"}`)'),
    ],
)
def test_what_is_wrong_with_a_choice_of_keys(select: str, message: str) -> None:
    problem = problem_of(file_of(f"name: all\nprovider: asr\n{select}\n"))
    assert problem.split(": ", 2)[2].startswith(message)


@pytest.mark.parametrize(
    "address",
    ["https://v:8200", "https://v/path", "http://localhost:8200", "http://127.9.9.9", "http://[::1]:1"],
)
def test_an_address_that_can_be_used(address: str) -> None:
    head = HEAD.replace("vault: {", f'vault: {{address: "{address}/", ')
    assert loaded(file_of(POLICY, head=head)).vault.address == address


@pytest.mark.promise("P7")
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://vault:8200", "plain http to another machine would show secrets on the way"),
        ("http://localhost.example.com", "plain http to another machine would show secrets on the way"),
        ("http://10.0.0.1", "plain http to another machine would show secrets on the way"),
        ("https://root:hidden@vault", "an address with a user or a password in it"),
        ("https://hidden@vault", "an address with a user or a password in it"),
        ("https://@vault", "an address with a user or a password in it"),
        ("https://vault?hidden=1", "an address with a query or a fragment"),
        ("https://vault/#hidden", "an address with a query or a fragment"),
        ("vault:8200", "not an http or https address"),
        ("ftp://vault", "not an http or https address"),
        ("https://", "not an http or https address"),
        ("https://a b", "not an http or https address"),
        ("https://[::1", "not an address"),
        ("https://v:99999", "not an address"),
        ("https://v:port", "not an address"),
        ("https://v:0", "not an http or https address"),
    ],
)
def test_an_address_that_is_refused_is_not_shown(address: str, message: str) -> None:
    head = HEAD.replace("vault: {", f'vault: {{address: "{address}", ')
    problem = problem_of(file_of(POLICY, head=head))
    assert problem.split(": ", 1)[1].startswith(f"vault.address: {message}")
    assert "hidden" not in problem


def test_trap_21_the_usual_overlap_outlives_every_token() -> None:
    """A token that was made with a key lives an hour at most (Deepgram's docs, "Token-Based Authentication")."""
    (policy,) = loaded(file_of(POLICY)).policies
    assert policy.overlap >= timedelta(hours=2)


@pytest.mark.parametrize(
    "host", ["api.eu.deepgram.com", "agent.deepgram.com", "API.AU.deepgram.com", "uid.eu.api.deepgram.com"]
)
def test_trap_22_an_endpoint_that_manages_no_keys_is_refused(host: str) -> None:
    head = HEAD.replace("project_id:", f'base_url: "https://{host}", project_id:', 1)
    problem = problem_of(file_of(POLICY, head=head))
    assert problem.endswith(
        "base_url: an endpoint of Deepgram that manages no keys (leave it out, or write `https://api.deepgram.com`: "
        "keys of all regions are managed there)"
    )


@pytest.mark.parametrize(
    "host", ["api.deepgram.com", "deepgram.example.com", "api.eu.deepgram.com.example.com"]
)
def test_an_endpoint_that_may_manage_keys_is_taken(host: str) -> None:
    head = HEAD.replace("project_id:", f'base_url: "https://{host}", project_id:', 1)
    (provider,) = loaded(file_of(POLICY, head=head)).providers
    assert provider.base_url == f"https://{host}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            "instance: Prod",
            "instance: a text of 4 characters that can't stand here (allowed: up to 40 small letters",
        ),
        ("runtime: {concurrency: 0}", "runtime.concurrency: `0` is not a whole number from 1 to 1000"),
        ("runtime: {concurrency: '8'}", "runtime.concurrency: `8` is not a whole number from 1 to 1000"),
        ("runtime: {concurrency: 0x8}", "runtime.concurrency: `0x8` is not a whole number from 1 to 1000"),
        (
            "runtime: {listen: ':80'}",
            "runtime.listen: a text of 3 characters that can't stand here (allowed: `HOST:PORT`",
        ),
        (
            "runtime: {listen: 'a:0'}",
            "runtime.listen: a text of 3 characters that can't stand here (allowed: `HOST:PORT`",
        ),
        (
            "runtime: {listen: 'a:65536'}",
            "runtime.listen: a port that does not exist (the last one is 65535)",
        ),
        (
            "runtime: {sweep_every: 25h}",
            (
                "runtime.sweep_every: sweep_every 25h is not between 1s and 24h "
                "(each sweep lists all keys once; what is due is done in between, too)"
            ),
        ),
        (
            "limits: {starts_per_hour: 0}",
            "limits.starts_per_hour: `0` is not a whole number from 1 to 100000",
        ),
        (
            "runtime: {claim_ttl: 29s}",
            (
                "runtime.claim_ttl: claim_ttl 29s is shorter than 3 x call_timeout 10s = 30s "
                "(a claim could run out while its holder waits for an answer)"
            ),
        ),
        (
            "runtime: {call_timeout: 21s}",
            (
                "runtime.call_timeout: claim_ttl 1m is shorter than 3 x call_timeout 21s = 1m3s "
                "(a claim could run out while its holder waits for an answer)"
            ),
        ),
    ],
)
def test_what_is_wrong_with_a_setting(settings: str, message: str) -> None:
    assert problem_of(file_of(POLICY, head=f"{HEAD}{settings}\n")).split(": ", 1)[1].startswith(message)


@pytest.mark.parametrize(
    ("vault", "message"),
    [
        (
            "{auth: {token: {env: T}}, ca_cert: ca.pem}",
            "vault.ca_cert: a text of 6 characters that can't stand here",
        ),
        (
            "{auth: {token: {env: T}}, namespace: a/../b}",
            "vault.namespace: a text of 6 characters that can't",
        ),
        ("{auth: {token: {env: T}}, journal: {prefix: a b}}", "vault.journal.prefix: a text of 3 characters"),
        (
            "{auth: {token: {vault: {}}}}",
            "vault.auth.token: a reference to Vault, which nobody is logged in to yet",
        ),
        ("{address: https://v}", "vault: `vault.auth` is missing"),
    ],
)
def test_what_is_wrong_with_vault(vault: str, message: str) -> None:
    head = HEAD.replace("{auth: {token: {env: VAULT_TOKEN}}}", vault)
    assert problem_of(file_of(POLICY, head=head)).split(": ", 1)[1].startswith(message)


def test_one_project_is_named_once() -> None:
    head = HEAD + "  tts: {type: deepgram, project_id: p-1, credential: {env: A}}\n"
    message = "p.yaml:5:3: the same project as provider `asr` (its keys would be rotated twice)"
    assert problem_of(file_of(POLICY, head=head)).replace("providers: ", "") == message


def test_a_name_of_a_provider_can_stand_in_a_path() -> None:
    head = HEAD.replace("asr:", "a/b:")
    text = f"{head}policies: []\n"
    assert "a provider's name that can't be used (allowed: up to 63 letters" in problem_of(text)


def test_a_wrong_default_is_told_once() -> None:
    head = HEAD + "defaults: {overlap: soon}\n"
    text = file_of(POLICY, POLICY.replace("all", "b"), head=head)
    assert len(problems_of(text)) == 1


def test_the_name_of_a_policy_changes_nothing_else_does() -> None:
    start = policy_of("").fingerprint
    same = [
        "rotate_before: 33.0%",
        "overlap: 1d",
        "destination: {mount: secret}",
    ]
    changed = [
        "rotate_before: 34%",
        "rotate_before: 30h",
        "adopt: now",
        "max_age: 80d",
        "lifetime: 80d",
        "lifetime: never",
        "overlap: 1h",
        "original: 1d",
        "temporary_below: 1h",
        "prove: {deadline: 1m}",
        "retry: {initial: 2m}",
        "retry: {max: 2h}",
        "min_gap: 2h",
        "destination: {mount: kv}",
        "destination: {path: '{slug}'}",
        "destination: {fields: {secret: s}}",
        "destination: {fields: {key_id: null}}",
        "window: [{cron: 0 2 * * *, for: 1h}]",
        "window: [{cron: 0 2 * * *, for: 2h}]",
        "window: [{cron: 0 3 * * *, for: 1h}]",
        "window: [{cron: 0 2 * * *, for: 1h, timezone: Etc/GMT}]",
        "freeze: [{from: 2026-12-20, to: 2026-12-21}]",
        "freeze: [{from: 2026-12-19, to: 2026-12-21}]",
        "freeze: [{from: 2026-12-20, to: 2026-12-22}]",
        "freeze: [{from: 2026-12-20, to: 2026-12-21, why: x}]",
    ]
    assert {policy_of(f"{text}\n").fingerprint for text in same} == {start}
    assert len({start, *(policy_of(f"{text}\n").fingerprint for text in changed)}) == len(changed) + 1
    one, other = "{cron: 0 2 * * *, for: 1h}", "{cron: 0 3 * * *, for: 1h}"
    orders = (f"window: [{one}, {other}]\n", f"window: [{other}, {one}]\n")
    assert len({policy_of(text).fingerprint for text in orders}) == 1
    (renamed,) = loaded(file_of(POLICY.replace("all", "renamed"))).policies
    assert renamed.fingerprint == start
    for select in ("tags: [a]", "except: {tags: [a]}", "except: {comment: [a]}", "except: {scopes: [a]}"):
        text = f"name: a\nprovider: asr\nselect: {{comment: '*', {select}}}\n"
        (changed_select,) = loaded(file_of(text)).policies
        assert changed_select.fingerprint != start
