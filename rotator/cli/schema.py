"""`rotator schema`: what a policy file may hold, as JSON Schema."""

from __future__ import annotations

from rotator.cli import exits
from rotator.cli.text import emit
from rotator.policy.file import schema as policy_file


def schema() -> int:
    """Print the schema. No file is read, no credential needed."""
    emit(policy_file.text())
    return exits.FINE
