"""The file to start from: it loads as it is, whatever the comments of keys hold, and it names each key once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.cli.stub import text_of
from rotator.inventory.discover import Discovered, discover
from rotator.inventory.records import Records
from rotator.model.key import Key
from rotator.model.record import Record
from rotator.policy.load import load
from rotator.policy.policy import Adopt, Policy
from rotator.policy.settings import PolicyFile
from rotator.ports import RecordRead
from tests.core.test_fleet import FakeProvider, policy, serving
from tests.core.test_fleet import file as files
from tests.support.builders import DAY, HOUR, JOURNAL, MANAGEMENT, NOW, key

HEAD = """\
version: 1
vault: {address: "http://127.0.0.1:8200", auth: {token: {env: VAULT_TOKEN}}}
providers:
  asr: {type: deepgram, project_id: project-asr, credential: {env: KEY}}
  tts: {type: deepgram, project_id: project-tts, credential: {env: KEY}}
"""
NO_RECORDS = Records(read={}, refused=frozenset(), newer=frozenset(), waiting=frozenset(), troubles=())


def read(*records: Record) -> Records:
    return replace(NO_RECORDS, read={r.lineage.lineage_id: RecordRead(r, 1, NOW, NOW) for r in records})


async def found(
    file: PolicyFile, records: Records | None = NO_RECORDS, **keys: tuple[Key, ...]
) -> dict[str, Discovered]:
    """Discover what providers of these names have."""
    providers = {name: FakeProvider(some) for name, some in keys.items()}
    seen, _ = await discover(
        file, providers, records, journal_id=JOURNAL, namespace="", older_than=timedelta(days=90)
    )
    return dict(seen)


async def stub(
    *keys: Key,
    policies: tuple[Policy, ...] = (),
    records: Records | None = NO_RECORDS,
    tts: tuple[Key, ...] = (),
) -> tuple[str, dict[str, dict[str, str]]]:
    """Return the text, and what each policy in it names once it is loaded: paths by key ids."""
    file = files(policies, "asr", "tts")
    text = text_of(
        file, await found(file, records, asr=keys, tts=tts), NOW, lineages_known=records is not None
    )
    loaded = load((HEAD + text).encode(), name="stub.yaml")
    assert all(one.adopt is Adopt.WATCH for one in loaded.policies)
    return text, {one.name: {key_id: path for path, key_id in one.keys} for one in loaded.policies}


async def test_nothing_to_name_is_a_file_all_the_same() -> None:
    text, loaded = await stub()

    assert "policies: []" in text
    assert loaded == {}


async def test_each_provider_has_one_policy_with_paths_by_the_slug_rule() -> None:
    _, loaded = await stub(
        key("8f14e45f-1", comment="Voice Gateway (EU)"),
        key("0a-2", comment="ivr"),
        tts=(key("b-3", comment=""),),
    )

    assert loaded == {
        "asr-found": {
            "8f14e45f-1": "deepgram/asr/voice-gateway-eu",
            "0a-2": "deepgram/asr/ivr",
        },
        "tts-found": {"b-3": "deepgram/tts/key-b-3"},
    }


async def test_keys_of_one_slug_get_a_part_of_their_ids() -> None:
    _, loaded = await stub(
        key("8F14e45f-ceea", comment="voice"),
        key("c4ca4238-a0b9", comment="Voice!"),
        key("c4ca4238-ffff", comment="voice "),
        key("other", comment="ivr"),
    )

    assert loaded["asr-found"] == {
        "8F14e45f-ceea": "deepgram/asr/voice-8f14e45f",
        "c4ca4238-a0b9": "deepgram/asr/voice-c4ca4238",
        "c4ca4238-ffff": "deepgram/asr/key-c4ca4238-ffff",
        "other": "deepgram/asr/ivr",
    }


async def test_a_comment_too_long_for_a_path_is_replaced() -> None:
    _, loaded = await stub(key("8f14e45f-1", comment="x" * 1000))

    assert loaded["asr-found"] == {"8f14e45f-1": "deepgram/asr/key-8f14e45f-1"}


async def test_what_policies_and_lineages_have_is_neither_named_again_nor_its_path_taken() -> None:
    mine = replace(policy("mine", comment="taken", path="deepgram/asr/fixed"), keys=())
    pinned = Policy(name="asr-found", providers=("asr",), keys=(("deepgram/asr/pinned", "key-elsewhere"),))
    served = key("key-served", comment="served")
    _, loaded = await stub(
        key("key-taken", comment="taken"),
        served,
        key("aaaaaaaa-1", comment="served"),
        key("bbbbbbbb-2", comment="pinned"),
        key("cccccccc-3", comment="fixed"),
        policies=(mine, pinned),
        records=read(serving("deepgram/asr/served", served)),
    )

    assert loaded == {
        "asr-found-2": {
            "aaaaaaaa-1": "deepgram/asr/served-aaaaaaaa",
            "bbbbbbbb-2": "deepgram/asr/pinned-bbbbbbbb",
            "cccccccc-3": "deepgram/asr/fixed-cccccccc",
        }
    }


async def test_what_a_policy_may_not_take_is_a_comment_that_says_why() -> None:
    text, loaded = await stub(
        replace(key("key-managing"), scopes=frozenset({"keys:write"})),
        replace(key("key-licence"), scopes=frozenset({"self-hosted:products"})),
        key("key-expired", age=100 * DAY),
        key("key-short", age=HOUR, lifetime=2 * HOUR),
        key(MANAGEMENT, comment="rotator itself"),
    )

    assert loaded == {}
    lines = text.splitlines()
    for key_id, why in (
        ("key-managing", "can manage keys"),
        ("key-licence", "a licence of a self-hosted installation"),
        ("key-expired", "expired"),
        ("key-short", "temporary"),
        (MANAGEMENT, "the management key that rotator uses"),
    ):
        (at,) = (number for number, line in enumerate(lines) if key_id in line)
        assert why in lines[at - 1]
        assert lines[at].startswith("  #")
    assert "may do more than usage: keys:write" in text


async def test_of_many_temporary_keys_some_are_shown() -> None:
    text, _ = await stub(*(key(f"key-{n}", age=HOUR, lifetime=2 * HOUR) for n in range(1000)))

    assert text.count("made 1h ago") == 20
    assert "and 980 more" in text


async def test_age_expiry_tags_and_a_key_that_is_never_due_are_told() -> None:
    text, _ = await stub(key("key-1", age=10 * DAY), key("key-2", lifetime=None, comment="endless"))

    assert '"voice", made 10d ago, expires in 80d, tags prod' in text
    assert '"endless", made 10d ago, never expires' in text
    assert "# max_age: 365d    # 1 of these never expires" in text


async def test_without_the_journal_it_says_what_is_not_known() -> None:
    text, loaded = await stub(key("key-1"), records=None)

    assert "Vault could not be read" in text
    assert loaded["asr-found"] == {"key-1": "deepgram/asr/voice"}


HOSTILE = (
    "x\n  - name: evil\n    provider: asr\n    keys: {a: b}",
    "x\r  - name: evil",
    "x\x85  - name: evil",
    "x\u2028  - name: evil",
    "x\u2029y",
    "\x1b[2Jgone\x00",
    '"}] : &a *a !t %y @z',
    "\ufeff\ufffe\U000e0001",
    "[rotator:1:zz",
)


@pytest.mark.parametrize("comment", HOSTILE)
async def test_no_comment_breaks_out_of_its_line(comment: str) -> None:
    hostile = replace(key("8f14e45f-1", comment=comment), tags=frozenset({comment}))
    barred = replace(hostile, key_id="key-barred", scopes=frozenset({f"keys:write{comment}", "keys:write"}))
    text, loaded = await stub(hostile, barred)

    assert set(loaded) == {"asr-found"}
    assert list(loaded["asr-found"]) == ["8f14e45f-1"]
    assert all(line.isprintable() for line in text.split("\n"))


@given(st.lists(st.text(max_size=60), max_size=6))
async def test_any_comments_give_a_file_that_loads_and_names_each_key_once(comments: list[str]) -> None:
    keys = [key(f"8f14e45f-{number}", comment=comment) for number, comment in enumerate(comments)]
    unmarked = [one for one in keys if one.mark is None]
    _, loaded = await stub(*keys)
    named = loaded.get("asr-found", {})

    assert set(named) == {one.key_id for one in unmarked}
    assert len(set(named.values())) == len(named)
