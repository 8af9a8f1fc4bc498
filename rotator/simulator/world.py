"""The state of the simulated Deepgram: projects, members, keys, and how odd it is today.

Time is the injected clock's. What is due later (a delayed call) happens as soon as anybody looks after
that, at the instant at which it was due.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.clock import Clock
from rotator.model.secret import Secret
from rotator.ports import Minted
from rotator.simulator.request_log import RequestLog
from rotator.simulator.rights import SEES_EVERYONE, Role, rights


def random_uuid() -> str:
    """Return an id that looks like Deepgram's."""
    return str(uuid.uuid4())


def hex_secret() -> str:
    """Return a secret that looks like Deepgram's: 40 lower-case hexadecimal digits."""
    return secrets.token_hex(20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """How this Deepgram behaves where sources disagree or say nothing. The defaults are the likeliest.

    `nested_get`: one key comes as `item.member.api_key`, as specified, not as flat `api_key`.
    `list_shows_details`: a list has tags and expiry. `expands_scopes`: a create with keys:write gets
    keys:read too. `drops_tags`: a create loses its tags. `self_check_says_id`: `/v1/auth/token` says whose
    key it is. `forbids_with_401`: a missing right is answered as Deepgram's docs on errors say, with 401 and an
    older body, not with the 403 that was seen. `hides_projects`: the 404 for a project that is not the key's looks
    like that for a key. `fraction_digits`: 0 to 9 digits of a second in timestamps. `list_lag`: how late keys that are
    created and deleted from now on show in lists. `accept_lag`: how late secrets of new keys are accepted.
    `log_lag`: how late requests show in the request log: 12 to 17 minutes were measured (Appmixer's end-to-end
    notes). All lags are none by default.
    """

    nested_get: bool = False
    list_shows_details: bool = False
    expands_scopes: bool = False
    drops_tags: bool = False
    self_check_says_id: bool = True
    forbids_with_401: bool = False
    hides_projects: bool = False
    fraction_digits: int = 6
    list_lag: timedelta = timedelta(0)
    accept_lag: timedelta = timedelta(0)
    log_lag: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A person or a service account in one project."""

    member_id: str
    project_id: str
    email: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedKey:
    """One key, alive, expired or deleted. Nobody purges expired ones, so they stay listed."""

    key_id: str
    project_id: str
    member_id: str
    secret: Secret
    comment: str
    scopes: tuple[str, ...]
    tags: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    listed_from: datetime
    accepted_from: datetime
    deleted_at: datetime | None = None
    listed_until: datetime | None = None

    def works(self, now: datetime) -> bool:
        """Return whether the secret is good for a call at `now`, as far as the key itself goes."""
        return self.accepted_from <= now and not self.expired(now) and self.deleted_at is None

    def expired(self, now: datetime) -> bool:
        """Return whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now

    def listed(self, now: datetime) -> bool:
        """Return whether lists show it at `now`."""
        return self.listed_from <= now and (self.listed_until is None or now < self.listed_until)


class World:
    """Everything that this Deepgram knows. `quirks` may be replaced at any time.

    `projects` are names by id. `request_log` is what keys were used for. `secret_factory` makes the secrets of
    all keys, `id_factory` the ids of everything.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        quirks: Quirks | None = None,
        secret_factory: Callable[[], str] = hex_secret,
        id_factory: Callable[[], str] = random_uuid,
    ) -> None:
        """Start empty."""
        self.clock = clock
        self.quirks = quirks or Quirks()
        self.projects: dict[str, str] = {}
        self.request_log = RequestLog()
        self.new_id = id_factory
        self._members: dict[str, Member] = {}
        self._keys: dict[str, SimulatedKey] = {}
        self._key_of_secret: dict[str, str] = {}
        self._secret_factory = secret_factory
        self._later: list[tuple[datetime, Callable[[datetime], object]]] = []

    def add_project(self, name: str = "simulated", *, project_id: str | None = None) -> str:
        """Add a project and return its id, which must be a UUID to be found by calls."""
        project_id = project_id or self.new_id()
        self.projects[project_id] = name
        return project_id

    def add_member(self, project_id: str, *, role: Role = Role.OWNER, email: str = "one@example.com") -> str:
        """Add a member and return their id."""
        member_id = self.new_id()
        self._members[member_id] = Member(member_id=member_id, project_id=project_id, email=email, role=role)
        return member_id

    def add_key(
        self,
        project_id: str,
        *,
        member_id: str,
        comment: str = "",
        scopes: Iterable[str] = ("usage:write",),
        tags: Iterable[str] = (),
        created_at: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> Minted:
        """Add a key, created now if not said, that no quirk touches. Return its id and secret."""
        created_at = created_at or self.clock.now()
        key = SimulatedKey(
            key_id=self.new_id(),
            project_id=project_id,
            member_id=member_id,
            secret=self.new_secret(),
            comment=comment,
            scopes=tuple(scopes),
            tags=tuple(tags),
            created_at=created_at,
            expires_at=expires_at,
            listed_from=created_at,
            accepted_from=created_at,
        )
        self.keep(key)
        return Minted(key.key_id, key.secret)

    def new_secret(self) -> Secret:
        """Return a secret that no key has yet."""
        return Secret(self._secret_factory())

    def keep(self, key: SimulatedKey) -> None:
        """Take in a new key."""
        self._keys[key.key_id] = key
        self._key_of_secret[key.secret.reveal()] = key.key_id

    def delete(self, key_id: str, at: datetime) -> None:
        """Delete a key for good at `at`; lists may show it for a while."""
        self._keys[key_id] = replace(
            self._keys[key_id], deleted_at=at, listed_until=at + self.quirks.list_lag
        )

    def person_deletes(self, key_id: str) -> None:
        """Delete a key as somebody at the console does. Raise KeyError when there is no such key."""
        self.settle()
        self.delete(key_id, self.clock.now())

    def set_role(self, member_id: str, role: Role) -> None:
        """Promote or demote a member; the rights of their keys follow at once."""
        self._members[member_id] = replace(self._members[member_id], role=role)

    def remove_member(self, member_id: str) -> None:
        """Remove a member from their project: all their keys stop working at once, and stay listed."""
        del self._members[member_id]

    def postpone(self, delay: timedelta, act: Callable[[datetime], object]) -> None:
        """Let `act` happen after `delay`, as if at that very instant."""
        self._later.append((self.clock.now() + delay, act))

    def settle(self) -> None:
        """Let everything happen that has become due."""
        now = self.clock.now()
        due = sorted((item for item in self._later if item[0] <= now), key=lambda item: item[0])
        self._later = [item for item in self._later if item[0] > now]
        for at, act in due:
            act(at)

    def member(self, member_id: str) -> Member | None:
        """Return a member, None when they were removed."""
        return self._members.get(member_id)

    def members(self, project_id: str) -> tuple[Member, ...]:
        """Return the members of a project."""
        return tuple(member for member in self._members.values() if member.project_id == project_id)

    def keys(self, project_id: str) -> tuple[SimulatedKey, ...]:
        """Return all keys of a project that are not deleted, whatever lists show."""
        self.settle()
        return tuple(k for k in self._keys.values() if k.project_id == project_id and k.deleted_at is None)

    def key(self, key_id: str) -> SimulatedKey | None:
        """Return a key, deleted or not, None when there never was one."""
        self.settle()
        return self._keys.get(key_id)

    def accepted(self, secret: str, now: datetime) -> SimulatedKey | None:
        """Return the key whose secret this is, None when the secret is not good for a call at `now`."""
        key = self._keys.get(self._key_of_secret.get(secret, ""))
        return key if key and key.works(now) and key.member_id in self._members else None

    def accepts(self, secret: Secret) -> bool:
        """Return whether a consumer can work with `secret` now."""
        self.settle()
        return self.accepted(secret.reveal(), self.clock.now()) is not None

    def rights(self, key: SimulatedKey) -> frozenset[str]:
        """Return what `key` may do now."""
        member = self._members.get(key.member_id)
        return rights(key.scopes, member.role) if member else frozenset()

    def sees(self, viewer: SimulatedKey, key: SimulatedKey) -> bool:
        """Return whether `viewer` may know of `key`: its own account's, or everybody's with enough rights."""
        if key.project_id != viewer.project_id:
            return False
        return key.member_id == viewer.member_id or self.rights(viewer) >= SEES_EVERYONE

    def shown(self, viewer: SimulatedKey, now: datetime) -> tuple[SimulatedKey, ...]:
        """Return what a list shows to `viewer` at `now`: perhaps not all, and without saying so."""
        return tuple(key for key in self._keys.values() if key.listed(now) and self.sees(viewer, key))
