"""A file that says something valid, however it is written, becomes the values that are meant."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.model.entry import FieldNames
from rotator.policy.load import Included, load
from rotator.policy.names import INSTANCE, NAME, VENDOR_ID, Form
from rotator.policy.policy import (
    Adopt,
    DestinationTemplate,
    Exempt,
    Freeze,
    Lifetime,
    OriginalTerms,
    Policy,
    Select,
    Share,
    Window,
)
from rotator.policy.settings import (
    AppRoleAuth,
    CertAuth,
    JwtAuth,
    KubernetesAuth,
    LimitSettings,
    PolicyFile,
    ProviderSettings,
    RuntimeSettings,
    SecretReference,
    SecretSource,
    TokenAuth,
    VaultReference,
    VaultSettings,
)

DAY = timedelta(days=1)


def texts(form: Form) -> st.SearchStrategy[str]:
    return st.from_regex(form.pattern, fullmatch=True).filter(lambda text: not text.isspace())


def text_of(document: dict[str, Any]) -> bytes:
    """Return a document as JSON, which is YAML."""
    return json.dumps(document, ensure_ascii=False).encode()


def lengths(shortest: timedelta, longest: timedelta) -> st.SearchStrategy[timedelta]:
    seconds = st.integers(int(shortest.total_seconds()), int(longest.total_seconds()))
    return seconds.map(lambda n: timedelta(seconds=n))


names = texts(NAME)
words = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=12
).filter(lambda text: "${" not in text)
sets = st.frozensets(words, max_size=3)
globs = st.lists(words, max_size=3).map(tuple)
references = st.one_of(
    st.builds(SecretReference, st.just(SecretSource.ENV), st.from_regex("[A-Z_]{1,9}", fullmatch=True)),
    st.builds(SecretReference, st.just(SecretSource.FILE), st.from_regex("/[a-z /]{1,9}", fullmatch=True)),
    st.builds(SecretReference, st.just(SecretSource.SYSTEMD), st.from_regex("[a-z-]{1,9}", fullmatch=True)),
)
in_vault = st.builds(
    VaultReference, mount=st.just("kv"), path=st.just("a/b"), field=st.sampled_from(["f", "1"])
)
mounts = st.sampled_from(["m", "team/m"])
logins = st.one_of(
    st.builds(TokenAuth, token=references),
    st.builds(
        AppRoleAuth,
        mount=mounts,
        role_id=references,
        secret_id=references,
        secret_id_response_wrapping_path=st.sampled_from([None, "auth/m/role/r/secret-id"]),
    ),
    st.builds(KubernetesAuth, mount=mounts, role=names, jwt=references),
    st.builds(JwtAuth, mount=mounts, role=names, jwt=references),
    st.builds(CertAuth, mount=mounts, name=st.none() | names, cert=st.just("/c"), key=st.just("/k")),
)
selections = st.builds(
    Select,
    comment=st.lists(words, min_size=1, max_size=3).map(tuple),
    tags=sets,
    scopes=sets,
    but=st.builds(Exempt, comment=globs, tags=sets, scopes=sets),
)
zones = st.sampled_from([ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")])
open_times = st.builds(
    Window,
    cron=st.sampled_from(["0 2 * * *", "30 */6 * * 1-5", "5 22 * * SUN"]),
    length=lengths(DAY + timedelta(hours=1), 7 * DAY),
    zone=zones,
)
closed_times = st.builds(
    lambda start, length, why: Freeze(
        starts_at=datetime(2026, 1, 1, tzinfo=UTC) + start,
        ends_at=datetime(2026, 1, 1, tzinfo=UTC) + start + length,
        why=why,
    ),
    lengths(timedelta(), 400 * DAY),
    lengths(timedelta(seconds=1), 40 * DAY) | st.integers(1, 9).map(lambda n: n * DAY),
    st.just("") | words,
)
policies = st.builds(
    Policy,
    name=names,
    providers=st.just(()),
    select=selections,
    adopt=st.sampled_from(Adopt),
    rotate_before=st.integers(1, 90).map(float).map(Share) | lengths(20 * DAY, 30 * DAY),
    max_age=st.none() | lengths(90 * DAY, 400 * DAY),
    lifetime=st.sampled_from(Lifetime),
    overlap=lengths(timedelta(), 3 * DAY),
    original=st.just(OriginalTerms.KEEP) | lengths(DAY, 9 * DAY),
    temporary_below=lengths(timedelta(), DAY),
    prove_deadline=lengths(timedelta(seconds=1), DAY),
    retry_initial=lengths(timedelta(seconds=1), timedelta(hours=1)),
    retry_max=lengths(timedelta(hours=1), DAY),
    min_gap=lengths(timedelta(), DAY),
    windows=st.lists(open_times, max_size=2).map(tuple),
    freezes=st.lists(closed_times, max_size=2).map(tuple),
    destination=st.builds(
        DestinationTemplate,
        mount=st.just("kv"),
        path=st.sampled_from(["{policy}/{slug}", "a/{provider}/{key_id}", "{project_id}-{slug}"]),
        fields=st.builds(FieldNames, secret=st.just("s"), key_id=st.sampled_from([None, "k"])),
    ),
)
providers = st.builds(
    ProviderSettings,
    name=names,
    type=st.just("deepgram"),
    project_id=texts(VENDOR_ID),
    base_url=st.sampled_from(["https://api.deepgram.com", "http://127.0.0.1:1"]),
    credential=references | in_vault,
)
files = st.builds(
    PolicyFile,
    instance=texts(INSTANCE),
    vault=st.builds(
        VaultSettings,
        address=st.sampled_from([None, "https://v:8200"]),
        namespace=st.sampled_from([None, "a/b"]),
        ca_cert=st.sampled_from([None, "/ca.pem"]),
        auth=logins,
        journal_mount=mounts,
        journal_prefix=st.just("x/y"),
    ),
    runtime=st.builds(
        RuntimeSettings,
        claim_ttl=lengths(timedelta(minutes=3), DAY),
        call_timeout=lengths(timedelta(seconds=1), timedelta(minutes=1)),
        concurrency=st.integers(1, 1000),
    ),
    limits=st.builds(LimitSettings, starts_per_hour=st.integers(1, 100_000)),
    providers=st.lists(
        providers, min_size=1, max_size=3, unique_by=(lambda p: p.name, lambda p: p.project_id)
    ).map(tuple),
    policies=st.lists(policies, max_size=2, unique_by=lambda policy: policy.name).map(tuple),
)


class Writer:
    """Writes values as an operator might: any of the forms that mean the same."""

    def __init__(self, draw: Any) -> None:  # noqa: ANN401 (hypothesis gives no type for it)
        self._draw = draw

    def length(self, length: timedelta) -> str:
        seconds = int(length.total_seconds())
        days, rest = divmod(seconds, 86_400)
        return str(
            self._draw(
                st.sampled_from([f"{seconds}s", f"{days}d{rest}s", f"P{days}DT{rest}S", f"PT{seconds}S"])
            )
        )

    def reference(self, of: SecretReference | VaultReference) -> dict[str, Any]:
        if isinstance(of, VaultReference):
            return {"vault": {"mount": of.mount, "path": of.path, "field": of.field}}
        return {of.source.value: of.name}

    def login(self, auth: Any) -> dict[str, Any]:  # noqa: ANN401 (a closed union of frozen values)
        if isinstance(auth, TokenAuth):
            return {"token": self.reference(auth.token)}
        values = {name: getattr(auth, name) for name in auth.__dataclass_fields__}
        return {
            type(auth).__name__.removesuffix("Auth").lower(): {
                name: self.reference(value) if isinstance(value, SecretReference) else value
                for name, value in values.items()
            }
        }

    def chosen(self, by: Select | Exempt) -> dict[str, Any]:
        written: dict[str, Any] = {}
        if by.comment:
            single = len(by.comment) == 1 and self._draw(st.booleans())
            written["comment"] = by.comment[0] if single else list(by.comment)
        for name in ("tags", "scopes"):
            if getattr(by, name):
                written[name] = self._draw(st.permutations(sorted(getattr(by, name))))
        return written

    def windows(self, some: tuple[Window, ...]) -> list[dict[str, Any]] | None:
        return [
            {"cron": one.cron, "for": self.length(one.length)} | self._zone(one.zone) for one in some
        ] or None

    def freezes(self, some: tuple[Freeze, ...]) -> list[dict[str, Any]] | None:
        return [self._freeze(one) for one in some] or None

    def _freeze(self, freeze: Freeze) -> dict[str, Any]:
        zone = self._draw(zones)
        start, end = freeze.starts_at.astimezone(zone), freeze.ends_at.astimezone(zone)
        written = {"from": start.isoformat(), "to": end.isoformat()} | self._zone(zone)
        whole = start.time() == end.time() == time()
        if whole and self._draw(st.booleans()):
            written |= {"from": f"{start:%Y-%m-%d}", "to": f"{end - DAY:%Y-%m-%d}"}
        return written | ({"why": freeze.why} if freeze.why else {})

    def _zone(self, zone: ZoneInfo) -> dict[str, str]:
        return {} if zone.key == "UTC" and self._draw(st.booleans()) else {"timezone": zone.key}

    def policy(self, policy: Policy) -> dict[str, Any]:
        assert policy.select is not None
        select = self.chosen(policy.select)
        if policy.select.but != Exempt():
            select["except"] = self.chosen(policy.select.but)
        before, original = policy.rotate_before, policy.original
        names = policy.destination.fields
        written = {
            "name": policy.name,
            "provider": self._draw(st.permutations(policy.providers)),
            "select": select,
            "adopt": policy.adopt.value,
            "rotate_before": f"{before.percent:g}%" if isinstance(before, Share) else self.length(before),
            "max_age": None if policy.max_age is None else self.length(policy.max_age),
            "lifetime": str(policy.lifetime),
            "overlap": self.length(policy.overlap),
            "original": original.value if isinstance(original, OriginalTerms) else self.length(original),
            "temporary_below": self.length(policy.temporary_below),
            "prove": {"deadline": self.length(policy.prove_deadline)},
            "retry": {"initial": self.length(policy.retry_initial), "max": self.length(policy.retry_max)},
            "min_gap": self.length(policy.min_gap),
            "window": self.windows(policy.windows),
            "freeze": self.freezes(policy.freezes),
            "destination": {
                "mount": policy.destination.mount,
                "path": policy.destination.path,
                "fields": {"secret": names.secret, "key_id": names.key_id},
            },
        }
        return {name: written[name] for name in self._draw(st.permutations(list(written)))}

    def file(self, file: PolicyFile) -> dict[str, Any]:
        vault = file.vault
        return {
            "version": 1,
            "instance": file.instance,
            "vault": {
                "address": vault.address,
                "namespace": vault.namespace,
                "ca_cert": vault.ca_cert,
                "auth": self.login(vault.auth),
                "journal": {"mount": vault.journal_mount, "prefix": vault.journal_prefix},
            },
            "runtime": {
                "claim_ttl": self.length(file.runtime.claim_ttl),
                "call_timeout": self.length(file.runtime.call_timeout),
                "concurrency": file.runtime.concurrency,
            },
            "limits": {"starts_per_hour": file.limits.starts_per_hour},
            "providers": {
                one.name: {
                    "type": one.type,
                    "project_id": one.project_id,
                    "base_url": one.base_url,
                    "credential": self.reference(one.credential),
                }
                for one in file.providers
            },
        }


@settings(max_examples=40)
@given(files, st.data())
def test_what_is_written_is_what_is_meant(meant: PolicyFile, data: st.DataObject) -> None:
    writer = Writer(data.draw)
    known = [provider.name for provider in meant.providers]
    some = st.lists(st.sampled_from(known), min_size=1, unique=True)
    meant = replace(
        meant,
        policies=tuple(
            replace(policy, providers=tuple(name for name in known if name in chosen))
            for policy, chosen in ((one, data.draw(some)) for one in meant.policies)
        ),
    )
    written = [writer.policy(policy) for policy in meant.policies]
    here = data.draw(st.integers(0, len(written)))
    main = writer.file(meant) | {"policies": written[:here]}

    read = load(
        text_of(main),
        name="p.yaml",
        included=[Included(name="q.yaml", text=text_of({"policies": written[here:]}))],
    )
    without = tuple(replace(policy, fingerprint="") for policy in read.policies)
    assert replace(read, policies=without) == meant
