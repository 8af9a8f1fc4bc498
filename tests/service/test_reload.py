"""Another policy file, or other credentials: taken between two portions of work, and never lost when that fails at first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rotator.daemon.rounds import AT_A_TIME
from rotator.errors import PolicyError, Problem, RotatorError, Unavailable
from rotator.model.told import Step
from tests.service.conftest import Said
from tests.support.attended import Attended, Manager, Text
from tests.support.builders import HOUR, MINUTE, SECOND
from tests.support.estate import VAULT, Estate
from tests.support.estate_ports import ALL, policy_text
from tests.support.virtual_loop import virtually


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with Manager(tmp_path) as one:
        yield one


def unreadable(what: str) -> PolicyError:
    return PolicyError((Problem(file=what, line=0, column=0, path="", what="can't be read", hint=""),))


@virtually
async def test_a_reload_comes_between_two_portions_of_work() -> None:
    estate = Estate()
    for number in range(3 * AT_A_TIME):
        estate.add_key(f"voice-{number}")
    service = Attended(estate, policy_text(estate))

    def reloads() -> None:
        service.text = policy_text(estate, f"- {ALL}".replace("when_due", "watch"))
        service.service.reload()

    estate.before("read entry", reloads)
    await service.run(MINUTE)

    assert len(service.lineages(Step.ADOPTED)) == AT_A_TIME
    assert len(service.board.standings) == 3 * AT_A_TIME


@pytest.mark.parametrize("error", [None, Unavailable("log in", "token", "503")], ids=repr)
@virtually
async def test_systemd_is_told_of_a_reload_when_it_is_asked_for_and_when_it_has_ended(
    error: RotatorError | None, manager: Manager
) -> None:
    estate = Estate()
    service = Attended(estate, policy_text(estate), manager)
    service.service.reload()
    assert manager.states() == ["RELOADING=1"]
    await service.tick()
    assert manager.states() == ["RELOADING=1", "READY=1"]
    service.fails_to_connect = error
    service.service.reload()
    assert manager.states()[2:] == ["RELOADING=1"]
    await service.tick()
    assert manager.states()[3:] == ["READY=1"]
    await service.run(MINUTE)
    assert manager.states()[4:] == []


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
    before = "".join(line for line in both.splitlines(keepends=True) if not line.startswith("  tts:"))
    service = Attended(estate, before)
    await service.run(MINUTE)
    assert service.lineages(Step.ADOPTED) == {"secret/asr/voice"}
    service.text, service.fails_to_connect = both, error
    if asked:
        service.service.reload()
    await service.run(5 * MINUTE)

    assert service.board.file.digest == Text(before).digest
    assert service.board.file.rejected == str(error)
    rejected_at = service.board.file.rejected_at
    assert rejected_at is not None
    assert rejected_at - service.board.file.loaded_at >= MINUTE
    assert service.board.connected, "by the file before"
    assert 6 <= service.connected <= 8

    service.fails_to_connect = None
    await service.run(2 * MINUTE)
    assert service.board.file.digest == Text(both).digest
    assert service.board.file.rejected == ""
    assert service.lineages(Step.ADOPTED) == {"secret/asr/voice", "secret/tts/voice"}


@virtually
async def test_a_management_key_that_is_another_one_makes_it_connect_anew() -> None:
    estate = Estate()
    estate.add_key("voice", due_in=HOUR)
    service = Attended(estate, policy_text(estate))
    await service.run(30 * MINUTE)
    assert service.connected == 1
    estate.exchange_management("asr")
    await service.run(HOUR)

    assert service.connected == 2
    assert service.lineages(Step.RECORDED) == {"secret/asr/voice"}


@virtually
async def test_a_policy_file_that_could_not_be_read_for_a_moment_is_refused_no_longer(
    manager: Manager,
) -> None:
    estate = Estate()
    estate.add_key("voice")
    service = Attended(estate, policy_text(estate), manager)
    await service.run(MINUTE)
    service.fails_to_read = unreadable("config.yaml")
    await service.run(10 * SECOND)
    assert service.board.file.rejected == str(service.fails_to_read)
    assert "REFUSED" in manager.status()
    service.fails_to_read = None
    await service.run(10 * SECOND)

    assert service.board.file.rejected == ""
    assert service.board.file.rejections == 1
    assert "REFUSED" not in manager.status()


@virtually
async def test_while_vault_is_away_it_is_shown_so_all_the_while_and_told_once(said: Said) -> None:
    estate = Estate()
    estate.add_key("voice", due_in=HOUR)
    service = Attended(estate, policy_text(estate))
    await service.run(2 * MINUTE)
    estate.down.add(VAULT)
    await service.run(6 * MINUTE)
    shown = []
    for _ in range(200):
        await service.run(2 * SECOND)
        shown.append(service.board.connected)

    assert not any(shown)
    estate.down.clear()
    await service.run(2 * MINUTE)
    assert service.board.connected
    assert (len(said("not_reached")), len(said("reached"))) == (1, 1)
