"""What only a look at all lineages together can show, on a journal and providers made of dictionaries."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from rotator.errors import Denied, PortError, Rejected, Throttled, TooNew, Unavailable
from rotator.inventory.fleet import Fleet, Found, survey
from rotator.model.entry import FieldNames, Place
from rotator.model.key import Key, KeyRequest, Listing, Mark, Unreadable
from rotator.model.lineage import Lineage
from rotator.model.order import Pause
from rotator.model.reason import HoldReason
from rotator.model.record import Copied, KnownKey, Record
from rotator.model.secret import Secret
from rotator.policy.match import Exclusion
from rotator.policy.policy import Adopt, DestinationTemplate, Policy, Select
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
from rotator.ports import Control, LastUse, ManagementKey, Minted, Proof, RecordRead
from tests.support.builders import (
    JOURNAL,
    MANAGEMENT,
    MEMBER,
    NOW,
    current,
    key,
    paused,
    previous,
    record,
    unreadable,
)

REFERENCE = SecretReference(SecretSource.ENV, "NAME")


def policy(name: str = "all", *, provider: str = "asr", comment: str = "*", path: str = "{slug}") -> Policy:
    return Policy(
        name=name,
        providers=(provider,),
        select=Select(comment=(comment,)),
        adopt=Adopt.WHEN_DUE,
        destination=DestinationTemplate(path=path),
    )


def lineage(path: str, *, provider: str = "asr") -> Lineage:
    return Lineage(
        provider=provider, project_id=f"project-{provider}", namespace="", mount="secret", path=path
    )


def mark_on(path: str, comment: str, *, journal_id: str = JOURNAL) -> str:
    return Mark(journal_id, lineage(path).lineage_id, "1" * 16).put_on(comment)


def serving(path: str, served: Key, *, provider: str = "asr", old: str | None = None) -> Record:
    """Return the record of a lineage that serves a key."""
    of = record(serves=replace(current(), key=KnownKey.seen(served)), previous=[previous(old)] if old else [])
    return replace(of, lineage=lineage(path, provider=provider))


@dataclass
class FakeProvider:
    keys: tuple[Key, ...] = ()
    fails: PortError | None = None
    unreadable: tuple[Unreadable, ...] = ()

    async def list_keys(self) -> Listing:
        if self.fails:
            raise self.fails
        return Listing(
            keys=self.keys,
            at=NOW,
            seen_at=NOW,
            management_key_id=MANAGEMENT,
            management_member_id=MEMBER,
            unreadable=self.unreadable,
        )

    async def get_key(self, key_id: str) -> Key:
        raise NotImplementedError

    async def create_key(self, request: KeyRequest) -> Minted:
        raise NotImplementedError

    async def revoke_key(self, key_id: str) -> None:
        raise NotImplementedError

    async def prove(self, secret: Secret) -> Proof:
        raise NotImplementedError

    async def last_used(self, key_id: str) -> LastUse:
        raise NotImplementedError

    async def management_key(self) -> ManagementKey:
        raise NotImplementedError


@dataclass
class FakeJournal:
    records: dict[str, Record | PortError] = field(default_factory=dict)
    fails: PortError | None = None

    async def names(self) -> tuple[str, ...]:
        if self.fails:
            raise self.fails
        return tuple(self.records)

    async def read(self, name: str) -> RecordRead:
        found = self.records.get(name)
        if isinstance(found, PortError):
            raise found
        return RecordRead(found, 1, NOW, NOW)

    async def control(self) -> Control | None:
        raise NotImplementedError

    async def write_control(self, control: Control) -> None:
        raise NotImplementedError

    async def write(self, record: Record, *, base: int) -> int:
        raise NotImplementedError


def file(policies: tuple[Policy, ...], *providers: str) -> PolicyFile:
    return PolicyFile(
        instance="test",
        vault=VaultSettings(
            address=None,
            namespace=None,
            ca_cert=None,
            auth=TokenAuth(token=REFERENCE),
            journal_mount="secret",
            journal_prefix="r",
        ),
        runtime=RuntimeSettings(
            claim_ttl=timedelta(minutes=1), call_timeout=timedelta(seconds=1), concurrency=1
        ),
        limits=LimitSettings(),
        providers=tuple(
            ProviderSettings(
                name=name,
                type="deepgram",
                project_id=f"project-{name}",
                base_url="https://api.example.com",
                credential=REFERENCE,
            )
            for name in providers
        ),
        policies=policies,
    )


async def seen(
    *records: Record | tuple[str, PortError],
    keys: tuple[Key, ...] = (),
    policies: tuple[Policy, ...] = (policy(),),
    others: dict[str, FakeProvider] | None = None,
    unread: tuple[Key, ...] = (),
    pauses: tuple[Pause, ...] = (),
) -> Fleet:
    """Survey a fleet whose provider `asr` lists `keys`, and `unread` without their details."""
    asr = FakeProvider(keys, unreadable=tuple(unreadable(key) for key in unread))
    providers = {"asr": asr, **(others or {})}
    journal = FakeJournal(
        {r.lineage.record_name: r for r in records if isinstance(r, Record)}
        | {r[0]: r[1] for r in records if isinstance(r, tuple)}
    )
    return await survey(
        file(policies, *providers), providers, journal, journal_id=JOURNAL, namespace="", pauses=pauses
    )


def by_path(fleet: Fleet) -> dict[str, Found]:
    found = {one.assignment.lineage.path: one for one in fleet.found}
    assert len(found) == len(fleet.found)
    return found


def holds(fleet: Fleet) -> dict[str, HoldReason | None]:
    return {path: one.assignment.fleet_hold for path, one in by_path(fleet).items()}


def details(fleet: Fleet) -> dict[str, str]:
    return {path: one.assignment.fleet_hold_detail for path, one in by_path(fleet).items()}


async def test_a_new_key_becomes_a_lineage_without_a_record() -> None:
    fleet = await seen(keys=(key("key-1", comment="voice"),))

    (found,) = fleet.found
    assert found.assignment.lineage == lineage("voice")
    assert (found.assignment.matched_key_id, found.record, found.provider) == ("key-1", None, "asr")
    assert found.assignment.fleet_hold is None
    assert (fleet.strays, fleet.troubles) == ((), ())


async def test_a_record_keeps_its_lineage_and_knows_what_others_serve() -> None:
    one, two = key("key-1", comment="one"), key("key-2", comment="two")
    fleet = await seen(
        serving("one", one, old="key-old"), serving("two", two), keys=(one, two, key("key-old"))
    )

    found = by_path(fleet)["one"]
    assert found.record is not None
    assert found.assignment.matched_key_id is None
    assert found.assignment.policy.name == "all"
    assert found.assignment.currents_elsewhere == frozenset()
    assert fleet.excluded["asr"] == {Exclusion.NAMED_BY_RECORD: 3}
    assert holds(fleet) == {"one": None, "two": None}


@pytest.mark.promise("P4")
async def test_a_record_knows_which_of_its_keys_another_lineage_serves() -> None:
    one, two = key("key-1", comment="one"), key("key-2", comment="two")
    fleet = await seen(
        serving("one", one, old="key-2"), serving("two", two, old="key-old"), keys=(one, two, key("key-old"))
    )

    assert by_path(fleet)["one"].assignment.currents_elsewhere == frozenset({"key-2"})
    assert by_path(fleet)["two"].assignment.currents_elsewhere == frozenset()


async def test_a_record_that_no_policy_covers_is_only_watched_by_its_own_terms() -> None:
    one = key("key-1", comment="one")
    fleet = await seen(serving("one", one), keys=(one,), policies=(policy(comment="else"),))

    (found,) = fleet.found
    assert found.assignment.policy.adopt is Adopt.WATCH
    assert found.record is not None
    assert found.record.record is not None
    assert found.assignment.policy.destination.fields == found.record.record.fields


async def test_two_keys_of_one_path_are_held() -> None:
    fleet = await seen(keys=(key("key-1"), key("key-2"), key("key-3", comment="other")))

    assert holds(fleet) == {"voice": HoldReason.DESTINATION_CLASH, "other": None}
    assert details(fleet) == {"voice": "keys key-1 and key-2", "other": ""}


async def test_a_new_key_with_the_path_of_a_record_holds_it() -> None:
    one = key("key-1")
    fleet = await seen(serving("voice", one), keys=(one, key("key-2")))

    assert holds(fleet) == {"voice": HoldReason.DESTINATION_CLASH}
    assert details(fleet) == {"voice": "keys key-1 and key-2"}


@pytest.mark.promise("P4")
async def test_keys_of_two_projects_that_give_one_path_are_held() -> None:
    policies = (policy("a"), policy("b", provider="tts"))
    tts = FakeProvider((key("key-2"), key("key-3", comment="other")))
    fleet = await seen(keys=(key("key-1"),), policies=policies, others={"tts": tts})

    assert [(f.provider, f.assignment.lineage.path, f.assignment.fleet_hold) for f in fleet.found] == [
        ("tts", "other", None),
        ("asr", "voice", HoldReason.DESTINATION_CLASH),
        ("tts", "voice", HoldReason.DESTINATION_CLASH),
    ]
    assert {f.assignment.fleet_hold_detail for f in fleet.found[1:]} == {"keys key-1 at asr and key-2 at tts"}


async def test_a_key_that_two_policies_match_is_held_in_both() -> None:
    fleet = await seen(
        keys=(key("key-1"), key("key-2", comment="other")),
        policies=(policy("a"), policy("b", comment="voice", path="b/{slug}")),
    )

    assert holds(fleet) == {
        "voice": HoldReason.MATCHED_TWICE,
        "b/voice": HoldReason.MATCHED_TWICE,
        "other": None,
    }
    assert details(fleet) == {"voice": "policies a and b", "b/voice": "policies a and b", "other": ""}


async def test_a_record_that_two_policies_cover_is_held() -> None:
    one = key("key-1")
    fleet = await seen(serving("voice", one), keys=(one,), policies=(policy("a"), policy("b")))

    assert holds(fleet) == {"voice": HoldReason.MATCHED_TWICE}
    assert details(fleet) == {"voice": "policies a and b"}


async def test_a_changed_path_is_held() -> None:
    one = key("key-1")
    fleet = await seen(serving("voice", one), keys=(one,), policies=(policy(path="new/{slug}"),))

    assert holds(fleet) == {"voice": HoldReason.DESTINATION_MOVED}
    assert details(fleet) == {"voice": "places secret/new/voice"}
    (found,) = fleet.found
    assert found.assignment.moves_to == Place(mount="secret", path="new/voice", fields=FieldNames())
    assert found.assignment.policy.name == "all"


async def test_a_key_that_is_pinned_to_another_path_is_held_under_the_policy_that_does() -> None:
    one = key("key-1")
    pinned = replace(policy("pins"), select=None, keys=(("new", "key-1"),))
    (found,) = (await seen(serving("voice", one), keys=(one,), policies=(pinned,))).found

    assert found.assignment.fleet_hold is HoldReason.DESTINATION_MOVED
    assert (found.assignment.policy.name, found.assignment.fleet_hold_detail) == ("pins", "places secret/new")


def moved(of: Record, path: str, *, given_up: bool = False) -> Record:
    """Return the record of a lineage that was moved to another path, and serves the one before too."""
    began, to = of.place, replace(of.place, path=path)
    there = replace(of, lineage=of.lineage.at(to))
    return there if given_up else replace(there, publishes_at=began, also_at=(Copied(place=to),))


async def test_a_moved_lineage_is_named_by_its_present_place_and_held_no_more() -> None:
    one = key("key-1")
    pinned = replace(policy("pins"), select=None, keys=(("pinned", "key-1"),))
    selected = await seen(
        moved(serving("voice", one), "new/voice"), keys=(one,), policies=(policy(path="new/{slug}"),)
    )
    by_id = await seen(moved(serving("voice", one), "pinned"), keys=(one,), policies=(pinned,))

    assert holds(selected) == {"new/voice": None}
    assert by_path(selected)["new/voice"].assignment.policy.name == "all"
    assert holds(by_id) == {"pinned": None}
    assert by_path(by_id)["pinned"].assignment.policy.name == "pins"


async def test_a_file_that_still_names_the_place_before_holds_a_moved_lineage() -> None:
    one = key("key-1")
    fleet = await seen(moved(serving("voice", one), "new/voice"), keys=(one,))

    assert holds(fleet) == {"new/voice": HoldReason.DESTINATION_MOVED}
    assert details(fleet) == {"new/voice": "places secret/voice"}


async def test_a_file_that_names_several_places_leads_a_move_nowhere() -> None:
    one = key("key-1")
    pins = [replace(policy(f"pins-{path}"), select=None, keys=((path, "key-1"),)) for path in ("a", "b")]
    fleet = await seen(serving("voice", one), keys=(one,), policies=tuple(pins))

    assert details(fleet) == {"voice": "places secret/a and secret/b"}
    assert by_path(fleet)["voice"].assignment.moves_to is None


@pytest.mark.promise("P4")
async def test_a_place_that_another_lineage_has_or_wants_is_not_moved_to() -> None:
    one, two = key("key-1", comment="one"), key("key-2", comment="two")
    policies = (policy("a", comment="one", path="two"), policy("b", comment="two"))
    taken = await seen(serving("one", one), serving("two", two), keys=(one, two), policies=policies)
    both = tuple(policy(name, comment=name, path="new") for name in ("one", "two"))
    wanted = await seen(serving("one", one), serving("two", two), keys=(one, two), policies=both)

    assert holds(taken) == {"one": HoldReason.DESTINATION_CLASH, "two": None}
    assert details(taken)["one"] == "keys key-1 at asr and key-2 at asr"
    assert set(holds(wanted).values()) == {HoldReason.DESTINATION_CLASH}


@pytest.mark.promise("P4")
@pytest.mark.parametrize("path", ["voice", "new/voice"])
async def test_a_new_key_for_a_place_that_a_moved_lineage_serves_is_held_with_it(path: str) -> None:
    one, new = key("key-1"), key("key-2", comment="other")
    policies = (policy(comment="voice", path="new/{slug}"), policy("b", comment="other", path=path))
    fleet = await seen(moved(serving("voice", one), "new/voice"), keys=(one, new), policies=policies)

    assert {one.assignment.fleet_hold for one in fleet.found} == {HoldReason.DESTINATION_CLASH}
    assert {one.assignment.fleet_hold_detail.count("key-2") for one in fleet.found} == {1}


@pytest.mark.promise("P4", "P8")
async def test_a_new_key_for_a_place_that_was_given_up_is_told_and_stops_nobody() -> None:
    """The record and the marks of the lineage that began there are named by that place for ever."""
    one, new = key("key-1"), key("key-2", comment="other")
    policies = (policy(comment="voice", path="new/{slug}"), policy("b", comment="other", path="voice"))
    pinned = Policy(name="pins", providers=("asr",), keys=(("voice", "key-none"),))
    record = moved(serving("voice", one), "new/voice", given_up=True)
    fleet = await seen(record, keys=(one, new), policies=policies)
    missing = await seen(record, keys=(one,), policies=(*policies, pinned))

    assert holds(fleet) == {"new/voice": None}
    (trouble,) = fleet.troubles
    assert trouble.what == "key key-2 at asr"
    assert "lineage secret/new/voice began at secret/voice" in str(trouble.error)
    assert holds(missing) == {"new/voice": None}


async def test_a_missing_pinned_key_does_not_stand_for_the_lineage_that_was_moved_to_its_place() -> None:
    one = key("key-1")
    pinned = Policy(name="pins", providers=("asr",), keys=(("new/voice", "key-none"),))
    fleet = await seen(moved(serving("voice", one), "new/voice"), keys=(one,), policies=(pinned,))

    assert holds(fleet) == {"new/voice": None}


@pytest.mark.promise("P1")
@pytest.mark.parametrize(
    ("served", "absent", "held"), [(3, 3, True), (5, 3, True), (2, 2, False), (6, 3, False), (7, 4, True)]
)
async def test_when_most_keys_vanish_at_once_nothing_is_believed(
    served: int,
    absent: int,
    held: bool,  # noqa: FBT001 (a parameter of the table)
) -> None:
    keys = [key(f"key-{n}", comment=f"c{n}") for n in range(served)]
    fleet = await seen(*(serving(f"c{n}", k) for n, k in enumerate(keys)), keys=tuple(keys[absent:]))

    assert set(holds(fleet).values()) == {HoldReason.MANY_ABSENT if held else None}


@pytest.mark.promise("P4")
async def test_keys_of_forgotten_lineages_may_vanish_and_while_they_are_there_nobody_takes_them_in() -> None:
    keys = [key(f"key-{n}", comment=f"c{n}") for n in range(5)]
    records = [serving(f"c{n}", k) for n, k in enumerate(keys)]
    forgotten = [replace(one, forgotten=True) for one in records[:3]]
    fleet = await seen(*forgotten, *records[3:], keys=tuple(keys[3:]))
    assert set(holds(fleet).values()) == {None}

    alive = await seen(*forgotten, *records[3:], keys=tuple(keys))
    assert set(by_path(alive)) == {f"c{n}" for n in range(5)}
    assert alive.excluded["asr"] == {Exclusion.NAMED_BY_RECORD: 5}


@pytest.mark.promise("P1", "P4")
async def test_a_key_that_a_forgotten_lineage_serves_is_in_nobody_elses_way_to_be_deleted() -> None:
    shared = key("key-shared", comment="one")
    forgotten = replace(serving("one", shared), forgotten=True)
    fleet = await seen(
        forgotten, serving("two", key("key-2", comment="two"), old="key-shared"), keys=(shared,)
    )

    assert by_path(fleet)["two"].assignment.currents_elsewhere == frozenset({"key-shared"})


async def test_lineages_that_a_pause_names_are_paused_and_say_by_whom() -> None:
    keys = (key("key-1", comment="one"), key("key-2", comment="two"))
    fleet = await seen(serving("one", keys[0]), keys=keys, pauses=(paused("secret/t*"), paused("else")))

    said = {path: one.assignment.paused for path, one in by_path(fleet).items()}
    assert said == {"one": "", "two": "secret/t*, by ann@desk: a change"}


async def test_a_lineage_that_was_moved_stays_paused_by_the_name_that_it_had() -> None:
    one = key("key-1")
    fleet = await seen(
        moved(serving("voice", one), "new/voice"), keys=(one,), pauses=(paused("secret/voice"),)
    )

    assert {path: one.assignment.paused for path, one in by_path(fleet).items()} == {
        "new/voice": "secret/voice, by ann@desk: a change"
    }


@pytest.mark.promise("P1")
async def test_nothing_new_is_begun_where_most_keys_vanished() -> None:
    new, tts = key("key-new", comment="new"), FakeProvider((key("key-tts", comment="tts"),))
    gone = (serving(f"c{n}", key(f"key-{n}", comment=f"c{n}")) for n in range(3))
    policies = (policy(), policy("b", provider="tts"))
    fleet = await seen(*gone, keys=(new,), policies=policies, others={"tts": tts})

    assert holds(fleet)["new"] is HoldReason.MANY_ABSENT
    assert holds(fleet)["tts"] is None
    assert details(fleet)["new"] == details(fleet)["c0"] == "3 of 3"


@pytest.mark.promise("P8")
async def test_a_provider_that_cant_be_listed_stops_no_other() -> None:
    down = FakeProvider(fails=Unavailable("list keys", "project-tts", "503"))
    one = key("key-1", comment="one")
    fleet = await seen(
        serving("one", one), serving("two", key("key-2"), provider="tts"), keys=(one,), others={"tts": down}
    )

    assert list(holds(fleet)) == ["one"]
    assert [trouble.what for trouble in fleet.troubles] == ["provider tts"]
    assert "tts" not in fleet.listings


@pytest.mark.promise("P8")
async def test_a_record_of_a_provider_that_the_file_lost_is_told() -> None:
    fleet = await seen(serving("two", key("key-2"), provider="gone"))

    assert fleet.found == ()
    assert [trouble.what for trouble in fleet.troubles] == ["lineage secret/two"]


@pytest.mark.promise("P4")
async def test_nothing_is_taken_in_while_a_record_cant_be_read() -> None:
    """The record may name any key: one that is taken in twice would be revoked by one for the other."""
    one = key("key-1", comment="one")
    unreadable = (lineage("old-place").record_name, Rejected("read record", "x"))
    fleet = await seen(serving("one", one), unreadable, keys=(one, key("key-2", comment="two")))

    assert holds(fleet) == {"one": None, "two": HoldReason.RECORD_UNREADABLE}
    assert by_path(fleet)["one"].assignment.currents_elsewhere is None
    assert [trouble.what for trouble in fleet.troubles] == [f"record {unreadable[0]}"]


@pytest.mark.promise("P8")
async def test_what_only_records_of_a_newer_rotator_keep_from_being_taken_in_is_told_so() -> None:
    """A record that can't be read is to be rebuilt in the end, one of a newer rotator never."""
    newer = (lineage("old-place").record_name, TooNew("read record", "x"))
    garbled = (lineage("other-place").record_name, Rejected("read record", "x"))
    keys = (key("key-2", comment="two"),)

    assert holds(await seen(newer, keys=keys)) == {"two": HoldReason.RECORD_NEWER}
    assert holds(await seen(newer, garbled, keys=keys)) == {"two": HoldReason.RECORD_UNREADABLE}


