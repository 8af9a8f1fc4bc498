"""The provider's side of a case: a Deepgram with one key to rotate, and keys that are none of our business."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

from rotator.model.key import Mark
from rotator.model.secret import Secret
from rotator.simulator.world import SimulatedKey, World
from tests.support.canary import secret_text
from tests.support.lab import TravelClock

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
COMMENT = "voice a"
SCOPES, TAGS = ("usage:write",), ("prod",)
OTHER_JOURNAL = Mark("0" * 12, "1" * 12, "2" * 16)


class WatchedWorld(World):
    """A Deepgram whose every creation somebody hears of. Ids and secrets follow from their number."""

    clock: TravelClock

    def __init__(self, clock: TravelClock) -> None:
        super().__init__(clock, secret_factory=self._next_secret, id_factory=self._next_id)
        self.made = 0
        self.kept: Callable[[SimulatedKey], None] = lambda _key: None

    def copy(self) -> WatchedWorld:
        """Return the same world with a clock of its own that stands as this one's, and nobody who hears."""
        clock = TravelClock()
        clock.shift = self.clock.now() - clock.now()
        made = WatchedWorld(clock)
        made.made = self.made
        made.projects = dict(self.projects)
        made._members = dict(self._members)
        made._keys = dict(self._keys)
        made._key_of_secret = dict(self._key_of_secret)
        return made

    def keep(self, key: SimulatedKey) -> None:
        super().keep(key)
        self.kept(key)

    def _next_id(self) -> str:
        self.made += 1
        return str(uuid.UUID(int=self.made, version=4))

    def _next_secret(self) -> str:
        self.made += 1
        return secret_text(f"made {self.made}")


def first_world() -> WatchedWorld:
    """Return a project with the management key, a key that is due, one of the same name, and another journal's."""
    world = WatchedWorld(TravelClock())
    project_id = world.add_project()
    ours, ann = world.add_member(project_id, email="ops@x.test"), world.add_member(project_id)
    world.add_key(project_id, member_id=ours, comment="rotator itself", scopes=("owner",))
    now = world.clock.now()
    for comment, age in ((COMMENT, 80 * DAY), (COMMENT, 3 * DAY), (f"kiosk {OTHER_JOURNAL}", 5 * DAY)):
        world.add_key(
            project_id,
            member_id=ann,
            comment=comment,
            scopes=SCOPES,
            tags=TAGS,
            created_at=now - age,
            expires_at=now - age + 90 * DAY,
        )
    return world


def management_secret() -> Secret:
    """Return the secret of the management key, which is the same in each world."""
    return next(iter(first_world()._keys.values())).secret
