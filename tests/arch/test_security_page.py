"""Each claim of the page on security names tests that exist."""

from __future__ import annotations

import re

from tests.support.traps import ROOT, written_tests

PAGE = (ROOT / "docs" / "explanation" / "security.md").read_text()
WITHOUT_TESTS = {"Not protected"}


def test_every_section_names_tests_and_all_of_them_exist() -> None:
    existing = frozenset().union(*written_tests().values())
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    assert len(sections) > len(WITHOUT_TESTS)
    for section in sections:
        title = section.splitlines()[0]
        named = set(re.findall(r"`(test_\w+)`", section))
        assert bool(named) is (title not in WITHOUT_TESTS), title
        assert named <= existing, named - existing
