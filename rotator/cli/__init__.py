"""What a terminal sees: commands and rendering. Results go to standard output, logs and errors to standard error."""

from __future__ import annotations

import sys

import click

from rotator.cli import exits
from rotator.cli.app import rotator
from rotator.errors import RotatorError


def run() -> None:
    """Run the command line of this process, and end it with the status of `cli.exits`."""
    try:
        status = rotator.main(prog_name="rotator", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = exits.INTERRUPTED
    except RotatorError as error:
        status = _failed(error)
    except Exception as error:  # noqa: BLE001 (the last place where a bug can be told in one line)
        status = _bug(error)
    sys.exit(status)


def _failed(error: RotatorError) -> int:
    from rotator.cli import failures  # noqa: PLC0415 (only a failure pays for it)

    return failures.tell(error)


def _bug(error: Exception) -> int:
    from rotator.cli import failures  # noqa: PLC0415 (only a failure pays for it)

    return failures.tell_bug(error)
