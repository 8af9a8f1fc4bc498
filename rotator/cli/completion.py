"""`rotator completion`: a script for a shell, by click's own mechanism.

https://click.palletsprojects.com/en/stable/shell-completion/
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from rotator.cli import exits
from rotator.cli.text import emit


def completion(group: click.Command, shell: str) -> int:
    """Print the script. `shell` is one that click knows."""
    kind = get_completion_class(shell)
    if kind is None:
        raise LookupError(shell)
    emit(kind(group, {}, "rotator", "_ROTATOR_COMPLETE").source())
    return exits.FINE
