from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.model.key import Key, Mark
from rotator.policy.match import Exclusion, destination_path, selects, slug, takes
from rotator.policy.names import PATH
from rotator.policy.policy import DestinationTemplate, Exempt, Policy, Select
from rotator.policy.settings import ProviderSettings, SecretReference, SecretSource

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
JOURNAL = "0123456789ab"
EVERY = Policy(name="all", providers=("asr",), select=Select(comment=("*",)))
PROVIDER = ProviderSettings(
    name="asr",
    type="deepgram",
    project_id="p-1",
    base_url="https://api.deepgram.com",
    credential=SecretReference(SecretSource.ENV, "KEY"),
)
KEY = Key(
    key_id="8f14e45f-ceea",
    comment="Gateway EU",
    scopes=frozenset({"usage:write", "member"}),
    tags=frozenset({"prod", "eu"}),
    created_at=NOW - timedelta(days=10),
    expires_at=NOW + timedelta(days=80),
    member_id="m-1",
)


def verdict(
    policy: Policy = EVERY,
    key: Key = KEY,
    *,
    recorded: frozenset[str] = frozenset(),
    management_key_id: str | None = "manager",
) -> Exclusion | None:
    return takes(
        policy, key, now=NOW, journal_id=JOURNAL, recorded=recorded, management_key_id=management_key_id
    )


def marked(journal_id: str) -> Key:
    return replace(KEY, comment=Mark(journal_id, "c" * 12, "d" * 16).put_on(KEY.comment))


@pytest.mark.parametrize(
    ("select", "taken"),
    [
        (Select(comment=("*",)), True),
        (Select(comment=("Gateway *",)), True),
        (Select(comment=("gateway *",)), False),
        (Select(comment=("Gateway",)), False),
        (Select(comment=("nothing", "*EU")), True),
        (Select(tags=frozenset({"prod"})), True),
        (Select(tags=frozenset({"prod", "us"})), False),
        (Select(scopes=frozenset({"usage:write"})), True),
        (Select(scopes=frozenset({"usage:read"})), False),
        (Select(comment=("*",), tags=frozenset({"us"})), False),
    ],
)
def test_all_that_is_given_must_hold(select: Select, taken: bool) -> None:  # noqa: FBT001 (a column)
    found = verdict(replace(EVERY, select=select))
    assert found is (None if taken else Exclusion.NOT_SELECTED)


@pytest.mark.parametrize(
    ("but", "left_out"),
    [
        (Exempt(), False),
        (Exempt(comment=("Gateway *",)), True),
        (Exempt(comment=("gateway *", "*-tmp")), False),
        (Exempt(comment=("nothing", "*EU")), True),
        (Exempt(tags=frozenset({"prod"})), True),
        (Exempt(tags=frozenset({"prod", "us"})), True),
        (Exempt(tags=frozenset({"us"})), False),
        (Exempt(scopes=frozenset({"member", "admin"})), True),
        (Exempt(scopes=frozenset({"admin"})), False),
        (Exempt(comment=("nothing",), tags=frozenset({"us"}), scopes=frozenset({"member"})), True),
        (Exempt(comment=("nothing",), tags=frozenset({"us"}), scopes=frozenset({"admin"})), False),
    ],
)
def test_a_key_is_left_out_when_any_of_what_is_excepted_holds(
    but: Exempt,
    left_out: bool,  # noqa: FBT001 (a column)
) -> None:
    select = Select(comment=("*",), but=but)
    assert verdict(replace(EVERY, select=select)) is (Exclusion.EXCEPTED if left_out else None)
    assert selects(select, KEY) is not left_out


def test_an_exception_sees_no_mark_of_ours_and_hides_nothing_that_tells_more() -> None:
    policy = replace(EVERY, select=Select(comment=("*",), but=Exempt(comment=("Gateway EU",))))
    mine = marked(JOURNAL)
    assert policy.select
    assert not selects(policy.select, mine)
    assert verdict(policy, mine) is Exclusion.MARKED
    assert verdict(policy, marked("f" * 12)) is Exclusion.CLAIMED_ELSEWHERE
    assert verdict(policy, recorded=frozenset({KEY.key_id})) is Exclusion.NAMED_BY_RECORD
    assert verdict(policy, replace(KEY, expires_at=NOW)) is Exclusion.EXCEPTED
    unselected = replace(EVERY, select=Select(comment=("ivr",), but=Exempt(comment=("Gateway EU",))))
    assert verdict(unselected) is Exclusion.NOT_SELECTED


