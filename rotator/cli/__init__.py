"""What a terminal sees: commands and rendering. Results go to standard output, logs and errors to standard error."""

from __future__ import annotations

import contextlib
import sys

import click

from rotator.cli import exits, text
from rotator.cli.app import rotator
from rotator.errors import RotatorError


def run() -> None:
    """Run the command line of this process, and end it with the status of `cli.exits`."""
    text.open_streams()
    try:
        sys.exit(_status())
    finally:
        text.settle_streams()


def _status() -> int:
    """Run the command, tell what ended it if it was an error, and return the status to end with."""
    try:
        status: int = rotator.main(prog_name="rotator", standalone_mode=False)
    except click.ClickException as error:
        with contextlib.suppress(OSError):
            error.show()
        status = error.exit_code
    except click.Abort:
        status = exits.INTERRUPTED
    except RotatorError as error:
        status = _failed(error)
    except Exception as error:  # noqa: BLE001 (the last place where a bug can be told in one line)
        unwritten = text.settle_streams()
        status = _bug(error) if unwritten is None else _failed(unwritten)
    return status


def _failed(error: RotatorError) -> int:
    from rotator.cli import failures  # noqa: PLC0415 (only a failure pays for it)

    return failures.tell(error)


def _bug(error: Exception) -> int:
    from rotator.cli import failures  # noqa: PLC0415 (only a failure pays for it)

    return failures.tell_bug(error)
