"""Who takes which key of one project, and where it goes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from rotator.inventory.match import Project, Taken, covering, elsewhere, expected_lineage, taken_by
from rotator.model.entry import FieldNames, Place
from rotator.model.key import Key, Listing, Mark
from rotator.model.lineage import Lineage
from rotator.model.record import KnownKey, Record
from rotator.policy.match import Exclusion
from rotator.policy.policy import DestinationTemplate, Exempt, Policy, Select
from rotator.policy.settings import ProviderSettings, SecretReference, SecretSource
from tests.support.builders import (
    CURRENT,
    JOURNAL,
    MANAGEMENT,
    MEMBER,
    NOW,
    current,
    fresh_record,
    key,
    original,
    record,
)

ASR = Project(
    settings=ProviderSettings(
        name="asr",
        type="deepgram",
        project_id="project-1",
        base_url="https://api.example.com",
        credential=SecretReference(SecretSource.ENV, "KEY"),
    ),
    namespace="team",
)
ALL = Policy(
    name="all",
    providers=("asr",),
    select=Select(comment=("*",)),
    destination=DestinationTemplate(path="{provider}/{slug}"),
)
PINNED = Policy(name="pinned", providers=("asr",), keys=(("voice/gateway", "key-1"),))


def listing(*keys: Key) -> Listing:
    return Listing(keys=keys, at=NOW, seen_at=NOW, management_key_id=MANAGEMENT, management_member_id=MEMBER)


def taken(*keys: Key, policies: tuple[Policy, ...] = (ALL,), recorded: frozenset[str] = frozenset()) -> Taken:
    return taken_by(policies, ASR, listing(*keys), JOURNAL, recorded)


def paths(of: Taken) -> dict[str, set[str]]:
    return {of.lineages[lineage_id][0].path: keys for lineage_id, keys in of.keys_of.items()}


def lineage(path: str, *, project_id: str = "project-1", mount: str = "secret") -> Lineage:
    return Lineage(provider="asr", project_id=project_id, namespace="team", mount=mount, path=path)


def recorded(path: str, of: Record | None = None, *, mount: str = "secret") -> Record:
    return replace(of or record(), lineage=lineage(path, mount=mount))


def marked(path: str, *, comment: str = "voice") -> Key:
    return key("key-marked", comment=Mark(JOURNAL, lineage(path).lineage_id, "1" * 16).put_on(comment))


def test_each_key_gets_the_path_that_its_comment_gives() -> None:
    found = taken(key("key-1", comment="Gateway EU"), key("key-2", comment="ivr"))

    assert paths(found) == {"asr/gateway-eu": {"key-1"}, "asr/ivr": {"key-2"}}
    assert all(found.lineages[i][0].namespace == "team" for i in found.keys_of)


def test_two_keys_of_one_path_are_both_told() -> None:
    assert paths(taken(key("key-1"), key("key-2"))) == {"asr/voice": {"key-1", "key-2"}}


def test_a_key_that_two_policies_take_is_in_two_lineages() -> None:
    found = taken(key("key-1"), policies=(ALL, PINNED))

    assert paths(found) == {"asr/voice": {"key-1"}, "voice/gateway": {"key-1"}}
    assert found.policies_of == {"key-1": ["all", "pinned"]}


def test_policies_of_other_providers_take_nothing_and_exclude_nothing() -> None:
    found = taken(key(), policies=(replace(ALL, providers=("tts",)),))

    assert paths(found) == {}
    assert found.excluded == Counter()


def test_each_key_left_out_is_counted_once_by_what_tells_most() -> None:
    managing = replace(key("key-2"), scopes=frozenset({"keys:write"}))
    found = taken(
        key("key-1"),
        managing,
        key("key-3", comment="other"),
        recorded=frozenset({"key-1"}),
        policies=(replace(ALL, select=Select(comment=("voice",))), PINNED),
    )

    assert found.excluded == {
        Exclusion.NAMED_BY_RECORD: 1,
        Exclusion.MANAGES_KEYS: 1,
        Exclusion.NOT_SELECTED: 1,
    }


def test_a_key_that_one_policy_leaves_out_and_another_takes_is_taken() -> None:
    spared = replace(ALL, select=Select(comment=("*",), but=Exempt(tags=frozenset({"manual"}))))
    manual = replace(PINNED, keys=(), select=Select(tags=frozenset({"manual"})), destination=ALL.destination)
    hand_made = replace(key("key-1"), tags=frozenset({"manual"}))

    assert taken(hand_made, policies=(spared,)).excluded == {Exclusion.EXCEPTED: 1}
    found = taken(hand_made, policies=(spared, manual))
    assert (paths(found), found.excluded) == ({"asr/voice": {"key-1"}}, Counter())


def test_a_policy_of_several_providers_takes_from_each_what_is_there() -> None:
    both = replace(ALL, providers=("asr", "tts"))
    tts = replace(ASR, settings=replace(ASR.settings, name="tts", project_id="project-2"))

    assert paths(taken(key("key-1"), policies=(both,))) == {"asr/voice": {"key-1"}}
    found = taken_by((both,), tts, listing(key("key-2")), JOURNAL, frozenset())
    assert paths(found) == {"tts/voice": {"key-2"}}
    assert covering((both,), tts, recorded("tts/voice"), listing()) == (both,)


def test_a_key_that_gives_no_path_stops_no_other() -> None:
    found = taken(key("key-1", comment="x" * 500), key("key-2"))

    assert paths(found) == {"asr/voice": {"key-2"}}
    assert found.unplaced == ["key-1"]


def test_a_selecting_policy_covers_a_record_by_what_its_key_has_today() -> None:
    select = replace(ALL, select=Select(comment=("voice",), tags=frozenset({"prod"})))
    untagged = replace(CURRENT, tags=frozenset())

    assert covering((select,), ASR, recorded("asr/voice"), listing(CURRENT)) == (select,)
    assert covering((select,), ASR, recorded("asr/voice"), listing()) == (select,)
    assert covering((select,), ASR, recorded("asr/voice"), listing(untagged)) == ()
    spared = replace(ALL, select=Select(comment=("voice",), but=Exempt(tags=frozenset({"prod"}))))
    assert covering((spared,), ASR, recorded("asr/voice"), listing(CURRENT)) == ()
    assert covering((spared,), ASR, recorded("asr/voice"), listing(untagged)) == (spared,)
    assert (
        covering((replace(select, providers=("tts",)),), ASR, recorded("asr/voice"), listing(CURRENT)) == ()
    )


def test_a_pinned_lineage_is_covered_by_its_place() -> None:
    assert covering((PINNED,), ASR, recorded("voice/gateway"), listing()) == (PINNED,)
    assert covering((PINNED,), ASR, recorded("voice/other"), listing()) == ()
    assert covering((PINNED,), ASR, recorded("voice/gateway", mount="kv"), listing()) == ()


def moved(of: Record, *policies: Policy) -> bool:
    return bool(elsewhere(policies, ASR, of, covering(policies, ASR, of, listing())))


def test_a_lineage_where_the_policy_puts_it_has_not_moved() -> None:
    assert not moved(recorded("asr/voice"), ALL)
    assert not moved(recorded("voice/gateway"), PINNED)
    assert not moved(recorded("asr/voice"))


def test_another_mount_or_path_is_a_move() -> None:
    assert moved(recorded("asr/old-name"), ALL)
    assert moved(recorded("asr/voice", mount="kv"), ALL)


def test_a_move_leads_to_where_the_policy_puts_it_now_with_the_fields_of_that_policy() -> None:
    fields = FieldNames(secret="KEY")
    there = replace(ALL, destination=DestinationTemplate(mount="kv", path="{provider}/{slug}", fields=fields))
    pinned = replace(PINNED, keys=(("voice/new", "key-1"),))
    of = recorded("asr/voice")

    def places(*policies: Policy) -> list[tuple[str, str]]:
        found = elsewhere(policies, ASR, of, covering(policies, ASR, of, listing()))
        return [(one.policy.name, one.place.name if one.place else "") for one in found]

    assert places(there) == [("all", "kv/asr/voice")]
    assert elsewhere((there,), ASR, of, (there,))[0].place == Place(
        mount="kv", path="asr/voice", fields=fields
    )
    assert places(pinned) == [("pinned", "secret/voice/new")]
    assert places(there, pinned) == [("pinned", "secret/voice/new"), ("all", "kv/asr/voice")]


def test_a_key_pinned_to_another_place_is_a_move_however_often_it_was_replaced() -> None:
    elsewhere = replace(PINNED, keys=(("voice/new", "key-1"),))
    other_mount = replace(PINNED, destination=DestinationTemplate(mount="kv"))
    by_current = replace(PINNED, keys=(("voice/new", CURRENT.key_id),))
    adopted = recorded("voice/gateway", fresh_record(original(key("key-1"), superseded=None)))

    for of in (adopted, recorded("voice/gateway")):
        assert moved(of, elsewhere)
        assert moved(of, other_mount)
    assert moved(recorded("voice/gateway"), by_current)
    assert not moved(replace(recorded("voice/gateway"), first_key_id="key-2"), elsewhere)


def test_two_pinned_keys_whose_paths_were_exchanged_have_both_moved() -> None:
    exchanged = replace(PINNED, keys=(("voice/gateway", "key-2"), ("voice/ivr", "key-1")))

    assert moved(recorded("voice/gateway"), exchanged)
    assert moved(replace(recorded("voice/ivr"), first_key_id="key-2"), exchanged)


def test_a_key_pinned_elsewhere_has_moved_though_a_selector_still_takes_it() -> None:
    assert moved(recorded("asr/voice"), ALL, PINNED)


def test_a_path_made_of_the_first_keys_id_does_not_move_with_each_rotation() -> None:
    by_id = replace(ALL, destination=DestinationTemplate(path="{key_id}"))

    assert not moved(recorded("key-1"), by_id)
    assert moved(recorded(CURRENT.key_id), by_id)


def test_a_comment_that_gives_no_slug_does_not_move_with_each_rotation() -> None:
    nameless = KnownKey.seen(replace(CURRENT, comment="\u20ac \u2026"))
    of = replace(record(), current=replace(current(), key=nameless), first_key_id="0123456789")

    assert not moved(recorded("asr/key-01234567", of), ALL)
    assert moved(recorded("asr/key-current", of), ALL)


def test_a_comment_that_gives_no_path_any_more_is_a_move() -> None:
    long = replace(CURRENT, comment="x" * 500)
    of = recorded("asr/voice", replace(record(), current=replace(current(), key=KnownKey.seen(long))))

    assert moved(of, ALL)


def test_a_mark_leads_to_the_lineage_that_the_policy_gives() -> None:
    assert expected_lineage(ALL, ASR, marked("asr/voice")) == lineage("asr/voice")
    assert expected_lineage(PINNED, ASR, marked("voice/gateway")) == lineage("voice/gateway")


def test_a_mark_of_another_lineage_leads_nowhere() -> None:
    assert expected_lineage(ALL, ASR, marked("asr/other")) is None
    assert expected_lineage(ALL, ASR, marked("asr/voice", comment="x" * 500)) is None
    assert expected_lineage(ALL, ASR, key()) is None
    assert expected_lineage(replace(ALL, providers=("tts",)), ASR, marked("asr/voice")) is None
    unselected = replace(ALL, select=Select(comment=("ivr",)))
    assert expected_lineage(unselected, ASR, marked("asr/voice")) is None