@pytest.mark.promise("P4")
@pytest.mark.parametrize(
    ("key", "exclusion"),
    [
        (replace(KEY, expires_at=None), None),
        (replace(KEY, expires_at=NOW), Exclusion.EXPIRED),
        (replace(KEY, expires_at=NOW + timedelta(seconds=1)), None),
        (
            replace(KEY, created_at=NOW, expires_at=NOW + timedelta(hours=24, seconds=-1)),
            Exclusion.TEMPORARY,
        ),
        (replace(KEY, created_at=NOW, expires_at=NOW + timedelta(hours=24)), None),
        (replace(KEY, scopes=frozenset({"self-hosted:products"})), Exclusion.LICENCE_KEY),
        (replace(KEY, scopes=frozenset({"onprem:products"})), Exclusion.LICENCE_KEY),
        (replace(KEY, scopes=frozenset({"keys:write"})), Exclusion.MANAGES_KEYS),
        (replace(KEY, scopes=frozenset({"owner"})), Exclusion.MANAGES_KEYS),
        (replace(KEY, scopes=frozenset({"admin", "member"})), Exclusion.MANAGES_KEYS),
        (replace(KEY, scopes=frozenset({"keys:read", "member"})), None),
        (replace(KEY, key_id="manager"), Exclusion.MANAGEMENT_KEY),
        (marked(JOURNAL), Exclusion.MARKED),
        (marked("f" * 12), Exclusion.CLAIMED_ELSEWHERE),
    ],
)
def test_what_a_selector_never_takes(key: Key, exclusion: Exclusion | None) -> None:
    assert verdict(key=key) is exclusion


def test_a_key_that_a_record_names_is_taken_already() -> None:
    assert verdict(recorded=frozenset({KEY.key_id})) is Exclusion.NAMED_BY_RECORD


@pytest.mark.parametrize(
    ("change", "exclusion"),
    [
        ({}, None),
        ({"scopes": frozenset({"owner"})}, None),
        ({"key_id": "manager"}, None),
        ({"key_id": "other"}, Exclusion.NOT_SELECTED),
        ({"expires_at": NOW}, Exclusion.EXPIRED),
        ({"scopes": frozenset({"self-hosted:x"})}, Exclusion.LICENCE_KEY),
        ({"comment": marked("f" * 12).comment}, Exclusion.CLAIMED_ELSEWHERE),
    ],
)
def test_a_key_named_by_id_may_manage_keys(change: dict[str, object], exclusion: Exclusion | None) -> None:
    policy = Policy(name="n", providers=("asr",), keys=(("a/b", KEY.key_id), ("a/c", "manager")))
    key = replace(KEY, **change)  # type: ignore[arg-type]
    assert verdict(policy, key) is exclusion


def test_a_selector_does_not_see_our_mark() -> None:
    policy = replace(EVERY, select=Select(comment=("Gateway EU",)))
    assert verdict(policy, marked(JOURNAL)) is Exclusion.MARKED
    assert verdict(replace(EVERY, select=Select(comment=("*rotator*",))), marked(JOURNAL)) is (
        Exclusion.NOT_SELECTED
    )


@pytest.mark.parametrize(
    ("comment", "made"),
    [
        ("gateway", "gateway"),
        ("Gateway EU/2", "gateway-eu-2"),
        ("  (CI) voice__bot!! ", "ci-voice-bot"),
        ("Überwachung", "berwachung"),
        ("../../etc", "etc"),
        ("", "key-8f14e45f"),
        ("日本", "key-8f14e45f"),
    ],
)
def test_a_slug_is_made_of_the_comment_or_the_id(comment: str, made: str) -> None:
    assert slug(comment, "8F14E45F-ceea-467f") == made


def test_a_path_is_filled_in_from_the_first_key() -> None:
    path = "{policy}/{provider}/{project_id}/{slug}/{key_id}"
    policy = replace(EVERY, destination=DestinationTemplate(path=path))
    assert destination_path(policy, PROVIDER, marked(JOURNAL)) == "all/asr/p-1/gateway-eu/8f14e45f-ceea"


def test_a_key_named_by_id_goes_to_its_own_path() -> None:
    policy = Policy(name="n", providers=("asr",), keys=(("a/b", "other"), ("a/c", KEY.key_id)))
    assert destination_path(policy, PROVIDER, KEY) == "a/c"


@pytest.mark.parametrize("key_id", ["..", "a/../b", "a/b", "a b", ""])
def test_an_id_that_makes_no_path_is_refused(key_id: str) -> None:
    policy = replace(EVERY, destination=DestinationTemplate(path="x/{key_id}"))
    with pytest.raises(ValueError, match=r"^the id of a key of provider asr makes no allowed path$"):
        destination_path(policy, PROVIDER, replace(KEY, key_id=key_id))


@given(st.text(), st.text())
def test_whatever_people_write_makes_one_segment_of_a_path(comment: str, key_id: str) -> None:
    made = slug(comment, key_id)
    assert PATH.fits(made[:400])
    assert "/" not in made
