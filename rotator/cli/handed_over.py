"""`rotator import`: publish a secret that a person hands over."""

from __future__ import annotations

import asyncio

from rotator import credentials
from rotator.cli import exits, secret_input
from rotator.cli.look import connected, tell_unmatched
from rotator.cli.once import tell
from rotator.cli.options import Options
from rotator.cli.orders import Outcome, document_of, said
from rotator.errors import RotatorError
from rotator.model.order import OrderKind
from rotator.model.secret import Secret
from rotator.rotation.handed_over import hand_over as publish
from rotator.rotation.orders import Ordered


def hand_over(options: Options, lineage: str, why: str) -> int:
    """Prove that standard input holds the secret of the lineage's key, publish it, and show what became of it."""
    options.start_logging()
    secret = secret_input.read()
    ordered = Ordered(kind=OrderKind.IMPORT, who=credentials.person(), why=why)
    outcome = asyncio.run(_hand_over(options, lineage, secret, ordered))
    if outcome is None:
        return exits.USAGE
    document = {"order": ordered.kind.value, "lineage": outcome.lineage, **document_of(outcome.answer)}
    options.emit(document, f"{outcome.lineage}: {said(ordered.kind, outcome.answer)}")
    return outcome.status


async def _hand_over(options: Options, lineage: str, secret: Secret, ordered: Ordered) -> Outcome | None:
    async with connected(options.load(), found_journal=True) as connection:
        fleet = await connection.survey()
        found = next((one for one in fleet.found if one.assignment.lineage.name == lineage), None)
        if found is None:
            tell_unmatched([lineage], [])
            return None
        ports = connection.ports(found.assignment.lineage, stopping=lambda: False, tell=tell)
        try:
            return Outcome(lineage=lineage, answer=await publish(secret, ordered, found.assignment, ports))
        except RotatorError as error:
            return Outcome(lineage=lineage, answer=error)
