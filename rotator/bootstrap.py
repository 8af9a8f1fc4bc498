"""The one place that builds and connects: from a policy file to ports that are ready to be used."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from rotator import credentials
from rotator.clock import Clock, SystemClock
from rotator.daemon.link import CredentialsSeen
from rotator.errors import (
    Conflict,
    LostJournal,
    PolicyError,
    PortError,
    Problem,
    Rejected,
    Unavailable,
)
from rotator.http import HttpClient
from rotator.inventory.fleet import Fleet, survey
from rotator.inventory.lost import served_without_journal
from rotator.inventory.records import Trouble
from rotator.model.lineage import Lineage
from rotator.model.secret import Secret
from rotator.model.told import Heard, Told, unheard
from rotator.policy.address import ADDRESS_FORM, parse_address
from rotator.policy.settings import (
    PolicyFile,
    ProviderSettings,
    RuntimeSettings,
    SecretReference,
    VaultAuth,
    VaultReference,
)
from rotator.ports import Access, Control, Destinations, Journal, Ports, Provider
from rotator.providers.deepgram import Deepgram
from rotator.vault.access import VaultAccess
from rotator.vault.client import VaultClient
from rotator.vault.credential import read_credential
from rotator.vault.destinations import VaultDestinations
from rotator.vault.journal import VaultJournal
from rotator.vault.login import Learnt

CONTROL_LOOK_AFTER = timedelta(milliseconds=200)
CONTROL_LOOKS = 25
"""So often, after such a pause each, a control record that must be there is looked for: a standby lags behind."""


VAULT = "Vault"
JOURNAL = "the journal"
"""What a trouble of `Reached` is about, besides `provider NAME`."""


Progress = Callable[[str, int, int], None]
"""Is told of long work while it goes on: what it is, how much of it is done, and how much there is."""


@dataclass(slots=True)
class Met:
    """What a process that connects more than once has met before.

    `logins` are what logging in showed, by the address of Vault, the namespace and the way to log in; `journals` those that were
    there, by address, namespace, mount and prefix; `managements` the management keys of the last connection, by address and namespace
    of Vault and where they are kept.
    """

    logins: dict[tuple[str, str, VaultAuth], Learnt] = field(default_factory=dict)
    journals: set[tuple[str, str, str, str]] = field(default_factory=set)
    managements: dict[tuple[str, str, SecretReference | VaultReference], Secret] = field(default_factory=dict)


def _untold(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""


class RandomRotationIds:
    """Rotation ids from the system's random numbers."""

    def new(self) -> str:
        """Return 16 random hexadecimal digits."""
        return secrets.token_hex(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """One policy file, connected to what it names. `journal_id` is "" while there is no journal yet."""

    file: PolicyFile
    clock: Clock
    journal: Journal
    destinations: Destinations
    providers: Mapping[str, Provider]
    namespace: str
    holder: str
    journal_id: str
    renew: Callable[[], Awaitable[None]]
    read_again: Callable[[], Awaitable[CredentialsSeen]]

    async def look_after(self) -> CredentialsSeen:
        """Renew our token in Vault if it is time for that, and read the credentials of providers again.

        Raise as any call to Vault.
        """
        await self.renew()
        return await self.read_again()

    def with_file(self, file: PolicyFile) -> Connected:
        """Return the same connections for another file, which names the same Vault and the same providers."""
        return replace(self, file=file)

    async def survey(self) -> Fleet:
        """Return the whole fleet as it is now. Raise what `inventory.fleet.survey` raises."""
        control = await self.journal.control()
        return await survey(
            self.file,
            self.providers,
            self.journal,
            journal_id=self.journal_id,
            namespace=self.namespace,
            pauses=control.pauses if control else (),
        )

    def ports(self, lineage: Lineage, *, stopping: Callable[[], bool], tell: Callable[[Told], None]) -> Ports:
        """Return the ports for one lineage. Its provider is the one with its project, whatever it is called now."""
        name = next(p.name for p in self.file.providers if p.project_id == lineage.project_id)
        return Ports(
            provider=self.providers[name],
            destinations=self.destinations,
            journal=self.journal,
            clock=self.clock,
            rotation_ids=RandomRotationIds(),
            holder=self.holder,
            journal_id=self.journal_id,
            claim_ttl=self.file.runtime.claim_ttl,
            stopping=stopping,
            tell=tell,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultPorts:
    """The ports that lead to Vault. Their destinations are in one namespace, "" without one."""

    namespace: str
    journal: Journal
    destinations: Destinations
    access: Access
    renew: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What of a policy file could be connected: the rest is None or left out, and `troubles` say why.

    `journal_id` is None when it is not known, and "" while there is no journal yet.
    """

    file: PolicyFile
    clock: Clock
    providers: Mapping[str, Provider]
    vault: VaultPorts | None
    journal_id: str | None
    troubles: tuple[Trouble, ...]

    def connected(self) -> Connected | None:
        """Return it as a connection, with the providers that could be built, None without Vault and its journal."""
        if self.vault is None or self.journal_id is None:
            return None
        return Connected(
            file=self.file,
            clock=self.clock,
            journal=self.vault.journal,
            destinations=self.vault.destinations,
            providers=self.providers,
            namespace=self.vault.namespace,
            holder=_new_name(),
            journal_id=self.journal_id,
            renew=self.vault.renew,
            read_again=_nothing_changes,
        )


@asynccontextmanager
async def connect(
    file: PolicyFile,
    *,
    found_journal: bool,
    progress: Progress = _untold,
    clock: Clock | None = None,
    heard: Heard = unheard,
    met: Met | None = None,
) -> AsyncIterator[Connected]:
    """Connect to Vault and to every provider of `file`; close all connections when the block is left.

    Time is the system's, unless another `clock` is given. With `found_journal`, a journal that does not exist yet is
    begun; a command that touches nothing leaves it. `heard` is told of each call. Who connects more than once gives the same
    `met` each time, so that nothing which Vault refuses, or gives once, is tried again, and no journal is begun where there was one. Raise PolicyError when a credential or an address is missing or can't
    be used, LostJournal when there was a journal and its control record is gone, Rejected when it belongs to another
    instance, else what `Journal` raises.
    """
    clock, met = clock or SystemClock(), met or Met()
    async with AsyncExitStack() as stack:
        client = _vault_client(file, clock, heard, met)
        stack.push_async_callback(client.aclose)
        vault = _vault_ports(file, client, clock)
        address, namespace, _ = vault_address(file)
        managements = {}
        for settings in file.providers:
            try:
                managements[settings.name] = await _management(settings, client)
            except (PolicyError, PortError):
                # Others may be new ones, which are needed.
                before = met.managements.get((address, namespace, settings.credential))
                if before is None:
                    raise
                managements[settings.name] = before
        providers = {
            settings.name: await _PROVIDERS[settings.type](
                settings, file.runtime, managements[settings.name], clock, stack, progress, heard
            )
            for settings in file.providers
        }
        journal_id = await _journal_id(vault.journal, file.instance, clock)
        place = (address, namespace, file.vault.journal_mount, file.vault.journal_prefix)
        if found_journal and not journal_id:
            if place in met.journals:
                raise LostJournal("open journal", file.instance, "it was there before, and is gone")
            journal_id = await _begun(file, providers, vault, clock)
        if journal_id:
            met.journals.add(place)
        met.managements = {
            (address, namespace, settings.credential): managements[settings.name]
            for settings in file.providers
        }
        yield Connected(
            file=file,
            clock=clock,
            journal=vault.journal,
            destinations=vault.destinations,
            providers=providers,
            namespace=vault.namespace,
            holder=_new_name(),
            journal_id=journal_id,
            renew=vault.renew,
            read_again=_changes_of(file, client, managements),
        )


@asynccontextmanager
async def reach(file: PolicyFile, *, progress: Progress = _untold) -> AsyncIterator[Reached]:
    """Connect to as much of `file` as can be; close all connections when the block is left. Begins no journal."""
    clock = SystemClock()
    troubles: list[Trouble] = []
    async with AsyncExitStack() as stack:
        client, vault, journal_id = None, None, None
        try:
            client = _vault_client(file, clock)
            stack.push_async_callback(client.aclose)
            vault = _vault_ports(file, client, clock)
            journal_id = await _journal_id(vault.journal, file.instance, clock)
        except (PolicyError, PortError) as error:
            troubles.append(Trouble(what=VAULT if vault is None else JOURNAL, error=error))
        providers = {}
        for settings in file.providers:
            try:
                management = await _management(settings, client)
                providers[settings.name] = await _PROVIDERS[settings.type](
                    settings, file.runtime, management, clock, stack, progress, unheard
                )
            except (PolicyError, PortError) as error:
                troubles.append(Trouble(what=f"provider {settings.name}", error=error))
        yield Reached(
            file=file,
            clock=clock,
            providers=providers,
            vault=vault,
            journal_id=journal_id,
            troubles=tuple(troubles),
        )


def _new_name() -> str:
    """Return a name for this process, as claims show it."""
    return f"rotator-{secrets.token_hex(4)}"


def _vault_ports(file: PolicyFile, client: VaultClient, clock: Clock) -> VaultPorts:
    mount, prefix = file.vault.journal_mount, file.vault.journal_prefix
    return VaultPorts(
        namespace=client.namespace,
        journal=VaultJournal(client, mount=mount, prefix=prefix),
        destinations=VaultDestinations(client, clock, journal_mount=mount, journal_prefix=prefix),
        access=VaultAccess(client, journal_mount=mount, journal_prefix=prefix),
        renew=client.look_after_token,
    )


def _vault_client(
    file: PolicyFile, clock: Clock, heard: Heard = unheard, met: Met | None = None
) -> VaultClient:
    address, namespace, ca_cert = vault_address(file)
    known = (met or Met()).logins
    try:
        return VaultClient(
            address=address,
            auth=file.vault.auth,
            namespace=namespace,
            ca_cert=ca_cert,
            call_timeout=file.runtime.call_timeout,
            clock=clock,
            heard=heard,
            learnt=known.setdefault((address, namespace, file.vault.auth), Learnt()),
        )
    except Rejected as rejected:
        if rejected.operation == "read certificates from":
            where = "vault.ca_cert" if file.vault.ca_cert else "VAULT_CACERT"
            hint = f"put the certificates to trust at {rejected.target}, or name another file"
        else:
            where = "vault.namespace" if file.vault.namespace else "VAULT_NAMESPACE"
            hint = "give the path of a namespace, such as `team-a`, or none"
        raise _unusable(where, rejected.detail, hint) from None


async def _deepgram(
    settings: ProviderSettings,
    runtime: RuntimeSettings,
    management: Secret,
    clock: Clock,
    stack: AsyncExitStack,
    progress: Progress,
    heard: Heard,
) -> Provider:
    http = HttpClient(
        settings.base_url,
        call_timeout=runtime.call_timeout,
        concurrency=runtime.concurrency,
        name=settings.name,
        heard=heard,
    )
    stack.push_async_callback(http.aclose)
    return Deepgram(
        http,
        project_id=settings.project_id,
        management=management,
        clock=clock,
        progress=partial(progress, f"reading keys of {settings.name}"),
    )


_PROVIDERS = {"deepgram": _deepgram}
"""The types of provider that a policy file may name."""


async def _management(settings: ProviderSettings, client: VaultClient | None) -> Secret:
    """Return the management key of a provider, read afresh."""
    reference = settings.credential
    if not isinstance(reference, VaultReference):
        return await asyncio.to_thread(credentials.read, reference)
    if client is None:
        raise Unavailable("read credential", str(reference), "Vault can't be used")
    return await read_credential(client, reference)


async def _nothing_changes() -> CredentialsSeen:
    """Say that nothing is another one: a command ends before anything could be."""
    return CredentialsSeen(changed=False)


def _changes_of(
    file: PolicyFile, client: VaultClient, managements: Mapping[str, Secret]
) -> Callable[[], Awaitable[CredentialsSeen]]:
    """Return what tells whether the management keys are others than these. One that can't be read is no other."""

    async def read_again() -> CredentialsSeen:
        changed, unread = False, dict[str, str]()
        for settings in file.providers:
            try:
                secret = await _management(settings, client)
            except (PolicyError, PortError) as error:
                unread[settings.name] = str(error)
            else:
                changed |= not secret.matches(managements[settings.name])
        return CredentialsSeen(changed, unread)

    return read_again


async def _journal_id(journal: Journal, instance: str, clock: Clock) -> str:
    """Return the id of the journal, "" when there is none.

    Raise LostJournal when it lost its control record, Rejected when it belongs to another instance.
    """
    control = await journal.control()
    if control is None and await journal.names():
        control = await _shown(journal, clock)
        if control is None:
            raise LostJournal("open journal", instance, "it has records of lineages but no control record")
    return "" if control is None else _of(control, instance)


async def _begun(file: PolicyFile, providers: Mapping[str, Provider], vault: VaultPorts, clock: Clock) -> str:
    """Begin a journal, and return its id.

    Raise LostJournal when there was one, what `served_without_journal` raises when that can't be told.
    """
    try:
        lineage = await served_without_journal(file, providers, vault.destinations, vault.namespace)
    except PortError as error:
        what = f"whether there was one before can't be told: {error}"
        raise type(error)("begin journal", file.instance, what) from None
    if lineage is not None:
        what = f"it is gone, and Vault still serves what it was about, such as {lineage}"
        raise LostJournal("open journal", file.instance, what)
    return _of(await _found(vault.journal, file.instance, clock), file.instance)


def _of(control: Control, instance: str) -> str:
    if control.instance != instance:
        raise Rejected(
            "open journal",
            instance,
            f"it belongs to instance {control.instance}; give this one another `instance` or `vault.journal.prefix`",
        )
    return control.journal_id


async def _found(journal: Journal, instance: str, clock: Clock) -> Control:
    """Begin a journal, or return the one that another process began a moment ago."""
    ours = Control(journal_id=secrets.token_hex(6), instance=instance)
    try:
        await journal.write_control(ours)
    except Conflict:
        theirs = await _shown(journal, clock)
    else:
        return ours
    if theirs is None:
        raise Unavailable(
            "open journal", instance, "another process began it, and Vault does not show it yet"
        )
    return theirs


async def _shown(journal: Journal, clock: Clock) -> Control | None:
    """Return the control record once a lagging standby shows it, None when that takes too long."""
    for _ in range(CONTROL_LOOKS):
        await clock.sleep(CONTROL_LOOK_AFTER)
        control = await journal.control()
        if control is not None:
            return control
    return None


def vault_address(file: PolicyFile) -> tuple[str, str, str | None]:
    """Return address, namespace and CA file, from the policy file or from Vault's own variables.

    Raise PolicyError when there is no address, or when VAULT_ADDR is one that the file could not hold either.
    """
    address = file.vault.address or _address_of_environment()
    return address, vault_namespace(file), file.vault.ca_cert or credentials.variable("VAULT_CACERT")


def vault_namespace(file: PolicyFile) -> str:
    """Return the namespace in Vault, "" without one, from the policy file or from Vault's own variable."""
    return (file.vault.namespace or credentials.variable("VAULT_NAMESPACE") or "").strip("/")


def _address_of_environment() -> str:
    address = credentials.variable("VAULT_ADDR")
    if address is None:
        hint = "write `vault: {address: https://...}` or set VAULT_ADDR"
        raise _unusable("vault.address", "no address of Vault", hint)
    try:
        return parse_address(address)
    except ValueError as error:
        raise _unusable("VAULT_ADDR", str(error), ADDRESS_FORM) from None


def _unusable(where: str, what: str, hint: str) -> PolicyError:
    return PolicyError((Problem(file=where, line=0, column=0, path="", what=what, hint=hint),))