@pytest.mark.promise("P4")
@pytest.mark.parametrize("error", [Unavailable("read record", "x"), Throttled("read record", "x")])
async def test_while_a_record_could_not_be_asked_for_what_it_may_name_waits(error: PortError) -> None:
    """The next sweep reads it; nothing is for a person to do."""
    one = key("key-1", comment="one")
    marked = key("key-3", comment=mark_on("voice", "voice"))
    pinned = replace(policy("pins"), select=None, keys=(("pinned", "key-none"),))
    unread = (lineage("voice").record_name, error)
    fleet = await seen(
        serving("one", one),
        unread,
        keys=(one, key("key-2", comment="two"), marked),
        policies=(policy(), pinned),
    )

    assert holds(fleet) == {"one": None}
    assert [trouble.error for trouble in fleet.troubles] == [error]
    assert fleet.strays == ()


@pytest.mark.promise("P8")
async def test_a_key_that_can_not_be_read_is_told_and_stops_no_other() -> None:
    one, new = key("key-1", comment="one"), key("key-2", comment="two")
    pins = Policy(name="pins", providers=("asr",), keys=(("pinned", "key-8"),))
    fleet = await seen(
        serving("one", one),
        keys=(new,),
        unread=(one, key("key-8", comment="eight"), key("key-9", comment="nine")),
        policies=(policy(), pins, policy("nothing", comment="no such")),
    )

    assert holds(fleet) == {"one": None, "two": None}
    assert [trouble.what for trouble in fleet.troubles] == [
        f"key key-{number} at asr" for number in (1, 8, 9)
    ]
    assert {str(trouble.error) for trouble in fleet.troubles} == {
        f"read key key-{number}: it is listed, but not shown: 500" for number in (1, 8, 9)
    }
    assert fleet.idle == ()


