"""The fleet of the first hour: 300 keys that many people made in 12 projects, the same ones each time.

Ids come from a counter and times are counted back from the clock's now, so that what a command prints of this
fleet is the same text in each run. In four projects the management key is not as it should be: `check` has
something to find, and `Story.mend` makes a better one.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

from rotator.clock import Clock
from rotator.ports import Minted
from rotator.simulator.rights import Role
from rotator.simulator.world import Quirks, World

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)

PROVIDERS = (
    *("agents", "asr-ap", "asr-eu", "asr-us", "call-center", "captions"),
    *("mobile", "partners", "research", "sandbox", "tts-eu", "tts-us"),
)

READS_ONLY, OF_A_PERSON, EXPIRES_SOON, SEES_A_PART = "asr-ap", "call-center", "mobile", "sandbox"
"""The projects whose management key has a fault: it may not create, is a person's, expires, sees only its own keys."""

ONLY_READING = ("project:read", "keys:read", "members:read", "admins:read", "owners:read", "usage:read")


class Kind(StrEnum):
    """What sort of key it is."""

    ORDINARY = "ordinary"
    """An application's."""
    TWIN = "twin"
    """Its comment, or what becomes of it in a path, is that of another key of the project, which is a twin too."""
    UNNAMED = "unnamed"
    """It has no comment."""
    THROWN_AWAY_SOON = "thrown_away_soon"
    """Its comment says that nobody wants it to be rotated: `ci ...`, `...-tmp`."""
    TEMPORARY = "temporary"
    """An application made it for one session."""
    EXPIRED = "expired"
    """It has expired and nobody deleted it."""
    LICENCE = "licence"
    """It is the licence of a self-hosted installation."""
    MANAGES_KEYS = "manages_keys"
    """It can make and delete keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """How one key was made. `used` is how long ago it last was, None: never."""

    comment: str
    kind: Kind = Kind.ORDINARY
    scopes: tuple[str, ...] = ("usage:write",)
    tags: tuple[str, ...] = ()
    age: timedelta = 100 * DAY
    lifetime: timedelta | None = None
    used: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryKey:
    """One key of the fleet."""

    made: Made
    owner: str
    minted: Minted


@dataclass(slots=True, kw_only=True)
class Project:
    """One project. `name` is that of its provider in a policy file, `members` are ids by name."""

    name: str
    project_id: str
    members: dict[str, str]
    management: Minted
    keys: list[StoryKey] = field(default_factory=list)

    def key(self, comment: str) -> StoryKey:
        """Return the first key with that comment."""
        return next(key for key in self.keys if key.made.comment == comment)


@dataclass(frozen=True, slots=True)
class Story:
    """The whole fleet, by the names of its providers."""

    world: World
    projects: dict[str, Project]

    def of(self, *kinds: Kind) -> Iterator[StoryKey]:
        """Yield every key of those kinds, of any kind without one."""
        for project in self.projects.values():
            yield from (key for key in project.keys if not kinds or key.made.kind in kinds)

    def mend(self, name: str) -> Minted:
        """Give a project a management key as it should be, an owning service account's, and return it."""
        project = self.projects[name]
        account = self.world.add_member(
            project.project_id, role=Role.OWNER, email="rotator-service@example.com"
        )
        project.management = _management_key(
            self.world, project.project_id, account, comment="rotator, of the service account"
        )
        return project.management


def story(clock: Clock, *, secret_factory: Callable[[], str]) -> Story:
    """Make the fleet as at the clock's now, with secrets of `secret_factory`."""
    numbers = itertools.count(1)
    world = World(
        clock,
        quirks=Quirks(expands_scopes=True),
        secret_factory=secret_factory,
        id_factory=lambda: str(uuid.uuid5(uuid.NAMESPACE_URL, f"story:{next(numbers)}")),
    )
    return Story(world, {name: _project(world, name, number) for number, name in enumerate(PROVIDERS)})


def _project(world: World, name: str, number: int) -> Project:
    project_id = world.add_project(name)
    roles = {"rotator": Role.OWNER, "ann": Role.OWNER, "bo": Role.ADMIN, "cy": Role.MEMBER}
    members = {
        who: world.add_member(project_id, role=role, email=f"{who}@example.com")
        for who, role in roles.items()
    }
    project = Project(
        name=name,
        project_id=project_id,
        members=members,
        management=_first_management_key(world, name, project_id, members),
    )
    for place, made in enumerate(_keys(number)):
        owner = ("ann", "bo", "cy")[(number + place) % 3]
        project.keys.append(_add(world, project, owner, made))
    return project


