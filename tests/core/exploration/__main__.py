"""Search and print what was found: `python -m tests.core.exploration [--deep]`. Exit with 1 when a promise broke."""

from __future__ import annotations

import argparse
import sys
import time

from tests.core.exploration.bounds import DEEP, THOROUGH
from tests.core.exploration.search import Search


def main() -> int:
    """Run every search of one depth, one line each."""
    parser = argparse.ArgumentParser(prog="python -m tests.core.exploration", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="search further; takes hours")
    broken = 0
    for bounds in DEEP if parser.parse_args().deep else THOROUGH:
        began = time.perf_counter()
        found = Search(bounds).run()
        sys.stdout.write(f"{bounds}: {found} ({time.perf_counter() - began:.0f} s)\n")
        sys.stdout.flush()
        broken += found.broken is not None
    sys.stdout.write(f"broken promises: {broken}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