@pytest.mark.promise("P1")
async def test_keys_that_can_not_be_read_have_not_vanished() -> None:
    keys = [key(f"key-{number}", comment=f"c{number}") for number in range(3)]
    fleet = await seen(*(serving(f"c{n}", each) for n, each in enumerate(keys)), unread=tuple(keys))

    assert holds(fleet) == dict.fromkeys(["c0", "c1", "c2"])


@pytest.mark.promise("P8")
async def test_a_pinned_key_that_is_not_there_is_found_missing() -> None:
    one = key("key-1", comment="one")
    keys = (("pinned", "key-none"), ("there", "key-2"), ("one", "key-1"), ("begun", "key-first"))
    pins = Policy(name="pins", providers=("asr",), keys=keys)
    begun = replace(serving("begun", key("key-3", comment="begun")), first_key_id="key-first")
    fleet = await seen(serving("one", one), begun, keys=(one, key("key-2"), key("key-3")), policies=(pins,))

    assert holds(fleet) == dict.fromkeys(["begun", "one", "pinned", "there"])
    found = by_path(fleet)["pinned"]
    assert (found.assignment.matched_key_id, found.record, found.provider) == ("key-none", None, "asr")


@pytest.mark.promise("P8")
async def test_of_a_provider_that_could_not_be_listed_no_key_is_missing_and_no_policy_idle() -> None:
    down = FakeProvider(fails=Unavailable("list keys", "project-tts", "503"))
    pins = Policy(name="pins", providers=("tts",), keys=(("pinned", "key-none"),))
    fleet = await seen(policies=(pins, policy("b", provider="tts")), others={"tts": down})

    assert (fleet.found, fleet.idle) == ((), ())


