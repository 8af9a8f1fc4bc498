"""What a person is shown of one lineage: its phase, its urgency, and the status that it gives."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from rotator.bootstrap import Connected
from rotator.cli import documents, exits, look, show, words
from rotator.cli.lines import Line, Report, strays_of, uncovered_of
from rotator.errors import (
    Ambiguous,
    Denied,
    InvariantViolation,
    PortError,
    Rejected,
    RotatorError,
    Throttled,
    Unavailable,
)
from rotator.inventory.fleet import Stray
from rotator.inventory.records import Trouble
from rotator.model.entry import Served, Verdict
from rotator.model.key import Mark
from rotator.model.reason import CopyReason, HoldReason, LeftReason, RevokeReason, RotateReason
from rotator.model.record import Claim
from rotator.model.secret import Secret
from rotator.model.snapshot import Snapshot
from rotator.plan.actions import Copy, Hold, Rotate
from rotator.plan.decide import decide
from rotator.plan.phase import Phase
from rotator.policy.match import Exclusion
from rotator.policy.policy import NO_POLICY, Adopt, DestinationTemplate, Freeze, Policy, Window
from rotator.policy.settings import ProviderSettings, SecretReference, SecretSource
from rotator.ports import Proof
from rotator.reconcile import Left
from tests.core.test_fleet import file as files
from tests.support.builders import (
    BEFORE_FIRST,
    CURRENT,
    DAY,
    HOUR,
    JOURNAL,
    LATER,
    LINEAGE,
    MINUTE,
    NOW,
    OTHER_FIELDS,
    POLICY,
    SETTLED,
    THERE,
    TICK,
    attempt,
    current,
    failure,
    hold,
    key,
    known,
    lying_about,
    made,
    moved,
    order,
    original,
    previous,
    record,
    snapshot,
    unrecorded,
    with_record,
)
from tests.support.fakes import (
    FakeDestinations,
    FakeJournal,
    FakeProvider,
    World,
    nothing,
    nothing_changes,
    settled,
)

NIGHTLY = Window(cron="0 2 * * *", length=HOUR, zone=ZoneInfo("UTC"))
WATCHING = replace(POLICY, adopt=Adopt.WATCH)
UNCOVERED = replace(WATCHING, name=NO_POLICY, fingerprint=NO_POLICY)
BY_OTHER_FIELDS = replace(POLICY, destination=DestinationTemplate(fields=OTHER_FIELDS.fields))
PINNED = replace(POLICY, keys=(("voice", "key-none"),))


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep sentences in one line."""
    monkeypatch.setenv("COLUMNS", "300")


def line(seen: Snapshot, policy: Policy = POLICY, *, error: PortError | None = None) -> Line:
    return Line(
        lineage=seen.lineage.name,
        provider=seen.lineage.provider,
        policy=policy,
        now=NOW,
        snapshot=seen,
        decision=decide(policy, seen, NOW),
        error=error,
    )


def unseen(error: RotatorError | None) -> Line:
    return replace(line(SETTLED), snapshot=None, decision=None, error=error)


def report(*lines: Line, strays: tuple[Stray, ...] = (), troubles: tuple[Trouble, ...] = ()) -> Report:
    excluded = {"asr": {Exclusion.TEMPORARY: 2}}
    return Report(
        now=NOW,
        lines=lines,
        excluded=excluded,
        idle=("empty",),
        strays=strays,
        uncovered=uncovered_of(lines),
        troubles=troubles,
    )


OVERLAPPING = snapshot(record(previous=[previous(superseded=HOUR)]))
RELEASED_LATER = snapshot(record(originals=[original(superseded=HOUR)]))
FAILED_REVOKE = with_record(OVERLAPPING, revoke_failure=failure(RevokeReason.OVERLAP_ENDED))
SERVED = current()
EXPIRING = replace(SERVED, key=replace(SERVED.key, expires_at=NOW + DAY))
BACKING_OFF = with_record(
    snapshot(record(serves=EXPIRING)), rotate_failure=failure(RotateReason.DUE_BY_EXPIRY)
)
LYING = lying_about(1)
NEVER_DUE = with_record(LYING, current=replace(SERVED, key=replace(SERVED.key, expires_at=None)))
HELD = replace(SETTLED, fleet_hold=HoldReason.MATCHED_TWICE)


