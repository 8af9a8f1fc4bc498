"""Go on as an operator would after something went wrong, until nothing is left to be done, and judge."""

from __future__ import annotations

from datetime import datetime, timedelta

from rotator.clock import SystemClock
from tests.faults.kills.aftermath import judge
from tests.faults.kills.scenarios import Scenario
from tests.faults.kills.site import Ran, Site

_CLOCK = SystemClock()

SWEEPS = 40
"""How many sweeps an operator makes at most: a handful does, and one that waits for a claim is a long wait."""

_ORDERS = 2
"""How often an order is given again."""

_AT_LEAST = timedelta(milliseconds=200)
_AT_MOST = timedelta(seconds=15)
"""How long an operator waits between two commands: until something is to come of the next one."""

SOON = timedelta(minutes=10)
"""What is only to be done later than that is not left to be done now."""


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
            return [*_at_rest(scenario, made, ran, done=done), *await judge(made)]
        else:
            orders += 1
            await made.run(*scenario.command(made), given=scenario.given(made))
    return ["P8: it did not come to rest", *await judge(made, at_rest=False)]


def _at_rest(scenario: Scenario, made: Site, ran: Ran, *, done: bool) -> list[str]:
    """Return what is wrong once the program says that nothing is left to be done."""
    found = [] if ran.status == 0 else [f"P8: the last sweep ended with {ran.status}: {_lines(ran)}"]
    found += [] if done else [f"P8: it was never done: {_lines(ran)}"]
    if scenario.keeps_original and not all(made.alive(key.key_id) for key in made.originals.values()):
        found.append("P3: the original was deleted")
    return found


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


def _lines(ran: Ran) -> list[object]:
    return [(line["phase"], line["decision"], line["error"]) for line in ran.document.get("lineages", [])]
