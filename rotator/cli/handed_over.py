"""`rotator import`: publish a secret that a person hands over."""

from __future__ import annotations

from rotator import credentials
from rotator.cli import secret_input
from rotator.cli.look import connected, find_one
from rotator.cli.once import Stop, tell
from rotator.cli.options import Options
from rotator.cli.orders import Answer, Outcome, Result
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
    stop = Stop()
    outcome = stop.run(_hand_over(options, lineage, secret, ordered, stop))
    result = Result(ordered=ordered, outcomes=(outcome,))
    options.emit(result.document, result.shown(stopped=False))
    return result.status


async def _hand_over(options: Options, lineage: str, secret: Secret, ordered: Ordered, stop: Stop) -> Outcome:
    async with connected(options.load(), found_journal=True) as connection:
        found = await find_one(connection, lineage)
        stop.listen()
        ports = connection.ports(found.assignment.lineage, stopping=lambda: stop.asked, tell=tell)
        answer: Answer
        try:
            answer = await publish(secret, ordered, found.assignment, ports)
        except RotatorError as error:
            answer = error
        return Outcome(lineage=lineage, answer=answer)