@pytest.mark.promise("P8")
@pytest.mark.parametrize(
    ("shown", "phase", "status"),
    [
        (line(unrecorded(key())), Phase.UNADOPTED, exits.FINE),
        (line(unrecorded(key()), WATCHING), Phase.WATCHED, exits.FINE),
        (line(BEFORE_FIRST), Phase.ADOPTED, exits.FINE),
        (line(SETTLED), Phase.CURRENT, exits.FINE),
        (line(SETTLED, WATCHING), Phase.WATCHED, exits.FINE),
        (line(with_record(SETTLED, by_order=True), WATCHING), Phase.CURRENT, exits.FINE),
        (line(OVERLAPPING), Phase.OVERLAP, exits.FINE),
        (line(OVERLAPPING, WATCHING), Phase.OVERLAP, exits.FINE),
        (line(RELEASED_LATER), Phase.AWAITING_RELEASE, exits.FINE),
        (line(FAILED_REVOKE), Phase.FAILING, exits.FAILED),
        (line(FAILED_REVOKE, replace(POLICY, fingerprint="another")), Phase.OVERLAP, exits.FINE),
        (line(BACKING_OFF), Phase.FAILING, exits.FAILED),
        (line(replace(SETTLED, paused="*, by ann@desk: a change")), Phase.PAUSED, exits.FINE),
        (line(with_record(SETTLED, forgotten=True)), Phase.FORGOTTEN, exits.FINE),
        (line(HELD), Phase.HELD, exits.PERSON_NEEDED),
        (unseen(Unavailable("read entry", "secret/voice")), Phase.UNKNOWN, exits.TRY_AGAIN),
        (unseen(Denied("read entry", "secret/voice")), Phase.UNKNOWN, exits.FAILED),
        (line(SETTLED, error=Throttled("create key", "p")), Phase.FAILING, exits.TRY_AGAIN),
        (line(SETTLED, error=Ambiguous("create key", "p")), Phase.FAILING, exits.FAILED),
        (unseen(None), Phase.UNKNOWN, exits.FINE),
        (line(unrecorded(None), PINNED), Phase.UNADOPTED, exits.PERSON_NEEDED),
        (line(lying_about(1)), Phase.CURRENT, exits.FINE),
        (line(lying_about(1), WATCHING), Phase.WATCHED, exits.PERSON_NEEDED),
        (line(NEVER_DUE), Phase.CURRENT, exits.PERSON_NEEDED),
    ],
)
def test_each_phase_has_its_status(shown: Line, phase: Phase, status: int) -> None:
    assert (shown.phase, shown.status) == (phase, status)


def test_every_phase_is_reached_above() -> None:
    (marker,) = [m for m in test_each_phase_has_its_status.pytestmark if m.name == "parametrize"]  # type: ignore[attr-defined]

    assert {case[1] for case in marker.args[1]} == set(Phase)


def test_the_gravest_status_wins() -> None:
    stray = Stray(provider="asr", key=key())
    down = Trouble(what="provider tts", error=Unavailable("list keys", "p"))
    odd = Trouble(what="record x", error=Rejected("read record", "x"))

    assert report(line(SETTLED)).status == exits.FINE
    assert report(line(SETTLED), strays=(stray,)).status == exits.PERSON_NEEDED
    assert report(line(SETTLED), troubles=(down,)).status == exits.TRY_AGAIN
    assert report(line(HELD), troubles=(down,)).status == exits.PERSON_NEEDED
    assert report(line(HELD), strays=(stray,), troubles=(down, odd)).status == exits.FAILED


def test_trouble_comes_first_then_work_then_the_time_that_is_left() -> None:
    due = line(unrecorded(key(age=89 * DAY)), replace(POLICY, adopt=Adopt.NOW))
    soon = replace(line(SETTLED), lineage="secret/soon", policy=replace(POLICY, overlap=70 * DAY))
    lines = [line(SETTLED), soon, due, line(HELD)]

    assert sorted(lines, key=lambda one: one.urgency) == [lines[3], due, soon, lines[0]]


