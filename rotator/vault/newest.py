"""The newest versions that were written or seen, of the entries that were asked for last."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

REMEMBERED: Final = 2048
"""Of so many entries: many times more than are asked for while a standby may lag, and few enough to need no memory."""


class Newest:
    """What a node that lags behind is known by. It forgets the entries that were asked for longest ago."""

    def __init__(self) -> None:
        self._versions: OrderedDict[tuple[str, str], int] = OrderedDict()

    def of(self, mount: str, path: str) -> int:
        """Return the version that an entry is at, as far as it is remembered: 0 when it is not."""
        return self._versions.get((mount, path), 0)

    def note(self, mount: str, path: str, version: int) -> None:
        """Remember the version that an entry is at now."""
        self._versions[mount, path] = version
        self._versions.move_to_end((mount, path))
        if len(self._versions) > REMEMBERED:
            self._versions.popitem(last=False)
