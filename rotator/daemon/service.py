"""The service: connects, makes its rounds, takes a changed policy file, and ends without losing anything.

All work is done by one task, one thing after another: a reload never comes between two steps of a rotation. Signals and ticks
only leave word for it. What is told to systemd, and whether the service is alive, does not wait for that task.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from rotator import __version__, log
from rotator.clock import Clock
from rotator.daemon.link import Link
from rotator.daemon.meter import Meter
from rotator.daemon.notify import Systemd
from rotator.daemon.rounds import AGAIN_AFTER, Rounds
from rotator.daemon.ticks import Tick
from rotator.errors import PolicyError, PortError
from rotator.model.board import Board, FileSeen
from rotator.model.told import CallMade, Heard, Told
from rotator.plan.phase import Phase
from rotator.plural import count
from rotator.policy.settings import PolicyFile
from rotator.reconcile import violation_of

LOOK_EVERY = timedelta(seconds=2)
"""How often it is looked for what is due, and for another policy file."""

SETTLED_AFTER = timedelta(seconds=1)
"""A policy file that stayed the same for so long is not being written any more."""

STALLED_AFTER = timedelta(minutes=2)
"""Work that makes no call, and takes no step, for so long makes no progress. Twice the longest call counts where that is longer."""

CONNECT_AGAIN_AFTER = timedelta(seconds=10)
"""How long to wait before connecting again after it failed; twice as long after each further time."""

CONNECT_AGAIN_WITHIN = timedelta(minutes=2)
"""The longest such wait."""

MORE_TIME = timedelta(seconds=30)
"""How much longer systemd is asked to wait, at each tick, while the service starts or ends."""


class Draft(Protocol):
    """A policy file as it stands on disk. `digest` changes with every byte of it and of those that go with it."""

    @property
    def digest(self) -> str:
        """A hash, in hexadecimal."""

    def load(self) -> PolicyFile:
        """Return what it says. Raise PolicyError when something in it is wrong."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What the service is given. `read` reads the policy file, in a thread, and raises PolicyError when it can't be read."""

    clock: Clock
    read: Callable[[], Draft]
    connect: Callable[[PolicyFile, Heard], AbstractAsyncContextManager[Link]]
    ticking: Callable[[Mapping[str, Tick], Clock], AbstractAsyncContextManager[None]]
    systemd: Systemd
    meter: Meter
    tell: Callable[[Told], None]


