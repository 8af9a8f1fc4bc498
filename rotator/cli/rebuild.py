"""`rotator check --rebuild-journal`: make lost records again, of the entries in Vault and of the marks of keys."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from rotator import credentials
from rotator.bootstrap import JOURNAL, VAULT, Connected, Reached, reach, vault_address
from rotator.cli import failures, words
from rotator.cli.confirm import confirmed
from rotator.cli.losses import Losses
from rotator.cli.options import Options
from rotator.cli.progress import Progress
from rotator.cli.recovery import Wish, check_named, look, write
from rotator.cli.text import complain
from rotator.errors import LostJournal, PortError
from rotator.inventory.records import Trouble
from rotator.model.order import OrderKind
from rotator.rotation.orders import Ordered


def rebuild_journal(options: Options, wish: Wish, why: str, *, yes: bool) -> int:
    """Show what can be rebuilt, ask, do it, and show what became of it."""
    options.start_logging()
    ordered = Ordered(kind=OrderKind.REBUILD, who=credentials.person(), why=why)
    with options.progress() as progress:
        losses = asyncio.run(_rebuild(options, wish, ordered, progress, asks=not yes))
    options.emit(losses.document, str(losses))
    return losses.status


async def _rebuild(
    options: Options, wish: Wish, ordered: Ordered, progress: Progress, *, asks: bool
) -> Losses:
    file = options.load()
    async with reach(file, progress=progress) as reached:
        address = vault_address(file)[0]
        try:
            connection, troubles = _connection(reached)
            connection, losses = await look(connection, wish, ordered, troubles)
            progress.end()
            check_named(losses, wish)
            if not losses.possible and not losses.begins:
                return losses
            if asks:
                complain(str(losses))
                await asyncio.to_thread(confirmed, words.QUESTION[OrderKind.REBUILD])
            return await write(losses, wish, ordered, connection)
        except PortError as error:
            raise failures.of_vault(error, address) from None


def _connection(reached: Reached) -> tuple[Connected, tuple[Trouble, ...]]:
    """Return a connection in which the journal's id may be missing. Raise what stands in the way of any."""
    for trouble in reached.troubles:
        if trouble.what == JOURNAL and isinstance(trouble.error, LostJournal):
            reached = replace(reached, journal_id="")
        elif trouble.what in (JOURNAL, VAULT):
            raise trouble.error
    connection = reached.connected()
    if connection is None:
        raise TypeError("Vault and the journal are there, or there is a trouble with them")
    return connection, tuple(one for one in reached.troubles if one.what != JOURNAL)
