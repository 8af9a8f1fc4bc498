"""Strike the program at each call, and at random: `python -m tests.faults.kills [--seed N] [--seconds S]`.

Prints the seed first; the same seed repeats the same random decisions (`storm` says what it can't repeat). Exits with 1
when a promise broke.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from tests.faults.kills.prove import prove


def main() -> int:
    """Run all of it; print the lines, and each promise that broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9), help="of the random decisions")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to strike at random")
    given = parser.parse_args()
    sys.stdout.write(f"seed {given.seed}\n")
    sys.stdout.flush()
    began = time.perf_counter()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.perf_counter() - began:4.0f} s  {text}\n")
        sys.stdout.flush()

    lines = prove(say, seed=given.seed, seconds=given.seconds)
    for line in lines:
        say(f"{line.cases:4} {line.what}: {len(line.broken)} went wrong")
        for broken in line.broken:
            say(f"     {broken}")
    return 1 if any(line.broken for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
