"""What each way to log in needs, read from where the policy file refers to. Nothing that is found is ever shown."""

from __future__ import annotations

import ssl
from typing import assert_never

from rotator import credentials
from rotator.errors import PolicyError, Problem
from rotator.model.secret import Secret
from rotator.policy.settings import (
    AppRoleAuth,
    CertAuth,
    JwtAuth,
    KubernetesAuth,
    SecretReference,
    TokenAuth,
    VaultAuth,
)


def option_of(auth: VaultAuth | Secret) -> str:
    """Return the option of the policy file that chose this way to log in."""
    match auth:
        case Secret():
            return "a token"
        case TokenAuth():
            return "vault.auth.token"
        case AppRoleAuth():
            return "vault.auth.approle"
        case KubernetesAuth():
            return "vault.auth.kubernetes"
        case JwtAuth():
            return "vault.auth.jwt"
        case CertAuth():
            return "vault.auth.cert"
        case _:
            assert_never(auth)


def read(auth: VaultAuth | Secret) -> tuple[Secret, ...]:
    """Return the secrets of a login, read afresh; none for a certificate, whose files are only checked.

    Raise PolicyError, naming what is missing or can't be used.
    """
    match auth:
        case Secret():
            return (_header(auth, "the token", ""),)
        case TokenAuth():
            return (_in_header(auth.token, "vault.auth.token"),)
        case AppRoleAuth():
            role_id = credentials.read(auth.role_id)
            if auth.secret_id_response_wrapping_path is None:
                return role_id, credentials.read(auth.secret_id)
            return role_id, _in_header(auth.secret_id, "vault.auth.approle.secret_id")
        case KubernetesAuth() | JwtAuth():
            return (credentials.read(auth.jwt),)
        case CertAuth():
            _check_certificate(auth)
            return ()
        case _:
            assert_never(auth)


def _in_header(reference: SecretReference, where: str) -> Secret:
    return _header(credentials.read(reference), where, f"look at what {reference} holds")


def _header(token: Secret, where: str, hint: str) -> Secret:
    """Return a token that can be sent: it goes into a header, which takes few characters."""
    if not token.reveal().isascii():
        raise _unusable(where, "the token has characters that no token of Vault has", hint)
    return token


def _check_certificate(auth: CertAuth) -> None:
    credentials.check_file(auth.key)
    try:
        # Without a password, OpenSSL would ask for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(auth.cert, auth.key, password="")
    except (OSError, ValueError):
        usable = False
    else:
        usable = True
    if not usable:
        raise _unusable(
            "vault.auth.cert",
            "the certificate and its key can't be used together",
            f"put a certificate in PEM at {auth.cert}, and its key, in PEM and without a password, at {auth.key}",
        )


def _unusable(where: str, what: str, hint: str) -> PolicyError:
    return PolicyError((Problem(file=where, line=0, column=0, path="", what=what, hint=hint),))
