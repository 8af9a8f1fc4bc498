"""`rotator identify`: whose secret is this? For somebody who found one where it should not be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rotator.bootstrap import JOURNAL, Reached, reach
from rotator.cli import documents, exits, secret_input, words
from rotator.cli.failures import status_of, tell_trouble
from rotator.cli.options import Options
from rotator.cli.progress import Progress
from rotator.cli.text import paragraph
from rotator.cli.times import both, rfc3339
from rotator.errors import PortError
from rotator.inventory.fleet import Fleet
from rotator.inventory.identify import Identity, Proofs, Served, ask_all, find_served, identity
from rotator.inventory.listings import list_all
from rotator.inventory.records import Trouble
from rotator.model.key import Listing
from rotator.model.secret import Secret
from rotator.plan.whose import Role
from rotator.policy.settings import PolicyFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the command has to say. `lineages_known`: the journal could be read, or there is none yet."""

    now: datetime
    proofs: Proofs
    identity: Identity
    served: tuple[Served, ...]
    lineages_known: bool
    troubles: tuple[Trouble, ...]

    @property
    def accepted(self) -> bool:
        """Whether a provider takes the secret."""
        return bool(self.proofs.accepted_by)

    @property
    def lineage(self) -> str | None:
        """The lineage that the key is in."""
        return self.identity.whose.lineage if self.identity.whose else None


def identify(options: Options) -> int:
    """Say of the secret on standard input whose it is, whether it works, and what to do. Never show it."""
    options.start_logging()
    file = options.load()
    secret = secret_input.read()
    with options.progress() as progress:
        answer = asyncio.run(_identify(file, secret, progress))
    for trouble in answer.troubles:
        tell_trouble(trouble.what, trouble.error)
    options.emit(_document(answer), "\n".join(_lines(answer)))
    if answer.accepted and answer.identity.provider is not None and answer.lineages_known:
        return exits.FINE
    lost = {status_of(trouble.error) for trouble in answer.troubles}
    return exits.gravest(lost)


async def _identify(file: PolicyFile, secret: Secret, progress: Progress) -> Answer:
    async with reach(file, progress=progress) as reached:
        proofs = await ask_all(secret, reached.providers)
        troubles = [*reached.troubles, *proofs.troubles]
        fleet, listings = await _look(reached, troubles)
        served: tuple[Served, ...] = ()
        if fleet is not None and reached.vault is not None:
            served, unread = await find_served(secret, fleet, reached.vault.destinations)
            troubles += unread
        return Answer(
            now=reached.clock.now(),
            proofs=proofs,
            identity=identity(proofs, served, listings, fleet, reached.journal_id or ""),
            served=served,
            lineages_known=fleet is not None,
            troubles=tuple({trouble.what: trouble for trouble in troubles}.values()),
        )


async def _look(reached: Reached, troubles: list[Trouble]) -> tuple[Fleet | None, dict[str, Listing]]:
    """Return all lineages, None when they are not known, and the keys of all providers that can be asked."""
    connection = reached.connected()
    if connection is not None:
        try:
            fleet = await connection.survey()
        except PortError as error:
            troubles.append(Trouble(what=JOURNAL, error=error))
        else:
            troubles += fleet.troubles
            return fleet, dict(fleet.listings)
    listings, unlisted = await list_all(reached.providers)
    troubles += unlisted
    return None, listings


def _lines(answer: Answer) -> Iterator[str]:
    known = answer.identity
    yield _verdict(answer)
    if known.key_id is not None:
        where = f" at {known.provider}" if known.provider else ""
        comment = f', comment "{known.key.operator_comment}"' if known.key else ""
        yield paragraph(f"key      {known.key_id}{where}{comment}")
    if known.key is not None:
        expires = "never" if known.key.expires_at is None else both(known.key.expires_at, answer.now)
        yield paragraph(f"made     {both(known.key.created_at, answer.now)}; expires {expires}")
    if known.whose is not None:
        yield paragraph(f"it is    {_role(answer)}")
    if answer.served:
        yield paragraph(f"served   {', '.join(one.lineage for one in answer.served)}, from Vault, now")
    yield paragraph(f"to do    {_advice(answer)}")


def _verdict(answer: Answer) -> str:
    if answer.accepted:
        # Every provider with the same vendor accepts it: the one that lists its key is the one to name.
        where = answer.identity.provider or " and ".join(answer.proofs.accepted_by)
        return paragraph(f"It works: accepted by {where} now.")
    if answer.proofs.troubles:
        return paragraph("No provider that could be asked accepts it; some could not be asked.")
    return paragraph("No provider accepts it: it was revoked, it has expired, or it is of elsewhere.")


def _role(answer: Answer) -> str:
    owner, known = answer.identity.whose, answer.identity
    if owner is None:
        return "not known"
    said = words.ROLE[owner.role]
    if owner.lineage is not None:
        said = f"in lineage {owner.lineage}: {said}"
    elif known.place is not None:
        said = f"in no lineage yet: policy {known.taker} takes it, for {known.place}"
    elif not answer.lineages_known:
        said = "in a lineage or in none: Vault can't be read"
    since = f", since {both(owner.since, answer.now)}" if owner.since and owner.lineage else ""
    return said + since


def _advice(answer: Answer) -> str:
    """Return what to do about a secret that may have leaked."""
    known = answer.identity
    role = known.whose.role if known.whose else None
    if not answer.accepted:
        if answer.served:
            return f"consumers of {answer.served[0].lineage} are failing; `rotator once {answer.served[0].lineage}` looks after it"
        return "nothing, if every provider could be asked: nobody can use it here"
    if role is Role.MANAGEMENT:
        return (
            "whoever has it can make and delete every key: make another management key, give it to rotator, and delete "
            f"{known.key_id} at {known.provider}; then look at `rotator discover` for keys that nobody knows"
        )
    if answer.lineage is not None:
        return (
            f"if it has leaked: `rotator rotate --emergency {answer.lineage}` makes a new key, publishes it, and deletes "
            "this one"
        )
    if role is Role.CLAIMED_ELSEWHERE:
        return "run `rotator identify` where that other rotator runs"
    if known.place is not None:
        return (
            f"`rotator adopt {known.place}` takes it in, and `rotator rotate --emergency {known.place}` replaces and "
            "deletes it; move its consumers to Vault in between"
        )
    if known.provider is not None:
        return f"give its consumers another key, then delete {known.key_id} at {known.provider}"
    if known.key_id is not None:
        return (
            f"find the project of key {known.key_id}: none in the policy file shows it to us; delete it there"
        )
    return "the provider does not say whose it is: compare by hand, and delete the key there"


def _document(answer: Answer) -> dict[str, object]:
    known = answer.identity
    return {
        "now": rfc3339(answer.now),
        "accepted": answer.accepted,
        "accepted_by": list(answer.proofs.accepted_by),
        "key_id": known.key_id,
        "provider": known.provider,
        "comment": known.key.comment if known.key else None,
        "created_at": rfc3339(known.key.created_at) if known.key else None,
        "expires_at": rfc3339(known.key.expires_at) if known.key and known.key.expires_at else None,
        "role": known.whose.role.value if known.whose else None,
        "lineage": answer.lineage,
        "since": rfc3339(known.whose.since) if known.whose and known.whose.since else None,
        "policy": known.taker,
        "would_be": known.place,
        "served": [one.lineage for one in answer.served],
        "lineages_known": answer.lineages_known,
        "to_do": _advice(answer),
        "troubles": [{"what": one.what, **documents.of_error(one.error)} for one in answer.troubles],
    }
