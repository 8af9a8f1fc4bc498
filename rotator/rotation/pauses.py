"""Pause and resume: what the control record says must not be acted on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from rotator.clock import Clock
from rotator.errors import Ambiguous, Conflict, PortError
from rotator.model.order import Pause
from rotator.ports import Control, Journal
from rotator.rotation.orders import ASK_AGAIN_AFTER, LOOKS, SHOWN_AFTER, TRIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Which pauses were taken away, and which are left."""

    ended: tuple[Pause, ...]
    left: tuple[Pause, ...]


async def pause(journal: Journal, clock: Clock, pauses: tuple[Pause, ...]) -> tuple[Pause, ...]:
    """Add pauses; one of the same glob replaces the older. Return all that there are now.

    Raise as `Journal.write_control`; Conflict when others always win.
    """
    globs = {one.glob for one in pauses}
    return await _change(
        journal, clock, lambda now: (*(one for one in now if one.glob not in globs), *pauses)
    )


async def resume(journal: Journal, clock: Clock, globs: tuple[str, ...]) -> Resumed:
    """Take the pauses of exactly these globs away, all of them without any. Raise as `pause`."""
    taken: dict[str, Pause] = {}

    def without(now: tuple[Pause, ...]) -> tuple[Pause, ...]:
        ends = [one for one in now if not globs or one.glob in globs]
        taken.update({one.glob: one for one in ends})
        return tuple(one for one in now if one not in ends)

    left = await _change(journal, clock, without)
    return Resumed(ended=tuple(taken.values()), left=left)


async def _change(
    journal: Journal, clock: Clock, changed: Callable[[tuple[Pause, ...]], tuple[Pause, ...]]
) -> tuple[Pause, ...]:
    """Write the control record with its pauses changed, decided anew when somebody else wrote or no answer came."""
    error: Ambiguous | Conflict | None = None
    for _ in range(TRIES):
        control = await journal.control()
        if control is None:
            break
        pauses = changed(control.pauses)
        if pauses == control.pauses:
            return pauses
        try:
            await journal.write_control(replace(control, pauses=pauses))
        except (Ambiguous, Conflict) as unclear:
            error = unclear
            await clock.sleep(ASK_AGAIN_AFTER)
            continue
        await _shown(control, journal, clock)
        return pauses
    raise error or Conflict("change control record", "of the journal", "it is not there")


async def _shown(before: Control, journal: Journal, clock: Clock) -> None:
    """Wait until the journal shows a later control record than `before`, so that whoever looks next acts by it."""
    with suppress(PortError):
        for _ in range(LOOKS):
            control = await journal.control()
            if control is not None and control.version > before.version:
                return
            await clock.sleep(SHOWN_AFTER)
