"""What Deepgram says of each key that it lists: tags and expiry are not in a list, so each is read by itself.

Once, for comment, scopes, tags and expiry can't be changed after creation (Deepgram's docs: create additional API
keys).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from rotator.errors import Denied, NotFound, PortError, Rejected, Unavailable
from rotator.model.key import Key, Unreadable
from rotator.providers import deepgram_answers as answers
from rotator.providers.deepgram_answers import Listed
from rotator.providers.deepgram_wire import Wire, understood

_UNAVAILABLE_ALLOWED = 3
"""With more reads than this that got no answer, it is not the keys: the list fails, instead of taking its time."""


@dataclass(frozen=True, slots=True)
class Known:
    """The listed keys that could be read, and those that could not."""

    keys: tuple[Key, ...]
    unreadable: tuple[Unreadable, ...]


class KeyReader:
    """Reads keys through one wire, and keeps those that the last list showed, and those that were read since.

    `at_once` is how many keys of a list are read at once. `progress` is told how many of them are known or given up,
    and how many there are.
    """

    def __init__(self, wire: Wire, progress: Callable[[int, int], None], *, at_once: int) -> None:
        """Begin with nothing read."""
        self._wire = wire
        self._at_once = at_once
        self._progress = progress
        self._kept: dict[str, Key] = {}

    async def read(self, one: Listed) -> Key:
        """Return one key as it is now, never from what was kept. Raise as `ports.Provider.get_key`."""
        key, _ = await self.read_with_owner(one)
        return key

    async def read_with_owner(self, one: Listed) -> tuple[Key, str | None]:
        """Return one key as it is now and the e-mail address of its owner, where the answer says it."""
        call = self._wire.call("GET", self._wire.key_path("read key", one.key_id), "read key", one.key_id)
        answer = await self._wire.ask(call, names_a_key=True)
        key = understood(call, lambda body: answers.key(body, one), answer.body)
        self._kept[one.key_id] = key
        return key, answers.owner_email(answer.body)

    async def know(self, listed: Sequence[Listed]) -> Known:
        """Return what can be known of the keys that a list showed. One that has vanished since is left out.

        A key whose own answer can't be used stops no other. Raise its error when none could be read, or too many
        got no answer; Throttled at once.
        """
        before = frozenset(self._kept)
        found = {one.key_id: _whose(self._kept[one.key_id], one) for one in listed if one.key_id in before}
        failed: dict[str, PortError] = {}
        await self._read_all([one for one in listed if one.key_id not in found], found, failed)
        self._progress(len(listed), len(listed))
        if failed and not found:
            raise next(iter(failed.values()))
        since = {key_id: key for key_id, key in self._kept.items() if key_id not in before}
        self._kept = {**found, **since}
        return Known(
            keys=tuple(found[one.key_id] for one in listed if one.key_id in found),
            unreadable=tuple(
                Unreadable(key_id=one.key_id, comment=one.comment, why=failed[one.key_id].detail)
                for one in listed
                if one.key_id in failed
            ),
        )

    async def _read_all(
        self, unknown: Sequence[Listed], found: dict[str, Key], failed: dict[str, PortError]
    ) -> None:
        pending = iter(unknown)  # shared: each worker takes the next
        total = len(found) + len(unknown)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._at_once, len(unknown))):
                    group.create_task(self._read_each(pending, found, failed, total))
        except ExceptionGroup as errors:
            error = errors.exceptions[0]
        else:
            return
        raise error

    async def _read_each(
        self, pending: Iterator[Listed], found: dict[str, Key], failed: dict[str, PortError], total: int
    ) -> None:
        for one in pending:
            try:
                found[one.key_id] = await self.read(one)
            except NotFound:
                continue
            except (Denied, Rejected, Unavailable) as error:
                failed[one.key_id] = error
                unanswered = sum(isinstance(each, Unavailable) for each in failed.values())
                if unanswered > _UNAVAILABLE_ALLOWED:
                    raise
                continue
            self._progress(len(found) + len(failed), total)


def _whose(key: Key, listed: Listed) -> Key:
    """Return a key with its owner, which its own answer may leave to the list."""
    return key if key.member_id is not None else replace(key, member_id=listed.member_id)
