"""What `check` makes of a token, of a management key, and of the keys that policies really have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from rotator.cli.findings import said
from rotator.model.key import Key, Listing
from rotator.model.record import KnownKey
from rotator.plan.findings import (
    Check,
    Finding,
    Grade,
    InUse,
    OwnKey,
    of_copies,
    of_own_key,
    of_policy,
    of_token,
)
from rotator.policy.policy import Adopt, Freeze, Lifetime, Policy, Share, Window
from tests.support.builders import (
    CURRENT,
    DAY,
    HOUR,
    LINEAGE,
    MANAGEMENT,
    MEMBER,
    MINUTE,
    NOW,
    POLICY,
    TICK,
    key,
)

OWNER = replace(key(MANAGEMENT, comment="rotator itself", lifetime=None), scopes=frozenset({"owner"}))
OTHERS = replace(key("key-others"), member_id="somebody")
TWIN = replace(OWNER, key_id="key-twin", member_id="somebody")
MADE = CURRENT
"""A key that rotator made."""
BEST = OwnKey(key=OWNER, owner="ops@example.com", scopes=OWNER.scopes, owner_scopes=frozenset({"owner"}))


def listing(*keys: Key, names: str | None = MANAGEMENT) -> Listing:
    return Listing(keys=keys, at=NOW, seen_at=NOW, management_key_id=names, management_member_id=MEMBER)


def checks(found: Iterable[Finding]) -> list[Check]:
    return [one.check for one in found]


@pytest.mark.parametrize(
    ("ends", "renewable", "told"),
    [
        (None, False, []),
        (DAY, True, []),
        (DAY, False, [Check.TOKEN_ENDS]),
        (7 * DAY, False, []),
        (7 * DAY - TICK, False, [Check.TOKEN_ENDS]),
        (-DAY, False, [Check.TOKEN_ENDS]),
    ],
)
def test_a_token_that_ends_soon_and_can_not_be_renewed(
    ends: timedelta | None, told: list[Check], *, renewable: bool
) -> None:
    ends_at = None if ends is None else NOW + ends
    found = of_token(ends_at=ends_at, renewable=renewable, policies=frozenset({"rotator"}), now=NOW)

    assert checks(found) == told


def test_the_root_token_is_told() -> None:
    found = of_token(ends_at=None, renewable=False, policies=frozenset({"root"}), now=NOW)

    assert checks(found) == [Check.TOKEN_IS_ROOT]


def test_of_the_best_management_key_only_the_owner_of_new_keys_is_told() -> None:
    (found,) = of_own_key("asr", BEST, listing(OWNER, OTHERS, MADE), rotated=False)

    assert (found.check, found.grade) == (Check.NEW_OWNER, Grade.OK)
    assert found.terms == {"owner": "ops@example.com", "others": 1, "keys": 3}


@pytest.mark.parametrize(
    ("own", "keys", "told"),
    [
        (BEST, (OWNER,), Check.LIST_PARTIAL),
        (replace(BEST, scopes=frozenset({"usage:write", "keys:read"})), (OTHERS,), Check.MANAGEMENT_WEAK),
        (replace(BEST, owner_scopes=frozenset({"usage:write"})), (OTHERS,), Check.MANAGEMENT_WEAK),
        (replace(BEST, owner_scopes=frozenset({"admin"})), (OTHERS,), Check.OWNER_NOT_OWNER),
        (replace(BEST, key=replace(OWNER, expires_at=NOW + 900 * DAY)), (OTHERS,), Check.MANAGEMENT_EXPIRES),
        (BEST, (OTHERS, TWIN), Check.MANAGEMENT_DUPLICATE),
        (BEST, (OTHERS, key("key-2")), Check.ACCOUNT_SHARED),
    ],
)
def test_what_is_less_than_best_is_told(own: OwnKey, keys: tuple[Key, ...], told: Check) -> None:
    assert told in checks(of_own_key("asr", own, listing(*keys), rotated=False))


@pytest.mark.parametrize(
    ("own", "keys", "untold"),
    [
        (replace(BEST, owner_scopes=None, scopes=None), (OTHERS,), Check.MANAGEMENT_WEAK),
        (replace(BEST, owner_scopes=None), (OTHERS,), Check.OWNER_NOT_OWNER),
        (replace(BEST, owner_scopes=frozenset({"admin"})), (OWNER,), Check.OWNER_NOT_OWNER),
        (BEST, (OWNER, OTHERS, MADE), Check.MANAGEMENT_DUPLICATE),
        (BEST, (OWNER, OTHERS, MADE), Check.ACCOUNT_SHARED),
        (BEST, (replace(key("key-2"), member_id=None),), Check.ACCOUNT_SHARED),
        (BEST, (OTHERS, replace(TWIN, comment="console")), Check.MANAGEMENT_DUPLICATE),
        (BEST, (OTHERS, replace(TWIN, scopes=frozenset({"member"}))), Check.MANAGEMENT_DUPLICATE),
        (BEST, (OTHERS, replace(TWIN, expires_at=NOW)), Check.MANAGEMENT_DUPLICATE),
        (
            replace(BEST, key=replace(OWNER, comment="")),
            (replace(TWIN, comment=""),),
            Check.MANAGEMENT_DUPLICATE,
        ),
        (replace(BEST, key=None), (TWIN,), Check.MANAGEMENT_DUPLICATE),
    ],
)
def test_what_is_not_known_or_does_no_harm_is_not_told(
    own: OwnKey, keys: tuple[Key, ...], untold: Check
) -> None:
    assert untold not in checks(of_own_key("asr", own, listing(*keys), rotated=False))


def test_an_expiry_is_fine_where_a_lineage_looks_after_the_management_key() -> None:
    own = replace(BEST, key=replace(OWNER, expires_at=NOW + DAY))

    assert Check.MANAGEMENT_EXPIRES not in checks(of_own_key("asr", own, listing(OTHERS), rotated=True))


def test_a_provider_that_does_not_say_which_key_is_ours() -> None:
    own = OwnKey(key=None, owner=None, scopes=None, owner_scopes=None)
    found = checks(of_own_key("asr", own, listing(OTHERS, OWNER, names=None), rotated=False))

    assert Check.MANAGEMENT_UNNAMED in found


def used(
    of: Key | None = None,
    policy: Policy = POLICY,
    *,
    lineage: str = LINEAGE.name,
    watched: bool = False,
    rotated: bool = False,
) -> InUse:
    return InUse(
        lineage=lineage,
        lineage_id=LINEAGE.lineage_id,
        policy=policy,
        key=KnownKey.seen(of or key()),
        watched=watched,
        rotated=rotated,
    )


def test_scopes_that_the_management_key_may_not_give() -> None:
    own = OwnKey(key=None, owner=None, scopes=frozenset({"owner"}), owner_scopes=frozenset({"member"}))
    fine = used(replace(key(), scopes=frozenset({"usage:write"})), lineage="secret/fine")
    billing = used(
        replace(key(), scopes=frozenset({"usage:write", "billing:read"})), lineage="secret/billing"
    )
    listen = used(replace(key(), scopes=frozenset({"listen"})), lineage="secret/listen")
    (found,) = of_copies("asr", own, [fine, billing, listen])

    assert found.check is Check.SCOPES_LACKING
    assert found.subjects == ("secret/billing", "secret/listen")
    assert found.terms == {"missing": frozenset({"billing:read", "listen"})}
    assert list(of_copies("asr", BEST, [billing, listen])) == []
    assert (
        list(of_copies("asr", OwnKey(key=None, owner=None, scopes=None, owner_scopes=None), [listen])) == []
    )


ENDLESS = key(lifetime=None)
SHORT = Policy(
    name="all",
    providers=("asr",),
    adopt=Adopt.WHEN_DUE,
    overlap=HOUR,
    retry_max=8 * MINUTE,
    rotate_before=Share(50),
)
"""A rotation takes 1h10m."""
EARLY = replace(POLICY, rotate_before=30 * DAY)
NEEDED = DAY + HOUR + 2 * MINUTE
"""How long a rotation takes by that."""


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (used(), [Check.POLICY_FIT]),
        (used(ENDLESS), [Check.NEVER_DUE]),
        (used(ENDLESS, replace(POLICY, max_age=DAY)), [Check.POLICY_FIT]),
        (used(ENDLESS, watched=True), [Check.POLICY_FIT]),
        (used(ENDLESS, replace(POLICY, adopt=Adopt.NOW)), [Check.NEVER_DUE]),
        (used(ENDLESS, replace(POLICY, adopt=Adopt.NOW, lifetime=90 * DAY)), [Check.POLICY_FIT]),
        (used(ENDLESS, replace(POLICY, adopt=Adopt.NOW, lifetime=90 * DAY), rotated=True), [Check.NEVER_DUE]),
        (used(key(age=2 * HOUR, lifetime=3 * HOUR + 10 * MINUTE), SHORT), [Check.SAFE_START_PAST]),
        (used(key(age=2 * HOUR, lifetime=3 * HOUR + 11 * MINUTE), SHORT), [Check.POLICY_FIT]),
        (used(key(age=3 * HOUR, lifetime=3 * HOUR + TICK), SHORT), [Check.SAFE_START_PAST]),
        (used(key(age=3 * HOUR, lifetime=3 * HOUR), SHORT), [Check.POLICY_FIT]),
        (
            used(key(age=2 * HOUR, lifetime=3 * HOUR + 10 * MINUTE), SHORT, watched=True),
            [Check.SAFE_START_PAST],
        ),
        (used(key(age=MINUTE, lifetime=2 * HOUR), SHORT), [Check.LEAD_TOO_SHORT]),
        (used(key(age=MINUTE, lifetime=2 * HOUR + 20 * MINUTE), SHORT), [Check.POLICY_FIT]),
        (used(key(age=MINUTE, lifetime=2 * HOUR), SHORT, watched=True), [Check.POLICY_FIT]),
        (used(key(age=MINUTE, lifetime=2 * HOUR), replace(SHORT, lifetime=DAY)), [Check.POLICY_FIT]),
        (
            used(key(age=MINUTE, lifetime=2 * HOUR), replace(SHORT, lifetime=Lifetime.NEVER)),
            [Check.POLICY_FIT],
        ),
        (used(key(age=100 * DAY)), [Check.POLICY_FIT]),
        (used(key(lifetime=33 * DAY), EARLY), [Check.LEAD_TOO_LONG]),
        (used(key(lifetime=33 * DAY + TICK), EARLY), [Check.POLICY_FIT]),
        (used(key(lifetime=33 * DAY), EARLY, watched=True), [Check.POLICY_FIT]),
        # Of the key in use alone, and of those that follow it.
        (used(key(lifetime=33 * DAY), replace(EARLY, lifetime=90 * DAY)), [Check.LEAD_TOO_LONG]),
        (used(policy=replace(EARLY, lifetime=33 * DAY)), [Check.LEAD_TOO_LONG]),
        (
            used(ENDLESS, replace(EARLY, max_age=DAY, lifetime=33 * DAY)),
            [Check.LEAD_TOO_LONG],
        ),
        # No lead fits.
        (used(key(age=MINUTE, lifetime=1.1 * NEEDED), EARLY), [Check.LIFETIME_TOO_SHORT]),
        (used(key(age=MINUTE, lifetime=1.1 * NEEDED + TICK), EARLY), [Check.LEAD_TOO_LONG]),
        (used(key(age=MINUTE, lifetime=1.1 * NEEDED), EARLY, watched=True), [Check.POLICY_FIT]),
        (
            used(key(age=MINUTE, lifetime=1.1 * NEEDED), replace(EARLY, lifetime=90 * DAY)),
            [Check.POLICY_FIT],
        ),
    ],
)
def test_what_times_mean_for_a_real_key(one: InUse, told: list[Check]) -> None:
    assert checks(of_policy(one.policy, [one], NOW)) == told


def test_how_long_a_rotation_takes_is_said_to_those_whose_keys_live_too_short_for_it() -> None:
    (found,) = of_policy(EARLY, [used(key(age=MINUTE, lifetime=1.1 * NEEDED), EARLY)], NOW)

    assert (found.check, found.terms["needed"]) == (Check.LIFETIME_TOO_SHORT, NEEDED)


def opened(cron: str, of: Policy = POLICY) -> Policy:
    return replace(of, windows=(Window(cron=cron, length=HOUR, zone=ZoneInfo("UTC")),))


def frozen(length: timedelta, *, ended: timedelta = -DAY, of: Policy = POLICY) -> Policy:
    """Return a policy with a freeze that ended so long ago (a negative time: it will)."""
    return replace(of, freezes=(Freeze(starts_at=NOW - ended - length, ends_at=NOW - ended),))


def frozen_in(begins_in: timedelta, of: Policy) -> Policy:
    return frozen(ROOM + MINUTE, ended=-(begins_in + ROOM + MINUTE), of=of)


def two_in_turn(length: timedelta) -> Policy:
    """Return a policy with two freezes of so long together, the one beginning as the other ends."""
    begin, mid = NOW + DAY, NOW + 10 * DAY
    freezes = Freeze(starts_at=mid, ends_at=begin + length), Freeze(starts_at=begin, ends_at=mid)
    return replace(POLICY, freezes=freezes)


def test_of_several_lifetimes_that_the_lead_is_too_long_for_the_shortest_is_told() -> None:
    keys = [used(key(lifetime=life * DAY), EARLY, lineage=f"secret/{life}") for life in (33, 90, 20)]
    (found,) = of_policy(EARLY, keys, NOW)

    assert (found.check, found.grade) == (Check.LEAD_TOO_LONG, Grade.WARNING)
    assert found.subjects == ("secret/33", "secret/20")
    assert found.terms == {"lead": 30 * DAY, "lifetime": 20 * DAY, "instead": 20 * DAY * 0.33}


LONGER = replace(POLICY, lifetime=400 * DAY)
IN_MAY = opened("0 2 1 5 *")
OPEN_NOW = opened("30 11 5 1 *")
NEW = key(age=10 * MINUTE)
WEEKLY = opened("0 2 * * 0")
ROOM = 90 * DAY * 0.33 - (DAY + HOUR + 2 * MINUTE)
"""What a third of 90 days leaves for a freeze."""


@pytest.mark.promise("P8")
@pytest.mark.parametrize(
    ("one", "told"),
    [
        (used(policy=opened("0 2 * * 0")), [Check.POLICY_FIT]),
        (used(policy=IN_MAY), [Check.WINDOW_MISSED]),
        (used(policy=IN_MAY, watched=True), [Check.POLICY_FIT]),
        (used(key(age=70 * DAY), policy=IN_MAY), [Check.WINDOW_MISSED]),
        (used(key(age=89 * DAY), policy=IN_MAY), [Check.SAFE_START_PAST]),
        (used(ENDLESS, IN_MAY), [Check.NEVER_DUE]),
        (used(ENDLESS, replace(IN_MAY, max_age=DAY)), [Check.POLICY_FIT]),
        (used(policy=replace(IN_MAY, adopt=Adopt.NOW)), [Check.WINDOW_MISSED]),
        (used(policy=replace(opened("0 13 5 1 *"), adopt=Adopt.NOW)), [Check.POLICY_FIT]),
        (used(policy=replace(opened("0 13 5 1 *"), adopt=Adopt.NOW), rotated=True), [Check.POLICY_FIT]),
        # Made while it was open, and it is still.
        (used(NEW, OPEN_NOW), [Check.WINDOW_MISSED]),
        (used(NEW, replace(OPEN_NOW, adopt=Adopt.NOW)), [Check.POLICY_FIT]),
        (used(NEW, replace(OPEN_NOW, adopt=Adopt.NOW), rotated=True), [Check.WINDOW_MISSED]),
        (used(policy=frozen(ROOM)), [Check.POLICY_FIT]),
        (used(policy=frozen(ROOM + MINUTE)), [Check.FREEZE_TOO_LONG]),
        (used(policy=frozen(ROOM + MINUTE), watched=True), [Check.POLICY_FIT]),
        # Its successors live long enough; it expires in 80 days itself.
        (used(policy=frozen_in(80 * DAY, LONGER)), [Check.POLICY_FIT]),
        (used(policy=frozen_in(80 * DAY - TICK, LONGER)), [Check.FREEZE_TOO_LONG]),
        (used(policy=frozen(ROOM + MINUTE, ended=TICK)), [Check.POLICY_FIT]),
        (used(policy=frozen(ROOM + MINUTE, ended=timedelta())), [Check.POLICY_FIT]),
        (used(policy=frozen(ROOM + MINUTE, ended=-TICK)), [Check.FREEZE_TOO_LONG]),
        (used(ENDLESS, replace(frozen(90 * DAY), max_age=DAY)), [Check.POLICY_FIT]),
        (used(policy=frozen(85 * DAY, ended=-85 * DAY)), [Check.WINDOW_MISSED, Check.FREEZE_TOO_LONG]),
        # Windows that are closed before and after it, and other freezes, make it longer.
        (used(policy=frozen(28 * DAY, ended=-42 * DAY)), [Check.POLICY_FIT]),
        (used(policy=frozen(28 * DAY, ended=-42 * DAY, of=WEEKLY)), [Check.FREEZE_TOO_LONG]),
        (used(policy=two_in_turn(ROOM)), [Check.POLICY_FIT]),
        (used(policy=two_in_turn(ROOM + MINUTE)), [Check.FREEZE_TOO_LONG]),
        # Where windows alone close for as long, it is not the freeze.
        (used(key(age=-DAY), policy=frozen(DAY, ended=-2 * DAY, of=IN_MAY)), [Check.WINDOW_MISSED]),
        # What replaces a key that lives on for ever, or for another time, counts, too.
        (used(ENDLESS, replace(frozen(20 * DAY), max_age=DAY, lifetime=30 * DAY)), [Check.FREEZE_TOO_LONG]),
        (
            used(key(lifetime=30 * DAY), replace(frozen(20 * DAY, ended=-90 * DAY), lifetime=90 * DAY)),
            [Check.POLICY_FIT],
        ),
    ],
)
def test_what_windows_and_freezes_mean_for_a_real_key(one: InUse, told: list[Check]) -> None:
    assert checks(of_policy(one.policy, [one], NOW)) == told


def test_keys_of_one_policy_are_told_of_together_and_those_of_others_not() -> None:
    other = replace(POLICY, name="other")
    keys = [used(ENDLESS, lineage="secret/a"), used(ENDLESS, lineage="secret/b"), used(lineage="secret/c")]
    (found,) = of_policy(POLICY, [*keys, used(ENDLESS, other, lineage="secret/d")], NOW)

    assert (found.about, found.subjects) == ("policy all", ("secret/a", "secret/b"))
    assert list(of_policy(replace(POLICY, name="empty"), keys, NOW)) == []


# What a person reads

BOUND = replace(BEST, owner_scopes=frozenset({"usage:write"}))
ENDING = replace(BOUND, key=replace(OWNER, expires_at=NOW + DAY))
NAMELESS = replace(BOUND, key=None, owner=None)
OURS = listing(OTHERS, key("key-2"))
SHUT = frozen(85 * DAY, ended=-85 * DAY)
LATE = [used(key(age=HOUR, lifetime=2 * HOUR), SHORT)]
BILLING = [used(replace(key(), scopes=frozenset({"billing:read"})))]


@pytest.mark.promise("P8")
@pytest.mark.parametrize(
    ("about", "found", "sentences"),
    [
        (
            "Vault",
            lambda: of_token(ends_at=NOW + DAY, renewable=False, policies=frozenset({"root"}), now=NOW),
            [
                "our token ends in 1d (2026-01-06 12:00Z) and can't be renewed",
                "our token may do everything",
            ],
        ),
        (
            "provider asr",
            lambda: of_own_key("asr", ENDING, listing(OTHERS, key("key-2"), TWIN), rotated=False),
            [
                "the management key lacks keys:read, keys:write",
                "the management key key-management expires in 1d (2026-01-06 12:00Z), and nothing rotates it",
                "ops@example.com, the account of the management key, is no owner there but usage:write",
                (
                    "new keys will belong to ops@example.com, and end if that account is removed; "
                    "2 keys belong to other accounts now"
                ),
                "ops@example.com, the account of the management key, has 1 key of its own besides",
                'there are other management keys with the comment "rotator itself": key-twin',
            ],
        ),
        (
            "provider asr",
            lambda: of_own_key("asr", NAMELESS, OURS, rotated=False),
            [
                "the management key lacks keys:read, keys:write",
                "its account, the account of the management key, is no owner there but usage:write",
                (
                    f"new keys will belong to {MEMBER}, and end if that account is removed; "
                    "1 key belongs to other accounts now"
                ),
                "its account, the account of the management key, has 1 key of its own besides",
            ],
        ),
        (
            "provider asr",
            lambda: of_copies("asr", BOUND, BILLING),
            ["billing:read is to be copied for secret/voice, and the management key is not known to have it"],
        ),
        (
            "policy all",
            lambda: of_policy(POLICY, [used(), used()], NOW),
            ["it covers 2 lineages, adopt when_due"],
        ),
        (
            "policy all",
            lambda: of_policy(SHORT, LATE, NOW),
            [
                "the key in use is due too late to give the whole overlap, for secret/voice",
                "it is too late for a whole overlap, for secret/voice",
            ],
        ),
        (
            "policy all",
            lambda: of_policy(SHUT, [used(policy=SHUT)], NOW),
            [
                "the key in use will be rotated while all is closed, for secret/voice",
                "a freeze closes all for 85d, begin in 0s (2026-01-05 12:00Z), for secret/voice",
            ],
        ),
    ],
    ids=["token", "management key", "management key that is not known", "copies", "policy", "late", "shut"],
)
def test_what_is_found_is_said_with_its_names_and_figures(
    about: str, found: Callable[[], Iterable[Finding]], sentences: list[str]
) -> None:
    assert [(one.about, said(one, NOW).what) for one in found()] == [(about, each) for each in sentences]


def test_what_a_rotation_takes_is_said_where_there_is_too_little_time() -> None:
    assert [said(one, NOW).why.rpartition(" = ")[2] for one in of_policy(SHORT, LATE, NOW)] == ["1h10m"] * 2
