"""Why Vault refused a login, in our words. Pure. Vault's own words are matched, never repeated.

Vault's texts, seen and in public sources: https://github.com/hashicorp/vault (builtin/credential/approle and cert),
https://github.com/hashicorp/vault-plugin-auth-jwt, https://github.com/hashicorp/vault-plugin-auth-kubernetes and
https://github.com/hashicorp/cap (jwt).
"""

from __future__ import annotations

from typing import Final, assert_never

from rotator.policy.settings import AppRoleAuth, CertAuth, JwtAuth, KubernetesAuth, TokenAuth, VaultAuth
from rotator.vault.answers import Answer

UNWRAPPED_BEFORE: Final = (
    "the wrapping token is not valid any more: used, or expired. Each start of rotator needs a new one. If nobody "
    "here used it, somebody else may have stolen the secret id in it: revoke that, and find out who"
)
WRAPPED_ELSEWHERE: Final = (
    "the wrapping token was not made at `secret_id_response_wrapping_path`: somebody may have replaced it. It was "
    "not used"
)

_JWT: Final = (
    ("audience", "it is made for another audience (`aud`) than the role expects"),
    ("expir", "it has expired; does what should write a new one still run?"),
    ("not yet valid", "it is not valid yet; do the clocks agree?"),
    ("issuer", "it comes from another issuer (`iss`) than Vault is set up for"),
    ("service account name", "the role is not for this service account"),
    ("namespace not authorized", "the role is not for service accounts of this Kubernetes namespace"),
    ("signature", "no key that Vault knows has signed it"),
    ("claim", "it does not have the claims that the role is bound to"),
    ("could not be found", "Vault knows no such role"),
    ("invalid role name", "Vault knows no such role"),
)


def words(auth: VaultAuth, answer: Answer) -> str | None:
    """Return why the login was refused and what to look at. None when the answer is about something else."""
    if answer.status not in {400, 403} or answer.errors is None:
        return None
    said = "\n".join(answer.errors)
    match auth:
        case TokenAuth():
            return None
        case AppRoleAuth():
            why, source = _approle(auth, answer.status), f"{auth.role_id} and {auth.secret_id}"
        case KubernetesAuth():
            why, source = f"the JWT is refused: {_kubernetes(auth, said)}", str(auth.jwt)
        case JwtAuth():
            why = f"the JWT is refused: {_first(said) or f'the text is no JWT, or {_no_method(auth.mount)}'}"
            source = str(auth.jwt)
        case CertAuth():
            why, source = _certificate(auth, answer.status, said), auth.cert
        case _:
            assert_never(auth)
    return f"{answer.status}: {why}; look at {source}"


def _approle(auth: AppRoleAuth, status: int) -> str:
    if status == 400:  # noqa: PLR2004 (HTTP)
        return "the role id or the secret id is wrong, expired or used up"
    return (
        "Vault has locked this role out, for 15 minutes if not set otherwise, because of wrong logins; or "
        f"{_no_method(auth.mount)}"
    )


def _kubernetes(auth: KubernetesAuth, said: str) -> str:
    return _first(said) or (
        "Kubernetes does not confirm it, or did not answer Vault (which says the same for both: see that its API "
        f"server runs, and that Vault may ask it), or {_no_method(auth.mount)}"
    )


def _certificate(auth: CertAuth, status: int, said: str) -> str:
    if status == 403:  # noqa: PLR2004 (HTTP)
        return f"permission denied: {_no_method(auth.mount)}"
    if "no client certificate found" in said:
        return "no client certificate reached Vault; does a proxy in between end TLS?"
    return "no role of Vault accepts the client certificate, or there is no role of that `name`"


def _first(said: str) -> str | None:
    return next((ours for theirs, ours in _JWT if theirs in said), None)


def _no_method(mount: str) -> str:
    return f"no such method is mounted at auth/{mount} in this namespace"
