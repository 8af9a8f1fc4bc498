"""Where the command `rotator` begins."""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line. A Ctrl-C while it is still being loaded ends it as quietly as a later one."""
    try:
        from rotator.cli import run  # noqa: PLC0415 (--help must not wait for the adapters)

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
