"""Each promise, on a real Vault-API server and a simulated Deepgram over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.errors import Unavailable
from rotator.model.key import Mark
from rotator.model.reason import HoldReason, RotateReason, WaitReason
from rotator.model.secret import Secret
from rotator.model.told import Step
from rotator.plan import facts
from rotator.plan.actions import Hold, Rotate, Wait
from rotator.simulator.faults import Fault, Operation
from rotator.simulator.vault_server import VaultServer
from rotator.simulator.world import Quirks
from tests.support.canary import secret_text
from tests.support.lab import DAY, HOUR, JOURNAL_ID, Lab, lab

DUE = 80 * DAY
"""The age at which a key that lives 90 days is due by any spread."""

SECOND = timedelta(seconds=1)


@pytest.fixture
async def site(server: VaultServer, token: Secret, place: str) -> AsyncIterator[Lab]:
    async with lab(server, token, place) as made:
        yield made


async def adopted_by_hand(
    site: Lab, slug: str = "voice-a", *, age: timedelta = DUE, lifetime: timedelta = 90 * DAY
) -> str:
    """Make a due key whose secret somebody has put into Vault already; return its id."""
    key = site.key(slug.replace("-", " "), age=age, lifetime=lifetime)
    await site.put(slug, key.secret, team="asr")
    return key.key_id


@pytest.mark.promise("P1", "P3")
async def test_a_due_key_is_replaced_and_goes_when_its_overlap_is_over(site: Lab) -> None:
    old = await adopted_by_hand(site)
    await site.sweep()
    entry = (await site.served("voice-a")).entry
    assert entry.key_id not in (None, old)
    assert await site.works("voice-a")
    assert site.alive(old)

    site.clock.shift += 24 * HOUR - 10 * SECOND
    stands = (await site.sweep())["voice-a"].last
    assert stands is not None
    assert isinstance(stands.decision, Wait)
    assert stands.decision.reason is WaitReason.OVERLAP
    assert site.alive(old)

    site.clock.shift += 20 * SECOND
    await site.sweep()
    assert not site.alive(old)
    assert await site.works("voice-a")
    steps = [
        Step.ADOPTED,
        Step.INTENT,
        Step.CREATED,
        Step.PROVEN,
        Step.PUBLISHED,
        Step.RECORDED,
        Step.OVERLAP,
        Step.REVOKED,
    ]
    assert site.steps("voice-a") == steps


@pytest.mark.promise("P1")
async def test_a_consumer_that_reads_vault_once_a_day_never_fails(site: Lab) -> None:
    """It reads Vault only every 23 hours, so it holds an old secret for most of each overlap."""
    await adopted_by_hand(site, age=3 * DAY, lifetime=4 * DAY)
    rotations = 0
    for _ in range(15):
        held = (await site.served("voice-a")).secret
        assert held is not None
        for _ in range(2):
            site.clock.shift += 11 * HOUR + 30 * timedelta(minutes=1)
            done = (await site.sweep())["voice-a"].done
            rotations += any(isinstance(action, Rotate) for action in done)
            assert site.world.accepts(held)
    assert rotations >= 5


@pytest.mark.promise("P3")
async def test_an_original_lives_until_it_expires_by_itself(site: Lab) -> None:
    original = site.key("voice a", age=DUE)
    await site.sweep()
    site.clock.shift += 3 * DAY
    stands = (await site.sweep())["voice-a"].last
    assert stands is not None
    assert isinstance(stands.decision, Wait)
    assert stands.decision.reason is WaitReason.AWAITING_RELEASE
    assert site.alive(original.key_id)
    site.clock.shift += 8 * DAY
    await site.sweep()
    assert not site.alive(original.key_id)
    assert await site.works("voice-a")


@pytest.mark.promise("P2")
async def test_a_key_whose_creation_answer_was_lost_is_found_and_revoked(site: Lab) -> None:
    await adopted_by_hand(site)
    site.simulator.faults.schedule(Operation.CREATE, Fault.LOST)
    failed = (await site.sweep())["voice-a"]
    assert failed.error is not None
    lost = {key.key_id for key in (await site.listing()).keys if key.mark is not None}
    assert len(lost) == 1

    site.clock.shift += 5 * timedelta(minutes=1)
    await site.sweep()
    assert await site.works("voice-a")
    assert Step.INHERITED in site.steps("voice-a")
    assert all(site.alive(key_id) for key_id in lost)

    site.clock.shift += 25 * HOUR
    await site.sweep()
    assert not any(site.alive(key_id) for key_id in lost)


@pytest.mark.promise("P2", "P1")
@pytest.mark.parametrize("delay", [timedelta(minutes=2), timedelta(minutes=50)])
async def test_a_key_that_is_created_long_after_the_caller_gave_up_is_found_and_revoked(
    site: Lab, delay: timedelta
) -> None:
    await adopted_by_hand(site)
    site.simulator.faults.schedule(Operation.CREATE, Fault.LATE, delay=delay)
    await site.sweep()
    site.clock.shift += timedelta(minutes=1)
    await site.sweep()
    served = (await site.served("voice-a")).entry.key_id
    site.clock.shift += delay
    await site.sweep()
    marked = {key.key_id for key in (await site.listing()).keys if key.mark is not None}
    assert served in marked
    assert len(marked) == 2
    site.clock.shift += 25 * HOUR
    await site.sweep()
    assert [key for key in marked if site.alive(key)] == [served]
    assert await site.works("voice-a")


@pytest.mark.promise("P2")
async def test_a_key_that_appears_more_than_an_hour_late_is_shown_as_stray_and_left_alone(site: Lab) -> None:
    await adopted_by_hand(site)
    site.simulator.faults.schedule(Operation.CREATE, Fault.LATE, delay=2 * HOUR)
    await site.sweep()
    site.clock.shift += 3 * HOUR
    await site.sweep()
    stands = (await site.sweep())["voice-a"].last
    assert stands is not None
    strays = facts.strays(stands.snapshot)
    assert len(strays) == 1
    site.clock.shift += 30 * HOUR
    await site.sweep()
    assert site.alive(strays[0].key_id)


@pytest.mark.promise("P4")
async def test_a_key_with_a_copied_mark_is_never_touched(site: Lab) -> None:
    old = await adopted_by_hand(site)
    await site.sweep()
    entry = (await site.served("voice-a")).entry
    ours = next(key for key in (await site.listing()).keys if key.key_id == entry.key_id)
    copied = site.key(ours.comment, lifetime=None)
    forged = site.key(str(Mark(JOURNAL_ID, site.lineage("voice-a").lineage_id, "f" * 16)), member=site.ours)
    for _ in range(4):
        site.clock.shift += 20 * DAY
        await site.sweep()
    assert not site.alive(old)
    assert site.alive(copied.key_id)
    assert site.alive(forged.key_id)
    assert site.alive(site.management.key_id)


@pytest.mark.promise("P4")
async def test_a_secret_that_somebody_else_put_there_is_not_overwritten(site: Lab) -> None:
    site.key("voice a", age=DUE)
    foreign = Secret(secret_text("somebody else's"))
    await site.put("voice-a", foreign)
    stands = (await site.sweep())["voice-a"].last
    assert stands is not None
    assert stands.stands == Hold(HoldReason.DESTINATION_OCCUPIED, "version 1")
    now_there = (await site.served("voice-a")).secret
    assert now_there is not None
    assert now_there.matches(foreign)
    assert site.simulator.count(Operation.CREATE) == 0


@pytest.mark.promise("P4", "P3")
async def test_an_entry_that_a_person_rewrote_stops_every_revocation(site: Lab) -> None:
    old = await adopted_by_hand(site)
    await site.sweep()
    await site.put("voice-a", Secret(secret_text("by hand")), base=2)
    site.clock.shift += 3 * DAY
    stands = (await site.sweep())["voice-a"].last
    assert stands is not None
    assert isinstance(stands.stands, Hold)
    assert stands.stands.reason is HoldReason.ENTRY_CHANGED
    assert site.alive(old)


@pytest.mark.promise("P5")
async def test_a_replacement_without_its_tags_is_revoked_and_the_lineage_held(
    server: VaultServer, token: Secret, place: str
) -> None:
    async with lab(server, token, place, quirks=Quirks(drops_tags=True)) as site:
        old = await adopted_by_hand(site)
        stands = (await site.sweep())["voice-a"].last
        assert stands is not None
        assert stands.stands == Hold(HoldReason.PARITY, "lacks tags prod")
        assert (await site.served("voice-a")).entry.version == 1
        assert [key.key_id for key in (await site.listing()).keys if key.mark is not None] == []
        site.clock.shift += 5 * DAY
        await site.sweep()
        assert site.alive(old)
        assert site.simulator.count(Operation.CREATE) == 1


@pytest.mark.promise("P5")
async def test_scopes_that_the_provider_expands_are_compared_as_it_lists_them(
    server: VaultServer, token: Secret, place: str
) -> None:
    async with lab(server, token, place, quirks=Quirks(expands_scopes=True)) as site:
        key = site.key("own", age=DUE, scopes=("keys:read", "keys:write", "usage:write"))
        await site.put("own", key.secret)
        standard = site.connected.file.policies[0]
        by_id = replace(standard, select=None, keys=((site.lineage("own").path, key.key_id),))
        named = replace(site.connected, file=replace(site.connected.file, policies=(by_id,)))
        served: str | None = None
        for _ in range(2):
            await site.sweep(connected=named)
            served = (await site.served("own")).entry.key_id
            listed = (await site.listing()).get(str(served))
            assert listed is not None
            assert listed.key_id != key.key_id
            assert listed.scopes == {"keys:read", "keys:write", "usage:write"}
            assert listed.tags == {"prod"}
            site.clock.shift += DUE
        record = await site.record("own")
        assert [rotated.key_id for rotated in record.history][-1] == served
        assert len(record.history) == 2


@pytest.mark.promise("P6")
async def test_two_processes_make_one_publish_from_each_version(site: Lab) -> None:
    slugs = [f"voice-{letter}" for letter in "abcdef"]
    for slug in slugs:
        await adopted_by_hand(site, slug)
    await asyncio.gather(site.sweep(), site.sweep(connected=site.another("second")))
    site.clock.shift += timedelta(minutes=10)
    await asyncio.gather(site.sweep(), site.sweep(connected=site.another("second")))
    for slug in slugs:
        assert (await site.served(slug)).entry.version == 2
        assert await site.works(slug)
        record = await site.record(slug)
        assert record.current is not None
        assert record.current.version == 2
        assert len(record.history) == 1
    site.clock.shift += 25 * HOUR
    await site.sweep()
    marked = [key for key in (await site.listing()).keys if key.mark is not None]
    assert len(marked) == len(slugs)


@pytest.mark.promise("P2", "P6")
async def test_a_process_that_dies_after_its_publish_has_its_work_finished_by_another(site: Lab) -> None:
    """The record write after the publish never happens: the next process finds the publish and records it."""
    old = await adopted_by_hand(site)
    await site.sweep()
    record = await site.record("voice-a")
    read = await site.journal.read(site.lineage("voice-a").record_name)
    before = next(text for text in site.journal.written if '"attempts":[{' in text)
    from rotator.model.record import decode  # noqa: PLC0415 (only this test goes back in time)

    await site.journal.write(decode(before), base=read.version)
    site.clock.shift += timedelta(minutes=5)
    await site.sweep(connected=site.another("second"))
    assert Step.FINISHED in site.steps("voice-a")
    finished = await site.record("voice-a")
    assert finished.current is not None
    assert record.current is not None
    assert finished.current.key.key_id == record.current.key.key_id
    site.clock.shift += 25 * HOUR
    await site.sweep()
    assert not site.alive(old)
    assert await site.works("voice-a")


@pytest.mark.promise("P1")
async def test_a_served_key_that_somebody_deleted_is_replaced_at_once(site: Lab) -> None:
    await adopted_by_hand(site)
    await site.sweep()
    served = (await site.served("voice-a")).entry.key_id
    assert served is not None
    site.world.person_deletes(served)
    results = await site.sweep()
    done = results["voice-a"].done
    assert [action.reason for action in done if isinstance(action, Rotate)] == [
        RotateReason.SERVED_KEY_REFUSED
    ]
    assert await site.works("voice-a")


@pytest.mark.promise("P8")
async def test_a_provider_that_is_down_is_told_and_nothing_is_minted(site: Lab) -> None:
    await adopted_by_hand(site)
    site.simulator.faults.switch_on(Operation.LIST, Fault.REFUSED)
    fleet = await site.connected.survey()
    assert [(trouble.what, type(trouble.error)) for trouble in fleet.troubles] == [
        ("provider asr", Unavailable)
    ]
    assert await site.sweep() == {}
    assert site.simulator.count(Operation.CREATE) == 0


@pytest.mark.promise("P8")
async def test_a_rotation_that_fails_is_told_written_down_and_tried_again_later(site: Lab) -> None:
    await adopted_by_hand(site)
    site.simulator.faults.switch_on(Operation.CREATE, Fault.ERROR500)
    await site.sweep()
    assert site.steps("voice-a")[-1] is Step.FAILED
    record = await site.record("voice-a")
    assert record.failure is not None
    assert record.failure.count == 1
    again = (await site.sweep())["voice-a"].last
    assert again is not None
    assert isinstance(again.decision, Wait)
    assert again.decision.reason is WaitReason.BACKING_OFF
    site.simulator.faults.clear()
    site.clock.shift += timedelta(minutes=2)
    await site.sweep()
    assert await site.works("voice-a")
    assert (await site.record("voice-a")).failure is None


@pytest.mark.promise("P7")
async def test_nothing_but_the_destination_ever_holds_a_secret(site: Lab) -> None:
    """The lab itself scans the journal and what was told; the guards scan logs and output. Here: the comments."""
    await adopted_by_hand(site)
    site.simulator.faults.schedule(Operation.PROVE, Fault.ERROR500)
    await site.sweep()
    site.clock.shift += 2 * DAY
    await site.sweep()
    assert site.journal.written
    assert all("CANARY" not in key.comment for key in (await site.listing()).keys)


async def test_only_keys_that_a_policy_may_take_become_lineages(site: Lab) -> None:
    site.key("voice due", age=DUE)
    site.key("voice fresh", age=DAY)
    site.key("voice old", age=400 * DAY, lifetime=None)
    site.key("voice expired", age=91 * DAY)
    site.key("voice session", lifetime=HOUR)
    site.key("billing", age=DUE)
    site.key(f"voice kiosk {Mark('0' * 12, '1' * 12, '2' * 16)}", age=DUE)
    results = await site.sweep()
    rotated = {slug for slug, r in results.items() if any(isinstance(a, Rotate) for a in r.done)}
    assert set(results) == {"voice-due", "voice-fresh", "voice-old"}
    assert rotated == {"voice-due"}
    excluded = (await site.connected.survey()).excluded["asr"]
    assert {reason.value: count for reason, count in excluded.items()} == {
        "not_selected": 2,
        "expired": 1,
        "temporary": 1,
        "claimed_elsewhere": 1,
        "named_by_record": 4,
    }


async def test_a_key_that_was_over_age_when_it_was_taken_in_is_rotated_within_a_week(site: Lab) -> None:
    names = [f"old-{number}" for number in range(8)]
    for name in names:
        site.key(f"voice {name}", age=400 * DAY, lifetime=None)
    await site.sweep()
    assert Step.CREATED not in {told.step for told in site.told}
    rotated_on = {}
    for day in range(1, 9):
        site.clock.shift += DAY
        for slug, result in (await site.sweep()).items():
            if any(isinstance(action, Rotate) for action in result.done):
                rotated_on[slug] = day
    assert set(rotated_on) == {f"voice-{name}" for name in names}
    assert len(set(rotated_on.values())) > 1


async def test_other_fields_of_the_entry_are_kept(site: Lab) -> None:
    await adopted_by_hand(site)
    await site.sweep()
    lineage = site.lineage("voice-a")
    stored = await site.vault.read("read", lineage.mount, lineage.path)
    assert stored.data
    assert stored.data["team"] == "asr"
    assert set(stored.data) == {
        "api_key",
        "api_key_id",
        "previous_api_key_id",
        "expires_at",
        "rotation_id",
        "team",
    }
