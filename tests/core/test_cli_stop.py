"""A command that was asked to stop: by whom it hears of it, and what a signal does after its work."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest

from rotator.cli.once import Stop
from rotator.clock import SystemClock

SIGNALS = (signal.SIGTERM, signal.SIGINT)
taken: list[int] = []


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    """Let both signals be noted, as the program has them end it, until a command listens itself."""
    before = {number: signal.signal(number, lambda number, _: taken.append(number)) for number in SIGNALS}
    taken.clear()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def _listening(stop: Stop, number: int) -> bool:
    stop.listen()
    os.kill(os.getpid(), number)
    while not stop.asked:
        await SystemClock().sleep(timedelta(0))
    return True


@pytest.mark.parametrize("number", SIGNALS)
def test_work_that_listens_is_asked_and_not_ended(number: signal.Signals) -> None:
    stop = Stop()

    assert stop.run(_listening(stop, number))
    assert taken == []


@pytest.mark.parametrize("number", SIGNALS)
def test_after_the_work_a_signal_does_what_it_did_before(number: signal.Signals) -> None:
    stop = Stop()
    stop.run(_listening(stop, number))

    os.kill(os.getpid(), number)

    assert taken == [number]


async def _fails(stop: Stop) -> None:
    stop.listen()
    raise ValueError("it failed")


def test_after_work_that_failed_as_well() -> None:
    stop = Stop()
    with pytest.raises(ValueError, match="it failed"):
        stop.run(_fails(stop))

    os.kill(os.getpid(), signal.SIGINT)

    assert taken == [signal.SIGINT]
