"""Pause and resume: what the control record says must not be acted on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rotator.errors import Ambiguous, Conflict
from rotator.model.order import Pause
from rotator.ports import Control, Journal

TRIES = 5


async def pause(journal: Journal, pauses: tuple[Pause, ...]) -> Control:
    """Add pauses; one of the same glob replaces the older. Raise as `Journal.write`, Conflict when others always win."""
    globs = {one.glob for one in pauses}
    return await _change(journal, lambda now: (*(one for one in now if one.glob not in globs), *pauses))


async def resume(journal: Journal, globs: tuple[str, ...]) -> tuple[Pause, ...]:
    """Take the pauses of exactly these globs away, all of them without any; return what was taken away.

    Raise as `pause`.
    """
    taken: dict[str, Pause] = {}

    def without(now: tuple[Pause, ...]) -> tuple[Pause, ...]:
        ends = [one for one in now if not globs or one.glob in globs]
        taken.update({one.glob: one for one in ends})
        return tuple(one for one in now if one not in ends)

    await _change(journal, without)
    return tuple(taken.values())


async def _change(journal: Journal, changed: Callable[[tuple[Pause, ...]], tuple[Pause, ...]]) -> Control:
    """Write the control record with its pauses changed, decided anew when somebody else wrote or no answer came."""
    error: Ambiguous | Conflict | None = None
    for _ in range(TRIES):
        control = await journal.control()
        if control is None:
            break
        pauses = changed(control.pauses)
        if pauses == control.pauses:
            return control
        try:
            await journal.write_control(replace(control, pauses=pauses))
        except (Ambiguous, Conflict) as unclear:
            error = unclear
            continue
        return replace(control, pauses=pauses)
    raise error or Conflict("change control record", "of the journal", "it is not there")
