"""Everything that `check` can find has words, says how to mend it, and gives the right exit status."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from rotator.cli import exits
from rotator.cli.app import rotator
from rotator.cli.findings import SAID, said, status
from rotator.errors import (
    Denied,
    InvariantViolation,
    NotFound,
    PolicyError,
    Problem,
    Rejected,
    RotatorError,
    Throttled,
    Unavailable,
)
from rotator.model.reason import HoldReason
from rotator.plan.findings import Check, Finding, Grade
from tests.support.builders import DAY, NOW

TERMS = {
    "ends_at": NOW + DAY,
    "expires_at": NOW + DAY,
    "missing": frozenset({"owner", "keys:write"}),
    "needed": timedelta(hours=25),
    "starts_at": NOW + DAY,
    "closed": timedelta(days=17),
    "lead": timedelta(days=30),
    "lifetime": timedelta(days=20),
    "instead": timedelta(days=6, hours=14),
    "records": 1,
    "entries": 2,
    "keys": 300,
    "others": 1,
    "lineages": 2,
    "key_id": "key-1",
    "owner": "ops@example.com",
    "role": frozenset({"admin"}),
    "adopt": "watch",
    "comment": "rotator itself",
    "reason": HoldReason.MATCHED_TWICE,
}
FILE = PolicyError((Problem(file="{env: X}", line=0, column=0, path="", what="not set", hint="set it"),))


def finding(
    check: Check = Check.MOUNT_UNFIT, grade: Grade = Grade.PROBLEM, error: RotatorError | None = None
) -> Finding:
    subjects = ("secret/a", "secret/b", "secret/c", "secret/d", "secret/e")
    return Finding(check=check, grade=grade, about="x", subjects=subjects, terms=TERMS, error=error)


@pytest.mark.parametrize("check", Check)
def test_each_finding_has_words(check: Check) -> None:
    found = said(finding(check, error=Rejected("read", "secret/x", "it is odd")), NOW)

    assert found.what
    assert bool(found.why) == bool(found.cure)
    for text in (found.what, found.why, found.cure):
        assert text.isprintable()
        assert not text.endswith(".")
        assert "{" not in text
        assert set(re.findall(r"`rotator ([\w-]+)", text)) <= set(rotator.commands)


def test_there_are_words_for_nothing_else() -> None:
    assert set(SAID) == set(Check)


@pytest.mark.parametrize("check", [check for check, words in SAID.items() if not words.why])
def test_what_is_fine_needs_no_cure(check: Check) -> None:
    assert SAID[check].cure == ""


def test_terms_are_put_in_as_people_read_them() -> None:
    assert said(finding(Check.MANAGEMENT_EXPIRES), NOW).what == (
        "the management key key-1 expires in 1d (2026-01-06 12:00Z), and nothing rotates it"
    )
    assert "have it" in said(finding(Check.SCOPES_LACKING), NOW).what
    assert said(finding(Check.SCOPES_LACKING), NOW).what.startswith(
        "keys:write, owner is to be copied for secret/a, secret/b, secret/c and 2 more"
    )
    assert "1 key belongs to other accounts" in said(finding(Check.NEW_OWNER), NOW).what
    assert said(finding(Check.MANAGEMENT_ACCEPTED), NOW).what.endswith("shows 300 keys")
    assert said(finding(Check.LEAD_TOO_SHORT), NOW).why.endswith("= 25h")
    assert said(finding(Check.LEAD_TOO_LONG), NOW).why == (
        "it is 30d, and due times are spread by up to a tenth of it: a key that lives 20d would be due as soon as it is made, "
        "so 6d14h counts for it instead"
    )
    assert said(finding(Check.HELD), NOW).why == "two policies match this key"


def test_a_reference_that_leads_nowhere_is_told_with_its_hint() -> None:
    found = said(finding(Check.PROVIDER_FAILED, error=FILE), NOW)

    assert (found.why, found.cure) == ("{env: X}: not set", "set it")


def test_a_right_that_is_missing_in_vault_is_to_be_had_from_the_command_that_prints_them() -> None:
    error = Denied("check entry", "secret/x", "the token lacks read")

    assert "`rotator vault-policy`" in said(finding(Check.ENTRY_REFUSED, error=error), NOW).cure


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((), exits.FINE),
        ((finding(grade=Grade.OK), finding(grade=Grade.WARNING)), exits.FINE),
        ((finding(),), exits.PERSON_NEEDED),
        ((finding(error=Denied("x", "y")),), exits.PERSON_NEEDED),
        ((finding(error=Rejected("x", "y")),), exits.PERSON_NEEDED),
        ((finding(error=NotFound("x", "y")),), exits.PERSON_NEEDED),
        ((finding(error=Unavailable("x", "y")),), exits.TRY_AGAIN),
        ((finding(error=Throttled("x", "y")),), exits.TRY_AGAIN),
        ((finding(), finding(error=Unavailable("x", "y"))), exits.PERSON_NEEDED),
        ((finding(error=InvariantViolation("x")), finding(error=Unavailable("x", "y"))), exits.FAILED),
        ((finding(error=FILE), finding(error=InvariantViolation("x"))), exits.BAD_POLICY),
        ((finding(grade=Grade.WARNING, error=Unavailable("x", "y")),), exits.FINE),
    ],
)
def test_the_exit_status_is_that_of_the_gravest_problem(found: tuple[Finding, ...], expected: int) -> None:
    assert status(found) == expected
