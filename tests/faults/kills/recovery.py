"""Go on as an operator would after something went wrong, until nothing is left to be done, and judge."""

from __future__ import annotations

from datetime import datetime, timedelta

from rotator.clock import SystemClock
from tests.faults.kills.aftermath import judge
from tests.faults.kills.scenarios import Scenario
from tests.faults.kills.site import Ran, Site
from tests.faults.outside import Look

_CLOCK = SystemClock()

SWEEPS = 40
"""How many sweeps an operator makes at most: a handful does, and one that waits for a claim is a long wait."""

_ORDERS = 2
"""How often an order is given again."""

_AT_LEAST = timedelta(milliseconds=200)
_AT_MOST = timedelta(seconds=15)
"""How long an operator waits between two commands: until something is to come of the next one."""

SOON = timedelta(minutes=20)
"""What is only to be done later than that is not left to be done now. What keeps an old key alive is looked at each quarter of an hour."""


async def recover(scenario: Scenario, made: Site, *, to_rest: bool = True) -> list[str]:
    """Run the program until nothing is left to be done, giving an order again where nothing came of it; judge the rest.

    Without `to_rest`, only until what was to be done is done.
    """
    orders = 0
    for _ in range(SWEEPS):
        ran = await made.run("once")
        done = await scenario.done(made)
        if done and not to_rest:
            return list(await judge(made, at_rest=False))
        next_at = next_event(ran)
        if next_at is not None:
            await _CLOCK.sleep(min(max(next_at - _CLOCK.now(), _AT_LEAST), _AT_MOST))
        elif done or not scenario.order or orders == _ORDERS:
            return list(await judge(made, looks=[look(ran, done=done)]))
        else:
            orders += 1
            await made.run(*scenario.command(made), given=scenario.given(made))
    return list(await judge(made, looks=[RESTLESS]))


RESTLESS = Look(done=False, told=("it does not come to rest",))


def look(ran: Ran, *, done: bool) -> Look:
    """Return what a person sees after the last sweep: that it ends well is a part of what is to be done."""
    lines = ran.document.get("lineages", [])
    told = (f"{line['phase']}, {line['decision']}, {line['error']}" for line in lines)
    return Look(done and ran.status == 0, (f"the last sweep ended with {ran.status}", *told))


def next_event(ran: Ran) -> datetime | None:
    """Return when something is to be done next, as the program says; None when nothing is for long.

    What failed, or is in another process's hands without a time, is looked at again soon.
    """
    now = _CLOCK.now()
    if not ran.document.get("lineages"):
        return now
    instants = []
    for line in ran.document["lineages"]:
        decision = line["decision"] or {}
        if line["error"] or line["left"] or decision.get("action") not in ("wait", "hold"):
            instants.append(now)
        if decision.get("until"):
            instants.append(datetime.fromisoformat(decision["until"]))
        elif decision.get("reason") == "claimed":
            instants.append(now + timedelta(seconds=1))
        if line["last_failure"]:
            instants.append(datetime.fromisoformat(line["last_failure"]["next_try_at"]))
    first = min(instants, default=None)
    return first if first is not None and first < now + SOON else None
