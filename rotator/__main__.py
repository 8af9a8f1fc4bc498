"""Where the command `rotator` begins."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from rotator.cli import run  # noqa: PLC0415 (--help must not wait for the adapters)

    run()


if __name__ == "__main__":
    main()
