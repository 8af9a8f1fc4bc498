"""The table of options: instance, Vault, limits, providers, other files. What an operator may write, and why."""

from __future__ import annotations

from datetime import timedelta

from rotator.policy import settings
from rotator.policy.file.auth_options import AUTH
from rotator.policy.file.kinds import (
    ABSOLUTE_PATH,
    ADDRESS,
    POSITIVE_DURATION,
    choice,
    integer,
    list_of,
    matching,
    optional,
)
from rotator.policy.file.option import Needed, Option, Section, Shape
from rotator.policy.file.references import CREDENTIAL, CREDENTIAL_HINT, NOWHERE
from rotator.policy.names import INCLUDE, INSTANCE, LISTEN, PATH, VENDOR_ID
from rotator.policy.settings import LimitSettings, default_prefix

VERSION = Needed(
    name="version",
    kind=integer(1, 1),
    stand_in=1,
    why="The version of this format.",
    hint="write `version: 1`",
)
INSTANCE_NAME = Option(
    name="instance",
    kind=matching(INSTANCE),
    default="default",
    why="Names this installation; part of the journal's default prefix.",
)

VAULT_ADDRESS = Option(
    name="address",
    kind=optional(ADDRESS),
    default=None,
    otherwise="`VAULT_ADDR`",
    why="Where Vault is.",
)
VAULT_NAMESPACE = Option(
    name="namespace",
    kind=optional(matching(PATH)),
    default=None,
    otherwise="`VAULT_NAMESPACE`, else none",
    why="The namespace in Vault that everything is in.",
)
CA_CERT = Option(
    name="ca_cert",
    kind=optional(ABSOLUTE_PATH),
    default=None,
    otherwise="`VAULT_CACERT`, else the authorities that browsers trust",
    why="A file with the certificates that Vault's own must lead to.",
)

JOURNAL_MOUNT = Option(
    name="mount", kind=matching(PATH), default="secret", why="The KV version 2 engine that the journal is in."
)
JOURNAL_PREFIX = Option(
    name="prefix",
    kind=optional(matching(PATH)),
    default=None,
    otherwise=f"`{default_prefix('INSTANCE')}`",
    why="The path in it below which all records are; nobody else's.",
)
JOURNAL = Section(
    name="journal",
    why="Where rotator remembers what it did; never a secret in it.",
    parts=(JOURNAL_MOUNT, JOURNAL_PREFIX),
)
VAULT = Section(
    name="vault",
    why="Which Vault, and how to log in. `VAULT_SKIP_VERIFY` and `~/.vault-token` are never used.",
    parts=(VAULT_ADDRESS, VAULT_NAMESPACE, CA_CERT, AUTH, JOURNAL),
    needed=True,
)

CLAIM_TTL = Option(
    name="claim_ttl",
    kind=POSITIVE_DURATION,
    default=timedelta(seconds=60),
    why="How long one process alone may work on a key, unless it says again that it does; at least three times "
    "`call_timeout`.",
)
CALL_TIMEOUT = Option(
    name="call_timeout",
    kind=POSITIVE_DURATION,
    default=timedelta(seconds=10),
    why="The longest single call to Vault or a provider.",
)
CONCURRENCY = Option(
    name="concurrency", kind=integer(1, 1000), default=8, why="How many keys are worked on at a time."
)
SWEEP_EVERY = Option(
    name="sweep_every",
    kind=POSITIVE_DURATION,
    default=settings.SWEEP_EVERY,
    why="How often `rotator run` lists the keys of each project, to find new, changed and vanished ones; between a second "
    "and a day. What is due is done when it is due, whatever this says.",
)
LISTEN_AT = Option(
    name="listen",
    kind=matching(LISTEN),
    default=settings.LISTEN,
    why="Where `rotator run` serves `/livez`, `/readyz` and `/metrics`: HOST:PORT. Nothing there is secret, but names of keys are.",
)
METRICS_LINEAGES = Option(
    name="metrics_lineages",
    kind=integer(0, 1_000_000),
    default=settings.METRICS_LINEAGES,
    why="How many lineages have metrics of their own, the most urgent first; the others are in the totals only.",
)
RUNTIME = Section(
    name="runtime",
    why="Limits of this process, and how the service runs.",
    parts=(CLAIM_TTL, CALL_TIMEOUT, CONCURRENCY, SWEEP_EVERY, LISTEN_AT, METRICS_LINEAGES),
)

STARTS_PER_HOUR = Option(
    name="starts_per_hour",
    kind=integer(1, 100_000),
    default=LimitSettings().starts_per_hour,
    why="How many rotations may begin by themselves in an hour, of all processes that share the journal. What a person orders is counted, and not held up; what made no key is not counted.",
)
LIMITS = Section(name="limits", why="How much may be begun.", parts=(STARTS_PER_HOUR,))

PROVIDER_TYPE = Needed(
    name="type",
    kind=choice(("deepgram",)),
    stand_in="deepgram",
    why="Which service it is.",
    hint="write `type: deepgram`",
)
PROJECT_ID = Needed(
    name="project_id",
    kind=matching(VENDOR_ID),
    stand_in="",
    why="The id of the project whose keys these are.",
)
BASE_URL = Option(
    name="base_url",
    kind=ADDRESS,
    default="https://api.deepgram.com",
    why="Where its API is.",
)
PROVIDER_CREDENTIAL = Needed(
    name="credential",
    kind=CREDENTIAL,
    stand_in=NOWHERE,
    why="The management key: one that can list, create and delete keys.",
    hint=CREDENTIAL_HINT,
)
PROVIDERS = Section(
    name="providers",
    why="Your name for each project at a provider: up to 63 letters, digits and `._-`.",
    parts=(PROVIDER_TYPE, PROJECT_ID, BASE_URL, PROVIDER_CREDENTIAL),
    shape=Shape.NAMED,
    needed=True,
)

INCLUDED_FILES = Option(
    name="include",
    kind=list_of(matching(INCLUDE)),
    default=(),
    why="Other files, which hold `policies` only: paths and globs below this file's folder. They are taken in this order, those "
    "of one glob in the order of their names. A glob may match no file, a path may not; a glob takes no file whose "
    "name begins with a dot.",
)