def test_an_unproven_key_with_the_mark_of_a_lineage_is_a_stray() -> None:
    copied = key("key-copied", comment=Mark(JOURNAL, LINEAGE.lineage_id, "f" * 16).put_on("voice"))
    seen = snapshot(record(), also=[copied])

    assert [stray.key.key_id for stray in strays_of([line(seen)])] == ["key-copied"]


def test_a_key_that_nobody_serves_is_shown_with_its_end() -> None:
    said = "key-orphan-0 at asr, made for secret/voice: "
    document = documents.of_report(report(line(LYING)))

    for text in (
        show.plan(report(line(LYING))),
        show.status(report(line(LYING))),
        show.once(report(line(LYING)), stopped=False),
    ):
        assert said + "leaves after the next publish" in text
    shown = " ".join(show.plan(report(line(NEVER_DUE))).split())
    assert said + "no rotation is to come" in shown
    assert "order one with `rotator rotate secret/voice`" in shown
    held = " ".join(show.plan(report(line(lying_about(3)))).split())
    assert said + "no rotation that would end it is to come while its lineage is held" in held
    assert "order one with" not in held
    assert document["unserved"] == [
        {
            "lineage": "secret/voice",
            "provider": "asr",
            "key_id": "key-orphan-0",
            "created_at": "2026-01-05T10:00:01Z",
            "expires_at": "2026-04-05T10:00:01Z",
            "needs_person": False,
        }
    ]


@pytest.mark.promise("P8")
def test_a_lineage_whose_policy_is_gone_is_shown_with_what_to_do() -> None:
    for show_it in (show.plan, show.status, partial(show.once, stopped=False)):
        shown = " ".join(show_it(report(line(SETTLED, UNCOVERED))).split())
        assert "Under no policy any more: secret/voice: nothing replaces its key any more" in shown
        assert "`rotator forget LINEAGE`" in shown
        assert "Under no policy" not in show_it(report(line(SETTLED)))
    assert report(line(SETTLED, UNCOVERED)).status == exits.PERSON_NEEDED
    assert report(line(with_record(SETTLED, forgotten=True), UNCOVERED)).status == exits.FINE
    unknown = replace(unseen(Unavailable("read entry", "secret/voice")), policy=UNCOVERED)
    assert report(unknown).status == exits.TRY_AGAIN, "it may be one that was forgotten"


def test_a_key_that_may_still_be_published_needs_nobody() -> None:
    young = with_record(LYING, attempts=[replace(attempt("0" * 16, base=3, age=MINUTE))])
    young = replace(young, keys=(*known(record()), made(attempt("0" * 16, age=MINUTE), "key-young")))
    at_work = with_record(LYING, claim=Claim("replica-b", 2 * HOUR))

    for seen in (young, at_work):
        (one,) = line(seen, WATCHING).unserved
        assert not one.needs_person
        assert "a process may still be at work on it" in show.plan(report(line(seen, WATCHING)))


def test_a_forgotten_lineage_promises_no_end_to_a_key_that_nobody_serves_and_needs_nobody() -> None:
    forgotten = line(with_record(LYING, forgotten=True))
    (one,) = forgotten.unserved
    assert (one.ends, one.needs_person, one.forgotten) == (False, False, True)
    assert forgotten.status == exits.FINE
    assert "its lineage was forgotten, and nothing ends it" in show.status(report(forgotten))


@pytest.mark.promise("P8")
@pytest.mark.parametrize(("age", "status"), [(80 * DAY, exits.FINE), (89 * DAY, exits.PERSON_NEEDED)])
def test_a_pause_that_lasts_too_long_needs_a_person(age: timedelta, status: int) -> None:
    key_in_use = current(key("key-current", age=age), age=age)
    paused = line(replace(snapshot(record(serves=key_in_use)), paused="secret/*, by ann@desk: a change"))

    assert (paused.phase, paused.status) == (Phase.PAUSED, status)
    shown = " ".join(show.status(report(paused)).split())
    assert "pause of secret/*, by ann@desk: a change" in shown
    assert ("the pause lasts too long" in shown) == (status == exits.PERSON_NEEDED)


