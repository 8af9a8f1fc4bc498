"""What the service shows of itself at one instant, to probes, metrics and the service manager. Never a secret."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.model.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSeen:
    """The policy file in use, and what is wrong with the one that is there now, "" if nothing.

    `digest` is its hash, `loaded_at` since when it is in use, `rejected_at` since when something is wrong. `rejections` counts the files that were refused since the service started.
    """

    digest: str
    instance: str
    loaded_at: datetime
    rejected: str = ""
    rejected_at: datetime | None = None
    rejections: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The service at `now`.

    `swept_at` is when the last sweep had read the control record, all records that it needed and every provider's list;
    None before the first. `looked_at` is when the last one ended that was whole or partial: it reached Vault and the control
    record, and tried the rest. `troubles` are what could not be looked at, in words. `breakers` are by provider, `skews` (what a clock
    is ahead of ours) by "vault" or provider. `series` is how many lineages may be shown one by one. `working`: lineages are
    being worked on, and the next sweep comes after that. `alive` says whether the work still makes progress.
    """

    now: datetime
    standings: Collection[Standing]
    file: FileSeen
    connected: bool
    swept_at: datetime | None
    looked_at: datetime | None
    sweep_every: timedelta
    series: int
    troubles: tuple[str, ...]
    breakers: Mapping[str, str]
    skews: Mapping[str, timedelta]
    strays: Mapping[str, int]
    stopping: bool
    working: bool
    alive: bool

    @property
    def ready(self) -> bool:
        """Whether the fleet was looked at within the last three sweeps, as far as it can be, and work goes on.

        What a sweep found to do may take longer than that where calls are slow.
        """
        if self.looked_at is None or self.stopping or not self.alive:
            return False
        # Our clock may have been set back since.
        return self.working or abs(self.now - self.looked_at) <= 3 * self.sweep_every
