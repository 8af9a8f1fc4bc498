"""Another policy file, or other credentials: taken between two portions of work, and never lost when that fails at first."""

from __future__ import annotations

import pytest

from rotator.daemon.rounds import AT_A_TIME
from rotator.errors import PolicyError, Problem, RotatorError, Unavailable
from rotator.model.told import Step
from tests.service.conftest import Said
from tests.support.builders import HOUR, MINUTE, SECOND
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import ALL, policy_text
from tests.support.scene import scene
from tests.support.virtual_loop import virtually


def unreadable(what: str) -> PolicyError:
    return PolicyError((Problem(file=what, line=0, column=0, path="", what="can't be read", hint=""),))


@virtually
async def test_a_reload_comes_between_two_portions_of_work() -> None:
    estate = Estate()
    for number in range(3 * AT_A_TIME):
        estate.add_key(f"voice-{number}")
    with scene(estate, policy_text(estate)) as one:

        def reloads() -> None:
            one.file = policy_text(estate, f"- {ALL}".replace("when_due", "watch"))
            one.service.reload()

        estate.before("read entry", reloads)
        async with one.running():
            await one.clock.sleep(MINUTE)
            assert len(one.lineages(Step.ADOPTED)) == AT_A_TIME
            assert len(one.board().standings) == 3 * AT_A_TIME


@pytest.mark.parametrize("error", [None, Unavailable("log in", "token", "503")], ids=repr)
@virtually
async def test_systemd_is_told_of_a_reload_when_it_is_asked_for_and_when_it_has_ended(
    error: RotatorError | None,
) -> None:
    estate = Estate()
    with scene(estate, policy_text(estate)) as one:
        one.service.reload()
        assert one.manager.states() == ["RELOADING=1"]
        async with one.running():
            await one.clock.sleep(SECOND)
            assert one.manager.states() == ["RELOADING=1", "READY=1"]
            one.refused = error
            one.service.reload()
            assert one.manager.states()[2:] == ["RELOADING=1"]
            await one.clock.sleep(SECOND)
            assert one.manager.states()[3:] == ["READY=1"]
            await one.clock.sleep(MINUTE)
            assert one.manager.states()[4:] == []


@pytest.mark.parametrize(
    "error", [Unavailable("log in", "token", "503"), unreadable("{file: KEY}")], ids=repr
)
@pytest.mark.parametrize("asked", [True, False], ids=["SIGHUP", "changed"])
@virtually
async def test_a_policy_file_that_names_more_is_taken_though_connecting_fails_at_first(
    error: RotatorError, *, asked: bool
) -> None:
    estate = Estate("asr", "tts")
    for provider in estate.projects:
        estate.add_key("voice", provider=provider)
    both = policy_text(estate)
    before = "\n".join(line for line in both.splitlines() if not line.startswith("  tts:"))
    with scene(estate, before) as one:
        async with one.running():
            await one.clock.sleep(MINUTE)
            assert one.lineages(Step.ADOPTED) == {"secret/asr/voice"}
            digest = one.board().file.digest
            one.file, one.refused = both, error
            if asked:
                one.service.reload()
            await one.clock.sleep(5 * MINUTE)

            file = one.board().file
            assert file.digest == digest
            assert file.rejected == str(error)
            assert file.rejected_at is not None
            assert file.rejected_at - file.loaded_at >= MINUTE
            assert one.board().connected, "by the file before"
            assert 6 <= one.attempts <= 8

            one.refused = None
            await one.clock.sleep(2 * MINUTE)
            assert one.board().file.digest != digest
            assert one.board().file.rejected == ""
            assert one.lineages(Step.ADOPTED) == {"secret/asr/voice", "secret/tts/voice"}


@virtually
async def test_by_a_file_that_can_not_be_connected_to_nothing_is_judged() -> None:
    estate = Estate()
    estate.add_key("voice")
    with scene(estate, policy_text(estate, runtime="sweep_every: 1h")) as one:
        async with one.running():
            await one.clock.sleep(10 * MINUTE)
            one.refused = Unavailable("log in with", "vault.auth.token", "503")
            one.file = policy_text(estate, runtime="sweep_every: 1m")
            for _ in range(30):
                await one.clock.sleep(MINUTE)
                assert one.board().ready
            assert one.board().file.rejected
            assert one.board().sweep_every == HOUR


@virtually
async def test_a_provider_that_gave_no_list_is_no_trouble_once_it_is_out_of_the_file() -> None:
    estate = Estate("asr", "tts")
    estate.add_key("voice")
    estate.refused.add(("tts", "list keys"))
    both = policy_text(estate)
    with scene(estate, both) as one:
        async with one.running():
            await one.clock.sleep(10 * MINUTE)
            assert len(one.board().troubles) == 1
            one.file = "\n".join(line for line in both.splitlines() if not line.startswith("  tts:"))
            await one.clock.sleep(10 * MINUTE)
            assert one.board().troubles == ()
            assert one.board().swept_at is not None