@pytest.mark.promise("P8")
async def test_a_policy_that_selects_nothing_is_told() -> None:
    one = key("key-1", comment="one")
    policies = (
        policy("covers", comment="one"),
        policy("takes", comment="two"),
        policy("nothing", comment="three"),
        Policy(name="pins", providers=("asr",), keys=(("pinned", "key-none"),)),
    )
    fleet = await seen(serving("one", one), keys=(one, key("key-2", comment="two")), policies=policies)

    assert fleet.idle == ("nothing",)


async def test_marked_keys_without_a_record_lead_to_their_lineage() -> None:
    lost = key("key-1", comment=mark_on("voice", "voice"))
    fleet = await seen(keys=(lost, replace(lost, key_id="key-2")))

    (found,) = fleet.found
    assert (found.assignment.lineage, found.assignment.matched_key_id) == (lineage("voice"), None)
    assert fleet.strays == ()


async def test_a_pinned_lineage_that_lost_its_record_is_found_by_its_mark() -> None:
    lost = key("key-9", comment=mark_on("pinned", "any"))
    pinned = replace(policy(), select=None, keys=(("pinned", "key-1"),))
    fleet = await seen(keys=(lost,), policies=(pinned,))

    assert list(by_path(fleet)) == ["pinned"]
    assert fleet.strays == ()