def _first_management_key(world: World, name: str, project_id: str, members: dict[str, str]) -> Minted:
    """Make the management key that the first hour begins with."""
    owner = {OF_A_PERSON: "ann", SEES_A_PART: "cy"}.get(name, "rotator")
    return _management_key(
        world,
        project_id,
        members[owner],
        scopes=ONLY_READING if name == READS_ONLY else ("owner",),
        expires_in=20 * DAY if name == EXPIRES_SOON else None,
    )


def _management_key(
    world: World,
    project_id: str,
    member_id: str,
    *,
    comment: str = "rotator itself",
    scopes: tuple[str, ...] = ("owner",),
    expires_in: timedelta | None = None,
) -> Minted:
    now = world.clock.now()
    return world.add_key(
        project_id,
        member_id=member_id,
        comment=comment,
        scopes=scopes,
        created_at=now - DAY,
        expires_at=None if expires_in is None else now + expires_in,
    )


def _add(world: World, project: Project, owner: str, made: Made) -> StoryKey:
    now = world.clock.now()
    created_at = now - made.age
    minted = world.add_key(
        project.project_id,
        member_id=project.members[owner],
        comment=made.comment,
        scopes=made.scopes,
        tags=made.tags,
        created_at=created_at,
        expires_at=None if made.lifetime is None else created_at + made.lifetime,
    )
    if made.used is not None:
        world.request_log.add(project.project_id, minted.key_id, now - made.used)
    return StoryKey(made=made, owner=owner, minted=minted)


APPLICATIONS = (
    *("archive", "batch worker", "gateway", "ivr", "live captions", "meeting notes", "mobile backend"),
    *("quality review", "search indexer", "subtitle api", "voicemail", "Zürich office"),
)
"""The comments of ordinary keys, in each project the same."""


def _keys(number: int) -> Iterator[Made]:
    """Yield the 25 keys of a project: ordinary ones that differ in age, expiry, tags and use, and the others."""
    for place, comment in enumerate(APPLICATIONS):
        yield _ordinary(comment, number * len(APPLICATIONS) + place)
    used = Made(comment="", used=90 * MINUTE, tags=("prod",))
    yield replace(used, comment="dialer", kind=Kind.TWIN)
    yield replace(used, comment="dialer", kind=Kind.TWIN, age=30 * DAY)
    yield replace(used, comment="Reports (weekly)", kind=Kind.TWIN)
    yield replace(used, comment="reports weekly", kind=Kind.TWIN, age=400 * DAY)
    yield replace(used, comment="", kind=Kind.UNNAMED, tags=())
    yield Made(comment="ci nightly", kind=Kind.THROWN_AWAY_SOON, tags=("staging",))
    yield Made(comment="load test-tmp", kind=Kind.THROWN_AWAY_SOON, age=3 * DAY, lifetime=7 * DAY)
    yield Made(comment="session 4711", kind=Kind.TEMPORARY, age=10 * MINUTE, lifetime=60 * MINUTE)
    yield Made(comment="session 4712", kind=Kind.TEMPORARY, age=MINUTE, lifetime=60 * MINUTE)
    yield Made(comment="gateway 2024", kind=Kind.EXPIRED, age=200 * DAY, lifetime=180 * DAY)
    yield Made(comment="on-prem", kind=Kind.LICENCE, scopes=("self-hosted:products",), age=300 * DAY)
    yield Made(comment="console", kind=Kind.MANAGES_KEYS, scopes=("admin",), age=500 * DAY)
    yield Made(comment="key maker", kind=Kind.MANAGES_KEYS, scopes=("keys:write", "usage:write"))


def _ordinary(comment: str, n: int) -> Made:
    """Return an application's key; `n` is a number of its own."""
    expiring = (
        (None, 0),
        (90, n % 85),
        (365, 20 + 5 * (n % 60)),
    )  # days: whole lifetime, and how much has passed
    days, passed = expiring[n % 3]
    return Made(
        comment=comment,
        scopes=("member",) if n % 5 == 0 else ("usage:write",),
        tags=("staging" if n % 4 == 0 else "prod", f"team-{n % 6}"),
        age=(5 + n * 5) * DAY if days is None else passed * DAY,
        lifetime=None if days is None else days * DAY,
        used=(None if n % 7 == 6 else 45 * DAY if n % 7 == 5 else (31 + n) * MINUTE),
    )
