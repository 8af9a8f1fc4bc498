"""The format of what is kept in the journal: which this version writes, which it reads, and which it leaves alone.

A newer version may be at work beside this one, while it is rolled out or after it was rolled back. So a document says
its `format`, and from the second format on also `needs`: the format that a rotator must know to act by it. One that is a
single format newer, and needs no later one than ours, is acted by: what is not known is kept as it is and written back,
in the format that it had. Anything newer is refused, and left as it is. See `docs/decisions/0009-formats-of-the-journal.md`.
"""

from __future__ import annotations

from typing import Final

KNOWN: Final = 1
"""The newest format that this version knows whole."""

WRITTEN: Final = 1
"""The oldest format that this version writes: what it read in an older one is written in this one the next time.

A version that learns a format which older ones may not act by leaves this behind; the version after it catches up.
"""

LARGEST: Final = 999_999
"""What is above it is no format but a slip, or was made to do harm."""


class NewerFormat(ValueError):
    """A document was written by a newer version, and this one may not act by it."""

    def __init__(self, found: int, needs: int) -> None:
        """Name the format that was found, and the one that a rotator must know."""
        super().__init__(
            f"a newer rotator wrote it, in format {found}; only a rotator that knows format {needs} may act by it, and this "
            f"one knows format {KNOWN}"
        )


def keeps_unknown(found: int, needs: object) -> bool:
    """Return whether a document of format `found` may hold what this version does not know, to be kept as it is.

    `needs` is what the document says, None where it does not. Raise NewerFormat when this version may not act by it.
    """
    if found <= KNOWN:
        return False
    # What says nothing, or nonsense, of who may act by it is for those only that know its format.
    must_know = needs if isinstance(needs, int) and not isinstance(needs, bool) and needs <= found else found
    if found > KNOWN + 1 or must_know > KNOWN:
        raise NewerFormat(found, max(must_know, found - 1))
    return True