@pytest.mark.promise("P8")
def test_a_pause_that_keeps_consumers_without_a_working_secret_needs_a_person() -> None:
    paused = line(replace(SETTLED, paused="*, by ann@desk", served=Served(Verdict.REFUSED)))

    assert (paused.phase, paused.status) == (Phase.PAUSED, exits.PERSON_NEEDED)
    assert "the pause does harm: the provider refuses" in " ".join(show.status(report(paused)).split())


def test_an_order_that_stands_is_shown_with_who_gave_it() -> None:
    paused = line(replace(with_record(SETTLED, standing=order()), paused="*, by ann@desk"))

    assert "rotate ordered by ann@desk 1h ago: a leak" in " ".join(show.status(report(paused)).split())


def test_a_document_says_what_is_paused_and_what_was_ordered() -> None:
    paused = line(replace(with_record(SETTLED, standing=order()), paused="*, by ann@desk"))
    (only,) = json.loads(documents.text_of(documents.of_report(report(paused))))["lineages"]

    assert only["paused"] == "*, by ann@desk"
    assert only["standing"] == {
        "kind": "rotate",
        "who": "ann@desk",
        "why": "a leak",
        "at": "2026-01-05T11:00:00Z",
        "place": None,
    }


def test_a_held_lineage_promises_no_end_to_a_key_that_nobody_serves() -> None:
    (one,) = line(with_record(LYING, hold=hold(HoldReason.PARITY))).unserved
    assert not one.ends
    assert one.needs_person


def test_a_pinned_key_that_is_not_there_is_named() -> None:
    shown = report(line(unrecorded(None), PINNED))

    for text in (show.plan(shown), show.status(shown), show.once(shown, stopped=False)):
        assert "key-none at asr (policy all, for secret/voice)" in text
    assert line(unrecorded(None)).missing_key_id is None
    (only,) = json.loads(documents.text_of(documents.of_report(shown)))["lineages"]
    assert only["missing_key_id"] == "key-none"


def test_a_policy_that_selects_nothing_is_told_and_no_error() -> None:
    assert "empty: its `select` takes no key" in show.plan(report())
    assert "empty: its `select` takes no key" in show.status(report())
    assert documents.of_report(report())["idle"] == ["empty"]
    assert report().status == exits.FINE


def test_an_old_key_that_stays_too_long_says_why() -> None:
    seen = replace(snapshot(record(previous=[previous()])), provider_skew=timedelta(minutes=5))

    assert "old key key-old is kept: our clock" in show.status(report(line(seen)))


@pytest.mark.promise("P8")
@pytest.mark.parametrize("error", [None, Unavailable("revoke key", "key-old", "500")])
def test_a_key_that_an_emergency_left_alive_is_named(error: PortError | None) -> None:
    left = snapshot(record(previous=[previous(superseded=HOUR, at_once=True)]))
    failing = with_record(left, revoke_failure=failure(RevokeReason.EMERGENCY))

    shown = show.once(report(line(failing, error=error)), stopped=False)

    assert "STILL ALIVE after the emergency, until the next try: key-old" in " ".join(shown.split())


@pytest.mark.promise("P8")
def test_a_moved_lineage_is_shown_with_its_earlier_place_and_the_order_that_ends_it() -> None:
    shown = show.status(report(line(snapshot(moved()))))

    assert "kv/moved" in shown
    assert "also served at secret/voice until `rotator move secret/voice kv/moved --give-up`" in shown
    assert "also served" not in show.status(report(line(SETTLED)))
    fields = show.status(report(line(snapshot(moved(to=OTHER_FIELDS)), BY_OTHER_FIELDS)))
    assert (
        "also served at secret/voice#api_key until `rotator move secret/voice secret/voice --give-up`"
        in fields
    )


