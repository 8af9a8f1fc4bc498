"""Windows and freezes as an operator meets them: `plan` shows what waits, `once` waits, orders do not."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.integration.conftest import POLICIES, Desk

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def now(desk: Desk) -> datetime:
    return desk.world.clock.now().replace(second=0, microsecond=0)


def opens_in(desk: Desk, ahead: timedelta) -> str:
    """Return the policies of the desk with a window of an hour that opens so much later, each day."""
    at = now(desk) + ahead
    return f"{POLICIES}    window: [{{cron: {at.minute} {at.hour} * * *, for: 1h}}]\n"


def frozen(desk: Desk) -> str:
    first, last = now(desk) - DAY, now(desk) + DAY
    return f"{POLICIES}    freeze: [{{from: {first:%Y-%m-%d}, to: {last:%Y-%m-%d}, why: a fair}}]\n"


async def waits_for(desk: Desk) -> tuple[str, str, datetime]:
    """Return what is decided about the one lineage, and until when that holds."""
    decision = (await desk.json("plan")).line("voice")["decision"]
    return decision["action"], decision["reason"], datetime.fromisoformat(decision["until"])


async def waits_for_after_overlap(desk: Desk) -> tuple[str, str, datetime]:
    """Return the same, as soon as the overlap is over by Vault's clock, which shows whole seconds."""
    found = await waits_for(desk)
    for _ in range(20):
        if found[1] != "overlap":
            break
        found = await waits_for(desk)
    return found


async def test_a_plan_shows_when_a_window_opens_and_nothing_begins_before(desk: Desk) -> None:
    desk.write(opens_in(desk, 2 * HOUR))
    desk.due_key("voice")
    assert "take the key in, then rotate in " in (await desk.run("plan", COLUMNS="400")).out
    once = await desk.json("once")

    assert await waits_for(desk) == ("wait", "outside_window", now(desk) + 2 * HOUR)
    assert [done["action"] for done in once.line("voice")["done"]] == ["adopt"]
    status = await desk.run("status", COLUMNS="400")
    assert "it is time, but no `window` is open; next step in " in status.out
    desk.write(opens_in(desk, -HOUR / 2))
    await desk.run("once")
    assert desk.serves("voice")


@pytest.mark.promise("P8")
async def test_an_expiry_beats_a_window_and_a_freeze_and_that_is_told(desk: Desk) -> None:
    desk.write(opens_in(desk, 12 * HOUR))
    desk.key("voice", age=46 * HOUR)
    await desk.run("once")
    action, reason, until = await waits_for(desk)
    assert (action, reason) == ("wait", "opens_too_late")
    assert until < now(desk) + 4 * HOUR

    desk.write(frozen(desk).replace("overlap: 1s", "overlap: 4h"))
    line = (await desk.json("plan")).line("voice")["decision"]
    assert (line["action"], line["overrides"]) == ("rotate", "frozen")
    once = await desk.run("--log-format", "json", "once", COLUMNS="400")
    assert "it can't wait for the end of the" in once.out
    (told,) = [text for text in once.err.splitlines() if '"overridden"' in text]
    assert '"reason": "frozen"' in told
    assert '"level": "warning"' in told
    assert desk.serves("voice")


async def test_an_order_does_not_wait_and_a_deletion_does(desk: Desk) -> None:
    desk.write(frozen(desk).replace("overlap: 1s", "overlap: 0s"))
    key = desk.key("voice")
    desk.put("voice", api_key=key.secret.reveal())
    await desk.run("once")
    ordered = await desk.run("rotate", "--reason", "a test", desk.lineage("voice"))

    assert ordered.status == 0
    assert desk.serves("voice")
    assert await waits_for_after_overlap(desk) == (
        "wait",
        "frozen",
        (now(desk) + 2 * DAY).replace(hour=0, minute=0),
    )
    assert "a fair" in (await desk.run("plan")).out
    await desk.run("rotate", "--emergency", "--yes", "--reason", "a leak", desk.lineage("voice"))
    assert not desk.world.accepts(key.secret)


async def test_what_is_seen_of_windows_is_decided_on_again_elsewhere(desk: Desk) -> None:
    desk.write(opens_in(desk, 2 * HOUR))
    desk.due_key("voice")
    await desk.run("once")
    file = desk.folder / "seen.json"
    await desk.run("plan", "--save", str(file))
    desk.environment.clear()
    offline = ("--config", "none.yaml", "--output", "json", "plan", "--snapshot", str(file))

    at_once, later = await desk.run(*offline), await desk.run(*offline, "--at", "+2h30m")
    assert at_once.line("voice")["decision"]["reason"] == "outside_window"
    assert later.line("voice")["decision"]["action"] == "rotate"


async def test_check_tells_of_a_key_that_no_window_opens_for(desk: Desk) -> None:
    desk.write(opens_in(desk, 12 * HOUR))
    desk.key("voice", age=46 * HOUR)
    await desk.run("once")
    found = (await desk.json("check")).document["findings"]

    (missed,) = [one for one in found if one["check"] == "window_missed"]
    assert missed["subjects"] == [desk.lineage("voice")]
    assert (await desk.run("check")).status == 0
