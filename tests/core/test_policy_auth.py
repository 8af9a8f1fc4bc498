"""How to log in to Vault: each way with its defaults, exactly one of them."""

from __future__ import annotations

import pytest

from rotator.errors import PolicyError
from rotator.policy.load import load
from rotator.policy.settings import (
    AppRoleAuth,
    CertAuth,
    JwtAuth,
    KubernetesAuth,
    SecretReference,
    SecretSource,
    TokenAuth,
    VaultAuth,
)

ROLE_ID, SECRET_ID = SecretReference(SecretSource.ENV, "R"), SecretReference(SecretSource.SYSTEMD, "s")
JWT = SecretReference(SecretSource.FILE, "/run/jwt")
SERVICE_ACCOUNT = SecretReference(SecretSource.FILE, "/var/run/secrets/kubernetes.io/serviceaccount/token")


def text_of(auth: str) -> bytes:
    return f"version: 1\nvault: {{auth: {auth}}}\nproviders: {{}}\npolicies: []\n".encode()


def told_of(auth: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        load(text_of(auth), name="p.yaml")
    return [str(problem).split(": ", 1)[1] for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "auth"),
    [
        ("{token: {env: R}}", TokenAuth(token=ROLE_ID)),
        (
            "{approle: {role_id: {env: R}, secret_id: {systemd: s}}}",
            AppRoleAuth(mount="approle", role_id=ROLE_ID, secret_id=SECRET_ID),
        ),
        (
            (
                "{approle: {mount: a/b, role_id: {env: R}, secret_id: {systemd: s}, "
                "secret_id_response_wrapping_path: auth/a/b/role/r/secret-id}}"
            ),
            AppRoleAuth(
                mount="a/b",
                role_id=ROLE_ID,
                secret_id=SECRET_ID,
                secret_id_response_wrapping_path="auth/a/b/role/r/secret-id",
            ),
        ),
        ("{kubernetes: {role: r}}", KubernetesAuth(mount="kubernetes", role="r", jwt=SERVICE_ACCOUNT)),
        (
            "{kubernetes: {mount: k8s, role: r, jwt: {file: /run/jwt}}}",
            KubernetesAuth(mount="k8s", role="r", jwt=JWT),
        ),
        ("{jwt: {role: r, jwt: {file: /run/jwt}}}", JwtAuth(mount="jwt", role="r", jwt=JWT)),
        (
            "{jwt: {mount: oidc, role: r, jwt: {file: /run/jwt}}}",
            JwtAuth(mount="oidc", role="r", jwt=JWT),
        ),
        ("{cert: {cert: /c, key: /k}}", CertAuth(mount="cert", name=None, cert="/c", key="/k")),
        (
            "{cert: {mount: tls, name: n, cert: /c, key: /k}}",
            CertAuth(mount="tls", name="n", cert="/c", key="/k"),
        ),
    ],
)
def test_each_way_to_log_in_is_read_with_its_defaults(text: str, auth: VaultAuth) -> None:
    assert load(text_of(text), name="p.yaml").vault.auth == auth


def test_exactly_one_way_is_taken() -> None:
    two = told_of("{token: {env: T}, kubernetes: {role: r}}")
    assert len(two) == 1
    assert two[0].startswith(
        "vault.auth: 2 ways to log in where exactly one is expected (write one of `token: ...`"
    )
    none, unknown = told_of("{tokn: {env: T}}")
    assert none.startswith("vault.auth: 0 ways to log in where exactly one is expected")
    assert unknown == (
        "vault.auth: unknown key (did you mean `token`? allowed: approle, cert, jwt, kubernetes, token)"
    )


@pytest.mark.parametrize(
    ("auth", "messages"),
    [
        ("{approle: {}}", ["`role_id` is missing (write `{env: NAME}`", "`secret_id` is missing (write"]),
        ("{approle: }", ["`role_id` is missing", "`secret_id` is missing"]),
        ("{approle: {role_id: {env: R}, secret_id: abc}}", ["a text of 3 characters (write `{env: NAME}`"]),
        ("{approle: x}", ["a text of 1 character where a mapping (`key: value`) is expected"]),
        ("{kubernetes: {}}", ["`role` is missing (write `role: NAME`)"]),
        (
            "{kubernetes: {role: r, mount: auth/k8s}}",
            ["a text of 8 characters that can't stand here (allowed: segm"],
        ),
        ("{jwt: {role: r}}", ["`jwt` is missing (write `{env: NAME}`, `{file: PATH}` or `{systemd: NAME}`)"]),
        (
            "{jwt: {role: a b, jwt: {env: J}}}",
            ["a text of 3 characters that can't stand here (allowed: up to 63"],
        ),
        (
            "{cert: {cert: c.pem, key: /k}}",
            ["a text of 5 characters that can't stand here (allowed: an absolute"],
        ),
        ("{cert: {}}", ["`cert` is missing (write `cert: PATH`)", "`key` is missing (write `key: PATH`)"]),
        ("{cert: {cert: /c, key: {file: /k}}}", ["a mapping of 1 key where a text is expected"]),
        ("{cert: {cert: /c, key: /k, keyfile: /k}}", ["unknown key (did you mean `key`?"]),
    ],
)
def test_what_is_wrong_with_a_way_to_log_in(auth: str, messages: list[str]) -> None:
    told = told_of(auth)
    assert len(told) == len(messages)
    for text, message in zip(sorted(told), sorted(messages), strict=True):
        assert text.split(": ", 1)[1].startswith(message)


@pytest.mark.parametrize(
    "auth",
    [
        "{token: PLACE}",
        "{approle: {role_id: PLACE, secret_id: {env: S}}}",
        "{approle: {role_id: {env: R}, secret_id: PLACE}}",
        "{kubernetes: {role: r, jwt: PLACE}}",
        "{jwt: {role: r, jwt: PLACE}}",
    ],
)
def test_nothing_that_is_needed_to_log_in_to_vault_is_in_vault(auth: str) -> None:
    (told,) = told_of(auth.replace("PLACE", "{vault: {mount: m, path: p, field: f}}"))
    assert told.split(": ", 1)[1] == (
        "a reference to Vault, which nobody is logged in to yet "
        "(for this one, write `{env: NAME}`, `{file: PATH}` or `{systemd: NAME}`)"
    )