@pytest.mark.promise("P8")
def test_a_place_that_is_behind_is_shown_with_what_keeps_it_so() -> None:
    late = snapshot(moved(record(previous=[previous(superseded=2 * DAY)]), copied=None))
    failed = line(with_record(late, copy_failure=failure(CopyReason.MOVED)))

    assert "copy the secret in use to kv/moved" in show.plan(report(line(late)))
    assert (failed.phase, failed.status) == (Phase.FAILING, exits.FAILED)
    said = show.status(report(failed))
    assert "moved, and one of its places does not have the secret in use yet" in said
    assert "failed once, last 1m ago: it went wrong" in said
    assert (
        "old key key-old is kept: another place that is served does not have the secret of the new key yet"
        in said
    )


def test_the_document_names_every_place_and_whether_it_is_up_to_date() -> None:
    places = documents.of_report(report(line(snapshot(moved(copied=None)))))["lineages"][0]["places"]  # type: ignore[index]

    assert places == [
        {"place": "secret/voice", "secret_field": "api_key", "present": False, "up_to_date": True},
        {"place": "kv/moved", "secret_field": "api_key", "present": True, "up_to_date": False},
    ]
    unproven = line(replace(snapshot(moved()), served=Served(Verdict.UNKNOWN)))
    assert [one.up_to_date for one in unproven.places] == [False, False]
    assert [one.up_to_date for one in line(snapshot(moved())).places] == [True, True]
    assert line(unrecorded(key())).places == ()


def test_what_was_copied_is_counted_and_named() -> None:
    copied = replace(line(snapshot(moved())), done=(Copy(THERE),))
    said = show.once(report(copied), stopped=False)

    assert "copied to kv/moved" in said
    assert "1 copied to another place" in said


def test_a_hold_comes_with_its_cure_and_a_stray_with_its_comment_escaped() -> None:
    hostile = key("key-stray", comment="\x1b[2J\u202e")
    shown = show.plan(report(line(HELD), strays=(Stray(provider="asr", key=hostile),)))

    assert "held: two policies match this key" in " ".join(shown.split())
    assert "To do: narrow `select` in one of the two policies" in " ".join(shown.split())
    assert r"\x1b[2J\u202e" in shown
    assert all(part.isprintable() for part in shown.split("\n"))


def test_what_is_left_out_is_counted_in_words() -> None:
    assert "2 at asr: temporary: its lifetime is under `temporary_below`" in show.plan(report())
    both = replace(report(), excluded={"asr": {Exclusion.EXPIRED: 2}, "tts": {Exclusion.EXPIRED: 3}})
    assert "5 (2 at asr, 3 at tts): expired" in show.plan(both)


def test_a_key_that_is_in_a_lineage_already_is_not_counted_as_left_out() -> None:
    taken = replace(report(), excluded={"asr": {Exclusion.NAMED_BY_RECORD: 2}})
    assert "Keys that no policy takes in" not in show.status(taken)


def test_lineages_that_are_held_for_one_reason_are_told_of_together() -> None:
    held = [replace(line(HELD), lineage=f"secret/voice-{number}") for number in range(8)]
    shown = " ".join(show.plan(report(*held)).split())
    assert shown.count(words.CURE[HoldReason.MATCHED_TWICE]) == 1
    assert "secret/voice-5 and 2 more: two policies match this key. To do:" in shown


def test_a_sweep_shows_only_what_it_did_or_could_not_do() -> None:
    shown = show.once(report(line(SETTLED), replace(line(HELD), lineage="secret/held")), stopped=False)
    assert "secret/held" in shown
    assert line(SETTLED).lineage not in shown
    assert "2 lineages: 1 held" in shown