class Service:
    """One process of the service, from its policy file on."""

    def __init__(self, outside: Outside, draft: Draft, file: PolicyFile) -> None:
        """Begin with a policy file that was read already."""
        self._outside = outside
        self._clock = outside.clock
        self._file = file
        self._listen = file.runtime.listen
        """Where it is heard, as long as the process lives."""
        self._digest = self._wanted = self._judged = self._pending = draft.digest
        self._pending_since = self._clock.monotonic()
        self._loaded_at = self._rejected_at = self._clock.now()
        self._refused = self._unlinked = ""
        self._rejections = 0
        self._link: Link | None = None
        self._connections = AsyncExitStack()
        self._connect_at = 0.0
        self._connect_pause = CONNECT_AGAIN_AFTER
        self._tried = False
        self._look_after_at = 0.0
        self._unread: Mapping[str, str] = {}
        self._down = "not connected yet"
        self._asked = self._reloading = self._was_ready = False
        self._anew = True
        self._progress_at = self._clock.monotonic()
        self._word = asyncio.Event()
        self._stop = asyncio.Event()
        self._rounds = self._begun()

    async def run(self) -> None:
        """Run until `stop`. What is under way then is brought to a safe end. Raise PolicyError when it can't even begin."""
        systemd = self._outside.systemd
        log.get("rotator").info(
            "started",
            version=__version__,
            instance=self._file.instance,
            digest=self._digest[:12],
            policies=len(self._file.policies),
            listen=self._file.runtime.listen,
        )
        every = min(LOOK_EVERY, systemd.watchdog / 3) if systemd.watchdog else LOOK_EVERY
        async with self._outside.ticking({"look": Tick(every, self.beat)}, self._clock):
            work = asyncio.create_task(self._work())
            stopped = asyncio.create_task(self._stop.wait())
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            work.cancel()
            await asyncio.wait({work})
            await self._connections.aclose()
        log.get("rotator").info("stopped")
        if not work.cancelled():
            work.result()

    def stop(self) -> None:
        """Start nothing new, and let `run` return."""
        if not self._stop.is_set():
            self._outside.systemd.stopping()
            self._stop.set()

    def reload(self) -> None:
        """Take the policy file as it is now, and connect anew: credentials may be others."""
        if self._stop.is_set():
            return
        self._outside.systemd.reloading()
        self._asked = self._reloading = True
        self._word.set()

    def board(self) -> Board:
        """Return what is to be shown now."""
        rounds = self._rounds
        return Board(
            now=self._clock.now(),
            standings=rounds.book.standings,
            file=self._file_seen(),
            connected=not self._down,
            swept_at=rounds.swept_at,
            looked_at=rounds.looked_at,
            sweep_every=self._in_use.runtime.sweep_every,
            series=self._in_use.runtime.metrics_lineages,
            troubles=(
                *rounds.troubles,
                *(f"credential of provider {name}: {why}" for name, why in self._unread.items()),
                *filter(None, [self._down, self._unlinked]),
            ),
            breakers={name: breaker.state for name, breaker in dict(rounds.breakers).items()},
            skews=dict(rounds.skews),
            strays=Counter(provider for provider, _ in rounds.book.strays()),
            stopping=self._stop.is_set(),
            working=rounds.working,
            alive=self._alive(),
        )

    @property
    def _in_use(self) -> PolicyFile:
        """The policy file that work is done by: another one is wanted until what it names can be connected to."""
        return self._link.file if self._link else self._file

    def _file_seen(self) -> FileSeen:
        rejected = self._refused or self._unlinked
        return FileSeen(
            digest=self._digest,
            instance=self._in_use.instance,
            loaded_at=self._loaded_at,
            rejected=rejected,
            rejected_at=self._rejected_at if rejected else None,
            rejections=self._rejections,
        )

    def _begun(self) -> Rounds:
        return Rounds(self._clock, stopping=self._stop.is_set, tell=self._tell, meter=self._outside.meter)

    def _alive(self) -> bool:
        call_timeout = max(self._in_use.runtime.call_timeout, self._file.runtime.call_timeout)
        longest = max(STALLED_AFTER, 2 * call_timeout)
        return self._clock.monotonic() - self._progress_at < longest.total_seconds()

    def _progress(self) -> None:
        self._progress_at = self._clock.monotonic()

    def _tell(self, told: Told) -> None:
        self._progress()
        self._outside.tell(told)

    def _heard(self, made: CallMade) -> None:
        self._progress()
        self._outside.meter.called(made)

    def beat(self) -> None:
        """Let work look what there is to do, and tell systemd how it goes."""
        self._word.set()
        systemd = self._outside.systemd
        if not self._alive():
            systemd.status("stalled: work makes no progress")
            return
        systemd.alive()
        self._note_ready()
        if self._stop.is_set() or self._reloading or not self._was_ready:
            systemd.more_time(MORE_TIME)
        systemd.status(self._status())

    def _status(self) -> str:
        """Return a line about where the service stands."""
        if self._stop.is_set():
            return "stopping: finishing what is under way"
        rejected = self._file_seen().rejected
        said = [f"policy file REFUSED, the one before is in use: {rejected}"] if rejected else []
        if self._down:
            return "; ".join([f"waiting: {self._down}", *said])
        said = [count(self._rounds.book.lineages, "lineage"), *_counted(self._rounds.phases), *said]
        if self._rounds.troubles:
            said.append(f"{len(self._rounds.troubles)} could not be looked at: {self._rounds.troubles[0]}")
        return "; ".join(said)

    async def _work(self) -> None:
        while True:
            if not await self.step():
                await self._word.wait()
            self._word.clear()

    async def step(self) -> bool:
        """Do what there is to do now, and return whether the next step may come at once.

        What can't be done is noted. Raise PolicyError when the service can't even begin.
        """
        self._progress()
        try:
            await self._act()
        except PolicyError:
            raise
        except PortError as error:
            self._not_reached("not_reached", str(error))
        except Exception as bug:  # noqa: BLE001 (the next step may go well, and nobody else looks after the keys)
            self._not_reached("bug", str(violation_of(bug)))
        else:
            return self._rounds.more
        return False

    async def _act(self) -> None:
        try:
            await self._look_at_file()
            await self._connect()
        finally:
            self._note_reloaded()
        link = self._link
        if link is None:
            return
        if self._clock.monotonic() >= self._look_after_at:
            self._look_after_at = self._clock.monotonic() + AGAIN_AFTER.total_seconds()
            try:
                credentials = await link.look_after()
            except PortError:
                self._rounds.want_sweep()  # it shows when Vault is there again
                raise
            self._note_unread(credentials.unread)
            if credentials.changed and not self._anew:
                self._connect_soon()
        if await self._rounds.round(link) and self._down:
            self._down = ""
            log.get("rotator").info("reached")
        self._note_ready()

    def _note_unread(self, unread: Mapping[str, str]) -> None:
        """Tell of credentials that can't be read any more: what was read before is used, and is gone with this process."""
        for provider in unread.keys() - self._unread.keys():
            log.get("rotator").error("credential_unread", provider=provider, detail=unread[provider])
        for provider in self._unread.keys() - unread.keys():
            log.get("rotator").info("credential_read", provider=provider)
        self._unread = unread

    def _note_ready(self) -> None:
        """Tell, once, that the fleet was looked at, as far as it can be; what was found to do may take longer."""
        if self._was_ready or self._stop.is_set() or self._rounds.looked_at is None:
            return
        self._was_ready = True
        log.get("rotator").info("ready", lineages=self._rounds.book.lineages)
        self._outside.systemd.ready()

    def _note_reloaded(self) -> None:
        """Tell that a reload has ended: the file is in use now, or it was refused, or what it names was."""
        if not self._reloading or self._asked:
            return
        self._reloading = False
        if self._was_ready and not self._stop.is_set():
            self._outside.systemd.ready()

    def _not_reached(self, event: str, what: str) -> None:
        if self._down != what:
            self._down = what
            log.get("rotator").error(event, detail=what)

    async def _connect(self) -> None:
        """Connect, or connect anew. While that fails, what there is goes on. Raise PolicyError at the first try only."""
        if not self._anew or self._clock.monotonic() < self._connect_at:
            return
        self._connect_at = self._clock.monotonic() + self._connect_pause.total_seconds()
        self._connect_pause = min(2 * self._connect_pause, CONNECT_AGAIN_WITHIN)
        first, self._tried = not self._tried, True
        async with AsyncExitStack() as stack:
            try:
                link = await stack.enter_async_context(self._outside.connect(self._file, self._heard))
            except (PolicyError, PortError) as error:
                if first and isinstance(error, PolicyError):
                    raise
                self._not_connected(str(error))
                return
            connections, self._connections = self._connections, stack.pop_all()
        if self._link is not None and self._link.journal_id != link.journal_id:
            self._rounds = self._begun()
        self._anew, self._down = False, ""
        self._use(link)
        self._rounds.forget_breakers()
        # Which credentials can't be read is told at once; and no more of a provider that is gone.
        self._look_after_at = 0.0
        self._unread = {name: why for name, why in self._unread.items() if name in link.providers}
        log.get("rotator").info("connected", journal_id=link.journal_id, holder=link.holder)
        await connections.aclose()

    def _connect_soon(self) -> None:
        self._anew, self._connect_at, self._connect_pause = True, 0.0, CONNECT_AGAIN_AFTER

    def _not_connected(self, what: str) -> None:
        if self._link is None:
            self._not_reached("not_reached", what)
        elif self._unlinked != what:
            self._note_rejected()
            self._unlinked = what
            log.get("rotator").error("not_connected", detail=what)

    def _use(self, link: Link) -> None:
        """Work by this link, and so by its policy file, from now on."""
        if self._digest != self._wanted:
            self._digest, self._loaded_at = self._wanted, self._clock.now()
            log.get("rotator").info(
                "policy_file_loaded", digest=self._digest[:12], policies=len(link.file.policies)
            )
        self._link, self._unlinked = link, ""
        self._rounds.want_sweep()

    async def _look_at_file(self) -> None:
        """Take another policy file, if there is one that can be used."""
        asked, self._asked = self._asked, False
        try:
            await self._take_file(asked=asked)
        except PolicyError as error:
            self._refuse(str(error))
        except Exception as bug:  # noqa: BLE001 (work goes on by the file before)
            self._refuse(f"a bug: {violation_of(bug)}")

    async def _take_file(self, *, asked: bool) -> None:
        try:
            draft: Draft | PolicyError = await asyncio.to_thread(self._outside.read)
        except PolicyError as error:
            draft = error
        digest = f"unread: {draft}" if isinstance(draft, PolicyError) else draft.digest
        if digest != self._pending:
            self._pending, self._pending_since = digest, self._clock.monotonic()
        if not asked and digest == self._judged:
            return
        # Who writes a file in place writes it bit by bit, and who exchanges it may take it away first: it counts once it stays
        # the same.
        if not asked and self._clock.monotonic() - self._pending_since < SETTLED_AFTER.total_seconds():
            return
        self._judged = digest
        if isinstance(draft, PolicyError):
            raise draft
        file = await asyncio.to_thread(draft.load)
        self._refused = ""
        if file.runtime.listen not in {self._file.runtime.listen, self._listen}:
            log.get("rotator").warning("needs_restart", option="runtime.listen", value=file.runtime.listen)
        self._file, self._wanted = file, draft.digest
        if self._link is not None and not asked and _same_links(self._link.file, file):
            self._use(self._link.with_file(file))
        else:
            self._connect_soon()

    def _refuse(self, what: str) -> None:
        if what != self._refused:
            log.get("rotator").error("policy_file_refused", detail=what)
            self._note_rejected()
            self._refused = what
            self._rejections += 1

    def _note_rejected(self) -> None:
        """Note since when there is a file that can't be used, whatever is wrong with it."""
        if not (self._refused or self._unlinked):
            self._rejected_at = self._clock.now()


def _same_links(one: PolicyFile, other: PolicyFile) -> bool:
    """Return whether what one file is connected to will do for the other."""
    return (one.instance, one.vault, one.runtime, one.providers) == (
        other.instance,
        other.vault,
        other.runtime,
        other.providers,
    )


def _counted(phases: Counter[str]) -> Iterator[str]:
    """Yield how many lineages need a person, or fail."""
    yield from (
        f"{phases[phase]} {phase}" for phase in (Phase.HELD, Phase.FAILING, Phase.UNKNOWN) if phases[phase]
    )
