"""What is remembered of the versions of entries."""

from __future__ import annotations

from rotator.vault.newest import REMEMBERED, Newest


def test_an_entry_is_at_the_version_that_was_noted_last() -> None:
    newest = Newest()
    for version in (3, 7, 2):  # as after a restore: what came last counts
        newest.note("secret", "a", version)
    newest.note("other", "a", 5)

    assert (newest.of("secret", "a"), newest.of("other", "a"), newest.of("secret", "b")) == (2, 5, 0)


def test_of_many_entries_those_are_forgotten_that_were_asked_for_longest_ago() -> None:
    newest = Newest()
    for number in range(REMEMBERED):
        newest.note("secret", str(number), 1)
    newest.note("secret", "0", 2)
    newest.note("secret", "one more", 1)

    assert [newest.of("secret", path) for path in ("0", "1", "2", "one more")] == [2, 0, 1, 1]
    assert sum(newest.of("secret", str(number)) > 0 for number in range(REMEMBERED)) == REMEMBERED - 1
