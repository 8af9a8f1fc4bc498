"""Where the command `rotator` begins."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130


def main() -> None:
    """Run the command line. A Ctrl-C ends it quietly and at once, until a command that writes listens itself."""
    # Not by KeyboardInterrupt: raised while modules are loaded, it can get lost in a callback that can't raise.
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from rotator.cli import run  # noqa: PLC0415 (--help must not wait for the adapters)

    run()


if __name__ == "__main__":
    main()
