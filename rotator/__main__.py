"""Where the command `rotator` begins."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130


def main() -> None:
    """Run the command line. A Ctrl-C ends it quietly and at once, until a command that works on lineages listens itself.

    `pause`, `resume` and a rebuild do not: each of their writes is one record, whole or not at all, and an end in between
    does no harm.
    """
    # Not by KeyboardInterrupt: raised while modules are loaded, it can get lost in a callback that can't raise. Whatever
    # is loaded before this line is a moment in which Python itself would answer Ctrl-C, with a traceback.
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    signal.signal(signal.SIGTERM, _terminated)
    leave_no_trace()
    from rotator.cli import run  # noqa: PLC0415 (--help must not wait for the adapters)

    run()


def _terminated(number: int, _: object) -> None:
    """End as SIGTERM does by itself. The first process of a container is not ended by what it does not answer (pid_namespaces(7))."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def leave_no_trace() -> None:
    """See that what this process has in memory gets into no file: it will hold credentials.

    Not by making the process undumpable (PR_SET_DUMPABLE): that is another 5 ms for each command, as Python has it only
    by ctypes, and takes debuggers from the operator. Whoever is this user could read the credentials themselves.
    """
    import contextlib  # noqa: PLC0415 (not before Ctrl-C is answered)
    from pathlib import Path  # noqa: PLC0415 (not before Ctrl-C is answered)

    # Python writes the keys of each TLS session where this says, for those who debug TLS; libraries that are told to
    # read nothing from the environment do so too.
    os.environ.pop("SSLKEYLOGFILE", None)  # noqa: TID251 (before any library is loaded)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 (Unix only)

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The limit does not count where the kernel hands cores to a program (core(5)): then they hold no memory.
    with contextlib.suppress(OSError):
        Path("/proc/self/coredump_filter").write_text("0")


if __name__ == "__main__":
    main()