@virtually
async def test_a_management_key_that_is_another_one_makes_it_connect_anew() -> None:
    estate = Estate()
    estate.add_key("voice", due_in=HOUR)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await one.clock.sleep(30 * MINUTE)
            assert one.attempts == 1
            estate.exchange_management("asr")
            await one.clock.sleep(HOUR)
            assert one.attempts == 2
            assert one.lineages(Step.RECORDED) == {"secret/asr/voice"}


@pytest.mark.promise("P8")
@virtually
async def test_a_credential_that_can_not_be_read_again_is_told_until_it_can(said: Said) -> None:
    estate = Estate()
    estate.add_key("voice", due_in=HOUR)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await one.clock.sleep(10 * MINUTE)
            gone = "{file: KEY}: can't be read"
            estate.unread_credentials["asr"] = gone
            await one.clock.sleep(HOUR)
            assert one.board().troubles == (f"credential of provider asr: {gone}",)
            assert [(line["provider"], line["detail"]) for line in said("credential_unread")] == [
                ("asr", gone)
            ]
            assert one.lineages(Step.RECORDED) == {"secret/asr/voice"}, "what was read before is used"
            estate.unread_credentials.clear()
            await one.clock.sleep(2 * MINUTE)
            assert one.board().troubles == ()
            assert len(said("credential_read")) == 1


@virtually
async def test_a_credential_that_can_not_be_read_is_no_trouble_once_its_provider_is_out_of_the_file(
    said: Said,
) -> None:
    estate = Estate("asr", "tts")
    both = policy_text(estate)
    with scene(estate, both) as one:
        async with one.running():
            estate.unread_credentials["tts"] = "{file: KEY}: can't be read"
            await one.clock.sleep(10 * MINUTE)
            assert len(one.board().troubles) == 1
            estate.unread_credentials.clear()
            estate.refused.add(("our token", "renew"))
            one.file = "\n".join(line for line in both.splitlines() if not line.startswith("  tts:"))
            await one.clock.sleep(10 * MINUTE)
            assert not [trouble for trouble in one.board().troubles if "credential" in trouble]
            assert said("credential_read") == [], "nobody has read it"


@virtually
async def test_which_credentials_can_not_be_read_is_told_as_soon_as_it_has_connected_anew() -> None:
    estate = Estate("asr", "tts")
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await one.clock.sleep(10 * MINUTE)
            for _ in range(5):
                for unread in ({"tts": "{file: KEY}: can't be read"}, {}):
                    estate.unread_credentials = unread
                    one.service.reload()
                    await one.clock.sleep(5 * SECOND)
                    assert len(one.board().troubles) == len(unread)


@pytest.mark.promise("P1")
@virtually
async def test_what_a_refused_management_key_had_stopped_goes_on_once_it_was_exchanged() -> None:
    estate = Estate()
    for number in range(5):
        estate.add_key(f"voice-{number}", due_in=HOUR)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            estate.refused.add(("asr", "create key"))
            await one.clock.sleep(6 * HOUR)
            assert one.board().breakers == {"asr": "open"}
            estate.refused.clear()
            estate.exchange_management("asr")
            await one.until(lambda: len(one.times(Step.RECORDED)) >= 4, within=2 * MINUTE)


@virtually
async def test_a_change_of_where_it_listens_is_told_once_and_not_when_it_is_taken_back(said: Said) -> None:
    estate = Estate()
    before = policy_text(estate)
    other = policy_text(estate, runtime='listen: "127.0.0.1:9999"')
    with scene(estate, before) as one:
        async with one.running():
            for text in (other, f"{other}\n", before):
                one.file = text
                await one.clock.sleep(10 * MINUTE)
            assert [line["value"] for line in said("needs_restart")] == ["127.0.0.1:9999"]


@virtually
async def test_while_vault_is_away_it_is_shown_so_all_the_while_and_told_once(said: Said) -> None:
    estate = Estate()
    estate.add_key("voice", due_in=HOUR)
    with scene(estate, policy_text(estate)) as one:
        async with one.running():
            await one.clock.sleep(2 * MINUTE)
            estate.down.add(VAULT)
            await one.clock.sleep(6 * MINUTE)
            shown = []
            for _ in range(200):
                await one.clock.sleep(2 * SECOND)
                shown.append(one.board().connected)

            assert not any(shown)
            estate.down.clear()
            await one.clock.sleep(2 * MINUTE)
            assert one.board().connected
            assert (len(said("not_reached")), len(said("reached"))) == (1, 1)
