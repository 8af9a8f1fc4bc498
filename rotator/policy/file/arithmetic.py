"""Times that are each fine and can't work together: told with the arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from rotator.policy import windows
from rotator.policy.duration import show_duration
from rotator.policy.file.policy_reader import ReadPolicy
from rotator.policy.policy import Policy, Share
from rotator.policy.schedule import SPREAD, asked_lead, fits, time_of_a_rotation

_WHOLE = 100
_DUE_AT_ONCE = "due times are spread by up to that tenth: a key could be due as soon as it is made"
_WINDOW = ("window", "window.cron", "window.for", "window.timezone")


def check_arithmetic(read: ReadPolicy) -> None:
    """Tell of times that can't work together. A combination with a refused option in it is left out."""
    for names, what, hint in _contradictions(read.policy):
        if read.fields.usable(*names):
            top_names = [name.partition(".")[0] for name in names]
            place = read.fields.last_of(*top_names)
            read.fields.complaints.tell(place or read.node, what, hint)


def _contradictions(policy: Policy) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield, for each combination that can't work, its options, the arithmetic, and what would happen."""
    if policy.retry_initial > policy.retry_max:
        yield (
            ("retry.initial", "retry.max"),
            f"initial {show_duration(policy.retry_initial)} is longer than max {show_duration(policy.retry_max)}",
            "the first wait is the shortest",
        )
    yield from _against_age(policy)
    yield from _against_any_lifetime(policy)
    yield from _against_lifetime(policy)
    yield from _against_expiry(policy)
    yield from _against_windows(policy)


def _against_age(policy: Policy) -> Iterator[tuple[tuple[str, ...], str, str]]:
    age = policy.max_age
    if age is None:
        return
    if age <= policy.min_gap:
        what = f"max_age {show_duration(age)} is not longer than min_gap {show_duration(policy.min_gap)}"
        yield ("max_age", "min_gap"), what, "a key would be due before it may be rotated again"
    if policy.overlap >= age:
        what = f"overlap {show_duration(policy.overlap)} is not shorter than max_age {show_duration(age)}"
        yield ("overlap", "max_age"), what, "a third key would be due while two still overlap"


def _against_any_lifetime(policy: Policy) -> Iterator[tuple[tuple[str, ...], str, str]]:
    before = policy.rotate_before
    if not isinstance(before, Share):
        return
    most = before.percent + before.percent / SPREAD
    if most >= _WHOLE:
        what = f"rotate_before {before.percent:g}% and a tenth of it = {most:g}% is not less than a lifetime"
        yield ("rotate_before",), what, _DUE_AT_ONCE


def _against_lifetime(policy: Policy) -> Iterator[tuple[tuple[str, ...], str, str]]:
    lifetime = policy.lifetime
    if not isinstance(lifetime, timedelta):
        return
    shown = show_duration(lifetime)
    if policy.overlap >= lifetime:
        what = f"overlap {show_duration(policy.overlap)} is not shorter than lifetime {shown}"
        yield ("overlap", "lifetime"), what, "a key would expire before the overlap with its successor ends"
        return
    before = policy.rotate_before
    if isinstance(before, timedelta) and not fits(before, lifetime):
        most = show_duration(before + before / SPREAD)
        what = f"rotate_before {show_duration(before)} and a tenth of it = {most} is not shorter than lifetime {shown}"
        yield ("rotate_before", "lifetime"), what, _DUE_AT_ONCE
    needed, sum_shown = _time_of_a_rotation(policy)
    if policy.min_gap + needed > lifetime:
        what = (
            f"min_gap {show_duration(policy.min_gap)} + {sum_shown} = "
            f"{show_duration(policy.min_gap + needed)} is longer than lifetime {shown}"
        )
        names = ("min_gap", "overlap", "prove.deadline", "retry.max", "lifetime")
        yield names, what, "a key would expire before it may be rotated, or during its overlap"


def _against_expiry(policy: Policy) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Check the time left when a key is due, where the file alone says how much that is."""
    before, lifetime = policy.rotate_before, policy.lifetime
    if isinstance(before, timedelta):
        left, shown = before, f"rotate_before {show_duration(before)}"
    elif isinstance(lifetime, timedelta) and policy.overlap < lifetime:
        left = asked_lead(policy, lifetime)
        shown = (
            f"rotate_before {before.percent:g}% of lifetime {show_duration(lifetime)} = {show_duration(left)}"
        )
    else:
        return
    needed, sum_shown = _time_of_a_rotation(policy)
    if left < needed:
        on_lifetime = ("lifetime",) if isinstance(before, Share) else ()
        names = ("rotate_before", "overlap", "prove.deadline", "retry.max", *on_lifetime)
        what = f"{shown} is shorter than {sum_shown} = {show_duration(needed)}"
        yield names, what, "the old key would expire before its overlap ends"


def _against_windows(policy: Policy) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Check that windows are long enough to try again in, and open in time for each key, where the file alone tells."""
    tried = policy.prove_deadline + policy.retry_initial
    shortest = min((window.length for window in policy.windows), default=tried)
    if shortest < tried:
        what = (
            f"for {show_duration(shortest)} is shorter than prove.deadline {show_duration(policy.prove_deadline)} + "
            f"retry.initial {show_duration(policy.retry_initial)} = {show_duration(tried)}"
        )
        hint = "a rotation that fails could not be tried again before the window closes"
        yield ("window.for", "prove.deadline", "retry.initial"), what, hint
    lifetime, needs = policy.lifetime, ("overlap", "prove.deadline", "retry.max")
    needed, sum_shown = _time_of_a_rotation(policy)
    if isinstance(lifetime, timedelta) and lifetime > needed:
        shown = f"lifetime {show_duration(lifetime)} - ({sum_shown}) = {show_duration(lifetime - needed)}"
        hint = "a key that is made when one opens would have to be replaced while all are closed"
        names = ("lifetime", "rotate_before", *needs, *_WINDOW)
        due_within = lifetime - asked_lead(policy, lifetime)
        yield from _too_rare(policy, due_within, lifetime - needed, names, shown, hint)
    if policy.max_age is not None:
        shown, hint = (
            f"max_age {show_duration(policy.max_age)}",
            "a key that is made when one opens would get older",
        )
        yield from _too_rare(policy, policy.max_age, policy.max_age, ("max_age", *_WINDOW), shown, hint)


def _too_rare(
    policy: Policy, due_within: timedelta, most: timedelta, names: tuple[str, ...], shown: str, hint: str
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield that a key which is due so soon, and may wait `most` for it, would find no window open."""
    waits = windows.longest_wait(windows.reckoned(policy.windows), due_within)
    if waits >= most:
        yield names, f"windows open {show_duration(waits)} apart, which is not shorter than {shown}", hint


def _time_of_a_rotation(policy: Policy) -> tuple[timedelta, str]:
    """Return the longest time from due to the end of the overlap, and the sum as shown."""
    parts = {
        "overlap": policy.overlap,
        "prove.deadline": policy.prove_deadline,
        "retry.max": policy.retry_max,
    }
    shown = " + ".join(f"{name} {show_duration(part)}" for name, part in parts.items())
    return time_of_a_rotation(policy), shown