@pytest.mark.parametrize(
    ("seen", "policy", "said"),
    [
        (
            unrecorded(key(age=80 * DAY)),
            POLICY,
            "take the key in, then rotate it at once: its expiry comes near",
        ),
        (unrecorded(key(lifetime=None)), POLICY, "take the key in, which is never due"),
        (unrecorded(key()), replace(POLICY, adopt=Adopt.NOW), "take the key in, then rotate it at once"),
        (unrecorded(key()), POLICY, "take the key in, then rotate in "),
        (
            unrecorded(key()),
            replace(POLICY, adopt=Adopt.NOW, windows=(NIGHTLY,)),
            "take the key in, then rotate in 14h (2026-01-06 02:00Z)",
        ),
        (
            unrecorded(key(age=80 * DAY)),
            replace(POLICY, windows=(NIGHTLY,)),
            "take the key in, then rotate in 14h (2026-01-06 02:00Z)",
        ),
        (
            unrecorded(key(age=89 * DAY)),
            replace(POLICY, windows=(NIGHTLY,)),
            "take the key in, then rotate it at once: its expiry comes near",
        ),
        (
            unrecorded(key(age=60 * DAY)),
            replace(POLICY, windows=(NIGHTLY,)),
            "take the key in, then rotate in 14h (2026-01-06 02:00Z)",
        ),
    ],
)
def test_a_plan_looks_past_the_adoption(seen: Snapshot, policy: Policy, said: str) -> None:
    assert said in " ".join(show.plan(report(line(seen, policy))).split())


@pytest.mark.promise("P8")
def test_a_plan_shows_when_it_opens_what_is_frozen_and_what_can_not_wait() -> None:
    due = snapshot(record(serves=current(key(CURRENT.key_id, age=70 * DAY))))
    late = snapshot(record(serves=current(key(CURRENT.key_id, age=89 * DAY))))
    nightly = replace(POLICY, windows=(NIGHTLY,))
    frozen = replace(
        POLICY,
        freezes=(
            Freeze(starts_at=NOW - DAY, ends_at=NOW + DAY, why="a fair"),
            Freeze(starts_at=NOW, ends_at=NOW + 2 * DAY),
            Freeze(starts_at=NOW + TICK, ends_at=NOW + 9 * DAY, why="holidays"),
        ),
    )
    for seen, policy, said in (
        (due, nightly, "it is time, but no `window` is open; next step in 14h (2026-01-06 02:00Z)"),
        (due, frozen, "it is time, but the policy is frozen; next step in 9d (2026-01-14 12:00Z): a fair"),
        (late, nightly, "rotate now: its expiry comes near; it can't wait for a `window` to open"),
        (late, frozen, "rotate now: its expiry comes near; it can't wait for the end of the `freeze`"),
    ):
        shown = line(seen, policy)
        for text in (show.plan(report(shown)), show.status(report(shown))):
            assert said in " ".join(text.split())
    document = documents.of_report(report(line(late, nightly), line(late, frozen), line(late)))
    overridden = [one["decision"]["overrides"] for one in document["lineages"]]  # type: ignore[attr-defined]
    assert overridden == ["outside_window", "frozen", None]


def test_what_a_sweep_left_is_told_with_its_reason() -> None:
    due = line(unrecorded(key()))
    for left, said in (
        (Left(LeftReason.LIMIT), "(--limit)"),
        (Left(LeftReason.STARTS_PER_HOUR), "(`starts_per_hour` is reached)"),
        (Left(LeftReason.STOPPING), "(asked to stop)"),
        (
            Left(LeftReason.BREAKER_OPEN, "create key p: 500"),
            "(the breaker of its provider is open, after create key p: 500)",
        ),
        (None, "(too many steps in one go)"),
    ):
        shown = show.once(report(replace(due, left_because=left)), stopped=False)
        assert f"left for later {said}: take the key in" in " ".join(shown.split())
    assert "not looked at: asked to stop" in show.once(report(unseen(None)), stopped=True)


