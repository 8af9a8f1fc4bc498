"""What the front page shows is so."""

from __future__ import annotations

import re
from pathlib import Path

from rotator.policy.load import load
from rotator.policy.policy import Adopt

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_policy_file_of_the_front_page_loads_as_pasted() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert len(block.splitlines()) <= 10
    file = load(block.encode(), name="README.md")
    assert [policy.adopt for policy in file.policies] == [Adopt.WHEN_DUE]


def test_the_front_page_leads_to_targets_that_exist() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    for target in re.findall(r"^ {4}make (\w+)$", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_what_the_proof_of_the_front_page_ends_with_is_on_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "proof.md").read_text().splitlines()
    rows = re.findall(r"^ {4}(\|.*\|)$", README, re.MULTILINE)
    assert len(rows) > 5
    assert [row for row in rows if row not in page] == [], "run `make prove`, and copy what it ends with"
