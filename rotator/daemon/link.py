"""What the service needs of a connection: `bootstrap` makes it from a policy file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rotator.clock import Clock
from rotator.model.lineage import Lineage
from rotator.model.told import Told
from rotator.policy.settings import PolicyFile
from rotator.ports import Journal, Ports, Provider


@dataclass(frozen=True, slots=True)
class CredentialsSeen:
    """What reading the credentials of providers again gave: whether one is another than it was, and why others can't be read, by the names of their providers."""

    changed: bool
    unread: Mapping[str, str] = field(default_factory=dict)


class Link(Protocol):
    """One policy file, connected to what it names."""

    @property
    def file(self) -> PolicyFile:
        """What it was made from."""

    @property
    def clock(self) -> Clock:
        """Where it reads the time."""

    @property
    def journal(self) -> Journal:
        """Where records are."""

    @property
    def providers(self) -> Mapping[str, Provider]:
        """By their names in the file."""

    @property
    def namespace(self) -> str:
        """The namespace of Vault, "" without one."""

    @property
    def holder(self) -> str:
        """The name of this process in claims."""

    @property
    def journal_id(self) -> str:
        """The id of the journal."""

    async def look_after(self) -> CredentialsSeen:
        """Renew what has to be renewed to stay connected, and read the credentials of providers again.

        Raise as any call to Vault.
        """
        ...

    def with_file(self, file: PolicyFile) -> Link:
        """Return the same connections for another file, which names the same Vault and the same providers."""
        ...

    def ports(self, lineage: Lineage, *, stopping: Callable[[], bool], tell: Callable[[Told], None]) -> Ports:
        """Return the ports for one lineage."""
        ...
