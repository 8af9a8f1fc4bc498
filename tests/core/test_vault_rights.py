"""Which rights a policy file needs in Vault: those of its paths, each path once, and none that is wider."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.policy.policy import Adopt, DestinationTemplate, Policy, Select
from rotator.policy.settings import PolicyFile, VaultReference
from rotator.vault.rights import READ, WRITE, needed_by
from rotator.vault.rights import _meet as rights_meet
from tests.core.test_fleet import file as files

TOKEN = {
    "auth/token/lookup-self": {"read"},
    "auth/token/renew-self": {"update"},
    "sys/capabilities-self": {"update"},
}
JOURNAL = {
    "secret/data/r/control": WRITE,
    "secret/data/r/lineages/+": WRITE,
    "secret/metadata/r/lineages/": {"list"},
}


def policy(
    path: str = "{slug}", *, adopt: Adopt = Adopt.WHEN_DUE, name: str = "all", **changes: object
) -> Policy:
    made = Policy(
        name=name,
        providers=("asr",),
        select=Select(comment=("*",)),
        adopt=adopt,
        destination=DestinationTemplate(path=path),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def pinned(*paths: str, adopt: Adopt = Adopt.WHEN_DUE) -> Policy:
    return policy(adopt=adopt, select=None, keys=tuple((path, f"key-{path}") for path in paths))


def rights(file: PolicyFile) -> dict[str, set[str]]:
    """Return what is needed besides the journal and the token itself."""
    found = {rule.path: set(rule.capabilities) for rule in needed_by(file)}
    assert {path: found.pop(path) for path in (*JOURNAL, *TOKEN)} == {**JOURNAL, **TOKEN}
    return found


def test_a_file_without_policies_needs_its_journal_and_its_token_only() -> None:
    assert rights(files((), "asr")) == {}


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("deepgram/{provider}/{slug}", "deepgram/asr/+"),
        ("{project_id}/{policy}/x", "project-asr/all/x"),
        ("deepgram/{provider}/key-{key_id}", "deepgram/asr/key-*"),
        ("a/{slug}-key", "a/+"),
        ("a/{slug}/api", "a/+/api"),
        ("a/x-{slug}/api", "a/+/api"),
        ("a/{slug}/{key_id}", "a/+/+"),
        ("a/v{slug}-{key_id}", "a/v*"),
    ],
)
def test_what_depends_on_the_key_becomes_one_segment_or_an_ending(template: str, path: str) -> None:
    assert rights(files((policy(template),), "asr")) == {
        f"secret/data/{path}": WRITE,
        f"secret/metadata/{path}": READ,
    }


def test_each_provider_has_its_own_path() -> None:
    both = policy("{provider}/{slug}", providers=("asr", "tts"))

    assert set(rights(files((both,), "asr", "tts"))) == {
        f"secret/{kind}/{name}/+" for kind in ("data", "metadata") for name in ("asr", "tts")
    }


def test_named_keys_have_their_exact_paths() -> None:
    assert rights(files((pinned("voice/a", "voice/b"),), "asr")) == {
        "secret/data/voice/a": WRITE,
        "secret/data/voice/b": WRITE,
        "secret/metadata/voice/a": READ,
        "secret/metadata/voice/b": READ,
    }


def test_what_is_watched_may_be_written_too_because_an_order_can_rotate_it() -> None:
    assert rights(files((policy(adopt=Adopt.WATCH),), "asr"))["secret/data/+"] == WRITE


def test_two_policies_that_cover_one_path_make_one_rule() -> None:
    two = files((policy("v/{slug}", name="one"), policy("v/{key_id}", name="two", adopt=Adopt.WATCH)), "asr")
    rules = [rule for rule in needed_by(two) if rule.path == "secret/data/v/+"]

    assert [(rule.capabilities, rule.reasons) for rule in rules] == [(WRITE, ("policy one", "policy two"))]


def test_the_credential_of_a_provider_is_read() -> None:
    file = files((), "asr")
    reference = VaultReference(mount="kv", path="rotator/management", field="key")

    assert rights(replace(file, providers=(replace(file.providers[0], credential=reference),))) == {
        "kv/data/rotator/management": READ
    }


@pytest.mark.parametrize(
    ("template", "path", "gains"),
    [
        ("v/{slug}", "v/x", True),
        ("v/key-{slug}", "v/key-1", True),
        ("v/key-{slug}", "v/key-1/2", True),
        ("v/{slug}/api", "v/x/api", True),
        ("v/{slug}/{key_id}", "v/x/y", True),
        ("v/{slug}/key-{key_id}", "v/x/key-1", True),
        ("v/key-{slug}", "v/other", False),
        ("v/{slug}", "w/x", False),
        ("v/{slug}", "v/x/y", False),
        ("v/{slug}/api", "v/x/tts", False),
    ],
)
def test_a_rule_that_takes_the_place_of_a_wider_one_has_its_rights(
    template: str, path: str, *, gains: bool
) -> None:
    """Vault takes the most specific rule alone, and it may be a key's comment that leads to a credential's entry."""
    file = files((policy(template),), "asr")
    reference = VaultReference(mount="secret", path=path, field="key")
    found = rights(replace(file, providers=(replace(file.providers[0], credential=reference),)))

    assert found[f"secret/data/{path}"] == (WRITE if gains else READ)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("a/+", "a/+", True),
        ("a/key-*", "a/+", True),
        ("a/k*", "a/key-*", True),
        ("a/+/x", "a/y/+", True),
        ("a/key-*", "a/+/x", True),
        ("a/a-*", "a/b-*", False),
        ("a/+/x", "a/+/y", False),
        ("a/+", "a/+/+", False),
        ("a/b", "a/b/c*", False),
    ],
)
def test_whether_two_rules_meet(one: str, other: str, *, meet: bool) -> None:
    assert rights_meet(one, other) is meet
    assert rights_meet(other, one) is meet