@pytest.mark.promise("P8")
async def test_while_there_is_no_record_at_all_marks_of_a_journal_that_was_lost_lead_to_their_lineage() -> (
    None
):
    """Somebody began a journal anew, and the keys of the one before must not vanish from sight."""
    lost = key("key-1", comment=mark_on("voice", "voice", journal_id="f" * 12))
    one = key("key-2", comment="one")

    assert list(by_path(await seen(keys=(lost,)))) == ["voice"]
    assert list(by_path(await seen(serving("one", one), keys=(lost, one)))) == ["one"]


@pytest.mark.promise("P2")
async def test_a_marked_key_that_nothing_leads_to_is_a_stray() -> None:
    fleet = await seen(
        keys=(
            key("key-1", comment=mark_on("nowhere", "voice")),
            key("key-2", comment=mark_on("nowhere", "voice", journal_id="f" * 12)),
        )
    )

    assert [(stray.provider, stray.key.key_id) for stray in fleet.strays] == [("asr", "key-1")]
    assert fleet.excluded["asr"] == {Exclusion.MARKED: 1, Exclusion.CLAIMED_ELSEWHERE: 1}


@pytest.mark.promise("P4")
async def test_a_marked_key_of_an_unreadable_record_is_no_stray() -> None:
    """To tell a person to delete it could break the consumers that it serves."""
    unreadable = (lineage("by-id").record_name, Rejected("read record", "x"))
    fleet = await seen(unreadable, keys=(key("key-1", comment=mark_on("by-id", "voice")),))

    assert fleet.strays == ()
    assert len(fleet.troubles) == 1


@pytest.mark.promise("P8")
async def test_a_key_that_gives_no_path_is_told_and_stops_no_other() -> None:
    fleet = await seen(keys=(key("key-1", comment="x" * 500), key("key-2")))

    assert list(by_path(fleet)) == ["voice"]
    assert [trouble.what for trouble in fleet.troubles] == ["key key-1 at asr"]


async def test_without_the_journal_nothing_is_decided() -> None:
    journal = FakeJournal(fails=Denied("list records", "secret/r"))
    with pytest.raises(Denied):
        await survey(file((), "asr"), {"asr": FakeProvider()}, journal, journal_id="", namespace="")


async def test_a_bug_in_a_provider_is_not_taken_for_trouble() -> None:
    class Broken(FakeProvider):
        async def list_keys(self) -> Listing:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await seen(others={"tts": Broken()})
