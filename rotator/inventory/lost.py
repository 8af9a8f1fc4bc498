"""Whether there was a journal where none is: its records are gone, and what they were about is still there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from rotator.errors import Rejected
from rotator.inventory.listings import list_all
from rotator.inventory.match import Project, expected_lineage
from rotator.model.key import Listing
from rotator.model.lineage import Lineage
from rotator.policy.policy import Policy
from rotator.policy.settings import PolicyFile
from rotator.ports import Destinations, Provider


async def served_without_journal(
    file: PolicyFile, providers: Mapping[str, Provider], destinations: Destinations, namespace: str
) -> str | None:
    """Return a lineage whose entry and whose key carry the same rotation id, None when there is none to be seen.

    A mark alone is no sign: another installation, with a Vault of its own, may rotate keys of the same project. What
    is refused for good counts as nothing. Raise Unavailable or Throttled when it can't be told just now, Denied when not
    before our credential is mended: a journal that is begun by mistake hides what the one before was about.
    """
    listings, troubles = await list_all(providers)
    for lineage, policy, rotation_ids in _marked(file, listings, namespace):
        with suppress(Rejected):
            read = await destinations.read(lineage, policy.destination.fields)
            if read.entry.rotation_id in rotation_ids:
                return lineage.name
    for trouble in troubles:
        if not isinstance(trouble.error, Rejected):
            raise trouble.error
    return None


def _marked(
    file: PolicyFile, listings: Mapping[str, Listing], namespace: str
) -> Iterator[tuple[Lineage, Policy, set[str]]]:
    """Yield the lineages that marks lead to, each with its policy and the rotation ids in the marks."""
    found: dict[str, tuple[Lineage, Policy, set[str]]] = {}
    for settings in file.providers:
        listing = listings.get(settings.name)
        for key in listing.keys if listing else ():
            for policy in file.policies:
                lineage = expected_lineage(policy, Project(settings=settings, namespace=namespace), key)
                if lineage is not None and key.mark is not None:
                    found.setdefault(lineage.lineage_id, (lineage, policy, set()))[2].add(
                        key.mark.rotation_id
                    )
    yield from found.values()