def test_the_document_is_json_whatever_is_in_it() -> None:
    stray = Stray(provider="asr", key=key(comment="\x1b[2J\u202e"))
    down = Trouble(what="provider tts", error=Unavailable("list keys", "p", "503"))
    left = replace(line(unrecorded(key())), left_because=Left(LeftReason.BREAKER_OPEN, "create key p: 500"))
    lines = (line(HELD), line(FAILED_REVOKE), left, unseen(down.error), line(BACKING_OFF))
    text = documents.text_of(documents.of_report(report(*lines, strays=(stray,), troubles=(down,))))
    document = json.loads(text)

    assert text.isascii()
    assert document["format"] == 1
    assert document["now"] == "2026-01-05T12:00:00Z"
    assert document["excluded"] == {"asr": {"temporary": 2}}
    assert document["troubles"] == [
        {"what": "provider tts", "error": "Unavailable", "text": "list keys p: 503"}
    ]
    held, failing, new, gone, _ = document["lineages"]
    assert (held["paused"], held["standing"]) == (None, None)
    assert held["decision"] == {
        "action": "hold",
        "reason": "matched_twice",
        "key_id": None,
        "until": None,
        "overrides": None,
        "detail": None,
    }
    assert held["key_id"] == CURRENT.key_id
    assert held["expires_in"] == pytest.approx(80 * 86_400, abs=2)
    assert failing["alive"] == [
        {
            "key_id": "key-old",
            "original": False,
            "ends_at": "2026-01-06T11:00:00Z",
            "obstacle": "overlap",
            "at_once": False,
        }
    ]
    assert failing["last_failure"]["tried"] == "overlap_ended"
    assert (new["phase"], new["version"], new["decision"]["action"]) == ("unadopted", None, "adopt")
    assert (new["left"], gone["left"]) == ({"reason": "breaker_open", "detail": "create key p: 500"}, None)
    assert (gone["phase"], gone["decision"], gone["error"]["error"]) == ("unknown", None, "Unavailable")
    assert isinstance(line(HELD).decision, Hold)


class Buggy(FakeProvider):
    """Fails in a way that no adapter may."""

    async def prove(self, secret: Secret) -> Proof:
        raise RuntimeError(secret.reveal())


def connected(world: World, provider: FakeProvider) -> Connected:
    settings = ProviderSettings(
        name="asr",
        type="deepgram",
        project_id=LINEAGE.project_id,
        base_url="https://api.example.com",
        credential=SecretReference(SecretSource.ENV, "NAME"),
    )
    return Connected(
        file=replace(files(()), providers=(settings,)),
        clock=world.clock,
        journal=FakeJournal(world),
        destinations=FakeDestinations(world),
        providers={"asr": provider},
        namespace="",
        holder="here",
        journal_id=JOURNAL,
        renew=nothing,
        read_again=nothing_changes,
    )


@pytest.mark.promise("P8")
async def test_while_many_keys_are_absent_a_hold_for_another_reason_is_shown_no_sooner() -> None:
    """A sweep looks again before it believes such a hold, and so what is shown is what it would come to."""
    world = settled()
    provider = FakeProvider(world)
    connection = connected(world, provider)
    fleet = await connection.survey()
    (found,) = fleet.found
    del world.keys[CURRENT.key_id]
    fleet = replace(fleet, listings={"asr": await provider.list_keys()})
    assignment = replace(found.assignment, policy=POLICY, fleet_hold=HoldReason.MANY_ABSENT)
    found = replace(found, assignment=assignment)

    def another_publishes() -> None:
        world.put_entry(CURRENT.key_id, LATER)
        world.put_record(replace(world.record, attempts=(attempt(LATER, base=3),)))

    world.before("read_entry", another_publishes)
    shown = await look.line_of(found, fleet, connection)

    assert shown.decision == Rotate(RotateReason.SERVED_KEY_REFUSED, current().key)


@pytest.mark.promise("P7", "P8")
@pytest.mark.parametrize("bug", ["observing", "deciding"])
async def test_a_bug_in_one_lineage_is_its_own_line(bug: str) -> None:
    """The other lineages are still shown, and its text, which may hold anything, is not."""
    world = settled()
    connection = connected(world, Buggy(world) if bug == "observing" else FakeProvider(world))
    fleet = await connection.survey()
    (found,) = fleet.found
    if bug == "deciding":
        # No rule allows for a duration of this length: the arithmetic of instants ends before it.
        endless = replace(POLICY, max_age=timedelta.max)
        found = replace(found, assignment=replace(found.assignment, policy=endless))
    shown = await look.line_of(found, fleet, connection)

    assert isinstance(shown.error, InvariantViolation)
    assert str(shown.error).partition(" at ")[0] in ("RuntimeError", "OverflowError")
    assert (shown.phase, shown.status) == (Phase.UNKNOWN, exits.FAILED)
