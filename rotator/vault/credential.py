"""A provider's credential that is kept in Vault, where a person or another rotation put it."""

from __future__ import annotations

from typing import NoReturn

from rotator.errors import Denied, PolicyError, Problem
from rotator.model.entry import EntryState
from rotator.model.secret import Secret
from rotator.policy.settings import VaultReference
from rotator.vault.client import VaultClient


async def read_credential(client: VaultClient, reference: VaultReference) -> Secret:
    """Return the secret that `reference` leads to, read afresh at each call.

    Raise PolicyError, with the reference and without anything that was found, when there is none; Denied when our
    token may not read it; else Unavailable, Throttled or Rejected.
    """
    place = f"{reference.mount}/{reference.path}"
    try:
        found = await client.read("read credential", reference.mount, reference.path)
    except Denied as error:
        denied = error
    else:
        if found.state is EntryState.DELETED:
            _refuse(reference, f"version {found.version} of {place}, its latest, is deleted", "undelete it")
        if found.state is EntryState.ABSENT:
            _refuse(reference, f"there is no entry {place} in Vault", "write the credential there")
        value = found.data.get(reference.field)
        if not isinstance(value, str):
            _refuse(reference, f"the entry has no text in a field {reference.field}", "name another field")
        try:
            return Secret(value)
        except ValueError as error:
            _refuse(reference, str(error), "it is one line of visible characters")
    if not denied.operation.startswith("read"):
        raise denied
    raise Denied(
        denied.operation,
        str(reference),
        f"{denied.detail}; let our token read {reference.mount}/data/{reference.path}",
    )


def _refuse(reference: VaultReference, what: str, hint: str) -> NoReturn:
    raise PolicyError(
        (Problem(file=str(reference), line=0, column=0, path="", what=what, hint=hint),)
    ) from None
