"""Reading how to log in to Vault. A secret may have been pasted anywhere below: no text found there is shown."""

from __future__ import annotations

from collections.abc import Callable

from rotator.plural import count
from rotator.policy.file.auth_options import (
    APPROLE_LOGIN,
    APPROLE_MOUNT,
    AUTH,
    CERT,
    CERT_KEY,
    CERT_LOGIN,
    CERT_MOUNT,
    CERT_NAME,
    JWT,
    JWT_LOGIN,
    JWT_MOUNT,
    KUBERNETES_LOGIN,
    KUBERNETES_MOUNT,
    ROLE,
    ROLE_ID,
    SECRET_ID,
    SERVICE_ACCOUNT,
    TOKEN,
    WRAPPING_PATH,
)
from rotator.policy.file.document import Mapping, Node
from rotator.policy.file.fields import Fields
from rotator.policy.file.option import Section
from rotator.policy.file.problems import describe, is_null
from rotator.policy.file.references import REFERENCE_HINT
from rotator.policy.settings import (
    AppRoleAuth,
    CertAuth,
    JwtAuth,
    KubernetesAuth,
    TokenAuth,
    VaultAuth,
)


def _approle(fields: Fields) -> AppRoleAuth:
    return AppRoleAuth(
        mount=fields.take(APPROLE_MOUNT),
        role_id=fields.take(ROLE_ID),
        secret_id=fields.take(SECRET_ID),
        secret_id_response_wrapping_path=fields.take(WRAPPING_PATH),
    )


def _kubernetes(fields: Fields) -> KubernetesAuth:
    return KubernetesAuth(
        mount=fields.take(KUBERNETES_MOUNT), role=fields.take(ROLE), jwt=fields.take(SERVICE_ACCOUNT)
    )


def _jwt(fields: Fields) -> JwtAuth:
    return JwtAuth(mount=fields.take(JWT_MOUNT), role=fields.take(ROLE), jwt=fields.take(JWT))


def _cert(fields: Fields) -> CertAuth:
    return CertAuth(
        mount=fields.take(CERT_MOUNT),
        name=fields.take(CERT_NAME),
        cert=fields.take(CERT),
        key=fields.take(CERT_KEY),
    )


_LOGINS: tuple[tuple[Section, Callable[[Fields], VaultAuth]], ...] = (
    (APPROLE_LOGIN, _approle),
    (KUBERNETES_LOGIN, _kubernetes),
    (JWT_LOGIN, _jwt),
    (CERT_LOGIN, _cert),
)
_WAYS = ", ".join(f"`{part.name}: ...`" for part in AUTH.parts)


def read_auth(vault: Fields, owner: Node) -> VaultAuth:
    """Return the one way to log in that is given. `owner` is where it is told that there is none."""
    stand_in = TokenAuth(token=TOKEN.stand_in)
    node = vault.node(AUTH.name)
    if node is None:
        if is_null(owner) or isinstance(owner, Mapping):
            vault.complaints.tell(
                owner, "`vault.auth` is missing", f"write `auth: {{token: ...}}`; {REFERENCE_HINT}"
            )
        return stand_in
    if not isinstance(node, Mapping):
        vault.complaints.tell(node, describe(node), f"write one of {_WAYS} below; {REFERENCE_HINT}")
        return stand_in
    fields = vault.below(AUTH)
    given = _given(fields)
    fields.close()
    if len(given) != 1:
        vault.complaints.tell(
            node,
            f"{count(len(given), 'way')} to log in where exactly one is expected",
            f"write one of {_WAYS}; {REFERENCE_HINT}",
        )
    return given[0] if given else stand_in


def _given(fields: Fields) -> list[VaultAuth]:
    """Return every way to log in that is written, each looked through."""
    given: list[VaultAuth] = []
    if fields.node(TOKEN.name) is not None:
        given.append(TokenAuth(token=fields.take(TOKEN)))
    for section, read in _LOGINS:
        if fields.node(section.name) is not None:
            below = fields.below(section)
            given.append(read(below))
            below.close()
    return given
